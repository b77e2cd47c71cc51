//! Which values of a dimension have sums of their own; the rest is `other`.

use std::collections::{BTreeMap, BTreeSet};

use tributary_contracts::keys;
use tributary_core::kpi::{Dimension, Sum, Window};

use crate::runtime::stage::{Broken, Outputs, Store};
use crate::state_record::{self, StateEncoder};
use crate::values::{BOUNDED, Limit, Limits, OTHER, Seen, Values, bounded, split_key, stored_key};

use super::{Report, Reported, Stage};

/// What begins the keys of values in the store.
const VALUE: &[u8] = b"v";

/// What begins the keys of the limits by which something is counted as `other`, by dimension.
const LIMIT: &[u8] = b"m";

/// Values by partition, workspace and dimension.
pub(super) struct Dimensions {
    limits: Limits,
    /// By partition and dimension: as configured, or where nothing is counted by the dimension as before, until all that
    /// was is taken back.
    obeyed: BTreeMap<(i32, Dimension), Limit>,
    /// The limits by which a value was passed over, as they are stored.
    passed_over: BTreeMap<(i32, Dimension), Limit>,
    values: BTreeMap<(i32, Dimension), BTreeMap<Box<str>, Values>>,
    /// Values whose sums are to be added to those of `other`.
    displaced: Vec<Displaced>,
    /// What is new, by the key of its record.
    news: Vec<(i32, Vec<u8>, New)>,
    state: StateEncoder,
    report: Report,
}

/// What is to be stored.
#[derive(Debug)]
enum New {
    Value,
    Limit(Limit),
    /// No longer.
    Gone,
}

/// A value that is no longer told apart.
#[derive(Debug)]
struct Displaced {
    partition: i32,
    workspace: Box<str>,
    dimension: Dimension,
    value: Box<str>,
}

impl std::fmt::Debug for Dimensions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Dimensions")
            .field("values", &self.values)
            .finish_non_exhaustive()
    }
}

impl Dimensions {
    pub(super) fn new(limits: Limits, report: Report) -> Self {
        Self {
            limits,
            obeyed: BTreeMap::new(),
            passed_over: BTreeMap::new(),
            values: BTreeMap::new(),
            displaced: Vec::new(),
            news: Vec::new(),
            state: StateEncoder::new(),
            report,
        }
    }

    pub(super) fn clear(&mut self) {
        self.obeyed.clear();
        self.passed_over.clear();
        self.values.clear();
        self.displaced.clear();
        self.news.clear();
    }

    /// Reads what a partition tells apart; `counted` are the dimensions by which its sums are something. Returns those of
    /// which others are to be told apart than can be.
    pub(super) fn restore(
        &mut self,
        partition: i32,
        counted: &BTreeSet<Dimension>,
        store: &dyn Store,
    ) -> Result<Vec<Dimension>, Broken> {
        let (mut unable, mut forgotten) = (Vec::new(), BTreeSet::new());
        for dimension in BOUNDED {
            let place = (partition, dimension);
            let key = limit_key(dimension);
            let record = store.get(partition, &key)?;
            let before = record.map(|record| read_limit(&record)).transpose()?;
            let obeyed = match (self.limits.of(dimension), before) {
                (None, Some(before)) => {
                    self.passed_over.insert(place, before.clone());
                    before
                }
                (None, None) => Limit {
                    most: u64::MAX,
                    ..Limit::default()
                },
                (Some(limit), None) => limit.clone(),
                (Some(limit), Some(before)) if limit.is_within(&before) => {
                    self.passed_over.insert(place, before);
                    limit.clone()
                }
                (Some(limit), Some(_)) => {
                    if counted.contains(&dimension) {
                        unable.push(dimension);
                    } else {
                        // Nothing is counted as `other` any more, nor as anything: it begins anew.
                        self.news.push((partition, key, New::Gone));
                        forgotten.insert(dimension);
                    }
                    limit.clone()
                }
            };
            self.obeyed.insert(place, obeyed);
        }
        store.scan(partition, VALUE, &mut |key, _| {
            let (workspace, dimension, value) = split_key(VALUE, key)?;
            if forgotten.contains(&dimension) {
                self.news.push((partition, key.to_vec(), New::Gone));
            } else if let Some(limit) = self.obeyed.get(&(partition, dimension)) {
                let values = self.values.entry((partition, dimension)).or_default();
                let values = values.entry(workspace.into()).or_default();
                values.restore(value, limit);
            }
            Ok(())
        })?;
        for ((of, dimension), workspaces) in &mut self.values {
            let Some(limit) = self.obeyed.get(&(*of, *dimension)) else {
                continue;
            };
            for (workspace, values) in workspaces.iter_mut().filter(|_| *of == partition) {
                while let Some(value) = values.shrink(limit) {
                    self.news.push((
                        partition,
                        stored_key(VALUE, workspace, *dimension, &value),
                        New::Gone,
                    ));
                    (self.report)(Reported::Overflow(workspace, dimension.name()));
                    self.displaced.push(Displaced {
                        partition,
                        workspace: workspace.clone(),
                        dimension: *dimension,
                        value,
                    });
                }
            }
        }
        let displaced = self.displaced.iter();
        let displaced = displaced.filter(|displaced| displaced.partition == partition);
        let dimensions: BTreeSet<Dimension> = displaced.map(|value| value.dimension).collect();
        for dimension in dimensions {
            self.pass_over(partition, dimension);
        }
        Ok(unable)
    }

