//! What an event costs by how much its profile holds already, what it costs to merge two profiles, and what they take: the
//! profile and kpi stages on one core, from memory: no Kafka, no disk.
//!
//! A profile has sessions over a year, an order for every tenth. Then one of them goes on, a new one comes, and the profile
//! merges with another of its size. `BENCH_SESSIONS` sets how many sessions there are, as a list.

mod device;
mod stages;

use anyhow::{Context as _, ensure};
use device::{Device, Habit};
use stages::{Stages, profile};
use std::process::ExitCode;
use std::time::Duration;

const SESSIONS: &str = "10,1000,100000";

/// Sessions of one flush, as many as the observe stage tells in one.
const BATCH: usize = 1_000;

/// Events of a device.
const DEVICE_EVENTS: [i64; 3] = [10, 1_000, 100_000];

/// How often what is short is measured; the middle counts.
const REPEATS: usize = 101;

/// What an event in a profile that holds much may cost more than in one that holds little.
const LIMIT: f64 = 2.0;

/// What was measured of profiles of one size.
struct Measured {
    sessions: usize,
    /// In the profile stage.
    goes_on: Step,
    comes: Step,
    merged: Duration,
    longest: Duration,
    /// In the kpi stage.
    summed: Duration,
    profile_bytes: f64,
    kpi_keys: usize,
    kpi_bytes: f64,
}

/// One event more.
#[derive(Clone, Copy)]
struct Step {
    taken: Duration,
    /// What the kpi stage is told of it.
    differences: usize,
}

fn main() -> anyhow::Result<ExitCode> {
    // `cargo bench` says so; whoever lists or runs tests alone means none of this.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(ExitCode::SUCCESS);
    }
    let sizes = std::env::var("BENCH_SESSIONS").unwrap_or_else(|_| SESSIONS.to_owned());
    println!("profiles: one core, from memory\n");
    let mut all: Vec<Measured> = Vec::new();
    for size in sizes.split(',') {
        let sessions = size
            .trim()
            .parse()
            .context("BENCH_SESSIONS must be numbers, with commas between")?;
        all.push(measured(sessions)?);
    }
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let first = all.first().context("BENCH_SESSIONS names no size")?;
    for of in &all {
        let sessions = of.sessions;
        println!("a profile of {sessions} sessions");
        for (what, step, least) in [
            ("one event more in a session", of.goes_on, first.goes_on),
            ("one session more", of.comes, first.comes),
        ] {
            let (taken, least) = (micros(step.taken), micros(least.taken));
            let ratio = taken / least;
            let verdict = if ratio <= LIMIT {
                "ok"
            } else {
                "over the limit"
            };
            println!(
                "  {what:<30} {taken:>9.1} us, {ratio:>5.2}x the first size, limit {LIMIT}x: {verdict}; {} differences",
                step.differences,
            );
        }
        let each = |time: Duration| micros(time) / sessions as f64;
        println!(
            "  {:<30} {:>9.3} s, {:.1} us a session that moves; the longest flush {:.3} s; their sums {:.3} s in the kpi stage",
            "merged with one of its size",
            of.merged.as_secs_f64(),
            each(of.merged),
            of.longest.as_secs_f64(),
            of.summed.as_secs_f64(),
        );
        println!(
            "  {:<30} {:>9.0} bytes a session; {} sums in the kpi stage, {:.0} bytes each\n",
            "state", of.profile_bytes, of.kpi_keys, of.kpi_bytes,
        );
    }
    devices();
    Ok(ExitCode::SUCCESS)
}

/// What one event more costs in the observe stage by how many its device has.
fn devices() {
    println!("one event more of a device, in a flush of its own of the observe stage, us");
    println!(
        "  {:<26} {}",
        "events of the device",
        DEVICE_EVENTS.map(|events| format!("{events:>9}")).concat()
    );
    for habit in Habit::ALL {
        let mut device = Device::new(habit);
        let mut events = 0;
        let taken = DEVICE_EVENTS.map(|size| {
            while events < size {
                let more = (size - events).min(10_000);
                device.comes(more);
                events += more;
            }
            let step = repeated(|_| (device.comes(1), 0));
            events += REPEATS as i64;
            format!("{:>9.1}", step.taken.as_secs_f64() * 1e6)
        });
        println!("  {:<26} {}", habit.name(), taken.concat());
    }
}

fn measured(sessions: usize) -> anyhow::Result<Measured> {
    let mut stages = Stages::new();
    let (ann, bob) = (profile("ann"), profile("bob"));
    for (owner, name) in [(ann, "ann"), (bob, "bob")] {
        stages.identifier(owner, name);
        for begin in (0..sessions).step_by(BATCH) {
            for number in begin..sessions.min(begin + BATCH) {
                stages.session(owner, name, number, sessions, 20);
            }
            stages.fold();
            stages.sum();
        }
    }
    let profile_bytes = stages.profile_bytes() as f64 / (2 * sessions) as f64;
    let (kpi_keys, kpi_bytes) = stages.kpi_state();

    let middle = sessions / 2;
    let goes_on = repeated(|repeat| {
        stages.goes_on(ann, "ann", middle, sessions, 21 + repeat);
        stages.fold()
    });
    let comes = repeated(|repeat| {
        // Amid those that are there: what comes late costs no more.
        stages.another(ann, "ann", middle, sessions, repeat);
        stages.fold()
    });
    stages.sum();

    stages.identifier_moves(bob, ann, "bob");
    let (mut merged, mut longest, mut summed) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    for begin in (0..sessions).step_by(BATCH) {
        for number in begin..sessions.min(begin + BATCH) {
            stages.moves(bob, ann, "bob", number, sessions);
        }
        let (taken, _) = stages.fold();
        merged += taken;
        longest = longest.max(taken);
        summed += stages.sum();
    }
    let held = stages.sessions_of(ann);
    ensure!(
        held == (2 * sessions + REPEATS) as i64,
        "the merged profile has {held} sessions"
    );
    Ok(Measured {
        sessions,
        goes_on,
        comes,
        merged,
        longest,
        summed,
        profile_bytes,
        kpi_keys,
        kpi_bytes,
    })
}

/// The middle of many.
fn repeated(run: impl FnMut(i64) -> (Duration, usize)) -> Step {
    let mut steps: Vec<(Duration, usize)> = (0..REPEATS as i64).map(run).collect();
    steps.sort_unstable();
    let (taken, differences) = steps[REPEATS / 2];
    Step { taken, differences }
}
