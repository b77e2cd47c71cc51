//! Services as processes of their own, as on a cluster, beside a Kafka and a ClickHouse of their own.

use super::{STARTS_WITHIN, STOPS_WITHIN, Settings, System};
use crate::process;
use crate::wait::until;
use rustix::process::Signal;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What stands beneath the services.
const GROUND: [&str; 2] = ["kafka", "clickhouse"];
/// The services, in the direction of flow.
const SERVICES: [&str; 3] = ["ingest", "processor", "sink"];
/// Further processes of a service, which a test may start beside it: the service's name, a hyphen and a number.
const FURTHER: [&str; 2] = ["processor-2", "processor-3"];

/// The processes, by role; behind a lock, so that one can be killed while others are sent to.
#[derive(Debug, Default)]
pub(super) struct Parts {
    running: Mutex<BTreeMap<&'static str, Child>>,
    ports: BTreeMap<String, u16>,
}

impl Parts {
    fn running(&self) -> MutexGuard<'_, BTreeMap<&'static str, Child>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills all that are left.
    pub(super) fn kill(&self) {
        for child in self.running().values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Free ports, which nobody holds until the processes take them.
    fn choose_ports(&mut self) {
        let names = ["kafka", "kafka_controller", "clickhouse", "ingest"];
        let services = SERVICES.into_iter().chain(FURTHER);
        let metrics = services.map(|service| format!("metrics of {service}"));
        let listeners: Vec<(String, TcpListener)> = names
            .map(str::to_owned)
            .into_iter()
            .chain(metrics)
            .map(|name| {
                let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
                (name, listener)
            })
            .collect();
        let port = |listener: &TcpListener| listener.local_addr().expect("it is bound").port();
        self.ports = listeners
            .iter()
            .map(|(name, listener)| (name.clone(), port(listener)))
            .collect();
    }

    fn address(&self, name: &str) -> String {
        format!("127.0.0.1:{}", self.ports[name])
    }
}

impl System {
    /// Starts Kafka, ClickHouse and each service as a process of its own, and waits until all are ready.
    ///
    /// # Panics
    /// When they do not get ready.
    pub fn start_apart(settings: Settings) -> Self {
        let mut system = Self::prepare(settings);
        system.parts.choose_ports();
        let parts = &system.parts;
        let url = |name: &str| format!("http://{}", parts.address(name));
        system.endpoints = json!({
            "ingest": url("ingest"),
            "metrics": url("metrics of ingest"),
            "clickhouse": url("clickhouse"),
            "kafka": parts.address("kafka"),
        });
        fs::create_dir(system.data().join("logs")).expect("the temporary folder is writable");
        for part in GROUND {
            system.start_part(part);
        }
        system.start_part("migrate");
        let status = until("`tributary migrate`", STARTS_WITHIN, || {
            let mut running = system.parts.running();
            match running
                .get_mut("migrate")
                .expect("started above")
                .try_wait()
            {
                Ok(Some(status)) => Ok(status),
                _ => Err("it runs".to_owned()),
            }
        });
        system.parts.running().remove("migrate");
        if !status.success() {
            system.show_logs();
        }
        assert!(status.success(), "`tributary migrate` ended with {status}");
        for part in SERVICES {
            system.start_part(part);
        }
        for part in SERVICES {
            system.await_part(part);
        }
        system
    }

    /// Starts the process of a role, on a data folder of its own.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start_part(&self, part: &'static str) {
        let log = self.data().join(format!("logs/{part}.log"));
        let output = || {
            let file = File::options().create(true).append(true).open(&log);
            file.expect("the temporary folder is writable")
        };
        let service = part.split('-').next().unwrap_or(part);
        let mut command = self.command_on(&[service], &self.data().join(part));
        // Those of metrics have no names of their own in the configuration.
        let ports = self.parts.ports.iter();
        for (name, port) in ports.filter(|(name, _)| !name.contains(' ')) {
            command.env(
                format!("TRIBUTARY__PORTS__{}", name.to_uppercase()),
                port.to_string(),
            );
        }
        if let Some(port) = self.parts.ports.get(&format!("metrics of {part}")) {
            command.env("TRIBUTARY__PORTS__METRICS", port.to_string());
        }
        if !GROUND.contains(&part) {
            command.env("KAFKA_BROKERS", self.endpoint("kafka"));
            command.env("CLICKHOUSE_URL", self.endpoint("clickhouse"));
        }
        command
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output());
        let child = command.spawn().expect("the binary starts");
        self.parts.running().insert(part, child);
    }

    /// Waits until a service says that it is ready.
    ///
    /// # Panics
    /// When it does not.
    pub fn await_part(&self, part: &str) {
        let url = format!(
            "http://{}/ready",
            self.parts.address(&format!("metrics of {part}"))
        );
        until(
            &format!("{part} to be ready"),
            STARTS_WITHIN,
            || match self.client.get(&url)? {
                answer if answer.status == 200 => Ok(()),
                answer => Err(answer.body),
            },
        );
    }

    /// Kills the process of a role with -9 and starts it again at once.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill_part(&self, part: &'static str) {
        let mut child = self.parts.running().remove(part).expect("it runs");
        child.kill().expect("it is our child");
        child.wait().expect("it is our child");
        self.start_part(part);
    }

    /// Stops the process of a role as an operator does.
    ///
    /// # Panics
    /// When it does not stop by itself, or not well.
    pub fn stop_part(&self, part: &str) {
        let mut child = self.parts.running().remove(part).expect("it runs");
        process::send(child.id().cast_signed(), Signal::TERM);
        let status = until(
            &format!("the end of {part}"),
            STOPS_WITHIN,
            || match child.try_wait() {
                Ok(Some(status)) => Ok(status),
                _ => Err("it runs".to_owned()),
            },
        );
        assert!(status.success(), "{part} ended with {status}");
    }

    /// Stops everything that [`start_apart`](Self::start_apart) started: the services in the direction of flow, then what
    /// they stand on.
    ///
    /// # Panics
    /// When one does not stop by itself, or not well, or leaves a process behind.
    pub fn stop_apart(&self) {
        for part in SERVICES.into_iter().chain(GROUND) {
            self.stop_part(part);
        }
        self.no_process_is_left();
    }
}
