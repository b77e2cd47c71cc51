//! The once stage: however many events claim an order, it is one order, of one profile; and however often an e-mail is
//! opened, it is one e-mail to one recipient.
//!
//! ```text
//! claims ──take──> the last word of each event ──flush──> tributary_core::{order, email}::decide over all claims of it
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

use serde::Deserialize;
use tributary_contracts::framing::Message as _;
use tributary_contracts::wire::{Claim, ClaimKind, EmailClaim, EmailClaimKind};
use tributary_contracts::{framing, keys};
use tributary_core::email;
use tributary_core::order::{self, Kind};
use tributary_core::time::Timestamp;

use crate::runtime::stage::{self, Broken, Input, Outputs, Poison, Store};
use crate::state_record::{self, StateEncoder};

use self::emitted::{Emitted, Encoders};

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
        (partition, thing, thing_key): (i32, Thing, &[u8]),
        changes: Changes,
        outputs: &mut dyn Outputs,
    ) -> Result<(), Broken> {
        let emitted_key = state_key(thing.emitted(), thing_key);
        let stored = outputs.get(partition, &emitted_key)?;
        let mut claims: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        if stored.is_some() {
            outputs.scan(
                partition,
                &claims_prefix(thing, thing_key),
                &mut |key, record| {
                    claims.insert(key.to_vec(), state_record::decode(record)?.body.to_vec());
                    Ok(())
                },
            )?;
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

        let before = stored
            .as_deref()
            .map(Emitted::read)
            .transpose()?
            .unwrap_or_default();
        let now = match thing {
            Thing::Order => self.order(claims.values())?,
            Thing::Email => self.email(claims.values())?,
        };
        let now = now.after(&before);
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

    fn order<'a>(&mut self, claims: impl Iterator<Item = &'a Vec<u8>>) -> Result<Emitted, Broken> {
        let claims: Vec<Claim<'_>> = claims.map(|claim| read(claim)).collect::<Result<_, _>>()?;
        let products: Vec<Vec<order::Product<'_>>> = claims.iter().map(core_products).collect();
        let claimed = claims.iter().zip(&products);
        let claimed: Vec<_> = claimed
            .map(|(claim, products)| core_claim(claim, products))
            .collect();
        match order::decide(&claimed) {
            Some(order) => {
                let products = claimed[order.winner].products;
                self.encoders.of_order(&claims, products, &order)
            }
            None => Ok(Emitted::default()),
        }
    }

    fn email<'a>(&mut self, claims: impl Iterator<Item = &'a Vec<u8>>) -> Result<Emitted, Broken> {
        let claims: Vec<EmailClaim<'_>> =
            claims.map(|claim| read(claim)).collect::<Result<_, _>>()?;
        match email::decide(&claims.iter().map(core_email_claim).collect::<Vec<_>>()) {
            Some(email) => self.encoders.of_email(&claims[email.sent], email.outcome),
            None => Ok(Emitted::default()),
        }
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
        let (thing, thing_key, event, gone) = match framing::decode::<EmailClaim<'_>>(record) {
            Ok(claim) => {
                let key = keys::joined(&[
                    claim.workspace,
                    claim.email_id,
                    claim.recipient_type,
                    claim.recipient_value,
                ]);
                let event = [claim.message_id, claim.timeline_type, claim.timeline_value];
                (Thing::Email, key, keys::joined(&event), claim.gone)
            }
            Err(framing::Error::WrongSchema {
                found: Claim::SCHEMA,
                ..
            }) => {
                let claim: Claim<'_> = framing::decode(record)
                    .map_err(|error| malformed(format!("a claim {error}")))?;
                let key = keys::joined(&[claim.workspace, claim.order_namespace, claim.order_id]);
                let event = [claim.message_id, claim.timeline_type, claim.timeline_value];
                (Thing::Order, key, keys::joined(&event), claim.gone)
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
        for ((partition, thing, key), changes) in std::mem::take(&mut self.taken) {
            self.decide((partition, thing, &key), changes, outputs)?;
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

fn core_claim<'a>(claim: &Claim<'a>, products: &'a [order::Product<'a>]) -> order::Claim<'a> {
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
        products,
        owned: claim.profile_id.is_some(),
    }
}

fn core_products<'a>(claim: &Claim<'a>) -> Vec<order::Product<'a>> {
    let products = claim.products.iter();
    products
        .map(|product| order::Product {
            id: product.product_id,
            amount: product.amount,
        })
        .collect()
}

fn core_email_claim<'a>(claim: &EmailClaim<'a>) -> email::Claim<'a> {
    email::Claim {
        kind: match claim.kind {
            EmailClaimKind::Sent => email::Kind::Sent,
            EmailClaimKind::Delivered => email::Kind::Delivered,
            EmailClaimKind::Bounced => email::Kind::Bounced,
            EmailClaimKind::Opened => email::Kind::Opened,
            EmailClaimKind::Prefetched => email::Kind::Prefetched,
            EmailClaimKind::Clicked => email::Kind::Clicked,
            EmailClaimKind::Unsubscribed => email::Kind::Unsubscribed,
        },
        occurred_at: claim.occurred_at,
        message_id: claim.message_id,
        timeline: (claim.timeline_type, claim.timeline_value),
    }
}
