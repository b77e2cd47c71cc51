//! When KPIs and traits are defined otherwise than before: other goals, another time that makes a customer, other rules of
//! traits, or KPIs that an older version did not know. What every profile contributed is taken back, and contributed anew,
//! and its record is sent again.

use serde::{Deserialize, Serialize};
use tributary_contracts::framing;
use tributary_contracts::wire;
use tributary_core::ids::ProfileId;
use tributary_core::kpi::Kpi;
use tributary_core::profile::{Contributions, Definitions};
use uuid::Uuid;

use super::hot::{ATOM, Hot};
use super::sums::{Redefined, Sums};
use crate::runtime::stage::{Broken, Outputs, Store};
use crate::state_record::{self, StateEncoder};

/// The store's key of what the contributions of a partition were made by.
const CONTRIBUTED: &[u8] = b"g";

/// What the contributions of a partition were made by, and to which KPIs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Contributed {
    definitions: Definitions,
    /// Slugs.
    kpis: Vec<String>,
}

impl Contributed {
    /// By these definitions to all KPIs that there are.
    pub(super) fn by(definitions: &Definitions) -> Self {
        Self {
            definitions: definitions.clone(),
            kpis: Kpi::ALL.map(|kpi| kpi.slug().to_owned()).into(),
        }
    }

    /// What the store says; by nothing, to no KPI, where it says nothing.
    pub(super) fn stored(partition: i32, store: &dyn Store) -> Result<Self, Broken> {
        let Some(record) = store.get(partition, CONTRIBUTED)? else {
            return Ok(Self::default());
        };
        postcard::from_bytes(state_record::decode(&record)?.body)
            .map_err(|error| Broken(format!("read what was contributed by: {error}")))
    }
}

/// Corrects the contributions of a partition's profiles. Returns them: their records may be otherwise now.
pub(super) fn contribute_anew(
    partition: i32,
    before: &Contributed,
    definitions: &Definitions,
    sums: &mut Sums,
    state: &mut StateEncoder,
    outputs: &mut dyn Outputs,
) -> Result<Vec<ProfileId>, Broken> {
    let now = Contributed::by(definitions);
    let mut profiles = Vec::new();
    let mut profile: Option<Vec<u8>> = None;
    let mut messages: Vec<Vec<u8>> = Vec::new();
    outputs.scan(partition, &[ATOM], &mut |key, record| {
        let id = &key[..key.len().min(1 + 16)];
        if profile.as_deref() != Some(id) {
            refold(&std::mem::take(&mut messages), before, &now, sums)?;
            profile = Some(id.to_vec());
            let id = Uuid::from_slice(&id[1..])
                .map_err(|_| Broken("a stored atom has no profile".to_owned()))?;
            profiles.push(ProfileId(id));
        }
        messages.push(state_record::decode(record)?.body.to_vec());
        Ok(())
    })?;
    refold(&messages, before, &now, sums)?;
    let body = postcard::to_allocvec(&now)
        .map_err(|error| Broken(format!("encode what is contributed by: {error}")))?;
    outputs.put(partition, CONTRIBUTED, Some(state.encode(0, &body)?))?;
    Ok(profiles)
}

/// Takes back what a profile contributed, and contributes it anew.
fn refold(
    messages: &[Vec<u8>],
    before: &Contributed,
    now: &Contributed,
    sums: &mut Sums,
) -> Result<(), Broken> {
    let Some(first) = messages.first() else {
        return Ok(());
    };
    let atom: wire::Atom<'_> =
        framing::decode(first).map_err(|error| Broken(format!("a stored atom {error}")))?;
    for (by, is_taken_back) in [(before, true), (now, false)] {
        if by.kpis.is_empty() {
            continue;
        }
        let mut contributions = Redefined {
            sums: &mut sums.of_all(atom.workspace),
            workspace: atom.workspace,
            definitions: &by.definitions,
            kpis: &by.kpis,
            is_taken_back,
        };
        fold(messages, &by.definitions, &mut contributions)?;
    }
    Ok(())
}

fn fold(
    messages: &[Vec<u8>],
    definitions: &Definitions,
    contributions: &mut impl Contributions,
) -> Result<(), Broken> {
    let mut hot = Hot::default();
    for (number, message) in messages.iter().enumerate() {
        hot.apply(
            &number.to_string(),
            Some(message),
            definitions,
            contributions,
        )?;
    }
    hot.tell(definitions, contributions)
}
