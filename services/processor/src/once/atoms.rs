//! Atoms that are kept as they were sent, to be compared.

use serde::Deserialize;
use tributary_contracts::framing::{self, Encoder};
use tributary_contracts::keys;
use tributary_contracts::wire::Atom;

use crate::runtime::stage::{Broken, Outputs};

/// Encodes and sends atoms.
#[derive(Debug)]
pub(super) struct Atoms(Encoder);

impl Atoms {
    pub(super) fn new() -> Self {
        Self(Encoder::new("atom"))
    }

    /// Framed. What is kept has revision 0.
    pub(super) fn encode(&mut self, atom: &Atom<'_>) -> Result<Vec<u8>, Broken> {
        let mut buffer = Vec::new();
        self.0
            .encode(atom, &mut buffer)
            .map_err(|error| Broken(format!("encode an atom: {error}")))?;
        Ok(buffer)
    }

    /// Sends what is otherwise than before. An atom that moves is gone here and new there in one transaction.
    pub(super) fn send_change(
        &mut self,
        before: Option<&[u8]>,
        now: Option<&[u8]>,
        revision: i64,
        outputs: &mut dyn Outputs,
    ) -> Result<(), Broken> {
        if before == now {
            return Ok(());
        }
        let old: Option<Atom<'_>> = before.map(kept).transpose()?;
        let new: Option<Atom<'_>> = now.map(kept).transpose()?;
        let stays = |new: &Atom<'_>| {
            old.as_ref()
                .is_some_and(|old| old.profile_id == new.profile_id)
        };
        let leaves = !new.as_ref().is_some_and(stays);
        if let Some(old) = old.filter(|_| leaves) {
            let gone = Atom {
                body: None,
                revision,
                ..old
            };
            self.send(&gone, outputs)?;
        }
        if let Some(new) = new {
            self.send(&Atom { revision, ..new }, outputs)?;
        }
        Ok(())
    }

    fn send(&mut self, atom: &Atom<'_>, outputs: &mut dyn Outputs) -> Result<(), Broken> {
        let owner = atom.profile_id.to_string();
        let partition = keys::partition(
            &keys::joined(&[atom.workspace, &owner]),
            outputs.partitions("atoms"),
        );
        let message = self.encode(atom)?;
        outputs.send(
            "atoms",
            partition,
            &keys::joined(&[atom.workspace, &owner, atom.atom_id]),
            &message,
        )
    }
}

/// A message that was sent.
pub(super) fn kept<'a, T: framing::Message + Deserialize<'a>>(
    message: &'a [u8],
) -> Result<T, Broken> {
    framing::decode(message).map_err(|error| Broken(format!("a message that was kept {error}")))
}
