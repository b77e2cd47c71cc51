//! Finds the source that a write key belongs to.
//!
//! A key that nobody has is refused with 401 before the body is read where it stands in the header, else as soon as
//! the body is parsed.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderMap};
use tributary_platform::config::{Config, Secret};

use crate::metrics::EventMetrics;
use crate::source::Source;

/// All sources by their write keys.
#[derive(Debug)]
pub(crate) struct Sources {
    by_key: HashMap<Secret, Arc<Source>>,
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
        let mut by_key = HashMap::new();
        for source in &config.sources {
            let shared = Arc::new(Source::new(config, source, metrics));
            by_key.extend(
                source
                    .write_keys
                    .iter()
                    .map(|key| (key.clone(), Arc::clone(&shared))),
            );
        }
        Self { by_key }
    }

    pub(crate) fn by_key(&self, key: &str) -> Option<&Arc<Source>> {
        // Hashed with a key of this process, so the time taken tells nothing about other keys.
        self.by_key.get(&Secret::new(key))
    }

    pub(crate) fn by_header(&self, headers: &HeaderMap) -> Header {
        let Some(key) = headers
            .get(AUTHORIZATION)
            .and_then(|value| basic_user(value.as_bytes()))
        else {
            return Header::Silent;
        };
        match self.by_key(&key) {
            Some(source) => Header::Known(Arc::clone(source)),
            None => Header::Unknown,
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
