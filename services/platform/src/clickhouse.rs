//! Adapter for ClickHouse: statements, small answers, and inserts of exact bytes under a deduplication token.
//!
//! Whether a failed call helps when repeated is told by the engine's error code ([`Error::class`]); texts of the engine
//! hold literals and rows, so they stay in [`Error::detail`] and out of what is logged.

mod error;
mod insert;

pub use error::{Class, Error};
pub use insert::{Block, Deduplicate};

use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::config;

/// A handle; clones share its connections.
#[derive(Clone)]
pub struct Client {
    inner: clickhouse::Client,
    database: String,
    timeout: Duration,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Client")
            .field("database", &self.database)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Connects when first used.
    #[must_use]
    pub fn new(options: &config::ClickHouse) -> Self {
        let compression = if is_local(&options.url) {
            clickhouse::Compression::None
        } else {
            clickhouse::Compression::Lz4
        };
        // No database: the first statement creates it, and every other names it.
        let inner = clickhouse::Client::default()
            .with_url(&options.url)
            .with_user(&options.user)
            .with_password(options.password.expose())
            .with_compression(compression);
        Self {
            inner,
            database: options.database.clone(),
            timeout: options.timeout,
        }
    }

    /// The database of all our tables.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The longest a call may take.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Asks for a sign of life.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn ping(&self) -> Result<(), Error> {
        self.text("SELECT 1", "TSV").await.map(|_| ())
    }

    /// Runs a statement without an answer.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn execute(&self, statement: &str) -> Result<(), Error> {
        self.within(self.inner.query_raw(statement).execute()).await
    }

    /// Runs a SELECT (without FORMAT) and reads its rows by the names of its columns.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn rows<T: DeserializeOwned>(&self, select: &str) -> Result<Vec<T>, Error> {
        let text = self.text(select, "JSONEachRow").await?;
        let rows = text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        rows.map(|line| {
            serde_json::from_slice(line).map_err(|error| Error::Answer {
                cause: error.to_string(),
            })
        })
        .collect()
    }

    /// Runs a SELECT (without FORMAT) and returns its answer in a format of the engine. For answers that fit in memory.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn text(&self, select: &str, format: &str) -> Result<Bytes, Error> {
        let answer = async {
            let query = self
                .inner
                .query_raw(select)
                .with_setting("output_format_json_quote_64bit_integers", "0");
            query.fetch_bytes(format)?.collect().await
        };
        self.within(answer).await
    }

    async fn within<T>(
        &self,
        call: impl Future<Output = clickhouse::error::Result<T>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(result) => result.map_err(Error::from),
            Err(_) => Err(Error::TimedOut {
                after: self.timeout,
            }),
        }
    }
}

/// Compression costs more than it saves where nothing travels.
fn is_local(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    ["127.", "localhost", "[::1]"]
        .iter()
        .any(|host| rest.starts_with(host))
}

/// `name` in back quotes, as an identifier in SQL.
#[must_use]
pub fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stays_on_the_machine_is_sent_uncompressed() {
        for (url, local) in [
            ("http://127.0.0.1:8123", true),
            ("http://localhost:8123", true),
            ("http://[::1]:8123", true),
            ("http://clickhouse:8123", false),
            ("https://example.org/localhost", false),
        ] {
            assert_eq!(is_local(url), local, "{url}");
        }
    }

    #[test]
    fn names_are_quoted_so_that_they_stay_names() {
        assert_eq!(quoted("a`b\\c"), "`a\\`b\\\\c`");
    }
}
