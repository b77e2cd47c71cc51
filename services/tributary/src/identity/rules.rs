//! The versions of the rules.

use crate::clickhouse::ClickHouse;
use crate::exit::Failure;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tributary_contracts::wire;
use tributary_core::identifier::Kind;
use tributary_core::identity::{Normalisation, Rules};
use tributary_core::time::Timestamp;
use tributary_processor::rules;

/// A row of `identity_rules`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) version: i64,
    pub(crate) in_force: bool,
    pub(crate) published_at: String,
    pub(crate) device_bridges: bool,
    pub(crate) shared_devices: String,
    pub(crate) strangers: String,
    pub(crate) consent_required: bool,
    pub(crate) hub: i32,
    pub(crate) limits: BTreeMap<String, i32>,
    pub(crate) blocked_values: Vec<String>,
    pub(crate) blocked_patterns: Vec<String>,
    pub(crate) sources_without_links: Vec<String>,
    /// That of the highest priority first; none where a version of Tributary published them that knew the built-in ones
    /// alone.
    pub(crate) types: Vec<Type>,
}

/// What they say of a type of identifiers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Type {
    name: String,
    kind: Kind,
    normalisation: Normalisation,
    limit: i32,
    can_be_hub: bool,
}

const COLUMNS: &str = "version, published_at, device_bridges, shared_devices, strangers, \
    consent_required, hub, limits, blocked_values, blocked_patterns, sources_without_links, types";

/// Prints all versions of the workspace's rules, the oldest first.
pub(super) fn print(clickhouse: &ClickHouse, workspace: &str, json: bool) -> Result<(), Failure> {
    let all = format!(
        "SELECT in_force, {COLUMNS} FROM identity_rules WHERE workspace = {{workspace:String}} ORDER BY version"
    );
    let versions = clickhouse.rows::<Version>(&all, &[("workspace", workspace)]);
    let versions = versions.map_err(Failure::failed)?;
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

/// The rules that every processor obeys, by workspace; none before the first are published.
pub(crate) fn in_force(clickhouse: &ClickHouse) -> Result<BTreeMap<String, Version>, String> {
    #[derive(Deserialize)]
    struct Newest {
        workspace: String,
        #[serde(flatten)]
        version: Version,
    }
    let newest = format!(
        "SELECT workspace, true AS in_force, {COLUMNS} FROM rules_entries ORDER BY version DESC, kafka_offset LIMIT 1 BY workspace"
    );
    let newest: Vec<Newest> = clickhouse.rows(&newest, &[])?;
    let by_workspace = newest
        .into_iter()
        .map(|newest| (newest.workspace, newest.version));
    Ok(by_workspace.collect())
}

impl Version {
    /// Names of the types of persons, where it states types.
    pub(crate) fn person_types(&self) -> Vec<&str> {
        let persons = self.types.iter().filter(|rule| rule.kind == Kind::Person);
        persons.map(|rule| rule.name.as_str()).collect()
    }

    /// As the processor reads them.
    pub(crate) fn rules(&self, workspace: &str) -> Result<Rules, String> {
        rules::read(&wire::Rules {
            workspace,
            version: self.version,
            published_at: Timestamp(0),
            device_bridges: self.device_bridges,
            shared_devices: if self.shared_devices == wire::SharedDevices::Certain.name() {
                wire::SharedDevices::Certain
            } else {
                wire::SharedDevices::Last
            },
            strangers: if self.strangers == wire::Strangers::Session.name() {
                wire::Strangers::Session
            } else {
                wire::Strangers::Device
            },
            consent_required: self.consent_required,
            hub: self.hub,
            limits: self
                .limits
                .iter()
                .map(|(name, limit)| (name.as_str(), *limit))
                .collect(),
            blocked_values: texts(&self.blocked_values),
            blocked_patterns: texts(&self.blocked_patterns),
            sources_without_links: texts(&self.sources_without_links),
            types: self
                .types
                .iter()
                .map(|rule| wire::IdentifierTypeRule {
                    name: &rule.name,
                    kind: rule.kind,
                    normalisation: rule.normalisation,
                    limit: rule.limit,
                    can_be_hub: rule.can_be_hub,
                })
                .collect(),
        })
        .map_err(|error| error.to_string())
    }

    fn text(&self) -> String {
        let list = |texts: &[String]| match texts {
            [] => "none".to_owned(),
            texts => texts.join(", "),
        };
        let types: Vec<String> = self.types.iter().map(Type::text).collect();
        format!(
            "{}  {}{}\n    device_bridges {}, shared_devices {}, strangers {}, consent_required {}, hub {}\n    types, the highest first: {}\n    \
             blocked values: {}\n    blocked patterns: {}\n    sources without links: {}\n",
            self.version,
            self.published_at.get(..19).unwrap_or(&self.published_at),
            if self.in_force { "  in force" } else { "" },
            self.device_bridges,
            self.shared_devices,
            self.strangers,
            self.consent_required,
            self.hub,
            list(&types),
            list(&self.blocked_values),
            list(&self.blocked_patterns),
            list(&self.sources_without_links),
        )
    }
}

fn texts(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

impl Type {
    fn text(&self) -> String {
        let form = match self.normalisation {
            Normalisation::None => "",
            form => &format!(", {}", form.name()),
        };
        let hub = if self.can_be_hub { "" } else { ", never a hub" };
        format!(
            "{} ({}, {} a profile{form}{hub})",
            self.name,
            self.kind.name(),
            self.limit
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tributary_core::identifier::{Identifier, IdentifierType};

    #[test]
    fn a_version_reads_well_and_knows_what_it_blocks() {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let version = Version {
            version: 2,
            in_force: true,
            published_at: "2026-01-01 10:00:00.000".to_owned(),
            device_bridges: false,
            shared_devices: "last".to_owned(),
            strangers: "device".to_owned(),
            consent_required: false,
            hub: 10,
            limits: BTreeMap::from([("email".to_owned(), 5), ("user_id".to_owned(), 1)]),
            blocked_values: owned(&["guest"]),
            blocked_patterns: owned(&["email:*@test.*"]),
            sources_without_links: Vec::new(),
            types: vec![
                Type {
                    name: "user_id".to_owned(),
                    kind: Kind::Person,
                    normalisation: Normalisation::None,
                    limit: 1,
                    can_be_hub: false,
                },
                Type {
                    name: "email".to_owned(),
                    kind: Kind::Person,
                    normalisation: Normalisation::Email,
                    limit: 5,
                    can_be_hub: true,
                },
            ],
        };
        assert_eq!(
            version.text(),
            "2  2026-01-01 10:00:00  in force\n    \
             device_bridges false, shared_devices last, strangers device, consent_required false, hub 10\n    \
             types, the highest first: user_id (person, 1 a profile, never a hub), email (person, 5 a profile, email)\n    blocked values: guest\n    blocked patterns: email:*@test.*\n    \
             sources without links: none\n"
        );
        for (r#type, value, blocked) in [
            ("user_id", "Guest", true),
            ("email", "a@test.org", true),
            ("user_id", "a@test.org", false),
            ("user_id", "ada", false),
            // Of a type that they do not name.
            ("fax", "1", true),
        ] {
            let known = IdentifierType::of(r#type).expect("a type");
            let rules = version.rules("shop").expect("rules");
            let told = rules.blocks(&Identifier::new(known, value));
            assert_eq!(told, blocked, "{type} {value}");
        }
    }
}
