//! The transactional producer: all that a worker sends since `begin`, and its input's offsets, become visible
//! together, or never.
//!
//! One per worker, under a stable transactional id: whoever opens the same id again ends what its predecessor left
//! open, and shuts it out. After any error the instance is of no further use: drop it, open another.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use rdkafka::topic_partition_list::TopicPartitionList;

use super::connect::{forward_error, forward_log, properties};
use crate::config::{Compression, Kafka};

/// What a transactional producer is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// How Kafka is reached.
    pub kafka: Kafka,
    /// The same in each life of a worker, and of no other worker.
    pub transactional_id: String,
    /// Of record batches.
    pub compression: Compression,
    /// The broker ends a transaction that is open for longer. Until then it hides all that follows from readers.
    pub transaction_timeout: Duration,
}

/// Acknowledgements are looked at after so many sends, one batch of records at a time: as often as batches come, so that
/// a large transaction takes the memory of what is delivered again instead of more.
const REAPED_EVERY: usize = 16;

/// How long to let acknowledgements come. `BaseProducer::poll` does not end with the first that comes but with its time,
/// the last millisecond of which it never sleeps: so it is asked for what is there, and the pause is made here.
const PAUSE: Duration = Duration::from_micros(500);

/// A transactional producer between or amid transactions.
pub struct TransactionalProducer {
    producer: BaseProducer<Deliveries>,
    timeout: Duration,
    /// Records queued, ever.
    queued: AtomicUsize,
}

impl std::fmt::Debug for TransactionalProducer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("TransactionalProducer")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Whether the offset that a record got is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Track {
    /// No.
    No,
    /// It raises its partition's end in [`TransactionalProducer::tracked_ends`]. All tracked records are of one topic.
    Offset,
}

impl TransactionalProducer {
    /// Opens the transactional id: ends what a predecessor left open, and shuts it out. Blocks.
    ///
    /// # Errors
    /// When Kafka does not answer in time, or refuses.
    pub fn open(options: &Options) -> Result<Self, KafkaError> {
        let transaction_timeout = options.transaction_timeout.as_millis().to_string();
        // Below the transaction's: a record that fails must do so while the transaction still stands.
        let message_timeout = (options.transaction_timeout * 4 / 5)
            .as_millis()
            .to_string();
        let config = properties(
            &options.kafka,
            &options.transactional_id,
            &[
                ("transactional.id", &options.transactional_id),
                ("transaction.timeout.ms", &transaction_timeout),
                ("message.timeout.ms", &message_timeout),
                ("enable.idempotence", "true"),
                ("compression.type", options.compression.as_str()),
                // All of a transaction is sent in one go: little more would join a batch by waiting longer.
                ("linger.ms", "2"),
                // 64 MB: about what a transaction of 20,000 records sends at once; what is beyond waits in `send`.
                ("queue.buffering.max.kbytes", "65536"),
                ("queue.buffering.max.messages", "500000"),
            ],
        );
        let producer = BaseProducer::from_config_and_context(&config, Deliveries::default())?;
        let timeout = options.transaction_timeout * 2;
        producer.init_transactions(timeout)?;
        Ok(Self {
            producer,
            timeout,
            queued: AtomicUsize::new(0),
        })
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// When the producer was shut out by a successor.
    pub fn begin(&self) -> Result<(), KafkaError> {
        self.producer.begin_transaction()
    }

    /// Queues a record; none as value is a tombstone. Waits while the queue is full.
    ///
    /// # Errors
    /// When it cannot be queued, or an earlier record of the transaction failed.
    pub fn send(
        &self,
        topic: &str,
        partition: i32,
        key: &[u8],
        value: Option<&[u8]>,
        track: Track,
    ) -> Result<(), KafkaError> {
        if self.queued.fetch_add(1, Ordering::Relaxed) % REAPED_EVERY == REAPED_EVERY - 1 {
            self.producer.poll(Duration::ZERO);
        }
        let mut full_since = None;
        let mut record = BaseRecord::with_opaque_to(topic, usize::from(track == Track::Offset))
            .partition(partition)
            .key(key);
        record.payload = value;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if full_since.get_or_insert_with(Instant::now).elapsed() < self.timeout =>
                {
                    record = back;
                    self.reap();
                }
                Err((error, _)) => return Err(self.producer.context().failure().unwrap_or(error)),
            }
        }
    }

    /// Commits what was sent together with the consumer group's offsets.
    ///
    /// # Errors
    /// When anything of it failed; whether it was committed is then found in the group's offsets.
    pub fn commit(
        &self,
        offsets: &TopicPartitionList,
        group: &ConsumerGroupMetadata,
    ) -> Result<(), KafkaError> {
        self.producer
            .send_offsets_to_transaction(offsets, group, self.timeout)?;
        // `commit_transaction` sleeps 100 ms where anything is in flight: so wait here first.
        let begin = Instant::now();
        while self.producer.in_flight_count() > 0 {
            if begin.elapsed() > self.timeout {
                return Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut));
            }
            self.reap();
        }
        if let Some(error) = self.producer.context().failure() {
            return Err(error);
        }
        self.producer.commit_transaction(self.timeout)
    }

    /// Takes some acknowledgements; without any, lets some come.
    fn reap(&self) {
        let before = self.producer.context().reports();
        self.producer.poll(Duration::ZERO);
        if self.producer.context().reports() == before {
            std::thread::sleep(PAUSE);
        }
    }

    /// For each partition with tracked records, the offset after the last that was delivered so far.
    #[must_use]
    pub fn tracked_ends(&self) -> BTreeMap<i32, i64> {
        self.producer.context().lock().ends.clone()
    }
}

/// Delivery reports of one producer.
#[derive(Default)]
struct Deliveries {
    /// How many there were.
    count: AtomicUsize,
    reported: Mutex<Reported>,
}

#[derive(Default)]
struct Reported {
    failure: Option<KafkaError>,
    ends: BTreeMap<i32, i64>,
}

impl Deliveries {
    fn lock(&self) -> std::sync::MutexGuard<'_, Reported> {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reports(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    fn failure(&self) -> Option<KafkaError> {
        self.lock().failure.clone()
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        forward_log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        forward_error(&error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, tracked: usize) {
        self.count.fetch_add(1, Ordering::Relaxed);
        match result {
            Ok(message) if tracked == 1 => {
                let mut reported = self.lock();
                let end = reported.ends.entry(message.partition()).or_default();
                *end = (*end).max(message.offset() + 1);
            }
            Ok(_) => {}
            Err((error, _)) => self.lock().failure = Some(error.clone()),
        }
    }
}
