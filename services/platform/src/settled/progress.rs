//! What a stage commits beside its offsets.

use serde::{Deserialize, Serialize};

/// The metadata of a committed offset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Offset in the links log below which all links are taken into account; none where the stage reads no links.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<i64>,
    /// Whether something that was read is still to be published.
    #[serde(default)]
    pub held: bool,
}

impl Progress {
    /// Reads metadata; none where it is empty or someone else's.
    #[must_use]
    pub fn parse(metadata: &str) -> Option<Self> {
        serde_json::from_str(metadata).ok()
    }

    /// As metadata.
    #[must_use]
    pub fn to_metadata(&self) -> String {
        serde_json::to_string(self).expect("a number and a flag")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_comes_back_as_it_was_and_that_of_others_is_none() {
        for progress in [
            Progress {
                links: Some(7),
                held: true,
            },
            Progress {
                links: None,
                held: false,
            },
        ] {
            assert_eq!(Progress::parse(&progress.to_metadata()), Some(progress));
        }
        assert_eq!(
            Progress {
                links: Some(7),
                held: false
            }
            .to_metadata(),
            r#"{"links":7,"held":false}"#
        );
        assert_eq!(Progress::parse(""), None);
        assert_eq!(Progress::parse("[1, 2]"), None);
    }
}
