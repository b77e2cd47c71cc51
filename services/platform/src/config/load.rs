//! Layers: defaults, file, environment, flags. Each is laid over those before and read at once, so that an
//! error is known to come from the layer that was added last.

use super::{Config, validate};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

const DEFAULTS: &str = include_str!("defaults.toml");
const FILE: &str = "tributary.toml";
const PREFIX: &str = "TRIBUTARY__";
/// Plain short-cuts: what most deployments set, and nothing else.
const SHORT_CUTS: [(&str, &str); 2] = [
    ("KAFKA_BROKERS", "kafka.brokers"),
    ("CLICKHOUSE_URL", "clickhouse.url"),
];

/// A configuration that cannot be used. It names the key and the place that set it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// The file is no TOML.
    #[error("{} is no TOML: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and what.
        message: String,
    },
    /// A key is unknown or its value unusable.
    #[error("{origin}: {message}")]
    Invalid {
        /// The file, variable or flag.
        origin: String,
        /// Which key, what is wrong, what to write instead.
        message: String,
    },
}

/// Where a configuration is read from; a test states its own.
#[derive(Debug, Default, Clone)]
pub struct Inputs {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// `--data`.
    pub data: Option<PathBuf>,
    /// Environment variables; others than ours are passed over.
    pub environment: Vec<(String, String)>,
    /// Flags, as (flag's name for messages, dotted key, value).
    pub flags: Vec<(String, String, Value)>,
    /// Where `tributary.toml` is looked for first; the working folder if empty.
    pub folder: PathBuf,
}

impl Inputs {
    /// The process's own environment.
    pub fn from_process() -> Self {
        Inputs {
            environment: std::env::vars().collect(),
            ..Inputs::default()
        }
    }
}

/// The defaults alone.
pub(super) fn defaults() -> Config {
    Layers::defaults()
        .finish()
        .expect("defaults.toml is checked by a test")
}

/// Reads all layers.
pub(super) fn load(inputs: &Inputs) -> Result<Config, Error> {
    let mut layers = Layers::defaults();
    if let Some(path) = find_file(inputs) {
        layers.add_file(&path)?;
    }
    for (name, key) in SHORT_CUTS {
        if let Some((_, value)) = inputs.environment.iter().find(|(set, _)| set == name) {
            layers.add(name, single(key, Value::String(value.clone())))?;
        }
    }
    for (name, value) in &inputs.environment {
        if let Some(key) = name.strip_prefix(PREFIX) {
            layers.add_variable(name, &key.to_lowercase().replace("__", "."), value)?;
        }
    }
    for (flag, key, value) in &inputs.flags {
        layers.add(flag, single(key, value.clone()))?;
    }
    if let Some(data) = &inputs.data {
        let path = data.to_str().ok_or_else(|| Error::Invalid {
            origin: "--data".to_owned(),
            message: "the folder's name must be UTF-8".to_owned(),
        })?;
        layers.add("--data", single("data", Value::String(path.to_owned())))?;
    }
    layers.finish()
}

fn find_file(inputs: &Inputs) -> Option<PathBuf> {
    if let Some(path) = &inputs.file {
        return Some(path.clone());
    }
    let here = inputs.folder.join(FILE);
    if here.is_file() {
        return Some(here);
    }
    let from_environment = || {
        let data = inputs
            .environment
            .iter()
            .find(|(name, _)| name == "TRIBUTARY__DATA");
        data.map(|(_, value)| PathBuf::from(value))
    };
    let data = inputs
        .data
        .clone()
        .or_else(from_environment)
        .unwrap_or_else(|| inputs.folder.join(".tributary"));
    let in_data = data.join(FILE);
    in_data.is_file().then_some(in_data)
}

struct Layers {
    table: Table,
    last: String,
}

impl Layers {
    fn defaults() -> Self {
        Layers {
            table: DEFAULTS
                .parse()
                .expect("defaults.toml is checked by a test"),
            last: "defaults".to_owned(),
        }
    }

