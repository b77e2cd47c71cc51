//! Who is who in a graph, and what differs between two.

use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use tributary_core::identity::{Graph, NodeId};

/// Of each kind.
const EXAMPLES: usize = 5;
/// Of one customer in an example.
const SHOWN_IDENTIFIERS: usize = 12;

/// The customer of each identifier; none for one that is blocked or unknown.
#[derive(Debug)]
pub(super) struct Customers {
    of: Vec<(NodeId, Option<NodeId>)>,
    pub(super) hubs: u64,
    pub(super) refused_links: u64,
}

impl Customers {
    pub(super) fn of(graph: &Graph) -> Self {
        let holder = |node: NodeId| {
            let is_told = graph.is_known(node) && !graph.is_blocked(node);
            is_told.then(|| graph.root(node))
        };
        Self {
            of: graph.all_nodes().map(|node| (node, holder(node))).collect(),
            hubs: graph.all_nodes().filter(|node| graph.is_hub(*node)).count() as u64,
            refused_links: graph
                .all_links()
                .filter(|link| graph.refusal(*link).is_some())
                .count() as u64,
        }
    }

    pub(super) fn identifiers(&self) -> u64 {
        self.of
            .iter()
            .filter(|(_, holder)| holder.is_some())
            .count() as u64
    }

    pub(super) fn count(&self) -> u64 {
        let holders: BTreeSet<NodeId> = self.of.iter().filter_map(|(_, holder)| *holder).collect();
        holders.len() as u64
    }
}

/// What happens to customers.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Difference {
    /// Customers that keep all their identifiers, and get none.
    pub(super) unchanged: u64,
    /// Customers to come that hold identifiers of several.
    pub(super) merged: u64,
    /// Customers whose identifiers come to several.
    pub(super) split: u64,
    /// Identifiers that are no longer anybody's: blocked.
    pub(super) lost_identifiers: u64,
    /// Identifiers that were nobody's: no longer blocked.
    pub(super) won_identifiers: u64,
    pub(super) examples: Vec<Example>,
}

/// A merge or a split.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Example {
    /// `merge` or `split`.
    pub(super) what: &'static str,
    /// The parts, each as some of its identifiers.
    pub(super) parts: Vec<Vec<String>>,
}

impl Difference {
    /// Of one graph under two rules; identifiers that only the second knows are none of the first's.
    pub(super) fn between(graph: &Graph, before: &Customers, after: &Customers) -> Self {
        let mut parts_of_old: BTreeMap<NodeId, BTreeMap<NodeId, Vec<NodeId>>> = BTreeMap::new();
        let mut parts_of_new: BTreeMap<NodeId, BTreeMap<NodeId, Vec<NodeId>>> = BTreeMap::new();
        let (mut lost_identifiers, mut won_identifiers) = (0, 0);
        let mut touched_old: BTreeSet<NodeId> = BTreeSet::new();
        let mut touched_new: BTreeSet<NodeId> = BTreeSet::new();
        for ((node, old), (_, new)) in before.of.iter().zip(&after.of) {
            match (old, new) {
                (Some(old), Some(new)) => {
                    let parts = parts_of_old.entry(*old).or_default();
                    parts.entry(*new).or_default().push(*node);
                    let parts = parts_of_new.entry(*new).or_default();
                    parts.entry(*old).or_default().push(*node);
                }
                (Some(old), None) => {
                    lost_identifiers += 1;
                    touched_old.insert(*old);
                }
                (None, Some(new)) => {
                    won_identifiers += 1;
                    touched_new.insert(*new);
                }
                (None, None) => {}
            }
        }
        let unchanged = parts_of_old.iter().filter(|(old, parts)| {
            let only = parts.keys().next().filter(|_| parts.len() == 1);
            only.is_some_and(|new| {
                parts_of_new[new].len() == 1
                    && !touched_old.contains(old)
                    && !touched_new.contains(new)
            })
        });
        let unchanged = unchanged.count() as u64;
        let several = |parts: &BTreeMap<NodeId, BTreeMap<NodeId, Vec<NodeId>>>| {
            parts.values().filter(|parts| parts.len() > 1).count() as u64
        };
        let mut found = examples("merge", graph, &parts_of_new);
        found.extend(examples("split", graph, &parts_of_old));
        Self {
            unchanged,
            merged: several(&parts_of_new),
            split: several(&parts_of_old),
            lost_identifiers,
            won_identifiers,
            examples: found,
        }
    }
}

