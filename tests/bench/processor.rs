//! The processor on a backlog, beside a bare transactional copy of the same topic.

use crate::kafka::Record;
use crate::parts::{Scene, Service};
use crate::report::Row;
use crate::{Bench, usage};
use std::time::{Duration, Instant};

/// Commits of the bare copy.
const COMMIT_INTERVAL: Duration = Duration::from_millis(200);
const AT_MOST: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(100);
/// Stages after the first, with what they read.
const LATER_STAGES: [(&str, &str); 3] = [
    ("once", "claims"),
    ("profile", "atoms"),
    ("kpi", "contributions"),
];

pub(crate) fn measure(bench: &mut Bench, records: &[Record]) -> anyhow::Result<()> {
    let whole = bench.base.scene("benchprocessor")?;
    let alone = bench.base.scene("benchobserve")?;
    bench.step("processor: what a start costs");
    let start_up = start_up(&whole, "processor")?;
    let (copy, copy_rate) = copy(bench, &whole, records)?;

    bench.step("processor: observe alone");
    bench.base.kafka.produce(
        &alone.topic("touchpoints"),
        records,
        records.len() as u64,
        5,
    )?;
    let (observe, observe_rate) = observe_alone(bench, &alone, records.len(), start_up)?;
    bench
        .report
        .add(Row::new("processor, observe alone: events/s", "/s", observe_rate).bare(copy_rate));
    bench.report.add(
        Row::new("processor, observe alone: CPU an event", "us", observe)
            .bare(copy)
            .limit(2.0 * copy, "2x a bare transactional copy")
            .noted("the other stages are kept out of their groups; without what a start costs"),
    );

    bench.step("processor: all stages");
    let broker = bench.base.broker_cpu()?;
    let mut processor = whole.start("processor")?;
    // Asked of another process: so the asking is not part of what is measured.
    let mut asked = whole.start("ingest")?;
    let begin = until_first_commit(bench, &whole, &mut processor)?;
    until_observed(bench, &whole, &mut processor, begin)?;
    asked.until_ready()?;
    processor
        .process
        .until("all stages having read everything", AT_MOST, || {
            std::thread::sleep(POLL);
            Ok(asked.settled_stages().iter().any(|stage| stage == "kpi"))
        })?;
    let (cpu, wall) = (processor.process.cpu()?, begin.elapsed());
    let broker = bench.base.broker_cpu()? - broker;
    let per_event = |time: Duration| time.as_secs_f64() * 1e6 / records.len() as f64;
    let cost = per_event(cpu.saturating_sub(start_up));
    bench.report.add(
        Row::new(
            "processor, all stages: events/s",
            "/s",
            records.len() as f64 / wall.as_secs_f64(),
        )
        .bare(copy_rate),
    );
    bench.report.add(
        Row::new("processor, all stages: CPU an event", "us", cost)
            .bare(copy)
            .limit(5.0 * copy, "5x a bare transactional copy")
            .noted(format!(
                "broker {:.1} us; a start costs {:.2} s",
                per_event(broker),
                start_up.as_secs_f64()
            )),
    );
    let a_second = records.len() / 3_600;
    bench.report.add(
        Row::new(
            format!("processor, all stages: an hour behind at {a_second} events/s, caught up in"),
            "s",
            wall.as_secs_f64(),
        )
        .noted("beside nothing new, without the start"),
    );
    for (topic, sent) in processor.records_out()? {
        let topic = topic.rsplit('.').next().unwrap_or_default().to_owned();
        bench.report.add(Row::new(
            format!("processor, all stages: records an event to {topic}"),
            "",
            sent / records.len() as f64,
        ));
    }
    for (thread, time) in usage::by_thread(processor.process.pid()) {
        if per_event(time) >= 0.1 {
            bench.report.add(Row::new(
                format!("processor, all stages: thread {thread}"),
                "us",
                per_event(time),
            ));
        }
    }
    bench.memory.push((
        "processor".to_owned(),
        usage::resident(processor.process.pid()),
    ));
    asked.process.stop()?;
    processor.process.stop()
}

/// CPU time of a start with nothing to do.
pub(crate) fn start_up(scene: &Scene, service: &'static str) -> anyhow::Result<Duration> {
    let mut service = scene.start(service)?;
    service.until_ready()?;
    let cpu = service.process.cpu()?;
    service.process.stop()?;
    Ok(cpu)
}

/// CPU time of an event in microseconds, and events a second, of the bare copy.
fn copy(bench: &Bench, scene: &Scene, records: &[Record]) -> anyhow::Result<(f64, f64)> {
    let (kafka, topic) = (&bench.base.kafka, scene.topic("touchpoints"));
    bench.step("bare librdkafka: a transactional copy");
    kafka.produce(&topic, records, records.len() as u64, 5)?;
    kafka.create("bench.copy")?;
    let once = || {
        let (begin, before) = (Instant::now(), usage::own_cpu()?);
        let count = kafka.copy(&topic, "bench.copy", COMMIT_INTERVAL)? as f64;
        Ok((
            (usage::own_cpu()? - before).as_secs_f64() * 1e6 / count,
            count / begin.elapsed().as_secs_f64(),
        ))
    };
    // The first time is for the broker to get warm.
    once()?;
    usage::middle(once)
}

fn observe_alone(
    bench: &Bench,
    scene: &Scene,
    events: usize,
    start_up: Duration,
) -> anyhow::Result<(f64, f64)> {
    let occupy = |(stage, topic): &(&str, &str)| {
        bench
            .base
            .kafka
            .occupy(&scene.group(stage), &scene.topic(topic))
    };
    let occupants = LATER_STAGES
        .iter()
        .map(occupy)
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut processor = scene.start("processor")?;
    let begin = until_first_commit(bench, scene, &mut processor)?;
    until_observed(bench, scene, &mut processor, begin)?;
    let wall = begin.elapsed();
    let threads = usage::by_thread(processor.process.pid());
    let others: Duration = LATER_STAGES
        .iter()
        .filter_map(|(stage, _)| threads.get(*stage))
        .sum();
    let cpu = processor.process.cpu()?.saturating_sub(others + start_up);
    processor.process.stop()?;
    drop(occupants);
    Ok((
        cpu.as_secs_f64() * 1e6 / events as f64,
        events as f64 / wall.as_secs_f64(),
    ))
}

/// Waits until observe is at work, and says since when.
fn until_first_commit(
    bench: &Bench,
    scene: &Scene,
    processor: &mut Service,
) -> anyhow::Result<Instant> {
    let committed = bench
        .base
        .kafka
        .committed(&scene.group("observe"), &scene.topic("touchpoints"))?;
    let mut last = Instant::now();
    processor
        .process
        .until("the first commit of observe", AT_MOST, || {
            let some = committed.offsets()?.iter().any(|offset| *offset > 0);
            if !some {
                last = Instant::now();
            }
            Ok(some)
        })?;
    // What it commits first it took since about then.
    Ok(last)
}

fn until_observed(
    bench: &Bench,
    scene: &Scene,
    processor: &mut Service,
    begin: Instant,
) -> anyhow::Result<()> {
    let topic = scene.topic("touchpoints");
    let ends = bench.base.kafka.ends(&topic)?;
    let committed = bench
        .base
        .kafka
        .committed(&scene.group("observe"), &topic)?;
    let within = AT_MOST.saturating_sub(begin.elapsed());
    processor
        .process
        .until("observe having read everything", within, || {
            let offsets = committed.offsets()?;
            let done = offsets.iter().zip(&ends).all(|(offset, end)| offset >= end);
            if !done {
                std::thread::sleep(POLL);
            }
            Ok(done)
        })
}
