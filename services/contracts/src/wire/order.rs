//! Orders and e-mails, and the claims that events lay on them.

use serde::{Deserialize, Serialize};
use tributary_core::ids::{ProfileId, SessionId};
use tributary_core::money::Amount;
use tributary_core::time::Timestamp;

super::message!(
    Claim = "claim",
    EmailClaim = "email_claim",
    OrderState = "order"
);

/// An order as known now, counted once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderState<'a> {
    /// The tenant.
    pub workspace: &'a str,
    /// Namespace of the order id.
    pub order_namespace: &'a str,
    /// Order id.
    pub order_id: &'a str,
    /// ISO 4217.
    pub currency: &'a str,
    /// Order total before refunds.
    pub total: Amount,
    /// Refunds so far, at most the total.
    pub refunded: Amount,
    /// Margin where stated.
    pub margin: Option<Amount>,
    /// Event time of the touchpoint that counts.
    pub ordered_at: Timestamp,
    /// Its message id.
    pub message_id: &'a str,
    /// Type of the identifier the event is filed under.
    pub timeline_type: &'a str,
    /// Its normalised value.
    pub timeline_value: &'a str,
    /// Its channel.
    pub channel: &'a str,
    /// Its source.
    pub source: &'a str,
    /// Of its session's first touchpoint.
    pub traffic_source: &'a str,
    /// Of its session's first touchpoint.
    pub campaign: &'a str,
    /// Its store.
    pub store: &'a str,
    /// Its device type.
    pub device_type: &'a str,
    /// Its session.
    pub session_id: Option<SessionId>,
    /// Whose it is.
    pub profile_id: Option<ProfileId>,
    /// Whether it was cancelled.
    pub cancelled: bool,
    /// Order events that claimed this order.
    pub claims: i64,
    /// Grows with each change.
    pub revision: i64,
    /// No longer an order.
    pub gone: bool,
}

/// One event's claim on an order, under its present owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim<'a> {
    /// The tenant.
    pub workspace: &'a str,
    /// Namespace.
    pub order_namespace: &'a str,
    /// Order id.
    pub order_id: &'a str,
    /// What the event says.
    pub kind: ClaimKind,
    /// Message id.
    pub message_id: &'a str,
    /// Type of the identifier the event is filed under.
    pub timeline_type: &'a str,
    /// Its normalised value.
    pub timeline_value: &'a str,
    /// Event time.
    pub occurred_at: Timestamp,
    /// ISO 4217.
    pub currency: &'a str,
    /// Amount.
    pub total: Option<Amount>,
    /// Margin.
    pub margin: Option<Amount>,
    /// Channel.
    pub channel: &'a str,
    /// Source.
    pub source: &'a str,
    /// Of the session's first touchpoint.
    pub traffic_source: &'a str,
    /// Of the session's first touchpoint.
    pub campaign: &'a str,
    /// Store.
    pub store: &'a str,
    /// Device type.
    pub device_type: &'a str,
    /// Its session as known now.
    pub session_id: Option<SessionId>,
    /// Its owner as known now.
    pub profile_id: Option<ProfileId>,
    /// Withdrawn.
    pub gone: bool,
    /// Products of the event, each once, by id.
    #[serde(borrow, default)]
    pub products: Vec<ProductAmount<'a>>,
}

/// What of an amount is a product's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductAmount<'a> {
    /// Product id.
    pub product_id: &'a str,
    /// How much.
    pub amount: Amount,
}

/// See the schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClaimKind {
    /// `placed`.
    #[default]
    Placed,
    /// `refunded`.
    Refunded,
    /// `cancelled`.
    Cancelled,
}

/// One event's word on an e-mail to one recipient, under its present owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailClaim<'a> {
    /// The tenant.
    pub workspace: &'a str,
    /// The message that was sent.
    pub email_id: &'a str,
    /// Type of the identifier that it was sent to.
    pub recipient_type: &'a str,
    /// Its normalised value.
    pub recipient_value: &'a str,
    /// What the event says.
    pub kind: EmailClaimKind,
    /// Message id.
    pub message_id: &'a str,
    /// Type of the identifier the event is filed under.
    pub timeline_type: &'a str,
    /// Its normalised value.
    pub timeline_value: &'a str,
    /// Event time.
    pub occurred_at: Timestamp,
    /// Campaign.
    pub campaign: &'a str,
    /// Its owner as known now.
    pub profile_id: Option<ProfileId>,
    /// Withdrawn.
    pub gone: bool,
}

/// See the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EmailClaimKind {
    /// `sent`.
    Sent,
    /// `delivered`.
    Delivered,
    /// `bounced`.
    Bounced,
    /// `opened`.
    Opened,
    /// `prefetched`.
    Prefetched,
    /// `clicked`.
    Clicked,
    /// `unsubscribed`.
    Unsubscribed,
}
