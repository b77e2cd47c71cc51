//! `tributary import`: rows of a CSV or NDJSON file become events of a source.
//!
//! ```text
//! mapping ─┐
//! rows ────┴─> event ─> batch ─> sending (several at a time) ─> ingest
//!                │                  │
//!                └─> rejects <──────┴─> in the order of the file ─> checkpoint
//! ```
//!
//! A row's message id is the file's digest and its line: two equal lines are two events, and the same file twice is
//! one. So a resumed or repeated import never doubles anything, and the checkpoint only saves time.

mod checkpoint;
pub(crate) mod client;
mod dates;
mod display;
mod dry_run;
mod event;
mod field;
mod ledger;
mod mapping;
mod node;
mod rejects;
mod rows;
mod sending;
mod target;
#[cfg(test)]
mod tests;
mod transfer;

use crate::compose::keys;
use crate::exit::Failure;
use checkpoint::Checkpoint;
use event::Builder;
use mapping::Mapping;
use rows::{Rows, Survey};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use target::Target;
use transfer::Import;
use tributary_platform::config::Config;

/// Ingest may be restarted meanwhile.
const PATIENCE: Duration = Duration::from_secs(300);
/// When none of the first rows can be used, the mapping is wrong, and not the rows.
const PROBE_ROWS: usize = 100;

/// What the command line says.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// The CSV or NDJSON file
    pub(crate) file: PathBuf,
    /// Which column is which part of an event, as TOML
    #[arg(long, value_name = "FILE")]
    pub(crate) mapping: PathBuf,
    /// Read everything, show the first events, send nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The source that the rows come from [default: the mapping's, else history]
    #[arg(long, value_name = "NAME", conflicts_with = "write_key")]
    pub(crate) source: Option<String>,
    /// The write key of the source, where its name is not known here
    #[arg(long, value_name = "KEY")]
    pub(crate) write_key: Option<String>,
    /// Ingest's address [default: that of the system that runs on the data folder]
    #[arg(long, value_name = "URL")]
    pub(crate) ingest: Option<String>,
    /// Where rejected rows go, with line number and reason [default: a file in DIR/import]
    #[arg(long, value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,
    /// Send everything again though it is done already; what is known is not counted twice
    #[arg(long)]
    pub(crate) again: bool,
}

/// Examples for the help.
pub(crate) const EXAMPLES: &str = "\
Examples:
  tributary import sales.csv --mapping sales.toml --dry-run
  tributary import sales.csv --mapping sales.toml
  tributary import sales.ndjson --mapping sales.toml --ingest http://ingest:8080 --write-key KEY

A mapping:
  format = \"csv\"            # or \"ndjson\", a JSON object a line
  separator = \";\"           # one character, \"tab\", or \"blanks\" (runs of blanks); \",\" if left out
  header = true             # if false, columns have numbers, from 1
  dates = [\"%d.%m.%Y %H:%M\"] # also \"iso\" (if left out), \"unix\", \"unix_ms\"
  time_zone = \"Europe/Paris\"
  [fields]
  user_id = \"customer\"
  timestamp = \"sold at\"
  total = \"amount\"
  \"properties.cashier\" = { column = 7, required = true }
  [constants]
  event = \"Order Completed\"
  currency = \"EUR\"

Exit codes: 0 every row was taken, 1 some were rejected or not all could be sent (the same command goes on
from there), 2 the mapping is wrong.";

/// Why an import does not happen, or stops.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The mapping does not fit, or something asked for does not exist.
    #[error("{0}")]
    Usage(String),
    /// Something else is in the way; the same command again goes on from there.
    #[error("{0}")]
    Failed(String),
}

/// What came of it, over all runs of this import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Rows that ingest has acknowledged; of a dry run, that would be sent.
    pub(crate) accepted: u64,
    /// Rows that were not taken.
    pub(crate) rejected: u64,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Usage(_) => Failure::usage(error),
            Error::Failed(_) => Failure::failed(error),
        }
    }
}

/// Imports a file; a rejected row is a failure.
pub(crate) fn run(options: &Options, config: &Config) -> Result<(), Failure> {
    let mut config = config.clone();
    keys::recall(&mut config)?;
    let summary = run_with(options, &config, PATIENCE)?;
    match summary.rejected {
        0 => Ok(()),
        1 => Err(Failure::failed("1 row was rejected")),
        rejected => Err(Failure::failed(format!("{rejected} rows were rejected"))),
    }
}

fn run_with(options: &Options, config: &Config, patience: Duration) -> Result<Summary, Error> {
    let mapping = Mapping::read(&options.mapping, |source| {
        target::time_zone(options, source, config)
    })?;
    let survey = Survey::of(&options.file).map_err(|error| unreadable(&options.file, &error))?;
    let mut rows = Rows::open(&options.file, mapping.shape)
        .map_err(|error| unreadable(&options.file, &error))?;
    let Some(builder) = probe(&mapping, &survey, &mut rows, &options.file)? else {
        println!("{} has no rows", options.file.display());
        return Ok(Summary {
            accepted: 0,
            rejected: 0,
        });
    };
    let import = Import {
        options,
        survey: &survey,
        builder: &builder,
    };
    if options.dry_run {
        return import.dry_run(&mut rows);
    }
    let target = Target::find(options, mapping.source.as_deref(), config)?;
    let folder = config.data.join("import");
    std::fs::create_dir_all(&folder).map_err(|error| {
        Error::Failed(format!(
            "cannot make the folder {}: {error}",
            folder.display()
        ))
    })?;
    let checkpoint = Checkpoint::new(&folder, &survey.digest, &mapping.text, &target.write_key);
    import.send(&mut rows, &target, &checkpoint, &folder, patience)
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::Failed(format!("cannot read {}: {error}", path.display()))
}

/// Finds the columns and tries the first rows; then goes back to the first. None when there is no row.
fn probe<'a>(
    mapping: &'a Mapping,
    survey: &'a Survey,
    rows: &mut Rows,
    path: &Path,
) -> Result<Option<Builder<'a>>, Error> {
    let failed = |error: io::Error| unreadable(path, &error);
    let Some(first) = rows.next().map_err(failed)? else {
        return Ok(None);
    };
    let builder = Builder::new(mapping, &survey.digest, &first)?;
    let start = if mapping.header {
        first.end
    } else {
        rows::Position::default()
    };
    rows.seek(start).map_err(failed)?;
    let (mut tried, mut reject) = (0, None);
    while tried < PROBE_ROWS
        && let Some(row) = rows.next().map_err(failed)?
    {
        tried += 1;
        match builder.build(&row) {
            Ok(_) => break,
            Err(first) => _ = reject.get_or_insert(first),
        }
        if tried == PROBE_ROWS
            && let Some(reject) = &reject
        {
            return Err(Error::Usage(format!(
                "none of the first {PROBE_ROWS} rows can be used, so the mapping is probably wrong. Line {}: {}",
                reject.line,
                reject.what()
            )));
        }
    }
    if tried == 0 {
        return Ok(None);
    }
    rows.seek(start).map_err(failed)?;
    Ok(Some(builder))
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    Error::Failed(format!("cannot write {}: {error}", path.display()))
}
