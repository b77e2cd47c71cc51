//! Ids of profiles and sessions: `UUIDv5`, so that whoever knows the parts can make the same id.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::identifier::Identifier;

/// The namespace of every id, fixed for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0x7472_6962_7574_6172_795f_6964_735f_7631);

macro_rules! id {
    ($name:ident, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer
                    .serialize_str(self.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl de::Visitor<'_> for Text {
                    type Value = Uuid;
                    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                        formatter.write_str("a UUID as text")
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<Uuid, E> {
                        Uuid::try_parse(text).map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text).map(Self)
            }
        }
    };
}

id!(ProfileId, "The id of a profile.");
id!(SessionId, "The id of a session.");

fn make(parts: &[&str]) -> Uuid {
    Uuid::new_v5(&NAMESPACE, parts.join("\0").as_bytes())
}

impl ProfileId {
    /// The id that an identifier gives: `UUIDv5` of workspace, type and value, separated by NUL.
    #[must_use]
    pub fn of(workspace: &str, identifier: &Identifier) -> Self {
        Self(make(&[
            workspace,
            identifier.r#type.name(),
            &identifier.value,
        ]))
    }

    /// The id of the profile of a timeline alone, which has no identifiers.
    #[must_use]
    pub fn alone(workspace: &str, timeline: &Identifier) -> Self {
        Self(make(&[
            workspace,
            timeline.r#type.name(),
            &timeline.value,
            "alone",
        ]))
    }

    /// The id under which what a source says of itself is folded. It is no customer's.
    #[must_use]
    pub fn source(workspace: &str, source: &str) -> Self {
        Self(make(&[
            workspace,
            crate::identifier::SOURCE,
            source,
            "source",
        ]))
    }

    /// The id under which what is reported of a thing is folded, whichever source reports it: of an account of a social
    /// network, of a post. It is no customer's.
    #[must_use]
    pub fn reported(workspace: &str, thing: &[&str]) -> Self {
        let parts = [
            &[workspace, crate::identifier::SOURCE],
            thing,
            &["reported"],
        ];
        Self(make(&parts.concat()))
    }

    /// The id of the profile of a session alone, by the message that the session begins with.
    #[must_use]
    pub fn stranger(workspace: &str, timeline: &Identifier, first_message: &str) -> Self {
        Self(make(&[
            workspace,
            timeline.r#type.name(),
            &timeline.value,
            first_message,
            "alone",
        ]))
    }
}

impl SessionId {
    /// The id of the session of a timeline that begins with that message.
    #[must_use]
    pub fn of(workspace: &str, timeline: &Identifier, first_message: &str) -> Self {
        Self(make(&[
            workspace,
            timeline.r#type.name(),
            &timeline.value,
            first_message,
        ]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identifier::IdentifierType;

    #[test]
    fn ids_are_functions_of_their_parts_and_differ_with_each() {
        let ann = Identifier::new(IdentifierType::USER_ID, "ann");
        let cookie = Identifier::new(IdentifierType::ANONYMOUS_ID, "ann");
        let ids = [
            ProfileId::of("a", &ann),
            ProfileId::of("b", &ann),
            ProfileId::of("a", &cookie),
            ProfileId::alone("a", &cookie),
            ProfileId::stranger("a", &cookie, "m"),
        ];
        for (index, id) in ids.iter().enumerate() {
            assert!(!ids[..index].contains(id), "{id} twice");
            assert_eq!(id.0.get_version_num(), 5);
        }
        assert_eq!(
            ids[0].to_string(),
            "290f08d9-0fd7-5ffd-ad54-de92383fe733",
            "as other programs make it"
        );
    }
}
