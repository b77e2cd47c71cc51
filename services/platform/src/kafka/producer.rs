//! The acknowledged producer: idempotent, acks=all, one receipt for all records of a request.
//!
//! ```text
//! batch() ── send(), send(), ... ──> librdkafka's queue (bounded) ──> all in-sync replicas
//!    └─ acknowledged().await <── one wake-up <── poll thread <── delivery reports
//! ```
//!
//! A record that fails fails its batch only. A full queue is told at once, never waited for. When librdkafka meets an
//! error that it calls fatal for this instance, the poll thread puts a new instance in its place.

mod receipt;

pub use receipt::Settled;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};

use super::connect;
use crate::config::{Compression, Kafka};
use crate::lifecycle::Scope;
use receipt::Receipt;

/// A poll returns after this long at the latest, so that a stop and a fatal error are seen.
const POLL: Duration = Duration::from_millis(100);

/// What a producer is made of.
#[derive(Debug, Clone)]
pub struct Options {
    /// How Kafka is reached; its properties win over ours.
    pub kafka: Kafka,
    /// As the brokers' logs name us.
    pub client_id: String,
    /// Of record batches.
    pub compression: Compression,
    /// A record that is not acknowledged by then has failed.
    pub acks_timeout: Duration,
    /// How long a record may wait for company.
    pub linger: Duration,
    /// Bound of the queue, in bytes. What is beyond is refused at once.
    pub queue_bytes: usize,
}

/// Why a producer cannot start. Trying again does not help.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No broker is configured.
    #[error("`kafka.brokers` is empty: set it, or KAFKA_BROKERS, to \"host:port,host:port\"")]
    NoBrokers,
    /// librdkafka refuses a property.
    #[error("`kafka.properties` is not accepted by librdkafka")]
    Configuration(#[source] KafkaError),
    /// The poll thread could not be started.
    #[error("could not start the producer's poll thread")]
    Thread(#[source] std::io::Error),
}

/// Why a record was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The queue is full: the sender should be told to wait.
    #[error("the producer's queue is full")]
    QueueFull,
    /// Anything else.
    #[error("the record was not accepted by the producer ({0:?})")]
    Other(Option<RDKafkaErrorCode>),
}

/// Some record of a batch was not acknowledged; the sender may try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{failed} of {total} records were not acknowledged")]
pub struct NotAcknowledged {
    /// Records that failed.
    pub failed: usize,
    /// Records of the batch.
    pub total: usize,
}

/// Why a topic's partitions are not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// No broker answered.
    #[error("kafka does not answer ({0:?})")]
    Unreachable(Option<RDKafkaErrorCode>),
    /// The brokers do not have it.
    #[error("topic {topic} cannot be used ({code:?}): create it with `tributary migrate`")]
    Unusable {
        /// The topic.
        topic: String,
        /// What the brokers say.
        code: Option<RDKafkaErrorCode>,
    },
}

type Inner<S> = BaseProducer<Context<S>>;

/// A handle of the producer. Clones share it.
#[derive(Debug)]
pub struct Producer<S: Settled> {
    shared: Arc<Shared<S>>,
}

impl<S: Settled> Clone for Producer<S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

struct Shared<S: Settled> {
    config: ClientConfig,
    inner: RwLock<Arc<Inner<S>>>,
    closed: AtomicBool,
}

impl<S: Settled> std::fmt::Debug for Shared<S> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Shared")
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

impl<S: Settled> Producer<S> {
    /// Makes the producer and its poll thread, which ends at [`Producer::close`]. Nothing is connected yet: an
    /// unreachable Kafka is no error here.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn start(options: &Options, scope: &Scope) -> Result<Self, Error> {
        if options.kafka.brokers.is_empty() {
            return Err(Error::NoBrokers);
        }
        let config = client_config(options);
        let inner = RwLock::new(Arc::new(connect(&config).map_err(Error::Configuration)?));
        let shared = Arc::new(Shared {
            config,
            inner,
            closed: AtomicBool::new(false),
        });
        let polled = Arc::clone(&shared);
        scope
            .spawn_thread("kafka producer", move || polled.poll())
            .map_err(Error::Thread)?;
        Ok(Self { shared })
    }

    /// Begins a batch: records that are acknowledged together. `settled` is told once, when the last of them is.
    pub fn batch(&self, settled: S) -> Batch<S> {
        Batch {
            inner: self.shared.current(),
            receipt: Some(Arc::new(Receipt::new(settled))),
        }
    }

    /// The number of partitions of a topic. Blocks for `timeout` at most.
    ///
    /// # Errors
    /// When no broker answers, or the topic does not exist.
    pub fn partitions(&self, topic: &str, timeout: Duration) -> Result<u32, TopicError> {
        let inner = self.shared.current();
        let metadata = inner
            .client()
            .fetch_metadata(Some(topic), timeout)
            .map_err(|error| TopicError::Unreachable(error.rdkafka_error_code()))?;
        let unusable = |code| TopicError::Unusable {
            topic: topic.to_owned(),
            code,
        };
        let topic = metadata.topics().first().ok_or_else(|| unusable(None))?;
        if let Some(error) = topic.error() {
            return Err(unusable(Some(error.into())));
        }
        match u32::try_from(topic.partitions().len()) {
            Ok(0) | Err(_) => Err(unusable(None)),
            Ok(partitions) => Ok(partitions),
        }
    }

    /// Ends the poll thread. What is still queued fails, so drain first.
    pub fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
    }
}

