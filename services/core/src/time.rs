//! Points in time, in whole milliseconds, the precision of every SDK that sends to us.

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// One second, in the unit of [`Timestamp`].
pub const SECOND: i64 = 1_000;
/// One minute, in the unit of [`Timestamp`].
pub const MINUTE: i64 = 60 * SECOND;
/// One hour, in the unit of [`Timestamp`].
pub const HOUR: i64 = 60 * MINUTE;
/// One day, in the unit of [`Timestamp`].
pub const DAY: i64 = 24 * HOUR;

impl Timestamp {
    /// 1970-01-01T00:00:00Z: the start of every identity span, and the earliest event time that is kept.
    pub const MIN: Self = Self(0);
    /// 2299-12-31T00:00:00Z: the end of every identity span, and the latest time ClickHouse's `DateTime64` holds safely.
    pub const MAX: Self = Self(10_413_705_600_000);

    /// The UTC day this moment is in, counted from 1970-01-01.
    #[must_use]
    pub const fn day(self) -> i32 {
        self.0.div_euclid(DAY) as i32
    }

    /// The nearest time that can be stored.
    #[must_use]
    pub fn clamped(self) -> Self {
        self.clamp(Self::MIN, Self::MAX)
    }
}
