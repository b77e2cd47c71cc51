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

    /// How many of the events reach each goal; goals that none reaches are left out.
    pub(super) fn reached<'a>(
        &'a self,
        events: impl Iterator<Item = &'a str>,
    ) -> BTreeMap<&'a str, i64> {
        let mut reached = BTreeMap::new();
        for event in events {
            for (goal, _) in self
                .0
                .iter()
                .filter(|(_, names)| names.iter().any(|name| name == event))
            {
                *reached.entry(goal.as_str()).or_insert(0) += 1;
            }
        }
        reached
    }
}
