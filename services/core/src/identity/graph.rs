use std::cmp::Ordering;

use rustc_hash::{FxHashMap, FxHashSet};

use super::consents::Consents;
use super::operations::{Effect, Operations};
use super::profiles::Profiles;
use super::resolver::Resolver;
use super::sliced::Sliced;
use super::store::{Storage, flag};
use super::{LinkId, NodeId, Observation, Operation, Refusal, Rules, SourceId, Types};
use crate::identifier::{Identifier, IdentifierType};
use crate::ids::ProfileId;
use crate::time::Timestamp;
use uuid::Uuid;

/// When a link was seen, by the sources that may link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) first: Timestamp,
    pub(super) last_day: i32,
}

#[derive(Debug)]
pub(super) struct Source {
    pub(super) name: String,
    may_link: bool,
}

/// What [`Graph::settle`] changed.
#[derive(Debug, Default)]
pub struct Changes {
    /// Identifiers that are new, changed their profile, or became or ceased to be a hub, blocked or known.
    pub identifiers: Vec<NodeId>,
    /// Identifiers with a link that can be used now and could not, or the other way round, and the person at its other end:
    /// what that person did on the identifier's own timeline may be on another line of it, though no profile changed.
    pub lines: Vec<(NodeId, NodeId)>,
    /// Links whose refusal is another than before.
    pub refusals: Vec<LinkId>,
    /// How many identifiers came to another profile than the one they had: merges, renames and splits.
    pub moved: usize,
}

impl Changes {
    /// Takes in what changed after these.
    pub fn add(&mut self, mut later: Self) {
        self.moved += later.moved;
        if !(later.identifiers.is_empty() && later.lines.is_empty() && later.refusals.is_empty()) {
            self.identifiers.append(&mut later.identifiers);
            self.lines.append(&mut later.lines);
            self.refusals.append(&mut later.refusals);
            self.sort();
        }
    }

    pub(super) fn sort(&mut self) {
        self.identifiers.sort_unstable();
        self.identifiers.dedup();
        self.lines.sort_unstable();
        self.lines.dedup();
        self.refusals.sort_unstable();
        self.refusals.dedup();
    }
}

/// The identifiers of one workspace, the links between them, and what follows.
#[derive(Debug)]
pub struct Graph {
    workspace: String,
    rules: Rules,
    pub(super) store: Storage,
    pub(super) profiles: Profiles,
    pub(super) separated: FxHashMap<NodeId, FxHashSet<NodeId>>,
    pub(super) consents: Consents,
    pub(super) operations: Operations,
    pub(super) sources: Vec<Source>,
    /// Whose profiles are to be resolved anew.
    touched: FxHashSet<NodeId>,
    /// Links that were seen for the first time, or on other days: most change little.
    pub(super) fresh: Vec<LinkId>,
    /// Their ends, as far as they were seen for the first time, or earlier than before.
    pub(super) earlier: Vec<NodeId>,
    /// Identifiers and lines of the next settlement's changes, as far as no resolution finds them.
    changed: Vec<NodeId>,
    lines: Vec<(NodeId, NodeId)>,
    resolver: Resolver,
    pub(super) sliced: Sliced,
}

impl Graph {
    /// An empty graph.
    #[must_use]
    pub fn new(workspace: &str, rules: Rules) -> Self {
        Self {
            workspace: workspace.to_owned(),
            rules,
            store: Storage::default(),
            profiles: Profiles::default(),
            separated: FxHashMap::default(),
            consents: Consents::default(),
            operations: Operations::default(),
            sources: Vec::new(),
            touched: FxHashSet::default(),
            fresh: Vec::new(),
            earlier: Vec::new(),
            changed: Vec::new(),
            lines: Vec::new(),
            resolver: Resolver::default(),
            sliced: Sliced::default(),
        }
    }

    /// The rules that are in force.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// How many identifiers it knows.
    #[must_use]
    pub fn identifiers(&self) -> usize {
        self.store.node_count()
    }

    /// How many links it knows, usable or not.
    #[must_use]
    pub fn links(&self) -> usize {
        self.store.link_count()
    }

