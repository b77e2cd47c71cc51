//! Identifiers as an operator types them.

use super::shown;
use crate::clickhouse::ClickHouse;
use crate::exit::Failure;
use serde::Deserialize;
use tributary_core::identifier::{Identifier, IdentifierType};
use tributary_platform::config::Workspace;

/// What was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Argument {
    /// `type:value`, in the form in which ingest keeps it.
    Identifier(Identifier),
    /// A value without type, as typed.
    Value(String),
}

/// What an entry is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Identifier(Identifier),
    /// Of every type.
    Value(String),
    Nothing,
}

/// A row of `identities`.
#[derive(Debug, Deserialize)]
struct Seen {
    identifier_type: String,
    identifier_value: String,
}

const BY_VALUE: &str = "SELECT DISTINCT identifier_type, identifier_value FROM identities \
    WHERE workspace = {workspace:String} AND identifier_value IN ({value:String}, lowerUTF8({value:String})) \
    ORDER BY ALL LIMIT 20";

impl Argument {
    /// Reads what was typed; a value may hold colons.
    pub(super) fn parse(text: &str, workspace: &Workspace) -> Result<Self, Failure> {
        let text = text.trim();
        let Some((name, value)) = text.split_once(':') else {
            return Self::value(text);
        };
        let types = workspace.identity.types().map_err(Failure::usage)?;
        match types.named(name) {
            None => Self::value(text),
            Some(known) => tributary_ingest::kept(known, value, workspace)
                .map(|value| Self::Identifier(Identifier::new(known, &value)))
                .ok_or_else(|| {
                    Failure::usage(format!(
                        "`{text}` is no identifier: ingest leaves out values that are empty, null, none, undefined, zeros \
                         or too long"
                    ))
                }),
        }
    }

    fn value(text: &str) -> Result<Self, Failure> {
        if text.is_empty() || text.contains('\0') {
            return Err(Failure::usage(
                "an identifier is empty: write type:value, such as user_id:ada",
            ));
        }
        Ok(Self::Value(text.to_owned()))
    }

    /// The one identifier that was meant.
    pub(super) fn find(
        self,
        clickhouse: &ClickHouse,
        workspace: &Workspace,
    ) -> Result<Found, Failure> {
        let value = match self {
            Self::Identifier(identifier) => return Ok(Found::Identifier(identifier)),
            Self::Value(value) => value,
        };
        let parameters = [("value", value.as_str()), ("workspace", &*workspace.name)];
        let seen: Vec<Seen> = clickhouse
            .rows(BY_VALUE, &parameters)
            .map_err(Failure::failed)?;
        let mut known: Vec<Identifier> = seen
            .iter()
            .filter_map(|seen| {
                let r#type = IdentifierType::of(&seen.identifier_type).ok()?;
                Some(Identifier::new(r#type, &seen.identifier_value))
            })
            .collect();
        known.sort();
        match known.as_slice() {
            [one] => Ok(Found::Identifier(one.clone())),
            [] => {
                let names: Vec<&str> = workspace
                    .identity
                    .types
                    .keys()
                    .map(String::as_str)
                    .collect();
                Err(Failure::usage(format!(
                    "no identifier {value} is known in workspace {}: write its type, such as user_id:{value} (there \
                     are {})",
                    workspace.name,
                    names.join(", ")
                )))
            }
            several => {
                let names: Vec<String> = several.iter().map(shown).collect();
                Err(Failure::usage(format!(
                    "{value} may be any of {}: write which",
                    names.join(", ")
                )))
            }
        }
    }
}

impl Found {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Identifier(identifier) => shown(identifier),
            Self::Value(value) => format!("{value} of every type"),
            Self::Nothing => String::new(),
        }
    }

    pub(super) fn r#type(&self) -> Option<IdentifierType> {
        match self {
            Self::Identifier(identifier) => Some(identifier.r#type),
            Self::Value(_) | Self::Nothing => None,
        }
    }

    /// Type and value, as in the log.
    pub(super) fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Identifier(identifier) => (identifier.r#type.name(), &identifier.value),
            Self::Value(value) => ("", value),
            Self::Nothing => ("", ""),
        }
    }
}

/// Whether ClickHouse knows nothing of it. A blocked identifier is not known any more, but stands in the links.
pub(super) fn is_unseen(
    found: &Found,
    clickhouse: &ClickHouse,
    workspace: &str,
) -> Result<bool, String> {
    const SEEN: &str = "SELECT identifier_type, identifier_value FROM identity_states \
        WHERE workspace = {workspace:String} AND identifier_value IN ({value:String}, lowerUTF8({value:String})) \
        AND ({type:String} = '' OR identifier_type = {type:String}) LIMIT 1";
    let (r#type, value) = found.parts();
    if value.is_empty() {
        return Ok(false);
    }
    let parameters = [("value", value), ("type", r#type), ("workspace", workspace)];
    let seen: Vec<Seen> = clickhouse.rows(SEEN, &parameters)?;
    Ok(seen.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace() -> Workspace {
        Workspace {
            phone_region: "FR".to_owned(),
            ..tributary_platform::config::Config::default().workspace
        }
    }

    #[test]
    fn values_are_compared_as_ingest_keeps_them() {
        for (text, expected) in [
            ("email:Ada@Shop.example", "email:ada@shop.example"),
            ("phone:01 23 45 67 89", "phone:+33123456789"),
            (" user_id:a:b ", "user_id:a:b"),
        ] {
            match Argument::parse(text, &workspace()).expect(text) {
                Argument::Identifier(identifier) => assert_eq!(shown(&identifier), expected),
                Argument::Value(value) => panic!("{text} is read as the value {value}"),
            }
        }
        let urn = Argument::parse("urn:card:7", &workspace()).expect("a value");
        assert_eq!(urn, Argument::Value("urn:card:7".to_owned()));
    }

    #[test]
    fn what_ingest_leaves_out_is_no_identifier() {
        for text in ["", "user_id:", "user_id:0", "email:null"] {
            assert!(Argument::parse(text, &workspace()).is_err(), "{text}");
        }
    }
}
