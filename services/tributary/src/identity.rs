//! `tributary identity`: what operators say of identifiers, as entries in the links log.
//!
//! ```text
//! arguments ─> identifiers (as ingest keeps them) ─> entry ─> links log ─┬─> processors: everything is decided again
//!                                                                       └─> sink: identity_operations ─> `log`
//! ```

mod argument;
mod dry_run;
pub(crate) mod log;
pub(crate) mod rules;

use crate::clickhouse::ClickHouse;
use crate::exit::Failure;
use crate::workspace;
use argument::{Argument, Found};
use std::time::Duration;
use tributary_contracts::framing::{self, Message as _};
use tributary_contracts::wire::{Operation, OperationKind};
use tributary_core::identifier::Identifier;
use tributary_core::time::Timestamp;
use tributary_platform::config::{Config, Workspace};
use tributary_platform::endpoints::Endpoints;
use tributary_platform::kafka::{connect, single};
use uuid::Uuid;

/// The log of links and operations, which has one partition.
const TOPIC: (&str, i32) = ("links", 0);

const ANSWER: Duration = Duration::from_secs(10);

/// Bytes of a name, and of a reason.
const MOST_TEXT: usize = 2_000;

/// What the command line says.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Action,
    /// The workspace [default: the first of the configuration]
    #[arg(long, global = true, value_name = "NAME")]
    workspace: Option<String>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Action {
    /// Use the link between two identifiers no more; another way from one to the other stays
    Cut(Pair),
    /// Keep two identifiers in two customers, whatever links there are
    Separate(Pair),
    /// Make two identifiers one customer, seen together or not, as far as the limits allow
    Pin(Pair),
    /// Take a value from every event's identifiers, as if it had never been sent
    Block {
        /// type:value for one identifier; a value alone for every type
        value: String,
        #[command(flatten)]
        note: Note,
    },
    /// Take an entry back, by its number in the log; an undo can be undone
    Undo {
        /// The entry's number
        number: i64,
        #[command(flatten)]
        note: Note,
    },
    /// List the entries: number, time, who, what and why
    Log,
    /// List the versions of the rules, and which is in force
    Rules,
    /// Tell what other rules would make of the links that there are; nothing is changed
    Simulate(dry_run::Options),
}

#[derive(Clone, Debug, clap::Args)]
struct Pair {
    /// type:value such as user_id:ada, or a value that one identifier has
    a: String,
    /// The other identifier
    b: String,
    #[command(flatten)]
    note: Note,
}

/// What the log keeps of who and why.
#[derive(Clone, Debug, clap::Args)]
struct Note {
    /// Why, for the log
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Who, for the log [default: the user who runs this]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// Examples for the help.
pub(crate) const EXAMPLES: &str = "\
Examples:
  tributary identity cut user_id:ada anonymous_id:browser-1 --why 'a shared computer'
  tributary identity separate user_id:ada email:family@shop.example
  tributary identity pin user_id:ada loyalty_card:4711
  tributary identity block kiosk@shop.example
  tributary identity log
  tributary identity undo 1519
  tributary identity rules
  tributary identity simulate --rules new.toml

An entry counts for all events, also those of the past: profiles, sessions and KPIs follow within seconds.
Block beats separate, separate beats pin, pin beats cut.
Exit codes: 0 entered, 1 Kafka or ClickHouse does not answer or there is no such entry, 2 wrong usage.";

/// Enters what was asked for, or lists what was entered.
pub(crate) fn run(options: &Options, config: &Config) -> Result<(), Failure> {
    let mut config = config.clone();
    if config.clickhouse.url.is_empty() || config.kafka.brokers.is_empty() {
        Endpoints::read(&config.data)
            .map_err(Failure::failed)?
            .complete(&mut config);
    }
    let workspace = workspace::named(options.workspace.as_deref(), &config)?;
    let clickhouse = ClickHouse::new(&config.clickhouse);
    let (note, entry) = match &options.action {
        Action::Log => return log::print(&clickhouse, &workspace.name, options.json),
        Action::Simulate(other) => {
            return dry_run::run(other, workspace, &config, &clickhouse, options.json);
        }
        Action::Rules => return rules::print(&clickhouse, &workspace.name, options.json),
        Action::Cut(pair) => (
            &pair.note,
            pair_entry(OperationKind::Cut, pair, workspace, &clickhouse)?,
        ),
        Action::Separate(pair) => (
            &pair.note,
            pair_entry(OperationKind::Separate, pair, workspace, &clickhouse)?,
        ),
        Action::Pin(pair) => (
            &pair.note,
            pair_entry(OperationKind::Pin, pair, workspace, &clickhouse)?,
        ),
        Action::Block { value, note } => (note, block_entry(value, workspace)?),
        Action::Undo { number, note } => (note, undo_entry(*number, workspace, &config)?),
    };
    let entered = enter(&entry, note, workspace, &config)?;
    for warning in entry.warnings(&clickhouse, &workspace.name) {
        eprintln!("tributary: {warning}");
    }
    if options.json {
        println!(
            "{}",
            serde_json::json!({"number": entered.0, "operation_id": entered.1, "workspace": workspace.name})
        );
    } else {
        println!("{}  {}", entered.0, entry.text());
        println!(
            "take it back with: tributary identity undo {} --workspace {}",
            entered.0, workspace.name
        );
    }
    Ok(())
}

/// What is to be entered.
#[derive(Debug)]
struct Entry {
    kind: OperationKind,
    first: Found,
    second: Found,
    undoes: Option<(i64, Uuid)>,
}

impl Entry {
    fn text(&self) -> String {
        let (kind, first) = (self.kind.name(), self.first.text());
        match (self.kind, self.undoes) {
            (_, Some((number, _))) => format!("{kind} {number}"),
            (OperationKind::Block, _) => format!("{kind} {first}"),
            _ => format!("{kind} {first} - {}", self.second.text()),
        }
    }

