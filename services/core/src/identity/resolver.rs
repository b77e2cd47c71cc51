//! Which profiles there are: the usable links in the canonical order, each joining two profiles or refused.
//!
//! ```text
//! touched identifiers ──> their profiles ─────────────────────────┐
//! fresh links ──> between two profiles of which no link is        ├──> resolved, with all their links, as far as
//!             │   refused, and that may be one: joined at once    │    decisions change
//!             └─> else: the profiles of both ends ────────────────┘
//! ```
//!
//! **As far as decisions change.** Whether two are in one profile depends on links far away, because what was joined
//! before may have filled a profile. But a profile is joined by links within it alone, and none of these is refused: what
//! a limit, a pair to be kept separate or two persons forbid, they forbid for more, too, and persons are joined before
//! devices join anybody. So some profiles are taken apart, and all links that they have are taken in the canonical order,
//! beside the links within the profiles around them, which show how far each of these had grown when a link came. If no
//! link joins one taken apart with one around, then nothing else can be decided otherwise: who is around grows as before,
//! and so do all others. If one does, it is taken apart, too, and all begins anew.
//!
//! If that means too many links to look at, all is left as it is, and the component is resolved in slices (`sliced.rs`).
//! The same goes for whoever is next to one that is resolved so: it must find its members as they are.
//!
//! **Joined at once** is what the canonical order would give, too. Where no link of a profile is refused, the profile is
//! all that links lead to, and its persons are joined by links between persons and pins alone, which come first: a link
//! from a device could not have joined two groups with a person each. So if the two hold no more together than the limits
//! allow, and the new link is no device's between persons, no order refuses any link of both. Only the identifier that
//! names the profile may be another: of those that did, and the ends of the link, whose first time may be earlier now.

use std::cmp::Reverse;

use super::graph::{Changes, Graph};
use super::groups::Groups;
use super::profiles::{Counts, Profile};
use super::store::{NONE, flag};
use super::{LinkId, NodeId, Refusal, Types};
use crate::identifier::Kind;
use crate::time::Timestamp;

/// The scratch memory of a resolution, kept between calls.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    visited: Vec<NodeId>,
    /// Of the profiles that are taken apart, and of those around them.
    inside: Vec<NodeId>,
    around: Vec<NodeId>,
    /// Both, in the order of their identifiers, so that a place tells who is higher.
    members: Vec<NodeId>,
    /// What the store says of who is next in each member's profile, where its place stands meanwhile.
    next: Vec<u32>,
    links: Vec<LinkId>,
    ordered: Vec<(Order, LinkId)>,
    /// Of each of these links, in their order.
    decisions: Vec<Option<Refusal>>,
    groups: Groups,
    /// Links that were looked at for one resolution, and the most that may be.
    looked_at: usize,
    most: usize,
    /// Resolutions that were left to be done in slices.
    left: usize,
}

/// Rounds after which a resolution takes more profiles apart than were joined with what it has.
const PATIENCE: u32 = 2;

/// Links for which memory is kept between calls; a resolution of more gives it back.
const KEPT: usize = 1 << 20;

/// The canonical order without the ends: pinned first, persons before devices, the later last day, the earlier first time.
pub(super) type Rank = (bool, u8, Reverse<i32>, Timestamp);

/// With the places of the ends.
type Order = (Rank, [u32; 2]);

/// After so many that were left to be done in slices no other is begun at once: it would be in vain, too.
const LEFT: usize = 4;

impl Resolver {
    pub(super) fn resolve(
        &mut self,
        graph: &mut Graph,
        touched: &[NodeId],
        fresh: &[LinkId],
        earlier: &[NodeId],
        most: usize,
        changes: &mut Changes,
    ) {
        (self.most, self.left) = (most, 0);
        for node in touched {
            refuse_hub_links(graph, *node, changes);
            if graph.sliced.has(*node) {
                graph.sliced.touch();
            } else if !graph.store.node(*node).is(flag::VISITED) {
                self.resolve_profiles(graph, &[*node], changes);
            }
        }
        for link in fresh {
            let (higher, lower) = graph.ends(*link);
            let is_decided = |node| graph.store.node(node).is(flag::VISITED);
            if !graph.is_usable(*link) {
                record(graph, *link, None, changes);
            } else if !graph.joins(*link) {
                record(graph, *link, Some(Refusal::Hub), changes);
            } else if graph.sliced.has(higher) || graph.sliced.has(lower) {
                graph.sliced.take_link(*link);
            } else if !is_decided(higher)
                && !is_decided(lower)
                && !join_at_once(graph, *link, changes)
            {
                self.resolve_profiles(graph, &[higher, lower], changes);
            }
        }
        rename(graph, earlier, changes);
        for node in self.visited.drain(..) {
            graph.store.node_mut(node).set(flag::VISITED, false);
        }
        if self.ordered.capacity() > KEPT {
            *self = Self::default();
        }
    }

