//! Knows whether Kafka takes events: asks for the topics' partitions every second, in a thread of its own because
//! the call blocks, and says so in readiness.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tributary_platform::admin_http::{Check, Readiness};
use tributary_platform::kafka::producer::{Producer, TopicError};
use tributary_platform::lifecycle::Scope;

use super::{Counted, Topic, Topics};

/// Between two questions.
const INTERVAL: Duration = Duration::from_secs(1);
/// For an answer; below the time that a stop may take.
const PATIENCE: Duration = Duration::from_millis(1500);
/// So many questions in a row without an answer: one may be lost on a busy machine.
const STRIKES: u32 = 2;
/// A delivery that failed makes us not ready for this long, though the brokers answer: too few replicas, say.
const AFTER_FAILURE_MS: i64 = 10_000;

/// Whether Kafka takes events.
#[derive(Debug)]
pub(super) struct Health {
    reachable: AtomicBool,
    /// Of the last delivery that failed, in milliseconds since `started`; -1 before the first.
    last_failure: AtomicI64,
    started: Instant,
    check: Check,
    stop: Mutex<Option<SyncSender<()>>>,
}

impl Health {
    pub(super) fn new(readiness: &Readiness) -> Self {
        Self {
            reachable: AtomicBool::new(false),
            last_failure: AtomicI64::new(-1),
            started: Instant::now(),
            check: readiness.check("ingest"),
            stop: Mutex::default(),
        }
    }

    pub(super) fn is_reachable(&self) -> bool {
        self.reachable.load(Ordering::Relaxed)
    }

    /// A delivery failed.
    pub(super) fn failed(&self) {
        self.last_failure.store(self.now(), Ordering::Relaxed);
    }

    /// Ends the watch.
    pub(super) fn close(&self) {
        self.stop
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    fn now(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    fn set(&self, answer: Result<(), String>) {
        self.reachable.store(answer.is_ok(), Ordering::Relaxed);
        let failure = self.last_failure.load(Ordering::Relaxed);
        match answer {
            Err(reason) => self.check.not_ready(reason),
            Ok(()) if failure >= 0 && self.now() - failure < AFTER_FAILURE_MS => {
                self.check.not_ready(
                    "kafka answers, but does not acknowledge events: see its in-sync replicas",
                );
            }
            Ok(()) => self.check.ready(),
        }
    }
}

pub(super) fn start(
    producer: &Producer<Counted>,
    topics: &Arc<Topics>,
    health: &Arc<Health>,
    scope: &Scope,
) -> std::io::Result<()> {
    // Nothing is ever sent: the end of the channel is the sign to stop.
    let (stop, stopped) = sync_channel(0);
    *health.stop.lock().unwrap_or_else(PoisonError::into_inner) = Some(stop);
    let (producer, topics, health) = (producer.clone(), Arc::clone(topics), Arc::clone(health));
    scope.spawn_thread("kafka watch", move || {
        let mut strikes = STRIKES;
        while stopped.recv_timeout(Duration::ZERO) == Err(RecvTimeoutError::Timeout) {
            let answer = ask(&producer, &topics);
            strikes = if answer.is_ok() {
                0
            } else {
                strikes.saturating_add(1)
            };
            if answer.is_ok() || strikes >= STRIKES {
                health.set(answer);
            }
            let _ = stopped.recv_timeout(INTERVAL);
        }
        Ok::<_, std::convert::Infallible>(())
    })
}

fn ask(producer: &Producer<Counted>, topics: &Topics) -> Result<(), String> {
    for topic in [&topics.touchpoints, &topics.dead_letters] {
        let partitions = producer
            .partitions(&topic.name, PATIENCE)
            .map_err(|error: TopicError| error.to_string())?;
        known(topic, partitions)?;
    }
    Ok(())
}

/// Keeps the first number of partitions. Another one later would file a customer's events in two places.
fn known(topic: &Topic, partitions: u32) -> Result<(), String> {
    let known: &AtomicU32 = &topic.partitions;
    match known.compare_exchange(0, partitions, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => Ok(()),
        Err(first) if first == partitions => Ok(()),
        Err(first) => Err(format!(
            "topic {} has {partitions} partitions and had {first}: partition counts are fixed, restore the topic",
            topic.name
        )),
    }
}
