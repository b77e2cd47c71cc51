//! A timeline as this stage keeps it: a header with what its events share, and pages of events in order of time.
//!
//! A change writes the page it touches, never the whole timeline; a page that overflows is split. While a timeline has
//! only one page, as most have, that page stands in one record with the header. So it is with the lists of the header: of a
//! device on which ever other people log in, a chunk is written.

use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};
use tributary_contracts::wire::Touchpoint;
use tributary_core::identifier::{Identifier, IdentifierType, SOURCE};
use tributary_core::identity::{Graph, NodeId};
use tributary_core::ids::{ProfileId, SessionId};
use uuid::Uuid;

use super::event::{Index, Says, StoredEvent};
use super::facts::{Facts, IdentifierSet, hashed};
use super::identities::OwnedSpan;
use super::listed::Listed;
use super::page::{Page, Place};
use super::sending::Sending;
use crate::runtime::stage::{Broken, Store};

/// What the events of a timeline share.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) workspace: String,
    pub(super) timeline_type: String,
    pub(super) timeline_value: String,
    pub(super) facts: Listed<Facts>,
    pub(super) sets: Listed<IdentifierSet>,
    /// Names of events, of traits, of purposes and of groups.
    pub(super) names: Listed<String>,
    pub(super) next_page: u32,
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
    /// What was last sent of it was made by other goals, so all is sent anew.
    pub(super) is_told_otherwise: bool,
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
            is_told_otherwise: false,
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
            .is_none_or(|page| page.events.len() >= most || page.says_much(&self.header.names));
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
