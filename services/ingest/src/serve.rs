//! Answers one request: the pipeline on one screen.
//!
//! route -> authenticate -> read -> decompress -> split -> for each event (validate -> normalise -> classify -> encode
//! -> publish) -> wait for the one acknowledgement -> answer

mod pixel;
mod read;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{HeaderMap, ORIGIN, USER_AGENT};
use hyper::{Request, Response};
use tributary_core::time::Timestamp;
use tributary_platform::config::Ingest;

use crate::answer::{self, Answer, EventStatus, Rejection, Taken};
use crate::authenticate::{Header, Sources};
use crate::classify::{self, Sender};
use crate::decompress::{self, Encoding};
use crate::metrics::RequestMetrics;
use crate::normalise;
use crate::publish::{Publisher, Submission, Submitted};
use crate::refusal::{Reason, Refusal};
use crate::route::{Route, route};
use crate::source::Source;
use crate::split::{self, Element, Event};
use crate::validate::{self, Call, Given};

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) limits: Ingest,
    pub(crate) sources: Sources,
    pub(crate) publisher: Publisher,
    pub(crate) metrics: RequestMetrics,
    pub(crate) clock: fn() -> Timestamp,
}

/// What a body holds.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Single { call: Call, verbose: bool },
    Pixel(Call),
    Batch { verbose: bool },
}

impl Shape {
    /// The call that the path names; in a batch each event names its own.
    fn call(self) -> Option<Call> {
        match self {
            Self::Single { call, .. } | Self::Pixel(call) => Some(call),
            Self::Batch { .. } => None,
        }
    }

    /// Whether the answer tells what became of each event.
    fn is_verbose(self) -> bool {
        matches!(
            self,
            Self::Single { verbose: true, .. } | Self::Batch { verbose: true }
        )
    }
}

/// A request whose events are on their way.
#[derive(Debug)]
struct Sent {
    submitted: Submitted,
    taken: Taken,
    /// Of a single event.
    refusal: Option<Refusal>,
}

impl Service {
    /// Answers one request.
    pub(crate) async fn serve(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let headers = &head.headers;
        let query = head.uri.query().unwrap_or("");
        let answer = match route(&head.method, head.uri.path()) {
            Route::Single(call) => {
                let verbose = is_verbose(query);
                self.post(Shape::Single { call, verbose }, headers, body)
                    .await
            }
            Route::Batch => {
                let verbose = is_verbose(query);
                self.post(Shape::Batch { verbose }, headers, body).await
            }
            Route::Pixel(call) => self.pixel(call, headers, query).await,
            Route::Settings(key) => match self.sources.by_key(key) {
                Some(_) => Ok(answer::settings(key, headers)),
                None => Err(Rejection::UnknownWriteKey),
            },
            Route::SdkMetrics => Ok(answer::success()),
            Route::Preflight => Ok(answer::preflight(headers)),
            Route::WrongMethod => Err(Rejection::WrongMethod),
            Route::Unknown => Err(Rejection::NotFound),
        };
        let (status, mut response) = answer.unwrap_or_else(answer::rejected);
        self.metrics.answered(status);
        if let Some(origin) = headers.get(ORIGIN) {
            answer::allow_origin(&mut response, origin.clone());
        }
        response
    }

    async fn post(
        &self,
        shape: Shape,
        headers: &HeaderMap,
        body: Incoming,
    ) -> Result<Answer, Rejection> {
        let started = Instant::now();
        let _place = self.metrics.enter().ok_or(Rejection::TooManyInFlight)?;
        let source = match self.sources.by_header(headers) {
            Header::Known(source) => Some(source),
            Header::Silent => None,
            Header::Unknown => return Err(Rejection::UnknownWriteKey),
        };
        let encoding = Encoding::of(headers).ok_or(Rejection::UnknownEncoding)?;
        // An event that is larger than events may be is read nevertheless: it is refused as one, and kept as a dead letter.
        let limit = self.limits.max_batch_bytes;
        let packed = read::body(body, limit, self.limits.body_timeout).await?;
        self.metrics.body_bytes.inc_by(packed.len() as u64);
        let unpack = |error| Rejection::Unpack { error, limit };
        let text = decompress::body(packed, encoding, limit).map_err(unpack)?;
        let sent = self.send(shape, text.as_str().map_err(unpack)?, source, headers)?;
        drop(text);
        let answer = finish(shape, sent).await;
        self.metrics
            .duration
            .observe(started.elapsed().as_secs_f64());
        answer
    }

    async fn pixel(
        &self,
        call: Call,
        headers: &HeaderMap,
        query: &str,
    ) -> Result<Answer, Rejection> {
        let _place = self.metrics.enter().ok_or(Rejection::TooManyInFlight)?;
        let event = pixel::event(query).ok_or(Rejection::NoPixelData)?;
        let shape = Shape::Pixel(call);
        let sent = self.send(shape, &event, None, headers)?;
        finish(shape, sent).await
    }

