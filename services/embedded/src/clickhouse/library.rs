//! libchdb's C API: the only unsafe code of the ClickHouse half.
//!
//! Contract of the library (chdb.h of 26.7): several connections on one path run in parallel, one connection runs
//! one statement at a time, and a connection must be closed before the process exits.
#![allow(unsafe_code)]

use super::Error;
use super::elf;
use libloading::os::unix::{Library as Object, RTLD_LOCAL, RTLD_NOW};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};

type RawConnection = *mut *mut c_void;
type RawResult = *mut c_void;
type Counter = unsafe extern "C" fn(RawResult) -> u64;

/// `chdb_query_analysis_v1`.
#[repr(C)]
struct RawAnalysis {
    struct_size: u32,
    statement_count: u32,
    flags: u32,
    query_class: u32,
}

/// What a statement does, as the engine's own parser sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Leaves no trace.
    ReadOnly,
    /// Changes a database.
    Mutating,
    /// Changes something beside the databases: functions, users, named collections.
    MutatingGlobal,
    /// Sessions, processes, files.
    Control,
    /// Did not parse, or is of a kind that the classifier does not know.
    Unknown,
}

/// What became of a statement, as far as the engine counts it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Statistics {
    /// Rows of the result.
    pub(crate) result_rows: u64,
    /// Bytes of the result in the engine's own representation.
    pub(crate) result_bytes: u64,
    /// Rows read from tables.
    pub(crate) read_rows: u64,
    /// Bytes read from tables.
    pub(crate) read_bytes: u64,
    /// Rows written, materialised views included.
    pub(crate) written_rows: u64,
    /// Bytes written.
    pub(crate) written_bytes: u64,
}

/// A finished statement.
#[derive(Debug)]
pub(crate) struct Executed {
    /// The result, when it was not sent into a file.
    pub(crate) output: Vec<u8>,
    pub(crate) statistics: Statistics,
}

struct Api {
    connect: unsafe extern "C" fn(c_int, *mut *mut c_char) -> RawConnection,
    close: unsafe extern "C" fn(RawConnection),
    query: unsafe extern "C" fn(
        *mut c_void,
        *const c_char,
        usize,
        *const c_char,
        usize,
        *const *const c_char,
        *const usize,
        *const *const c_char,
        *const usize,
        usize,
    ) -> RawResult,
    classify: unsafe extern "C" fn(
        *mut c_void,
        *const c_char,
        usize,
        *const c_char,
        usize,
        *mut RawAnalysis,
    ) -> c_int,
    destroy_result: unsafe extern "C" fn(RawResult),
    result_buffer: unsafe extern "C" fn(RawResult) -> *mut c_char,
    result_length: unsafe extern "C" fn(RawResult) -> usize,
    result_error: unsafe extern "C" fn(RawResult) -> *const c_char,
    result_rows: Counter,
    result_bytes: Counter,
    read_rows: Counter,
    read_bytes: Counter,
    written_rows: Counter,
    written_bytes: Counter,
    set_signal_handlers: unsafe extern "C" fn(c_int),
    shutdown: unsafe extern "C" fn() -> c_int,
    version: unsafe extern "C" fn() -> *const c_char,
}

/// The loaded library. It is never unloaded: its threads outlive every handle to it.
pub(crate) struct Library {
    api: Api,
    /// Connections that are open.
    open: AtomicUsize,
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Library")
    }
}

