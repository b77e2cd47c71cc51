//! The pure core of Tributary: what is decided about customers, as functions of what was observed.
//!
//! Nothing here does I/O, reads a clock or an environment, counts a metric or draws a random number: the same set of
//! observations gives the same identities, sessions, profiles and KPIs, in whatever order it arrived.
//!
//! ```text
//! links ──> identity ──┐
//!                      ├──> session (whose was it) ──> profile (a fold of atoms) ──> kpi (sums per mark)
//! events ─> timeline ──┘
//! ```

pub mod buzz;
pub mod email;
pub mod identifier;
pub mod identity;
pub mod ids;
pub mod kpi;
pub mod money;
pub mod order;
pub mod place;
pub mod profile;
pub mod time;
pub mod timeline;
