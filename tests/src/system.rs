//! A system of a test's own: a `tributary all`, or each service as a process of its own.

mod access;
mod apart;

pub use access::basic;

use crate::client::Client;
use crate::process::{self, Process};
use crate::wait::until;
use rustix::process::Signal;
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// A cold JVM on a busy machine, twice.
const STARTS_WITHIN: Duration = Duration::from_secs(180);
/// Promised is 10 s; a busy machine takes longer for the rest.
const STOPS_WITHIN: Duration = Duration::from_secs(30);
/// Of a log, when something fails.
const SHOWN_LINES: usize = 40;

/// What a system is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The binary.
    pub binary: PathBuf,
    /// Its `tributary.toml`.
    pub config: String,
    /// With demo events.
    pub demo: bool,
}

impl Settings {
    /// A system with `workspaces` workspaces called w0, w1 ..., each with the sources `web`, `till` and
    /// `mailer` and the historic source `history`, of which the tills qualify leads, whose write keys are `w0-web` and so on; and with these further lines of TOML.
    pub fn new(binary: &str, workspaces: usize, lines: &str) -> Self {
        let mut config = format!("{lines}\n");
        for workspace in 0..workspaces {
            config += &format!("[[workspaces]]\nname = \"w{workspace}\"\n");
            for (source, rest) in [
                ("web", ""),
                ("till", "channel = \"store\"\nqualifies_leads = true"),
                ("mailer", "channel = \"email\""),
                ("history", "channel = \"store\"\nhistoric = true"),
            ] {
                config += &format!(
                    "[[sources]]\nname = \"{source}\"\nworkspace = \"w{workspace}\"\nwrite_keys = [\"w{workspace}-{source}\"]\n{rest}\n"
                );
            }
        }
        Settings {
            binary: binary.into(),
            config,
            demo: false,
        }
    }
}

/// A running system, in a folder that goes with it.
#[derive(Debug)]
pub struct System {
    settings: Settings,
    folder: TempDir,
    all: Option<Child>,
    parts: apart::Parts,
    endpoints: Value,
    /// Asks it.
    pub client: Client,
}

impl System {
    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// When it does not get ready.
    pub fn start(settings: Settings) -> Self {
        let mut system = Self::prepare(settings);
        system.restart();
        system
    }

