//! The contracts between Tributary's services: what stands on each topic, byte for byte.
//!
//! ```text
//! schemas/avro/NAME/vN.avsc ──> registry (fixed ids) ──> framing (0, id, datum) <──> the structs of `wire`
//! schemas/topics.toml ────────> topics (partitions, retention)      keys ──> partition
//! ```
//!
//! Messages are encoded and decoded by `serde_avro_fast`, borrowed from the message; the touchpoint, which is every event,
//! by `datum`, in the order of its fields. `apache-avro` judges compatibility of versions and reads the golden records in
//! the tests, as an independent implementation.

mod datum;
pub mod framing;
pub mod keys;
pub mod registry;
pub mod topics;
pub mod wire;
