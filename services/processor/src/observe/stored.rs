//! A timeline as this stage keeps it: a header with what its events share, and pages of events in order of time.
//!
//! A change writes the page it touches, never the whole timeline; a page that overflows is split. While a timeline has
//! only one page, as most have, that page stands in one record with the header. So it is with the lists of the header: of a
//! device on which ever other people log in, a chunk is written.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};
use tributary_contracts::wire::{EmailClaimKind, Order, OrderKind, OrderLine, Touchpoint};
use tributary_core::identifier::{Identifier, IdentifierType, SOURCE};
use tributary_core::identity::{Graph, NodeId};
use tributary_core::ids::{ProfileId, SessionId};
use tributary_core::money::Amount;
use tributary_core::time::Timestamp;
use tributary_core::timeline::{Activity, Cut};
use uuid::Uuid;

use super::identities::OwnedSpan;
use super::listed::Listed;
use super::sending::Sending;
use super::waiting;
use crate::runtime::stage::{Broken, Store};

/// What an event shares with most others of its timeline. One text, because each event is compared with it: six would
/// be six places in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    text: Box<str>,
    /// Where each of the fields but the last ends in `text`.
    ends: [u32; 5],
    /// An event has them that is no bot's.
    are_told: bool,
}

impl Facts {
    fn of(touchpoint: &Touchpoint<'_>) -> Self {
        let fields = Self::fields(touchpoint);
        let mut ends = [0; 5];
        let mut end = 0;
        for (place, field) in ends.iter_mut().zip(fields) {
            end += field.len() as u32;
            *place = end;
        }
        Self {
            text: fields.concat().into(),
            ends,
            are_told: false,
        }
    }

    fn are_of(&self, touchpoint: &Touchpoint<'_>) -> bool {
        let fields = Self::fields(touchpoint);
        (0..fields.len()).all(|number| self.field(number) == fields[number])
    }

    fn fields<'a>(touchpoint: &Touchpoint<'a>) -> [&'a str; 6] {
        [
            touchpoint.channel,
            touchpoint.traffic_source,
            touchpoint.campaign.name,
            touchpoint.store,
            touchpoint.device_type,
            touchpoint.source,
        ]
    }

    fn hash(&self) -> u64 {
        (0..=self.ends.len()).fold(0, |hash, number| hashed(hash, self.field(number)))
    }

    fn hash_of(touchpoint: &Touchpoint<'_>) -> u64 {
        let fields = Self::fields(touchpoint);
        fields.into_iter().fold(0, hashed)
    }

    fn field(&self, number: usize) -> &str {
        let begin = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        let end = self
            .ends
            .get(number)
            .map_or(self.text.len(), |end| *end as usize);
        &self.text[begin as usize..end]
    }

    pub(super) fn channel(&self) -> &str {
        self.field(0)
    }

    pub(super) fn traffic_source(&self) -> &str {
        self.field(1)
    }

    pub(super) fn campaign(&self) -> &str {
        self.field(2)
    }

    pub(super) fn store(&self) -> &str {
        self.field(3)
    }

    pub(super) fn device_type(&self) -> &str {
        self.field(4)
    }

    pub(super) fn source(&self) -> &str {
        self.field(5)
    }
}

/// A set of identifiers that came together, and when it was seen by a source.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct IdentifierSet {
    pub(super) identifiers: Vec<(IdentifierType, String)>,
    pub(super) seen: Vec<SetSeen>,
}

