//! Ingest: what an acknowledged event costs, beside bare librdkafka producing the same bytes.

use crate::kafka::{PARTITIONS, Record};
use crate::load::{Load, Plan, Schedule};
use crate::parts::{Base, Service};
use crate::report::Row;
use crate::{Bench, events, usage};
use anyhow::Context as _;
use rdkafka::message::Message as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tributary_contracts::framing;
use tributary_contracts::wire::Touchpoint;

/// Of single requests: ingest waits `ingest.linger` for company, so a few connections would measure that.
const CONNECTIONS: u32 = 256;
const BATCH: u64 = 100;
const BATCH_CONNECTIONS: u32 = 16;
/// As `ingest.linger` is by default.
const LINGER_MS: u32 = 5;
/// The broker's JVM and our connections are warm after it.
const WARM_UP: Duration = Duration::from_secs(4);
const MEASURED: Duration = Duration::from_secs(6);
/// A machine that is slower than this is told by the figures without waiting for the whole backlog.
const AT_MOST: Duration = Duration::from_secs(40);
/// Numbers of events that belong to no backlog.
const WARM_UP_FROM: u64 = 3_000_000_000;
const SINGLE_FROM: u64 = 1_000_000_000;
/// So many that what a producer costs once does not count.
const BARE_EVENTS: u64 = 400_000;
/// The goals that hold whatever librdkafka costs, in microseconds.
const GOAL_SINGLE: f64 = 15.0;
const GOAL_BATCH: f64 = 5.0;

/// What happened while events were acknowledged.
struct Interval {
    events: u64,
    wall: Duration,
    ingest: Duration,
    broker: Duration,
}

impl Interval {
    fn per_event(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1e6 / self.events as f64
    }

    fn rate(&self) -> f64 {
        self.events as f64 / self.wall.as_secs_f64()
    }
}

/// Measures, and returns the backlog's events as they stand on the topic.
pub(crate) fn measure(bench: &mut Bench) -> anyhow::Result<Vec<Record>> {
    let scene = bench.base.scene("benchingest")?;
    let mut ingest = scene.start("ingest")?;
    ingest.until_ready()?;
    let plan = |connections, events_a_request, first, schedule| Plan {
        address: ingest.address,
        write_key: "w0-web".to_owned(),
        connections,
        events_a_request,
        pace: None,
        first,
        schedule,
        acknowledged: None,
    };
    let (now, past) = (now_schedule(), past_day(bench.events));
    bench.step("ingest: warming up");
    interval(
        &bench.base,
        &ingest,
        plan(BATCH_CONNECTIONS, BATCH, WARM_UP_FROM, Arc::clone(&now)),
        Duration::ZERO,
        WARM_UP,
        0,
    )?;
    let topic = scene.topic("touchpoints");
    let begin = bench.base.kafka.ends(&topic)?;
    bench.step("ingest: batches");
    let batches = interval(
        &bench.base,
        &ingest,
        plan(BATCH_CONNECTIONS, BATCH, 0, past),
        Duration::from_secs(1),
        MEASURED,
        bench.events,
    )?;
    bench.step("ingest: single requests");
    let single = interval(
        &bench.base,
        &ingest,
        plan(CONNECTIONS, 1, SINGLE_FROM, now),
        Duration::from_secs(1),
        MEASURED,
        0,
    )?;
    bench
        .memory
        .push(("ingest".to_owned(), usage::resident(ingest.process.pid())));
    ingest.process.stop()?;

    bench.step("ingest: reading back what it wrote");
    let records = read_back(bench, &topic, &begin)?;
    bench.step("bare librdkafka: producing the same");
    bench.base.kafka.create("bench.bare")?;
    // Once for nothing, as ingest had its warm-up.
    bare(bench, &records)?;
    for (name, interval, allowance, goal) in [
        ("single requests", single, 13.0, GOAL_SINGLE),
        ("batches of 100", batches, 3.0, GOAL_BATCH),
    ] {
        let (bare_cost, bare_rate) = usage::middle(|| bare(bench, &records))?;
        let cost = interval.per_event(interval.ingest);
        let beside = format!(
            "{} events in {:.1} s",
            interval.events,
            interval.wall.as_secs_f64()
        );
        bench.report.add(
            Row::new(
                format!("ingest, {name}: acknowledged events/s"),
                "/s",
                interval.rate(),
            )
            .bare(bare_rate)
            .noted(beside),
        );
        bench.report.add(
            Row::new(format!("ingest, {name}: CPU an event"), "us", cost)
                .bare(bare_cost)
                .limit(
                    2.0 * bare_cost + allowance,
                    &format!("2x bare + {allowance:.0} us"),
                )
                .noted(format!(
                    "{:.1} us above bare; broker {:.1} us",
                    cost - bare_cost,
                    interval.per_event(interval.broker)
                )),
        );
        bench.report.add(
            Row::new(format!("ingest, {name}: CPU an event, goal"), "us", cost)
                .limit(goal, "whatever bare costs"),
        );
    }
    Ok(records)
}

