//! Everything that the views know of an identifier's customers.

use super::brought;
use super::standing::{self, Said};
use super::subject::Subject;
use crate::clickhouse::ClickHouse;
use crate::identity::log::{self, Entry};
use crate::identity::rules;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use tributary_core::identifier::IdentifierType;

/// Customers that an identifier was or is; a shared device has several.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    /// Each with what it is made of, in the order of time.
    pub(super) profiles: Vec<Explained>,
    /// Further ones that are not shown.
    pub(super) more_profiles: usize,
}

/// A customer.
#[derive(Debug, Serialize)]
pub(super) struct Explained {
    pub(super) workspace: String,
    pub(super) profile_id: String,
    /// Version of the rules under which all this was decided; none before the first are published.
    pub(super) rules_version: Option<i64>,
    /// None for one that nothing was counted for yet.
    pub(super) profile: Option<Profile>,
    pub(super) identifiers: Vec<Identity>,
    pub(super) links: Vec<Link>,
    pub(super) refusals: Vec<Refusal>,
    /// What operators said of these identifiers.
    pub(super) entries: Vec<Entry>,
    /// The latest, newest first.
    pub(super) sessions: Vec<Session>,
}

#[derive(Debug, Deserialize)]
struct Owner {
    workspace: String,
    profile_id: String,
}

/// A row of `profiles_current`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Profile {
    pub(super) first_seen: Option<String>,
    pub(super) last_seen: Option<String>,
    pub(super) sessions: i64,
    pub(super) touchpoints: i64,
    pub(super) orders: i64,
    pub(super) revenue: BTreeMap<String, String>,
    pub(super) channels: Vec<String>,
    pub(super) traits: Box<RawValue>,
}

/// A row of `identities`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) identifier_type: String,
    pub(super) identifier_value: String,
    pub(super) valid_from: String,
    pub(super) valid_to: String,
    /// The span reaches over all time.
    pub(super) always: bool,
    /// The link that brought it to the customer; none for the one that the customer is named after.
    #[serde(default)]
    pub(super) brought_by: Option<BroughtBy>,
}

/// How an identifier came to its customer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct BroughtBy {
    /// The identifier at the other end, as type:value.
    pub(super) linked_to: String,
    /// Message id of the first event with both; empty for a pin that was never seen.
    pub(super) message_id: String,
    pub(super) sources: Vec<String>,
    /// Event time of that event.
    pub(super) first_seen: String,
}

/// A row of `links`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Link {
    pub(super) higher_type: String,
    pub(super) higher_value: String,
    pub(super) lower_type: String,
    pub(super) lower_value: String,
    pub(super) first_seen: String,
    pub(super) first_message_id: String,
    pub(super) last_day: String,
    pub(super) sources: Vec<String>,
    /// `joins`, or why it does not; and by which entry, where an operator said so.
    #[serde(default)]
    pub(super) standing: String,
    /// It makes its ends one customer.
    #[serde(skip)]
    pub(super) joins: bool,
}

/// A row of `identity_refusals`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Refusal {
    pub(super) higher_type: String,
    pub(super) higher_value: String,
    pub(super) lower_type: String,
    pub(super) lower_value: String,
    pub(super) reason: String,
}

/// A row of `sessions_current`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) session_id: String,
    pub(super) timeline: String,
    pub(super) started_at: String,
    pub(super) ended_at: String,
    pub(super) touchpoints: i64,
    pub(super) channel: String,
    pub(super) traffic_source: String,
    pub(super) campaign: String,
}

/// A kiosk was thousands of people.
const MAX_PROFILES: usize = 10;

const OWNERS: &str = "SELECT workspace, toString(profile_id) AS profile_id FROM identities \
    WHERE identifier_value IN ({value:String}, lowerUTF8({value:String})) AND ({type:String} = '' OR identifier_type = {type:String}) \
    AND ({workspace:String} = '' OR workspace = {workspace:String}) \
    AND ({at:String} = '' OR (valid_from <= parseDateTime64BestEffortOrZero({at:String}, 3, 'UTC') \
    AND valid_to > parseDateTime64BestEffortOrZero({at:String}, 3, 'UTC'))) \
    GROUP BY workspace, profile_id ORDER BY workspace, min(valid_from), profile_id";

