//! The touchpoints of a flush, byte for byte, until they are sent with their decision: one buffer for all of them.

use std::num::NonZeroU32;

/// Memory that is kept from one flush to the next; the rest is given back.
const KEPT: usize = 64 * 1024 * 1024;

/// Framed touchpoints, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    bytes: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
}

/// Which of them it is, from 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(NonZeroU32);

impl Waiting {
    pub(super) fn add(&mut self, touchpoint: &[u8]) -> Place {
        self.bytes.extend_from_slice(touchpoint);
        self.ends.push(self.bytes.len());
        let number = u32::try_from(self.ends.len())
            .ok()
            .and_then(NonZeroU32::new);
        Place(number.expect("a flush has under 2^32 touchpoints, and this one"))
    }

    pub(super) fn get(&self, place: Place) -> &[u8] {
        let number = place.0.get() as usize;
        let begin = number.checked_sub(2).map_or(0, |before| self.ends[before]);
        &self.bytes[begin..self.ends[number - 1]]
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        self.ends.clear();
    }
}
