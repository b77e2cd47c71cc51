//! The topics of topics.toml on the brokers: created where they are missing, checked where they exist.

use super::connect;
use crate::config::Kafka;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::MetadataTopic;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tributary_contracts::topics::{Cleanup, Topic, all};

/// How long a compacted topic says that a key is gone. A local store that is older than this may have missed it, and is
/// built anew (`state`).
pub const TOMBSTONES_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Why topics cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No broker answers. Trying again may help.
    #[error(
        "kafka at {brokers} does not answer ({cause}): is it running, and is `kafka.brokers` (KAFKA_BROKERS) right?"
    )]
    Unreachable {
        /// Where it was looked for.
        brokers: String,
        /// librdkafka's reason.
        cause: KafkaError,
    },
    /// A broker refuses to create one.
    #[error(
        "kafka refuses to create topic {topic} ({code:?}): see `kafka.replication_factor`, and the rights of the user in `kafka.properties`"
    )]
    Refused {
        /// The topic.
        topic: String,
        /// Kafka's reason.
        code: RDKafkaErrorCode,
    },
    /// Created, but no broker leads it yet. Trying again may help.
    #[error(
        "topic {topic} is created and has no leader after {timeout:?}: look at the brokers' logs"
    )]
    NotVisible {
        /// The topic.
        topic: String,
        /// How long was waited.
        timeout: Duration,
    },
    /// Records would go to other partitions than those that hold their state.
    #[error(
        "topic {topic} has {found} partitions instead of {wanted}: partition counts are fixed; delete the topic or use another `kafka.topic_prefix`"
    )]
    Partitions {
        /// The topic.
        topic: String,
        /// What it has.
        found: usize,
        /// What topics.toml says.
        wanted: u32,
    },
}

impl Error {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::Unreachable { .. } | Error::NotVisible { .. } => true,
            Error::Refused { code, .. } => matches!(
                code,
                RDKafkaErrorCode::RequestTimedOut
                    | RDKafkaErrorCode::OperationTimedOut
                    | RDKafkaErrorCode::NotController
                    | RDKafkaErrorCode::InvalidReplicationFactor
            ),
            Error::Partitions { .. } => false,
        }
    }
}

/// Creates the topics that are missing and checks the partitions of those that exist.
pub async fn ensure(kafka: &Kafka, timeout: Duration) -> Result<(), Error> {
    let unreachable = |cause| Error::Unreachable {
        brokers: kafka.brokers.clone(),
        cause,
    };
    let admin: AdminClient<DefaultClientContext> = client(kafka).create().map_err(unreachable)?;
    let admin = Arc::new(admin);
    let names: Vec<(String, &Topic)> = all()
        .iter()
        .map(|(topic, spec)| (connect::topic(kafka, topic), spec))
        .collect();
    let existing = existing(&admin, timeout).await.map_err(unreachable)?;
    check(&names, &existing)?;
    let missing: Vec<(&str, &Topic, Settings)> = names
        .iter()
        .filter(|(name, _)| !existing.contains_key(name))
        .map(|(name, spec)| (name.as_str(), *spec, Settings::of(spec)))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let options = AdminOptions::new()
        .request_timeout(Some(timeout))
        .operation_timeout(Some(timeout));
    let topics = missing
        .iter()
        .map(|(name, spec, settings)| settings.topic(name, spec, kafka.replication_factor));
    let topics: Vec<NewTopic<'_>> = topics.collect();
    let results = admin
        .create_topics(&topics, &options)
        .await
        .map_err(unreachable)?;
    for result in results {
        match result {
            Ok(topic) => tracing::info!(topic, "topic created"),
            // Another process was quicker: its counts are checked like those of any that exists.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(Error::Refused { topic, code }),
        }
    }
    visible(&admin, &names, timeout).await
}

