//! The rules of identity as they are configured, and as they stand on the links log.

use std::collections::BTreeSet;

use tributary_contracts::wire;
use tributary_core::identifier::{BUILT_IN, IdentifierType};
use tributary_core::identity::{NoPattern, Rules, SharedDevices};
use tributary_core::time::Timestamp;
use tributary_platform::config::{self, Source, Workspace};

/// Why rules on the links log cannot be obeyed.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// A newer version of Tributary published them.
    #[error("rules name the identifier type {0}, which this version does not know: upgrade it")]
    UnknownType(String),
    /// Likewise.
    #[error("a blocked pattern of the rules {0}")]
    Pattern(#[from] NoPattern),
    /// Likewise.
    #[error("rules have the number {0} where only a count makes sense")]
    Number(i32),
}

/// The rules that the configuration states for a workspace, and under which version, 0 for the next; types without a
/// limit keep the default one.
#[must_use]
pub fn configured(workspace: &Workspace, sources: &[Source]) -> Rules {
    let identity = &workspace.identity;
    let mut rules = Rules {
        version: identity.version,
        hub_above: identity.hub,
        device_bridges: identity.device_bridges,
        consent_required: identity.consent_required,
        shared_devices: match identity.shared_devices {
            config::SharedDevices::Last => SharedDevices::Nearest,
            config::SharedDevices::Certain => SharedDevices::Certain,
        },
        blocked_values: lower(&identity.blocked_values),
        // What is no pattern was refused when the configuration was read.
        blocked_patterns: identity
            .blocked_patterns
            .iter()
            .filter_map(|pattern| pattern.parse().ok())
            .collect(),
        sources_without_links: sources
            .iter()
            .filter(|source| source.workspace == workspace.name && !source.links)
            .map(|source| source.name.clone())
            .collect(),
        ..Rules::default()
    };
    for (name, limit) in &identity.limits {
        if let Some(r#type) = IdentifierType::named(name) {
            rules.limits[usize::from(r#type.0)] = *limit;
        }
    }
    rules
}

fn lower(values: &[String]) -> BTreeSet<String> {
    values.iter().map(|value| value.to_lowercase()).collect()
}

/// The rules of a record of the links log.
///
/// # Errors
/// When a newer version of Tributary wrote it.
pub fn read(record: &wire::Rules<'_>) -> Result<Rules, Unusable> {
    let count = |number: i32| u32::try_from(number).map_err(|_| Unusable::Number(number));
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let mut rules = Rules {
        version: record.version,
        hub_above: count(record.hub)?,
        device_bridges: record.device_bridges,
        consent_required: record.consent_required,
        shared_devices: match record.shared_devices {
            wire::SharedDevices::Last => SharedDevices::Nearest,
            wire::SharedDevices::Certain => SharedDevices::Certain,
        },
        blocked_values: owned(&record.blocked_values),
        blocked_patterns: record
            .blocked_patterns
            .iter()
            .map(|pattern| pattern.parse())
            .collect::<Result<_, NoPattern>>()?,
        sources_without_links: owned(&record.sources_without_links),
        ..Rules::default()
    };
    for (name, limit) in &record.limits {
        let r#type =
            IdentifierType::named(name).ok_or_else(|| Unusable::UnknownType((*name).to_owned()))?;
        rules.limits[usize::from(r#type.0)] = count(*limit)?;
    }
    Ok(rules)
}

/// Hands `publish` the record that states the rules, under their version.
pub(crate) fn written<R>(
    rules: &Rules,
    workspace: &str,
    published_at: Timestamp,
    publish: impl FnOnce(&wire::Rules<'_>) -> R,
) -> R {
    let number = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    let patterns: Vec<String> = rules
        .blocked_patterns
        .iter()
        .map(ToString::to_string)
        .collect();
    publish(&wire::Rules {
        workspace,
        version: rules.version,
        published_at,
        device_bridges: rules.device_bridges,
        shared_devices: match rules.shared_devices {
            SharedDevices::Nearest => wire::SharedDevices::Last,
            SharedDevices::Certain => wire::SharedDevices::Certain,
        },
        consent_required: rules.consent_required,
        hub: number(rules.hub_above),
        limits: BUILT_IN
            .iter()
            .zip(rules.limits)
            .map(|((name, _), limit)| (*name, number(limit)))
            .collect(),
        blocked_values: rules.blocked_values.iter().map(String::as_str).collect(),
        blocked_patterns: patterns.iter().map(String::as_str).collect(),
        sources_without_links: rules
            .sources_without_links
            .iter()
            .map(String::as_str)
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_come_back_from_the_log_as_they_were_published() {
        let mut rules = Rules {
            version: 3,
            hub_above: 7,
            device_bridges: true,
            consent_required: true,
            shared_devices: SharedDevices::Certain,
            blocked_values: ["guest".to_owned()].into(),
            blocked_patterns: vec!["email:Test@*".parse().expect("a pattern")],
            sources_without_links: ["pixel".to_owned()].into(),
            ..Rules::default()
        };
        rules.limits[3] = 50;
        let back = written(&rules, "shop", Timestamp(0), |record| {
            assert_eq!((record.workspace, record.version), ("shop", 3));
            read(record)
        });
        assert_eq!(back.expect("rules of this version"), rules);
    }

    #[test]
    fn what_a_newer_version_wrote_is_no_rule() {
        let with = |change: fn(&mut wire::Rules<'_>)| {
            written(&Rules::default(), "shop", Timestamp(0), |record| {
                let mut record = record.clone();
                change(&mut record);
                read(&record).expect_err("not usable").to_string()
            })
        };
        assert!(with(|record| _ = record.limits.insert("fax", 1)).contains("type fax"));
        assert!(with(|record| record.blocked_patterns.push("*")).contains("every value"));
        assert!(with(|record| record.hub = -1).contains("-1"));
    }
}
