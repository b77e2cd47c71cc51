//! A resolution of whole components that is done in slices, because all at once it would take too long.
//!
//! It only reads, and so sees each link at some moment between its beginning and its end. Meanwhile nobody else resolves
//! its members: links that come are left for afterwards, and are fresh again then; anything else that touches a member
//! makes it begin anew. What it makes is put in place at once.
//!
//! ```text
//! seeds ──collect──> members ──order──> by type priority and bytes
//!           └──────> links ─────rank──────┴──> in sorted runs ──merge──> in the canonical order ──decide──> profiles
//! ```

use std::cmp::Ordering;
use std::vec::IntoIter;

use rustc_hash::{FxHashMap, FxHashSet};

use super::graph::{Changes, Graph};
use super::groups::Groups;
use super::resolver::{Made, Rank, make_profiles, members, rank, record};
use super::runs::Runs;
use super::store::flag;
use super::{LinkId, NodeId, Refusal};
use crate::time::Timestamp;

/// What is left to one side until it can be resolved in slices, and the resolution that is on its way.
#[derive(Debug, Default)]
pub(super) struct Sliced {
    /// Identifiers whose components are to be resolved, and some more.
    queue: Vec<NodeId>,
    waiting: FxHashSet<NodeId>,
    job: Option<Job>,
}

/// A resolution on its way.
#[derive(Debug)]
struct Job {
    seeds: Vec<NodeId>,
    members: Vec<NodeId>,
    places: FxHashMap<NodeId, u32>,
    /// Of each member, the first time of its links.
    earliest: Vec<Timestamp>,
    stage: Stage,
    /// Something other than a link touched a member.
    is_void: bool,
    /// Links of members that came meanwhile, and members that were seen earlier than before.
    fresh: Vec<LinkId>,
    earlier: Vec<NodeId>,
}

#[derive(Debug)]
enum Stage {
    Collect {
        /// The next member whose links are looked at, and the first of them that was not.
        next: usize,
        link: Option<LinkId>,
        links: Vec<LinkId>,
        /// Places of members.
        ordered: Runs<u32>,
    },
    Order {
        links: Vec<LinkId>,
        ordered: Runs<u32>,
    },
    Rank {
        links: IntoIter<LinkId>,
        /// Of each member, where it stands among them.
        order: Vec<u32>,
        ranked: Runs<Ranked>,
    },
    Merge(Runs<Ranked>),
    Decide {
        links: IntoIter<Ranked>,
        groups: Groups,
        /// Members with a refused link.
        troubled: Vec<bool>,
        /// Links of which something else was decided than the graph says.
        decided: Vec<(LinkId, Option<Refusal>)>,
    },
}

impl Default for Stage {
    fn default() -> Self {
        Self::Collect {
            next: 0,
            link: None,
            links: Vec::new(),
            ordered: Runs::default(),
        }
    }
}

/// With where its ends stand, the higher first.
type Ranked = (Rank, [u32; 2], LinkId);

impl Sliced {
    /// Whether nothing is left to one side.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.job.is_none()
    }

    /// The components of these identifiers are too large to be resolved at once.
    pub(super) fn add(&mut self, nodes: &[NodeId]) {
        let queue = &mut self.queue;
        let is_new = nodes.iter().filter(|node| self.waiting.insert(**node));
        queue.extend(is_new);
    }

    /// Whether the identifier is being resolved.
    pub(super) fn has(&self, node: NodeId) -> bool {
        (self.job.as_ref()).is_some_and(|job| job.places.contains_key(&node))
    }

    /// The resolution that is on its way, from its beginning where something touched a member, or the next.
    fn next_job(&mut self, graph: &mut Graph) -> Option<Job> {
        match self.job.take() {
            Some(mut job) if job.is_void => {
                job.go_on(graph);
                // Members may be in several components now.
                let seeds = job.seeds.into_iter().chain(job.members).collect();
                Some(Job::new(graph, seeds))
            }
            Some(job) => Some(job),
            None => loop {
                let seed = self.queue.pop()?;
                if self.waiting.remove(&seed) {
                    break Some(Job::new(graph, vec![seed]));
                }
            },
        }
    }

    /// Something of a member is otherwise than it was.
    pub(super) fn touch(&mut self) {
        if let Some(job) = &mut self.job {
            job.is_void = true;
        }
    }

    /// A link of a member came.
    pub(super) fn take_link(&mut self, link: LinkId) {
        if let Some(job) = &mut self.job {
            job.fresh.push(link);
        }
    }

    /// A member was seen earlier than before.
    pub(super) fn take_earlier(&mut self, node: NodeId) {
        if let Some(job) = &mut self.job {
            job.earlier.push(node);
        }
    }
}

