//! The kpi stage: sums differences, and publishes the values at marks that the clock has passed.
//!
//! ```text
//! contributions ──take──> changes by sum ──flush──> blocks of differences ──> kpi_state
//!                                            │                │
//!                 the clock passes a mark ───┴──> dirty blocks ──queue──> values of whole blocks ──> kpis
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
//! Not yet: dimensions are not bounded (`kpi.max_dimension_values`); every value has its sums.

mod clock;
mod publish;
mod queue;
mod series;
mod stored;
mod tally;
mod work;

use rustc_hash::FxHashMap;
use tributary_contracts::framing;
use tributary_contracts::keys;
use tributary_contracts::wire::{Change, Contribution};
use tributary_core::kpi::{Sum, Window};
use tributary_core::time::Timestamp;

use crate::runtime::stage::{self, Broken, Input, Outputs, Poison, Store};
use crate::state_record::{self, StateEncoder};

use self::clock::Clock;
use self::publish::{Records, Values};
use self::queue::Queue;
use self::series::{Slot, changed_ranges};
use self::stored::{BLOCK, CLOCK, FOLDED, StoredBlock, folded_key, read_sum, split_block_key, split_folded_key, sum_body};
use self::tally::Tally;
use self::work::Work;

/// Blocks that a flush publishes, so that a backfill does not hold up the transaction: some 20 ms of work.
const BLOCKS_PER_FLUSH: usize = 2_000;

/// Blocks of one series in a row, so that none waits for another's whole past.
const BLOCKS_PER_TURN: usize = 64;

/// How the stage is set up.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long marks are kept, in milliseconds, by [`Window::ALL`].
    pub keep: [i64; 6],
    /// Differences held decoded; one is 48 bytes.
    pub cached_differences: usize,
}

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
    records: Records,
    state: StateEncoder,
}

impl Stage {
    /// A stage that owns no partitions yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
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

    fn restore(&mut self, partition: i32, store: &dyn Store) -> Result<(), Broken> {
        fn key(bytes: &[u8]) -> Result<&str, Broken> {
            std::str::from_utf8(bytes).map_err(|_| Broken("a stored sum's key is not text".to_owned()))
        }
        let unknown = || Broken("a stored sum is of a KPI that this version does not know: upgrade".to_owned());
        store.scan(partition, &[BLOCK], &mut |stored_key, record| {
            let (bytes, window, number) = split_block_key(stored_key)?;
            let stored = StoredBlock::read(record)?;
            let place = self.place(key(bytes)?, partition).ok_or_else(unknown)?;
            let series = &mut self.tallies[place].series[window.index()];
            let slot = Slot {
                net: stored.block.net(),
                revision: stored.revision,
                published: stored.published,
                stored: !stored.block.differences().is_empty(),
            };
            series.slots.insert(number, slot);
            if stored.dirty {
                series.dirty.insert(number);
                self.queue.add(place, window, series);
            }
            self.oldest[window.index()] = self.oldest[window.index()].min(number);
            Ok(())
        })?;
        store.scan(partition, &[FOLDED], &mut |stored_key, record| {
            let (bytes, window) = split_folded_key(stored_key)?;
            let place = self.place(key(bytes)?, partition).ok_or_else(unknown)?;
            self.tallies[place].series[window.index()].folded = read_sum(record)?;
            Ok(())
        })
    }

    /// Finds the series that may have values at marks to come.
    fn find_live(&mut self) {
        for (place, tally) in self.tallies.iter_mut().enumerate() {
            for window in Window::ALL {
                let (passed, series) = (self.clock.passed[window.index()], &mut tally.series[window.index()]);
                let base = series.base(window.block_of(passed));
                series.live = series.lives_after(window, window.block_start(window.block_of(passed)) - 1, base, false);
                if series.live {
                    self.live[window.index()].push(place);
                }
            }
        }
    }

    /// Lets the clock pass marks: blocks that were not yet published up to it become dirty, old ones are folded away.
    fn advance(&mut self, now: Timestamp, outputs: &mut dyn Outputs) -> Result<(), Broken> {
        let before = self.clock;
        self.clock = before.at(now, &self.keep);
        for window in Window::ALL {
            let index = window.index();
            if self.clock.kept[index] > before.kept[index] && self.oldest[index] < self.clock.kept[index] {
                self.fold(window, outputs)?;
            }
            if self.clock.passed[index] == before.passed[index] {
                continue;
            }
            let mut live = std::mem::take(&mut self.live[index]);
            // One that died and came to life again since stands here twice.
            live.sort_unstable();
            live.dedup();
            live.retain(|place| self.tallies[*place].series[index].live);
            for &place in &live {
                let first = window.block_of(before.passed[index].saturating_add(1));
                self.soil(place, window, first, window.block_of(self.clock.passed[index]), outputs)?;
            }
            self.live[index] = live;
        }
        Ok(())
    }

