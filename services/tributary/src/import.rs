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
mod client;
mod dates;
mod display;
mod event;
mod field;
mod mapping;
mod node;
mod rejects;
mod rows;
mod sending;
mod target;
#[cfg(test)]
mod tests;

use crate::compose::keys;
use crate::exit::Failure;
use checkpoint::{Checkpoint, Progress};
use client::Client;
use display::Display;
use event::Builder;
use mapping::Mapping;
use rejects::{Reject, Rejects};
use rows::{Row, Rows, Survey};
use sending::{Batch, Done, Report, Senders, Sent};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};
use target::Target;
use tributary_platform::config::Config;

/// Events of one request; ingest takes 2,500, but smaller ones keep several requests busy.
const BATCH_EVENTS: usize = 500;
/// Bytes of one request, below ingest's limit of 500 KB.
const BATCH_BYTES: usize = 480_000;
/// Batches between the first that is not done and the last that is queued: what is held in memory.
const WINDOW: u64 = 64;
/// A crash makes so much be sent again, and ignored as known.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);
/// Ingest may be restarted meanwhile.
const PATIENCE: Duration = Duration::from_secs(300);
/// When none of the first rows can be used, the mapping is wrong, and not the rows.
const PROBE_ROWS: usize = 100;
/// What a dry run shows.
const SHOWN_EVENTS: u64 = 3;
const SHOWN_REJECTS: u64 = 10;

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
            let field = if reject.field.is_empty() {
                String::new()
            } else {
                format!("`{}` ", reject.field)
            };
            return Err(Error::Usage(format!(
                "none of the first {PROBE_ROWS} rows can be used, so the mapping is probably wrong. Line {}: {field}{}",
                reject.line, reject.reason
            )));
        }
    }
    if tried == 0 {
        return Ok(None);
    }
    rows.seek(start).map_err(failed)?;
    Ok(Some(builder))
}

struct Import<'a> {
    options: &'a Options,
    survey: &'a Survey,
    builder: &'a Builder<'a>,
}