    /// Decides again all links of the profiles of these identifiers, and whatever follows.
    fn resolve_profiles(&mut self, graph: &mut Graph, of: &[NodeId], changes: &mut Changes) {
        if self.left >= LEFT {
            return graph.sliced.add(of);
        }
        self.looked_at = 0;
        self.inside.clear();
        for node in of {
            self.take_apart(graph, *node);
        }
        let mut rounds = 0;
        loop {
            if !self.find_links(graph) {
                for node in self.inside.iter().chain(&self.around) {
                    let known = graph.store.node_mut(*node);
                    known.set(flag::INSIDE, false);
                    known.set(flag::AROUND, false);
                }
                self.left += 1;
                return graph.sliced.add(of);
            }
            self.give_places(graph);
            self.order_links(graph);
            self.begin_groups(graph);
            let joined = self.decide(graph);
            if joined.is_empty() {
                break;
            }
            self.take_places_back(graph);
            let enough = self.inside.len() * 4;
            for node in joined {
                self.take_apart(graph, node);
            }
            rounds += 1;
            if rounds > PATIENCE {
                // It goes far: several times as far with each round, so that all rounds cost little more than the last.
                self.go_further(graph, enough);
            }
        }
        self.record_decisions(graph, changes);
        self.make_profiles(graph, changes);
        self.visited.extend(&self.inside);
        for node in &self.inside {
            let known = graph.store.node_mut(*node);
            known.set(flag::INSIDE, false);
            known.set(flag::VISITED, true);
        }
    }

    fn take_apart(&mut self, graph: &mut Graph, of: NodeId) {
        if !graph.store.node(of).is(flag::INSIDE) {
            let begin = self.inside.len();
            self.inside.extend(members(graph, of));
            for node in &self.inside[begin..] {
                graph.store.node_mut(*node).set(flag::INSIDE, true);
            }
        }
    }

    /// Takes profiles around apart, too, until so many identifiers are, or nobody is around.
    fn go_further(&mut self, graph: &mut Graph, enough: usize) {
        let mut next = 0;
        while self.inside.len() < enough
            && self.looked_at <= self.most
            && let Some(node) = self.inside.get(next).copied()
        {
            next += 1;
            let ends: Vec<NodeId> = graph
                .store
                .links_of(node)
                .filter(|link| graph.joins(*link))
                .map(|link| graph.other_end(link, node))
                .collect();
            self.looked_at += ends.len();
            for end in ends {
                self.take_apart(graph, end);
            }
        }
    }

    /// The links of those that are taken apart, and those within the profiles around them; false where these are too many,
    /// or one is of a component that is resolved in slices.
    fn find_links(&mut self, graph: &mut Graph) -> bool {
        self.links.clear();
        self.around.clear();
        for node in &self.inside {
            let mut next = graph.store.first_link(*node);
            while let Some(link) = next {
                next = graph.store.next_link(link, *node);
                self.looked_at += 1;
                if !graph.joins(link) {
                    continue;
                }
                let other = graph.other_end(link, *node);
                if self.looked_at > self.most || graph.sliced.has(other) {
                    return false;
                }
                let known = graph.store.node(other);
                if known.is(flag::INSIDE) {
                    // Such a link is met from both ends; one of them takes it.
                    if graph.ends(link).0 == *node {
                        self.links.push(link);
                    }
                    continue;
                }
                self.links.push(link);
                if !known.is(flag::AROUND) {
                    let begin = self.around.len();
                    self.around.extend(members(graph, other));
                    for node in &self.around[begin..] {
                        graph.store.node_mut(*node).set(flag::AROUND, true);
                    }
                }
            }
        }
        for node in &self.around {
            graph.store.node_mut(*node).set(flag::AROUND, false);
            let profile = graph.store.node(*node).profile;
            if profile == NONE {
                continue;
            }
            for link in graph.store.links_of(*node) {
                self.looked_at += 1;
                let (higher, lower) = graph.ends(link);
                if higher == *node
                    && graph.store.node(lower).profile == profile
                    && graph.joins(link)
                {
                    self.links.push(link);
                }
            }
            if self.looked_at > self.most {
                return false;
            }
        }
        true
    }