    /// Reads the events of a body and queues each: as a touchpoint, or as a dead letter where it is refused.
    fn send(
        &self,
        shape: Shape,
        body: &str,
        source: Option<Arc<Source>>,
        headers: &HeaderMap,
    ) -> Result<Sent, Rejection> {
        self.metrics.unpacked_bytes.inc_by(body.len() as u64);
        let max_events = self.limits.max_batch_events;
        let request = match shape {
            Shape::Single { .. } | Shape::Pixel(_) => split::single(body),
            Shape::Batch { .. } => split::batch(body, max_events),
        }
        .map_err(|error| Rejection::Split { error, max_events })?;
        let source = match source {
            Some(source) => source,
            None if request.write_key.is_empty() => return Err(Rejection::NoWriteKey),
            None => Arc::clone(
                self.sources
                    .by_key(&request.write_key)
                    .ok_or(Rejection::UnknownWriteKey)?,
            ),
        };
        let origin = headers.get(ORIGIN);
        if origin.is_some_and(|origin| !source.allows(origin.as_bytes())) {
            return Err(Rejection::OriginNotAllowed);
        }
        let received_at = (self.clock)();
        let mut submission = self
            .publisher
            .begin(&source, received_at)
            .map_err(Rejection::Unavailable)?;
        let call = shape.call();
        let reader = Reader {
            given: Given {
                source: &source,
                call,
                sent_at: validate::sent_at(request.sent_at),
                context: request.context,
                max_event_bytes: self.limits.max_event_bytes,
            },
            sender: Sender {
                user_agent: headers
                    .get(USER_AGENT)
                    .and_then(|agent| agent.to_str().ok())
                    .unwrap_or(""),
                is_page: origin.is_some() || matches!(shape, Shape::Pixel(_)),
            },
            received_at,
        };
        let mut taken = Taken::new(shape.is_verbose());
        let mut raw_events = None;
        let mut last_refusal = None;
        for (index, element) in request.elements.iter().enumerate() {
            let (message_id, refusal) = reader.read(element, &mut submission);
            let status = match refusal {
                None => {
                    taken.accepted += 1;
                    taken
                        .events
                        .is_some()
                        .then(|| EventStatus::accepted(index, &message_id))
                }
                Some(refusal) => {
                    taken.refused += 1;
                    let payload = match call {
                        Some(_) => request.body,
                        None => raw_events
                            .get_or_insert_with(|| split::raw_events(request.body))
                            .get(index)
                            .map_or("", |raw| raw.get()),
                    };
                    submission.dead_letter(&refusal, &message_id, payload);
                    let status = taken
                        .events
                        .is_some()
                        .then(|| EventStatus::refused(index, &message_id, &refusal));
                    last_refusal = Some(refusal);
                    status
                }
            };
            if let (Some(events), Some(status)) = (&mut taken.events, status) {
                events.push(status);
            }
        }
        Ok(Sent {
            submitted: submission.submitted(),
            taken,
            refusal: last_refusal.filter(|_| call.is_some()),
        })
    }
}

/// Reads the events of one request.
#[derive(Debug)]
struct Reader<'a> {
    given: Given<'a>,
    sender: Sender<'a>,
    received_at: Timestamp,
}

impl<'a> Reader<'a> {
    /// Queues one event. The message id, empty where there is none, and why the event is refused, if it is.
    fn read(
        &self,
        element: &'a Element<'a>,
        submission: &mut Submission<'_>,
    ) -> (Cow<'a, str>, Option<Refusal>) {
        let Element::Event(event) = element else {
            let refusal = Refusal::new(
                Reason::NotAnObject,
                "",
                "must be a JSON object such as {\"type\": \"track\", ...}",
            );
            return ("".into(), Some(refusal));
        };
        match self.understand(event, submission) {
            Ok(message_id) => (message_id, None),
            Err(refusal) => (
                validate::message_id(event)
                    .ok()
                    .flatten()
                    .unwrap_or_default(),
                Some(refusal),
            ),
        }
    }

    fn understand(
        &self,
        event: &'a Event<'a>,
        submission: &mut Submission<'_>,
    ) -> Result<Cow<'a, str>, Refusal> {
        let source = self.given.source;
        let mut message = validate::message(event, &self.given)?;
        let normalised = normalise::message(&mut message, source, self.received_at)?;
        for identifier in normalised.identifiers.iter().filter(|one| one.flags != 0) {
            source.metrics.flagged(identifier.flags);
        }
        let classified = classify::message(&message, source, self.sender);
        submission.touchpoint(&message, &normalised, &classified);
        Ok(message.message_id)
    }
}

/// Waits for the acknowledgement, then answers.
async fn finish(shape: Shape, sent: Sent) -> Result<Answer, Rejection> {
    sent.submitted
        .acknowledged()
        .await
        .map_err(Rejection::Unavailable)?;
    match (shape, sent.refusal) {
        (_, Some(refusal)) => Err(Rejection::Event(refusal)),
        (Shape::Single { verbose: false, .. }, None) => Ok(answer::success()),
        (Shape::Pixel(_), None) => Ok(answer::pixel()),
        (Shape::Single { .. } | Shape::Batch { .. }, None) => Ok(answer::taken(&sent.taken)),
    }
}

fn is_verbose(query: &str) -> bool {
    query
        .split('&')
        .any(|pair| matches!(pair, "verbose=1" | "verbose=true" | "verbose"))
}
