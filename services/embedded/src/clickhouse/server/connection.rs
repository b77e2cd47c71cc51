//! A connection that can be broken off after what was written is out, and the body of a response.

use crate::clickhouse::engine::{Engine, Running};
use crate::clickhouse::response::Event;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Sleep, sleep};

/// Set when the connection is to be closed without ending its response: that is how HTTP says that a body is not
/// whole. hyper would drop what it has not flushed yet, so it is the flush that fails, once all is out.
#[derive(Clone, Default)]
pub(super) struct Abort(Arc<AtomicBool>);

impl Abort {
    fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// The client's socket.
pub(super) struct Stream {
    socket: TcpStream,
    abort: Abort,
}

impl Stream {
    pub(super) fn new(socket: TcpStream, abort: Abort) -> Self {
        Stream { socket, abort }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
        if self.abort.0.load(Ordering::SeqCst) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// Ends a query whose client went away: on drop, unless its end was seen.
pub(super) struct Guard {
    engine: Arc<Engine>,
    running: Option<Arc<Running>>,
}

impl Guard {
    pub(super) fn new(engine: Arc<Engine>, running: Arc<Running>) -> Self {
        Guard {
            engine,
            running: Some(running),
        }
    }

    pub(super) fn disarm(&mut self) {
        self.running = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.engine.cancel(&running);
        }
    }
}

/// A client that unpacks a body drops what it has not unpacked yet when the connection breaks: it gets this long to
/// find the error that stands at the end.
const TIME_TO_UNPACK: Duration = Duration::from_millis(300);

/// A response's body: whole, or as its query produces it.
pub(super) enum ResponseBody {
    Whole(Option<Bytes>),
    Parts {
        first: Option<Bytes>,
        events: mpsc::Receiver<Event>,
        guard: Guard,
        abort: Abort,
    },
    /// All is said; the connection breaks when the time has come.
    Breaking {
        abort: Abort,
        at: Pin<Box<Sleep>>,
    },
}

impl From<Bytes> for ResponseBody {
    fn from(bytes: Bytes) -> Self {
        ResponseBody::Whole(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = |bytes| Poll::Ready(Some(Ok(Frame::data(bytes))));
        let this = self.get_mut();
        let abort = match this {
            ResponseBody::Whole(bytes) => return bytes.take().map_or(Poll::Ready(None), frame),
            ResponseBody::Breaking { abort, at } => {
                ready!(at.as_mut().poll(cx));
                abort.set();
                return Poll::Pending;
            }
            ResponseBody::Parts {
                first,
                events,
                guard,
                abort,
            } => {
                if let Some(first) = first.take().filter(|first| !first.is_empty()) {
                    return frame(first);
                }
                loop {
                    match ready!(events.poll_recv(cx)) {
                        Some(Event::Chunk(chunk)) if chunk.is_empty() => {}
                        Some(Event::Chunk(chunk)) => return frame(chunk),
                        Some(Event::End) => {
                            guard.disarm();
                            return Poll::Ready(None);
                        }
                        // A thread that ended without a word has not sent all either.
                        Some(Event::Abort | Event::Head { .. }) | None => {
                            guard.disarm();
                            break abort.clone();
                        }
                    }
                }
            }
        };
        *this = ResponseBody::Breaking {
            abort,
            at: Box::pin(sleep(TIME_TO_UNPACK)),
        };
        Pin::new(this).poll_frame(cx)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ResponseBody::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64)
            }
            ResponseBody::Parts { .. } | ResponseBody::Breaking { .. } => SizeHint::default(),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, ResponseBody::Whole(None))
    }
}