const BY_BOTS: &str = "SELECT count() AS events FROM touchpoints WHERE bot AND ({workspace:String} = '' OR workspace = {workspace:String}) \
    AND arrayExists(i -> i.2 IN ({value:String}, lowerUTF8({value:String})) AND ({type:String} = '' OR i.1 = {type:String}), identifiers)";

// Views would be read whole: each side of an OR, and of a link, is asked of its own, so that an index can tell where it is.

const ALIASES: &str = "SELECT DISTINCT workspace, toString(p.id) AS profile_id FROM \
    (SELECT workspace, profile_id AS id FROM identity_states FINAL WHERE own_profile_id = {id:UUID} \
     UNION ALL SELECT workspace, profile_id AS id FROM identity_states FINAL WHERE profile_id = {id:UUID} \
     UNION ALL SELECT workspace, profile_id AS id FROM profiles_current WHERE profile_id = {id:UUID}) AS p \
    WHERE {workspace:String} = '' OR workspace = {workspace:String} ORDER BY workspace, profile_id";

const PROFILE: &str = "SELECT toString(p.first_seen) AS first_seen, toString(p.last_seen) AS last_seen, sessions, touchpoints, orders, \
    mapApply((currency, amount) -> (currency, toString(amount)), p.revenue) AS revenue, channels, traits \
    FROM profiles_current AS p WHERE workspace = {workspace:String} AND profile_id = {id:UUID}";

const IDENTITIES: &str = "SELECT identifier_type, identifier_value, toString(i.begin) AS valid_from, toString(i.end) AS valid_to, \
    toBool(toYear(i.begin) = 1970 AND toYear(i.end) = 2299) AS always FROM \
    (SELECT identifier_type, identifier_value, owner, begin, end FROM \
     (SELECT * FROM identity_states FINAL WHERE workspace = {workspace:String} AND has(span_profile, {id:UUID})) \
     ARRAY JOIN span_profile AS owner, span_from AS begin, span_to AS end) AS i WHERE owner = {id:UUID} \
    ORDER BY (indexOf(['user_id', 'crm_id', 'loyalty_card', 'email', 'phone', 'social_handle', 'device_id', 'anonymous_id', \
    'advertising_id', 'push_token'], identifier_type) AS place) = 0, place, identifier_type, identifier_value, i.begin LIMIT 1000";

/// Columns of a [`Link`], of `links AS l`.
const LINK_COLUMNS: &str = "higher_type, higher_value, lower_type, lower_value, toString(l.first_seen) AS first_seen, \
    first_message_id, toString(l.last_day) AS last_day, sources";

const LINKS: &str = "SELECT * FROM \
    (SELECT LINK_COLUMNS FROM links AS l WHERE workspace = {workspace:String} AND (higher_type, higher_value) IN OWN \
     AND ({at:String} = '' OR l.first_seen <= parseDateTime64BestEffortOrZero({at:String}, 3, 'UTC')) \
     UNION DISTINCT SELECT LINK_COLUMNS FROM links AS l WHERE workspace = {workspace:String} \
     AND lower_value IN VALUES AND (lower_type, lower_value) IN OWN \
     AND ({at:String} = '' OR l.first_seen <= parseDateTime64BestEffortOrZero({at:String}, 3, 'UTC'))) \
    ORDER BY first_seen, higher_type, higher_value, lower_type, lower_value LIMIT 200";

/// What these identifiers, or those linked to them, said of being stitched.
const CONSENTS: &str = "SELECT identifier_type, identifier_value, granted FROM identity_consents WHERE workspace = {workspace:String} \
    AND ((identifier_type, identifier_value) IN OWN OR (identifier_type, identifier_value) IN \
    (SELECT higher_type, higher_value FROM link_observations WHERE workspace = {workspace:String} \
     AND lower_value IN VALUES AND (lower_type, lower_value) IN OWN) OR (identifier_type, identifier_value) IN \
    (SELECT lower_type, lower_value FROM link_observations WHERE workspace = {workspace:String} \
     AND (higher_type, higher_value) IN OWN))";

const REFUSALS: &str = "SELECT * FROM \
    (SELECT higher_type, higher_value, lower_type, lower_value, reason FROM identity_refusals WHERE workspace = {workspace:String} \
     AND (higher_type, higher_value) IN OWN \
     UNION DISTINCT SELECT higher_type, higher_value, lower_type, lower_value, reason FROM identity_refusals \
     WHERE workspace = {workspace:String} AND lower_value IN VALUES AND (lower_type, lower_value) IN OWN) ORDER BY ALL LIMIT 200";

