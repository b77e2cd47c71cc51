//! A local Kafka broker and the ClickHouse engine behind its HTTP interface