/// Those of the highest identifiers, so that the same log gives the same examples.
fn examples(
    what: &'static str,
    graph: &Graph,
    all: &BTreeMap<NodeId, BTreeMap<NodeId, Vec<NodeId>>>,
) -> Vec<Example> {
    let mut several: Vec<(&NodeId, &BTreeMap<NodeId, Vec<NodeId>>)> =
        all.iter().filter(|(_, parts)| parts.len() > 1).collect();
    several.sort_by_key(|(whole, _)| graph.identifier(**whole));
    let shown = several.into_iter().take(EXAMPLES);
    shown
        .map(|(_, parts)| {
            let mut parts: Vec<&Vec<NodeId>> = parts.values().collect();
            let first = |part: &[NodeId]| part.iter().map(|node| graph.identifier(*node)).min();
            parts.sort_by_cached_key(|part| first(part));
            Example {
                what,
                parts: parts.into_iter().map(|part| names(graph, part)).collect(),
            }
        })
        .collect()
}

fn names(graph: &Graph, part: &[NodeId]) -> Vec<String> {
    let mut identifiers: Vec<_> = part.iter().map(|node| graph.identifier(*node)).collect();
    identifiers.sort();
    let shown = identifiers.iter().take(SHOWN_IDENTIFIERS);
    let mut names: Vec<String> = shown
        .map(|identifier| format!("{}:{}", identifier.r#type.name(), identifier.value))
        .collect();
    if identifiers.len() > SHOWN_IDENTIFIERS {
        names.push(format!(
            "and {} more",
            identifiers.len() - SHOWN_IDENTIFIERS
        ));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use tributary_core::identifier::{Identifier, IdentifierType};
    use tributary_core::identity::{Observation, Rules};
    use tributary_core::time::Timestamp;

    #[test]
    fn merges_splits_and_blocked_identifiers_are_counted_and_shown() {
        let mut graph = Graph::new("shop", Rules::default());
        let source = graph.source("web");
        let user = |value| Identifier::new(IdentifierType::USER_ID, value);
        let email = |value| Identifier::new(IdentifierType::EMAIL, value);
        let cookie = |value| Identifier::new(IdentifierType::ANONYMOUS_ID, value);
        for (day, one, other) in [
            // A tablet of two: device bridges would join them.
            (1, user("ada"), cookie("tablet")),
            (2, email("bob@x"), cookie("tablet")),
            // Two addresses: a limit of one would split them.
            (3, user("cy"), email("cy@x")),
            (4, user("cy"), email("cy@y")),
            (5, user("guest"), cookie("g")),
            (6, user("dan"), cookie("d")),
        ] {
            let (one, other) = (graph.intern(&one), graph.intern(&other));
            let observation = Observation {
                first: Timestamp(0),
                last_day: day,
                source,
            };
            graph.observe(one, other, observation);
        }
        graph.settle();
        let before = Customers::of(&graph);
        assert_eq!((before.identifiers(), before.count()), (10, 5));
        let mut rules = Rules {
            device_bridges: true,
            blocked_values: ["guest".to_owned()].into(),
            ..Rules::default()
        };
        rules.types = rules.types.with_limit(IdentifierType::EMAIL, 1);
        graph.obey(rules);
        graph.settle();
        let after = Customers::of(&graph);
        assert_eq!((after.identifiers(), after.count()), (9, 5));
        let part = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let expected = Difference {
            unchanged: 1,
            merged: 1,
            split: 1,
            lost_identifiers: 1,
            won_identifiers: 0,
            examples: vec![
                Example {
                    what: "merge",
                    parts: vec![
                        part(&["user_id:ada"]),
                        part(&["email:bob@x", "anonymous_id:tablet"]),
                    ],
                },
                Example {
                    what: "split",
                    parts: vec![part(&["user_id:cy", "email:cy@y"]), part(&["email:cy@x"])],
                },
            ],
        };
        assert_eq!(Difference::between(&graph, &before, &after), expected);
    }
}
