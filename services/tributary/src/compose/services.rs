//! The services, each started from its part of the configuration, and what operations sees of them.

use super::{Needs, documents, instance};
use crate::exit::Failure;
use std::time::Duration;
use tokio::net::TcpListener;
use tributary_platform::admin_http::{Admin, Readiness};
use tributary_platform::config::Config;
use tributary_platform::lifecycle::Lifecycle;
use tributary_platform::metrics::Metrics;
use tributary_platform::settled::Settlement;

/// Requests in flight are answered within it; with that of the others it stays below the ten seconds of a stop.
const INGEST_STOPS_WITHIN: Duration = Duration::from_secs(2);
/// A last commit, and a checkpoint without which the next start takes longer.
const PROCESSOR_STOPS_WITHIN: Duration = Duration::from_millis(2500);
/// The insert that is under way; what is not stored is stored at the next start.
const SINK_STOPS_WITHIN: Duration = Duration::from_secs(2);

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The HTTP API in front of Kafka.
    Ingest,
    /// Deduplicates, stitches, folds and counts.
    Processor,
    /// Stores what comes out in ClickHouse.
    Sink,
}

impl Part {
    /// In the direction of flow, which is the order in which they stop.
    pub(crate) const ALL: [Part; 3] = [Part::Ingest, Part::Processor, Part::Sink];

    /// What it must be able to reach.
    pub(crate) fn needs(self) -> Needs {
        match self {
            Part::Ingest | Part::Processor => Needs::Kafka,
            Part::Sink => Needs::KafkaAndClickHouse,
        }
    }
}

/// What services share with their process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Readiness,
}

/// The services of this process.
#[derive(Debug)]
pub(crate) struct Services {
    topic_prefix: String,
    settlement: Settlement,
}

impl Services {
    /// Starts them as components that stop in the direction of flow. `ingest` is ingest's listener.
    pub(crate) fn start(
        parts: &[Part],
        config: &Config,
        surroundings: &Surroundings,
        lifecycle: &mut Lifecycle,
        mut ingest: Option<TcpListener>,
    ) -> Result<Self, Failure> {
        let Surroundings { metrics, readiness } = surroundings;
        for part in parts {
            match part {
                Part::Ingest => {
                    let scope = lifecycle.component("ingest", INGEST_STOPS_WITHIN);
                    let listener = ingest
                        .take()
                        .ok_or_else(|| Failure::failed("ingest has no listener"))?;
                    tributary_ingest::start(config, listener, &scope, metrics, readiness)
                        .map_err(Failure::usage)?;
                }
                Part::Processor => {
                    let scope = lifecycle.component("processor", PROCESSOR_STOPS_WITHIN);
                    let instance = instance::of(&config.data)?;
                    tributary_processor::start(config, &instance, &scope, metrics, readiness)
                        .map_err(|error| {
                            Failure::failed(format!(
                                "cannot start the processor's threads: {error}"
                            ))
                        })?;
                }
                Part::Sink => {
                    let scope = lifecycle.component("sink", SINK_STOPS_WITHIN);
                    let options = tributary_sink::Options::new(config, instance::of(&config.data)?);
                    let (metrics, readiness) = (metrics.clone(), readiness.clone());
                    scope.spawn(
                        "sink",
                        tributary_sink::run(options, scope.clone(), metrics, readiness),
                    );
                }
            }
        }
        Ok(Services {
            topic_prefix: config.kafka.topic_prefix.clone(),
            settlement: Settlement::new(&config.kafka),
        })
    }

    /// The server on the metrics port.
    pub(crate) fn admin(self, surroundings: &Surroundings) -> Admin {
        let Services {
            topic_prefix,
            settlement,
        } = self;
        Admin::new(surroundings.metrics.clone(), surroundings.readiness.clone())
            .with_documents(move |path| documents::find(&topic_prefix, path))
            .with_settled(move || {
                let settlement = settlement.clone();
                async move { settlement.check().await }
            })
    }
}
