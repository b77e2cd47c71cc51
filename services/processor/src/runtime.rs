//! Runs stages: owns Kafka, the store and the clock, so that a stage only decides.

pub mod memory;
pub mod stage;
