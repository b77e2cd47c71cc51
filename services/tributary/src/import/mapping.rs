//! The mapping: which column, or which part of a JSON line, is which part of an event.

use super::Error;
use super::dates::Dates;
use super::field::{self, Kind, Place};
use super::node::Node;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// How the lines of the file are cut into values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Values between separators, quoted where they hold one.
    Csv {
        /// A single byte.
        separator: u8,
    },
    /// Values between runs of blanks and tabs.
    Blanks,
    /// A JSON object a line.
    NdJson,
}

/// Where a value stands in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// By its name in the header, or its key in the JSON object.
    Name(String),
    /// By its number, from 1.
    Number(usize),
    /// By a JSON pointer such as `/customer/id`; its unescaped steps.
    Pointer(Vec<String>),
}

/// One value of a row that becomes a part of the event.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// As the mapping calls it.
    pub(super) field: String,
    /// Where it stands in the event.
    pub(super) place: Place,
    /// Where it stands in the row.
    pub(super) column: Column,
    /// How it is read.
    pub(super) kind: Kind,
    /// A row without it is rejected.
    pub(super) required: bool,
}

/// A checked mapping.
#[derive(Debug)]
pub(super) struct Mapping {
    pub(super) shape: Shape,
    pub(super) header: bool,
    pub(super) source: Option<String>,
    pub(super) r#type: String,
    pub(super) decimal: char,
    pub(super) dates: Dates,
    pub(super) rules: Vec<Rule>,
    pub(super) constants: Vec<(Place, Node)>,
    /// The file's text, from which the import's identity is made.
    pub(super) text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: Format,
    separator: Option<String>,
    header: Option<bool>,
    source: Option<String>,
    #[serde(rename = "type", default = "track")]
    r#type: String,
    #[serde(default = "point")]
    decimal: String,
    #[serde(default)]
    dates: Vec<String>,
    time_zone: Option<String>,
    fields: BTreeMap<String, Spec>,
    #[serde(default)]
    constants: BTreeMap<String, toml::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Csv,
    NdJson,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "write a column's name, its number from 1, or { column = ..., as = ..., required = ... }"
)]
enum Spec {
    Short(Reference),
    Long(Long),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Long {
    column: Reference,
    r#as: Option<Kind>,
    required: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Reference {
    Number(i64),
    Name(String),
}

const TYPES: [&str; 6] = ["track", "identify", "page", "screen", "group", "alias"];

fn track() -> String {
    "track".to_owned()
}

fn point() -> String {
    ".".to_owned()
}

impl Mapping {
    /// Reads and checks a mapping; `time_zone` tells that of the mapping's source, for times without one where the
    /// mapping names none.
    pub(super) fn read(
        path: &Path,
        time_zone: impl FnOnce(Option<&str>) -> String,
    ) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::Usage(format!(
                "cannot read the mapping {}: {error}",
                path.display()
            ))
        })?;
        Self::parse(&text, time_zone)
            .map_err(|message| Error::Usage(format!("mapping {}: {message}", path.display())))
    }

    fn parse(text: &str, time_zone: impl FnOnce(Option<&str>) -> String) -> Result<Self, String> {
        let file: File =
            toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        let shape = shape(&file)?;
        if !TYPES.contains(&file.r#type.as_str()) {
            return Err(format!(
                "`type`: `{}` is none of {}",
                file.r#type,
                TYPES.join(", ")
            ));
        }
        let decimal = match file.decimal.as_str() {
            "." => '.',
            "," => ',',
            other => return Err(format!("`decimal`: `{other}` is neither \".\" nor \",\"")),
        };
        let zone = file
            .time_zone
            .clone()
            .unwrap_or_else(|| time_zone(file.source.as_deref()));
        let dates = Dates::new(&file.dates, &zone)?;
        let header = file.header.unwrap_or(shape != Shape::NdJson);
        let mut rules = file
            .fields
            .into_iter()
            .map(|(name, spec)| rule(name, spec, shape, header))
            .collect::<Result<Vec<_>, _>>()?;
        // A whole object first, then the keys that others put into it.
        rules.sort_by_key(|rule| !rule.place.is_whole());
        let constants = file
            .constants
            .into_iter()
            .map(|(name, value)| constant(&name, value, &rules))
            .collect::<Result<Vec<_>, _>>()?;
        let mapping = Mapping {
            shape,
            header,
            source: file.source,
            r#type: file.r#type,
            decimal,
            dates,
            rules,
            constants,
            text: text.to_owned(),
        };
        mapping.complete()?;
        Ok(mapping)
    }

    fn complete(&self) -> Result<(), String> {
        let has = |field: &str| {
            let place = field::named(field).map(|known| known.place);
            self.rules.iter().any(|rule| rule.field == field)
                || self
                    .constants
                    .iter()
                    .any(|(constant, _)| Some(constant) == place.as_ref())
        };
        if !self.rules.iter().any(|rule| rule.place.is_identifier()) {
            return Err(format!(
                "`fields` names no identifier, so no row would have a customer; map at least one of {}",
                field::identifiers().join(", ")
            ));
        }
        if self.r#type == "track" && !has("event") {
            return Err(
                "a track needs an event's name: write [constants] event = \"Order Completed\", or map a column to `event`".to_owned(),
            );
        }
        let product = self
            .rules
            .iter()
            .any(|rule| matches!(rule.place, Place::Product(_)));
        if product && has("products") {
            return Err("`products` is the whole list; it cannot stand beside the fields of a single product".to_owned());
        }
        if !has("timestamp") {
            return Err(
                "no column is mapped to `timestamp`; without it every row would count as of today"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

fn shape(file: &File) -> Result<Shape, String> {
    match (&file.format, file.separator.as_deref()) {
        (Format::NdJson, Some(_)) => {
            Err("`separator` is for csv; an ndjson file has none".to_owned())
        }
        (Format::NdJson, None) if file.header == Some(true) => {
            Err("`header` is for csv; an ndjson file has none".to_owned())
        }
        (Format::NdJson, None) => Ok(Shape::NdJson),
        (Format::Csv, None) => Ok(Shape::Csv { separator: b',' }),
        (Format::Csv, Some("blanks")) => Ok(Shape::Blanks),
        (Format::Csv, Some("tab")) => Ok(Shape::Csv { separator: b'\t' }),
        (Format::Csv, Some(text)) => match text.as_bytes() {
            [separator] if !matches!(separator, b'"' | b'\n' | b'\r') => Ok(Shape::Csv {
                separator: *separator,
            }),
            _ => Err(format!(
                "`separator`: `{}` is neither one ASCII character (such as \",\" or \";\") nor \"tab\" nor \"blanks\" (runs of blanks)",
                text.escape_debug()
            )),
        },
    }
}

fn rule(field: String, spec: Spec, shape: Shape, header: bool) -> Result<Rule, String> {
    let known = known(&field, "fields")?;
    let (reference, kind, required) = match spec {
        Spec::Short(reference) => (reference, None, None),
        Spec::Long(long) => (long.column, long.r#as, long.required),
    };
    let column = column(&field, reference, shape, header)?;
    if let Some(kind) = kind
        && known.kind != Kind::AsIs
        && kind != known.kind
    {
        return Err(format!(
            "`fields.{field}`: is always read as {}",
            known.kind.name()
        ));
    }
    Ok(Rule {
        place: known.place,
        column,
        kind: kind.unwrap_or(known.kind),
        required: required.unwrap_or(known.required),
        field,
    })
}

fn column(field: &str, reference: Reference, shape: Shape, header: bool) -> Result<Column, String> {
    match (reference, shape) {
        (Reference::Number(_), Shape::NdJson) => Err(format!(
            "`fields.{field}`: an ndjson file has no numbered columns; write a key or a JSON pointer such as \"/customer/id\""
        )),
        (Reference::Number(number), _) => match usize::try_from(number) {
            Ok(number @ 1..) => Ok(Column::Number(number)),
            _ => Err(format!(
                "`fields.{field}`: columns are numbered from 1, not {number}"
            )),
        },
        (Reference::Name(name), Shape::NdJson) => Ok(match name.strip_prefix('/') {
            Some(pointer) => Column::Pointer(
                pointer
                    .split('/')
                    .map(|step| step.replace("~1", "/").replace("~0", "~"))
                    .collect(),
            ),
            None => Column::Name(name),
        }),
        (Reference::Name(name), _) if !header => Err(format!(
            "`fields.{field}`: there is no column `{name}` in a file with `header = false`; write its number, from 1"
        )),
        (Reference::Name(name), _) => Ok(Column::Name(name)),
    }
}

fn constant(field: &str, value: toml::Value, rules: &[Rule]) -> Result<(Place, Node), String> {
    let known = known(field, "constants")?;
    if rules.iter().any(|rule| rule.place == known.place) {
        return Err(format!(
            "`{field}` is both a constant and a column; keep one of them"
        ));
    }
    if known.place.is_whole() {
        return Err(format!("`constants.{field}`: write `{field}.<name>`"));
    }
    if known.place == Place::Timestamp {
        return Err(
            "`constants.timestamp`: every row needs a time of its own; map a column".to_owned(),
        );
    }
    if known.place.is_identifier() {
        return Err(format!(
            "`constants.{field}`: an identifier that all rows share would make them one customer; map a column"
        ));
    }
    let node = match value {
        toml::Value::String(text) if known.kind == Kind::Number => {
            Node::number(&text, '.').map_err(|reason| format!("`constants.{field}`: {reason}"))?
        }
        toml::Value::String(text) => Node::Text(text),
        toml::Value::Integer(number) => Node::number(&number.to_string(), '.')
            .map_err(|reason| format!("`constants.{field}`: {reason}"))?,
        toml::Value::Float(number) => Node::number(&number.to_string(), '.')
            .map_err(|reason| format!("`constants.{field}`: {reason}"))?,
        toml::Value::Boolean(flag) => Node::Flag(flag),
        _ => {
            return Err(format!(
                "`constants.{field}`: write a text, a number, true or false"
            ));
        }
    };
    Ok((known.place, node))
}

fn known(field: &str, table: &str) -> Result<field::Known, String> {
    field::named(field).ok_or_else(|| {
        format!(
            "`{table}.{field}`: there is no such field; there are {}",
            field::all().join(", ")
        )
    })
}
