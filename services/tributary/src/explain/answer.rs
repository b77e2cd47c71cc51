//! Everything that the views know of an identifier's customers.

use super::brought;
use super::queries::{self, Own};
use super::seen::Ground;
use super::standing::{self, Said};
use super::subject::Subject;
use crate::clickhouse::ClickHouse;
use crate::identity::log::{self, Entry};
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

const BY_BOTS: &str = "SELECT count() AS events FROM touchpoints WHERE bot AND ({workspace:String} = '' OR workspace = {workspace:String}) \
    AND arrayExists(i -> i.2 IN ({value:String}, lowerUTF8({value:String})) AND ({type:String} = '' OR i.1 = {type:String}), identifiers)";

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
        let (ground, owners) = std::thread::scope(|scope| {
            let ground = scope.spawn(|| Ground::ask(clickhouse));
            let owners = owners(clickhouse, subject, workspace, at);
            (joined(ground), owners)
        });
        let (ground, owners) = (ground?, owners?);
        if owners.is_empty() {
            return Ok(None);
        }
        let more_profiles = owners.len().saturating_sub(MAX_PROFILES);
        let shown = owners.into_iter().take(MAX_PROFILES);
        let profiles = shown
            .map(|owner| Explained::find(clickhouse, owner, at, &ground))
            .collect::<Result<_, _>>()?;
        Ok(Some(Answer {
            profiles,
            more_profiles,
        }))
    }
}

/// Whose the subject is.
fn owners(
    clickhouse: &ClickHouse,
    subject: &Subject,
    workspace: Option<&str>,
    at: &str,
) -> Result<Vec<Owner>, String> {
    if let Subject::Uuid { profile, .. } = subject {
        let parameters = [
            ("id", &*profile.to_string()),
            ("workspace", workspace.unwrap_or_default()),
        ];
        let owners: Vec<Owner> = clickhouse.rows(&queries::aliases(), &parameters)?;
        if !owners.is_empty() {
            return Ok(owners);
        }
    }
    let [value, r#type, workspace] = subject.parameters(workspace);
    clickhouse.rows(&queries::owners(), &[value, r#type, workspace, ("at", at)])
}

impl Explained {
    fn find(
        clickhouse: &ClickHouse,
        owner: Owner,
        at: &str,
        ground: &Ground,
    ) -> Result<Self, String> {
        let (workspace, id) = (owner.workspace.as_str(), owner.profile_id.as_str());
        let parameters = [("workspace", workspace), ("id", id), ("at", at)];
        let (identifiers, profile, sessions, entries) = std::thread::scope(|scope| {
            let profile = scope.spawn(|| clickhouse.rows(&queries::profile(), &parameters));
            let sessions = scope.spawn(|| clickhouse.rows(&queries::sessions(), &parameters));
            let entries = scope.spawn(|| log::entries(clickhouse, workspace));
            let identifiers = clickhouse.rows::<Identity>(&queries::identities(), &parameters);
            let (profile, sessions) = (joined(profile), joined(sessions));
            (identifiers, profile, sessions, joined(entries))
        });
        let (mut identifiers, mut entries) = (identifiers?, entries?);
        let own = Own::of(identifiers.iter().map(|identity| {
            let Identity {
                identifier_type,
                identifier_value,
                ..
            } = identity;
            (identifier_type.as_str(), identifier_value.as_str())
        }));
        let (links, refusals) = std::thread::scope(|scope| {
            let refusals = scope.spawn(|| clickhouse.rows(&own.refusals(false), &parameters));
            let links = ground.links(clickhouse, &own, false, workspace, at);
            (links, joined(refusals))
        });
        let ((mut links, consents), refusals) = (links?, refusals?);
        identifiers.retain(|identity| at.is_empty() || identity.holds_at(at));
        let rules = ground
            .rules(workspace)
            .map(|version| version.rules(workspace))
            .transpose()?;
        let said = Said {
            entries: &entries,
            consents: &consents,
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

pub(super) fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    match thread.join() {
        Ok(answer) => answer,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

impl Identity {
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
