//! Everything that the views know of an identifier's customers.

use super::subject::Subject;
use crate::clickhouse::ClickHouse;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

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
    /// None for one that nothing was counted for yet.
    pub(super) profile: Option<Profile>,
    pub(super) identifiers: Vec<Identity>,
    pub(super) links: Vec<Link>,
    pub(super) refusals: Vec<Refusal>,
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
}

/// A row of `links`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Link {
    pub(super) higher_type: String,
    pub(super) higher_value: String,
    pub(super) lower_type: String,
    pub(super) lower_value: String,
    pub(super) first_seen: String,
    pub(super) first_message_id: String,
    pub(super) last_day: String,
    pub(super) sources: Vec<String>,
    /// It joins nobody; see the refusals.
    pub(super) refused: bool,
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
    GROUP BY workspace, profile_id ORDER BY workspace, min(valid_from), profile_id";

const BY_BOTS: &str = "SELECT count() AS events FROM touchpoints WHERE bot AND ({workspace:String} = '' OR workspace = {workspace:String}) \
    AND arrayExists(i -> i.2 IN ({value:String}, lowerUTF8({value:String})) AND ({type:String} = '' OR i.1 = {type:String}), identifiers)";

const ALIASES: &str = "SELECT DISTINCT workspace, toString(profile_id) AS profile_id FROM \
    (SELECT workspace, profile_id FROM profile_aliases WHERE own_profile_id = {id:UUID} OR profile_id = {id:UUID} \
     UNION ALL SELECT workspace, profile_id FROM profiles_current WHERE profile_id = {id:UUID}) \
    WHERE {workspace:String} = '' OR workspace = {workspace:String} ORDER BY workspace, profile_id";

const PROFILE: &str = "SELECT toString(p.first_seen) AS first_seen, toString(p.last_seen) AS last_seen, sessions, touchpoints, orders, \
    mapApply((currency, amount) -> (currency, toString(amount)), p.revenue) AS revenue, channels, traits \
    FROM profiles_current AS p WHERE workspace = {workspace:String} AND profile_id = {id:UUID}";

const IDENTITIES: &str = "SELECT identifier_type, identifier_value, toString(i.valid_from) AS valid_from, toString(i.valid_to) AS valid_to, \
    toBool(toYear(i.valid_from) = 1970 AND toYear(i.valid_to) = 2299) AS always \
    FROM identities AS i WHERE workspace = {workspace:String} AND profile_id = {id:UUID} \
    ORDER BY indexOf(['user_id', 'crm_id', 'loyalty_card', 'email', 'phone', 'social_handle', 'device_id', 'anonymous_id', \
    'advertising_id', 'push_token'], identifier_type), identifier_value, i.valid_from LIMIT 200";

const LINKS: &str = "WITH own AS (SELECT DISTINCT identifier_type, identifier_value FROM identities \
    WHERE workspace = {workspace:String} AND profile_id = {id:UUID}) \
    SELECT higher_type, higher_value, lower_type, lower_value, toString(l.first_seen) AS first_seen, first_message_id, \
    toString(l.last_day) AS last_day, sources, \
    toBool((higher_type, higher_value, lower_type, lower_value) IN (SELECT higher_type, higher_value, lower_type, lower_value \
    FROM identity_refusals WHERE workspace = {workspace:String})) AS refused FROM links AS l WHERE workspace = {workspace:String} \
    AND ((higher_type, higher_value) IN (SELECT * FROM own) OR (lower_type, lower_value) IN (SELECT * FROM own)) \
    ORDER BY refused, l.first_seen, higher_type, higher_value, lower_type, lower_value LIMIT 200";

const REFUSALS: &str = "WITH own AS (SELECT DISTINCT identifier_type, identifier_value FROM identities \
    WHERE workspace = {workspace:String} AND profile_id = {id:UUID}) \
    SELECT higher_type, higher_value, lower_type, lower_value, reason FROM identity_refusals WHERE workspace = {workspace:String} \
    AND ((higher_type, higher_value) IN (SELECT * FROM own) OR (lower_type, lower_value) IN (SELECT * FROM own)) ORDER BY ALL LIMIT 200";

const SESSIONS: &str = "SELECT toString(s.session_id) AS session_id, timeline, toString(s.started_at) AS started_at, toString(s.ended_at) AS ended_at, \
    touchpoints, channel, traffic_source, campaign FROM sessions_current AS s WHERE workspace = {workspace:String} AND profile_id = {id:UUID} \
    ORDER BY s.started_at DESC, session_id LIMIT 20";

/// The parameters of an identifier.
fn identifier<'a>(
    subject: &'a Subject,
    workspace: Option<&'a str>,
) -> [(&'static str, &'a str); 3] {
    let (r#type, value) = match subject {
        Subject::Identifier { r#type, value } => (r#type.unwrap_or_default(), value),
        Subject::Uuid { value, .. } => ("", value),
    };
    [
        ("value", value),
        ("type", r#type),
        ("workspace", workspace.unwrap_or_default()),
    ]
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
    let counts: Vec<Count> = clickhouse.rows(BY_BOTS, &identifier(subject, workspace))?;
    Ok(counts.first().map_or(0, |count| count.events))
}

impl Answer {
    /// None when nothing is known of the subject.
    pub(super) fn find(
        clickhouse: &ClickHouse,
        subject: &Subject,
        workspace: Option<&str>,
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
            owners = clickhouse.rows(OWNERS, &identifier(subject, workspace))?;
        }
        if owners.is_empty() {
            return Ok(None);
        }
        let more_profiles = owners.len().saturating_sub(MAX_PROFILES);
        let shown = owners.into_iter().take(MAX_PROFILES);
        let profiles = shown
            .map(|owner| Explained::find(clickhouse, owner))
            .collect::<Result<_, _>>()?;
        Ok(Some(Answer {
            profiles,
            more_profiles,
        }))
    }
}

impl Explained {
    fn find(clickhouse: &ClickHouse, owner: Owner) -> Result<Self, String> {
        let parameters = [
            ("workspace", owner.workspace.as_str()),
            ("id", owner.profile_id.as_str()),
        ];
        Ok(Explained {
            profile: clickhouse.rows(PROFILE, &parameters)?.pop(),
            identifiers: clickhouse.rows(IDENTITIES, &parameters)?,
            links: clickhouse.rows(LINKS, &parameters)?,
            refusals: clickhouse.rows(REFUSALS, &parameters)?,
            sessions: clickhouse.rows(SESSIONS, &parameters)?,
            workspace: owner.workspace,
            profile_id: owner.profile_id,
        })
    }
}
