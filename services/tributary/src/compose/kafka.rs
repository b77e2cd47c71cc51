//! `tributary kafka`: the local broker, in a JVM that ends with this process.

use super::{single_threaded, stop_signal};
use crate::exit::Failure;
use tributary_embedded::kafka::{Error, Options, run as run_broker};
use tributary_platform::config::Config;

/// Runs until a signal. Must be called on the main thread, which spawns the JVM.
pub(crate) fn run(config: &Config) -> Result<(), Failure> {
    let options = Options::new(
        config.data.join("kafka"),
        config.ports.kafka,
        config.ports.kafka_controller,
    );
    let address = format!("127.0.0.1:{}", options.port);
    let ready = || tracing::info!(address, "kafka is ready");
    single_threaded()?
        .block_on(run_broker(options, stop_signal(), ready))
        .map_err(|error| match error {
            Error::NoJava
            | Error::OldJava { .. }
            | Error::Jars { .. }
            | Error::PortInUse { .. } => Failure::usage(error),
            Error::Folder { .. } | Error::Format { .. } | Error::Ended { .. } => {
                Failure::failed(error)
            }
        })
}