/// Waits until what was created is on the brokers: a client that comes earlier is told that there is no such topic.
async fn visible(
    admin: &Arc<AdminClient<DefaultClientContext>>,
    names: &[(String, &Topic)],
    timeout: Duration,
) -> Result<(), Error> {
    let begin = Instant::now();
    loop {
        let led = metadata(admin, timeout, |topic| {
            topic
                .partitions()
                .iter()
                .filter(|partition| partition.leader() >= 0)
                .count()
        });
        // Metadata right after a creation may fail for a moment.
        let led = led.await.unwrap_or_default();
        let missing = names
            .iter()
            .find(|(name, spec)| led.get(name).copied().unwrap_or(0) < spec.partitions as usize);
        match missing {
            None => return Ok(()),
            Some((topic, _)) if begin.elapsed() > timeout => {
                return Err(Error::NotVisible {
                    topic: topic.clone(),
                    timeout,
                });
            }
            // Nothing tells when the brokers have heard of it; it is a matter of milliseconds.
            Some(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn existing(
    admin: &Arc<AdminClient<DefaultClientContext>>,
    timeout: Duration,
) -> Result<BTreeMap<String, usize>, KafkaError> {
    metadata(admin, timeout, |topic| topic.partitions().len()).await
}

/// A number of each topic that the brokers have.
async fn metadata(
    admin: &Arc<AdminClient<DefaultClientContext>>,
    timeout: Duration,
    count: impl Fn(&MetadataTopic) -> usize,
) -> Result<BTreeMap<String, usize>, KafkaError> {
    let admin = Arc::clone(admin);
    // librdkafka blocks the thread for as long as no broker answers.
    let metadata = tokio::task::spawn_blocking(move || admin.inner().fetch_metadata(None, timeout))
        .await
        .map_err(|_| KafkaError::Canceled)??;
    let topics = metadata.topics().iter();
    Ok(topics
        .map(|topic| (topic.name().to_owned(), count(topic)))
        .collect())
}

fn check(names: &[(String, &Topic)], existing: &BTreeMap<String, usize>) -> Result<(), Error> {
    for (name, spec) in names {
        let wanted = usize::try_from(spec.partitions).unwrap_or(usize::MAX);
        match existing.get(name) {
            Some(found) if *found != wanted => {
                return Err(Error::Partitions {
                    topic: name.clone(),
                    found: *found,
                    wanted: spec.partitions,
                });
            }
            _ => {}
        }
    }
    Ok(())
}

/// A topic's settings, as text that [`NewTopic`] borrows.
struct Settings {
    retention: String,
    compaction_lag: String,
    tombstones: String,
}

impl Settings {
    fn of(spec: &Topic) -> Self {
        Settings {
            retention: spec.retention_ms().to_string(),
            compaction_lag: spec.compaction_lag_ms().to_string(),
            tombstones: TOMBSTONES_KEPT.as_millis().to_string(),
        }
    }

    fn topic<'a>(&'a self, name: &'a str, spec: &Topic, replication: i32) -> NewTopic<'a> {
        let partitions = i32::try_from(spec.partitions).unwrap_or(i32::MAX);
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replication));
        let topic = match spec.cleanup {
            Cleanup::Delete => topic
                .set("cleanup.policy", "delete")
                .set("retention.ms", &self.retention),
            Cleanup::Compact => topic
                .set("cleanup.policy", "compact")
                .set("min.compaction.lag.ms", &self.compaction_lag)
                .set("delete.retention.ms", &self.tombstones)
                // Only closed segments are compacted: small ones keep changelogs, and so restores, short.
                .set("segment.bytes", "104857600"),
        };
        // With three copies, two have an event when it is acknowledged; with fewer there is nothing to demand.
        match replication {
            3.. => topic.set("min.insync.replicas", "2"),
            _ => topic,
        }
    }
}

fn client(kafka: &Kafka) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &kafka.brokers)
        .set("client.id", "tributary-admin")
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "500");
    for (key, value) in kafka.properties.iter() {
        config.set(key, value);
    }
    config
}
