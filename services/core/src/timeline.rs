//! What happened on one device, cut into sessions, each with its owner (IDENTITY.md, "Who did it").
//!
//! ```text
//! events of a timeline ──lines──> lines (the timeline's own, or one per stranger) ──sessions──> sessions, owners
//!                                                        │
//!                                                        └──> spans of the timeline's identifier
//! ```
//!
//! Everything here is a function of the events and the graph, computed from scratch, or from a place on where what comes
//! before it makes no difference ([`Cut`]); whoever keeps a timeline compares with what it last said.

mod cut;
mod decide;
mod event;
mod line;

pub use cut::{Cut, cuts};
pub use decide::{Decision, Decisions, Owner, SessionDecision, Span, decide, decide_from};
pub use event::{Activity, Event, EventKey};
pub use line::LineKey;
