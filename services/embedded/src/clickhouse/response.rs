//! From a statement's bytes to the HTTP response.
//!
//! ```text
//! engine ─pipe─> Writer (query thread) ──Event──> Body (connection's task) ──> client
//! ```
//! Until `buffer_size` bytes are ready nothing is sent, so that an early error gets its own status. Afterwards an
//! error is appended to the body between two marks, as ClickHouse does since 25.11, and the connection is closed
//! without ending the body.

use super::codec::{Encoder, Encoding};
use super::engine::Facts;
use super::exception::Exception;
use super::library::Statistics;
use super::request::Request;
use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{CONTENT_ENCODING, HeaderName, HeaderValue};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Chunks under way to a client, each as large as one read of the pipe.
const UNDER_WAY: usize = 4;

/// What `wait_end_of_query` holds in memory before it goes on in a file.
const SPOOLED_IN_MEMORY: usize = 4 << 20;

/// What the connection's task gets to know, in this order: one head, chunks, an end.
pub(crate) enum Event {
    /// The status, the headers, the first bytes.
    Head {
        status: u16,
        headers: HeaderMap,
        first: Bytes,
        complete: bool,
    },
    Chunk(Bytes),
    End,
    /// The body ends without its end.
    Abort,
}

/// The client is gone, or reads nothing for too long.
#[derive(Debug)]
pub(crate) struct Gone;

/// The sending end of a response, for a thread that may block.
pub(crate) struct Events {
    sender: mpsc::Sender<Event>,
    runtime: Handle,
    idle: Duration,
}

impl Events {
    /// A client that takes nothing for `idle` counts as gone.
    pub(crate) fn channel(idle: Duration) -> (Self, mpsc::Receiver<Event>) {
        let (sender, receiver) = mpsc::channel(UNDER_WAY);
        (
            Events {
                sender,
                runtime: Handle::current(),
                idle,
            },
            receiver,
        )
    }

    fn send(&self, event: Event) -> Result<(), Gone> {
        match self.sender.try_send(event) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Gone),
            Err(mpsc::error::TrySendError::Full(event)) => {
                match self
                    .runtime
                    .block_on(async { timeout(self.idle, self.sender.send(event)).await })
                {
                    Ok(Ok(())) => Ok(()),
                    _ => Err(Gone),
                }
            }
        }
    }
}

enum State {
    /// Nothing is sent yet.
    Held(Vec<u8>),
    /// `wait_end_of_query`, too much for memory.
    Spooled(File),
    Sent,
    Gone,
}

/// The headers that every answer to a query carries.
pub(crate) struct Head {
    pub(crate) query_id: String,
    pub(crate) timezone: String,
    pub(crate) host: String,
    pub(crate) version: String,
    /// Name and content type of the result's format.
    pub(crate) format: Option<(String, String)>,
    tag: String,
    started: Instant,
}

impl Head {
    pub(crate) fn new(request: &Request, facts: &Facts) -> Self {
        let timezone = request
            .settings
            .iter()
            .find(|(name, value)| name == "session_timezone" && !value.is_empty());
        Head {
            query_id: request.query_id.clone(),
            timezone: timezone.map_or_else(|| facts.timezone.clone(), |(_, value)| value.clone()),
            host: facts.host.clone(),
            version: facts.version.clone(),
            format: None,
            tag: uuid::Uuid::new_v4().simple().to_string()[..16].to_owned(),
            started: Instant::now(),
        }
    }

    /// The headers; values that no header can hold are left out.
    pub(crate) fn headers(
        &self,
        statistics: Option<Statistics>,
        exception: Option<&Exception>,
    ) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut put = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        put("x-clickhouse-server-display-name", &self.host);
        put("x-clickhouse-query-id", &self.query_id);
        put("x-clickhouse-timezone", &self.timezone);
        put("x-clickhouse-exception-tag", &self.tag);
        put("keep-alive", "timeout=10");
        put(
            "access-control-expose-headers",
            "X-ClickHouse-Query-Id,X-ClickHouse-Summary,X-ClickHouse-Server-Display-Name,X-ClickHouse-Format,\
             X-ClickHouse-Timezone,X-ClickHouse-Exception-Code,X-ClickHouse-Exception-Tag",
        );
        put(
            "x-clickhouse-summary",
            &self.summary(statistics.unwrap_or_default()),
        );
        match (exception, &self.format) {
            (Some(exception), _) => {
                put("x-clickhouse-exception-code", &exception.code.to_string());
                put("content-type", "text/plain; charset=UTF-8");
            }
            (None, Some((format, kind))) => {
                put("x-clickhouse-format", format);
                put("content-type", kind);
            }
            (None, None) => put("content-type", "text/plain; charset=UTF-8"),
        }
        headers
    }

    fn summary(&self, s: Statistics) -> String {
        format!(
            "{{\"read_rows\":\"{}\",\"read_bytes\":\"{}\",\"written_rows\":\"{}\",\"written_bytes\":\"{}\",\
             \"total_rows_to_read\":\"{}\",\"result_rows\":\"{}\",\"result_bytes\":\"{}\",\"elapsed_ns\":\"{}\",\
             \"memory_usage\":\"0\"}}",
            s.read_rows,
            s.read_bytes,
            s.written_rows,
            s.written_bytes,
            s.read_rows,
            s.result_rows,
            s.result_bytes,
            self.started.elapsed().as_nanos()
        )
    }
}

