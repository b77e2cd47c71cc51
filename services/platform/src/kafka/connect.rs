//! The part of every client's properties that says how Kafka is reached.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;

use crate::config::Kafka;

/// Properties of a client: ours, then those of the configuration, which win.
#[must_use]
pub fn properties(kafka: &Kafka, client_id: &str, ours: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &kafka.brokers)
        .set("client.id", client_id)
        .set("allow.auto.create.topics", "false")
        // Requests are small and someone waits for the answer of each.
        .set("socket.nagle.disable", "true")
        .set("reconnect.backoff.max.ms", "1000");
    for (key, value) in ours {
        config.set(*key, *value);
    }
    for (key, value) in kafka.properties.iter() {
        config.set(key, value);
    }
    config
}

/// The name of a topic with the configured prefix.
#[must_use]
pub fn topic(kafka: &Kafka, name: &str) -> String {
    format!("{}.{name}", kafka.topic_prefix)
}

/// Forwards what a client logs to our own logs, and does nothing else.
#[derive(Clone, Copy, Debug, Default)]
pub struct Logged;

impl ClientContext for Logged {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        forward_log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        forward_error(&error, reason);
    }
}

impl ConsumerContext for Logged {}

/// A process has a dozen clients, and each tells each failed try: of one kind of trouble one line in this time is enough.
const SILENCE: Duration = Duration::from_secs(30);

static TROUBLES: Troubles = Troubles(Mutex::new(BTreeMap::new()));

/// By its kind, when a trouble was last logged, and how often it came since.
struct Troubles(Mutex<BTreeMap<String, (Instant, u64)>>);

impl Troubles {
    /// Whether to log it now; and then how often it came unlogged before.
    fn come(&self, kind: &str, now: Instant) -> Option<u64> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get_mut(kind) {
            Some((last, unlogged)) if now.saturating_duration_since(*last) < SILENCE => {
                *unlogged += 1;
                None
            }
            Some((last, unlogged)) => {
                *last = now;
                Some(std::mem::take(unlogged))
            }
            None => {
                known.insert(kind.to_owned(), (now, 0));
                Some(0)
            }
        }
    }
}

/// A client's log line, as ours. librdkafka's errors are those of one connection and are tried again, so none of them
/// asks for action by itself, and those of one facility are told once in `SILENCE`.
pub fn forward_log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error => {
            if let Some(unlogged) = TROUBLES.come(facility, Instant::now()) {
                tracing::warn!(target: "librdkafka", facility, unlogged, message);
            }
        }
        RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::info!(target: "librdkafka", facility, message);
        }
        RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, message),
    }
}

/// A client's global error, as a log line; those of one code once in `SILENCE`.
pub fn forward_error(error: &KafkaError, reason: &str) {
    // The end of a partition comes to the reader as an event of its own, and is no error.
    if matches!(error, KafkaError::PartitionEOF(_))
        || matches!(error, KafkaError::Global(code) if *code == rdkafka::types::RDKafkaErrorCode::PartitionEOF)
    {
        return;
    }
    if let Some(unlogged) = TROUBLES.come(&error.to_string(), Instant::now()) {
        tracing::warn!(target: "librdkafka", %error, unlogged, reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_kind_of_trouble_is_told_once_in_a_while() {
        let troubles = Troubles(Mutex::new(BTreeMap::new()));
        let begin = Instant::now();
        let come = |kind, after: u64| troubles.come(kind, begin + Duration::from_secs(after));
        assert_eq!(come("AllBrokersDown", 0), Some(0));
        assert_eq!(come("AllBrokersDown", 1), None);
        assert_eq!(come("Resolve", 1), Some(0), "another kind is news");
        assert_eq!(come("AllBrokersDown", 29), None);
        assert_eq!(come("AllBrokersDown", 30), Some(2));
        assert_eq!(come("AllBrokersDown", 31), None);
        assert_eq!(come("AllBrokersDown", 90), Some(1));
    }
}
