//! What to look at, and three commands to copy.

use std::fmt::Write;
use std::path::Path;
use tributary_platform::endpoints::Endpoints;

/// The text that is printed once everything is ready.
pub(super) fn text(endpoints: &Endpoints, data: &Path, database: &str) -> String {
    let shown = |value: &Option<String>| value.clone().unwrap_or_default();
    let program = std::env::args()
        .next()
        .unwrap_or_else(|| "tributary".to_owned());
    let (ingest, clickhouse) = (shown(&endpoints.ingest), shown(&endpoints.clickhouse));
    let (metrics, kafka) = (shown(&endpoints.metrics), shown(&endpoints.kafka));
    let key = shown(&endpoints.write_key);
    let data = data.display();
    let mut text = String::from("\nEverything is ready.\n\n");
    for (name, address, more) in [
        ("ingest", &ingest, format!("write key {key}")),
        ("clickhouse", &clickhouse, format!("database {database}")),
        ("kafka", &kafka, "topics tributary.*".to_owned()),
        (
            "metrics",
            &metrics,
            "/metrics /health /ready /settled".to_owned(),
        ),
        (
            "data",
            &data.to_string(),
            "also logs and endpoints.json".to_owned(),
        ),
    ] {
        writeln!(text, "  {name:<11} {address:<26} {more}")
            .expect("writing to memory does not fail");
    }
    write!(
        text,
        "
Send an event:
  curl -u {key}: {ingest}/v1/track -H 'Content-Type: application/json' \\
    -d '{{\"event\":\"Signed Up\",\"userId\":\"ada\",\"anonymousId\":\"browser-1\",\"context\":{{\"library\":{{\"name\":\"analytics.js\"}}}}}}'

Count events by channel:
  curl {clickhouse} --data-binary 'SELECT channel, count() FROM {database}.touchpoints GROUP BY channel ORDER BY channel FORMAT PrettyCompact'

Explain a customer:
  {program} explain user_id:ada --data {data}

Ctrl-C stops everything.
"
    )
    .expect("writing to memory does not fail");
    text
}
