//! One request: its route, who asks, what for, and its query's thread.

use super::Server;
use super::connection::{Abort, Guard, ResponseBody};
use crate::clickhouse::body::BodyReader;
use crate::clickhouse::exception::{self, Exception};
use crate::clickhouse::multipart;
use crate::clickhouse::query::Query;
use crate::clickhouse::request::{self, Request};
use crate::clickhouse::response::{Event, Events, Head, Writer};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, ORIGIN};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::time::timeout;

/// The engine parses and analyses on the calling thread, recursively.
const STACK: usize = 8 << 20;

/// For a whole form, which is read before its query has a turn.
const FORM_TIMEOUT: Duration = Duration::from_secs(60);

type Answer = Response<ResponseBody>;

impl Server {
    pub(super) async fn handle(
        self: Arc<Self>,
        request: hyper::Request<Incoming>,
        abort: Abort,
    ) -> Answer {
        let (parts, body) = request.into_parts();
        let no_query = parts.uri.query().is_none_or(str::is_empty);
        match (&parts.method, parts.uri.path()) {
            (&Method::GET | &Method::HEAD, "/ping" | "/replicas_status") => {
                plain(StatusCode::OK, "Ok.\n")
            }
            (&Method::GET | &Method::HEAD, "/") if no_query => plain(StatusCode::OK, "Ok.\n"),
            (&Method::OPTIONS, _) => plain(StatusCode::NO_CONTENT, ""),
            (&Method::GET | &Method::HEAD | &Method::POST, "/" | "/query") => {
                self.answer(&parts, body, abort).await
            }
            (&Method::GET | &Method::HEAD | &Method::POST, path) => {
                let text = format!(
                    "There is no handle {path}\n\nUse / or /ping for health checks.\nOr /replicas_status for more \
                     sophisticated health checks.\n\nSend queries from your program with POST method or GET /?query=...\n"
                );
                plain(StatusCode::NOT_FOUND, text)
            }
            _ => plain(StatusCode::METHOD_NOT_ALLOWED, "Use GET or POST\n"),
        }
    }

    async fn answer(self: &Arc<Self>, parts: &Parts, body: Incoming, abort: Abort) -> Answer {
        match self.start(parts, body, abort).await {
            Ok(answer) => answer,
            Err((head, exception)) => {
                tracing::debug!(code = exception.code, "a request was refused");
                self.refuse(head, &exception)
            }
        }
    }

    /// Starts a request's query and waits for the head of its answer.
    async fn start(
        self: &Arc<Self>,
        parts: &Parts,
        body: Incoming,
        abort: Abort,
    ) -> Result<Answer, (Option<Head>, Exception)> {
        let early = |exception| (None, exception);
        let mut parameters = request::url_parameters(parts.uri.query().unwrap_or_default());
        self.admit(parts, &parameters).map_err(early)?;
        let mut tables = Vec::new();
        let (body, stop) = match boundary(parts) {
            Some(boundary) => {
                let form = timeout(FORM_TIMEOUT, multipart::read(body, boundary)).await;
                let (fields, files) = form.unwrap_or_else(|_| Err(slow_form())).map_err(early)?;
                parameters.extend(fields);
                tables = files;
                BodyReader::ready(Bytes::new())
            }
            None => BodyReader::of(body, self.options.idle_timeout),
        };
        let mut request = Request::new(parts, parameters).map_err(early)?;
        if request.database.is_none()
            && request.session.is_none()
            && self.options.database != "default"
        {
            request.database = Some(self.options.database.clone());
        }
        let head = Head::new(&request, &self.engine.facts);
        let (events, mut answers) = Events::channel(self.options.idle_timeout);
        let failed = |exception| (Some(Head::new(&request, &self.engine.facts)), exception);
        let writer = Writer::new(events, head, &request, self.options.data.clone())
            .map_err(|error| failed(Exception::new(exception::CANNOT_SCHEDULE_TASK, error)))?;
        let permit = self.turn().await.map_err(failed)?;
        let registered = self.engine.register(&request.query_id).map_err(failed)?;
        let session = request
            .session
            .as_ref()
            .map(|asked| self.sessions.take(asked))
            .transpose()
            .map_err(failed)?;
        let mut guard = Guard::new(Arc::clone(&self.engine), Arc::clone(&registered.running));
        let engine = Arc::clone(&self.engine);
        let query = Query {
            engine,
            request,
            body,
            stop,
            tables,
            session,
            registered,
            permit,
            writer,
        };
        let spawned = thread::Builder::new()
            .name("clickhouse-query".to_owned())
            .stack_size(STACK)
            .spawn(move || query.run());
        if let Err(error) = spawned {
            guard.disarm();
            let text = format!("No thread for the query: {error}");
            return Err((None, Exception::new(exception::CANNOT_SCHEDULE_TASK, text)));
        }
        match answers.recv().await {
            Some(Event::Head {
                status,
                headers,
                first,
                complete,
            }) => {
                let body = if complete {
                    guard.disarm();
                    ResponseBody::from(first)
                } else {
                    ResponseBody::Parts {
                        first: Some(first),
                        events: answers,
                        guard,
                        abort,
                    }
                };
                let mut answer = Response::new(body);
                *answer.status_mut() = StatusCode::from_u16(status).expect("statuses are ours");
                *answer.headers_mut() = headers;
                Ok(answer)
            }
            _ => Err((
                None,
                Exception::new(
                    exception::STD_EXCEPTION,
                    "The query ended without an answer",
                ),
            )),
        }
    }

