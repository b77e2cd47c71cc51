//! Processors between topics in memory: what they send to the links log comes back to all of them, sooner or later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tributary_contracts::wire::Contribution;
use tributary_contracts::{framing, keys};
use tributary_core::identity::Rules;
use tributary_core::kpi::Dimension;
use tributary_core::time::Timestamp;
use tributary_processor::Limits;
use tributary_processor::observe::{Observe, Settings};
use tributary_processor::runtime::memory::MemoryOutputs;
use tributary_processor::runtime::stage::{Input, Stage};

use super::said::Said;
use super::steps::{Ruled, Step, operation, touchpoint};

/// Records of the stores by partition.
pub(crate) type Stored = BTreeMap<i32, BTreeMap<Vec<u8>, Vec<u8>>>;

/// Of the touchpoints.
pub(crate) const PARTITIONS: usize = 4;

/// Several processors, which share the partitions.
pub(crate) struct Fleet {
    /// The newest rules, as a processor is configured at its next start.
    ruled: Ruled,
    slices: Slices,
    /// As a processor is configured at its next start.
    limits: Limits,
    goals: Goals,
    outputs: MemoryOutputs,
    /// The links log.
    links: Vec<Vec<u8>>,
    /// How much of what was sent was looked at for it.
    logged: usize,
    /// The offset of the log up to which each partition was decided, where something was committed.
    committed: BTreeMap<i32, usize>,
    /// Touchpoints in each partition, key and value, that no commit has taken.
    waiting: BTreeMap<i32, Vec<(Vec<u8>, Vec<u8>)>>,
    processors: Vec<Processor>,
}

/// One life of a processor.
struct Processor {
    stage: Observe,
    partitions: Vec<i32>,
    /// Of the links log.
    learned: usize,
    has_committed: bool,
    /// The last snapshot that is whole, and one on its way.
    snapshot: Option<Snapshot>,
    taking: Option<Snapshot>,
}

/// What a processor knew of the links log, on its disk: it outlives a crash.
#[derive(Clone)]
struct Snapshot {
    /// Offset of the links log: what comes before is in it.
    learned: usize,
    parts: Vec<Vec<u8>>,
}

/// What happens to a fleet.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Nothing,
    /// A processor commits, with all of the links log, or with half of what is new there.
    Commit(usize),
    CommitBehind(usize),
    /// It is killed, and starts anew from what was committed.
    Crash(usize),
    /// It begins a snapshot, or takes the next part of it.
    Snapshot(usize),
    /// Each partition goes to one of the processors.
    Rebalance([usize; PARTITIONS]),
}

/// How much is worked on at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slices {
    pub(crate) events: usize,
    pub(crate) links: usize,
    /// Events of a timeline that are written together, and of all that are kept in memory.
    pub(crate) page: usize,
    pub(crate) cached: usize,
}

impl Slices {
    /// As it is by itself, with little memory.
    pub(crate) const WHOLE: Self = Self {
        events: Settings::SLICE,
        links: Settings::LINKS,
        page: Settings::PAGE,
        cached: 30,
    };
}

/// Values of a dimension that are told apart, less than there are.
pub(crate) const MOST_VALUES: usize = 1;

/// So many values of each dimension, those of `first` before other channels.
pub(crate) fn limits(most: usize, first: &[&str]) -> Limits {
    let first = first.iter().map(|value| (*value).to_owned()).collect();
    let first = BTreeMap::from([("channel".to_owned(), first)]);
    Limits::new(most, &first, &Dimension::ALL)
}

/// Events of each goal.
pub(crate) type Goals = BTreeMap<String, Vec<String>>;

/// An order is a purchase.
pub(crate) fn goals() -> Goals {
    BTreeMap::from([("purchase".to_owned(), vec!["Order Completed".to_owned()])])
}

fn stage(ruled: &Ruled, slices: Slices, limits: Limits, goals: Goals) -> Observe {
    // Started as it is configured, which states no version.
    let rules = Rules {
        version: 0,
        ..ruled.rules()
    };
    Observe::new(
        Settings {
            limits,
            out_of_orderness: 60_000,
            rules: BTreeMap::from([("default".to_owned(), rules)]),
            goals,
            page: slices.page,
            cached_events: slices.cached,
            slice: slices.events,
            links: slices.links,
        },
        Arc::new(|_| {}),
    )
}

