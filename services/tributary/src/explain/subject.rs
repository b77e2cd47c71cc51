//! What is asked for.

use tributary_core::identifier::IdentifierType;
use uuid::Uuid;

/// An identifier, of a known type or of any, or a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// An identifier.
    Identifier {
        /// Any type where none is given.
        r#type: Option<&'static str>,
        /// As typed.
        value: String,
    },
    /// A profile, by any id that it has or had; else an identifier of any type, as SDKs make them.
    Uuid {
        /// Of a profile.
        profile: Uuid,
        /// As typed.
        value: String,
    },
}

impl Subject {
    /// Reads what a person types; a value may hold colons.
    pub(super) fn parse(text: &str, r#type: Option<&str>) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("the identifier is empty".to_owned());
        }
        if let Some(name) = r#type {
            let known = IdentifierType::named(name).ok_or_else(|| {
                let names: Vec<&str> = IdentifierType::all().map(IdentifierType::name).collect();
                format!(
                    "--type: there is no type `{name}`; there are {}",
                    names.join(", ")
                )
            })?;
            return Ok(Subject::identifier(Some(known), text));
        }
        if let Some((name, value)) = text.split_once(':')
            && let Some(known) = IdentifierType::named(name)
        {
            return Ok(Subject::identifier(Some(known), value));
        }
        Ok(match Uuid::try_parse(text) {
            Ok(profile) if text.len() == 36 => Subject::Uuid {
                profile,
                value: text.to_owned(),
            },
            _ => Subject::identifier(None, text),
        })
    }

    /// What was typed.
    pub(super) fn text(&self) -> &str {
        match self {
            Subject::Identifier { value, .. } | Subject::Uuid { value, .. } => value,
        }
    }

    /// The parameters of queries that look for an identifier.
    pub(super) fn parameters<'a>(
        &'a self,
        workspace: Option<&'a str>,
    ) -> [(&'static str, &'a str); 3] {
        let r#type = match self {
            Subject::Identifier { r#type, .. } => r#type.unwrap_or_default(),
            Subject::Uuid { .. } => "",
        };
        [
            ("value", self.text()),
            ("type", r#type),
            ("workspace", workspace.unwrap_or_default()),
        ]
    }

    fn identifier(r#type: Option<IdentifierType>, value: &str) -> Self {
        Subject::Identifier {
            r#type: r#type.map(IdentifierType::name),
            value: value.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_taken_from_the_flag_or_the_prefix_and_a_value_may_hold_colons() {
        for (text, flag, expected) in [
            ("ada", None, (None, "ada")),
            ("user_id:ada", None, (Some("user_id"), "ada")),
            ("user_id:a:b", None, (Some("user_id"), "a:b")),
            ("urn:card:7", None, (None, "urn:card:7")),
            ("user_id:ada", Some("email"), (Some("email"), "user_id:ada")),
        ] {
            let expected = Subject::Identifier {
                r#type: expected.0,
                value: expected.1.to_owned(),
            };
            assert_eq!(Subject::parse(text, flag), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_uuid_is_a_profile_unless_a_type_is_given() {
        let text = "6fa459ea-ee8a-3ca4-894e-db77e160355e";
        assert!(matches!(
            Subject::parse(text, None),
            Ok(Subject::Uuid { profile, value }) if profile.to_string() == text && value == text
        ));
        assert!(matches!(
            Subject::parse(text, Some("anonymous_id")),
            Ok(Subject::Identifier { .. })
        ));
    }

    #[test]
    fn an_unknown_type_is_told_with_those_that_there_are() {
        let error = Subject::parse("x", Some("fax")).unwrap_err();
        assert!(
            error.contains("`fax`") && error.contains("loyalty_card"),
            "{error}"
        );
        assert!(Subject::parse("  ", None).is_err());
        // One that a configuration adds is a type like others.
        IdentifierType::of("turnstile").expect("a type");
        assert!(matches!(
            Subject::parse("turnstile:7", None),
            Ok(Subject::Identifier {
                r#type: Some("turnstile"),
                ..
            })
        ));
    }
}