impl Import<'_> {
    fn dry_run(&self, rows: &mut Rows) -> Result<Summary, Error> {
        let mut summary = Summary {
            accepted: 0,
            rejected: 0,
        };
        let mut rejects = match &self.options.rejects {
            Some(path) => Some(Rejects::open(path, 0).map_err(|error| unwritable(path, &error))?),
            None => None,
        };
        let mut display = Display::new(self.survey.lines, 0);
        while let Some(row) = self.next(rows)? {
            match self.builder.build(&row) {
                Ok(event) => {
                    summary.accepted += 1;
                    if summary.accepted <= SHOWN_EVENTS {
                        println!("{}", pretty(&event));
                    }
                }
                Err(reject) => {
                    summary.rejected += 1;
                    if let Some(rejects) = &mut rejects {
                        rejects
                            .write(&reject)
                            .map_err(|error| unwritable(rejects.path(), &error))?;
                    } else if summary.rejected <= SHOWN_REJECTS {
                        display.say(&format!(
                            "line {}: `{}` {}",
                            reject.line, reject.field, reject.reason
                        ));
                    }
                }
            }
            display.at(row.end.lines, self.survey.lines, summary.rejected);
        }
        if let Some(rejects) = &mut rejects {
            rejects
                .sync()
                .map_err(|error| unwritable(rejects.path(), &error))?;
        }
        display.finish();
        println!(
            "dry run: {} rows would be sent, {} would be rejected; nothing was sent",
            summary.accepted, summary.rejected
        );
        Ok(summary)
    }

    fn next(&self, rows: &mut Rows) -> Result<Option<Row>, Error> {
        rows.next()
            .map_err(|error| unreadable(&self.options.file, &error))
    }

    fn send(
        &self,
        rows: &mut Rows,
        target: &Target,
        checkpoint: &Checkpoint,
        folder: &Path,
        patience: Duration,
    ) -> Result<Summary, Error> {
        let mut progress = checkpoint
            .read()
            .map_err(|error| unreadable(checkpoint.path(), &error))?;
        let path = self
            .options
            .rejects
            .clone()
            .unwrap_or_else(|| self.default_rejects(folder));
        if progress.finished && !self.options.again {
            println!(
                "{} was imported already; --again sends it once more, which counts nothing twice",
                self.options.file.display()
            );
            return Ok(self.tell(&progress, &path));
        }
        if progress.finished {
            progress = Progress::default();
        }
        if progress.lines > 0 {
            rows.seek(progress.position())
                .map_err(|error| unreadable(&self.options.file, &error))?;
            println!(
                "going on behind line {}, where the import was interrupted",
                progress.lines
            );
        }
        let start = Instant::now();
        let before = progress.accepted + progress.rejected;
        let rejects = Rejects::open(&path, progress.rejects_bytes)
            .map_err(|error| unwritable(&path, &error))?;
        let mut ledger = Ledger {
            checkpoint,
            rejects,
            display: Display::new(self.survey.lines, progress.lines),
            lines: self.survey.lines,
            waiting: BTreeMap::new(),
            next: 0,
            written: None,
            progress,
        };
        let client = Client::new(&target.ingest, &target.write_key);
        let result = std::thread::scope(|scope| {
            let (senders, reports, _threads) = Senders::start(scope, &client, patience);
            self.pump(rows, senders, &reports, &mut ledger)
        });
        let result = result.and_then(|()| self.unchanged());
        ledger.progress.finished = result.is_ok();
        ledger.write()?;
        ledger.display.finish();
        if let Err(error) = result {
            let done = ledger.progress.lines;
            return Err(match error {
                Error::Failed(reason) => Error::Failed(format!(
                    "{reason}. Up to line {done} all is done; the same command goes on from there"
                )),
                usage @ Error::Usage(_) => usage,
            });
        }
        let handled = ledger.progress.accepted + ledger.progress.rejected - before;
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "{handled} rows in {seconds:.1} s ({:.0} rows/s)",
            handled as f64 / seconds
        );
        Ok(self.tell(&ledger.progress, &path))
    }

    /// Reads, makes events and queues batches, as fast as ingest takes them.
    fn pump(
        &self,
        rows: &mut Rows,
        mut senders: Senders,
        reports: &Receiver<Report>,
        ledger: &mut Ledger<'_>,
    ) -> Result<(), Error> {
        let mut number = 0;
        while let Some(batch) = self.batch(rows, number)? {
            number += 1;
            if !senders.queue(batch) {
                break;
            }
            while let Ok(report) = reports.try_recv() {
                ledger.take(report)?;
            }
            while number - ledger.next >= WINDOW
                && let Ok(report) = reports.recv()
            {
                ledger.take(report)?;
            }
        }
        senders.close();
        while ledger.next < number {
            match reports.recv() {
                Ok(report) => ledger.take(report)?,
                Err(_) => return Err(Error::Failed("the senders stopped".to_owned())),
            }
        }
        Ok(())
    }

    /// The next rows, as many as fit into a request. None at the end of the file.
    fn batch(&self, rows: &mut Rows, number: u64) -> Result<Option<Batch>, Error> {
        let mut batch = Batch {
            number,
            body: br#"{"batch":["#.to_vec(),
            ..Batch::default()
        };
        while batch.sent.len() < BATCH_EVENTS
            && batch.rejects.len() < BATCH_EVENTS
            && batch.body.len() < BATCH_BYTES / 2
        {
            let Some(row) = self.next(rows)? else { break };
            batch.end = row.end;
            match self.builder.build(&row) {
                // More than half a batch at once; ingest refuses an event of a tenth of that.
                Ok(event) if event.get().len() > BATCH_BYTES / 2 => batch.rejects.push(Reject {
                    line: row.line,
                    reason: format!("makes an event of {} bytes", event.get().len()),
                    field: String::new(),
                    text: row.text,
                }),
                Ok(event) => {
                    if !batch.sent.is_empty() {
                        batch.body.push(b',');
                    }
                    batch.body.extend(event.get().as_bytes());
                    batch.sent.push(Sent {
                        line: row.line,
                        text: row.text,
                    });
                }
                Err(reject) => batch.rejects.push(reject),
            }
        }
        batch.body.extend(b"]}");
        let empty = batch.sent.is_empty() && batch.rejects.is_empty();
        Ok((!empty).then_some(batch))
    }

    /// The digest in the message ids must be that of what was read.
    fn unchanged(&self) -> Result<(), Error> {
        let length = std::fs::metadata(&self.options.file)
            .map_err(|error| unreadable(&self.options.file, &error))?
            .len();
        if length == self.survey.bytes {
            return Ok(());
        }
        Err(Error::Failed(format!(
            "{} was changed while it was imported",
            self.options.file.display()
        )))
    }

    fn default_rejects(&self, folder: &Path) -> PathBuf {
        let name = self
            .options
            .file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        folder.join(format!("{name}.{}.rejects.csv", &self.survey.digest[..8]))
    }

    fn tell(&self, progress: &Progress, rejects: &Path) -> Summary {
        println!(
            "{}: {} rows taken, {} rejected",
            self.options.file.display(),
            progress.accepted,
            progress.rejected
        );
        if progress.rejected > 0 {
            println!("rejected rows, with line and reason: {}", rejects.display());
        }
        Summary {
            accepted: progress.accepted,
            rejected: progress.rejected,
        }
    }
}