impl Fleet {
    /// So many processors, under first rules, which are published; the first one has all partitions.
    pub(crate) fn new(ruled: &Ruled, slices: Slices, processors: usize) -> Self {
        let mut fleet = Self {
            ruled: ruled.clone(),
            slices,
            limits: limits(MOST_VALUES, &[]),
            goals: goals(),
            outputs: MemoryOutputs::default(),
            links: Vec::new(),
            logged: 0,
            committed: BTreeMap::new(),
            waiting: BTreeMap::new(),
            processors: Vec::new(),
        };
        for number in 0..processors {
            let partitions = if number == 0 {
                (0..PARTITIONS as i32).collect()
            } else {
                Vec::new()
            };
            let begun = fleet.begun(partitions, None);
            fleet.processors.push(begun);
        }
        fleet.commit(0, 0);
        fleet
    }

    /// Something comes to the topics.
    pub(crate) fn take(&mut self, step: &Step) {
        let sent = match step {
            Step::Touchpoint(sent) => sent,
            Step::Operation(entered) => return self.links.push(operation(entered)),
            Step::Rules(ruled) => {
                // A processor that has never committed would be refused, as configured with older rules.
                for number in 0..self.processors.len() {
                    if !self.processors[number].has_committed {
                        self.commit(number, self.links.len());
                    }
                }
                if ruled.version > self.ruled.version {
                    self.ruled = ruled.clone();
                }
                let record = ruled.record(|record| framing::encode(record).expect("rules"));
                return self.links.push(record);
            }
        };
        let (key, value) = touchpoint(sent);
        let partition = keys::partition(&key, PARTITIONS as u32);
        let owner = self
            .processors
            .iter_mut()
            .find(|processor| processor.partitions.contains(&partition))
            .expect("each partition has an owner");
        hand_over(&mut owner.stage, partition, &key, &value, &self.outputs);
        self.waiting
            .entry(partition)
            .or_default()
            .push((key, value));
    }

    pub(crate) fn happens(&mut self, event: &Event) {
        let (all, count) = (self.links.len(), self.processors.len());
        match event {
            Event::Nothing => {}
            Event::Commit(which) => self.commit(which % count, all),
            Event::CommitBehind(which) => {
                let learned = self.processors[which % count].learned;
                self.commit(which % count, learned + (all - learned) / 2);
            }
            Event::Crash(which) => {
                let crashed = &self.processors[which % count];
                let (partitions, snapshot) = (crashed.partitions.clone(), crashed.snapshot.clone());
                self.processors[which % count] = self.begun(partitions, snapshot);
            }
            Event::Snapshot(which) => self.snapshot(which % count),
            Event::Rebalance(owners) => {
                for number in 0..count {
                    let owned = |partition: &i32| owners[*partition as usize] % count == number;
                    let partitions: Vec<i32> = (0..PARTITIONS as i32).filter(owned).collect();
                    if self.processors[number].partitions != partitions {
                        let snapshot = self.processors[number].snapshot.clone();
                        self.processors[number] = self.begun(partitions, snapshot);
                    }
                }
            }
        }
    }

    /// A new life, from what was committed: it reads the log, whole or behind a snapshot, and then what no commit has
    /// taken.
    fn begun(&self, partitions: Vec<i32>, snapshot: Option<Snapshot>) -> Processor {
        let mut stage = stage(
            &self.ruled,
            self.slices,
            self.limits.clone(),
            self.goals.clone(),
        );
        stage
            .assigned(&partitions, &self.outputs)
            .expect("the store");
        let committed = partitions
            .iter()
            .filter_map(|partition| self.committed.get(partition));
        let decided = committed.min().copied().unwrap_or(0);
        let snapshot = snapshot.filter(|snapshot| snapshot.learned <= decided);
        let mut from = 0;
        if let Some(snapshot) = &snapshot {
            for part in snapshot.parts.iter().map(|part| Some(&**part)) {
                stage.restore(part).expect("a part");
            }
            stage.restore(None).expect("all parts");
            from = snapshot.learned;
        }
        for offset in from..self.links.len() {
            learn(&mut stage, &self.links, offset, offset < decided);
        }
        stage.begin().expect("the newest rules");
        for partition in &partitions {
            for (key, value) in self.waiting.get(partition).into_iter().flatten() {
                hand_over(&mut stage, *partition, key, value, &self.outputs);
            }
        }
        Processor {
            stage,
            partitions,
            learned: self.links.len(),
            has_committed: false,
            snapshot,
            taking: None,
        }
    }

    /// Begins a snapshot after a commit, or takes its next part.
    fn snapshot(&mut self, which: usize) {
        if self.processors[which].taking.is_none() {
            self.commit(which, self.processors[which].learned);
            let processor = &mut self.processors[which];
            if processor.has_committed && processor.stage.begin_snapshot() {
                processor.taking = Some(Snapshot {
                    learned: processor.learned,
                    parts: Vec::new(),
                });
            }
        }
        let processor = &mut self.processors[which];
        if let Some(taking) = &mut processor.taking {
            let mut part = Vec::new();
            let is_done = processor.stage.snapshot_part(1, &mut part);
            taking.parts.push(part);
            if is_done {
                processor.snapshot = processor.taking.take();
            }
        }
    }

