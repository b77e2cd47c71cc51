//! A real engine behind its interface, one for each test binary, and a plain HTTP client.
// Each test binary uses its part of this.
#![allow(dead_code, unreachable_pub)]

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::HeaderMap;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::net::TcpStream;
use tributary_embedded::clickhouse::{self, Options};

/// The library under test.
pub fn library() -> PathBuf {
    let library = std::env::var_os("TRIBUTARY_LIBCHDB")
        .map_or_else(clickhouse::default_library, PathBuf::from);
    assert!(
        library.exists(),
        "there is no {}: `make setup` fetches it",
        library.display()
    );
    library
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }

    /// The body of an answer that must be good.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.status, 200, "{}", self.text());
        self.text()
    }
}

/// Sends a request on a connection of its own and reads only the head of the answer.
pub async fn send<B>(address: SocketAddr, request: Request<B>) -> Response<Incoming>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = TcpStream::connect(address)
        .await
        .expect("the server listens");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .expect("it speaks HTTP");
    tokio::spawn(connection);
    sender.send_request(request).await.expect("an answer")
}

/// Sends a request and reads the whole answer.
pub async fn ask(
    address: SocketAddr,
    method: &str,
    uri: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    let mut request = Request::builder()
        .method(method)
        .uri(uri)
        .header("host", "localhost");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = send(
        address,
        request.body(Full::new(body.into())).expect("a request"),
    )
    .await;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body,
    }
}

/// Encodes a part of a URL.
pub fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Runs the server in a thread, until the process ends or `stop` is sent.
pub fn boot(change: impl FnOnce(&mut Options) + Send + 'static) -> (SocketAddr, Stop) {
    let (ready, booted) = std::sync::mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async move {
            let folder = tempfile::tempdir().expect("a folder");
            let mut options = Options::new(folder.path().join("clickhouse"));
            options.library = library();
            options.listen = SocketAddr::from(([127, 0, 0, 1], 0));
            change(&mut options);
            let listener = clickhouse::listen(&options).await?;
            ready
                .send(listener.local_addr().expect("an address"))
                .expect("the test waits");
            clickhouse::run(options, listener, async {
                // A sender that is gone means: until the end of the process.
                if stopped.await.is_err() {
                    std::future::pending::<()>().await;
                }
            })
            .await
        })
    });
    let address = booted.recv();
    let Ok(address) = address else {
        panic!(
            "the server does not start: {:?}",
            thread.join().expect("no panic").expect_err("no address")
        );
    };
    (address, Stop { stop, thread })
}

/// Stops a server.
pub struct Stop {
    stop: tokio::sync::oneshot::Sender<()>,
    thread: std::thread::JoinHandle<Result<(), clickhouse::Error>>,
}

impl Stop {
    /// Asks it to stop, without waiting.
    pub fn start(self) -> std::thread::JoinHandle<Result<(), clickhouse::Error>> {
        self.stop.send(()).expect("the server runs");
        self.thread
    }
}
