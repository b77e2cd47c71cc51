//! `tributary migrate`: topics and tables, as this binary knows them.

use crate::exit::Failure;
use std::time::{Duration, Instant};
use tributary_platform::config::Kafka;
use tributary_platform::kafka::topics;

/// Of one request; a broker that just started refuses for a moment.
const TIMEOUT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(200);
/// Elsewhere Kafka may be restarting just now.
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
