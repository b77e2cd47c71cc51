//! Killed at any step, with an engine that fails in any way: each row is stored once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize};
use std::time::Duration;

use proptest::prelude::*;
use tokio::sync::mpsc;
use tributary_platform::admin_http::Readiness;
use tributary_platform::kafka::consumer::{Chunk, Committed, Feed, Record};
use tributary_platform::lifecycle::{Shutdown, shutdown};
use tributary_platform::metrics::Metrics as Registry;

use super::events::{rows_in, value};
use super::world::{Fault, Kill, World};
use crate::batch::Limits;
use crate::encode::Topic;
use crate::metrics::Metrics;
use crate::writer::{Pace, Shared, Writer};

/// One life of a writer.
#[derive(Clone, Debug)]
struct Life {
    kill: Option<(usize, bool)>,
    faults: Vec<Option<Fault>>,
    /// Whether so many blocks came between that the engine no longer knows older tokens.
    forget_tokens: bool,
    max_rows: usize,
    chunk: usize,
    /// How much of the log is there by then.
    reach: usize,
}

fn life() -> impl Strategy<Value = Life> {
    let fault = prop_oneof![
        4 => Just(None),
        1 => Just(Some(Fault::Refused)),
        1 => Just(Some(Fault::AnswerLost)),
        1 => Just(Some(Fault::HalfStored)),
        1 => Just(Some(Fault::TokenOnly)),
    ];
    let kill = prop_oneof![5 => (1_usize..16, any::<bool>()).prop_map(Some), 1 => Just(None)];
    (
        kill,
        proptest::collection::vec(fault, 0..8),
        any::<bool>(),
        1_usize..9,
        1_usize..7,
        0_usize..40,
    )
        .prop_map(
            |(kill, faults, forget_tokens, max_rows, chunk, reach)| Life {
                kill,
                faults,
                forget_tokens,
                max_rows,
                chunk,
                reach,
            },
        )
}

/// Offsets of records: between them stand markers of transactions.
fn log() -> impl Strategy<Value = Vec<i64>> {
    proptest::collection::vec(1_i64..4, 1..40).prop_map(|steps| {
        steps
            .into_iter()
            .scan(-1, |offset, step| {
                *offset += step;
                Some(*offset)
            })
            .collect()
    })
}

fn shared(world: &World, max_rows: usize, shutdown: Shutdown) -> Shared<&World, &World> {
    let check = Readiness::default().check("clickhouse");
    Shared {
        warehouse: world,
        letters: world,
        events: Pace::new(1, Duration::from_millis(200)),
        state: Pace::new(1, Duration::from_secs(1)),
        limits: Limits {
            max_rows,
            max_bytes: 1 << 20,
            held: Arc::new(AtomicUsize::new(0)),
            max_held: 1 << 30,
        },
        metrics: Metrics::new(&Registry::default(), check),
        shutdown,
    }
}

fn writer<'a>(
    shared: &'a Shared<&'a World, &'a World>,
    world: &'a World,
    committed: Option<Committed>,
) -> Writer<'a, &'a World, &'a World, &'a World> {
    let topic = Topic::named("resolved").expect("the sink reads it");
    let end = Arc::new(AtomicI64::new(0));
    let partition = shared.metrics.partition(topic.name, 0, end);
    Writer::new(
        shared,
        world,
        topic,
        "tributary.resolved",
        0,
        committed,
        partition,
    )
}

async fn live(world: &World, log: &[i64], life: &Life) {
    world.begin_life(
        life.kill.map(|(step, after)| Kill { step, after }),
        life.faults.clone(),
        life.forget_tokens,
    );
    let (_trigger, shutdown) = shutdown();
    let shared = shared(world, life.max_rows, shutdown);
    let committed = world.committed();
    let from = committed.as_ref().map_or(0, |committed| committed.offset);
    let writer = writer(&shared, world, committed);
    let (feed, receiver) = mpsc::channel(100);
    let there: Vec<i64> = log
        .iter()
        .copied()
        .take(life.reach)
        .filter(|offset| *offset >= from)
        .collect();
    let values: Vec<(i64, Vec<u8>)> = there
        .into_iter()
        .map(|offset| (offset, value(offset)))
        .collect();
    for records in values.chunks(life.chunk) {
        let records = records.iter().map(|(offset, value)| Record {
            offset: *offset,
            timestamp: 1,
            value: Some(value),
        });
        feed.send(Feed::Records(Chunk::of(records)))
            .await
            .expect("the channel is long enough");
    }
    if life.reach >= log.len() {
        feed.send(Feed::End(log.last().map_or(0, |last| last + 2)))
            .await
            .expect("the channel is long enough");
    }
    drop(feed);
    tokio::select! {
        result = writer.run(receiver) => result.expect("nobody takes the partition away"),
        () = world.dead.notified() => {}
    }
}

