//! Sets of minutes as runs, so that a session that never pauses costs no more than a short one.

/// A set of minutes: half-open runs, ascending, apart from each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs(Vec<(i64, i64)>);

impl Runs {
    /// The union of runs of (first minute, how many), in any order.
    #[must_use]
    pub fn of(runs: impl IntoIterator<Item = (i64, i64)>) -> Self {
        let mut all: Vec<(i64, i64)> = runs
            .into_iter()
            .filter(|(_, length)| *length > 0)
            .map(|(first, length)| (first, first.saturating_add(length)))
            .collect();
        all.sort_unstable();
        let mut joined: Vec<(i64, i64)> = Vec::with_capacity(all.len());
        for (first, end) in all {
            match joined.last_mut() {
                Some(last) if first <= last.1 => last.1 = last.1.max(end),
                _ => joined.push((first, end)),
            }
        }
        Self(joined)
    }

    /// The runs as (first minute, how many).
    pub fn iter(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.0.iter().map(|(first, end)| (*first, end - first))
    }

    /// Calls `visit` with each minute that is here but not in `other`.
    pub fn for_each_besides(&self, other: &Self, mut visit: impl FnMut(i64)) {
        let mut index = 0;
        for &(first, end) in &self.0 {
            let mut minute = first;
            while minute < end {
                while other
                    .0
                    .get(index)
                    .is_some_and(|(_, other_end)| *other_end <= minute)
                {
                    index += 1;
                }
                let (other_first, other_end) =
                    other.0.get(index).copied().unwrap_or((i64::MAX, i64::MAX));
                (minute..end.min(other_first.max(minute))).for_each(&mut visit);
                minute = if other_first < end { other_end } else { end };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn runs() -> impl Strategy<Value = Vec<(i64, i64)>> {
        prop::collection::vec((0..60_i64, 1..8_i64), 0..8)
    }

    fn set(runs: &[(i64, i64)]) -> BTreeSet<i64> {
        runs.iter()
            .flat_map(|(first, length)| *first..first + length)
            .collect()
    }

    proptest! {
        #[test]
        fn runs_are_sets_of_minutes(one in runs(), other in runs()) {
            let joined: Vec<_> = Runs::of(one.clone()).iter().collect();
            prop_assert_eq!(set(&joined), set(&one));
            prop_assert!(joined.windows(2).all(|pair| pair[0].0 + pair[0].1 < pair[1].0));
            let mut besides = Vec::new();
            Runs::of(one.clone()).for_each_besides(&Runs::of(other.clone()), |minute| besides.push(minute));
            prop_assert_eq!(besides, set(&one).difference(&set(&other)).copied().collect::<Vec<_>>());
        }
    }
}
