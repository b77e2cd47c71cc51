//! How fast Tributary is on this machine, beside the bare parts doing the same work.
//!
//! ```text
//! events ─> ingest ─> touchpoints ─┬─> processor        each beside bare librdkafka, decode and engine
//!                                  └─> resolved ─> sink
//! `tributary all`: how much it takes in, and from the 200 to the row under half of that
//! ```
//!
//! CPU times are what is judged: they are the same whoever else uses the machine, more or less; rates are not. A figure
//! over its limit is said to be, and fails nothing; what cannot be measured does. `BENCH_EVENTS` sets the backlog's
//! size, `BENCH_RATE` the load of the last part, `BENCH_PARTS` which parts run beside the first, which makes the
//! events: `processor,sink,latency` if it is not set.

mod events;
mod ingest;
mod kafka;
mod latency;
mod load;
mod machine;
mod parts;
mod processor;
mod report;
mod sink;
mod usage;

use anyhow::{Context as _, bail};
use kafka::Record;
use machine::Machine;
use parts::Base;
use report::{Report, Row};
use serde_json::json;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

const BACKLOG: u64 = 200_000;
const PARTS: &str = "processor,sink,latency";

/// What the measurements share, and what comes of them.
struct Bench {
    base: Base,
    machine: Machine,
    report: Report,
    begin: Instant,
    /// Of the backlog.
    events: u64,
    /// Resident bytes by process.
    memory: Vec<(String, u64)>,
}

impl Bench {
    fn step(&self, what: &str) {
        eprintln!("{:4.0} s  {what}", self.begin.elapsed().as_secs_f64());
    }

    /// Runs a part; what it cannot measure is told in the end.
    fn part<T>(
        &mut self,
        name: &str,
        body: impl FnOnce(&mut Bench) -> anyhow::Result<T>,
    ) -> Option<T> {
        let failure = match catch_unwind(AssertUnwindSafe(|| body(self))) {
            Ok(Ok(value)) => return Some(value),
            Ok(Err(error)) => format!("{name}: {error:#}"),
            Err(_) => format!("{name}: it panicked, see above"),
        };
        self.step(&failure);
        self.report.failed(failure);
        None
    }
}

fn main() -> anyhow::Result<ExitCode> {
    // `cargo bench` says so; whoever lists or runs tests alone means none of this.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(ExitCode::SUCCESS);
    }
    let events = match std::env::var("BENCH_EVENTS") {
        Ok(text) => text.parse().context("BENCH_EVENTS must be a number")?,
        Err(_) => BACKLOG,
    };
    let (machine, begin) = (Machine::read(), Instant::now());
    eprintln!("   0 s  starting Kafka and ClickHouse");
    let mut bench = Bench {
        base: Base::start()?,
        machine,
        report: Report::default(),
        begin,
        events,
        memory: Vec::new(),
    };
    let records: Vec<Record> = bench.part("ingest", ingest::measure).unwrap_or_default();
    let parts = std::env::var("BENCH_PARTS").unwrap_or_else(|_| PARTS.to_owned());
    for part in parts.split(',').filter(|_| !records.is_empty()) {
        match part {
            "processor" => bench.part(part, |bench| processor::measure(bench, &records)),
            "sink" => bench.part(part, |bench| sink::measure(bench, &records)),
            "latency" => bench.part(part, latency::measure),
            "" => Some(()),
            _ => bail!("BENCH_PARTS must be some of {PARTS}, not {part:?}"),
        };
    }
    conclude(bench)
}

fn conclude(mut bench: Bench) -> anyhow::Result<ExitCode> {
    let jvm = bench.base.broker_pid();
    bench
        .memory
        .push(("Kafka's JVM".to_owned(), usage::resident(jvm)));
    bench.memory.push((
        "ClickHouse engine".to_owned(),
        usage::resident(bench.base.engine.pid()),
    ));
    for (name, bytes) in std::mem::take(&mut bench.memory) {
        bench.report.add(Row::new(
            format!("resident memory: {name}"),
            "MB",
            bytes as f64 / 1e6,
        ));
    }
    let Bench {
        base,
        machine,
        report,
        begin,
        events,
        ..
    } = bench;
    let stopped = base.stop();
    let command = format!("BENCH_EVENTS={events} make bench");
    let mut document = report.json();
    document["command"] = json!(command);
    document["machine"] = machine.json();
    document["backlog_events"] = json!(events);
    document["event_bytes"] = json!(events::EVENT_BYTES);
    document["seconds"] = json!(begin.elapsed().as_secs_f64());
    let binary = tributary_tests::release_binary()?;
    let folder = binary
        .parent()
        .and_then(std::path::Path::parent)
        .context("the binary is in a target folder")?
        .join("bench");
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("speed.json");
    let text = serde_json::to_string_pretty(&document)?;
    std::fs::write(&path, format!("{text}\n"))?;
    println!("\n{text}\n");
    println!("command  {command}");
    println!("machine  {}", machine.line());
    println!(
        "events   {} bytes of JSON each, {} a session, a backlog of {events} over a day, no compression\n",
        events::EVENT_BYTES,
        events::EVENTS_A_SESSION
    );
    println!("{}", report.table());
    println!("as JSON  {}", path.display());
    stopped?;
    Ok(if report.is_complete() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
