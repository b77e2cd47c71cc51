//! The engine in this process: opening it, connections to it, and ending statements that nobody waits for.

use super::exception::{self, Exception};
use super::library::{Connection, Library};
use super::sql;
use super::{Error, Options, config};
use std::collections::HashMap;
use std::ffi::CString;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Between two attempts to end a statement: the first may come before the engine knows of it.
const KILL_AGAIN: Duration = Duration::from_millis(100);

/// What the engine says about itself at start.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// Version of the ClickHouse in the library.
    pub(crate) version: String,
    pub(crate) timezone: String,
    pub(crate) host: String,
    /// Name of each output format in lower case -> its name, its content type.
    formats: HashMap<String, (String, String)>,
}

impl Facts {
    /// The name of a format as the engine writes it, and the content type of its output.
    pub(crate) fn format(&self, name: &str) -> Option<(&str, &str)> {
        self.formats
            .get(&name.to_ascii_lowercase())
            .map(|(name, kind)| (name.as_str(), kind.as_str()))
    }
}

/// One running statement, as far as ending it needs to know.
pub(crate) struct Running {
    /// Stands in the statement's `log_comment`, which `system.processes` shows.
    pub(crate) tag: String,
    query_id: String,
    /// A statement that leaves no trace, or an INSERT whose data did not come whole. Others run to their end, as on
    /// a server, when their client goes away.
    killable: AtomicBool,
    cancelled: AtomicBool,
    done: Mutex<bool>,
    ended: Condvar,
}

impl Running {
    pub(crate) fn set_killable(&self, killable: bool) {
        self.killable.store(killable, Ordering::SeqCst);
    }

    /// Whether the statement need not start at all.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst) && self.killable.load(Ordering::SeqCst)
    }

    fn wait(&self, at_most: Duration) -> bool {
        let done = lock(&self.done);
        let (done, _) = self
            .ended
            .wait_timeout_while(done, at_most, |done| !*done)
            .unwrap_or_else(PoisonError::into_inner);
        *done
    }
}

/// The engine. Cheap to share; closes with [`Engine::close`].
pub(crate) struct Engine {
    library: Arc<Library>,
    arguments: Vec<CString>,
    /// For KILL, apart from the connections that statements run on.
    admin: Mutex<Option<Connection>>,
    pub(crate) facts: Facts,
    running: Mutex<HashMap<String, Arc<Running>>>,
    closing: AtomicBool,
    _lock: File,
}

impl Engine {
    /// Loads the library and starts the engine on the data folder. Blocks for some tenths of a second.
    pub(crate) fn open(options: &Options) -> Result<Self, Error> {
        let library = Library::open(&options.library)?;
        let unwritable = |source| Error::DataFolder {
            path: options.data.clone(),
            source,
        };
        std::fs::create_dir_all(&options.data).map_err(unwritable)?;
        let lock = lock_folder(&options.data)?;
        let config = config::write(options).map_err(unwritable)?;
        let path = options.data.join("engine");
        let argument = |text: String| {
            CString::new(text).map_err(|_| Error::Path {
                path: options.data.clone(),
            })
        };
        let arguments = vec![
            argument("clickhouse".to_owned())?,
            argument(format!("--path={}", path.display()))?,
            argument(format!("--config-file={}", config.display()))?,
        ];
        let mut admin = library.connect(&arguments).ok_or_else(|| Error::Start {
            path: options.data.clone(),
        })?;
        let facts = facts(&mut admin)?;
        tracing::info!(
            version = facts.version,
            library = library.version(),
            "the engine runs"
        );
        Ok(Engine {
            library,
            arguments,
            admin: Mutex::new(Some(admin)),
            facts,
            running: Mutex::default(),
            closing: AtomicBool::new(false),
            _lock: lock,
        })
    }

    /// A connection of its own, with default settings: half a millisecond.
    pub(crate) fn connect(&self) -> Result<Connection, Exception> {
        let connection = if self.closing.load(Ordering::SeqCst) {
            None
        } else {
            self.library.connect(&self.arguments)
        };
        connection.ok_or_else(|| {
            Exception::new(
                exception::CANNOT_SCHEDULE_TASK,
                "The engine accepts no connection",
            )
        })
    }

