//! Links as they were seen, and what is asked for whoever the customer is.

use super::answer::Link;
use super::queries::{self, Own};
use crate::clickhouse::ClickHouse;
use crate::identity::rules::{self, Version};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What each identifier said of being stitched, by type and value.
pub(super) type Consents = BTreeMap<(String, String), bool>;

/// What holds for all customers.
#[derive(Debug)]
pub(super) struct Ground {
    /// The rules that every processor obeys, by workspace.
    rules: BTreeMap<String, Version>,
    /// Whether anybody said anything of being stitched.
    any_consents: bool,
}

impl Ground {
    pub(super) fn ask(clickhouse: &ClickHouse) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Any {
            any: u8,
        }
        let rules = rules::in_force(clickhouse)?;
        let any: Vec<Any> = clickhouse.rows(queries::ANY_CONSENTS, &[])?;
        Ok(Self {
            rules,
            any_consents: any.iter().any(|row| row.any != 0),
        })
    }

    /// None before the first are published.
    pub(super) fn rules(&self, workspace: &str) -> Option<&Version> {
        self.rules.get(workspace)
    }

    /// Links of these identifiers, or with `both` among them, and what their ends said of being stitched.
    pub(super) fn links(
        &self,
        clickhouse: &ClickHouse,
        own: &Own,
        both: bool,
        workspace: &str,
        at: &str,
    ) -> Result<(Vec<Link>, Consents), String> {
        let here = [("workspace", workspace)];
        let mut links: Vec<Link> =
            clickhouse.rows(&own.links(both, self.rules(workspace)), &here)?;
        links.retain(|link| at.is_empty() || *link.first_seen <= *at);
        links.sort_by_cached_key(|link| (link.first_seen.clone(), link.names()));
        links.dedup_by_key(|link| link.names());
        let consents = if self.any_consents {
            consents(clickhouse, workspace, &links)?
        } else {
            Consents::new()
        };
        Ok((links, consents))
    }
}

fn consents(clickhouse: &ClickHouse, workspace: &str, links: &[Link]) -> Result<Consents, String> {
    #[derive(Deserialize)]
    struct Said {
        identifier_type: String,
        identifier_value: String,
        decided_at: String,
        granted: bool,
    }
    let ends = links.iter().flat_map(|link| {
        [
            (&*link.higher_type, &*link.higher_value),
            (&*link.lower_type, &*link.lower_value),
        ]
    });
    let mut said: Vec<Said> =
        clickhouse.rows(&Own::of(ends).consents(), &[("workspace", workspace)])?;
    // The latest counts, and at equal times a refusal.
    said.sort_by(|one, other| {
        (&one.decided_at, !one.granted).cmp(&(&other.decided_at, !other.granted))
    });
    let said = said.into_iter();
    Ok(said
        .map(|said| ((said.identifier_type, said.identifier_value), said.granted))
        .collect())
}