/// Keeps the books in the order of the file, whatever order batches are done in.
struct Ledger<'a> {
    checkpoint: &'a Checkpoint,
    rejects: Rejects,
    display: Display,
    lines: u64,
    waiting: BTreeMap<u64, Done>,
    next: u64,
    written: Option<Instant>,
    progress: Progress,
}

impl Ledger<'_> {
    fn take(&mut self, report: Report) -> Result<(), Error> {
        match report {
            Report::Done(done) => _ = self.waiting.insert(done.number, done),
            Report::Waiting(reason) => self.display.say(&format!("{reason}; trying again")),
            Report::Failed(reason) => return Err(Error::Failed(reason)),
        }
        while let Some(done) = self.waiting.remove(&self.next) {
            self.next += 1;
            for reject in &done.rejects {
                self.rejects
                    .write(reject)
                    .map_err(|error| unwritable(self.rejects.path(), &error))?;
            }
            self.progress.accepted += done.accepted;
            self.progress.rejected += done.rejects.len() as u64;
            (self.progress.lines, self.progress.bytes) = (done.end.lines, done.end.bytes);
        }
        self.display
            .at(self.progress.lines, self.lines, self.progress.rejected);
        // At once the first time: a folder that cannot be written is better known early.
        if self
            .written
            .is_none_or(|written| written.elapsed() >= CHECKPOINT_EVERY)
        {
            self.write()?;
        }
        Ok(())
    }

    /// The rejects first: the progress must not know more than is on disk.
    fn write(&mut self) -> Result<(), Error> {
        self.written = Some(Instant::now());
        self.progress.rejects_bytes = self
            .rejects
            .sync()
            .map_err(|error| unwritable(self.rejects.path(), &error))?;
        self.checkpoint
            .write(&self.progress)
            .map_err(|error| unwritable(self.checkpoint.path(), &error))
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    Error::Failed(format!("cannot write {}: {error}", path.display()))
}

fn pretty(event: &RawValue) -> String {
    let value: Option<serde_json::Value> = serde_json::from_str(event.get()).ok();
    value
        .and_then(|value| serde_json::to_string_pretty(&value).ok())
        .unwrap_or_else(|| event.get().to_owned())
}
