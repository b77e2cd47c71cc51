//! One component at a time: its usable links in the canonical order, each joining two profiles or refused.

use std::cmp::Reverse;

use super::Refusal;
use super::graph::{Changes, Graph, LinkId, NodeId};
use crate::identifier::{BUILT_IN, Identifier, IdentifierType};
use crate::time::Timestamp;

/// The scratch memory of a resolution, kept between calls.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    /// The round in which a node was last visited.
    visited: Vec<u32>,
    /// Its place in the component, in that round.
    place: Vec<u32>,
    round: u32,
}

/// A profile in the making.
struct Group {
    members: Vec<NodeId>,
    counts: [u32; BUILT_IN.len()],
    has_person: bool,
}

/// The canonical order: pinned first, persons before devices, the later last day, the earlier first time, then the names.
type Order<'a> = (
    bool,
    u8,
    Reverse<i32>,
    Timestamp,
    &'a Identifier,
    &'a Identifier,
);

impl Resolver {
    pub(super) fn resolve(&mut self, graph: &mut Graph, touched: &[NodeId], changes: &mut Changes) {
        self.visited.resize(graph.nodes.len(), 0);
        self.place.resize(graph.nodes.len(), 0);
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            self.visited.fill(0);
            self.round = 1;
        }
        for node in touched {
            self.refuse_hub_links(graph, *node, changes);
            if self.visited[node.0 as usize] != self.round {
                let (members, links) = self.component(graph, *node);
                self.join(graph, &members, &links, changes);
            }
        }
    }

    /// The links of a hub join nobody, so no component reaches through them: they are judged with the touched end.
    fn refuse_hub_links(&self, graph: &mut Graph, node: NodeId, changes: &mut Changes) {
        for index in 0..graph.nodes[node.0 as usize].links.len() {
            let link = graph.nodes[node.0 as usize].links[index];
            let refusal = if !graph.is_usable(link) {
                None
            } else if self.joins(graph, link) {
                continue;
            } else {
                Some(Refusal::Hub)
            };
            record(graph, link, refusal, changes);
        }
    }

    /// Whether the link may join: it is usable and, unless pinned, neither end is a hub.
    fn joins(&self, graph: &Graph, link: LinkId) -> bool {
        let (higher, lower) = graph.ends(link);
        graph.is_usable(link)
            && (graph.links[link.0 as usize].pinned
                || !(graph.is_hub(higher) || graph.is_hub(lower)))
    }

    fn component(&mut self, graph: &Graph, start: NodeId) -> (Vec<NodeId>, Vec<LinkId>) {
        let (mut members, mut links) = (vec![start], Vec::new());
        self.visited[start.0 as usize] = self.round;
        self.place[start.0 as usize] = 0;
        let mut next = 0;
        while let Some(node) = members.get(next).copied() {
            next += 1;
            for link in &graph.nodes[node.0 as usize].links {
                if !self.joins(graph, *link) {
                    continue;
                }
                let other = graph.other_end(*link, node);
                if self.visited[other.0 as usize] != self.round {
                    self.visited[other.0 as usize] = self.round;
                    self.place[other.0 as usize] = members.len() as u32;
                    members.push(other);
                }
                // Each link is met from both ends; the higher one takes it.
                if graph.ends(*link).0 == node {
                    links.push(*link);
                }
            }
        }
        (members, links)
    }

    fn join(&self, graph: &mut Graph, members: &[NodeId], links: &[LinkId], changes: &mut Changes) {
        let mut ordered: Vec<(Order<'_>, LinkId)> = links
            .iter()
            .map(|link| (order(graph, *link), *link))
            .collect();
        ordered.sort_unstable();
        let ordered: Vec<LinkId> = ordered.into_iter().map(|(_, link)| link).collect();

        let mut group_of: Vec<u32> = (0..members.len() as u32).collect();
        let mut groups: Vec<Option<Group>> = members
            .iter()
            .map(|node| {
                let r#type = graph.identifier(*node).r#type;
                let mut counts = [0; BUILT_IN.len()];
                counts[usize::from(r#type.0)] = 1;
                Some(Group {
                    members: vec![*node],
                    counts,
                    has_person: r#type.is_person(),
                })
            })
            .collect();
        for link in ordered {
            let (higher, lower) = graph.ends(link);
            let (one, other) = (
                group_of[self.place[higher.0 as usize] as usize],
                group_of[self.place[lower.0 as usize] as usize],
            );
            let refusal = if one == other {
                None
            } else {
                let of = |group: u32| {
                    groups[group as usize]
                        .as_ref()
                        .expect("a group that a member names is not merged away")
                };
                let refusal = refusal(graph, link, of(one), of(other));
                if refusal.is_none() {
                    // The smaller moves, so that a member moves at most as often as its group doubles.
                    let (into, from) = if of(one).members.len() >= of(other).members.len() {
                        (one, other)
                    } else {
                        (other, one)
                    };
                    let moved = groups[from as usize]
                        .take()
                        .expect("it was there a line above");
                    for node in &moved.members {
                        group_of[self.place[node.0 as usize] as usize] = into;
                    }
                    let group = groups[into as usize]
                        .as_mut()
                        .expect("it was there a line above");
                    group.members.extend(moved.members);
                    group.has_person |= moved.has_person;
                    for (count, more) in group.counts.iter_mut().zip(moved.counts) {
                        *count += more;
                    }
                }
                refusal
            };
            record(graph, link, refusal, changes);
        }
        for group in groups.into_iter().flatten() {
            let root = root(graph, &group.members);
            for node in group.members {
                if graph.nodes[node.0 as usize].root != root {
                    graph.nodes[node.0 as usize].root = root;
                    changes.identifiers.push(node);
                    changes.moved += 1;
                }
            }
        }
    }
}

fn record(graph: &mut Graph, link: LinkId, refusal: Option<Refusal>, changes: &mut Changes) {
    let known = &mut graph.links[link.0 as usize].refusal;
    if *known != refusal {
        *known = refusal;
        changes.refusals.push(link);
    }
}

fn order(graph: &Graph, link: LinkId) -> Order<'_> {
    let known = &graph.links[link.0 as usize];
    let (higher, lower) = (
        graph.identifier(known.higher),
        graph.identifier(known.lower),
    );
    let devices = u8::from(!higher.r#type.is_person()) + u8::from(!lower.r#type.is_person());
    let (first, last_day) = graph
        .seen(link)
        .map_or((Timestamp(0), 0), |seen| (seen.first, seen.last_day));
    (
        !known.pinned,
        devices,
        Reverse(last_day),
        first,
        higher,
        lower,
    )
}

fn refusal(graph: &Graph, link: LinkId, one: &Group, other: &Group) -> Option<Refusal> {
    let limit = (0..)
        .zip(one.counts.iter().zip(other.counts))
        .find(|(rank, (count, more))| **count + more > graph.rules().limit(IdentifierType(*rank)));
    if let Some((rank, _)) = limit {
        return Some(Refusal::Limit(IdentifierType(rank)));
    }
    if holds_separated_pair(graph, one, other) {
        return Some(Refusal::Separated);
    }
    let (higher, lower) = graph.ends(link);
    let has_device =
        !graph.identifier(higher).r#type.is_person() || !graph.identifier(lower).r#type.is_person();
    let bridges =
        has_device && !graph.links[link.0 as usize].pinned && !graph.rules().device_bridges;
    (bridges && one.has_person && other.has_person).then_some(Refusal::DeviceBridge)
}

fn holds_separated_pair(graph: &Graph, one: &Group, other: &Group) -> bool {
    if graph.separated.is_empty() {
        return false;
    }
    let (few, many) = if one.members.len() <= other.members.len() {
        (one, other)
    } else {
        (other, one)
    };
    few.members.iter().any(|node| {
        graph
            .separated
            .get(node)
            .is_some_and(|partners| many.members.iter().any(|member| partners.contains(member)))
    })
}

/// The identifier that gives the profile its id: first by (type priority, earliest first time of its links, bytes).
fn root(graph: &Graph, members: &[NodeId]) -> NodeId {
    let highest = members
        .iter()
        .map(|node| graph.identifier(*node).r#type)
        .min()
        .expect("a group has a member");
    *members
        .iter()
        .filter(|node| graph.identifier(**node).r#type == highest)
        .min_by_key(|node| (earliest(graph, **node), graph.identifier(**node)))
        .expect("a group has a member of its highest type")
}

fn earliest(graph: &Graph, node: NodeId) -> Timestamp {
    graph.nodes[node.0 as usize]
        .links
        .iter()
        .filter(|link| graph.is_usable(**link))
        .map(|link| graph.seen(*link).map_or(Timestamp(0), |seen| seen.first))
        .min()
        .unwrap_or(Timestamp(i64::MAX))
}
