//! Adapters for Kafka: each a small, blocking or polled port over librdkafka, with the settings that its guarantee
//! needs written beside it.

pub mod connect;
pub mod consumer;
pub mod offsets;
pub mod producer;
pub mod single;
pub mod topics;
pub mod transaction;
