//! Configuration: typed, layered, validated before any socket opens.
//!
//! ```text
//! defaults.toml < tributary.toml < TRIBUTARY__SECTION__KEY < flags
//! ```
//!
//! All defaults, and what each key means, are in `config/defaults.toml`. Unknown keys are errors.

mod load;
mod sections;
#[cfg(test)]
mod tests;
mod validate;
mod values;

pub use load::{Error, Inputs};
pub use sections::{
    ClickHouse, Compression, Identity, Ingest, Kafka, Kpi, LogFormat, Ports, Processor,
    SharedDevices, Sink, Source, Strangers, Telemetry, Workspace,
};
pub use values::{HIDDEN, Keep, Properties, Secret, WINDOWS, format_duration, parse_duration};

use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::PathBuf;
use tributary_core::profile::TraitRules;

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The data folder.
    pub data: PathBuf,
    /// The address that HTTP services listen on.
    pub listen: IpAddr,
    /// Ports of everything that listens.
    pub ports: Ports,
    /// How Kafka is reached.
    pub kafka: Kafka,
    /// How ClickHouse is reached.
    pub clickhouse: ClickHouse,
    /// What an entry of `workspaces` leaves out.
    pub workspace: Workspace,
    /// The tenants; never empty after loading.
    #[serde(default)]
    pub workspaces: Vec<Workspace>,
    /// What an entry of `sources` leaves out.
    pub source: Source,
    /// What sends; empty when none is configured.
    #[serde(default)]
    pub sources: Vec<Source>,
    /// Limits of the ingest API.
    pub ingest: Ingest,
    /// The stream processor.
    pub processor: Processor,
    /// The rules of identity.
    pub identity: Identity,
    /// How traits of customers are chosen.
    pub traits: TraitRules,
    /// KPIs.
    pub kpi: Kpi,
    /// The sink.
    pub sink: Sink,
    /// Logs.
    pub telemetry: Telemetry,
}

impl Default for Config {
    fn default() -> Self {
        load::defaults()
    }
}

impl Config {
    /// Reads all layers and validates the whole.
    pub fn load(inputs: &Inputs) -> Result<Self, Error> {
        load::load(inputs)
    }

    /// The workspace of this name.
    pub fn workspace(&self, name: &str) -> Option<&Workspace> {
        self.workspaces
            .iter()
            .find(|workspace| workspace.name == name)
    }

    /// What is in force, as TOML, with secrets hidden.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("every section is made of TOML's types")
    }

    /// What differs from the defaults, as `key = value` in TOML with secrets hidden: short enough for a log line.
    pub fn summary(&self) -> Vec<String> {
        let table = |config: &Config| {
            toml::Table::try_from(config).expect("every section is made of TOML's types")
        };
        let mut lines = Vec::new();
        differences("", &table(&Config::default()), &table(self), &mut lines);
        lines
    }

    /// The two sources of a system for which none is configured: `default`, whose channel is told by the SDK, and
    /// `history`, for files of the past from tills. Each gets its key from `write_key`.
    pub fn default_sources(&self, mut write_key: impl FnMut(&str) -> Secret) -> Vec<Source> {
        let mut source = |name: &str, channel: &str, historic| Source {
            name: name.to_owned(),
            workspace: self.workspaces[0].name.clone(),
            write_keys: vec![write_key(name)],
            channel: channel.to_owned(),
            historic,
            order_namespace: validate::order_namespace(channel).to_owned(),
            ..self.source.clone()
        };
        vec![
            source("default", "", false),
            source("history", "store", true),
        ]
    }

    fn deserialize_table(table: toml::Table) -> Result<Self, toml::de::Error> {
        Config::deserialize(toml::Value::Table(table))
    }
}

fn differences(path: &str, old: &toml::Table, new: &toml::Table, lines: &mut Vec<String>) {
    for (key, value) in new {
        let path = format!("{path}{key}");
        match (old.get(key), value) {
            (Some(old), new) if old == new => {}
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => {
                differences(&format!("{path}."), old, new, lines);
            }
            (_, value) => lines.push(format!("{path} = {value}")),
        }
    }
}
