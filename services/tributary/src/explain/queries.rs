//! What is asked of ClickHouse.
//!
//! Not of the views: these read with FINAL, which merges whole granules of every part. The rows of the tables are asked
//! for, in whatever revision, and the newest of each key is taken. Where a condition is on more than the key, the keys are
//! asked for first, from a table in the order of the condition, and then all revisions of these. A question is one plain
//! SELECT: to plan what is nested takes ClickHouse longer than to read the few rows, and so do keys from a subquery.

use crate::identity::rules::Version;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use tributary_core::identifier::IdentifierType;
use uuid::Uuid;

/// A table that keeps the newest of each key, and what is read of it.
struct Table {
    name: &'static str,
    columns: &'static str,
    key: &'static str,
    version: &'static str,
}

const IDENTITIES: Table = Table {
    name: "identity_states",
    columns: "workspace, identifier_type, identifier_value, own_profile_id, profile_id, span_profile, span_from, span_to, gone, part",
    key: "workspace, identifier_type, identifier_value, part",
    version: "revision",
};

const REFUSALS: Table = Table {
    name: "refusal_states",
    columns: "higher_type, higher_value, lower_type, lower_value, reason, gone",
    key: "higher_type, higher_value, lower_type, lower_value",
    version: "revision",
};

const CONSENTS: Table = Table {
    name: "consent_observations",
    columns: "identifier_type, identifier_value, decided_at, granted",
    key: "identifier_type, identifier_value, partition",
    version: "kafka_offset",
};

const PROFILES: Table = Table {
    name: "profiles",
    columns: "workspace, profile_id, first_seen, last_seen, sessions, touchpoints, orders, revenue, channels, traits, gone",
    key: "workspace, profile_id",
    version: "revision",
};

const SESSIONS: Table = Table {
    name: "sessions",
    columns: "session_id, profile_id, timeline, started_at, ended_at, touchpoints, channel, traffic_source, campaign, gone",
    key: "session_id",
    version: "revision",
};

const ANYWHERE: &str = "({workspace:String} = '' OR workspace = {workspace:String})";
const HERE: &str = "workspace = {workspace:String}";
const NAMED: &str = "identifier_value IN ({value:String}, lowerUTF8({value:String})) AND ({type:String} = '' OR identifier_type = {type:String})";

/// Of each: a hub has thousands, of which a person reads a few.
const MOST: usize = 10_000;

impl Table {
    /// The newest row of each key for which the condition holds, which is on the key alone.
    fn newest(&self, condition: &str) -> String {
        let Self {
            name,
            columns,
            key,
            version,
        } = self;
        format!(
            "SELECT {columns} FROM {name} WHERE {condition} ORDER BY {version} DESC LIMIT 1 BY {key} LIMIT {MOST}"
        )
    }
}

/// The identifiers that are called so.
pub(super) fn named() -> String {
    IDENTITIES.newest(&format!("{ANYWHERE} AND {NAMED}"))
}

/// Identifiers that have to do with such profiles, or had.
fn candidates_of(profiles: &str) -> String {
    format!(
        "SELECT workspace, identifier_type, identifier_value FROM identifiers_by_profile WHERE {ANYWHERE} AND {profiles} LIMIT {MOST}"
    )
}

/// Identifiers that have to do with the profile, or had.
pub(super) fn candidates() -> String {
    candidates_of("profile_id = {id:UUID}")
}

/// The same of two profiles.
pub(super) fn candidates_of_both() -> String {
    candidates_of("profile_id IN ({one:UUID}, {other:UUID})")
}

/// The profile of that id.
pub(super) fn profile() -> String {
    PROFILES.newest(&format!("{ANYWHERE} AND profile_id = {{id:UUID}}"))
}

/// The latest sessions that are or were the profile's. Of one that has thousands, only the latest are looked at.
pub(super) fn latest_sessions() -> String {
    format!(
        "SELECT session_id FROM sessions_by_profile WHERE {HERE} AND profile_id = {{id:UUID}} \
         AND ({{at:String}} = '' OR started_at <= {AT}) ORDER BY started_at DESC, session_id LIMIT 1000"
    )
}

const AT: &str = "parseDateTime64BestEffortOrZero({at:String}, 3, 'UTC')";

/// These sessions, whose ever they are.
pub(super) fn sessions(ids: &[Uuid]) -> String {
    // An empty list would be no SQL.
    let ids = ids.iter().copied().chain([Uuid::nil()]);
    let ids = list(ids.map(|id| format!("'{id}'")));
    SESSIONS.newest(&format!("{HERE} AND session_id IN {ids}"))
}

