//! When KPIs and traits are defined otherwise than before: other goals, another time that makes a customer, other rules of
//! traits, or KPIs that an older version did not know. What every profile contributed is taken back, and contributed anew,
//! and its record is sent again: some profiles a flush, in order of their ids, beside new input, so that a transaction does
//! not take longer than the broker lets it.

use serde::{Deserialize, Serialize};
use tributary_core::ids::ProfileId;
use tributary_core::kpi::Kpi;
use tributary_core::profile::Definitions;
use uuid::Uuid;

use super::hot::{Hot, StoredAtom, next_profile};
use super::sums::{Redefined, Sums};
use crate::runtime::stage::{Broken, Outputs, Store};
use crate::state_record::{self, StateEncoder};

/// The store's key of what the contributions of a partition were made by.
const CONTRIBUTED: &[u8] = b"g";
/// The store's key of how far they are corrected, while they are.
const CORRECTED: &[u8] = b"h";

/// What the contributions of a partition were made by, and to which KPIs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Contributed {
    pub(super) definitions: Definitions,
    /// Slugs.
    pub(super) kpis: Vec<String>,
}

impl Contributed {
    /// By these definitions to all KPIs that there are.
    pub(super) fn by(definitions: &Definitions) -> Self {
        Self {
            definitions: definitions.clone(),
            kpis: Kpi::ALL.map(|kpi| kpi.slug().to_owned()).into(),
        }
    }

    /// Where what a profile contributes by them is added, or taken back.
    pub(super) fn to<'a, C>(
        &'a self,
        workspace: &'a str,
        sums: &'a mut C,
        is_taken_back: bool,
    ) -> Redefined<'a, C> {
        Redefined {
            sums,
            workspace,
            definitions: &self.definitions,
            kpis: &self.kpis,
            is_taken_back,
        }
    }
}

/// A partition whose contributions are being corrected.
#[derive(Debug)]
pub(super) struct Redefining {
    pub(super) partition: i32,
    before: Contributed,
    now: Contributed,
    /// The profiles up to this one are done.
    done: Option<ProfileId>,
}

/// How far a partition is, in the store.
#[derive(Serialize, Deserialize)]
struct Corrected {
    now: Contributed,
    done: Uuid,
}

impl Redefining {
    /// What is to be corrected in a partition, if anything is, by its store. Where the store says nothing, nothing was
    /// contributed.
    pub(super) fn of(
        partition: i32,
        definitions: &Definitions,
        store: &dyn Store,
    ) -> Result<Option<Self>, Broken> {
        let before: Contributed = stored(partition, CONTRIBUTED, store)?.unwrap_or_default();
        // Begun corrections are ended before others begin.
        let corrected: Option<Corrected> = stored(partition, CORRECTED, store)?;
        let (now, done) = match corrected {
            Some(corrected) => (corrected.now, Some(ProfileId(corrected.done))),
            None => (Contributed::by(definitions), None),
        };
        let is_due = done.is_some() || before != now;
        Ok(is_due.then_some(Self {
            partition,
            before,
            now,
            done,
        }))
    }

    /// What the profile's contributions are made by, at the moment.
    pub(super) fn contributed(&self, id: ProfileId) -> &Contributed {
        match self.done {
            Some(done) if id <= done => &self.now,
            _ => &self.before,
        }
    }

    /// Corrects the contributions of the next profiles, of so many atoms together, and hands each to `send` for its record.
    /// Returns whether all are done.
    pub(super) fn go_on(
        &mut self,
        atoms: usize,
        sums: &mut Sums,
        state: &mut StateEncoder,
        outputs: &mut dyn Outputs,
        mut send: impl FnMut(
            (&str, ProfileId, &mut Hot),
            &mut StateEncoder,
            &mut dyn Outputs,
        ) -> Result<(), Broken>,
    ) -> Result<bool, Broken> {
        let mut seen = 0;
        while let Some(id) = next_profile(self.partition, self.done, outputs)? {
            if seen >= atoms {
                let corrected = Corrected {
                    now: self.now.clone(),
                    done: self.done.map_or(Uuid::nil(), |done| done.0),
                };
                put(self.partition, CORRECTED, Some(&corrected), state, outputs)?;
                return Ok(false);
            }
            self.done = Some(id);
            let stored = StoredAtom::all(self.partition, id, outputs)?;
            seen += stored.len();
            let Some(first) = stored.first() else {
                continue;
            };
            let workspace = first.workspace()?;
            let mut of_all = sums.of_all(&workspace);
            if !self.before.kpis.is_empty() {
                let by = &self.before.definitions;
                Hot::folded(
                    &stored,
                    by,
                    &mut self.before.to(&workspace, &mut of_all, true),
                )?;
            }
            let mut of_all = sums.of_all(&workspace);
            let by = &self.now.definitions;
            let mut hot = Hot::folded(
                &stored,
                by,
                &mut self.now.to(&workspace, &mut of_all, false),
            )?;
            hot.revision = Hot::stored_revision(self.partition, id, outputs)?.unwrap_or(0);
            send((&workspace, id, &mut hot), state, outputs)?;
        }
        put(self.partition, CONTRIBUTED, Some(&self.now), state, outputs)?;
        put::<Corrected>(self.partition, CORRECTED, None, state, outputs)?;
        Ok(true)
    }
}

fn stored<T: for<'a> Deserialize<'a>>(
    partition: i32,
    key: &[u8],
    store: &dyn Store,
) -> Result<Option<T>, Broken> {
    let Some(record) = store.get(partition, key)? else {
        return Ok(None);
    };
    let read = postcard::from_bytes(state_record::decode(&record)?.body);
    read.map(Some)
        .map_err(|error| Broken(format!("read what was contributed by: {error}")))
}

fn put<T: Serialize>(
    partition: i32,
    key: &[u8],
    value: Option<&T>,
    state: &mut StateEncoder,
    outputs: &mut dyn Outputs,
) -> Result<(), Broken> {
    let body = value.map(postcard::to_allocvec).transpose();
    let body = body.map_err(|error| Broken(format!("encode what is contributed by: {error}")))?;
    let record = body.as_deref().map(|body| state.encode(0, body));
    outputs.put(partition, key, record.transpose()?)
}
