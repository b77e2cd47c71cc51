//! Identifiers: what a touchpoint knows its sender by.

use std::sync::Arc;

/// Whether an identifier names a person or a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A person: an account, a card, an address.
    Person,
    /// A device or a browser on it.
    Device,
}

/// The type of an identifier, as its rank in the priority of types: a lower rank is a higher identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentifierType(pub u8);

/// The built-in types with their kind, by priority: every person type stands above every device type.
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

/// The first rank of a device type.
const FIRST_DEVICE: u8 = 6;

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

    /// The type of that name, if there is one.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        (0..)
            .zip(BUILT_IN)
            .find(|(_, (built_in, _))| *built_in == name)
            .map(|(rank, _)| Self(rank))
    }

    /// Its name in events, tables and configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        BUILT_IN[usize::from(self.0)].0
    }

    /// What it names.
    #[must_use]
    pub const fn kind(self) -> Kind {
        if self.0 < FIRST_DEVICE {
            Kind::Person
        } else {
            Kind::Device
        }
    }

    /// Whether it names a person.
    #[must_use]
    pub const fn is_person(self) -> bool {
        self.0 < FIRST_DEVICE
    }

    /// Its place in the order that decides a timeline: devices before persons. This order is not configurable.
    #[must_use]
    pub const fn timeline_rank(self) -> u8 {
        if self.is_person() {
            self.0 + 4
        } else {
            self.0 - FIRST_DEVICE
        }
    }
}

/// A type and a normalised value. Ordered by priority of type, then bytes: the least is the highest identifier.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_found_by_its_name_and_ranked_by_its_place() {
        for (rank, (name, kind)) in (0..).zip(BUILT_IN) {
            let r#type = IdentifierType::named(name).expect("a built-in type");
            assert_eq!((r#type.0, r#type.name(), r#type.kind()), (rank, name, kind));
        }
        assert_eq!(IdentifierType::named("fax"), None);
    }

    #[test]
    fn timelines_are_filed_under_devices_first() {
        let mut types: Vec<_> = (0..10).map(IdentifierType).collect();
        types.sort_by_key(|r#type| r#type.timeline_rank());
        let names: Vec<_> = types.iter().map(|r#type| r#type.name()).collect();
        assert_eq!(
            names[..5],
            [
                "device_id",
                "anonymous_id",
                "advertising_id",
                "push_token",
                "user_id"
            ]
        );
    }
}
