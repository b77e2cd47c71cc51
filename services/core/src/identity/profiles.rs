//! The profiles of more than one identifier: what is to be known of each to join it with another.

use super::rows::{Bytes, Row, Rows};
use super::store::{NONE, Node, NodeId};
use super::types::Types;

/// How many identifiers of each type, by its place among the rules; at the most that fits, nothing is known.
pub(super) type Counts = [u16; Types::MOST];

#[derive(Clone, Copy, Debug)]
pub(super) struct Profile {
    /// The identifier that gives the profile its id, and the beginning of the ring of its members.
    pub(super) root: NodeId,
    pub(super) size: u32,
    pub(super) counts: Counts,
    /// A link of a member may be refused, for another reason than a hub: then more is linked to it than the profile holds.
    pub(super) troubled: bool,
}

/// All of them. An identifier of its own has none.
#[derive(Debug, Default)]
pub(super) struct Profiles {
    pub(super) all: Rows<Profile>,
    free: Vec<u32>,
}

impl Profiles {
    /// Of these rows, which are yet to be filled.
    pub(super) fn of(all: Rows<Profile>) -> Self {
        Self {
            all,
            free: Vec::new(),
        }
    }

    pub(super) fn root(&self, node: &Node, id: NodeId) -> NodeId {
        match node.profile {
            NONE => id,
            place => self.all[place as usize].root,
        }
    }

    pub(super) fn get(&self, place: u32) -> &Profile {
        &self.all[place as usize]
    }

    pub(super) fn get_mut(&mut self, place: u32) -> &mut Profile {
        self.all.row_mut(place as usize)
    }

    /// Its place.
    pub(super) fn add(&mut self, profile: Profile) -> u32 {
        if let Some(place) = self.free.pop() {
            *self.all.row_mut(place as usize) = profile;
            return place;
        }
        self.all.push(profile);
        u32::try_from(self.all.len() - 1).expect("there are fewer profiles than identifiers")
    }

    /// A member goes; with the last one the profile does.
    pub(super) fn leave(&mut self, place: u32) {
        if place == NONE {
            return;
        }
        let profile = self.all.row_mut(place as usize);
        profile.size -= 1;
        if profile.size == 0 {
            self.free.push(place);
        }
    }

    pub(super) fn remove(&mut self, place: u32) {
        if place != NONE {
            self.all.row_mut(place as usize).size = 0;
            self.free.push(place);
        }
    }

    /// Finds the places that are free, of profiles that came as rows.
    pub(super) fn file(&mut self) {
        let is_free = |place: &u32| self.all[*place as usize].size == 0;
        self.free = (0..self.all.len() as u32).filter(is_free).collect();
    }
}

impl Row for Profile {
    const BYTES: usize = 9 + 2 * Types::MOST;

    fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.root.0.to_le_bytes());
        to.extend_from_slice(&self.size.to_le_bytes());
        for count in self.counts {
            to.extend_from_slice(&count.to_le_bytes());
        }
        to.push(u8::from(self.troubled));
    }

    fn read(bytes: &mut Bytes<'_>) -> Self {
        let (root, size) = (NodeId(bytes.u32()), bytes.u32());
        let counts = std::array::from_fn(|_| bytes.u16());
        let [troubled] = bytes.take();
        Self {
            root,
            size,
            counts,
            troubled: troubled != 0,
        }
    }
}
