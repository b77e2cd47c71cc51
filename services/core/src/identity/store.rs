//! Identifiers and links, packed: a customer base of millions is in memory whole.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use hashbrown::HashTable;
use rustc_hash::FxHasher;
use uuid::Uuid;

use super::Refusal;
use super::rows::{Bytes, Row, Rows};
use crate::identifier::{Identifier, IdentifierType};
use crate::time::Timestamp;

/// An identifier in the graph. Numbers are given in the order of arrival, so nothing that comes out may depend on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) u32);

/// A link in the graph; see [`NodeId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub(super) u32);

/// A source in the graph; see [`NodeId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceId(pub(super) u16);

/// Stands for no node, link or profile.
pub(super) const NONE: u32 = u32::MAX;

/// That a source has seen two identifiers on one event, or on several.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    /// Event time of the first.
    pub first: Timestamp,
    /// UTC day of the last.
    pub last_day: i32,
    /// Who saw it.
    pub source: SourceId,
}

impl Observation {
    fn join(&mut self, other: Self) {
        self.first = self.first.min(other.first);
        self.last_day = self.last_day.max(other.last_day);
    }
}

/// A table of numbers by the hash of what they stand for. In parts, because a table that is full is copied whole: so a
/// copy is a matter of milliseconds with millions of entries, too.
#[derive(Debug)]
struct Table(Vec<HashTable<u32>>);

impl Default for Table {
    fn default() -> Self {
        Self((0..256).map(|_| HashTable::new()).collect())
    }
}

impl Table {
    fn with_room_for(entries: usize) -> Self {
        Self(
            (0..256)
                .map(|_| HashTable::with_capacity(entries / 256))
                .collect(),
        )
    }

    fn part(hash: u64) -> usize {
        // Within a part the other bits tell entries apart.
        (hash >> 24) as usize % 256
    }

    fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let found = self.0[Self::part(hash)].find(hash, |number| is_it(*number));
        found.copied()
    }

    fn insert(&mut self, hash: u64, number: u32, hash_of: impl Fn(u32) -> u64) {
        self.0[Self::part(hash)].insert_unique(hash, number, |number| hash_of(*number));
    }
}

/// What is to be known of a node, one bit each.
pub(super) mod flag {
    /// Linked to too many persons to join any.
    pub(crate) const HUB: u8 = 1;
    /// Taken from every event.
    pub(crate) const BLOCKED: u8 = 2;
    /// An event has it; else only operations speak of it.
    pub(crate) const SEEN: u8 = 4;
    /// A link of it is refused, for another reason than a hub.
    pub(crate) const TROUBLED: u8 = 8;
    /// Was resolved in this settlement.
    pub(crate) const VISITED: u8 = 16;
    /// Its text is a UUID's sixteen bytes.
    pub(crate) const UUID: u8 = 32;
    /// Its profile is taken apart by this resolution, or is around one that is.
    pub(crate) const INSIDE: u8 = 64;
    pub(crate) const AROUND: u8 = 128;
}

/// The bytes of its text end where the next one's begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    text_low: u32,
    text_high: u16,
    r#type: u8,
    pub(super) flags: u8,
    /// The first of its links.
    links: u32,
    /// Its profile's place; none where it is one of its own.
    pub(super) profile: u32,
    /// The next identifier of its profile; the last one's is the first. While its profile is resolved, its place there.
    pub(super) next: u32,
}

impl Node {
    pub(super) fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(super) fn set(&mut self, flag: u8, value: bool) {
        self.flags = if value {
            self.flags | flag
        } else {
            self.flags & !flag
        };
    }
}

