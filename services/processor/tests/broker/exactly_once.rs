//! Workers on a real broker, under everything that can happen to them: what is counted is counted once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tributary_core::time::Timestamp;
use tributary_platform::admin_http::Readiness;
use tributary_platform::config::Compression;
use tributary_platform::lifecycle::Lifecycle;
use tributary_platform::metrics::Metrics;
use tributary_processor::runtime::stage::{Broken, Input, Outputs, Poison, Stage, Store};
use tributary_processor::runtime::{Options, RuntimeMetrics, spawn};

use crate::support::{PATIENCE, Topics, wait_for};

/// What happens at a flush, after all was sent.
type Fault = Arc<dyn Fn() -> Result<(), Broken> + Send + Sync>;

/// Counts records by key: state in `once_state`, each new count to `orders`.
struct Counting {
    taken: BTreeMap<(i32, Vec<u8>), u64>,
    fault: Fault,
}

impl Stage for Counting {
    fn name(&self) -> &'static str {
        "once"
    }

    fn input(&self) -> &'static str {
        "claims"
    }

    fn changelog(&self) -> &'static str {
        "once_state"
    }

    fn assigned(&mut self, _partitions: &[i32], _store: &dyn Store) -> Result<(), Broken> {
        assert!(self.taken.is_empty(), "a stage is assigned once");
        Ok(())
    }

    fn take(&mut self, input: &Input<'_>, _store: &dyn Store) -> Result<(), Poison> {
        if input.value == Some(b"poison") {
            return Err(Poison {
                reason: "bad",
                detail: "a poisoned record".to_owned(),
            });
        }
        *self
            .taken
            .entry((input.partition, input.key.to_vec()))
            .or_default() += 1;
        Ok(())
    }

    fn due(&self, _now: Timestamp) -> bool {
        false
    }

    fn flush(&mut self, _now: Timestamp, outputs: &mut dyn Outputs) -> Result<bool, Broken> {
        if self.taken.is_empty() {
            return Ok(false);
        }
        for ((partition, key), count) in std::mem::take(&mut self.taken) {
            let before = outputs
                .get(partition, &key)?
                .map_or(0, |value| read_count(&value));
            let after = (before + count).to_string();
            outputs.put(partition, &key, Some(after.as_bytes()))?;
            outputs.send("orders", partition, &key, after.as_bytes())?;
        }
        (self.fault)()?;
        Ok(false)
    }
}

fn read_count(value: &[u8]) -> u64 {
    std::str::from_utf8(value)
        .expect("a count")
        .parse()
        .expect("a count")
}

fn no_fault() -> Fault {
    Arc::new(|| Ok(()))
}

/// A process with one worker.
struct Process {
    lifecycle: Lifecycle,
    metrics: Metrics,
    readiness: Readiness,
}

impl Process {
    fn start(topics: &Topics, folder: &Path, instance: &str, fault: &Fault) -> Self {
        let options = Options {
            kafka: topics.kafka.clone(),
            folder: folder.to_owned(),
            instance: instance.to_owned(),
            commit_interval: Duration::from_millis(20),
            max_batch: 100,
            checkpoint_interval: Duration::from_millis(50),
            snapshot_interval: Duration::from_millis(50),
            cache_bytes: 1 << 20,
            session_timeout: Duration::from_secs(6),
            transaction_timeout: Duration::from_secs(10),
            compression: Compression::None,
        };
        let fault = Arc::clone(fault);
        let factory = Arc::new(move || {
            Box::new(Counting {
                taken: BTreeMap::new(),
                fault: Arc::clone(&fault),
            }) as Box<dyn Stage>
        });
        let mut lifecycle = Lifecycle::default();
        let scope = lifecycle.component("processor", PATIENCE);
        let (metrics, readiness) = (Metrics::default(), Readiness::default());
        spawn(
            "once",
            factory,
            &options,
            &scope,
            &RuntimeMetrics::new(&metrics),
            &readiness,
        )
        .expect("a thread");
        Self {
            lifecycle,
            metrics,
            readiness,
        }
    }

