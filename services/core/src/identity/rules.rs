use std::collections::BTreeSet;

use super::Types;
use crate::identifier::{Identifier, IdentifierType};

/// To whom a session without a login belongs where several profiles have logged in on a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SharedDevices {
    /// To the last login before it, else the first after.
    #[default]
    Nearest,
    /// To them only if they agree, else to a profile of the timeline alone.
    Certain,
}

/// Who a session is that no login tells anything of: one without a login on a hub's line, or where the logins around it
/// disagree and [`SharedDevices::Certain`] holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strangers {
    /// The device: all such sessions on it are one profile.
    #[default]
    Device,
    /// Somebody who was never seen before: each is a profile of its own.
    Session,
}

/// A pattern of values: `*` stands for any text, the rest for itself in any case; with or without a type before it, as
/// in `email:*@test.example`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    r#type: Option<IdentifierType>,
    /// What stands between the stars, in lower case; never empty.
    parts: Vec<String>,
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPattern {
    /// It would block everything.
    #[error("matches every value: write more than stars")]
    Everything,
    /// Not a single star, so it is a value.
    #[error("has no *: a value belongs into blocked_values")]
    Value,
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(r#type) = self.r#type {
            write!(formatter, "{}:", r#type.name())?;
        }
        formatter.write_str(&self.parts.join("*"))
    }
}

impl Pattern {
    /// Reads a pattern; what stands before a colon is a type if the workspace has one of that name.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str, types: &Types) -> Result<Self, NoPattern> {
        let typed = text
            .split_once(':')
            .and_then(|(name, rest)| Some((types.named(name)?, rest)));
        let (r#type, rest) = typed.map_or((None, text), |(r#type, rest)| (Some(r#type), rest));
        let parts: Vec<String> = rest.to_lowercase().split('*').map(str::to_owned).collect();
        if parts.len() == 1 {
            return Err(NoPattern::Value);
        }
        if parts.iter().all(String::is_empty) {
            return Err(NoPattern::Everything);
        }
        Ok(Self { r#type, parts })
    }

    /// `value` is in lower case. What stands between two stars is found where it comes first, which leaves the most for
    /// the rest.
    fn matches(&self, value: &str) -> bool {
        let [first, between @ .., last] = self.parts.as_slice() else {
            return false;
        };
        let Some(mut rest) = value
            .strip_prefix(first.as_str())
            .and_then(|rest| rest.strip_suffix(last.as_str()))
        else {
            return false;
        };
        between
            .iter()
            .all(|part| match rest.split_once(part.as_str()) {
                Some((_, after)) => {
                    rest = after;
                    true
                }
                None => false,
            })
    }
}

/// The rules of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Version of these rules; every decision carries it.
    pub version: i64,
    /// The types of identifiers. One that they do not name is taken from every event.
    pub types: Types,
    /// An identifier linked to more different values of one person type than this is a hub.
    pub hub_above: u32,
    /// Values that are taken from every event's identifiers.
    pub blocked: BTreeSet<Identifier>,
    /// Values that are blocked whatever their type, in lower case.
    pub blocked_values: BTreeSet<String>,
    /// Patterns of values that are blocked.
    pub blocked_patterns: Vec<Pattern>,
    /// Whether a device may join two persons.
    pub device_bridges: bool,
    /// Whose a session without a login is on a shared device.
    pub shared_devices: SharedDevices,
    /// Who a session is that no login tells anything of.
    pub strangers: Strangers,
    /// Whether both ends of a link must have agreed to stitching.
    pub consent_required: bool,
    /// Sources whose sight of two identifiers makes no link, such as a pixel.
    pub sources_without_links: BTreeSet<String>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            version: 1,
            types: Types::default(),
            hub_above: 10,
            blocked: BTreeSet::new(),
            blocked_values: BTreeSet::new(),
            blocked_patterns: Vec::new(),
            device_bridges: false,
            shared_devices: SharedDevices::Nearest,
            strangers: Strangers::Device,
            consent_required: false,
            sources_without_links: BTreeSet::new(),
        }
    }
}

impl Rules {
    /// Whether they say the same, under whatever version.
    #[must_use]
    pub fn say_the_same(&self, other: &Self) -> bool {
        let version = other.version;
        *other
            == Self {
                version,
                ..self.clone()
            }
    }

    /// Whether the identifier is taken from every event.
    #[must_use]
    pub fn blocks(&self, identifier: &Identifier) -> bool {
        if self.types.get(identifier.r#type).is_none() || self.blocked.contains(identifier) {
            return true;
        }
        if self.blocked_values.is_empty() && self.blocked_patterns.is_empty() {
            return false;
        }
        let value = identifier.value.to_lowercase();
        self.blocked_values.contains(&value)
            || self.blocked_patterns.iter().any(|pattern| {
                pattern.r#type.is_none_or(|of| of == identifier.r#type) && pattern.matches(&value)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Result<Pattern, NoPattern> {
        Pattern::parse(text, &Types::default())
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (text, value, matches) in [
            ("*@test.*", "ann@test.com", true),
            ("*@test.*", "ann@test", false),
            ("*@test.*", "ann@latest.com", false),
            ("*.TEST", "ann@shop.test", true),
            ("noreply@*", "noreply@shop.com", true),
            ("noreply@*", "ann.noreply@shop.com", false),
            ("a*b*a", "aba", true),
            ("a*b*a", "ab", false),
            ("a*a", "a", false),
            ("*b*", "abc", true),
        ] {
            let pattern = pattern(text).expect("a pattern");
            assert_eq!(pattern.matches(value), matches, "{text} {value}");
        }
    }

    #[test]
    fn a_pattern_may_name_a_type_and_must_say_something() {
        let rules = Rules {
            blocked_patterns: vec![pattern("email:test*").expect("a pattern")],
            ..Rules::default()
        };
        let blocks = |r#type, value| rules.blocks(&Identifier::new(r#type, value));
        assert!(blocks(IdentifierType::EMAIL, "Test-1@shop.example"));
        assert!(!blocks(IdentifierType::USER_ID, "test-1"));
        // A type that the rules do not name identifies nobody.
        let badge = IdentifierType::of("badge").expect("a type");
        assert!(blocks(badge, "7"));
        assert_eq!(
            pattern("badge:7*").expect("a pattern").r#type,
            None,
            "a colon in a value"
        );
        assert_eq!(rules.blocked_patterns[0].to_string(), "email:test*");
        assert_eq!(pattern("test"), Err(NoPattern::Value));
        assert_eq!(pattern("**"), Err(NoPattern::Everything));
        assert_eq!(pattern("email:*"), Err(NoPattern::Everything));
    }
}
