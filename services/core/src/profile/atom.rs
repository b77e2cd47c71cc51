//! Atoms: dated facts with one owner.

use crate::identifier::IdentifierType;
use crate::kpi::Dimension;
use crate::money::Amount;
use crate::time::Timestamp;

use super::runs::Runs;

/// A dated fact with one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Atom<'a> {
    /// A session.
    Session(Session<'a>),
    /// Passive touchpoints of one timeline.
    Passive(Passive<'a>),
    /// An order.
    Order(Order<'a>),
    /// An identifier.
    Identifier(Identifier<'a>),
}

/// What KPIs are broken down by; empty where unknown, and then no row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facets<'a> {
    /// Channel.
    pub channel: &'a str,
    /// Traffic source.
    pub source: &'a str,
    /// Campaign.
    pub campaign: &'a str,
    /// Device type.
    pub device_type: &'a str,
    /// Store.
    pub store: &'a str,
}

impl<'a> Facets<'a> {
    /// The whole, and each dimension that has a value.
    pub fn rows(self) -> impl Iterator<Item = (Dimension, &'a str)> {
        [
            (Dimension::Whole, ""),
            (Dimension::Channel, self.channel),
            (Dimension::Source, self.source),
            (Dimension::Campaign, self.campaign),
            (Dimension::DeviceType, self.device_type),
            (Dimension::Store, self.store),
        ]
        .into_iter()
        .filter(|(dimension, value)| *dimension == Dimension::Whole || !value.is_empty())
    }
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session<'a> {
    /// Type and value of the identifier its events are filed under.
    pub timeline: (&'a str, &'a str),
    /// Event time of the first touchpoint.
    pub started_at: Timestamp,
    /// Event time of the last touchpoint.
    pub ended_at: Timestamp,
    /// Active touchpoints in it.
    pub touchpoints: i64,
    /// Of the first touchpoint.
    pub facets: Facets<'a>,
    /// Page and screen views in it.
    pub views: i64,
    /// Goals with at least one event in it, sorted, each with how many.
    pub goals: Vec<(&'a str, i64)>,
    /// When it was active where.
    pub activity: Vec<Activity<'a>>,
    /// Traits as stated last in it.
    pub traits: Vec<Trait<'a>>,
}

/// Active minutes of a session on one channel, in one store, with one device type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity<'a> {
    /// Channel of these touchpoints.
    pub channel: &'a str,
    /// Their store.
    pub store: &'a str,
    /// Their device type.
    pub device_type: &'a str,
    /// Their minutes, as [`minute_of`](crate::kpi::minute_of) counts them.
    pub minutes: Runs,
}

/// A trait as stated last in a session or a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// Passive touchpoints of one timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passive<'a> {
    /// Type and value of the identifier its events are filed under.
    pub timeline: (&'a str, &'a str),
    /// How many.
    pub touchpoints: i64,
    /// Traits as stated last in them.
    pub traits: Vec<Trait<'a>>,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order<'a> {
    /// When it counts.
    pub ordered_at: Timestamp,
    /// ISO 4217; without one its amounts count nowhere.
    pub currency: &'a str,
    /// Total before refunds.
    pub total: Amount,
    /// Margin, where one is stated.
    pub margin: Option<Amount>,
    /// Its dimensions, which its refunds share.
    pub facets: Facets<'a>,
    /// Money given back.
    pub refunds: Vec<Refund>,
}

/// Money given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refund {
    /// When.
    pub refunded_at: Timestamp,
    /// How much.
    pub amount: Amount,
}

/// An identifier: ordered highest first, types that are not built in after those that are, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identifier<'a> {
    /// Type.
    pub r#type: &'a str,
    /// Normalised value.
    pub value: &'a str,
}

impl<'a> Identifier<'a> {
    /// By what identifiers are ordered.
    pub(super) fn rank(self) -> (u8, &'a str, &'a str) {
        (
            IdentifierType::built_in(self.r#type).map_or(u8::MAX, |r#type| r#type.0),
            self.r#type,
            self.value,
        )
    }
}
