//! Atoms: dated facts with one owner.

use crate::email::Outcome;
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
    /// What further touchpoints of a session hold.
    Part(Part<'a>),
    /// Passive touchpoints of one timeline.
    Passive(Passive<'a>),
    /// An order.
    Order(Order<'a>),
    /// Money given back of an order.
    Refund(Refund<'a>),
    /// An identifier.
    Identifier(Identifier<'a>),
    /// What a source says of itself.
    Source(Source<'a>),
    /// An e-mail to one recipient.
    Email(Email<'a>),
}

/// What is said in an atom, in order of time, and the timeline it is filed under.
pub(super) fn said<'m, 'a>(atom: Option<&'m Atom<'a>>) -> (&'m [Moment<'a>], (&'a str, &'a str)) {
    match atom {
        Some(Atom::Session(session)) => (&session.moments, session.timeline),
        Some(Atom::Part(part)) => (&part.moments, part.timeline),
        Some(Atom::Passive(passive)) => (&passive.moments, passive.timeline),
        Some(Atom::Source(source)) => (&source.moments, source.timeline),
        Some(Atom::Order(_) | Atom::Refund(_) | Atom::Identifier(_) | Atom::Email(_)) | None => {
            (&[], ("", ""))
        }
    }
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

/// A session, with what its first touchpoints hold: all of them, or those of which no [`Part`] tells.
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
    /// What it states of its customer.
    pub stated: Stated<'a>,
    /// What its touchpoints say, in order of time.
    pub moments: Vec<Moment<'a>>,
}

/// What further touchpoints of a session hold. How a session comes in parts makes no difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Type and value of the identifier its events are filed under.
    pub timeline: (&'a str, &'a str),
    /// Traffic source of the session's first touchpoint.
    pub source: &'a str,
    /// Campaign of the session's first touchpoint.
    pub campaign: &'a str,
    /// When it was active where.
    pub activity: Vec<Activity<'a>>,
    /// What they state of their customer.
    pub stated: Stated<'a>,
    /// What they say, in order of time.
    pub moments: Vec<Moment<'a>>,
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
    /// Those with an event of a goal, by the goal.
    pub goals: Vec<(&'a str, Runs)>,
}

/// A value of a trait, as a source states it in a session or a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trait<'a> {
    /// Name.
    pub name: &'a str,
    /// JSON value.
    pub value: &'a str,
    /// Source that states it.
    pub source: &'a str,
    /// How often it is stated there.
    pub times: i64,
    /// When it is stated first, and on which message.
    pub first: (Timestamp, &'a str),
    /// When it is stated last.
    pub occurred_at: Timestamp,
    /// On which message.
    pub message_id: &'a str,
}

/// What touchpoints state of their customer, each value of each source once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stated<'a> {
    /// Traits.
    pub traits: Vec<Trait<'a>>,
    /// Purposes that are agreed to or refused: `true` or `false`.
    pub consents: Vec<Trait<'a>>,
    /// Groups that it belongs to.
    pub groups: Vec<Trait<'a>>,
}

/// Passive touchpoints of one timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passive<'a> {
    /// Type and value of the identifier its events are filed under.
    pub timeline: (&'a str, &'a str),
    /// How many.
    pub touchpoints: i64,
    /// Event time of the first.
    pub first_seen: Timestamp,
    /// What they state of their customer.
    pub stated: Stated<'a>,
    /// What they say, in order of time.
    pub moments: Vec<Moment<'a>>,
}

/// What a source says of itself: answers at a terminal that have no person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source<'a> {
    /// Type and value of the identifier its events are filed under.
    pub timeline: (&'a str, &'a str),
    /// What they say, in order of time.
    pub moments: Vec<Moment<'a>>,
}

/// What a touchpoint says beside that it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment<'a> {
    /// Event time.
    pub occurred_at: Timestamp,
    /// On which message.
    pub message_id: &'a str,
    /// Source and campaign of its session's first touchpoint, the rest its own.
    pub facets: Facets<'a>,
    /// What it says.
    pub said: Said<'a>,
}

/// What is said at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said<'a> {
    /// An answer to a question.
    Answer(Answer<'a>),
    /// An event of the goal `lead`, and whether it makes its profile a lead.
    Lead(bool),
    /// Loyalty points earned, or with less than 0 redeemed or expired.
    Points(Amount),
    /// Money spent on advertising, and its currency.
    Spend(Amount, &'a str),
    /// What a social network counts of an account or of a post.
    Report(Report<'a>),
    /// Somebody spoke of the brand.
    Mention(Mention<'a>),
}

/// What a social network counts of an account or of a post, up to the moment. Each count is of the thing that the atom's
/// owner stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report<'a> {
    /// What it is by.
    pub social: Social<'a>,
    /// Followers of an account.
    pub followers: Option<i64>,
    /// Different people who saw a post.
    pub reach: Option<i64>,
    /// How often a post was seen.
    pub impressions: Option<i64>,
    /// Likes, shares, comments and clicks of a post.
    pub engagement: Option<i64>,
}

/// What social KPIs are broken down by; empty where unknown, and then no row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Social<'a> {
    /// Network.
    pub network: &'a str,
    /// Post.
    pub post: &'a str,
    /// Influencer.
    pub influencer: &'a str,
}

impl<'a> Social<'a> {
    /// The whole, and each dimension that has a value.
    pub(super) fn rows(self) -> impl Iterator<Item = (Dimension, &'a str)> {
        [
            (Dimension::Whole, ""),
            (Dimension::Network, self.network),
            (Dimension::Post, self.post),
            (Dimension::Influencer, self.influencer),
        ]
        .into_iter()
        .filter(|(dimension, value)| *dimension == Dimension::Whole || !value.is_empty())
    }
}

/// Somebody spoke of the brand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mention<'a> {
    /// Where, and who.
    pub social: Social<'a>,
    /// Positive, neutral or negative.
    pub sentiment: &'a str,
}

/// An answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Its number among the answers on its event.
    pub number: u32,
    /// Id of the question.
    pub question: &'a str,
    /// What it measures, and the note.
    pub note: Option<Note>,
    /// Free text.
    pub comment: &'a str,
    /// Product it is about.
    pub product: &'a str,
    /// Touchpoint it is about.
    pub touchpoint: &'a str,
}

