//! The profile stage: folds atoms into profiles, and tells the KPIs what that changes.
//!
//! ```text
//! atoms ──take──> the last state of each atom ──flush──> profiles that changed ──> profiles
//!                                              │              └──> differences, summed ──> contributions
//!                                              └──> atoms, revisions ──> profile_state
//! ```
//!
//! What it keeps of a profile is its atoms; the fold is made of them when a profile is first needed, and held decoded
//! while it is used. If it fails, the atoms since the last commit come again, and give the same.

mod hot;
mod record;
mod sums;
mod translate;

use std::collections::BTreeMap;

use tributary_contracts::framing;
use tributary_contracts::wire;
use tributary_core::ids::ProfileId;
use tributary_core::profile::contribute_goals;
use tributary_core::time::Timestamp;

use crate::recent::Recent;
use crate::runtime::stage::{self, Broken, Input, Outputs, Poison, Store};
use crate::state_record::{self, StateEncoder};

use self::hot::{ATOM, Hot, atom_key, profile_key};
use self::record::Records;
use self::sums::Sums;

/// The store's key of the goals that the contributions so far were made for, NUL between them.
const GOALS: &[u8] = b"g";

/// What an average profile weighs in the cache: a few atoms, an hour or so of active minutes in six dimensions. A unit
/// is about 40 bytes.
const AVERAGE_WEIGHT: usize = 64;

/// How the stage is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Profiles of average size held decoded.
    pub cached_profiles: usize,
    /// Names of the configured goals.
    pub goals: Vec<String>,
}

/// The profile stage.
#[derive(Debug)]
pub struct Stage {
    goals: Vec<Box<str>>,
    /// The last state of each atom since the last flush; none where it is gone.
    taken: BTreeMap<(i32, ProfileId), Taken>,
    hot: Recent<ProfileId, Box<Hot>>,
    /// Partitions whose contributions are of other goals than are configured now.
    outdated: Vec<(i32, Vec<Box<str>>)>,
    sums: Sums,
    records: Records,
    state: StateEncoder,
}

#[derive(Debug)]
struct Taken {
    workspace: Box<str>,
    atoms: BTreeMap<Box<str>, Option<Box<[u8]>>>,
}

impl Stage {
    /// A stage that owns no partitions yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let mut goals: Vec<Box<str>> = options
            .goals
            .into_iter()
            .map(String::into_boxed_str)
            .collect();
        goals.sort_unstable();
        goals.dedup();
        Self {
            goals,
            taken: BTreeMap::new(),
            hot: Recent::new(options.cached_profiles * AVERAGE_WEIGHT),
            outdated: Vec::new(),
            sums: Sums::new(),
            records: Records::new(),
            state: StateEncoder::new(),
        }
    }

    /// Corrects the contributions of a partition's sessions when goals were added or removed in the configuration.
    fn count_by_other_goals(
        &mut self,
        partition: i32,
        before: &[Box<str>],
        outputs: &mut dyn Outputs,
    ) -> Result<(), Broken> {
        let (goals, sums) = (&self.goals, &mut self.sums);
        outputs.scan(partition, &[ATOM], &mut |_, record| {
            let message = state_record::decode(record)?.body;
            let atom: wire::Atom<'_> = framing::decode(message)
                .map_err(|error| Broken(format!("a stored atom {error}")))?;
            contribute_goals(
                &hot::stored(message)?,
                before,
                goals,
                &mut sums.of(atom.workspace),
            );
            Ok(())
        })?;
        outputs.put(
            partition,
            GOALS,
            Some(self.state.encode(0, goals.join("\0").as_bytes())?),
        )
    }

    fn fold(
        &mut self,
        partition: i32,
        id: ProfileId,
        taken: Taken,
        outputs: &mut dyn Outputs,
    ) -> Result<(), Broken> {
        let mut hot = match self.hot.take(&id) {
            Some(hot) => hot,
            None => Box::new(Hot::load(partition, id, &self.goals, outputs)?),
        };
        let mut changed = false;
        for (atom_id, message) in taken.atoms {
            let contributions = &mut self.sums.of(&taken.workspace);
            if !hot.apply(&atom_id, message.as_deref(), &self.goals, contributions)? {
                continue;
            }
            changed = true;
            let record = match &message {
                Some(message) => Some(self.state.encode(hot.revision + 1, message)?),
                None => None,
            };
            outputs.put(partition, &atom_key(id, &atom_id), record)?;
        }
        if changed {
            hot.revision += 1;
            outputs.put(
                partition,
                &profile_key(id),
                Some(self.state.encode(hot.revision, b"")?),
            )?;
            let gone = hot.atoms.is_empty();
            self.records
                .send(&taken.workspace, id, &hot.fold, hot.revision, gone, outputs)?;
        }
        self.hot.put(id, hot);
        Ok(())
    }
}

impl stage::Stage for Stage {
    fn name(&self) -> &'static str {
        "profile"
    }

    fn input(&self) -> &'static str {
        "atoms"
    }

    fn changelog(&self) -> &'static str {
        "profile_state"
    }

    fn assigned(&mut self, partitions: &[i32], store: &dyn Store) -> Result<(), Broken> {
        self.taken.clear();
        self.hot.clear();
        self.sums.clear();
        self.outdated.clear();
        for &partition in partitions {
            let before = match store.get(partition, GOALS)? {
                Some(record) => goals_of(state_record::decode(&record)?.body)?,
                None => Vec::new(),
            };
            if before != self.goals {
                self.outdated.push((partition, before));
            }
        }
        Ok(())
    }

    fn take(&mut self, input: &Input<'_>, _store: &dyn Store) -> Result<(), Poison> {
        let poison = |detail: String| Poison {
            reason: "malformed",
            detail,
        };
        let message = input.value.ok_or_else(|| {
            poison("an atom has no value: send one whose body is null".to_owned())
        })?;
        let atom: wire::Atom<'_> =
            framing::decode(message).map_err(|error| poison(format!("the atom {error}")))?;
        if let Some(body) = &atom.body {
            translate::atom(body)
                .map_err(|error| poison(format!("{} of the atom is out of range", error.0)))?;
        }
        let taken = self
            .taken
            .entry((input.partition, atom.profile_id))
            .or_insert_with(|| Taken {
                workspace: atom.workspace.into(),
                atoms: BTreeMap::new(),
            });
        taken.atoms.insert(
            atom.atom_id.into(),
            atom.body.is_some().then(|| message.into()),
        );
        Ok(())
    }

    fn due(&self, _now: Timestamp) -> bool {
        !self.outdated.is_empty()
    }

    fn flush(&mut self, _now: Timestamp, outputs: &mut dyn Outputs) -> Result<bool, Broken> {
        for (partition, before) in std::mem::take(&mut self.outdated) {
            self.count_by_other_goals(partition, &before, outputs)?;
        }
        for ((partition, id), taken) in std::mem::take(&mut self.taken) {
            self.fold(partition, id, taken, outputs)?;
        }
        self.sums.send(outputs)?;
        Ok(false)
    }
}

fn goals_of(body: &[u8]) -> Result<Vec<Box<str>>, Broken> {
    let text = std::str::from_utf8(body)
        .map_err(|_| Broken("the stored goals are not text".to_owned()))?;
    Ok(text
        .split('\0')
        .filter(|goal| !goal.is_empty())
        .map(Into::into)
        .collect())
}

#[cfg(test)]
mod tests;
