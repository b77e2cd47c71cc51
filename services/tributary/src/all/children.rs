//! Kafka and ClickHouse as processes of their own: started, watched, restarted, stopped, and never left behind.

use crate::exit::Failure;
use std::ffi::OsString;
use std::fs::File;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tributary_embedded::child::{bind_to_parent, terminate};
use tributary_platform::admin_http::Check;
use tributary_platform::lifecycle::Shutdown;

/// How often a child is looked at.
const WATCH: Duration = Duration::from_millis(50);
/// Between a crash and the next start: doubled each time up to the limit, back to the first after a calm minute.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
const CALM: Duration = Duration::from_secs(60);

/// How to start a child.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// The subcommand of this binary, and its name in messages.
    pub(super) name: &'static str,
    /// Further arguments.
    pub(super) arguments: Vec<OsString>,
    /// Settings that win over the configuration's other layers.
    pub(super) environment: Vec<(String, String)>,
    /// Where its output goes.
    pub(super) log: PathBuf,
}

/// A child, as the rest of the process sees it.
#[derive(Debug)]
pub(super) struct Child {
    plan: Plan,
    ask: Sender<Duration>,
    state: watch::Receiver<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    /// It ended and will be started again.
    Ended(Option<ExitStatus>),
}

impl Child {
    /// Starts it, and a thread that watches it. The kernel kills a child when the thread that spawned it ends: this
    /// one ends after its child.
    pub(super) fn start(plan: Plan) -> io::Result<Self> {
        let (ask, asked) = channel();
        let (report, state) = watch::channel(State::Running);
        let watched = plan.clone();
        let thread = std::thread::Builder::new()
            .name(plan.name.to_owned())
            .spawn(move || watch_over(&watched, &asked, &report))?;
        Ok(Child {
            plan,
            ask,
            state,
            thread: Some(thread),
        })
    }

    /// Its name.
    pub(super) fn name(&self) -> &'static str {
        self.plan.name
    }

    /// Pending until it has ended by itself; then why, in its own last words, with its own exit code if that says
    /// that its configuration is wrong.
    pub(super) fn ended(&self) -> impl Future<Output = Failure> + Send + use<> {
        let (mut state, plan) = (self.state.clone(), self.plan.clone());
        async move {
            let ended = state
                .wait_for(|state| matches!(state, State::Ended(_)))
                .await;
            let status = match ended.map(|state| *state) {
                Ok(State::Ended(status)) => status,
                _ => None,
            };
            let how = status.map_or("could not be started".to_owned(), |status| {
                format!("ended with {status}")
            });
            let (name, log) = (plan.name, plan.log.display());
            let message = format!("{name} {how}: {} (its log: {log})", last_words(&plan.log));
            match status.and_then(|status| status.code()) {
                Some(2) => Failure::usage(message),
                _ => Failure::failed(message),
            }
        }
    }

    /// Keeps a check up to date until the stop.
    pub(super) fn report_to(
        &self,
        check: Check,
        shutdown: Shutdown,
    ) -> impl Future<Output = io::Result<()>> + Send + use<> {
        let mut state = self.state.clone();
        async move {
            loop {
                match *state.borrow_and_update() {
                    State::Running => check.ready(),
                    State::Ended(_) => check.not_ready("it ended by itself and is started again"),
                }
                tokio::select! {
                    () = shutdown.requested() => return Ok(()),
                    changed = state.changed() => if changed.is_err() { return Ok(()) },
                }
            }
        }
    }

    /// Asks it to stop, and waits. What does not stop in time is killed.
    pub(super) async fn stop(mut self, within: Duration) {
        let _ = self.ask.send(within);
        if let Some(thread) = self.thread.take() {
            // It waits no longer than that and the kill.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

fn watch_over(plan: &Plan, asked: &Receiver<Duration>, report: &watch::Sender<State>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let started = Instant::now();
        let status = match spawn(plan) {
            Ok(child) => {
                report.send_replace(State::Running);
                match wait(child, plan, asked) {
                    Some(status) => Some(status),
                    None => return,
                }
            }
            Err(error) => {
                tracing::error!(child = plan.name, %error, "could not be started");
                None
            }
        };
        report.send_replace(State::Ended(status));
        if started.elapsed() > CALM {
            pause = FIRST_PAUSE;
        }
        tracing::error!(
            child = plan.name,
            ?status,
            ?pause,
            "ended by itself and is started again"
        );
        match asked.recv_timeout(pause) {
            Err(RecvTimeoutError::Timeout) => pause = (pause * 2).min(LONGEST_PAUSE),
            _ => return,
        }
    }
}

/// Its status once it ended by itself; nothing when it was stopped because somebody asked.
fn wait(
    mut child: std::process::Child,
    plan: &Plan,
    asked: &Receiver<Duration>,
) -> Option<ExitStatus> {
    let within = loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        match asked.recv_timeout(WATCH) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(within) => break within,
            // Nobody is left to wait for it.
            Err(RecvTimeoutError::Disconnected) => break Duration::ZERO,
        }
    };
    terminate(child.id());
    let deadline = Instant::now() + within;
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() > deadline {
            tracing::warn!(child = plan.name, "did not stop in time and is killed");
            let _ = child.kill();
            let _ = child.wait();
            break;
        }
        std::thread::sleep(WATCH);
    }
    None
}

fn spawn(plan: &Plan) -> io::Result<std::process::Child> {
    let log = File::options().create(true).append(true).open(&plan.log)?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg(plan.name)
        .args(&plan.arguments)
        .envs(plan.environment.iter().cloned())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    bind_to_parent(&mut command).spawn()
}

/// The last line of its log: what `main` prints when a command fails.
fn last_words(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    let last = last.unwrap_or("it said nothing");
    last.strip_prefix("tributary: ").unwrap_or(last).to_owned()
}