impl Library {
    /// Loads the library, after looking whether the whole of it is there: a truncated file would end the process
    /// with SIGBUS at the first missing page.
    pub(crate) fn open(path: &Path) -> Result<Arc<Self>, Error> {
        elf::check(path)?;
        let broken = |reason: String| Error::LibraryUnusable {
            path: path.to_owned(),
            reason,
        };
        // SAFETY: loading runs the library's initialisers; this is the pinned package, found whole above.
        let object = unsafe { Object::open(Some(path), RTLD_NOW | RTLD_LOCAL) }
            .map_err(|e| broken(e.to_string()))?;
        macro_rules! symbol {
            ($name:literal) => {
                // SAFETY: the types are those of chdb.h of the pinned version.
                *unsafe { object.get($name) }.map_err(|_| {
                    broken(format!(
                        "it has no function `{}`",
                        String::from_utf8_lossy($name)
                    ))
                })?
            };
        }
        let api = Api {
            connect: symbol!(b"chdb_connect"),
            close: symbol!(b"chdb_close_conn"),
            query: symbol!(b"chdb_query_with_params_n"),
            classify: symbol!(b"chdb_classify_query_n"),
            destroy_result: symbol!(b"chdb_destroy_query_result"),
            result_buffer: symbol!(b"chdb_result_buffer"),
            result_length: symbol!(b"chdb_result_length"),
            result_error: symbol!(b"chdb_result_error"),
            result_rows: symbol!(b"chdb_result_rows_read"),
            result_bytes: symbol!(b"chdb_result_bytes_read"),
            read_rows: symbol!(b"chdb_result_storage_rows_read"),
            read_bytes: symbol!(b"chdb_result_storage_bytes_read"),
            written_rows: symbol!(b"chdb_result_rows_written"),
            written_bytes: symbol!(b"chdb_result_bytes_written"),
            set_signal_handlers: symbol!(b"chdb_set_signal_handlers_enabled"),
            shutdown: symbol!(b"chdb_shutdown"),
            version: symbol!(b"chdb_version"),
        };
        std::mem::forget(object);
        // SAFETY: sets a flag, before the first connection. Otherwise the engine's own handlers swallow a crash
        // for minutes.
        unsafe { (api.set_signal_handlers)(0) };
        Ok(Arc::new(Library {
            api,
            open: AtomicUsize::new(0),
        }))
    }

    /// The version of libchdb (not of the ClickHouse in it).
    pub(crate) fn version(&self) -> String {
        // SAFETY: a static string of the library.
        unsafe { text((self.api.version)()) }.unwrap_or_default()
    }

    /// Opens a connection. The first one of a process starts the engine. `None` says that the engine refused; its
    /// reason is on stderr.
    pub(crate) fn connect(self: &Arc<Self>, arguments: &[CString]) -> Option<Connection> {
        let mut pointers: Vec<*mut c_char> =
            arguments.iter().map(|a| a.as_ptr().cast_mut()).collect();
        let count = c_int::try_from(pointers.len()).ok()?;
        // SAFETY: `pointers` holds `count` NUL-terminated strings that live as long as the call, which copies them.
        let raw = unsafe { (self.api.connect)(count, pointers.as_mut_ptr()) };
        // SAFETY: a connection that is not NULL points at its handle.
        if raw.is_null() || unsafe { *raw }.is_null() {
            return None;
        }
        // After what the engine registers when it starts, and so before it at the end.
        exit_without_the_engine();
        self.open.fetch_add(1, Ordering::SeqCst);
        Some(Connection {
            raw,
            library: Arc::clone(self),
        })
    }

    /// Closes the engine. `false` while a connection is open. No connection can be opened after it in this process.
    pub(crate) fn shutdown(&self) -> bool {
        if self.open.load(Ordering::SeqCst) > 0 {
            return false;
        }
        // SAFETY: may be called at any time. It joins the engine's threads, but for those of tables: that they run
        // makes it return an error.
        unsafe { (self.api.shutdown)() };
        true
    }
}

/// One connection: a session of its own, with its settings and temporary tables.
pub(crate) struct Connection {
    raw: RawConnection,
    library: Arc<Library>,
}

// SAFETY: the library lets any thread use a connection, one at a time; all methods take `&mut self`.
unsafe impl Send for Connection {}

impl Connection {
    fn handle(&self) -> *mut c_void {
        // SAFETY: `raw` was checked when the connection was opened and stays valid until it is closed on drop.
        unsafe { *self.raw }
    }

