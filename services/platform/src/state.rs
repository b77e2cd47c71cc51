//! The local store of a stage: a cache of its changelog, for state that outgrows memory and for quick restarts.
//!
//! ```text
//! put ──> changed (memory) ──checkpoint──> being written (memory) ──writer thread──> fjall, then the changelog offset
//! get, scan: changed, else being written, else fjall
//! ```
//!
//! What is in fjall is the state as of some changelog offset, or a bit newer: records are absolute, so reading the
//! changelog again from that offset mends it. Nothing here has to survive a crash; a store that cannot be opened, is too
//! old, or belongs to another changelog is thrown away and built anew from Kafka. So nothing is ever synced to disk.

mod overlay;
mod writer;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use serde::{Deserialize, Serialize};

use crate::kafka::topics::TOMBSTONES_KEPT;
use overlay::Overlay;
use writer::Writer;

/// A store that is nearly as old as its changelog's oldest tombstones may have missed one.
const OLDEST_STORE: Duration = TOMBSTONES_KEPT.saturating_sub(Duration::from_secs(24 * 3600));

/// A partition of a stage is small; fjall's default of 64 MB is for one store, not for dozens.
const MEMTABLE_BYTES: u64 = 16 * 1024 * 1024;

/// The disk fails. The state is safe in Kafka; trying again helps once the disk is mended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No space is left.
    #[error("the disk of {} is full: free some space; nothing is lost, and work goes on by itself then", folder.display())]
    DiskFull {
        /// The store's folder.
        folder: PathBuf,
    },
    /// Another process has the folder.
    #[error("{} is in use by another process: give each process a data folder of its own", folder.display())]
    Locked {
        /// The store's folder.
        folder: PathBuf,
    },
    /// Anything else.
    #[error("the local store in {} failed: {cause}", folder.display())]
    Failed {
        /// The store's folder.
        folder: PathBuf,
        /// What happened.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// How far a partition's store is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Every changelog record below is in the store.
    pub offset: i64,
    /// Id that the changelog itself holds: another one is another changelog, though its name is the same.
    pub incarnation: String,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    checkpoint: Checkpoint,
    written_at_ms: u64,
}

/// The store of one stage.
pub struct Store {
    folder: PathBuf,
    // Before the database: it is dropped first, and joins its thread.
    writer: Writer,
    partitions: BTreeMap<i32, Partition>,
    checkpoints: Keyspace,
    database: Database,
}

