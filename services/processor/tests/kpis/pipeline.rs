//! The two stages, one behind the other, in batches and with restarts that a seed decides.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tributary_contracts::framing;
use tributary_contracts::wire::{Contribution, KpiBlock, Profile};
use tributary_core::ids::ProfileId;
use tributary_core::kpi::Dimension;
use tributary_core::profile::TraitRules;
use tributary_core::time::{DAY, HOUR, SECOND, Timestamp};
use tributary_processor::runtime::memory::{MemoryOutputs, Sent};
use tributary_processor::runtime::stage::{Input, Stage};
use tributary_processor::{Limits, kpi, profile};

use super::definition::{CUSTOMER_DAYS, Series, Values};
use super::world::{FIRST_STORE, MOST_VALUES, NOW, VALUES};

/// Shorter than the facts reach back, so that some are no longer kept.
pub(crate) const KEEP: [i64; 6] = [2 * DAY, 4 * DAY, 20 * DAY, 60 * DAY, 60 * DAY, 300 * DAY];

const PARTITIONS: [i32; 4] = [0, 1, 2, 3];

/// A generator of numbers, so that a seed replays a run (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound
    }
}

pub(crate) struct Pipeline {
    random: Random,
    profiles: (profile::Stage, MemoryOutputs),
    kpis: (kpi::Stage, MemoryOutputs),
    /// By partition, as each keeps its order.
    contributions: BTreeMap<i32, VecDeque<Vec<u8>>>,
    offset: i64,
    now: Timestamp,
}

/// The stage, or as it would be if goals, customers, attitudes and dimensions were defined otherwise.
fn profile_stage(outputs: &MemoryOutputs, is_otherwise: bool) -> profile::Stage {
    let goals = ["signup", if is_otherwise { "lead" } else { "purchase" }];
    let dimensions = match is_otherwise {
        true => vec![Dimension::Whole, Dimension::Channel],
        false => Dimension::ALL.into(),
    };
    let mut stage = profile::Stage::new(profile::Options {
        qualifying: BTreeMap::from([("default".into(), BTreeSet::from(["crm".into()]))]),
        slice: 2,
        cached_profiles: 1,
        goals: goals.map(str::to_owned).into(),
        customer_days: CUSTOMER_DAYS as u32 / if is_otherwise { 3 } else { 1 },
        prefetched_opens: false,
        traits: TraitRules::default(),
        attitudes: (6, if is_otherwise { 7 } else { 9 }),
        dimensions,
        currencies: BTreeMap::from([("default".to_owned(), "EUR".to_owned())]),
    });
    stage.assigned(&PARTITIONS, outputs).expect("assigned");
    stage
}

fn kpi_stage(outputs: &MemoryOutputs) -> kpi::Stage {
    let first = BTreeMap::from([("store".to_owned(), FIRST_STORE.map(str::to_owned).into())]);
    let options = kpi::Options {
        keep: KEEP,
        cached_differences: 40,
        limits: Limits::new(MOST_VALUES, &first, &Dimension::ALL),
    };
    let mut stage = kpi::Stage::new(options, std::sync::Arc::new(|_| {}));
    stage.assigned(&PARTITIONS, outputs).expect("assigned");
    stage
}

