//! `tributary kafka` as a process: what it leaves behind, however it ends.

use std::fs;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A cold JVM on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback address has free ports");
    listener.local_addr().expect("it is bound").port()
}

/// A process that is killed with its test.
struct Broker {
    process: Child,
    port: u16,
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command
        .args(["kafka", "--data"])
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

impl Broker {
    /// Starts one and waits until it listens.
    fn start(folder: &Path) -> Self {
        let port = free_port();
        let process = command(folder)
            .env("TRIBUTARY__PORTS__KAFKA", port.to_string())
            .env(
                "TRIBUTARY__PORTS__KAFKA_CONTROLLER",
                free_port().to_string(),
            )
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let mut broker = Broker { process, port };
        await_true("the broker listens", || {
            assert_eq!(
                broker.process.try_wait().expect("it is our child"),
                None,
                "the broker ended"
            );
            broker.listens()
        });
        broker
    }

    fn listens(&self) -> bool {
        TcpStream::connect(("127.0.0.1", self.port)).is_ok()
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, signal).expect("it is our child");
    }

    fn ended(mut self) -> ExitStatus {
        self.process.wait().expect("it is our child")
    }
}

/// Asks again and again.
fn await_true(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < PATIENCE,
            "not within {PATIENCE:?}: {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Processes that have this folder in their command line.
fn processes_on(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().expect("temporary folders are UTF-8");
    let entries = fs::read_dir("/proc").expect("this is Linux");
    let command_lines =
        entries.filter_map(|entry| match fs::read(entry.ok()?.path().join("cmdline")) {
            Ok(line) => Some(String::from_utf8_lossy(&line).replace('\0', " ")),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(_) => None,
        });
    command_lines.filter(|line| line.contains(folder)).collect()
}

#[test]
fn a_signal_stops_the_broker_and_its_jvm() {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let broker = Broker::start(folder.path());
    assert!(
        processes_on(folder.path())
            .iter()
            .any(|line| line.contains("kafka.Kafka")),
        "the JVM runs"
    );
    broker.signal(rustix::process::Signal::TERM);
    let status = broker.ended();
    assert_eq!(status.code(), Some(0), "{status}");
    assert_eq!(processes_on(folder.path()), Vec::<String>::new());
}

#[test]
fn killed_it_leaves_no_jvm_and_goes_on_with_its_data() {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let broker = Broker::start(folder.path());
    let id = fs::read_to_string(folder.path().join("kafka/log/meta.properties"))
        .expect("it is formatted");
    broker.signal(rustix::process::Signal::KILL);
    broker.ended();
    await_true("the JVM ended, too", || {
        processes_on(folder.path()).is_empty()
    });

    let broker = Broker::start(folder.path());
    let again = fs::read_to_string(folder.path().join("kafka/log/meta.properties"))
        .expect("it is formatted");
    assert_eq!(again, id);
    drop(broker);
}
