//! Which profiles there are: the usable links in the canonical order, each joining two profiles or refused.
//!
//! ```text
//! touched identifiers ──> their components, whole, in the canonical order
//! fresh links ──> between two profiles of which no link is refused, and that may be one: joined at once
//!             └─> else: their component, whole
//! ```
//!
//! Joined at once is what the canonical order would give, too. Where no link of a profile is refused, the profile is all
//! of its component, and its persons are joined by links between persons and pins alone, which come first: a link from
//! a device could not have joined two groups with a person each. So if the two hold no more together than the limits
//! allow, and the new link is no device's between persons, no order refuses any link of both. Only the identifier that
//! names the profile may be another: of those that did, and the ends of the link, whose first time may be earlier now.

use std::cmp::Reverse;

use super::graph::{Changes, Graph};
use super::profiles::{Counts, Profile};
use super::store::{NONE, flag};
use super::{LinkId, NodeId, Refusal};
use crate::identifier::{BUILT_IN, IdentifierType};
use crate::time::Timestamp;

/// The scratch memory of a resolution, kept between calls.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    visited: Vec<NodeId>,
    /// In the order of their identifiers, so that a place tells who is higher.
    members: Vec<NodeId>,
    links: Vec<(LinkId, NodeId, NodeId)>,
    ordered: Vec<(Order, LinkId)>,
    group_of: Vec<u32>,
    groups: Vec<Group>,
    /// The next member's place in a group; the last one's is the first.
    ring: Vec<u32>,
    old_roots: Vec<NodeId>,
}

/// A profile in the making.
#[derive(Debug)]
struct Group {
    size: u32,
    counts: [u32; BUILT_IN.len()],
    has_person: bool,
}

/// The canonical order: pinned first, persons before devices, the later last day, the earlier first time, then the places
/// of the ends.
type Order = (bool, u8, Reverse<i32>, Timestamp, [u32; 2]);

impl Resolver {
    pub(super) fn resolve(
        &mut self,
        graph: &mut Graph,
        touched: &[NodeId],
        fresh: &[LinkId],
        changes: &mut Changes,
    ) {
        for node in touched {
            refuse_hub_links(graph, *node, changes);
            if !graph.store.node(*node).is(flag::VISITED) {
                self.resolve_component(graph, *node, changes);
            }
        }
        for link in fresh {
            let (higher, lower) = graph.ends(*link);
            if !graph.is_usable(*link) {
                record(graph, *link, None, changes);
            } else if !graph.joins(*link) {
                record(graph, *link, Some(Refusal::Hub), changes);
                // It joins nobody, but its time counts for who names a profile.
                rename(graph, &[higher], changes);
                rename(graph, &[lower], changes);
            } else if !graph.store.node(higher).is(flag::VISITED)
                && !join_at_once(graph, *link, changes)
            {
                self.resolve_component(graph, higher, changes);
            }
        }
        for node in self.visited.drain(..) {
            graph.store.node_mut(node).set(flag::VISITED, false);
        }
    }

    fn resolve_component(&mut self, graph: &mut Graph, start: NodeId, changes: &mut Changes) {
        self.find_component(graph, start);
        let mut ordered = std::mem::take(&mut self.ordered);
        ordered.clear();
        ordered.extend(self.links.iter().map(|(link, higher, lower)| {
            let places = [*higher, *lower].map(|node| graph.store.node(node).next);
            (order(graph, *link, places), *link)
        }));
        ordered.sort_unstable();
        self.begin_groups(graph);
        for (order, link) in &ordered {
            let places = order.4;
            let [one, other] = places.map(|place| self.group_of[place as usize]);
            let refusal = if one == other {
                None
            } else {
                let refusal = self.refusal(graph, *link, one, other);
                if refusal.is_none() {
                    self.join(one, other);
                }
                refusal
            };
            record(graph, *link, refusal, changes);
            if refusal.is_some() {
                for place in places {
                    let end = self.members[place as usize];
                    graph.store.node_mut(end).set(flag::TROUBLED, true);
                }
            }
        }
        self.ordered = ordered;
        self.make_profiles(graph, changes);
    }

