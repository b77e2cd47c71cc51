//! Whether everything that was accepted is stored: told from Kafka alone, so that any process can tell.
//!
//! Stage by stage in the direction of flow: the ends of what a stage reads are taken *after* the stage before had read
//! all of its own. What a stage commits goes into its outputs in the same transaction as its offsets, so whoever sees
//! the offsets will find the outputs; their markers may land a moment later, therefore an end is that of what is
//! *written*, and counts only when no open transaction lies below.
//!
//! A committed offset is that after the last record read. Behind it there may be markers of transactions and aborted
//! records, which no consumer is ever told of; that nothing else is there is found out by reading.

mod checker;
mod progress;

pub use progress::Progress;

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use tokio::runtime::Handle;

use crate::admin_http::Settled;
use crate::config::Kafka;
use checker::Checker;

/// Answers `/settled`. Clones share their connections; questions are answered one at a time.
#[derive(Clone, Debug)]
pub struct Settlement {
    kafka: Kafka,
    connected: Arc<Connected>,
}

/// What was connected by the last question.
#[derive(Debug, Default)]
struct Connected(Mutex<Option<Checker>>);

impl Drop for Connected {
    fn drop(&mut self) {
        // Closing consumers waits for brokers, which may not answer: nothing for a thread that serves others.
        let checker = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let (Some(checker), Ok(runtime)) = (checker.take(), Handle::try_current()) {
            runtime.spawn_blocking(move || drop(checker));
        }
    }
}

impl Settlement {
    /// Connects at the first question.
    #[must_use]
    pub fn new(kafka: &Kafka) -> Self {
        Self {
            kafka: kafka.clone(),
            connected: Arc::default(),
        }
    }

    /// One pass through all stages. False wherever it cannot be told.
    pub async fn check(&self) -> Settled {
        let this = self.clone();
        let answer = tokio::task::spawn_blocking(move || this.check_blocking()).await;
        answer.unwrap_or_else(|_| unknown("the check failed; its message is on standard error"))
    }

    fn check_blocking(&self) -> Settled {
        let mut checker = self
            .connected
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // It is put back only after a pass without error: after one its connections are made anew.
        let answer = match checker
            .take()
            .map_or_else(|| Checker::connect(&self.kafka), Ok)
        {
            Ok(mut connected) => connected.check().inspect(|_| *checker = Some(connected)),
            Err(error) => Err(error),
        };
        match answer {
            Ok(report) => Settled {
                settled: report.waiting_for.is_none(),
                detail: json!({ "waiting_for": report.waiting_for, "stages": report.stages }),
            },
            Err(error) => unknown(&format!("kafka does not answer: {error}")),
        }
    }
}

fn unknown(why: &str) -> Settled {
    Settled {
        settled: false,
        detail: json!({ "waiting_for": why, "stages": [] }),
    }
}
