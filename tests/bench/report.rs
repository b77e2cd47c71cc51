//! Figures as a table and as JSON, each with what it is compared to.

use serde_json::{Value, json};
use std::fmt::Write as _;

/// One figure.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    what: String,
    unit: &'static str,
    measured: f64,
    /// The bare parts doing the same.
    bare: Option<f64>,
    limit: Option<f64>,
    /// How the limit is made, and what else must be known to read the figure.
    note: String,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, unit: &'static str, measured: f64) -> Self {
        Row {
            what: what.into(),
            unit,
            measured,
            bare: None,
            limit: None,
            note: String::new(),
        }
    }

    pub(crate) fn bare(mut self, bare: f64) -> Self {
        self.bare = Some(bare);
        self
    }

    pub(crate) fn limit(mut self, limit: f64, how: &str) -> Self {
        self.limit = Some(limit);
        self.noted(how)
    }

    pub(crate) fn noted(mut self, note: impl AsRef<str>) -> Self {
        if !self.note.is_empty() {
            self.note.push_str("; ");
        }
        self.note.push_str(note.as_ref());
        self
    }

    fn ratio(&self) -> Option<f64> {
        self.bare.map(|bare| self.measured / bare)
    }

    fn verdict(&self) -> &'static str {
        match self.limit {
            None => "",
            Some(limit) if self.measured <= limit => "ok",
            Some(_) => "over the limit",
        }
    }

    fn json(&self) -> Value {
        json!({
            "what": self.what,
            "unit": self.unit,
            "measured": self.measured,
            "bare": self.bare,
            "ratio": self.ratio(),
            "limit": self.limit,
            "verdict": self.verdict(),
            "note": self.note,
        })
    }
}

/// All figures, and what could not be measured.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    failures: Vec<String>,
}

impl Report {
    pub(crate) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub(crate) fn failed(&mut self, failure: String) {
        self.failures.push(failure);
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.failures.is_empty()
    }

    pub(crate) fn table(&self) -> String {
        const HEAD: [&str; 7] = ["what", "measured", "bare", "ratio", "limit", "", "note"];
        let cells = self.rows.iter().map(|row| {
            let optional = |number: Option<f64>| number.map_or(String::new(), shown);
            [
                row.what.clone(),
                format!("{} {}", shown(row.measured), row.unit),
                optional(row.bare),
                row.ratio()
                    .map_or(String::new(), |ratio| format!("{ratio:.2}x")),
                optional(row.limit),
                row.verdict().to_owned(),
                row.note.clone(),
            ]
        });
        let lines: Vec<[String; 7]> = std::iter::once(HEAD.map(str::to_owned))
            .chain(cells)
            .collect();
        let width = |column: usize| {
            lines
                .iter()
                .map(|line| line[column].chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
        let mut text = String::new();
        for line in &lines {
            for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
                let _ = match column {
                    1..=4 => write!(text, "{cell:>width$}  "),
                    _ => write!(text, "{cell:<width$}  "),
                };
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        for failure in &self.failures {
            let _ = writeln!(text, "not measured: {failure}");
        }
        text
    }

    pub(crate) fn json(&self) -> Value {
        json!({ "rows": self.rows.iter().map(Row::json).collect::<Vec<_>>(), "not_measured": self.failures })
    }
}

/// Three digits that say something, and whole numbers where they are large.
fn shown(number: f64) -> String {
    match number.abs() {
        0.0..10.0 => format!("{number:.2}"),
        10.0..100.0 => format!("{number:.1}"),
        _ => {
            let digits = format!("{:.0}", number.abs());
            let mut text = String::new();
            for (index, digit) in digits.chars().enumerate() {
                if index > 0 && (digits.len() - index) % 3 == 0 {
                    text.push(' ');
                }
                text.push(digit);
            }
            text
        }
    }
}
