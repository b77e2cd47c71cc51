//! Everything that the views know of an identifier's customers.

use super::brought;
use super::chain::Name;
use super::queries::{self, Own};
use super::rows::{Kept, State};
use super::seen::Ground;
use super::standing::{self, Said};
use super::subject::Subject;
use crate::clickhouse::ClickHouse;
use crate::identity::log::{self, Entry};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

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

#[derive(Debug)]
struct Owner {
    workspace: String,
    profile_id: String,
}

/// What `profiles_current` says.
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
    #[serde(skip_serializing)]
    pub(super) gone: bool,
}

/// What `identities` says.
#[derive(Debug, Serialize)]
pub(super) struct Identity {
    pub(super) identifier_type: String,
    pub(super) identifier_value: String,
    pub(super) valid_from: String,
    pub(super) valid_to: String,
    /// The span reaches over all time.
    pub(super) always: bool,
    /// The link that brought it to the customer; none for the one that the customer is named after.
    pub(super) brought_by: Option<BroughtBy>,
}

/// An identifier that has to do with a customer, or had.
#[derive(Debug, Deserialize)]
pub(super) struct Candidate {
    workspace: String,
    identifier_type: String,
    identifier_value: String,
}

/// A session and whose it is.
#[derive(Debug, Deserialize)]
struct Owned {
    profile_id: Option<String>,
    #[serde(flatten)]
    session: Session,
}

#[derive(Debug, Deserialize)]
struct Latest {
    session_id: Uuid,
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

// What is shown of one customer.
const MAX_IDENTIFIERS: usize = 1000;
const MAX_LINKS: usize = 200;
const MAX_SESSIONS: usize = 20;

const BY_BOTS: &str = "SELECT count() AS events FROM touchpoints WHERE bot AND ({workspace:String} = '' OR workspace = {workspace:String}) \
    AND arrayExists(i -> i.2 IN ({value:String}, lowerUTF8({value:String})) AND ({type:String} = '' OR i.1 = {type:String}), identifiers)";

/// Refused links of these identifiers, or with `both` among them.
pub(super) fn refusals(
    clickhouse: &ClickHouse,
    own: &Own,
    both: bool,
    workspace: &str,
) -> Result<Vec<Refusal>, String> {
    let rows: Vec<Kept<Refusal>> =
        clickhouse.rows(&own.refusals(both), &[("workspace", workspace)])?;
    let mut refusals: Vec<Refusal> = rows.into_iter().filter_map(Kept::row).collect();
    refusals.sort_by_cached_key(Refusal::names);
    refusals.dedup_by_key(|refusal| refusal.names());
    Ok(refusals)
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
        let id = profile.to_string();
        let owners = aliased(clickhouse, &id, workspace.unwrap_or_default())?;
        if !owners.is_empty() {
            return Ok(owners);
        }
    }
    let states: Vec<State> = clickhouse.rows(&queries::named(), &subject.parameters(workspace))?;
    // Each with the beginning of its first span, by which they are ordered.
    let mut owners: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for state in &states {
        for span in state.spans().filter(|span| span.holds_at(at)) {
            let since = owners
                .entry((&state.workspace, span.owner))
                .or_insert(span.from);
            *since = span.from.min(*since);
        }
    }
    let mut owners: Vec<_> = owners.into_iter().collect();
    owners.sort_by_key(|((workspace, owner), since)| (*workspace, *since, *owner));
    let owned = |((workspace, owner), _): ((&str, &str), &str)| Owner {
        workspace: workspace.to_owned(),
        profile_id: owner.to_owned(),
    };
    Ok(owners.into_iter().map(owned).collect())
}

/// Profiles that have that id, or of which an identifier would have it alone.
fn aliased(clickhouse: &ClickHouse, id: &str, workspace: &str) -> Result<Vec<Owner>, String> {
    #[derive(Deserialize)]
    struct Known {
        workspace: String,
    }
    let parameters = [("id", id), ("workspace", workspace)];
    let candidates: Vec<Candidate> = clickhouse.rows(&queries::candidates(), &parameters)?;
    let mut owners: BTreeSet<(String, String)> = BTreeSet::new();
    if let Some(Candidate { workspace, .. }) = candidates.first() {
        // The id is made of the workspace, too, so that all are in one.
        let own = Own::of(candidates.iter().map(Candidate::name));
        let states: Vec<State> = clickhouse.rows(&own.states(), &[("workspace", workspace)])?;
        let held = states.into_iter().filter(State::is_held);
        let meant = held.filter(|state| state.own_profile_id == id || state.profile_id == id);
        owners.extend(meant.map(|state| (state.workspace, state.profile_id)));
    }
    // One of a timeline or session alone has no identifiers.
    let known: Vec<Kept<Known>> = clickhouse.rows(&queries::profile(), &parameters)?;
    let known = known.into_iter().filter_map(Kept::row);
    owners.extend(known.map(|known| (known.workspace, id.to_owned())));
    let owners = owners.into_iter();
    Ok(owners
        .map(|(workspace, profile_id)| Owner {
            workspace,
            profile_id,
        })
        .collect())
}

