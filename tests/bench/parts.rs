//! The processes that are measured, each a subcommand of the release binary in a folder that goes with it.
//!
//! One local Kafka and one local ClickHouse serve all measurements; each measurement has topics and a database of its
//! own in them, so none finds another's backlog.

use crate::kafka::Kafka;
use crate::usage;
use anyhow::{Context as _, bail};
use std::collections::BTreeMap;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use tributary_embedded::child::{bind_to_parent, terminate};
use tributary_tests::client::Client;
use tributary_tests::{Settings, System, release_binary};

/// A cold JVM on a busy machine, twice.
const STARTS_WITHIN: Duration = Duration::from_secs(90);
const STOPS_WITHIN: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(20);

/// A process that is stopped when this goes, and killed when the bench is.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a subcommand. Must be called on the main thread: with it the process ends.
    fn start(
        system: &System,
        name: &'static str,
        environment: &[(&str, String)],
    ) -> anyhow::Result<Self> {
        let log = system.data().join(format!("{name}.bench.log"));
        let output = File::options().create(true).append(true).open(&log)?;
        let mut command = system.command(&[name]);
        command.envs(environment.iter().map(|(key, value)| (key, value)));
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let child = bind_to_parent(&mut command)
            .spawn()
            .with_context(|| format!("`tributary {name}` cannot be started"))?;
        Ok(Process { name, child, log })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        usage::cpu(self.pid())
    }

    /// Waits for a condition; an end of the process is an error, in its own words.
    pub(crate) fn until(
        &mut self,
        what: &str,
        within: Duration,
        mut holds: impl FnMut() -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let begin = Instant::now();
        loop {
            if holds()? {
                return Ok(());
            }
            let log = || {
                let text = std::fs::read_to_string(&self.log).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                lines[lines.len().saturating_sub(8)..].join("\n")
            };
            if let Some(status) = self.child.try_wait()? {
                bail!("`tributary {}` ended with {status}:\n{}", self.name, log());
            }
            if begin.elapsed() > within {
                bail!(
                    "`tributary {}` took more than {within:?} for: {what}\n{}",
                    self.name,
                    log()
                );
            }
            std::thread::sleep(POLL);
        }
    }

    /// Stops it as an operator would.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        terminate(self.pid());
        let begin = Instant::now();
        while self.child.try_wait()?.is_none() {
            if begin.elapsed() > STOPS_WITHIN {
                bail!(
                    "`tributary {}` did not stop within {STOPS_WITHIN:?}",
                    self.name
                );
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail when it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The local Kafka and ClickHouse.
pub(crate) struct Base {
    pub(crate) kafka: Kafka,
    pub(crate) clickhouse_url: String,
    pub(crate) client: Client,
    pub(crate) engine: Process,
    /// Dropped before the folder is.
    broker: Process,
    system: System,
}

impl Base {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let system = System::prepare(Settings::new(path(&release_binary()?)?, 0, ""));
        let [kafka, controller, clickhouse] = free_ports()?;
        let ports = [
            ("TRIBUTARY__PORTS__KAFKA", kafka.to_string()),
            ("TRIBUTARY__PORTS__KAFKA_CONTROLLER", controller.to_string()),
            ("TRIBUTARY__PORTS__CLICKHOUSE", clickhouse.to_string()),
        ];
        let broker = Process::start(&system, "kafka", &ports)?;
        let engine = Process::start(&system, "clickhouse", &ports)?;
        let mut base = Base {
            kafka: Kafka {
                brokers: format!("127.0.0.1:{kafka}"),
            },
            clickhouse_url: format!("http://127.0.0.1:{clickhouse}"),
            client: Client::default(),
            engine,
            broker,
            system,
        };
        let (kafka, client, ping) = (
            base.kafka.clone(),
            base.client.clone(),
            format!("{}/ping", base.clickhouse_url),
        );
        base.broker
            .until("its first answer", STARTS_WITHIN, || Ok(kafka.answers()))?;
        base.engine.until("its first answer", STARTS_WITHIN, || {
            Ok(client.get(&ping).is_ok())
        })?;
        Ok(base)
    }

    /// The JVM, which does the broker's work.
    pub(crate) fn broker_pid(&self) -> u32 {
        let data = self.system.data();
        let processes = tributary_tests::process::of_folder(&data);
        let jvm = processes.iter().find(|process| {
            process
                .arguments
                .first()
                .is_some_and(|program| program.ends_with("java"))
        });
        jvm.map_or(self.broker.pid(), |process| process.pid.cast_unsigned())
    }

    pub(crate) fn broker_cpu(&self) -> anyhow::Result<Duration> {
        usage::cpu(self.broker_pid())
    }

    /// Runs a statement and returns its answer.
    pub(crate) fn sql(&self, statement: &str) -> anyhow::Result<String> {
        let answer = self
            .client
            .post(&self.clickhouse_url, &[], statement.as_bytes());
        let answer = answer.map_err(anyhow::Error::msg)?;
        match answer.status {
            200 => Ok(answer.body),
            status => bail!(
                "ClickHouse answers {status} to {statement}: {}",
                answer.body
            ),
        }
    }

    /// What makes a system use these, under topics and a database of this name.
    pub(crate) fn settings(&self, name: &str) -> anyhow::Result<Settings> {
        let lines = format!(
            "[kafka]\nbrokers = \"{}\"\ntopic_prefix = \"{name}\"\n[clickhouse]\nurl = \"{}\"\ndatabase = \"{name}\"",
            self.kafka.brokers, self.clickhouse_url
        );
        Ok(Settings::new(path(&release_binary()?)?, 2, &lines))
    }

    /// Topics and tables of this name, and a folder for services that use them.
    pub(crate) fn scene(&self, name: &'static str) -> anyhow::Result<Scene> {
        let system = System::prepare(self.settings(name)?);
        let output = system.job(&["migrate"]);
        if !output.status.success() {
            bail!(
                "`tributary migrate` ended with {}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(Scene { name, system })
    }

    pub(crate) fn stop(self) -> anyhow::Result<()> {
        self.engine.stop()?;
        self.broker.stop()
    }
}

/// Topics, tables and a folder of a measurement.
pub(crate) struct Scene {
    name: &'static str,
    system: System,
}

impl Scene {
    /// A topic's name with its prefix.
    pub(crate) fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.name)
    }

    /// A consumer group's name with its prefix.
    pub(crate) fn group(&self, name: &str) -> String {
        format!("{}-{name}", self.name)
    }

    /// A service, without waiting for it.
    pub(crate) fn start(&self, name: &'static str) -> anyhow::Result<Service> {
        let [service, metrics] = free_ports()?;
        let ports = [
            ("TRIBUTARY__PORTS__INGEST", service.to_string()),
            ("TRIBUTARY__PORTS__METRICS", metrics.to_string()),
        ];
        let process = Process::start(&self.system, name, &ports)?;
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Ok(Service {
            process,
            address: loopback(service),
            metrics: format!("http://{}", loopback(metrics)),
            client: Client::default(),
        })
    }
}

/// A service of a [`Scene`].
pub(crate) struct Service {
    pub(crate) process: Process,
    /// Of ingest.
    pub(crate) address: SocketAddr,
    metrics: String,
    client: Client,
}

impl Service {
    pub(crate) fn until_ready(&mut self) -> anyhow::Result<()> {
        let (client, url) = (self.client.clone(), format!("{}/ready", self.metrics));
        self.process.until("being ready", STARTS_WITHIN, || {
            Ok(client.get(&url).is_ok_and(|answer| answer.status == 200))
        })
    }

    /// What the processor has committed, in records by topic.
    pub(crate) fn records_out(&self) -> anyhow::Result<BTreeMap<String, f64>> {
        let answer = self.client.get(&format!("{}/metrics", self.metrics));
        let answer = answer.map_err(anyhow::Error::msg)?;
        let mut records = BTreeMap::new();
        for line in answer.body.lines() {
            if let Some(rest) = line.strip_prefix("tributary_processor_records_out_total{")
                && let Some((labels, count)) = rest.split_once("} ")
                && let Some((_, topic)) = labels.split_once("topic=\"")
            {
                let topic = topic.trim_end_matches('"').to_owned();
                *records.entry(topic).or_default() += count.parse::<f64>()?;
            }
        }
        Ok(records)
    }

    /// The names of the stages that have read and committed everything, in the direction of flow up to the first that
    /// has not.
    pub(crate) fn settled_stages(&self) -> Vec<String> {
        let Ok(answer) = self.client.get(&format!("{}/settled", self.metrics)) else {
            return Vec::new();
        };
        let Ok(answer) = serde_json::from_str::<serde_json::Value>(&answer.body) else {
            return Vec::new();
        };
        let stages = answer["detail"]["stages"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let settled = stages.iter().filter(|stage| stage["settled"] == true);
        settled
            .filter_map(|stage| Some(stage["stage"].as_str()?.to_owned()))
            .collect()
    }
}

fn path(binary: &Path) -> anyhow::Result<&str> {
    binary
        .to_str()
        .context("the target folder's path is no text")
}

/// Ports that were free a moment ago.
fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    // All held at a time, so that they differ.
    let listeners: Vec<TcpListener> = (0..N)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<Result<_, _>>()?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}
