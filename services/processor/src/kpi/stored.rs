//! How blocks lie in the store.

use serde::{Deserialize, Serialize};
use tributary_core::kpi::{Block, Sum, Window};

use crate::runtime::stage::Broken;
use crate::state_record;

/// What begins the keys of blocks.
pub(super) const BLOCK: u8 = b'b';
/// What begins the keys of sums of blocks that are no longer kept.
pub(super) const FOLDED: u8 = b'f';
/// The key of the latest time that the partition's values were published at.
pub(super) const CLOCK: &[u8] = b"c";

/// A block as it is stored.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct StoredBlock {
    /// Of its last published record.
    pub(super) revision: i64,
    /// Whether that record holds values.
    pub(super) published: bool,
    /// Whether values changed since.
    pub(super) dirty: bool,
    /// Its differences.
    pub(super) block: Block,
}

/// The same as bytes: differences as (offset, numerator, denominator).
#[derive(Serialize, Deserialize)]
struct Layout {
    flags: u8,
    differences: Vec<(u8, i128, i64)>,
}

const PUBLISHED: u8 = 1;
const DIRTY: u8 = 2;

impl StoredBlock {
    /// The body of its state record, whose revision is the block's.
    pub(super) fn body(&self) -> Result<Vec<u8>, Broken> {
        let flags = if self.published { PUBLISHED } else { 0 } | if self.dirty { DIRTY } else { 0 };
        let differences = self
            .block
            .differences()
            .iter()
            .map(|(offset, sum)| (*offset, sum.numerator, sum.denominator))
            .collect();
        postcard::to_allocvec(&Layout { flags, differences })
            .map_err(|error| Broken(format!("encode a block: {error}")))
    }

    /// Reads a state record.
    pub(super) fn read(record: &[u8]) -> Result<Self, Broken> {
        let state = state_record::decode(record)?;
        let Layout { flags, differences } = from_bytes(state.body)?;
        let mut block = Block::default();
        for (offset, numerator, denominator) in differences {
            block.add(
                offset,
                Sum {
                    numerator,
                    denominator,
                },
            );
        }
        Ok(Self {
            revision: state.revision,
            published: flags & PUBLISHED != 0,
            dirty: flags & DIRTY != 0,
            block,
        })
    }
}

/// The body of a sum's record.
pub(super) fn sum_body(sum: Sum) -> Result<Vec<u8>, Broken> {
    postcard::to_allocvec(&(sum.numerator, sum.denominator))
        .map_err(|error| Broken(format!("encode a sum: {error}")))
}

/// Reads a sum's record.
pub(super) fn read_sum(record: &[u8]) -> Result<Sum, Broken> {
    let (numerator, denominator) = from_bytes(state_record::decode(record)?.body)?;
    Ok(Sum {
        numerator,
        denominator,
    })
}

fn from_bytes<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Broken> {
    postcard::from_bytes(body)
        .map_err(|error| Broken(format!("a stored sum is malformed: {error}")))
}

/// The store's key of a block.
pub(super) fn block_key(key: &[u8], window: Window, block: i64) -> Vec<u8> {
    let mut stored = Vec::with_capacity(key.len() + 10);
    stored.push(BLOCK);
    stored.extend_from_slice(key);
    stored.push(window.index() as u8);
    stored.extend_from_slice(&block.to_be_bytes());
    stored
}

/// The parts of [`block_key`].
pub(super) fn split_block_key(stored: &[u8]) -> Result<(&[u8], Window, i64), Broken> {
    let (key, block) = stored
        .split_last_chunk()
        .ok_or_else(|| Broken("a stored block has no number".to_owned()))?;
    let (key, window) = split_window(key)?;
    Ok((key, window, i64::from_be_bytes(*block)))
}

/// The store's key of the sum of blocks that are no longer kept.
pub(super) fn folded_key(key: &[u8], window: Window) -> Vec<u8> {
    [&[FOLDED], key, &[window.index() as u8]].concat()
}

/// The parts of [`folded_key`].
pub(super) fn split_folded_key(stored: &[u8]) -> Result<(&[u8], Window), Broken> {
    split_window(stored)
}

fn split_window(stored: &[u8]) -> Result<(&[u8], Window), Broken> {
    match stored {
        [_, key @ .., window] => Window::ALL
            .get(usize::from(*window))
            .map(|window| (key, *window)),
        _ => None,
    }
    .ok_or_else(|| Broken("a stored sum has no window".to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::state_record::StateEncoder;

    proptest! {
        #[test]
        fn blocks_are_read_as_they_were_stored(
            differences in prop::collection::vec((0..168_u8, any::<i64>(), -9..9_i64), 0..20),
            published: bool, dirty: bool, revision in 0..i64::MAX, number: i64, key in "[a-z]{0,9}\0[a-z]{0,9}", index in 0_usize..6,
        ) {
            let mut block = Block::default();
            for (offset, numerator, denominator) in differences {
                block.add(offset, Sum { numerator: i128::from(numerator) * 3, denominator });
            }
            let stored = StoredBlock { revision, published, dirty, block };
            let record = StateEncoder::new().encode(revision, &stored.body().expect("encodes")).expect("encodes").to_vec();
            prop_assert_eq!(StoredBlock::read(&record).expect("reads"), stored);
            let window = Window::ALL[index];
            let stored_key = block_key(key.as_bytes(), window, number);
            prop_assert_eq!(split_block_key(&stored_key).expect("splits"), (key.as_bytes(), window, number));
            let stored_key = folded_key(key.as_bytes(), window);
            prop_assert_eq!(split_folded_key(&stored_key).expect("splits"), (key.as_bytes(), window));
        }
    }

    #[test]
    fn a_record_cut_short_is_an_error() {
        let mut block = Block::default();
        block.add(3, Sum::ONE);
        let body = StoredBlock {
            block,
            ..StoredBlock::default()
        }
        .body()
        .expect("encodes");
        let record = StateEncoder::new()
            .encode(1, &body[..body.len() - 1])
            .expect("encodes")
            .to_vec();
        assert!(StoredBlock::read(&record).is_err());
        assert!(split_block_key(b"b").is_err());
        assert!(split_folded_key(b"fkey\x06").is_err());
    }
}
