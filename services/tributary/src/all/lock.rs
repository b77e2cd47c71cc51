//! One `tributary all` per data folder.

use crate::exit::Failure;
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::Path;

/// Held for as long as the process lives: the kernel lets go of it however the process ends.
#[derive(Debug)]
pub(super) struct Lock(#[allow(dead_code, reason = "held, not used")] File);

impl Lock {
    /// Takes the folder, which it creates, or says who holds it.
    pub(super) fn take(folder: &Path) -> Result<Self, Failure> {
        let shown = folder.display();
        let cannot = |error: std::io::Error| {
            Failure::failed(format!("cannot use the data folder {shown}: {error}"))
        };
        std::fs::create_dir_all(folder).map_err(cannot)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join("lock"))
            .map_err(cannot)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            file.read_to_string(&mut holder).map_err(cannot)?;
            let holder = match holder.trim() {
                "" => "another process".to_owned(),
                pid => format!("process {pid}"),
            };
            return Err(Failure::failed(format!(
                "{shown} is in use by {holder} (`tributary all`): stop that one, or choose another folder with --data"
            )));
        }
        file.set_len(0).map_err(cannot)?;
        file.rewind().map_err(cannot)?;
        write!(file, "{}", std::process::id()).map_err(cannot)?;
        Ok(Lock(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_taken_once_and_the_second_is_told_by_whom() {
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let data = folder.path().join("data");
        let first = Lock::take(&data).expect("it is free");
        let refused = Lock::take(&data).expect_err("it is taken");
        let pid = std::process::id().to_string();
        assert!(refused.message().contains(&pid), "{}", refused.message());
        drop(first);
        Lock::take(&data).expect("it is free again");
    }
}
