//! Goals: which events reach which.

use std::collections::BTreeMap;

/// Events of each goal, by the goal's slug.
#[derive(Clone, Debug, Default)]
pub(super) struct Goals(BTreeMap<String, Vec<String>>);

impl Goals {
    pub(super) fn new(goals: BTreeMap<String, Vec<String>>) -> Self {
        Self(goals)
    }

    /// Whether a goal asks for events of that name.
    pub(super) fn asks_for(&self, event: &str) -> bool {
        self.0.values().flatten().any(|name| name == event)
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
