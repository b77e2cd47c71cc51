//! Why two identifiers are one customer, or that they are two.

use super::answer::{Link, Refusal, joined};
use super::chain::{self, Name};
use super::queries::{self, Own};
use super::seen::Ground;
use super::standing::{self, Said};
use super::subject::Subject;
use crate::clickhouse::ClickHouse;
use crate::identity::log;
use serde::{Deserialize, Serialize};

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
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Held {
    workspace: String,
    pub(super) identifier_type: String,
    pub(super) identifier_value: String,
    pub(super) profile_id: String,
}

/// An identifier of one of the two customers.
#[derive(Debug, Deserialize)]
struct Theirs {
    identifier_type: String,
    identifier_value: String,
}

impl Held {
    fn find(
        clickhouse: &ClickHouse,
        subject: &Subject,
        workspace: Option<&str>,
    ) -> Result<Self, String> {
        let parameters = subject.parameters(workspace);
        let mut held: Vec<Held> = clickhouse.rows(&queries::holders(), &parameters)?;
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
        let (theirs, entries) = std::thread::scope(|scope| {
            let entries = scope.spawn(|| log::entries(clickhouse, &workspace));
            let theirs = clickhouse.rows::<Theirs>(&queries::held(), &parameters);
            (theirs, joined(entries))
        });
        let (theirs, entries) = (theirs?, entries?);
        let own = Own::of(
            theirs
                .iter()
                .map(|theirs| (&*theirs.identifier_type, &*theirs.identifier_value)),
        );
        let here = [("workspace", workspace.as_str())];
        let (links, refusals) = std::thread::scope(|scope| {
            let refusals = scope.spawn(|| clickhouse.rows::<Refusal>(&own.refusals(true), &here));
            let links = ground.links(clickhouse, &own, true, &workspace, "");
            (links, joined(refusals))
        });
        let ((mut links, consents), refusals) = (links?, refusals?);
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
