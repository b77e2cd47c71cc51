//! Puts events on Kafka and knows when all in-sync replicas have them.
//!
//! All records of a request share one receipt. A full queue, a failed delivery or an unreachable Kafka fail the
//! request with 503: its sender tries again, and what was stored already is known by its message id.

mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tributary_contracts::keys;
use tributary_contracts::wire::DeadLetter;
use tributary_core::time::Timestamp;
use tributary_platform::admin_http::Readiness;
use tributary_platform::config::Config;
use tributary_platform::kafka::connect;
use tributary_platform::kafka::producer::{
    self, Batch, NotAcknowledged, Producer, SendError, Settled,
};
use tributary_platform::lifecycle::Scope;

use crate::classify::Classified;
use crate::encode;
use crate::metrics::Outcome;
use crate::normalise::Normalised;
use crate::refusal::Refusal;
use crate::source::Source;
use crate::validate::Message;
use tributary_platform::metrics::Label as _;
use watch::Health;

/// Bound of the producer's queue: some seconds of a busy instance; beyond it senders are told to wait.
const QUEUE_BYTES: usize = 64 * 1024 * 1024;
/// A payload longer than this would not pass a broker's default `max.message.bytes` with its envelope.
const LONGEST_PAYLOAD: usize = 900_000;

/// The way to Kafka.
#[derive(Debug)]
pub(crate) struct Publisher {
    producer: Producer<Counted>,
    topics: Arc<Topics>,
    health: Arc<Health>,
}

/// The topics that ingest writes to.
#[derive(Debug)]
struct Topics {
    touchpoints: Topic,
    dead_letters: Topic,
}

/// A topic and the number of its partitions: 0 until it is known, then for ever the same, as timelines stay where
/// they are.
#[derive(Debug)]
struct Topic {
    name: String,
    partitions: AtomicU32,
}

impl Topic {
    fn new(config: &Config, name: &str) -> Self {
        Self {
            name: connect::topic(&config.kafka, name),
            partitions: AtomicU32::new(0),
        }
    }

    fn partition(&self, key: &[u8]) -> u32 {
        keys::partition(key, self.partitions.load(Ordering::Relaxed)).cast_unsigned()
    }
}

/// Why nothing can be published now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// Kafka does not answer, or the topics are not there.
    Unreachable,
    /// The queue is full.
    QueueFull,
    /// Some record was not acknowledged.
    NotAcknowledged,
}

impl Publisher {
    /// Connects in the background; until then everything is [`Unavailable::Unreachable`].
    pub(crate) fn start(
        config: &Config,
        readiness: &Readiness,
        scope: &Scope,
    ) -> Result<Self, producer::Error> {
        let options = producer::Options {
            kafka: config.kafka.clone(),
            client_id: "tributary-ingest".to_owned(),
            compression: config.ingest.compression,
            acks_timeout: config.ingest.acks_timeout,
            linger: config.ingest.linger,
            queue_bytes: QUEUE_BYTES,
        };
        let producer = Producer::start(&options, scope)?;
        let topics = Arc::new(Topics {
            touchpoints: Topic::new(config, "touchpoints"),
            dead_letters: Topic::new(config, "dead_letters"),
        });
        let health = Arc::new(Health::new(readiness));
        watch::start(&producer, &topics, &health, scope).map_err(producer::Error::Thread)?;
        Ok(Self {
            producer,
            topics,
            health,
        })
    }

    /// Begins what one request publishes. Fails at once while Kafka is known not to answer, so that nothing piles up.
    pub(crate) fn begin<'a>(
        &'a self,
        source: &'a Arc<Source>,
        received_at: Timestamp,
    ) -> Result<Submission<'a>, Unavailable> {
        if !self.health.is_reachable() {
            return Err(Unavailable::Unreachable);
        }
        let touchpoints = self.producer.batch(self.counted(source, Outcome::Accepted));
        Ok(Submission {
            publisher: self,
            source,
            received_at,
            touchpoints,
            dead_letters: None,
            full: false,
        })
    }

    /// Ends the connection; what is still queued fails.
    pub(crate) fn close(&self) {
        self.health.close();
        self.producer.close();
    }

    fn counted(&self, source: &Arc<Source>, delivered: Outcome) -> Counted {
        Counted {
            source: Arc::clone(source),
            delivered,
            health: Arc::clone(&self.health),
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.close();
    }
}