    /// All that links which may join lead to; each identifier gets its place.
    fn find_component(&mut self, graph: &mut Graph, start: NodeId) {
        self.members.clear();
        self.links.clear();
        let mut next = 0;
        let mut reach = |graph: &mut Graph, members: &mut Vec<NodeId>, node: NodeId| {
            let known = graph.store.node_mut(node);
            if !known.is(flag::VISITED) {
                known.set(flag::VISITED, true);
                members.push(node);
                self.visited.push(node);
            }
        };
        reach(graph, &mut self.members, start);
        let mut around: Vec<LinkId> = Vec::new();
        while let Some(node) = self.members.get(next).copied() {
            next += 1;
            around.clear();
            around.extend(graph.store.links_of(node).filter(|link| graph.joins(*link)));
            for link in &around {
                let (higher, lower) = graph.ends(*link);
                // Each link is met from both ends; the higher one takes it.
                if higher == node {
                    self.links.push((*link, higher, lower));
                }
                let other = if higher == node { lower } else { higher };
                reach(graph, &mut self.members, other);
            }
        }
        self.members
            .sort_unstable_by(|one, other| graph.compare(*one, *other));
        for (place, node) in (0..).zip(&self.members) {
            graph.store.node_mut(*node).next = place;
        }
    }

    fn begin_groups(&mut self, graph: &mut Graph) {
        self.group_of.clear();
        self.groups.clear();
        self.ring.clear();
        self.old_roots.clear();
        for (place, node) in (0..).zip(&self.members) {
            graph.store.node_mut(*node).set(flag::TROUBLED, false);
            self.old_roots.push(graph.root(*node));
            let r#type = graph.r#type(*node);
            let mut counts = [0; BUILT_IN.len()];
            counts[usize::from(r#type.0)] = 1;
            self.group_of.push(place);
            self.ring.push(place);
            self.groups.push(Group {
                size: 1,
                counts,
                has_person: r#type.is_person(),
            });
        }
    }

    fn refusal(&self, graph: &Graph, link: LinkId, one: u32, other: u32) -> Option<Refusal> {
        let (first, second) = (&self.groups[one as usize], &self.groups[other as usize]);
        let limit =
            (0..)
                .zip(first.counts.iter().zip(second.counts))
                .find(|(rank, (count, more))| {
                    **count + more > graph.rules().limit(IdentifierType(*rank))
                });
        if let Some((rank, _)) = limit {
            return Some(Refusal::Limit(IdentifierType(rank)));
        }
        if self.holds_separated_pair(graph, one, other) {
            return Some(Refusal::Separated);
        }
        (first.has_person && second.has_person && bridges(graph, link))
            .then_some(Refusal::DeviceBridge)
    }

    fn holds_separated_pair(&self, graph: &Graph, one: u32, other: u32) -> bool {
        if graph.separated.is_empty() {
            return false;
        }
        let is_in = |node: &NodeId, group: u32| {
            // Of an identifier outside the component, this is no place in it.
            let place = graph.store.node(*node).next as usize;
            self.members.get(place) == Some(node) && self.group_of[place] == group
        };
        self.places(one).any(|place| {
            graph
                .separated
                .get(&self.members[place as usize])
                .is_some_and(|partners| partners.iter().any(|partner| is_in(partner, other)))
        })
    }

    /// Places of a group's members. A group is named after the place of one of them.
    fn places(&self, group: u32) -> impl Iterator<Item = u32> {
        let mut next = Some(group);
        std::iter::from_fn(move || {
            let place = next?;
            let after = self.ring[place as usize];
            next = (after != group).then_some(after);
            Some(place)
        })
    }

    /// The smaller moves, so that a member moves at most as often as its group doubles.
    fn join(&mut self, one: u32, other: u32) {
        let (into, from) = if self.groups[one as usize].size >= self.groups[other as usize].size {
            (one, other)
        } else {
            (other, one)
        };
        let mut place = from;
        loop {
            self.group_of[place as usize] = into;
            place = self.ring[place as usize];
            if place == from {
                break;
            }
        }
        self.ring.swap(into as usize, from as usize);
        let (size, counts, has_person) = {
            let from = &self.groups[from as usize];
            (from.size, from.counts, from.has_person)
        };
        let group = &mut self.groups[into as usize];
        group.size += size;
        group.has_person |= has_person;
        for (count, more) in group.counts.iter_mut().zip(counts) {
            *count += more;
        }
    }

    fn make_profiles(&mut self, graph: &mut Graph, changes: &mut Changes) {
        for node in &self.members {
            let place = std::mem::replace(&mut graph.store.node_mut(*node).profile, NONE);
            graph.profiles.leave(place);
        }
        for group in 0..self.members.len() as u32 {
            if self.group_of[group as usize] != group {
                continue;
            }
            let all: Vec<NodeId> = self
                .places(group)
                .map(|place| self.members[place as usize])
                .collect();
            let root = name_giver(graph, &all);
            let troubled = all
                .iter()
                .any(|node| graph.store.node(*node).is(flag::TROUBLED));
            let profile = if all.len() == 1 {
                NONE
            } else {
                let counts = self.groups[group as usize].counts;
                graph.profiles.add(Profile {
                    root,
                    size: all.len() as u32,
                    counts: counts.map(|count| u16::try_from(count).unwrap_or(u16::MAX)),
                    troubled,
                })
            };
            for place in self.places(group) {
                if self.old_roots[place as usize] != root {
                    changes.identifiers.push(self.members[place as usize]);
                    changes.moved += 1;
                }
            }
            for (index, node) in all.iter().enumerate() {
                let next = all[(index + 1) % all.len()];
                let known = graph.store.node_mut(*node);
                known.profile = profile;
                known.next = next.0;
            }
        }
    }
}

/// The links of a hub join nobody, so no component reaches through them: they are judged with the touched end.
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
        let mut counts = [0; BUILT_IN.len()];
        counts[usize::from(graph.r#type(node).0)] = 1;
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
        rename(graph, &[higher, lower], changes);
        return true;
    }
    let has_person = |counts: &Counts| {
        (0..)
            .zip(counts)
            .any(|(rank, count)| *count > 0 && IdentifierType(rank).is_person())
    };
    let mut counts = one.counts;
    for (rank, (count, more)) in (0..).zip(counts.iter_mut().zip(other.counts)) {
        let sum = count.checked_add(more).filter(|sum| *sum < u16::MAX);
        match sum {
            Some(sum) if u32::from(sum) <= graph.rules().limit(IdentifierType(rank)) => {
                *count = sum
            }
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

/// Names the profile of these members after one of them, if it goes before who names it now.
fn rename(graph: &mut Graph, candidates: &[NodeId], changes: &mut Changes) {
    let place = graph.store.node(candidates[0]).profile;
    if place == NONE {
        return;
    }
    let before = graph.profiles.get(place).root;
    let root = name_giver(graph, &[&[before], candidates].concat());
    if root != before {
        tell_members(graph, before, changes);
        graph.profiles.get_mut(place).root = root;
    }
}

/// All that are in one profile with the identifier, itself first.
fn members(graph: &Graph, of: NodeId) -> impl Iterator<Item = NodeId> {
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

fn record(graph: &mut Graph, link: LinkId, refusal: Option<Refusal>, changes: &mut Changes) {
    if graph.refusal(link) != refusal {
        graph.store.refuse(link, refusal);
        changes.refusals.push(link);
    }
}

fn order(graph: &Graph, link: LinkId, places: [u32; 2]) -> Order {
    let (higher, lower) = graph.ends(link);
    let is_device = |node| u8::from(!graph.r#type(node).is_person());
    let (first, last_day) = graph
        .seen(link)
        .map_or((Timestamp(0), 0), |seen| (seen.first, seen.last_day));
    (
        !graph.store.is_pinned(link),
        is_device(higher) + is_device(lower),
        Reverse(last_day),
        first,
        places,
    )
}

/// Whether the link is a device's, which must not join two that hold a person each.
fn bridges(graph: &Graph, link: LinkId) -> bool {
    let (higher, lower) = graph.ends(link);
    let has_device = !graph.r#type(higher).is_person() || !graph.r#type(lower).is_person();
    has_device && !graph.store.is_pinned(link) && !graph.rules().device_bridges
}

/// The one of them that gives a profile its id: first by (type priority, earliest first time of its links, bytes). The
/// links of each are looked at once, and not at all where its type decides.
fn name_giver(graph: &Graph, candidates: &[NodeId]) -> NodeId {
    let highest = candidates.iter().map(|node| graph.r#type(*node)).min();
    let mut left: Vec<NodeId> = candidates.to_vec();
    left.retain(|node| Some(graph.r#type(*node)) == highest);
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
