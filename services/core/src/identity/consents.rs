//! Decisions on being stitched.

use rustc_hash::FxHashMap;

use super::rows::{Bytes, Row, Rows};
use super::store::NodeId;
use crate::time::Timestamp;

/// The latest of each identifier.
#[derive(Debug, Default)]
pub(super) struct Consents {
    pub(super) rows: Rows<Consent>,
    /// Each identifier's place among the rows.
    places: FxHashMap<NodeId, u32>,
}

impl Consents {
    /// Whether it was given; none while nothing is decided.
    pub(super) fn get(&self, node: NodeId) -> Option<bool> {
        let place = *self.places.get(&node)?;
        Some(self.rows[place as usize].granted)
    }

    /// Takes in a decision; whether it is the latest now.
    pub(super) fn decide(&mut self, node: NodeId, at: Timestamp, granted: bool) -> bool {
        let decided = Consent { node, at, granted };
        let Some(place) = self.places.get(&node) else {
            let place = u32::try_from(self.rows.len()).expect("one an identifier at most");
            self.rows.push(decided);
            self.places.insert(node, place);
            return true;
        };
        let known = self.rows[*place as usize];
        // `false < true`, and at equal times the refusal wins.
        let is_later = (known.at, !known.granted) < (at, !granted);
        if is_later {
            *self.rows.row_mut(*place as usize) = decided;
        }
        is_later
    }

    /// Finds the places of decisions that came as rows.
    pub(super) fn file(&mut self) {
        self.places = (0..)
            .zip(self.rows.iter())
            .map(|(place, consent)| (consent.node, place))
            .collect();
    }
}

/// An identifier's latest decision on being stitched. At equal times a refusal wins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Consent {
    node: NodeId,
    at: Timestamp,
    granted: bool,
}

impl Row for Consent {
    const BYTES: usize = 13;

    fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.node.0.to_le_bytes());
        to.extend_from_slice(&self.at.0.to_le_bytes());
        to.push(u8::from(self.granted));
    }

    fn read(bytes: &mut Bytes<'_>) -> Self {
        let (node, at) = (bytes.u32(), i64::from_le_bytes(bytes.take()));
        let [granted] = bytes.take();
        Self {
            node: NodeId(node),
            at: Timestamp(at),
            granted: granted != 0,
        }
    }
}