    /// Makes the kept blocks from `first` to `last` dirty.
    fn soil(&mut self, place: usize, window: Window, first: i64, last: i64, store: &dyn Store) -> Result<(), Broken> {
        for number in first.max(self.clock.kept[window.index()])..=last {
            let series = &mut self.tallies[place].series[window.index()];
            if series.dirty.insert(number) {
                series.slots.entry(number).or_default();
                self.queue.add(place, window, series);
                self.work.block((place, window, number), &self.tallies[place], store)?;
                self.oldest[window.index()] = self.oldest[window.index()].min(number);
            }
        }
        Ok(())
    }

    /// Folds blocks that are no longer kept into one sum.
    fn fold(&mut self, window: Window, outputs: &mut dyn Outputs) -> Result<(), Broken> {
        let (index, kept) = (window.index(), self.clock.kept[window.index()]);
        self.oldest[index] = i64::MAX;
        for place in 0..self.tallies.len() {
            let folded = self.tallies[place].series[index].folded;
            while let Some((&number, &slot)) = self.tallies[place].series[index].slots.range(..kept).next() {
                let tally = &mut self.tallies[place];
                let series = &mut tally.series[index];
                series.folded += slot.net;
                series.slots.remove(&number);
                series.dirty.remove(&number);
                self.work.drop((place, window, number));
                outputs.put(tally.partition, &stored::block_key(tally.key.as_bytes(), window, number), None)?;
                if slot.published {
                    let revision = self.clock.now.0.max(slot.revision + 1);
                    self.records.send(tally, window, number, Values::default(), revision, outputs)?;
                }
            }
            if self.tallies[place].series[index].folded != folded {
                self.put_folded(place, window, outputs)?;
            }
            if let Some((&number, _)) = self.tallies[place].series[index].slots.first_key_value() {
                self.oldest[index] = self.oldest[index].min(number);
            }
        }
        Ok(())
    }

    fn put_folded(&mut self, place: usize, window: Window, outputs: &mut dyn Outputs) -> Result<(), Broken> {
        let tally = &self.tallies[place];
        let (key, folded) = (folded_key(tally.key.as_bytes(), window), tally.series[window.index()].folded);
        let record = if folded.is_zero() { None } else { Some(self.state.encode(0, &sum_body(folded)?)?) };
        outputs.put(tally.partition, &key, record)
    }

    /// Adds what a tally took to its blocks, and makes dirty those whose values change.
    fn apply(&mut self, place: usize, window: Window, differences: &[(i64, Sum)], outputs: &mut dyn Outputs) -> Result<(), Broken> {
        let (kept, passed) = (self.clock.kept[window.index()], self.clock.passed[window.index()]);
        let mut folded = false;
        for &(mark, difference) in differences {
            let number = window.block_of(mark);
            if number < kept {
                self.tallies[place].series[window.index()].folded += difference;
                folded = true;
                continue;
            }
            let block = self.work.block((place, window, number), &self.tallies[place], outputs)?;
            block.add(u8::try_from(mark - window.block_start(number)).expect("blocks have fewer than 256 marks"), difference);
            let stored = !block.differences().is_empty();
            let series = &mut self.tallies[place].series[window.index()];
            let slot = series.slots.entry(number).or_default();
            slot.net += difference;
            slot.stored = stored;
            if !stored && !slot.published && !series.dirty.contains(&number) {
                series.slots.remove(&number);
            }
            self.oldest[window.index()] = self.oldest[window.index()].min(number);
        }
        if folded {
            self.put_folded(place, window, outputs)?;
        }
        for (from, to) in changed_ranges(differences) {
            if from <= passed {
                self.soil(place, window, window.block_of(from), window.block_of(passed.min(to - 1)), outputs)?;
            }
            let series = &mut self.tallies[place].series[window.index()];
            if to - 1 > passed && !series.live {
                series.live = true;
                self.live[window.index()].push(place);
            }
        }
        Ok(())
    }

    /// Publishes dirty blocks of a series; returns how many.
    fn publish(&mut self, place: usize, window: Window, outputs: &mut dyn Outputs) -> Result<usize, Broken> {
        let turn = self.tallies[place].series[window.index()].turn(BLOCKS_PER_TURN);
        let mut base = Sum::ZERO;
        let mut summed_to = None;
        for &number in &turn {
            let series = &self.tallies[place].series[window.index()];
            base = match summed_to {
                None => series.base(number),
                Some(before) => {
                    series.slots.range(before..number).for_each(|(_, slot)| base += slot.net);
                    base
                }
            };
            summed_to = Some(number);
            self.publish_block((place, window, number), base, outputs)?;
        }
        Ok(turn.len())
    }

