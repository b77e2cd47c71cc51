//! How long the queries of the documentation take over many touchpoints, on the engine of a running system: its tables are
//! filled with a made-up shop by SQL, since what a query costs does not depend on how the rows came.
//!
//! `BENCH_TOUCHPOINTS` says how many there are. The engine's time is measured, without the client's.

use anyhow::{Context as _, bail, ensure};
use std::time::{Duration, Instant};
use tributary_tests::client::Client;
use tributary_tests::{Settings, System, release_binary};

const TOUCHPOINTS: &str = "1000000";
/// Of a visit, and visits of a customer.
const OF_A_VISIT: u64 = 4;
const OF_A_CUSTOMER: u64 = 5;
/// Visits that are filled in at once, so that no statement takes long.
const AT_ONCE: u64 = 250_000;
/// The best of so many counts: others use the machine, too.
const TIMES: usize = 3;
const GOAL: Duration = Duration::from_secs(1);
const FILL: &str = include_str!("fill.sql");
const PAGE: &str = include_str!("../../services/QUERIES.md");

fn main() -> anyhow::Result<()> {
    // `cargo bench` says so; whoever lists or runs tests alone means none of this.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let touchpoints: u64 = std::env::var("BENCH_TOUCHPOINTS")
        .unwrap_or_else(|_| TOUCHPOINTS.to_owned())
        .parse()
        .context("BENCH_TOUCHPOINTS must be a number")?;
    let binary = release_binary()?;
    let binary = binary.to_str().context("the folder's name is UTF-8")?;
    let mut system = System::start(Settings::new(binary, 1, ""));
    let engine = Engine {
        client: Client::default(),
        url: format!("{}/?database=tributary", system.endpoint("clickhouse")),
    };
    let filled = Instant::now();
    fill(&engine, touchpoints)?;
    println!(
        "queries: {} touchpoints, filled in {:.0} s; the best of {TIMES} times; goal {} ms\n",
        engine.ask("SELECT count() FROM touchpoints", &[])?.trim(),
        filled.elapsed().as_secs_f64(),
        GOAL.as_millis()
    );
    let mut over = 0;
    for (question, query) in questions() {
        let mut best = Duration::MAX;
        for _ in 0..TIMES {
            let begin = Instant::now();
            let answer = engine.ask(query, &[])?;
            best = best.min(begin.elapsed());
            ensure!(!answer.is_empty(), "no answer: {question}");
        }
        over += usize::from(best > GOAL);
        let mark = if best > GOAL { "  over the goal" } else { "" };
        println!("{:>6.0} ms  {question}{mark}", best.as_secs_f64() * 1e3);
    }
    println!("\n{over} of {} over the goal", questions().count());
    verify(&system)?;
    system.stop();
    Ok(())
}

/// What it takes to compute every KPI from the touchpoints, for one mark of each window. No stream has told any, so all
/// that there is are differences.
fn verify(system: &System) -> anyhow::Result<()> {
    let begin = Instant::now();
    let now = jiff::Timestamp::now().to_string();
    let output = system.job(&["verify", "kpis", "--at", &now]);
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(3), "verify kpis: {said}");
    let elapsed = begin.elapsed().as_secs_f64();
    println!("verify kpis --at now: {elapsed:.0} s");
    Ok(())
}

/// The questions of the documentation, with their queries.
fn questions() -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut before = "";
    PAGE.split("```")
        .enumerate()
        .filter_map(move |(place, part)| {
            if place % 2 == 0 {
                before = part.trim().lines().next_back().unwrap_or_default();
                return None;
            }
            Some((before, part.strip_prefix("sql\n")?))
        })
}

fn fill(engine: &Engine, touchpoints: u64) -> anyhow::Result<()> {
    let visits = touchpoints / OF_A_VISIT;
    let now = jiff::Timestamp::now().as_second().to_string();
    let customers = (visits / OF_A_CUSTOMER).to_string();
    let kpis: Vec<&str> = tributary_core::kpi::Kpi::ALL
        .iter()
        .map(|kpi| kpi.slug())
        .collect();
    let kpis = kpis.join("%20");
    let statements = FILL
        .split(";\n")
        .map(str::trim)
        .filter(|statement| !statement.is_empty());
    for statement in statements {
        let is_once = !statement.contains("{first:");
        let mut first = 0;
        while first < visits {
            let count = if is_once {
                visits
            } else {
                AT_ONCE.min(visits - first)
            };
            let (from, many) = (first.to_string(), count.to_string());
            let all = [
                ("first", from.as_str()),
                ("count", &many),
                ("now", &now),
                ("customers", &customers),
                ("kpis", &kpis),
            ];
            engine
                .ask(statement, &all)
                .with_context(|| statement.chars().take(60).collect::<String>())?;
            first += count;
        }
    }
    Ok(())
}

struct Engine {
    client: Client,
    url: String,
}

impl Engine {
    fn ask(&self, sql: &str, parameters: &[(&str, &str)]) -> anyhow::Result<String> {
        let parameters = parameters
            .iter()
            .map(|(name, value)| format!("&param_{name}={value}"));
        let url = parameters.fold(self.url.clone(), |url, parameter| url + &parameter);
        let answer = self.client.post(&url, &[], sql.as_bytes());
        let answer = answer.map_err(anyhow::Error::msg)?;
        match answer.status {
            200 => Ok(answer.body),
            status => bail!("ClickHouse answers {status}: {}", answer.body),
        }
    }
}
