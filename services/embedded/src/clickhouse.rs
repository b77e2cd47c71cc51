//! The ClickHouse engine in this process, behind ClickHouse's own HTTP interface.
//!
//! ```text
//! curl, drivers ──HTTP──> server ──> request ──> query (a thread) ──SQL──> library (libchdb)
//!                            │                      │   └──data, results──> pipes, named as files in the SQL
//!                            └── sessions           └── response, a chunk at a time
//! ```
//!
//! libchdb is no part of the binary: `make setup` fetches it into the user's cache folder. It holds the whole engine,
//! one data folder per process. What it lacks is a server, and that is what stands here, so that everything above
//! takes a URL and never knows what answers. [`run`] starts it; `services/adr/0002-clickhouse-over-libchdb.md` says
//! why it is built this way and where it differs from a server.

mod blocks;
mod body;
mod codec;
mod config;
mod elf;
mod engine;
mod exception;
mod library;
mod multipart;
mod native;
mod query;
mod request;
mod response;
mod scope;
mod server;
mod session;
mod sql;

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// What the engine and its interface need to know.
#[derive(Clone)]
pub struct Options {
    /// Where databases are kept. One process at a time.
    pub data: PathBuf,
    /// `libchdb.so` of the pinned version; see [`default_library`].
    pub library: PathBuf,
    /// Where [`listen`] listens. Anything but a loopback address needs a password.
    pub listen: SocketAddr,
    /// The one user.
    pub user: String,
    /// Their password; none lets everybody in who reaches the port.
    pub password: Option<String>,
    /// The database of a request that names none.
    pub database: String,
    /// Queries that run at a time; more wait.
    pub max_concurrent_queries: usize,
    /// How long a query waits for its turn, before error 202.
    pub queue_timeout: Duration,
    /// How long a client may neither send nor take anything in the midst of a query.
    pub idle_timeout: Duration,
    /// How long running queries may go on once `shutdown` is ready; then they are cancelled.
    pub drain_timeout: Duration,
    /// The most memory for queries and caches; the engine's default is 90 % of the machine.
    pub max_memory: Option<u64>,
}

impl Options {
    /// The defaults for a data folder, with the library where `make setup` puts it.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Options {
            data: data.into(),
            library: default_library(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8123)),
            user: "default".to_owned(),
            password: None,
            database: "default".to_owned(),
            max_concurrent_queries: 32,
            queue_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(5),
            max_memory: None,
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("data", &self.data)
            .field("library", &self.library)
            .field("listen", &self.listen)
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "hidden"))
            .finish_non_exhaustive()
    }
}

/// Why the engine does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The library is not where it should be.
    #[error("the ClickHouse engine is missing: there is no {path}; `make setup` fetches it")]
    LibraryMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A download or copy that broke off.
    #[error(
        "the ClickHouse engine is truncated: {path} has {length} of at least {expected} bytes; remove it and run `make setup`"
    )]
    LibraryTruncated {
        /// The file.
        path: PathBuf,
        /// Its length.
        length: u64,
        /// The length that its own header asks for.
        expected: u64,
    },
    /// The library is there, but cannot be read.
    #[error("cannot read the ClickHouse engine {path}: {source}")]
    LibraryUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The library is of another kind or version.
    #[error(
        "the ClickHouse engine {path} cannot be used: {reason}; remove it and run `make setup`"
    )]
    LibraryUnusable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Another process has the data folder.
    #[error(
        "the ClickHouse data folder {path} is in use by another process; stop that one or choose another folder"
    )]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The data folder cannot be made or written.
    #[error("cannot write the ClickHouse data folder {path}: {source}")]
    DataFolder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The data folder's name cannot be given to the engine.
    #[error("the ClickHouse data folder {path} has a name that the engine cannot take")]
    Path {
        /// The folder.
        path: PathBuf,
    },
    /// The engine refused the data folder.
    #[error("the ClickHouse engine does not start on {path}; its reason stands above, on stderr")]
    Start {
        /// The folder.
        path: PathBuf,
    },
    /// The engine runs, but does not answer.
    #[error("the ClickHouse engine does not answer: {0}")]
    Engine(String),
    /// An open door to everybody on the network.
    #[error(
        "ClickHouse would listen on {address}, which others can reach, without a password: set `password`, or listen on a loopback address"
    )]
    Exposed {
        /// The address.
        address: SocketAddr,
    },
    /// The port is taken, or the address is not ours.
    #[error(
        "ClickHouse cannot listen on {address}: {source}; set `listen` to another address or port"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The listener broke.
    #[error("ClickHouse accepts no more connections: {0}")]
    Accept(io::Error),
    /// The engine could not be closed in time.
    #[error("{0} queries of ClickHouse did not end when they were cancelled")]
    StillRunning(usize),
}

/// Where `make setup` puts the library: in the user's cache folder.
pub fn default_library() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| {
        PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache")
    });
    let package = if cfg!(target_arch = "aarch64") {
        "lib-linux-arm64-gnu"
    } else {
        "lib-linux-x64-gnu"
    };
    cache
        .join("tributary/clickhouse/node_modules/@chdb")
        .join(package)
        .join("libchdb.so")
}

/// Listens where the options say.
pub async fn listen(options: &Options) -> Result<TcpListener, Error> {
    check_exposure(options, options.listen)?;
    TcpListener::bind(options.listen)
        .await
        .map_err(|source| Error::Listen {
            address: options.listen,
            source,
        })
}

/// Runs the engine behind `listener` until `shutdown` is ready; then running queries get their time, and everything
/// is closed. One at a time in a process.
pub async fn run(
    options: Options,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let address = listener.local_addr().map_err(Error::Accept)?;
    check_exposure(&options, address)?;
    let options = Arc::new(options);
    let opened = Arc::clone(&options);
    let engine = tokio::task::spawn_blocking(move || engine::Engine::open(&opened))
        .await
        .map_err(|error| Error::Engine(error.to_string()))??;
    server::Server::new(options, engine)
        .serve(listener, shutdown)
        .await
}

fn check_exposure(options: &Options, address: SocketAddr) -> Result<(), Error> {
    let protected = options
        .password
        .as_ref()
        .is_some_and(|password| !password.is_empty());
    if address.ip().is_loopback() || protected {
        Ok(())
    } else {
        Err(Error::Exposed { address })
    }
}
