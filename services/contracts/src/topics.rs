//! The topics, as schemas/topics.toml states them.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

/// One topic.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// What stands on it.
    pub doc: String,
    /// Name of the schema of its values.
    pub schema: String,
    /// Names of the schemas of further kinds of records; the id in the framing tells them apart.
    #[serde(default)]
    pub more_schemas: Vec<String>,
    /// What its keys are made of.
    pub key: String,
    /// What chooses the partition.
    pub partitioned_by: String,
    /// Number of partitions, fixed at creation.
    pub partitions: u32,
    /// `delete` or `compact`.
    pub cleanup: Cleanup,
    /// Least age of a record that compaction may remove.
    #[serde(default)]
    pub compaction_lag: Option<String>,
    /// How long records are kept: `forever` or a duration in days.
    pub retention: String,
    /// Who writes it.
    pub producers: Vec<String>,
    /// Who reads it.
    pub consumers: Vec<String>,
    /// Where records go that cannot be used; empty where there is nowhere further.
    pub dead_letters: String,
}

/// How a topic forgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cleanup {
    /// By age.
    Delete,
    /// Keeps the last record of each key.
    Compact,
}

/// All topics by name, without prefix.
///
/// # Panics
/// If schemas/topics.toml is malformed, which the tests of this crate exclude.
pub fn all() -> &'static BTreeMap<String, Topic> {
    static ALL: OnceLock<BTreeMap<String, Topic>> = OnceLock::new();
    ALL.get_or_init(|| {
        toml::from_str(include_str!("../../../schemas/topics.toml"))
            .expect("schemas/topics.toml is compiled in and tested")
    })
}

impl Topic {
    /// `retention.ms`: -1 for ever.
    #[must_use]
    pub fn retention_ms(&self) -> i64 {
        days(&self.retention).map_or(-1, |days| days * tributary_core::time::DAY)
    }

    /// `min.compaction.lag.ms`.
    #[must_use]
    pub fn compaction_lag_ms(&self) -> i64 {
        self.compaction_lag
            .as_deref()
            .and_then(days)
            .map_or(0, |days| days * tributary_core::time::DAY)
    }
}

fn days(text: &str) -> Option<i64> {
    text.strip_suffix('d')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_names_a_schema_and_a_retention_that_exist() {
        for (name, topic) in all() {
            for stated in std::iter::once(&topic.schema).chain(&topic.more_schemas) {
                assert!(
                    crate::registry::all()
                        .iter()
                        .any(|schema| schema.name == *stated),
                    "{name}: schema {stated}"
                );
            }
            assert!(
                topic.retention == "forever" || days(&topic.retention).is_some(),
                "{name}: retention {}",
                topic.retention
            );
            assert!(
                topic
                    .compaction_lag
                    .as_deref()
                    .is_none_or(|lag| days(lag).is_some()),
                "{name}: compaction_lag"
            );
            assert!(topic.partitions > 0, "{name}: partitions");
            assert!(
                topic.dead_letters.is_empty() || all().contains_key(&topic.dead_letters),
                "{name}: dead_letters"
            );
        }
    }

    #[test]
    fn what_the_sink_reads_and_compacts_outlasts_the_longest_outage() {
        for (name, topic) in all() {
            if topic.consumers.iter().any(|consumer| consumer == "sink")
                && topic.cleanup == Cleanup::Compact
                && name != "links"
            {
                assert!(
                    topic.compaction_lag_ms() >= 7 * tributary_core::time::DAY,
                    "{name}"
                );
            }
        }
    }
}
