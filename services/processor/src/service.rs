//! The composition of the processor: which stages run, set up by which part of the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use prometheus::{IntCounter, IntGauge};
use tributary_core::kpi::{Dimension, Window};
use tributary_platform::admin_http::Readiness;
use tributary_platform::config::{Compression, Config};
use tributary_platform::lifecycle::Scope;
use tributary_platform::memory;
use tributary_platform::metrics::Metrics;

use crate::observe::{Counts, CountsSink, Observe};
use crate::runtime::{self, Factory, RuntimeMetrics};
use crate::values::Limits;
use crate::{kpi, observe, once, profile, rules};

/// Events of an average timeline, by which `processor.cached_timelines` becomes a number of events.
const EVENTS_PER_TIMELINE: usize = 20;

/// Differences of an average profile, by which `processor.cached_profiles` becomes a number of differences.
const DIFFERENCES_PER_PROFILE: usize = 16;

/// Starts the four stages, each on a thread of `scope`; they stop when it does, after a last commit and checkpoint.
/// Readiness gets a check of each stage: whether it has its partitions, and its state restored.
///
/// `instance` names this process among all processors, for ever.
///
/// # Errors
/// When a thread cannot be started. An unreachable Kafka is none: the stages wait for it.
pub fn start(
    config: &Config,
    instance: &str,
    scope: &Scope,
    metrics: &Metrics,
    readiness: &Readiness,
) -> std::io::Result<()> {
    memory::keep_freed();
    let processor = &config.processor;
    let options = runtime::Options {
        kafka: config.kafka.clone(),
        folder: config.data.join("processor"),
        instance: instance.to_owned(),
        commit_interval: processor.commit_interval,
        max_batch: processor.max_batch,
        checkpoint_interval: processor.checkpoint_interval,
        snapshot_interval: processor.snapshot_interval,
        cache_bytes: processor.cache_bytes,
        session_timeout: processor.session_timeout,
        transaction_timeout: processor.transaction_timeout,
        // Between stages of one machine compression is the dearest part of a hop.
        compression: Compression::None,
    };
    let metrics_of_stages = RuntimeMetrics::new(metrics);
    for (name, factory) in factories(config, metrics) {
        runtime::spawn(
            name,
            factory,
            &options,
            scope,
            &metrics_of_stages,
            readiness,
        )?;
    }
    Ok(())
}

