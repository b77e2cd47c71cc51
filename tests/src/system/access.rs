//! Asking a system: its jobs, its database, its ports.

use super::System;
use crate::client::Answer;
use crate::wait::until;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const SETTLES_WITHIN: Duration = Duration::from_secs(240);

impl System {
    /// A part of `endpoints.json`.
    ///
    /// # Panics
    /// When there is none.
    pub fn endpoint(&self, name: &str) -> &str {
        self.endpoints[name]
            .as_str()
            .unwrap_or_else(|| panic!("endpoints.json has no {name}: {}", self.endpoints))
    }

    /// A job of the binary on this system's folder, whatever else is in the environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_on(arguments, &self.data())
    }

    /// The same on another data folder.
    pub(super) fn command_on(&self, arguments: &[&str], data: &Path) -> Command {
        let mut command = Command::new(&self.settings.binary);
        let foreign = std::env::vars().map(|(name, _)| name);
        for name in foreign.filter(|name| {
            name.starts_with("TRIBUTARY__") || name == "KAFKA_BROKERS" || name == "CLICKHOUSE_URL"
        }) {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .arg("--data")
            .arg(data)
            .arg("--config")
            .arg(self.config())
            .current_dir(self.folder.path());
        command
    }

    /// Runs a job to its end.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn job(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        // Services that run apart have no `all` that says where they are.
        if let (false, Some(url)) = (
            self.data().join("endpoints.json").exists(),
            self.endpoints["clickhouse"].as_str(),
        ) {
            command.env("CLICKHOUSE_URL", url);
        }
        command
            .stdin(Stdio::null())
            .output()
            .expect("the binary starts")
    }

    /// Rows of a query. Parameters stand in it as `{name:Type}`.
    ///
    /// # Panics
    /// When ClickHouse does not answer with rows.
    pub fn query(&self, sql: &str, parameters: &[(&str, &str)]) -> Vec<Value> {
        self.try_query(sql, parameters)
            .unwrap_or_else(|error| panic!("{error} in {sql}"))
    }

    /// Rows of a query.
    ///
    /// # Errors
    /// When ClickHouse does not answer with rows.
    pub fn try_query(&self, sql: &str, parameters: &[(&str, &str)]) -> Result<Vec<Value>, String> {
        let mut url = format!(
            "{}/?database=tributary&default_format=JSONEachRow&output_format_json_quote_64bit_integers=0&output_format_json_quote_decimals=1&output_format_json_named_tuples_as_objects=0",
            self.endpoint("clickhouse")
        );
        for (name, value) in parameters {
            url += &format!(
                "&param_{name}={}",
                percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC)
            );
        }
        let answer = self.client.post(&url, &[], sql.as_bytes())?;
        if answer.status != 200 {
            return Err(format!(
                "ClickHouse answers {}: {}",
                answer.status, answer.body
            ));
        }
        answer
            .body
            .lines()
            .map(|line| serde_json::from_str(line).map_err(|error| format!("{error}: {line}")))
            .collect()
    }

    /// Sends a request to ingest with a write key.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn ingest(&self, path: &str, write_key: &str, body: &[u8]) -> Result<Answer, String> {
        let authorization = basic(write_key);
        let headers = [
            ("Authorization", authorization.as_str()),
            ("Content-Type", "application/json"),
        ];
        self.client.post(
            &format!("{}{path}", self.endpoint("ingest")),
            &headers,
            body,
        )
    }

    /// Waits until everything that was acknowledged so far is in ClickHouse.
    ///
    /// # Panics
    /// When it does not get there.
    pub fn settled(&self) {
        let url = format!("{}/settled", self.endpoint("metrics"));
        until("/settled", SETTLES_WITHIN, || {
            match self.client.get(&url)? {
                Answer { status: 200, .. } => Ok(()),
                Answer { status, body, .. } => Err(format!("it answers {status}: {body}")),
            }
        });
    }

    /// The metrics, as Prometheus reads them.
    ///
    /// # Panics
    /// When there is no answer.
    pub fn metrics(&self) -> String {
        self.client
            .get(&format!("{}/metrics", self.endpoint("metrics")))
            .expect("the metrics port answers")
            .body
    }
}

/// The header of Basic authentication with a write key.
pub fn basic(write_key: &str) -> String {
    use base64::Engine;
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(format!("{write_key}:"))
    )
}
