//! `tributary migrate`: topics and tables, as this binary knows them.

use super::{Needs, beside_a_running_system, multi_threaded};
use crate::exit::Failure;
use std::time::{Duration, Instant};
use tributary_platform::clickhouse::Client;
use tributary_platform::config::{Config, Kafka};
use tributary_platform::kafka::topics;
use tributary_platform::migrate;

/// Of one request; a broker that just started refuses for a moment.
const TIMEOUT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(200);
/// What stands elsewhere may be restarting just now.
const PATIENCE: Duration = Duration::from_secs(60);

/// Creates the topics that are missing and checks the others, waiting for Kafka for a while.
pub(crate) async fn topics(kafka: &Kafka) -> Result<(), Failure> {
    let start = Instant::now();
    loop {
        match topics::ensure(kafka, TIMEOUT).await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_retryable() && start.elapsed() < PATIENCE => {
                tracing::debug!(%error, "topics are not there yet");
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) if error.is_retryable() => return Err(Failure::failed(error)),
            Err(error) => return Err(Failure::usage(error)),
        }
    }
}

/// Runs the migrations that were not run yet, and tells the tables what views ask of the configuration, waiting for ClickHouse
/// for a while.
async fn tables(config: &Config) -> Result<(), Failure> {
    let client = Client::new(&config.clickhouse);
    let start = Instant::now();
    loop {
        match migrated(&client, config.kpi.customer_days).await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_retryable() && start.elapsed() < PATIENCE => {
                tracing::debug!(%error, "tables are not there yet");
                tokio::time::sleep(PAUSE).await;
            }
            Err(error @ (migrate::Error::Newer { .. } | migrate::Error::Changed { .. })) => {
                return Err(Failure::usage(error));
            }
            Err(error) => return Err(Failure::failed(error)),
        }
    }
}

async fn migrated(client: &Client, customer_days: u32) -> Result<(), migrate::Error> {
    migrate::run(client).await?;
    migrate::tell_customer_days(client, customer_days).await
}

/// Both at a time.
pub(crate) async fn topics_and_tables(config: &Config) -> Result<(), Failure> {
    tokio::try_join!(topics(&config.kafka), tables(config)).map(|_| ())
}

/// Brings the cluster, or the running system of the data folder, to what this version expects.
pub(crate) fn run(config: Config) -> Result<(), Failure> {
    let config = beside_a_running_system(config, Needs::KafkaAndClickHouse)?;
    multi_threaded()?.block_on(topics_and_tables(&config))
}
