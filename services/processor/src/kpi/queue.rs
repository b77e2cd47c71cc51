//! Which series are published next: each at most once a second, all in turn.

use std::collections::BTreeSet;

use tributary_core::kpi::Window;
use tributary_core::time::{SECOND, Timestamp};

use super::series::Series;

/// How long a series that was published waits to be published again.
const PAUSE: i64 = SECOND;

/// Where many blocks were published, the wait is longer, so that a backfill does not publish all of a long past anew each
/// second: so many blocks for a millisecond. With marks kept as by default a series has under 200 blocks in a window.
const BLOCKS_PER_MILLISECOND: usize = 2;

/// Series with dirty blocks, by the time they may be published, then by the time they queued up.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: BTreeSet<(i64, u64, usize, Window)>,
    turns: u64,
}

impl Queue {
    /// Adds a series that is not in it.
    pub(super) fn add(&mut self, tally: usize, window: Window, series: &mut Series) {
        if !series.queued {
            series.queued = true;
            self.turns += 1;
            self.waiting
                .insert((series.not_before, self.turns, tally, window));
        }
    }

    /// Takes the next series that may be published.
    pub(super) fn next(&mut self, now: Timestamp) -> Option<(usize, Window)> {
        if !self.ready(now) {
            return None;
        }
        self.waiting
            .pop_first()
            .map(|(_, _, tally, window)| (tally, window))
    }

    /// Puts a series back after its turn: at the end of those ready if its round goes on, else to rest.
    pub(super) fn after_turn(
        &mut self,
        tally: usize,
        window: Window,
        series: &mut Series,
        now: Timestamp,
    ) {
        series.queued = false;
        series.not_before = now.0;
        if let Some(blocks) = series.round_over() {
            let wait = i64::try_from(blocks / BLOCKS_PER_MILLISECOND).unwrap_or(i64::MAX);
            series.not_before += wait.max(PAUSE);
        }
        if !series.dirty.is_empty() {
            self.add(tally, window, series);
        }
    }

    /// Whether a series may be published.
    pub(super) fn ready(&self, now: Timestamp) -> bool {
        self.waiting
            .first()
            .is_some_and(|(not_before, ..)| *not_before <= now.0)
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
