//! What is asked of ClickHouse.
//!
//! Not of the views: these read with FINAL, which merges whole granules of every part. The rows of the tables are asked
//! for, in whatever revision, and the newest of each key is taken. Where a condition is on more than the key, the keys come
//! first, from a table in the order of the condition, and then all revisions of these.

use crate::identity::rules::Version;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use tributary_core::identifier::IdentifierType;

/// A table that keeps the newest of each key.
struct Table {
    name: &'static str,
    columns: &'static str,
    key: &'static str,
    version: &'static str,
}

const IDENTITIES: Table = Table {
    name: "identity_states",
    columns: "*",
    key: "workspace, identifier_type, identifier_value",
    version: "revision",
};

const REFUSALS: Table = Table {
    name: "refusal_states",
    columns: "*",
    key: "workspace, higher_type, higher_value, lower_type, lower_value",
    version: "revision",
};

const LINKS: Table = Table {
    name: "link_observations",
    columns: "workspace, higher_type, higher_value, lower_type, lower_value, source, partition, first_seen, first_message_id, last_day, kafka_offset",
    key: "workspace, higher_type, higher_value, lower_type, lower_value, source, partition",
    version: "kafka_offset",
};

const CONSENTS: Table = Table {
    name: "consent_observations",
    columns: "*",
    key: "workspace, identifier_type, identifier_value, partition",
    version: "kafka_offset",
};

const PROFILES: Table = Table {
    name: "profiles",
    columns: "*",
    key: "workspace, profile_id",
    version: "revision",
};

const SESSIONS: Table = Table {
    name: "sessions",
    columns: "*",
    key: "workspace, session_id",
    version: "revision",
};

const ANYWHERE: &str = "({workspace:String} = '' OR workspace = {workspace:String})";
const HERE: &str = "workspace = {workspace:String}";
const NAMED: &str = "identifier_value IN ({value:String}, lowerUTF8({value:String})) AND ({type:String} = '' OR identifier_type = {type:String})";

impl Table {
    /// The newest row of each key for which the condition holds, which is on the key alone.
    fn newest(&self, condition: &str) -> String {
        self.newest_in(&[(self.name, condition)])
    }

    /// The same from tables that have these rows, each in its order and with a condition on that.
    fn newest_in(&self, tables: &[(&str, &str)]) -> String {
        let Self {
            columns,
            key,
            version,
            ..
        } = self;
        let rows: Vec<String> = (tables.iter())
            .map(|(name, condition)| format!("SELECT {columns} FROM {name} WHERE {condition}"))
            .collect();
        let rows = rows.join(" UNION ALL ");
        format!("(SELECT * FROM ({rows}) ORDER BY {version} DESC LIMIT 1 BY {key})")
    }

    /// The newest row of each key that is among these.
    fn newest_of(&self, within: &str, keys: &str) -> String {
        let key = self.key;
        self.newest(&format!("{within} AND ({key}) IN ({keys})"))
    }
}

/// Profiles that held the identifier at the moment.
pub(super) fn owners() -> String {
    let states = IDENTITIES.newest(&format!("{ANYWHERE} AND {NAMED}"));
    format!(
        "SELECT workspace, toString(owner) AS profile_id FROM {states} \
         ARRAY JOIN span_profile AS owner, span_from AS begin, span_to AS end WHERE NOT gone \
         AND ({{at:String}} = '' OR (begin <= {AT} AND end > {AT})) \
         GROUP BY workspace, owner ORDER BY workspace, min(begin), profile_id"
    )
}

const AT: &str = "parseDateTime64BestEffortOrZero({at:String}, 3, 'UTC')";

/// Keys of identifiers that have to do with such profiles, in some revision.
fn identifiers_of(profiles: &str) -> String {
    format!(
        "SELECT workspace, identifier_type, identifier_value FROM identifiers_by_profile WHERE {ANYWHERE} AND {profiles}"
    )
}

/// Profiles that have that id, or of which an identifier would have it alone.
pub(super) fn aliases() -> String {
    let states = IDENTITIES.newest_of(ANYWHERE, &identifiers_of("profile_id = {id:UUID}"));
    let known = PROFILES.newest(&format!("{ANYWHERE} AND profile_id = {{id:UUID}}"));
    format!(
        "SELECT DISTINCT workspace, toString(p.id) AS profile_id FROM \
         (SELECT workspace, profile_id AS id FROM {states} WHERE NOT gone AND {{id:UUID}} IN (profile_id, own_profile_id) \
          UNION ALL SELECT workspace, profile_id AS id FROM {known} WHERE NOT gone) AS p ORDER BY workspace, profile_id"
    )
}

/// The identifier and the profile that holds it.
pub(super) fn holders() -> String {
    let states = IDENTITIES.newest(&format!("{ANYWHERE} AND {NAMED}"));
    format!(
        "SELECT workspace, identifier_type, identifier_value, toString(i.profile_id) AS profile_id FROM {states} AS i \
         WHERE NOT gone ORDER BY ALL LIMIT 20"
    )
}

/// The identifiers that one of two profiles holds.
pub(super) fn held() -> String {
    const THESE: &str = "profile_id IN ({one:UUID}, {other:UUID})";
    let states = IDENTITIES.newest_of(HERE, &identifiers_of(THESE));
    format!("SELECT identifier_type, identifier_value FROM {states} WHERE NOT gone AND {THESE}")
}

