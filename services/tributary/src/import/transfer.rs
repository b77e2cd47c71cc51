//! An import at work: what is read goes out in batches, and what comes back is booked.

use super::checkpoint::{Checkpoint, Progress};
use super::client::Client;
use super::display::Display;
use super::event::Builder;
use super::ledger::Ledger;
use super::rejects::{Reject, Rejects};
use super::rows::{Row, Rows, Survey};
use super::sending::{Batch, Report, Senders, Sent};
use super::target::Target;
use super::{Error, Options, Summary, unreadable, unwritable};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// Events of one request; ingest takes 2,500, but smaller ones keep several requests busy.
const BATCH_EVENTS: usize = 500;
/// Bytes of one request, below ingest's limit of 500 KB.
const BATCH_BYTES: usize = 480_000;
/// Batches between the first that is not done and the last that is queued: what is held in memory.
const WINDOW: u64 = 64;

/// A file, and how its rows become events.
pub(super) struct Import<'a> {
    pub(super) options: &'a Options,
    pub(super) survey: &'a Survey,
    pub(super) builder: &'a Builder<'a>,
}

impl Import<'_> {
    /// The next row.
    pub(super) fn next(&self, rows: &mut Rows) -> Result<Option<Row>, Error> {
        rows.next()
            .map_err(|error| unreadable(&self.options.file, &error))
    }

    /// Sends what is left to send.
    pub(super) fn send(
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
        let display = Display::new(self.survey.lines, progress.lines);
        let mut ledger = Ledger::new(checkpoint, rejects, display, self.survey.lines, progress);
        let client = Client::new(&target.ingest, &target.write_key);
        let result = std::thread::scope(|scope| {
            let (senders, reports, _threads) = Senders::start(scope, &client, patience);
            let result = self.pump(rows, senders, &reports, &mut ledger);
            // Where it failed, requests are on their way yet: what they did is booked, too, and not sent again.
            for report in reports {
                if let done @ Report::Done(_) = report {
                    ledger.take(done)?;
                }
            }
            result
        });
        let result = result.and_then(|()| self.unchanged());
        let progress = ledger.close(result.is_ok())?;
        if let Err(error) = result {
            let done = progress.lines;
            return Err(match error {
                Error::Failed(reason) => Error::Failed(format!(
                    "{reason}. Up to line {done} all is done; the same command goes on from there"
                )),
                usage @ Error::Usage(_) => usage,
            });
        }
        let handled = progress.accepted + progress.rejected - before;
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "{handled} rows in {seconds:.1} s ({:.0} rows/s)",
            handled as f64 / seconds
        );
        Ok(self.tell(&progress, &path))
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
            while number - ledger.done() >= WINDOW
                && let Ok(report) = reports.recv()
            {
                ledger.take(report)?;
            }
        }
        senders.close();
        while ledger.done() < number {
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