    fn give_places(&mut self, graph: &mut Graph) {
        self.members.clear();
        self.members.extend(&self.inside);
        self.members.extend(&self.around);
        self.members
            .sort_unstable_by(|one, other| graph.compare(*one, *other));
        self.next.clear();
        for (place, node) in (0..).zip(&self.members) {
            let next = &mut graph.store.node_mut(*node).next;
            self.next.push(std::mem::replace(next, place));
        }
    }

    fn take_places_back(&self, graph: &mut Graph) {
        for (node, next) in self.members.iter().zip(&self.next) {
            graph.store.node_mut(*node).next = *next;
        }
    }

    fn order_links(&mut self, graph: &Graph) {
        self.ordered.clear();
        self.ordered.extend(self.links.iter().map(|link| {
            let (higher, lower) = graph.ends(*link);
            let mut places = [higher, lower].map(|node| graph.store.node(node).next);
            // The ends are in an order that knows no rules.
            places.sort_unstable();
            ((rank(graph, *link), places), *link)
        }));
        self.ordered.sort_unstable();
    }

    fn begin_groups(&mut self, graph: &Graph) {
        self.groups.clear();
        for node in &self.members {
            let is_inside = graph.store.node(*node).is(flag::INSIDE);
            self.groups.add(graph, *node, is_inside);
        }
    }

    /// Takes the links in their order; returns one of each group around that was joined with one inside.
    fn decide(&mut self, graph: &Graph) -> Vec<NodeId> {
        let mut joined = Vec::new();
        let ordered = std::mem::take(&mut self.ordered);
        self.decisions.clear();
        for (order, link) in &ordered {
            let [one, other] = order.1.map(|place| self.groups.of(place));
            let refusal = if one == other {
                None
            } else {
                // Of an identifier that is no member, this is no place.
                let place_of = |node: NodeId| {
                    let place = graph.store.node(node).next;
                    (self.members.get(place as usize) == Some(&node)).then_some(place)
                };
                let pair = [one, other];
                (self.groups).refusal(graph, *link, pair, &self.members, place_of)
            };
            self.decisions.push(refusal);
            if one == other || refusal.is_some() {
                continue;
            }
            let sides = [one, other].map(|group| self.groups.get(group).is_inside);
            if sides[0] != sides[1] {
                let around = if sides[0] { other } else { one };
                joined.push(self.members[around as usize]);
            }
            self.groups.join(one, other);
        }
        self.ordered = ordered;
        joined
    }

    /// Says of each link of those that were taken apart what was decided.
    fn record_decisions(&mut self, graph: &mut Graph, changes: &mut Changes) {
        for node in &self.inside {
            graph.store.node_mut(*node).set(flag::TROUBLED, false);
        }
        for ((order, link), refusal) in self.ordered.iter().zip(&self.decisions) {
            let ends = order.1.map(|place| self.members[place as usize]);
            let is_inside = ends.map(|end| graph.store.node(end).is(flag::INSIDE));
            if !(is_inside[0] || is_inside[1]) {
                continue;
            }
            record(graph, *link, *refusal, changes);
            if refusal.is_none() {
                continue;
            }
            for (end, is_inside) in ends.into_iter().zip(is_inside) {
                let known = graph.store.node_mut(end);
                known.set(flag::TROUBLED, true);
                let profile = known.profile;
                if !is_inside && profile != NONE {
                    graph.profiles.get_mut(profile).troubled = true;
                }
            }
        }
    }

    fn make_profiles(&mut self, graph: &mut Graph, changes: &mut Changes) {
        self.take_places_back(graph);
        let made = self.groups.all();
        let made: Vec<Made> = made
            .filter(|group| self.groups.get(*group).is_inside)
            .map(|group| {
                let members = self.groups.places(group);
                let members: Vec<NodeId> =
                    members.map(|place| self.members[place as usize]).collect();
                Made {
                    root: name_giver(graph, &members),
                    members,
                    counts: self.groups.get(group).counts,
                }
            })
            .collect();
        make_profiles(graph, &self.inside, made, changes);
    }
}

/// A profile as it was decided.
pub(super) struct Made {
    pub(super) root: NodeId,
    pub(super) members: Vec<NodeId>,
    pub(super) counts: [u32; Types::MOST],
}