    fn stop(self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let left = runtime.block_on(self.lifecycle.stop());
        assert!(left.is_empty(), "did not stop: {left:?}");
    }

    /// A metric's value, by the beginning of its line.
    fn metric(&self, series: &str) -> u64 {
        let text = self.metrics.render();
        let line = text.lines().find(|line| line.starts_with(series));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap_or(0)
    }
}

/// What was sent, as it should be counted.
#[derive(Default)]
struct Sent(BTreeMap<String, u64>);

impl Sent {
    fn send(&mut self, topics: &Topics, records: usize) {
        let keys: Vec<String> = (0..records)
            .map(|number| format!("key-{}", number * 7 % 31))
            .collect();
        topics.send(
            "claims",
            keys.iter().map(|key| (key.as_str(), b"".as_slice())),
        );
        for key in keys {
            *self.0.entry(key).or_default() += 1;
        }
    }

    fn send_key(&mut self, topics: &Topics, key: &str) {
        topics.send("claims", [(key, b"".as_slice())]);
        *self.0.entry(key.to_owned()).or_default() += 1;
    }

    /// Waits until all is counted; fails where something was counted twice, or a count went back.
    fn await_counted(&self, topics: &Topics) {
        wait_for("all records to be counted", || {
            let mut counted: BTreeMap<String, u64> = BTreeMap::new();
            for (key, value) in topics.read("orders") {
                let count = read_count(&value.expect("no tombstones"));
                let before = counted.insert(key.clone(), count).unwrap_or(0);
                assert!(before < count, "{key} went from {before} to {count}");
                assert!(
                    count <= self.0[&key],
                    "{key} was counted {count} times, sent {}",
                    self.0[&key]
                );
            }
            (counted == self.0).then_some(())
        });
    }
}

#[test]
fn records_are_counted_once_though_every_third_flush_breaks_or_panics() {
    let topics = Topics::create();
    let folder = tempfile::tempdir().expect("a folder");
    let flushes = AtomicU32::new(0);
    let fault: Fault = Arc::new(move || match flushes.fetch_add(1, Ordering::Relaxed) % 6 {
        1 => Err(Broken("as the test wants it".to_owned())),
        4 => panic!("as the test wants it"),
        _ => Ok(()),
    });
    let process = Process::start(&topics, folder.path(), "a", &fault);
    let mut sent = Sent::default();
    for _ in 0..4 {
        sent.send(&topics, 150);
        sent.await_counted(&topics);
    }
    assert!(
        process.metric("tributary_processor_restarts_total{reason=\"panic\"") > 0,
        "no flush panicked"
    );
    assert!(
        process.metric("tributary_processor_restarts_total{reason=\"stage\"") > 0,
        "no flush broke"
    );
    process.stop();
}

#[test]
fn a_new_process_goes_on_from_its_store_and_from_kafka_alone() {
    let topics = Topics::create();
    let (first, empty) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    );
    let mut sent = Sent::default();
    for (folder, name) in [
        (&first, "new"),
        (&first, "with its store"),
        (&empty, "with an empty folder"),
        (&first, "with an old store"),
    ] {
        sent.send(&topics, 500);
        let process = Process::start(&topics, folder.path(), "a", &no_fault());
        sent.await_counted(&topics);
        let restored = process.metric("tributary_processor_restored_records_total");
        match name {
            "new" | "with its store" => assert_eq!(restored, 0, "{name}"),
            _ => assert!(restored > 0, "{name}"),
        }
        process.stop();
    }
}

#[test]
fn a_store_of_a_changelog_that_was_made_anew_is_not_used() {
    let topics = Topics::create();
    let folder = tempfile::tempdir().expect("a folder");
    let mut sent = Sent::default();
    sent.send(&topics, 500);
    sent.send_key(&topics, "of old");
    let process = Process::start(&topics, folder.path(), "a", &no_fault());
    sent.await_counted(&topics);
    process.stop();

    // Another installation, whose changelog is longer than the first one's.
    let other = Topics::create();
    let mut sent = Sent::default();
    let process = Process::start(
        &other,
        tempfile::tempdir().expect("a folder").path(),
        "b",
        &no_fault(),
    );
    for _ in 0..10 {
        sent.send(&other, 500);
        sent.await_counted(&other);
    }
    process.stop();
    sent.send_key(&other, "of old");
    let process = Process::start(&other, folder.path(), "b", &no_fault());
    sent.await_counted(&other);
    process.stop();
}

