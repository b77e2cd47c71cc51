//! Accepts connections, within bounds, and lets them end gracefully.
//!
//! At the bound of connections further ones wait in the listen queue. A client that does not send its headers in time
//! is closed. On a stop no connection is accepted any more, requests in flight are answered, idle connections close.

mod timer;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tributary_platform::lifecycle::Shutdown;

use self::timer::ConnectionTimer;
use crate::serve::Service;

/// Before the next try when the process has no file descriptor left.
const AFTER_FAILURE: Duration = Duration::from_millis(50);
/// What a connection buffers of its input: headers, or a piece of a body.
const BUFFER: usize = 64 * 1024;

/// Serves until the stop, and returns when the last connection is gone.
pub(crate) async fn accept(service: Arc<Service>, listener: TcpListener, shutdown: Shutdown) {
    let most = u32::try_from(service.limits.max_connections)
        .unwrap_or(u32::MAX)
        .min(Semaphore::MAX_PERMITS as u32);
    let slots = Arc::new(Semaphore::new(most as usize));
    loop {
        let accepted = async {
            let slot = Arc::clone(&slots)
                .acquire_owned()
                .await
                .expect("never closed");
            (slot, listener.accept().await)
        };
        let (slot, stream) = tokio::select! {
            () = shutdown.requested() => break,
            accepted = accepted => accepted,
        };
        match stream {
            Ok((stream, _)) => {
                tokio::spawn(connection(
                    Arc::clone(&service),
                    stream,
                    shutdown.clone(),
                    slot,
                ));
            }
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }
    drop(listener);
    // Every connection holds a slot: with all of them in hand, none is left.
    let _all = slots.acquire_many(most).await;
}

async fn connection(
    service: Arc<Service>,
    stream: TcpStream,
    shutdown: Shutdown,
    _slot: OwnedSemaphorePermit,
) {
    let _open = Open::new(&service);
    // Without it, small answers wait for the client's delayed acknowledgement.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let serve = service_fn(async |request| Ok::<_, Infallible>(service.serve(request).await));
    let connection = http1::Builder::new()
        .timer(ConnectionTimer::new())
        // Otherwise a client that closes after its last byte could have its request dropped before it is read.
        .half_close(true)
        .header_read_timeout(service.limits.header_timeout)
        .max_buf_size(BUFFER)
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(stream), serve);
    let mut connection = std::pin::pin!(connection);
    let mut requested = std::pin::pin!(shutdown.requested());
    let mut waits = false;
    let is_stop = poll_fn(|context| {
        // That a connection breaks is the client's affair: its events are counted when their receipt is settled.
        if connection.as_mut().poll(context).is_ready() {
            return Poll::Ready(false);
        }
        // This task's waker never changes, so it is left with the request to stop once, not at each wake.
        if std::mem::replace(&mut waits, true) && !shutdown.is_requested() {
            return Poll::Pending;
        }
        requested.as_mut().poll(context).map(|()| true)
    });
    if is_stop.await {
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

/// Counts a connection while it is open.
struct Open<'a>(&'a Service);

impl<'a> Open<'a> {
    fn new(service: &'a Service) -> Self {
        service.metrics.connections.inc();
        Self(service)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.metrics.connections.dec();
    }
}
