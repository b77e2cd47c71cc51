//! The read-only part of the schema-registry API, from the schemas that are compiled in: so ClickHouse, kcat, ksqlDB
//! and Kafka Connect decode our topics with nothing else running.

use serde_json::{Value, json};
use tributary_contracts::registry::{self, Schema};
use tributary_contracts::topics;
use tributary_platform::admin_http::Document;

/// The document of a path, or nothing where the path is not the registry's.
pub(crate) fn find(prefix: &str, path: &str) -> Option<Document> {
    let mut steps = path.split('/').skip(1);
    let first = steps.next()?;
    let rest: Vec<&str> = steps.collect();
    match (first, rest.as_slice()) {
        ("schemas", ["ids", id]) => Some(by_id(id, |schema| json!({ "schema": schema.text }))),
        ("schemas", ["ids", id, "schema"]) => Some(by_id(id, |schema| parsed(schema.text))),
        ("schemas", ["types"]) => Some(ok(&json!(["AVRO"]))),
        ("subjects", []) => Some(ok(&json!(
            subjects(prefix)
                .map(|(subject, _)| subject)
                .collect::<Vec<_>>()
        ))),
        ("subjects", [subject, "versions"]) => Some(versions(prefix, subject)),
        ("subjects", [subject, "versions", version]) => Some(version_of(
            prefix,
            subject,
            version,
            |subject, schema| json!({ "subject": subject, "id": schema.id, "version": schema.version, "schema": schema.text }),
        )),
        ("subjects", [subject, "versions", version, "schema"]) => {
            Some(version_of(prefix, subject, version, |_, schema| {
                parsed(schema.text)
            }))
        }
        _ => None,
    }
}

/// A topic's values: subjects are named as Confluent's serialisers name them, by the topic (`TopicNameStrategy`), and
/// further kinds of records by topic and record (`TopicRecordNameStrategy`).
fn subjects(prefix: &str) -> impl Iterator<Item = (String, &'static str)> {
    topics::all().iter().flat_map(move |(topic, spec)| {
        let more = spec.more_schemas.iter().map(move |schema| {
            let record = full_name(registry::latest(schema).text);
            (format!("{prefix}.{topic}-{record}"), schema.as_str())
        });
        let first = (format!("{prefix}.{topic}-value"), spec.schema.as_str());
        std::iter::once(first).chain(more)
    })
}

/// Namespace and name of the record that a schema is of.
fn full_name(schema: &str) -> String {
    let schema: Value = serde_json::from_str(schema).unwrap_or_default();
    let part = |name: &str| schema[name].as_str().unwrap_or_default().to_owned();
    format!("{}.{}", part("namespace"), part("name"))
}

fn by_id(id: &str, show: impl FnOnce(&Schema) -> Value) -> Document {
    match id.parse().ok().and_then(registry::by_id) {
        Some(schema) => ok(&show(schema)),
        None => error(404, 40403, "Schema not found"),
    }
}

fn schemas_of(prefix: &str, subject: &str) -> Vec<&'static Schema> {
    let name = subjects(prefix)
        .find(|(known, _)| known == subject)
        .map(|(_, schema)| schema);
    registry::all()
        .iter()
        .filter(|schema| Some(schema.name) == name)
        .collect()
}

fn versions(prefix: &str, subject: &str) -> Document {
    let schemas = schemas_of(prefix, subject);
    match schemas.is_empty() {
        true => error(404, 40401, "Subject not found"),
        false => ok(&json!(
            schemas
                .iter()
                .map(|schema| schema.version)
                .collect::<Vec<_>>()
        )),
    }
}

fn version_of(
    prefix: &str,
    subject: &str,
    version: &str,
    show: impl FnOnce(&str, &Schema) -> Value,
) -> Document {
    let schemas = schemas_of(prefix, subject);
    if schemas.is_empty() {
        return error(404, 40401, "Subject not found");
    }
    let found = match version {
        "latest" | "-1" => schemas.iter().max_by_key(|schema| schema.version),
        number => schemas
            .iter()
            .find(|schema| number.parse() == Ok(schema.version)),
    };
    match found {
        Some(schema) => ok(&show(subject, schema)),
        None => error(404, 40402, "Version not found"),
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("compiled schemas are JSON, as tested")
}

fn ok(body: &Value) -> Document {
    document(200, body)
}

fn error(status: u16, code: u32, message: &str) -> Document {
    document(status, &json!({ "error_code": code, "message": message }))
}

fn document(status: u16, body: &Value) -> Document {
    Document {
        status,
        content_type: "application/vnd.schemaregistry.v1+json",
        body: body.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str) -> (u16, Value) {
        let document = find("tributary", path).expect("the path is the registry's");
        (
            document.status,
            serde_json::from_str(&document.body).expect("JSON"),
        )
    }

    #[test]
    fn a_schema_is_found_by_its_id_as_clickhouse_asks() {
        let schema = registry::latest("touchpoint");
        let (status, body) = get(&format!("/schemas/ids/{}", schema.id));
        assert_eq!((status, body["schema"].as_str()), (200, Some(schema.text)));
        let (status, body) = get("/schemas/ids/999999");
        assert_eq!((status, &body["error_code"]), (404, &json!(40403)));
    }

    #[test]
    fn a_topic_is_a_subject_with_versions() {
        let (_, subjects) = get("/subjects");
        assert!(
            subjects
                .as_array()
                .expect("a list")
                .contains(&json!("tributary.touchpoints-value"))
        );
        assert_eq!(
            get("/subjects/tributary.touchpoints-value/versions"),
            (200, json!([1, 2]))
        );
        let (status, latest) = get("/subjects/tributary.touchpoints-value/versions/latest");
        assert_eq!((status, &latest["version"]), (200, &json!(2)));
        let operations = "/subjects/tributary.links-tributary.v1.Operation/versions";
        assert_eq!(get(operations), (200, json!([1])));
        assert_eq!(get("/subjects/other/versions").0, 404);
        assert_eq!(
            get("/subjects/tributary.touchpoints-value/versions/9").0,
            404
        );
    }

    #[test]
    fn other_paths_are_not_the_registry_s() {
        for path in ["/", "/favicon.ico", "/schemas", "/subjects/a/b/c/d"] {
            assert_eq!(find("tributary", path), None, "{path}");
        }
    }
}
