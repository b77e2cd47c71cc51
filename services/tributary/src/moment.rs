//! Times as people type them.

use crate::exit::Failure;

/// The moment that stands behind `--at`; what has no time zone is UTC.
pub(crate) fn at(text: &str) -> Result<jiff::Timestamp, Failure> {
    let utc = || {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    };
    text.parse().ok().or_else(utc).ok_or_else(|| {
        Failure::usage(format!(
            "--at: `{text}` is no time: write 2026-11-01, or 2026-11-01T10:00:00Z"
        ))
    })
}
