//! A profile held decoded.

use rustc_hash::FxHashMap;
use tributary_contracts::framing;
use tributary_contracts::wire;
use tributary_core::ids::ProfileId;
use tributary_core::profile::{Atom, Contributions, Definitions, Fold};
use uuid::Uuid;

use crate::recent::Weight;
use crate::runtime::stage::{Broken, Store};
use crate::state_record;

use super::sums::Nowhere;
use super::translate;

/// What begins the keys of atoms in the store.
const ATOM: u8 = b'a';
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
        // A look-up of a key that is not there is much cheaper than a scan, and most profiles begin as new ones.
        let Some(revision) = Self::stored_revision(partition, id, store)? else {
            return Ok(Self::default());
        };
        let atoms = StoredAtom::all(partition, id, store)?;
        let hot = Self::folded(&atoms, definitions, &mut Nowhere)?;
        Ok(Self { revision, ..hot })
    }

    /// The revision of a profile's record; none where there was never one.
    pub(super) fn stored_revision(
        partition: i32,
        id: ProfileId,
        store: &dyn Store,
    ) -> Result<Option<i64>, Broken> {
        let record = store.get(partition, &profile_key(id))?;
        let state = record.as_deref().map(state_record::decode).transpose()?;
        Ok(state.map(|state| state.revision))
    }

    /// What these atoms make.
    pub(super) fn folded(
        atoms: &[StoredAtom],
        definitions: &Definitions,
        contributions: &mut impl Contributions,
    ) -> Result<Self, Broken> {
        let mut hot = Self::default();
        for atom in atoms {
            hot.apply(&atom.id, Some(&atom.message), definitions, contributions)?;
        }
        hot.fold.tell(definitions, contributions);
        Ok(hot)
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

/// An atom in the store.
#[derive(Debug)]
pub(super) struct StoredAtom {
    id: Box<str>,
    message: Box<[u8]>,
}

impl StoredAtom {
    /// Those of a profile.
    pub(super) fn all(
        partition: i32,
        profile: ProfileId,
        store: &dyn Store,
    ) -> Result<Vec<Self>, Broken> {
        let prefix = atom_key(profile, "");
        let mut atoms = Vec::new();
        store.scan(partition, &prefix, &mut |key, record| {
            let id = std::str::from_utf8(&key[prefix.len()..])
                .map_err(|_| Broken("an atom's id is not text".into()))?;
            atoms.push(Self {
                id: id.into(),
                message: state_record::decode(record)?.body.into(),
            });
            Ok(())
        })?;
        Ok(atoms)
    }

    pub(super) fn workspace(&self) -> Result<String, Broken> {
        let atom: wire::Atom<'_> = framing::decode(&self.message)
            .map_err(|error| Broken(format!("a stored atom {error}")))?;
        Ok(atom.workspace.to_owned())
    }
}

/// The first profile behind another that has atoms.
pub(super) fn next_profile(
    partition: i32,
    after: Option<ProfileId>,
    store: &dyn Store,
) -> Result<Option<ProfileId>, Broken> {
    let mut behind = vec![ATOM];
    if let Some(after) = after {
        behind.extend(after.0.as_bytes());
        // Behind all its atoms, whose ids are text.
        behind.push(u8::MAX);
    }
    let Some(key) = store.next_key(partition, &[ATOM], &behind)? else {
        return Ok(None);
    };
    let id = key.get(1..17).map(Uuid::from_slice);
    match id {
        Some(Ok(id)) => Ok(Some(ProfileId(id))),
        _ => Err(Broken("a stored atom has no profile".to_owned())),
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
