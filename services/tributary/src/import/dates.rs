//! Reads the dates of files.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use tributary_core::time;

/// The mapping's date formats, in the order in which they are tried, and its time zone.
#[derive(Debug)]
pub(super) struct Dates {
    formats: Vec<Format>,
    zone: TimeZone,
}

#[derive(Debug)]
enum Format {
    /// ISO 8601, with or without time and zone.
    Iso,
    /// Seconds since 1970.
    Unix,
    /// Milliseconds since 1970.
    UnixMillis,
    /// As strptime takes it.
    Pattern(String),
}

impl Dates {
    pub(super) fn new(formats: &[String], time_zone: &str) -> Result<Self, String> {
        let zone = TimeZone::get(time_zone)
            .map_err(|_| format!("`time_zone`: `{time_zone}` is no IANA time zone, such as \"Europe/Paris\" or \"UTC\""))?;
        let formats = formats
            .iter()
            .map(|format| Format::new(format))
            .collect::<Result<Vec<_>, _>>()?;
        let formats = if formats.is_empty() {
            vec![Format::Iso]
        } else {
            formats
        };
        Ok(Dates { formats, zone })
    }

    /// The moment that a text names. A text without a zone is in the mapping's; where clocks are set back, the
    /// earlier of the two moments is meant.
    pub(super) fn parse(&self, text: &str) -> Result<Timestamp, String> {
        let moment = self
            .formats
            .iter()
            .find_map(|format| format.parse(text, &self.zone))
            .ok_or_else(|| format!("is no date written as {}", self.expected()))?;
        let millis = time::Timestamp(moment.as_millisecond());
        if millis.clamped() != millis {
            return Err("is before 1970 or after 2299, which cannot be kept".to_owned());
        }
        Ok(moment)
    }

    fn expected(&self) -> String {
        let names: Vec<&str> = self.formats.iter().map(Format::name).collect();
        names.join(" or ")
    }
}

impl Format {
    fn new(text: &str) -> Result<Self, String> {
        match text {
            "iso" => Ok(Format::Iso),
            "unix" => Ok(Format::Unix),
            "unix_ms" => Ok(Format::UnixMillis),
            pattern => {
                let format = Format::Pattern(pattern.to_owned());
                // A format that cannot read back what it wrote has an unknown directive, or no whole date.
                let sample = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
                let written = BrokenDownTime::from(&sample).to_string(pattern);
                match written
                    .ok()
                    .and_then(|written| format.parse(&written, &TimeZone::UTC))
                {
                    Some(_) => Ok(format),
                    None => Err(format!(
                        "`dates`: `{pattern}` is neither \"iso\", \"unix\", \"unix_ms\" nor a format of a whole date such as \"%Y-%m-%d %H:%M\""
                    )),
                }
            }
        }
    }

    fn name(&self) -> &str {
        match self {
            Format::Iso => "iso (1997-01-31, 1997-01-31T12:30:00, also with zone)",
            Format::Unix => "unix (seconds since 1970)",
            Format::UnixMillis => "unix_ms (milliseconds since 1970)",
            Format::Pattern(pattern) => pattern,
        }
    }

    fn parse(&self, text: &str, zone: &TimeZone) -> Option<Timestamp> {
        let local = |moment: DateTime| zone.to_timestamp(moment).ok();
        match self {
            Format::Iso => text.parse().ok().or_else(|| local(text.parse().ok()?)),
            Format::Unix => {
                let seconds: tributary_core::money::Amount = text.parse().ok()?;
                let millis = i64::try_from(seconds.millionths() / 1_000).ok()?;
                Timestamp::from_millisecond(millis).ok()
            }
            Format::UnixMillis => Timestamp::from_millisecond(text.parse().ok()?).ok(),
            Format::Pattern(pattern) => {
                let parsed = BrokenDownTime::parse(pattern, text).ok()?;
                parsed
                    .to_timestamp()
                    .ok()
                    .or_else(|| local(parsed.to_datetime().ok()?))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(formats: &[&str], zone: &str, text: &str, expected: Result<&str, &str>) {
        let formats: Vec<String> = formats.iter().map(|format| (*format).to_owned()).collect();
        let moment = Dates::new(&formats, zone).unwrap().parse(text);
        match expected {
            Ok(expected) => assert_eq!(moment.unwrap().to_string(), expected, "{text}"),
            Err(part) => assert!(
                moment.as_ref().is_err_and(|error| error.contains(part)),
                "{text}: {moment:?}"
            ),
        }
    }

    #[test]
    fn dates_are_read_in_every_format_that_the_mapping_lists() {
        check(&["%Y%m%d"], "UTC", "19970101", Ok("1997-01-01T00:00:00Z"));
        check(
            &["%d/%m/%Y", "%d.%m.%y %H:%M"],
            "UTC",
            "31.12.98 23:59",
            Ok("1998-12-31T23:59:00Z"),
        );
        check(&[], "UTC", "2024-02-29", Ok("2024-02-29T00:00:00Z"));
        check(
            &[],
            "UTC",
            "2024-02-29 10:00:00",
            Ok("2024-02-29T10:00:00Z"),
        );
        check(
            &["unix"],
            "UTC",
            "1700000000.5",
            Ok("2023-11-14T22:13:20.5Z"),
        );
        check(
            &["unix_ms"],
            "UTC",
            "1700000000500",
            Ok("2023-11-14T22:13:20.5Z"),
        );
    }

    #[test]
    fn a_time_without_zone_is_in_the_mappings_and_one_with_a_zone_keeps_it() {
        check(
            &[],
            "Europe/Paris",
            "2024-07-01T12:00:00",
            Ok("2024-07-01T10:00:00Z"),
        );
        check(
            &[],
            "Europe/Paris",
            "2024-07-01T12:00:00+00:00",
            Ok("2024-07-01T12:00:00Z"),
        );
        check(
            &["%Y-%m-%d %H:%M %z"],
            "Europe/Paris",
            "2024-07-01 12:00 -0500",
            Ok("2024-07-01T17:00:00Z"),
        );
        // Clocks are set back at 03:00: 02:30 happens twice, and the first is meant.
        check(
            &[],
            "Europe/Paris",
            "2024-10-27T02:30:00",
            Ok("2024-10-27T00:30:00Z"),
        );
    }

    #[test]
    fn what_is_no_date_says_which_formats_were_tried() {
        check(&["%Y%m%d"], "UTC", "19970230", Err("%Y%m%d"));
        check(&["%Y%m%d"], "UTC", "199701011", Err("%Y%m%d"));
        check(&[], "UTC", "yesterday", Err("iso"));
        check(&[], "UTC", "1969-12-31", Err("before 1970"));
    }

    #[test]
    fn unknown_formats_and_zones_are_named() {
        for format in ["%E", "%d/%m", "%H:%M", "date", ""] {
            let error = Dates::new(&[format.to_owned()], "UTC").unwrap_err();
            assert!(error.contains(&format!("`{format}`")), "{error}");
        }
        let error = Dates::new(&[], "Mars/Base").unwrap_err();
        assert!(error.contains("Mars/Base"), "{error}");
    }
}
