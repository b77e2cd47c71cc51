//! `tributary identity simulate`: what other rules would make of the links that there are, without touching anything.
//!
//! ```text
//! links log ─> graph under the rules in force ──> customers, sessions, orders ─┐
//!                │ the same graph under other rules ──> the same of it ────────┴─> what differs
//! ```

mod customers;
mod effect;
mod text;

use crate::clickhouse::ClickHouse;
use crate::exit::Failure;
use customers::{Customers, Difference};
use effect::Effect;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tributary_core::identity::{Graph, Rules};
use tributary_platform::config::{Config, Inputs, Workspace};
use tributary_platform::kafka::{connect, single};
use tributary_processor::observe::Replay;
use tributary_processor::rules;

use super::TOPIC;

/// A broker that says nothing for this long is gone.
const SILENCE: Duration = Duration::from_secs(30);

/// What the command line says.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Options {
    /// A tributary.toml with other rules, of all workspaces or of this one, and with the sources that may not link
    #[arg(long, value_name = "FILE")]
    rules: PathBuf,
}

/// What is printed.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    workspace: String,
    /// Version of the rules in force; 0 where none were published.
    version: i64,
    /// The offset in the links log up to which it was read.
    links_offset: i64,
    /// Records of the log that this version of Tributary cannot read.
    unreadable: u64,
    /// The same rules: nothing would change.
    same: bool,
    identifiers: Pair<u64>,
    customers: Pair<u64>,
    hubs: Pair<u64>,
    refused_links: Pair<u64>,
    #[serde(flatten)]
    difference: Difference,
    kpis: Vec<Kpi>,
}

/// Under the rules in force, and under the others.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Pair<T> {
    before: T,
    after: T,
}

/// A KPI at its latest mark.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Kpi {
    kpi: &'static str,
    window: &'static str,
    /// Unix seconds.
    window_end: i64,
    numerator: Pair<u64>,
    /// 1 where it is a number and not a rate.
    denominator: Pair<u64>,
}

/// Replays the log under other rules, and prints what would differ.
pub(super) fn run(
    options: &Options,
    workspace: &Workspace,
    config: &Config,
    clickhouse: &ClickHouse,
    json: bool,
) -> Result<(), Failure> {
    let proposed = proposed(&options.rules, workspace)?;
    let topic = connect::topic(&config.kafka, TOPIC.0);
    let mut replay = Replay::new(&workspace.name);
    let links_offset = single::read_all(&config.kafka, &topic, TOPIC.1, SILENCE, |_, value| {
        replay.take(value);
    })
    .map_err(Failure::failed)?;
    let unreadable = replay.unreadable();
    let mut graph = replay.finish();
    let in_force = graph.rules().clone();
    let proposed = match proposed {
        Proposed::Whole(rules) => rules,
        // The file says nothing of sources, so nothing changes for them.
        Proposed::WithoutSources(rules) => Rules {
            sources_without_links: in_force.sources_without_links.clone(),
            ..rules
        },
    };
    let effect = Effect::prepare(clickhouse, &workspace.name, jiff::Timestamp::now());
    let effect = effect.map_err(Failure::failed)?;

    let measured = |graph: &mut Graph| -> Result<_, Failure> {
        // First, because touchpoints bring identifiers that have no link.
        let kpis = effect.measure(clickhouse, graph).map_err(Failure::failed)?;
        Ok((Customers::of(graph), kpis))
    };
    let (before, kpis_before) = measured(&mut graph)?;
    graph.obey(proposed.clone());
    graph.settle();
    let (after, kpis_after) = measured(&mut graph)?;

    let report = Report {
        workspace: workspace.name.clone(),
        version: in_force.version,
        links_offset,
        unreadable,
        same: in_force.say_the_same(&proposed),
        identifiers: pair(before.identifiers(), after.identifiers()),
        customers: pair(before.count(), after.count()),
        hubs: pair(before.hubs, after.hubs),
        refused_links: pair(before.refused_links, after.refused_links),
        difference: Difference::between(&graph, &before, &after),
        kpis: effect::compare(&kpis_before, &kpis_after),
    };
    if json {
        let text = serde_json::to_string_pretty(&report).map_err(Failure::failed)?;
        println!("{text}");
    } else {
        print!("{}", text::text(&report));
    }
    Ok(())
}

fn pair<T>(before: T, after: T) -> Pair<T> {
    Pair { before, after }
}

enum Proposed {
    Whole(Rules),
    WithoutSources(Rules),
}

/// The rules that a configuration file states for the workspace.
fn proposed(file: &Path, workspace: &Workspace) -> Result<Proposed, Failure> {
    let inputs = Inputs {
        file: Some(file.to_owned()),
        ..Inputs::default()
    };
    let config =
        Config::load(&inputs).map_err(|error| Failure::usage(format!("--rules: {error}")))?;
    // A file with rules alone speaks of whatever workspace is asked for.
    let stated = config
        .workspace(&workspace.name)
        .unwrap_or(&config.workspace);
    let is_its_own = config.workspace(&workspace.name).is_some();
    if !is_its_own && config.workspaces.len() > 1 {
        return Err(Failure::usage(format!(
            "--rules: {} states several workspaces, and none is called {}",
            file.display(),
            workspace.name
        )));
    }
    let of_it = Workspace {
        name: workspace.name.clone(),
        ..stated.clone()
    };
    let rules = rules::configured(&of_it, &config.sources);
    Ok(if config.sources.is_empty() {
        Proposed::WithoutSources(rules)
    } else {
        Proposed::Whole(rules)
    })
}
