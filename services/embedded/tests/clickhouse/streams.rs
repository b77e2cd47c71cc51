//! Queries at the same time.

use super::{sql, table};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn queries_run_beside_each_other() {
    // Each waits for the other's row: one after the other they would never end.
    let (a, b) = (table("meet"), table("meet"));
    for name in [&a, &b] {
        sql(&format!("CREATE TABLE {name} (x UInt8) ENGINE = Memory")).await;
    }
    let meet = async |mine: String, theirs: String| {
        sql(&format!("INSERT INTO {mine} VALUES (1)")).await;
        while sql(&format!("SELECT count() FROM {theirs}")).await == "0\n" {}
    };
    let slow = tokio::spawn(sql(
        "SELECT sum(sleepEachRow(0.1)) FROM numbers(10) SETTINGS max_block_size = 1",
    ));
    let both = async { tokio::join!(meet(a.clone(), b.clone()), meet(b.clone(), a.clone())) };
    tokio::time::timeout(Duration::from_secs(30), both)
        .await
        .expect("both ran at the same time");
    slow.await.expect("no panic");
}
