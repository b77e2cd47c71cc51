//! The sink: Kafka into ClickHouse, once
