//! The blocks that a flush works on: read once, written once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use tributary_core::kpi::{Block, Window};

use crate::recent::{Recent, Weight};
use crate::runtime::stage::{Broken, Outputs, Store};
use crate::state_record::StateEncoder;

use super::stored::{StoredBlock, block_key};
use super::tally::Tally;

/// Number of a tally, window, number of a block.
pub(super) type Place = (usize, Window, i64);

impl Weight for Box<Block> {
    fn weight(&self) -> usize {
        1 + self.differences().len()
    }
}

/// Blocks in work, and those used lately.
#[derive(Debug)]
pub(super) struct Work {
    blocks: BTreeMap<Place, Box<Block>>,
    recent: Recent<Place, Box<Block>>,
    state: StateEncoder,
}

impl Work {
    /// No blocks; about `cached` differences are held besides those in work.
    pub(super) fn new(cached: usize) -> Self {
        Self {
            blocks: BTreeMap::new(),
            recent: Recent::new(cached),
            state: StateEncoder::new(),
        }
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.blocks.clear();
        self.recent.clear();
    }

    /// A block, from now on in work.
    pub(super) fn block(
        &mut self,
        place: Place,
        tally: &Tally,
        store: &dyn Store,
    ) -> Result<&mut Block, Broken> {
        match self.blocks.entry(place) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let (_, window, number) = place;
                let stored = tally.series[window.index()]
                    .slots
                    .get(&number)
                    .is_some_and(|slot| slot.stored);
                let block = match self.recent.take(&place) {
                    Some(block) => block,
                    None if stored => match store.get(
                        tally.partition,
                        &block_key(tally.key.as_bytes(), window, number),
                    )? {
                        Some(record) => Box::new(StoredBlock::read(&record)?.block),
                        None => {
                            return Err(Broken("a block that was stored is not there".to_owned()));
                        }
                    },
                    None => Box::default(),
                };
                Ok(entry.insert(block))
            }
        }
    }

    /// Lets go of a block that is no longer kept.
    pub(super) fn drop(&mut self, place: Place) {
        self.blocks.remove(&place);
        self.recent.take(&place);
    }

    /// Writes all blocks in work. Returns the partitions that were written to.
    pub(super) fn write(
        &mut self,
        tallies: &[Tally],
        outputs: &mut dyn Outputs,
    ) -> Result<Vec<i32>, Broken> {
        let mut partitions = Vec::new();
        for (place, block) in std::mem::take(&mut self.blocks) {
            let (index, window, number) = place;
            let (tally, series) = (&tallies[index], &tallies[index].series[window.index()]);
            let key = block_key(tally.key.as_bytes(), window, number);
            if let Some(slot) = series.slots.get(&number) {
                let dirty = series.dirty.contains(&number);
                let stored = StoredBlock {
                    revision: slot.revision,
                    published: slot.published,
                    dirty,
                    block: *block,
                };
                outputs.put(
                    tally.partition,
                    &key,
                    Some(self.state.encode(slot.revision, &stored.body()?)?),
                )?;
                if slot.stored {
                    self.recent.put(place, Box::new(stored.block));
                }
            } else {
                outputs.put(tally.partition, &key, None)?;
            }
            if !partitions.contains(&tally.partition) {
                partitions.push(tally.partition);
            }
        }
        Ok(partitions)
    }
}
