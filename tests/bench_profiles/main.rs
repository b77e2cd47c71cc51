//! What an event costs by how much its profile holds already, what it costs to merge two profiles, and what they take: the
//! profile and kpi stages on one core, from memory: no Kafka, no disk.
//!
//! A profile has sessions over a year, an order for every tenth. Then one of them goes on, a new one comes, and the profile
//! merges with another of its size. `BENCH_SESSIONS` sets how many sessions there are, as a list.

mod stages;

use anyhow::{Context as _, ensure};
use stages::{Stages, profile};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const SESSIONS: &str = "10,1000,100000";

/// Sessions of one flush while a profile grows.
const BATCH: usize = 1_000;

/// How often what is short is measured; the middle counts.
const REPEATS: usize = 101;

/// What an event in a profile that holds much may cost more than in one that holds little.
const LIMIT: f64 = 2.0;

/// What was measured of profiles of one size.
struct Measured {
    sessions: usize,
    /// One event more in a session, and a session more: in the profile stage, and in both.
    goes_on: [Duration; 2],
    comes: [Duration; 2],
    /// Differences that one event more sends to the kpi stage, and that a session more sends.
    differences: [f64; 2],
    merged: [Duration; 2],
    profile_bytes: f64,
    kpi_keys: usize,
    kpi_bytes: f64,
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
    let (least_goes_on, least_comes) = (micros(first.goes_on[1]), micros(first.comes[1]));
    for Measured {
        sessions,
        goes_on,
        comes,
        differences,
        merged,
        profile_bytes,
        kpi_keys,
        kpi_bytes,
    } in &all
    {
        println!("a profile of {sessions} sessions");
        for (what, times, least, differences) in [
            (
                "one event more in a session",
                goes_on,
                least_goes_on,
                differences[0],
            ),
            ("one session more", comes, least_comes, differences[1]),
        ] {
            let both = micros(times[1]);
            let ratio = both / least;
            let verdict = if ratio <= LIMIT {
                "ok"
            } else {
                "over the limit"
            };
            println!(
                "  {what:<30} {:>9.1} us in profile, {both:>9.1} us with kpi; {ratio:>5.2}x the first size, limit {LIMIT}x: {verdict}; {differences:.0} differences",
                micros(times[0]),
            );
        }
        let each = |time: Duration| micros(time) / *sessions as f64;
        println!(
            "  {:<30} {:>9.3} s in profile, {:>9.3} s with kpi; {:.1} us and {:.1} us a session that moves",
            "merged with one of its size",
            merged[0].as_secs_f64(),
            merged[1].as_secs_f64(),
            each(merged[0]),
            each(merged[1]),
        );
        println!(
            "  {:<30} {profile_bytes:>9.0} bytes a session in profile; {kpi_keys} KPI keys of {kpi_bytes:.0} bytes each\n",
            "state",
        );
    }
    Ok(ExitCode::SUCCESS)
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
            stages.flush();
        }
    }
    stages.settle();
    let profile_bytes = stages.profile_bytes() as f64 / (2 * sessions) as f64;
    let (kpi_keys, kpi_bytes) = stages.kpi_state();

    let middle = sessions / 2;
    let mut differences = [0.0; 2];
    let goes_on = repeated(|repeat| {
        stages.session(ann, "ann", middle, sessions, 21 + repeat);
        let (times, sent) = stages.flush();
        differences[0] = sent as f64;
        times
    });
    let comes = repeated(|repeat| {
        // Where a later one is, too: what comes late costs no more.
        stages.another(ann, "ann", middle, sessions, repeat);
        let (times, sent) = stages.flush();
        differences[1] = sent as f64;
        times
    });
    stages.settle();

    for number in 0..sessions {
        stages.moves(bob, ann, "bob", number, sessions);
    }
    stages.identifier_moves(bob, ann, "bob");
    let begin = Instant::now();
    let (times, _) = stages.flush();
    stages.settle();
    let merged = [times[0], begin.elapsed()];
    let held = stages.sessions_of(ann);
    ensure!(
        held == (2 * sessions + REPEATS) as i64,
        "the merged profile has {held} sessions"
    );
    Ok(Measured {
        sessions,
        goes_on,
        comes,
        differences,
        merged,
        profile_bytes,
        kpi_keys,
        kpi_bytes,
    })
}

/// The middle of many, of each of the two times.
fn repeated(mut run: impl FnMut(i64) -> [Duration; 2]) -> [Duration; 2] {
    let mut times: Vec<[Duration; 2]> = (0..REPEATS as i64).map(&mut run).collect();
    [0, 1].map(|which| {
        times.sort_unstable_by_key(|times| times[which]);
        times[REPEATS / 2][which]
    })
}