    fn add_file(&mut self, path: &Path) -> Result<(), Error> {
        let text = std::fs::read_to_string(path).map_err(|cause| Error::Unreadable {
            path: path.to_owned(),
            cause,
        })?;
        let table: Table = text
            .parse()
            .map_err(|error: toml::de::Error| Error::Malformed {
                path: path.to_owned(),
                message: malformed(&text, &error),
            })?;
        self.add(&path.display().to_string(), table)
    }

    /// A variable is a string if the key takes one, else TOML: `0.5`, `true`, `["a"]`, `{ a = "b" }`.
    fn add_variable(&mut self, name: &str, key: &str, value: &str) -> Result<(), Error> {
        let as_string = self.try_add(name, single(key, Value::String(value.to_owned())));
        let Err(error) = as_string else { return Ok(()) };
        let as_toml = format!("value = {value}").parse::<Table>();
        match as_toml.ok().and_then(|mut table| table.remove("value")) {
            Some(value) if !value.is_str() => self.try_add(name, single(key, value)),
            _ => Err(error),
        }
    }

    fn add(&mut self, origin: &str, layer: Table) -> Result<(), Error> {
        self.try_add(origin, layer)
    }

    /// Leaves everything as it was when the layer does not fit.
    fn try_add(&mut self, origin: &str, layer: Table) -> Result<(), Error> {
        let mut table = self.table.clone();
        merge(&mut table, layer);
        read(origin, &table)?;
        self.table = table;
        self.last = origin.to_owned();
        Ok(())
    }

    fn finish(self) -> Result<Config, Error> {
        let mut config = read(&self.last, &self.table)?;
        config.kpi.goals.retain(|_, events| !events.is_empty());
        validate::complete(&mut config).map_err(|message| Error::Invalid {
            origin: "configuration".to_owned(),
            message,
        })?;
        Ok(config)
    }
}

fn read(origin: &str, table: &Table) -> Result<Config, Error> {
    let mut table = table.clone();
    inherit_identity(&mut table);
    inherit(&mut table, "workspace", "workspaces");
    inherit(&mut table, "source", "sources");
    Config::deserialize_table(table).map_err(|error| Error::Invalid {
        origin: origin.to_owned(),
        message: explain(&error),
    })
}

/// An entry of `[[workspaces]]` has from `[workspace]` what it does not state itself.
fn inherit(table: &mut Table, pattern: &str, list: &str) {
    let Some(Value::Table(pattern)) = table.get(pattern).cloned() else {
        return;
    };
    if let Some(Value::Array(entries)) = table.get_mut(list) {
        for entry in entries.iter_mut().filter_map(Value::as_table_mut) {
            let mut whole = pattern.clone();
            whole.remove("name");
            merge(&mut whole, std::mem::take(entry));
            *entry = whole;
        }
    }
}

/// A workspace has from `[identity]` what it does not state itself.
fn inherit_identity(table: &mut Table) {
    let identity = table.get("identity").and_then(Value::as_table).cloned();
    let workspace = table.get_mut("workspace").and_then(Value::as_table_mut);
    if let (Some(mut whole), Some(workspace)) = (identity, workspace) {
        if let Some(Value::Table(own)) = workspace.remove("identity") {
            merge(&mut whole, own);
        }
        workspace.insert("identity".to_owned(), Value::Table(whole));
    }
}

/// Tables are merged key by key; everything else is replaced.
fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

fn single(key: &str, value: Value) -> Table {
    let (first, rest) = match key.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (key, None),
    };
    let value = match rest {
        Some(rest) => Value::Table(single(rest, value)),
        None => value,
    };
    Table::from_iter([(first.to_owned(), value)])
}

/// One line with the key first; the library's own text has the key on a line of its own at the end.
fn explain(error: &toml::de::Error) -> String {
    let text = error.to_string();
    let key = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("in `")?.strip_suffix('`'));
    let message = error.message().trim();
    match key {
        Some(key) => format!("`{key}`: {message}"),
        None => message.to_owned(),
    }
}

/// Line and message, without the line's text: it may hold a password.
fn malformed(text: &str, error: &toml::de::Error) -> String {
    let line = error
        .span()
        .and_then(|span| text.get(..span.start))
        .map_or(1, |before| before.matches('\n').count() + 1);
    format!("line {line}: {}", error.message())
}
