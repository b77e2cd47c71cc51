//! Profiles, and the atoms they are folded from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tributary_core::ids::ProfileId;
use tributary_core::money::Amount;
use tributary_core::time::Timestamp;

use super::ProductAmount;

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
    /// What a source says of itself.
    #[serde(borrow, alias = "tributary.v1.SourceAtom")]
    SourceAtom(SourceAtom<'a>),
    /// An e-mail.
    #[serde(borrow, alias = "tributary.v1.EmailAtom")]
    EmailAtom(EmailAtom<'a>),
    /// What further touchpoints of a session hold.
    #[serde(borrow, alias = "tributary.v1.SessionPartAtom")]
    SessionPartAtom(SessionPartAtom<'a>),
    /// Money given back of an order.
    #[serde(borrow, alias = "tributary.v1.RefundAtom")]
    RefundAtom(RefundAtom<'a>),
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
    /// What its touchpoints say, in order of time.
    #[serde(borrow, default)]
    pub moments: Vec<Moment<'a>>,
    /// Purposes that are agreed to or refused: `true` or `false`.
    #[serde(borrow, default)]
    pub consents: Vec<Trait<'a>>,
    /// Groups that the customer belongs to.
    #[serde(borrow, default)]
    pub groups: Vec<Trait<'a>>,
}

/// What further touchpoints of a session hold: a long session comes in parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionPartAtom<'a> {
    /// Type of the timeline.
    pub timeline_type: &'a str,
    /// Value of the timeline.
    pub timeline_value: &'a str,
    /// Of the session's first touchpoint.
    pub traffic_source: &'a str,
    /// Of the session's first touchpoint.
    pub campaign: &'a str,
    /// Active minutes, one entry for each (channel, store, device type), sorted by them.
    #[serde(borrow)]
    pub activity: Vec<ChannelActivity<'a>>,
    /// Traits stated in it.
    #[serde(borrow)]
    pub traits: Vec<Trait<'a>>,
    /// What its touchpoints say, in order of time.
    #[serde(borrow)]
    pub moments: Vec<Moment<'a>>,
    /// Purposes that are agreed to or refused: `true` or `false`.
    #[serde(borrow)]
    pub consents: Vec<Trait<'a>>,
    /// Groups that the customer belongs to.
    #[serde(borrow)]
    pub groups: Vec<Trait<'a>>,
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
    /// Goals reached there, sorted by name.
    #[serde(borrow, default)]
    pub goals: Vec<GoalMinutes<'a>>,
}

/// When a goal was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoalMinutes<'a> {
    /// The goal's name.
    pub goal: &'a str,
    /// Minutes with an event of it, as active minutes are counted, ascending, no minute twice.
    pub minutes: Vec<i64>,
}

/// What a touchpoint says beside that it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment<'a> {
    /// Event time.
    pub occurred_at: Timestamp,
    /// On which message.
    pub message_id: &'a str,
    /// Channel of the touchpoint.
    pub channel: &'a str,
    /// Of its session's first touchpoint; outside sessions its own.
    pub traffic_source: &'a str,
    /// Of its session's first touchpoint; outside sessions its own.
    pub campaign: &'a str,
    /// Its store.
    pub store: &'a str,
    /// Its device type.
    pub device_type: &'a str,
    /// What it says.
    #[serde(borrow)]
    pub said: Said<'a>,
}

/// What is said at a moment. Branches are read under their full names, as those of [`AtomBody`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said<'a> {
    /// An answer to a question.
    #[serde(borrow, alias = "tributary.v1.AnswerGiven")]
    AnswerGiven(AnswerGiven<'a>),
    /// An event of the goal `lead`.
    #[serde(alias = "tributary.v1.LeadMade")]
    #[serde(borrow)]
    LeadMade(LeadMade<'a>),
    /// Loyalty points.
    #[serde(alias = "tributary.v1.PointsMoved")]
    PointsMoved(PointsMoved),
    /// Money spent on advertising.
    #[serde(borrow, alias = "tributary.v1.SpendReported")]
    SpendReported(SpendReported<'a>),
    /// What a social network counts.
    #[serde(borrow, alias = "tributary.v1.SocialReported")]
    SocialReported(SocialReported<'a>),
    /// Somebody spoke of the brand.
    #[serde(borrow, alias = "tributary.v1.BrandMentioned")]
    BrandMentioned(BrandMentioned<'a>),
}

/// An answer to a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerGiven<'a> {
    /// Id of the question.
    pub question_id: &'a str,
    /// Touchpoint or relation.
    pub kind: &'a str,
    /// Nps, csat, ces or as the survey names it.
    pub aspect: &'a str,
    /// 0-10, 1-10, 1-5, yes-no; empty for a comment alone.
    pub scale: &'a str,
    /// The note; none for a comment alone.
    pub value: Option<Amount>,
    /// Free text.
    pub comment: &'a str,
    /// Product it is about.
    pub product: &'a str,
    /// Touchpoint it is about.
    #[serde(default)]
    pub touchpoint: &'a str,
}

/// An event of the goal `lead`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadMade<'a> {
    /// Whether it is said to be qualified; true where nothing is said.
    pub qualified: bool,
    /// Whether anything is said of that.
    #[serde(default = "yes")]
    pub stated: bool,
    /// Source of the event.
    #[serde(default)]
    pub source: &'a str,
}

const fn yes() -> bool {
    true
}

/// Loyalty points earned, redeemed or expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointsMoved {
    /// More than 0 where they were earned, less where they were redeemed or expired.
    pub points: Amount,
}

/// Money spent on advertising.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpendReported<'a> {
    /// How much.
    pub amount: Amount,
    /// ISO 4217.
    pub currency: &'a str,
}

