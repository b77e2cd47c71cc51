//! `tributary simulate`: a customer base whose truth is known, and what it does.
//!
//! ```text
//! seed ─> people (devices, browsers, households) ─> world (sessions, in order of arrival) ─┬─> ingest, or a file
//!                                                                                         └─> truth: who did it
//! ```

mod dice;
mod output;
mod people;
mod world;

use crate::exit::Failure;
use output::{Output, Pace, Truth};
use std::path::PathBuf;
use tributary_core::time::DAY;
use tributary_platform::config::Config;
use world::{Settings, World};

/// What the command line says.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// How many people there are
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    people: u64,
    /// How many days they are watched
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(i64).range(1..=3_650))]
    days: i64,
    /// In how many of 100 visits somebody logs in
    #[arg(long, value_name = "PERCENT", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=100))]
    login_rate: u64,
    /// The same seed makes the same events, byte for byte, if --until is the same
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The day on which they end, in UTC [default: today]
    #[arg(long, value_name = "DATE")]
    until: Option<jiff::civil::Date>,
    /// Write the events to this file, one JSON object a line (- is standard output), and send nothing
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Write who did what to this file, one JSON object an event
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// At most so many events a second
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Ingest's URL [default: that of the running system]
    #[arg(long, value_name = "URL", requires = "write_key")]
    ingest: Option<String>,
    /// The source's write key [default: that of the running system]
    #[arg(long, value_name = "KEY")]
    write_key: Option<String>,
}

/// Examples for the help.
pub(crate) const EXAMPLES: &str = "\
Examples:
  tributary simulate --people 2000 --days 90 --truth truth.ndjson
  tributary simulate --rate 500 --login-rate 15
  tributary simulate --events events.ndjson --truth truth.ndjson --until 2026-11-01 --seed 7

People have 1 to 6 devices with 1 to 3 browsers, whose cookies are cleared: 19 a person and year. They share tablets,
use kiosks and tills, click in e-mails, log in now and then, change their address; some clocks are wrong, some events
come late or twice, some identifiers are junk.
Exit codes: 0 done, 1 ingest does not take the events or a file cannot be written, 2 wrong usage.";

/// Makes the world and sends it.
pub(crate) fn run(options: &Options, config: &Config) -> Result<(), Failure> {
    let until = options
        .until
        .unwrap_or_else(|| {
            jiff::Timestamp::now()
                .to_zoned(jiff::tz::TimeZone::UTC)
                .date()
        })
        .to_zoned(jiff::tz::TimeZone::UTC)
        .map_err(|error| Failure::usage(format!("--until: {error}")))?
        .timestamp()
        .as_millisecond();
    let settings = Settings {
        people: options.people,
        days: options.days,
        login_percent: options.login_rate,
        seed: options.seed,
        until,
    };
    let mut output = Output::open(
        options.events.as_deref(),
        options.ingest.as_deref(),
        options.write_key.as_deref(),
        config,
    )?;
    let mut truth = options.truth.as_deref().map(Truth::create).transpose()?;
    let mut pace = options.rate.map(Pace::new);
    let bar = indicatif::ProgressBar::new(options.days.unsigned_abs()).with_style(
        indicatif::ProgressStyle::with_template("{bar:30} day {pos} of {len}, {msg}, {eta} left")
            .map_err(Failure::failed)?,
    );
    let start = until - options.days * DAY;
    let mut events = 0_u64;
    for event in World::new(settings) {
        if let Some(pace) = &mut pace {
            pace.wait();
        }
        events += 1;
        if events.is_multiple_of(500) {
            bar.set_position(((event.time - start) / DAY).max(0).unsigned_abs());
            bar.set_message(format!("{events} events"));
        }
        if let Some(truth) = &mut truth {
            truth.add(&event)?;
        }
        output.add(&event)?;
    }
    output.finish()?;
    if let Some(truth) = truth {
        truth.finish()?;
    }
    bar.finish_and_clear();
    eprintln!(
        "{events} events of {} people over {} days",
        options.people, options.days
    );
    Ok(())
}