impl IdentifierSet {
    fn hash(&self) -> u64 {
        let all = self.identifiers.iter();
        Self::hash_of(all.map(|(r#type, value)| (*r#type, value.as_str())))
    }

    fn hash_of<'a>(identifiers: impl Iterator<Item = (IdentifierType, &'a str)>) -> u64 {
        identifiers.fold(0, |hash, (r#type, value)| {
            hashed(hashed(hash, r#type.name()), value)
        })
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SetSeen {
    pub(super) source: String,
    pub(super) may_link: bool,
    pub(super) first: i64,
    pub(super) first_message: String,
    pub(super) last_day: i32,
}

/// What the events of a timeline share.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) workspace: String,
    pub(super) timeline_type: String,
    pub(super) timeline_value: String,
    pub(super) facts: Listed<Facts>,
    pub(super) sets: Listed<IdentifierSet>,
    /// Names of goals' events, of traits, of purposes and of groups.
    pub(super) names: Listed<String>,
    pub(super) next_page: u32,
}

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
    fn new(place: usize) -> Self {
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
    /// Its name, where a goal asks for it.
    pub(super) goal_event: Option<Index>,
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
    /// An event of the goal `lead`, and whether it is said to be qualified.
    Lead(Option<bool>),
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

/// Passive touchpoints of a page that belong to one profile, as last sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SentPassive {
    pub(super) owner: Uuid,
    pub(super) hash: u64,
}

/// What a page holds of a session that begins on a page before it, as last sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SentPart {
    pub(super) session: Uuid,
    pub(super) owner: Uuid,
    pub(super) hash: u64,
}

impl SentPart {
    pub(super) fn is_of_the_same(&self, other: &Self) -> bool {
        (self.session, self.owner) == (other.session, other.owner)
    }
}

/// The place of an event: its page and its place on the page.
pub(super) type Place = (usize, usize);

/// What of the events before a page must be known to decide from there on.
#[derive(Clone, Debug, Default)]
pub(super) struct Begin {
    pub(super) cut: Cut,
    /// The last session before the page, where the cut has one.
    pub(super) session: Option<Carried>,
}

/// A session as far as a page.
#[derive(Clone, Debug, Default)]
pub(super) struct Carried {
    /// Its first event.
    pub(super) first: Place,
    pub(super) held: Held,
}

/// What the events of a session add up to.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    pub(super) events: u32,
    pub(super) views: u32,
    /// Names of goals' events, and how many there are of each.
    pub(super) goal_events: Vec<(Index, u32)>,
}

impl Held {
    pub(super) fn add(&mut self, event: &StoredEvent) {
        self.events += 1;
        self.views += u32::from(event.view);
        let Some(name) = event.goal_event else { return };
        match self
            .goal_events
            .iter_mut()
            .find(|(known, _)| *known == name)
        {
            Some((_, events)) => *events += 1,
            None => self.goal_events.push((name, 1)),
        }
    }
}

/// About how many bytes what is sent of a page has at most, but for one event: well under the 1 MB that a broker takes as a
/// message by default.
const SAID: usize = 128 * 1024;

/// What a moment adds to it besides a comment, with dimensions as long as ingest lets them be.
const MOMENT: usize = 5 * 512;

/// A run of events.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Page {
    pub(super) number: u32,
    pub(super) ids: Vec<Uuid>,
    pub(super) events: Vec<StoredEvent>,
    pub(super) passive: Vec<SentPassive>,
    pub(super) parts: Vec<SentPart>,
    /// Hash of the overrides last sent; 0 for none.
    pub(super) overrides: u64,
    /// Hash of the spans of the timeline's identifier last sent for it; 0 for none. Those of the first page are sent with
    /// whose the identifier is.
    pub(super) spans: u64,
    #[serde(skip)]
    pub(super) dirty: bool,
    /// What of the events before must be known to decide from here on, where that is enough.
    #[serde(skip)]
    pub(super) begin: Option<Box<Begin>>,
}

/// A timeline in memory.
#[derive(Debug)]
pub(super) struct Timeline {
    pub(super) partition: i32,
    pub(super) header: Header,
    pub(super) header_dirty: bool,
    pub(super) pages: Vec<Page>,
    /// The timeline's identifier in the graph; none while it only holds events of nobody.
    pub(super) node: Option<NodeId>,
    /// The nodes of each of the header's sets.
    pub(super) nodes: Vec<Box<[NodeId]>>,
    /// How many of them what was last decided had.
    decided_sets: usize,
    /// The nodes of those, as far as they were asked for.
    decided_nodes: FxHashSet<NodeId>,
    asked_sets: usize,
    /// Is to be decided at the next flush.
    pub(super) touched: bool,
    /// The first page that an event came to since it was last decided.
    pub(super) touched_from: usize,
    /// Whether what was last decided stands but for new events; where it does not, all of it must be decided anew.
    pub(super) is_settled: bool,
    /// Whose its identifier is when, as last decided, where that stands.
    pub(super) spans: Vec<OwnedSpan>,
    /// Hashes of message ids, against duplicates.
    known: FxHashSet<u64>,
    pub(super) used: u64,
}

/// What a message is to its timeline.
pub(super) enum Known {
    New,
    Duplicate,
    Conflict,
}

impl Page {
    /// The place of an id in `ids`.
    pub(super) fn place(&mut self, id: Uuid) -> Index {
        let known = self.ids.iter().rposition(|known| *known == id);
        Index::new(known.unwrap_or_else(|| {
            self.ids.push(id);
            self.ids.len() - 1
        }))
    }