/// What a social network counts of an account or of a post.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocialReported<'a> {
    /// Network.
    pub network: &'a str,
    /// Id of the post; empty for an account.
    pub post: &'a str,
    /// Whose it is, where it is an influencer's.
    pub influencer: &'a str,
    /// Of the account.
    pub followers: Option<i64>,
    /// Different people who saw the post.
    pub reach: Option<i64>,
    /// How often it was seen.
    pub impressions: Option<i64>,
    /// Its likes, shares, comments and clicks.
    pub engagement: Option<i64>,
}

/// Somebody spoke of the brand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrandMentioned<'a> {
    /// Network.
    pub network: &'a str,
    /// Id of the post.
    pub post: &'a str,
    /// Who, where it is an influencer.
    pub influencer: &'a str,
    /// Positive, neutral or negative.
    pub sentiment: &'a str,
}

/// Consecutive active minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinuteRun {
    /// Minute since 1970 (rounded up: the first minute mark at or after the touchpoint).
    pub first: i64,
    /// How many.
    pub length: i64,
}

/// A value of a trait, as a source states it in the session or the passive touchpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trait<'a> {
    /// Name.
    pub name: &'a str,
    /// JSON value.
    pub value: &'a str,
    /// When it is stated last.
    pub occurred_at: Timestamp,
    /// On which message.
    pub message_id: &'a str,
    /// Source that states it.
    #[serde(default)]
    pub source: &'a str,
    /// How often it is stated there.
    #[serde(default = "once")]
    pub times: i64,
    /// When it is stated first; none in records of older versions: as last.
    #[serde(default)]
    pub first_at: Option<Timestamp>,
    /// On which message that was.
    #[serde(default)]
    pub first_message_id: &'a str,
}

const fn once() -> i64 {
    1
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
    /// What its touchpoints say, in order of time.
    #[serde(borrow, default)]
    pub moments: Vec<Moment<'a>>,
    /// Purposes that are agreed to or refused: `true` or `false`.
    #[serde(borrow, default)]
    pub consents: Vec<Trait<'a>>,
    /// Groups that the customer belongs to.
    #[serde(borrow, default)]
    pub groups: Vec<Trait<'a>>,
}

/// What a source says of itself on a page of its timeline: answers at a terminal that have no person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceAtom<'a> {
    /// Type of the timeline.
    pub timeline_type: &'a str,
    /// Value of the timeline.
    pub timeline_value: &'a str,
    /// What its events say, in order of time.
    #[serde(borrow)]
    pub moments: Vec<Moment<'a>>,
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
    /// Message id of the touchpoint that counts.
    #[serde(default)]
    pub message_id: &'a str,
    /// Type of the identifier that it is filed under.
    #[serde(default)]
    pub timeline_type: &'a str,
    /// Value of the identifier that it is filed under.
    #[serde(default)]
    pub timeline_value: &'a str,
    /// Its products, each once, by id.
    #[serde(borrow, default)]
    pub products: Vec<ProductSold<'a>>,
}

/// A product of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductSold<'a> {
    /// Product id.
    pub product_id: &'a str,
    /// What its lines come to.
    pub amount: Amount,
    /// Its part of the order's margin, where that states one.
    pub margin: Option<Amount>,
}

