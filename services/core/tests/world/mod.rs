//! A small world of events, stitched by the core: what the tests of several laws share.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tributary_core::identifier::{Identifier, IdentifierType};
use tributary_core::identity::{Graph, NodeId, Observation, Operation, Rules};
use tributary_core::time::{SECOND, Timestamp};
use tributary_core::timeline::{Activity, Event, Owner, decide};
use uuid::Uuid;

/// An event as the tests state it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) message: String,
    pub(crate) seconds: i64,
    pub(crate) identifiers: Vec<Identifier>,
    pub(crate) source: String,
    pub(crate) consent: Option<bool>,
}

/// What came out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) profiles: BTreeSet<BTreeSet<(String, String)>>,
    pub(crate) refused: BTreeSet<((String, String), (String, String), String)>,
    pub(crate) sessions: usize,
    pub(crate) owners: BTreeMap<String, Owner>,
    pub(crate) hubs: BTreeSet<(String, String)>,
}

pub(crate) struct World {
    pub(crate) graph: Graph,
    pub(crate) timelines: BTreeMap<Identifier, BTreeMap<(i64, String), Vec<NodeId>>>,
    pub(crate) entered: u128,
    /// Two that are never seen together, whatever the events say.
    pub(crate) never: Option<[Identifier; 2]>,
}

impl World {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            graph: Graph::new("default", rules),
            timelines: BTreeMap::new(),
            entered: 0,
            never: None,
        }
    }

    pub(crate) fn take(&mut self, event: &Seen) {
        let at = Timestamp(event.seconds * SECOND);
        let nodes: Vec<NodeId> = event
            .identifiers
            .iter()
            .map(|identifier| self.graph.intern(identifier))
            .collect();
        let source = self.graph.source(&event.source);
        for (index, one) in nodes.iter().enumerate() {
            for other in &nodes[index + 1..] {
                let ends = [self.graph.identifier(*one), self.graph.identifier(*other)];
                if self
                    .never
                    .as_ref()
                    .is_some_and(|never| ends.iter().all(|end| never.contains(end)))
                {
                    continue;
                }
                self.graph.observe(
                    *one,
                    *other,
                    Observation {
                        first: at,
                        last_day: at.day(),
                        source,
                    },
                );
            }
            if let Some(granted) = event.consent {
                self.graph.consent(*one, at, granted);
            }
        }
        let timeline = event
            .identifiers
            .iter()
            .min_by_key(|identifier| (identifier.r#type.timeline_rank(), identifier.value.clone()));
        let timeline = timeline.expect("an event has an identifier").clone();
        self.timelines
            .entry(timeline)
            .or_default()
            .insert((event.seconds, event.message.clone()), nodes);
    }

    /// Enters an operation and returns its id.
    pub(crate) fn operate(&mut self, operation: Operation) -> Uuid {
        self.entered += 1;
        let id = Uuid::from_u128(self.entered);
        self.graph.operate(id, operation);
        id
    }

    pub(crate) fn settle(&mut self) -> Outcome {
        self.graph.settle();
        let graph = &self.graph;
        let mut profiles: BTreeMap<NodeId, BTreeSet<(String, String)>> = BTreeMap::new();
        for node in graph
            .all_nodes()
            .filter(|node| !graph.is_blocked(*node) && graph.is_known(*node))
        {
            profiles
                .entry(graph.root(node))
                .or_default()
                .insert(pair(&graph.identifier(node)));
        }
        let refused = graph.all_links().filter_map(|link| {
            let (higher, lower) = graph.ends(link);
            graph.refusal(link).map(|reason| {
                (
                    pair(&graph.identifier(higher)),
                    pair(&graph.identifier(lower)),
                    reason.to_string(),
                )
            })
        });
        let (mut sessions, mut owners) = (0, BTreeMap::new());
        for (timeline, events) in &self.timelines {
            let events: Vec<Event<'_>> = events
                .iter()
                .map(|((seconds, message), nodes)| Event {
                    time: Timestamp(seconds * SECOND),
                    message,
                    activity: Activity::Active,
                    identifiers: nodes,
                })
                .collect();
            let decisions = decide(
                graph,
                graph.find(timeline).expect("a timeline is interned"),
                &events,
            );
            sessions += decisions.sessions.len();
            for (event, decision) in events.iter().zip(&decisions.events) {
                owners.insert(event.message.to_owned(), decision.owner);
            }
        }
        Outcome {
            profiles: profiles.into_values().collect(),
            refused: refused.collect(),
            sessions,
            owners,
            hubs: graph
                .all_nodes()
                .filter(|node| graph.is_hub(*node))
                .map(|node| pair(&graph.identifier(node)))
                .collect(),
        }
    }

    pub(crate) fn highest_of(&self, root: NodeId) -> (String, String) {
        let graph = &self.graph;
        graph
            .all_nodes()
            .filter(|node| graph.root(*node) == root)
            .map(|node| graph.identifier(node))
            .min()
            .map(|identifier| pair(&identifier))
            .expect("a root is a member")
    }
}

pub(crate) fn pair(identifier: &Identifier) -> (String, String) {
    (
        identifier.r#type.name().to_owned(),
        identifier.value.to_string(),
    )
}

pub(crate) fn named(value: &Value) -> (String, String) {
    (
        value[0].as_str().expect("a type").to_owned(),
        value[1].as_str().expect("a value").to_owned(),
    )
}

pub(crate) fn identifier(value: &Value) -> Identifier {
    let (r#type, value) = named(value);
    Identifier::new(
        IdentifierType::named(&r#type).expect("a built-in type"),
        &value,
    )
}

pub(crate) fn identifiers_of(value: &Value) -> Vec<Identifier> {
    let mut identifiers: Vec<Identifier> = value
        .as_object()
        .expect("identifiers by type")
        .iter()
        .flat_map(|(r#type, values)| {
            let r#type = IdentifierType::named(r#type).expect("a built-in type");
            values
                .as_array()
                .expect("values")
                .iter()
                .map(move |value| Identifier::new(r#type, value.as_str().expect("a value")))
        })
        .collect();
    identifiers.sort();
    identifiers
}
