//! The processor: observe, once, profile, kpi

pub mod runtime;
