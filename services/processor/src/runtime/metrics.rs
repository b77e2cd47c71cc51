//! What operations sees of workers.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
};
use tributary_core::time::Timestamp;
use tributary_platform::metrics::{LATENCY_SECONDS, Metrics};

/// The metrics of all workers of a process.
#[derive(Clone, Debug)]
pub struct RuntimeMetrics {
    records_in: IntCounterVec,
    records_out: IntCounterVec,
    dead_letters: IntCounterVec,
    restarts: IntCounterVec,
    commit_seconds: HistogramVec,
    transaction_records: HistogramVec,
    restored: IntCounterVec,
    restore_remaining: IntGaugeVec,
    lag_messages: IntGaugeVec,
    lag_seconds: IntGaugeVec,
    store_bytes: IntGaugeVec,
    changed_keys: IntGaugeVec,
    watermark: IntGaugeVec,
}

impl RuntimeMetrics {
    /// Declares them; once a process.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            let vec = HistogramVec::new(options, &["stage"]).expect("metric names are literals");
            metrics
                .registry()
                .register(Box::new(vec.clone()))
                .expect("a metric is declared once per process");
            vec
        };
        Self {
            records_in: metrics.counter_vec("tributary_processor_records_in_total", "Records read by a stage.", &["stage"]),
            records_out: metrics.counter_vec(
                "tributary_processor_records_out_total",
                "Records that a stage committed, by topic; its changelog is one of them.",
                &["stage", "topic"],
            ),
            dead_letters: metrics.counter_vec(
                "tributary_processor_dead_letters_total",
                "Records that a stage could not use. Alert on any.",
                &["stage", "reason"],
            ),
            restarts: metrics.counter_vec(
                "tributary_processor_restarts_total",
                "Lives of a worker that ended before the process, by reason. Alert on all but `rebalance`.",
                &["stage", "reason"],
            ),
            commit_seconds: histogram(
                "tributary_processor_commit_seconds",
                "From a flush's begin to its transaction's commit.",
                LATENCY_SECONDS,
            ),
            transaction_records: histogram(
                "tributary_processor_transaction_records",
                "Input records of a transaction.",
                &[1.0, 10.0, 100.0, 1_000.0, 5_000.0, 10_000.0, 20_000.0, 50_000.0],
            ),
            restored: metrics.counter_vec(
                "tributary_processor_restored_records_total",
                "Changelog records read at a worker's start.",
                &["stage"],
            ),
            restore_remaining: metrics.gauge_vec(
                "tributary_processor_restore_remaining_records",
                "Changelog offsets still to be read before the stage can go on.",
                &["stage"],
            ),
            lag_messages: metrics.gauge_vec(
                "tributary_processor_lag_messages",
                "Offsets between what the stage has read and the ends of its partitions; markers of transactions count. Alert when it grows for minutes.",
                &["stage"],
            ),
            lag_seconds: metrics.gauge_vec(
                "tributary_processor_lag_seconds",
                "Age of the last record read; 0 when there is nothing left to read. Alert above 60.",
                &["stage"],
            ),
            store_bytes: metrics.gauge_vec("tributary_processor_store_bytes", "Local store on disk.", &["stage"]),
            changed_keys: metrics.gauge_vec(
                "tributary_processor_store_changed_keys",
                "Keys in memory that the local store does not hold yet.",
                &["stage"],
            ),
            watermark: metrics.gauge_vec(
                "tributary_processor_watermark_timestamp_seconds",
                "Event time, since 1970, up to which a partition of touchpoints is taken to be complete; what comes later yet corrects what was published. It goes on with the clock where nothing is left to read. Alert where time() less the least is above 300.",
                &["partition"],
            ),
        }
    }

    pub(super) fn of(&self, stage: &'static str) -> StageMetrics {
        StageMetrics {
            stage,
            records_in: self.records_in.with_label_values(&[stage]),
            records_out: self.records_out.clone(),
            dead_letters: self.dead_letters.clone(),
            restarts: self.restarts.clone(),
            commit_seconds: self.commit_seconds.with_label_values(&[stage]),
            transaction_records: self.transaction_records.with_label_values(&[stage]),
            restored: self.restored.with_label_values(&[stage]),
            restore_remaining: self.restore_remaining.with_label_values(&[stage]),
            lag_messages: self.lag_messages.with_label_values(&[stage]),
            lag_seconds: self.lag_seconds.with_label_values(&[stage]),
            store_bytes: self.store_bytes.with_label_values(&[stage]),
            changed_keys: self.changed_keys.with_label_values(&[stage]),
            watermark: self.watermark.clone(),
        }
    }
}

/// The handles of one stage. Updated once a transaction, so look-ups by topic and reason are cheap enough.
pub(super) struct StageMetrics {
    stage: &'static str,
    pub(super) records_in: IntCounter,
    records_out: IntCounterVec,
    dead_letters: IntCounterVec,
    restarts: IntCounterVec,
    pub(super) commit_seconds: Histogram,
    pub(super) transaction_records: Histogram,
    pub(super) restored: IntCounter,
    pub(super) restore_remaining: IntGauge,
    pub(super) lag_messages: IntGauge,
    pub(super) lag_seconds: IntGauge,
    pub(super) store_bytes: IntGauge,
    pub(super) changed_keys: IntGauge,
    watermark: IntGaugeVec,
}

impl StageMetrics {
    pub(super) fn records_out(&self, topic: &str, count: u64) {
        self.records_out
            .with_label_values(&[self.stage, topic])
            .inc_by(count);
    }

    pub(super) fn dead_letter(&self, reason: &str) {
        self.dead_letters
            .with_label_values(&[self.stage, reason])
            .inc();
    }

    /// Only the first stage has one; so it has no label.
    pub(super) fn watermark(&self, partition: i32, watermark: Timestamp) {
        self.watermark
            .with_label_values(&[&partition.to_string()])
            .set(watermark.0.div_euclid(1000));
    }

    pub(super) fn no_watermark(&self, partition: i32) {
        // Fails where none was told yet.
        let _ = self
            .watermark
            .remove_label_values(&[&partition.to_string()]);
    }

    pub(super) fn restart(&self, reason: &str) {
        self.restarts.with_label_values(&[self.stage, reason]).inc();
    }
}
