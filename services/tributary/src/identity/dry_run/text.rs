//! The report, for people.

use super::{Kpi, Pair, Report};
use std::fmt::{Display, Write as _};

pub(super) fn text(report: &Report) -> String {
    let mut text = format!(
        "workspace {}: the rules in force (version {}) and those of the file, on the links up to {}\n",
        report.workspace, report.version, report.links_offset
    );
    // Writing to a string does not fail, here and below.
    if report.unreadable > 0 {
        let _ = writeln!(
            text,
            "  {} records of the log cannot be read by this version, and were left out",
            report.unreadable
        );
    }
    if report.same {
        text += "  the file states the rules in force: nothing changes\n";
    }
    let difference = &report.difference;
    for (name, value) in [
        ("identifiers", change(report.identifiers)),
        ("customers", change(report.customers)),
        ("  unchanged", difference.unchanged.to_string()),
        ("  merged from several", difference.merged.to_string()),
        ("  split into several", difference.split.to_string()),
        ("hubs", change(report.hubs)),
        ("refused links", change(report.refused_links)),
        (
            "identifiers blocked",
            difference.lost_identifiers.to_string(),
        ),
        (
            "identifiers no longer blocked",
            difference.won_identifiers.to_string(),
        ),
    ] {
        let _ = writeln!(text, "  {name:<32} {value}");
    }
    for kpi in &report.kpis {
        let name = format!("{}, {}", kpi.kpi, kpi.window);
        let _ = writeln!(text, "  {name:<32} {}", value(kpi));
    }
    for example in &difference.examples {
        let parts: Vec<String> = example.parts.iter().map(|part| part.join(" ")).collect();
        let _ = writeln!(text, "  {} of\n    {}", example.what, parts.join("\n    "));
    }
    text
}

fn change<T: Display + PartialEq>(pair: Pair<T>) -> String {
    if pair.before == pair.after {
        pair.before.to_string()
    } else {
        format!("{} -> {}", pair.before, pair.after)
    }
}

fn value(kpi: &Kpi) -> String {
    if kpi.kpi == "visitors" {
        return change(kpi.numerator);
    }
    let rate = |numerator: u64, denominator: u64| match denominator {
        0 => "none".to_owned(),
        _ => format!(
            "{:.4} ({numerator} of {denominator})",
            numerator as f64 / denominator as f64
        ),
    };
    change(Pair {
        before: rate(kpi.numerator.before, kpi.denominator.before),
        after: rate(kpi.numerator.after, kpi.denominator.after),
    })
}
