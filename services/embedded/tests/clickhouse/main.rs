//! ClickHouse's HTTP interface in front of the real engine, as clients meet it.

#[path = "../support/mod.rs"]
mod support;

mod client_crate;
mod compression;
mod disconnects;
mod errors;
mod formats;
mod inserts;
mod parameters;
mod sessions;
mod statements;
mod streams;

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use support::{Answer, encoded};

/// One engine for the whole binary: a process can hold only one.
fn address() -> SocketAddr {
    static SERVER: OnceLock<SocketAddr> = OnceLock::new();
    *SERVER.get_or_init(|| {
        let (address, stop) = support::boot(|options| options.max_concurrent_queries = 64);
        // It runs until the process ends.
        std::mem::forget(stop);
        address
    })
}

/// A table name of the test's own.
fn table(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{name}_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

async fn post(uri: &str, body: impl Into<bytes::Bytes>) -> Answer {
    support::ask(address(), "POST", uri, &[], body).await
}

/// Runs a statement that must succeed, and gives its result.
async fn sql(statement: &str) -> String {
    post("/", statement.to_owned()).await.ok()
}

/// `/?query=...&parameters`
fn uri(query: &str, parameters: &str) -> String {
    format!("/?query={}&{parameters}", encoded(query))
}

/// Waits until the engine runs as many statements that hold `mark` as expected.
async fn until_running(mark: &str, expected: u32) {
    // Asked for in two pieces, so that the question does not find itself.
    let (a, b) = mark.split_at(3);
    let question = format!(
        "SELECT count() FROM system.processes WHERE position(query, concat('{a}', '{b}')) > 0"
    );
    let found = async { while sql(&question).await != format!("{expected}\n") {} };
    tokio::time::timeout(Duration::from_secs(20), found)
        .await
        .unwrap_or_else(|_| panic!("never {expected} of {mark}"));
}
