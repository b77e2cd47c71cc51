//! Ingest's batch API, as a client sees it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::time::Duration;

/// Above ingest's own time for an acknowledgement, so that its honest 503 comes first.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What ingest says of one event.
#[derive(Debug, Deserialize)]
pub(crate) struct Verdict {
    /// Its place in the batch, from 0.
    pub(crate) index: usize,
    status: String,
    /// The event's field, in the words of ingest.
    #[serde(default)]
    pub(crate) field: String,
    /// One of few.
    #[serde(default)]
    pub(crate) reason: String,
    /// What is wrong and how to mend it.
    #[serde(default)]
    pub(crate) message: String,
}

/// A batch was not taken.
#[derive(Debug)]
pub(crate) enum Error {
    /// Ingest cannot take it now.
    Later {
        /// When ingest says to come again.
        after: Option<Duration>,
        /// What it said.
        reason: String,
    },
    /// It never will.
    Never(String),
}

#[derive(Deserialize)]
struct Answer {
    events: Vec<Verdict>,
}

/// Sends batches to one source.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    agent: ureq::Agent,
    url: String,
    authorization: String,
}

impl Client {
    pub(crate) fn new(ingest: &str, write_key: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .user_agent(concat!("tributary-import/", env!("CARGO_PKG_VERSION")))
            .build();
        Client {
            agent: config.into(),
            url: format!("{}/v1/batch?verbose=1", ingest.trim_end_matches('/')),
            authorization: format!("Basic {}", STANDARD.encode(format!("{write_key}:"))),
        }
    }

    /// Sends one batch; the events that were refused alone.
    pub(crate) fn send(&self, body: &[u8]) -> Result<Vec<Verdict>, Error> {
        let request = self
            .agent
            .post(&self.url)
            .header("Authorization", &self.authorization)
            .header("Content-Type", "application/json");
        let mut response = request.send(body).map_err(|error| match error {
            ureq::Error::Http(_) | ureq::Error::BadUri(_) | ureq::Error::TlsRequired => {
                Error::Never(error.to_string())
            }
            _ => Error::Later {
                after: None,
                reason: format!("ingest does not answer at {}: {error}", self.url),
            },
        })?;
        let after = response
            .headers()
            .get("Retry-After")
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string();
        match status {
            200 => {
                let text = text.map_err(|error| Error::Later {
                    after,
                    reason: format!("ingest's answer broke off: {error}"),
                })?;
                let answer: Answer = serde_json::from_str(&text)
                    .map_err(|error| Error::Never(format!("ingest's answer is not understood ({error}); is {} Tributary's?", self.url)))?;
                Ok(answer.events.into_iter().filter(|verdict| verdict.status != "accepted").collect())
            }
            408 | 429 | 500..=599 => Err(Error::Later {
                after,
                reason: format!("ingest answers {status}"),
            }),
            401 => Err(Error::Never("ingest does not know the write key; name a source with --source, or a key with --write-key".to_owned())),
            _ => Err(Error::Never(format!("ingest answers {status}: {}", text.unwrap_or_default().trim()))),
        }
    }
}
