//! Processes of a system under test, found by what the kernel knows.

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::Path;

/// A process.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its command line.
    pub arguments: Vec<String>,
}

/// All processes that name this folder, or one within, on their command line; that is how the local Kafka, its JVM
/// and the local ClickHouse are told which data is theirs. The test's own process is not among them.
pub fn of_folder(folder: &Path) -> Vec<Process> {
    let folder = folder.to_string_lossy();
    let own = std::process::id().cast_signed();
    let mut found: Vec<Process> = all()
        .filter(|process| {
            process.pid != own
                && process
                    .arguments
                    .iter()
                    .any(|argument| argument.contains(&*folder))
        })
        .collect();
    found.sort_by_key(|process| process.pid);
    found
}

/// Sends a signal to a process that may be gone already.
pub fn send(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        // An error means that it is gone.
        let _ = kill_process(pid, signal);
    }
}

/// Kills with -9.
pub fn kill(pid: i32) {
    send(pid, Signal::KILL);
}

fn all() -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").expect("there is a /proc");
    entries.flatten().filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        // Gone meanwhile, or a zombie, whose command line is empty.
        let line = fs::read(entry.path().join("cmdline"))
            .ok()
            .filter(|line| !line.is_empty())?;
        let arguments = line
            .split(|byte| *byte == 0)
            .map(|part| String::from_utf8_lossy(part).into_owned())
            .collect();
        Some(Process { pid, arguments })
    })
}
