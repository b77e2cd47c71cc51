//! A series' turn: its dirty blocks are published, or some of them.

use tributary_core::kpi::{Sum, Window};

use crate::runtime::stage::{Broken, Outputs};

use super::Stage;
use super::publish::Values;
use super::series::Slot;
use super::work::Place;

/// Blocks of one series in a row, so that none waits for another's whole past.
pub(super) const BLOCKS_PER_TURN: usize = 64;

impl Stage {
    /// Publishes dirty blocks of a series; returns how many.
    pub(super) fn publish(
        &mut self,
        place: usize,
        window: Window,
        outputs: &mut dyn Outputs,
    ) -> Result<usize, Broken> {
        let turn = self.tallies[place].series[window.index()].turn(BLOCKS_PER_TURN);
        let mut base = Sum::ZERO;
        let mut summed_to = None;
        for &number in &turn {
            let series = &self.tallies[place].series[window.index()];
            base = match summed_to {
                None => series.base(number),
                Some(before) => {
                    series
                        .slots
                        .range(before..number)
                        .for_each(|(_, slot)| base += slot.net);
                    base
                }
            };
            summed_to = Some(number);
            self.publish_block((place, window, number), base, outputs)?;
        }
        Ok(turn.len())
    }

    fn publish_block(
        &mut self,
        (place, window, number): Place,
        base: Sum,
        outputs: &mut dyn Outputs,
    ) -> Result<(), Broken> {
        let marks = self.clock.passed_of(window, number);
        let block = self
            .work
            .block((place, window, number), &self.tallies[place], outputs)?;
        let values = Values::of(&self.tallies[place], block, base, marks);
        let differences_after = block
            .differences()
            .last()
            .is_some_and(|(offset, _)| i64::from(*offset) >= marks);
        let (empty, last) = (values.is_empty(), values.last);
        let slot = self.tallies[place].series[window.index()]
            .slots
            .get(&number)
            .copied()
            .unwrap_or_default();
        let mut revision = slot.revision;
        if !empty || slot.published {
            // Later than any record of this block before, also of one that was forgotten since.
            revision = self.clock.now.0.max(slot.revision + 1);
            self.records.send(
                &self.tallies[place],
                window,
                number,
                values,
                revision,
                outputs,
            )?;
        }
        let series = &mut self.tallies[place].series[window.index()];
        series.dirty.remove(&number);
        if slot.stored || !empty {
            series.slots.insert(
                number,
                Slot {
                    revision,
                    published: !empty,
                    ..slot
                },
            );
        } else {
            series.slots.remove(&number);
        }
        let passed = self.clock.passed[window.index()];
        if number == window.block_of(passed)
            && series.live
            && !series.lives_after(window, passed, last, differences_after)
        {
            series.live = false;
        }
        Ok(())
    }
}