fn factories(config: &Config, metrics: &Metrics) -> [(&'static str, Factory); 4] {
    let dimensions = config.kpi.dimensions.iter();
    let dimensions: Vec<Dimension> = dimensions
        .filter_map(|name| Dimension::named(name))
        .collect();
    let limits = Limits::new(config.kpi.max_values, &config.kpi.first_values, &dimensions);
    let settings = observe::Settings {
        rules: config
            .workspaces
            .iter()
            .map(|workspace| {
                let rules = rules::configured(workspace, &config.sources);
                (workspace.name.clone(), rules)
            })
            .collect(),
        goals: config.kpi.goals.clone(),
        limits: limits.clone(),
        out_of_orderness: i64::try_from(config.processor.out_of_orderness.as_millis())
            .unwrap_or(i64::MAX),
        page: observe::Settings::PAGE,
        cached_events: config.processor.cached_timelines * EVENTS_PER_TIMELINE,
        slice: observe::Settings::SLICE,
        links: observe::Settings::LINKS,
    };
    let observed = ObserveMetrics::new(metrics);
    let profiles = profile::Options {
        slice: profile::Options::SLICE,
        cached_profiles: config.processor.cached_profiles,
        goals: config.kpi.goals.keys().cloned().collect(),
        customer_days: config.kpi.customer_days,
        qualifying: qualifying(config),
        prefetched_opens: config.kpi.prefetched_opens,
        traits: config.traits.clone(),
        attitudes: (config.kpi.attitude.low, config.kpi.attitude.high),
        dimensions,
        currencies: config
            .workspaces
            .iter()
            .map(|workspace| (workspace.name.clone(), workspace.currency.clone()))
            .collect(),
    };
    let kpis = kpi::Options {
        keep: Window::ALL.map(|window| {
            i64::try_from(config.kpi.keep.window(window.name()).as_millis()).unwrap_or(i64::MAX)
        }),
        cached_differences: config.processor.cached_profiles * DIFFERENCES_PER_PROFILE,
        limits,
    };
    let buzz = metrics.gauge_vec(
        "tributary_processor_bad_buzz",
        "1 where negative mentions of the last hour are more than usual, until they are not. Alert on 1.",
        &["workspace"],
    );
    let overflow = metrics.gauge_vec(
        "tributary_processor_dimension_overflow",
        "1 where a dimension has more values than kpi.max_values, so that the rest is counted as `other`. Alert on 1.",
        &["workspace", "dimension"],
    );
    let report: kpi::Report = Arc::new(move |reported| match reported {
        kpi::Reported::BadBuzz(workspace, is_raised) => {
            let gauge = buzz.with_label_values(&[workspace]);
            gauge.set(i64::from(is_raised));
        }
        kpi::Reported::Overflow(workspace, dimension) => {
            overflow.with_label_values(&[workspace, dimension]).set(1);
        }
    });
    [
        (
            "observe",
            Arc::new(move || Box::new(Observe::new(settings.clone(), observed.sink()))),
        ),
        ("once", Arc::new(|| Box::new(once::Stage::new()))),
        (
            "profile",
            Arc::new(move || Box::new(profile::Stage::new(profiles.clone()))),
        ),
        (
            "kpi",
            Arc::new(move || Box::new(kpi::Stage::new(kpis.clone(), report.clone()))),
        ),
    ]
}

/// Sources that say of each lead whether it is qualified, by workspace.
fn qualifying(config: &Config) -> BTreeMap<Box<str>, BTreeSet<Box<str>>> {
    let mut sources: BTreeMap<Box<str>, BTreeSet<Box<str>>> = BTreeMap::new();
    for source in config
        .sources
        .iter()
        .filter(|source| source.qualifies_leads)
    {
        let of_workspace = sources.entry(source.workspace.as_str().into()).or_default();
        of_workspace.insert(source.name.as_str().into());
    }
    sources
}

/// What operations sees of stitching.
#[derive(Clone)]
struct ObserveMetrics {
    stored: IntCounter,
    duplicates: IntCounter,
    conflicts: IntCounter,
    ambiguous: IntCounter,
    late: IntCounter,
    links: IntCounter,
    moved: IntCounter,
    refusals: IntGauge,
    identifiers: IntGauge,
}

impl ObserveMetrics {
    fn new(metrics: &Metrics) -> Self {
        let events = metrics.counter_vec(
            "tributary_processor_events_total",
            "Touchpoints by outcome: stored, duplicate, or conflicting duplicate (a known message id with other content; alert on a rise).",
            &["outcome"],
        );
        Self {
            stored: events.with_label_values(&["stored"]),
            duplicates: events.with_label_values(&["duplicate"]),
            conflicts: events.with_label_values(&["conflicting_duplicate"]),
            ambiguous: metrics.counter(
                "tributary_processor_ambiguous_events_total",
                "Touchpoints with two person identifiers of one type, such as two user ids: which of them acted is a guess.",
            ),
            late: metrics.counter(
                "tributary_processor_late_events_total",
                "Touchpoints that came after their partition's watermark had passed them: they correct what was published.",
            ),
            links: metrics.counter(
                "tributary_processor_links_total",
                "Changes of links that were told to the links log.",
            ),
            moved: metrics.counter(
                "tributary_processor_identifiers_moved_total",
                "Identifiers that came to another profile than they had: merges, renames and splits.",
            ),
            refusals: metrics.gauge(
                "tributary_processor_refused_links",
                "Links that join nobody because of a rule, as told by this process since it started.",
            ),
            identifiers: metrics.gauge("tributary_processor_identifiers", "Identifiers in the graph."),
        }
    }

    /// Counts of one life of the stage, which begin at zero, added to those of the process.
    fn sink(&self) -> CountsSink {
        let (metrics, last) = (self.clone(), std::sync::Mutex::new(Counts::default()));
        Arc::new(move |counts: &Counts| {
            let Ok(mut last) = last.lock() else { return };
            metrics.stored.inc_by(counts.stored - last.stored);
            metrics
                .duplicates
                .inc_by(counts.duplicates - last.duplicates);
            metrics.conflicts.inc_by(counts.conflicts - last.conflicts);
            metrics.ambiguous.inc_by(counts.ambiguous - last.ambiguous);
            metrics.late.inc_by(counts.late - last.late);
            metrics.links.inc_by(counts.links - last.links);
            metrics.moved.inc_by(counts.moved - last.moved);
            metrics.refusals.add(counts.refusals - last.refusals);
            metrics
                .identifiers
                .set(i64::try_from(counts.identifiers).unwrap_or(i64::MAX));
            *last = *counts;
        })
    }
}