    /// The node of an identifier that an event has, made where it is new.
    pub fn intern(&mut self, identifier: &Identifier) -> NodeId {
        let node = self.node(identifier);
        let known = self.store.node_mut(node);
        if !known.is(flag::SEEN) {
            known.set(flag::SEEN, true);
            self.changed.push(node);
        }
        node
    }

    fn node(&mut self, identifier: &Identifier) -> NodeId {
        let (node, is_new) = self.store.intern(identifier);
        if is_new && self.blocks(identifier) {
            self.store.node_mut(node).set(flag::BLOCKED, true);
        }
        node
    }

    /// The identifier's node, if it was seen.
    #[must_use]
    pub fn find(&self, identifier: &Identifier) -> Option<NodeId> {
        self.store.find(identifier)
    }

    /// The source of that name, made where it is new.
    ///
    /// # Panics
    /// At 65,536 sources in one workspace.
    pub fn source(&mut self, name: &str) -> SourceId {
        let known = self.sources.iter().position(|source| source.name == name);
        let place = known.unwrap_or_else(|| {
            self.sources.push(Source {
                name: name.to_owned(),
                may_link: !self.rules.sources_without_links.contains(name),
            });
            self.sources.len() - 1
        });
        SourceId(u16::try_from(place).expect("a workspace has under 65,536 sources"))
    }

    /// Takes in that two identifiers were seen together. Two of one person type are noted, and no link while they are.
    pub fn observe(&mut self, one: NodeId, other: NodeId, observation: Observation) {
        let Some(link) = self.link(one, other) else {
            return;
        };
        let before = self.seen(link);
        self.store.sight(link, observation);
        let Some(now) = self.seen(link).filter(|now| Some(*now) != before) else {
            return;
        };
        let ends: [NodeId; 2] = self.ends(link).into();
        self.fresh.push(link);
        if before.is_none_or(|before| before.first != now.first) {
            self.earlier.extend(ends);
        }
        if before.is_none() {
            self.lines_between(ends);
            // A pin that was never seen has time 0: its ends are not earlier than before, but later.
            if self.store.is_pinned(link) {
                self.touched.extend(ends);
            }
        }
    }

    /// Takes in other rules; what was observed and entered under the old ones stands. Which lines events are on and whose
    /// sessions are hangs on rules, too: whoever keeps timelines decides all of them again, known here or not.
    pub fn obey(&mut self, rules: Rules) {
        if self.rules.say_the_same(&rules) {
            self.rules.version = rules.version;
            return;
        }
        self.rules = rules;
        for source in &mut self.sources {
            source.may_link = !self.rules.sources_without_links.contains(&source.name);
        }
        for node in self.all_nodes() {
            let blocked = self.blocks(&self.store.identifier(node));
            let known = self.store.node_mut(node);
            if known.is(flag::BLOCKED) != blocked {
                known.set(flag::BLOCKED, blocked);
                self.changed.push(node);
            }
            self.touched.insert(node);
        }
    }

    /// Takes in a decision on being stitched, for one identifier.
    pub fn consent(&mut self, node: NodeId, at: Timestamp, granted: bool) {
        if self.consents.decide(node, at, granted) {
            let around: Vec<NodeId> = self.neighbours(node).collect();
            for other in around {
                self.lines_between([node, other]);
            }
            self.touch_around(node);
        }
    }

