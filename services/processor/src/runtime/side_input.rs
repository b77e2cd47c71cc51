//! The links log: read at the start, whole or behind a snapshot, then as it grows.

use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tributary_platform::kafka::connect::{Logged, properties, topic};
use tributary_platform::kafka::offsets::Ends;

use super::worker::{Failure, Worker};

/// Its only partition.
const PARTITION: i32 = 0;

/// A broker that says nothing for this long is gone.
const SILENCE: Duration = Duration::from_secs(30);

/// Records learned between two flushes: about what a second allows, so that the stage flushes meanwhile.
const MOST_AT_ONCE: usize = 100_000;

pub(super) struct SideInput {
    consumer: BaseConsumer<Logged>,
    topic: String,
    position: i64,
}

impl SideInput {
    pub(super) fn open(worker: &Worker, name: &str) -> Result<Self, KafkaError> {
        let kafka = &worker.options.kafka;
        let group = format!("{}-{}-{name}", kafka.topic_prefix, worker.name);
        let config = properties(
            kafka,
            &group,
            &[
                // A consumer needs a group to be assigned anything; it neither joins nor commits.
                ("group.id", &group),
                ("isolation.level", "read_committed"),
                ("enable.auto.commit", "false"),
                ("enable.partition.eof", "true"),
                ("auto.offset.reset", "earliest"),
                ("fetch.queue.backoff.ms", "10"),
                ("fetch.wait.max.ms", "250"),
                ("queued.max.messages.kbytes", "16384"),
            ],
        );
        let consumer = BaseConsumer::from_config_and_context(&config, Logged)?;
        Ok(Self {
            consumer,
            topic: topic(kafka, name),
            position: 0,
        })
    }

    /// Reads it from an offset, 0 for its beginning, to the end that it has now.
    pub(super) fn read_from(
        &mut self,
        offset: i64,
        worker: &Worker,
        keep_alive: &dyn Fn() -> Result<(), Failure>,
        mut learn: impl FnMut(&BorrowedMessage<'_>),
    ) -> Result<(), Failure> {
        let ends = Ends::new(&worker.options.kafka, worker.name, Duration::from_secs(10))?;
        let stop = || worker.shutdown.is_requested() || keep_alive().is_err();
        let decided = ends.decided(
            &[(self.topic.clone(), PARTITION)],
            worker.options.transaction_timeout * 3,
            &stop,
        );
        keep_alive()?;
        let end = decided?.into_values().next().unwrap_or(0);

        let mut list = TopicPartitionList::with_capacity(1);
        let from = match offset {
            0 => Offset::Beginning,
            offset => Offset::Offset(offset),
        };
        list.add_partition_offset(&self.topic, PARTITION, from)?;
        self.position = offset;
        self.consumer.assign(&list)?;
        let mut heard = Instant::now();
        let mut records = 0_u64;
        // All below the end was decided before the first fetch: the end of partition is at or behind it.
        while self.position < end {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    learn(&message);
                    self.position = message.offset() + 1;
                    records += 1;
                    heard = Instant::now();
                }
                Some(Err(KafkaError::PartitionEOF(_))) => self.position = end,
                Some(Err(error)) => super::assignment::passing(error)?,
                None if heard.elapsed() > SILENCE => {
                    return Err(Failure::Unexpected(
                        "kafka sends nothing of the links log".to_owned(),
                    ));
                }
                None => {}
            }
            if records.is_multiple_of(1024) {
                keep_alive()?;
                if worker.shutdown.is_requested() {
                    return Err(Failure::Stopping);
                }
            }
        }
        Ok(())
    }

    /// Reads what has come since.
    pub(super) fn read_new(
        &mut self,
        mut learn: impl FnMut(&BorrowedMessage<'_>),
    ) -> Result<usize, Failure> {
        let mut records = 0;
        while records < MOST_AT_ONCE {
            match self.consumer.poll(Duration::ZERO) {
                None => break,
                Some(Ok(message)) => {
                    learn(&message);
                    self.position = message.offset() + 1;
                    records += 1;
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(error)) => super::assignment::passing(error)?,
            }
        }
        Ok(records)
    }

    /// Every record below was learned.
    pub(super) fn position(&self) -> i64 {
        self.position
    }
}
