use rustc_hash::{FxHashMap, FxHashSet};

use super::component::Resolver;
use super::operations::{Effect, Operations};
use super::{Operation, Refusal, Rules};
use crate::identifier::Identifier;
use crate::ids::ProfileId;
use crate::time::Timestamp;
use uuid::Uuid;

/// An identifier in the graph. Numbers are given in the order of arrival, so nothing that comes out may depend on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) u32);

/// A link in the graph; see [`NodeId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub(super) u32);

#[derive(Debug)]
pub(super) struct Node {
    pub(super) identifier: Identifier,
    pub(super) links: Vec<LinkId>,
    /// The identifier that gives this one's profile its id.
    pub(super) root: NodeId,
    pub(super) hub: bool,
    pub(super) blocked: bool,
    /// An event has it; else only operations speak of it.
    seen: bool,
    /// The latest decision on being stitched: when, and whether it was given. At equal times a refusal wins.
    consent: Option<(Timestamp, bool)>,
}

#[derive(Debug)]
pub(super) struct Link {
    /// The higher identifier.
    pub(super) higher: NodeId,
    pub(super) lower: NodeId,
    sights: Sights,
    pub(super) pinned: bool,
    pub(super) cut: bool,
    pub(super) refusal: Option<Refusal>,
}

/// What each source has seen of a link; most are seen by one.
#[derive(Debug)]
enum Sights {
    None,
    One(Observation),
    Several(Vec<Observation>),
}

impl Sights {
    fn all(&self) -> &[Observation] {
        match self {
            Self::None => &[],
            Self::One(one) => std::slice::from_ref(one),
            Self::Several(all) => all,
        }
    }

    fn add(&mut self, sight: Observation) {
        let known = match self {
            Self::None => None,
            Self::One(one) => Some(one).filter(|known| known.source == sight.source),
            Self::Several(all) => all.iter_mut().find(|known| known.source == sight.source),
        };
        if let Some(known) = known {
            known.join(sight);
            return;
        }
        *self = match std::mem::replace(self, Self::None) {
            Self::None => Self::One(sight),
            Self::One(one) => Self::Several(vec![one, sight]),
            Self::Several(mut all) => {
                all.push(sight);
                Self::Several(all)
            }
        };
    }
}

/// When a link was seen, by the sources that may link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) first: Timestamp,
    pub(super) last_day: i32,
}

/// A source in the graph; see [`NodeId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceId(u16);

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

#[derive(Debug)]
struct Source {
    name: String,
    may_link: bool,
}

/// What [`Graph::settle`] changed.
#[derive(Debug, Default)]
pub struct Changes {
    /// Identifiers that are new, changed their profile, or became or ceased to be a hub, blocked or known.
    pub identifiers: Vec<NodeId>,
    /// Identifiers with a link that can be used now and could not, or the other way round: what happened on their own
    /// timeline may be on another line of it, though no profile changed.
    pub lines: Vec<NodeId>,
    /// Links whose refusal is another than before.
    pub refusals: Vec<LinkId>,
    /// How many identifiers came to another profile than the one they had: merges, renames and splits.
    pub moved: usize,
}

/// The identifiers of one workspace, the links between them, and what follows.
#[derive(Debug)]
pub struct Graph {
    workspace: String,
    rules: Rules,
    pub(super) nodes: Vec<Node>,
    pub(super) links: Vec<Link>,
    index: FxHashMap<Identifier, NodeId>,
    pairs: FxHashMap<(NodeId, NodeId), LinkId>,
    pub(super) separated: FxHashMap<NodeId, FxHashSet<NodeId>>,
    operations: Operations,
    sources: Vec<Source>,
    touched: FxHashSet<NodeId>,
    /// Identifiers and lines of the next settlement's changes, as far as no resolution finds them.
    changed: FxHashSet<NodeId>,
    lines: FxHashSet<NodeId>,
    resolver: Resolver,
}

