//! Metrics: one registry per process, passed on explicitly, and declarations with cached handles.
//!
//! A metric is declared once, where it is counted, with a sentence of documentation. Labels are declared with all
//! their values, so that a hot path holds handles instead of looking labels up (a look-up costs six times as much
//! as the count itself), and so that every series exists from the start.
//!
//! ```
//! use tributary_platform::metrics::{Label, Metrics};
//!
//! #[derive(Clone, Copy)]
//! enum Outcome {
//!     Accepted,
//!     Refused,
//! }
//! impl Label for Outcome {
//!     const ALL: &'static [Self] = &[Outcome::Accepted, Outcome::Refused];
//!     fn as_str(self) -> &'static str {
//!         match self {
//!             Outcome::Accepted => "accepted",
//!             Outcome::Refused => "refused",
//!         }
//!     }
//!     fn index(self) -> usize {
//!         self as usize
//!     }
//! }
//!
//! let metrics = Metrics::default();
//! let events = metrics.counters::<Outcome>("tributary_events_total", "Events by outcome.", "outcome");
//! events.get(Outcome::Accepted).inc_by(3);
//! assert!(metrics.render().contains(r#"tributary_events_total{outcome="accepted"} 3"#));
//! ```

use prometheus::core::Collector;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

/// Seconds from a tenth of a millisecond to ten seconds, for latencies.
pub const LATENCY_SECONDS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// The values of a label: an enum, so that there are never more series than variants.
pub trait Label: Copy + 'static {
    /// Every value, in the order of [`Label::index`].
    const ALL: &'static [Self];
    /// As it is written in the exposition.
    fn as_str(self) -> &'static str;
    /// Its place in [`Label::ALL`].
    fn index(self) -> usize;
}

/// One handle for each value of a label.
#[derive(Debug, Clone)]
pub struct ByLabel<M>(Vec<M>);

impl<M> ByLabel<M> {
    /// The series of this value.
    pub fn get<L: Label>(&self, label: L) -> &M {
        &self.0[label.index()]
    }
}

/// The registry of a process, and the declarations of its metrics. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    registry: Registry,
}

impl Metrics {
    /// The registry, for collectors of one's own.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// A counter.
    pub fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.register(IntCounter::new(name, help).expect("metric names are literals"))
    }

    /// A gauge.
    pub fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.register(IntGauge::new(name, help).expect("metric names are literals"))
    }

    /// A histogram.
    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.register(Histogram::with_opts(options).expect("metric names are literals"))
    }

    /// A counter for each value of a label.
    pub fn counters<L: Label>(&self, name: &str, help: &str, label: &str) -> ByLabel<IntCounter> {
        let vec = self.counter_vec(name, help, &[label]);
        ByLabel(
            L::ALL
                .iter()
                .map(|value| vec.with_label_values(&[value.as_str()]))
                .collect(),
        )
    }

    /// A gauge for each value of a label.
    pub fn gauges<L: Label>(&self, name: &str, help: &str, label: &str) -> ByLabel<IntGauge> {
        let vec = self.gauge_vec(name, help, &[label]);
        ByLabel(
            L::ALL
                .iter()
                .map(|value| vec.with_label_values(&[value.as_str()]))
                .collect(),
        )
    }

    /// A histogram for each value of a label.
    pub fn histograms<L: Label>(
        &self,
        name: &str,
        help: &str,
        label: &str,
        buckets: &[f64],
    ) -> ByLabel<Histogram> {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let vec = HistogramVec::new(options, &[label]).expect("metric names are literals");
        let vec = self.register(vec);
        ByLabel(
            L::ALL
                .iter()
                .map(|value| vec.with_label_values(&[value.as_str()]))
                .collect(),
        )
    }

    /// Counters whose label values are bounded by configuration (topics, sources); keep the handles.
    pub fn counter_vec(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.register(
            IntCounterVec::new(Opts::new(name, help), labels).expect("metric names are literals"),
        )
    }

    /// Gauges whose label values are bounded by configuration (topics, partitions); keep the handles.
    pub fn gauge_vec(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.register(
            IntGaugeVec::new(Opts::new(name, help), labels).expect("metric names are literals"),
        )
    }

    /// All metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        let families = self.registry.gather();
        TextEncoder::new().encode(&families, &mut text).expect(
            "writing to memory does not fail, and families without series are not gathered",
        );
        String::from_utf8(text).expect("the text format is UTF-8")
    }

    /// Two declarations of one name are a mistake in the code, found at the first start.
    fn register<C: Collector + Clone + 'static>(&self, collector: C) -> C {
        self.registry
            .register(Box::new(collector.clone()))
            .expect("a metric is declared once per process");
        collector
    }
}
