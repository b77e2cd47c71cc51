//! What a graph makes of the touchpoints and orders that there are: visitors, and who buys again.

use super::{Kpi, Pair};
use crate::clickhouse::ClickHouse;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tributary_core::identifier::{Identifier, IdentifierType};
use tributary_core::identity::{Graph, NodeId};
use tributary_core::time::{DAY, HOUR, Timestamp};
use tributary_core::timeline::{Activity, Event, Owner, decide};

/// Timelines are read in so many parts, each of which is in memory alone.
const PARTS: u32 = 16;

/// Name, length, and distance of its marks, of the windows that are looked at.
const WINDOWS: [(&str, i64, i64); 2] = [("30d", 30 * DAY, HOUR), ("365d", 365 * DAY, DAY)];

/// Several touchpoints have the same order id: the one that counts is told by ClickHouse.
const ORDERS: &str = "SELECT timeline, message_id, toUnixTimestamp64Milli(o.ordered_at) AS at FROM orders_current AS o \
    WHERE workspace = {workspace:String} AND isNotNull(profile_id)";

const TOUCHPOINTS: &str = "SELECT timeline, message_id, toUnixTimestamp64Milli(t.occurred_at) AS at, activity = 'active' AS active, \
    arrayMap(i -> (i.1, i.2), identifiers) AS names FROM touchpoints AS t WHERE workspace = {workspace:String} AND NOT bot \
    AND notEmpty(identifiers) AND timeline_hash % {parts:UInt32} = {part:UInt32} ORDER BY timeline, t.occurred_at, message_id";

#[derive(Debug, Deserialize)]
struct Order {
    timeline: String,
    message_id: String,
    at: i64,
}

#[derive(Debug, Deserialize)]
struct Touchpoint {
    timeline: String,
    message_id: String,
    at: i64,
    active: u8,
    names: Vec<(String, String)>,
}

/// A customer: a profile by its root, a timeline alone, or a session of it alone by its first event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Customer {
    Profile(NodeId),
    Alone(NodeId),
    Stranger(NodeId, u32),
}

/// What is asked of every graph.
#[derive(Debug)]
pub(super) struct Effect {
    workspace: String,
    /// When each order's touchpoint was, by timeline and message.
    orders: HashMap<(String, String), i64>,
    /// Name, first moment that is in it no more, and last, of each window.
    windows: Vec<(&'static str, i64, i64)>,
}

/// Numerators and denominators by KPI and window.
pub(super) type Measured = BTreeMap<(&'static str, &'static str, i64), (u64, u64)>;

/// What a customer did in a window.
#[derive(Clone, Copy, Debug, Default)]
struct Did {
    visited: bool,
    orders: u32,
}

impl Effect {
    /// Up to the latest marks before `now`.
    pub(super) fn prepare(
        clickhouse: &ClickHouse,
        workspace: &str,
        now: jiff::Timestamp,
    ) -> Result<Self, String> {
        let orders: Vec<Order> = clickhouse.rows(ORDERS, &[("workspace", workspace)])?;
        let now = now.as_millisecond();
        Ok(Self {
            workspace: workspace.to_owned(),
            orders: orders
                .into_iter()
                .map(|order| ((order.timeline, order.message_id), order.at))
                .collect(),
            windows: WINDOWS
                .map(|(name, length, step)| {
                    let end = now.div_euclid(step) * step;
                    (name, end - length, end)
                })
                .to_vec(),
        })
    }

    /// Decides all timelines by the graph, which comes to know their identifiers.
    pub(super) fn measure(
        &self,
        clickhouse: &ClickHouse,
        graph: &mut Graph,
    ) -> Result<Measured, String> {
        let mut did: HashMap<Customer, Vec<Did>> = HashMap::new();
        for part in 0..PARTS {
            let parameters = [
                ("workspace", self.workspace.as_str()),
                ("parts", &PARTS.to_string()),
                ("part", &part.to_string()),
            ];
            let touchpoints: Vec<Touchpoint> = clickhouse.rows(TOUCHPOINTS, &parameters)?;
            let nodes: Vec<Vec<NodeId>> = touchpoints
                .iter()
                .map(|touchpoint| interned(graph, &touchpoint.names))
                .collect();
            graph.settle();
            let mut rest = touchpoints.as_slice();
            let mut nodes = nodes.as_slice();
            while let Some(first) = rest.first() {
                let length = rest
                    .iter()
                    .take_while(|touchpoint| touchpoint.timeline == first.timeline)
                    .count();
                let (timeline, others) = rest.split_at(length);
                let (of_timeline, others_nodes) = nodes.split_at(length);
                self.count(graph, timeline, of_timeline, &mut did);
                (rest, nodes) = (others, others_nodes);
            }
        }
        Ok(self.sum(&did))
    }

