//! Who is who: profiles as a pure function of the set of links and operations (the rules of IDENTITY.md).
//!
//! ```text
//! observations ─┬> Graph (identifiers, links) ──settle──> each identifier's profile, hubs, refusals
//! operations ───┘     │                                    │
//!                     │  marks what is touched               │
//!                     └── profile by profile, in the         └── returns what changed, so that whoever
//!                         canonical order, what is               depends on it decides again
//!                         large in slices (`work`)
//! ```
//!
//! The result depends on the set alone: not on the order in which links arrived, nor on when an operation was entered.

mod consents;
mod graph;
mod groups;
mod operations;
mod profiles;
mod resolver;
mod rows;
mod rules;
mod runs;
mod sliced;
mod snapshot;
mod store;
mod types;

pub use graph::{Changes, Graph};
pub use operations::{Blocked, Operation};
pub use rules::{NoPattern, Pattern, Rules, SharedDevices, Strangers};
pub use snapshot::{NoSnapshot, Restoring, SnapshotHead};
pub use store::{LinkId, NodeId, Observation, SourceId};
pub use types::{NoTypes, Normalisation, TypeRule, Types};

use crate::identifier::IdentifierType;

/// Why a usable link joins nobody; the first in this order is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// One of its ends is linked to too many persons.
    Hub,
    /// The joint profile would hold too many identifiers of this type.
    Limit(IdentifierType),
    /// The joint profile would hold a pair that is to be kept separate.
    Separated,
    /// A device does not join two that hold a person each.
    DeviceBridge,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Hub => formatter.write_str("hub"),
            Self::Limit(r#type) => write!(formatter, "limit {}", r#type.name()),
            Self::Separated => formatter.write_str("separated"),
            Self::DeviceBridge => formatter.write_str("device bridge"),
        }
    }
}
