//! The list of entries.

use crate::clickhouse::ClickHouse;
use crate::exit::Failure;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A row of `identity_operations`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) number: i64,
    pub(crate) kind: String,
    pub(crate) first_type: String,
    pub(crate) first_value: String,
    pub(crate) second_type: String,
    pub(crate) second_value: String,
    #[serde(default)]
    pub(crate) undoes: Option<i64>,
    #[serde(default)]
    pub(crate) undone_by: Vec<i64>,
    pub(crate) entered_at: String,
    pub(crate) entered_by: String,
    pub(crate) reason: String,
    /// Whether it counts: no entry that counts undoes it.
    #[serde(default)]
    pub(crate) counts: bool,
}

/// As the log has it: an undo names an entry by its id.
#[derive(Debug, Deserialize)]
struct Logged {
    operation_id: String,
    target_id: Option<String>,
    #[serde(flatten)]
    entry: Entry,
}

// The view joins the table with itself, which costs more than all rows that there are.
const ENTRIES: &str = "SELECT operation_id, kafka_offset AS number, kind, first_type, first_value, second_type, second_value, \
    undoes AS target_id, entered_at, entered_by, reason FROM operation_entries WHERE workspace = {workspace:String} \
    ORDER BY kafka_offset DESC LIMIT 1 BY operation_id";

/// Prints all entries of the workspace, the oldest first.
pub(super) fn print(clickhouse: &ClickHouse, workspace: &str, json: bool) -> Result<(), Failure> {
    let entries = entries(clickhouse, workspace).map_err(Failure::failed)?;
    if json {
        let text = serde_json::to_string_pretty(&entries).map_err(Failure::failed)?;
        println!("{text}");
    } else if entries.is_empty() {
        println!(
            "nothing was entered in workspace {workspace} (what was entered a moment ago takes a second)"
        );
    } else {
        print!("{}", text(&entries));
    }
    Ok(())
}

/// All entries of the workspace, the oldest first.
pub(crate) fn entries(clickhouse: &ClickHouse, workspace: &str) -> Result<Vec<Entry>, String> {
    let mut logged: Vec<Logged> = clickhouse.rows(ENTRIES, &[("workspace", workspace)])?;
    logged.sort_by_key(|logged| logged.entry.number);
    let mut entries = numbered(logged);
    judge(&mut entries);
    Ok(entries)
}

/// With numbers instead of ids, as in `identity_operations`.
fn numbered(logged: Vec<Logged>) -> Vec<Entry> {
    let places: BTreeMap<String, usize> = (0..)
        .zip(&logged)
        .map(|(place, logged)| (logged.operation_id.clone(), place))
        .collect();
    let targets: Vec<Option<usize>> = logged
        .iter()
        .map(|logged| places.get(logged.target_id.as_ref()?).copied())
        .collect();
    let mut entries: Vec<Entry> = logged.into_iter().map(|logged| logged.entry).collect();
    for (place, target) in targets.into_iter().enumerate() {
        if let Some(target) = target {
            entries[place].undoes = Some(entries[target].number);
            let number = entries[place].number;
            entries[target].undone_by.push(number);
        }
    }
    entries
}

/// An undo comes after what it undoes, so whoever comes last is judged first.
fn judge(entries: &mut [Entry]) {
    let mut counting: BTreeMap<i64, bool> = BTreeMap::new();
    for entry in entries.iter_mut().rev() {
        entry.counts = !entry
            .undone_by
            .iter()
            .any(|undo| counting.get(undo).copied().unwrap_or(false));
        counting.insert(entry.number, entry.counts);
    }
}

fn text(entries: &[Entry]) -> String {
    entries.iter().map(|entry| line(entry) + "\n").collect()
}

/// An entry, for people.
pub(crate) fn line(entry: &Entry) -> String {
    let one = |r#type: &str, value: &str| match r#type {
        "" => format!("{value} of every type"),
        r#type => format!("{type}:{value}"),
    };
    let first = one(&entry.first_type, &entry.first_value);
    let what = match entry.undoes {
        Some(number) => number.to_string(),
        None if entry.second_value.is_empty() => first,
        None => format!("{first} - {}", one(&entry.second_type, &entry.second_value)),
    };
    let mut line = format!(
        "{}  {}  {} {what}",
        entry.number,
        entry.entered_at.get(..19).unwrap_or(&entry.entered_at),
        entry.kind,
    );
    // Writing to a string does not fail, here and below.
    if !entry.entered_by.is_empty() {
        let _ = write!(line, ", by {}", entry.entered_by);
    }
    if !entry.reason.is_empty() {
        let _ = write!(line, ": {}", entry.reason);
    }
    if !entry.counts {
        line.push_str(" (undone)");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: i64, undoes: Option<i64>, undone_by: &[i64]) -> Entry {
        Entry {
            number,
            kind: if undoes.is_some() { "undo" } else { "cut" }.to_owned(),
            first_type: "user_id".to_owned(),
            first_value: "ada".to_owned(),
            second_type: "email".to_owned(),
            second_value: "a@b.c".to_owned(),
            undoes,
            undone_by: undone_by.to_vec(),
            entered_at: "2026-01-01 00:00:00.000".to_owned(),
            entered_by: "ops".to_owned(),
            reason: "a shared till".to_owned(),
            counts: false,
        }
    }

    #[test]
    fn an_entry_counts_unless_an_undo_that_counts_is_of_it() {
        let mut entries = [
            entry(5, None, &[7]),
            entry(6, None, &[9]),
            entry(7, Some(5), &[8]),
            entry(8, Some(7), &[]),
            entry(9, Some(6), &[]),
        ];
        judge(&mut entries);
        let counts: Vec<bool> = entries.iter().map(|entry| entry.counts).collect();
        assert_eq!(counts, [true, false, false, true, true]);
        assert_eq!(
            text(&entries[1..3]),
            "6  2026-01-01 00:00:00  cut user_id:ada - email:a@b.c, by ops: a shared till (undone)\n\
             7  2026-01-01 00:00:00  undo 5, by ops: a shared till (undone)\n"
        );
    }

    #[test]
    fn an_undo_gets_the_number_of_the_entry_that_it_names() {
        let logged = |number, id: &str, target: Option<&str>| Logged {
            operation_id: id.to_owned(),
            target_id: target.map(str::to_owned),
            entry: entry(number, None, &[]),
        };
        let entries = numbered(vec![
            logged(5, "a", None),
            logged(7, "b", Some("a")),
            logged(8, "c", Some("a")),
            logged(9, "d", Some("nobody's")),
        ]);
        let said: Vec<_> = (entries.into_iter())
            .map(|entry| (entry.number, entry.undoes, entry.undone_by))
            .collect();
        assert_eq!(
            said,
            [
                (5, None, vec![7, 8]),
                (7, Some(5), vec![]),
                (8, Some(5), vec![]),
                (9, None, vec![])
            ]
        );
    }
}
