//! Event time, computed once and from one message alone.

use tributary_core::time::{MINUTE, Timestamp};

/// A client's clock that differs by no more than this is believed.
const TOLERANCE: i64 = 5 * MINUTE;

/// When an event happened, and what was added to the client's time for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventTime {
    pub(crate) occurred_at: Timestamp,
    /// Besides clamping.
    pub(crate) correction: i64,
}

/// The client's time, plus received - sent, rounded to the minute, where that exceeds five minutes either way; never
/// after `received`. Without a time of the client it is `received`; of the past (`historic`) nothing is corrected. None
/// where it is before 1970, which cannot be stored.
///
/// Rounded, so that a message that is sent again within the minute keeps its time.
pub(crate) fn event_time(
    client: Option<Timestamp>,
    sent: Option<Timestamp>,
    received: Timestamp,
    historic: bool,
) -> Option<EventTime> {
    let Some(client) = client else {
        return Some(EventTime {
            occurred_at: received.clamped(),
            correction: 0,
        });
    };
    let skew = sent.map_or(0, |sent| received.0 - sent.0);
    let correction = if historic || skew.abs() <= TOLERANCE {
        0
    } else {
        (skew + MINUTE / 2).div_euclid(MINUTE) * MINUTE
    };
    let occurred_at = Timestamp(client.0 + correction).min(received);
    (occurred_at == occurred_at.clamped()).then_some(EventTime {
        occurred_at,
        correction,
    })
}

/// Reads ISO 8601: with an offset or `Z`; without one it is UTC; a date alone is its midnight.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(Timestamp(time.as_millisecond()));
    }
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    let time = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Timestamp(time.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_the_forms_that_sdks_send() {
        for (text, millis) in [
            ("1970-01-01T00:00:01.002Z", Some(1_002)),
            ("1970-01-01T01:00:00+01:00", Some(0)),
            ("1970-01-01T00:00:01.002999Z", Some(1_002)),
            ("1970-01-01 00:00:01Z", Some(1_000)),
            ("1970-01-01T00:00:01", Some(1_000)),
            ("1970-01-02", Some(86_400_000)),
            (" 1970-01-01T00:00:01Z ", Some(1_000)),
            ("0001-01-01T00:00:00Z", Some(-62_135_596_800_000)),
            ("1969-12-31T23:59:59.999Z", Some(-1)),
            ("1970-13-01T00:00:00Z", None),
            ("1714000000", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(parse(text), millis.map(Timestamp), "{text}");
        }
    }

    #[test]
    fn a_clock_is_corrected_only_where_it_is_more_than_five_minutes_off() {
        const RECEIVED: i64 = 1_700_000_000_000;
        const YEAR: i64 = 365 * 24 * 60 * MINUTE;
        let check = |client: Option<i64>,
                     sent: Option<i64>,
                     historic: bool,
                     occurred: i64,
                     correction: i64| {
            let time = event_time(
                client.map(Timestamp),
                sent.map(Timestamp),
                Timestamp(RECEIVED),
                historic,
            );
            assert_eq!(
                time,
                Some(EventTime {
                    occurred_at: Timestamp(occurred),
                    correction
                }),
                "client {client:?} sent {sent:?} historic {historic}"
            );
        };
        check(None, None, false, RECEIVED, 0);
        check(None, Some(RECEIVED - YEAR), false, RECEIVED, 0);
        check(Some(RECEIVED - 7), None, false, RECEIVED - 7, 0);
        check(
            Some(RECEIVED - 7),
            Some(RECEIVED - 5 * MINUTE),
            false,
            RECEIVED - 7,
            0,
        );
        check(
            Some(RECEIVED - 6 * MINUTE),
            Some(RECEIVED - 5 * MINUTE - 1),
            false,
            RECEIVED - MINUTE,
            5 * MINUTE,
        );
        check(
            Some(RECEIVED - 8 * MINUTE),
            Some(RECEIVED - 7 * MINUTE + 40_000),
            false,
            RECEIVED - 2 * MINUTE,
            6 * MINUTE,
        );
        // A client a year ahead, and one a year behind, that sent at once.
        check(
            Some(RECEIVED + YEAR - 1_000),
            Some(RECEIVED + YEAR),
            false,
            RECEIVED - 1_000,
            -YEAR,
        );
        check(
            Some(RECEIVED - YEAR - 1_000),
            Some(RECEIVED - YEAR),
            false,
            RECEIVED - 1_000,
            YEAR,
        );
        // Offline for a day, then sent with a right clock.
        check(
            Some(RECEIVED - 1_440 * MINUTE),
            Some(RECEIVED - 10),
            false,
            RECEIVED - 1_440 * MINUTE,
            0,
        );
        // Never after it was received.
        check(Some(RECEIVED + 1), None, false, RECEIVED, 0);
        check(
            Some(RECEIVED + MINUTE),
            Some(RECEIVED + MINUTE),
            false,
            RECEIVED,
            0,
        );
        check(Some(RECEIVED + YEAR), None, true, RECEIVED, 0);
        // Of the past: as it is.
        check(Some(1), Some(RECEIVED - YEAR), true, 1, 0);
        check(Some(0), None, true, 0, 0);
        // A clock of 1969 that says so can be corrected; a time before 1970 that is meant cannot be stored.
        check(
            Some(-5),
            Some(-5),
            false,
            RECEIVED - 20_005,
            RECEIVED - 20_000,
        );
        for historic in [true, false] {
            let time = event_time(Some(Timestamp(-1)), None, Timestamp(RECEIVED), historic);
            assert_eq!(time, None, "historic: {historic}");
        }
    }
}
