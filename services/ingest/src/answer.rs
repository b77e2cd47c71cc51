//! Answers: one exhaustive match from what went wrong to status, code, field and fix; and what SDKs expect to read.

mod settings;

use std::borrow::Cow;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::header::{self, HeaderMap, HeaderValue};
use serde::Serialize;
use tributary_platform::metrics::Label as _;

use crate::metrics::Status;
use crate::publish::Unavailable;
use crate::refusal::Refusal;
use crate::{decompress, split};

pub(crate) use settings::settings;

/// An answer, and the status it is counted under.
pub(crate) type Answer = (Status, Response<Full<Bytes>>);

/// Why a request is refused as a whole.
#[derive(Debug)]
pub(crate) enum Rejection {
    NotFound,
    WrongMethod,
    NoWriteKey,
    UnknownWriteKey,
    OriginNotAllowed,
    TooManyInFlight,
    BodyTooLarge {
        limit: usize,
    },
    BodyTimeout,
    BodyBroken,
    UnknownEncoding,
    Unpack {
        error: decompress::Error,
        limit: usize,
    },
    Split {
        error: split::Error,
        max_events: usize,
    },
    NoPixelData,
    /// A single event that is refused, and is a dead letter now.
    Event(Refusal),
    Unavailable(Unavailable),
}

/// An error as every client sees it.
struct Problem {
    status: Status,
    code: &'static str,
    message: Cow<'static, str>,
    field: Cow<'static, str>,
    /// Seconds after which the same request may be answered otherwise.
    retry_after: Option<&'static str>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorFields<'a>,
}

#[derive(Serialize)]
struct ErrorFields<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    field: &'a str,
}

/// What became of one event of a batch, for `?verbose=1`.
#[derive(Debug, Serialize)]
pub(crate) struct EventStatus {
    index: usize,
    message_id: String,
    status: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    field: Cow<'static, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: Cow<'static, str>,
}

impl EventStatus {
    pub(crate) fn accepted(index: usize, message_id: &str) -> Self {
        let message_id = message_id.to_owned();
        Self {
            index,
            message_id,
            status: "accepted",
            reason: "",
            field: "".into(),
            message: "".into(),
        }
    }

    pub(crate) fn refused(index: usize, message_id: &str, refusal: &Refusal) -> Self {
        Self {
            index,
            message_id: message_id.to_owned(),
            status: "refused",
            reason: refusal.reason.as_str(),
            field: refusal.field.clone(),
            message: refusal.message.clone(),
        }
    }
}

/// A batch that was taken, and what became of its events.
#[derive(Debug, Serialize)]
pub(crate) struct Taken {
    success: bool,
    pub(crate) accepted: usize,
    pub(crate) refused: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) events: Option<Vec<EventStatus>>,
}

impl Taken {
    pub(crate) fn new(verbose: bool) -> Self {
        Self {
            success: true,
            accepted: 0,
            refused: 0,
            events: verbose.then(Vec::new),
        }
    }
}

/// A batch, and what became of its events.
pub(crate) fn taken(taken: &Taken) -> Answer {
    let body = serde_json::to_vec(taken).expect("counts and texts are JSON");
    json(Status::Ok, body.into())
}

/// A single event that is stored.
pub(crate) fn success() -> Answer {
    json(Status::Ok, Bytes::from_static(br#"{"success":true}"#))
}

/// The picture of a pixel: 1 by 1, transparent.
pub(crate) fn pixel() -> Answer {
    const GIF: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";
    let mut response = respond(Status::Ok, "image/gif", Bytes::from_static(GIF));
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    (Status::Ok, response)
}

/// Allows what a browser asks for; whether this origin may use this write key is told by the request itself.
pub(crate) fn preflight(asked: &HeaderMap) -> Answer {
    let mut response = respond(Status::Ok, "text/plain", Bytes::new());
    let headers = response.headers_mut();
    let wanted = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let usual = HeaderValue::from_static("authorization, content-type, content-encoding");
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        wanted.unwrap_or(usual),
    );
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, POST, OPTIONS"),
    );
    headers.insert(
        header::ACCESS_CONTROL_MAX_AGE,
        HeaderValue::from_static("86400"),
    );
    (Status::Ok, response)
}

/// Lets pages of the request's origin read the answer.
pub(crate) fn allow_origin(response: &mut Response<Full<Bytes>>, origin: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
        HeaderValue::from_static("true"),
    );
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
}

/// The answer to a request that is refused.
pub(crate) fn rejected(rejection: Rejection) -> Answer {
    let problem = problem(rejection);
    let error = ErrorFields {
        code: problem.code,
        message: &problem.message,
        field: &problem.field,
    };
    let body = serde_json::to_vec(&ErrorBody { error }).expect("texts are JSON");
    let (status, mut response) = json(problem.status, body.into());
    if let Some(seconds) = problem.retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
    }
    if status == Status::Unauthorized {
        response.headers_mut().insert(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Basic realm=\"write key\""),
        );
    }
    (status, response)
}

