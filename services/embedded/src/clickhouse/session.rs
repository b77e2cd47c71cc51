//! Sessions: a connection that is kept between requests, with its settings and temporary tables.

use super::engine::lock;
use super::exception::{self, Exception};
use super::library::Connection;
use super::request;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Each holds a connection of the engine. A client that makes a session for every request would hold them all.
const MOST_SESSIONS: usize = 1000;

struct Kept {
    /// Away while a request uses it.
    connection: Option<Connection>,
    busy: bool,
    expires: Instant,
}

/// All sessions of a server.
#[derive(Default)]
pub(crate) struct Sessions {
    by_id: Mutex<HashMap<String, Kept>>,
}

impl Sessions {
    /// Takes a session for one request, a new one if need be.
    pub(crate) fn take(self: &Arc<Self>, asked: &request::Session) -> Result<Lease, Exception> {
        let now = Instant::now();
        let mut sessions = lock(&self.by_id);
        sessions.retain(|_, kept| kept.busy || kept.expires > now);
        let full = sessions.len() >= MOST_SESSIONS;
        let connection = match sessions.entry(asked.id.clone()) {
            Entry::Occupied(kept) if kept.get().busy => {
                let text = format!("Session {} is locked by a concurrent client", asked.id);
                return Err(Exception::new(exception::SESSION_IS_LOCKED, text));
            }
            Entry::Occupied(mut kept) => {
                kept.get_mut().busy = true;
                kept.get_mut().connection.take()
            }
            Entry::Vacant(_) if asked.check => {
                let text = format!("Session {} not found", asked.id);
                return Err(Exception::new(exception::SESSION_NOT_FOUND, text));
            }
            Entry::Vacant(_) if full => {
                let text = format!("Too many sessions: {MOST_SESSIONS}");
                return Err(Exception::new(
                    exception::TOO_MANY_SIMULTANEOUS_QUERIES,
                    text,
                ));
            }
            Entry::Vacant(vacant) => {
                vacant.insert(Kept {
                    connection: None,
                    busy: true,
                    expires: now,
                });
                None
            }
        };
        Ok(Lease {
            sessions: Arc::clone(self),
            id: asked.id.clone(),
            timeout: asked.timeout,
            close: asked.close,
            connection,
        })
    }

    /// Closes those whose time is over.
    pub(crate) fn expire(&self) {
        let now = Instant::now();
        lock(&self.by_id).retain(|_, kept| kept.busy || kept.expires > now);
    }

    /// Closes all that no request uses.
    pub(crate) fn close(&self) {
        lock(&self.by_id).retain(|_, kept| kept.busy);
    }
}

/// A session in the hands of one request; given back on drop.
pub(crate) struct Lease {
    sessions: Arc<Sessions>,
    id: String,
    timeout: Duration,
    close: bool,
    pub(crate) connection: Option<Connection>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut sessions = lock(&self.sessions.by_id);
        match self.connection.take() {
            Some(connection) if !self.close => {
                let kept = Kept {
                    connection: Some(connection),
                    busy: false,
                    expires: Instant::now() + self.timeout,
                };
                sessions.insert(self.id.clone(), kept);
            }
            connection => {
                sessions.remove(&self.id);
                drop(sessions);
                drop(connection);
            }
        }
    }
}
