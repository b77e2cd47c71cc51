//! Profiles in the making: members by place, each in a group.

use super::graph::Graph;
use super::resolver::bridges;
use super::{LinkId, NodeId, Refusal, Types};

/// A profile in the making, named after the place of one of its members.
#[derive(Debug)]
pub(super) struct Group {
    size: u32,
    /// Of each type, by its place among the rules.
    pub(super) counts: [u32; Types::MOST],
    has_person: bool,
    /// Holds a member of a profile that is taken apart.
    pub(super) is_inside: bool,
}

#[derive(Debug, Default)]
pub(super) struct Groups {
    /// The group of each place.
    of: Vec<u32>,
    groups: Vec<Group>,
    /// The next member's place in a group; the last one's is the first.
    ring: Vec<u32>,
}

impl Groups {
    pub(super) fn clear(&mut self) {
        self.of.clear();
        self.groups.clear();
        self.ring.clear();
    }

    /// The identifier gets the next place, in a group of its own.
    pub(super) fn add(&mut self, graph: &Graph, node: NodeId, is_inside: bool) {
        let place = u32::try_from(self.of.len()).expect("there are fewer places than identifiers");
        let mut counts = [0; Types::MOST];
        if let Some(place) = graph.place(node) {
            counts[place] = 1;
        }
        self.of.push(place);
        self.ring.push(place);
        self.groups.push(Group {
            size: 1,
            counts,
            has_person: graph.is_person(node),
            is_inside,
        });
    }

    pub(super) fn of(&self, place: u32) -> u32 {
        self.of[place as usize]
    }

    pub(super) fn get(&self, group: u32) -> &Group {
        &self.groups[group as usize]
    }

    /// All groups that there are.
    pub(super) fn all(&self) -> impl Iterator<Item = u32> {
        (0..self.of.len() as u32).filter(|group| self.of(*group) == *group)
    }

    /// Places of a group's members.
    pub(super) fn places(&self, group: u32) -> impl Iterator<Item = u32> {
        let mut next = Some(group);
        std::iter::from_fn(move || {
            let place = next?;
            let after = self.ring[place as usize];
            next = (after != group).then_some(after);
            Some(place)
        })
    }

    /// Why the link must not join the two, if so. `members` have the places; `place_of` tells them, for others none.
    pub(super) fn refusal(
        &self,
        graph: &Graph,
        link: LinkId,
        [one, other]: [u32; 2],
        members: &[NodeId],
        place_of: impl Fn(NodeId) -> Option<u32>,
    ) -> Option<Refusal> {
        let (first, second) = (self.get(one), self.get(other));
        let types = graph.rules().types.by_priority();
        let counts = first.counts.iter().zip(second.counts);
        let broken =
            (types.iter().zip(counts)).find(|(rule, (count, more))| *count + more > rule.limit);
        if let Some((rule, _)) = broken {
            return Some(Refusal::Limit(rule.r#type));
        }
        let holds_separated_pair = || {
            let (few, many) = if first.size <= second.size {
                (one, other)
            } else {
                (other, one)
            };
            let is_in = |node: &NodeId| place_of(*node).is_some_and(|place| self.of(place) == many);
            let partners = |place| graph.separated.get(&members[place as usize]);
            (self.places(few)).any(|place| partners(place).is_some_and(|all| all.iter().any(is_in)))
        };
        if !graph.separated.is_empty() && holds_separated_pair() {
            return Some(Refusal::Separated);
        }
        (first.has_person && second.has_person && bridges(graph, link))
            .then_some(Refusal::DeviceBridge)
    }

    /// The smaller moves, so that a member moves at most as often as its group doubles.
    pub(super) fn join(&mut self, one: u32, other: u32) {
        let (into, from) = if self.get(one).size >= self.get(other).size {
            (one, other)
        } else {
            (other, one)
        };
        let mut place = from;
        loop {
            self.of[place as usize] = into;
            place = self.ring[place as usize];
            if place == from {
                break;
            }
        }
        self.ring.swap(into as usize, from as usize);
        let (size, counts, has_person, is_inside) = {
            let from = self.get(from);
            (from.size, from.counts, from.has_person, from.is_inside)
        };
        let group = &mut self.groups[into as usize];
        group.size += size;
        group.has_person |= has_person;
        group.is_inside |= is_inside;
        for (count, more) in group.counts.iter_mut().zip(counts) {
            *count += more;
        }
    }
}
