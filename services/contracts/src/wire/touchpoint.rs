//! Touchpoints, as received and as resolved, and dead letters.

use serde::{Deserialize, Serialize};
use tributary_core::ids::{ProfileId, SessionId};
use tributary_core::money::Amount;
use tributary_core::time::Timestamp;

mod framed;

super::message!(
    Touchpoint = "touchpoint",
    ResolvedTouchpoint = "resolved_touchpoint",
    DeadLetter = "dead_letter"
);

/// The bits of [`Identifier::flags`].
pub mod identifier_flags {
    /// Left out as a placeholder (empty, `null`, only zeros and hyphens, ...): has no value.
    pub const PLACEHOLDER: i32 = 1;
    /// Left out above 20 identifiers an event: has no value.
    pub const BEYOND_LIMIT: i32 = 2;
    /// Kept as sent though it could not be normalised: a phone without country.
    pub const NOT_NORMALISED: i32 = 4;
    /// Left out as longer than 512 bytes: has no value.
    pub const TOO_LONG: i32 = 8;

    /// All of them, with their names in tables and metrics.
    pub const ALL: [(i32, &str); 4] = [
        (PLACEHOLDER, "placeholder"),
        (BEYOND_LIMIT, "beyond_limit"),
        (NOT_NORMALISED, "not_normalised"),
        (TOO_LONG, "too_long"),
    ];
}

/// One event between a customer and the brand, as ingest understood it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touchpoint<'a> {
    /// The tenant.
    pub workspace: &'a str,
    /// The sender's id of this message; unique on its timeline.
    pub message_id: &'a str,
    /// Track, identify, page, screen, group or alias; a reader keeps one it does not know.
    pub r#type: &'a str,
    /// Name of a track event, of a page or of a screen; empty where there is none.
    pub event: &'a str,
    /// Web, app, store, email, sms, push, postal, social, ads, event, review, call_center, chatbot, voice, iot, server; more may come.
    pub channel: &'a str,
    /// Name of the source that sent it.
    pub source: &'a str,
    /// Within which order ids are unique: online, store or as the source is configured.
    pub order_namespace: &'a str,
    /// Who it speaks of: a customer, or the source itself (spend, followers, an answer at a terminal).
    pub subject: Subject,
    /// Active: the customer did it; passive: the brand or a machine did.
    pub activity: Activity,
    /// Sent by a bot, by its user agent: stored, but it has no owner and makes no link, session, order or KPI.
    pub bot: bool,
    /// From a source declared historic: its times are not corrected and its messages are known for as long as they are kept.
    pub historic: bool,
    /// Whether the source might make links by ingest's configuration; the rules decide.
    pub may_link: bool,
    /// Event time: computed once from this message alone.
    pub occurred_at: Timestamp,
    /// When ingest read the request.
    pub received_at: Timestamp,
    /// The client's sentAt, as sent.
    pub sent_at: Option<Timestamp>,
    /// The client's timestamp or originalTimestamp, as sent.
    pub original_timestamp: Option<Timestamp>,
    /// What was added to the client's time to get the event time, besides clamping; 0 for a clock within 5 minutes.
    pub clock_correction_ms: i64,
    /// Type of the identifier the event is filed under.
    pub timeline_type: &'a str,
    /// Its normalised value.
    pub timeline_value: &'a str,
    /// Highest first; at most 20 with a value.
    #[serde(borrow)]
    pub identifiers: Vec<Identifier<'a>>,
    /// Decisions stated on this event.
    #[serde(borrow)]
    pub consents: Vec<Consent<'a>>,
    /// Desktop, mobile, tablet, tv, till or other; empty where unknown.
    pub device_type: &'a str,
    /// Id of the store; empty outside stores.
    pub store: &'a str,
    /// How this touchpoint was reached: utm source and medium, else the click id's network, else the referrer's class, else direct.
    pub traffic_source: &'a str,
    /// The campaign that brought it.
    #[serde(borrow)]
    pub campaign: Campaign<'a>,
    /// Page address; empty where there is none.
    pub url: &'a str,
    /// Referring address; empty where there is none.
    pub referrer: &'a str,
    /// Of a group call; else empty.
    pub group_id: &'a str,
    /// Present on order events only.
    #[serde(borrow)]
    pub order: Option<Order<'a>>,
    /// Answers given on this event.
    #[serde(borrow)]
    pub answers: Vec<Answer<'a>>,
    /// Traits as a JSON object, as sent; empty where there are none.
    pub traits: &'a str,
    /// Properties as a JSON object, as sent; empty where there are none.
    pub properties: &'a str,
    /// Context as a JSON object, as sent but for a truncated ip; empty where there is none.
    pub context: &'a str,
}

/// See the schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// `customer`.
    #[default]
    Customer,
    /// `source`.
    Source,
}

