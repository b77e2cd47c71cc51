//! Ends of partitions, by one request a broker.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList, TopicPartitionListElem};

use super::connect::{Logged, properties};
use crate::config::Kafka;

/// Offsets by topic (with prefix) and partition.
pub type Offsets = BTreeMap<(String, i32), i64>;

/// Asks for ends of partitions, of what is written and of what is committed.
pub struct Ends {
    written: BaseConsumer<Logged>,
    committed: BaseConsumer<Logged>,
    timeout: Duration,
}

impl std::fmt::Debug for Ends {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Ends")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Ends {
    /// Connects; each question is given up after `timeout`.
    ///
    /// # Errors
    /// When a property is not accepted.
    pub fn new(kafka: &Kafka, client_id: &str, timeout: Duration) -> Result<Self, KafkaError> {
        let connect = |isolation| {
            let config = properties(kafka, client_id, &[("isolation.level", isolation)]);
            BaseConsumer::from_config_and_context(&config, Logged)
        };
        Ok(Self {
            written: connect("read_uncommitted")?,
            committed: connect("read_committed")?,
            timeout,
        })
    }

    /// The ends of what is written: of open transactions, too.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub fn written(&self, partitions: &[(String, i32)]) -> Result<Offsets, KafkaError> {
        ends(&self.written, partitions, self.timeout)
    }

    /// The ends of what a read-committed consumer can reach: the first record of the oldest open transaction.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub fn committed(&self, partitions: &[(String, i32)]) -> Result<Offsets, KafkaError> {
        ends(&self.committed, partitions, self.timeout)
    }

    /// Waits until nothing that was written up to now is in an open transaction, then says how far that is. Every
    /// committed record below is found by whoever starts to read now. A worker that froze amid a transaction holds this
    /// up for the transaction timeout.
    ///
    /// # Errors
    /// When Kafka does not answer, or `within` passes, or `stop` says so.
    pub fn decided(
        &self,
        partitions: &[(String, i32)],
        within: Duration,
        stop: &dyn Fn() -> bool,
    ) -> Result<Offsets, Undecided> {
        let written = self.written(partitions)?;
        let begin = Instant::now();
        loop {
            let committed = self.committed(partitions)?;
            if written
                .iter()
                .all(|(partition, end)| committed.get(partition) >= Some(end))
            {
                return Ok(written);
            }
            if stop() || begin.elapsed() > within {
                return Err(Undecided::Open);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Why it is not known how far a log is decided.
#[derive(Debug, thiserror::Error)]
pub enum Undecided {
    /// Kafka does not answer.
    #[error("{0}")]
    Kafka(#[from] KafkaError),
    /// A transaction stays open.
    #[error("another worker's transaction stays open")]
    Open,
}

/// What the consumer's group has committed for these partitions. Waits for transactions with offsets of them to end.
///
/// # Errors
/// When Kafka does not answer.
pub fn committed<C: rdkafka::consumer::ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &TopicPartitionList,
    timeout: Duration,
) -> Result<TopicPartitionList, KafkaError> {
    // A coordinator that has just taken its office, as at the first use of a group.
    let passing = [
        RDKafkaErrorCode::NotCoordinator,
        RDKafkaErrorCode::CoordinatorNotAvailable,
        RDKafkaErrorCode::CoordinatorLoadInProgress,
        RDKafkaErrorCode::UnstableOffsetCommit,
    ];
    patiently(timeout, &passing, || {
        let list = consumer.committed_offsets(partitions.clone(), timeout)?;
        list.elements()
            .iter()
            .try_for_each(TopicPartitionListElem::error)?;
        Ok(list)
    })
}

/// Asks again while the answer is an error that passes within milliseconds.
fn patiently<T>(
    timeout: Duration,
    passing: &[RDKafkaErrorCode],
    ask: impl Fn() -> Result<T, KafkaError>,
) -> Result<T, KafkaError> {
    let begin = Instant::now();
    loop {
        match ask() {
            Err(KafkaError::MetadataFetch(code) | KafkaError::OffsetFetch(code))
                if passing.contains(&code) && begin.elapsed() < timeout =>
            {
                std::thread::sleep(Duration::from_millis(50));
            }
            answer => return answer,
        }
    }
}

/// The ends of partitions as the consumer's isolation level sees them.
///
/// # Errors
/// When Kafka does not answer, or a partition does not exist.
pub fn ends<C: rdkafka::consumer::ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[(String, i32)],
    timeout: Duration,
) -> Result<Offsets, KafkaError> {
    if partitions.is_empty() {
        return Ok(Offsets::new());
    }
    // A topic that was just made, or a leader that just moved.
    let passing = [
        RDKafkaErrorCode::NotLeaderForPartition,
        RDKafkaErrorCode::LeaderNotAvailable,
        RDKafkaErrorCode::UnknownLeaderEpoch,
        RDKafkaErrorCode::FencedLeaderEpoch,
    ];
    patiently(timeout, &passing, || ask(consumer, partitions, timeout))
}

fn ask<C: rdkafka::consumer::ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[(String, i32)],
    timeout: Duration,
) -> Result<Offsets, KafkaError> {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for (topic, partition) in partitions {
        // In a question by time, -1 stands for the latest, and so does `End`.
        list.add_partition_offset(topic, *partition, Offset::End)?;
    }
    let list = consumer.offsets_for_times(list, timeout)?;
    let mut offsets = Offsets::new();
    for element in list.elements() {
        element.error()?;
        let offset = match element.offset() {
            Offset::Offset(offset) => offset,
            // What `End` is called when it comes back: the partition is empty.
            _ => 0,
        };
        offsets.insert((element.topic().to_owned(), element.partition()), offset);
    }
    Ok(offsets)
}
