//! The parts of a running system, in the order in which they start, and stop.

use super::children::{Child, Plan};
use super::ports::{self, Listeners, Local};
use super::screen::Screen;
use super::{demo, logs, welcome};
use crate::cli::Common;
use crate::compose::{Part, Services, Surroundings, migrate};
use crate::exit::Failure;
use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tributary_platform::admin_http::Readiness;
use tributary_platform::config::{Config, Secret};
use tributary_platform::endpoints::Endpoints;
use tributary_platform::lifecycle::Lifecycle;
use tributary_platform::metrics::Metrics;
use tributary_platform::settled::Settlement;

/// A stop may take ten seconds: the children get what the services leave of it, which is nearly all.
const STOPS_WITHIN: Duration = Duration::from_millis(9500);
/// At least, when the services took all their time.
const CHILDREN_STOP_WITHIN: Duration = Duration::from_secs(2);
const METRICS_STOP_WITHIN: Duration = Duration::from_millis(500);
/// A cold start of Kafka on a busy machine, twice.
const CHILDREN_START_WITHIN: Duration = Duration::from_secs(90);
const SERVICES_START_WITHIN: Duration = Duration::from_secs(60);
/// Of the demo events: after this they are shown as they are.
const SETTLES_WITHIN: Duration = Duration::from_secs(60);
/// How often something is asked that cannot be awaited.
const POLL: Duration = Duration::from_millis(50);

/// Everything of one `tributary all`.
#[derive(Debug)]
pub(super) struct System {
    config: Config,
    config_file: Option<PathBuf>,
    local: Local,
    listeners: Option<Listeners>,
    children: Vec<Child>,
    lifecycle: Lifecycle,
    surroundings: Surroundings,
}

impl System {
    /// Takes the ports; starts nothing.
    pub(super) fn prepare(mut config: Config, common: &Common) -> Result<Self, Failure> {
        let local = Local {
            kafka: config.kafka.brokers.is_empty(),
            clickhouse: config.clickhouse.url.is_empty(),
        };
        let listeners = ports::take(&mut config, local)?;
        let surroundings = Surroundings {
            metrics: Metrics::default(),
            readiness: Readiness::default(),
        };
        Ok(System {
            config,
            config_file: common.config.clone(),
            local,
            listeners: Some(listeners),
            children: Vec::new(),
            lifecycle: Lifecycle::default(),
            surroundings,
        })
    }

    /// Starts everything and returns when something fails for good.
    pub(super) async fn serve(
        &mut self,
        screen: &Screen,
        write_key: Option<Secret>,
        demo: bool,
    ) -> Result<(), Failure> {
        self.start_children()?;
        let endpoints = self.bring_up(screen, write_key).await?;
        endpoints
            .write(&self.config.data)
            .map_err(|error| Failure::failed(format!("cannot write endpoints.json: {error}")))?;
        tracing::info!("ready");
        let config = &self.config;
        let shown = async {
            if demo {
                feed(config, screen, &endpoints).await?;
                settle(config, screen).await;
            }
            screen.clear();
            println!("{}", welcome::text(&endpoints, config));
            std::future::pending::<Result<(), Failure>>().await
        };
        tokio::select! {
            result = shown => result,
            failure = self.lifecycle.failure() => Err(Failure::failed(failure)),
        }
    }

    /// Not ready first; then intake, processing, storing; then what they stand on. What did not stop is named.
    pub(super) async fn stop(self) -> Vec<String> {
        let start = Instant::now();
        self.surroundings.readiness.stop();
        let mut left = Vec::new();
        if let Err(error) = Endpoints::remove(&self.config.data) {
            left.push(format!("endpoints.json ({error})"));
        }
        left.extend(self.lifecycle.stop().await);
        let within = STOPS_WITHIN
            .saturating_sub(start.elapsed())
            .max(CHILDREN_STOP_WITHIN);
        let children: Vec<_> = self
            .children
            .into_iter()
            .map(|child| tokio::spawn(child.stop(within)))
            .collect();
        for child in children {
            if child.await.is_err() {
                left.push("a child process".to_owned());
            }
        }
        left
    }

    fn start_children(&mut self) -> Result<(), Failure> {
        let mut wanted = Vec::new();
        if self.local.kafka {
            wanted.push("kafka");
        }
        if self.local.clickhouse {
            wanted.push("clickhouse");
        }
        for name in wanted {
            let plan = self.plan(name);
            let child = Child::start(plan)
                .map_err(|error| Failure::failed(format!("cannot start {name}: {error}")))?;
            self.children.push(child);
        }
        Ok(())
    }

