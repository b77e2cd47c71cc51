//! What the types alone cannot say: completes derived values and refuses what contradicts itself.

use super::{Config, Identity, Kpi, Secret};
use std::collections::BTreeSet;
use tributary_core::identifier::IdentifierType;
use tributary_core::identity::Pattern;
use tributary_core::kpi::Dimension;

/// Fills in what is derived, then checks. The message names the key and the fix.
pub(super) fn complete(config: &mut Config) -> Result<(), String> {
    if config.workspaces.is_empty() {
        config.workspaces.push(config.workspace.clone());
    }
    for source in &mut config.sources {
        if source.order_namespace.is_empty() {
            source.order_namespace = order_namespace(&source.channel).to_owned();
        }
    }
    take_credentials(config)?;
    check_workspaces(config)?;
    check_sources(config)?;
    check_traits(config)?;
    check_identity("identity", &config.identity)?;
    for workspace in &config.workspaces {
        check_identity("workspaces.identity", &workspace.identity)?;
    }
    check_limits(config)
}

/// Tills number their receipts on their own; shops on line share one numbering.
pub(super) fn order_namespace(channel: &str) -> &'static str {
    match channel {
        "store" => "store",
        _ => "online",
    }
}

/// `http://user:password@host:8123/?database=d` becomes a plain URL and its parts, so that the URL can be printed.
fn take_credentials(config: &mut Config) -> Result<(), String> {
    let clickhouse = &mut config.clickhouse;
    if clickhouse.url.is_empty() {
        return Ok(());
    }
    let wrong =
        || "`clickhouse.url`: write http://host:8123 or https://user:password@host:8443".to_owned();
    let (scheme, rest) = clickhouse.url.split_once("://").ok_or_else(wrong)?;
    if !matches!(scheme, "http" | "https") {
        return Err(wrong());
    }
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (credentials, place) = place.rsplit_once('@').unwrap_or(("", place));
    let place = place.trim_end_matches('/');
    if place.is_empty() {
        return Err(wrong());
    }
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let mut parts = vec![("user", user), ("password", password)];
    parts.extend(query.split('&').filter_map(|pair| pair.split_once('=')));
    let url = format!("{scheme}://{place}");
    for (name, value) in parts.into_iter().filter(|(_, value)| !value.is_empty()) {
        let value = percent_decode(value).ok_or_else(wrong)?;
        match name {
            "user" => clickhouse.user = value,
            "password" => clickhouse.password = Secret::new(value),
            "database" => clickhouse.database = value,
            _ => return Err(wrong()),
        }
    }
    clickhouse.url = url;
    Ok(())
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                let digits = std::str::from_utf8(&digits).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

fn check_workspaces(config: &Config) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for workspace in &config.workspaces {
        let name = &workspace.name;
        check_name("workspaces.name", name)?;
        if !names.insert(name) {
            return Err(format!("`workspaces`: two are called `{name}`; rename one"));
        }
        let currency = &workspace.currency;
        if currency.len() != 3 || !currency.bytes().all(|b| b.is_ascii_uppercase()) {
            return Err(format!(
                "`workspace.currency`: `{currency}` is no ISO 4217 code; write one such as \"EUR\""
            ));
        }
        let region = &workspace.phone_region;
        if !region.is_empty()
            && (region.len() != 2 || !region.bytes().all(|b| b.is_ascii_uppercase()))
        {
            return Err(format!(
                "`workspace.phone_region`: `{region}` is no ISO 3166 code; write one such as \"FR\""
            ));
        }
    }
    Ok(())
}

fn check_sources(config: &Config) -> Result<(), String> {
    let mut names = BTreeSet::new();
    let mut keys = BTreeSet::new();
    for source in &config.sources {
        let name = &source.name;
        check_name("sources.name", name)?;
        if !names.insert((&source.workspace, name)) {
            return Err(format!("`sources`: two are called `{name}`; rename one"));
        }
        let workspace = &source.workspace;
        if !config
            .workspaces
            .iter()
            .any(|known| known.name == *workspace)
        {
            return Err(format!(
                "`sources.workspace`: source `{name}` is in workspace `{workspace}`, which does not exist; add [[workspaces]] name = \"{workspace}\""
            ));
        }
        if source.write_keys.is_empty() {
            return Err(format!(
                "`sources.write_keys`: source `{name}` has none; add write_keys = [\"...\"]"
            ));
        }
        for key in &source.write_keys {
            if key.is_empty() {
                return Err(format!(
                    "`sources.write_keys`: a key of source `{name}` is empty; write one"
                ));
            }
            if !keys.insert(key.expose()) {
                return Err(format!(
                    "`sources.write_keys`: source `{name}` has a key that another one has, too; give each its own"
                ));
            }
        }
    }
    Ok(())
}

/// Names are part of Kafka keys and of file names.
/// A source that nobody configured would be trusted for nothing.
fn check_traits(config: &Config) -> Result<(), String> {
    let traits = &config.traits;
    for (key, sources) in [
        ("traits.priority", &traits.priority),
        ("traits.inferred", &traits.inferred),
    ] {
        let mut sources = sources.iter();
        let is_known = |name: &String| config.sources.iter().any(|source| source.name == *name);
        if let Some(unknown) = sources.find(|name| !is_known(name)) {
            return Err(format!(
                "`{key}`: there is no source `{unknown}`: name one of `sources`"
            ));
        }
    }
    Ok(())
}

