//! The rules of identity as they are configured, and as they stand on the links log.

use std::collections::BTreeSet;

use tributary_contracts::wire;
use tributary_core::identifier::{IdentifierType, NoType};
use tributary_core::identity::{
    NoPattern, NoTypes, Pattern, Rules, SharedDevices, Strangers, TypeRule, Types,
};
use tributary_core::time::Timestamp;
use tributary_platform::config::{self, Source, Workspace};

/// Why rules on the links log cannot be obeyed.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// A newer version of Tributary published them.
    #[error("rules name the identifier type {0}, which {1}")]
    NoType(String, NoType),
    /// Likewise.
    #[error("rules have types of identifiers that contradict each other: {0}")]
    Types(#[from] NoTypes),
    /// Likewise.
    #[error("a blocked pattern of the rules {0}")]
    Pattern(#[from] NoPattern),
    /// Likewise.
    #[error("rules have the number {0} where only a count makes sense")]
    Number(i32),
}

/// The rules that the configuration states for a workspace, and under which version, 0 for the next.
#[must_use]
pub fn configured(workspace: &Workspace, sources: &[Source]) -> Rules {
    let identity = &workspace.identity;
    // What contradicts itself, and what is no pattern, was refused when the configuration was read.
    let types = identity.types().unwrap_or_default();
    Rules {
        version: identity.version,
        hub_above: identity.hub,
        device_bridges: identity.device_bridges,
        consent_required: identity.consent_required,
        shared_devices: match identity.shared_devices {
            config::SharedDevices::Last => SharedDevices::Nearest,
            config::SharedDevices::Certain => SharedDevices::Certain,
        },
        strangers: match identity.strangers {
            config::Strangers::Device => Strangers::Device,
            config::Strangers::Session => Strangers::Session,
        },
        blocked_values: lower(&identity.blocked_values),
        blocked_patterns: identity
            .blocked_patterns
            .iter()
            .filter_map(|pattern| Pattern::parse(pattern, &types).ok())
            .collect(),
        types,
        sources_without_links: sources
            .iter()
            .filter(|source| source.workspace == workspace.name && !source.links)
            .map(|source| source.name.clone())
            .collect(),
        ..Rules::default()
    }
}

fn lower(values: &[String]) -> BTreeSet<String> {
    values.iter().map(|value| value.to_lowercase()).collect()
}

/// The rules of a record of the links log.
///
/// # Errors
/// When a newer version of Tributary wrote it.
pub fn read(record: &wire::Rules<'_>) -> Result<Rules, Unusable> {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let types = types(record)?;
    Ok(Rules {
        version: record.version,
        hub_above: count(record.hub)?,
        device_bridges: record.device_bridges,
        consent_required: record.consent_required,
        shared_devices: match record.shared_devices {
            wire::SharedDevices::Last => SharedDevices::Nearest,
            wire::SharedDevices::Certain => SharedDevices::Certain,
        },
        strangers: match record.strangers {
            wire::Strangers::Device => Strangers::Device,
            wire::Strangers::Session => Strangers::Session,
        },
        blocked_values: owned(&record.blocked_values),
        blocked_patterns: record
            .blocked_patterns
            .iter()
            .map(|pattern| Pattern::parse(pattern, &types))
            .collect::<Result<_, NoPattern>>()?,
        types,
        sources_without_links: owned(&record.sources_without_links),
        ..Rules::default()
    })
}

/// The types that the record states; one of the first version states the built-in ones by their limits.
fn types(record: &wire::Rules<'_>) -> Result<Types, Unusable> {
    let r#type = |name: &str| {
        IdentifierType::of(name).map_err(|error| Unusable::NoType(name.to_owned(), error))
    };
    let mut types = Types::default();
    if record.types.is_empty() {
        for (name, limit) in &record.limits {
            types = types.with_limit(r#type(name)?, count(*limit)?);
        }
        return Ok(types);
    }
    let rules = record.types.iter().map(|rule| {
        Ok(TypeRule {
            r#type: r#type(rule.name)?,
            kind: rule.kind,
            normalisation: rule.normalisation,
            limit: count(rule.limit)?,
            can_be_hub: rule.can_be_hub,
        })
    });
    Ok(Types::new(rules.collect::<Result<_, Unusable>>()?)?)
}

fn count(number: i32) -> Result<u32, Unusable> {
    u32::try_from(number).map_err(|_| Unusable::Number(number))
}

/// Hands `publish` the record that states the rules, under their version.
pub(crate) fn written<R>(
    rules: &Rules,
    workspace: &str,
    published_at: Timestamp,
    publish: impl FnOnce(&wire::Rules<'_>) -> R,
) -> R {
    let types = rules.types.by_priority();
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
        strangers: match rules.strangers {
            Strangers::Device => wire::Strangers::Device,
            Strangers::Session => wire::Strangers::Session,
        },
        consent_required: rules.consent_required,
        hub: number(rules.hub_above),
        limits: types
            .iter()
            .map(|rule| (rule.r#type.name(), number(rule.limit)))
            .collect(),
        blocked_values: rules.blocked_values.iter().map(String::as_str).collect(),
        blocked_patterns: patterns.iter().map(String::as_str).collect(),
        sources_without_links: rules
            .sources_without_links
            .iter()
            .map(String::as_str)
            .collect(),
        types: types
            .iter()
            .map(|rule| wire::IdentifierTypeRule {
                name: rule.r#type.name(),
                kind: rule.kind,
                normalisation: rule.normalisation,
                limit: number(rule.limit),
                can_be_hub: rule.can_be_hub,
            })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tributary_core::identifier::Kind;
    use tributary_core::identity::Normalisation;

    #[test]
    fn rules_come_back_from_the_log_as_they_were_published() {
        let mut rules = Rules {
            version: 3,
            hub_above: 7,
            device_bridges: true,
            consent_required: true,
            shared_devices: SharedDevices::Certain,
            strangers: Strangers::Session,
            blocked_values: ["guest".to_owned()].into(),
            sources_without_links: ["pixel".to_owned()].into(),
            ..Rules::default()
        };
        let mut types = rules.types.by_priority().to_vec();
        types.swap(0, 3);
        types.push(TypeRule {
            r#type: IdentifierType::of("badge").expect("a type"),
            kind: Kind::Device,
            normalisation: Normalisation::Lowercase,
            limit: 50,
            can_be_hub: true,
        });
        rules.types = Types::new(types).expect("each type once");
        for pattern in ["badge:Test@*", "fax:*"] {
            let pattern = Pattern::parse(pattern, &rules.types).expect("a pattern");
            rules.blocked_patterns.push(pattern);
        }
        let back = written(&rules, "shop", Timestamp(0), |record| {
            assert_eq!((record.workspace, record.version), ("shop", 3));
            read(record)
        });
        assert_eq!(back.expect("rules of this version"), rules);
    }

    #[test]
    fn rules_of_the_first_version_state_limits_of_the_built_in_types() {
        let read = written(&Rules::default(), "shop", Timestamp(0), |record| {
            let mut record = record.clone();
            record.types.clear();
            record.limits.insert("email", 50);
            read(&record)
        });
        let types = Types::default().with_limit(IdentifierType::EMAIL, 50);
        assert_eq!(read.expect("rules").types, types);
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
        assert!(with(|record| record.types[0].name = "Fax").contains("type Fax"));
        assert!(with(|record| record.types[0].name = "email").contains("email twice"));
        assert!(with(|record| record.blocked_patterns.push("*")).contains("every value"));
        assert!(with(|record| record.hub = -1).contains("-1"));
    }
}
