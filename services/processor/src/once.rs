//! The once stage: however many events claim an order, it is one order, of one profile.
//!
//! ```text
//! claims ──take──> the last word of each event ──flush──> tributary_core::order::decide over all claims of the order
//!                                                   ├──> orders, where it is otherwise than last emitted
//!                                                   ├──> atoms: gone from the profile that had it, new to the one that has
//!                                                   └──> claims and what was emitted ──> once_state
//! ```
//!
//! If it fails, the claims since the last commit come again, and give the same.

mod emitted;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use tributary_contracts::wire::{Claim, ClaimKind};
use tributary_contracts::{framing, keys};
use tributary_core::order::{self, Kind};
use tributary_core::time::Timestamp;

use crate::runtime::stage::{self, Broken, Input, Outputs, Poison, Store};
use crate::state_record::{self, StateEncoder};

use self::emitted::{Emitted, Encoders};

/// The first byte of a state key: claims of an order, under the order's key and then the event.
const CLAIM: u8 = b'c';

/// What was last emitted of an order, under the order's key. It exists wherever there is a claim.
const ORDER: u8 = b'o';

/// The once stage.
#[derive(Debug)]
pub struct Stage {
    /// What was claimed of each order since the last flush, by partition and order.
    taken: BTreeMap<(i32, Vec<u8>), Changes>,
    state: StateEncoder,
    encoders: Encoders,
}

/// By the claim's state key, the last word of its event, with its offset; none where it was withdrawn.
type Changes = BTreeMap<Vec<u8>, (i64, Option<Vec<u8>>)>;

impl Stage {
    /// A stage that owns no partitions yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            taken: BTreeMap::new(),
            state: StateEncoder::new(),
            encoders: Encoders::new(),
        }
    }

    fn decide(
        &mut self,
        partition: i32,
        order_key: &[u8],
        changes: Changes,
        outputs: &mut dyn Outputs,
    ) -> Result<(), Broken> {
        let emitted_key = state_key(ORDER, order_key);
        let stored = outputs.get(partition, &emitted_key)?;
        let mut claims: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        if stored.is_some() {
            outputs.scan(partition, &claims_prefix(order_key), &mut |key, record| {
                claims.insert(key.to_vec(), state_record::decode(record)?.body.to_vec());
                Ok(())
            })?;
        }
        for (key, (offset, claim)) in changes {
            match claim {
                Some(claim) if claims.get(&key) == Some(&claim) => {}
                Some(claim) => {
                    outputs.put(partition, &key, Some(self.state.encode(offset, &claim)?))?;
                    claims.insert(key, claim);
                }
                None if claims.remove(&key).is_some() => outputs.put(partition, &key, None)?,
                None => {}
            }
        }

        let claims: Vec<Claim<'_>> = claims
            .values()
            .map(|claim| read(claim))
            .collect::<Result<_, _>>()?;
        let before = stored
            .as_deref()
            .map(Emitted::read)
            .transpose()?
            .unwrap_or_default();
        let order = order::decide(&claims.iter().map(core_claim).collect::<Vec<_>>());
        let now = self.encoders.emitted(&claims, order.as_ref(), &before)?;
        if now != before {
            self.encoders.send_changes(&before, &now, outputs)?;
        }
        if now != before || stored.is_none() {
            let body = now.to_bytes()?;
            outputs.put(
                partition,
                &emitted_key,
                Some(self.state.encode(now.revision, &body)?),
            )?;
        }
        Ok(())
    }
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}

impl stage::Stage for Stage {
    fn name(&self) -> &'static str {
        "once"
    }

    fn input(&self) -> &'static str {
        "claims"
    }

    fn changelog(&self) -> &'static str {
        "once_state"
    }

    fn assigned(&mut self, _partitions: &[i32], _store: &dyn Store) -> Result<(), Broken> {
        self.taken.clear();
        Ok(())
    }

    fn take(&mut self, input: &Input<'_>, _store: &dyn Store) -> Result<(), Poison> {
        let malformed = |detail: String| Poison {
            reason: "malformed",
            detail,
        };
        let record = input
            .value
            .ok_or_else(|| malformed("a claim is empty".to_owned()))?;
        let claim: Claim<'_> =
            framing::decode(record).map_err(|error| malformed(format!("a claim {error}")))?;
        let order_key = keys::joined(&[claim.workspace, claim.order_namespace, claim.order_id]);
        let mut key = claims_prefix(&order_key);
        key.extend(keys::joined(&[
            claim.message_id,
            claim.timeline_type,
            claim.timeline_value,
        ]));
        let last_word = (!claim.gone).then(|| record.to_vec());
        let changes = self.taken.entry((input.partition, order_key)).or_default();
        changes.insert(key, (input.offset, last_word));
        Ok(())
    }

    fn due(&self, _now: Timestamp) -> bool {
        false
    }

    fn flush(&mut self, _now: Timestamp, outputs: &mut dyn Outputs) -> Result<bool, Broken> {
        for ((partition, order_key), changes) in std::mem::take(&mut self.taken) {
            self.decide(partition, &order_key, changes, outputs)?;
        }
        Ok(false)
    }
}

fn state_key(kind: u8, order_key: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + order_key.len());
    key.push(kind);
    key.extend_from_slice(order_key);
    key
}

/// Ends with a NUL, so that no order's claims are among those of an order whose id goes on.
fn claims_prefix(order_key: &[u8]) -> Vec<u8> {
    let mut prefix = state_key(CLAIM, order_key);
    prefix.push(0);
    prefix
}

fn read(claim: &[u8]) -> Result<Claim<'_>, Broken> {
    framing::decode(claim).map_err(|error| Broken(format!("a stored claim {error}")))
}

fn core_claim<'a>(claim: &Claim<'a>) -> order::Claim<'a> {
    order::Claim {
        kind: match claim.kind {
            ClaimKind::Placed => Kind::Placed,
            ClaimKind::Refunded => Kind::Refunded,
            ClaimKind::Cancelled => Kind::Cancelled,
        },
        occurred_at: claim.occurred_at,
        message_id: claim.message_id,
        timeline: (claim.timeline_type, claim.timeline_value),
        amount: claim.total,
        owned: claim.profile_id.is_some(),
    }
}
