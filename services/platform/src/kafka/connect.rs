//! The part of every client's properties that says how Kafka is reached.

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

/// A client's log line, as ours. librdkafka's errors are those of one connection and are tried again, so none of them
/// asks for action by itself.
pub fn forward_log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error => {
            tracing::warn!(target: "librdkafka", facility, message);
        }
        RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::info!(target: "librdkafka", facility, message);
        }
        RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, message),
    }
}

/// A client's global error, as a log line.
pub fn forward_error(error: &KafkaError, reason: &str) {
    // The end of a partition comes to the reader as an event of its own, and is no error.
    if matches!(error, KafkaError::PartitionEOF(_))
        || matches!(error, KafkaError::Global(code) if *code == rdkafka::types::RDKafkaErrorCode::PartitionEOF)
    {
        return;
    }
    tracing::warn!(target: "librdkafka", %error, reason);
}
