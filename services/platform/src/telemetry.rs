//! Logs: structured, lowercase, to standard error or a file, never with personal data.

use crate::config::{LogFormat, Telemetry};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Logs cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `telemetry.level` is neither a level nor a list of directives.
    #[error(
        "`telemetry.level`: `{level}` is no level; write error, warn, info, debug or trace, or \"info,module=debug\""
    )]
    Level {
        /// What is configured.
        level: String,
    },
    /// Called twice in one process.
    #[error("logs are set up already")]
    Twice,
}

/// Sends log lines to standard error, in the configured format.
pub fn init(options: &Telemetry) -> Result<(), Error> {
    init_with(options, std::io::stderr, std::io::stderr().is_terminal())
}

/// Sends log lines to `writer`; `terminal` says whether a person reads along.
pub fn init_with<W>(options: &Telemetry, writer: W, terminal: bool) -> Result<(), Error>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&options.level).map_err(|_| Error::Level {
        level: options.level.clone(),
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    let text = match options.format {
        LogFormat::Auto => terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let result = match text {
        true => builder.with_ansi(terminal).try_init(),
        false => builder
            .json()
            .flatten_event(true)
            .with_ansi(false)
            .try_init(),
    };
    result.map_err(|_| Error::Twice)
}
