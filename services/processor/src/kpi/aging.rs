//! The clock: marks that it passes come to be published, blocks that grow too old are folded away.

use tributary_core::kpi::Window;
use tributary_core::time::Timestamp;

use crate::runtime::stage::{Broken, Outputs};

use super::Stage;
use super::publish::Values;
use super::stored::{block_key, folded_key, sum_body};

impl Stage {
    /// Lets the clock pass marks: blocks that were not yet published up to it become dirty, old ones are folded away.
    pub(super) fn advance(
        &mut self,
        now: Timestamp,
        outputs: &mut dyn Outputs,
    ) -> Result<(), Broken> {
        let before = self.clock;
        self.clock = before.at(now, &self.keep);
        for window in Window::ALL {
            let index = window.index();
            if self.clock.kept[index] > before.kept[index]
                && self.oldest[index] < self.clock.kept[index]
            {
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
                self.soil(
                    place,
                    window,
                    first,
                    window.block_of(self.clock.passed[index]),
                    outputs,
                )?;
            }
            self.live[index] = live;
        }
        Ok(())
    }

    /// Folds blocks that are no longer kept into one sum.
    pub(super) fn fold(&mut self, window: Window, outputs: &mut dyn Outputs) -> Result<(), Broken> {
        let (index, kept) = (window.index(), self.clock.kept[window.index()]);
        self.oldest[index] = i64::MAX;
        for place in 0..self.tallies.len() {
            let folded = self.tallies[place].series[index].folded;
            while let Some((&number, &slot)) =
                self.tallies[place].series[index].slots.range(..kept).next()
            {
                let tally = &mut self.tallies[place];
                let series = &mut tally.series[index];
                series.folded += slot.net;
                series.slots.remove(&number);
                series.dirty.remove(&number);
                self.work.drop((place, window, number));
                outputs.put(
                    tally.partition,
                    &block_key(tally.key.as_bytes(), window, number),
                    None,
                )?;
                if slot.published {
                    let revision = self.clock.now.0.max(slot.revision + 1);
                    self.records.send(
                        tally,
                        window,
                        number,
                        Values::default(),
                        revision,
                        outputs,
                    )?;
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

    pub(super) fn put_folded(
        &mut self,
        place: usize,
        window: Window,
        outputs: &mut dyn Outputs,
    ) -> Result<(), Broken> {
        let tally = &self.tallies[place];
        let (key, folded) = (
            folded_key(tally.key.as_bytes(), window),
            tally.series[window.index()].folded,
        );
        let record = if folded.is_zero() {
            None
        } else {
            Some(self.state.encode(0, &sum_body(folded)?)?)
        };
        outputs.put(tally.partition, &key, record)
    }
}