/// Puts these profiles into the place of those that these identifiers were in.
pub(super) fn make_profiles(
    graph: &mut Graph,
    of: &[NodeId],
    made: Vec<Made>,
    changes: &mut Changes,
) {
    let old_roots: Vec<NodeId> = of.iter().map(|node| graph.root(*node)).collect();
    for node in of {
        let place = std::mem::replace(&mut graph.store.node_mut(*node).profile, NONE);
        graph.profiles.leave(place);
    }
    for made in made {
        let all = made.members;
        let profile = if all.len() == 1 {
            NONE
        } else {
            graph.profiles.add(Profile {
                root: made.root,
                size: all.len() as u32,
                counts: (made.counts).map(|count| u16::try_from(count).unwrap_or(u16::MAX)),
                troubled: all
                    .iter()
                    .any(|node| graph.store.node(*node).is(flag::TROUBLED)),
            })
        };
        for (index, node) in all.iter().enumerate() {
            let next = all[(index + 1) % all.len()];
            let known = graph.store.node_mut(*node);
            known.profile = profile;
            known.next = next.0;
        }
    }
    for (node, old_root) in of.iter().zip(old_roots) {
        if graph.root(*node) != old_root {
            changes.identifiers.push(*node);
            changes.moved += 1;
        }
    }
}

/// The links of a hub join nobody, so no resolution meets them: they are judged with the touched end.
fn refuse_hub_links(graph: &mut Graph, node: NodeId, changes: &mut Changes) {
    let links: Vec<LinkId> = graph.store.links_of(node).collect();
    for link in links {
        if !graph.is_usable(link) {
            record(graph, link, None, changes);
        } else if !graph.joins(link) {
            record(graph, link, Some(Refusal::Hub), changes);
        }
    }
}

/// What is to be known of a profile before it is joined with another.
struct Side {
    place: u32,
    root: NodeId,
    size: u32,
    counts: Counts,
    troubled: bool,
}

fn side(graph: &Graph, node: NodeId) -> Side {
    let known = graph.store.node(node);
    if known.profile == NONE {
        let mut counts = [0; Types::MOST];
        if let Some(place) = graph.place(node) {
            counts[place] = 1;
        }
        return Side {
            place: NONE,
            root: node,
            size: 1,
            counts,
            troubled: known.is(flag::TROUBLED),
        };
    }
    let profile = graph.profiles.get(known.profile);
    Side {
        place: known.profile,
        root: profile.root,
        size: profile.size,
        counts: profile.counts,
        troubled: profile.troubled,
    }
}

/// Joins what the link joins, if that is all that it can change; see the head of this file.
fn join_at_once(graph: &mut Graph, link: LinkId, changes: &mut Changes) -> bool {
    let (higher, lower) = graph.ends(link);
    let (one, other) = (side(graph, higher), side(graph, lower));
    if one.troubled || other.troubled {
        return false;
    }
    if one.place == other.place && one.place != NONE {
        return true;
    }
    let types = graph.rules().types.by_priority();
    let has_person = |counts: &Counts| {
        (types.iter().zip(counts)).any(|(rule, count)| *count > 0 && rule.kind == Kind::Person)
    };
    let mut counts = one.counts;
    for (rule, (count, more)) in types.iter().zip(counts.iter_mut().zip(other.counts)) {
        let sum = count.checked_add(more).filter(|sum| *sum < u16::MAX);
        match sum {
            Some(sum) if u32::from(sum) <= rule.limit => *count = sum,
            _ => return false,
        }
    }
    if has_person(&one.counts) && has_person(&other.counts) && bridges(graph, link) {
        return false;
    }
    if holds_separated_pair(graph, &one, &other) {
        return false;
    }
    let root = name_giver(graph, &[one.root, other.root, higher, lower]);
    record(graph, link, None, changes);
    for side in [&one, &other] {
        if side.root != root {
            tell_members(graph, side.root, changes);
        }
    }
    let (into, from) = if one.size >= other.size {
        (one, other)
    } else {
        (other, one)
    };
    let profile = Profile {
        root,
        size: into.size + from.size,
        counts,
        troubled: false,
    };
    let place = if into.place == NONE {
        let place = graph.profiles.add(profile);
        graph.store.node_mut(into.root).profile = place;
        place
    } else {
        *graph.profiles.get_mut(into.place) = profile;
        into.place
    };
    let moved: Vec<NodeId> = members(graph, from.root).collect();
    for node in moved {
        graph.store.node_mut(node).profile = place;
    }
    graph.profiles.remove(from.place);
    // Two rings become one when two members change what follows them.
    let after_into = graph.store.node(into.root).next;
    let after_from = std::mem::replace(&mut graph.store.node_mut(from.root).next, after_into);
    graph.store.node_mut(into.root).next = after_from;
    true
}

