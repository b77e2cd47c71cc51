//! A profile held decoded.

use rustc_hash::FxHashMap;
use tributary_contracts::framing;
use tributary_contracts::wire;
use tributary_core::ids::ProfileId;
use tributary_core::profile::{Atom, Contributions, Definitions, Fold};

use crate::recent::Weight;
use crate::runtime::stage::{Broken, Store};
use crate::state_record;

use super::sums::Nowhere;
use super::translate;

/// What begins the keys of atoms in the store.
pub(super) const ATOM: u8 = b'a';
/// What begins the keys of profiles.
const PROFILE: u8 = b'p';

/// A profile with all it is folded from.
#[derive(Debug, Default)]
pub(super) struct Hot {
    /// Of its record; it outlives the profile's atoms, so that a profile that comes again goes on counting.
    pub(super) revision: i64,
    /// Framed atoms by id.
    pub(super) atoms: FxHashMap<Box<str>, Box<[u8]>>,
    /// What they make.
    pub(super) fold: Fold,
}

impl Weight for Box<Hot> {
    fn weight(&self) -> usize {
        8 + 8 * self.atoms.len() + self.fold.weight()
    }
}

impl Hot {
    /// Reads a profile from the store; one that is not there is empty.
    pub(super) fn load(
        partition: i32,
        id: ProfileId,
        definitions: &Definitions,
        store: &dyn Store,
    ) -> Result<Self, Broken> {
        let mut hot = Self::default();
        // A look-up of a key that is not there is much cheaper than a scan, and most profiles begin as new ones.
        let Some(record) = store.get(partition, &profile_key(id))? else {
            return Ok(hot);
        };
        hot.revision = state_record::decode(&record)?.revision;
        let prefix = atom_key(id, "");
        store.scan(partition, &prefix, &mut |key, record| {
            let atom_id = std::str::from_utf8(&key[prefix.len()..])
                .map_err(|_| Broken("an atom's id is not text".into()))?;
            let message = state_record::decode(record)?.body;
            hot.apply(atom_id, Some(message), definitions, &mut Nowhere)
                .map(drop)
        })?;
        hot.tell(definitions, &mut Nowhere)?;
        Ok(hot)
    }

    /// The workspace that its atoms name; none where it has no atoms.
    pub(super) fn workspace(&self) -> Result<Option<String>, Broken> {
        let Some(message) = self.atoms.values().next() else {
            return Ok(None);
        };
        let atom: wire::Atom<'_> =
            framing::decode(message).map_err(|error| Broken(format!("a stored atom {error}")))?;
        Ok(Some(atom.workspace.to_owned()))
    }

    /// Contributes what follows from the atoms for the profile as a whole.
    pub(super) fn tell(
        &mut self,
        definitions: &Definitions,
        contributions: &mut impl Contributions,
    ) -> Result<(), Broken> {
        let Some(recognition) = self.fold.tell(definitions, contributions) else {
            return Ok(());
        };
        for message in self.atoms.values() {
            if let Atom::Session(session) = stored(message, definitions)? {
                recognition.contribute(&session, contributions);
            }
        }
        Ok(())
    }

    /// Replaces the state of an atom; none takes it away. Returns whether anything changed.
    pub(super) fn apply(
        &mut self,
        atom_id: &str,
        message: Option<&[u8]>,
        definitions: &Definitions,
        contributions: &mut impl Contributions,
    ) -> Result<bool, Broken> {
        let held = self.atoms.get(atom_id);
        let read = |message| stored(message, definitions);
        let before = held.map(|message| read(message)).transpose()?;
        let after = message.map(read).transpose()?;
        if before == after {
            return Ok(false);
        }
        self.fold
            .replace(before.as_ref(), after.as_ref(), definitions, contributions);
        match message {
            Some(message) => self.atoms.insert(atom_id.into(), message.into()),
            None => self.atoms.remove(atom_id),
        };
        Ok(true)
    }
}

/// The core's view of a framed atom that was found good when it came.
pub(super) fn stored<'a>(message: &'a [u8], definitions: &Definitions) -> Result<Atom<'a>, Broken> {
    let atom: wire::Atom<'_> =
        framing::decode(message).map_err(|error| Broken(format!("a stored atom {error}")))?;
    let body = atom
        .body
        .ok_or_else(|| Broken("a stored atom holds nothing".to_owned()))?;
    translate::atom(&body, atom.workspace, definitions)
        .map_err(|error| Broken(format!("{} of a stored atom is out of range", error.0)))
}

/// The store's key of a profile.
pub(super) fn profile_key(id: ProfileId) -> Vec<u8> {
    [&[PROFILE][..], id.0.as_bytes()].concat()
}

/// The store's key of an atom; without an atom id, what the keys of all atoms of the profile begin with.
pub(super) fn atom_key(id: ProfileId, atom_id: &str) -> Vec<u8> {
    [&[ATOM][..], id.0.as_bytes(), atom_id.as_bytes()].concat()
}
