//! One record, written or read, and a partition read to its end: for jobs that an operator runs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::connect::{Logged, forward_error, forward_log, properties};
use crate::config::Kafka;

/// Why a record was not written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Kafka says so.
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
    /// No answer in time.
    #[error("Kafka at {brokers} did not answer within {} s: does it run?", waited.as_secs())]
    NoAnswer {
        /// Where it was looked for.
        brokers: String,
        /// How long.
        waited: Duration,
    },
}

/// A record as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its offset.
    pub offset: i64,
    /// Its value; none for a tombstone.
    pub value: Option<Vec<u8>>,
}

type Delivered = Arc<Mutex<Option<Result<i64, KafkaError>>>>;

/// Notes where the record came to stand.
struct Delivery(Delivered);

impl ClientContext for Delivery {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        forward_log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        forward_error(&error, reason);
    }
}

impl ProducerContext for Delivery {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let result = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.clone()),
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    }
}

/// Writes a record, acknowledged by all in-sync replicas, and returns its offset.
///
/// # Errors
/// When Kafka refuses it, or does not answer within `timeout`: then it is not written later.
pub fn append(
    kafka: &Kafka,
    topic: &str,
    partition: i32,
    key: &[u8],
    value: &[u8],
    timeout: Duration,
) -> Result<i64, Error> {
    let milliseconds = timeout.as_millis().to_string();
    let config = properties(
        kafka,
        "tributary-job",
        &[
            ("acks", "all"),
            ("enable.idempotence", "true"),
            ("message.timeout.ms", &milliseconds),
        ],
    );
    let delivered: Delivered = Delivered::default();
    let producer: BaseProducer<Delivery> =
        BaseProducer::from_config_and_context(&config, Delivery(Arc::clone(&delivered)))?;
    let record = BaseRecord::<[u8], [u8]>::to(topic)
        .partition(partition)
        .key(key)
        .payload(value);
    producer.send(record).map_err(|(error, _)| error)?;
    // librdkafka gives the record up after its own time; this one is for its answer.
    producer.flush(timeout + Duration::from_secs(1))?;
    let outcome = delivered
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    match outcome {
        Some(Ok(offset)) => Ok(offset),
        Some(Err(KafkaError::MessageProduction(
            rdkafka::types::RDKafkaErrorCode::MessageTimedOut,
        )))
        | None => Err(Error::NoAnswer {
            brokers: kafka.brokers.clone(),
            waited: timeout,
        }),
        Some(Err(error)) => Err(error.into()),
    }
}

/// Reads the record at that offset, or the first one after it, of what is committed; none where the partition ends
/// before.
///
/// # Errors
/// When Kafka does not answer within `timeout`.
pub fn read(
    kafka: &Kafka,
    topic: &str,
    partition: i32,
    offset: i64,
    timeout: Duration,
) -> Result<Option<Record>, Error> {
    let consumer = reader(kafka, topic, partition, Offset::Offset(offset))?;
    let begin = Instant::now();
    loop {
        let left = timeout.saturating_sub(begin.elapsed());
        match consumer.poll(left) {
            Some(Ok(message)) => {
                return Ok(Some(Record {
                    offset: message.offset(),
                    value: message.payload().map(<[u8]>::to_vec),
                }));
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(None),
            Some(Err(error)) if passes(&error) && !left.is_zero() => {}
            Some(Err(error)) => return Err(error.into()),
            None => {
                return Err(Error::NoAnswer {
                    brokers: kafka.brokers.clone(),
                    waited: timeout,
                });
            }
        }
    }
}

/// Hands every committed record of a partition to `visit`, with its offset, up to the end that it has when that is
/// reached; tombstones are passed over. Returns the end.
///
/// # Errors
/// When Kafka says nothing for `silence`.
pub fn read_all(
    kafka: &Kafka,
    topic: &str,
    partition: i32,
    silence: Duration,
    mut visit: impl FnMut(i64, &[u8]),
) -> Result<i64, Error> {
    let consumer = reader(kafka, topic, partition, Offset::Beginning)?;
    let (mut heard, mut end) = (Instant::now(), 0);
    loop {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                heard = Instant::now();
                end = message.offset() + 1;
                if let Some(value) = message.payload() {
                    visit(message.offset(), value);
                }
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(end),
            Some(Err(error)) if !passes(&error) => return Err(error.into()),
            _ if heard.elapsed() > silence => {
                return Err(Error::NoAnswer {
                    brokers: kafka.brokers.clone(),
                    waited: silence,
                });
            }
            _ => {}
        }
    }
}

/// A connection that breaks is made anew.
fn passes(error: &KafkaError) -> bool {
    matches!(error, KafkaError::Global(code) | KafkaError::MessageConsumption(code)
        if *code != rdkafka::types::RDKafkaErrorCode::UnknownTopicOrPartition)
}

fn reader(
    kafka: &Kafka,
    topic: &str,
    partition: i32,
    from: Offset,
) -> Result<BaseConsumer<Logged>, Error> {
    let config = properties(
        kafka,
        "tributary-job",
        &[
            ("group.id", "tributary-job"),
            ("isolation.level", "read_committed"),
            ("enable.auto.commit", "false"),
            ("enable.partition.eof", "true"),
            // An offset that does not exist is before the first record or after the last: there is nothing to read.
            ("auto.offset.reset", "latest"),
        ],
    );
    let consumer: BaseConsumer<Logged> = BaseConsumer::from_config_and_context(&config, Logged)?;
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset(topic, partition, from)?;
    consumer.assign(&partitions)?;
    Ok(consumer)
}