    /// The processor reads the log up to that offset, and commits; one that stands by has nothing to commit.
    fn commit(&mut self, which: usize, up_to: usize) {
        let processor = &mut self.processors[which];
        for offset in processor.learned..up_to {
            learn(&mut processor.stage, &self.links, offset, false);
        }
        processor.learned = up_to.max(processor.learned);
        if processor.partitions.is_empty() {
            return;
        }
        processor
            .stage
            .flush(Timestamp(0), &mut self.outputs)
            .expect("memory");
        processor.has_committed = true;
        for partition in &processor.partitions {
            self.committed.insert(*partition, processor.learned);
            self.waiting.remove(partition);
        }
        for sent in &self.outputs.sent[self.logged..] {
            if sent.topic == "links" {
                self.links.push(sent.value.clone());
            }
        }
        self.logged = self.outputs.sent.len();
    }

    /// How many bytes were written since so many messages were sent and these records stood in the stores, and how many the
    /// longest of all messages and records has.
    pub(crate) fn written_since(&self, sent: usize, stored: &Stored) -> (usize, usize) {
        let messages = self.outputs.sent.iter().map(|sent| sent.value.len());
        let records = self.outputs.stored.iter().flat_map(|(partition, records)| {
            let before = stored.get(partition);
            let is_new = move |key: &Vec<u8>, record| {
                before.and_then(|before| before.get(key)) != Some(record)
            };
            records
                .iter()
                .map(move |(key, record)| (is_new(key, record), record.len()))
        });
        let written = messages.clone().skip(sent).sum::<usize>()
            + records
                .clone()
                .filter(|(is_new, _)| *is_new)
                .map(|(_, size)| size)
                .sum::<usize>();
        let longest = messages.chain(records.map(|(_, size)| size)).max();
        (written, longest.unwrap_or(0))
    }

    /// All processors are started anew, configured to tell other values apart.
    pub(crate) fn tell_apart(&mut self, limits: Limits) {
        self.limits = limits;
        for number in 0..self.processors.len() {
            self.happens(&Event::Crash(number));
        }
    }

    /// All processors are started anew, configured with other goals.
    pub(crate) fn set_goals(&mut self, goals: Goals) {
        self.goals = goals;
        for number in 0..self.processors.len() {
            self.happens(&Event::Crash(number));
        }
    }

    /// Channels that the kpi stage was told of since so many messages were sent.
    pub(crate) fn channels_told(&self, since: usize) -> BTreeSet<String> {
        let sent = self.outputs.sent[since..].iter();
        let told = sent.filter(|sent| sent.topic == "contributions");
        told.filter_map(|sent| {
            let told: Contribution<'_> = framing::decode(&sent.value).expect("a contribution");
            (told.dimension == "channel").then(|| told.dimension_value.to_owned())
        })
        .collect()
    }

    /// How many messages were sent, and what stands in the stores.
    pub(crate) fn written(&self) -> (usize, Stored) {
        (self.outputs.sent.len(), self.outputs.stored.clone())
    }

    /// What the topics hold once nothing is left to do.
    pub(crate) fn said(mut self) -> Said {
        self.come_to_rest();
        Said::by(&self.outputs)
    }

    /// Works until nothing is left to do.
    pub(crate) fn come_to_rest(&mut self) {
        let mut rounds = 0;
        loop {
            let unread = self.links.len();
            for number in 0..self.processors.len() {
                self.commit(number, self.links.len());
            }
            let is_busy = |processor: &Processor| {
                !processor.partitions.is_empty()
                    && (processor.learned < self.links.len() || processor.stage.due(Timestamp(0)))
            };
            if self.links.len() == unread && !self.processors.iter().any(is_busy) {
                return;
            }
            rounds += 1;
            assert!(rounds < 10_000, "it comes to no end");
        }
    }
}

fn learn(stage: &mut Observe, links: &[Vec<u8>], offset: usize, decided: bool) {
    let input = Input {
        partition: 0,
        offset: offset as i64,
        key: b"",
        value: Some(&links[offset]),
    };
    stage.learn(&input, decided).expect("readable");
}

fn hand_over(
    stage: &mut Observe,
    partition: i32,
    key: &[u8],
    value: &[u8],
    outputs: &MemoryOutputs,
) {
    let input = Input {
        partition,
        offset: 0,
        key,
        value: Some(value),
    };
    stage.take(&input, outputs).expect("readable");
}
