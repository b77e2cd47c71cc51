//! `endpoints.json`: how everything on one machine finds the running system.
//!
//! It exists exactly while everything is ready: a stale one is removed first thing, the new one is renamed into
//! place, and it goes away first when the system stops.

use crate::config::Config;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const FILE: &str = "endpoints.json";

/// Where the parts of a running system are; URLs carry no trailing slash, parts that do not run are absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Endpoints {
    /// The ingest API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingest: Option<String>,
    /// The console.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub console: Option<String>,
    /// `/metrics`, `/health`, `/ready`, `/settled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<String>,
    /// ClickHouse's HTTP interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clickhouse: Option<String>,
    /// `host:port`, as a Kafka client takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka: Option<String>,
    /// A write key that ingest accepts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_key: Option<String>,
}

/// The file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No system runs on this folder.
    #[error("nothing runs on {}: start it with `tributary all --data {}`, or name the running system's folder with --data", folder.display(), folder.display())]
    NotRunning {
        /// The data folder.
        folder: PathBuf,
    },
    /// The file is unreadable or malformed.
    #[error("cannot read {}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

impl Endpoints {
    /// The running system's, from the data folder.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(FILE);
        let unreadable = |cause| Error::Unreadable {
            path: path.clone(),
            cause,
        };
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| unreadable(error.into())),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::NotRunning {
                folder: folder.to_owned(),
            }),
            Err(error) => Err(unreadable(error)),
        }
    }

    /// Renames the file into place, so that a reader sees all or nothing. Only the owner may read it: it holds a key.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        write_private(&folder.join(FILE), &serde_json::to_vec_pretty(self)?)
    }

    /// Removes the file, if there is one.
    pub fn remove(folder: &Path) -> io::Result<()> {
        match fs::remove_file(folder.join(FILE)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Fills in the configuration where it does not say itself how Kafka and ClickHouse are reached.
    pub fn complete(&self, config: &mut Config) {
        if let (true, Some(kafka)) = (config.kafka.brokers.is_empty(), &self.kafka) {
            config.kafka.brokers.clone_from(kafka);
        }
        if let (true, Some(url)) = (config.clickhouse.url.is_empty(), &self.clickhouse) {
            config.clickhouse.url.clone_from(url);
        }
    }
}

/// Replaces a file as a whole, readable by its owner only.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(bytes)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Endpoints {
        Endpoints {
            ingest: Some("http://127.0.0.1:8080".to_owned()),
            kafka: Some("127.0.0.1:9092".to_owned()),
            clickhouse: Some("http://127.0.0.1:8123".to_owned()),
            ..Endpoints::default()
        }
    }

    fn folder(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("tributary-endpoints-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("the temporary folder is writable");
        folder
    }

    #[test]
    fn what_is_written_is_read_and_absent_parts_have_no_key() {
        let folder = folder("round-trip");
        some().write(&folder).unwrap();
        assert_eq!(Endpoints::read(&folder).unwrap(), some());
        let text = fs::read_to_string(folder.join(FILE)).unwrap();
        assert!(!text.contains("console"), "{text}");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn without_a_file_the_error_says_how_to_start() {
        let folder = folder("absent");
        Endpoints::remove(&folder).unwrap();
        let error = Endpoints::read(&folder).unwrap_err().to_string();
        assert!(error.contains("tributary all --data"), "{error}");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_configured_wins_over_the_file() {
        let mut config = Config::default();
        config.kafka.brokers = "elsewhere:9092".to_owned();
        some().complete(&mut config);
        assert_eq!(config.kafka.brokers, "elsewhere:9092");
        assert_eq!(config.clickhouse.url, "http://127.0.0.1:8123");
    }
}