struct Partition {
    stored: Keyspace,
    overlay: Overlay,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Store")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in `folder`, or makes an empty one there: also in place of one that cannot be read.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(folder: &Path, cache_bytes: u64) -> Result<Self, Error> {
        std::fs::create_dir_all(folder).map_err(|error| failed(folder, error.into()))?;
        let database = match open_database(folder, cache_bytes) {
            Ok(database) => database,
            Err(error) => match failed(folder, error) {
                Error::Failed { cause, .. } => {
                    tracing::warn!(folder = %folder.display(), %cause, "local store cannot be read: building it anew from kafka");
                    std::fs::remove_dir_all(folder)
                        .map_err(|error| failed(folder, error.into()))?;
                    open_database(folder, cache_bytes).map_err(|error| failed(folder, error))?
                }
                error => return Err(error),
            },
        };
        let checkpoints =
            keyspace(&database, "checkpoints").map_err(|error| failed(folder, error))?;
        let writer = Writer::start(database.clone(), checkpoints.clone(), folder.to_owned())?;
        Ok(Self {
            folder: folder.to_owned(),
            writer,
            partitions: BTreeMap::new(),
            checkpoints,
            database,
        })
    }

    /// Takes on partitions. Says for each how far its store is; none is empty.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn assign(
        &mut self,
        partitions: &[i32],
    ) -> Result<BTreeMap<i32, Option<Checkpoint>>, Error> {
        let mut checkpoints = BTreeMap::new();
        for partition in partitions {
            let stored = keyspace(&self.database, &format!("partition-{partition}"))
                .map_err(|error| failed(&self.folder, error))?;
            self.partitions.insert(
                *partition,
                Partition {
                    stored,
                    overlay: Overlay::default(),
                },
            );
            let checkpoint = self.checkpoint_of(*partition)?;
            if checkpoint.is_none() {
                self.discard(*partition)?;
            }
            checkpoints.insert(*partition, checkpoint);
        }
        Ok(checkpoints)
    }

    fn checkpoint_of(&self, partition: i32) -> Result<Option<Checkpoint>, Error> {
        let bytes = self
            .checkpoints
            .get(partition.to_be_bytes())
            .map_err(|error| failed(&self.folder, error))?;
        let stored: Option<Stored> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let recent = |stored: &Stored| {
            now_ms().saturating_sub(stored.written_at_ms) < OLDEST_STORE.as_millis() as u64
        };
        Ok(stored.filter(recent).map(|stored| stored.checkpoint))
    }

    /// Empties a partition: its store is of another changelog.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn discard(&mut self, partition: i32) -> Result<(), Error> {
        let failed = |error| failed(&self.folder, error);
        self.checkpoints
            .remove(partition.to_be_bytes())
            .map_err(failed)?;
        if let Some(partition) = self.partitions.get_mut(&partition) {
            partition.stored.clear().map_err(failed)?;
            partition.overlay = Overlay::default();
        }
        Ok(())
    }

    /// The value of a key.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn get(&self, partition: i32, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let Some(partition) = self.partitions.get(&partition) else {
            return Ok(None);
        };
        if let Some(changed) = partition.overlay.get(key) {
            return Ok(changed);
        }
        let stored = partition
            .stored
            .get(key)
            .map_err(|error| failed(&self.folder, error))?;
        Ok(stored.map(|value| value.to_vec()))
    }

    /// Visits every key and value that starts with `prefix`, in the order of keys.
    ///
    /// # Errors
    /// When the disk fails, or what `visit` returns.
    pub fn scan<E: From<Error>>(
        &self,
        partition: i32,
        prefix: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(partition) = self.partitions.get(&partition) else {
            return Ok(());
        };
        let changed = partition.overlay.with_prefix(prefix);
        let mut changed = changed.iter().peekable();
        for guard in partition.stored.prefix(prefix) {
            let (key, value) = guard
                .into_inner()
                .map_err(|error| failed(&self.folder, error))?;
            while let Some((earlier, value)) = changed.next_if(|(changed, _)| ***changed < *key) {
                if let Some(value) = value {
                    visit(earlier, value)?;
                }
            }
            match changed.next_if(|(changed, _)| ***changed == *key) {
                Some((_, Some(value))) => visit(&key, value)?,
                Some((_, None)) => {}
                None => visit(&key, &value)?,
            }
        }
        for (key, value) in changed {
            if let Some(value) = value {
                visit(key, value)?;
            }
        }
        Ok(())
    }

    /// The first key behind `after` that starts with `prefix`.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn next_key(
        &self,
        partition: i32,
        prefix: &[u8],
        after: &[u8],
    ) -> Result<Option<Vec<u8>>, Error> {
        let Some(partition) = self.partitions.get(&partition) else {
            return Ok(None);
        };
        let mut after = after.to_vec();
        loop {
            let behind = (Bound::Excluded(after.as_slice()), Bound::Unbounded);
            let stored = match partition.stored.range::<&[u8], _>(behind).next() {
                Some(guard) => {
                    let key = guard.key().map_err(|error| failed(&self.folder, error))?;
                    Some(key.to_vec())
                }
                None => None,
            };
            let (key, is_there) = match (partition.overlay.next(&after), stored) {
                (Some((changed, is_there)), stored)
                    if stored.as_deref().is_none_or(|stored| *changed <= *stored) =>
                {
                    (changed, is_there)
                }
                (_, Some(stored)) => (stored, true),
                _ => return Ok(None),
            };
            if !key.starts_with(prefix) {
                return Ok(None);
            }
            if is_there {
                return Ok(Some(key));
            }
            after = key;
        }
    }

    /// Sets the value of a key; none deletes it. In memory until the next checkpoint.
    pub fn put(&mut self, partition: i32, key: &[u8], value: Option<&[u8]>) {
        if let Some(partition) = self.partitions.get_mut(&partition) {
            partition.overlay.put(key, value);
        }
    }

    /// Begins to write what has changed, and returns at once. Only between transactions: everything that was put must
    /// be in the changelog, below these offsets. Does nothing while an earlier checkpoint is being written.
    ///
    /// # Errors
    /// When an earlier checkpoint failed.
    pub fn checkpoint(&mut self, checkpoints: &BTreeMap<i32, Checkpoint>) -> Result<(), Error> {
        if !self.writer.is_idle()? {
            return Ok(());
        }
        let mut work = Vec::new();
        for (number, checkpoint) in checkpoints {
            if let Some(partition) = self.partitions.get_mut(number) {
                let stored = Stored {
                    checkpoint: checkpoint.clone(),
                    written_at_ms: now_ms(),
                };
                let stored = serde_json::to_vec(&stored).expect("a checkpoint is numbers and text");
                work.push(writer::Work {
                    keyspace: partition.stored.clone(),
                    changed: partition.overlay.freeze(),
                    partition: *number,
                    checkpoint: stored,
                });
            }
        }
        self.writer.write(work);
        Ok(())
    }

    /// Whether nothing is being written.
    ///
    /// # Errors
    /// When the checkpoint failed.
    pub fn is_idle(&mut self) -> Result<bool, Error> {
        self.writer.is_idle()
    }

    /// Waits until a checkpoint that was begun is written.
    ///
    /// # Errors
    /// When it failed.
    pub fn wait(&mut self) -> Result<(), Error> {
        self.writer.wait()
    }

    /// Bytes of changes since the last checkpoint began, for its trigger.
    #[must_use]
    pub fn changed_bytes(&self) -> usize {
        self.partitions
            .values()
            .map(|partition| partition.overlay.changed_bytes())
            .sum()
    }

    /// Keys changed since the last checkpoint began.
    #[must_use]
    pub fn changed_keys(&self) -> usize {
        self.partitions
            .values()
            .map(|partition| partition.overlay.changed_keys())
            .sum()
    }

    /// Bytes on disk.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        self.partitions
            .values()
            .map(|partition| partition.stored.disk_space())
            .sum()
    }
}

fn open_database(folder: &Path, cache_bytes: u64) -> Result<Database, fjall::Error> {
    Database::builder(folder)
        .cache_size(cache_bytes)
        .worker_threads(1)
        .open()
}

fn keyspace(database: &Database, name: &str) -> Result<Keyspace, fjall::Error> {
    database.keyspace(name, || {
        KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES)
    })
}

fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

/// Tells a full disk and a folder in use from what only building the store anew would mend.
fn failed(folder: &Path, error: fjall::Error) -> Error {
    let io = match &error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => {
            Some(error.kind())
        }
        _ => None,
    };
    let folder = folder.to_owned();
    match (io, &error) {
        (Some(std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded), _) => {
            Error::DiskFull { folder }
        }
        (_, fjall::Error::Locked) => Error::Locked { folder },
        _ => Error::Failed {
            folder,
            cause: error.into(),
        },
    }
}

#[cfg(test)]
mod tests;
