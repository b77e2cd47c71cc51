//! The profiles of more than one identifier: what is to be known of each to join it with another.

use super::store::{NONE, Node, NodeId};
use super::types::Types;

/// How many identifiers of each type, by its place among the rules; at the most that fits, nothing is known.
pub(super) type Counts = [u16; Types::MOST];

#[derive(Clone, Debug)]
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
    all: Vec<Profile>,
    free: Vec<u32>,
}

impl Profiles {
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
        &mut self.all[place as usize]
    }

    /// Its place.
    pub(super) fn add(&mut self, profile: Profile) -> u32 {
        if let Some(place) = self.free.pop() {
            self.all[place as usize] = profile;
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
        let profile = &mut self.all[place as usize];
        profile.size -= 1;
        if profile.size == 0 {
            self.free.push(place);
        }
    }

    pub(super) fn remove(&mut self, place: u32) {
        if place != NONE {
            self.all[place as usize].size = 0;
            self.free.push(place);
        }
    }
}