    /// Its folder and configuration alone.
    ///
    /// # Panics
    /// When the temporary folder is not writable.
    pub fn prepare(settings: Settings) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("tributary-test-")
            .tempdir()
            .expect("the temporary folder is writable");
        let system = System {
            settings,
            folder,
            all: None,
            parts: apart::Parts::default(),
            endpoints: Value::Null,
            client: Client::default(),
        };
        fs::create_dir(system.data()).expect("the temporary folder is writable");
        system.configure(&system.settings.config);
        system
    }

    /// Replaces its `tributary.toml`, for the next start.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn configure(&self, config: &str) {
        fs::write(self.config(), config).expect("the temporary folder is writable");
    }

    /// Starts it, again on the same data, and waits until it is ready.
    ///
    /// # Panics
    /// When it does not get ready.
    pub fn restart(&mut self) {
        self.start_without_waiting();
        self.await_ready();
    }

    /// Starts it.
    ///
    /// # Panics
    /// When it runs already, or cannot be started.
    pub fn start_without_waiting(&mut self) {
        assert!(self.all.is_none(), "it runs already");
        let output = || {
            File::options()
                .create(true)
                .append(true)
                .open(self.output())
                .expect("the temporary folder is writable")
        };
        let mut command = self.command(&["all", "--ports", "auto"]);
        if self.settings.demo {
            command.arg("--demo");
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output())
            .spawn();
        self.all = Some(child.expect("the binary starts"));
    }

    /// Waits for `endpoints.json`.
    ///
    /// # Panics
    /// When it does not come.
    pub fn await_ready(&mut self) {
        let path = self.data().join("endpoints.json");
        let all = self.all.as_mut().expect("it was started");
        let ready = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until("endpoints.json", STARTS_WITHIN, || {
                if let Some(status) = all.try_wait().expect("it is our child") {
                    panic!("`tributary all` ended with {status} instead of getting ready");
                }
                let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
                serde_json::from_str(&text).map_err(|error| error.to_string())
            })
        }));
        match ready {
            Ok(endpoints) => self.endpoints = endpoints,
            Err(cause) => {
                self.show_logs();
                std::panic::resume_unwind(cause);
            }
        }
    }

    /// Waits until it has printed that.
    ///
    /// # Panics
    /// When it does not.
    pub fn await_words(&self, words: &str) {
        until(words, STARTS_WITHIN, || {
            let printed = self.printed();
            if printed.contains(words) {
                Ok(())
            } else {
                Err(printed)
            }
        });
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("tributary.toml")
    }

    /// What it prints.
    ///
    /// # Panics
    /// When it was not started.
    pub fn printed(&self) -> String {
        fs::read_to_string(self.output()).expect("it was started")
    }

    fn output(&self) -> PathBuf {
        self.folder.path().join("output.log")
    }

    /// A file of the test, in a folder that goes with the system.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).expect("the temporary folder is writable");
        path
    }

    /// Its processes besides the main one: `kafka`, `clickhouse`.
    pub fn children(&self, role: &str) -> Vec<Process> {
        let is_role = |process: &Process| {
            process
                .arguments
                .get(1)
                .is_some_and(|argument| argument == role)
        };
        process::of_folder(&self.data())
            .into_iter()
            .filter(is_role)
            .collect()
    }

    /// Kills a child with -9 and waits until another one has taken its place.
    ///
    /// # Panics
    /// When there is no such child, or none comes.
    pub fn kill_child(&self, role: &str) {
        let before = self.children(role);
        assert!(!before.is_empty(), "there is no process of the role {role}");
        for child in &before {
            process::kill(child.pid);
        }
        until(&format!("another {role}"), STARTS_WITHIN, || {
            let now = self.children(role);
            let is_new = |process: &Process| before.iter().all(|old| old.pid != process.pid);
            if !now.is_empty() && now.iter().all(is_new) {
                Ok(())
            } else {
                Err(format!("there is {now:?}"))
            }
        });
    }

    /// Kills the main process with -9; its children must end with it.
    ///
    /// # Panics
    /// When it does not run, or a child outlives it.
    pub fn kill(&mut self) {
        let mut all = self.all.take().expect("it runs");
        all.kill().expect("it is our child");
        all.wait().expect("it is our child");
        self.no_process_is_left();
        // What it left behind must not be taken for that of the next start.
        fs::remove_file(self.data().join("endpoints.json")).expect("it was ready");
    }

    /// Sends a signal to the main process.
    ///
    /// # Panics
    /// When it does not run.
    pub fn signal(&self, signal: Signal) {
        process::send(
            self.all.as_ref().expect("it runs").id().cast_signed(),
            signal,
        );
    }

    /// Waits for the main process to end by itself.
    ///
    /// # Panics
    /// When it does not run, or does not end.
    pub fn await_end(&mut self) -> ExitStatus {
        let mut all = self.all.take().expect("it runs");
        let status = until("the end of `tributary all`", STOPS_WITHIN, || {
            match all.try_wait() {
                Ok(Some(status)) => Ok(status),
                _ => Err("it runs".to_owned()),
            }
        });
        self.no_process_is_left();
        status
    }

    /// Stops it as Ctrl-C does.
    ///
    /// # Panics
    /// When it does not stop by itself, or not well, or leaves something behind.
    pub fn stop(&mut self) {
        self.signal(Signal::INT);
        let status = self.await_end();
        assert!(status.success(), "it ended with {status}");
        assert!(
            !self.data().join("endpoints.json").exists(),
            "endpoints.json was left behind"
        );
    }

    fn no_process_is_left(&self) {
        until(
            "the end of all processes",
            STOPS_WITHIN,
            || match process::of_folder(self.folder.path()).as_slice() {
                [] => Ok(()),
                left => Err(format!("{left:?}")),
            },
        );
    }

    /// Prints the ends of all logs.
    pub fn show_logs(&self) {
        let logs = fs::read_dir(self.data().join("logs"))
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path());
        for path in logs.chain([self.output()]) {
            show(&path);
        }
    }
}

impl Drop for System {
    fn drop(&mut self) {
        if let Some(mut all) = self.all.take() {
            // Its children end with it.
            let _ = all.kill();
            let _ = all.wait();
        }
        self.parts.kill();
        for process in process::of_folder(self.folder.path()) {
            process::kill(process.pid);
        }
    }
}

fn show(path: &Path) {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    eprintln!("---- the end of {}", path.display());
    for line in &lines[lines.len().saturating_sub(SHOWN_LINES)..] {
        eprintln!("{line}");
    }
}
