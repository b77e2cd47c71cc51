//! A local Kafka broker and the ClickHouse engine behind its HTTP interface

pub mod child;
pub mod clickhouse;
pub mod kafka;