/// The records of one request.
#[derive(Debug)]
pub(crate) struct Submission<'a> {
    publisher: &'a Publisher,
    source: &'a Arc<Source>,
    received_at: Timestamp,
    touchpoints: Batch<Counted>,
    /// Refusals are rare, so their receipt is made with the first.
    dead_letters: Option<Batch<Counted>>,
    /// The queue was full: the rest is not tried, as the request has failed.
    full: bool,
}

impl Submission<'_> {
    /// Queues a touchpoint.
    pub(crate) fn touchpoint(
        &mut self,
        message: &Message<'_>,
        normalised: &Normalised<'_>,
        classified: &Classified<'_>,
    ) {
        if self.full {
            return self.touchpoints.give_up();
        }
        let topic = &self.publisher.topics.touchpoints;
        let batch = &self.touchpoints;
        let sent = encode::touchpoint(
            message,
            normalised,
            classified,
            self.source,
            self.received_at,
            |key, payload| batch.send(&topic.name, topic.partition(key), key, payload),
        );
        self.full |= failed(sent);
    }

    /// Queues a refused event, whole.
    pub(crate) fn dead_letter(&mut self, refusal: &Refusal, message_id: &str, payload: &str) {
        self.source.metrics.refused(refusal.reason);
        let publisher = self.publisher;
        let batch = self.dead_letters.get_or_insert_with(|| {
            publisher
                .producer
                .batch(publisher.counted(self.source, Outcome::Refused))
        });
        if self.full {
            return batch.give_up();
        }
        let detail = if refusal.field.is_empty() {
            refusal.message.to_string()
        } else {
            format!("{}: {}", refusal.field, refusal.message)
        };
        let letter = DeadLetter {
            workspace: &self.source.workspace,
            source: &self.source.name,
            stage: "ingest",
            reason: refusal.reason.as_str(),
            detail: &detail,
            message_id,
            received_at: self.received_at,
            payload: &payload.as_bytes()[..payload.len().min(LONGEST_PAYLOAD)],
            topic: "",
            partition: -1,
            offset: -1,
        };
        let topic = &publisher.topics.dead_letters;
        let sent = encode::dead_letter(&letter, |key, payload| {
            batch.send(&topic.name, topic.partition(key), key, payload)
        });
        self.full |= failed(sent);
    }

    /// What is to be awaited, free of everything that the request borrows.
    pub(crate) fn submitted(self) -> Submitted {
        Submitted {
            touchpoints: self.touchpoints,
            dead_letters: self.dead_letters,
            full: self.full,
        }
    }
}

/// Whether a record was not queued.
fn failed(sent: Result<(), SendError>) -> bool {
    match sent {
        Ok(()) => false,
        Err(SendError::QueueFull) => true,
        Err(error) => {
            tracing::error!(%error, "a record was not taken by the producer");
            true
        }
    }
}

/// A request's records, queued.
#[derive(Debug)]
pub(crate) struct Submitted {
    touchpoints: Batch<Counted>,
    dead_letters: Option<Batch<Counted>>,
    full: bool,
}

impl Submitted {
    /// Waits until all in-sync replicas have every record.
    pub(crate) async fn acknowledged(self) -> Result<(), Unavailable> {
        if self.full {
            return Err(Unavailable::QueueFull);
        }
        let failed = |_: NotAcknowledged| Unavailable::NotAcknowledged;
        self.touchpoints.acknowledged().await.map_err(failed)?;
        match self.dead_letters {
            Some(dead_letters) => dead_letters.acknowledged().await.map_err(failed),
            None => Ok(()),
        }
    }
}

/// Counts the outcome of each record of a batch, also when the client has gone away meanwhile.
#[derive(Debug)]
struct Counted {
    source: Arc<Source>,
    /// What a delivered record is.
    delivered: Outcome,
    health: Arc<Health>,
}

impl Settled for Counted {
    fn settled(&self, delivered: usize, failed: usize) {
        self.source.metrics.ended(self.delivered, delivered);
        self.source.metrics.ended(Outcome::Failed, failed);
        if failed > 0 {
            self.health.failed();
        }
    }
}
