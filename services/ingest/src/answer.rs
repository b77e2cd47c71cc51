//! Answers, as SDKs expect to read them.

mod problem;
mod settings;

use std::borrow::Cow;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::header::{self, HeaderMap, HeaderValue};
use serde::Serialize;
use tributary_platform::metrics::Label as _;

use crate::metrics::Status;
use crate::refusal::Refusal;

pub(crate) use problem::Rejection;
pub(crate) use settings::settings;

/// An answer, and the status it is counted under.
pub(crate) type Answer = (Status, Response<Full<Bytes>>);

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
    let problem = problem::problem(rejection);
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
