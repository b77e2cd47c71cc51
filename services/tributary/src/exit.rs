//! How a command ends: what is said, and with which exit code.

use std::process::ExitCode;
use tributary_platform::{config, listen, telemetry};

/// A command that did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// Tried and failed: exit code 1.
    pub(crate) fn failed(message: impl std::fmt::Display) -> Self {
        Failure {
            code: 1,
            message: message.to_string(),
        }
    }

    /// Wrong usage or configuration: exit code 2.
    pub(crate) fn usage(message: impl std::fmt::Display) -> Self {
        Failure {
            code: 2,
            message: message.to_string(),
        }
    }

    /// Checked and found wrong: exit code 3.
    pub(crate) fn wrong(message: impl std::fmt::Display) -> Self {
        Failure {
            code: 3,
            message: message.to_string(),
        }
    }

    /// Says it on standard error.
    pub(crate) fn report(&self) -> ExitCode {
        eprintln!("tributary: {}", self.message);
        ExitCode::from(self.code)
    }

    /// What went wrong, for tests.
    #[cfg(test)]
    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure::failed(format!("{error:#}"))
    }
}

impl From<config::Error> for Failure {
    fn from(error: config::Error) -> Self {
        Failure::usage(error)
    }
}

impl From<telemetry::Error> for Failure {
    fn from(error: telemetry::Error) -> Self {
        Failure::usage(error)
    }
}

impl From<listen::Error> for Failure {
    fn from(error: listen::Error) -> Self {
        match error {
            listen::Error::InUse { .. } => Failure::usage(error),
            listen::Error::Other { .. } => Failure::failed(error),
        }
    }
}
