//! The contracts between Tributary's services: what stands on each topic, byte for byte.
//!
//! ```text
//! schemas/avro/NAME/vN.avsc ──> registry (fixed ids) ──> framing (0, id, datum) <──> the structs of `wire`
//! schemas/topics.toml ────────> topics (partitions, retention)      keys ──> partition
//! ```
//!
//! The hot path is encoded and decoded by `serde_avro_fast`, borrowed from the message; `apache-avro` judges
//! compatibility of versions and reads the golden records in the tests, as a second, independent implementation.

pub mod framing;
pub mod keys;
pub mod registry;
pub mod topics;
pub mod wire;