const SESSIONS: &str = "SELECT toString(s.session_id) AS session_id, timeline, toString(s.started_at) AS started_at, toString(s.ended_at) AS ended_at, \
    touchpoints, channel, traffic_source, campaign FROM sessions_current AS s WHERE workspace = {workspace:String} AND profile_id = {id:UUID} \
    AND ({at:String} = '' OR s.started_at <= parseDateTime64BestEffortOrZero({at:String}, 3, 'UTC')) ORDER BY s.started_at DESC, session_id LIMIT 20";

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
                let digits = value.bytes().fold(String::new(), |mut digits, byte| {
                    // Writing to a string does not fail.
                    let _ = write!(digits, "{byte:02x}");
                    digits
                });
                (
                    format!("('{type}', unhex('{digits}'))"),
                    format!("unhex('{digits}')"),
                )
            });
        // An empty list would be no SQL.
        let nobody = ("('', '')".to_owned(), "''".to_owned());
        let (names, values): (BTreeSet<String>, BTreeSet<String>) = texts.chain([nobody]).unzip();
        let list = |texts: BTreeSet<String>| format!("({})", Vec::from_iter(texts).join(", "));
        Self {
            names: list(names),
            values: list(values),
        }
    }

    /// The query, with the identifiers and the columns of a link in their places.
    pub(super) fn asked_by(&self, sql: &str) -> String {
        sql.replace("LINK_COLUMNS", LINK_COLUMNS)
            .replace("VALUES", &self.values)
            .replace("OWN", &self.names)
    }
}

/// What each of these identifiers, and of those around them, said of being stitched.
pub(super) fn consents(
    clickhouse: &ClickHouse,
    workspace: &str,
    own: &Own,
) -> Result<BTreeMap<(String, String), bool>, String> {
    #[derive(Deserialize)]
    struct End {
        identifier_type: String,
        identifier_value: String,
        granted: bool,
    }
    let ends: Vec<End> = clickhouse.rows(&own.asked_by(CONSENTS), &[("workspace", workspace)])?;
    let said = ends
        .into_iter()
        .map(|end| ((end.identifier_type, end.identifier_value), end.granted));
    Ok(said.collect())
}

/// Events of bots on which the subject stands: they have no customer.
pub(super) fn events_of_bots(
    clickhouse: &ClickHouse,
    subject: &Subject,
    workspace: Option<&str>,
) -> Result<u64, String> {
    #[derive(Deserialize)]
    struct Count {
        events: u64,
    }
    let counts: Vec<Count> = clickhouse.rows(BY_BOTS, &subject.parameters(workspace))?;
    Ok(counts.first().map_or(0, |count| count.events))
}