    fn count(
        &self,
        graph: &Graph,
        touchpoints: &[Touchpoint],
        nodes: &[Vec<NodeId>],
        did: &mut HashMap<Customer, Vec<Did>>,
    ) {
        let Some(own) = touchpoints.first().and_then(|first| {
            let (r#type, value) = first.timeline.split_once(':')?;
            graph.find(&Identifier::new(IdentifierType::of(r#type).ok()?, value))
        }) else {
            return;
        };
        let events: Vec<Event<'_>> = touchpoints
            .iter()
            .zip(nodes)
            .map(|(touchpoint, nodes)| Event {
                time: Timestamp(touchpoint.at),
                message: &touchpoint.message_id,
                activity: if touchpoint.active == 1 {
                    Activity::Active
                } else {
                    Activity::Passive
                },
                identifiers: nodes,
            })
            .collect();
        let decisions = decide(graph, own, &events);
        for (touchpoint, decision) in touchpoints.iter().zip(&decisions.events) {
            let customer = match decision.owner {
                Owner::Nobody => continue,
                Owner::Alone => Customer::Alone(own),
                Owner::Stranger(first) => Customer::Stranger(own, first),
                Owner::Profile(root) => Customer::Profile(root),
            };
            let key = (touchpoint.timeline.clone(), touchpoint.message_id.clone());
            let is_order = self.orders.contains_key(&key);
            if touchpoint.active == 0 && !is_order {
                continue;
            }
            let windows = did
                .entry(customer)
                .or_insert_with(|| vec![Did::default(); self.windows.len()]);
            for (did, (_, after, end)) in windows.iter_mut().zip(&self.windows) {
                if touchpoint.at > *after && touchpoint.at <= *end {
                    did.visited |= touchpoint.active == 1;
                    did.orders += u32::from(is_order);
                }
            }
        }
    }

    fn sum(&self, did: &HashMap<Customer, Vec<Did>>) -> Measured {
        let mut measured = Measured::new();
        for (place, (window, _, end)) in self.windows.iter().enumerate() {
            let all = || did.values().map(|windows| windows[place]);
            let count = |is: fn(&Did) -> bool| all().filter(is).count() as u64;
            let (buyers, again) = (count(|did| did.orders > 0), count(|did| did.orders > 1));
            let end = end / 1000;
            measured.insert(("visitors", window, end), (count(|did| did.visited), 1));
            measured.insert(("repurchase_rate", window, end), (again, buyers));
        }
        measured
    }
}

fn interned(graph: &mut Graph, names: &[(String, String)]) -> Vec<NodeId> {
    let mut identifiers: Vec<Identifier> = names
        .iter()
        .filter_map(|(r#type, value)| {
            Some(Identifier::new(IdentifierType::of(r#type).ok()?, value))
        })
        .collect();
    identifiers.sort();
    identifiers.dedup();
    identifiers
        .iter()
        .map(|identifier| graph.intern(identifier))
        .collect()
}

/// Both, side by side.
pub(super) fn compare(before: &Measured, after: &Measured) -> Vec<Kpi> {
    let ends: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let of = |all: &Measured, key| all.get(key).copied().unwrap_or_default();
    let kpis = ends.into_iter().map(|key| {
        let (before, after) = (of(before, key), of(after, key));
        Kpi {
            kpi: key.0,
            window: key.1,
            window_end: key.2,
            numerator: Pair {
                before: before.0,
                after: after.0,
            },
            denominator: Pair {
                before: before.1,
                after: after.1,
            },
        }
    });
    kpis.collect()
}
