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
mod redefine;
mod sums;
mod translate;

use std::collections::{BTreeMap, BTreeSet};

use tributary_contracts::framing;
use tributary_contracts::wire;
use tributary_core::ids::ProfileId;
use tributary_core::kpi::Dimension;
use tributary_core::profile::{Definitions, TraitRules};
use tributary_core::time::Timestamp;

use crate::recent::Recent;
use crate::runtime::stage::{self, Broken, Input, Outputs, Poison, Store};
use crate::state_record::StateEncoder;

use self::hot::{Hot, atom_key, profile_key};
use self::record::Records;
use self::redefine::Contributed;
use self::sums::Sums;

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
    /// For how many days an order makes a customer.
    pub customer_days: u32,
    /// By workspace: the currency in which leads and contacts have a cost.
    pub currencies: BTreeMap<String, String>,
    /// By workspace: sources of which a lead counts as one only where they say that it is qualified.
    pub qualifying: BTreeMap<Box<str>, BTreeSet<Box<str>>>,
    /// Whether an e-mail that only a mail client has opened counts as opened.
    pub prefetched_opens: bool,
    /// How traits are chosen.
    pub traits: TraitRules,
    /// The greatest note of recommendation that is a low attitude, and the least that is a high one.
    pub attitudes: (u8, u8),
    /// Dimensions by which KPIs are counted.
    pub dimensions: Vec<Dimension>,
}

/// The profile stage.
#[derive(Debug)]
pub struct Stage {
    definitions: Definitions,
    /// The last state of each atom since the last flush; none where it is gone.
    taken: BTreeMap<(i32, ProfileId), Taken>,
    hot: Recent<ProfileId, Box<Hot>>,
    /// Partitions whose contributions were made by other definitions, or to other KPIs, than there are now.
    outdated: Vec<(i32, Contributed)>,
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
            definitions: Definitions {
                goals,
                customer_days: i64::from(options.customer_days),
                currencies: options
                    .currencies
                    .into_iter()
                    .map(|(workspace, currency)| (workspace.into(), currency.into()))
                    .collect(),
                qualifying: options.qualifying,
                prefetched_opens: options.prefetched_opens,
                traits: options.traits,
                low_attitude: options.attitudes.0,
                high_attitude: options.attitudes.1,
                uncounted: Dimension::ALL
                    .into_iter()
                    .filter(|dimension| Dimension::OPTIONAL.contains(dimension))
                    .filter(|dimension| !options.dimensions.contains(dimension))
                    .collect(),
            },
            taken: BTreeMap::new(),
            hot: Recent::new(options.cached_profiles * AVERAGE_WEIGHT),
            outdated: Vec::new(),
            sums: Sums::new(),
            records: Records::new(),
            state: StateEncoder::new(),
        }
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
            None => Box::new(Hot::load(partition, id, &self.definitions, outputs)?),
        };
        let was_somebody = hot.fold.is_somebody();
        let mut changed = false;
        for (atom_id, message) in taken.atoms {
            let contributions = &mut self.sums.of(&taken.workspace, &self.definitions);
            if !hot.apply(
                &atom_id,
                message.as_deref(),
                &self.definitions,
                contributions,
            )? {
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
            let contributions = &mut self.sums.of(&taken.workspace, &self.definitions);
            hot.tell(&self.definitions, contributions)?;
            self.send(
                partition,
                (&taken.workspace, id),
                &mut hot,
                was_somebody,
                outputs,
            )?;
        }
        self.hot.put(id, hot);
        Ok(())
    }

    /// Sends the record of a profile whose atoms are what they were, but not what follows from them.
    fn tell_again(
        &mut self,
        partition: i32,
        id: ProfileId,
        outputs: &mut dyn Outputs,
    ) -> Result<(), Broken> {
        let mut hot = Hot::load(partition, id, &self.definitions, outputs)?;
        let Some(workspace) = hot.workspace()? else {
            return Ok(());
        };
        self.send(partition, (&workspace, id), &mut hot, false, outputs)
    }

    /// Sends the record of a profile, under its next revision.
    fn send(
        &mut self,
        partition: i32,
        (workspace, id): (&str, ProfileId),
        hot: &mut Hot,
        was_somebody: bool,
        outputs: &mut dyn Outputs,
    ) -> Result<(), Broken> {
        hot.revision += 1;
        outputs.put(
            partition,
            &profile_key(id),
            Some(self.state.encode(hot.revision, b"")?),
        )?;
        // What a source says of itself is folded, too, but is no customer.
        if !hot.fold.is_somebody() && !was_somebody {
            return Ok(());
        }
        let gone = !hot.fold.is_somebody();
        self.records
            .send(workspace, id, &hot.fold, hot.revision, gone, outputs)
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
        let now = Contributed::by(&self.definitions);
        for &partition in partitions {
            let before = Contributed::stored(partition, store)?;
            if before != now {
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
            translate::atom(body, atom.workspace, &self.definitions)
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
            let profiles = redefine::contribute_anew(
                partition,
                &before,
                &self.definitions,
                &mut self.sums,
                &mut self.state,
                outputs,
            )?;
            for id in profiles {
                self.tell_again(partition, id, outputs)?;
            }
        }
        // They know already what follows from them.
        if !self.sums.is_empty() {
            self.sums.send(outputs)?;
        }
        for ((partition, id), taken) in std::mem::take(&mut self.taken) {
            self.fold(partition, id, taken, outputs)?;
        }
        self.sums.follow(&self.definitions)?;
        self.sums.send(outputs)?;
        Ok(false)
    }
}

#[cfg(test)]
mod tests;
