//! The sections of the configuration. What each key means, and its default, is written in
//! `defaults.toml`; the comments here say only what a programmer needs besides.

use super::values::{self, Keep, Properties, Secret};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tributary_core::identifier::{IdentifierType, Kind};
use tributary_core::identity::{Normalisation, TypeRule, Types};

/// Ports of everything that listens; 0 takes a free one.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Ports {
    /// Ingest's HTTP API.
    pub ingest: u16,
    /// The console.
    pub console: u16,
    /// `/metrics`, `/health`, `/ready`, `/settled`.
    pub metrics: u16,
    /// The local ClickHouse's HTTP interface.
    pub clickhouse: u16,
    /// The local Kafka's broker.
    pub kafka: u16,
    /// The local Kafka's controller.
    pub kafka_controller: u16,
}

impl Ports {
    /// Every port free: what `--ports auto` means.
    pub const AUTO: Ports = Ports {
        ingest: 0,
        console: 0,
        metrics: 0,
        clickhouse: 0,
        kafka: 0,
        kafka_controller: 0,
    };
}

/// How Kafka is reached.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Kafka {
    /// `host:port,host:port`; empty means the local broker of `tributary all`.
    pub brokers: String,
    /// What topic names, group ids and transactional ids begin with.
    pub topic_prefix: String,
    /// Of the topics that we create.
    pub replication_factor: i32,
    /// librdkafka properties for every client; they win over our own.
    pub properties: Properties,
}

/// How ClickHouse is reached.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ClickHouse {
    /// Without credentials (they are moved to `user` and `password`) and without a trailing slash;
    /// empty means the local engine of `tributary all`.
    pub url: String,
    /// The user's name.
    pub user: String,
    /// The user's password.
    pub password: Secret,
    /// The database of all tables and views.
    pub database: String,
    /// Of one statement, insert or answer.
    #[serde(with = "values::duration")]
    pub timeout: Duration,
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Workspace {
    /// Its name, which is part of every key and row.
    pub name: String,
    /// ISO 4217 code of amounts that come without one.
    pub currency: String,
    /// IANA name, for times that come without one.
    pub time_zone: String,
    /// ISO 3166 code for phone numbers without country code; empty when there is none.
    pub phone_region: String,
    /// `[identity]`, but for what the workspace states itself.
    pub identity: Identity,
}

/// Something that sends events.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Unique within its workspace.
    pub name: String,
    /// The workspace that it belongs to.
    pub workspace: String,
    /// Any of them authenticates this source.
    pub write_keys: Vec<Secret>,
    /// Empty: by the SDK's library.
    pub channel: String,
    /// Times are taken as they are, and messages are known for as long as their touchpoints are kept.
    pub historic: bool,
    /// All its events are passive.
    pub sync: bool,
    /// Never empty after loading.
    pub order_namespace: String,
    /// Whether its events make links.
    pub links: bool,
    /// Whether it says of each qualified lead that it is one: what it says nothing of is none.
    pub qualifies_leads: bool,
    /// `*`, or origins such as `https://shop.example`.
    pub allowed_origins: Vec<String>,
}

/// Compression of produced batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Best on the loopback.
    None,
    /// Best on a network.
    Lz4,
    /// Smallest and dearest.
    Zstd,
}

impl Compression {
    /// The value of librdkafka's `compression.type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }
}

/// Limits of the ingest API.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Ingest {
    /// Of one event's JSON.
    pub max_event_bytes: usize,
    /// Of a request's body, before and after decompression.
    pub max_batch_bytes: usize,
    /// Of one batch request.
    pub max_batch_events: usize,
    /// From the connection, or the last answer, to the end of the headers.
    #[serde(with = "values::duration")]
    pub header_timeout: Duration,
    /// From the headers to the end of the body.
    #[serde(with = "values::duration")]
    pub body_timeout: Duration,
    /// Further ones wait in the listen queue.
    pub max_connections: usize,
    /// Further ones are answered 429.
    pub max_in_flight_requests: usize,
    /// Of the touchpoints topic's producer.
    pub compression: Compression,
    /// librdkafka's `message.timeout.ms`.
    #[serde(with = "values::duration")]
    pub acks_timeout: Duration,
    /// librdkafka's `linger.ms`.
    #[serde(with = "values::duration")]
    pub linger: Duration,
}

/// The stream processor.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Processor {
    /// Time between two transactions' commits.
    #[serde(with = "values::duration")]
    pub commit_interval: Duration,
    /// Input records of one transaction.
    pub max_batch: usize,
    /// How much later than others of its partition an event may come before it is counted as late.
    #[serde(with = "values::duration")]
    pub out_of_orderness: Duration,
    /// Time between two writes of the local store.
    #[serde(with = "values::duration")]
    pub checkpoint_interval: Duration,
    /// Time between two snapshots of the graph of identifiers.
    #[serde(with = "values::duration")]
    pub snapshot_interval: Duration,
    /// Block cache of the local store.
    pub cache_bytes: u64,
    /// Timelines held decoded.
    pub cached_timelines: usize,
    /// Profiles held decoded.
    pub cached_profiles: usize,
    /// Of the consumer group.
    #[serde(with = "values::duration")]
    pub session_timeout: Duration,
    /// Of the transactional producer.
    #[serde(with = "values::duration")]
    pub transaction_timeout: Duration,
}

