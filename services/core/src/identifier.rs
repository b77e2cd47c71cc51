//! Identifiers: what a touchpoint knows its sender by.

use std::cmp::Ordering;
use std::sync::{Arc, OnceLock};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Whether an identifier names a person or a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A person: an account, a card, an address.
    Person,
    /// A device or a browser on it.
    Device,
}

impl Kind {
    /// As in configuration, tables and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Device => "device",
        }
    }
}

/// The type of an identifier: one of those that are built in, or one that a configuration adds.
///
/// What a type means (its kind, its priority, its limits) is said by the rules of each workspace. The order of types here
/// knows no rules: the built-in ones in their default priority, then the others by name. Keys and files follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IdentifierType(pub(crate) u8);

/// The built-in types with their kind unless rules say otherwise, by default priority.
pub const BUILT_IN: [(&str, Kind); 10] = [
    ("user_id", Kind::Person),
    ("crm_id", Kind::Person),
    ("loyalty_card", Kind::Person),
    ("email", Kind::Person),
    ("phone", Kind::Person),
    ("social_handle", Kind::Person),
    ("device_id", Kind::Device),
    ("anonymous_id", Kind::Device),
    ("advertising_id", Kind::Device),
    ("push_token", Kind::Device),
];

/// The number of built-in types, and of those before the devices among them.
const BUILT_INS: u8 = BUILT_IN.len() as u8;
const FIRST_DEVICE: u8 = 6;

/// What stands for a type where an event has no customer, and is filed under the source that sent it.
pub const SOURCE: &str = "source";

/// Names of the types that were added, in the order of their first use in this process. Configurations add few, and a
/// name stays for good.
static ADDED: [OnceLock<Box<str>>; 240] = [const { OnceLock::new() }; 240];

/// Why a name is no type's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoType {
    /// Names stand in keys and in commands as `type:value`.
    #[error("must be 1 to 32 lower-case letters, digits or _, and begin with a letter")]
    Name,
    /// Events of no customer are filed under it.
    #[error("stands for sources: choose another")]
    Reserved,
    /// All names of all workspaces of one process.
    #[error("is one type too many: a process knows at most 240 besides the built-in ones")]
    TooMany,
}

impl IdentifierType {
    /// `user_id`, the highest of all.
    pub const USER_ID: Self = Self(0);
    /// `crm_id`.
    pub const CRM_ID: Self = Self(1);
    /// `loyalty_card`.
    pub const LOYALTY_CARD: Self = Self(2);
    /// `email`.
    pub const EMAIL: Self = Self(3);
    /// `phone`.
    pub const PHONE: Self = Self(4);
    /// `social_handle`.
    pub const SOCIAL_HANDLE: Self = Self(5);
    /// `device_id`, the highest of the devices.
    pub const DEVICE_ID: Self = Self(6);
    /// `anonymous_id`: a cookie or an installation.
    pub const ANONYMOUS_ID: Self = Self(7);
    /// `advertising_id`.
    pub const ADVERTISING_ID: Self = Self(8);
    /// `push_token`.
    pub const PUSH_TOKEN: Self = Self(9);

    /// The type of that name, if it is built in or was added before.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::built_in(name).or_else(|| {
            let mut known = (BUILT_INS..)
                .zip(&ADDED)
                .map_while(|(number, added)| Some((number, added.get()?)));
            let (number, _) = known.find(|(_, added)| ***added == *name)?;
            Some(Self(number))
        })
    }

    /// The type of that name, added where it is new.
    ///
    /// # Errors
    /// When it cannot be a type's name, or too many were added.
    pub fn of(name: &str) -> Result<Self, NoType> {
        if let Some(known) = Self::built_in(name) {
            return Ok(known);
        }
        let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.len() > 32
            || !name.bytes().all(fine)
            || !name.starts_with(|first: char| first.is_ascii_lowercase())
        {
            return Err(NoType::Name);
        }
        if name == SOURCE {
            return Err(NoType::Reserved);
        }
        (BUILT_INS..)
            .zip(&ADDED)
            .find(|(_, added)| **added.get_or_init(|| name.into()) == *name)
            .map(|(number, _)| Self(number))
            .ok_or(NoType::TooMany)
    }

    /// The built-in type of that name.
    #[must_use]
    pub fn built_in(name: &str) -> Option<Self> {
        (0..)
            .zip(BUILT_IN)
            .find(|(_, (built_in, _))| *built_in == name)
            .map(|(number, _)| Self(number))
    }

    /// All that this process knows.
    pub fn all() -> impl Iterator<Item = Self> {
        let added = ADDED
            .iter()
            .take_while(|added| added.get().is_some())
            .count();
        (0..BUILT_INS + added as u8).map(Self)
    }

    /// Its name in events, tables and configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match BUILT_IN.get(usize::from(self.0)) {
            Some((name, _)) => name,
            None => ADDED[usize::from(self.0 - BUILT_INS)]
                .get()
                .map_or("", |name| name),
        }
    }

    /// Its place in the order that decides a timeline: devices before persons before added types, and these by name.
    /// This order is not configurable and knows no rules.
    #[must_use]
    pub const fn timeline_rank(self) -> (u8, Self) {
        let group = match self.0 {
            BUILT_INS.. => BUILT_INS,
            FIRST_DEVICE.. => self.0 - FIRST_DEVICE,
            person => person + BUILT_INS - FIRST_DEVICE,
        };
        (group, self)
    }
}