/// Sends until both the time has passed and events up to this number are acknowledged; measures after a warm-up.
fn interval(
    base: &Base,
    ingest: &Service,
    plan: Plan,
    warm_up: Duration,
    measured: Duration,
    up_to: u64,
) -> anyhow::Result<Interval> {
    let load = Load::start(plan)?;
    std::thread::sleep(warm_up);
    let read = || {
        anyhow::Ok((
            load.acknowledged(),
            ingest.process.cpu()?,
            base.broker_cpu()?,
        ))
    };
    let begin = Instant::now();
    let before = read()?;
    while begin.elapsed() < measured || (load.next() < up_to && begin.elapsed() < AT_MOST) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let (after, wall) = (read()?, begin.elapsed());
    load.stop()?;
    Ok(Interval {
        events: (after.0 - before.0).max(1),
        wall,
        ingest: after.1 - before.1,
        broker: after.2 - before.2,
    })
}

fn read_back(bench: &Bench, topic: &str, begin: &[i64]) -> anyhow::Result<Vec<Record>> {
    let mut records = Vec::new();
    let wanted = 0..bench.events;
    bench.base.kafka.read(topic, begin, |message| {
        let (key, payload) = (
            message.key().unwrap_or_default(),
            message.payload().unwrap_or_default(),
        );
        let touchpoint: Option<Touchpoint<'_>> = framing::decode(payload).ok();
        let number = touchpoint.and_then(|touchpoint| events::number(touchpoint.message_id));
        if number.is_some_and(|number| wanted.contains(&number)) {
            records.push((
                number,
                Record {
                    partition: message.partition(),
                    key: key.to_owned(),
                    payload: payload.to_owned(),
                },
            ));
        }
    })?;
    // In the order in which they happened, all partitions side by side.
    records.sort_by_key(|(number, _)| *number);
    let records: Vec<Record> = records.into_iter().map(|(_, record)| record).collect();
    records
        .first()
        .context("no event of the backlog stands on the topic")?;
    debug_assert!(records.iter().all(|record| record.partition < PARTITIONS));
    Ok(records)
}

/// CPU time of an event in microseconds, and events a second.
fn bare(bench: &Bench, records: &[Record]) -> anyhow::Result<(f64, f64)> {
    let (begin, before) = (Instant::now(), usage::own_cpu()?);
    bench
        .base
        .kafka
        .produce("bench.bare", records, BARE_EVENTS, LINGER_MS)?;
    let (cpu, wall) = (usage::own_cpu()? - before, begin.elapsed());
    Ok((
        cpu.as_secs_f64() * 1e6 / BARE_EVENTS as f64,
        BARE_EVENTS as f64 / wall.as_secs_f64(),
    ))
}

/// Events happen when they are sent.
pub(crate) fn now_schedule() -> Schedule {
    Arc::new(|_| jiff::Timestamp::now().as_millisecond())
}

/// The backlog is that of a day.
fn past_day(events: u64) -> Schedule {
    const DAY: i64 = 86_400_000;
    let end = jiff::Timestamp::now().as_millisecond();
    let events = i64::try_from(events).unwrap_or(i64::MAX).max(1);
    Arc::new(move |number| {
        let number = i64::try_from(number).unwrap_or(i64::MAX).min(events);
        end - DAY + (i128::from(DAY) * i128::from(number) / i128::from(events)) as i64
    })
}
