//! A server with a password, few turns and little patience.

mod support;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body, Frame, Incoming};
use hyper::{Request, Response};
use std::convert::Infallible;
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

async fn endless() -> Response<Incoming> {
    send("/", Full::new(Bytes::from(ENDLESS))).await
}

/// Sends a body as the user who may, and reads only the head of the answer.
async fn send<B>(uri: &str, body: B) -> Response<Incoming>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let request = Request::post(uri)
        .header("host", "localhost")
        .header(KEY[0].0, KEY[0].1)
        .header(KEY[1].0, KEY[1].1);
    support::send(address(), request.body(body).expect("a request")).await
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
    // While both run there is no turn for the question.
    let question = "SELECT count() FROM system.processes WHERE position(query, 'repeat') > 0";
    let ended = async { while post(question).await.text() != "1\n" {} };
    tokio::time::timeout(Duration::from_secs(60), ended)
        .await
        .expect("both ended");
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

/// The memory of this process, which holds the engine, its interface and the client, in megabytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .expect("a line");
    let kilobytes = line.split_whitespace().nth(1).expect("a number");
    kilobytes.parse::<u64>().expect("kB") / 1024
}

/// Runs something small, then something larger of the same kind: what it may hold more in memory, in megabytes, is
/// what the allocator keeps.
async fn flat(most: impl AsyncFn(u64) -> u64) {
    const ALLOWED: u64 = 300;
    let _alone = alone().await;
    let small = most(1).await;
    let large = most(5).await;
    assert!(
        large < small + ALLOWED,
        "grew from {small} to {large} MB with the size"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_of_gigabytes_passes_in_flat_memory() {
    flat(async |size| {
        let rows = size * 5_000_000;
        let query =
            format!("SELECT number, repeat('x', 100) FROM numbers({rows}) FORMAT RowBinary");
        let mut body = send("/", Full::new(Bytes::from(query))).await.into_body();
        let (mut most, mut bytes) = (resident(), 0);
        for frames in 1_u64.. {
            let Some(frame) = body.frame().await else {
                break;
            };
            let frame = frame.expect("the body is whole");
            bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
            if frames.is_multiple_of(256) {
                most = resident().max(most);
            }
        }
        assert_eq!(bytes, rows * 109);
        most
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gigabytes_of_rows_are_inserted_in_flat_memory() {
    let row = [&7_u64.to_le_bytes()[..], &[100], &[b'x'; 100]].concat();
    let chunk = Bytes::from(row.repeat(10_000));
    flat(async |size| {
        post("CREATE TABLE IF NOT EXISTS large (a UInt64, s String) ENGINE = Null")
            .await
            .ok();
        let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, Infallible>>(2);
        let body = StreamBody::new(Receiver(receiver));
        let uri = "/?query=INSERT+INTO+large+FORMAT+RowBinary";
        let answer = tokio::spawn(send(uri, body));
        let (mut most, chunks) = (resident(), size * 500);
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
            .expect("text");
        let written = format!("\"written_rows\":\"{}\"", chunks * 10_000);
        assert!(summary.contains(&written), "{summary}");
        most
    })
    .await;
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