    /// Children read the same configuration, but for the ports that were chosen here.
    fn plan(&self, name: &'static str) -> Plan {
        let ports = &self.config.ports;
        let port = |key: &str, port: u16| (format!("TRIBUTARY__PORTS__{key}"), port.to_string());
        let mut arguments = vec!["--data".into(), self.config.data.clone().into_os_string()];
        if let Some(file) = &self.config_file {
            arguments.extend(["--config".into(), file.clone().into_os_string()]);
        }
        Plan {
            name,
            arguments,
            environment: vec![
                port("KAFKA", ports.kafka),
                port("KAFKA_CONTROLLER", ports.kafka_controller),
                port("CLICKHOUSE", ports.clickhouse),
            ],
            log: logs::path(&self.config.data, name),
        }
    }

    async fn bring_up(
        &mut self,
        screen: &Screen,
        write_key: Option<Secret>,
    ) -> Result<Endpoints, Failure> {
        if self.local.kafka {
            self.config.kafka.brokers = format!("127.0.0.1:{}", self.config.ports.kafka);
        }
        if self.local.clickhouse {
            self.config.clickhouse.url =
                format!("http://127.0.0.1:{}", self.config.ports.clickhouse);
        }
        screen.step("starting Kafka and ClickHouse");
        self.within(
            CHILDREN_START_WITHIN,
            migrate::topics_and_tables(&self.config),
        )
        .await?;
        screen.step("starting the services");
        let Listeners { ingest, metrics } = self.listeners.take().expect("taken once, here");
        let url = |listener: &tokio::net::TcpListener| {
            listener
                .local_addr()
                .map(|address| format!("http://{address}"))
        };
        let endpoints = Endpoints {
            ingest: Some(url(&ingest).map_err(Failure::failed)?),
            metrics: Some(url(&metrics).map_err(Failure::failed)?),
            clickhouse: Some(self.config.clickhouse.url.clone()),
            kafka: Some(self.config.kafka.brokers.clone()),
            write_key: write_key.map(|key| key.expose().to_owned()),
            console: None,
        };
        let services = Services::start(
            &Part::ALL,
            &self.config,
            &self.surroundings,
            &mut self.lifecycle,
            Some(ingest),
        )?;
        let scope = self.lifecycle.component("metrics", METRICS_STOP_WITHIN);
        scope.spawn(
            "server",
            services
                .admin(&self.surroundings)
                .serve(metrics, scope.shutdown()),
        );
        for child in &self.children {
            let check = self.surroundings.readiness.check(child.name());
            scope.spawn(child.name(), child.report_to(check, scope.shutdown()));
        }
        let readiness = &self.surroundings.readiness;
        let ready = async {
            while !readiness.is_ready() {
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::select! {
            () = ready => Ok(endpoints),
            failure = self.lifecycle.failure() => Err(Failure::failed(failure)),
            () = tokio::time::sleep(SERVICES_START_WITHIN) => {
                let waiting = readiness.waiting_for().join("; ");
                Err(Failure::failed(format!("not ready after {SERVICES_START_WITHIN:?}: {waiting}")))
            }
        }
    }

    /// What must happen before anything serves: then a child that ends is a failure, not something to restart.
    async fn within(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<(), Failure>>,
    ) -> Result<(), Failure> {
        let mut ended = tokio::task::JoinSet::new();
        for child in &self.children {
            ended.spawn(child.ended());
        }
        let child_ended = async {
            match ended.join_next().await {
                Some(Ok(reason)) => reason,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            result = work => result,
            reason = child_ended => Err(reason),
            () = tokio::time::sleep(limit) => Err(Failure::failed(format!("kafka and clickhouse did not start within {limit:?}"))),
        }
    }
}

/// Waits until the demo events can be looked at; not for ever, for others may send events all the time.
async fn settle(config: &Config, screen: &Screen) {
    screen.step("working through the demo events");
    let settlement = Settlement::new(&config.kafka);
    let settled = async {
        while !settlement.check().await.settled {
            tokio::time::sleep(POLL).await;
        }
    };
    if tokio::time::timeout(SETTLES_WITHIN, settled).await.is_err() {
        tracing::warn!(limit = ?SETTLES_WITHIN, "the demo events are still being worked on");
    }
}

/// Sends the demo events that were not sent before, with a bar.
async fn feed(config: &Config, screen: &Screen, endpoints: &Endpoints) -> Result<(), Failure> {
    let ingest = endpoints.ingest.clone().unwrap_or_default();
    let bar = screen.bar("sending demo events");
    let config = config.clone();
    let shown = bar.clone();
    let fed = tokio::task::spawn_blocking(move || {
        demo::feed(&ingest, &config, |sent, total| {
            shown.set_length(total as u64);
            shown.set_position(sent as u64);
        })
    });
    let result = fed
        .await
        .map_err(|_| Failure::failed("sending demo events panicked"))?;
    bar.finish_and_clear();
    // What was not sent is sent at the next start; what is running is as good without.
    if let Err(reason) = result {
        eprintln!("{reason}");
    }
    Ok(())
}
