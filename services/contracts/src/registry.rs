//! The schemas and their ids, fixed in the repository.

use std::sync::OnceLock;

use serde::Deserialize;

/// One version of a schema.
#[derive(Debug)]
pub struct Schema {
    /// The id in Confluent framing.
    pub id: u32,
    /// The schema's name, as in topics.toml.
    pub name: &'static str,
    /// Its version, from 1.
    pub version: u32,
    /// The Avro schema, as JSON text.
    pub text: &'static str,
    /// The same, parsed for the hot path.
    pub parsed: serde_avro_fast::Schema,
}

macro_rules! sources {
    ($($name:literal $version:literal),* $(,)?) => {
        &[$(($name, $version, include_str!(concat!("../../../schemas/avro/", $name, "/v", $version, ".avsc")))),*]
    };
}

/// Every version of every schema, with its text.
const SOURCES: &[(&str, u32, &str)] = sources![
    "touchpoint" 1, "resolved_touchpoint" 1, "link" 1, "identity" 1, "refusal" 1, "session" 1, "override" 1, "order" 1,
    "claim" 1, "atom" 1, "contribution" 1, "kpi" 1, "profile" 1, "dead_letter" 1, "state" 1,
    "operation" 1, "stitching_consent" 1, "rules" 1, "rules" 2, "rules" 3, "atom" 2, "profile" 2,
    "email_claim" 1, "atom" 3, "profile" 3, "alert" 1, "claim" 2, "atom" 4, "identity" 2, "atom" 5, "touchpoint" 2,
    "resolved_touchpoint" 2, "atom" 6,
];

const IDS: &str = include_str!("../../../schemas/avro/registry.toml");

#[derive(Deserialize)]
struct Ids {
    schema: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    id: u32,
    name: String,
    version: u32,
}

/// All schemas, by id.
///
/// # Panics
/// If a file of schemas/ is malformed, which the tests of this crate exclude.
pub fn all() -> &'static [Schema] {
    static ALL: OnceLock<Vec<Schema>> = OnceLock::new();
    ALL.get_or_init(|| {
        let ids: Ids =
            toml::from_str(IDS).expect("schemas/avro/registry.toml is compiled in and tested");
        let mut schemas: Vec<Schema> = SOURCES
            .iter()
            .map(|(name, version, text)| Schema {
                id: ids
                    .schema
                    .iter()
                    .find(|entry| entry.name == *name && entry.version == *version)
                    .expect("every compiled schema has an id, as tested")
                    .id,
                name,
                version: *version,
                text,
                parsed: text
                    .parse()
                    .expect("every compiled schema parses, as tested"),
            })
            .collect();
        schemas.sort_by_key(|schema| schema.id);
        schemas
    })
}

/// The schema of an id.
#[must_use]
pub fn by_id(id: u32) -> Option<&'static Schema> {
    all()
        .binary_search_by_key(&id, |schema| schema.id)
        .ok()
        .map(|index| &all()[index])
}

/// The newest version of a schema.
///
/// # Panics
/// If there is no schema of that name: names are literals in this workspace.
#[must_use]
pub fn latest(name: &str) -> &'static Schema {
    all()
        .iter()
        .filter(|schema| schema.name == name)
        .max_by_key(|schema| schema.version)
        .expect("names are literals")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_has_one_schema_and_every_schema_one_id() {
        let ids: Ids = toml::from_str(IDS).expect("registry.toml");
        assert_eq!(ids.schema.len(), SOURCES.len());
        let mut seen: Vec<u32> = all().iter().map(|schema| schema.id).collect();
        seen.dedup();
        assert_eq!(seen.len(), SOURCES.len());
    }

    #[test]
    fn every_schema_is_valid_for_apache_avro_and_documented() {
        for schema in all() {
            apache_avro::Schema::parse_str(schema.text)
                .unwrap_or_else(|error| panic!("{}: {error}", schema.name));
            let json: serde_json::Value =
                serde_json::from_str(schema.text).expect("a schema is JSON");
            for field in json["fields"].as_array().expect("fields") {
                assert!(
                    field["doc"].is_string(),
                    "{}.{} has no doc",
                    schema.name,
                    field["name"]
                );
            }
        }
    }
}