#[test]
fn two_processes_share_the_work_and_hand_it_over() {
    let topics = Topics::create();
    let folders = [
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    ];
    let mut sent = Sent::default();
    let first = Process::start(&topics, folders[0].path(), "a", &no_fault());
    sent.send(&topics, 300);
    sent.await_counted(&topics);
    let second = Process::start(&topics, folders[1].path(), "b", &no_fault());
    wait_for("both to work", || {
        sent.send(&topics, 100);
        sent.await_counted(&topics);
        let records = "tributary_processor_records_in_total{stage=\"once\"}";
        (second.metric(records) > 0 && second.readiness.is_ready() && first.readiness.is_ready())
            .then_some(())
    });
    assert!(
        first.metric("tributary_processor_restarts_total{reason=\"rebalance\"") > 0,
        "no rebalance"
    );
    second.stop();
    // The second one's partitions wait for its session to end.
    sent.send(&topics, 300);
    sent.await_counted(&topics);
    first.stop();
}

#[test]
fn a_frozen_worker_that_wakes_up_after_its_successor_has_begun_commits_nothing() {
    let topics = Topics::create();
    let folders = [
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    ];
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let (frozen, is_frozen) = (Arc::new(AtomicBool::new(false)), Arc::clone(&gate));
    let fault: Fault = {
        let frozen = Arc::clone(&frozen);
        Arc::new(move || {
            frozen.store(true, Ordering::SeqCst);
            let (open, opened) = &*is_frozen;
            let guard = open.lock().expect("the gate");
            drop(opened.wait_while(guard, |open| !*open).expect("the gate"));
            Ok(())
        })
    };
    let mut sent = Sent::default();
    sent.send(&topics, 300);
    let zombie = Process::start(&topics, folders[0].path(), "a", &fault);
    wait_for("the first to freeze amid its transaction", || {
        frozen.load(Ordering::SeqCst).then_some(())
    });
    // The same instance, as after a kill of a process that is not quite dead.
    let successor = Process::start(&topics, folders[1].path(), "a", &no_fault());
    sent.await_counted(&topics);
    sent.send(&topics, 300);
    *gate.0.lock().expect("the gate") = true;
    gate.1.notify_all();
    wait_for("the first to notice", || {
        (zombie.metric("tributary_processor_restarts_total") > 0).then_some(())
    });
    zombie.stop();
    sent.send(&topics, 300);
    sent.await_counted(&topics);
    successor.stop();
}

#[test]
fn a_record_that_cannot_be_used_goes_to_the_dead_letters_once() {
    let topics = Topics::create();
    let folder = tempfile::tempdir().expect("a folder");
    let flushes = AtomicU32::new(0);
    let fault: Fault = Arc::new(move || match flushes.fetch_add(1, Ordering::Relaxed) {
        0 => Err(Broken("as the test wants it".to_owned())),
        _ => Ok(()),
    });
    let mut sent = Sent::default();
    sent.send(&topics, 30);
    topics.send("claims", [("key-1", b"poison".as_slice())]);
    sent.send(&topics, 30);
    let process = Process::start(&topics, folder.path(), "a", &fault);
    sent.await_counted(&topics);
    process.stop();
    let letters = topics.read("dead_letters");
    assert_eq!(letters.len(), 1);
    let value = letters[0].1.as_deref().expect("no tombstone");
    let letter: tributary_contracts::wire::DeadLetter<'_> =
        tributary_contracts::framing::decode(value).expect("framed");
    assert_eq!(
        (letter.stage, letter.reason, letter.payload),
        ("once", "bad", b"poison".as_slice())
    );
    assert_eq!(letter.topic, topics.name("claims"));
}
