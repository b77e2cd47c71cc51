//! The kpi stage: sums differences, and publishes the values at marks that the clock has passed.
//!
//! ```text
//! contributions ──take──> changes by sum ──flush──> blocks of differences ──> kpi_state
//!                                            │                │
//!                 the clock passes a mark ───┼──> dirty blocks ──queue──> values of whole blocks ──> kpis
//!                                            └──> negative mentions by hour ──> alerts
//! ```
//!
//! A value is the sum of all differences up to its mark: of the nets of all blocks before, which are in memory, and of
//! its own block's, which is read when it is needed. A change makes dirty only the blocks in which values change; a
//! record states all values of a block, so whatever happened before it, the latest is right. Each series (a sum in a
//! window) is published once a second at most, and a flush publishes a bounded number of blocks; what is left is held
//! back, marked so in the store. If the stage fails, it starts again from there.
//!
//! Blocks that are no longer kept are folded into one sum, published once more as empty, and forgotten.
//!
//! Of a dimension only so many values have sums of their own; the rest is `other`, also what they were before (adr/0018).

mod aging;
mod buzz;
mod change;
mod clock;
mod dimensions;
mod publish;
mod queue;
mod restore;
mod series;
mod stored;
mod tally;
mod turn;
mod work;

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;
use tributary_contracts::framing;
use tributary_contracts::keys;
use tributary_contracts::wire::{Change, Contribution};
use tributary_core::kpi::{Kpi, Sum, Window};
use tributary_core::time::Timestamp;

use crate::runtime::stage::{self, Broken, Input, Outputs, Poison, Store};
use crate::state_record::{self, StateEncoder};
use crate::values::{Limits, OTHER};

use self::buzz::Buzz;
use self::clock::Clock;
use self::dimensions::Dimensions;
use self::publish::Records;
use self::queue::Queue;
use self::stored::CLOCK;
use self::tally::Tally;
use self::work::Work;

/// Blocks that a flush publishes, so that a backfill does not hold up the transaction: some 20 ms of work.
const BLOCKS_PER_FLUSH: usize = 2_000;

/// How the stage is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long marks are kept, in milliseconds, by [`Window::ALL`].
    pub keep: [i64; 6],
    /// Differences held decoded; one is 48 bytes.
    pub cached_differences: usize,
    /// Which values of a dimension are told apart.
    pub limits: Limits,
}

/// Something that operations should see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported<'a> {
    /// Of a workspace: whether an alert of bad buzz stands.
    BadBuzz(&'a str, bool),
    /// Of a workspace a dimension with more values than are told apart.
    Overflow(&'a str, &'a str),
}

