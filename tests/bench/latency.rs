//! From the 200 to the row, with everything running under load.

use crate::load::{Acknowledged, Load, Plan};
use crate::report::Row;
use crate::{Bench, ingest, usage};
use anyhow::{Context as _, bail};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tributary_tests::{System, process};

const WARM_UP: Duration = Duration::from_secs(8);
const MEASURED: Duration = Duration::from_secs(30);
/// What is sent last has this long.
const PATIENCE: Duration = Duration::from_secs(30);
/// Samples a second, in a workspace of their own: so looking for one reads few rows.
const SAMPLES: f64 = 20.0;
/// Between two looks, which is how exact a sample is; each costs the engine some milliseconds, which others then lack.
const POLL: Duration = Duration::from_millis(50);
const CONNECTIONS: u32 = 256;
/// Sent as fast as it is taken, to see how much that is.
const CAPACITY_EVENTS: u64 = 60_000;
const CAPACITY_WITHIN: Duration = Duration::from_secs(60);
const CAPACITY_FROM: u64 = 6_000_000_000;
const LOAD_FROM: u64 = 4_000_000_000;
const SAMPLES_FROM: u64 = 5_000_000_000;
/// The p99, in milliseconds.
const GOAL: f64 = 2000.0;

pub(crate) fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    bench.step("everything running: how much it takes in");
    let mut system = System::start(bench.base.settings("benchall")?);
    let address: SocketAddr = system
        .endpoint("ingest")
        .trim_start_matches("http://")
        .parse()?;
    let load = Plan {
        address,
        write_key: "w0-web".to_owned(),
        connections: CONNECTIONS,
        events_a_request: 1,
        pace: None,
        first: CAPACITY_FROM,
        schedule: ingest::now_schedule(),
        acknowledged: None,
    };
    let capacity = capacity(&system, load.clone())?;
    bench.report.add(
        Row::new("everything: events/s until settled", "/s", capacity).noted(format!(
            "{CAPACITY_EVENTS} single requests, sender and broker on this machine too"
        )),
    );
    let rate = match std::env::var("BENCH_RATE") {
        Ok(rate) => rate.parse().context("BENCH_RATE must be a number")?,
        Err(_) => capacity / 2.0,
    };
    bench.step(&format!(
        "latency: everything running at {rate:.0} events/s"
    ));
    let pending: Arc<Mutex<BTreeMap<u64, Instant>>> = Arc::default();
    let noted = Arc::clone(&pending);
    let acknowledged: Acknowledged = Arc::new(move |number| {
        noted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(number, Instant::now());
    });
    let load = Plan {
        pace: Some(rate),
        first: LOAD_FROM,
        ..load
    };
    let samples = Plan {
        write_key: "w1-web".to_owned(),
        connections: 4,
        pace: Some(SAMPLES),
        first: SAMPLES_FROM,
        acknowledged: Some(acknowledged),
        ..load.clone()
    };
    let load = Load::start(load)?;
    std::thread::sleep(WARM_UP);
    let processes = [
        ("all services", services(&system)?),
        ("Kafka's JVM", bench.base.broker_pid()),
        ("ClickHouse engine", bench.base.engine.pid()),
        ("sender", std::process::id()),
    ];
    let cpu = || processes.map(|(_, pid)| usage::cpu(pid).unwrap_or_default());
    let (begin, before, busy) = (Instant::now(), load.acknowledged(), cpu());
    let samples = Load::start(samples)?;
    let mut times = Vec::new();
    while begin.elapsed() < MEASURED {
        look(bench, &pending, &mut times)?;
    }
    let seconds = begin.elapsed().as_secs_f64();
    let sent = (load.acknowledged() - before) as f64 / seconds;
    let busy = std::array::from_fn::<f64, 4, _>(|index| {
        (cpu()[index] - busy[index]).as_secs_f64() / seconds
    });
    samples.stop()?;
    load.stop()?;
    let end = Instant::now();
    while !pending
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .is_empty()
    {
        if end.elapsed() > PATIENCE {
            bail!(
                "{} rows did not come within {PATIENCE:?}",
                pending.lock().unwrap_or_else(PoisonError::into_inner).len()
            );
        }
        look(bench, &pending, &mut times)?;
    }
    let resident = usage::resident(services(&system)?);
    bench
        .memory
        .push(("all services in one process".to_owned(), resident));
    system.stop();

    times.sort_unstable();
    let percentile = |part: f64| {
        let index = ((times.len() as f64 * part).ceil() as usize).clamp(1, times.len()) - 1;
        times[index].as_secs_f64() * 1e3
    };
    if times.is_empty() {
        bail!("nothing was acknowledged");
    }
    let note = format!(
        "{} samples beside {sent:.0} events/s (wanted {rate:.0})",
        times.len()
    );
    bench
        .report
        .add(Row::new("from the 200 to the row: p50", "ms", percentile(0.5)).noted(note));
    bench
        .report
        .add(Row::new("from the 200 to the row: p99", "ms", percentile(0.99)).limit(GOAL, "goal"));
    bench.report.add(Row::new(
        "from the 200 to the row: longest",
        "ms",
        percentile(1.0),
    ));
    for ((name, _), cores) in processes.iter().zip(busy) {
        bench
            .report
            .add(Row::new(format!("meanwhile, {name}"), "cores", cores));
    }
    Ok(())
}

/// Events a second, from the first request until all stages and the sink are done with the last.
fn capacity(system: &System, plan: Plan) -> anyhow::Result<f64> {
    let begin = Instant::now();
    let load = Load::start(plan)?;
    while load.acknowledged() < CAPACITY_EVENTS && begin.elapsed() < CAPACITY_WITHIN {
        std::thread::sleep(POLL);
    }
    let sent = load.acknowledged();
    load.stop()?;
    system.settled();
    Ok(sent as f64 / begin.elapsed().as_secs_f64())
}

/// The process that runs ingest, processor and sink.
fn services(system: &System) -> anyhow::Result<u32> {
    let all = process::of_folder(&system.data())
        .into_iter()
        .find(|process| process.arguments.get(1).is_some_and(|role| role == "all"));
    let all = all.context("`tributary all` has ended")?;
    Ok(all.pid.cast_unsigned())
}

/// Takes the time of those that have come.
fn look(
    bench: &Bench,
    pending: &Mutex<BTreeMap<u64, Instant>>,
    times: &mut Vec<Duration>,
) -> anyhow::Result<()> {
    std::thread::sleep(POLL);
    let wanted: Vec<String> = {
        let pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending
            .keys()
            .map(|number| format!("'bench-{number:010}'"))
            .collect()
    };
    if wanted.is_empty() {
        return Ok(());
    }
    let wanted = wanted.join(",");
    let found = bench.base.sql(&format!(
        "SELECT message_id FROM benchall.touchpoints WHERE workspace = 'w1' AND message_id IN ({wanted}) FORMAT TSV"
    ))?;
    let now = Instant::now();
    let mut pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
    let numbers = found.lines().filter_map(crate::events::number);
    times.extend(
        numbers
            .filter_map(|number| pending.remove(&number))
            .map(|since| now - since),
    );
    Ok(())
}
