//! One binary: services and jobs.
//!
//! `main` reads the configuration, sets up logs and a runtime, runs one command and turns its end into an exit code.
//! What a command is made of is in `compose`, and for everything on one machine in `all`.

mod all;
mod cli;
mod clickhouse;
mod compose;
mod exit;
mod explain;
mod identity;
mod import;
mod moment;
mod simulate;
mod verify;
mod workspace;

use clap::Parser;
use cli::{Cli, Command};
use compose::Part;
use exit::Failure;
use std::process::ExitCode;
use tributary_platform::telemetry;

fn main() -> ExitCode {
    // Wrong usage exits with 2 and help with 0, both within.
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let config = cli.common.load()?;
    match cli.command {
        Command::Config => {
            print!("{}", config.to_toml());
            Ok(())
        }
        Command::Kafka => {
            telemetry::init(&config.telemetry)?;
            compose::kafka::run(&config)
        }
        Command::Ingest => compose::service::run(Part::Ingest, config),
        Command::Processor => compose::service::run(Part::Processor, config),
        Command::Sink => compose::service::run(Part::Sink, config),
        Command::Migrate => {
            telemetry::init(&config.telemetry)?;
            compose::migrate::run(config)
        }
        Command::Simulate(options) => simulate::run(&options, &config),
        Command::Verify(options) => verify::run(&options, &config),
        Command::Import(options) => import::run(&options, &config),
        Command::Explain(options) => explain::run(&options, &config),
        Command::Identity(options) => identity::run(&options, &config),
        Command::ClickHouse => {
            telemetry::init(&config.telemetry)?;
            compose::clickhouse::run(&config)
        }
        Command::All(options) => all::run(&cli.common, &options, config),
    }
}
