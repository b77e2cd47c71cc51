//! What events share with others of their timeline.

use serde::{Deserialize, Serialize};
use tributary_contracts::wire::Touchpoint;
use tributary_core::identifier::IdentifierType;

/// What an event shares with most others of its timeline. One text, because each event is compared with it: six would
/// be six places in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    text: Box<str>,
    /// Where each of the fields but the last ends in `text`.
    ends: [u32; 5],
    /// An event has them that is no bot's.
    pub(super) are_told: bool,
}

impl Facts {
    pub(super) fn of(touchpoint: &Touchpoint<'_>) -> Self {
        let fields = Self::fields(touchpoint);
        let mut ends = [0; 5];
        let mut end = 0;
        for (place, field) in ends.iter_mut().zip(fields) {
            end += field.len() as u32;
            *place = end;
        }
        Self {
            text: fields.concat().into(),
            ends,
            are_told: false,
        }
    }

    pub(super) fn are_of(&self, touchpoint: &Touchpoint<'_>) -> bool {
        let fields = Self::fields(touchpoint);
        (0..fields.len()).all(|number| self.field(number) == fields[number])
    }

    fn fields<'a>(touchpoint: &Touchpoint<'a>) -> [&'a str; 6] {
        [
            touchpoint.channel,
            touchpoint.traffic_source,
            touchpoint.campaign.name,
            touchpoint.store,
            touchpoint.device_type,
            touchpoint.source,
        ]
    }

    pub(super) fn hash(&self) -> u64 {
        (0..=self.ends.len()).fold(0, |hash, number| hashed(hash, self.field(number)))
    }

    pub(super) fn hash_of(touchpoint: &Touchpoint<'_>) -> u64 {
        let fields = Self::fields(touchpoint);
        fields.into_iter().fold(0, hashed)
    }

    fn field(&self, number: usize) -> &str {
        let begin = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        let end = self
            .ends
            .get(number)
            .map_or(self.text.len(), |end| *end as usize);
        &self.text[begin as usize..end]
    }

    pub(super) fn channel(&self) -> &str {
        self.field(0)
    }

    pub(super) fn traffic_source(&self) -> &str {
        self.field(1)
    }

    pub(super) fn campaign(&self) -> &str {
        self.field(2)
    }

    pub(super) fn store(&self) -> &str {
        self.field(3)
    }

    pub(super) fn device_type(&self) -> &str {
        self.field(4)
    }

    pub(super) fn source(&self) -> &str {
        self.field(5)
    }
}

/// A set of identifiers that came together, and when it was seen by a source.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct IdentifierSet {
    pub(super) identifiers: Vec<(IdentifierType, String)>,
    pub(super) seen: Vec<SetSeen>,
}

impl IdentifierSet {
    pub(super) fn hash(&self) -> u64 {
        let all = self.identifiers.iter();
        Self::hash_of(all.map(|(r#type, value)| (*r#type, value.as_str())))
    }

    pub(super) fn hash_of<'a>(identifiers: impl Iterator<Item = (IdentifierType, &'a str)>) -> u64 {
        identifiers.fold(0, |hash, (r#type, value)| {
            hashed(hashed(hash, r#type.name()), value)
        })
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SetSeen {
    pub(super) source: String,
    pub(super) may_link: bool,
    pub(super) first: i64,
    pub(super) first_message: String,
    pub(super) last_day: i32,
}

/// The hash of a text behind others.
pub(super) fn hashed(before: u64, text: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(text.as_bytes(), before)
}
