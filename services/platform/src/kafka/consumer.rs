//! A consumer of several topics that feeds each partition to a reader of its own.
//!
//! ```text
//! librdkafka ──poll──> one thread ──Chunk──> bounded feed of partition 0 ──> its reader
//!                          ▲      └─Chunk──> bounded feed of partition 1 ──> its reader
//!                          └── commits <── Commits::commit(offset, metadata)
//! ```
//!
//! A reader that falls behind pauses its own partition and no other. Offsets are committed by the thread that serves the
//! group, so that nothing is committed for a partition after it was taken away. One thread, because librdkafka's split
//! queues lose wake-ups with async consumers; commits that are asked for meanwhile go out together.

mod group;
mod partition;
mod watch;

pub use partition::{Chunk, Commits, Committed, Feed, Lost, Partition, Record};

use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::mpsc;

use super::connect::properties;
use crate::config::Kafka;
use crate::lifecycle::{Scope, Shutdown};
use group::Group;
use watch::Watch;

/// What a consumer is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// How Kafka is reached; its properties win over ours.
    pub kafka: Kafka,
    /// The consumer group.
    pub group: String,
    /// Names this member for ever, and no other: after a crash it gets its partitions back at once.
    pub instance: String,
    /// Topics, with prefix.
    pub topics: Vec<String>,
    /// After this time without a sign of life the group goes on without this member.
    pub session_timeout: Duration,
}

/// What happens to the assignment.
#[derive(Debug)]
pub enum Change {
    /// A partition is ours from now on.
    Gained(Partition),
    /// A partition is no longer ours. Its commits fail from now on.
    Lost {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// An assignment is complete; it may be empty.
    Settled,
}

/// Why there is no consumer (any more).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// librdkafka refuses a property.
    #[error("`kafka.properties` is not accepted by librdkafka")]
    Configuration(#[source] KafkaError),
    /// The thread could not be started.
    #[error("could not start the consumer's thread")]
    Thread(#[source] std::io::Error),
    /// The group goes on without us, and did so again soon after we had joined it anew: mostly another process with the
    /// same instance id.
    #[error(
        "the consumer was shut out of its group ({0:?}): does another process use the same data folder?"
    )]
    Fatal(Option<RDKafkaErrorCode>),
}

/// With nothing at hand, how long until a commit that is asked for is seen.
const IDLE: Duration = Duration::from_millis(4);

/// A broker that crashed on a full disk may have forgotten who is who in a group: then its members join anew. Of two
/// processes with one instance id, each shuts out the other, and the one to which it happens twice within this time ends.
const RARELY: Duration = Duration::from_secs(60);

/// Starts the consumer. The thread ends after `scope`'s shutdown, once every [`Partition`] is dropped, so that readers can
/// still commit what they finish.
///
/// # Errors
/// See [`Error`].
pub fn start(scope: &Scope, options: &Options) -> Result<mpsc::UnboundedReceiver<Change>, Error> {
    let mut consumer = connect(options)?;
    let again = options.clone();
    // Unbounded: a few entries a rebalance.
    let (changes, receiver) = mpsc::unbounded_channel();
    let shutdown = scope.shutdown();
    let thread = move || {
        let mut shut_out: Option<Instant> = None;
        loop {
            let group = Group::new(consumer, changes.clone());
            match serve(&group, &shutdown) {
                Err(Error::Fatal(code)) if shut_out.is_none_or(|at| at.elapsed() > RARELY) => {
                    tracing::warn!(?code, "shut out of the group; joining it again");
                    shut_out = Some(Instant::now());
                    group.lose_all();
                }
                end => return end,
            }
            drop(group);
            consumer = connect(&again)?;
        }
    };
    scope
        .spawn_thread(format!("{} consumer", options.group), thread)
        .map_err(Error::Thread)?;
    Ok(receiver)
}

fn connect(options: &Options) -> Result<BaseConsumer<Watch>, Error> {
    let session_timeout = options.session_timeout.as_millis().to_string();
    let heartbeat = (options.session_timeout / 4).as_millis().to_string();
    let config = properties(
        &options.kafka,
        &options.instance,
        &[
            ("group.id", &options.group),
            ("group.instance.id", &options.instance),
            ("session.timeout.ms", &session_timeout),
            ("heartbeat.interval.ms", &heartbeat),
            // Spreads topics of one partition over the members, too.
            ("partition.assignment.strategy", "roundrobin"),
            ("isolation.level", "read_committed"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "earliest"),
            ("enable.partition.eof", "true"),
            ("fetch.queue.backoff.ms", "10"),
            // An end of partition is told after an empty answer, so this bounds how long it stays unknown.
            ("fetch.wait.max.ms", "100"),
            // What a pause throws away is fetched again: no more than a few chunks.
            ("queued.min.messages", "20000"),
            ("queued.max.messages.kbytes", "8192"),
            ("statistics.interval.ms", "200"),
        ],
    );
    let consumer = BaseConsumer::from_config_and_context(&config, Watch::default())
        .map_err(Error::Configuration)?;
    let topics: Vec<&str> = options.topics.iter().map(String::as_str).collect();
    consumer.subscribe(&topics).map_err(Error::Configuration)?;
    Ok(consumer)
}

fn serve(group: &Group, shutdown: &Shutdown) -> Result<(), Error> {
    loop {
        if shutdown.is_requested() {
            group.drain();
            return Ok(());
        }
        group.commit();
        match group.poll(IDLE) {
            Ok(()) => {}
            Err(KafkaError::MessageConsumptionFatal(code)) => return Err(Error::Fatal(Some(code))),
            // Connections come back by themselves; librdkafka has logged it.
            Err(error) => tracing::debug!(%error, "consumer"),
        }
        group.rebalance(shutdown);
        group.look_for_ends();
        group.pass_on();
    }
}
