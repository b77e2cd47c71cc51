//! Where an event stands among others.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// By event time, then message id, then type and value of the timeline: the order in which events count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Event time.
    pub occurred_at: Timestamp,
    /// Message id.
    pub message_id: Box<str>,
    /// Type and value of the identifier that the event is filed under.
    pub timeline: (Box<str>, Box<str>),
}