impl Graph {
    /// An empty graph.
    #[must_use]
    pub fn new(workspace: &str, rules: Rules) -> Self {
        Self {
            workspace: workspace.to_owned(),
            rules,
            nodes: Vec::new(),
            links: Vec::new(),
            index: FxHashMap::default(),
            pairs: FxHashMap::default(),
            separated: FxHashMap::default(),
            operations: Operations::default(),
            sources: Vec::new(),
            touched: FxHashSet::default(),
            changed: FxHashSet::default(),
            lines: FxHashSet::default(),
            resolver: Resolver::default(),
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
        self.nodes.len()
    }

    /// How many links it knows, usable or not.
    #[must_use]
    pub fn links(&self) -> usize {
        self.links.len()
    }

    /// The node of an identifier that an event has, made where it is new.
    pub fn intern(&mut self, identifier: &Identifier) -> NodeId {
        let node = self.node(identifier);
        let known = &mut self.nodes[node.0 as usize];
        if !known.seen {
            known.seen = true;
            self.touched.insert(node);
            self.changed.insert(node);
        }
        node
    }

    fn node(&mut self, identifier: &Identifier) -> NodeId {
        if let Some(node) = self.index.get(identifier) {
            return *node;
        }
        let node = NodeId(
            u32::try_from(self.nodes.len())
                .expect("memory ends long before four thousand million identifiers"),
        );
        self.nodes.push(Node {
            identifier: identifier.clone(),
            links: Vec::new(),
            root: node,
            hub: false,
            blocked: self.blocks(identifier),
            seen: false,
            consent: None,
        });
        self.index.insert(identifier.clone(), node);
        node
    }

    /// The identifier's node, if it was seen.
    #[must_use]
    pub fn find(&self, identifier: &Identifier) -> Option<NodeId> {
        self.index.get(identifier).copied()
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

    /// Takes in that two identifiers were seen together. Two of one person type are no link.
    pub fn observe(&mut self, one: NodeId, other: NodeId, observation: Observation) {
        let Some(link) = self.link(one, other) else {
            return;
        };
        let before = self.seen(link);
        self.links[link.0 as usize].sights.add(observation);
        if self.seen(link) != before {
            let ends: [NodeId; 2] = self.ends(link).into();
            self.touched.extend(ends);
            if before.is_none() {
                self.lines_between(ends);
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
        for number in 0..self.nodes.len() {
            let node = NodeId(number as u32);
            let blocked = self.blocks(&self.nodes[number].identifier);
            if std::mem::replace(&mut self.nodes[number].blocked, blocked) != blocked {
                self.changed.insert(node);
            }
            self.touched.insert(node);
        }
    }

    /// Takes in a decision on being stitched, for one identifier.
    pub fn consent(&mut self, node: NodeId, at: Timestamp, granted: bool) {
        let consent = &mut self.nodes[node.0 as usize].consent;
        // `false < true`, and at equal times the refusal wins.
        if consent.is_none_or(|(before, given)| (before, !given) < (at, !granted)) {
            *consent = Some((at, granted));
            let around: Vec<NodeId> = self.neighbours(node).collect();
            for other in around {
                self.lines_between([node, other]);
            }
            self.touch_around(node);
        }
    }

    /// Takes in an operation, under an id of its own; one that is known already changes nothing. The identifiers need
    /// not have been seen.
    pub fn operate(&mut self, id: Uuid, operation: Operation) {
        for (effect, holds) in self.operations.enter(id, operation) {
            match effect {
                Effect::Cut(one, other) => {
                    let ends = [self.node(&one), self.node(&other)];
                    if let Some(link) = self.link(ends[0], ends[1]) {
                        self.links[link.0 as usize].cut = holds;
                        self.touched.extend(ends);
                        self.lines_between(ends);
                    }
                }
                Effect::Separate(one, other) => {
                    let ends = [self.node(&one), self.node(&other)];
                    self.separate(ends[0], ends[1], holds);
                    self.lines_between(ends);
                }
                Effect::Pin(one, other) => {
                    let ends = [self.node(&one), self.node(&other)];
                    let link = self.link_of_any(ends[0], ends[1]);
                    self.links[link.0 as usize].pinned = holds;
                    self.touched.extend(ends);
                    self.lines_between(ends);
                    // Whoever is pinned is known, seen or not.
                    self.changed.extend(ends);
                }
                Effect::Block(identifier) => self.block(&identifier),
            }
        }
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
    fn block(&mut self, identifier: &Identifier) {
        let node = self.node(identifier);
        let now = self.blocks(identifier);
        self.nodes[node.0 as usize].blocked = now;
        self.changed.insert(node);
        self.touch_around(node);
    }

    fn blocks(&self, identifier: &Identifier) -> bool {
        self.rules.blocks(identifier) || self.operations.blocks(identifier)
    }

    /// Decides again whatever the changes since the last call can have touched.
    pub fn settle(&mut self) -> Changes {
        let mut changes = Changes::default();
        if self.touched.is_empty() {
            return changes;
        }
        let mut touched: Vec<NodeId> = self.touched.drain().collect();
        touched.sort_unstable();
        let mut around = Vec::new();
        for node in &touched {
            let hub = self.counts_as_hub(*node);
            let known = &mut self.nodes[node.0 as usize];
            if known.hub != hub {
                known.hub = hub;
                changes.identifiers.push(*node);
                around.push(*node);
            }
        }
        changes.identifiers.extend(self.changed.drain());
        changes.lines = self.lines.drain().collect();
        changes.lines.sort_unstable();
        // A hub's neighbours were joined through it, or will be: their components are other ones now.
        for hub in around {
            touched.extend(
                self.nodes[hub.0 as usize]
                    .links
                    .iter()
                    .map(|link| self.other_end(*link, hub)),
            );
        }
        let mut resolver = std::mem::take(&mut self.resolver);
        resolver.resolve(self, &touched, &mut changes);
        self.resolver = resolver;
        changes.identifiers.sort_unstable();
        changes.identifiers.dedup();
        changes.refusals.sort_unstable();
        changes.refusals.dedup();
        changes
    }

    /// All that a link between these identifiers can have changed: the identifiers of their components, and of those
    /// around them where one is a hub, with all their links. For a start whose beginning is not known exactly: hubs among
    /// `changed` may not have been ones then, and are no end.
    #[must_use]
    pub fn surroundings(&self, nodes: &[NodeId], changed: &[NodeId]) -> Changes {
        let ends_here = |node: NodeId| self.is_hub(node) && changed.binary_search(&node).is_err();
        let (mut members, mut links): (FxHashSet<NodeId>, FxHashSet<LinkId>) =
            (FxHashSet::default(), FxHashSet::default());
        let mut open: Vec<NodeId> = nodes.to_vec();
        for node in nodes.iter().filter(|node| self.is_hub(**node)) {
            open.extend(self.neighbours(*node));
        }
        while let Some(node) = open.pop() {
            if !members.insert(node) {
                continue;
            }
            for link in &self.nodes[node.0 as usize].links {
                links.insert(*link);
                let other = self.other_end(*link, node);
                if self.is_usable(*link) && !ends_here(node) && !ends_here(other) {
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
    pub fn identifier(&self, node: NodeId) -> &Identifier {
        &self.nodes[node.0 as usize].identifier
    }

    /// The node whose identifier gives the profile of this one its id. Equal roots are one profile.
    #[must_use]
    pub fn root(&self, node: NodeId) -> NodeId {
        self.nodes[node.0 as usize].root
    }

    /// The id of the profile that holds the identifier.
    #[must_use]
    pub fn profile(&self, node: NodeId) -> ProfileId {
        ProfileId::of(&self.workspace, self.identifier(self.root(node)))
    }

    /// Whether the identifier is linked to too many persons to join any.
    #[must_use]
    pub fn is_hub(&self, node: NodeId) -> bool {
        self.nodes[node.0 as usize].hub
    }

    /// Whether the identifier is taken from every event.
    #[must_use]
    pub fn is_blocked(&self, node: NodeId) -> bool {
        self.nodes[node.0 as usize].blocked
    }

    /// Whether an event has the identifier, or a pin makes it one with others. Of others only operations speak.
    #[must_use]
    pub fn is_known(&self, node: NodeId) -> bool {
        let known = &self.nodes[node.0 as usize];
        known.seen
            || known
                .links
                .iter()
                .any(|link| self.links[link.0 as usize].pinned)
    }

    /// Whether the two have a usable link; limits and refusals do not matter.
    #[must_use]
    pub fn has_usable_link(&self, one: NodeId, other: NodeId) -> bool {
        self.pair(one, other)
            .is_some_and(|link| self.is_usable(link))
    }

    /// The identifiers that were ever seen together with this one, by whatever source.
    pub fn neighbours(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        self.nodes[node.0 as usize]
            .links
            .iter()
            .map(move |link| self.other_end(*link, node))
    }

    /// The ends of a link, the higher first.
    #[must_use]
    pub fn ends(&self, link: LinkId) -> (NodeId, NodeId) {
        let link = &self.links[link.0 as usize];
        (link.higher, link.lower)
    }

    /// Why the link joins nobody, if so.
    #[must_use]
    pub fn refusal(&self, link: LinkId) -> Option<Refusal> {
        self.links[link.0 as usize].refusal
    }

    /// All nodes, in the order of arrival.
    pub fn all_nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// All links, in the order of arrival.
    pub fn all_links(&self) -> impl Iterator<Item = LinkId> + use<> {
        (0..self.links.len() as u32).map(LinkId)
    }

    pub(super) fn is_usable(&self, link: LinkId) -> bool {
        let link = &self.links[link.0 as usize];
        let (higher, lower) = (
            &self.nodes[link.higher.0 as usize],
            &self.nodes[link.lower.0 as usize],
        );
        let agrees = |node: &Node| match node.consent {
            Some((_, granted)) => granted,
            None => !self.rules.consent_required,
        };
        (link.pinned || (!link.cut && self.is_seen(link)))
            && !(higher.blocked || lower.blocked)
            && !self
                .separated
                .get(&link.higher)
                .is_some_and(|partners| partners.contains(&link.lower))
            && agrees(higher)
            && agrees(lower)
    }

    /// When the sources that may link have seen it; none while only others have.
    pub(super) fn seen(&self, link: LinkId) -> Option<Seen> {
        let sights = self.links[link.0 as usize].sights.all().iter();
        sights
            .filter(|sight| self.may_link(sight.source))
            .map(|sight| Seen {
                first: sight.first,
                last_day: sight.last_day,
            })
            .reduce(|one, other| Seen {
                first: one.first.min(other.first),
                last_day: one.last_day.max(other.last_day),
            })
    }

    fn is_seen(&self, link: &Link) -> bool {
        link.sights
            .all()
            .iter()
            .any(|sight| self.may_link(sight.source))
    }

    fn may_link(&self, source: SourceId) -> bool {
        self.sources[usize::from(source.0)].may_link
    }

    pub(super) fn other_end(&self, link: LinkId, node: NodeId) -> NodeId {
        let link = &self.links[link.0 as usize];
        if link.higher == node {
            link.lower
        } else {
            link.higher
        }
    }

    fn link(&mut self, one: NodeId, other: NodeId) -> Option<LinkId> {
        let (a, b) = (self.identifier(one).r#type, self.identifier(other).r#type);
        let no_link = one == other || (a == b && a.is_person());
        (!no_link).then(|| self.link_of_any(one, other))
    }

    fn pair(&self, one: NodeId, other: NodeId) -> Option<LinkId> {
        self.pairs.get(&(one.min(other), one.max(other))).copied()
    }

    fn link_of_any(&mut self, one: NodeId, other: NodeId) -> LinkId {
        if let Some(link) = self.pair(one, other) {
            return link;
        }
        let link = LinkId(
            u32::try_from(self.links.len())
                .expect("memory ends long before four thousand million links"),
        );
        let (higher, lower) = if self.identifier(one) < self.identifier(other) {
            (one, other)
        } else {
            (other, one)
        };
        self.links.push(Link {
            higher,
            lower,
            sights: Sights::None,
            pinned: false,
            cut: false,
            refusal: None,
        });
        self.pairs.insert((one.min(other), one.max(other)), link);
        self.nodes[one.0 as usize].links.push(link);
        self.nodes[other.0 as usize].links.push(link);
        link
    }

    /// Linked to more different values of one person type than the rules allow. Pins that were never seen do not count.
    fn counts_as_hub(&self, node: NodeId) -> bool {
        let known = &self.nodes[node.0 as usize];
        let above = self.rules.hub_above as usize;
        if known.links.len() <= above || !self.rules.can_be_hub(known.identifier.r#type) {
            return false;
        }
        let mut values = [0_usize; crate::identifier::BUILT_IN.len()];
        known.links.iter().any(|link| {
            let r#type = self.identifier(self.other_end(*link, node)).r#type;
            if !r#type.is_person()
                || !self.is_seen(&self.links[link.0 as usize])
                || !self.is_usable(*link)
            {
                return false;
            }
            values[usize::from(r#type.0)] += 1;
            values[usize::from(r#type.0)] > above
        })
    }

    /// The link between the two can be used now and could not, or the other way round. On a timeline that matters to
    /// events with a person as their anchor.
    fn lines_between(&mut self, ends: [NodeId; 2]) {
        for [timeline, anchor] in [ends, [ends[1], ends[0]]] {
            if self.identifier(anchor).r#type.is_person() {
                self.lines.insert(timeline);
            }
        }
    }

    fn touch_around(&mut self, node: NodeId) {
        self.touched.insert(node);
        for index in 0..self.nodes[node.0 as usize].links.len() {
            let other = self.other_end(self.nodes[node.0 as usize].links[index], node);
            self.touched.insert(other);
        }
    }
}
