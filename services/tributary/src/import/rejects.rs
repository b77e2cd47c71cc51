//! The file of rejected rows.

use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A row that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Reject {
    /// Its line, from 1.
    pub(super) line: u64,
    /// What is wrong with it.
    pub(super) reason: String,
    /// The mapping's field, or empty when it is the row as a whole.
    pub(super) field: String,
    /// As it stands in the file.
    #[serde(rename = "row")]
    pub(super) text: String,
}

impl Reject {
    /// The field, if it is one, and what is wrong.
    pub(super) fn what(&self) -> String {
        match &*self.field {
            "" => self.reason.clone(),
            field => format!("`{field}` {}", self.reason),
        }
    }
}

/// A CSV file of rejected rows; it exists once there is one. It holds what customers' rows hold, so only its owner
/// may read it.
#[derive(Debug)]
pub(super) struct Rejects {
    path: PathBuf,
    writer: Option<csv::Writer<File>>,
    /// Length up to which it belongs to the import that is resumed.
    kept: u64,
}

impl Rejects {
    /// Goes on behind the first `kept` bytes; what stands beyond them is told again.
    pub(super) fn open(path: &Path, kept: u64) -> io::Result<Self> {
        let mut rejects = Rejects {
            path: path.to_owned(),
            writer: None,
            kept,
        };
        if path.exists() {
            match kept {
                0 => std::fs::remove_file(path)?,
                _ => rejects.writer = Some(rejects.create()?),
            }
        }
        Ok(rejects)
    }

    fn create(&self) -> io::Result<csv::Writer<File>> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&self.path)?;
        let kept = self.kept.min(file.metadata()?.len());
        file.set_len(kept)?;
        file.seek(SeekFrom::End(0))?;
        Ok(csv::WriterBuilder::new()
            .has_headers(kept == 0)
            .from_writer(file))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn write(&mut self, reject: &Reject) -> io::Result<()> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                let writer = self.create()?;
                self.writer.insert(writer)
            }
        };
        writer.serialize(reject).map_err(io::Error::other)
    }

    /// Makes it durable; returns its length.
    pub(super) fn sync(&mut self) -> io::Result<u64> {
        let Some(writer) = &mut self.writer else {
            return Ok(0);
        };
        writer.flush()?;
        let file = writer.get_ref();
        file.sync_data()?;
        Ok(file.metadata()?.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reject(line: u64) -> Reject {
        Reject {
            line,
            reason: "is no date".to_owned(),
            field: "timestamp".to_owned(),
            text: "a,\"b\"".to_owned(),
        }
    }

    #[test]
    fn what_was_written_behind_the_last_checkpoint_is_written_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rejects.csv");
        let mut rejects = Rejects::open(&path, 0).unwrap();
        assert_eq!(rejects.sync().unwrap(), 0);
        assert!(!path.exists(), "no row was rejected yet");
        rejects.write(&reject(2)).unwrap();
        let kept = rejects.sync().unwrap();
        rejects.write(&reject(3)).unwrap();
        rejects.sync().unwrap();
        drop(rejects);
        let mut resumed = Rejects::open(&path, kept).unwrap();
        resumed.write(&reject(3)).unwrap();
        resumed.sync().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            "line,reason,field,row\n2,is no date,timestamp,\"a,\"\"b\"\"\"\n3,is no date,timestamp,\"a,\"\"b\"\"\"\n"
        );
    }
}