impl Graph {
    /// Goes on with what [`settle_within`](Self::settle_within) has left, for about so many steps of well below a
    /// microsecond; returns what changed, if a component is resolved now.
    pub fn work(&mut self, steps: usize) -> Changes {
        let mut changes = Changes::default();
        let mut sliced = std::mem::take(&mut self.sliced);
        let mut left = steps.max(1);
        while left > 0
            && let Some(mut job) = sliced.next_job(self)
        {
            while left > 0 && !job.step(self, &mut left) {}
            if !job.is_done() {
                sliced.job = Some(job);
                break;
            }
            for node in &job.members {
                sliced.waiting.remove(node);
            }
            left = left.saturating_sub(job.members.len());
            job.go_on(self);
            job.finish(self, &mut changes);
        }
        self.sliced = sliced;
        changes.sort();
        changes
    }
}

impl Job {
    fn new(graph: &Graph, seeds: Vec<NodeId>) -> Self {
        let mut job = Self {
            seeds: Vec::new(),
            members: Vec::new(),
            places: FxHashMap::default(),
            earliest: Vec::new(),
            stage: Stage::default(),
            is_void: false,
            fresh: Vec::new(),
            earlier: Vec::new(),
        };
        for seed in &seeds {
            job.add(graph, *seed);
        }
        job.seeds = seeds;
        job
    }

    /// With all that are in one profile with it now: what joined them may be gone.
    fn add(&mut self, graph: &Graph, node: NodeId) {
        if self.places.contains_key(&node) {
            return;
        }
        for node in members(graph, node) {
            self.places.insert(node, self.members.len() as u32);
            self.members.push(node);
            self.earliest.push(Timestamp(i64::MAX));
        }
    }

    /// What came meanwhile is taken in afterwards.
    fn go_on(&mut self, graph: &mut Graph) {
        graph.fresh.append(&mut self.fresh);
        graph.earlier.append(&mut self.earlier);
    }

    fn is_done(&self) -> bool {
        matches!(&self.stage, Stage::Decide { links, .. } if links.len() == 0)
    }

    /// Does some of what is left; true when nothing is.
    fn step(&mut self, graph: &Graph, left: &mut usize) -> bool {
        let by_name = |members: &[NodeId], one: u32, other: u32| {
            let [one, other] = [one, other].map(|place| members[place as usize]);
            graph.compare(one, other)
        };
        match &mut self.stage {
            Stage::Collect { .. } => self.collect(graph, left),
            Stage::Order { links, ordered } => {
                let compare = |one: &u32, other: &u32| by_name(&self.members, *one, *other);
                if ordered.merge(compare, left) {
                    let mut order = vec![0; self.members.len()];
                    for (position, place) in (0..).zip(ordered.take()) {
                        order[place as usize] = position;
                    }
                    self.stage = Stage::Rank {
                        links: std::mem::take(links).into_iter(),
                        order,
                        ranked: Runs::default(),
                    };
                }
            }
            Stage::Rank {
                links,
                order,
                ranked,
            } => {
                while *left > 0
                    && let Some(link) = links.next()
                {
                    *left -= 1;
                    let (one, other) = graph.ends(link);
                    // The ends are in an order that knows no rules.
                    let mut ends = [one, other].map(|end| order[self.places[&end] as usize]);
                    ends.sort_unstable();
                    ranked.push((rank(graph, link), ends, link), Ord::cmp, left);
                }
                if links.len() == 0 {
                    let ranked = std::mem::take(ranked);
                    self.stage = Stage::Merge(ranked);
                }
            }
            Stage::Merge(ranked) => {
                if ranked.merge(Ord::cmp, left) {
                    let links = ranked.take();
                    let mut groups = Groups::default();
                    for node in &self.members {
                        groups.add(graph, *node, true);
                    }
                    self.stage = Stage::Decide {
                        links,
                        groups,
                        troubled: vec![false; self.members.len()],
                        decided: Vec::new(),
                    };
                }
            }
            Stage::Decide { .. } => self.decide(graph, left),
        }
        self.is_done()
    }

