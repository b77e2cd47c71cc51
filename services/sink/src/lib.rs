//! The sink: Kafka into ClickHouse, each record once.
//!
//! ```text
//! consumer ──feed──> writer of partition 0 ──┐   encode: a record becomes rows of its topic's tables
//!    │     ──feed──> writer of partition 1 ──┤   batch:  rows of contiguous offsets become a range
//!    │                                       ├── store:  each table's rows as one block, under the range's token
//!    └── intent and done, in the group's     │   letters: what cannot be stored goes to dead letters, alone
//!        commit metadata  <──────────────────┘
//! ```
//!
//! One insert is one partition, one contiguous range of offsets, one block. The range is noted in the consumer group
//! before it is sent, and after a crash exactly that range is read and sent again under the same deduplication token;
//! `services/adr/0004-sink-intent-ranges.md` says why that is enough. While ClickHouse is down partitions are paused,
//! nothing is dropped, and nothing is committed.

mod batch;
mod encode;
mod json;
mod letters;
mod mark;
mod metrics;
mod ports;
mod row;
mod rows;
mod service;
mod store;
mod table;
mod turns;
mod warehouse;
mod writer;

#[cfg(test)]
mod tests;

pub use service::{Error, Options, run};