/// Who did what happened before and between logins on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SharedDevices {
    /// The last login before, else the first after.
    Last,
    /// Nobody, where one before and one after disagree.
    Certain,
}

/// Who a session is that no login tells anything of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Strangers {
    /// The device.
    Device,
    /// Somebody who was never seen before.
    Session,
}

/// The rules of identity.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Number of these rules; 0 is the next.
    pub version: i64,
    /// Whether a device may join people.
    pub device_bridges: bool,
    /// Who owns what nobody logged in for.
    pub shared_devices: SharedDevices,
    /// Who a session is that no login tells anything of.
    pub strangers: Strangers,
    /// Whether a link needs the consent of both ends.
    pub consent_required: bool,
    /// An identifier with links to more values of one person type is a hub.
    pub hub: u32,
    /// Compared without case, for every type.
    pub blocked_values: Vec<String>,
    /// `*` stands for any text; with or without a type before it.
    pub blocked_patterns: Vec<String>,
    /// Names of types, the highest first; the rest follows.
    pub priority: Vec<String>,
    /// The types of identifiers, by name.
    pub types: BTreeMap<String, IdentifierRule>,
}

/// A type of identifiers.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct IdentifierRule {
    /// What it names.
    pub kind: Kind,
    /// The form into which ingest brings its values.
    #[serde(default = "as_sent")]
    pub normalise: Normalisation,
    /// Of one profile.
    pub limit: u32,
    /// Whether one of it that is linked to too many persons joins nobody.
    pub can_be_hub: bool,
}

fn as_sent() -> Normalisation {
    Normalisation::None
}

impl Identity {
    /// The types by priority. Those that `priority` does not name follow: persons before devices, built-in types before
    /// added ones, which are in the order of their names.
    ///
    /// # Errors
    /// Names the key after `identity.` and the fix.
    pub fn types(&self) -> Result<Types, String> {
        let mut rules = Vec::with_capacity(self.types.len());
        for (name, rule) in &self.types {
            let r#type = IdentifierType::of(name)
                .map_err(|error| format!("types.{name}`: the name {error}"))?;
            rules.push(TypeRule {
                r#type,
                kind: rule.kind,
                normalisation: rule.normalise,
                limit: rule.limit,
                can_be_hub: rule.can_be_hub,
            });
        }
        let mut seen = BTreeSet::new();
        for name in &self.priority {
            if !seen.insert(name) {
                return Err(format!("priority`: has `{name}` twice: leave one out"));
            }
            if !self.types.contains_key(name) {
                let names: Vec<&str> = self.types.keys().map(String::as_str).collect();
                return Err(format!(
                    "priority`: there is no type `{name}`; there are {}",
                    names.join(", ")
                ));
            }
        }
        rules.sort_by_key(|rule| {
            let named = self
                .priority
                .iter()
                .position(|name| name == rule.r#type.name());
            (
                named.unwrap_or(usize::MAX),
                rule.kind == Kind::Device,
                rule.r#type,
            )
        });
        Types::new(rules).map_err(|error| format!("types`: {error}"))
    }
}

/// KPIs.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Kpi {
    /// How long marks are kept.
    pub keep: Keep,
    /// Event names by goal.
    pub goals: BTreeMap<String, Vec<String>>,
    /// For how many days an order makes its profile a customer.
    pub customer_days: u32,
    /// Names of the dimensions that KPIs are counted by.
    pub dimensions: Vec<String>,
    /// What is a high and a low attitude.
    pub attitude: Attitude,
    /// Values of a dimension that KPIs tell apart; the rest is `other`. Once there is such a rest, it can only be made less,
    /// unless the dimension is counted anew.
    pub max_values: usize,
    /// By dimension, values that are told apart before all others.
    pub first_values: BTreeMap<String, Vec<String>>,
    /// Whether e-mails count as opened that only a mail client has fetched the images of.
    pub prefetched_opens: bool,
}

/// Notes of recommendation by attitude; between the two the last word on satisfaction decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Attitude {
    /// The least that is high.
    pub high: u8,
    /// The greatest that is low.
    pub low: u8,
}

/// The sink.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Sink {
    /// Rows of one insert.
    pub max_rows: usize,
    /// Bytes of one insert.
    pub max_bytes: usize,
    /// From an insert's first row to its sending: of touchpoints and dead letters.
    #[serde(with = "values::duration")]
    pub max_delay: Duration,
    /// The same of tables of state: profiles, sessions, orders, KPIs, identities, links, overrides.
    #[serde(with = "values::duration")]
    pub max_state_delay: Duration,
    /// Of the consumer group.
    #[serde(with = "values::duration")]
    pub session_timeout: Duration,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// Logs.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// A level, or directives by module.
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
}
