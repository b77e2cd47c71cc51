use std::collections::BTreeSet;

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

/// The rules of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Version of these rules; every decision carries it.
    pub version: i64,
    /// How many identifiers of a type one profile may hold, by rank of the type.
    pub limits: [u32; 10],
    /// An identifier linked to more different values of one person type than this is a hub.
    pub hub_above: u32,
    /// Values that are taken from every event's identifiers.
    pub blocked: BTreeSet<Identifier>,
    /// Values that are blocked whatever their type, in lower case.
    pub blocked_values: BTreeSet<String>,
    /// Whether a device may join two persons.
    pub device_bridges: bool,
    /// Whose a session without a login is on a shared device.
    pub shared_devices: SharedDevices,
    /// Whether both ends of a link must have agreed to stitching.
    pub consent_required: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            version: 1,
            limits: [1, 1, 3, 5, 5, 10, 20, 100, 20, 20],
            hub_above: 10,
            blocked: BTreeSet::new(),
            blocked_values: BTreeSet::new(),
            device_bridges: false,
            shared_devices: SharedDevices::Nearest,
            consent_required: false,
        }
    }
}

impl Rules {
    /// Whether the identifier is taken from every event.
    #[must_use]
    pub fn blocks(&self, identifier: &Identifier) -> bool {
        self.blocked.contains(identifier)
            || (!self.blocked_values.is_empty()
                && self
                    .blocked_values
                    .contains(&identifier.value.to_lowercase()))
    }

    /// How many of a type one profile may hold.
    #[must_use]
    pub fn limit(&self, r#type: IdentifierType) -> u32 {
        self.limits[usize::from(r#type.0)]
    }

    /// Whether an identifier of that type can be a hub: `user_id` and `crm_id` never are.
    #[must_use]
    pub fn can_be_hub(&self, r#type: IdentifierType) -> bool {
        r#type != IdentifierType::USER_ID && r#type != IdentifierType::CRM_ID
    }
}
