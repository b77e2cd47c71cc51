//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use tributary_platform::config::{Config, Error, Inputs};

/// Many streams, one customer: an event-streaming customer-data platform.
#[derive(Debug, Parser)]
#[command(
    name = "tributary",
    version,
    propagate_version = true,
    after_help = "\
Examples:
  tributary all --demo                        everything on this machine, with demo events
  tributary all --data /srv/tributary         the same in a folder of your choice
  KAFKA_BROKERS=k1:9092 tributary ingest      one service, against a cluster
  tributary config                            what is in force, as TOML

Settings are in tributary.toml (--config, else ./tributary.toml, else DIR/tributary.toml), then in
TRIBUTARY__SECTION__KEY, then in flags.
Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 checked and found wrong."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// The configuration file
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The data folder, by which jobs find the running system, too [default: .tributary]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

impl Common {
    /// Reads the configuration, with these flags as its last layer.
    pub(crate) fn load(&self) -> Result<Config, Error> {
        let mut inputs = Inputs::from_process();
        inputs.file.clone_from(&self.config);
        inputs.data.clone_from(&self.data);
        Config::load(&inputs)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything on this machine: Kafka, ClickHouse and all services
    #[command(after_help = "\
Examples:
  tributary all --demo
  tributary all --data /tmp/try --ports auto
  KAFKA_BROKERS=k1:9092 CLICKHOUSE_URL=http://ch:8123 tributary all

With KAFKA_BROKERS or CLICKHOUSE_URL set, that one is not started here. When everything is ready,
DIR/endpoints.json says where. Ctrl-C drains and stops everything; a second Ctrl-C does not wait.")]
    All(All),
    /// Run ingest alone: the Segment HTTP API in front of Kafka
    #[command(after_help = "\
Example:
  KAFKA_BROKERS=k1:9092 tributary ingest --config tributary.toml")]
    Ingest,
    /// Run the processor alone: it deduplicates, stitches, folds and counts
    #[command(after_help = "\
Example:
  KAFKA_BROKERS=k1:9092 tributary processor --data /var/lib/tributary")]
    Processor,
    /// Run the sink alone: it stores what the processor decides in ClickHouse
    #[command(after_help = "\
Example:
  KAFKA_BROKERS=k1:9092 CLICKHOUSE_URL=http://ch:8123 tributary sink --data /var/lib/tributary")]
    Sink,
    /// Create topics and tables, or bring them to what this version expects
    #[command(
        after_help = "Example:\n  KAFKA_BROKERS=k1:9092 CLICKHOUSE_URL=http://ch:8123 tributary migrate"
    )]
    Migrate,
    /// Run the local Kafka broker alone
    #[command(
        after_help = "Example:\n  TRIBUTARY__PORTS__KAFKA=19092 tributary kafka --data /tmp/try"
    )]
    Kafka,
    /// Import a CSV or NDJSON file of a till or CRM
    #[command(after_help = crate::import::EXAMPLES)]
    Import(crate::import::Options),
    /// Make a customer base whose truth is known, and send what it does
    #[command(after_help = crate::simulate::EXAMPLES)]
    Simulate(crate::simulate::Options),
    /// Check the running system against what is known otherwise
    Verify(crate::verify::Options),
    /// Tell who an identifier is, and why
    #[command(after_help = crate::explain::EXAMPLES)]
    Explain(crate::explain::Options),
    /// Correct who is who: cut, separate, pin, block, undo; and list what was entered
    #[command(after_help = crate::identity::EXAMPLES)]
    Identity(crate::identity::Options),
    /// Run the local ClickHouse engine alone, behind ClickHouse's HTTP interface
    #[command(
        name = "clickhouse",
        after_help = "\
Example:
  TRIBUTARY__PORTS__CLICKHOUSE=18123 tributary clickhouse --data /tmp/try"
    )]
    ClickHouse,
    /// Print the configuration in force, as TOML, with secrets hidden
    #[command(
        after_help = "Examples:\n  tributary config\n  TRIBUTARY__KPI__KEEP=40y tributary config --data /srv/tributary"
    )]
    Config,
}

#[derive(Debug, Args)]
pub(crate) struct All {
    /// Take free ports instead of the configured ones
    #[arg(long, value_name = "auto")]
    pub(crate) ports: Option<PortChoice>,
    /// Send a few thousand demo events through ingest
    #[arg(long)]
    pub(crate) demo: bool,
    /// Stop when the process that started this one is gone
    #[arg(long, hide = true)]
    pub(crate) end_with_parent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PortChoice {
    /// Free ones.
    Auto,
}
