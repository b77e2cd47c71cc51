//! Beginning again from the store.

use tributary_core::kpi::Window;

use crate::runtime::stage::{Broken, Store};

use super::Stage;
use super::buzz::HOURS;
use super::series::Slot;
use super::stored::{BLOCK, FOLDED, StoredBlock, read_sum, split_block_key, split_folded_key};

impl Stage {
    pub(super) fn restore(&mut self, partition: i32, store: &dyn Store) -> Result<(), Broken> {
        fn key(bytes: &[u8]) -> Result<&str, Broken> {
            std::str::from_utf8(bytes)
                .map_err(|_| Broken("a stored sum's key is not text".to_owned()))
        }
        let unknown = || {
            Broken("a stored sum is of a KPI that this version does not know: upgrade".to_owned())
        };
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
        store.scan(partition, &[HOURS], &mut |stored_key, record| {
            self.buzz.restore(stored_key, record)
        })?;
        store.scan(partition, &[FOLDED], &mut |stored_key, record| {
            let (bytes, window) = split_folded_key(stored_key)?;
            let place = self.place(key(bytes)?, partition).ok_or_else(unknown)?;
            self.tallies[place].series[window.index()].folded = read_sum(record)?;
            Ok(())
        })
    }

    /// Finds the series that may have values at marks to come.
    pub(super) fn find_live(&mut self) {
        for (place, tally) in self.tallies.iter_mut().enumerate() {
            for window in Window::ALL {
                let (passed, series) = (
                    self.clock.passed[window.index()],
                    &mut tally.series[window.index()],
                );
                let base = series.base(window.block_of(passed));
                series.live = series.lives_after(
                    window,
                    window.block_start(window.block_of(passed)) - 1,
                    base,
                    false,
                );
                if series.live {
                    self.live[window.index()].push(place);
                }
            }
        }
    }
}
