//! The rolling windows and their marks.

use crate::time::{DAY, HOUR, MINUTE, Timestamp};

/// A rolling window. It ends at marks, numbered from 1970 in its steps, and holds (mark - length, mark].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Window {
    /// One hour, every minute.
    Hour,
    /// 24 hours, every 15 minutes.
    Day,
    /// 7 days, every hour.
    Week,
    /// 30 days, every hour.
    Days30,
    /// 90 days, every hour.
    Days90,
    /// 365 days, every UTC midnight.
    Year,
}

impl Window {
    /// All windows, shortest first.
    pub const ALL: [Self; 6] = [
        Self::Hour,
        Self::Day,
        Self::Week,
        Self::Days30,
        Self::Days90,
        Self::Year,
    ];

    /// Its name in tables and configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Days30 => "30d",
            Self::Days90 => "90d",
            Self::Year => "365d",
        }
    }

    /// Its place in [`ALL`](Self::ALL).
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its length in milliseconds.
    #[must_use]
    pub const fn length(self) -> i64 {
        match self {
            Self::Hour => HOUR,
            Self::Day => DAY,
            Self::Week => 7 * DAY,
            Self::Days30 => 30 * DAY,
            Self::Days90 => 90 * DAY,
            Self::Year => 365 * DAY,
        }
    }

    /// The distance of its marks in milliseconds: whole minutes, each window's a multiple of the shorter one's.
    #[must_use]
    pub const fn step(self) -> i64 {
        match self {
            Self::Hour => MINUTE,
            Self::Day => 15 * MINUTE,
            Self::Week | Self::Days30 | Self::Days90 => HOUR,
            Self::Year => DAY,
        }
    }

    /// How many marks a fact counts at.
    #[must_use]
    pub const fn marks(self) -> i64 {
        self.length() / self.step()
    }

    /// Marks that are stored and published together: an hour, a day, a week or 32 days of them.
    #[must_use]
    pub const fn block_marks(self) -> i64 {
        match self {
            Self::Hour => 60,
            Self::Day => 96,
            Self::Week | Self::Days30 | Self::Days90 => 168,
            Self::Year => 32,
        }
    }

    /// The first mark at which a fact of that minute counts.
    #[must_use]
    pub const fn mark_of_minute(self, minute: i64) -> i64 {
        ceiling(minute, self.step() / MINUTE)
    }

    /// The last mark that the clock has passed.
    #[must_use]
    pub const fn passed(self, now: Timestamp) -> i64 {
        now.0.div_euclid(self.step())
    }

    /// The block that holds a mark.
    #[must_use]
    pub const fn block_of(self, mark: i64) -> i64 {
        mark.div_euclid(self.block_marks())
    }

    /// The first mark of a block.
    #[must_use]
    pub const fn block_start(self, block: i64) -> i64 {
        block * self.block_marks()
    }

    /// When a mark is.
    #[must_use]
    pub const fn time_of(self, mark: i64) -> Timestamp {
        Timestamp(mark * self.step())
    }
}

/// The first minute mark at or after a moment: to facts of KPIs, a minute is always this.
#[must_use]
pub const fn minute_of(time: Timestamp) -> i64 {
    ceiling(time.0, MINUTE)
}

const fn ceiling(dividend: i64, divisor: i64) -> i64 {
    -(-dividend).div_euclid(divisor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_fact_counts_at_as_many_marks_as_the_window_has_steps() {
        let counts = Window::ALL.map(Window::marks);
        assert_eq!(counts, [60, 96, 168, 720, 2160, 365]);
    }

    proptest! {
        #[test]
        fn a_fact_is_in_exactly_the_windows_whose_end_is_at_or_after_it_and_whose_start_is_before(
            time in 0..20_000 * DAY, index in 0_usize..6, offset in -3_i64..3,
        ) {
            let window = Window::ALL[index];
            let first = window.mark_of_minute(minute_of(Timestamp(time)));
            for mark in [first + offset, first + window.marks() + offset] {
                let end = window.time_of(mark).0;
                let holds = end - window.length() < time && time <= end;
                prop_assert_eq!(holds, (first..first + window.marks()).contains(&mark));
            }
        }
    }
}
