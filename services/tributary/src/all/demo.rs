//! Demo events: a shop's three days, sent through ingest like anybody's.
//!
//! They are made from a fixed seed and a base time that is kept in the data folder, so that a second start sends the
//! very same events, which are known already.

mod shop;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use tributary_platform::config::{Config, Secret};
use tributary_platform::endpoints::write_private;

const FILE: &str = "demo.json";
const CUSTOMERS: u64 = 400;
/// Events of one request: well below ingest's limits.
const BATCH: usize = 100;

/// What is remembered between starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
struct Memory {
    /// The end of the three days, in milliseconds since 1970.
    base: i64,
    /// Everything was acknowledged.
    sent: bool,
}

/// Sends what was not sent before. `progress` is told (events sent, of how many). Blocks.
pub(super) fn feed(
    ingest: &str,
    config: &Config,
    mut progress: impl FnMut(usize, usize),
) -> Result<(), String> {
    let path = config.data.join(FILE);
    let mut memory = recall(&path).unwrap_or_else(|| Memory {
        base: now(),
        sent: false,
    });
    if memory.sent {
        return Ok(());
    }
    remember(&path, memory)?;
    let key = |name: &str| {
        let source = config.sources.iter().find(|source| source.name == name);
        source
            .or(config.sources.first())
            .and_then(|source| source.write_keys.first())
    };
    let (Some(online), Some(till)) = (key("default"), key("history")) else {
        return Err("no source has a write key".to_owned());
    };
    let shop = shop::three_days(CUSTOMERS, memory.base);
    let total = shop.online.len() + shop.till.len();
    let client = ureq::Agent::new_with_defaults();
    let mut sent = 0;
    for (events, key) in [(&shop.online, online), (&shop.till, till)] {
        for batch in events.chunks(BATCH) {
            post(&client, ingest, key, batch)?;
            sent += batch.len();
            progress(sent, total);
        }
    }
    memory.sent = true;
    remember(&path, memory)
}

fn post(client: &ureq::Agent, ingest: &str, key: &Secret, batch: &[Value]) -> Result<(), String> {
    let result = client
        .post(format!("{ingest}/v1/batch"))
        .header("Content-Type", "application/json")
        .send(json!({ "writeKey": key.expose(), "batch": batch }).to_string());
    match result {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("ingest did not take the demo events: {error}")),
    }
}

fn recall(path: &Path) -> Option<Memory> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn remember(path: &Path, memory: Memory) -> Result<(), String> {
    let text = serde_json::to_vec(&memory).expect("two plain fields are JSON");
    write_private(path, &text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