    /// Enters a statement into the list of those that run. An id can only run once at a time.
    pub(crate) fn register(self: &Arc<Self>, query_id: &str) -> Result<Registered, Exception> {
        let running = Arc::new(Running {
            tag: format!("tributary-{}", uuid::Uuid::new_v4().simple()),
            query_id: query_id.to_owned(),
            killable: AtomicBool::new(false),
            cancelled: AtomicBool::new(false),
            done: Mutex::new(false),
            ended: Condvar::new(),
        });
        let mut all = lock(&self.running);
        if all.contains_key(query_id) {
            let text = format!("Query with id = {query_id} is already running");
            return Err(Exception::new(
                exception::QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING,
                text,
            ));
        }
        all.insert(query_id.to_owned(), Arc::clone(&running));
        Ok(Registered {
            engine: Arc::clone(self),
            running,
        })
    }

    /// Ends a statement, from a thread of its own, since that takes as long as the engine needs to notice.
    pub(crate) fn cancel(self: &Arc<Self>, running: &Arc<Running>) {
        if running.cancelled.swap(true, Ordering::SeqCst) {
            return;
        }
        let (engine, running) = (Arc::clone(self), Arc::clone(running));
        let spawned = thread::Builder::new()
            .name("clickhouse-cancel".to_owned())
            .spawn(move || {
                loop {
                    if running.killable.load(Ordering::SeqCst) {
                        engine.kill(&running);
                    }
                    if running.wait(KILL_AGAIN) {
                        return;
                    }
                }
            });
        if let Err(error) = spawned {
            tracing::warn!(%error, "cannot start a thread to cancel a query");
        }
    }

    /// Asks the engine to end a statement; whether it knew it. Returns before the statement has ended.
    pub(crate) fn kill(&self, running: &Running) -> bool {
        let mut admin = lock(&self.admin);
        let Some(admin) = admin.as_mut() else {
            return false;
        };
        let sql = format!(
            "KILL QUERY WHERE endsWith(Settings['log_comment'], {}) ASYNC",
            sql::literal(&running.tag)
        );
        match admin.query(sql.as_bytes(), "TabSeparated", &[]) {
            Ok(killed) => !killed.output.is_empty(),
            Err(error) => {
                let code = Exception::from_engine(&error, &[]).code;
                tracing::warn!(code, query_id = running.query_id, "cannot cancel a query");
                false
            }
        }
    }

    /// How many statements run.
    pub(crate) fn running(&self) -> usize {
        lock(&self.running).len()
    }

    /// Ends all statements, whatever they do.
    pub(crate) fn cancel_all(self: &Arc<Self>) {
        let all: Vec<_> = lock(&self.running).values().cloned().collect();
        for running in all {
            running.set_killable(true);
            self.cancel(&running);
        }
    }

    /// Opens no connection any more.
    pub(crate) fn refuse_connections(&self) {
        self.closing.store(true, Ordering::SeqCst);
    }

    /// Stops the engine after the last statement and session. `false` if a connection is still open.
    pub(crate) fn close(&self) -> bool {
        lock(&self.admin).take();
        self.library.shutdown()
    }
}

/// A place in the list of running statements, left on drop.
pub(crate) struct Registered {
    engine: Arc<Engine>,
    pub(crate) running: Arc<Running>,
}

impl Drop for Registered {
    fn drop(&mut self) {
        lock(&self.engine.running).remove(&self.running.query_id);
        *lock(&self.running.done) = true;
        self.running.ended.notify_all();
    }
}

/// A panic elsewhere leaves these values whole: each is changed in one step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A process that was killed has its lock until the kernel has taken its memory back.
const LEAVES_WITHIN: Duration = Duration::from_secs(5);

/// The engine has a lock of its own, but says so only on stderr.
fn lock_folder(data: &Path) -> Result<File, Error> {
    let path = data.join("lock");
    let unwritable = |source| Error::DataFolder {
        path: data.to_owned(),
        source,
    };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(unwritable)?;
    let deadline = Instant::now() + LEAVES_WITHIN;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked {
                    path: data.to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(unwritable(source)),
        }
    }
}

fn facts(connection: &mut Connection) -> Result<Facts, Error> {
    let mut ask = |sql: &str| {
        let executed = connection.query(sql.as_bytes(), "TabSeparatedRaw", &[]);
        let executed =
            executed.map_err(|e| Error::Engine(Exception::from_engine(&e, &[]).to_string()))?;
        Ok::<_, Error>(
            String::from_utf8_lossy(&executed.output)
                .trim_end_matches('\n')
                .to_owned(),
        )
    };
    Ok(Facts {
        version: ask("SELECT version()")?,
        timezone: ask("SELECT timezone()")?,
        host: ask("SELECT hostName()")?,
        formats: ask("SELECT name, content_type FROM system.formats WHERE is_output")?
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .map(|(name, kind)| {
                (
                    name.to_ascii_lowercase(),
                    (name.to_owned(), kind.to_owned()),
                )
            })
            .collect(),
    })
}
