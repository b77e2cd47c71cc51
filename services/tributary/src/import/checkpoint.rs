//! How far an import has come, on disk: so that an interrupted one goes on where it was.

use super::rows::Position;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io;
use std::path::{Path, PathBuf};
use tributary_platform::endpoints::write_private;

/// All rows before `lines` were taken or rejected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Lines that are done.
    pub(super) lines: u64,
    /// Bytes that are done.
    pub(super) bytes: u64,
    /// Rows that ingest has acknowledged.
    pub(super) accepted: u64,
    /// Rows that were rejected.
    pub(super) rejected: u64,
    /// Length of the rejects file.
    pub(super) rejects_bytes: u64,
    /// The whole file is done.
    pub(super) finished: bool,
}

impl Progress {
    pub(super) fn position(&self) -> Position {
        Position {
            lines: self.lines,
            bytes: self.bytes,
        }
    }
}

/// The progress file of one import.
#[derive(Debug)]
pub(super) struct Checkpoint {
    path: PathBuf,
}

impl Checkpoint {
    /// Of a file under a mapping into a source: other mappings and other sources are other imports.
    pub(super) fn new(folder: &Path, file_digest: &str, mapping: &str, write_key: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(mapping);
        hash.update([0]);
        hash.update(write_key);
        let digest: String = hash
            .finalize()
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Checkpoint {
            path: folder.join(format!("{file_digest}-{digest}.json")),
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What is known; nothing is the start.
    pub(super) fn read(&self) -> io::Result<Progress> {
        match std::fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Progress::default()),
            Err(error) => Err(error),
        }
    }

    /// Replaces it, durably.
    pub(super) fn write(&self, progress: &Progress) -> io::Result<()> {
        write_private(&self.path, &serde_json::to_vec(progress)?)
    }
}
