//! The once stage: however many events claim an order, it is one order, of one profile; and however often an e-mail is
//! opened, it is one e-mail to one recipient.
//!
//! ```text
//! claims ──take──> the last word of each event ──flush──> orders: tributary_core::order, over all claims of it, or over new
//!                                                   │      ones that come behind all others
//!                                                   ├──> emails: tributary_core::email, likewise
//!                                                   │           ├──> orders, where it is otherwise than last emitted
//!                                                   │           └──> atoms: gone from the profile that had it, new to the one
//!                                                   │                that has
//!                                                   └──> claims and what was emitted ──> once_state
//! ```
//!
//! If it fails, the claims since the last commit come again, and give the same.

mod atoms;
mod emails;
mod orders;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tributary_contracts::framing::Message as _;
use tributary_contracts::wire::{Claim, EmailClaim};
use tributary_contracts::{framing, keys};
use tributary_core::place::Place;
use tributary_core::time::Timestamp;

use crate::runtime::stage::{self, Broken, Input, Outputs, Poison, Store};
use crate::state_record::{self, StateEncoder};

use self::emails::Emails;
use self::orders::Orders;

/// What is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Thing {
    Order,
    Email,
}

impl Thing {
    /// The first byte of the state key of its claims, which stand under its key and then the event's.
    const fn claim(self) -> u8 {
        match self {
            Self::Order => b'c',
            Self::Email => b'm',
        }
    }

    /// The first byte of the state key of what was last emitted of it. It exists wherever there is a claim.
    const fn emitted(self) -> u8 {
        match self {
            Self::Order => b'o',
            Self::Email => b'e',
        }
    }
}

/// The once stage.
#[derive(Debug)]
pub struct Stage {
    /// What was claimed of each thing since the last flush, by partition and the thing's key.
    taken: BTreeMap<(i32, Thing, Vec<u8>), Changes>,
    state: StateEncoder,
    orders: Orders,
    emails: Emails,
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
            orders: Orders::new(),
            emails: Emails::new(),
        }
    }

    fn decide(
        &mut self,
        (partition, thing, thing_key): (i32, Thing, Vec<u8>),
        changes: Changes,
        outputs: &mut dyn Outputs,
    ) -> Result<(), Broken> {
        let emitted = outputs.get(partition, &state_key(thing.emitted(), &thing_key))?;
        let mut claimed = Claimed {
            partition,
            thing,
            thing_key,
            emitted,
            new: Vec::new(),
            is_appended: true,
        };
        for (key, (offset, claim)) in changes {
            let held = match claimed.emitted {
                Some(_) => outputs.get(partition, &key)?,
                None => None,
            };
            let held = held.as_deref().map(state_record::decode).transpose()?;
            let held = held.map(|record| record.body);
            if held == claim.as_deref() {
                continue;
            }
            claimed.is_appended &= held.is_none();
            let record = claim.as_deref();
            let record = record.map(|claim| self.state.encode(offset, claim));
            outputs.put(partition, &key, record.transpose()?)?;
            claimed.new.extend(claim);
        }
        if claimed.is_appended && claimed.new.is_empty() {
            return Ok(());
        }
        match thing {
            Thing::Order => self.orders.decide(&claimed, &mut self.state, outputs),
            Thing::Email => self.emails.decide(&claimed, &mut self.state, outputs),
        }
    }
}

/// What was claimed of an order or an e-mail. The claims are stored.
#[derive(Debug)]
struct Claimed {
    partition: i32,
    thing: Thing,
    thing_key: Vec<u8>,
    /// The state record of what was last emitted of it.
    emitted: Option<Vec<u8>>,
    /// Claims that were not known, or otherwise.
    new: Vec<Vec<u8>>,
    /// All of them were not known, and all that were known stand.
    is_appended: bool,
}

impl Claimed {
    /// What was last emitted of it, if anything was claimed before.
    fn emitted<T: DeserializeOwned>(&self) -> Result<Option<T>, Broken> {
        let Some(record) = &self.emitted else {
            return Ok(None);
        };
        let emitted = postcard::from_bytes(state_record::decode(record)?.body);
        emitted
            .map(Some)
            .map_err(|error| Broken(format!("read what was emitted: {error}")))
    }

