//! What this stage makes of a touchpoint; its bytes pass through untouched.

use tributary_contracts::wire::{Subject, Touchpoint};
use tributary_core::identifier::IdentifierType;
use xxhash_rust::xxh3::Xxh3Default;

use crate::runtime::stage::Poison;

/// A touchpoint, with its identifiers.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    pub(super) touchpoint: Touchpoint<'a>,
    /// In the order of types, without those that ingest left out; none where the event has no customer (bots, sources).
    pub(super) identifiers: Vec<(IdentifierType, &'a str)>,
}

impl<'a> Reading<'a> {
    /// Reads a framed touchpoint.
    pub(super) fn of(message: &'a [u8]) -> Result<Self, Poison> {
        let unreadable = |detail: String| Poison {
            reason: "unreadable_touchpoint",
            detail,
        };
        let touchpoint =
            Touchpoint::unframe(message).map_err(|error| unreadable(error.to_string()))?;
        if touchpoint.bot || touchpoint.subject != Subject::Customer {
            return Ok(Self {
                touchpoint,
                identifiers: Vec::new(),
            });
        }
        let mut identifiers = Vec::with_capacity(touchpoint.identifiers.len());
        for read in &touchpoint.identifiers {
            if !read.value.is_empty() {
                identifiers.push((identifier_type(read.r#type)?, read.value));
            }
        }
        identifiers.sort_unstable();
        identifiers.dedup();
        let timeline = (
            identifier_type(touchpoint.timeline_type)?,
            touchpoint.timeline_value,
        );
        if !identifiers.contains(&timeline) {
            return Err(unreadable(
                "timeline is none of the event's identifiers".to_owned(),
            ));
        }
        Ok(Self {
            touchpoint,
            identifiers,
        })
    }

    /// Types of which it has several identifiers.
    pub(super) fn repeated_types(&self) -> impl Iterator<Item = IdentifierType> {
        self.identifiers
            .windows(2)
            .filter(|pair| pair[0].0 == pair[1].0)
            .map(|pair| pair[0].0)
    }

    /// A stable hash of what a message id stands for: what the sender said, not when or through what it arrived, so
    /// that a retry is the same message.
    pub(super) fn content(&self) -> u64 {
        let mut hash = Xxh3Default::new();
        let mut add = |text: &str| {
            hash.update(text.as_bytes());
            hash.update(&[0]);
        };
        let touchpoint = &self.touchpoint;
        for text in [
            touchpoint.r#type,
            touchpoint.event,
            touchpoint.source,
            touchpoint.traits,
            touchpoint.properties,
        ] {
            add(text);
        }
        for identifier in &touchpoint.identifiers {
            add(identifier.r#type);
            add(identifier.value);
        }
        hash.update(
            &touchpoint
                .original_timestamp
                .map_or(i64::MIN, |time| time.0)
                .to_le_bytes(),
        );
        hash.digest()
    }
}

fn identifier_type(name: &str) -> Result<IdentifierType, Poison> {
    IdentifierType::of(name).map_err(|error| Poison {
        reason: "unknown_identifier_type",
        detail: format!("identifier type {name} {error}: mend the sender"),
    })
}
