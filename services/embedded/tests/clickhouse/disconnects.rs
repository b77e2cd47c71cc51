//! Clients that go away in the midst of things.

use super::{address, sql, table, until_running, uri};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn raw(request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address())
        .await
        .expect("the server listens");
    stream.write_all(request.as_bytes()).await.expect("sent");
    stream
}

fn head(uri: &str, rest: &str) -> String {
    format!("POST {uri} HTTP/1.1\r\nHost: localhost\r\n{rest}\r\n\r\n")
}

#[tokio::test]
async fn a_client_that_leaves_amid_the_result_frees_its_query() {
    let mut stream = raw(&head(
        &uri(
            "SELECT number AS leaves_amid FROM numbers(100000000000)",
            "",
        ),
        "Content-Length: 0",
    ))
    .await;
    let mut buffer = [0; 4096];
    stream
        .read_exact(&mut buffer)
        .await
        .expect("the result has begun");
    until_running("leaves_amid", 1).await;
    drop(stream);
    until_running("leaves_amid", 0).await;
}

#[tokio::test]
async fn a_client_that_leaves_before_the_result_frees_its_query() {
    let stream = raw(&head(
        &uri(
            "SELECT max(sipHash64(number)) AS leaves_before FROM numbers(100000000000)",
            "",
        ),
        "Content-Length: 0",
    ))
    .await;
    until_running("leaves_before", 1).await;
    drop(stream);
    until_running("leaves_before", 0).await;
}

#[tokio::test]
async fn a_statement_that_changes_something_goes_on_without_its_client() {
    let name = table("goes_on");
    sql(&format!(
        "CREATE TABLE {name} (a UInt64) ENGINE = MergeTree ORDER BY a"
    ))
    .await;
    let insert = format!(
        "INSERT INTO {name} SELECT number + sleepEachRow(0.1) FROM numbers(10) SETTINGS max_block_size = 1"
    );
    let stream = raw(&head(&uri(&insert, ""), "Content-Length: 0")).await;
    until_running(&name, 1).await;
    drop(stream);
    let stored = async { while sql(&format!("SELECT count() FROM {name}")).await != "10\n" {} };
    tokio::time::timeout(Duration::from_secs(20), stored)
        .await
        .expect("it was stored");
}

#[tokio::test]
async fn an_insert_whose_data_breaks_off_stores_nothing() {
    let name = table("breaks_off");
    sql(&format!(
        "CREATE TABLE {name} (a UInt64) ENGINE = MergeTree ORDER BY a"
    ))
    .await;
    let insert = uri(&format!("INSERT INTO {name} FORMAT TSV"), "");
    for round in 0..20 {
        let rows = "7\n".repeat(1 + round * 500);
        let stream = if round % 2 == 0 {
            raw(&format!(
                "{}{rows}",
                head(&insert, "Content-Length: 1000000")
            ))
            .await
        } else {
            raw(&format!(
                "{}{:x}\r\n{rows}\r\n",
                head(&insert, "Transfer-Encoding: chunked"),
                rows.len()
            ))
            .await
        };
        if round % 3 == 0 {
            until_running(&format!("{name} "), 1).await;
        }
        drop(stream);
        until_running(&format!("{name} "), 0).await;
    }
    assert_eq!(sql(&format!("SELECT count() FROM {name}")).await, "0\n");
}
