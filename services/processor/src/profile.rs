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
use tributary_core::profile::{Contributions, Definitions, TraitRules};
use tributary_core::time::Timestamp;

use crate::recent::Recent;
use crate::runtime::stage::{self, Broken, Input, Outputs, Poison, Store};
use crate::state_record::StateEncoder;

use self::hot::{Hot, atom_key, profile_key};
use self::record::Records;
use self::redefine::Redefining;
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
    /// Of how many atoms profiles are corrected in a flush when they are defined otherwise than before.
    pub slice: usize,
}

impl Options {
    /// A slice that takes a second or so.
    pub const SLICE: usize = 20_000;
}

/// The profile stage.
#[derive(Debug)]
pub struct Stage {
    definitions: Definitions,
    /// The last state of each atom since the last flush; none where it is gone.
    taken: BTreeMap<(i32, ProfileId), Taken>,
    hot: Recent<ProfileId, Box<Hot>>,
    /// Partitions whose contributions were made by other definitions, or to other KPIs, than there are now.
    outdated: Vec<Redefining>,
    slice: usize,
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
            slice: options.slice,
            sums: Sums::new(),
            records: Records::new(),
            state: StateEncoder::new(),
        }
    }

    /// Applies what was taken of a profile, by the definitions that its contributions are made by.
    fn fold(
        &mut self,
        partition: i32,
        id: ProfileId,
        taken: Taken,
        outputs: &mut dyn Outputs,
    ) -> Result<(), Broken> {
        let outdated = self.outdated.iter();
        let outdated = outdated.filter(|redefining| redefining.partition == partition);
        let before = outdated.map(|redefining| redefining.contributed(id)).next();
        let definitions = before.map_or(&self.definitions, |before| &before.definitions);
        let mut hot = match self.hot.take(&id) {
            Some(hot) => hot,
            None => Box::new(Hot::load(partition, id, definitions, outputs)?),
        };
        let was_somebody = hot.fold.is_somebody();
        let mut change = Change {
            place: (partition, id),
            taken: &taken,
            definitions,
            state: &mut self.state,
            outputs: &mut *outputs,
        };
        let workspace = &*taken.workspace;
        let changed = match before {
            Some(before) => {
                let mut sums = self.sums.of_all(workspace);
                change.apply(&mut hot, &mut before.to(workspace, &mut sums, false))?
            }
            None => change.apply(&mut hot, &mut self.sums.of(workspace, definitions))?,
        };
        if changed {
            let place = (partition, workspace, id);
            let (records, state) = (&mut self.records, &mut self.state);
            send(records, state, place, &mut hot, was_somebody, outputs)?;
        }
        self.hot.put(id, hot);
        Ok(())
    }

    /// Corrects the next profiles that were defined otherwise: a slice of a partition, and all of those that have less left.
    fn redefine(&mut self, outputs: &mut dyn Outputs) -> Result<(), Broken> {
        while let Some(redefining) = self.outdated.first_mut() {
            let partition = redefining.partition;
            let (records, hot) = (&mut self.records, &mut self.hot);
            let is_done = redefining.go_on(
                self.slice,
                &mut self.sums,
                &mut self.state,
                outputs,
                |(workspace, id, profile), state, outputs| {
                    // It was folded by what was before.
                    hot.take(&id);
                    let place = (partition, workspace, id);
                    send(records, state, place, profile, false, outputs)
                },
            )?;
            if !is_done {
                break;
            }
            self.outdated.remove(0);
            let again = Redefining::of(partition, &self.definitions, outputs)?;
            self.outdated.extend(again);
        }
        Ok(())
    }
}

/// What was taken of a profile.
struct Change<'a> {
    place: (i32, ProfileId),
    taken: &'a Taken,
    definitions: &'a Definitions,
    state: &'a mut StateEncoder,
    outputs: &'a mut dyn Outputs,
}

impl Change<'_> {
    /// Makes it, and returns whether anything changed.
    fn apply(
        &mut self,
        hot: &mut Hot,
        contributions: &mut impl Contributions,
    ) -> Result<bool, Broken> {
        let (partition, id) = self.place;
        let mut changed = false;
        for (atom_id, message) in &self.taken.atoms {
            let message = message.as_deref();
            if !hot.apply(atom_id, message, self.definitions, contributions)? {
                continue;
            }
            changed = true;
            let record = message.map(|message| self.state.encode(hot.revision + 1, message));
            self.outputs
                .put(partition, &atom_key(id, atom_id), record.transpose()?)?;
        }
        if changed {
            hot.fold.tell(self.definitions, contributions);
        }
        Ok(changed)
    }
}

/// Sends the record of a profile, under its next revision.
fn send(
    records: &mut Records,
    state: &mut StateEncoder,
    (partition, workspace, id): (i32, &str, ProfileId),
    hot: &mut Hot,
    was_somebody: bool,
    outputs: &mut dyn Outputs,
) -> Result<(), Broken> {
    hot.revision += 1;
    let record = state.encode(hot.revision, b"")?;
    outputs.put(partition, &profile_key(id), Some(record))?;
    // What a source says of itself is folded, too, but is no customer.
    if !hot.fold.is_somebody() && !was_somebody {
        return Ok(());
    }
    let gone = !hot.fold.is_somebody();
    records.send(workspace, id, &hot.fold, hot.revision, gone, outputs)
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
            let redefining = Redefining::of(partition, &self.definitions, store)?;
            self.outdated.extend(redefining);
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
        self.redefine(outputs)?;
        let is_outdated = |partition: i32| {
            let mut outdated = self.outdated.iter();
            outdated.any(|redefining| redefining.partition == partition)
        };
        let taken = std::mem::take(&mut self.taken).into_iter();
        let (by_others, by_these): (Vec<_>, Vec<_>) =
            taken.partition(|((partition, _), _)| is_outdated(*partition));
        for ((partition, id), taken) in by_others {
            self.fold(partition, id, taken, outputs)?;
        }
        // What follows from these is in them.
        if !self.sums.is_empty() {
            self.sums.send(outputs)?;
        }
        for ((partition, id), taken) in by_these {
            self.fold(partition, id, taken, outputs)?;
        }
        self.sums.follow(&self.definitions)?;
        self.sums.send(outputs)?;
        Ok(!self.outdated.is_empty())
    }
}

#[cfg(test)]
mod tests;
