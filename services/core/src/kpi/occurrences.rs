//! Distinct counts: at which marks a profile counts, as the minutes at which it did something come and go.
//!
//! A profile with facts at minutes `m1 <= m2 <= ...` counts at a mark where at least `k` of them are in the window.
//! A fact more can only add marks: with `b1, b2` the facts before and `a1, a2` those after it (as marks of the window),
//! and `n` marks to a window, a fact at mark `x` adds, for
//!
//! - `k = 1`: `[max(x, b1 + n), min(a1, x + n))`: where nothing before reaches, up to the next;
//! - `k = 2`: `[max(x, b2 + n), min(a1, b1 + n))` and `[max(a1, b1 + n), min(a2, x + n))`: where exactly one other is.
//!
//! So a change costs two look-ups, however much a profile holds; and taking a fact back is the exact opposite.

use std::collections::BTreeMap;

use super::window::Window;
use crate::time::MINUTE;

/// How many facts in the window make a profile count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtLeast {
    /// One.
    One,
    /// Two.
    Two,
}

/// The minutes of facts, each as often as there are facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Occurrences {
    minutes: BTreeMap<i64, u32>,
}

/// The two facts before and the two after a minute, nearest first.
#[derive(Clone, Copy, Debug)]
struct Neighbours {
    before: [Option<i64>; 2],
    after: [Option<i64>; 2],
}

impl Occurrences {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.minutes.is_empty()
    }

    /// How many different minutes there are: what this costs in memory.
    #[must_use]
    pub fn len(&self) -> usize {
        self.minutes.len()
    }

    /// Adds a fact; calls `gained` with every range of marks, the end not included, at which the profile counts more.
    pub fn insert(&mut self, minute: i64, gained: impl FnMut(Window, AtLeast, i64, i64)) {
        ranges(minute, &self.neighbours(minute), gained);
        *self.minutes.entry(minute).or_default() += 1;
    }

    /// Takes a fact back; calls `lost` with every range of marks at which the profile no longer counts. Without such a
    /// fact nothing happens.
    pub fn remove(&mut self, minute: i64, lost: impl FnMut(Window, AtLeast, i64, i64)) {
        let Some(count) = self.minutes.get_mut(&minute) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            self.minutes.remove(&minute);
        }
        ranges(minute, &self.neighbours(minute), lost);
    }

    /// Calls `covered` with every range of marks of each window, the end not included, at which the profile counts for
    /// one fact or more: all that [`insert`](Self::insert) said so far of [`AtLeast::One`], joined. Costs as many look-ups
    /// as there are ranges and windows in them, not as there are facts.
    pub fn each_range(&self, mut covered: impl FnMut(Window, i64, i64)) {
        for window in Window::ALL {
            let last_minute_of = |mark: i64| mark * (window.step() / MINUTE);
            let reach = |minute: i64| window.mark_of_minute(minute) + window.marks();
            let mut next = self.first();
            while let Some(minute) = next {
                let mut to = reach(minute);
                while let Some((last, _)) = self.minutes.range(..=last_minute_of(to)).next_back()
                    && reach(*last) > to
                {
                    to = reach(*last);
                }
                covered(window, window.mark_of_minute(minute), to);
                let behind = self.minutes.range(last_minute_of(to) + 1..).next();
                next = behind.map(|(minute, _)| *minute);
            }
        }
    }

    /// The minute of the first fact.
    #[must_use]
    pub fn first(&self) -> Option<i64> {
        self.minutes.keys().next().copied()
    }

    /// The ranges of minutes, the end not included, at which so many facts lie in the `length` minutes up to then.
    /// Costs as many look-ups as there are ranges and lengths in them, not as there are facts.
    #[must_use]
    pub fn spells(&self, at_least: AtLeast, length: i64) -> Vec<(i64, i64)> {
        // Until when the facts up to a minute reach.
        let reach = |minute: i64| {
            let [last, second] = nearest(self.minutes.range(..=minute).rev());
            let decisive = match at_least {
                AtLeast::One => last,
                AtLeast::Two => second,
            };
            decisive.map_or(i64::MIN, |fact| fact + length)
        };
        let mut spells = Vec::new();
        let mut next = self.first();
        while let Some(from) = next {
            let mut to = reach(from);
            if to <= from {
                // A fact alone, where it takes two.
                next = self
                    .minutes
                    .range(from + 1..)
                    .next()
                    .map(|(minute, _)| *minute);
                continue;
            }
            while reach(to) > to {
                to = reach(to);
            }
            spells.push((from, to));
            next = self.minutes.range(to..).next().map(|(minute, _)| *minute);
        }
        spells
    }

    fn neighbours(&self, minute: i64) -> Neighbours {
        // Facts of the same minute stand before: which of equals is first makes no difference.
        Neighbours {
            before: nearest(self.minutes.range(..=minute).rev()),
            after: nearest(self.minutes.range(minute + 1..)),
        }
    }
}

fn nearest<'a>(mut minutes: impl Iterator<Item = (&'a i64, &'a u32)>) -> [Option<i64>; 2] {
    match minutes.next() {
        None => [None, None],
        Some((&first, &count)) if count > 1 => [Some(first), Some(first)],
        Some((&first, _)) => [Some(first), minutes.next().map(|(&second, _)| second)],
    }
}