    /// Sees a value of a dimension; returns what it is counted as.
    pub(super) fn see<'v>(
        &mut self,
        partition: i32,
        workspace: &str,
        dimension: &str,
        value: &'v str,
    ) -> &'v str {
        let Some(dimension) = bounded(dimension).filter(|_| value != OTHER) else {
            return value;
        };
        let Some(limit) = self.obeyed.get(&(partition, dimension)) else {
            return value;
        };
        let workspaces = self.values.entry((partition, dimension)).or_default();
        let seen = match workspaces.get_mut(workspace) {
            Some(values) => values.see(value, limit),
            None => {
                let mut values = Values::default();
                let seen = values.see(value, limit);
                workspaces.insert(workspace.into(), values);
                seen
            }
        };
        match seen {
            Seen::Known => value,
            Seen::Other => {
                self.pass_over(partition, dimension);
                (self.report)(Reported::Overflow(workspace, dimension.name()));
                OTHER
            }
            Seen::New { displaced } => {
                self.news.push((
                    partition,
                    stored_key(VALUE, workspace, dimension, value),
                    New::Value,
                ));
                if let Some(displaced) = displaced {
                    self.pass_over(partition, dimension);
                    (self.report)(Reported::Overflow(workspace, dimension.name()));
                    self.news.push((
                        partition,
                        stored_key(VALUE, workspace, dimension, &displaced),
                        New::Gone,
                    ));
                    self.displaced.push(Displaced {
                        partition,
                        workspace: workspace.into(),
                        dimension,
                        value: displaced,
                    });
                }
                value
            }
        }
    }

    /// A value of the dimension is counted as `other`.
    fn pass_over(&mut self, partition: i32, dimension: Dimension) {
        let place = (partition, dimension);
        let Some(limit) = self.obeyed.get(&place) else {
            return;
        };
        if self.passed_over.get(&place) != Some(limit) {
            self.passed_over.insert(place, limit.clone());
            self.news
                .push((partition, limit_key(dimension), New::Limit(limit.clone())));
        }
    }

    /// Whether sums are to be added to those of `other`.
    pub(super) fn due(&self) -> bool {
        !self.displaced.is_empty()
    }

    /// Stores what is new.
    fn write(&mut self, outputs: &mut dyn Outputs) -> Result<(), Broken> {
        for (partition, key, new) in std::mem::take(&mut self.news) {
            let body = match new {
                New::Value => Some(Vec::new()),
                New::Limit(limit) => Some(limit_body(&limit)?),
                New::Gone => None,
            };
            let record = body.map(|body| self.state.encode(0, &body).map(<[u8]>::to_vec));
            outputs.put(partition, &key, record.transpose()?.as_deref())?;
        }
        Ok(())
    }
}

