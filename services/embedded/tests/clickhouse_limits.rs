//! A server with a password, few turns and little patience.

mod support;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;
use support::{Answer, ask, boot};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, MutexGuard};

const KEY: [(&str, &str); 2] = [
    ("X-ClickHouse-User", "ada"),
    ("X-ClickHouse-Key", "s3:cret"),
];
const ENDLESS: &str = "SELECT number, repeat('x', 1000) FROM numbers(100000000000)";

fn address() -> SocketAddr {
    static SERVER: OnceLock<SocketAddr> = OnceLock::new();
    *SERVER.get_or_init(|| {
        let (address, stop) = boot(|options| {
            options.user = "ada".to_owned();
            options.password = Some("s3:cret".to_owned());
            options.max_concurrent_queries = 2;
            options.queue_timeout = Duration::from_millis(500);
            options.idle_timeout = Duration::from_secs(1);
        });
        std::mem::forget(stop);
        address
    })
}

/// The tests share the turns, so they take turns themselves.
async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}

async fn post(query: &str) -> Answer {
    ask(address(), "POST", "/", &KEY, query.to_owned()).await
}

async fn endless() -> hyper::Response<hyper::body::Incoming> {
    let request = hyper::Request::post("/")
        .header("host", "localhost")
        .header(KEY[0].0, KEY[0].1)
        .header(KEY[1].0, KEY[1].1);
    support::send(
        address(),
        request
            .body(Full::new(Bytes::from(ENDLESS)))
            .expect("a request"),
    )
    .await
}

#[tokio::test]
async fn only_the_right_user_with_the_right_password_gets_in() {
    let _alone = alone().await;
    let check = async |uri: &str, headers: &[(&str, &str)], status: u16| {
        let answer = ask(address(), "POST", uri, headers, "SELECT 1").await;
        assert_eq!(
            answer.status,
            status,
            "{uri} {headers:?}: {}",
            answer.text()
        );
        if status != 200 {
            assert_eq!(answer.header("x-clickhouse-exception-code"), "516");
            assert!(
                answer.text().contains("Authentication failed")
                    || answer.text().contains("Invalid authentication")
            );
        }
    };
    check("/", &KEY, 200).await;
    check("/?user=ada&password=s3%3Acret", &[], 200).await;
    check("/", &[("Authorization", "Basic YWRhOnMzOmNyZXQ=")], 200).await;
    check("/", &[], 403).await;
    check("/?user=ada&password=wrong", &[], 403).await;
    check("/?user=default&password=s3%3Acret", &[], 403).await;
    check("/", &[("Authorization", "Basic YWRhOndyb25n")], 403).await;
    check("/?user=ada", &KEY, 403).await;
    assert_eq!(
        ask(address(), "GET", "/ping", &[], "").await.ok(),
        "Ok.\n",
        "a ping needs no password"
    );
}

#[tokio::test]
async fn a_query_waits_for_its_turn_and_then_gives_up() {
    let _alone = alone().await;
    let (first, second) = (endless().await, endless().await);
    let third = post("SELECT 1").await;
    assert_eq!(
        (third.status, third.header("x-clickhouse-exception-code")),
        (500, "202"),
        "{}",
        third.text()
    );
    drop(first);
    // The turn of the one that is gone comes free as soon as the engine has stopped.
    let turn = async { while post("SELECT 1").await.status != 200 {} };
    tokio::time::timeout(Duration::from_secs(20), turn)
        .await
        .expect("a turn");
    drop(second);
}

#[tokio::test]
async fn a_client_that_reads_nothing_loses_its_query() {
    let _alone = alone().await;
    let slow = [endless().await, endless().await];
    let turn = async { while post("SELECT 1").await.status != 200 {} };
    tokio::time::timeout(Duration::from_secs(20), turn)
        .await
        .expect("a turn");
    for response in slow {
        let mut body = response.into_body();
        let broken = async {
            while let Some(frame) = body.frame().await {
                if frame.is_err() {
                    return true;
                }
            }
            false
        };
        let broken = tokio::time::timeout(Duration::from_secs(20), broken)
            .await
            .expect("it ends");
        assert!(broken, "what is cut must not look whole");
    }
}

#[tokio::test]
async fn a_client_that_sends_nothing_more_loses_its_insert() {
    let _alone = alone().await;
    post("CREATE TABLE IF NOT EXISTS stalled (a UInt64) ENGINE = MergeTree ORDER BY a")
        .await
        .ok();
    let mut stream = TcpStream::connect(address())
        .await
        .expect("the server listens");
    let head = "POST /?query=INSERT+INTO+stalled+FORMAT+TSV&user=ada&password=s3%3Acret HTTP/1.1\r\nHost: localhost\r\n\
                Content-Length: 1000\r\n\r\n1\n2\n";
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut answer))
        .await
        .expect("an answer");
    let answer = String::from_utf8_lossy(&answer[..read.expect("readable")]).into_owned();
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("x-clickhouse-exception-code: 209"),
        "{answer}"
    );
    assert_eq!(post("SELECT count() FROM stalled").await.ok(), "0\n");
}