/// Whether any customer said anything of being stitched.
pub(super) const ANY_CONSENTS: &str = "SELECT count() > 0 AS any FROM consent_observations";

/// Identifiers that a query asks for. They stand in it, because as parameters they would be too long for a URL.
#[derive(Debug)]
pub(super) struct Own {
    names: String,
    values: String,
}

impl Own {
    pub(super) fn of<'a>(names: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        // What customers sent stands there as digits, and a type's name is one.
        let texts = names
            .filter(|(r#type, _)| IdentifierType::of(r#type).is_ok())
            .map(|(r#type, value)| {
                let digits = digits(value);
                (format!("('{type}', {digits})"), digits)
            });
        // An empty list would be no SQL.
        let nobody = ("('', '')".to_owned(), "''".to_owned());
        let (names, values): (BTreeSet<String>, BTreeSet<String>) = texts.chain([nobody]).unzip();
        Self {
            names: list(names),
            values: list(values),
        }
    }

    /// That the columns so named hold one of these. The value alone is compared faster, and goes first.
    fn has(&self, prefix: &str) -> String {
        let Self { names, values } = self;
        format!("{prefix}_value IN {values} AND ({prefix}_type, {prefix}_value) IN {names}")
    }

    /// These identifiers.
    pub(super) fn states(&self) -> String {
        IDENTITIES.newest(&format!("{HERE} AND {}", self.has("identifier")))
    }

    /// Links of which one end, or with `both` each, is one of these, under the rules in force. A link with two such ends
    /// comes twice. What a partition knows of a link only grows, so that its older records change nothing.
    pub(super) fn links(&self, both: bool, rules: Option<&Version>) -> String {
        let nothing = || "''".to_owned();
        let barred = rules.map_or(&[][..], |rules| &rules.sources_without_links);
        let barred = barred.iter().map(|source| digits(source));
        let barred = list(barred.chain([nothing()]));
        let persons = rules.map(Version::person_types).unwrap_or_default();
        let persons = list(persons.into_iter().map(digits).chain([nothing()]));
        let (higher, lower) = (self.has("higher"), self.has("lower"));
        let links = |table, condition: &str| {
            format!(
                "(SELECT higher_type, higher_value, lower_type, lower_value, min(o.first_seen) AS first_seen, \
                 argMin(o.first_message_id, (o.first_seen, o.first_message_id)) AS first_message_id, max(o.last_day) AS last_day, \
                 arraySort(groupUniqArray(source)) AS sources FROM {table} AS o WHERE {HERE} AND {condition} \
                 AND source NOT IN {barred} AND NOT (higher_type = lower_type AND higher_type IN {persons}) \
                 GROUP BY higher_type, higher_value, lower_type, lower_value ORDER BY first_seen LIMIT {MOST})"
            )
        };
        if both {
            links("link_observations", &format!("{higher} AND {lower}"))
        } else {
            let higher = links("link_observations", &higher);
            higher + " UNION ALL " + &links("link_observations_by_lower", &lower)
        }
    }

    /// Refused links of which one end, or with `both` each, is one of these. One with two such ends comes twice.
    pub(super) fn refusals(&self, both: bool) -> String {
        let (higher, lower) = (self.has("higher"), self.has("lower"));
        if both {
            REFUSALS.newest(&format!("{HERE} AND {higher} AND {lower}"))
        } else {
            let [higher, lower] =
                [higher, lower].map(|end| REFUSALS.newest(&format!("{HERE} AND {end}")));
            format!("({higher}) UNION ALL ({lower})")
        }
    }

    /// What each of these identifiers said of being stitched, by partition.
    pub(super) fn consents(&self) -> String {
        CONSENTS.newest(&format!("{HERE} AND {}", self.has("identifier")))
    }
}

/// A text that is no part of a query as it stands.
fn digits(text: &str) -> String {
    let digits = text.bytes().fold(String::new(), |mut digits, byte| {
        // Writing to a string does not fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    });
    format!("unhex('{digits}')")
}

fn list(texts: impl IntoIterator<Item = String>) -> String {
    format!("({})", Vec::from_iter(texts).join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_customers_sent_is_no_part_of_a_query_as_it_stands() {
        let names = [("user_id", "o'hara"), ("no type'", "x"), ("email", "é")];
        let own = Own::of(names.into_iter());
        assert_eq!(
            own.names,
            "(('', ''), ('email', unhex('c3a9')), ('user_id', unhex('6f2768617261')))"
        );
        assert_eq!(own.values, "('', unhex('6f2768617261'), unhex('c3a9'))");
    }
}
