//! An event as this stage keeps it.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use tributary_contracts::wire::{EmailClaimKind, Order, OrderKind, OrderLine};
use tributary_core::money::Amount;
use tributary_core::time::Timestamp;
use tributary_core::timeline::Activity;
use uuid::Uuid;

use super::listed::Listed;
use super::waiting;

/// An order event, as claimed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StoredOrder {
    /// 0 placed, 1 refunded, 2 cancelled.
    pub(super) kind: u8,
    pub(super) namespace: String,
    pub(super) order_id: String,
    pub(super) currency: String,
    pub(super) total: Option<i128>,
    pub(super) margin: Option<i128>,
    /// Product ids, each once, sorted, and what their lines come to.
    pub(super) products: Vec<(String, i128)>,
    /// Hash of the claim last sent; 0 for none.
    pub(super) claimed: u64,
}

/// What happened to an e-mail, as claimed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StoredEmail {
    pub(super) kind: EmailClaimKind,
    pub(super) email_id: String,
    pub(super) recipient_type: String,
    pub(super) recipient_value: String,
    pub(super) campaign: String,
    /// Hash of the claim last sent; 0 for none.
    pub(super) claimed: u64,
}

/// A session as last sent, kept with its first event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SentSession {
    pub(super) id: Uuid,
    pub(super) owner: Option<Uuid>,
    pub(super) events: u32,
    /// Those on the page that it begins on.
    pub(super) here: u32,
    pub(super) end: i64,
}

/// A place in one of the lists of a header or page: an `Option` of it takes no more memory than itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Index(NonZeroU32);

impl Index {
    pub(super) fn new(place: usize) -> Self {
        let place = u32::try_from(place + 1).expect("a list of a timeline has under 2^32 entries");
        Self(NonZeroU32::new(place).expect("it is one more than a place"))
    }

    pub(super) fn get(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// An event. There are millions of them in memory: what few have is in a box.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StoredEvent {
    pub(super) time: i64,
    pub(super) message: Box<str>,
    pub(super) content: u64,
    pub(super) facts: Index,
    /// Its set of identifiers; none where it is nobody's.
    pub(super) set: Option<Index>,
    /// The name of a customer's track event: goals, which may be others one day, ask for it.
    pub(super) name: Option<Index>,
    /// Session and owner under which it was sent to the sink, as places in the page's `ids`.
    pub(super) received_session: Option<Index>,
    pub(super) received_owner: Option<Index>,
    /// Its bytes, where it was taken since the last decision.
    #[serde(skip)]
    pub(super) waiting: Option<waiting::Place>,
    /// 0 active, 1 passive, 2 nobody's.
    pub(super) activity: u8,
    pub(super) view: bool,
    pub(super) more: Option<Box<More>>,
}

/// What few events have.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct More {
    /// Places in the header's `names`, and values as JSON.
    pub(super) traits: Vec<(Index, String)>,
    /// Purposes, as places, and whether they are agreed to.
    pub(super) consents: Vec<(Index, bool)>,
    /// The group of a group call.
    pub(super) group: Option<Index>,
    pub(super) order: Option<StoredOrder>,
    pub(super) email: Option<StoredEmail>,
    /// What it says beside that it was.
    pub(super) says: Vec<Says>,
    /// The session that begins with it, as last sent.
    pub(super) sent: Option<SentSession>,
}

/// What an event says: KPIs other than of orders and sessions are made of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Says {
    Answer {
        question: String,
        kind: String,
        aspect: String,
        scale: String,
        value: Option<i128>,
        comment: String,
        product: String,
        touchpoint: String,
    },
    /// Whether it is a qualified lead, should it be an event of the goal `lead`.
    Lead(bool),
    /// Loyalty points, in millionths.
    Points(i128),
    /// Money spent on advertising, in millionths, and its currency.
    Spend(i128, String),
    /// What a social network counts of an account or of a post.
    Reported(Reported),
    /// Network, post, influencer, sentiment.
    Mentioned([String; 4]),
}

/// What a social network counts of an account or of a post.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Reported {
    pub(super) network: String,
    /// Of a report of followers.
    pub(super) account: String,
    pub(super) post: String,
    pub(super) influencer: String,
    pub(super) followers: Option<i64>,
    pub(super) reach: Option<i64>,
    pub(super) impressions: Option<i64>,
    pub(super) engagement: Option<i64>,
}

