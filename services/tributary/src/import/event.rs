//! Makes the event of a row.

use super::Error;
use super::field::{Kind, Place};
use super::mapping::{Column, Mapping, Rule, Shape};
use super::node::Node;
use super::rejects::Reject;
use super::rows::Row;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use tributary_core::identifier::IdentifierType;

/// Makes events by a mapping whose columns were found in the file.
#[derive(Debug)]
pub(super) struct Builder<'a> {
    mapping: &'a Mapping,
    digest: &'a str,
    /// Of each rule its column, from 0; unused for JSON.
    columns: Vec<usize>,
    /// How many values a row must have, exactly or at least.
    width: Width,
}

#[derive(Debug)]
enum Width {
    Exactly(usize),
    AtLeast(usize),
}

enum Cell<'a> {
    Absent,
    Text(Cow<'a, str>),
    Json(&'a RawValue),
}

type Object<'a> = BTreeMap<String, &'a RawValue>;

impl<'a> Builder<'a> {
    /// Finds the mapping's columns: in the header, or else in the first row.
    pub(super) fn new(mapping: &'a Mapping, digest: &'a str, first: &Row) -> Result<Self, Error> {
        let mut builder = Builder {
            mapping,
            digest,
            columns: vec![0; mapping.rules.len()],
            width: Width::AtLeast(0),
        };
        if mapping.shape == Shape::NdJson {
            return Ok(builder);
        }
        let values = first
            .values
            .as_ref()
            .map_err(|reason| Error::Usage(format!("line {}: {reason}", first.line)))?;
        builder.columns = mapping
            .rules
            .iter()
            .map(|rule| find(rule, values, mapping.header))
            .collect::<Result<_, _>>()
            .map_err(|problem| {
                Error::Usage(format!(
                    "line {}: {problem}{}",
                    first.line,
                    hint(mapping.shape, first, values)
                ))
            })?;
        builder.width = match mapping.header {
            true => Width::Exactly(values.len()),
            false => Width::AtLeast(
                builder
                    .columns
                    .iter()
                    .map(|column| column + 1)
                    .max()
                    .unwrap_or(0),
            ),
        };
        Ok(builder)
    }

    /// The event as Segment's API takes it, or why there is none.
    pub(super) fn build(&self, row: &Row) -> Result<Box<RawValue>, Reject> {
        let reject = |field: &str, reason: String| Reject {
            line: row.line,
            field: field.to_owned(),
            reason,
            text: row.text.clone(),
        };
        let values = row
            .values
            .as_ref()
            .map_err(|reason| reject("", reason.clone()))?;
        let object = self
            .check_shape(row, values)
            .map_err(|reason| reject("", reason))?;
        let mut event = self.frame(row);
        let mut identified = false;
        for (rule, column) in self.mapping.rules.iter().zip(&self.columns) {
            let cell = match &object {
                Some(object) => look_up(object, &rule.column),
                None => Cell::of(values.get(*column).map_or("", |value| value.trim())),
            };
            let read = self
                .read(rule, cell)
                .map_err(|reason| reject(&rule.field, reason))?;
            match read {
                Some(node) => {
                    identified |= rule.place.is_identifier();
                    place(&mut event, &self.mapping.r#type, &rule.place, node);
                }
                None if rule.required => return Err(reject(&rule.field, "is missing".to_owned())),
                None => {}
            }
        }
        if !identified {
            let mapped = self
                .mapping
                .rules
                .iter()
                .filter(|rule| rule.place.is_identifier());
            let fields: Vec<&str> = mapped.map(|rule| rule.field.as_str()).collect();
            return Err(reject(
                &fields.join(", "),
                "has no identifier, so it belongs to nobody".to_owned(),
            ));
        }
        Ok(event.to_json())
    }

    fn check_shape<'r>(
        &self,
        row: &'r Row,
        values: &[String],
    ) -> Result<Option<Object<'r>>, String> {
        if self.mapping.shape == Shape::NdJson {
            return match serde_json::from_str(&row.text) {
                Ok(object) => Ok(Some(object)),
                // The library's own text quotes the value, which may be personal.
                Err(error) => Err(format!("is no JSON object (column {})", error.column())),
            };
        }
        match self.width {
            Width::Exactly(width) if values.len() != width => Err(format!(
                "has {} values, and the header has {width} columns",
                values.len()
            )),
            Width::AtLeast(width) if values.len() < width => Err(format!(
                "has {} values, and the mapping wants column {width}",
                values.len()
            )),
            _ => Ok(None),
        }
    }

    /// What all events share.
    fn frame(&self, row: &Row) -> Node {
        let mut event = Node::Object(Vec::with_capacity(8));
        *event.at(["messageId"]) = Node::Text(format!("{}:{}", self.digest, row.line));
        *event.at(["type"]) = Node::Text(self.mapping.r#type.clone());
        for (constant, node) in &self.mapping.constants {
            place(&mut event, &self.mapping.r#type, constant, node.clone());
        }
        event
    }

    fn read(&self, rule: &Rule, cell: Cell<'_>) -> Result<Option<Node>, String> {
        let whole = rule.place.is_whole();
        let text = match (cell, rule.kind) {
            (Cell::Absent, _) => return Ok(None),
            (Cell::Json(raw), Kind::AsIs) if whole && !raw.get().starts_with('{') => {
                return Err("is no JSON object".to_owned());
            }
            (Cell::Json(raw), Kind::AsIs) => return Ok(Some(Node::Raw(raw.to_owned()))),
            (Cell::Json(raw), _) if raw.get().starts_with(['{', '[']) => {
                return Err("is an object or array, not one value".to_owned());
            }
            (Cell::Json(raw), Kind::Number) => return Node::number(raw.get(), '.').map(Some),
            (Cell::Json(raw), _) => Cow::Borrowed(raw.get()),
            (Cell::Text(_), Kind::AsIs) if whole => return Err("is no JSON object".to_owned()),
            (Cell::Text(text), _) => text,
        };
        let node = match rule.kind {
            Kind::Text | Kind::AsIs => Node::Text(text.into_owned()),
            Kind::Number => Node::number(&text, self.mapping.decimal)?,
            Kind::Boolean => Node::Flag(flag(&text)?),
            Kind::Date => Node::Text(self.mapping.dates.parse(&text)?.to_string()),
        };
        Ok(Some(node))
    }
}

impl<'a> Cell<'a> {
    fn of(text: &'a str) -> Self {
        if text.is_empty() {
            Cell::Absent
        } else {
            Cell::Text(Cow::Borrowed(text))
        }
    }

    fn of_json(raw: &'a RawValue) -> Self {
        match raw.get() {
            "null" => Cell::Absent,
            json if json.starts_with('"') => match serde_json::from_str::<String>(json) {
                Ok(text) if text.trim().is_empty() => Cell::Absent,
                Ok(text) => Cell::Text(Cow::Owned(text.trim().to_owned())),
                Err(_) => Cell::Json(raw),
            },
            _ => Cell::Json(raw),
        }
    }
}

fn look_up<'a>(object: &Object<'a>, column: &Column) -> Cell<'a> {
    let value = match column {
        Column::Name(name) => object.get(name).copied(),
        Column::Pointer(steps) => steps.split_first().and_then(|(first, rest)| {
            rest.iter()
                .try_fold(*object.get(first)?, |value, step| child(value, step))
        }),
        Column::Number(_) => None,
    };
    value.map_or(Cell::Absent, Cell::of_json)
}