/// Takes a statement's result and its end.
pub(crate) struct Writer {
    events: Events,
    pub(crate) head: Head,
    encoder: Encoder,
    encoding: Encoding,
    state: State,
    hold: usize,
    spool: Option<PathBuf>,
}

impl Writer {
    /// `spool_folder` is where `wait_end_of_query` keeps what is too much for memory.
    pub(crate) fn new(
        events: Events,
        head: Head,
        request: &Request,
        spool_folder: PathBuf,
    ) -> io::Result<Self> {
        Ok(Writer {
            events,
            head,
            encoder: Encoder::new(request.compress, request.response_encoding)?,
            encoding: request.response_encoding,
            state: State::Held(Vec::new()),
            hold: request.buffer_size,
            spool: request.wait_end_of_query.then_some(spool_folder),
        })
    }

    /// Takes a part of the result.
    pub(crate) fn write(&mut self, data: &[u8]) -> Result<(), Gone> {
        self.encoder.write(data).map_err(|_| Gone)?;
        let ready = self.encoder.take();
        self.pass_on(ready)
    }

    fn pass_on(&mut self, ready: Bytes) -> Result<(), Gone> {
        match &mut self.state {
            State::Gone => Err(Gone),
            State::Sent if ready.is_empty() => Ok(()),
            State::Sent => self
                .events
                .send(Event::Chunk(ready))
                .inspect_err(|_| self.state = State::Gone),
            State::Spooled(file) => file.write_all(&ready).map_err(|_| Gone),
            State::Held(held) => {
                held.extend_from_slice(&ready);
                match &self.spool {
                    None if held.len() > self.hold => {
                        let first = Bytes::from(std::mem::take(held));
                        self.send_head(200, self.ok_headers(None), first, false)
                    }
                    Some(folder) if held.len() > self.hold.max(SPOOLED_IN_MEMORY) => {
                        let mut file = tempfile::tempfile_in(folder).map_err(|_| Gone)?;
                        file.write_all(held).map_err(|_| Gone)?;
                        self.state = State::Spooled(file);
                        Ok(())
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    fn ok_headers(&self, statistics: Option<Statistics>) -> HeaderMap {
        let mut headers = self.head.headers(statistics, None);
        if let Some(name) = self.encoding.name() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
        }
        headers
    }

    fn send_head(
        &mut self,
        status: u16,
        headers: HeaderMap,
        first: Bytes,
        complete: bool,
    ) -> Result<(), Gone> {
        let sent = self.events.send(Event::Head {
            status,
            headers,
            first,
            complete,
        });
        self.state = if sent.is_ok() {
            State::Sent
        } else {
            State::Gone
        };
        sent
    }

    /// The result is whole. Whoever is gone by now need not know.
    pub(crate) fn finish(mut self, statistics: Statistics) {
        let encoder = std::mem::replace(&mut self.encoder, plain());
        let Ok(rest) = encoder.finish() else { return };
        let headers = self.ok_headers(Some(statistics));
        let _ = match std::mem::replace(&mut self.state, State::Gone) {
            State::Gone => Err(Gone),
            State::Held(mut held) => {
                held.extend_from_slice(&rest);
                self.send_head(200, headers, held.into(), true)
            }
            State::Sent => self
                .events
                .send(Event::Chunk(rest))
                .and_then(|()| self.events.send(Event::End)),
            State::Spooled(file) => self.send_spooled(file, &rest, headers),
        };
    }

    fn send_spooled(
        &mut self,
        mut file: File,
        rest: &[u8],
        headers: HeaderMap,
    ) -> Result<(), Gone> {
        file.write_all(rest).map_err(|_| Gone)?;
        file.rewind().map_err(|_| Gone)?;
        self.send_head(200, headers, Bytes::new(), false)?;
        let mut buffer = vec![0; 256 << 10];
        loop {
            match file.read(&mut buffer).map_err(|_| Gone)? {
                0 => return self.events.send(Event::End),
                length => self
                    .events
                    .send(Event::Chunk(Bytes::copy_from_slice(&buffer[..length])))?,
            }
        }
    }

    /// The statement failed.
    pub(crate) fn fail(mut self, exception: &Exception) {
        let text = exception.to_text(&self.head.version);
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Gone => {}
            State::Held(_) | State::Spooled(_) => {
                let headers = self.head.headers(None, Some(exception));
                let _ = self.send_head(
                    exception.status(),
                    headers,
                    format!("{text}\n").into(),
                    true,
                );
            }
            State::Sent => {
                let tag = &self.head.tag;
                let length = text.len() + 1;
                let marked = format!(
                    "\r\n__exception__\r\n{tag}\r\n{text}\n{length} {tag}\r\n__exception__\r\n"
                );
                let encoder = std::mem::replace(&mut self.encoder, plain());
                let Ok(rest) = encode_last(encoder, marked.as_bytes()) else {
                    return;
                };
                let _ = self
                    .events
                    .send(Event::Chunk(rest))
                    .and_then(|()| self.events.send(Event::Abort));
            }
        }
    }
}

fn encode_last(mut encoder: Encoder, data: &[u8]) -> io::Result<Bytes> {
    encoder.write(data)?;
    encoder.finish()
}

fn plain() -> Encoder {
    Encoder::new(false, Encoding::Identity).expect("plain bytes need no set-up")
}
