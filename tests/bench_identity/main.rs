//! How fast and how large the graph of identities is, on one core and from memory: no Kafka, no disk.
//!
//! Customers of 20 identifiers (a user id, an address, three devices, fifteen cookies) come to be known link by link, in
//! an order that has nothing to do with whose they are. `BENCH_IDENTIFIERS` sets how many there are, as a list. Each
//! size runs in a process of its own, so that memory is its own, too.

mod shapes;
mod snapshot;
mod world;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};
use tributary_core::identity::{Graph, Rules};
use world::World;

const IDENTIFIERS: &str = "1000000";

/// Links that are taken in between two settlements: a processor's at a million links a second.
const BATCH: usize = 10_000;

const MEASURE: &str = "--measure";

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, measure, what] = arguments.as_slice()
        && measure == MEASURE
    {
        let rows = match what.parse() {
            Ok(identifiers) => grown(identifiers),
            Err(_) => shapes::rows(),
        };
        println!("{}", Value::Array(rows));
        return Ok(ExitCode::SUCCESS);
    }
    // `cargo bench` says so; whoever lists or runs tests alone means none of this.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return Ok(ExitCode::SUCCESS);
    }
    let sizes = std::env::var("BENCH_IDENTIFIERS").unwrap_or_else(|_| IDENTIFIERS.to_owned());
    println!("graph of identities: one core, from memory\n");
    for size in sizes.split(',') {
        let size: usize = size
            .trim()
            .parse()
            .context("BENCH_IDENTIFIERS must be numbers, with commas between")?;
        print(&measured(&size.to_string())?);
    }
    print(&measured("shapes")?);
    Ok(ExitCode::SUCCESS)
}

/// What a process of its own measures.
fn measured(what: &str) -> anyhow::Result<Vec<Value>> {
    let output = Command::new(std::env::current_exe()?)
        .args([MEASURE, what])
        .output()?;
    if !output.status.success() {
        bail!(
            "measuring {what} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn print(rows: &[Value]) {
    for row in rows {
        println!(
            "{:<64} {:>14} {:<12} {}",
            row["what"].as_str().unwrap_or_default(),
            row["measured"].as_str().unwrap_or_default(),
            row["unit"].as_str().unwrap_or_default(),
            row["note"].as_str().unwrap_or_default()
        );
    }
    println!();
}

fn row(what: impl Into<String>, measured: f64, unit: &str, note: &str) -> Value {
    let measured = if measured >= 100.0 {
        format!("{measured:.0}")
    } else {
        format!("{measured:.3}")
    };
    json!({"what": what.into(), "measured": measured, "unit": unit, "note": note})
}

/// A graph of that many identifiers.
fn grown(identifiers: usize) -> Vec<Value> {
    let world = World::of(identifiers);
    let before = resident();
    let mut graph = Graph::new("bench", Rules::default());
    let source = graph.source("web");
    let (mut taken, mut longest) = (Duration::ZERO, Duration::ZERO);
    let mut batch = Vec::with_capacity(BATCH);
    let mut links = world.links().peekable();
    let mut moved = 0;
    while links.peek().is_some() {
        batch.clear();
        batch.extend(links.by_ref().take(BATCH));
        let begin = Instant::now();
        for link in &batch {
            link.observe(&mut graph, source);
        }
        moved += graph.settle().moved;
        taken += begin.elapsed();
        longest = longest.max(begin.elapsed());
    }
    // The batch's own texts are of the world, not of the graph.
    drop(batch);
    let bytes = resident().saturating_sub(before) as f64;
    let (count, known) = (graph.links() as f64, graph.identifiers() as f64);
    let name = format!("{known} identifiers");

    let mut again = Duration::ZERO;
    let mut batch: Vec<_> = world.links().take(BATCH).collect();
    let repeats = batch.len();
    for link in &mut batch {
        link.last_day += 1;
    }
    let begin = Instant::now();
    for link in &batch {
        link.observe(&mut graph, source);
    }
    let changes = graph.settle();
    again += begin.elapsed();
    let profiles: std::collections::HashSet<_> =
        graph.all_nodes().map(|node| graph.root(node)).collect();
    assert_eq!(
        profiles.len(),
        world.people(),
        "the graph is not who is who"
    );
    drop(profiles);

    let snapshot = snapshot::measured(&mut graph);
    drop(graph);

    let begin = Instant::now();
    let mut replayed = Graph::new("bench", Rules::default());
    let source = replayed.source("web");
    for link in world.links() {
        link.observe(&mut replayed, source);
    }
    replayed.settle();
    let replay = begin.elapsed();
    let logged: usize = world.links().map(|link| link.logged()).sum();
    vec![
        row(
            format!("{name}: new links"),
            count / taken.as_secs_f64(),
            "links/s",
            &format!("in batches of {BATCH}; {moved} identifiers came to another customer"),
        ),
        row(
            format!("{name}: longest batch"),
            longest.as_secs_f64() * 1e3,
            "ms",
            "goes with a growing table's copy",
        ),
        row(
            format!("{name}: links seen on another day"),
            repeats as f64 / again.as_secs_f64(),
            "links/s",
            &format!("{} identifiers change", changes.identifiers.len()),
        ),
        row(
            format!("{name}: memory"),
            bytes / known,
            "B/identifier",
            &format!("{:.2} links each, all included; goal 100", count / known),
        ),
        row(
            format!("{name}: links log"),
            logged as f64 / known,
            "B/identifier",
            "keys and values of a record a link, before compression",
        ),
        row(
            format!("{name}: all links again, settled once"),
            replay.as_secs_f64(),
            "s",
            "what a start without a snapshot costs beside reading the log",
        ),
        row(
            format!("{name}: snapshot written"),
            snapshot.written.as_secs_f64(),
            "s",
            &format!(
                "{:.0} MB, in parts beside the work; the longest took {:.1} ms",
                snapshot.bytes as f64 / 1e6,
                snapshot.longest.as_secs_f64() * 1e3
            ),
        ),
        row(
            format!("{name}: snapshot read back"),
            snapshot.read.as_secs_f64(),
            "s",
            "what a start costs beside what the log has since",
        ),
    ]
}

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