fn ranges(minute: i64, neighbours: &Neighbours, mut emit: impl FnMut(Window, AtLeast, i64, i64)) {
    for window in Window::ALL {
        let length = window.marks();
        // A fact that is not there is too far away to matter.
        let before = neighbours
            .before
            .map(|minute| minute.map_or(i64::MIN / 2, |minute| window.mark_of_minute(minute)));
        let after = neighbours
            .after
            .map(|minute| minute.map_or(i64::MAX / 2, |minute| window.mark_of_minute(minute)));
        let mark = window.mark_of_minute(minute);
        let mut range = |at_least, from, to| {
            if from < to {
                emit(window, at_least, from, to);
            }
        };
        range(
            AtLeast::One,
            mark.max(before[0] + length),
            after[0].min(mark + length),
        );
        range(
            AtLeast::Two,
            mark.max(before[1] + length),
            after[0].min(before[0] + length),
        );
        range(
            AtLeast::Two,
            after[0].max(before[0] + length),
            after[1].min(mark + length),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    type Counted = BTreeMap<(Window, bool, i64), i64>;

    fn brute_force(minutes: &[i64]) -> Counted {
        let mut counted = Counted::new();
        for window in Window::ALL {
            let mut facts: BTreeMap<i64, i64> = BTreeMap::new();
            for minute in minutes {
                let first = window.mark_of_minute(*minute);
                for mark in first..first + window.marks() {
                    *facts.entry(mark).or_default() += 1;
                }
            }
            for (mark, count) in facts {
                counted.insert((window, false, mark), 1);
                if count >= 2 {
                    counted.insert((window, true, mark), 1);
                }
            }
        }
        counted
    }

    fn record(counted: &mut Counted, sign: i64) -> impl FnMut(Window, AtLeast, i64, i64) + '_ {
        move |window, at_least, from, to| {
            for mark in from..to {
                let key = (window, at_least == AtLeast::Two, mark);
                let count = counted.entry(key).or_default();
                *count += sign;
                if *count == 0 {
                    counted.remove(&key);
                }
            }
        }
    }

    /// Minutes close enough to meet in short windows, and far enough to part in the longer ones.
    fn minutes() -> impl Strategy<Value = i64> {
        prop_oneof![
            0..90_i64,
            (0..40_i64).prop_map(|quarter| quarter * 15),
            (0..14_i64).prop_map(|day| day * 1440 + 7),
            0..60_000_i64
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
        #[test]
        fn changes_one_at_a_time_add_up_to_the_count_over_all_facts(
            steps in prop::collection::vec((minutes(), any::<bool>(), any::<prop::sample::Index>()), 1..24),
        ) {
            let (mut occurrences, mut present, mut counted) = (Occurrences::default(), Vec::new(), Counted::new());
            for (minute, add, which) in steps {
                if add || present.is_empty() {
                    present.push(minute);
                    occurrences.insert(minute, record(&mut counted, 1));
                } else {
                    let minute = present.swap_remove(which.index(present.len()));
                    occurrences.remove(minute, record(&mut counted, -1));
                }
                prop_assert_eq!(&counted, &brute_force(&present), "with {:?}", present);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn spells_are_the_minutes_with_so_many_facts_before_them(
            minutes in prop::collection::vec(0..200_i64, 0..12), length in 1..60_i64,
        ) {
            let mut occurrences = Occurrences::default();
            for minute in &minutes {
                occurrences.insert(*minute, |_, _, _, _| {});
            }
            for (at_least, count) in [(AtLeast::One, 1), (AtLeast::Two, 2)] {
                let spells = occurrences.spells(at_least, length);
                prop_assert!(spells.windows(2).all(|pair| pair[0].1 < pair[1].0), "{:?} are apart", spells);
                for now in -1..300_i64 {
                    let facts = minutes.iter().filter(|minute| (now - length + 1..=now).contains(minute)).count();
                    let inside = spells.iter().any(|(from, to)| (*from..*to).contains(&now));
                    prop_assert_eq!(inside, facts >= count, "minute {} of {:?}", now, minutes);
                }
            }
        }

        #[test]
        fn joined_ranges_are_all_that_was_ever_gained(minutes in prop::collection::vec(minutes(), 0..8)) {
            let (mut occurrences, mut joined) = (Occurrences::default(), Counted::new());
            for minute in &minutes {
                occurrences.insert(*minute, |_, _, _, _| {});
            }
            occurrences.each_range(|window, from, to| {
                for mark in from..to {
                    *joined.entry((window, false, mark)).or_default() += 1;
                }
            });
            let mut expected = brute_force(&minutes);
            expected.retain(|(_, two, _), _| !two);
            prop_assert_eq!(joined, expected);
        }
    }

    #[test]
    fn a_fact_that_is_not_there_cannot_be_taken_back() {
        let mut occurrences = Occurrences::default();
        occurrences.insert(5, |_, _, _, _| {});
        occurrences.remove(6, |_, _, _, _| panic!("nothing was lost"));
        assert_eq!(occurrences.len(), 1);
    }
}
