//! The sink, beside bare consume and decode plus the engine loading the same rows.

use crate::kafka::Record;
use crate::parts::Base;
use crate::processor::start_up;
use crate::report::Row;
use crate::{Bench, usage};
use anyhow::{Context as _, bail};
use rdkafka::message::Message as _;
use std::time::{Duration, Instant};
use tributary_contracts::framing;
use tributary_contracts::wire::ResolvedTouchpoint;
use tributary_core::ids::{ProfileId, SessionId};
use uuid::Uuid;

const AT_MOST: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(50);
/// Exact copies of rows: JSON columns as the text they came as.
const SETTINGS: &str = "input_format_binary_read_json_as_string=1&output_format_binary_write_json_as_string=1&async_insert=0&max_insert_block_size=1048449";

pub(crate) fn measure(bench: &mut Bench, records: &[Record]) -> anyhow::Result<()> {
    let scene = bench.base.scene("benchsink")?;
    bench.step("sink: what a start costs");
    let start_up = start_up(&scene, "sink")?;
    let topic = scene.topic("resolved");
    let resolved = records
        .iter()
        .map(resolved)
        .collect::<anyhow::Result<Vec<_>>>()?;
    bench
        .base
        .kafka
        .produce(&topic, &resolved, resolved.len() as u64, 5)?;
    let count = resolved.len() as f64;
    let per_event = |time: Duration| time.as_secs_f64() * 1e6 / count;

    bench.step("sink: draining");
    let ends = bench.base.kafka.ends(&topic)?;
    let committed = bench.base.kafka.committed(&scene.group("sink"), &topic)?;
    let (engine, broker) = (bench.base.engine.cpu()?, bench.base.broker_cpu()?);
    let mut sink = scene.start("sink")?;
    sink.until_ready()?;
    let begin = Instant::now();
    sink.process.until("everything being stored", AT_MOST, || {
        let stored = committed
            .offsets()?
            .iter()
            .zip(&ends)
            .all(|(offset, end)| offset >= end);
        if !stored {
            std::thread::sleep(POLL);
        }
        Ok(stored)
    })?;
    let wall = begin.elapsed();
    let (engine, broker) = (
        bench.base.engine.cpu()? - engine,
        bench.base.broker_cpu()? - broker,
    );
    let own = sink.process.cpu()?.saturating_sub(start_up);
    bench
        .memory
        .push(("sink".to_owned(), usage::resident(sink.process.pid())));
    sink.process.stop()?;
    let rows: usize = bench
        .base
        .sql("SELECT count() FROM benchsink.touchpoints")?
        .trim()
        .parse()?;
    if rows != resolved.len() {
        bail!("{rows} rows are stored of {}", resolved.len());
    }

    bench.step("bare consume and decode, and the engine loading the same rows");
    let before = usage::own_cpu()?;
    let mut unreadable = 0;
    bench
        .base
        .kafka
        .read(&topic, &[0; crate::kafka::PARTITIONS as usize], |message| {
            let resolved: Result<ResolvedTouchpoint<'_>, _> =
                framing::decode(message.payload().unwrap_or_default());
            unreadable += usize::from(std::hint::black_box(resolved).is_err());
        })?;
    if unreadable > 0 {
        bail!("{unreadable} records cannot be decoded");
    }
    let decoding = usage::own_cpu()? - before;
    let loading = load_again(&bench.base)?;
    let (cost, bare) = (per_event(own + engine), per_event(decoding + loading));
    bench
        .report
        .add(Row::new("sink: events/s", "/s", count / wall.as_secs_f64()));
    bench.report.add(
        Row::new("sink and engine: CPU an event", "us", cost)
            .bare(bare)
            .limit(
                1.5 * bare,
                "1.5x bare consume and decode + the engine loading the same rows",
            )
            .noted(format!(
                "broker {:.1} us; a start costs {:.2} s",
                per_event(broker),
                start_up.as_secs_f64()
            )),
    );
    bench.report.add(
        Row::new("sink alone: CPU an event", "us", per_event(own))
            .bare(per_event(decoding))
            .noted("beside consume and decode"),
    );
    bench.report.add(
        Row::new("engine alone: CPU an event", "us", per_event(engine))
            .bare(per_event(loading))
            .noted("beside loading the same rows"),
    );
    Ok(())
}

/// As observe would write it.
fn resolved(record: &Record) -> anyhow::Result<Record> {
    let id = |name: &[u8]| Uuid::new_v5(&Uuid::NAMESPACE_OID, name);
    let (session, profile) = (SessionId(id(&record.key)), ProfileId(id(&record.key[1..])));
    let mut payload = Vec::with_capacity(record.payload.len() + 96);
    ResolvedTouchpoint::frame(
        Some(session),
        Some(profile),
        0,
        &record.payload,
        &mut payload,
    )?;
    Ok(Record {
        partition: record.partition,
        key: record.key.clone(),
        payload,
    })
}

/// CPU time of the engine for rows that it has, into a table like theirs, a partition of the topic at a time.
fn load_again(base: &Base) -> anyhow::Result<Duration> {
    base.sql("CREATE TABLE benchsink.again AS benchsink.touchpoints")?;
    let mut sum = Duration::ZERO;
    for partition in 0..crate::kafka::PARTITIONS {
        let select = format!(
            "SELECT * FROM benchsink.touchpoints WHERE kafka_partition = {partition} FORMAT RowBinary"
        );
        let rows = post(
            &format!("{}/?{SETTINGS}", base.clickhouse_url),
            select.as_bytes(),
        )?;
        let before = base.engine.cpu()?;
        let insert = "INSERT%20INTO%20benchsink.again%20FORMAT%20RowBinary";
        post(
            &format!("{}/?{SETTINGS}&query={insert}", base.clickhouse_url),
            &rows,
        )?;
        sum += base.engine.cpu()? - before;
    }
    match base.sql("SELECT (SELECT count() FROM benchsink.again) = (SELECT count() FROM benchsink.touchpoints)")?.trim() {
        "1" => Ok(sum),
        _ => bail!("the engine did not load the same rows"),
    }
}

fn post(url: &str, body: &[u8]) -> anyhow::Result<Vec<u8>> {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(60)))
        .build();
    let mut answer = ureq::Agent::from(config).post(url).send(body)?;
    let bytes = answer
        .body_mut()
        .with_config()
        .limit(1 << 32)
        .read_to_vec()
        .context("an answer of ClickHouse broke off")?;
    match answer.status().as_u16() {
        200 => Ok(bytes),
        status => bail!(
            "ClickHouse answers {status}: {}",
            String::from_utf8_lossy(&bytes)
        ),
    }
}
