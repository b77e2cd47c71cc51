//! Where an import goes: ingest's address, and the write key of the source.

use super::{Error, Options};
use tributary_platform::config::{Config, Source};
use tributary_platform::endpoints::Endpoints;

/// The source that files go to unless something else is said: its events are of the past.
const DEFAULT_SOURCE: &str = "history";

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
    pub(super) fn find(
        options: &Options,
        source: Option<&str>,
        config: &Config,
    ) -> Result<Self, Error> {
        let endpoints =
            || Endpoints::read(&config.data).map_err(|error| Error::Failed(error.to_string()));
        let ingest = match &options.ingest {
            Some(url) => url.clone(),
            None => endpoints()?.ingest.ok_or_else(|| {
                Error::Failed(
                    "no ingest runs on this folder; name one with --ingest URL".to_owned(),
                )
            })?,
        };
        let write_key = match &options.write_key {
            Some(key) => key.clone(),
            None => key(options.source.as_deref().or(source), config)?,
        };
        Ok(Target { ingest, write_key })
    }
}

/// The time zone of the source's workspace, as far as the source is known here.
pub(super) fn time_zone(options: &Options, source: Option<&str>, config: &Config) -> String {
    let wanted = options
        .source
        .as_deref()
        .or(source)
        .unwrap_or(DEFAULT_SOURCE);
    let is_meant = |source: &&Source| match &options.write_key {
        Some(key) => source.write_keys.iter().any(|known| known.expose() == key),
        None => source.name == wanted || format!("{}/{}", source.workspace, source.name) == wanted,
    };
    let workspace = config
        .sources
        .iter()
        .find(is_meant)
        .and_then(|source| config.workspace(&source.workspace));
    workspace.unwrap_or(&config.workspaces[0]).time_zone.clone()
}

fn key(name: Option<&str>, config: &Config) -> Result<String, Error> {
    let sources = sources(config);
    let wanted = name.unwrap_or(DEFAULT_SOURCE);
    let found: Vec<&Known> = sources
        .iter()
        .filter(|source| source.name == wanted || source.full_name() == wanted)
        .collect();
    let names = |sources: &[&Known]| {
        sources
            .iter()
            .map(|source| source.full_name())
            .collect::<Vec<_>>()
            .join(", ")
    };
    match found.as_slice() {
        [source] => Ok(source.key.clone()),
        [] => Err(Error::Usage(format!(
            "there is no source `{wanted}` with a write key here; name one with --source ({}) or give its key with --write-key",
            names(&sources.iter().collect::<Vec<_>>())
        ))),
        several => Err(Error::Usage(format!(
            "several workspaces have a source `{wanted}`: write one of {}",
            names(several)
        ))),
    }
}

/// A source whose key is known.
struct Known {
    workspace: String,
    name: String,
    key: String,
}

impl Known {
    fn full_name(&self) -> String {
        format!("{}/{}", self.workspace, self.name)
    }
}

fn sources(config: &Config) -> Vec<Known> {
    let known = |source: &Source| {
        Some(Known {
            workspace: source.workspace.clone(),
            name: source.name.clone(),
            key: source.write_keys.first()?.expose().to_owned(),
        })
    };
    config.sources.iter().filter_map(known).collect()
}
