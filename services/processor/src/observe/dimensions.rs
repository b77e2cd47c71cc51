//! Values of dimensions, as events are stored that have them: the kpi stage is told of each, since which of them it tells
//! apart follows from all that were ever stored, not from those that count somewhere for the time being.

use rustc_hash::FxHashMap;
use tributary_core::kpi::Dimension;

use super::event::{More, Says};
use super::sending::Sending;
use super::stored;
use crate::runtime::stage::{Broken, Store};
use crate::values::{BOUNDED, Limit, OTHER, Seen, Values, split_key, stored_key};
use tributary_contracts::wire::Touchpoint;

/// What begins the keys of the store.
const VALUE: &[u8] = b"d";

/// The key of how many of a dimension may be told apart, where one was passed over.
const MOST: &[u8] = b"m";

/// Those of this instance's partitions that may be told apart, and what of them is to be told.
#[derive(Debug)]
pub(super) struct Dimensions {
    limit: Limit,
    /// By partition, then by workspace.
    values: FxHashMap<i32, FxHashMap<Box<str>, [Values; BOUNDED.len()]>>,
    /// Partition, workspace, dimension, the value, and one that is no longer remembered for it.
    news: Vec<(i32, Box<str>, Dimension, Box<str>, Option<Box<str>>)>,
    /// Partitions that have passed over one for the first time, and how many may be told apart.
    passed_over: Vec<(i32, usize)>,
}

impl Dimensions {
    pub(super) fn new(most: usize) -> Self {
        Self {
            limit: Limit::new(most),
            values: FxHashMap::default(),
            news: Vec::new(),
            passed_over: Vec::new(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.limit.clear();
        self.values.clear();
        self.news.clear();
        self.passed_over.clear();
    }

    /// Reads what a partition remembers.
    ///
    /// # Errors
    /// When more are to be told apart than can be.
    pub(super) fn restore(&mut self, partition: i32, store: &dyn Store) -> Result<(), Broken> {
        if let Some(record) = store.get(partition, MOST)? {
            self.limit.restore(partition, stored::decode(&record)?)?;
        }
        store.scan(partition, VALUE, &mut |key, _| {
            let (workspace, dimension, value) = split_key(VALUE, key)?;
            if let Some(place) = BOUNDED.iter().position(|bounded| *bounded == dimension) {
                let workspaces = self.values.entry(partition).or_default();
                let values = workspaces.entry(workspace.into()).or_default();
                values[place].see(value, usize::MAX);
            }
            Ok(())
        })
    }

    /// Sees the facts of an event, where it is the first of its timeline that has them, and what it says.
    pub(super) fn see(
        &mut self,
        partition: i32,
        touchpoint: &Touchpoint<'_>,
        has_new_facts: bool,
        more: &More,
    ) {
        if touchpoint.bot {
            return;
        }
        let workspace = touchpoint.workspace;
        if has_new_facts {
            for (dimension, value) in [
                (Dimension::Channel, touchpoint.channel),
                (Dimension::Source, touchpoint.traffic_source),
                (Dimension::Campaign, touchpoint.campaign.name),
                (Dimension::DeviceType, touchpoint.device_type),
                (Dimension::Store, touchpoint.store),
            ] {
                self.add(partition, workspace, dimension, value);
            }
        }
        if let Some(email) = &more.email {
            self.add(partition, workspace, Dimension::Campaign, &email.campaign);
        }
        for line in touchpoint.order.iter().flat_map(|order| &order.lines) {
            self.add(partition, workspace, Dimension::Product, line.product_id);
        }
        for says in &more.says {
            match says {
                Says::Answer {
                    question,
                    product,
                    touchpoint,
                    ..
                } => {
                    for (dimension, value) in [
                        (Dimension::Question, question),
                        (Dimension::Product, product),
                        (Dimension::Touchpoint, touchpoint),
                    ] {
                        self.add(partition, workspace, dimension, value);
                    }
                }
                Says::Reported(reported) => {
                    for (dimension, value) in [
                        (Dimension::Network, &reported.network),
                        (Dimension::Post, &reported.post),
                        (Dimension::Influencer, &reported.influencer),
                    ] {
                        self.add(partition, workspace, dimension, value);
                    }
                }
                Says::Mentioned([network, post, influencer, _]) => {
                    for (dimension, value) in [
                        (Dimension::Network, network),
                        (Dimension::Post, post),
                        (Dimension::Influencer, influencer),
                    ] {
                        self.add(partition, workspace, dimension, value);
                    }
                }
                Says::Lead(_) | Says::Points(_) | Says::Spend(..) => {}
            }
        }
    }

    fn add(&mut self, partition: i32, workspace: &str, dimension: Dimension, value: &str) {
        let value = value.split('\0').next().unwrap_or_default();
        let Some(place) = BOUNDED.iter().position(|bounded| *bounded == dimension) else {
            return;
        };
        if value.is_empty() || value == OTHER {
            return;
        }
        let workspaces = self.values.entry(partition).or_default();
        if !workspaces.contains_key(workspace) {
            workspaces.insert(workspace.into(), Default::default());
        }
        let Some(values) = workspaces.get_mut(workspace) else {
            return;
        };
        let seen = values[place].see(value, self.limit.most());
        if seen.passes_over()
            && let Some(most) = self.limit.pass_over(partition)
        {
            self.passed_over.push((partition, most));
        }
        if let Seen::New { displaced } = seen {
            self.news.push((
                partition,
                workspace.into(),
                dimension,
                value.into(),
                displaced,
            ));
        }
    }

    /// Tells the kpi stage, and remembers.
    pub(super) fn tell(&mut self, sending: &mut Sending<'_>) -> Result<(), Broken> {
        for (partition, most) in std::mem::take(&mut self.passed_over) {
            sending.put(partition, MOST, Some(&most))?;
        }
        for (partition, workspace, dimension, value, displaced) in std::mem::take(&mut self.news) {
            sending.value(&workspace, dimension, &value)?;
            let key = |value: &str| stored_key(VALUE, &workspace, dimension, value);
            sending.put(partition, &key(&value), Some(&()))?;
            if let Some(displaced) = displaced {
                sending.put::<()>(partition, &key(&displaced), None)?;
            }
        }
        Ok(())
    }
}
