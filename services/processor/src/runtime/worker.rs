//! A stage's thread: one life after the other, until the process stops.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rdkafka::error::KafkaError;
use tributary_platform::admin_http::Check;
use tributary_platform::kafka::offsets::Undecided;
use tributary_platform::lifecycle::Shutdown;
use tributary_platform::state;

use super::life::Life;
use super::metrics::StageMetrics;
use super::stage::Broken;
use super::{Factory, Options};

/// Bounds of the pause between two lives; it doubles with each that fails.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A life of this length was none of a series of failures.
const HEALTHY: Duration = Duration::from_secs(60);

/// Why a life ended. All of them are mended by another life, though for some of them someone has to do something first.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("its partitions were assigned anew")]
    Rebalanced,
    #[error("kafka: {0}")]
    Kafka(#[from] KafkaError),
    #[error("{0}")]
    Undecided(#[from] Undecided),
    #[error("{0}")]
    State(#[from] state::Error),
    #[error("{0}")]
    Stage(#[from] Broken),
    #[error("unexpected: {0}")]
    Unexpected(String),
    #[error("a panic; its message is on standard error")]
    Panicked,
    /// The process stops while the life is not yet at work.
    #[error("stopping")]
    Stopping,
}

impl Failure {
    /// One of few, for metrics.
    fn reason(&self) -> &'static str {
        match self {
            Failure::Rebalanced => "rebalance",
            Failure::Kafka(_) => "kafka",
            Failure::Undecided(_) => "open_transaction",
            Failure::State(state::Error::DiskFull { .. }) => "disk_full",
            Failure::State(_) => "store",
            Failure::Stage(_) => "stage",
            Failure::Unexpected(_) => "unexpected",
            Failure::Panicked => "panic",
            Failure::Stopping => "stopping",
        }
    }
}

/// What lives are made of.
pub(super) struct Worker {
    pub(super) name: &'static str,
    pub(super) factory: Factory,
    pub(super) options: Options,
    pub(super) metrics: StageMetrics,
    pub(super) readiness: Check,
    pub(super) shutdown: Shutdown,
    /// Why the last life ended, until another is at work.
    pub(super) failed: RefCell<Option<String>>,
}

impl Worker {
    /// Says what the life that begins is waiting for, and how the last one ended.
    pub(super) fn waits(&self, what: &str) {
        let failed = self.failed.borrow();
        let failed = failed.as_deref();
        self.readiness.not_ready(failed.map_or_else(
            || what.to_owned(),
            |failure| format!("{what}; before that: {failure}"),
        ));
    }

    /// Says that a life is at work.
    pub(super) fn works(&self) {
        self.failed.take();
        self.readiness.ready();
    }

    pub(super) fn run(&self) {
        let mut pause = SHORTEST_PAUSE;
        while !self.shutdown.is_requested() {
            let begin = Instant::now();
            let failure = match catch_unwind(AssertUnwindSafe(|| Life::begin(self)?.run())) {
                Ok(Ok(())) | Ok(Err(Failure::Stopping)) => break,
                Ok(Err(failure)) => failure,
                Err(_) => Failure::Panicked,
            };
            self.metrics.restart(failure.reason());
            self.readiness
                .not_ready(format!("starting again: {failure}"));
            if matches!(failure, Failure::Rebalanced) {
                self.failed.take();
                tracing::info!(stage = self.name, "partitions are assigned anew");
            } else {
                self.failed.replace(Some(failure.to_string()));
                tracing::warn!(stage = self.name, reason = failure.reason(), %failure, "starting again from what is committed");
            }
            pause = match failure {
                Failure::Rebalanced => SHORTEST_PAUSE,
                _ if begin.elapsed() > HEALTHY => SHORTEST_PAUSE,
                _ => (pause * 2).min(LONGEST_PAUSE),
            };
            self.rest(jittered(pause));
        }
        self.readiness.not_ready("stopped");
    }

    fn rest(&self, pause: Duration) {
        let begin = Instant::now();
        while begin.elapsed() < pause && !self.shutdown.is_requested() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Between half and all of it, so that workers that failed together do not come back together.
fn jittered(pause: Duration) -> Duration {
    let random = uuid::Uuid::new_v4().as_u128() as u32;
    pause.mul_f64(0.5 + f64::from(random) / f64::from(u32::MAX) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_jittered_within_its_half() {
        for _ in 0..1000 {
            let pause = jittered(Duration::from_secs(2));
            assert!(
                (Duration::from_secs(1)..=Duration::from_secs(2)).contains(&pause),
                "{pause:?}"
            );
        }
    }
}