/// Where it is told.
pub type Report = std::sync::Arc<dyn Fn(Reported<'_>) + Send + Sync>;

/// The kpi stage.
#[derive(Debug)]
pub struct Stage {
    keep: [i64; 6],
    clock: Clock,
    places: FxHashMap<Box<str>, usize>,
    tallies: Vec<Tally>,
    /// Tallies that changed since the last flush.
    taken: Vec<usize>,
    /// By window: tallies that may have values at the next marks.
    live: [Vec<usize>; 6],
    /// By window: no block is older.
    oldest: [i64; 6],
    queue: Queue,
    work: Work,
    buzz: Buzz,
    dimensions: Dimensions,
    records: Records,
    state: StateEncoder,
}

impl Stage {
    /// A stage that owns no partitions yet.
    #[must_use]
    pub fn new(options: Options, report: Report) -> Self {
        Self {
            keep: options.keep,
            clock: Clock::UNKNOWN,
            places: FxHashMap::default(),
            tallies: Vec::new(),
            taken: Vec::new(),
            live: Default::default(),
            oldest: [i64::MAX; 6],
            queue: Queue::default(),
            work: Work::new(options.cached_differences),
            buzz: Buzz::new(report.clone()),
            dimensions: Dimensions::new(options.limits, report),
            records: Records::new(),
            state: StateEncoder::new(),
        }
    }

    fn place(&mut self, key: &str, partition: i32) -> Option<usize> {
        if let Some(place) = self.places.get(key) {
            return Some(*place);
        }
        self.tallies.push(Tally::new(key, partition)?);
        self.places.insert(key.into(), self.tallies.len() - 1);
        Some(self.tallies.len() - 1)
    }
}

impl stage::Stage for Stage {
    fn name(&self) -> &'static str {
        "kpi"
    }

    fn input(&self) -> &'static str {
        "contributions"
    }

    fn changelog(&self) -> &'static str {
        "kpi_state"
    }

    fn assigned(&mut self, partitions: &[i32], store: &dyn Store) -> Result<(), Broken> {
        self.clock = Clock::UNKNOWN;
        self.places.clear();
        self.tallies.clear();
        self.taken.clear();
        self.live = Default::default();
        self.oldest = [i64::MAX; 6];
        self.queue = Queue::default();
        self.work.clear();
        self.buzz.clear();
        self.dimensions.clear();
        let (mut times, mut unable) = (Vec::new(), BTreeSet::new());
        for &partition in partitions {
            if let Some(record) = store.get(partition, CLOCK)? {
                times.push(Timestamp(state_record::decode(&record)?.revision));
            }
            self.restore(partition, store)?;
            let counted = self.counted(partition);
            unable.extend(self.dimensions.restore(partition, &counted, store)?);
        }
        if !unable.is_empty() {
            return Err(dimensions::unable(&unable));
        }
        // Marks since the earliest were perhaps not published; revisions go on after the latest.
        if let (Some(earliest), Some(latest)) = (times.iter().min(), times.iter().max()) {
            self.clock = Clock {
                now: *latest,
                ..Clock::UNKNOWN.restored(*earliest)
            };
            self.find_live();
        }
        Ok(())
    }

    fn take(&mut self, input: &Input<'_>, _store: &dyn Store) -> Result<(), Poison> {
        let poison = |detail: String| Poison {
            reason: "malformed",
            detail,
        };
        let message = input
            .value
            .ok_or_else(|| poison("a contribution has no value".to_owned()))?;
        let contribution: Contribution<'_> = framing::decode(message)
            .map_err(|error| poison(format!("the contribution {error}")))?;
        let Contribution {
            workspace,
            kpi,
            currency,
            dimension,
            dimension_value,
            changes,
        } = contribution;
        let counted_as =
            self.dimensions
                .see(input.partition, workspace, dimension, dimension_value);
        // A value that a dimension has, and nothing counts in it.
        if kpi.is_empty() {
            return Ok(());
        }
        if counted_as == OTHER && Kpi::named(kpi).is_some_and(|kpi| !kpi.adds_up()) {
            return Ok(());
        }
        let key = keys::joined(&[workspace, kpi, currency, dimension, counted_as]);
        let key = std::str::from_utf8(&key).expect("text joined by NUL is text");
        let place = self.place(key, input.partition).ok_or_else(|| {
            poison(
                "the contribution is to a KPI that this version does not know: upgrade".to_owned(),
            )
        })?;
        let changes: Option<Vec<_>> = changes.iter().map(taken).collect();
        let changes = changes
            .ok_or_else(|| poison("a change's window or mark is out of range".to_owned()))?;
        let tally = &mut self.tallies[place];
        if tally.taken.is_empty() && !changes.is_empty() {
            self.taken.push(place);
        }
        tally.taken.extend(changes);
        Ok(())
    }

    fn due(&self, now: Timestamp) -> bool {
        let clock = self.clock.at(now, &self.keep);
        let passed = |index: usize| {
            clock.passed[index] > self.clock.passed[index] && !self.live[index].is_empty()
        };
        let aged =
            |index: usize| clock.kept[index] > self.clock.kept[index].max(self.oldest[index]);
        self.queue.ready(clock.now)
            || self.dimensions.due()
            || self.buzz.due(clock.passed[Window::Hour.index()])
            || (0..6).any(|index| passed(index) || aged(index))
    }

    fn flush(&mut self, now: Timestamp, outputs: &mut dyn Outputs) -> Result<bool, Broken> {
        self.advance(now, outputs)?;
        for place in std::mem::take(&mut self.taken) {
            self.buzz.count(&self.tallies[place]);
            let differences = self.tallies[place].differences();
            for window in Window::ALL {
                self.apply(place, window, &differences[window.index()], outputs)?;
            }
        }
        self.displace(outputs)?;
        let mut published = 0;
        while published < BLOCKS_PER_FLUSH
            && let Some((place, window)) = self.queue.next(self.clock.now)
        {
            published += self.publish(place, window, outputs)?;
            let series = &mut self.tallies[place].series[window.index()];
            self.queue.after_turn(place, window, series, self.clock.now);
        }
        let watched = self
            .buzz
            .look(self.clock.passed[Window::Hour.index()], outputs)?;
        let worked = self.work.write(&self.tallies, outputs)?;
        for partition in watched.into_iter().chain(worked) {
            outputs.put(
                partition,
                CLOCK,
                Some(self.state.encode(self.clock.now.0, b"")?),
            )?;
        }
        Ok(!self.queue.is_empty())
    }
}

/// A change as it is taken; none if it cannot be one.
fn taken(change: &Change) -> Option<(Option<Window>, i64, Sum)> {
    // Year 300,000: far beyond any time, far from where sums of marks overflow.
    const FARTHEST: i64 = 1 << 37;
    let window = match change.window {
        0 => None,
        number => Some(*Window::ALL.get(usize::try_from(number - 1).ok()?)?),
    };
    let sum = Sum {
        numerator: i128::from(change.numerator),
        denominator: change.denominator,
    };
    (change.mark.abs() <= FARTHEST).then_some((window, change.mark, sum))
}

#[cfg(test)]
mod tests;
