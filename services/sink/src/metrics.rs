//! What the sink counts.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
};
use tributary_platform::admin_http::Check;
use tributary_platform::clickhouse::Error;
use tributary_platform::metrics::{LATENCY_SECONDS, Metrics as Registry};

use crate::encode::TOPICS;
use crate::table::Table;

/// Blocks of which the engine remembers the tokens, as the migrations say.
const WINDOW: i64 = 10_000;

/// Handles of the sink's metrics; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    tables: Arc<HashMap<&'static str, TableMetrics>>,
    retries: IntCounterVec,
    dead_letters: IntCounter,
    lag_messages: IntGaugeVec,
    lag_seconds: IntGaugeVec,
    freshness: HistogramVec,
    clickhouse: Check,
}

#[derive(Debug)]
struct TableMetrics {
    rows: IntCounter,
    seconds: Histogram,
    blocks: AtomicI64,
    headroom: IntGauge,
}

/// Handles of one partition's metrics.
#[derive(Clone, Debug)]
pub(crate) struct PartitionMetrics {
    lag_messages: IntGauge,
    lag_seconds: IntGauge,
    freshness: Histogram,
    end: Arc<AtomicI64>,
    oldest: i64,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry, clickhouse: Check) -> Self {
        let rows = registry.counter_vec(
            "tributary_sink_rows_inserted_total",
            "Rows inserted into ClickHouse, by table.",
            &["table"],
        );
        let headroom = registry.gauge_vec(
            "tributary_sink_deduplication_headroom_blocks",
            "Blocks that may still be inserted before the token of the slowest insert under way is forgotten. Alert below 5000.",
            &["table"],
        );
        let seconds = histograms(
            registry,
            "tributary_sink_insert_seconds",
            "Time of an insert into ClickHouse, by table.",
            "table",
        );
        let tables = TOPICS.iter().flat_map(|topic| topic.tables).map(|table| {
            let headroom = headroom.with_label_values(&[table.name]);
            headroom.set(WINDOW);
            let metrics = TableMetrics {
                rows: rows.with_label_values(&[table.name]),
                seconds: seconds.with_label_values(&[table.name]),
                blocks: AtomicI64::new(0),
                headroom,
            };
            (table.name, metrics)
        });
        Self {
            tables: Arc::new(tables.collect()),
            retries: registry.counter_vec(
                "tributary_sink_retries_total",
                "Calls to ClickHouse that failed and are tried again, by the engine's error code. Alert when it keeps growing.",
                &["code"],
            ),
            dead_letters: registry.counter("tributary_sink_dead_letters_total", "Records that cannot be stored and went to dead letters."),
            lag_messages: registry.gauge_vec(
                "tributary_sink_lag_messages",
                "Offsets between what is stored and the end of the partition.",
                &["topic", "partition"],
            ),
            lag_seconds: registry.gauge_vec(
                "tributary_sink_lag_seconds",
                "Age of the oldest record that was read and is not stored. Alert above 60.",
                &["topic", "partition"],
            ),
            freshness: histograms(registry, "tributary_sink_freshness_seconds", "From a record's time in Kafka to its row, for the oldest record of each insert.", "topic"),
            clickhouse,
        }
    }

    pub(crate) fn partition(
        &self,
        topic: &'static str,
        partition: i32,
        end: Arc<AtomicI64>,
    ) -> PartitionMetrics {
        let labels = [topic, &partition.to_string()];
        PartitionMetrics {
            lag_messages: self.lag_messages.with_label_values(&labels),
            lag_seconds: self.lag_seconds.with_label_values(&labels),
            freshness: self.freshness.with_label_values(&[topic]),
            end,
            oldest: -1,
        }
    }

    pub(crate) fn inserted(&self, table: &Table, rows: usize, took: Duration) {
        let metrics = &self.tables[table.name];
        metrics.rows.inc_by(rows as u64);
        metrics.seconds.observe(took.as_secs_f64());
        metrics.blocks.fetch_add(1, Ordering::Relaxed);
    }

    /// Blocks inserted into the table so far, to be given to [`Metrics::headroom`].
    pub(crate) fn blocks(&self, table: &Table) -> i64 {
        self.tables[table.name].blocks.load(Ordering::Relaxed)
    }

    /// An insert that began when there were so many blocks has ended.
    pub(crate) fn headroom(&self, table: &Table, began: i64) {
        let metrics = &self.tables[table.name];
        metrics
            .headroom
            .set(WINDOW - (metrics.blocks.load(Ordering::Relaxed) - began));
    }

    pub(crate) fn dead_letters(&self, count: usize) {
        self.dead_letters.inc_by(count as u64);
    }

    pub(crate) fn clickhouse_answers(&self) {
        self.clickhouse.ready();
    }

    /// Counts it and says so; the text of the engine stays out, since it may quote rows.
    pub(crate) fn clickhouse_fails(&self, error: &Error) {
        self.retries.with_label_values(&[&error.tag()]).inc();
        tracing::warn!(%error, "could not store; trying again");
        self.clickhouse.not_ready(error.to_string());
    }
}

impl PartitionMetrics {
    /// More was read; `oldest` is the time of the oldest record that waits.
    pub(crate) fn read(&mut self, stored: i64, oldest: Option<i64>) {
        self.oldest = oldest.unwrap_or(-1);
        self.set(stored);
    }

    /// Everything that was read is stored.
    pub(crate) fn stored(&mut self, stored: i64) {
        if self.oldest >= 0 {
            self.freshness.observe(age(self.oldest).as_secs_f64());
        }
        self.oldest = -1;
        self.set(stored);
    }

    fn set(&self, stored: i64) {
        self.lag_messages
            .set((self.end.load(Ordering::Relaxed) - stored.max(0)).max(0));
        let seconds = if self.oldest >= 0 {
            age(self.oldest).as_secs()
        } else {
            0
        };
        self.lag_seconds
            .set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }
}

/// Since a moment in milliseconds since 1970, by this machine's clock.
pub(crate) fn age(moment: i64) -> Duration {
    let moment = UNIX_EPOCH + Duration::from_millis(u64::try_from(moment).unwrap_or_default());
    SystemTime::now().duration_since(moment).unwrap_or_default()
}

fn histograms(registry: &Registry, name: &str, help: &str, label: &str) -> HistogramVec {
    let options = HistogramOpts::new(name, help).buckets(LATENCY_SECONDS.to_vec());
    let histograms = HistogramVec::new(options, &[label]).expect("metric names are literals");
    registry
        .registry()
        .register(Box::new(histograms.clone()))
        .expect("declared once");
    histograms
}
