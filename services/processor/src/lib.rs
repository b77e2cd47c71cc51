//! The processor: observe, once, profile, kpi
