//! One exhaustive match from what went wrong to status, code, field and fix.

use std::borrow::Cow;

use tributary_platform::metrics::Label as _;

use crate::metrics::Status;
use crate::publish::Unavailable;
use crate::refusal::{Reason, Refusal};
use crate::{decompress, split};

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
pub(super) struct Problem {
    pub(super) status: Status,
    pub(super) code: &'static str,
    pub(super) message: Cow<'static, str>,
    pub(super) field: Cow<'static, str>,
    /// Seconds after which the same request may be answered otherwise.
    pub(super) retry_after: Option<&'static str>,
}

pub(super) fn problem(rejection: Rejection) -> Problem {
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
            status: match refusal.reason {
                Reason::TooLarge => Status::TooLarge,
                _ => Status::BadRequest,
            },
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
