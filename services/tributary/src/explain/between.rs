//! Why two identifiers are one customer, or that they are two.

use super::answer::{Candidate, Link, joined, refusals};
use super::chain::{self, Name};
use super::queries::{self, Own};
use super::rows::State;
use super::seen::Ground;
use super::standing::{self, Said};
use super::subject::Subject;
use crate::clickhouse::ClickHouse;
use crate::identity::log;
use serde::Serialize;
use std::collections::BTreeSet;

/// A value that more identifiers than these have is no name.
const MOST_NAMED: usize = 20;

/// What is known of the two.
#[derive(Debug, Serialize)]
pub(super) struct Between {
    pub(super) workspace: String,
    /// The two, each with the customer that holds it.
    pub(super) ends: [Held; 2],
    /// Whether that is one customer.
    pub(super) same: bool,
    /// The shortest chain of links that makes them one; of two that were seen together and are not one, that link.
    pub(super) links: Vec<Link>,
}

/// An identifier and the customer that holds it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Held {
    workspace: String,
    pub(super) identifier_type: String,
    pub(super) identifier_value: String,
    pub(super) profile_id: String,
}

impl Held {
    fn find(
        clickhouse: &ClickHouse,
        subject: &Subject,
        workspace: Option<&str>,
    ) -> Result<Self, String> {
        let parameters = subject.parameters(workspace);
        let states: Vec<State> = clickhouse.rows(&queries::named(), &parameters)?;
        let states = states.into_iter().filter(State::is_held);
        let mut held: Vec<Held> = states.map(Held::of).take(MOST_NAMED).collect();
        held.sort_by_cached_key(|held| (held.workspace.clone(), held.name()));
        match held.len() {
            0 => Err(format!(
                "no identifier {} is known; what was sent a moment ago takes a second",
                subject.text()
            )),
            1 => Ok(held.remove(0)),
            _ => {
                let names: Vec<String> = held.iter().map(Held::text).collect();
                Err(format!(
                    "{} may be any of {}: write which, with --workspace where there are several",
                    subject.text(),
                    names.join(", ")
                ))
            }
        }
    }

    fn of(state: State) -> Self {
        Held {
            workspace: state.workspace,
            identifier_type: state.identifier_type,
            identifier_value: state.identifier_value,
            profile_id: state.profile_id,
        }
    }

    pub(super) fn text(&self) -> String {
        format!("{}:{}", self.identifier_type, self.identifier_value)
    }

    fn name(&self) -> Name {
        (self.identifier_type.clone(), self.identifier_value.clone())
    }
}

impl Between {
    pub(super) fn find(
        clickhouse: &ClickHouse,
        subjects: [&Subject; 2],
        workspace: Option<&str>,
    ) -> Result<Self, String> {
        let (ground, one, other) = std::thread::scope(|scope| {
            let ground = scope.spawn(|| Ground::ask(clickhouse));
            let one = scope.spawn(|| Held::find(clickhouse, subjects[0], workspace));
            let other = Held::find(clickhouse, subjects[1], workspace);
            (joined(ground), joined(one), other)
        });
        let (ground, one, other) = (ground?, one?, other?);
        if one.workspace != other.workspace {
            return Err(format!(
                "{} is in workspace {}, {} in {}: customers do not reach from one into the other",
                one.text(),
                one.workspace,
                other.text(),
                other.workspace
            ));
        }
        let workspace = one.workspace.clone();
        let parameters = [
            ("workspace", workspace.as_str()),
            ("one", &one.profile_id),
            ("other", &other.profile_id),
        ];
        let (candidates, entries) = std::thread::scope(|scope| {
            let entries = scope.spawn(|| log::entries(clickhouse, &workspace));
            let candidates =
                clickhouse.rows::<Candidate>(&queries::candidates_of_both(), &parameters);
            (candidates, joined(entries))
        });
        let (candidates, entries) = (candidates?, entries?);
        let own = Own::of(candidates.iter().map(Candidate::name));
        let here = [("workspace", workspace.as_str())];
        let (links, refusals, theirs) = std::thread::scope(|scope| {
            let refusals = scope.spawn(|| refusals(clickhouse, &own, true, &workspace));
            let theirs = scope.spawn(|| clickhouse.rows::<State>(&own.states(), &here));
            let links = ground.links(clickhouse, &own, true, &workspace, "");
            (links, joined(refusals), joined(theirs))
        });
        let ((mut links, consents), refusals) = (links?, refusals?);
        // Candidates may be another's now.
        let profiles = [&one.profile_id, &other.profile_id];
        let theirs: BTreeSet<Name> = theirs?
            .into_iter()
            .filter(|state| state.is_held() && profiles.contains(&&state.profile_id))
            .map(|state| (state.identifier_type, state.identifier_value))
            .collect();
        links.retain(|link| link.names().iter().all(|name| theirs.contains(name)));
        let rules = ground
            .rules(&workspace)
            .map(|version| version.rules(&workspace))
            .transpose()?;
        // A pin needs no event with both.
        for entry in entries
            .iter()
            .filter(|entry| entry.kind == "pin" && entry.counts)
        {
            let pinned = Link::pinned(entry);
            let [one, other] = pinned.names();
            let is_seen = links.iter().any(|link| {
                let names = link.names();
                names.contains(&one) && names.contains(&other)
            });
            if !is_seen {
                links.push(pinned);
            }
        }
        let said = Said {
            entries: &entries,
            consents: &consents,
            rules: rules.as_ref(),
        };
        standing::judge(&mut links, &refusals, &said);
        let same = one.profile_id == other.profile_id;
        let ends = [one.name(), other.name()];
        if same {
            links.retain(|link| link.joins);
            let edges: Vec<[Name; 2]> = links.iter().map(Link::names).collect();
            let chain = chain::shortest(&edges, &ends[0], &ends[1]).unwrap_or_default();
            let mut all: Vec<Option<Link>> = links.into_iter().map(Some).collect();
            links = chain
                .into_iter()
                .filter_map(|index| all[index].take())
                .collect();
        } else {
            links.retain(|link| {
                let names = link.names();
                names == ends || names == [ends[1].clone(), ends[0].clone()]
            });
        }
        Ok(Between {
            workspace,
            ends: [one, other],
            same,
            links,
        })
    }
}
