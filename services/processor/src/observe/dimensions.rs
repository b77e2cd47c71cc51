//! Values of dimensions, as events are stored that have them: the kpi stage is told of each, since which of them it tells
//! apart follows from all that were ever stored, not from those that count somewhere for the time being.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;
use tributary_core::kpi::Dimension;

use super::event::{More, Says};
use super::facts::Facts;
use super::sending::Sending;
use super::stored::{self, HEADERS, Timeline};
use crate::runtime::stage::{Broken, Store};
use crate::values::{BOUNDED, Limit, Limits, OTHER, Seen, Values, split_key, stored_key};

/// What begins the keys of the store.
const VALUE: &[u8] = b"d";

/// The key of what a partition has told.
const TOLD: &[u8] = b"m";

/// Those of this instance's partitions that may be told apart, and what of them is to be told.
#[derive(Debug)]
pub(super) struct Dimensions {
    limits: Limits,
    /// By partition, then by workspace.
    values: FxHashMap<i32, FxHashMap<Box<str>, [Values; BOUNDED.len()]>>,
    told: BTreeMap<i32, Told>,
    /// Partitions whose values are told once more, of all that there is.
    retold: BTreeSet<i32>,
    /// Partition, workspace, dimension, the value, and one that is no longer remembered for it.
    news: Vec<(i32, Box<str>, Dimension, Box<str>, Option<Box<str>>)>,
    /// Records of values that are no longer remembered.
    forgotten: Vec<(i32, Vec<u8>)>,
}

/// Of which dimensions a partition has told the values, and what it therefore need not tell again.
#[derive(Debug, Default)]
struct Told {
    /// Within which limit.
    within: BTreeMap<Dimension, Limit>,
    /// Those of which it has not told all.
    passed_over: BTreeSet<Dimension>,
    is_stored: bool,
}

impl Dimensions {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            values: FxHashMap::default(),
            told: BTreeMap::new(),
            retold: BTreeSet::new(),
            news: Vec::new(),
            forgotten: Vec::new(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.told.clear();
        self.retold.clear();
        self.news.clear();
        self.forgotten.clear();
    }

    /// Reads what a partition remembers. Returns whether more is to be told of it than was, so that all its timelines are to
    /// be [told again](Self::tell_again).
    pub(super) fn restore(&mut self, partition: i32, store: &dyn Store) -> Result<bool, Broken> {
        let (within, mut passed_over): (BTreeMap<Dimension, Limit>, BTreeSet<Dimension>) =
            match store.get(partition, TOLD)? {
                Some(record) => stored::decode(&record)?,
                None => Default::default(),
            };
        let is_empty = store.next_key(partition, HEADERS, HEADERS)?.is_none();
        let is_told = |dimension: Dimension, limit: &Limit| match within.get(&dimension) {
            Some(before) => limit.is_within(before) || !passed_over.contains(&dimension),
            None => is_empty,
        };
        let counted = |dimension: &Dimension| Some((*dimension, self.limits.of(*dimension)?));
        let told: BTreeMap<Dimension, Limit> = BOUNDED
            .iter()
            .filter_map(counted)
            .filter(|(dimension, limit)| is_told(*dimension, limit))
            .map(|(dimension, limit)| (dimension, limit.clone()))
            .collect();
        let is_retold = BOUNDED
            .iter()
            .filter_map(counted)
            .any(|(dimension, _)| !told.contains_key(&dimension));
        store.scan(partition, VALUE, &mut |key, _| {
            let (workspace, dimension, value) = split_key(VALUE, key)?;
            let place = BOUNDED.iter().position(|bounded| *bounded == dimension);
            let (Some(place), Some(limit)) = (place, self.limits.of(dimension)) else {
                self.forgotten.push((partition, key.to_vec()));
                return Ok(());
            };
            let workspaces = self.values.entry(partition).or_default();
            let values = workspaces.entry(workspace.into()).or_default();
            values[place].restore(value, limit);
            Ok(())
        })?;
        for (workspace, values) in self.values.entry(partition).or_default() {
            for (dimension, values) in BOUNDED.into_iter().zip(values) {
                let Some(limit) = self.limits.of(dimension) else {
                    continue;
                };
                while let Some(value) = values.shrink(limit) {
                    passed_over.insert(dimension);
                    let key = stored_key(VALUE, workspace, dimension, &value);
                    self.forgotten.push((partition, key));
                }
            }
        }
        if is_retold {
            self.retold.insert(partition);
        }
        passed_over.retain(|dimension| told.contains_key(dimension));
        let told = Told {
            is_stored: told == within,
            within: told,
            passed_over,
        };
        self.told.insert(partition, told);
        Ok(is_retold)
    }

