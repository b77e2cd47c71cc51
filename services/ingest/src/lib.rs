//! Ingest: the Segment HTTP API in front of Kafka.
//!
//! An SDK's events come in, each is understood and filed under its timeline, and a 200 is answered once all in-sync
//! replicas have them.
//!
//! ```text
//! accept ─> serve: authenticate ─> read ─> decompress ─> split ─┬─> one acknowledgement ─> answer
//!                                                               │            ▲
//!                   each event:  validate ─> normalise ─> classify ─> encode ─> publish ─> touchpoints
//!                                    └───────────┴─ refused ──────────────────> publish ─> dead_letters
//! ```
//!
//! | stage | when it fails |
//! |---|---|
//! | accept | above `max_connections` clients wait in the listen queue; headers that take longer than `header_timeout` close the connection |
//! | authenticate | 401: no key, or a key that nobody has; 403: pages of that origin may not use it |
//! | read | 429 above `max_in_flight_requests`; 408 after `body_timeout`; 413 above the cap |
//! | decompress | 413 where the body unpacks to more than the cap (it is unpacked no further); 400 for damaged gzip; 415 for another encoding |
//! | split | 400 with line and column; 413 above `max_batch_events` |
//! | validate, normalise | that event is refused alone, goes whole to `dead_letters`, and the answer says why: 400 for a single event (413 above `max_event_bytes`), per event of a batch with `?verbose=1` |
//! | classify | never: what is not known is `direct`, `server`, or empty |
//! | publish | 503 with Retry-After: Kafka does not answer, its queue is full, or a delivery failed. The sender tries again with the same message ids; an event without one gets a new one then and cannot be known again |
//!
//! Every event of a request that could be read ends in one outcome, counted when Kafka reports it, also when the
//! client has gone: accepted, refused, failed.
//!
//! What the payload says beyond Segment's specification: `context.subject = "source"` (spend, followers: the event
//! speaks of its source and needs no identifier; its timeline is the type `source` and the source's name),
//! `context.store` (an id, or an object with one), `context.device.type = "till"`, and answers (`Survey Answered`:
//! see `validate::answers`), loyalty points (`validate::points`) and spend (`validate::spend`). A batch's own `context` is that of each event that has none.

mod accept;
mod answer;
mod authenticate;
mod classify;
mod decompress;
mod encode;
mod lenient;
mod metrics;
mod normalise;
mod publish;
mod refusal;
mod route;
mod serve;
mod source;
mod split;
mod validate;

pub use normalise::identifiers::kept;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::net::TcpListener;
use tributary_core::time::Timestamp;
use tributary_platform::admin_http::Readiness;
use tributary_platform::config::Config;
use tributary_platform::kafka::producer;
use tributary_platform::lifecycle::Scope;
use tributary_platform::metrics::Metrics;

use authenticate::Sources;
use metrics::{EventMetrics, RequestMetrics};
use publish::Publisher;
use serve::Service;

/// Why ingest cannot start. Trying again does not help.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody could send anything.
    #[error("`sources` is empty: add [[sources]] with name and write_keys")]
    NoSources,
    /// The producer cannot be made.
    #[error(transparent)]
    Producer(#[from] producer::Error),
}

/// Starts ingest on `listener`, as tasks of `scope`: a server, and two threads for the Kafka producer. It stops when
/// the scope does, after the requests in flight are answered. Readiness gets the check `ingest`: whether Kafka takes
/// events.
///
/// # Errors
/// See [`Error`]. An unreachable Kafka is none: until it answers, events are answered with 503.
pub fn start(
    config: &Config,
    listener: TcpListener,
    scope: &Scope,
    metrics: &Metrics,
    readiness: &Readiness,
) -> Result<(), Error> {
    if config.sources.is_empty() {
        return Err(Error::NoSources);
    }
    let service = Arc::new(Service {
        limits: config.ingest.clone(),
        sources: Sources::new(config, &EventMetrics::new(metrics)),
        publisher: Publisher::start(config, readiness, scope)?,
        metrics: RequestMetrics::new(metrics, config.ingest.max_in_flight_requests),
        clock: now,
    });
    let shutdown = scope.shutdown();
    scope.spawn("server", async move {
        accept::accept(Arc::clone(&service), listener, shutdown).await;
        // Every request is answered, so nothing is queued but what nobody waits for.
        service.publisher.close();
        Ok::<_, std::convert::Infallible>(())
    });
    Ok(())
}

fn now() -> Timestamp {
    // Before 1970 only where the clock was never set; the event is then dated 1970, not lost.
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