/// A note on its scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Note {
    /// Recommendation, 0 to 10.
    Nps(u8),
    /// Recommendation, 1 to 10: never pooled with the other.
    NpsFromOne(u8),
    /// How satisfied the customer is, 1 to 5.
    Stars(u8),
    /// Whether the customer is satisfied.
    YesNo(bool),
    /// Effort, from 1 (low) to 5 (high).
    Ces(u8),
}

impl Note {
    /// Of an answer on satisfaction whether the customer is: yes of yes and no, 4 and 5 of 1 to 5.
    #[must_use]
    pub const fn is_satisfied(self) -> bool {
        matches!(self, Self::Stars(4..) | Self::YesNo(true))
    }

    /// What an answer of that aspect and scale notes; none for what no KPI knows: another aspect, or a scale that is not
    /// the aspect's.
    #[must_use]
    pub fn of(aspect: &str, scale: &str, value: Amount) -> Option<Self> {
        let whole = (0..=10).find(|whole| Amount::from_units(i64::from(*whole)) == value)?;
        match (aspect, scale, whole) {
            ("nps", "0-10", _) => Some(Self::Nps(whole)),
            ("nps", "1-10", 1..) => Some(Self::NpsFromOne(whole)),
            ("csat", "yes-no", 0..=1) => Some(Self::YesNo(whole == 1)),
            ("csat", "1-5", 1..=5) => Some(Self::Stars(whole)),
            ("ces", "1-5", 1..=5) => Some(Self::Ces(whole)),
            _ => None,
        }
    }
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
    /// Its products, each once.
    pub products: Vec<Product<'a>>,
    /// Message id of the touchpoint that counts.
    pub message_id: &'a str,
    /// Type and value of the identifier that it is filed under.
    pub timeline: (&'a str, &'a str),
}

/// An e-mail to one recipient, at the time when it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Email<'a> {
    /// When it counts.
    pub sent_at: Timestamp,
    /// Campaign.
    pub campaign: &'a str,
    /// What became of it.
    pub outcome: Outcome,
}

/// A product of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Product<'a> {
    /// Product id.
    pub id: &'a str,
    /// What its lines come to.
    pub amount: Amount,
    /// Its part of the order's margin, where that states one.
    pub margin: Option<Amount>,
}

/// Money given back of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund<'a> {
    /// When.
    pub refunded_at: Timestamp,
    /// ISO 4217; without one it counts nowhere.
    pub currency: &'a str,
    /// How much.
    pub amount: Amount,
    /// Dimensions of the order.
    pub facets: Facets<'a>,
    /// How much of it for which product.
    pub products: Vec<(&'a str, Amount)>,
}

/// An identifier: ordered highest first, types that are not built in after those that are, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identifier<'a> {
    /// Type.
    pub r#type: &'a str,
    /// Normalised value.
    pub value: &'a str,
    /// Whether it names a person.
    pub is_person: bool,
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