    /// Sees the facts of an event, where it is the first of its timeline that has them, and what it says.
    pub(super) fn see(
        &mut self,
        partition: i32,
        workspace: &str,
        new_facts: Option<&Facts>,
        more: &More,
    ) {
        if let Some(facts) = new_facts {
            for (dimension, value) in [
                (Dimension::Channel, facts.channel()),
                (Dimension::Source, facts.traffic_source()),
                (Dimension::Campaign, facts.campaign()),
                (Dimension::DeviceType, facts.device_type()),
                (Dimension::Store, facts.store()),
            ] {
                self.add(partition, workspace, dimension, value);
            }
        }
        if let Some(email) = &more.email {
            self.add(partition, workspace, Dimension::Campaign, &email.campaign);
        }
        for (product, _) in more.order.iter().flat_map(|order| &order.products) {
            self.add(partition, workspace, Dimension::Product, product);
        }
        for says in &more.says {
            match says {
                Says::Answer {
                    question,
                    product,
                    touchpoint,
                    ..
                } => {
                    for (dimension, value) in [
                        (Dimension::Question, question),
                        (Dimension::Product, product),
                        (Dimension::Touchpoint, touchpoint),
                    ] {
                        self.add(partition, workspace, dimension, value);
                    }
                }
                Says::Reported(reported) => {
                    for (dimension, value) in [
                        (Dimension::Network, &reported.network),
                        (Dimension::Post, &reported.post),
                        (Dimension::Influencer, &reported.influencer),
                    ] {
                        self.add(partition, workspace, dimension, value);
                    }
                }
                Says::Mentioned([network, post, influencer, _]) => {
                    for (dimension, value) in [
                        (Dimension::Network, network),
                        (Dimension::Post, post),
                        (Dimension::Influencer, influencer),
                    ] {
                        self.add(partition, workspace, dimension, value);
                    }
                }
                Says::Lead(_) | Says::Points(_) | Says::Spend(..) => {}
            }
        }
    }

    fn add(&mut self, partition: i32, workspace: &str, dimension: Dimension, value: &str) {
        let value = value.split('\0').next().unwrap_or_default();
        let place = BOUNDED.iter().position(|bounded| *bounded == dimension);
        let (Some(place), Some(limit)) = (place, self.limits.of(dimension)) else {
            return;
        };
        if value.is_empty() || value == OTHER {
            return;
        }
        let workspaces = self.values.entry(partition).or_default();
        if !workspaces.contains_key(workspace) {
            workspaces.insert(workspace.into(), Default::default());
        }
        let Some(values) = workspaces.get_mut(workspace) else {
            return;
        };
        let seen = values[place].see(value, limit);
        if seen.passes_over()
            && let Some(told) = self.told.get_mut(&partition)
            && told.passed_over.insert(dimension)
        {
            told.is_stored = false;
        }
        if let Seen::New { displaced } = seen {
            self.news.push((
                partition,
                workspace.into(),
                dimension,
                value.into(),
                displaced,
            ));
        }
    }

    /// Sees all that a timeline has, if it is of a partition whose values are told again.
    pub(super) fn tell_again(&mut self, partition: i32, timeline: &Timeline) {
        if !self.retold.contains(&partition) {
            return;
        }
        let workspace = &timeline.header.workspace;
        let facts = timeline.header.facts.iter_from(0);
        for facts in facts.filter(|facts| facts.are_told) {
            self.see(partition, workspace, Some(facts), &More::default());
        }
        let events = timeline.pages.iter().flat_map(|page| &page.events);
        for more in events.filter_map(|event| event.more.as_deref()) {
            self.see(partition, workspace, None, more);
        }
    }

    /// Of these partitions all has been told again, but for those that `is_left` names.
    pub(super) fn end_telling_again(&mut self, is_left: impl Fn(i32) -> bool) {
        let limits = &self.limits;
        let told = &mut self.told;
        self.retold.retain(|partition| {
            if is_left(*partition) {
                return true;
            }
            if let Some(told) = told.get_mut(partition) {
                let counted = BOUNDED.iter();
                let counted = counted.filter_map(|dimension| {
                    limits
                        .of(*dimension)
                        .map(|limit| (*dimension, limit.clone()))
                });
                told.within = counted.collect();
                told.is_stored = false;
            }
            false
        });
    }

    /// Tells the kpi stage, and remembers.
    pub(super) fn tell(&mut self, sending: &mut Sending<'_>) -> Result<(), Broken> {
        for (partition, key) in std::mem::take(&mut self.forgotten) {
            sending.put::<()>(partition, &key, None)?;
        }
        for (partition, workspace, dimension, value, displaced) in std::mem::take(&mut self.news) {
            sending.value(&workspace, dimension, &value)?;
            let key = |value: &str| stored_key(VALUE, &workspace, dimension, value);
            sending.put(partition, &key(&value), Some(&()))?;
            if let Some(displaced) = displaced {
                sending.put::<()>(partition, &key(&displaced), None)?;
            }
        }
        for (partition, told) in self.told.iter_mut().filter(|(_, told)| !told.is_stored) {
            let record = (&told.within, &told.passed_over);
            sending.put(*partition, TOLD, Some(&record))?;
            told.is_stored = true;
        }
        Ok(())
    }
}