    /// Lets in who may ask.
    fn admit(&self, parts: &Parts, parameters: &[(String, String)]) -> Result<(), Exception> {
        let asking = request::credentials(parts, parameters)?;
        let password = self.options.password.as_deref().unwrap_or_default();
        let right = same(&asking.password, password) & same(&asking.user, &self.options.user);
        if !right {
            let text = format!(
                "{}: Authentication failed: password is incorrect, or there is no user with such name",
                asking.user
            );
            return Err(Exception::new(exception::AUTHENTICATION_FAILED, text));
        }
        // Without a password, being able to connect is all that is asked for, and a web page of anybody's can make
        // the user's browser connect. Pages of this machine may.
        let origin = parts
            .headers
            .get(ORIGIN)
            .map(|origin| origin.to_str().unwrap_or_default());
        if password.is_empty() && origin.is_some_and(|origin| !is_local(origin)) {
            let text = "Requests of web pages from elsewhere are only taken with a password: set `password`";
            return Err(Exception::new(exception::AUTHENTICATION_FAILED, text));
        }
        Ok(())
    }

    async fn turn(&self) -> Result<tokio::sync::OwnedSemaphorePermit, Exception> {
        match timeout(
            self.options.queue_timeout,
            Arc::clone(&self.turns).acquire_owned(),
        )
        .await
        {
            Ok(permit) => Ok(permit.expect("the semaphore is never closed")),
            Err(_) => {
                let most = self.options.max_concurrent_queries;
                let text = format!("Too many simultaneous queries. Maximum: {most}");
                Err(Exception::new(
                    exception::TOO_MANY_SIMULTANEOUS_QUERIES,
                    text,
                ))
            }
        }
    }

    fn refuse(&self, head: Option<Head>, exception: &Exception) -> Answer {
        let version = &self.engine.facts.version;
        let status = StatusCode::from_u16(exception.status()).expect("statuses are ours");
        let mut answer = plain(status, format!("{}\n", exception.to_text(version)));
        if let Some(head) = head {
            *answer.headers_mut() = head.headers(None, Some(exception));
        }
        answer.headers_mut().insert(
            "x-clickhouse-exception-code",
            HeaderValue::from(exception.code),
        );
        answer
    }
}

fn plain(status: StatusCode, text: impl Into<String>) -> Answer {
    let mut answer = Response::new(ResponseBody::from(Bytes::from(text.into())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=UTF-8"),
    );
    answer
}

fn slow_form() -> Exception {
    Exception::new(
        exception::SOCKET_TIMEOUT,
        "Timeout exceeded while reading the form",
    )
}

fn boundary(parts: &Parts) -> Option<String> {
    let kind = parts.headers.get(CONTENT_TYPE)?.to_str().ok()?;
    multer::parse_boundary(kind).ok()
}

/// Compares in a time that does not tell how much of it is right.
fn same(given: &str, right: &str) -> bool {
    let different = given
        .bytes()
        .zip(right.bytes())
        .fold(0, |sum, (a, b)| sum | (a ^ b));
    (given.len() == right.len()) & (different == 0)
}

fn is_local(origin: &str) -> bool {
    let Some((_, rest)) = origin.split_once("://") else {
        return false;
    };
    let host = match rest.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => rest.split(':').next().unwrap_or_default(),
    };
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_machine_are_local() {
        for local in [
            "http://localhost:8090",
            "https://127.0.0.1",
            "http://[::1]:3000",
        ] {
            assert!(is_local(local), "{local}");
        }
        for foreign in [
            "https://example.com",
            "null",
            "",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
        ] {
            assert!(!is_local(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_password_is_right_or_wrong() {
        assert!(same("secret", "secret") && same("", ""));
        assert!(!same("secret", "secreT") && !same("secre", "secret") && !same("", "x"));
    }
}
