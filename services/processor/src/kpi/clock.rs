//! What the clock has passed, and what is no longer kept.

use tributary_core::kpi::Window;
use tributary_core::time::Timestamp;

/// The latest time, and what follows from it for each window. It never goes back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// The latest time that was seen.
    pub(super) now: Timestamp,
    /// By window: the last mark that the clock has passed.
    pub(super) passed: [i64; 6],
    /// By window: the first block that is kept.
    pub(super) kept: [i64; 6],
}

impl Clock {
    /// A clock that has seen no time.
    pub(super) const UNKNOWN: Self = Self {
        now: Timestamp(i64::MIN),
        passed: [i64::MIN; 6],
        kept: [i64::MIN; 6],
    };

    /// The clock at a time. A block is kept until its last mark is older than `keep`, in milliseconds by window.
    pub(super) fn at(self, now: Timestamp, keep: &[i64; 6]) -> Self {
        let mut clock = Self {
            now: self.now.max(now),
            ..self
        };
        for window in Window::ALL {
            let index = window.index();
            clock.passed[index] = self.passed[index].max(window.passed(clock.now));
            let oldest = window.passed(Timestamp(
                clock.now.0.saturating_sub(keep[index]).saturating_sub(1),
            )) + 1;
            clock.kept[index] = self.kept[index].max(window.block_of(oldest));
        }
        clock
    }

    /// A clock that had passed what was passed at that time, and knows nothing of what is kept.
    pub(super) fn restored(self, now: Timestamp) -> Self {
        let mut clock = Self { now, ..self };
        for window in Window::ALL {
            clock.passed[window.index()] = window.passed(now);
        }
        clock
    }

    /// How many marks of a block it has passed.
    pub(super) fn passed_of(&self, window: Window, block: i64) -> i64 {
        (self.passed[window.index()] - window.block_start(block) + 1).clamp(0, window.block_marks())
    }
}

#[cfg(test)]
mod tests {
    use tributary_core::time::{DAY, HOUR};

    use super::*;

    #[test]
    fn a_block_is_kept_until_its_last_mark_is_too_old() {
        let kept = |now| Clock::UNKNOWN.at(Timestamp(now), &[HOUR; 6]).kept[0];
        let hour = 500_000;
        // Marks of block 500,000 are at minutes 0 to 59 of that hour.
        let last = hour * HOUR + HOUR - 60_000;
        assert_eq!(kept(last + HOUR), hour);
        assert_eq!(kept(last + HOUR + 1), hour + 1);
    }

    #[test]
    fn a_clock_that_is_set_back_stays() {
        let clock = Clock::UNKNOWN.at(Timestamp(100 * DAY), &[DAY; 6]);
        let later = clock.at(Timestamp(99 * DAY), &[DAY; 6]);
        assert_eq!(
            (later.now, later.passed, later.kept),
            (clock.now, clock.passed, clock.kept)
        );
    }
}
