//! The versions of the rules.

use crate::clickhouse::ClickHouse;
use crate::exit::Failure;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tributary_core::identifier::{BUILT_IN, Identifier, IdentifierType};
use tributary_core::identity::Rules;

/// A row of `identity_rules`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) version: i64,
    pub(crate) in_force: bool,
    pub(crate) published_at: String,
    pub(crate) device_bridges: bool,
    pub(crate) shared_devices: String,
    pub(crate) consent_required: bool,
    pub(crate) hub: i32,
    pub(crate) limits: BTreeMap<String, i32>,
    pub(crate) blocked_values: Vec<String>,
    pub(crate) blocked_patterns: Vec<String>,
    pub(crate) sources_without_links: Vec<String>,
}

const VERSIONS: &str = "SELECT version, in_force, toString(r.published_at) AS published_at, device_bridges, shared_devices, \
    consent_required, hub, limits, blocked_values, blocked_patterns, sources_without_links FROM identity_rules AS r \
    WHERE workspace = {workspace:String} AND (in_force OR NOT {newest:Bool}) ORDER BY version";

/// Prints all versions of the workspace's rules, the oldest first.
pub(super) fn print(clickhouse: &ClickHouse, workspace: &str, json: bool) -> Result<(), Failure> {
    let versions = versions(clickhouse, workspace, "false").map_err(Failure::failed)?;
    if json {
        let text = serde_json::to_string_pretty(&versions).map_err(Failure::failed)?;
        println!("{text}");
    } else if versions.is_empty() {
        println!(
            "workspace {workspace} has no rules yet: a processor publishes them when it starts (what was published a moment ago takes a second)"
        );
    } else {
        for version in &versions {
            print!("{}", version.text());
        }
    }
    Ok(())
}

/// The rules that every processor obeys; none before the first are published.
pub(crate) fn in_force(
    clickhouse: &ClickHouse,
    workspace: &str,
) -> Result<Option<Version>, String> {
    Ok(versions(clickhouse, workspace, "true")?.pop())
}

fn versions(
    clickhouse: &ClickHouse,
    workspace: &str,
    newest: &str,
) -> Result<Vec<Version>, String> {
    clickhouse.rows(VERSIONS, &[("workspace", workspace), ("newest", newest)])
}

impl Version {
    /// Whether they take the identifier from every event.
    pub(crate) fn blocks(&self, r#type: &str, value: &str) -> bool {
        let rules = Rules {
            blocked_values: self.blocked_values.iter().cloned().collect(),
            blocked_patterns: self
                .blocked_patterns
                .iter()
                .filter_map(|pattern| pattern.parse().ok())
                .collect(),
            ..Rules::default()
        };
        IdentifierType::named(r#type)
            .is_some_and(|known| rules.blocks(&Identifier::new(known, value)))
    }

    fn text(&self) -> String {
        let list = |texts: &[String]| match texts {
            [] => "none".to_owned(),
            texts => texts.join(", "),
        };
        let limits: Vec<String> = BUILT_IN
            .iter()
            .filter_map(|(name, _)| Some(format!("{name} {}", self.limits.get(*name)?)))
            .collect();
        format!(
            "{}  {}{}\n    device_bridges {}, shared_devices {}, consent_required {}, hub {}\n    limits: {}\n    \
             blocked values: {}\n    blocked patterns: {}\n    sources without links: {}\n",
            self.version,
            self.published_at.get(..19).unwrap_or(&self.published_at),
            if self.in_force { "  in force" } else { "" },
            self.device_bridges,
            self.shared_devices,
            self.consent_required,
            self.hub,
            limits.join(", "),
            list(&self.blocked_values),
            list(&self.blocked_patterns),
            list(&self.sources_without_links),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_reads_well_and_knows_what_it_blocks() {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let version = Version {
            version: 2,
            in_force: true,
            published_at: "2026-01-01 10:00:00.000".to_owned(),
            device_bridges: false,
            shared_devices: "last".to_owned(),
            consent_required: false,
            hub: 10,
            limits: BTreeMap::from([("email".to_owned(), 5), ("user_id".to_owned(), 1)]),
            blocked_values: owned(&["guest"]),
            blocked_patterns: owned(&["email:*@test.*"]),
            sources_without_links: Vec::new(),
        };
        assert_eq!(
            version.text(),
            "2  2026-01-01 10:00:00  in force\n    \
             device_bridges false, shared_devices last, consent_required false, hub 10\n    \
             limits: user_id 1, email 5\n    blocked values: guest\n    blocked patterns: email:*@test.*\n    \
             sources without links: none\n"
        );
        for (r#type, value, blocked) in [
            ("user_id", "Guest", true),
            ("email", "a@test.org", true),
            ("user_id", "a@test.org", false),
            ("fax", "guest", false),
        ] {
            assert_eq!(version.blocks(r#type, value), blocked, "{type} {value}");
        }
    }
}
