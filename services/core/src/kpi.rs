//! KPIs as integer sums over marks (KPIS.md, "Windows").
//!
//! ```text
//! fact at a time ──window──> first mark and the mark after the last ──> differences (+v, -v)
//! facts of one profile ──occurrences──> differences of a distinct count          │
//!                                                                                └──block──> values at marks
//! ```
//!
//! A value at a mark is the sum of all differences up to it, so contributions commute and can be taken back.

mod block;
mod key;
mod occurrences;
mod window;

pub use block::{Block, Sum, Value};
pub use key::{Dimension, Key, Kpi};
pub use occurrences::{AtLeast, Occurrences};
pub use window::{Window, minute_of};
