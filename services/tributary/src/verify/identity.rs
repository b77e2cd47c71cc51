//! `tributary verify identity`: customers against the truth of `tributary simulate`, beside what others would make of the
//! same events.

mod measure;
mod references;
mod text;
mod truth;

use crate::clickhouse::ClickHouse;
use crate::exit::Failure;
use crate::workspace;
use measure::{Quality, measure};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::PathBuf;
use tributary_platform::config::Config;
use truth::Truth;

/// What the command line says.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Options {
    /// What `tributary simulate --truth` has written
    #[arg(long, value_name = "FILE")]
    truth: PathBuf,
    /// The workspace that the events went to [default: the first of the configuration]
    #[arg(long, value_name = "NAME")]
    workspace: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// For the help.
pub(super) const EXAMPLES: &str = "\
Example:
  tributary simulate --people 2000 --days 90 --truth truth.ndjson
  tributary verify identity --truth truth.ndjson

Beside Tributary stand four references, made from the same file: every cookie a customer; everything seen together one
customer; the nearest login on each device; and the ceiling, all that logins could ever reveal, known without error.
Pairwise and B-cubed precision, recall and F1; the variation of information in nats, as what merging too much and
splitting too much have lost; the largest group.
Exit codes: 0 done, 1 the system does not answer or does not have all events, 2 wrong usage, 3 a customer holds person
identifiers of two people, none of which two people share.";

/// What is printed.
#[derive(Debug, Serialize)]
struct Report {
    people: usize,
    events: usize,
    identifiers: usize,
    /// By event, Tributary first.
    by_event: Vec<Row>,
    /// By identifier that one person alone has.
    by_identifier: Vec<Row>,
    /// By person identifier that one person alone has: Tributary's.
    by_person_identifier: Quality,
    /// Person identifiers that several people have.
    shared_person_identifiers: usize,
}

#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    quality: Quality,
}

/// Runs the check.
pub(super) fn run(options: &Options, config: &Config) -> Result<(), Failure> {
    let workspace = workspace::named(options.workspace.as_deref(), config)?;
    let types = workspace.identity.types().map_err(Failure::usage)?;
    let truth = Truth::read(&options.truth, types)?;
    let clickhouse = ClickHouse::find(config)?;
    let report = report(&truth, &clickhouse, &workspace.name)?;
    if options.json {
        let json = serde_json::to_string_pretty(&report).map_err(Failure::failed)?;
        println!("{json}");
    } else {
        print!("{}", text::text(&report));
    }
    // Of pairs of person identifiers in one customer, none may be of two people.
    if report.by_person_identifier.pairwise.precision < 1.0 {
        return Err(Failure::wrong(
            "a customer holds person identifiers of two people",
        ));
    }
    Ok(())
}

fn report(truth: &Truth, clickhouse: &ClickHouse, workspace: &str) -> Result<Report, Failure> {
    let people: Vec<u32> = truth.events.iter().map(|event| event.person).collect();
    let by_event = [
        ("Tributary", owners(truth, clickhouse, workspace)?),
        ("cookies", references::cookies(truth)),
        ("union", references::union(truth)),
        ("nearest login", references::nearest_login(truth)),
        ("ceiling", references::ceiling(truth)),
    ]
    .into_iter()
    .map(|(name, groups)| Row {
        name,
        quality: measure(&people, &groups),
    })
    .collect();

    let profiles = profiles(truth, clickhouse, workspace)?;
    let union = references::union_of_identifiers(truth);
    let owners = truth.owners();
    let own = |persons_only: bool, groups: &[u32]| {
        let (mut actual, mut found) = (Vec::new(), Vec::new());
        for (index, owner) in owners.iter().enumerate() {
            if let Some(owner) = owner
                && (!persons_only || truth.is_person(index as u32))
            {
                actual.push(*owner);
                found.push(groups[index]);
            }
        }
        measure(&actual, &found)
    };
    let shared = (0..)
        .zip(&owners)
        .filter(|(number, owner)| owner.is_none() && truth.is_person(*number))
        .count();
    Ok(Report {
        people: truth.people(),
        events: truth.events.len(),
        identifiers: truth.identifiers.len(),
        by_event,
        by_identifier: vec![
            Row {
                name: "Tributary",
                quality: own(false, &profiles),
            },
            Row {
                name: "union",
                quality: own(false, &union),
            },
        ],
        by_person_identifier: own(true, &profiles),
        shared_person_identifiers: shared,
    })
}

/// Numbers for texts; whoever has none is alone.
#[derive(Default)]
struct Groups {
    numbers: HashMap<String, u32>,
    next: u32,
}

impl Groups {
    fn of(&mut self, name: Option<String>) -> u32 {
        let number = match name {
            Some(name) => *self.numbers.entry(name).or_insert(self.next),
            None => self.next,
        };
        self.next = self.next.max(number + 1);
        number
    }
}

/// The customer of each event, as known now.
fn owners(truth: &Truth, clickhouse: &ClickHouse, workspace: &str) -> Result<Vec<u32>, Failure> {
    #[derive(Deserialize)]
    struct Owned {
        message_id: String,
        timeline: String,
        profile_id: Option<String>,
    }
    const OWNED: &str = "SELECT message_id, timeline, toString(t.profile_id) AS profile_id FROM touchpoints_current AS t \
        WHERE workspace = {workspace:String}";
    let rows: Vec<Owned> = clickhouse
        .rows(OWNED, &[("workspace", workspace)])
        .map_err(Failure::failed)?;
    let mut known: HashMap<(String, String), Option<String>> = rows
        .into_iter()
        .map(|row| ((row.message_id, row.timeline), row.profile_id))
        .collect();
    let (mut groups, mut missing) = (Groups::default(), 0);
    let owners = truth
        .events
        .iter()
        .map(|event| {
            let (r#type, value) = &truth.identifiers[event.timeline as usize];
            let key = (event.message.clone(), format!("{}:{value}", r#type.name()));
            match known.remove(&key) {
                Some(profile) => groups.of(profile),
                None => {
                    missing += 1;
                    0
                }
            }
        })
        .collect();
    if missing > 0 {
        return Err(Failure::failed(format!(
            "{missing} of {} events are not in workspace {workspace}: wait until /settled says so, or name the workspace that \
             they went to with --workspace",
            truth.events.len()
        )));
    }
    Ok(owners)
}

/// The customer that holds each identifier.
fn profiles(truth: &Truth, clickhouse: &ClickHouse, workspace: &str) -> Result<Vec<u32>, Failure> {
    #[derive(Deserialize)]
    struct Held {
        identifier_type: String,
        identifier_value: String,
        profile_id: String,
    }
    const HELD: &str = "SELECT identifier_type, identifier_value, toString(i.profile_id) AS profile_id \
        FROM identity_states AS i FINAL WHERE workspace = {workspace:String} AND part = 0";
    let rows: Vec<Held> = clickhouse
        .rows(HELD, &[("workspace", workspace)])
        .map_err(Failure::failed)?;
    let mut known: HashMap<(String, String), String> = rows
        .into_iter()
        .map(|row| ((row.identifier_type, row.identifier_value), row.profile_id))
        .collect();
    let mut groups = Groups::default();
    // A blocked identifier is nobody's.
    Ok(truth
        .identifiers
        .iter()
        .map(|(r#type, value)| groups.of(known.remove(&(r#type.name().to_owned(), value.clone()))))
        .collect())
}