    /// Runs one statement and waits for it. `Err` holds the engine's text of the exception.
    pub(crate) fn query(
        &mut self,
        sql: &[u8],
        format: &str,
        parameters: &[(String, String)],
    ) -> Result<Executed, String> {
        let names: Vec<*const c_char> = parameters.iter().map(|(n, _)| n.as_ptr().cast()).collect();
        let name_lengths: Vec<usize> = parameters.iter().map(|(n, _)| n.len()).collect();
        let values: Vec<*const c_char> =
            parameters.iter().map(|(_, v)| v.as_ptr().cast()).collect();
        let value_lengths: Vec<usize> = parameters.iter().map(|(_, v)| v.len()).collect();
        let api = &self.library.api;
        // SAFETY: every pointer comes with its length and outlives the call, which copies what it keeps.
        let result = unsafe {
            (api.query)(
                self.handle(),
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
                names.as_ptr(),
                name_lengths.as_ptr(),
                values.as_ptr(),
                value_lengths.as_ptr(),
                parameters.len(),
            )
        };
        if result.is_null() {
            return Err(
                "Code: 1001. DB::Exception: the engine gave no result. (STD_EXCEPTION)".to_owned(),
            );
        }
        // SAFETY: the result is valid until it is destroyed at the end of this block; all that is read is copied.
        unsafe {
            let executed = match text((api.result_error)(result)) {
                Some(error) => Err(error),
                None => Ok(Executed {
                    output: bytes(
                        (api.result_buffer)(result).cast(),
                        (api.result_length)(result),
                    ),
                    statistics: Statistics {
                        result_rows: (api.result_rows)(result),
                        result_bytes: (api.result_bytes)(result),
                        read_rows: (api.read_rows)(result),
                        read_bytes: (api.read_bytes)(result),
                        written_rows: (api.written_rows)(result),
                        written_bytes: (api.written_bytes)(result),
                    },
                }),
            };
            (api.destroy_result)(result);
            executed
        }
    }

    /// Asks the engine's parser what a text would do, and how many statements it holds. Runs nothing.
    pub(crate) fn classify(&mut self, sql: &[u8]) -> (Class, u32) {
        let mut analysis = RawAnalysis {
            struct_size: u32::try_from(size_of::<RawAnalysis>()).expect("16 bytes"),
            statement_count: 0,
            flags: 0,
            query_class: 4,
        };
        // SAFETY: text and length belong together, no target database is given, and the struct says its size.
        let state = unsafe {
            (self.library.api.classify)(
                self.handle(),
                sql.as_ptr().cast(),
                sql.len(),
                ptr::null(),
                0,
                &raw mut analysis,
            )
        };
        let class = match (state, analysis.query_class) {
            (0, 0) => Class::ReadOnly,
            (0, 1) => Class::Mutating,
            (0, 2) => Class::MutatingGlobal,
            (0, 3) => Class::Control,
            _ => Class::Unknown,
        };
        (class, analysis.statement_count)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: opened by `connect`, closed once, and no statement runs, for that would borrow it.
        unsafe { (self.library.api.close)(self.raw) }
        self.library.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Has the process end without the engine's own end: once a table was used, its static destructors crash. Nothing is
/// lost with them, for an insert stands on the disk before it is answered.
fn exit_without_the_engine() {
    unsafe extern "C" {
        // Of glibc, like the library itself; unlike `atexit` it tells the status.
        fn on_exit(callback: extern "C" fn(c_int, *mut c_void), argument: *mut c_void) -> c_int;
    }
    extern "C" fn exit(status: c_int, _: *mut c_void) {
        // SAFETY: never returns, and runs nothing of this process any more.
        unsafe { libc::_exit(status) }
    }
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        // SAFETY: registers a function of this program, which stays where it is until the process is gone.
        if unsafe { on_exit(exit, ptr::null_mut()) } != 0 {
            tracing::warn!("the process may crash when it ends");
        }
    });
}

/// # Safety
/// `pointer` is NULL or a NUL-terminated string.
unsafe fn text(pointer: *const c_char) -> Option<String> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: as the caller promises.
    Some(
        unsafe { CStr::from_ptr(pointer) }
            .to_string_lossy()
            .into_owned(),
    )
}

/// # Safety
/// `pointer` is NULL or points at `length` bytes.
unsafe fn bytes(pointer: *const u8, length: usize) -> Vec<u8> {
    if pointer.is_null() || length == 0 {
        return Vec::new();
    }
    // SAFETY: as the caller promises.
    unsafe { std::slice::from_raw_parts(pointer, length) }.to_vec()
}
