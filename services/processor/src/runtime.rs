//! Runs stages: owns Kafka, the store and the clock, so that a stage only decides.
//!
//! ```text
//! worker: one thread a stage, one life after the other
//!   life: open ─> wait for partitions ─> restore ─> learn links ─┐
//!     ┌─────────────────────────────────────────────────────────┘
//!     └> gather a batch ─> learn new links ─> flush in a transaction with the input's offsets ─> checkpoint ─┐
//!        └──────────────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! There is one way to recover: whatever fails (Kafka, the disk, the stage, a panic), and whenever partitions are
//! assigned anew, the life ends, with all it has not committed, and another begins. See
//! services/adr/0006-exactly-once-stages.md.

mod assignment;
mod changelog;
mod life;
pub mod memory;
mod metrics;
mod side_input;
mod snapshot;
pub mod stage;
mod transaction;
mod worker;

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tributary_platform::admin_http::Readiness;
use tributary_platform::config::{Compression, Kafka};
use tributary_platform::lifecycle::Scope;

pub use metrics::RuntimeMetrics;
use stage::Stage;
use worker::Worker;

/// How workers run; the same for all stages.
#[derive(Clone, Debug)]
pub struct Options {
    /// How Kafka is reached.
    pub kafka: Kafka,
    /// The local stores, one folder a stage.
    pub folder: PathBuf,
    /// Names this process for ever, and no other: its group instance ids and transactional ids are made of it. After a
    /// crash the same name takes up its partitions at once.
    pub instance: String,
    /// Time between commits while records come.
    pub commit_interval: Duration,
    /// Records of a transaction.
    pub max_batch: usize,
    /// Time between checkpoints.
    pub checkpoint_interval: Duration,
    /// Time between snapshots of what was learned of side inputs.
    pub snapshot_interval: Duration,
    /// Block cache of one stage's store.
    pub cache_bytes: u64,
    /// A worker that died is replaced after this.
    pub session_timeout: Duration,
    /// What a worker that died left open is aborted after this.
    pub transaction_timeout: Duration,
    /// Of what is produced.
    pub compression: Compression,
}

/// Makes a stage that knows nothing yet.
pub type Factory = Arc<dyn Fn() -> Box<dyn Stage> + Send + Sync>;

/// Starts a stage's worker thread, which ends at the scope's stop, after it has committed and checkpointed.
/// `readiness` gets a check of this name.
///
/// # Errors
/// When the thread cannot be started.
pub fn spawn(
    name: &'static str,
    factory: Factory,
    options: &Options,
    scope: &Scope,
    metrics: &RuntimeMetrics,
    readiness: &Readiness,
) -> std::io::Result<()> {
    let worker = Worker {
        name,
        factory,
        options: options.clone(),
        metrics: metrics.of(name),
        readiness: readiness.check(name),
        shutdown: scope.shutdown(),
        failed: RefCell::default(),
    };
    scope.spawn_thread(name, move || {
        worker.run();
        Ok::<(), std::convert::Infallible>(())
    })
}
