//! Adding differences, and finding the blocks whose values they change.

use tributary_core::kpi::{Sum, Window};

use crate::runtime::stage::{Broken, Outputs, Store};

use super::Stage;
use super::series::changed_ranges;

impl Stage {
    /// Adds what a tally took to its blocks, and makes dirty those whose values change.
    pub(super) fn apply(
        &mut self,
        place: usize,
        window: Window,
        differences: &[(i64, Sum)],
        outputs: &mut dyn Outputs,
    ) -> Result<(), Broken> {
        let (kept, passed) = (
            self.clock.kept[window.index()],
            self.clock.passed[window.index()],
        );
        let mut folded = false;
        for &(mark, difference) in differences {
            let number = window.block_of(mark);
            if number < kept {
                self.tallies[place].series[window.index()].folded += difference;
                folded = true;
                continue;
            }
            let block = self
                .work
                .block((place, window, number), &self.tallies[place], outputs)?;
            block.add(
                u8::try_from(mark - window.block_start(number))
                    .expect("blocks have fewer than 256 marks"),
                difference,
            );
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
                self.soil(
                    place,
                    window,
                    window.block_of(from),
                    window.block_of(passed.min(to - 1)),
                    outputs,
                )?;
            }
            let series = &mut self.tallies[place].series[window.index()];
            if to - 1 > passed && !series.live {
                series.live = true;
                self.live[window.index()].push(place);
            }
        }
        Ok(())
    }

    /// Makes the kept blocks from `first` to `last` dirty.
    pub(super) fn soil(
        &mut self,
        place: usize,
        window: Window,
        first: i64,
        last: i64,
        store: &dyn Store,
    ) -> Result<(), Broken> {
        for number in first.max(self.clock.kept[window.index()])..=last {
            let series = &mut self.tallies[place].series[window.index()];
            if series.dirty.insert(number) {
                series.slots.entry(number).or_default();
                self.queue.add(place, window, series);
                self.work
                    .block((place, window, number), &self.tallies[place], store)?;
                self.oldest[window.index()] = self.oldest[window.index()].min(number);
            }
        }
        Ok(())
    }
}
