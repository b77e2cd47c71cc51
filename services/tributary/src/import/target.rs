//! Where an import goes: ingest's address, and the write key of the source.

use super::{Error, Options};
use std::collections::BTreeMap;
use std::path::Path;
use tributary_platform::config::Config;
use tributary_platform::endpoints::Endpoints;

/// The source that files go to unless something else is said: its events are of the past.
const DEFAULT_SOURCE: &str = "history";
/// Keys of the sources that `tributary all` makes when none is configured.
const KEYS: &str = "keys.json";

/// A source, and where it is reached.
#[derive(Debug)]
pub(super) struct Target {
    /// Ingest's URL.
    pub(super) ingest: String,
    /// Tells ingest which source it is.
    pub(super) write_key: String,
}

impl Target {
    /// From what was asked for, the mapping's source, the configuration, and the running system's folder.
    pub(super) fn find(options: &Options, source: Option<&str>, config: &Config) -> Result<Self, Error> {
        let endpoints = || Endpoints::read(&config.data).map_err(|error| Error::Failed(error.to_string()));
        let ingest = match &options.ingest {
            Some(url) => url.clone(),
            None => endpoints()?
                .ingest
                .ok_or_else(|| Error::Failed("no ingest runs on this folder; name one with --ingest URL".to_owned()))?,
        };
        let write_key = match &options.write_key {
            Some(key) => key.clone(),
            None => key(options.source.as_deref().or(source), config)?,
        };
        Ok(Target { ingest, write_key })
    }
}

fn key(name: Option<&str>, config: &Config) -> Result<String, Error> {
    let configured = config.sources.iter().filter_map(|source| {
        let key = source.write_keys.first()?;
        Some((source.name.clone(), key.expose().to_owned()))
    });
    let keys: BTreeMap<String, String> = match config.sources.as_slice() {
        [] => read_keys(&config.data)?,
        _ => configured.collect(),
    };
    let wanted = name.unwrap_or(DEFAULT_SOURCE);
    keys.get(wanted).cloned().ok_or_else(|| {
        let names: Vec<&str> = keys.keys().map(String::as_str).collect();
        Error::Usage(format!(
            "there is no source `{wanted}` with a write key; name one with --source ({}) or give its key with --write-key",
            if names.is_empty() { "none is known here".to_owned() } else { names.join(", ") }
        ))
    })
}

fn read_keys(data: &Path) -> Result<BTreeMap<String, String>, Error> {
    let path = data.join(KEYS);
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| Error::Failed(format!("cannot read {}: {error}", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(Error::Failed(format!("cannot read {}: {error}", path.display()))),
    }
}
