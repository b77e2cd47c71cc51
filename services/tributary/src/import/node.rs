//! A JSON value that keeps numbers as they were written: an amount must not pass through a float.

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use tributary_core::money::Amount;

/// A JSON value under construction.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// A text.
    Text(String),
    /// True or false.
    Flag(bool),
    /// JSON as it stands.
    Raw(Box<RawValue>),
    /// An object; the order of its keys is kept.
    Object(Vec<(String, Node)>),
    /// An array.
    Array(Vec<Node>),
}

impl Node {
    /// An exact number, from a text with that decimal sign.
    pub(super) fn number(text: &str, decimal: char) -> Result<Node, String> {
        let plain;
        let text = match decimal {
            '.' => text,
            _ if text.contains('.') => {
                return Err("is not a decimal number such as 12,50".to_owned());
            }
            _ => {
                plain = text.replace(decimal, ".");
                &plain
            }
        };
        let amount: Amount = text
            .parse()
            .map_err(|error: tributary_core::money::ParseAmountError| error.to_string())?;
        let raw = RawValue::from_string(amount.to_string()).expect("a decimal number is JSON");
        Ok(Node::Raw(raw))
    }

    /// The value under these keys, made when absent. What stood in the way is replaced: the more detailed place wins.
    pub(super) fn at<'a>(&mut self, path: impl IntoIterator<Item = &'a str>) -> &mut Node {
        path.into_iter().fold(self, Node::child)
    }

    fn child(&mut self, key: &str) -> &mut Node {
        if !matches!(self, Node::Object(_)) {
            *self = self.unfolded();
        }
        let Node::Object(entries) = self else {
            unreachable!("made an object above");
        };
        let index = entries
            .iter()
            .position(|(name, _)| name == key)
            .unwrap_or_else(|| {
                entries.push((key.to_owned(), Node::Object(Vec::new())));
                entries.len() - 1
            });
        &mut entries[index].1
    }

    /// A whole object that was taken as it stands gets its keys, so that others can join them.
    fn unfolded(&self) -> Node {
        let entries: Option<Vec<(String, Node)>> = match self {
            Node::Raw(raw) => {
                serde_json::from_str::<std::collections::BTreeMap<String, Box<RawValue>>>(raw.get())
                    .ok()
                    .map(|map| {
                        map.into_iter()
                            .map(|(key, value)| (key, Node::Raw(value)))
                            .collect()
                    })
            }
            _ => None,
        };
        Node::Object(entries.unwrap_or_default())
    }

    /// Appends to the array under construction.
    pub(super) fn push(&mut self, node: Node) {
        match self {
            Node::Array(nodes) => nodes.push(node),
            _ => *self = Node::Array(vec![node]),
        }
    }

    /// Its JSON.
    pub(super) fn to_json(&self) -> Box<RawValue> {
        to_raw_value(self).expect("keys are texts and nothing else can fail")
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Node::Text(text) => serializer.serialize_str(text),
            Node::Flag(flag) => serializer.serialize_bool(*flag),
            Node::Raw(raw) => raw.serialize(serializer),
            Node::Object(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, node) in entries {
                    map.serialize_entry(key, node)?;
                }
                map.end()
            }
            Node::Array(nodes) => {
                let mut sequence = serializer.serialize_seq(Some(nodes.len()))?;
                for node in nodes {
                    sequence.serialize_element(node)?;
                }
                sequence.end()
            }
        }
    }
}