/// What the observe stage tells each partition of the values that it has seen.
fn values_of_the_world() -> BTreeMap<i32, VecDeque<Vec<u8>>> {
    let told = |(dimension, values): &(&'static str, &'static [&'static str])| {
        let dimension = *dimension;
        values.iter().map(move |value| {
            framing::encode(&Contribution {
                workspace: "default",
                kpi: "",
                currency: "",
                dimension,
                dimension_value: value,
                changes: Vec::new(),
            })
            .expect("encodes")
        })
    };
    let all: VecDeque<Vec<u8>> = VALUES.iter().flat_map(told).collect();
    PARTITIONS.map(|partition| (partition, all.clone())).into()
}

impl Pipeline {
    pub(crate) fn new(seed: u64) -> Self {
        let (profiles, kpis) = (MemoryOutputs::default(), MemoryOutputs::default());
        Self {
            random: Random(seed | 1),
            profiles: (profile_stage(&profiles, false), profiles),
            kpis: (kpi_stage(&kpis), kpis),
            contributions: values_of_the_world(),
            offset: 0,
            // Some time before now, so that marks pass and blocks grow too old while atoms come.
            now: Timestamp(NOW.0 - 3 * DAY),
        }
    }

    /// Sends the messages, those of one atom of one profile in their order, everything else as it happens.
    pub(crate) fn run(&mut self, messages: BTreeMap<(ProfileId, String), Vec<Vec<u8>>>) {
        let mut queues: Vec<(i32, VecDeque<Vec<u8>>)> = messages
            .into_iter()
            .map(|((profile, _), messages)| {
                (i32::from(profile.0.as_bytes()[0] % 4), messages.into())
            })
            .collect();
        while !queues.is_empty() {
            let queue = self.random.below(queues.len());
            let (partition, messages) = &mut queues[queue];
            let message = messages.front().expect("empty queues are removed").clone();
            let input = Input {
                partition: *partition,
                offset: self.offset,
                key: b"",
                value: Some(&message),
            };
            self.offset += 1;
            self.profiles
                .0
                .take(&input, &self.profiles.1)
                .expect("taken");
            // Now and then a message comes twice.
            if self.random.below(8) > 0 {
                messages.pop_front();
                if messages.is_empty() {
                    queues.swap_remove(queue);
                }
            }
            match self.random.below(8) {
                0 => self.flush_profiles(),
                1 => self.pass_contributions(),
                2 => {
                    self.flush_kpis();
                }
                3 => {
                    let is_otherwise = self.random.below(4) == 0;
                    self.restart(is_otherwise);
                }
                4 => self.now.0 += self.random.below(12) as i64 * HOUR,
                _ => self.now.0 += self.random.below(20) as i64 * SECOND / 2,
            }
            self.now = self.now.min(NOW);
        }
    }

    /// Goes on until nothing is left to do at that time.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        self.restart(false);
        while self.profiles.0.due(self.now) {
            self.flush_profiles();
        }
        while self.contributions.values().any(|queue| !queue.is_empty()) {
            self.pass_contributions();
        }
        self.now = now;
        let mut held_back = self.flush_kpis();
        // What is held back becomes ready within a second; no mark passes meanwhile.
        for _ in 0..100 {
            if !held_back {
                return;
            }
            self.now.0 += SECOND / 2;
            if self.kpis.0.due(self.now) {
                held_back = self.flush_kpis();
            }
        }
        panic!("does not settle");
    }

    fn flush_profiles(&mut self) {
        let (stage, outputs) = &mut self.profiles;
        stage.flush(self.now, outputs).expect("flushed");
        let (contributions, profiles): (Vec<Sent>, _) = outputs
            .take_sent()
            .into_iter()
            .partition(|sent| sent.topic == "contributions");
        outputs.sent = profiles;
        for sent in contributions {
            self.contributions
                .entry(sent.partition)
                .or_default()
                .push_back(sent.value);
        }
    }

    fn pass_contributions(&mut self) {
        let most = 1 + self.random.below(12);
        for _ in 0..most {
            let waiting: Vec<i32> = self
                .contributions
                .iter()
                .filter(|(_, queue)| !queue.is_empty())
                .map(|(id, _)| *id)
                .collect();
            if waiting.is_empty() {
                return;
            }
            let partition = waiting[self.random.below(waiting.len())];
            let queue = self.contributions.get_mut(&partition).expect("is waiting");
            // What observe tells comes whenever it does; what the profile stage tells keeps its order.
            let is_value = |message: &Vec<u8>| {
                let told: Contribution<'_> = framing::decode(message).expect("decodes");
                told.kpi.is_empty()
            };
            let values = queue.iter().take_while(|message| is_value(message)).count();
            let place = match self.random.below(4) {
                0 if values > 0 => 0,
                _ if values < queue.len() => values,
                _ => 0,
            };
            let message = queue.remove(place).expect("is waiting");
            let input = Input {
                partition,
                offset: self.offset,
                key: b"",
                value: Some(&message),
            };
            self.offset += 1;
            self.kpis.0.take(&input, &self.kpis.1).expect("taken");
        }
    }

    fn flush_kpis(&mut self) -> bool {
        self.kpis
            .0
            .flush(self.now, &mut self.kpis.1)
            .expect("flushed")
    }

    /// Both stages end after a commit and begin again from the store.
    /// Begins anew, defined as meant or otherwise; some of what was defined before may not be corrected yet.
    fn restart(&mut self, is_otherwise: bool) {
        self.flush_profiles();
        self.flush_kpis();
        self.profiles.0 = profile_stage(&self.profiles.1, is_otherwise);
        self.kpis.0 = kpi_stage(&self.kpis.1);
    }

    /// All published rows.
    pub(crate) fn values(&self) -> BTreeMap<Series, Values> {
        let mut series: BTreeMap<Series, Values> = BTreeMap::new();
        for message in self.kpis.1.compacted().values() {
            let block: KpiBlock<'_> = framing::decode(message).expect("decodes");
            if block.marks.is_empty() {
                continue;
            }
            let name = [
                block.kpi,
                block.window,
                block.currency,
                block.dimension,
                block.dimension_value,
            ];
            let values = series.entry(name.map(str::to_owned)).or_default();
            for (index, mark) in block.marks.iter().enumerate() {
                let value = (
                    block.numerators[index].millionths(),
                    block.denominators[index],
                );
                let before = values.insert(
                    block.block_start.0 + i64::from(*mark) * block.step_ms,
                    value,
                );
                assert!(before.is_none(), "a row twice");
            }
        }
        series
    }

    /// The last record of each key without its revision; those that state nothing are left out.
    pub(crate) fn records(&self, topic: &'static str) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let outputs = if topic == "profiles" {
            &self.profiles.1
        } else {
            &self.kpis.1
        };
        let mut revisions: BTreeMap<&[u8], i64> = BTreeMap::new();
        for sent in &outputs.sent {
            let revision = match topic {
                "profiles" => {
                    framing::decode::<Profile<'_>>(&sent.value)
                        .expect("decodes")
                        .revision
                }
                _ => {
                    framing::decode::<KpiBlock<'_>>(&sent.value)
                        .expect("decodes")
                        .revision
                }
            };
            let before = revisions.insert(&sent.key, revision);
            assert!(
                before.is_none_or(|before| before < revision),
                "revisions grow: {before:?}, {revision}"
            );
        }
        let without_revision = |message: &Vec<u8>| match topic {
            "profiles" => {
                let record: Profile<'_> = framing::decode(message).expect("decodes");
                (!record.gone).then(|| {
                    framing::encode(&Profile {
                        revision: 0,
                        ..record
                    })
                    .expect("encodes")
                })
            }
            _ => {
                let record: KpiBlock<'_> = framing::decode(message).expect("decodes");
                (!record.marks.is_empty()).then(|| {
                    framing::encode(&KpiBlock {
                        revision: 0,
                        ..record
                    })
                    .expect("encodes")
                })
            }
        };
        let records = outputs.compacted();
        records
            .into_iter()
            .filter_map(|((_, key), message)| Some((key, without_revision(&message)?)))
            .collect()
    }
}
