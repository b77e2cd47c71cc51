//! The books of an import, in the order of the file, whatever order its batches are done in.

use super::checkpoint::{Checkpoint, Progress};
use super::display::Display;
use super::rejects::Rejects;
use super::sending::{Done, Report};
use super::{Error, unwritable};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A crash makes so much be sent again, and ignored as known.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);

/// Keeps the books, shows them, and makes them durable.
pub(super) struct Ledger<'a> {
    checkpoint: &'a Checkpoint,
    rejects: Rejects,
    display: Display,
    lines: u64,
    waiting: BTreeMap<u64, Done>,
    next: u64,
    written: Option<Instant>,
    written_lines: u64,
    progress: Progress,
}

impl<'a> Ledger<'a> {
    /// Goes on from that progress in a file of so many lines.
    pub(super) fn new(
        checkpoint: &'a Checkpoint,
        rejects: Rejects,
        display: Display,
        lines: u64,
        progress: Progress,
    ) -> Self {
        Ledger {
            checkpoint,
            rejects,
            display,
            lines,
            waiting: BTreeMap::new(),
            next: 0,
            written: None,
            written_lines: progress.lines,
            progress,
        }
    }

    /// Batches that are done without a gap.
    pub(super) fn done(&self) -> u64 {
        self.next
    }

    /// Books the last state of it.
    pub(super) fn close(mut self, finished: bool) -> Result<Progress, Error> {
        self.progress.finished = finished;
        self.write()?;
        self.display.finish();
        Ok(self.progress)
    }

    /// Books what a sender tells.
    pub(super) fn take(&mut self, report: Report) -> Result<(), Error> {
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
        // At once the first time, because a folder that cannot be written is better known early, and once something is done.
        let is_first = self.written_lines == 0 && self.progress.lines > 0;
        let is_due = |written: Instant| written.elapsed() >= CHECKPOINT_EVERY;
        if is_first || self.written.is_none_or(is_due) {
            self.write()?;
        }
        Ok(())
    }

    /// The rejects first: the progress must not know more than is on disk.
    fn write(&mut self) -> Result<(), Error> {
        self.written = Some(Instant::now());
        self.written_lines = self.progress.lines;
        self.progress.rejects_bytes = self
            .rejects
            .sync()
            .map_err(|error| unwritable(self.rejects.path(), &error))?;
        self.checkpoint
            .write(&self.progress)
            .map_err(|error| unwritable(self.checkpoint.path(), &error))
    }
}