/// What a link is, one bit each.
mod mark {
    /// Seen by whatever source.
    pub(super) const SIGHTED: u8 = 1;
    /// By several sources: what they saw stands elsewhere.
    pub(super) const SEVERAL: u8 = 2;
    pub(super) const PINNED: u8 = 4;
    pub(super) const CUT: u8 = 8;
    /// Both ends are of one type.
    pub(super) const ALIKE: u8 = 16;
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    /// The higher identifier.
    higher: u32,
    lower: u32,
    /// The next links of its ends.
    next: [u32; 2],
    /// When it was first seen; of one that several sources saw, the place of what the first of them saw.
    first: [u32; 2],
    last_day: i32,
    source: u16,
    marks: u8,
    /// Code of its refusal; 0 for none.
    refusal: u8,
}

/// An identifier's value: as it stands, or written out.
pub(super) enum Value<'a> {
    Text(&'a str),
    Uuid([u8; 36]),
}

impl Deref for Value<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Uuid(text) => std::str::from_utf8(text).unwrap_or_default(),
        }
    }
}

/// What one of several sources saw of a link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    seen: Observation,
    /// The place of what the next one saw.
    next: u32,
}

/// The nodes and links of a graph.
#[derive(Debug, Default)]
pub(super) struct Storage {
    pub(super) nodes: Rows<Node>,
    pub(super) texts: Rows<u8>,
    pub(super) links: Rows<Link>,
    pub(super) sights: Rows<Sight>,
    index: Table,
    pairs: Table,
}

impl Storage {
    pub(super) fn node_count(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn link_count(&self) -> usize {
        self.links.len()
    }

    pub(super) fn node(&self, node: NodeId) -> &Node {
        &self.nodes[node.0 as usize]
    }

    pub(super) fn node_mut(&mut self, node: NodeId) -> &mut Node {
        self.nodes.row_mut(node.0 as usize)
    }

    pub(super) fn r#type(&self, node: NodeId) -> IdentifierType {
        IdentifierType(self.node(node).r#type)
    }

    fn bytes(&self, number: u32) -> &[u8] {
        let begin =
            |node: &Node| (u64::from(node.text_high) << 32 | u64::from(node.text_low)) as usize;
        let from = begin(&self.nodes[number as usize]);
        let to = self
            .nodes
            .get(number as usize + 1)
            .map_or(self.texts.len(), begin);
        &self.texts[from..to]
    }

    pub(super) fn value(&self, node: NodeId) -> Value<'_> {
        let bytes = self.bytes(node.0);
        match bytes.try_into() {
            Ok(bytes) if self.node(node).is(flag::UUID) => {
                let mut text = [0; 36];
                Uuid::from_bytes(bytes).hyphenated().encode_lower(&mut text);
                Value::Uuid(text)
            }
            _ => Value::Text(std::str::from_utf8(bytes).unwrap_or_default()),
        }
    }