fn child<'a>(value: &'a RawValue, step: &str) -> Option<&'a RawValue> {
    if value.get().starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
        return items.get(step.parse::<usize>().ok()?).copied();
    }
    serde_json::from_str::<Object<'a>>(value.get())
        .ok()?
        .get(step)
        .copied()
}

fn flag(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => Err("is neither true, yes, 1 nor false, no, 0".to_owned()),
    }
}

fn place(event: &mut Node, r#type: &str, place: &Place, node: Node) {
    let traits: &[&str] = match r#type {
        "identify" | "group" => &["traits"],
        _ => &["context", "traits"],
    };
    let traits = traits.iter().copied();
    match place {
        Place::Timestamp => *event.at(["timestamp"]) = node,
        Place::Event => *event.at([if r#type == "track" { "event" } else { "name" }]) = node,
        Place::Path(path) => *event.at(path.iter().map(String::as_str)) = node,
        Place::Trait(key) => *event.at(traits.chain(key.as_deref())) = node,
        Place::Product(key) => {
            let products = event.at(["properties", "products"]);
            match products {
                Node::Array(lines) => *lines[0].at([*key]) = node,
                _ => {
                    let mut line = Node::Object(Vec::new());
                    *line.at([*key]) = node;
                    *products = Node::Array(vec![line]);
                }
            }
        }
        Place::Identifier(IdentifierType::USER_ID) => *event.at(["userId"]) = node,
        Place::Identifier(IdentifierType::ANONYMOUS_ID) => *event.at(["anonymousId"]) = node,
        Place::Identifier(IdentifierType::DEVICE_ID) => {
            *event.at(["context", "device", "id"]) = node
        }
        Place::Identifier(IdentifierType::ADVERTISING_ID) => {
            *event.at(["context", "device", "advertisingId"]) = node
        }
        Place::Identifier(IdentifierType::PUSH_TOKEN) => {
            *event.at(["context", "device", "token"]) = node
        }
        // Of a group call the traits are the group's.
        Place::Identifier(known @ (IdentifierType::EMAIL | IdentifierType::PHONE)) => {
            let own: &[&str] = if r#type == "identify" {
                &["traits"]
            } else {
                &["context", "traits"]
            };
            *event.at(own.iter().copied().chain([known.name()])) = node;
        }
        Place::Identifier(known) => {
            let mut external = Node::Object(Vec::new());
            *external.at(["id"]) = node;
            *external.at(["type"]) = Node::Text(known.name().to_owned());
            *external.at(["collection"]) = Node::Text("users".to_owned());
            *external.at(["encoding"]) = Node::Text("none".to_owned());
            event.at(["context", "externalIds"]).push(external);
        }
    }
}

