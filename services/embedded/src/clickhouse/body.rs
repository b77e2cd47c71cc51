//! A request's body, from the connection's task to the thread that runs its statement.

use super::exception::{self, Exception};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Parts under way: with hyper's frames of up to 400 KB, the bound of what a body holds in memory.
const UNDER_WAY: usize = 8;

/// Of a body that nobody wants any more this much is still read, so that the client sees the answer instead of a
/// reset connection.
const DISCARDED: usize = 16 << 20;

enum Part {
    Data(Bytes),
    End,
    Failed(Exception),
    /// The statement is over: nobody waits for more.
    Stop,
}

/// Ends a reader that waits for a client.
#[derive(Clone)]
pub(crate) struct Stop {
    sender: mpsc::Sender<Part>,
    stopped: Arc<AtomicBool>,
}

impl Stop {
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        // When the queue is full the reader does not wait and will see the flag.
        let _ = self.sender.try_send(Part::Stop);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

/// The reading end, for a thread that may block.
pub(crate) struct BodyReader {
    parts: mpsc::Receiver<Part>,
    current: Bytes,
    ended: bool,
    stopped: Arc<AtomicBool>,
}

impl BodyReader {
    /// A body that is there already.
    pub(crate) fn ready(body: Bytes) -> (Self, Stop) {
        let (sender, parts) = mpsc::channel(UNDER_WAY);
        let stopped = Arc::new(AtomicBool::new(false));
        let reader = BodyReader {
            parts,
            current: body,
            ended: true,
            stopped: Arc::clone(&stopped),
        };
        (reader, Stop { sender, stopped })
    }

    /// Reads `body` in a task. A client that sends nothing for `idle` has failed.
    pub(crate) fn of(body: Incoming, idle: Duration) -> (Self, Stop) {
        let (sender, parts) = mpsc::channel(UNDER_WAY);
        let stopped = Arc::new(AtomicBool::new(false));
        tokio::spawn(forward(body, sender.clone(), idle));
        let reader = BodyReader {
            parts,
            current: Bytes::new(),
            ended: false,
            stopped: Arc::clone(&stopped),
        };
        (reader, Stop { sender, stopped })
    }
}

async fn forward(mut body: Incoming, parts: mpsc::Sender<Part>, idle: Duration) {
    let failed = |code, text: &str| Part::Failed(Exception::new(code, text));
    let last = loop {
        match timeout(idle, body.frame()).await {
            Err(_) => {
                break failed(
                    exception::SOCKET_TIMEOUT,
                    "Timeout exceeded while reading the request's body",
                );
            }
            Ok(None) => break Part::End,
            Ok(Some(Err(_))) => {
                break failed(
                    exception::CANNOT_READ_ALL_DATA,
                    "Cannot read all data: the request's body ended early",
                );
            }
            Ok(Some(Ok(frame))) => {
                let Ok(data) = frame.into_data() else {
                    continue;
                };
                if !data.is_empty() && parts.send(Part::Data(data)).await.is_err() {
                    return discard(body, idle).await;
                }
            }
        }
    };
    // Nobody reads any more: then nobody needs to know.
    let _ = parts.send(last).await;
}

async fn discard(mut body: Incoming, idle: Duration) {
    let mut discarded = 0;
    while let Ok(Some(Ok(frame))) = timeout(idle, body.frame()).await {
        discarded += frame.data_ref().map_or(0, Bytes::len);
        if discarded > DISCARDED {
            return;
        }
    }
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            if self.ended {
                return Ok(0);
            }
            if self.stopped.load(Ordering::SeqCst) {
                return Err(stopped());
            }
            match self.parts.blocking_recv() {
                Some(Part::Data(data)) => self.current = data,
                Some(Part::End) => self.ended = true,
                Some(Part::Failed(exception)) => return Err(exception.into()),
                Some(Part::Stop) | None => return Err(stopped()),
            }
        }
        let length = buffer.len().min(self.current.len());
        buffer[..length].copy_from_slice(&self.current.split_to(length));
        Ok(length)
    }
}

fn stopped() -> io::Error {
    Exception::new(
        exception::QUERY_WAS_CANCELLED,
        "The statement ended before its data",
    )
    .into()
}