    pub(super) fn identifier(&self, node: NodeId) -> Identifier {
        Identifier::new(self.r#type(node), &self.value(node))
    }

    /// By type, then bytes, whatever the rules say.
    pub(super) fn compare(&self, one: NodeId, other: NodeId) -> Ordering {
        self.r#type(one)
            .cmp(&self.r#type(other))
            .then_with(|| self.value(one).cmp(&self.value(other)))
    }

    pub(super) fn find(&self, identifier: &Identifier) -> Option<NodeId> {
        let (packed, is_uuid) = packed(&identifier.value);
        self.look_up(identifier.r#type, packed.as_ref(), is_uuid)
    }

    fn look_up(&self, r#type: IdentifierType, bytes: &[u8], is_uuid: bool) -> Option<NodeId> {
        let hash = hash_of(r#type.0, bytes);
        self.index
            .find(hash, |number| {
                let node = &self.nodes[number as usize];
                node.r#type == r#type.0
                    && node.is(flag::UUID) == is_uuid
                    && self.bytes(number) == bytes
            })
            .map(NodeId)
    }

    /// The node of the identifier, made where it is new: then the second is true.
    pub(super) fn intern(&mut self, identifier: &Identifier) -> (NodeId, bool) {
        let (packed, is_uuid) = packed(&identifier.value);
        let bytes = packed.as_ref();
        if let Some(node) = self.look_up(identifier.r#type, bytes, is_uuid) {
            return (node, false);
        }
        let number = u32::try_from(self.nodes.len())
            .ok()
            .filter(|number| *number != NONE)
            .expect("memory ends long before four thousand million identifiers");
        let begin = self.texts.len() as u64;
        self.texts.extend(bytes);
        self.nodes.push(Node {
            text_low: begin as u32,
            text_high: u16::try_from(begin >> 32).expect("memory ends long before 2^48 bytes"),
            r#type: identifier.r#type.0,
            flags: if is_uuid { flag::UUID } else { 0 },
            links: NONE,
            profile: NONE,
            next: number,
        });
        self.file_node(number);
        (NodeId(number), true)
    }

    fn file_node(&mut self, number: u32) {
        let mut index = Table(std::mem::take(&mut self.index.0));
        let hash = |number: u32| hash_of(self.nodes[number as usize].r#type, self.bytes(number));
        index.insert(hash(number), number, hash);
        self.index = index;
    }

    fn file_link(&mut self, number: u32) {
        let links = &self.links;
        let hash = |number: u32| {
            let link = &links[number as usize];
            hash_of_pair(link.higher.min(link.lower), link.higher.max(link.lower))
        };
        self.pairs.insert(hash(number), number, hash);
    }

    /// Makes the tables of nodes and links that came as rows.
    pub(super) fn file(&mut self) {
        self.index = Table::with_room_for(self.nodes.len());
        self.pairs = Table::with_room_for(self.links.len());
        (0..self.nodes.len() as u32).for_each(|number| self.file_node(number));
        (0..self.links.len() as u32).for_each(|number| self.file_link(number));
    }

    /// Types have other numbers than those that the rows came with: of each that one, its number now.
    ///
    /// # Errors
    /// When a row is of a type that has none.
    pub(super) fn renumber_types(&mut self, now: &[IdentifierType]) -> Option<()> {
        for node in self.nodes.all_mut() {
            node.r#type = now.get(usize::from(node.r#type))?.0;
        }
        for link in self.links.all_mut() {
            if let Some(before) = link.refusal.checked_sub(LIMIT) {
                link.refusal = now.get(usize::from(before))?.0 + LIMIT;
            }
        }
        Some(())
    }

    /// The link of the two, if there is one.
    pub(super) fn pair(&self, one: NodeId, other: NodeId) -> Option<LinkId> {
        let (low, high) = (one.0.min(other.0), one.0.max(other.0));
        self.pairs
            .find(hash_of_pair(low, high), |number| {
                let link = &self.links[number as usize];
                (link.higher.min(link.lower), link.higher.max(link.lower)) == (low, high)
            })
            .map(LinkId)
    }

    /// The link of the two, made where it is new.
    pub(super) fn link(&mut self, one: NodeId, other: NodeId) -> LinkId {
        if let Some(link) = self.pair(one, other) {
            return link;
        }
        let number = u32::try_from(self.links.len())
            .ok()
            .filter(|number| *number != NONE)
            .expect("memory ends long before four thousand million links");
        let (higher, lower) = match self.compare(one, other) {
            Ordering::Greater => (other, one),
            _ => (one, other),
        };
        let next = [higher, lower].map(|end| self.node(end).links);
        self.links.push(Link {
            higher: higher.0,
            lower: lower.0,
            next,
            first: [0; 2],
            last_day: 0,
            source: 0,
            marks: if self.r#type(one) == self.r#type(other) {
                mark::ALIKE
            } else {
                0
            },
            refusal: 0,
        });
        for end in [higher, lower] {
            self.node_mut(end).links = number;
        }
        self.file_link(number);
        LinkId(number)
    }

    /// The ends of a link, the higher first.
    pub(super) fn ends(&self, link: LinkId) -> (NodeId, NodeId) {
        let link = &self.links[link.0 as usize];
        (NodeId(link.higher), NodeId(link.lower))
    }

    /// The links of a node.
    pub(super) fn links_of(&self, node: NodeId) -> impl Iterator<Item = LinkId> + use<'_> {
        std::iter::successors(self.first_link(node), move |link| {
            self.next_link(*link, node)
        })
    }

    /// The first of them, for a walk during which the graph changes.
    pub(super) fn first_link(&self, node: NodeId) -> Option<LinkId> {
        let first = self.node(node).links;
        (first != NONE).then_some(LinkId(first))
    }

    /// The one after that.
    pub(super) fn next_link(&self, link: LinkId, node: NodeId) -> Option<LinkId> {
        let link = &self.links[link.0 as usize];
        let next = link.next[usize::from(link.higher != node.0)];
        (next != NONE).then_some(LinkId(next))
    }

    /// Takes in what a source has seen of the link.
    pub(super) fn sight(&mut self, link: LinkId, sight: Observation) {
        let known = self.links[link.0 as usize];
        if known.marks & mark::SEVERAL != 0 {
            let mut place = known.first[0];
            loop {
                let row = self.sights[place as usize];
                if row.seen.source == sight.source {
                    self.sights.row_mut(place as usize).seen.join(sight);
                    return;
                }
                if row.next == NONE {
                    break;
                }
                place = row.next;
            }
            let added = self.add_sight(sight);
            self.sights.row_mut(place as usize).next = added;
            return;
        }
        let mut joined = sight;
        if known.marks & mark::SIGHTED != 0 {
            let before = known.sight();
            if before.source != sight.source {
                let first = self.add_sight(before);
                let second = self.add_sight(sight);
                self.sights.row_mut(first as usize).next = second;
                let known = self.link_mut(link);
                known.marks |= mark::SEVERAL;
                known.first = [first, 0];
                return;
            }
            joined.join(before);
        }
        let known = self.link_mut(link);
        known.marks |= mark::SIGHTED;
        known.first = [joined.first.0 as u32, (joined.first.0 >> 32) as u32];
        known.last_day = joined.last_day;
        known.source = joined.source.0;
    }

    fn add_sight(&mut self, seen: Observation) -> u32 {
        let place = u32::try_from(self.sights.len())
            .ok()
            .filter(|place| *place != NONE)
            .expect("memory ends long before four thousand million sights");
        self.sights.push(Sight { seen, next: NONE });
        place
    }

    /// Hands what each source has seen of the link to `take`.
    pub(super) fn sights(&self, link: LinkId, mut take: impl FnMut(Observation)) {
        let known = &self.links[link.0 as usize];
        if known.marks & mark::SEVERAL != 0 {
            let mut place = known.first[0];
            while let Some(row) = self.sights.get(place as usize) {
                take(row.seen);
                place = row.next;
            }
        } else if known.marks & mark::SIGHTED != 0 {
            take(known.sight());
        }
    }

    fn link_mut(&mut self, link: LinkId) -> &mut Link {
        self.links.row_mut(link.0 as usize)
    }

    /// The type of both ends, if it is the same.
    pub(super) fn shared_type(&self, link: LinkId) -> Option<IdentifierType> {
        let link = &self.links[link.0 as usize];
        (link.marks & mark::ALIKE != 0).then(|| self.r#type(NodeId(link.higher)))
    }

    pub(super) fn is_pinned(&self, link: LinkId) -> bool {
        self.links[link.0 as usize].marks & mark::PINNED != 0
    }

    pub(super) fn is_cut(&self, link: LinkId) -> bool {
        self.links[link.0 as usize].marks & mark::CUT != 0
    }

    pub(super) fn pin(&mut self, link: LinkId, holds: bool) {
        self.mark(link, mark::PINNED, holds);
    }

    pub(super) fn cut(&mut self, link: LinkId, holds: bool) {
        self.mark(link, mark::CUT, holds);
    }

    fn mark(&mut self, link: LinkId, bit: u8, holds: bool) {
        let marks = &mut self.link_mut(link).marks;
        *marks = if holds { *marks | bit } else { *marks & !bit };
    }

    pub(super) fn refusal(&self, link: LinkId) -> Option<Refusal> {
        match self.links[link.0 as usize].refusal {
            0 => None,
            1 => Some(Refusal::Hub),
            2 => Some(Refusal::Separated),
            3 => Some(Refusal::DeviceBridge),
            r#type => Some(Refusal::Limit(IdentifierType(r#type - LIMIT))),
        }
    }

    pub(super) fn refuse(&mut self, link: LinkId, refusal: Option<Refusal>) {
        self.link_mut(link).refusal = match refusal {
            None => 0,
            Some(Refusal::Hub) => 1,
            Some(Refusal::Separated) => 2,
            Some(Refusal::DeviceBridge) => 3,
            Some(Refusal::Limit(r#type)) => r#type.0 + LIMIT,
        };
    }
}

/// Added to the number of a type, the code of a refusal for its limit.
const LIMIT: u8 = 4;

impl Row for Node {
    const BYTES: usize = 20;

    fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.text_low.to_le_bytes());
        to.extend_from_slice(&self.text_high.to_le_bytes());
        to.extend_from_slice(&[self.r#type, self.flags]);
        for number in [self.links, self.profile, self.next] {
            to.extend_from_slice(&number.to_le_bytes());
        }
    }

    fn read(bytes: &mut Bytes<'_>) -> Self {
        let (text_low, text_high, [r#type, flags]) = (bytes.u32(), bytes.u16(), bytes.take());
        Self {
            text_low,
            text_high,
            r#type,
            flags,
            links: bytes.u32(),
            profile: bytes.u32(),
            next: bytes.u32(),
        }
    }
}

impl Row for Link {
    const BYTES: usize = 32;

    fn write(&self, to: &mut Vec<u8>) {
        let [one, other] = self.next;
        let [low, high] = self.first;
        let day = self.last_day as u32;
        for number in [self.higher, self.lower, one, other, low, high, day] {
            to.extend_from_slice(&number.to_le_bytes());
        }
        to.extend_from_slice(&self.source.to_le_bytes());
        to.extend_from_slice(&[self.marks, self.refusal]);
    }

    fn read(bytes: &mut Bytes<'_>) -> Self {
        let [higher, lower, one, other, low, high, day] = std::array::from_fn(|_| bytes.u32());
        let (source, [marks, refusal]) = (bytes.u16(), bytes.take());
        Self {
            higher,
            lower,
            next: [one, other],
            first: [low, high],
            last_day: day as i32,
            source,
            marks,
            refusal,
        }
    }
}

impl Row for Sight {
    const BYTES: usize = 18;

    fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.seen.first.0.to_le_bytes());
        to.extend_from_slice(&self.seen.last_day.to_le_bytes());
        to.extend_from_slice(&self.seen.source.0.to_le_bytes());
        to.extend_from_slice(&self.next.to_le_bytes());
    }

    fn read(bytes: &mut Bytes<'_>) -> Self {
        let seen = Observation {
            first: Timestamp(i64::from_le_bytes(bytes.take())),
            last_day: bytes.u32() as i32,
            source: SourceId(bytes.u16()),
        };
        Self {
            seen,
            next: bytes.u32(),
        }
    }
}

impl Link {
    fn sight(&self) -> Observation {
        Observation {
            first: Timestamp((i64::from(self.first[1]) << 32) | i64::from(self.first[0])),
            last_day: self.last_day,
            source: SourceId(self.source),
        }
    }
}

/// The bytes that are kept of a value, and whether they are a UUID's: of one that is written as UUIDs usually are.
fn packed(value: &str) -> (Packed<'_>, bool) {
    if value.len() == 36
        && let Ok(uuid) = Uuid::try_parse(value)
    {
        let mut text = [0; 36];
        if uuid.hyphenated().encode_lower(&mut text) == value {
            return (Packed::Uuid(uuid.into_bytes()), true);
        }
    }
    (Packed::Text(value.as_bytes()), false)
}

enum Packed<'a> {
    Text(&'a [u8]),
    Uuid([u8; 16]),
}

impl AsRef<[u8]> for Packed<'_> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Text(bytes) => bytes,
            Self::Uuid(bytes) => bytes,
        }
    }
}

fn hash_of(r#type: u8, bytes: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    (r#type, bytes).hash(&mut hasher);
    hasher.finish()
}

fn hash_of_pair(low: u32, high: u32) -> u64 {
    let mut hasher = FxHasher::default();
    (low, high).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_as_it_was_whether_or_not_it_looks_like_a_uuid() {
        let mut storage = Storage::default();
        let values = [
            "ada@shop.example",
            "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
            "0F1E2D3C-4B5A-6978-8796-A5B4C3D2E1F0",
            "0f1e2d3c4b5a69788796a5b4c3d2e1f00000",
            "sixteen bytes it",
            "",
        ];
        let identifiers = values.map(|value| Identifier::new(IdentifierType::ANONYMOUS_ID, value));
        let nodes = identifiers
            .each_ref()
            .map(|identifier| storage.intern(identifier));
        for (identifier, (node, is_new)) in identifiers.iter().zip(nodes) {
            assert!(is_new, "{identifier:?}");
            assert_eq!(&storage.identifier(node), identifier);
            assert_eq!(storage.find(identifier), Some(node));
            assert_eq!(storage.intern(identifier), (node, false));
        }
        let other = Identifier::new(IdentifierType::DEVICE_ID, values[1]);
        assert_eq!(storage.find(&other), None);
        for (one, other) in identifiers.iter().zip(&identifiers[1..]) {
            let nodes = [one, other].map(|identifier| storage.find(identifier).expect("known"));
            assert_eq!(storage.compare(nodes[0], nodes[1]), one.cmp(other));
        }
    }

    #[test]
    fn a_link_keeps_what_each_source_saw_and_times_before_1970() {
        let mut storage = Storage::default();
        let [one, other, third] = ["a", "b", "c"].map(|value| {
            let identifier = Identifier::new(IdentifierType::USER_ID, value);
            storage.intern(&identifier).0
        });
        let link = storage.link(other, one);
        assert_eq!(storage.link(one, other), link);
        assert_eq!(storage.ends(link), (one, other));
        let second = storage.link(one, third);
        assert_eq!(storage.links_of(one).collect::<Vec<_>>(), [second, link]);
        assert_eq!(storage.links_of(other).collect::<Vec<_>>(), [link]);
        let sight = |first, last_day, source| Observation {
            first: Timestamp(first),
            last_day,
            source: SourceId(source),
        };
        let told = |storage: &Storage| {
            let mut told = Vec::new();
            storage.sights(link, |sight| {
                told.push((sight.first.0, sight.last_day, sight.source.0))
            });
            told
        };
        assert_eq!(told(&storage), []);
        storage.sight(link, sight(-5, -1, 3));
        storage.sight(link, sight(7, 2, 3));
        assert_eq!(told(&storage), [(-5, 2, 3)]);
        storage.sight(link, sight(1, 9, 0));
        storage.sight(link, sight(0, 8, 0));
        assert_eq!(told(&storage), [(-5, 2, 3), (0, 9, 0)]);
        for refusal in [
            Some(Refusal::Hub),
            Some(Refusal::Separated),
            Some(Refusal::DeviceBridge),
            Some(Refusal::Limit(IdentifierType::USER_ID)),
            Some(Refusal::Limit(IdentifierType::PUSH_TOKEN)),
            None,
        ] {
            storage.refuse(link, refusal);
            assert_eq!(storage.refusal(link), refusal);
        }
    }

    #[test]
    fn they_are_as_small_as_they_are_meant_to_be() {
        assert_eq!((size_of::<Node>(), size_of::<Link>()), (20, 32));
    }
}
