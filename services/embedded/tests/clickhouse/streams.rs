//! Results and data far larger than what the process may grow by.

use super::support::send;
use super::{address, sql, table, uri};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::Request;
use hyper::body::Frame;
use std::convert::Infallible;
use std::time::Duration;

const MEGABYTE: u64 = 1 << 20;

/// The memory of this process, which holds the engine, its interface and the client.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .expect("a line");
    line.split_whitespace()
        .nth(1)
        .expect("a number")
        .parse::<u64>()
        .expect("kB")
        * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_of_gigabytes_passes_in_flat_memory() {
    // The first large result fills the engine's own buffers and arenas.
    read(
        "SELECT number, repeat('x', 100) FROM numbers(5000000) FORMAT RowBinary",
        &mut 0,
    )
    .await;
    let before = resident();
    let mut most = 0;
    let bytes = read(
        "SELECT number, repeat('x', 100) FROM numbers(20000000) FORMAT RowBinary",
        &mut most,
    )
    .await;
    assert_eq!(bytes, 20_000_000 * 109);
    assert!(
        most < before + 400 * MEGABYTE,
        "grew from {} to {} MB",
        before / MEGABYTE,
        most / MEGABYTE
    );
}

async fn read(query: &str, most: &mut u64) -> u64 {
    let request = Request::post("/")
        .header("host", "localhost")
        .body(Full::new(Bytes::from(query.to_owned())));
    let response = send(address(), request.expect("a request")).await;
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    let mut bytes = 0;
    let mut frames = 0_u64;
    while let Some(frame) = body.frame().await {
        bytes += frame
            .expect("the body is whole")
            .data_ref()
            .map_or(0, Bytes::len) as u64;
        frames += 1;
        if frames.is_multiple_of(256) {
            *most = resident().max(*most);
        }
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gigabyte_of_rows_is_inserted_in_flat_memory() {
    let name = table("large");
    sql(&format!(
        "CREATE TABLE {name} (a UInt64, s String CODEC(LZ4)) ENGINE = Null"
    ))
    .await;
    let row = [&7_u64.to_le_bytes()[..], &[100], &[b'x'; 100]].concat();
    let chunk = Bytes::from(row.repeat(10_000));
    let chunks = 1000;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, Infallible>>(2);
    let insert = uri(&format!("INSERT INTO {name} FORMAT RowBinary"), "");
    let request = Request::post(insert)
        .header("host", "localhost")
        .body(StreamBody::new(Receiver(receiver)));
    let answer = tokio::spawn(send(address(), request.expect("a request")));
    let mut most = 0;
    let before = resident();
    for _ in 0..chunks {
        sender
            .send(Ok(Frame::data(chunk.clone())))
            .await
            .expect("the server reads on");
        most = resident().max(most);
    }
    drop(sender);
    let response = answer.await.expect("no panic");
    assert_eq!(response.status(), 200);
    let summary = response.headers()["x-clickhouse-summary"]
        .to_str()
        .expect("text")
        .to_owned();
    assert!(
        summary.contains("\"written_rows\":\"10000000\""),
        "{summary}"
    );
    assert!(
        most < before + 500 * MEGABYTE,
        "grew from {} to {} MB",
        before / MEGABYTE,
        most / MEGABYTE
    );
}

struct Receiver(tokio::sync::mpsc::Receiver<Result<Frame<Bytes>, Infallible>>);

impl futures_core::Stream for Receiver {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

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
