//! The HTTP server: connections, routes, who may ask, and whose turn it is.

mod connection;
mod handler;

use super::engine::Engine;
use super::session::Sessions;
use super::{Error, Options};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout, timeout_at};

/// Connections at a time; clients beyond wait in the kernel's queue.
const MOST_CONNECTIONS: usize = 1024;
/// To send a request's head, and between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// What a cancelled query may need to end.
const CANCELLED_WITHIN: Duration = Duration::from_secs(3);
/// After a failed accept (out of file descriptors): time for some to be closed.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// The server's parts, shared by all its connections.
pub(super) struct Server {
    options: Arc<Options>,
    engine: Arc<Engine>,
    sessions: Arc<Sessions>,
    turns: Arc<Semaphore>,
}

impl Server {
    pub(super) fn new(options: Arc<Options>, engine: Engine) -> Arc<Self> {
        let turns = Arc::new(Semaphore::new(options.max_concurrent_queries.max(1)));
        Arc::new(Server {
            options,
            engine: Arc::new(engine),
            sessions: Arc::default(),
            turns,
        })
    }

    /// Serves until `shutdown` is ready, drains, and closes the engine.
    pub(super) async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        let mut shutdown = pin!(shutdown);
        let (stopping, stopped) = watch::channel(false);
        let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let mut connections = JoinSet::new();
        let mut sweep = interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                _ = sweep.tick() => {
                    let sessions = Arc::clone(&self.sessions);
                    // Closing a connection frees its temporary tables: not on this thread.
                    tokio::task::spawn_blocking(move || sessions.expire());
                    while connections.try_join_next().is_some() {}
                }
                accepted = accept(&listener, &places) => match accepted {
                    Ok((stream, place)) => {
                        let (server, stopped) = (Arc::clone(&self), stopped.clone());
                        connections.spawn(async move {
                            server.serve_connection(stream, stopped).await;
                            drop(place);
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        sleep(ACCEPT_AGAIN).await;
                    }
                }
            }
        }
        drop(listener);
        let _ = stopping.send(true);
        self.drain(connections).await
    }

    async fn drain(self: Arc<Self>, mut connections: JoinSet<()>) -> Result<(), Error> {
        let deadline = Instant::now() + self.options.drain_timeout;
        let all_ended = async { while connections.join_next().await.is_some() {} };
        if timeout_at(deadline, all_ended).await.is_err() {
            tracing::info!(
                queries = self.engine.running(),
                "cancelling queries that outlast the drain"
            );
            self.engine.cancel_all();
        }
        self.engine.refuse_connections();
        let ended = async {
            while self.engine.running() > 0 {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let in_time = timeout(CANCELLED_WITHIN, ended).await.is_ok();
        connections.shutdown().await;
        let engine = Arc::clone(&self.engine);
        let sessions = Arc::clone(&self.sessions);
        let closed = tokio::task::spawn_blocking(move || {
            sessions.close();
            in_time && engine.close()
        });
        match closed.await {
            Ok(true) => Ok(()),
            _ => Err(Error::StillRunning(self.engine.running())),
        }
    }

    async fn serve_connection(
        self: Arc<Self>,
        stream: TcpStream,
        mut stopped: watch::Receiver<bool>,
    ) {
        // Small answers must not wait for the acknowledgement of earlier ones.
        let _ = stream.set_nodelay(true);
        let abort = connection::Abort::default();
        let io = TokioIo::new(connection::Stream::new(stream, abort.clone()));
        let service = service_fn(|request| {
            let (server, abort) = (Arc::clone(&self), abort.clone());
            async move { Ok::<_, std::convert::Infallible>(server.handle(request, abort).await) }
        });
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(io, service)
        );
        // Errors here are the client's: gone, or not speaking HTTP.
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = stopped.wait_for(|stopped| *stopped) => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }
}

type Place = tokio::sync::OwnedSemaphorePermit;

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, Place)> {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .expect("the semaphore is never closed");
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}