    pub(super) fn first(&self) -> (i64, &str) {
        self.events
            .first()
            .map_or((i64::MIN, ""), |event| (event.time, &event.message))
    }
}

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
    fn said(&self, names: &Listed<String>) -> usize {
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
        Self {
            kind: match order.kind {
                OrderKind::Placed => 0,
                OrderKind::Refunded => 1,
                OrderKind::Cancelled => 2,
            },
            namespace: namespace.to_owned(),
            order_id: order.order_id.to_owned(),
            currency: order.currency.to_owned(),
            total: order.total.map(Amount::millionths),
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

impl Timeline {
    pub(super) fn new(
        partition: i32,
        workspace: &str,
        timeline_type: &str,
        timeline_value: &str,
    ) -> Self {
        let header = Header {
            workspace: workspace.to_owned(),
            timeline_type: timeline_type.to_owned(),
            timeline_value: timeline_value.to_owned(),
            ..Header::default()
        };
        Self::with(partition, header, Vec::new())
    }

    fn with(partition: i32, header: Header, pages: Vec<Page>) -> Self {
        let known = pages
            .iter()
            .flat_map(|page| &page.events)
            .map(|event| message_hash(&event.message))
            .collect();
        Self {
            partition,
            header,
            header_dirty: false,
            pages,
            node: None,
            nodes: Vec::new(),
            decided_sets: 0,
            decided_nodes: FxHashSet::default(),
            asked_sets: 0,
            touched: false,
            touched_from: usize::MAX,
            is_settled: false,
            spans: Vec::new(),
            known,
            used: 0,
        }
    }

    /// Reads the timeline of that key from the store.
    pub(super) fn load(
        partition: i32,
        key: &[u8],
        store: &dyn Store,
    ) -> Result<Option<Self>, Broken> {
        let Some(header) = store.get(partition, &header_key(key))? else {
            return Ok(None);
        };
        let (mut header, only): (Header, Option<Page>) = decode(&header)?;
        header
            .facts
            .load(partition, &chunks_prefix(key, b'f'), store)?;
        header
            .sets
            .load(partition, &chunks_prefix(key, b's'), store)?;
        header
            .names
            .load(partition, &chunks_prefix(key, b'n'), store)?;
        let mut pages: Vec<Page> = Vec::from_iter(only);
        if pages.is_empty() {
            store.scan(partition, &pages_prefix(key), &mut |_, page| {
                pages.push(decode(page)?);
                Ok(())
            })?;
        }
        pages.sort_by(|one, other| one.first().cmp(&other.first()));
        Ok(Some(Self::with(partition, header, pages)))
    }

    /// Gives the identifiers of the header their nodes.
    pub(super) fn intern(&mut self, graph: &mut Graph) {
        for set in self.header.sets.iter_from(self.nodes.len()) {
            let nodes = set
                .identifiers
                .iter()
                .map(|(r#type, value)| graph.intern(&Identifier::new(*r#type, value)));
            self.nodes.push(nodes.collect());
        }
        if self.node.is_none() {
            // A timeline that only a bot has used may yet be an identifier that others were seen with.
            self.node = self.identifier().and_then(|identifier| {
                if self.nodes.is_empty() {
                    graph.find(&identifier)
                } else {
                    Some(graph.intern(&identifier))
                }
            });
        }
    }

    /// Remembers that all of it was decided.
    pub(super) fn settle(&mut self, is_settled: bool) {
        self.touched_from = usize::MAX;
        self.is_settled = is_settled;
        self.decided_sets = self.nodes.len();
    }

    /// Whether an event that was decided has the identifier.
    pub(super) fn was_decided_with(&mut self, node: NodeId) -> bool {
        let unasked = &self.nodes[self.asked_sets..self.decided_sets];
        self.decided_nodes.extend(unasked.iter().flatten());
        self.asked_sets = self.decided_sets;
        self.decided_nodes.contains(&node)
    }

    /// The timeline's identifier; none for the timeline of a source.
    pub(super) fn identifier(&self) -> Option<Identifier> {
        Some(Identifier::new(
            IdentifierType::of(&self.header.timeline_type).ok()?,
            &self.header.timeline_value,
        ))
    }

    /// Under whose id it is folded what an event of a source says: what is reported of an account or of a post under its
    /// own, whichever source reports it. None where the timeline is not a source's.
    pub(super) fn source_of(&self, event: &StoredEvent) -> Option<ProfileId> {
        let source = self.source()?;
        let workspace = &self.header.workspace;
        Some(match event.says() {
            [Says::Reported(reported), ..] if reported.post.is_empty() => {
                let account = ["account", &reported.network, &reported.account];
                ProfileId::reported(workspace, &account)
            }
            [Says::Reported(reported), ..] => {
                ProfileId::reported(workspace, &["post", &reported.post])
            }
            _ => source,
        })
    }

    /// Under whose id it is folded what a source says of itself; none where the timeline is not a source's.
    pub(super) fn source(&self) -> Option<ProfileId> {
        let Header {
            workspace,
            timeline_type,
            timeline_value,
            ..
        } = &self.header;
        (timeline_type == SOURCE).then(|| ProfileId::source(workspace, timeline_value))
    }

    /// Whether the message was taken before, with the same content.
    pub(super) fn knows(&self, time: i64, message: &str, content: u64) -> Known {
        if !self.known.contains(&message_hash(message)) {
            return Known::New;
        }
        let page = self
            .pages
            .partition_point(|page| page.first() <= (time, message));
        let page = page.checked_sub(1).map(|page| &self.pages[page]);
        let at_its_time = page.and_then(|page| {
            let events = &page.events;
            let place = events.binary_search_by_key(&(time, message), |event| {
                (event.time, event.message.as_ref())
            });
            place.ok().map(|place| &events[place])
        });
        // Said to be of another time it is another message, or a conflict.
        match at_its_time.or_else(|| {
            let mut events = self.pages.iter().flat_map(|page| &page.events);
            events.find(|event| &*event.message == message)
        }) {
            None => Known::New,
            Some(event) if event.content == content => Known::Duplicate,
            Some(_) => Known::Conflict,
        }
    }

    /// The place of the set of identifiers.
    pub(super) fn set(&mut self, identifiers: &[(IdentifierType, &str)]) -> Index {
        let is_it = |set: &IdentifierSet| {
            set.identifiers.len() == identifiers.len()
                && set
                    .identifiers
                    .iter()
                    .zip(identifiers)
                    .all(|((r#type, value), other)| *r#type == other.0 && *value == *other.1)
        };
        let make = || IdentifierSet {
            identifiers: identifiers
                .iter()
                .map(|(r#type, value)| (*r#type, (*value).to_owned()))
                .collect(),
            seen: Vec::new(),
        };
        let sought = || IdentifierSet::hash_of(identifiers.iter().copied());
        let sets = &mut self.header.sets;
        Index::new(sets.place(is_it, IdentifierSet::hash, sought, make))
    }

    /// The place of the event's facts, and whether it is the first on the timeline that has them and is no bot's.
    pub(super) fn facts(&mut self, touchpoint: &Touchpoint<'_>) -> (Index, bool) {
        let facts = &mut self.header.facts;
        let place = facts.place(
            |facts| facts.are_of(touchpoint),
            Facts::hash,
            || Facts::hash_of(touchpoint),
            || Facts::of(touchpoint),
        );
        let is_first = !touchpoint.bot && !facts[place].are_told;
        if is_first {
            facts.get_mut(place).are_told = true;
            facts.change(place);
        }
        (Index::new(place), is_first)
    }

    /// The place of a name.
    pub(super) fn name(&mut self, name: &str) -> Index {
        Index::new(self.header.names.place(
            |known| known == name,
            |known| hashed(0, known),
            || hashed(0, name),
            || name.to_owned(),
        ))
    }

    /// Whether the page is full, though it has fewer events than a page has at most.
    fn says_much(&self, page: &Page) -> bool {
        let names = &self.header.names;
        let said = page.events.iter().map(|event| event.said(names));
        page.events.len() > 1 && said.sum::<usize>() >= SAID
    }

    /// Files an event at its place, on a page that has no more events than that, and no more to say than is well sent
    /// together.
    pub(super) fn insert(&mut self, event: StoredEvent, most: usize) {
        self.known.insert(message_hash(&event.message));
        let after = self
            .pages
            .partition_point(|page| page.first() <= (event.time, &event.message));
        let mut index = after.saturating_sub(1);
        self.touched_from = self.touched_from.min(index);
        let full = self
            .pages
            .get(index)
            .is_none_or(|page| page.events.len() >= most || self.says_much(page));
        if full {
            let at_the_end = self
                .pages
                .get(index)
                .and_then(|page| page.events.last())
                .is_none_or(|last| (last.time, &last.message) < (event.time, &event.message));
            let number = self.header.next_page;
            self.header.next_page += 1;
            self.header_dirty = true;
            let mut page = Page {
                number,
                ..Page::default()
            };
            if at_the_end && index + 1 >= self.pages.len() {
                // The first page leaves the header's record.
                if let [only] = self.pages.as_mut_slice() {
                    only.dirty = true;
                }
                self.pages.push(page);
                index = self.pages.len() - 1;
            } else {
                let old = &mut self.pages[index];
                page.events = old.events.split_off(old.events.len() / 2);
                page.ids.clone_from(&old.ids);
                page.dirty = true;
                old.dirty = true;
                let second = page.first() <= (event.time, &*event.message);
                self.pages.insert(index + 1, page);
                index += usize::from(second);
            }
        }
        let page = &mut self.pages[index];
        let place = page
            .events
            .partition_point(|other| (other.time, &other.message) < (event.time, &event.message));
        page.events.insert(place, event);
        page.dirty = true;
    }

    /// Writes what has changed.
    pub(super) fn save(&mut self, key: &[u8], sending: &mut Sending<'_>) -> Result<(), Broken> {
        let only = match self.pages.as_mut_slice() {
            [only] => {
                self.header_dirty |= std::mem::take(&mut only.dirty);
                Some(&*only)
            }
            _ => None,
        };
        let Header {
            facts, sets, names, ..
        } = &mut self.header;
        for is_dirty in [
            facts.take_first_changed(),
            sets.take_first_changed(),
            names.take_first_changed(),
        ] {
            self.header_dirty |= is_dirty;
        }
        facts.save(self.partition, &chunks_prefix(key, b'f'), sending)?;
        sets.save(self.partition, &chunks_prefix(key, b's'), sending)?;
        names.save(self.partition, &chunks_prefix(key, b'n'), sending)?;
        if std::mem::take(&mut self.header_dirty) {
            let record = (&self.header, only);
            sending.put(self.partition, &header_key(key), Some(&record))?;
        }
        for page in self.pages.iter_mut().filter(|page| page.dirty) {
            page.dirty = false;
            sending.put(self.partition, &page_key(key, page.number), Some(&*page))?;
        }
        Ok(())
    }

    pub(super) fn event(&self, (page, place): Place) -> &StoredEvent {
        &self.pages[page].events[place]
    }

    pub(super) fn events(&self) -> usize {
        self.known.len()
    }
}

/// The id of a profile or session in a page's list.
pub(super) fn uuid_of(owner: Option<ProfileId>) -> Option<Uuid> {
    owner.map(|owner| owner.0)
}

/// The same for sessions.
pub(super) fn session_uuid(session: Option<SessionId>) -> Option<Uuid> {
    session.map(|session| session.0)
}

/// The hash of a text behind others.
fn hashed(before: u64, text: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(text.as_bytes(), before)
}

fn message_hash(message: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(message.as_bytes())
}

/// What the keys of headers begin with; the timeline's key follows.
pub(super) const HEADERS: &[u8] = b"h";

fn header_key(timeline: &[u8]) -> Vec<u8> {
    [HEADERS, timeline].concat()
}

fn pages_prefix(timeline: &[u8]) -> Vec<u8> {
    [b"p", timeline, b"\0"].concat()
}

/// What the keys of the further chunks of a list begin with; the chunk's number follows.
fn chunks_prefix(timeline: &[u8], list: u8) -> Vec<u8> {
    [b"s", timeline, &[0, list]].concat()
}

fn page_key(timeline: &[u8], number: u32) -> Vec<u8> {
    [b"p", timeline, b"\0", &number.to_be_bytes()[..]].concat()
}

/// Whether a timeline of that key is in the store.
pub(super) fn exists(partition: i32, timeline: &[u8], store: &dyn Store) -> Result<bool, Broken> {
    Ok(store.get(partition, &header_key(timeline))?.is_some())
}

/// Whether the store has a timeline of the workspace.
pub(super) fn has_timelines(
    partition: i32,
    workspace: &str,
    store: &dyn Store,
) -> Result<bool, Broken> {
    let prefix = header_key(&tributary_contracts::keys::joined(&[workspace, ""]));
    Ok(store.next_key(partition, &prefix, &prefix)?.is_some())
}

/// Appends a record of the store to `buffer`.
pub(super) fn encode<T: Serialize>(record: &T, buffer: Vec<u8>) -> Vec<u8> {
    postcard::to_extend(record, buffer)
        .expect("the records of this module have no type that postcard refuses")
}

/// The other way; the store holds framed [`State`](tributary_contracts::wire::State) records.
pub(super) fn decode<T: for<'a> Deserialize<'a>>(stored: &[u8]) -> Result<T, Broken> {
    let state: tributary_contracts::wire::State<'_> = tributary_contracts::framing::decode(stored)
        .map_err(|error| Broken(format!("a record of the observe stage's state {error}")))?;
    postcard::from_bytes(state.body).map_err(|error| {
        Broken(format!(
            "a record of the observe stage's state is malformed: {error}"
        ))
    })
}
