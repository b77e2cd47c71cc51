//! The thread that writes checkpoints, so that a stage goes on meanwhile.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

use fjall::{Database, Keyspace};

use super::overlay::Changes;
use super::{Error, failed};

/// A write holds fjall's journal while it lasts: short enough that nobody notices.
const KEYS_AT_ONCE: usize = 4096;

/// A partition's part of a checkpoint.
pub(super) struct Work {
    pub(super) keyspace: Keyspace,
    pub(super) changed: Arc<Changes>,
    pub(super) partition: i32,
    /// Written last: only then do the changes count.
    pub(super) checkpoint: Vec<u8>,
}

pub(super) struct Writer {
    // At most one checkpoint is under way, so neither channel ever holds more than one.
    work: Option<Sender<Vec<Work>>>,
    // A checkpoint that failed comes back whole: what it did not write must stay readable until someone hears of it.
    done: Receiver<Result<(), (Error, Vec<Work>)>>,
    busy: bool,
    thread: Option<JoinHandle<()>>,
    folder: PathBuf,
}

impl Writer {
    pub(super) fn start(
        database: Database,
        checkpoints: Keyspace,
        folder: PathBuf,
    ) -> Result<Self, Error> {
        let (work, to_do) = channel::<Vec<Work>>();
        let (report, done) = channel();
        let name = folder.file_name().map_or_else(
            || "state".to_owned(),
            |name| format!("{} state", name.to_string_lossy()),
        );
        let owner = folder.clone();
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            while let Ok(work) = to_do.recv() {
                let result = match write(&database, &checkpoints, &work) {
                    Ok(()) => Ok(()),
                    Err(error) => Err((failed(&owner, error), work)),
                };
                if report.send(result).is_err() {
                    return;
                }
            }
        });
        let thread = thread.map_err(|error| failed(&folder, error.into()))?;
        Ok(Self {
            work: Some(work),
            done,
            busy: false,
            thread: Some(thread),
            folder,
        })
    }

    /// Begins; only when idle.
    pub(super) fn write(&mut self, work: Vec<Work>) {
        debug_assert!(!self.busy, "one checkpoint at a time");
        if let Some(sender) = &self.work {
            self.busy = sender.send(work).is_ok();
        }
    }

    pub(super) fn is_idle(&mut self) -> Result<bool, Error> {
        if !self.busy {
            return Ok(true);
        }
        match self.done.try_recv() {
            Ok(result) => {
                self.busy = false;
                result.map(|()| true).map_err(|(error, _)| error)
            }
            Err(TryRecvError::Empty) => Ok(false),
            Err(TryRecvError::Disconnected) => Err(self.died()),
        }
    }

    pub(super) fn wait(&mut self) -> Result<(), Error> {
        if !self.busy {
            return Ok(());
        }
        self.busy = false;
        match self.done.recv() {
            Ok(result) => result.map_err(|(error, _)| error),
            Err(_) => Err(self.died()),
        }
    }

    fn died(&self) -> Error {
        failed(
            &self.folder,
            std::io::Error::other("the writer thread died").into(),
        )
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take() {
            // A panic of it was reported when it happened.
            let _ = thread.join();
        }
    }
}

fn write(database: &Database, checkpoints: &Keyspace, work: &[Work]) -> Result<(), fjall::Error> {
    for part in work {
        let mut changed = part.changed.iter().peekable();
        while changed.peek().is_some() {
            let mut batch = database.batch();
            for (key, value) in changed.by_ref().take(KEYS_AT_ONCE) {
                match value {
                    Some(value) => batch.insert(&part.keyspace, &**key, &**value),
                    None => batch.remove(&part.keyspace, &**key),
                }
            }
            batch.commit()?;
        }
    }
    let mut batch = database.batch();
    for part in work {
        batch.insert(checkpoints, part.partition.to_be_bytes(), &*part.checkpoint);
    }
    batch.commit()
}
