//! Profiles, and the atoms they are folded from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tributary_core::ids::ProfileId;
use tributary_core::money::Amount;
use tributary_core::time::Timestamp;

super::message!(Atom = "atom", Profile = "profile");

/// A dated fact with one owner, from which a profile is folded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Atom<'a> {
    /// The tenant.
    pub workspace: &'a str,
    /// The owner.
    pub profile_id: ProfileId,
    /// Kind and id of the fact.
    pub atom_id: &'a str,
    /// Grows with each change.
    pub revision: i64,
    /// The fact; none where it is gone.
    #[serde(borrow)]
    pub body: Option<AtomBody<'a>>,
}

/// What an atom holds. A branch of a union is read under its full name and written under its short one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AtomBody<'a> {
    /// A session.
    #[serde(borrow, alias = "tributary.v1.SessionAtom")]
    SessionAtom(SessionAtom<'a>),
    /// Passive touchpoints of a timeline.
    #[serde(borrow, alias = "tributary.v1.PassiveAtom")]
    PassiveAtom(PassiveAtom<'a>),
    /// An order.
    #[serde(borrow, alias = "tributary.v1.OrderAtom")]
    OrderAtom(OrderAtom<'a>),
    /// An identifier.
    #[serde(borrow, alias = "tributary.v1.IdentifierAtom")]
    IdentifierAtom(IdentifierAtom<'a>),
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionAtom<'a> {
    /// Type of the timeline.
    pub timeline_type: &'a str,
    /// Value of the timeline.
    pub timeline_value: &'a str,
    /// Event time of the first touchpoint.
    pub started_at: Timestamp,
    /// Event time of the last touchpoint.
    pub ended_at: Timestamp,
    /// Active touchpoints in it.
    pub touchpoints: i64,
    /// Page and screen views.
    pub views: i64,
    /// Of the first touchpoint.
    pub channel: &'a str,
    /// Of the first touchpoint.
    pub traffic_source: &'a str,
    /// Of the first touchpoint.
    pub campaign: &'a str,
    /// Of the first touchpoint.
    pub store: &'a str,
    /// Of the first touchpoint.
    pub device_type: &'a str,
    /// Of the first touchpoint.
    pub source: &'a str,
    /// Events of each configured goal, by the goal's name; goals without an event are left out.
    #[serde(borrow)]
    pub goals: BTreeMap<&'a str, i64>,
    /// Active minutes, one entry for each (channel, store, device type), sorted by them.
    #[serde(borrow)]
    pub activity: Vec<ChannelActivity<'a>>,
    /// Traits stated in it.
    #[serde(borrow)]
    pub traits: Vec<Trait<'a>>,
}

/// When it was active on a channel, in a store, with a device type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelActivity<'a> {
    /// Channel of these touchpoints.
    pub channel: &'a str,
    /// Store of these touchpoints; empty outside stores.
    pub store: &'a str,
    /// Device type of these touchpoints; empty where unknown.
    pub device_type: &'a str,
    /// Active minutes, ascending, no minute twice.
    pub minutes: Vec<MinuteRun>,
}

/// Consecutive active minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinuteRun {
    /// Minute since 1970 (rounded up: the first minute mark at or after the touchpoint).
    pub first: i64,
    /// How many.
    pub length: i64,
}

/// A trait as stated last in the session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trait<'a> {
    /// Name.
    pub name: &'a str,
    /// JSON value.
    pub value: &'a str,
    /// When.
    pub occurred_at: Timestamp,
    /// On which message.
    pub message_id: &'a str,
}

/// Passive touchpoints of a timeline's page that belong to the profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassiveAtom<'a> {
    /// Type of the timeline.
    pub timeline_type: &'a str,
    /// Value of the timeline.
    pub timeline_value: &'a str,
    /// How many.
    pub touchpoints: i64,
    /// Event time of the first.
    pub first_seen: Timestamp,
    /// Traits stated by syncs.
    #[serde(borrow)]
    pub traits: Vec<Trait<'a>>,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderAtom<'a> {
    /// When it counts.
    pub ordered_at: Timestamp,
    /// ISO 4217.
    pub currency: &'a str,
    /// Total before refunds.
    pub total: Amount,
    /// Margin.
    pub margin: Option<Amount>,
    /// Channel.
    pub channel: &'a str,
    /// Traffic source.
    pub traffic_source: &'a str,
    /// Campaign.
    pub campaign: &'a str,
    /// Store.
    pub store: &'a str,
    /// Device type.
    pub device_type: &'a str,
    /// Refunds, in order of time.
    pub refunds: Vec<Refund>,
}

/// Money given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// When.
    pub refunded_at: Timestamp,
    /// How much.
    pub amount: Amount,
}

/// An identifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentifierAtom<'a> {
    /// Type.
    pub r#type: &'a str,
    /// Value.
    pub value: &'a str,
}

/// A customer as known now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile<'a> {
    /// The tenant.
    pub workspace: &'a str,
    /// Profile id.
    pub profile_id: ProfileId,
    /// Highest first.
    #[serde(borrow)]
    pub identifiers: Vec<ProfileIdentifier<'a>>,
    /// Traits as a JSON object, each as stated last.
    pub traits: &'a str,
    /// First active touchpoint.
    pub first_seen: Option<Timestamp>,
    /// Last active touchpoint.
    pub last_seen: Option<Timestamp>,
    /// Sessions.
    pub sessions: i64,
    /// Touchpoints, active and passive.
    pub touchpoints: i64,
    /// Orders.
    pub orders: i64,
    /// Order totals less refunds, by currency.
    #[serde(borrow)]
    pub revenue: BTreeMap<&'a str, Amount>,
    /// Channels of active touchpoints.
    #[serde(borrow)]
    pub channels: Vec<&'a str>,
    /// Grows with each change.
    pub revision: i64,
    /// No longer a profile: all it held is another's.
    pub gone: bool,
}

/// An identifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileIdentifier<'a> {
    /// Type.
    pub r#type: &'a str,
    /// Value.
    pub value: &'a str,
}
