//! Changelogs.

use serde::{Deserialize, Serialize};

super::message!(State = "state");

/// A record of a stage's local store, as its changelog keeps it; a null value in Kafka deletes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State<'a> {
    /// Grows with each change of this record.
    pub revision: i64,
    /// Version of the rules it was decided by.
    pub rules_version: i64,
    /// Offset in the links log up to which links were known; -1 in stages that read none.
    pub links_offset: i64,
    /// The record, as the stage's store lays it out.
    #[serde(with = "serde_bytes", borrow)]
    pub body: &'a [u8],
}