/// The identifiers that are the profile's in some span, with it.
fn identities(mut states: Vec<State>, profile: &str, at: &str) -> Vec<Identity> {
    states.sort_by_cached_key(State::rank);
    let identities = states.iter().flat_map(|state| {
        let own = state.spans().filter(|span| span.owner == profile);
        own.filter(|span| span.holds_at(at)).map(|span| Identity {
            identifier_type: state.identifier_type.clone(),
            identifier_value: state.identifier_value.clone(),
            valid_from: span.from.to_owned(),
            valid_to: span.to.to_owned(),
            always: span.is_always(),
            brought_by: None,
        })
    });
    identities.take(MAX_IDENTIFIERS).collect()
}

/// The latest of these that are the profile's.
fn sessions(rows: Vec<Kept<Owned>>, profile: &str) -> Vec<Session> {
    let mut sessions: Vec<Session> = rows
        .into_iter()
        .filter_map(Kept::row)
        .filter(|row| row.profile_id.as_deref() == Some(profile))
        .map(|row| row.session)
        .collect();
    sessions.sort_by(|one, other| {
        (&other.started_at, &one.session_id).cmp(&(&one.started_at, &other.session_id))
    });
    sessions.truncate(MAX_SESSIONS);
    sessions
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
        // Where to look, beside what needs no such knowledge.
        let (candidates, latest, profile, entries) = std::thread::scope(|scope| {
            let latest = scope.spawn(|| clickhouse.rows(&queries::latest_sessions(), &parameters));
            let profile = scope.spawn(|| clickhouse.rows(&queries::profile(), &parameters));
            let entries = scope.spawn(|| log::entries(clickhouse, workspace));
            let candidates = clickhouse.rows::<Candidate>(&queries::candidates(), &parameters);
            let (latest, profile) = (joined(latest), joined(profile));
            (candidates, latest, profile, joined(entries))
        });
        let (candidates, latest, mut entries) = (candidates?, latest?, entries?);
        let own = Own::of(candidates.iter().map(Candidate::name));
        let latest: Vec<Uuid> = latest.iter().map(|of: &Latest| of.session_id).collect();
        let (links, refusals, sessions, states) = std::thread::scope(|scope| {
            let refusals = scope.spawn(|| refusals(clickhouse, &own, false, workspace));
            let sessions =
                scope.spawn(|| clickhouse.rows(&queries::sessions(&latest), &parameters));
            let states = scope.spawn(|| clickhouse.rows::<State>(&own.states(), &parameters));
            let links = ground.links(clickhouse, &own, false, workspace, at);
            let (refusals, sessions) = (joined(refusals), joined(sessions));
            (links, refusals, sessions, joined(states))
        });
        let ((mut links, consents), mut refusals, states) = (links?, refusals?, states?);
        // Candidates may be another's now.
        let own: BTreeSet<Name> = states
            .iter()
            .filter(|state| state.spans().any(|span| span.owner == id))
            .map(|state| {
                (
                    state.identifier_type.clone(),
                    state.identifier_value.clone(),
                )
            })
            .collect();
        links.retain(|link| link.names().iter().any(|name| own.contains(name)));
        refusals.retain(|refusal| refusal.names().iter().any(|name| own.contains(name)));
        let mut identifiers = identities(states, id, at);
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
        refusals.truncate(MAX_LINKS);
        let rules_version = rules.as_ref().map(|rules| rules.version);
        let types = rules
            .as_ref()
            .map(|rules| rules.types.clone())
            .unwrap_or_default();
        brought::tell(&mut identifiers, &links, &entries, &types, workspace, id);
        // Those that join first, in the order in which they were seen.
        links.sort_by_key(|link| !link.joins);
        links.truncate(MAX_LINKS);
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
            profile: profile?.into_iter().find(|profile: &Profile| !profile.gone),
            identifiers,
            links,
            refusals,
            entries,
            sessions: self::sessions(sessions?, id),
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

impl Candidate {
    pub(super) fn name(&self) -> (&str, &str) {
        (&self.identifier_type, &self.identifier_value)
    }
}

impl Refusal {
    fn names(&self) -> [Name; 2] {
        [
            (self.higher_type.clone(), self.higher_value.clone()),
            (self.lower_type.clone(), self.lower_value.clone()),
        ]
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