    fn collect(&mut self, graph: &Graph, left: &mut usize) {
        while *left > 0 {
            let Stage::Collect {
                next,
                link,
                links,
                ordered,
            } = &mut self.stage
            else {
                return;
            };
            let Some(node) = self.members.get(*next).copied() else {
                self.stage = Stage::Order {
                    links: std::mem::take(links),
                    ordered: std::mem::take(ordered),
                };
                return;
            };
            let place = *next;
            if link.is_none() {
                let compare = |one: &u32, other: &u32| {
                    let [one, other] = [one, other].map(|place| self.members[*place as usize]);
                    graph.compare(one, other)
                };
                ordered.push(place as u32, compare, left);
            }
            let at = link.or_else(|| graph.store.first_link(node));
            *link = at.and_then(|at| graph.store.next_link(at, node));
            *left = left.saturating_sub(1);
            if link.is_none() {
                *next += 1;
            }
            let Some(at) = at else {
                continue;
            };
            if graph.is_usable(at) {
                let first = graph.seen(at).map_or(Timestamp(0), |seen| seen.first);
                self.earliest[place] = self.earliest[place].min(first);
            }
            if !graph.joins(at) {
                continue;
            }
            // It is met from both ends; one of them takes it.
            if graph.ends(at).0 == node {
                links.push(at);
            }
            let other = graph.other_end(at, node);
            self.add(graph, other);
        }
    }

    fn decide(&mut self, graph: &Graph, left: &mut usize) {
        let Stage::Decide {
            links,
            groups,
            troubled,
            decided,
        } = &mut self.stage
        else {
            return;
        };
        while *left > 0
            && let Some((.., link)) = links.next()
        {
            *left -= 1;
            let (higher, lower) = graph.ends(link);
            let places = [higher, lower].map(|end| self.places[&end]);
            let pair = places.map(|place| groups.of(place));
            let refusal = if pair[0] == pair[1] {
                None
            } else {
                let place_of = |node: NodeId| self.places.get(&node).copied();
                groups.refusal(graph, link, pair, &self.members, place_of)
            };
            if graph.refusal(link) != refusal {
                decided.push((link, refusal));
            }
            match refusal {
                Some(_) => places
                    .iter()
                    .for_each(|place| troubled[*place as usize] = true),
                None if pair[0] != pair[1] => groups.join(pair[0], pair[1]),
                None => {}
            }
        }
    }

    /// Puts what was decided in place.
    fn finish(mut self, graph: &mut Graph, changes: &mut Changes) {
        let Stage::Decide {
            groups,
            troubled,
            decided,
            ..
        } = std::mem::take(&mut self.stage)
        else {
            return;
        };
        for (node, troubled) in self.members.iter().zip(troubled) {
            graph.store.node_mut(*node).set(flag::TROUBLED, troubled);
        }
        for (link, refusal) in decided {
            record(graph, link, refusal, changes);
        }
        let made = groups.all().map(|group| {
            let places: Vec<u32> = groups.places(group).collect();
            let name = places
                .iter()
                .min_by(|one, other| self.compare_names(graph, **one, **other));
            Made {
                root: self.members[*name.unwrap_or(&group) as usize],
                members: (places.iter())
                    .map(|place| self.members[*place as usize])
                    .collect(),
                counts: groups.get(group).counts,
            }
        });
        let made = made.collect();
        make_profiles(graph, &self.members, made, changes);
    }

    /// Who of two gives their profile its id: by type priority, the earliest first time of its links, bytes.
    fn compare_names(&self, graph: &Graph, one: u32, other: u32) -> Ordering {
        let nodes = [one, other].map(|place| self.members[place as usize]);
        let types = nodes.map(|node| graph.place(node).unwrap_or(usize::MAX));
        let firsts = [one, other].map(|place| self.earliest[place as usize]);
        (types[0].cmp(&types[1]))
            .then_with(|| firsts[0].cmp(&firsts[1]))
            .then_with(|| graph.compare(nodes[0], nodes[1]))
    }
}
