//! A broker and an engine for this test binary, each in a process of its own: the engine must be closed before its
//! process exits, and a test binary has no last step in which to do that.
//!
//! The process is this binary again, told by the environment which test to be. It runs until its standard input ends,
//! which also the death of its parent makes it do, then stops cleanly and removes its folder.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use tokio::io::AsyncReadExt as _;
use tributary_embedded::{clickhouse, kafka};

/// Which server to be.
const SERVER: &str = "TRIBUTARY_TEST_SERVER";
/// What the line with the address begins with.
const ADDRESS: &str = "address of the server: ";

/// The URL of the engine.
pub(super) fn engine() -> &'static str {
    static ENGINE: OnceLock<Server> = OnceLock::new();
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| format!("http://{}", ENGINE.get_or_init(|| start("engine")).address))
}

/// The broker, as a client takes it.
pub(super) fn broker() -> &'static str {
    static BROKER: OnceLock<Server> = OnceLock::new();
    &BROKER.get_or_init(|| start("broker")).address
}

/// A server; it stops when this process ends, and with it the pipe to its standard input.
struct Server {
    address: String,
    _process: Child,
    /// The harness in it says after a minute that its test still runs, and would die of a closed pipe.
    _output: BufReader<ChildStdout>,
}

fn start(server: &str) -> Server {
    let mut process = Command::new(std::env::current_exe().expect("this test binary"))
        .args([
            "--exact",
            "tests::servers::a_process_that_is_told_to_be_a_server_is_one",
        ])
        .env(SERVER, server)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test binary can be started");
    let mut output = BufReader::new(process.stdout.take().expect("it is piped"));
    let address = output
        .by_ref()
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix(ADDRESS).map(str::to_owned));
    let Some(address) = address else {
        let status = process.wait();
        panic!("the {server} does not start ({status:?}): has `make setup` been run?");
    };
    Server {
        address,
        _process: process,
        _output: output,
    }
}

/// The process behind [`engine`] or [`broker`].
#[tokio::test]
async fn a_process_that_is_told_to_be_a_server_is_one() {
    match std::env::var(SERVER).as_deref() {
        Ok("engine") => be_the_engine().await,
        Ok("broker") => be_the_broker().await,
        _ => return,
    }
    // The harness would report to a parent that is gone.
    std::process::exit(0);
}

async fn be_the_engine() {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let mut options = clickhouse::Options::new(folder.path().join("clickhouse"));
    options.listen = ([127, 0, 0, 1], 0).into();
    let listener = clickhouse::listen(&options)
        .await
        .expect("the loopback address has free ports");
    tell(&listener.local_addr().expect("it is bound").to_string());
    clickhouse::run(options, listener, input_ends())
        .await
        .unwrap_or_else(|error| panic!("{error}"));
}

async fn be_the_broker() {
    let free = || {
        let listener =
            TcpListener::bind("127.0.0.1:0").expect("the loopback address has free ports");
        listener.local_addr().expect("it is bound").port()
    };
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let options = kafka::Options::new(folder.path().join("kafka"), free(), free());
    let address = format!("127.0.0.1:{}", options.port);
    kafka::run(options, input_ends(), || tell(&address))
        .await
        .unwrap_or_else(|error| panic!("{error}"));
}

/// Past the test harness, which captures what is printed.
fn tell(address: &str) {
    let mut output = std::io::stdout();
    writeln!(output, "\n{ADDRESS}{address}")
        .and_then(|()| output.flush())
        .expect("the parent reads");
}

async fn input_ends() {
    let mut rest = Vec::new();
    // An error is an end, too.
    let _ = tokio::io::stdin().read_to_end(&mut rest).await;
}