fn limit_key(dimension: Dimension) -> Vec<u8> {
    [LIMIT, dimension.name().as_bytes()].concat()
}

fn limit_body(limit: &Limit) -> Result<Vec<u8>, Broken> {
    postcard::to_allocvec(limit)
        .map_err(|error| Broken(format!("encode the limit of a dimension: {error}")))
}

fn read_limit(record: &[u8]) -> Result<Limit, Broken> {
    postcard::from_bytes(state_record::decode(record)?.body)
        .map_err(|error| Broken(format!("read the limit of a dimension: {error}")))
}

/// What to do where others are to be told apart than there are.
pub(super) fn unable(dimensions: &BTreeSet<Dimension>) -> Broken {
    let names: Vec<String> = dimensions
        .iter()
        .map(|dimension| format!("`{}`", dimension.name()))
        .collect();
    let names = names.join(", ");
    Broken(format!(
        "by kpi.max_values and kpi.first_values other values of {names} are to be told apart than there are, and the rest is \
         counted as `other`, which cannot be taken apart. To count anew: take {names} out of kpi.dimensions, start all \
         processors, wait until /settled says 200, then start them with it again. To leave it as it is: set both as they were"
    ))
}

impl Stage {
    /// By which dimensions the sums of a partition are something.
    pub(super) fn counted(&self, partition: i32) -> BTreeSet<Dimension> {
        let of_it = self.tallies.iter();
        let of_it = of_it.filter(|tally| tally.partition == partition && tally.is_something());
        of_it
            .filter_map(|tally| bounded(tally.parts()[3]))
            .collect()
    }

    /// Adds the sums of values that are no longer told apart to those of `other`, after all that was taken for them.
    pub(super) fn displace(&mut self, outputs: &mut dyn Outputs) -> Result<(), Broken> {
        self.dimensions.write(outputs)?;
        for displaced in std::mem::take(&mut self.dimensions.displaced) {
            for place in 0..self.tallies.len() {
                let tally = &self.tallies[place];
                let [workspace, slug, currency, dimension, value] = tally.parts();
                let is_it = tally.partition == displaced.partition
                    && workspace == &*displaced.workspace
                    && dimension == displaced.dimension.name()
                    && value == &*displaced.value;
                if !is_it {
                    continue;
                }
                let key = keys::joined(&[workspace, slug, currency, dimension, OTHER]);
                let key = String::from_utf8(key).expect("text joined by NUL is text");
                let is_added = tally.kpi.adds_up();
                let other = self.place(&key, displaced.partition);
                for window in Window::ALL {
                    let differences = self.differences_of(place, window, outputs)?;
                    let taken_back: Vec<(i64, Sum)> = differences
                        .iter()
                        .map(|(mark, sum)| (*mark, -*sum))
                        .collect();
                    self.apply(place, window, &taken_back, outputs)?;
                    if let Some(other) = other.filter(|_| is_added) {
                        self.apply(other, window, &differences, outputs)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// All that a sum holds in a window, as differences: what is no longer kept stands before the first kept mark.
    fn differences_of(
        &mut self,
        place: usize,
        window: Window,
        store: &dyn Store,
    ) -> Result<Vec<(i64, Sum)>, Broken> {
        let series = &self.tallies[place].series[window.index()];
        let mut differences = Vec::new();
        if !series.folded.is_zero() {
            let first = window.block_start(self.clock.kept[window.index()]);
            differences.push((first - 1, series.folded));
        }
        let blocks: Vec<i64> = series.slots.keys().copied().collect();
        for number in blocks {
            let block = self
                .work
                .block((place, window, number), &self.tallies[place], store)?;
            let start = window.block_start(number);
            differences.extend(
                block
                    .differences()
                    .iter()
                    .map(|(offset, sum)| (start + i64::from(*offset), *sum)),
            );
        }
        Ok(differences)
    }
}