    /// Stores what is emitted of it now.
    fn put(
        &self,
        emitted: &impl Serialize,
        revision: i64,
        state: &mut StateEncoder,
        outputs: &mut dyn Outputs,
    ) -> Result<(), Broken> {
        let body = postcard::to_allocvec(emitted)
            .map_err(|error| Broken(format!("encode what was emitted: {error}")))?;
        let key = state_key(self.thing.emitted(), &self.thing_key);
        outputs.put(self.partition, &key, Some(state.encode(revision, &body)?))
    }

    /// All claims.
    fn all(&self, store: &dyn Store) -> Result<Vec<Vec<u8>>, Broken> {
        if self.emitted.is_none() {
            return Ok(self.new.clone());
        }
        let prefix = claims_prefix(self.thing, &self.thing_key);
        let all = bodies(store, self.partition, &prefix)?;
        Ok(all.into_values().collect())
    }

    /// One of the claims.
    fn at(&self, place: &Place, store: &dyn Store) -> Result<Vec<u8>, Broken> {
        let mut key = claims_prefix(self.thing, &self.thing_key);
        key.extend(event_key(
            &place.message_id,
            (&place.timeline.0, &place.timeline.1),
        ));
        let record = store
            .get(self.partition, &key)?
            .ok_or_else(|| Broken("a claim that was counted is not stored".to_owned()))?;
        Ok(state_record::decode(&record)?.body.to_vec())
    }
}

/// What the records hold whose keys begin so, by the rest of their keys.
fn bodies(
    store: &dyn Store,
    partition: i32,
    prefix: &[u8],
) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Broken> {
    let mut bodies = BTreeMap::new();
    store.scan(partition, prefix, &mut |key, record| {
        let body = state_record::decode(record)?.body;
        bodies.insert(key[prefix.len()..].to_vec(), body.to_vec());
        Ok(())
    })?;
    Ok(bodies)
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
        let (thing, thing_key, event, gone) = match framing::decode::<EmailClaim<'_>>(record) {
            Ok(claim) => {
                let key = keys::joined(&[
                    claim.workspace,
                    claim.email_id,
                    claim.recipient_type,
                    claim.recipient_value,
                ]);
                let timeline = (claim.timeline_type, claim.timeline_value);
                let event = event_key(claim.message_id, timeline);
                (Thing::Email, key, event, claim.gone)
            }
            Err(framing::Error::WrongSchema {
                found: Claim::SCHEMA,
                ..
            }) => {
                let claim: Claim<'_> = framing::decode(record)
                    .map_err(|error| malformed(format!("a claim {error}")))?;
                let key = keys::joined(&[claim.workspace, claim.order_namespace, claim.order_id]);
                let timeline = (claim.timeline_type, claim.timeline_value);
                let event = event_key(claim.message_id, timeline);
                (Thing::Order, key, event, claim.gone)
            }
            Err(error) => return Err(malformed(format!("a claim {error}"))),
        };
        let mut key = claims_prefix(thing, &thing_key);
        key.extend(event);
        let last_word = (!gone).then(|| record.to_vec());
        let changes = self
            .taken
            .entry((input.partition, thing, thing_key))
            .or_default();
        changes.insert(key, (input.offset, last_word));
        Ok(())
    }

    fn due(&self, _now: Timestamp) -> bool {
        false
    }

    fn flush(&mut self, _now: Timestamp, outputs: &mut dyn Outputs) -> Result<bool, Broken> {
        for (place, changes) in std::mem::take(&mut self.taken) {
            self.decide(place, changes, outputs)?;
        }
        Ok(false)
    }
}

fn state_key(kind: u8, thing_key: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + thing_key.len());
    key.push(kind);
    key.extend_from_slice(thing_key);
    key
}

/// Ends with a NUL, so that no thing's claims are among those of one whose key goes on.
fn claims_prefix(thing: Thing, thing_key: &[u8]) -> Vec<u8> {
    let mut prefix = state_key(thing.claim(), thing_key);
    prefix.push(0);
    prefix
}

fn read<'a, T: framing::Message + Deserialize<'a>>(claim: &'a [u8]) -> Result<T, Broken> {
    framing::decode(claim).map_err(|error| Broken(format!("a stored claim {error}")))
}

/// What names an event among the claims of a thing.
fn event_key(message_id: &str, (timeline_type, timeline_value): (&str, &str)) -> Vec<u8> {
    keys::joined(&[message_id, timeline_type, timeline_value])
}