    /// Takes in an operation, under an id of its own; one that is known already changes nothing. The identifiers need
    /// not have been seen. Returns those of which something holds now, or no longer.
    pub fn operate(&mut self, id: Uuid, operation: Operation) -> Vec<NodeId> {
        let mut nodes = Vec::new();
        for (effect, holds) in self.operations.enter(id, operation) {
            match effect {
                Effect::Cut(one, other) => {
                    let ends = [self.node(&one), self.node(&other)];
                    if let Some(link) = self.link(ends[0], ends[1]) {
                        self.store.cut(link, holds);
                        self.touched.extend(ends);
                        self.lines_between(ends);
                    }
                    nodes.extend(ends);
                }
                Effect::Separate(one, other) => {
                    let ends = [self.node(&one), self.node(&other)];
                    self.separate(ends[0], ends[1], holds);
                    self.lines_between(ends);
                    nodes.extend(ends);
                }
                Effect::Pin(one, other) => {
                    let ends = [self.node(&one), self.node(&other)];
                    let link = self.store.link(ends[0], ends[1]);
                    self.store.pin(link, holds);
                    self.touched.extend(ends);
                    self.lines_between(ends);
                    // Whoever is pinned is known, seen or not.
                    self.changed.extend(ends);
                    nodes.extend(ends);
                }
                Effect::Block(identifier) => nodes.push(self.block(&identifier)),
                // Of a type that is not known yet there is no event.
                Effect::BlockValue(value) => {
                    for r#type in IdentifierType::all() {
                        nodes.push(self.block(&Identifier::new(r#type, &value)));
                    }
                }
            }
        }
        nodes
    }

    fn separate(&mut self, one: NodeId, other: NodeId, separate: bool) {
        for (node, partner) in [(one, other), (other, one)] {
            let partners = self.separated.entry(node).or_default();
            if separate {
                partners.insert(partner);
            } else {
                partners.remove(&partner);
            }
            self.touched.insert(node);
        }
    }

    /// Looks again at an identifier that a block is of. It is told as changed even if it was never linked: then the
    /// graph does not know whether there are events with it.
    fn block(&mut self, identifier: &Identifier) -> NodeId {
        let node = self.node(identifier);
        let now = self.blocks(identifier);
        self.store.node_mut(node).set(flag::BLOCKED, now);
        self.changed.push(node);
        self.touch_around(node);
        node
    }

    fn blocks(&self, identifier: &Identifier) -> bool {
        self.rules.blocks(identifier) || self.operations.blocks(identifier)
    }

    /// Whether nothing was taken in since the last settlement that needs another.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.touched.is_empty()
            && self.fresh.is_empty()
            && self.earlier.is_empty()
            && self.changed.is_empty()
            && self.lines.is_empty()
            && self.sliced.is_idle()
    }

    /// Decides again whatever the changes since the last call can have touched.
    pub fn settle(&mut self) -> Changes {
        let mut changes = self.settle_within(usize::MAX);
        while !self.is_settled() {
            changes.add(self.work(usize::MAX));
            changes.add(self.settle_within(usize::MAX));
        }
        changes
    }

    /// As [`settle`](Self::settle), but leaves a component to [`work`](Self::work) for which so many links would have to
    /// be looked at: until then what was decided before stands there.
    pub fn settle_within(&mut self, links: usize) -> Changes {
        let mut changes = Changes::default();
        let mut touched: Vec<NodeId> = self.touched.drain().collect();
        let fresh = std::mem::take(&mut self.fresh);
        let earlier = std::mem::take(&mut self.earlier);
        touched.sort_unstable();
        self.decide_hubs(&mut touched, &fresh, &mut changes);
        changes.identifiers.append(&mut self.changed);
        changes.lines.append(&mut self.lines);
        let mut resolver = std::mem::take(&mut self.resolver);
        resolver.resolve(self, &touched, &fresh, &earlier, links, &mut changes);
        self.resolver = resolver;
        changes.sort();
        changes
    }

    /// Finds who is a hub now and was not, or the other way round. Its neighbours were joined through it, or will be:
    /// their profiles may be other ones now.
    fn decide_hubs(&mut self, touched: &mut Vec<NodeId>, fresh: &[LinkId], changes: &mut Changes) {
        let mut candidates = touched.clone();
        for link in fresh {
            let (higher, lower) = self.ends(*link);
            // Another link makes nobody less of a hub.
            let may_become =
                |node: NodeId, other: NodeId| self.is_person(other) && !self.is_hub(node);
            candidates.extend(
                [(higher, lower), (lower, higher)]
                    .into_iter()
                    .filter_map(|(node, other)| may_become(node, other).then_some(node)),
            );
        }
        candidates.sort_unstable();
        candidates.dedup();
        for node in candidates {
            let hub = self.counts_as_hub(node);
            if self.is_hub(node) != hub {
                self.store.node_mut(node).set(flag::HUB, hub);
                changes.identifiers.push(node);
                touched.push(node);
                touched.extend(self.neighbours(node));
            }
        }
    }

    /// All that may be otherwise where some of what was learned of these identifiers is not known: the identifiers of
    /// their components and of those beside them, with all their links. For a start whose beginning is not known exactly.
    ///
    /// Say that an identifier has another profile there. Then a chain of links that can be used there leads from it to
    /// something that is not known there, or not yet undone. It stands here up to the first link that cannot be used
    /// here: an end of that link is among `nodes`, or beside one that is. Hubs end a component, but those among `changed`
    /// may not have been ones there, nor those that are beside one of `nodes`.
    #[must_use]
    pub fn surroundings(&self, nodes: &[NodeId], changed: &[NodeId]) -> Changes {
        let ends_here = |node: NodeId| self.is_hub(node) && changed.binary_search(&node).is_err();
        let (mut members, mut links): (FxHashSet<NodeId>, FxHashSet<LinkId>) =
            (FxHashSet::default(), FxHashSet::default());
        let beside: FxHashSet<NodeId> = (nodes.iter())
            .flat_map(|node| std::iter::once(*node).chain(self.neighbours(*node)))
            .collect();
        let mut open: Vec<NodeId> = beside.iter().copied().collect();
        let hubs = beside.iter().filter(|node| self.is_hub(**node));
        open.extend(hubs.flat_map(|node| self.neighbours(*node)));
        while let Some(node) = open.pop() {
            if !members.insert(node) {
                continue;
            }
            for link in self.store.links_of(node) {
                links.insert(link);
                let other = self.other_end(link, node);
                if self.is_usable(link) && !ends_here(node) && !ends_here(other) {
                    open.push(other);
                }
            }
        }
        let mut changes = Changes {
            identifiers: members.into_iter().collect(),
            refusals: links.into_iter().collect(),
            ..Changes::default()
        };
        changes.identifiers.sort_unstable();
        changes.refusals.sort_unstable();
        changes
    }

    /// The identifier of a node.
    #[must_use]
    pub fn identifier(&self, node: NodeId) -> Identifier {
        self.store.identifier(node)
    }

    /// The type of a node's identifier.
    #[must_use]
    pub fn r#type(&self, node: NodeId) -> IdentifierType {
        self.store.r#type(node)
    }

