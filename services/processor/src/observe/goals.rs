//! Goals: which events reach which.

use std::collections::{BTreeMap, BTreeSet};

use super::event::StoredEvent;
use super::sending::Sending;
use super::stored::{self, Header};
use crate::runtime::stage::{Broken, Store};

/// The key of the goals by which all of a partition was told.
const TOLD: &[u8] = b"g";

/// Events of each goal, by the goal's slug.
#[derive(Clone, Debug, Default)]
pub(super) struct Goals(BTreeMap<String, Vec<String>>);

impl Goals {
    pub(super) fn new(goals: BTreeMap<String, Vec<String>>) -> Self {
        Self(goals)
    }

    /// Whether a goal asks for events such as one of this timeline.
    pub(super) fn ask_for(&self, event: &StoredEvent, header: &Header) -> bool {
        let name = event.name.map(|name| &header.names[name.get()]);
        name.is_some_and(|name| self.0.values().flatten().any(|event| event == name))
    }

    /// Whether an event of that name reaches the goal.
    pub(super) fn is_reached(&self, goal: &str, event: &str) -> bool {
        let events = self.0.get(goal);
        events.is_some_and(|events| events.iter().any(|name| name == event))
    }

    /// The goals that an event of that name reaches, sorted.
    pub(super) fn reached_by<'a>(&'a self, event: &str) -> impl Iterator<Item = &'a str> {
        let goals = self.0.keys();
        goals
            .map(String::as_str)
            .filter(move |goal| self.is_reached(goal, event))
    }

    /// How many events reach each goal, of so many of each name; goals that none reaches are left out.
    pub(super) fn reached<'a>(
        &'a self,
        events: impl Iterator<Item = (&'a str, i64)>,
    ) -> BTreeMap<&'a str, i64> {
        let mut reached = BTreeMap::new();
        for (event, number) in events {
            for goal in self.reached_by(event) {
                *reached.entry(goal).or_insert(0) += number;
            }
        }
        reached
    }
}

/// Partitions of which something was told by other goals than there are now.
#[derive(Debug, Default)]
pub(super) struct Retold {
    /// By partition: events that reach other goals than before.
    events: BTreeMap<i32, BTreeSet<String>>,
    /// By partition: all the goals by which something of it was told, or will be; until the store says that these alone are.
    told_by: BTreeMap<i32, ToldBy>,
}

#[derive(Debug)]
struct ToldBy {
    goals: Vec<BTreeMap<String, Vec<String>>>,
    is_stored: bool,
}

impl Retold {
    pub(super) fn clear(&mut self) {
        self.events.clear();
        self.told_by.clear();
    }

    /// Reads by what goals a partition was told. Returns whether its timelines are to be told again.
    pub(super) fn restore(
        &mut self,
        partition: i32,
        goals: &Goals,
        store: &dyn Store,
    ) -> Result<bool, Broken> {
        let stored = store.get(partition, TOLD)?;
        let before: Vec<BTreeMap<String, Vec<String>>> = match &stored {
            Some(record) => stored::decode(record)?,
            None => Vec::new(),
        };
        let mut changed = BTreeSet::new();
        for before in before.iter().map(|before| Goals(before.clone())) {
            let all = before.0.values().chain(goals.0.values()).flatten();
            let other = all.filter(|event| !before.reached_by(event).eq(goals.reached_by(event)));
            changed.extend(other.cloned());
        }
        let is_retold = !changed.is_empty();
        let mut told_by = ToldBy {
            is_stored: before.contains(&goals.0),
            goals: before,
        };
        if !told_by.is_stored {
            told_by.goals.push(goals.0.clone());
        }
        if is_retold || told_by.goals.len() > 1 || !told_by.is_stored {
            self.told_by.insert(partition, told_by);
        }
        if is_retold {
            self.events.insert(partition, changed);
        }
        Ok(is_retold)
    }

    /// Whether something of a timeline was told otherwise.
    pub(super) fn concerns(&self, partition: i32, header: &Header) -> bool {
        let events = self.events.get(&partition);
        events.is_some_and(|events| {
            let mut names = header.names.iter_from(0);
            names.any(|name| events.contains(name))
        })
    }

    /// Stores by what goals partitions are told: of those that `is_left` names by others than these, too.
    pub(super) fn tell(
        &mut self,
        goals: &Goals,
        is_left: impl Fn(i32) -> bool,
        sending: &mut Sending<'_>,
    ) -> Result<(), Broken> {
        for (partition, mut told_by) in std::mem::take(&mut self.told_by) {
            if !is_left(partition) {
                self.events.remove(&partition);
                sending.put(partition, TOLD, Some(&vec![&goals.0]))?;
                continue;
            }
            if !std::mem::replace(&mut told_by.is_stored, true) {
                sending.put(partition, TOLD, Some(&told_by.goals))?;
            }
            self.told_by.insert(partition, told_by);
        }
        Ok(())
    }
}