fn check_name(key: &str, name: &str) -> Result<(), String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    match !name.is_empty() && name.len() <= 64 && name.chars().all(fine) {
        true => Ok(()),
        false => Err(format!(
            "`{key}`: `{name}` must be 1 to 64 letters, digits, `_`, `-` or `.`"
        )),
    }
}

fn check_identity(section: &str, identity: &Identity) -> Result<(), String> {
    let types = identity
        .types()
        .map_err(|error| format!("`{section}.{error}"))?;
    for rule in types.by_priority() {
        let name = rule.r#type.name();
        if rule.limit == 0 {
            return Err(format!(
                "`{section}.types.{name}.limit`: must be at least 1: a profile holds each of its identifiers"
            ));
        }
        let names_an_account =
            rule.r#type == IdentifierType::USER_ID || rule.r#type == IdentifierType::CRM_ID;
        if names_an_account && rule.can_be_hub {
            return Err(format!(
                "`{section}.types.{name}.can_be_hub`: must be false: an account is one person's"
            ));
        }
    }
    if identity.hub == 0 {
        return Err(format!(
            "`{section}.hub`: must be at least 1: with 0 a single login makes a device a hub"
        ));
    }
    if identity.blocked_values.iter().any(String::is_empty) {
        return Err(format!(
            "`{section}.blocked_values`: has an empty value: leave it out"
        ));
    }
    if identity.version < 0 {
        return Err(format!(
            "`{section}.version`: must be 0 for the next, or the number of the rules"
        ));
    }
    for text in &identity.blocked_patterns {
        Pattern::parse(text, &types)
            .map_err(|error| format!("`{section}.blocked_patterns`: `{text}` {error}"))?;
    }
    Ok(())
}

fn check_limits(config: &Config) -> Result<(), String> {
    let ingest = &config.ingest;
    let positive = [
        ("ingest.max_event_bytes", ingest.max_event_bytes),
        ("ingest.max_batch_events", ingest.max_batch_events),
        ("ingest.max_connections", ingest.max_connections),
        (
            "ingest.max_in_flight_requests",
            ingest.max_in_flight_requests,
        ),
        ("processor.max_batch", config.processor.max_batch),
        ("sink.max_rows", config.sink.max_rows),
        ("sink.max_bytes", config.sink.max_bytes),
    ];
    let names: Vec<&str> = Dimension::OPTIONAL.iter().map(|by| by.name()).collect();
    let mut dimensions = config.kpi.dimensions.iter();
    if let Some(unknown) = dimensions.find(|name| !names.contains(&&***name)) {
        return Err(format!(
            "`kpi.dimensions`: there is no `{unknown}`; there are {}",
            names.join(", ")
        ));
    }
    let attitude = config.kpi.attitude;
    if attitude.low >= attitude.high || attitude.high > 10 {
        return Err("`kpi.attitude`: low must be less than high, and high at most 10".to_owned());
    }
    if config.kpi.max_values == 0 {
        return Err("`kpi.max_values`: must be at least 1".to_owned());
    }
    check_first_values(&config.kpi)?;
    if config.kpi.customer_days == 0 {
        return Err(
            "`kpi.customer_days`: must be at least 1, or an order would make no customer"
                .to_owned(),
        );
    }
    if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
        return Err(format!("`{key}`: must be at least 1"));
    }
    if ingest.max_batch_bytes < ingest.max_event_bytes {
        return Err(
            "`ingest.max_batch_bytes`: must not be less than ingest.max_event_bytes".to_owned(),
        );
    }
    // An insert must stay one block of ClickHouse, or a retry would store part of it twice.
    if config.sink.max_rows > 1_000_000 || config.sink.max_bytes > 200_000_000 {
        return Err(
            "`sink`: max_rows may be at most 1000000 and max_bytes at most 200000000".to_owned(),
        );
    }
    if config.kafka.replication_factor < 1 {
        return Err("`kafka.replication_factor`: must be at least 1".to_owned());
    }
    check_name("kafka.topic_prefix", &config.kafka.topic_prefix)
}

fn check_first_values(kpi: &Kpi) -> Result<(), String> {
    for (name, values) in &kpi.first_values {
        let key = format!("`kpi.first_values.{name}`");
        let names = Dimension::BOUNDED.map(Dimension::name);
        if !names.contains(&&**name) {
            return Err(format!(
                "{key}: of which values are told apart is asked by {} only",
                names.join(", ")
            ));
        }
        if values.len() > kpi.max_values {
            return Err(format!(
                "{key}: names {} values, and `kpi.max_values` is {}: make that more, or name fewer",
                values.len(),
                kpi.max_values
            ));
        }
        let mut values = values.iter();
        if let Some(wrong) =
            values.find(|value| value.is_empty() || *value == "other" || value.contains('\0'))
        {
            return Err(format!(
                "{key}: `{}` cannot be told apart: a value is a text that is not empty, has no NUL, and is not `other`",
                wrong.escape_debug()
            ));
        }
    }
    Ok(())
}
