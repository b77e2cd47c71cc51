//! Sends batches, several at a time, and hands them back done.

use super::client::{Client, Error, Verdict};
use super::rejects::Reject;
use super::rows::Position;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// Requests at a time: ingest acknowledges a batch within some milliseconds, so a few hide the wait.
const IN_FLIGHT: usize = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A row whose event is in the batch.
#[derive(Debug)]
pub(super) struct Sent {
    /// Its line.
    pub(super) line: u64,
    /// As it stands in the file, for the rejects file.
    pub(super) text: String,
}

/// Consecutive rows of the file.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Its place among the batches.
    pub(super) number: u64,
    /// The request.
    pub(super) body: Vec<u8>,
    /// Rows in it, in the order of its events.
    pub(super) sent: Vec<Sent>,
    /// Rows between them that were rejected before sending.
    pub(super) rejects: Vec<Reject>,
    /// The place behind its last row.
    pub(super) end: Position,
}

/// A batch of which every row was taken or rejected.
#[derive(Debug)]
pub(super) struct Done {
    /// Its place among the batches.
    pub(super) number: u64,
    /// Rows that ingest has acknowledged.
    pub(super) accepted: u64,
    /// Rows that were rejected, in the order of lines.
    pub(super) rejects: Vec<Reject>,
    /// The place behind its last row.
    pub(super) end: Position,
}

/// What a sender has to tell.
#[derive(Debug)]
pub(super) enum Report {
    /// A batch is done.
    Done(Done),
    /// Ingest takes nothing at the moment; told once until it does again.
    Waiting(String),
    /// The import cannot go on.
    Failed(String),
}

/// The threads that send.
#[derive(Debug)]
pub(super) struct Senders {
    jobs: Option<SyncSender<Batch>>,
    stop: Arc<Stop>,
}

#[derive(Debug, Default)]
struct Stop {
    stopped: Mutex<bool>,
    told: Condvar,
}

impl Stop {
    fn stop(&self) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.told.notify_all();
    }

    /// Waits that long; true if the import was stopped meanwhile.
    fn wait(&self, pause: Duration) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let (stopped, _) = self
            .told
            .wait_timeout_while(stopped, pause, |stopped| !*stopped)
            .unwrap_or_else(PoisonError::into_inner);
        *stopped
    }
}

impl Senders {
    /// Starts them. `patience` is how long a batch is tried again when ingest takes nothing.
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        client: &Client,
        patience: Duration,
    ) -> (Self, Receiver<Report>, Vec<ScopedJoinHandle<'scope, ()>>) {
        let (jobs, queue) = sync_channel::<Batch>(IN_FLIGHT);
        let (reports, receiver) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let stop = Arc::new(Stop::default());
        let threads = (0..IN_FLIGHT)
            .map(|_| {
                let (queue, reports, stop, client) = (
                    Arc::clone(&queue),
                    reports.clone(),
                    Arc::clone(&stop),
                    client.clone(),
                );
                scope.spawn(move || {
                    loop {
                        let batch = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                        let Ok(batch) = batch else { return };
                        if !send(batch, &client, patience, &stop, &reports) {
                            return;
                        }
                    }
                })
            })
            .collect();
        (
            Senders {
                jobs: Some(jobs),
                stop,
            },
            receiver,
            threads,
        )
    }

    /// Queues a batch; waits while the queue is full. False when no sender is left.
    pub(super) fn queue(&self, batch: Batch) -> bool {
        self.jobs
            .as_ref()
            .is_some_and(|jobs| jobs.send(batch).is_ok())
    }

    /// No further batch comes: the senders end with those that are queued.
    pub(super) fn close(&mut self) {
        self.jobs = None;
    }
}

impl Drop for Senders {
    fn drop(&mut self) {
        self.close();
        self.stop.stop();
    }
}

/// Tries until the batch is done; false when the thread should end.
fn send(
    batch: Batch,
    client: &Client,
    patience: Duration,
    stop: &Stop,
    reports: &Sender<Report>,
) -> bool {
    if batch.sent.is_empty() {
        return reports.send(Report::Done(done(batch, Vec::new()))).is_ok();
    }
    let start = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut told = false;
    loop {
        let (after, reason) = match client.send(&batch.body) {
            Ok(refusals) => return reports.send(Report::Done(done(batch, refusals))).is_ok(),
            Err(Error::Never(reason)) => {
                // Nobody listens any more when another sender has failed before.
                let _ = reports.send(Report::Failed(reason));
                return false;
            }
            Err(Error::Later { after, reason }) => (after, reason),
        };
        if start.elapsed() >= patience {
            let _ = reports.send(Report::Failed(reason));
            return false;
        }
        if !told {
            told = true;
            let _ = reports.send(Report::Waiting(reason));
        }
        if stop.wait(after.unwrap_or(pause).min(LONGEST_PAUSE)) {
            return false;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn done(batch: Batch, refusals: Vec<Verdict>) -> Done {
    let mut rejects = batch.rejects;
    let before = rejects.len();
    rejects.extend(refusals.into_iter().filter_map(|refusal| {
        let row = batch.sent.get(refusal.index)?;
        Some(Reject {
            line: row.line,
            reason: format!("refused by ingest: {}: {}", refusal.reason, refusal.message),
            field: refusal.field,
            text: row.text.clone(),
        })
    }));
    let accepted = (batch.sent.len() - (rejects.len() - before)) as u64;
    rejects.sort_by_key(|reject| reject.line);
    Done {
        number: batch.number,
        accepted,
        rejects,
        end: batch.end,
    }
}