    /// Whether the node's identifier names a person.
    #[must_use]
    pub fn is_person(&self, node: NodeId) -> bool {
        self.rules.types.is_person(self.r#type(node))
    }

    /// The place of the type among those of the rules; none where they do not name it, and so it is blocked.
    pub(super) fn place(&self, node: NodeId) -> Option<usize> {
        self.rules.types.place(self.r#type(node))
    }

    /// The order of two nodes' identifiers: by priority of type, then bytes; the least is the highest.
    #[must_use]
    pub fn compare(&self, one: NodeId, other: NodeId) -> Ordering {
        let place = |node| self.place(node).unwrap_or(usize::MAX);
        (place(one).cmp(&place(other))).then_with(|| self.store.compare(one, other))
    }

    /// The node whose identifier gives the profile of this one its id. Equal roots are one profile.
    #[must_use]
    pub fn root(&self, node: NodeId) -> NodeId {
        self.profiles.root(self.store.node(node), node)
    }

    /// The id of the profile that holds the identifier.
    #[must_use]
    pub fn profile(&self, node: NodeId) -> ProfileId {
        ProfileId::of(&self.workspace, &self.identifier(self.root(node)))
    }

    /// Whether the identifier is linked to too many persons to join any.
    #[must_use]
    pub fn is_hub(&self, node: NodeId) -> bool {
        self.store.node(node).is(flag::HUB)
    }

    /// Whether the identifier is taken from every event.
    #[must_use]
    pub fn is_blocked(&self, node: NodeId) -> bool {
        self.store.node(node).is(flag::BLOCKED)
    }

    /// Whether an event has the identifier, or a pin makes it one with others. Of others only operations speak.
    #[must_use]
    pub fn is_known(&self, node: NodeId) -> bool {
        self.store.node(node).is(flag::SEEN)
            || self
                .store
                .links_of(node)
                .any(|link| self.store.is_pinned(link))
    }

    /// Whether the two have a usable link; limits and refusals do not matter.
    #[must_use]
    pub fn has_usable_link(&self, one: NodeId, other: NodeId) -> bool {
        self.store
            .pair(one, other)
            .is_some_and(|link| self.is_usable(link))
    }

    /// The identifiers that were ever seen together with this one, by whatever source.
    pub fn neighbours(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        self.store
            .links_of(node)
            .map(move |link| self.other_end(link, node))
    }

    /// The ends of a link, the higher first.
    #[must_use]
    pub fn ends(&self, link: LinkId) -> (NodeId, NodeId) {
        self.store.ends(link)
    }

    /// Why the link joins nobody, if so.
    #[must_use]
    pub fn refusal(&self, link: LinkId) -> Option<Refusal> {
        self.store.refusal(link)
    }

    /// All nodes, in the order of arrival.
    pub fn all_nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.store.node_count() as u32).map(NodeId)
    }