/// See the schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activity {
    /// `active`.
    #[default]
    Active,
    /// `passive`.
    Passive,
}

/// An identifier of the event, raw and normalised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identifier<'a> {
    /// User_id, crm_id, loyalty_card, email, phone, social_handle, device_id, anonymous_id, advertising_id or push_token.
    pub r#type: &'a str,
    /// Normalised value; empty where it was left out (see flags).
    pub value: &'a str,
    /// As sent; empty where it equals the value.
    pub raw: &'a str,
    /// Bits: 1 left out as a placeholder, 2 left out above 20 identifiers, 4 kept though it could not be normalised (a phone without country), 8 left out as longer than 512 bytes.
    pub flags: i32,
}

/// A decision by purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent<'a> {
    /// Analytics, marketing, stitching, ....
    pub purpose: &'a str,
    /// Given or refused.
    pub granted: bool,
}

/// Utm parameters, or context.campaign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Campaign<'a> {
    /// Utm_campaign; empty where there is none.
    pub name: &'a str,
    /// Utm_source; empty where there is none.
    pub source: &'a str,
    /// Utm_medium; empty where there is none.
    pub medium: &'a str,
    /// Utm_term; empty where there is none.
    pub term: &'a str,
    /// Utm_content; empty where there is none.
    pub content: &'a str,
}

/// What an order event says of its order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order<'a> {
    /// What happened to the order.
    pub kind: OrderKind,
    /// The order's id within its namespace; the message id where none was sent.
    pub order_id: &'a str,
    /// ISO 4217, upper case; the workspace's where none was sent.
    pub currency: &'a str,
    /// Amount: total, else revenue, else value; of a refund what is given back; null where none was sent.
    pub total: Option<Amount>,
    /// Margin of the order, where one is stated.
    pub margin: Option<Amount>,
    /// Products, as sent.
    #[serde(borrow)]
    pub lines: Vec<OrderLine<'a>>,
}

/// See the schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderKind {
    /// `placed`.
    #[default]
    Placed,
    /// `refunded`.
    Refunded,
    /// `cancelled`.
    Cancelled,
}

/// A product of the order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine<'a> {
    /// Product id, else sku.
    pub product_id: &'a str,
    /// Stock keeping unit.
    pub sku: &'a str,
    /// Product name.
    pub name: &'a str,
    /// Category.
    pub category: &'a str,
    /// Brand.
    pub brand: &'a str,
    /// Variant.
    pub variant: &'a str,
    /// Coupon on this line.
    pub coupon: &'a str,
    /// Pieces; 1 where none was sent.
    pub quantity: Amount,
    /// Price of a piece.
    pub price: Option<Amount>,
}

/// An answer to a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer<'a> {
    /// Id of the question.
    pub question_id: &'a str,
    /// The question as asked.
    pub wording: &'a str,
    /// Touchpoint or relation.
    pub kind: &'a str,
    /// Nps, csat, ces or as the survey names it.
    pub aspect: &'a str,
    /// 0-10, 1-10, 1-5, yes-no.
    pub scale: &'a str,
    /// The note; null for a comment alone.
    pub value: Option<Amount>,
    /// Free text.
    pub comment: &'a str,
    /// Product it is about.
    pub product: &'a str,
    /// Touchpoint it is about, by a name that the survey gives it.
    #[serde(default)]
    pub touchpoint: &'a str,
}

/// A touchpoint with its owner as known when it was received; the touchpoint's bytes stand last, unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedTouchpoint<'a> {
    /// The session it is in; null for passive touchpoints, bots and sources.
    pub session_id: Option<SessionId>,
    /// The profile it belongs to; null where nobody owns it.
    pub profile_id: Option<ProfileId>,
    /// Offset in the links log up to which links were known.
    pub links_offset: i64,
    /// The touchpoint.
    #[serde(borrow)]
    pub touchpoint: Touchpoint<'a>,
}

/// An event that could not be used, whole, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter<'a> {
    /// The tenant.
    pub workspace: &'a str,
    /// Source that sent it.
    pub source: &'a str,
    /// Ingest, observe, once, profile, kpi or sink.
    pub stage: &'a str,
    /// Typed, of few values.
    pub reason: &'a str,
    /// Which field and how to mend it; no personal data.
    pub detail: &'a str,
    /// Where known.
    pub message_id: &'a str,
    /// When it was received.
    pub received_at: Timestamp,
    /// The event as received.
    #[serde(with = "serde_bytes", borrow)]
    pub payload: &'a [u8],
    /// Topic it was read from; empty at ingest.
    pub topic: &'a str,
    /// -1 at ingest.
    pub partition: i32,
    /// -1 at ingest.
    pub offset: i64,
}
