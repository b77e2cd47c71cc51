//! The settings document that the browser and mobile SDKs load from their CDN: it sends them back here.

use hyper::header::{self, HeaderMap, HeaderValue};
use serde_json::json;

use super::{Answer, Status};

/// The settings of a write key, with our own address as the client called it.
pub(crate) fn settings(write_key: &str, headers: &HeaderMap) -> Answer {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(first)
    };
    let host = text("x-forwarded-host")
        .or_else(|| text("host"))
        .unwrap_or("localhost");
    let protocol = text("x-forwarded-proto").unwrap_or("http");
    let enabled = json!({ "__default": { "enabled": true, "integrations": {} } });
    let document = json!({
        "integrations": {
            "Segment.io": {
                "apiKey": write_key,
                "apiHost": format!("{host}/v1"),
                "protocol": protocol,
                "unbundledIntegrations": [],
                "addBundledMetadata": false,
                "maybeBundledConfigIds": {},
                "versionSettings": { "version": "4.4.7", "componentTypes": ["browser"] },
            }
        },
        "plan": { "track": enabled, "identify": enabled, "group": enabled },
        "edgeFunction": {},
        "enabledMiddleware": {},
        "middlewareSettings": {},
        "remotePlugins": [],
        "analyticsNextEnabled": true,
        "legacyVideoPluginsEnabled": false,
        "metrics": { "sampleRate": 0 },
    });
    let (status, mut response) = super::json(Status::Ok, document.to_string().into());
    // Short: an address or key that changes must be seen soon.
    response.headers_mut().insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=120"),
    );
    (status, response)
}

/// Of a header that every proxy on the way has added to, what the first one said.
fn first(value: &str) -> &str {
    value.split(',').next().unwrap_or(value).trim()
}