    /// All links, in the order of arrival.
    pub fn all_links(&self) -> impl Iterator<Item = LinkId> + use<> {
        (0..self.store.link_count() as u32).map(LinkId)
    }

    pub(super) fn is_usable(&self, link: LinkId) -> bool {
        let (higher, lower) = self.ends(link);
        let agrees = |node: NodeId| {
            let decided = self.consents.get(node);
            decided.unwrap_or(!self.rules.consent_required)
        };
        (self.store.is_pinned(link) || (!self.store.is_cut(link) && self.seen(link).is_some()))
            && !(self.is_blocked(higher) || self.is_blocked(lower))
            && !self
                .separated
                .get(&higher)
                .is_some_and(|partners| partners.contains(&lower))
            && agrees(higher)
            && agrees(lower)
    }

    /// Whether the link may join: it is usable and, unless pinned, neither end is a hub.
    pub(super) fn joins(&self, link: LinkId) -> bool {
        let (higher, lower) = self.ends(link);
        self.is_usable(link)
            && (self.store.is_pinned(link) || !(self.is_hub(higher) || self.is_hub(lower)))
    }

    /// When the sources that may link have seen it; none while only others have, and of two of one person type.
    pub(super) fn seen(&self, link: LinkId) -> Option<Seen> {
        let alike = self.store.shared_type(link);
        if alike.is_some_and(|r#type| self.rules.types.is_person(r#type)) {
            return None;
        }
        let mut seen: Option<Seen> = None;
        self.store.sights(link, |sight| {
            if !self.sources[usize::from(sight.source.0)].may_link {
                return;
            }
            let before = seen.unwrap_or(Seen {
                first: sight.first,
                last_day: sight.last_day,
            });
            seen = Some(Seen {
                first: before.first.min(sight.first),
                last_day: before.last_day.max(sight.last_day),
            });
        });
        seen
    }

    pub(super) fn other_end(&self, link: LinkId, node: NodeId) -> NodeId {
        let (higher, lower) = self.ends(link);
        if higher == node { lower } else { higher }
    }

    fn link(&mut self, one: NodeId, other: NodeId) -> Option<LinkId> {
        (one != other).then(|| self.store.link(one, other))
    }

    /// Linked to more different values of one person type than the rules allow. Pins that were never seen do not count.
    fn counts_as_hub(&self, node: NodeId) -> bool {
        let above = self.rules.hub_above as usize;
        let types = &self.rules.types;
        if !(types.get(self.r#type(node))).is_some_and(|rule| rule.can_be_hub) {
            return false;
        }
        let mut values = [0_usize; Types::MOST];
        self.store.links_of(node).any(|link| {
            let r#type = self.r#type(self.other_end(link, node));
            let Some(place) = types.place(r#type).filter(|_| types.is_person(r#type)) else {
                return false;
            };
            if !self.is_usable(link) || self.seen(link).is_none() {
                return false;
            }
            values[place] += 1;
            values[place] > above
        })
    }

    /// The link between the two can be used now and could not, or the other way round. On a timeline that matters to
    /// events with a person as their anchor.
    fn lines_between(&mut self, ends: [NodeId; 2]) {
        for [timeline, anchor] in [ends, [ends[1], ends[0]]] {
            if self.is_person(anchor) {
                self.lines.push((timeline, anchor));
            }
        }
    }

    fn touch_around(&mut self, node: NodeId) {
        self.touched.insert(node);
        let around: Vec<NodeId> = self.neighbours(node).collect();
        self.touched.extend(around);
    }
}
