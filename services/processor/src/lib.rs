//! The processor: four stages that turn touchpoints into customers, each keyed so that its state is local, joined by
//! topics so that each scales by partitions.
//!
//! ```text
//! touchpoints ──> observe ──> claims ──> once ──┐
//!                  │  ▲  └──> atoms ────────────┴──> profile ──> contributions ──> kpi ──> kpis
//!                  ▼  │                               │
//!                 links (one ordered log)             └──> profiles
//! ```
//!
//! A stage is a pure state machine ([`runtime::stage`]); the runtime gives it Kafka, a store and a clock, and commits
//! what it decides together with the offsets of what it read.

pub mod kpi;
pub mod observe;
pub mod once;
pub mod profile;
mod recent;
pub mod rules;
pub mod runtime;
mod service;
mod state_record;
mod values;

pub use service::start;
pub use values::Limits;
