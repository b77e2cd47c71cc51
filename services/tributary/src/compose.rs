//! The composition roots: which parts a service is made of. `all` and the tests use the same ones.

pub(crate) mod clickhouse;
mod documents;
mod instance;
pub(crate) mod kafka;
pub(crate) mod keys;
pub(crate) mod migrate;
pub(crate) mod service;
mod services;

pub(crate) use services::{Part, Services, Surroundings};

use crate::exit::Failure;
use tokio::runtime::{Builder, Runtime};
use tributary_platform::config::Config;
use tributary_platform::endpoints::Endpoints;

/// For processes that wait more than they compute. Its only thread is the one that calls `block_on`: the main thread,
/// on which children must be spawned that should end with this process.
pub(crate) fn single_threaded() -> Result<Runtime, Failure> {
    build(&mut Builder::new_current_thread())
}

/// For services.
pub(crate) fn multi_threaded() -> Result<Runtime, Failure> {
    build(&mut Builder::new_multi_thread())
}

fn build(builder: &mut Builder) -> Result<Runtime, Failure> {
    builder
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start the async runtime: {error}")))
}

/// What a service or job must be able to reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    Kafka,
    KafkaAndClickHouse,
}

/// The configuration, completed by what runs on the data folder: where Kafka and ClickHouse are, and which keys exist.
pub(crate) fn beside_a_running_system(mut config: Config, needs: Needs) -> Result<Config, Failure> {
    keys::recall(&mut config)?;
    let clickhouse_missing = needs == Needs::KafkaAndClickHouse && config.clickhouse.url.is_empty();
    if config.kafka.brokers.is_empty() || clickhouse_missing {
        let running = Endpoints::read(&config.data).map_err(|error| {
            Failure::usage(format!(
                "{error}; or set KAFKA_BROKERS and CLICKHOUSE_URL to those of a cluster"
            ))
        })?;
        running.complete(&mut config);
    }
    Ok(config)
}

/// SIGINT or SIGTERM, as a future that does not fail.
pub(crate) async fn stop_signal() {
    if let Err(error) = tributary_platform::lifecycle::signal().await {
        tracing::error!(%error, "signals cannot be received: stopping is only possible with SIGKILL");
        std::future::pending::<()>().await;
    }
}