/// What a moment adds to it besides a comment, with dimensions as long as ingest lets them be.
const MOMENT: usize = 5 * 512;

impl StoredEvent {
    pub(super) fn activity(&self) -> Activity {
        match self.activity {
            0 => Activity::Active,
            1 => Activity::Passive,
            _ => Activity::Nobody,
        }
    }

    /// Whether it is in a session, on a timeline with one line.
    pub(super) fn is_in_session(&self) -> bool {
        self.activity() == Activity::Active && self.set.is_some()
    }

    pub(super) fn time(&self) -> Timestamp {
        Timestamp(self.time)
    }

    /// About how many bytes it adds to what is sent of its page.
    pub(super) fn said(&self, names: &Listed<String>) -> usize {
        let Some(more) = &self.more else { return 0 };
        let traits = more.traits.iter().map(|(name, value)| {
            names[name.get()].len() + value.len() + 2 * self.message.len() + 64
        });
        let says = more.says.iter().map(|says| match says {
            Says::Answer { comment, .. } => MOMENT + comment.len(),
            _ => MOMENT,
        });
        traits.chain(says).sum()
    }

    pub(super) fn traits(&self) -> &[(Index, String)] {
        self.more.as_ref().map_or(&[], |more| &more.traits)
    }

    pub(super) fn consents(&self) -> &[(Index, bool)] {
        self.more.as_ref().map_or(&[], |more| &more.consents)
    }

    pub(super) fn group(&self) -> Option<Index> {
        self.more.as_ref()?.group
    }

    pub(super) fn order(&self) -> Option<&StoredOrder> {
        self.more.as_ref()?.order.as_ref()
    }

    pub(super) fn email(&self) -> Option<&StoredEmail> {
        self.more.as_ref()?.email.as_ref()
    }

    pub(super) fn says(&self) -> &[Says] {
        self.more.as_ref().map_or(&[], |more| &more.says)
    }

    pub(super) fn sent(&self) -> Option<&SentSession> {
        self.more.as_ref()?.sent.as_ref()
    }

    /// Remembers the session that begins with it, and returns the one before.
    pub(super) fn set_sent(&mut self, session: Option<SentSession>) -> Option<SentSession> {
        if session.is_none() && self.more.is_none() {
            return None;
        }
        std::mem::replace(&mut self.more.get_or_insert_default().sent, session)
    }
}

impl More {
    pub(super) fn is_something(&self) -> bool {
        !self.traits.is_empty()
            || !self.consents.is_empty()
            || self.group.is_some()
            || self.order.is_some()
            || self.email.is_some()
            || !self.says.is_empty()
    }
}

impl StoredOrder {
    pub(super) fn of(order: &Order<'_>, namespace: &str) -> Self {
        let total = match order.kind {
            OrderKind::Refunded => order.total.or_else(|| come_to(&order.lines)),
            OrderKind::Placed | OrderKind::Cancelled => order.total,
        };
        Self {
            kind: match order.kind {
                OrderKind::Placed => 0,
                OrderKind::Refunded => 1,
                OrderKind::Cancelled => 2,
            },
            namespace: namespace.to_owned(),
            order_id: order.order_id.to_owned(),
            currency: order.currency.to_owned(),
            total: total.map(Amount::millionths),
            margin: order.margin.map(Amount::millionths),
            products: products(&order.lines),
            claimed: 0,
        }
    }

    pub(super) fn total(&self) -> Option<Amount> {
        self.total.map(Amount::from_millionths)
    }

    pub(super) fn margin(&self) -> Option<Amount> {
        self.margin.map(Amount::from_millionths)
    }
}

/// What lines come to, if one of them states a price.
fn come_to(lines: &[OrderLine<'_>]) -> Option<Amount> {
    let amounts = lines
        .iter()
        .filter_map(|line| Some(line.price?.times(line.quantity)));
    amounts.reduce(|sum, amount| sum + amount)
}

/// What the lines of each product come to; a line without product is nobody's, one without price comes to nothing.
fn products(lines: &[OrderLine<'_>]) -> Vec<(String, i128)> {
    let mut products = BTreeMap::new();
    for line in lines.iter().filter(|line| !line.product_id.is_empty()) {
        let price = line.price.unwrap_or(Amount::ZERO);
        *products.entry(line.product_id).or_default() += price.times(line.quantity);
    }
    let each = products.into_iter();
    each.map(|(id, amount): (&str, Amount)| (id.to_owned(), amount.millionths()))
        .collect()
}
