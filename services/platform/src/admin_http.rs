//! The HTTP server on the metrics port: what operations sees of a process.
//!
//! | path | answer |
//! |---|---|
//! | `/metrics` | Prometheus' text format |
//! | `/health` | 200 for as long as the process serves |
//! | `/ready` | 200 once all registered checks are ready, else 503, with each check's reason |
//! | `/settled` | 200 once everything accepted is stored, else 202, with details; 404 where nobody can tell |
//! | any other | the registered handler's: the read-only part of the schema-registry API |

mod readiness;
#[cfg(test)]
mod tests;

pub use readiness::{Check, Readiness};

use crate::lifecycle::Shutdown;
use crate::metrics::Metrics;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Scrapers and probes are few; more than this is a mistake or an attack.
const MAX_CONNECTIONS: usize = 64;
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether all that was accepted is stored, and how far each stage is.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// Everything is stored.
    pub settled: bool,
    /// Offsets by stage.
    pub detail: Value,
}

/// A JSON document for a path that is not ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// HTTP status.
    pub status: u16,
    /// The `Content-Type`.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

type SettledFuture = Pin<Box<dyn Future<Output = Settled> + Send>>;

/// What the server shows.
#[derive(Clone, Default)]
pub struct Admin {
    metrics: Metrics,
    readiness: Readiness,
    settled: Option<Arc<dyn Fn() -> SettledFuture + Send + Sync>>,
    documents: Option<Arc<dyn Fn(&str) -> Option<Document> + Send + Sync>>,
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin")
            .field("readiness", &self.readiness)
            .finish_non_exhaustive()
    }
}

impl Admin {
    /// Shows these metrics and checks.
    pub fn new(metrics: Metrics, readiness: Readiness) -> Self {
        Admin {
            metrics,
            readiness,
            ..Admin::default()
        }
    }

    /// Answers `/settled` with what `settled` says at each request.
    pub fn with_settled<F, S>(mut self, settled: F) -> Self
    where
        F: Fn() -> S + Send + Sync + 'static,
        S: Future<Output = Settled> + Send + 'static,
    {
        self.settled = Some(Arc::new(move || Box::pin(settled())));
        self
    }

    /// Answers GET of any other path with what `documents` has for it.
    pub fn with_documents(
        mut self,
        documents: impl Fn(&str) -> Option<Document> + Send + Sync + 'static,
    ) -> Self {
        self.documents = Some(Arc::new(documents));
        self
    }

    /// Serves until the stop, then ends what is being answered. Probes must still see "not ready" while a process
    /// drains, so this stops last.
    pub async fn serve(self, listener: TcpListener, shutdown: Shutdown) -> std::io::Result<()> {
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let admin = Arc::new(self);
        loop {
            let slot = Arc::clone(&slots)
                .acquire_owned()
                .await
                .expect("never closed");
            let stream = tokio::select! {
                () = shutdown.requested() => return Ok(()),
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    // A client that is gone already, or no file descriptor left: the next one may fare better.
                    Err(error) => {
                        tracing::warn!(%error, "could not accept a connection on the metrics port");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
            };
            let (admin, shutdown) = (Arc::clone(&admin), shutdown.clone());
            tokio::spawn(async move {
                let _slot = slot;
                let service = service_fn(move |request| {
                    let admin = Arc::clone(&admin);
                    async move { Ok::<_, Infallible>(admin.answer(&request).await) }
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEADER_TIMEOUT)
                    .serve_connection(TokioIo::new(stream), service);
                let mut connection = std::pin::pin!(connection);
                // A broken connection is the client's affair.
                tokio::select! {
                    _ = connection.as_mut() => {}
                    () = shutdown.requested() => {
                        connection.as_mut().graceful_shutdown();
                        let _ = connection.await;
                    }
                }
            });
        }
    }

    async fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return json_answer(
                StatusCode::METHOD_NOT_ALLOWED,
                &json!({ "error": "only GET is answered here" }),
            );
        }
        match request.uri().path() {
            "/metrics" => respond(
                StatusCode::OK,
                prometheus::TEXT_FORMAT,
                self.metrics.render(),
            ),
            "/health" => json_answer(StatusCode::OK, &json!({ "healthy": true })),
            "/ready" => self.ready(),
            "/settled" => self.settled().await,
            path => self.document(path),
        }
    }

    fn ready(&self) -> Response<Full<Bytes>> {
        let (ready, checks) = self.readiness.report();
        let status = match ready {
            true => StatusCode::OK,
            false => StatusCode::SERVICE_UNAVAILABLE,
        };
        json_answer(status, &json!({ "ready": ready, "checks": checks }))
    }

    async fn settled(&self) -> Response<Full<Bytes>> {
        let Some(settled) = &self.settled else {
            let error =
                "this process does not see all stages; ask the one that runs processor and sink";
            return json_answer(StatusCode::NOT_FOUND, &json!({ "error": error }));
        };
        let Settled { settled, detail } = settled().await;
        let status = match settled {
            true => StatusCode::OK,
            false => StatusCode::ACCEPTED,
        };
        json_answer(status, &json!({ "settled": settled, "detail": detail }))
    }

    fn document(&self, path: &str) -> Response<Full<Bytes>> {
        let found = self
            .documents
            .as_ref()
            .and_then(|documents| documents(path));
        match found {
            Some(document) => respond(
                StatusCode::from_u16(document.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                document.content_type,
                document.body,
            ),
            None => json_answer(
                StatusCode::NOT_FOUND,
                &json!({ "error_code": 404, "message": "no such page" }),
            ),
        }
    }
}

fn json_answer(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    respond(status, "application/json", format!("{body}\n"))
}

fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static(content_type),
    );
    response
}