impl Ord for IdentifierType {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.0 >= BUILT_INS && other.0 >= BUILT_INS {
            return self.name().cmp(other.name());
        }
        self.0.cmp(&other.0)
    }
}

/// Of a built-in one its place among these, of an added one its name.
impl Serialize for IdentifierType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            BUILT_INS.. => (BUILT_INS, self.name()).serialize(serializer),
            place => (place, "").serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for IdentifierType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (place, added): (u8, &str) = Deserialize::deserialize(deserializer)?;
        let name = BUILT_IN
            .get(usize::from(place))
            .map_or(added, |(name, _)| *name);
        Self::of(name).map_err(D::Error::custom)
    }
}

impl PartialOrd for IdentifierType {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A type and a normalised value. Ordered by type, then bytes, whatever the rules say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier {
    /// The type.
    pub r#type: IdentifierType,
    /// The normalised value; never empty.
    pub value: Arc<str>,
}

impl Identifier {
    /// An identifier of that type and value.
    #[must_use]
    pub fn new(r#type: IdentifierType, value: &str) -> Self {
        Self {
            r#type,
            value: value.into(),
        }
    }
}

impl Serialize for Identifier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.r#type, &*self.value).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Identifier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (r#type, value): (IdentifierType, &str) = Deserialize::deserialize(deserializer)?;
        Ok(Self::new(r#type, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_found_by_its_name() {
        for (number, (name, _)) in (0..).zip(BUILT_IN) {
            let r#type = IdentifierType::named(name).expect("a built-in type");
            assert_eq!((r#type.0, r#type.name()), (number, name));
            assert_eq!(IdentifierType::of(name), Ok(r#type));
        }
        assert_eq!(IdentifierType::named("never_added"), None);
        for name in ["", "Fax", "a b", "9x", "fax:home", &"x".repeat(33)] {
            assert_eq!(IdentifierType::of(name), Err(NoType::Name), "{name}");
        }
        assert_eq!(IdentifierType::of(SOURCE), Err(NoType::Reserved));
    }

    #[test]
    fn an_added_type_is_known_from_then_on_and_ordered_by_name_after_the_built_in_ones() {
        let types =
            ["zebra", "fax", "device_name"].map(|name| IdentifierType::of(name).expect("a type"));
        for (r#type, name) in types.iter().zip(["zebra", "fax", "device_name"]) {
            assert_eq!(r#type.name(), name);
            assert_eq!(IdentifierType::of(name), Ok(*r#type));
            assert_eq!(IdentifierType::named(name), Some(*r#type));
            assert!(IdentifierType::all().any(|known| known == *r#type));
        }
        let mut sorted = types.to_vec();
        sorted.extend([IdentifierType::PUSH_TOKEN, IdentifierType::USER_ID]);
        sorted.sort();
        let names: Vec<_> = sorted.iter().map(|r#type| r#type.name()).collect();
        assert_eq!(
            names,
            ["user_id", "push_token", "device_name", "fax", "zebra"]
        );
    }

    #[test]
    fn timelines_are_filed_under_devices_first() {
        let mut types: Vec<_> = (0..10).map(IdentifierType).collect();
        types.insert(0, IdentifierType::of("fax").expect("a type"));
        types.sort_by_key(|r#type| r#type.timeline_rank());
        let names: Vec<_> = types.iter().map(|r#type| r#type.name()).collect();
        assert_eq!(
            names,
            [
                "device_id",
                "anonymous_id",
                "advertising_id",
                "push_token",
                "user_id",
                "crm_id",
                "loyalty_card",
                "email",
                "phone",
                "social_handle",
                "fax"
            ]
        );
    }
}
