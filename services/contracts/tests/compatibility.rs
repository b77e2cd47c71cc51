//! A newer version of a schema reads what every older one wrote (backward transitive).

use apache_avro::Schema;
use apache_avro::schema_compatibility::SchemaCompatibility;
use tributary_contracts::registry;

fn parsed(text: &str) -> Schema {
    Schema::parse_str(text).expect("a schema")
}

#[test]
fn every_version_reads_all_that_came_before_it() {
    for newer in registry::all() {
        for older in registry::all()
            .iter()
            .filter(|older| older.name == newer.name && older.version <= newer.version)
        {
            SchemaCompatibility::can_read(&parsed(older.text), &parsed(newer.text)).unwrap_or_else(
                |error| {
                    panic!(
                        "{} v{} cannot read v{}: {error}",
                        newer.name, newer.version, older.version
                    )
                },
            );
        }
    }
}

#[test]
fn a_field_without_default_would_be_noticed() {
    let older = registry::latest("link").text;
    let added = r#"{"name":"added","type":"string","doc":"x"},{"name":"source""#;
    let newer = older
        .replacen(
            r#"{
   "name": "source""#,
            added,
            1,
        )
        .replacen(
            "{\"name\":\"source\"",
            added,
            usize::from(!older.contains("\n   \"name\": \"source\"")),
        );
    assert_ne!(older, newer, "the schema has a field named source");
    assert!(
        SchemaCompatibility::can_read(&parsed(older), &parsed(&newer)).is_err(),
        "a new field without default breaks readers"
    );
}
