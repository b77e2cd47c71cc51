//! What is counted: every request by its status, every event by its one outcome.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::StatusCode;
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};
use tributary_contracts::wire::identifier_flags;
use tributary_platform::metrics::{ByLabel, LATENCY_SECONDS, Label, Metrics};

use crate::refusal::Reason;

/// The one outcome of an event of an authenticated request that could be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Stored, by the word of all in-sync replicas.
    Accepted,
    /// Stored as a dead letter.
    Refused,
    /// Neither is known: the sender was told to try again.
    Failed,
}

impl Outcome {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Accepted, "accepted"),
        (Self::Refused, "refused"),
        (Self::Failed, "failed"),
    ];
}

/// The statuses that requests are answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    Timeout,
    TooLarge,
    UnsupportedEncoding,
    TooMany,
    Unavailable,
}

impl Status {
    pub(crate) fn code(self) -> StatusCode {
        match self {
            Self::Ok => StatusCode::OK,
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Label for Status {
    const ALL: &'static [Self] = &[
        Self::Ok,
        Self::BadRequest,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Timeout,
        Self::TooLarge,
        Self::UnsupportedEncoding,
        Self::TooMany,
        Self::Unavailable,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "200",
            Self::BadRequest => "400",
            Self::Unauthorized => "401",
            Self::Forbidden => "403",
            Self::NotFound => "404",
            Self::MethodNotAllowed => "405",
            Self::Timeout => "408",
            Self::TooLarge => "413",
            Self::UnsupportedEncoding => "415",
            Self::TooMany => "429",
            Self::Unavailable => "503",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// Of requests. Alert when 503 is more than a trickle: Kafka does not take what customers do.
#[derive(Debug)]
pub(crate) struct RequestMetrics {
    requests: ByLabel<IntCounter>,
    pub(crate) duration: Histogram,
    pub(crate) body_bytes: IntCounter,
    pub(crate) unpacked_bytes: IntCounter,
    pub(crate) connections: IntGauge,
    in_flight: IntGauge,
    slots: AtomicUsize,
}

impl RequestMetrics {
    pub(crate) fn new(metrics: &Metrics, max_in_flight: usize) -> Self {
        Self {
            requests: metrics.counters::<Status>("tributary_ingest_requests_total", "Requests by the status of their answer.", "status"),
            duration: metrics.histogram(
                "tributary_ingest_request_duration_seconds",
                "From the headers of a request with events to its answer, Kafka's acknowledgement included.",
                LATENCY_SECONDS,
            ),
            body_bytes: metrics.counter("tributary_ingest_body_bytes_total", "Bytes of bodies as received."),
            unpacked_bytes: metrics.counter("tributary_ingest_unpacked_bytes_total", "Bytes of bodies after decompression."),
            connections: metrics.gauge("tributary_ingest_connections", "Open connections."),
            in_flight: metrics.gauge("tributary_ingest_in_flight_requests", "Requests with events that are not answered yet."),
            slots: AtomicUsize::new(max_in_flight),
        }
    }

    pub(crate) fn answered(&self, status: Status) {
        self.requests.get(status).inc();
    }

    /// A place among the requests in flight, if one is free.
    pub(crate) fn enter(&self) -> Option<InFlight<'_>> {
        self.slots
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |slots| {
                slots.checked_sub(1)
            })
            .ok()?;
        self.in_flight.inc();
        Some(InFlight(self))
    }
}

/// A place among the requests in flight, free again when dropped, also when the client goes away.
#[derive(Debug)]
pub(crate) struct InFlight<'a>(&'a RequestMetrics);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.dec();
        self.0.slots.fetch_add(1, Ordering::Relaxed);
    }
}

/// Of events, by source.
pub(crate) struct EventMetrics {
    events: IntCounterVec,
    refused: IntCounterVec,
    identifier_problems: IntCounterVec,
}

impl EventMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            events: metrics.counter_vec(
                "tributary_ingest_events_total",
                "Events of requests that could be read, by their one outcome: accepted (stored), refused (stored as dead letters), failed (not acknowledged; the sender tries again).",
                &["workspace", "source", "outcome"],
            ),
            refused: metrics.counter_vec(
                "tributary_ingest_refusals_total",
                "Events that were found wrong, by reason. Alert on a rise after a release of a site or app.",
                &["workspace", "source", "reason"],
            ),
            identifier_problems: metrics.counter_vec(
                "tributary_ingest_identifier_problems_total",
                "Identifiers that were left out (placeholder, beyond_limit, too_long) or kept as sent (not_normalised); touchpoints.identifier_problems has them.",
                &["workspace", "source", "problem"],
            ),
        }
    }

    /// The handles of a source; its series exist from now on.
    pub(crate) fn of(&self, workspace: &str, source: &str) -> SourceMetrics {
        let event = |(_, name)| self.events.with_label_values(&[workspace, source, name]);
        let refusal = |reason: &Reason| {
            self.refused
                .with_label_values(&[workspace, source, reason.as_str()])
        };
        let problem = |(_, name)| {
            self.identifier_problems
                .with_label_values(&[workspace, source, name])
        };
        SourceMetrics {
            identifier_problems: identifier_flags::ALL.map(problem),
            events: Outcome::ALL.map(event),
            refused: Reason::ALL.iter().map(refusal).collect(),
        }
    }
}

impl fmt::Debug for EventMetrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EventMetrics")
            .finish_non_exhaustive()
    }
}

/// Of the events of one source.
#[derive(Debug)]
pub(crate) struct SourceMetrics {
    events: [IntCounter; 3],
    refused: Vec<IntCounter>,
    identifier_problems: [IntCounter; 4],
}

impl SourceMetrics {
    pub(crate) fn ended(&self, outcome: Outcome, events: usize) {
        if events > 0 {
            self.events[outcome as usize].inc_by(events as u64);
        }
    }

    /// An identifier has these flags.
    pub(crate) fn flagged(&self, flags: i32) {
        for ((flag, _), counter) in identifier_flags::ALL.iter().zip(&self.identifier_problems) {
            if flags & flag != 0 {
                counter.inc();
            }
        }
    }

    pub(crate) fn refused(&self, reason: Reason) {
        self.refused[reason.index()].inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_stands_at_its_index() {
        for (index, status) in Status::ALL.iter().enumerate() {
            assert_eq!(
                (status.index(), status.code().as_str()),
                (index, status.as_str())
            );
        }
        for (index, (outcome, _)) in Outcome::ALL.iter().enumerate() {
            assert_eq!(*outcome as usize, index);
        }
    }

    #[test]
    fn a_place_in_flight_is_free_again_when_it_is_dropped() {
        let metrics = RequestMetrics::new(&Metrics::default(), 2);
        let (first, second) = (metrics.enter(), metrics.enter());
        assert!(first.is_some() && second.is_some() && metrics.enter().is_none());
        drop(first);
        assert!(metrics.enter().is_some());
    }
}
