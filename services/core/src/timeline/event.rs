use std::sync::Arc;

use crate::identity::NodeId;
use crate::time::Timestamp;

/// What an event is to sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// The customer did it: it is in a session.
    Active,
    /// The brand or a machine did it: it has an owner, and is in no session.
    Passive,
    /// A bot did it, or it speaks of its source: it has neither.
    Nobody,
}

/// The place of an event in its timeline.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey {
    /// Event time.
    pub time: Timestamp,
    /// Message id, which decides between equal times.
    pub message: Arc<str>,
}

/// What sessions need to know of an event.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// Event time.
    pub time: Timestamp,
    /// Message id.
    pub message: &'a str,
    /// What it is to sessions.
    pub activity: Activity,
    /// Its identifiers, highest first; the timeline's is among them.
    pub identifiers: &'a [NodeId],
}
