//! What every service stands on: configuration, telemetry, lifecycle, Kafka and ClickHouse adapters, state store.
//!
//! ```text
//! config ──> telemetry ──> metrics ──> lifecycle ──> admin_http
//!                              \
//!                               kafka, clickhouse, state: the adapters that services are written against
//! ```

pub mod admin_http;
pub mod clickhouse;
pub mod config;
pub mod endpoints;
pub mod kafka;
pub mod lifecycle;
pub mod listen;
pub mod memory;
pub mod metrics;
pub mod migrate;
pub mod settled;
pub mod state;
pub mod telemetry;
