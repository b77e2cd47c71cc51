//! Which values of a dimension have sums of their own; the rest is `other`.

use std::collections::BTreeMap;

use tributary_contracts::keys;
use tributary_core::kpi::{Dimension, Kpi, Sum, Window};

use crate::runtime::stage::{Broken, Outputs, Store};
use crate::state_record::{self, StateEncoder};
use crate::values::{Limit, OTHER, Seen, Values, bounded, split_key, stored_key};

use super::{Report, Reported, Stage};

/// What begins the keys of values in the store.
const VALUE: &[u8] = b"v";

/// The key of how many are told apart where something is counted as `other`.
const MOST: &[u8] = b"m";

/// Values by partition, workspace and dimension.
pub(super) struct Dimensions {
    limit: Limit,
    values: BTreeMap<(i32, Dimension), BTreeMap<Box<str>, Values>>,
    /// Values whose sums are to be added to those of `other`.
    displaced: Vec<Displaced>,
    /// What is new: records to be stored, by their revision, or deleted.
    news: Vec<(i32, Vec<u8>, Option<i64>)>,
    state: StateEncoder,
    report: Report,
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
    pub(super) fn new(most: usize, report: Report) -> Self {
        Self {
            limit: Limit::new(most),
            values: BTreeMap::new(),
            displaced: Vec::new(),
            news: Vec::new(),
            state: StateEncoder::new(),
            report,
        }
    }

    pub(super) fn clear(&mut self) {
        self.limit.clear();
        self.values.clear();
        self.displaced.clear();
        self.news.clear();
    }

    /// Reads what a partition tells apart.
    ///
    /// # Errors
    /// When more are to be told apart than can be.
    pub(super) fn restore(&mut self, partition: i32, store: &dyn Store) -> Result<(), Broken> {
        if let Some(record) = store.get(partition, MOST)? {
            let before = usize::try_from(state_record::decode(&record)?.revision)
                .map_err(|_| Broken("a stored number of values is less than 0".to_owned()))?;
            self.limit.restore(partition, before)?;
        }
        store.scan(partition, VALUE, &mut |key, _| {
            let (workspace, dimension, value) = split_key(VALUE, key)?;
            let values = self.values.entry((partition, dimension)).or_default();
            let values = values.entry(workspace.into()).or_default();
            values.see(value, usize::MAX);
            Ok(())
        })?;
        for ((of, dimension), workspaces) in &mut self.values {
            for (workspace, values) in workspaces.iter_mut().filter(|_| *of == partition) {
                while let Some(value) = values.shrink(self.limit.most()) {
                    self.news.push((
                        partition,
                        stored_key(VALUE, workspace, *dimension, &value),
                        None,
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
        if self
            .displaced
            .iter()
            .any(|value| value.partition == partition)
        {
            self.pass_over(partition);
        }
        Ok(())
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
        let most = self.limit.most();
        let workspaces = self.values.entry((partition, dimension)).or_default();
        let seen = match workspaces.get_mut(workspace) {
            Some(values) => values.see(value, most),
            None => {
                let mut values = Values::default();
                let seen = values.see(value, most);
                workspaces.insert(workspace.into(), values);
                seen
            }
        };
        match seen {
            Seen::Known => value,
            Seen::Other => {
                self.pass_over(partition);
                (self.report)(Reported::Overflow(workspace, dimension.name()));
                OTHER
            }
            Seen::New { displaced } => {
                self.news.push((
                    partition,
                    stored_key(VALUE, workspace, dimension, value),
                    Some(0),
                ));
                if let Some(displaced) = displaced {
                    self.pass_over(partition);
                    (self.report)(Reported::Overflow(workspace, dimension.name()));
                    self.news.push((
                        partition,
                        stored_key(VALUE, workspace, dimension, &displaced),
                        None,
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

    fn pass_over(&mut self, partition: i32) {
        if let Some(most) = self.limit.pass_over(partition) {
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            self.news.push((partition, MOST.to_vec(), Some(most)));
        }
    }

    /// Whether sums are to be added to those of `other`.
    pub(super) fn due(&self) -> bool {
        !self.displaced.is_empty()
    }

    /// Stores what is new.
    fn write(&mut self, outputs: &mut dyn Outputs) -> Result<(), Broken> {
        for (partition, key, revision) in std::mem::take(&mut self.news) {
            let record = match revision {
                Some(revision) => Some(self.state.encode(revision, b"")?),
                None => None,
            };
            outputs.put(partition, &key, record)?;
        }
        Ok(())
    }
}

impl Stage {
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
                let is_added = adds_up(tally.kpi);
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

/// Whether the sums of several values mean something: of who saw several posts they do not.
pub(super) const fn adds_up(kpi: Kpi) -> bool {
    !matches!(kpi, Kpi::SocialReach | Kpi::SocialEngagementRate)
}
