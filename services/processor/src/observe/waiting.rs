//! The touchpoints of a flush, byte for byte, until they are sent with their decision: one buffer for all of them.

/// Memory that is kept from one flush to the next; the rest is given back.
const KEPT: usize = 64 * 1024 * 1024;

/// Framed touchpoints, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Waiting(Vec<u8>);

/// Where one of them stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    start: usize,
    length: usize,
}

impl Waiting {
    pub(super) fn add(&mut self, touchpoint: &[u8]) -> Place {
        let start = self.0.len();
        self.0.extend_from_slice(touchpoint);
        Place {
            start,
            length: touchpoint.len(),
        }
    }

    pub(super) fn get(&self, place: Place) -> &[u8] {
        &self.0[place.start..place.start + place.length]
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
        self.0.shrink_to(KEPT);
    }
}