    /// Identifiers that nobody has seen: a slip of the pen, or early.
    fn warnings(&self, clickhouse: &ClickHouse, workspace: &str) -> Vec<String> {
        // After an entry in Kafka, ClickHouse only helps to find slips.
        [&self.first, &self.second]
            .into_iter()
            .filter(|found| argument::is_unseen(found, clickhouse, workspace).unwrap_or(false))
            .map(|found| {
                format!(
                    "{} was not seen yet: the entry counts once it is",
                    found.text()
                )
            })
            .collect()
    }
}

fn pair_entry(
    kind: OperationKind,
    pair: &Pair,
    workspace: &Workspace,
    clickhouse: &ClickHouse,
) -> Result<Entry, Failure> {
    let find = |text: &str| Argument::parse(text, workspace)?.find(clickhouse, workspace);
    let (first, second) = (find(&pair.a)?, find(&pair.b)?);
    let types = (first.r#type(), second.r#type());
    if first == second {
        return Err(Failure::usage(format!(
            "both are {}: name two identifiers",
            first.text()
        )));
    }
    if kind == OperationKind::Cut
        && types.0 == types.1
        && let Some(known) = types.0
        && workspace
            .identity
            .types()
            .is_ok_and(|types| types.is_person(known))
    {
        return Err(Failure::usage(format!(
            "two of type {} are never a link, so there is nothing to cut: `tributary identity separate` keeps them apart",
            known.name()
        )));
    }
    Ok(Entry {
        kind,
        first,
        second,
        undoes: None,
    })
}

fn block_entry(value: &str, workspace: &Workspace) -> Result<Entry, Failure> {
    let first = match Argument::parse(value, workspace)? {
        Argument::Identifier(identifier) => Found::Identifier(identifier),
        Argument::Value(value) => Found::Value(value),
    };
    Ok(Entry {
        kind: OperationKind::Block,
        first,
        second: Found::Nothing,
        undoes: None,
    })
}

/// The number is an offset of the log: the record there must be an entry of this workspace.
fn undo_entry(number: i64, workspace: &Workspace, config: &Config) -> Result<Entry, Failure> {
    let missing = || {
        Failure::failed(format!(
            "there is no entry {number} in workspace {}: `tributary identity log` lists those that there are",
            workspace.name
        ))
    };
    if number < 0 {
        return Err(missing());
    }
    let topic = connect::topic(&config.kafka, TOPIC.0);
    let record = single::read(&config.kafka, &topic, TOPIC.1, number, ANSWER)
        .map_err(Failure::failed)?
        .filter(|record| record.offset == number);
    let value = record.and_then(|record| record.value).ok_or_else(missing)?;
    let is_entry = framing::split(&value).is_ok_and(|(schema, _)| schema.name == Operation::SCHEMA);
    if !is_entry {
        return Err(missing());
    }
    let undone: Operation<'_> = framing::decode(&value).map_err(|error| {
        Failure::failed(format!(
            "entry {number} {error}: upgrade this program, or find who wrote it"
        ))
    })?;
    if undone.workspace != workspace.name {
        return Err(missing());
    }
    Ok(Entry {
        kind: OperationKind::Undo,
        first: Found::Nothing,
        second: Found::Nothing,
        undoes: Some((number, undone.operation_id)),
    })
}

/// Writes the entry; returns its number and id.
fn enter(
    entry: &Entry,
    note: &Note,
    workspace: &Workspace,
    config: &Config,
) -> Result<(i64, Uuid), Failure> {
    let who = || {
        ["USER", "LOGNAME"]
            .iter()
            .find_map(|name| std::env::var(name).ok())
            .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
    };
    let by = note.by.clone().unwrap_or_else(who);
    let why = note.why.clone().unwrap_or_default();
    for (flag, text) in [("--by", &by), ("--why", &why)] {
        if text.len() > MOST_TEXT {
            return Err(Failure::usage(format!(
                "{flag}: has more than {MOST_TEXT} bytes: say it shorter"
            )));
        }
    }
    let (first, second) = (entry.first.parts(), entry.second.parts());
    let operation = Operation {
        workspace: &workspace.name,
        operation_id: Uuid::new_v4(),
        kind: entry.kind,
        first_type: first.0,
        first_value: first.1,
        second_type: second.0,
        second_value: second.1,
        undoes: entry.undoes.map(|(_, id)| id),
        entered_at: Timestamp(jiff::Timestamp::now().as_millisecond()),
        entered_by: &by,
        reason: &why,
    };
    let value = framing::encode(&operation).map_err(Failure::failed)?;
    let topic = connect::topic(&config.kafka, TOPIC.0);
    let number = single::append(
        &config.kafka,
        &topic,
        TOPIC.1,
        &operation.key(),
        &value,
        ANSWER,
    )
    .map_err(Failure::failed)?;
    Ok((number, operation.operation_id))
}

/// An identifier as people write it.
fn shown(identifier: &Identifier) -> String {
    format!("{}:{}", identifier.r#type.name(), identifier.value)
}