/// The identifiers that are the profile's in some span, with it.
pub(super) fn identities() -> String {
    let states = IDENTITIES.newest_of(HERE, &identifiers_of("profile_id = {id:UUID}"));
    format!(
        "SELECT identifier_type, identifier_value, toString(i.begin) AS valid_from, toString(i.end) AS valid_to, \
         toBool(toYear(i.begin) = 1970 AND toYear(i.end) = 2299) AS always FROM \
         (SELECT identifier_type, identifier_value, owner, begin, end FROM {states} \
          ARRAY JOIN span_profile AS owner, span_from AS begin, span_to AS end WHERE NOT gone) AS i WHERE owner = {{id:UUID}} \
         ORDER BY (indexOf(['user_id', 'crm_id', 'loyalty_card', 'email', 'phone', 'social_handle', 'device_id', 'anonymous_id', \
         'advertising_id', 'push_token'], identifier_type) AS place) = 0, place, identifier_type, identifier_value, i.begin LIMIT 1000"
    )
}

pub(super) fn profile() -> String {
    let rows = PROFILES.newest(&format!("{HERE} AND profile_id = {{id:UUID}}"));
    format!(
        "SELECT toString(p.first_seen) AS first_seen, toString(p.last_seen) AS last_seen, sessions, touchpoints, orders, \
         mapApply((currency, amount) -> (currency, toString(amount)), p.revenue) AS revenue, channels, traits \
         FROM {rows} AS p WHERE NOT gone"
    )
}

/// The latest sessions. Of a profile that has thousands, only the latest are looked at.
pub(super) fn sessions() -> String {
    let latest = format!(
        "SELECT workspace, session_id FROM sessions_by_profile WHERE {HERE} AND profile_id = {{id:UUID}} \
         AND ({{at:String}} = '' OR started_at <= {AT}) ORDER BY started_at DESC, session_id LIMIT 1000"
    );
    let rows = SESSIONS.newest_of(HERE, &latest);
    format!(
        "SELECT toString(s.session_id) AS session_id, timeline, toString(s.started_at) AS started_at, toString(s.ended_at) AS ended_at, \
         touchpoints, channel, traffic_source, campaign FROM {rows} AS s WHERE NOT gone AND s.profile_id = {{id:UUID}} \
         AND ({{at:String}} = '' OR s.started_at <= {AT}) ORDER BY s.started_at DESC, session_id LIMIT 20"
    )
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

    /// Rows of which one end, or with `both` each, is one of these; `by_lower` has them by lower end, too.
    fn with_ends(&self, table: &Table, by_lower: &str, both: bool) -> String {
        let Self { names, values } = self;
        let higher = format!("{HERE} AND (higher_type, higher_value) IN {names}");
        let lower = format!("lower_value IN {values} AND (lower_type, lower_value) IN {names}");
        if both {
            table.newest(&format!("{higher} AND {lower}"))
        } else {
            table.newest_in(&[
                (table.name, &higher),
                (by_lower, &format!("{HERE} AND {lower}")),
            ])
        }
    }

    /// Links of these, or with `both` among them, that are links under the rules in force.
    pub(super) fn links(&self, both: bool, rules: Option<&Version>) -> String {
        let nothing = || "''".to_owned();
        let barred = rules.map_or(&[][..], |rules| &rules.sources_without_links);
        let barred = list(
            barred
                .iter()
                .map(|source| digits(source))
                .chain([nothing()]),
        );
        let persons = rules.map(Version::person_types).unwrap_or_default();
        let persons = list(persons.into_iter().map(digits).chain([nothing()]));
        let rows = self.with_ends(&LINKS, "link_observations_by_lower", both);
        let limit = if both { "" } else { "LIMIT 200" };
        format!(
            "SELECT higher_type, higher_value, lower_type, lower_value, toString(first) AS first_seen, message AS first_message_id, \
             toString(day) AS last_day, by AS sources FROM \
             (SELECT higher_type, higher_value, lower_type, lower_value, min(first_seen) AS first, \
              argMin(first_message_id, (first_seen, first_message_id)) AS message, max(last_day) AS day, \
              arraySort(groupUniqArray(source)) AS by FROM {rows} \
              WHERE source NOT IN {barred} AND NOT (higher_type = lower_type AND higher_type IN {persons}) \
              GROUP BY higher_type, higher_value, lower_type, lower_value) \
             WHERE {{at:String}} = '' OR first <= {AT} ORDER BY first, higher_type, higher_value, lower_type, lower_value {limit}"
        )
    }

    /// Refused links of these, or with `both` among them.
    pub(super) fn refusals(&self, both: bool) -> String {
        let rows = self.with_ends(&REFUSALS, REFUSALS.name, both);
        let limit = if both { "" } else { "LIMIT 200" };
        format!(
            "SELECT higher_type, higher_value, lower_type, lower_value, reason FROM {rows} WHERE NOT gone ORDER BY ALL {limit}"
        )
    }

    /// What each of these identifiers said of being stitched.
    pub(super) fn consents(&self) -> String {
        let names = &self.names;
        let rows = CONSENTS.newest(&format!(
            "{HERE} AND (identifier_type, identifier_value) IN {names}"
        ));
        format!(
            "SELECT identifier_type, identifier_value, argMax(granted, (decided_at, NOT granted)) AS given FROM {rows} \
             GROUP BY identifier_type, identifier_value"
        )
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