/// Money given back of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundAtom<'a> {
    /// When.
    pub refunded_at: Timestamp,
    /// ISO 4217.
    pub currency: &'a str,
    /// How much.
    pub amount: Amount,
    /// Of the order.
    pub channel: &'a str,
    /// Of the order.
    pub traffic_source: &'a str,
    /// Of the order.
    pub campaign: &'a str,
    /// Of the order.
    pub store: &'a str,
    /// Of the order.
    pub device_type: &'a str,
    /// What of it is of which product, by id.
    #[serde(borrow)]
    pub products: Vec<ProductAmount<'a>>,
}

/// An e-mail to one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailAtom<'a> {
    /// When it counts: when it was sent.
    pub sent_at: Timestamp,
    /// Campaign.
    pub campaign: &'a str,
    /// It did not come back.
    pub delivered: bool,
    /// It was opened, or a link in it followed.
    pub opened: bool,
    /// All of its opens were a mail client's own, and no link was followed.
    pub prefetched: bool,
    /// A link in it was followed.
    pub clicked: bool,
    /// Its recipient wants no more of them.
    pub unsubscribed: bool,
}

/// An identifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentifierAtom<'a> {
    /// Type.
    pub r#type: &'a str,
    /// Value.
    pub value: &'a str,
    /// Whether the rules say that it names a person; none in records of version 1: as the type is built in.
    #[serde(default)]
    pub person: Option<bool>,
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
    /// Orders by currency.
    #[serde(borrow, default)]
    pub spending: Vec<Spending<'a>>,
    /// Time of the first order.
    #[serde(default)]
    pub first_order: Option<Timestamp>,
    /// Time of the last order.
    #[serde(default)]
    pub last_order: Option<Timestamp>,
    /// Points earned less those redeemed and expired.
    #[serde(default)]
    pub loyalty_points: Amount,
    /// The last note of each aspect.
    #[serde(borrow, default)]
    pub last_answers: Vec<LastAnswer<'a>>,
    /// E-mails that it was sent; none in records of older versions.
    #[serde(default)]
    pub emails: Option<Emails>,
    /// How often it spoke of the brand on social networks.
    #[serde(default)]
    pub mentions: i64,
    /// Where each trait is from.
    #[serde(borrow, default)]
    pub provenance: Vec<Provenance<'a>>,
    /// The last decision on each purpose.
    #[serde(borrow, default)]
    pub consents: Vec<ProfileConsent<'a>>,
    /// Groups that it belongs to.
    #[serde(borrow, default)]
    pub groups: Vec<&'a str>,
    /// Its last statuses in the lifecycle, those to come too.
    #[serde(borrow, default)]
    pub statuses: Vec<Since<'a>>,
    /// Its last quadrants of attitude and repeat purchase, those to come too.
    #[serde(borrow, default)]
    pub quadrants: Vec<Since<'a>>,
}

/// Where a trait is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance<'a> {
    /// The trait.
    pub name: &'a str,
    /// Why this value.
    pub rule: &'a str,
    /// Source that stated it; of several the last.
    pub source: &'a str,
    /// When it did.
    pub occurred_at: Timestamp,
    /// On which message.
    pub message_id: &'a str,
}

/// A decision on a purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileConsent<'a> {
    /// What for.
    pub purpose: &'a str,
    /// Whether it is agreed to.
    pub granted: bool,
    /// When that was decided last.
    pub occurred_at: Timestamp,
    /// By which source.
    pub source: &'a str,
}

/// What holds from a time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since<'a> {
    /// What holds.
    pub what: &'a str,
    /// From when on.
    pub since: Timestamp,
}

/// E-mails that a customer was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emails {
    /// All of them.
    pub sent: i64,
    /// Those that did not come back.
    pub delivered: i64,
    /// Those that were opened, or a link in them followed.
    pub opened: i64,
    /// Those in which a link was followed.
    pub clicked: i64,
    /// Those upon which it wanted no more.
    pub unsubscribed: i64,
}

/// Orders in one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spending<'a> {
    /// ISO 4217.
    pub currency: &'a str,
    /// How many.
    pub orders: i64,
    /// Their totals before refunds.
    pub total: Amount,
    /// The margins that they state.
    pub margin: Amount,
}

/// The last note of an aspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastAnswer<'a> {
    /// Nps, csat or ces.
    pub aspect: &'a str,
    /// Of nps 0-10 or 1-10; of csat satisfied, 1 or 0; of ces 1-5.
    pub scale: &'a str,
    /// The note.
    pub value: i32,
    /// When it was given.
    pub occurred_at: Timestamp,
    /// What was said with it.
    pub comment: &'a str,
}

/// An identifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileIdentifier<'a> {
    /// Type.
    pub r#type: &'a str,
    /// Value.
    pub value: &'a str,
}
