//! Puts the parts together: migrations, the consumer, a writer for each partition.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::task::JoinHandle;
use tributary_platform::admin_http::Readiness;
use tributary_platform::clickhouse::Client;
use tributary_platform::config::{self, Config};
use tributary_platform::kafka::connect;
use tributary_platform::kafka::consumer::{self, Change, Partition};
use tributary_platform::kafka::producer;
use tributary_platform::lifecycle::Scope;
use tributary_platform::metrics::Metrics as Registry;
use tributary_platform::migrate;

use crate::batch::Limits;
use crate::encode::{TOPICS, Topic};
use crate::letters::KafkaLetters;
use crate::metrics::Metrics;
use crate::warehouse::ClickHouse;
use crate::writer::{Pace, Shared, Writer};

/// Inserts at a time, of events and of state. With their rests they are one core's worth of work for the engine.
const INSERTS: usize = 2;
/// Bytes that all partitions may hold on their way: four whole inserts.
const MAX_HELD: usize = 256 * 1024 * 1024;
const RETRY: Duration = Duration::from_secs(1);

/// What a sink is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// How Kafka is reached.
    pub kafka: config::Kafka,
    /// How ClickHouse is reached.
    pub clickhouse: config::ClickHouse,
    /// Sizes and times.
    pub sink: config::Sink,
    /// Names this process for ever, and no other, so that after a crash it gets its partitions back at once.
    pub instance: String,
}

impl Options {
    /// From the configuration.
    #[must_use]
    pub fn new(config: &Config, instance: impl Into<String>) -> Self {
        Self {
            kafka: config.kafka.clone(),
            clickhouse: config.clickhouse.clone(),
            sink: config.sink.clone(),
            instance: instance.into(),
        }
    }
}

/// Why the sink ends without being told to. Someone must act.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database is not what this version needs.
    #[error(transparent)]
    Migrations(#[from] migrate::Error),
    /// No consumer, or no longer.
    #[error(transparent)]
    Consumer(#[from] consumer::Error),
    /// No producer for dead letters.
    #[error(transparent)]
    Producer(#[from] producer::Error),
}

/// Runs until `scope` is told to stop, then stores what it holds and returns.
///
/// # Errors
/// See [`Error`]. A ClickHouse or Kafka that is down is none: it is waited for, and `readiness` says so.
pub async fn run(
    options: Options,
    scope: Scope,
    registry: Registry,
    readiness: Readiness,
) -> Result<(), Error> {
    let shutdown = scope.shutdown();
    let (clickhouse, assignment) = (
        readiness.check("sink clickhouse"),
        readiness.check("sink assignment"),
    );
    let client = Client::new(&options.clickhouse);
    while let Err(error) = migrate::run(&client).await {
        if !error.is_retryable() {
            return Err(error.into());
        }
        clickhouse.not_ready(error.to_string());
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            () = shutdown.requested() => return Ok(()),
        }
    }
    clickhouse.ready();

    let instance = format!("{}-sink", options.instance);
    let shared = Arc::new(Shared {
        warehouse: ClickHouse::new(client),
        letters: KafkaLetters::start(&options.kafka, &instance, &scope)?,
        events: Pace::new(INSERTS, options.sink.max_delay),
        state: Pace::new(INSERTS, options.sink.max_state_delay),
        limits: Limits {
            max_rows: options.sink.max_rows,
            max_bytes: options.sink.max_bytes,
            held: Arc::new(AtomicUsize::new(0)),
            max_held: MAX_HELD,
        },
        metrics: Metrics::new(&registry, clickhouse),
        shutdown: shutdown.clone(),
    });
    let consumer = consumer::Options {
        group: format!("{}-sink", options.kafka.topic_prefix),
        instance,
        topics: TOPICS
            .iter()
            .map(|topic| connect::topic(&options.kafka, topic.name))
            .collect(),
        session_timeout: options.sink.session_timeout,
        kafka: options.kafka,
    };
    let mut changes = consumer::start(&scope, &consumer)?;

    let mut writers: HashMap<(String, i32), JoinHandle<()>> = HashMap::new();
    loop {
        let change = tokio::select! {
            change = changes.recv() => change,
            () = shutdown.requested() => break,
        };
        match change {
            Some(Change::Gained(partition)) => {
                let key = (partition.topic.clone(), partition.number);
                let previous = writers.remove(&key);
                writers.insert(
                    key,
                    tokio::spawn(write(Arc::clone(&shared), partition, previous)),
                );
            }
            // Its feed ends and its commits fail, so it ends by itself; whoever gains the partition waits for that.
            Some(Change::Lost { .. }) => assignment.not_ready("partitions are being distributed"),
            Some(Change::Settled) => assignment.ready(),
            // Its thread has failed and says why; that ends the process.
            None => {
                assignment.not_ready("the consumer has ended");
                shutdown.requested().await;
                break;
            }
        }
    }
    // No partition is held by the channel once it is gone, so that the consumer's thread can end with the last writer.
    drop(changes);
    for (_, writer) in writers {
        let _ = writer.await;
    }
    Ok(())
}

async fn write(
    shared: Arc<Shared<ClickHouse, KafkaLetters>>,
    partition: Partition,
    previous: Option<JoinHandle<()>>,
) {
    if let Some(previous) = previous {
        let _ = previous.await;
    }
    let Partition {
        topic: name,
        number,
        committed,
        feed,
        commits,
        end,
    } = partition;
    let Some(topic) = name.rsplit('.').next().and_then(Topic::named) else {
        tracing::error!(topic = name, "a topic that the sink does not read");
        return;
    };
    let metrics = shared.metrics.partition(topic.name, number, end);
    let writer = Writer::new(&*shared, commits, topic, &name, number, committed, metrics);
    if let Err(ended) = writer.run(feed).await {
        tracing::debug!(
            topic = topic.name,
            partition = number,
            ?ended,
            "writer ended"
        );
    }
}