/// Names profiles after those of their members whose links were seen earlier than before, where they come first now:
/// also by links that join nobody.
fn rename(graph: &mut Graph, earlier: &[NodeId], changes: &mut Changes) {
    for node in earlier {
        if graph.sliced.has(*node) {
            graph.sliced.take_earlier(*node);
        }
    }
    let mut earlier: Vec<(u32, NodeId)> = earlier
        .iter()
        .map(|node| (graph.store.node(*node), *node))
        .filter(|(known, node)| {
            !known.is(flag::VISITED) && known.profile != NONE && !graph.sliced.has(*node)
        })
        .map(|(known, node)| (known.profile, node))
        .collect();
    earlier.sort_unstable();
    earlier.dedup();
    for of_one in earlier.chunk_by(|one, other| one.0 == other.0) {
        let place = of_one[0].0;
        let before = graph.profiles.get(place).root;
        let mut candidates = vec![before];
        candidates.extend(of_one.iter().map(|(_, node)| *node));
        let root = name_giver(graph, &candidates);
        if root != before {
            tell_members(graph, before, changes);
            graph.profiles.get_mut(place).root = root;
        }
    }
}

/// All that are in one profile with the identifier, itself first.
pub(super) fn members(graph: &Graph, of: NodeId) -> impl Iterator<Item = NodeId> {
    std::iter::successors(Some(of), move |node| {
        let next = NodeId(graph.store.node(*node).next);
        (next != of).then_some(next)
    })
}

/// The members of that profile get another root.
fn tell_members(graph: &Graph, of: NodeId, changes: &mut Changes) {
    let before = changes.identifiers.len();
    changes.identifiers.extend(members(graph, of));
    changes.moved += changes.identifiers.len() - before;
}

/// Whether the two profiles hold a pair that is to be kept separate; the smaller is looked through.
fn holds_separated_pair(graph: &Graph, one: &Side, other: &Side) -> bool {
    let (few, many) = if one.size <= other.size {
        (one, other)
    } else {
        (other, one)
    };
    !graph.separated.is_empty()
        && members(graph, few.root).any(|node| {
            graph.separated.get(&node).is_some_and(|partners| {
                partners
                    .iter()
                    .any(|partner| graph.root(*partner) == many.root)
            })
        })
}

pub(super) fn record(
    graph: &mut Graph,
    link: LinkId,
    refusal: Option<Refusal>,
    changes: &mut Changes,
) {
    if graph.refusal(link) != refusal {
        graph.store.refuse(link, refusal);
        changes.refusals.push(link);
    }
}

pub(super) fn rank(graph: &Graph, link: LinkId) -> Rank {
    let (higher, lower) = graph.ends(link);
    let is_device = |node| u8::from(!graph.is_person(node));
    let (first, last_day) = graph
        .seen(link)
        .map_or((Timestamp(0), 0), |seen| (seen.first, seen.last_day));
    (
        !graph.store.is_pinned(link),
        is_device(higher) + is_device(lower),
        Reverse(last_day),
        first,
    )
}

/// Whether the link is a device's, which must not join two that hold a person each.
pub(super) fn bridges(graph: &Graph, link: LinkId) -> bool {
    let (higher, lower) = graph.ends(link);
    let has_device = !graph.is_person(higher) || !graph.is_person(lower);
    has_device && !graph.store.is_pinned(link) && !graph.rules().device_bridges
}

/// The one of them that gives a profile its id: first by (type priority, earliest first time of its links, bytes). The
/// links of each are looked at once, and not at all where its type decides.
fn name_giver(graph: &Graph, candidates: &[NodeId]) -> NodeId {
    let place = |node: &NodeId| graph.place(*node).unwrap_or(usize::MAX);
    let highest = candidates.iter().map(place).min();
    let mut left: Vec<NodeId> = candidates.to_vec();
    left.retain(|node| Some(place(node)) == highest);
    left.sort_unstable();
    left.dedup();
    if let [only] = left.as_slice() {
        return *only;
    }
    left.into_iter()
        .map(|node| (earliest(graph, node), node))
        .min_by(|(one_first, one), (other_first, other)| {
            one_first
                .cmp(other_first)
                .then_with(|| graph.compare(*one, *other))
        })
        .map(|(_, node)| node)
        .expect("a profile has a member")
}

fn earliest(graph: &Graph, node: NodeId) -> Timestamp {
    graph
        .store
        .links_of(node)
        .filter(|link| graph.is_usable(*link))
        .map(|link| graph.seen(link).map_or(Timestamp(0), |seen| seen.first))
        .min()
        .unwrap_or(Timestamp(i64::MAX))
}
