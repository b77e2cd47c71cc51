//! One service in a process of its own, as it runs on a cluster.

use super::{Part, Services, Surroundings, beside_a_running_system, multi_threaded, stop_signal};
use crate::exit::Failure;
use std::time::Duration;
use tributary_platform::config::Config;
use tributary_platform::lifecycle::Lifecycle;
use tributary_platform::{listen, telemetry};

/// Probes see "not ready" until the very end.
const METRICS_STOP_WITHIN: Duration = Duration::from_millis(500);

/// Runs until a signal, or until a task of it fails.
pub(crate) fn run(part: Part, config: Config) -> Result<(), Failure> {
    telemetry::init(&config.telemetry)?;
    let config = beside_a_running_system(config, part.needs())?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), configuration = config.summary().join(", "), service = ?part, "starting");
    multi_threaded()?.block_on(async {
        let surroundings = Surroundings::default();
        let mut lifecycle = Lifecycle::default();
        let ports = &config.ports;
        let metrics = listen::bind(
            config.listen,
            ports.metrics,
            "metrics and health",
            "metrics",
        )?;
        let ingest = match part {
            Part::Ingest => Some(listen::bind(
                config.listen,
                ports.ingest,
                "ingest",
                "ingest",
            )?),
            Part::Processor | Part::Sink => None,
        };
        let services = Services::start(&[part], &config, &surroundings, &mut lifecycle, ingest)?;
        let scope = lifecycle.component("metrics", METRICS_STOP_WITHIN);
        scope.spawn(
            "server",
            services
                .admin(&surroundings)
                .serve(metrics, scope.shutdown()),
        );
        let failure = tokio::select! {
            () = stop_signal() => None,
            failure = lifecycle.failure() => Some(failure),
        };
        tracing::info!("stopping");
        surroundings.readiness.stop();
        let left = lifecycle.stop().await;
        match (failure, left.as_slice()) {
            (Some(failure), _) => Err(Failure::failed(failure)),
            (None, []) => Ok(()),
            (None, left) => Err(Failure::failed(format!(
                "did not stop in time: {}",
                left.join(", ")
            ))),
        }
    })
}