impl Answer {
    /// None when nothing is known of the subject. `at` is a moment of event time, as ClickHouse reads it, or empty.
    pub(super) fn find(
        clickhouse: &ClickHouse,
        subject: &Subject,
        workspace: Option<&str>,
        at: &str,
    ) -> Result<Option<Self>, String> {
        let mut owners: Vec<Owner> = Vec::new();
        if let Subject::Uuid { profile, .. } = subject {
            let parameters = [
                ("id", &*profile.to_string()),
                ("workspace", workspace.unwrap_or_default()),
            ];
            owners = clickhouse.rows(ALIASES, &parameters)?;
        }
        if owners.is_empty() {
            let [value, r#type, workspace] = subject.parameters(workspace);
            owners = clickhouse.rows(OWNERS, &[value, r#type, workspace, ("at", at)])?;
        }
        if owners.is_empty() {
            return Ok(None);
        }
        let more_profiles = owners.len().saturating_sub(MAX_PROFILES);
        let shown = owners.into_iter().take(MAX_PROFILES);
        let profiles = shown
            .map(|owner| Explained::find(clickhouse, owner, at))
            .collect::<Result<_, _>>()?;
        Ok(Some(Answer {
            profiles,
            more_profiles,
        }))
    }
}

impl Explained {
    fn find(clickhouse: &ClickHouse, owner: Owner, at: &str) -> Result<Self, String> {
        let (workspace, id) = (owner.workspace.as_str(), owner.profile_id.as_str());
        let parameters = [("workspace", workspace), ("id", id), ("at", at)];
        let mut identifiers: Vec<Identity> = clickhouse.rows(IDENTITIES, &parameters)?;
        let own = Own::of(identifiers.iter().map(Identity::name));
        identifiers.retain(|identity| at.is_empty() || identity.holds_at(at));
        // None of these waits for another's answer.
        let (links, refusals, consents, profile, sessions, entries, rules) =
            std::thread::scope(|scope| {
                let links = scope.spawn(|| clickhouse.rows(&own.asked_by(LINKS), &parameters));
                let refusals =
                    scope.spawn(|| clickhouse.rows(&own.asked_by(REFUSALS), &parameters));
                let consents = scope.spawn(|| consents(clickhouse, workspace, &own));
                let profile = scope.spawn(|| clickhouse.rows(PROFILE, &parameters));
                let sessions = scope.spawn(|| clickhouse.rows(SESSIONS, &parameters));
                let entries = log::entries(clickhouse, workspace);
                let rules = rules::in_force(clickhouse, workspace);
                (
                    joined(links),
                    joined(refusals),
                    joined(consents),
                    joined(profile),
                    joined(sessions),
                    entries,
                    rules,
                )
            });
        let (mut links, refusals): (Vec<Link>, Vec<Refusal>) = (links?, refusals?);
        let (mut entries, rules) = (entries?, rules?);
        let said = Said {
            entries: &entries,
            consents: &consents?,
            rules: rules.as_ref(),
        };
        standing::judge(&mut links, &refusals, &said);
        let rules_version = rules.as_ref().map(|rules| rules.version);
        let types = rules
            .as_ref()
            .map(|rules| rules.types.clone())
            .unwrap_or_default();
        brought::tell(&mut identifiers, &links, &entries, &types, workspace, id);
        // Those that join first, in the order in which they were seen.
        links.sort_by_key(|link| !link.joins);
        entries.retain(|entry| {
            let has = |r#type: &str, value: &str| {
                identifiers.iter().any(|identifier| {
                    (r#type.is_empty() || identifier.identifier_type == r#type)
                        && identifier.identifier_value == value
                })
            };
            has(&entry.first_type, &entry.first_value)
                || has(&entry.second_type, &entry.second_value)
        });
        Ok(Explained {
            rules_version,
            profile: profile?.pop(),
            identifiers,
            links,
            refusals,
            entries,
            sessions: sessions?,
            workspace: owner.workspace,
            profile_id: owner.profile_id,
        })
    }
}

fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    match thread.join() {
        Ok(answer) => answer,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

impl Identity {
    fn name(&self) -> (&str, &str) {
        (&self.identifier_type, &self.identifier_value)
    }

    /// Whether the span has that moment in it; times are written alike.
    fn holds_at(&self, at: &str) -> bool {
        *self.valid_from <= *at && *at < *self.valid_to
    }
}

impl Link {
    /// A pin, as a link that was never seen.
    pub(super) fn pinned(entry: &Entry) -> Self {
        Link {
            higher_type: entry.first_type.clone(),
            higher_value: entry.first_value.clone(),
            lower_type: entry.second_type.clone(),
            lower_value: entry.second_value.clone(),
            first_seen: String::new(),
            first_message_id: String::new(),
            last_day: String::new(),
            sources: Vec::new(),
            standing: String::new(),
            joins: false,
        }
    }

    /// Whether it is between the same two.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        let ([one, two], other) = (self.names(), other.names());
        other == [one.clone(), two.clone()] || other == [two, one]
    }

    /// Its ends, by type and value.
    pub(super) fn names(&self) -> [(String, String); 2] {
        [
            (self.higher_type.clone(), self.higher_value.clone()),
            (self.lower_type.clone(), self.lower_value.clone()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_customers_sent_is_no_part_of_a_query_as_it_stands() {
        let names = [("user_id", "o'hara"), ("no type'", "x"), ("email", "é")];
        let asked = Own::of(names.into_iter()).asked_by("OWN, VALUES");
        assert_eq!(
            asked,
            "(('', ''), ('email', unhex('c3a9')), ('user_id', unhex('6f2768617261'))), \
             ('', unhex('6f2768617261'), unhex('c3a9'))"
        );
    }
}