fn problem(rejection: Rejection) -> Problem {
    let problem = |status, code, field: &'static str, message: Cow<'static, str>| Problem {
        status,
        code,
        message,
        field: field.into(),
        retry_after: None,
    };
    let plain =
        |status, code, field, message: &'static str| problem(status, code, field, message.into());
    match rejection {
        Rejection::NotFound => plain(
            Status::NotFound,
            "not_found",
            "path",
            "there is no such path: post to /v1/track, identify, page, screen, group, alias or batch",
        ),
        Rejection::WrongMethod => plain(
            Status::MethodNotAllowed,
            "wrong_method",
            "method",
            "events are sent with POST; settings and pixels are read with GET",
        ),
        Rejection::NoWriteKey => plain(
            Status::Unauthorized,
            "no_write_key",
            "writeKey",
            "there is no write key: send it as the user name of Basic authentication, with an empty password, or as `writeKey` in the body",
        ),
        Rejection::UnknownWriteKey => plain(
            Status::Unauthorized,
            "unknown_write_key",
            "writeKey",
            "no source has this write key: copy it from `sources.write_keys` of the configuration",
        ),
        Rejection::OriginNotAllowed => plain(
            Status::Forbidden,
            "origin_not_allowed",
            "Origin",
            "pages of this origin may not use this write key: add it to the source's `allowed_origins`",
        ),
        Rejection::TooManyInFlight => Problem {
            retry_after: Some("1"),
            ..plain(
                Status::TooMany,
                "too_many_requests",
                "",
                "too many requests are being answered: try again after Retry-After",
            )
        },
        Rejection::BodyTooLarge { limit } => problem(
            Status::TooLarge,
            "body_too_large",
            "body",
            format!("the body has more than {limit} bytes: send fewer or smaller events").into(),
        ),
        Rejection::BodyTimeout => plain(
            Status::Timeout,
            "body_timeout",
            "body",
            "the body did not arrive in time: send it again",
        ),
        Rejection::BodyBroken => plain(
            Status::BadRequest,
            "body_broken",
            "body",
            "the body broke off: send it again, whole",
        ),
        Rejection::UnknownEncoding => plain(
            Status::UnsupportedEncoding,
            "unknown_encoding",
            "Content-Encoding",
            "this encoding is not known: send gzip or leave the header out",
        ),
        Rejection::Unpack { error, limit } => match error {
            decompress::Error::TooLarge => problem(
                Status::TooLarge,
                "body_too_large",
                "body",
                format!(
                    "the unpacked body has more than {limit} bytes: send fewer or smaller events"
                )
                .into(),
            ),
            decompress::Error::Damaged => plain(
                Status::BadRequest,
                "damaged_gzip",
                "body",
                "the body is not whole gzip, as Content-Encoding says",
            ),
            decompress::Error::NotText => plain(
                Status::BadRequest,
                "not_utf8",
                "body",
                "the body is not UTF-8",
            ),
        },
        Rejection::Split { error, max_events } => match error {
            split::Error::Malformed { line, column, what } => problem(
                Status::BadRequest,
                "malformed_json",
                "body",
                format!("the body is no JSON from line {line}, column {column} on: {what}").into(),
            ),
            split::Error::NotAnObject => plain(
                Status::BadRequest,
                "not_an_object",
                "body",
                "the body must be a JSON object",
            ),
            split::Error::NoBatch => plain(
                Status::BadRequest,
                "no_batch",
                "batch",
                "there is no list of events: send {\"batch\": [{\"type\": \"track\", ...}]}",
            ),
            split::Error::TooManyEvents { found } => problem(
                Status::TooLarge,
                "too_many_events",
                "batch",
                format!("the batch has {found} events, at most {max_events} are taken: split it")
                    .into(),
            ),
        },
        Rejection::NoPixelData => plain(
            Status::BadRequest,
            "no_data",
            "data",
            "there is no event: send ?data= with the event's JSON, writeKey included, in base64",
        ),
        Rejection::Event(refusal) => Problem {
            status: Status::BadRequest,
            code: refusal.reason.as_str(),
            message: refusal.message,
            field: refusal.field,
            retry_after: None,
        },
        Rejection::Unavailable(unavailable) => {
            let (code, message) = match unavailable {
                Unavailable::Unreachable => (
                    "kafka_unavailable",
                    "events cannot be stored now: try again after Retry-After",
                ),
                Unavailable::QueueFull => (
                    "queue_full",
                    "events come faster than they are stored: try again after Retry-After",
                ),
                Unavailable::NotAcknowledged => (
                    "not_acknowledged",
                    "not every event is known to be stored: send them again after Retry-After, with the same message ids",
                ),
            };
            Problem {
                retry_after: Some("5"),
                ..plain(Status::Unavailable, code, "", message)
            }
        }
    }
}

fn json(status: Status, body: Bytes) -> Answer {
    (status, respond(status, "application/json", body))
}

fn respond(status: Status, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status.code();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
