//! One sum in one window: which blocks it has, and which of them are to be published.

use std::collections::{BTreeMap, BTreeSet};

use tributary_core::kpi::{Sum, Window};

/// What is always in memory of a block. A block without differences has one too while it is published or dirty.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot {
    /// Sum of its differences.
    pub(super) net: Sum,
    /// Of its last published record.
    pub(super) revision: i64,
    /// Whether that record holds values.
    pub(super) published: bool,
    /// Whether there are differences in the store.
    pub(super) stored: bool,
}

/// A sum in a window.
#[derive(Debug, Default)]
pub(super) struct Series {
    /// Sum of the blocks that are no longer kept.
    pub(super) folded: Sum,
    /// Those that are.
    pub(super) slots: BTreeMap<i64, Slot>,
    /// Blocks with values that changed since they were published.
    pub(super) dirty: BTreeSet<i64>,
    /// Whether it stands in the queue.
    pub(super) queued: bool,
    /// When it may be published again.
    pub(super) not_before: i64,
    /// The round of publishing that it is in: the first block that is yet to come, and how many went.
    round: Option<(i64, usize)>,
    /// Whether it may have values at marks that the clock has yet to pass.
    pub(super) live: bool,
}

impl Series {
    /// The sum before a block.
    pub(super) fn base(&self, block: i64) -> Sum {
        let mut base = self.folded;
        for slot in self.slots.range(..block).map(|(_, slot)| slot) {
            base += slot.net;
        }
        base
    }

    /// The blocks that a turn of publishing takes: the newest, which people look at, then the oldest that had none yet in
    /// this round. What becomes dirty behind them waits for the next.
    pub(super) fn turn(&mut self, most: usize) -> BTreeSet<i64> {
        let (next, went) = self.round.unwrap_or((i64::MIN, 0));
        let oldest: Vec<i64> = self
            .dirty
            .range(next..)
            .take(most.saturating_sub(1))
            .copied()
            .collect();
        let next = oldest.last().map_or(i64::MAX, |last| last + 1);
        let turn: BTreeSet<i64> = oldest
            .into_iter()
            .chain(self.dirty.last().copied())
            .collect();
        self.round = Some((next, went + turn.len()));
        turn
    }

    /// Whether the round is over, and of how many blocks it was. Then the next one begins.
    pub(super) fn round_over(&mut self) -> Option<usize> {
        let (next, went) = self.round?;
        if self.dirty.range(next..).next().is_some() {
            return None;
        }
        self.round = None;
        Some(went)
    }

    /// Whether a value may stand after a mark of a block, of which the sum at the mark is known.
    pub(super) fn lives_after(
        &self,
        window: Window,
        mark: i64,
        at_mark: Sum,
        differences_after: bool,
    ) -> bool {
        !at_mark.is_zero()
            || differences_after
            || self
                .slots
                .range(window.block_of(mark) + 1..)
                .any(|(_, slot)| slot.stored || !slot.net.is_zero())
    }
}

/// Marks at which a sum changes, from differences in any order: half-open ranges, ascending; the last may have no end.
pub(super) fn changed_ranges(differences: &[(i64, Sum)]) -> Vec<(i64, i64)> {
    let (mut ranges, mut running): (Vec<(i64, i64)>, Sum) = (Vec::new(), Sum::ZERO);
    for (index, (mark, difference)) in differences.iter().enumerate() {
        running += *difference;
        if running.is_zero() {
            continue;
        }
        let end = differences
            .get(index + 1)
            .map_or(i64::MAX, |(next, _)| *next);
        match ranges.last_mut() {
            Some(last) if last.1 == *mark => last.1 = end,
            _ => ranges.push((*mark, end)),
        }
    }
    ranges
}

/// Differences summed by mark, ascending, none zero.
pub(super) fn summed(mut differences: Vec<(i64, Sum)>) -> Vec<(i64, Sum)> {
    differences.sort_unstable_by_key(|(mark, _)| *mark);
    differences.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
    differences.retain(|(_, sum)| !sum.is_zero());
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(number: i64) -> Sum {
        Sum {
            numerator: 0,
            denominator: number,
        }
    }

    #[test]
    fn a_change_reaches_from_its_first_mark_to_where_it_is_taken_back() {
        for (given, ranges) in [
            (vec![(10, 1), (20, -1)], vec![(10, 20)]),
            (vec![(20, -1), (10, 1), (12, 3), (15, -3)], vec![(10, 20)]),
            (vec![(1, 1), (2, -1), (5, 2), (7, -2)], vec![(1, 2), (5, 7)]),
            (vec![(1, 1), (1, -1)], vec![]),
            (vec![(3, 1)], vec![(3, i64::MAX)]),
        ] {
            let differences = summed(
                given
                    .iter()
                    .map(|(mark, number)| (*mark, count(*number)))
                    .collect(),
            );
            assert_eq!(changed_ranges(&differences), ranges, "{given:?}");
        }
    }

    #[test]
    fn a_turn_takes_the_newest_block_and_the_oldest() {
        let mut series = Series {
            dirty: (0..9).collect(),
            ..Series::default()
        };
        assert_eq!(series.turn(3).into_iter().collect::<Vec<_>>(), [0, 1, 8]);
        assert_eq!(series.round_over(), None, "some had no turn yet");
        series.dirty.insert(0);
        assert_eq!(
            series.turn(20).into_iter().collect::<Vec<_>>(),
            [2, 3, 4, 5, 6, 7, 8]
        );
        assert_eq!(series.round_over(), Some(10), "what is dirty again waits");
        assert_eq!(series.turn(20).len(), 9);
    }
}
