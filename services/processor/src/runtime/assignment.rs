//! The consumer of a stage's input, as a member of the stage's group.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::consumer::{
    BaseConsumer, Consumer as _, ConsumerContext, ConsumerGroupMetadata, Rebalance,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tributary_platform::kafka::connect::{forward_error, forward_log, properties, topic};
use tributary_platform::kafka::offsets;
use tributary_platform::settled::Progress;

use super::Options;
use super::worker::Failure;

/// An answer of a coordinator may wait for another worker's transaction to end.
const ANSWER: Duration = Duration::from_secs(15);

/// A member of a stage's group.
pub(super) struct Member {
    consumer: BaseConsumer<Watch>,
    topic: String,
    /// Partitions of which everything was read.
    at_end: RefCell<BTreeSet<i32>>,
}

/// What a partition's group knows: where to go on, and what the state there had taken into account.
#[derive(Clone, Debug, Default)]
pub(super) struct Committed {
    pub(super) offset: i64,
    pub(super) progress: Option<Progress>,
}

impl Member {
    /// Joins the group; partitions come later, through [`poll`](Self::poll).
    pub(super) fn join(options: &Options, stage: &str, input: &str) -> Result<Self, KafkaError> {
        let group = format!("{}-{stage}", options.kafka.topic_prefix);
        let instance = format!("{}-{stage}", options.instance);
        let session_timeout = options.session_timeout.as_millis().to_string();
        let heartbeat = (options.session_timeout / 4).as_millis().to_string();
        let config = properties(
            &options.kafka,
            &instance,
            &[
                ("group.id", &group),
                // After a crash the same member comes back to its partitions at once, and its zombie is shut out.
                ("group.instance.id", &instance),
                ("session.timeout.ms", &session_timeout),
                ("heartbeat.interval.ms", &heartbeat),
                // Eager: an assignment is always whole, so a life has one assignment.
                ("partition.assignment.strategy", "range"),
                ("isolation.level", "read_committed"),
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
                ("auto.offset.reset", "earliest"),
                ("fetch.queue.backoff.ms", "10"),
                ("fetch.wait.max.ms", "250"),
                ("enable.partition.eof", "true"),
                // About two transactions' worth, read ahead while one is being committed.
                ("queued.min.messages", "50000"),
                ("queued.max.messages.kbytes", "32768"),
            ],
        );
        let consumer = BaseConsumer::from_config_and_context(&config, Watch::default())?;
        let topic = topic(&options.kafka, input);
        consumer.subscribe(&[&topic])?;
        Ok(Self {
            consumer,
            topic,
            at_end: RefCell::default(),
        })
    }

    /// The next record, if one comes in time.
    pub(super) fn poll(&self, timeout: Duration) -> Result<Option<BorrowedMessage<'_>>, Failure> {
        loop {
            match self.consumer.poll(timeout) {
                None => return Ok(None),
                // Once at each end that is reached.
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    self.at_end.borrow_mut().insert(partition);
                }
                Some(Ok(message)) => {
                    let mut at_end = self.at_end.borrow_mut();
                    if !at_end.is_empty() {
                        at_end.remove(&message.partition());
                    }
                    return Ok(Some(message));
                }
                Some(Err(error)) => return passing(error).map(|()| None),
            }
        }
    }

    /// Whether no record of the partition is left to read. Offsets do not tell: those of a transaction's end hold none.
    pub(super) fn is_at_end(&self, partition: i32) -> bool {
        self.at_end.borrow().contains(&partition)
    }

    /// The partitions as first assigned; none as long as there is no assignment. They are paused.
    pub(super) fn assigned(&self) -> Option<Vec<i32>> {
        self.consumer
            .context()
            .assigned
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// That the first assignment still holds.
    ///
    /// # Errors
    /// When it does not: nothing that was decided under it may be committed.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let rebalances = self.consumer.context().rebalances.load(Ordering::Acquire);
        if rebalances > 1 || self.consumer.assignment_lost() {
            Err(Failure::Rebalanced)
        } else {
            Ok(())
        }
    }

    /// Serves the group while partitions are paused.
    pub(super) fn keep_alive(&self) -> Result<(), Failure> {
        match self.poll(Duration::ZERO)? {
            None => self.check(),
            Some(message) => Err(Failure::Unexpected(format!(
                "a record of paused partition {}",
                message.partition()
            ))),
        }
    }

    /// What the group has committed. Waits for transactions with offsets of these partitions to end.
    pub(super) fn committed(
        &self,
        partitions: &[i32],
    ) -> Result<BTreeMap<i32, Committed>, KafkaError> {
        if partitions.is_empty() {
            return Ok(BTreeMap::new());
        }
        let list = offsets::committed(&self.consumer, &self.list(partitions), ANSWER)?;
        let mut committed = BTreeMap::new();
        for element in list.elements() {
            let found = match element.offset() {
                Offset::Offset(offset) => Committed {
                    offset,
                    progress: Progress::parse(element.metadata()),
                },
                _ => Committed::default(),
            };
            committed.insert(element.partition(), found);
        }
        Ok(committed)
    }

    /// Begins to read where the group has committed.
    pub(super) fn resume(&self, partitions: &[i32]) -> Result<(), KafkaError> {
        if partitions.is_empty() {
            return Ok(());
        }
        self.consumer.resume(&self.list(partitions))
    }

    /// What fences this member: a transaction with it fails once the group has gone on without us. Taken once, right
    /// after the assignment, so that it can never be that of a later assignment.
    pub(super) fn fence(&self) -> Result<ConsumerGroupMetadata, Failure> {
        self.consumer.group_metadata().ok_or(Failure::Rebalanced)
    }

    /// The ends of its partitions.
    pub(super) fn ends(&self, partitions: &[i32]) -> Result<BTreeMap<i32, i64>, KafkaError> {
        let partitions: Vec<(String, i32)> = partitions
            .iter()
            .map(|partition| (self.topic.clone(), *partition))
            .collect();
        let ends = offsets::ends(&self.consumer, &partitions, ANSWER)?;
        Ok(ends
            .into_iter()
            .map(|((_, partition), end)| (partition, end))
            .collect())
    }

    /// The topic's name, with prefix.
    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    fn list(&self, partitions: &[i32]) -> TopicPartitionList {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition(&self.topic, *partition);
        }
        list
    }
}

/// Connections come back by themselves; all else is for another life.
pub(super) fn passing(error: KafkaError) -> Result<(), Failure> {
    match error {
        KafkaError::MessageConsumption(
            RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::Resolve
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::RequestTimedOut,
        ) => Ok(()),
        error => Err(error.into()),
    }
}

/// Counts rebalances: everything after the first assignment ends the life.
#[derive(Default)]
struct Watch {
    rebalances: AtomicU64,
    assigned: Mutex<Option<Vec<i32>>>,
}

impl ClientContext for Watch {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        forward_log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        forward_error(&error, reason);
    }
}

impl ConsumerContext for Watch {
    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        self.rebalances.fetch_add(1, Ordering::AcqRel);
        if let Rebalance::Assign(list) = rebalance {
            // Until the state is restored.
            if let Err(error) = consumer.pause(list) {
                tracing::warn!(%error, "could not pause partitions");
                self.rebalances.fetch_add(1, Ordering::AcqRel);
            }
            let partitions = list
                .elements()
                .iter()
                .map(|element| element.partition())
                .collect();
            *self.assigned.lock().unwrap_or_else(PoisonError::into_inner) = Some(partitions);
        }
    }
}
