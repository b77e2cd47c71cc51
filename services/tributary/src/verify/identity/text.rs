//! The report, for people.

use super::measure::Quality;
use super::{Report, Row};
use std::fmt::Write as _;

/// What `tributary verify identity` prints.
pub(super) fn text(report: &Report) -> String {
    let mut text = format!(
        "{} people, {} events, {} identifiers\n\n",
        report.people, report.events, report.identifiers
    );
    table(&mut text, "by event", &report.by_event);
    table(
        &mut text,
        "by identifier of one person",
        &report.by_identifier,
    );
    // Writing to a string does not fail, here and below.
    let _ = writeln!(
        text,
        "precision by person identifier {:.6}, of {} that one person alone has; {} are shared",
        report.by_person_identifier.pairwise.precision,
        report.by_person_identifier.items,
        report.shared_person_identifiers
    );
    text
}

fn table(text: &mut String, title: &str, rows: &[Row]) {
    let _ = writeln!(
        text,
        "{title:<28} {:>25}   {:>25}   {:>25}",
        "pairwise P, R, F1", "B-cubed P, R, F1", "VI = over-merge + split"
    );
    for Row { name, quality } in rows {
        let Quality {
            pairwise,
            b_cubed,
            over_merge,
            split,
            largest,
            items,
        } = quality;
        let share = 100.0 * *largest as f64 / (*items).max(1) as f64;
        let _ = writeln!(
            text,
            "  {name:<26} {:>8.4} {:>7.4} {:>8.4}   {:>8.4} {:>7.4} {:>8.4}   {:>8.4} {over_merge:>7.4} {split:>8.4}   largest {largest} ({share:.2} %)",
            pairwise.precision,
            pairwise.recall,
            pairwise.f1,
            b_cubed.precision,
            b_cubed.recall,
            b_cubed.f1,
            over_merge + split,
        );
    }
    text.push('\n');
}
