//! ClickHouse's HTTP interface, as far as questions need it.

use crate::exit::Failure;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use std::fmt::Write as _;
use std::time::Duration;
use tributary_platform::config::{self, Config};
use tributary_platform::endpoints::Endpoints;

/// Who waits long for an answer need not wait long for a connection.
const CONNECTED_WITHIN: Duration = Duration::from_secs(10);

/// Asks questions.
#[derive(Debug)]
pub(crate) struct ClickHouse {
    agent: ureq::Agent,
    url: String,
    user: String,
    password: String,
}

impl ClickHouse {
    /// The configured one, else that of the system that runs on the data folder.
    pub(crate) fn find(config: &Config) -> Result<Self, Failure> {
        let mut config = config.clone();
        if config.clickhouse.url.is_empty() {
            Endpoints::read(&config.data)
                .map_err(Failure::failed)?
                .complete(&mut config);
        }
        Ok(Self::new(&config.clickhouse))
    }

    /// For questions of few rows, several at once: each costs more on several threads.
    pub(crate) fn on_one_thread(mut self) -> Self {
        self.url += "&max_threads=1";
        self
    }

    /// For questions over all rows: `clickhouse.timeout` is for those that a person waits for.
    pub(crate) fn patient(mut self) -> Self {
        self.agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECTED_WITHIN))
            .build()
            .into();
        self
    }

    pub(crate) fn new(options: &config::ClickHouse) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(options.timeout))
            .build();
        let database = utf8_percent_encode(&options.database, NON_ALPHANUMERIC);
        ClickHouse {
            agent: agent.into(),
            url: format!(
                "{}/?database={database}&default_format=JSONEachRow&output_format_json_quote_64bit_integers=0&output_format_json_quote_decimals=1",
                options.url
            ),
            user: options.user.clone(),
            password: options.password.expose().to_owned(),
        }
    }

    /// Rows of a query whose parameters stand in it as `{name:Type}`: what a person types is never part of the SQL.
    pub(crate) fn rows<T: DeserializeOwned>(
        &self,
        sql: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Vec<T>, String> {
        let mut url = self.url.clone();
        for (name, value) in parameters {
            let escaped = escape(value);
            let value = utf8_percent_encode(&escaped, NON_ALPHANUMERIC);
            // Writing to a string does not fail.
            let _ = write!(url, "&param_{name}={value}");
        }
        let request = self
            .agent
            .post(&url)
            .header("X-ClickHouse-User", &self.user)
            .header("X-ClickHouse-Key", &self.password);
        // The error's text must not hold the URL, and so the identifier.
        let mut response = request.send(sql).map_err(|error| match error {
            ureq::Error::BadUri(_) => {
                "`clickhouse.url` is no URL such as http://host:8123".to_owned()
            }
            error => format!(
                "ClickHouse does not answer: {error}. Does the system run? `tributary all` starts it; --data DIR or \
                 CLICKHOUSE_URL name another"
            ),
        })?;
        let status = response.status().as_u16();
        let text = response
            .body_mut()
            .with_config()
            .limit(u64::MAX)
            .read_to_string();
        let text = text.map_err(|error| format!("ClickHouse's answer broke off: {error}"))?;
        if status != 200 {
            return Err(format!(
                "ClickHouse answers {status}: {}",
                text.lines().next().unwrap_or_default()
            ));
        }
        let rows = text.lines().map(serde_json::from_str);
        rows.collect::<Result<_, _>>()
            .map_err(|error| format!("ClickHouse's answer is not understood: {error}"))
    }
}

/// A parameter's value is read as in a tab-separated file.
fn escape(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('\t', "\\t")
        .replace('\n', "\\n")
        .replace('\r', "\\r")
}