fn check(log: &[i64], lives: &[Life]) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let world = World::default();
    for offset in log {
        // The text with its length, so that m1 is not found in m10.
        let id = format!("m{offset}");
        world.know(
            [
                &[7],
                b"default".as_slice(),
                &[id.len() as u8],
                id.as_bytes(),
            ]
            .concat(),
            *offset,
        );
    }
    let last = Life {
        kill: None,
        faults: Vec::new(),
        forget_tokens: false,
        max_rows: 5,
        chunk: 3,
        reach: log.len(),
    };
    runtime.block_on(async {
        for life in lives.iter().chain([&last]) {
            live(&world, log, life).await;
        }
    });
    let rows = world.rows();
    for table in ["touchpoints", "order_lines", "answers"] {
        for offset in log {
            let stored = rows.get(&(table, *offset)).copied().unwrap_or(0);
            let expected = rows_in(table, *offset) * super::events::rows_each(table);
            prop_assert_eq!(stored, expected, "{} {}", table, offset);
        }
    }
    let unreadable: BTreeSet<i64> = log
        .iter()
        .copied()
        .filter(|offset| rows_in("touchpoints", *offset) == 0)
        .collect();
    prop_assert_eq!(world.letters(), unreadable);
    let end = log.last().map_or(0, |last| last + 2);
    prop_assert_eq!(
        world.committed().map(|committed| committed.offset),
        Some(end)
    );
    Ok(())
}

proptest! {
    #[test]
    fn wherever_the_sink_and_the_engine_die_each_row_is_stored_once(log in log(), lives in proptest::collection::vec(life(), 0..6)) {
        check(&log, &lives)?;
    }
}

#[test]
fn each_single_step_can_be_the_last() {
    let log: Vec<i64> = (0..30).collect();
    for step in 1..30 {
        for after in [false, true] {
            for forget_tokens in [false, true] {
                let first = Life {
                    kill: Some((step, after)),
                    faults: Vec::new(),
                    forget_tokens: false,
                    max_rows: 7,
                    chunk: 4,
                    reach: 30,
                };
                let second = Life {
                    kill: Some((2, after)),
                    faults: Vec::new(),
                    forget_tokens,
                    max_rows: 3,
                    chunk: 5,
                    reach: 30,
                };
                check(&log, &[first, second])
                    .unwrap_or_else(|error| panic!("killed at {step}, after {after}: {error}"));
            }
        }
    }
}

/// The writer has the only turn and waits for the end of its rest when the stop closes its feed.
#[tokio::test(start_paused = true)]
async fn a_feed_that_ends_while_the_turn_rests_is_stored_all_the_same() {
    let world = World::default();
    let (_trigger, shutdown) = shutdown();
    let shared = shared(&world, 100, shutdown);
    let (feed, receiver) = mpsc::channel(1);
    let bytes = value(0);
    let record = Record {
        offset: 0,
        timestamp: 1,
        value: Some(&bytes),
    };
    feed.send(Feed::Records(Chunk::of([record].into_iter())))
        .await
        .expect("the channel is long enough");
    let others = async {
        let turn = shared.events.turns.take().await;
        // By then the writer waits for this turn.
        tokio::time::sleep(Duration::from_secs(10)).await;
        drop(turn);
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(feed);
    };
    let running = writer(&shared, &world, None).run(receiver);
    let both = async { tokio::join!(others, running).1 };
    tokio::time::timeout(Duration::from_secs(60), both)
        .await
        .expect("it does not wait for the turn that it has")
        .expect("nobody takes the partition away");
    assert_eq!(world.committed().expect("it is noted").offset, 1);
}