fn find(rule: &Rule, values: &[String], header: bool) -> Result<usize, String> {
    let columns = || {
        values
            .iter()
            .map(|name| format!("`{}`", name.trim()))
            .collect::<Vec<_>>()
            .join(", ")
    };
    match &rule.column {
        Column::Number(number) if *number <= values.len() => Ok(number - 1),
        Column::Number(number) => Err(format!(
            "`fields.{}` wants column {number}, and there are {}",
            rule.field,
            values.len()
        )),
        Column::Name(name) if header => {
            let mut found = values
                .iter()
                .enumerate()
                .filter(|(_, value)| value.trim() == name);
            match (found.next(), found.next()) {
                (Some((index, _)), None) => Ok(index),
                (Some(_), Some(_)) => Err(format!(
                    "`fields.{}`: the header has `{name}` twice; write the column's number",
                    rule.field
                )),
                (None, _) => Err(format!(
                    "`fields.{}` wants a column `{name}`, and the header has {}",
                    rule.field,
                    columns()
                )),
            }
        }
        Column::Name(_) | Column::Pointer(_) => {
            unreachable!("the mapping was checked: names need a header, pointers JSON")
        }
    }
}

/// One single column is mostly a wrong separator.
fn hint(shape: Shape, row: &Row, values: &[String]) -> String {
    if values.len() > 1 {
        return String::new();
    }
    let separator = match shape {
        Shape::Csv { separator: b'\t' } => "\"tab\"".to_owned(),
        Shape::Csv { separator } => format!("\"{}\"", char::from(separator)),
        _ => "\"blanks\"".to_owned(),
    };
    let other = [
        (',', ","),
        (';', ";"),
        ('\t', "tab"),
        ('|', "|"),
        (' ', "blanks"),
    ]
    .iter()
    .find(|(character, name)| row.text.contains(*character) && separator != format!("\"{name}\""))
    .map_or_else(String::new, |(_, name)| {
        format!("; it has \"{name}\": is that the separator?")
    });
    format!(". The line has no separator {separator}{other}")
}
