//! Ingest: the Segment HTTP API in front of Kafka
