//! The real Apache Kafka server, one node, in a JVM of its own.
//!
//! ```text
//! tributary kafka ── java kafka.Kafka DATA/kafka/server.properties
//!                      └── DATA/kafka/log: formatted on first use, kept between starts
//! ```
//!
//! The jars are no part of the binary: `make setup` fetches them into the user's cache folder and checks them.
//! [`run`] refuses to start with a JVM or with jars that would only fail later and less clearly.

mod format;
mod jars;
mod java;
mod probe;
mod properties;

pub use probe::answers;

use crate::child;
use std::ffi::OsString;
use std::fs::File;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::Command;

/// Time between two questions whether the broker answers.
const PROBE_INTERVAL: Duration = Duration::from_millis(50);

/// What a broker needs to know. It listens on the loopback address only.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where its log, configuration and state are kept.
    pub folder: PathBuf,
    /// The clients' port.
    pub port: u16,
    /// The controller's port.
    pub controller_port: u16,
    /// The folder of the jars; by default the user's cache.
    pub jars: Option<PathBuf>,
    /// How long a clean stop may take before the broker is killed. It recovers its log at the next start.
    pub stop_within: Duration,
}

impl Options {
    /// A broker on these ports that keeps everything in `folder`.
    pub fn new(folder: impl Into<PathBuf>, port: u16, controller_port: u16) -> Self {
        Options {
            folder: folder.into(),
            port,
            controller_port,
            jars: None,
            stop_within: Duration::from_secs(8),
        }
    }
}

/// The broker cannot run. Trying again helps for [`Error::Ended`] only.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No `java` is found.
    #[error(
        "kafka needs Java 17 or later and no `java` is found: run `make setup`, or `apt-get install openjdk-17-jre-headless`"
    )]
    NoJava,
    /// `java` is too old, or does not work.
    #[error("kafka needs Java 17 or later, and {} says: {found}; run `apt-get install openjdk-17-jre-headless`, or set JAVA_HOME to a newer one", java.display())]
    OldJava {
        /// The program.
        java: PathBuf,
        /// Its version, or why it has none.
        found: String,
    },
    /// The jars are not there, or not whole.
    #[error("kafka's jars in {} are not usable ({problem}): run `make setup`", folder.display())]
    Jars {
        /// Where they should be.
        folder: PathBuf,
        /// Which one, and what is wrong.
        problem: String,
    },
    /// Another program has the port.
    #[error(
        "port {port}, wanted by kafka, is in use: stop the program that listens there, or choose another port with `ports.{setting}`, or start with --ports auto"
    )]
    PortInUse {
        /// The port.
        port: u16,
        /// The key of `[ports]`.
        setting: &'static str,
    },
    /// The folder cannot be prepared.
    #[error("cannot {action} in {}: {cause}", folder.display())]
    Folder {
        /// What was tried.
        action: &'static str,
        /// Where.
        folder: PathBuf,
        /// Why it failed.
        cause: io::Error,
    },
    /// Kafka's own tool could not format the folder.
    #[error("kafka could not format {}: {output}", folder.display())]
    Format {
        /// The folder.
        folder: PathBuf,
        /// What the tool said.
        output: String,
    },
    /// The broker ended by itself.
    #[error("kafka ended with {status}; its log, {}, says: {errors}", log.display())]
    Ended {
        /// Exit code or signal.
        status: ExitStatus,
        /// The log file.
        log: PathBuf,
        /// Its last errors.
        errors: String,
    },
}

/// Runs the broker until `stop` is ready, then stops it cleanly. `ready` is called once it answers.
///
/// Must be awaited on a thread that lives as long as the broker should ([`child::bind_to_parent`]): the main
/// thread, or the only thread of a runtime.
pub async fn run(
    options: Options,
    stop: impl Future<Output = ()>,
    ready: impl FnOnce(),
) -> Result<(), Error> {
    let java = java::find().await?;
    let class_path = jars::class_path(options.jars.as_deref())?;
    check_port(options.port, "kafka")?;
    check_port(options.controller_port, "kafka_controller")?;
    let files = Files::prepare(&options)?;
    let mut stop = std::pin::pin!(stop);
    tokio::select! {
        () = &mut stop => return Ok(()),
        formatted = format::format_once(&java, &class_path, &files) => formatted?,
    }
    let mut broker = files
        .command(&java, &class_path)
        .and_then(|mut command| command.arg("kafka.Kafka").arg(&files.properties).spawn())
        .map_err(|cause| files.error("start java", cause))?;
    let pid = broker.id();
    let answering = async {
        while !answers(options.port).await {
            tokio::time::sleep(PROBE_INTERVAL).await;
        }
        ready();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        status = broker.wait() => return Err(files.ended(status.map_err(|cause| files.error("wait for java", cause))?)),
        () = answering => {}
        () = &mut stop => {}
    }
    if let Some(pid) = pid {
        child::terminate(pid);
    }
    if tokio::time::timeout(options.stop_within, broker.wait())
        .await
        .is_err()
    {
        tracing::warn!(budget = ?options.stop_within, "kafka did not stop in time and is killed; it recovers its log at the next start");
        broker
            .kill()
            .await
            .map_err(|cause| files.error("kill java", cause))?;
    }
    Ok(())
}

