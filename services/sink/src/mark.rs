//! What the sink commits beside an offset, and the deduplication tokens made of it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Offsets from one to another, both included. Not every offset in it is a record: some are markers of transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(i64, i64)", into = "(i64, i64)")]
pub(crate) struct Range {
    pub(crate) first: i64,
    pub(crate) last: i64,
}

impl From<(i64, i64)> for Range {
    fn from((first, last): (i64, i64)) -> Self {
        Self { first, last }
    }
}

impl From<Range> for (i64, i64) {
    fn from(range: Range) -> Self {
        (range.first, range.last)
    }
}

/// The metadata of a partition's committed offset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// Made when nothing was committed yet. Kafka forgets the offsets of a topic that is deleted, so a topic that is made
    /// anew gets another epoch, and its offsets are not taken for those of the old one.
    pub(crate) epoch: String,
    /// The range that may have been stored in part: exactly this one must be stored next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) intent: Option<Range>,
}

impl Mark {
    /// A mark for a partition that none was committed for.
    pub(crate) fn new() -> Self {
        Self {
            epoch: Uuid::new_v4().simple().to_string()[..16].to_owned(),
            intent: None,
        }
    }

    /// Reads metadata; none where it is not ours (an operator has set offsets).
    pub(crate) fn parse(metadata: &str) -> Option<Self> {
        serde_json::from_str(metadata).ok()
    }

    /// As metadata.
    pub(crate) fn to_metadata(&self) -> String {
        serde_json::to_string(self).expect("a text and two numbers")
    }

    /// The same partition, with nothing under way.
    pub(crate) fn done(&self) -> Self {
        Self {
            epoch: self.epoch.clone(),
            intent: None,
        }
    }

    /// The same partition, with this range under way.
    pub(crate) fn intending(&self, range: Range) -> Self {
        Self {
            epoch: self.epoch.clone(),
            intent: Some(range),
        }
    }

    /// The token of the intended range, which every attempt to store it carries.
    pub(crate) fn token(&self, topic: &str, partition: i32, range: Range) -> String {
        format!(
            "{topic}/{partition}/{}-{}/{}",
            range.first, range.last, self.epoch
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_comes_back_as_it_was_committed() {
        let new = Mark::new();
        let intending = new.intending(Range { first: 3, last: 17 });
        assert_eq!(
            intending.to_metadata(),
            format!(r#"{{"epoch":"{}","intent":[3,17]}}"#, new.epoch)
        );
        for mark in [new, intending] {
            assert_eq!(Mark::parse(&mark.to_metadata()), Some(mark));
        }
        for other in ["", "{}", "someone else's", r#"{"links":7,"held":false}"#] {
            assert_eq!(Mark::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_topic_made_anew_gets_other_tokens() {
        let range = Range { first: 0, last: 9 };
        let (old, new) = (Mark::new(), Mark::new());
        assert_eq!(
            old.token("t", 1, range),
            old.done().intending(range).token("t", 1, range)
        );
        assert_ne!(old.token("t", 1, range), new.token("t", 1, range));
    }
}
