//! Finds the source that a write key belongs to.
//!
//! A key that nobody has is refused with 401 before the body is read where it stands in the header, else as soon as
//! the body is parsed.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use tributary_platform::config::{Config, Secret};

use crate::metrics::EventMetrics;
use crate::source::Source;

/// All sources by their write keys.
pub(crate) struct Sources {
    by_key: HashMap<Secret, Arc<Source>>,
    /// By the whole header as nearly every client writes it, so that nothing has to be decoded.
    by_header: HashMap<Vec<u8>, Arc<Source>>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sources")
            .field("keys", &self.by_key.len())
            .finish_non_exhaustive()
    }
}

/// What the header says.
#[derive(Debug)]
pub(crate) enum Header {
    /// No key there: it may be in the body. So it is for a bearer token, which is none of ours.
    Silent,
    /// A key that nobody has.
    Unknown,
    /// The source.
    Known(Arc<Source>),
}

impl Sources {
    pub(crate) fn new(config: &Config, metrics: &EventMetrics) -> Self {
        let (mut by_key, mut by_header) = (HashMap::new(), HashMap::new());
        for source in &config.sources {
            let shared = Arc::new(Source::new(config, source, metrics));
            for key in &source.write_keys {
                let header = format!("Basic {}", STANDARD.encode(format!("{}:", key.expose())));
                by_header.insert(header.into_bytes(), Arc::clone(&shared));
                by_key.insert(key.clone(), Arc::clone(&shared));
            }
        }
        Self { by_key, by_header }
    }

    pub(crate) fn by_key(&self, key: &str) -> Option<&Arc<Source>> {
        // Hashed with a key of this process, so the time taken tells nothing about other keys.
        self.by_key.get(&Secret::new(key))
    }

    pub(crate) fn by_header(&self, headers: &HeaderMap) -> Header {
        let Some(value) = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes) else {
            return Header::Silent;
        };
        if let Some(source) = self.by_header.get(value) {
            return Header::Known(Arc::clone(source));
        }
        match basic_user(value).map(|key| self.by_key(&key)) {
            None => Header::Silent,
            Some(None) => Header::Unknown,
            Some(Some(source)) => Header::Known(Arc::clone(source)),
        }
    }
}

/// The user of Basic authentication, if there is one. The password is ignored, as Segment does.
fn basic_user(value: &[u8]) -> Option<String> {
    let (scheme, credentials) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") {
        return None;
    }
    let mut decoded = STANDARD.decode(credentials.trim_ascii()).ok()?;
    let end = decoded
        .iter()
        .position(|byte| *byte == b':')
        .unwrap_or(decoded.len());
    decoded.truncate(end);
    String::from_utf8(decoded)
        .ok()
        .filter(|user| !user.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_of_basic_authentication_is_the_key() {
        for (header, user) in [
            ("Basic a2V5Og==", Some("key")),
            ("basic a2V5OnBhc3M=", Some("key")),
            ("Basic a2V5", Some("key")),
            ("Basic  a2V5Og== ", Some("key")),
            ("Basic Og==", None),
            ("Basic !", None),
            ("Basic", None),
            ("Bearer a2V5Og==", None),
            ("", None),
        ] {
            assert_eq!(basic_user(header.as_bytes()).as_deref(), user, "{header}");
        }
    }
}
