//! What others would make of the same events: each gives the group of every event.

use super::truth::Truth;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Every device is somebody.
pub(super) fn cookies(truth: &Truth) -> Vec<u32> {
    truth.events.iter().map(|event| event.timeline).collect()
}

/// Whatever was ever seen together is one: what products that merge on sight do.
pub(super) fn union(truth: &Truth) -> Vec<u32> {
    let groups = union_of_identifiers(truth);
    truth
        .events
        .iter()
        .map(|event| groups[event.timeline as usize])
        .collect()
}

/// The same by identifier.
pub(super) fn union_of_identifiers(truth: &Truth) -> Vec<u32> {
    let mut sets = Sets::new(truth.identifiers.len());
    for event in &truth.events {
        for other in &event.identifiers {
            sets.join(event.timeline, *other);
        }
    }
    (0..truth.identifiers.len() as u32)
        .map(|identifier| sets.root(identifier))
        .collect()
}

/// An event belongs to the person who logged in last on its device before, else to the first after, else to the device.
/// Person identifiers that were seen together are one person.
pub(super) fn nearest_login(truth: &Truth) -> Vec<u32> {
    let mut sets = Sets::new(truth.identifiers.len());
    for event in &truth.events {
        if let Some(login) = event.login {
            let is_person = |number: &&u32| truth.is_person(**number);
            for other in event.identifiers.iter().filter(is_person) {
                sets.join(login, *other);
            }
        }
    }
    let mut groups = vec![0; truth.events.len()];
    for events in by_timeline(truth).values() {
        let mut last = events.iter().find_map(|event| truth.events[*event].login);
        for event in events {
            last = truth.events[*event].login.or(last);
            groups[*event] = match last {
                Some(login) => sets.root(login),
                None => truth.events[*event].timeline,
            };
        }
    }
    groups
}

/// All that logins could ever reveal, known without error: on a device on which a person has ever told who they are,
/// all their events are known to be theirs; elsewhere they are a stranger.
pub(super) fn ceiling(truth: &Truth) -> Vec<u32> {
    let told: BTreeSet<(u32, u32)> = truth
        .events
        .iter()
        .filter(|event| event.login.is_some())
        .map(|event| (event.timeline, event.person))
        .collect();
    let mut groups: HashMap<(Option<u32>, u32), u32> = HashMap::new();
    truth
        .events
        .iter()
        .map(|event| {
            let known = told.contains(&(event.timeline, event.person));
            let group = ((!known).then_some(event.timeline), event.person);
            let next = groups.len() as u32;
            *groups.entry(group).or_insert(next)
        })
        .collect()
}

/// Events by device, in order of time.
fn by_timeline(truth: &Truth) -> BTreeMap<u32, Vec<usize>> {
    let mut timelines: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (index, event) in truth.events.iter().enumerate() {
        timelines.entry(event.timeline).or_default().push(index);
    }
    for events in timelines.values_mut() {
        events.sort_by_key(|event| (truth.events[*event].time, &truth.events[*event].message));
    }
    timelines
}

/// Disjoint sets.
struct Sets(Vec<u32>);

impl Sets {
    fn new(size: usize) -> Self {
        Sets((0..size as u32).collect())
    }

    fn root(&mut self, mut item: u32) -> u32 {
        while self.0[item as usize] != item {
            let above = self.0[item as usize];
            self.0[item as usize] = self.0[above as usize];
            item = above;
        }
        item
    }

    fn join(&mut self, one: u32, other: u32) {
        let (one, other) = (self.root(one), self.root(other));
        self.0[one as usize] = other;
    }
}

#[cfg(test)]
mod tests {
    use super::super::truth::tests::truth;
    use super::*;

    /// Which events are together.
    fn groups(of: &[u32]) -> Vec<usize> {
        of.iter()
            .map(|group| of.iter().position(|other| other == group).unwrap_or(0))
            .collect()
    }

    #[test]
    fn each_reference_groups_a_shared_tablet_as_it_says() {
        let tablet = ("anonymous_id", "tablet");
        let truth = truth(&[
            (0, "ann", &[tablet]),
            (10, "ann", &[tablet, ("user_id", "ann")]),
            (20, "bob", &[tablet]),
            (30, "bob", &[tablet, ("user_id", "bob")]),
            (40, "eve", &[tablet]),
            (
                50,
                "bob",
                &[
                    ("anonymous_id", "phone"),
                    ("user_id", "bob"),
                    ("email", "b@x"),
                ],
            ),
            (60, "bob", &[("anonymous_id", "mail"), ("email", "b@x")]),
            (70, "eve", &[("anonymous_id", "own")]),
        ]);
        assert_eq!(groups(&cookies(&truth)), [0, 0, 0, 0, 0, 5, 6, 7]);
        assert_eq!(groups(&union(&truth)), [0, 0, 0, 0, 0, 0, 0, 7]);
        assert_eq!(groups(&nearest_login(&truth)), [0, 0, 0, 3, 3, 3, 3, 7]);
        assert_eq!(groups(&ceiling(&truth)), [0, 0, 2, 2, 4, 2, 2, 7]);
    }
}