impl<S: Settled> Shared<S> {
    fn current(&self) -> Arc<Inner<S>> {
        Arc::clone(&self.inner.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn poll(&self) -> Result<(), KafkaError> {
        let mut inner = self.current();
        while !self.closed.load(Ordering::Acquire) {
            inner.poll(POLL);
            if let Some((code, _)) = inner.client().fatal_error() {
                tracing::error!(
                    ?code,
                    "the kafka producer met a fatal error and is replaced"
                );
                let new = Arc::new(connect(&self.config)?);
                *self.inner.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&new);
                // Dropping the old one fails what it still held, so that each batch learns its fate.
                inner = new;
            }
        }
        Ok(())
    }
}

/// Records that are acknowledged together.
pub struct Batch<S: Settled> {
    inner: Arc<Inner<S>>,
    /// Held until all records are queued; gone only while being dropped.
    receipt: Option<Arc<Receipt<S>>>,
}

impl<S: Settled> Batch<S> {
    /// Queues a record for a partition; its bytes are copied.
    ///
    /// # Errors
    /// When it was not queued. It counts as failed, and so does the batch.
    pub fn send(
        &self,
        topic: &str,
        partition: u32,
        key: &[u8],
        payload: &[u8],
    ) -> Result<(), SendError> {
        let receipt = self.receipt();
        receipt.sent();
        let record = BaseRecord::with_opaque_to(topic, Arc::clone(receipt))
            .partition(partition.cast_signed())
            .key(key)
            .payload(payload);
        self.inner.send(record).map_err(|(error, record)| {
            record.delivery_opaque.reported(true);
            match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::QueueFull) => SendError::QueueFull,
                code => SendError::Other(code),
            }
        })
    }

    /// Counts a record as failed that was not even tried.
    pub fn give_up(&self) {
        self.receipt().sent();
        self.receipt().reported(true);
    }

    /// Waits until every record is acknowledged by all in-sync replicas, or has failed.
    ///
    /// # Errors
    /// When one has failed. It may be stored nevertheless: only its acknowledgement is missing.
    pub async fn acknowledged(self) -> Result<(), NotAcknowledged> {
        let receipt = Arc::clone(self.receipt());
        drop(self);
        receipt.settled().await
    }

    fn receipt(&self) -> &Arc<Receipt<S>> {
        self.receipt.as_ref().expect("taken in drop only")
    }
}

impl<S: Settled> std::fmt::Debug for Batch<S> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Batch").finish_non_exhaustive()
    }
}

impl<S: Settled> Drop for Batch<S> {
    fn drop(&mut self) {
        if let Some(receipt) = self.receipt.take() {
            receipt.complete();
        }
    }
}

struct Context<S>(std::marker::PhantomData<fn() -> S>);

impl<S: Settled> ClientContext for Context<S> {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        connect::forward_log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        connect::forward_error(&error, reason);
    }
}

impl<S: Settled> ProducerContext for Context<S> {
    type DeliveryOpaque = Arc<Receipt<S>>;

    fn delivery(&self, result: &DeliveryResult<'_>, receipt: Self::DeliveryOpaque) {
        if let Err((error, message)) = result {
            tracing::debug!(code = ?error.rdkafka_error_code(), topic = message.topic(), "a record was not acknowledged");
        }
        receipt.reported(result.is_err());
    }
}

fn connect<S: Settled>(config: &ClientConfig) -> Result<Inner<S>, KafkaError> {
    config.create_with_context(Context(std::marker::PhantomData))
}

fn client_config(options: &Options) -> ClientConfig {
    let mut config = connect::properties(
        &options.kafka,
        &options.client_id,
        &[
            ("enable.idempotence", "true"),
            ("acks", "all"),
            ("compression.type", options.compression.as_str()),
            ("linger.ms", &options.linger.as_millis().to_string()),
            (
                "message.timeout.ms",
                &options.acks_timeout.as_millis().to_string(),
            ),
            // The default, 1 GiB, is more than a container has.
            (
                "queue.buffering.max.kbytes",
                &(options.queue_bytes / 1024).max(1).to_string(),
            ),
            ("queue.buffering.max.messages", "1000000"),
            ("reconnect.backoff.ms", "50"),
        ],
    );
    config.set_log_level(RDKafkaLogLevel::Warning);
    config
}
