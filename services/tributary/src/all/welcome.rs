//! What to look at, and three commands to copy.

use std::borrow::Cow;
use std::fmt::Write;
use tributary_platform::config::Config;
use tributary_platform::endpoints::Endpoints;
use tributary_platform::kafka::connect;

/// The text that is printed once everything is ready.
pub(super) fn text(endpoints: &Endpoints, config: &Config) -> String {
    let shown = |value: &Option<String>| value.clone().unwrap_or_default();
    let program = std::env::args()
        .next()
        .unwrap_or_else(|| "tributary".to_owned());
    let (ingest, clickhouse) = (shown(&endpoints.ingest), shown(&endpoints.clickhouse));
    let (metrics, kafka) = (shown(&endpoints.metrics), shown(&endpoints.kafka));
    let key = shown(&endpoints.write_key);
    let (data, database) = (
        config.data.display().to_string(),
        &config.clickhouse.database,
    );
    let explain = format!(
        "{} explain user_id:ada --data {}",
        quoted(&program),
        quoted(&data)
    );
    let mut text = String::from("\nEverything is ready.\n\n");
    for (name, address, more) in [
        ("ingest", &ingest, format!("write key {key}")),
        ("clickhouse", &clickhouse, format!("database {database}")),
        (
            "kafka",
            &kafka,
            format!("topics {}", connect::topic(&config.kafka, "*")),
        ),
        (
            "metrics",
            &metrics,
            "/metrics /health /ready /settled".to_owned(),
        ),
        ("data", &data, "also logs and endpoints.json".to_owned()),
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
  {explain}

Ctrl-C stops everything.
"
    )
    .expect("writing to memory does not fail");
    text
}

/// As one word of a shell's.
fn quoted(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@,".contains(c);
    match text.chars().all(is_plain) {
        true => text.into(),
        false => format!("'{}'", text.replace('\'', "'\\''")).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_a_blank_is_one_word() {
        assert_eq!(quoted("/srv/tributary"), "/srv/tributary");
        assert_eq!(quoted("/my data/it's"), r"'/my data/it'\''s'");
    }
}