fn check_port(port: u16, setting: &'static str) -> Result<(), Error> {
    match TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Err(Error::PortInUse { port, setting })
        }
        // Anything else the broker's log will tell.
        _ => Ok(()),
    }
}

/// The files of one broker.
#[derive(Debug)]
struct Files {
    folder: PathBuf,
    properties: PathBuf,
    logging: PathBuf,
    /// Kafka's own log.
    log: PathBuf,
    /// Its size when this broker starts: what follows is of this one.
    log_begins: u64,
    /// What the JVM prints: only when it cannot even start.
    output: PathBuf,
    /// Kafka's data.
    data: PathBuf,
}

impl Files {
    fn prepare(options: &Options) -> Result<Self, Error> {
        let folder = &options.folder;
        let error = |action, cause| Error::Folder {
            action,
            folder: folder.clone(),
            cause,
        };
        std::fs::create_dir_all(folder).map_err(|cause| error("create the folder", cause))?;
        let folder = folder
            .canonicalize()
            .map_err(|cause| error("find the folder", cause))?;
        let files = Files {
            properties: folder.join("server.properties"),
            logging: folder.join("log4j2.properties"),
            log_begins: folder
                .join("kafka.log")
                .metadata()
                .map_or(0, |metadata| metadata.len()),
            log: folder.join("kafka.log"),
            output: folder.join("jvm.log"),
            data: folder.join("log"),
            folder,
        };
        files.write(&files.properties, &properties::server(options, &files.data))?;
        files.write(
            &files.logging,
            include_str!("../runtime/kafka/log4j2.properties"),
        )?;
        Ok(files)
    }

    fn write(&self, path: &Path, text: &str) -> Result<(), Error> {
        std::fs::write(path, text)
            .map_err(|cause| self.error("write the broker's configuration", cause))
    }

    fn error(&self, action: &'static str, cause: io::Error) -> Error {
        Error::Folder {
            action,
            folder: self.folder.clone(),
            cause,
        }
    }

    /// A JVM whose output goes to a file and that ends with us.
    fn command(&self, java: &Path, class_path: &ClassPath) -> io::Result<Command> {
        let output = File::create(&self.output)?;
        let mut command = std::process::Command::new(java);
        command
            // Small batches of short-lived objects on few cores: the serial collector costs the least, and the
            // optimising compiler takes a quarter of a core for minutes from whoever shares the machine (adr/0009).
            .args([
                "-Xmx512m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-XX:+ExitOnOutOfMemoryError",
                "-XX:-UsePerfData",
            ])
            .args(&class_path.options)
            .arg(property("log4j2.configurationFile", &self.logging))
            .arg(property("tributary.log", &self.log))
            .arg("-cp")
            .arg(&class_path.jars)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        child::bind_to_parent(&mut command);
        let mut command = Command::from(command);
        command.kill_on_drop(true);
        Ok(command)
    }

    fn ended(&self, status: ExitStatus) -> Error {
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        let log = read(&self.log);
        let new = usize::try_from(self.log_begins)
            .ok()
            .and_then(|begin| log.get(begin..));
        let logged = lines_with_errors(new.unwrap_or(&log));
        let errors = match logged.is_empty() {
            // Not even the log could be written.
            true if self.is_disk_full() => "no space is left on its disk".to_owned(),
            // Or set up: the JVM itself complains.
            true => read(&self.output).trim().replace('\n', " | "),
            false => logged.join(" | "),
        };
        Error::Ended {
            status,
            log: self.log.clone(),
            errors,
        }
    }

    /// Whether a line or two more cannot be written.
    fn is_disk_full(&self) -> bool {
        let path = self.folder.join("probe");
        let written = std::fs::write(&path, [0; 8192]);
        let _ = std::fs::remove_file(&path);
        written.is_err_and(|error| error.kind() == io::ErrorKind::StorageFull)
    }
}

/// The first few errors, for what follows is their consequence, each with its exception but without the stack trace.
fn lines_with_errors(log: &str) -> Vec<&str> {
    let is_error = |line: &str| line.contains(" ERROR ") || line.contains(" FATAL ");
    let mut in_error = false;
    log.lines()
        .filter(|line| {
            // Of an error's further lines the frames are indented; the exception and its causes are not.
            let dated = line.starts_with(|c: char| c.is_ascii_digit());
            in_error = is_error(line) || (in_error && !dated);
            in_error && !line.starts_with(char::is_whitespace)
        })
        .take(4)
        .collect()
}

/// What a JVM is given to find its classes, quickly.
#[derive(Debug)]
struct ClassPath {
    jars: OsString,
    options: Vec<OsString>,
}

fn property(name: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(format!("-D{name}="));
    argument.push(path);
    argument
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_with_their_exceptions_and_without_frames() {
        let log = "\
2026-11-22T02:25:35 WARN Log: slow
2026-11-22T02:25:35 ERROR BrokerServer: Fatal error during broker startup
org.apache.kafka.common.KafkaException: Failed to acquire lock on file .lock
\tat kafka.log.LogManager.lock(LogManager.scala:273)
Caused by: java.io.IOException: locked
2026-11-22T02:25:36 WARN Log: closing
";
        let errors = lines_with_errors(log);
        assert_eq!(errors.len(), 3, "{errors:?}");
        assert!(
            errors[1].contains("acquire lock") && errors[2].contains("locked"),
            "{errors:?}"
        );
    }
}
