//! Bad buzz: whether more is said against the brand than usual.
//!
//! A chart with a moving centre line (Montgomery and Mastrangelo 1991): what is usual is the exponentially weighted moving
//! average of the counts of the hours before (Roberts 1959), and a count leaves the band where it is further from that than
//! three standard deviations of what the average had foretold so far:
//!
//! ```text
//! z(0) = mean;   e(i) = x(i) - z(i-1);   z(i) = z(i-1) + lambda e(i);   band after n hours: z(n) +- L sqrt(mean of e(i)^2)
//! ```
//!
//! with lambda .2 and L 3. The hours are those of the same hour of the week once four weeks are known. Counts of rare events
//! scatter as a Poisson distribution at least, so the deviation is never less than the root of what is usual, nor than one:
//! where nothing was ever said, four mentions in an hour are needed. What is below the band is no bad buzz.

use std::collections::BTreeMap;

/// Weight of the newest count.
const LAMBDA: f64 = 0.2;

/// Half the width of the band, in standard deviations.
const WIDTH: f64 = 3.0;

/// Hours of a week.
const WEEK: i64 = 168;

/// From so many weeks on the hours of a week are told apart.
const SEASONS: i64 = 4;

/// With fewer hours than a day's nothing is known of what is usual.
const LEAST: usize = 24;

/// Hours further back than half a year say nothing of today.
pub const KEPT_HOURS: i64 = 26 * WEEK;

/// Minutes of an hour.
const HOUR: i64 = 60;

/// The number of the hour that holds a minute, as [`minute_of`](crate::kpi::minute_of) counts them.
#[must_use]
pub const fn hour_of(minute: i64) -> i64 {
    (minute - 1).div_euclid(HOUR)
}

/// What is usual at an hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    /// Moving average of the counts before.
    pub usual: f64,
    /// Standard deviation of the counts from it, at least that of rare events.
    pub deviation: f64,
}

impl Band {
    /// What is usual for the hour up to a minute, by the counts of the hours that are over before it begins, from the hour
    /// `since` on; hours without a count had none. None while less than a day is known.
    #[must_use]
    pub fn at(minute: i64, counts: &BTreeMap<i64, i64>, since: i64) -> Option<Self> {
        let last = (minute - HOUR).div_euclid(HOUR) - 1;
        let first = since.max(last + 1 - KEPT_HOURS);
        let hours = first..=last;
        let count = |hour: i64| counts.get(&hour).copied().unwrap_or(0) as f64;
        if last + 1 - first >= SEASONS * WEEK {
            let season = hour_of(minute).rem_euclid(WEEK);
            Some(Self::of(
                hours
                    .filter(|hour| hour.rem_euclid(WEEK) == season)
                    .map(count)
                    .collect(),
            ))
        } else {
            let counts: Vec<f64> = hours.map(count).collect();
            (counts.len() >= LEAST).then(|| Self::of(counts))
        }
    }

    /// By counts, first to last.
    fn of(counts: Vec<f64>) -> Self {
        let number = counts.len() as f64;
        let (mut usual, mut squares) = (counts.iter().sum::<f64>() / number, 0.0);
        for count in counts {
            let error = count - usual;
            squares += error * error;
            usual += LAMBDA * error;
        }
        let variance = (squares / number).max(usual).max(1.0);
        Self {
            usual,
            deviation: variance.sqrt(),
        }
    }

    /// The most that the hour may count without leaving the band upwards.
    #[must_use]
    pub fn most(&self) -> f64 {
        self.usual + WIDTH * self.deviation
    }

    /// Whether so many in the hour leave the band upwards.
    #[must_use]
    pub fn is_left_by(&self, count: i64) -> bool {
        count as f64 > self.most()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first minute of an hour, counted from the hour 0.
    const fn minute(hour: i64) -> i64 {
        hour * HOUR + 1
    }

    #[test]
    fn the_average_moves_and_the_band_with_it() {
        let band = Band::of(vec![4.0, 6.0, 5.0, 9.0]);
        // From 6 by -2, .4, -.68 and 3.456 times .2; their squares come to 16.5663, which is less than four times 6.2352.
        assert!((band.usual - 6.2352).abs() < 1e-9);
        assert!((band.deviation - 6.2352_f64.sqrt()).abs() < 1e-9);
        let wide = Band::of(vec![0.0, 20.0]);
        // From 10 by -10 and 12.
        assert!((wide.usual - 10.4).abs() < 1e-9);
        assert!((wide.most() - (10.4 + 3.0 * 122.0_f64.sqrt())).abs() < 1e-9);
        assert!(!wide.is_left_by(43) && wide.is_left_by(44));
    }

    #[test]
    fn where_nothing_was_ever_said_four_are_needed() {
        let band = Band::at(minute(30), &BTreeMap::new(), 0).expect("a day is known");
        assert!(!band.is_left_by(3));
        assert!(band.is_left_by(4));
        assert_eq!(Band::at(minute(24), &BTreeMap::new(), 0), None);
    }

    #[test]
    fn from_four_weeks_on_an_hour_is_compared_with_its_own_past() {
        // Each week at the hour 10 there are a hundred.
        let usual = |weeks: i64| -> BTreeMap<i64, i64> {
            (0..weeks).map(|week| (week * WEEK + 10, 100)).collect()
        };
        let at = |weeks: i64, hour: i64| {
            let now = minute(weeks * WEEK + hour) + HOUR - 1;
            Band::at(now, &usual(weeks), 0).expect("a band")
        };
        assert!(!at(5, 10).is_left_by(110));
        assert!(at(5, 10).is_left_by(131));
        assert!(at(5, 11).is_left_by(4), "at another hour nothing is usual");
        assert!(at(3, 10).is_left_by(100), "of all hours, a hundred is rare");
        // What goes on is not part of what is usual.
        let mut burst = usual(5);
        burst.insert(5 * WEEK + 10, 900);
        let now = minute(5 * WEEK + 10) + HOUR - 1;
        assert_eq!(Band::at(now, &burst, 0), Some(at(5, 10)));
    }
}