    fn publish_block(&mut self, (place, window, number): work::Place, base: Sum, outputs: &mut dyn Outputs) -> Result<(), Broken> {
        let marks = self.clock.passed_of(window, number);
        let block = self.work.block((place, window, number), &self.tallies[place], outputs)?;
        let values = Values::of(&self.tallies[place], block, base, marks);
        let differences_after = block.differences().last().is_some_and(|(offset, _)| i64::from(*offset) >= marks);
        let (empty, last) = (values.is_empty(), values.last);
        let slot = self.tallies[place].series[window.index()].slots.get(&number).copied().unwrap_or_default();
        let mut revision = slot.revision;
        if !empty || slot.published {
            // Later than any record of this block before, also of one that was forgotten since.
            revision = self.clock.now.0.max(slot.revision + 1);
            self.records.send(&self.tallies[place], window, number, values, revision, outputs)?;
        }
        let series = &mut self.tallies[place].series[window.index()];
        series.dirty.remove(&number);
        if slot.stored || !empty {
            series.slots.insert(number, Slot { revision, published: !empty, ..slot });
        } else {
            series.slots.remove(&number);
        }
        let passed = self.clock.passed[window.index()];
        if number == window.block_of(passed) && series.live && !series.lives_after(window, passed, last, differences_after) {
            series.live = false;
        }
        Ok(())
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
        let mut times = Vec::new();
        for &partition in partitions {
            if let Some(record) = store.get(partition, CLOCK)? {
                times.push(Timestamp(state_record::decode(&record)?.revision));
            }
            self.restore(partition, store)?;
        }
        // Marks since the earliest were perhaps not published; revisions go on after the latest.
        if let (Some(earliest), Some(latest)) = (times.iter().min(), times.iter().max()) {
            self.clock = Clock { now: *latest, ..Clock::UNKNOWN.restored(*earliest) };
            self.find_live();
        }
        Ok(())
    }

    fn take(&mut self, input: &Input<'_>, _store: &dyn Store) -> Result<(), Poison> {
        let poison = |detail: String| Poison { reason: "malformed", detail };
        let message = input.value.ok_or_else(|| poison("a contribution has no value".to_owned()))?;
        let contribution: Contribution<'_> =
            framing::decode(message).map_err(|error| poison(format!("the contribution {error}")))?;
        let Contribution { workspace, kpi, currency, dimension, dimension_value, changes } = contribution;
        let key = keys::joined(&[workspace, kpi, currency, dimension, dimension_value]);
        let key = std::str::from_utf8(&key).expect("text joined by NUL is text");
        let place = self
            .place(key, input.partition)
            .ok_or_else(|| poison("the contribution is to a KPI that this version does not know: upgrade".to_owned()))?;
        let changes: Option<Vec<_>> = changes.iter().map(taken).collect();
        let changes = changes.ok_or_else(|| poison("a change's window or mark is out of range".to_owned()))?;
        let tally = &mut self.tallies[place];
        if tally.taken.is_empty() && !changes.is_empty() {
            self.taken.push(place);
        }
        tally.taken.extend(changes);
        Ok(())
    }

    fn due(&self, now: Timestamp) -> bool {
        let clock = self.clock.at(now, &self.keep);
        let passed = |index: usize| clock.passed[index] > self.clock.passed[index] && !self.live[index].is_empty();
        let aged = |index: usize| clock.kept[index] > self.clock.kept[index].max(self.oldest[index]);
        self.queue.ready(clock.now) || (0..6).any(|index| passed(index) || aged(index))
    }

    fn flush(&mut self, now: Timestamp, outputs: &mut dyn Outputs) -> Result<bool, Broken> {
        self.advance(now, outputs)?;
        for place in std::mem::take(&mut self.taken) {
            let differences = self.tallies[place].differences();
            for window in Window::ALL {
                self.apply(place, window, &differences[window.index()], outputs)?;
            }
        }
        let mut published = 0;
        while published < BLOCKS_PER_FLUSH
            && let Some((place, window)) = self.queue.next(self.clock.now)
        {
            published += self.publish(place, window, outputs)?;
            let series = &mut self.tallies[place].series[window.index()];
            self.queue.after_turn(place, window, series, self.clock.now);
        }
        for partition in self.work.write(&self.tallies, outputs)? {
            outputs.put(partition, CLOCK, Some(self.state.encode(self.clock.now.0, b"")?))?;
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
    let sum = Sum { numerator: i128::from(change.numerator), denominator: change.denominator };
    (change.mark.abs() <= FARTHEST).then_some((window, change.mark, sum))
}

#[cfg(test)]
mod tests;
