//! A resolution of whole components that is done in slices, because all at once it would take too long.
//!
//! It only reads, and so sees each link at some moment between its beginning and its end. Meanwhile nobody else resolves
//! its members: links that come are left for afterwards, and are fresh again then; anything else that touches a member
//! makes it begin anew. What it makes is put in place at once.
//!
//! ```text
//! seeds ──collect──> members and their links, in sorted runs ──merge──> in the canonical order ──decide──> profiles
//! ```

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::vec::IntoIter;

use rustc_hash::FxHashMap;

use super::graph::{Changes, Graph};
use super::groups::Groups;
use super::resolver::{Made, Rank, make_profiles, members, rank, record};
use super::store::flag;
use super::{LinkId, NodeId, Refusal};
use crate::time::Timestamp;

/// Links that are sorted at once: some milliseconds.
const RUN: usize = 1 << 14;

/// What is left to one side until it can be resolved in slices, and the resolution that is on its way.
#[derive(Debug, Default)]
pub(super) struct Sliced {
    /// Identifiers whose components are to be resolved.
    waiting: BTreeSet<NodeId>,
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
        run: Vec<Ranked>,
        runs: Vec<Vec<Ranked>>,
    },
    Merge {
        runs: Vec<Vec<Ranked>>,
        merging: Option<Merging>,
    },
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
            run: Vec::new(),
            runs: Vec::new(),
        }
    }
}

type Ranked = (Rank, LinkId);

#[derive(Debug)]
struct Merging {
    left: IntoIter<Ranked>,
    right: IntoIter<Ranked>,
    merged: Vec<Ranked>,
}

impl Sliced {
    /// Whether nothing is left to one side.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.job.is_none()
    }

    /// The components of these identifiers are too large to be resolved at once.
    pub(super) fn add(&mut self, nodes: &[NodeId]) {
        self.waiting.extend(nodes);
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
                let all: BTreeSet<NodeId> = job.seeds.into_iter().chain(job.members).collect();
                Some(Job::new(graph, all.into_iter().collect()))
            }
            Some(job) => Some(job),
            None => (self.waiting.pop_first()).map(|seed| Job::new(graph, vec![seed])),
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
    /// Whether components are left to [`work`](Self::work).
    #[must_use]
    pub fn is_at_work(&self) -> bool {
        !self.sliced.is_idle()
    }

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
        match &mut self.stage {
            Stage::Collect { .. } => self.collect(graph, left),
            Stage::Merge { runs, merging } => {
                if merge(graph, runs, merging, left) {
                    let links = runs.pop().unwrap_or_default();
                    let mut groups = Groups::default();
                    for node in &self.members {
                        groups.add(graph, *node, true);
                    }
                    self.stage = Stage::Decide {
                        links: links.into_iter(),
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
                run,
                runs,
            } = &mut self.stage
            else {
                return;
            };
            let Some(node) = self.members.get(*next).copied() else {
                sort(graph, run);
                runs.push(std::mem::take(run));
                self.stage = Stage::Merge {
                    runs: std::mem::take(runs),
                    merging: None,
                };
                return;
            };
            let Some(at) = link.or_else(|| graph.store.first_link(node)) else {
                *next += 1;
                *left -= 1;
                continue;
            };
            *left -= 1;
            *link = graph.store.next_link(at, node);
            let is_last = link.is_none();
            let place = *next;
            if is_last {
                *next += 1;
            }
            if graph.is_usable(at) {
                let first = graph.seen(at).map_or(Timestamp(0), |seen| seen.first);
                self.earliest[place] = self.earliest[place].min(first);
            }
            if !graph.joins(at) {
                continue;
            }
            // It is met from both ends; one of them takes it.
            if graph.ends(at).0 == node {
                run.push((rank(graph, at), at));
                if run.len() == RUN {
                    sort(graph, run);
                    runs.push(std::mem::take(run));
                }
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
            && let Some((_, link)) = links.next()
        {
            *left -= 1;
            let (higher, lower) = graph.ends(link);
            // A link that came amid the collection may have an end that did not.
            let (Some(one), Some(other)) = (self.places.get(&higher), self.places.get(&lower))
            else {
                continue;
            };
            let places = [*one, *other];
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

fn sort(graph: &Graph, run: &mut [Ranked]) {
    run.sort_unstable_by(|one, other| compare(graph, one, other));
}

/// The canonical order: by rank, then the ends, the higher first.
fn compare(graph: &Graph, one: &Ranked, other: &Ranked) -> Ordering {
    one.0.cmp(&other.0).then_with(|| {
        let ends = [one.1, other.1].map(|link| {
            // The ends are in an order that knows no rules.
            let (one, other) = graph.ends(link);
            match graph.compare(one, other) {
                Ordering::Greater => [other, one],
                _ => [one, other],
            }
        });
        (graph.compare(ends[0][0], ends[1][0])).then_with(|| graph.compare(ends[0][1], ends[1][1]))
    })
}

/// Goes on making one run of all; true when there is one.
fn merge(
    graph: &Graph,
    runs: &mut Vec<Vec<Ranked>>,
    merging: &mut Option<Merging>,
    left: &mut usize,
) -> bool {
    loop {
        let Some(now) = merging else {
            if runs.len() < 2 {
                return true;
            }
            // The shortest two, which the last are: what is merged goes to the front.
            let (Some(one), Some(other)) = (runs.pop(), runs.pop()) else {
                return true;
            };
            *merging = Some(Merging {
                merged: Vec::with_capacity(one.len() + other.len()),
                left: one.into_iter(),
                right: other.into_iter(),
            });
            continue;
        };
        while *left > 0 {
            let take_left = match (now.left.as_slice().first(), now.right.as_slice().first()) {
                (None, None) => {
                    runs.insert(0, std::mem::take(&mut now.merged));
                    *merging = None;
                    break;
                }
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (Some(one), Some(other)) => compare(graph, one, other).is_le(),
            };
            *left -= 1;
            let taken = if take_left {
                now.left.next()
            } else {
                now.right.next()
            };
            now.merged.extend(taken);
        }
        if *left == 0 && merging.is_some() {
            return false;
        }
    }
}
