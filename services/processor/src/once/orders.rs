//! Orders: one of a number, however many events claim it.
//!
//! What is given back is an atom for each claim that gives, so that a message is of bounded size however many there are,
//! and one more sends one more.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tributary_contracts::framing::Encoder;
use tributary_contracts::keys;
use tributary_contracts::wire::{
    Atom, AtomBody, Claim, ClaimKind, OrderAtom, OrderState, ProductAmount, ProductSold, RefundAtom,
};
use tributary_core::ids::ProfileId;
use tributary_core::money::Amount;
use tributary_core::order::{self, Kind, Ledger, Product};

use crate::runtime::stage::{Broken, Outputs};
use crate::state_record::StateEncoder;

use super::atoms::{Atoms, kept};
use super::{Claimed, bodies, event_key, read, state_key};

/// The first byte of the state key of a refund's framed atom, which stands under its order's key and then the event's.
const REFUND: u8 = b'r';

/// What others know of an order but its refunds, and what is left of it. The messages are kept with revision 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Emitted {
    /// Of the messages; 0 where nothing was ever sent.
    revision: i64,
    /// The framed [`OrderState`], if there is an order.
    order: Option<Vec<u8>>,
    /// The framed [`Atom`] of its owner.
    atom: Option<Vec<u8>>,
    ledger: Option<Ledger>,
    claims: i64,
}

/// Framed atoms of refunds, by the events' keys.
type Refunds = BTreeMap<Vec<u8>, Vec<u8>>;

/// Decides orders.
#[derive(Debug)]
pub(super) struct Orders {
    order: Encoder,
    atoms: Atoms,
}

impl Orders {
    pub(super) fn new() -> Self {
        Self {
            order: Encoder::new("order"),
            atoms: Atoms::new(),
        }
    }

    pub(super) fn decide(
        &mut self,
        claimed: &Claimed,
        state: &mut StateEncoder,
        outputs: &mut dyn Outputs,
    ) -> Result<(), Broken> {
        let stored: Option<Emitted> = claimed.emitted()?;
        let is_new = stored.is_none();
        let before = stored.unwrap_or_default();
        let new = claimed.new.iter().map(|claim| read(claim));
        let mut new: Vec<Claim<'_>> = new.collect::<Result<_, _>>()?;
        new.sort_by_key(|claim| core_claim(claim, &[]).place());
        let comes_behind = |claim: &Claim<'_>| {
            let claim = core_claim(claim, &[]);
            match &before.ledger {
                Some(ledger) => claim.place() > ledger.last,
                None => !claim.places(),
            }
        };
        let prefix = refunds_prefix(&claimed.thing_key);
        let (mut now, had, has) = if claimed.is_appended && new.iter().all(comes_behind) {
            let (now, more) = self.go_on(&before, &new)?;
            (now, Refunds::new(), more)
        } else {
            let had = match is_new {
                true => Refunds::new(),
                false => bodies(outputs, claimed.partition, &prefix)?,
            };
            let (now, has) = self.anew(&claimed.all(outputs)?)?;
            (now, had, has)
        };

        let is_same = now.order == before.order && now.atom == before.atom && had == has;
        now.revision = before.revision + i64::from(!is_same);
        self.send_order(&before, &now, outputs)?;
        self.atoms.send_change(
            before.atom.as_deref(),
            now.atom.as_deref(),
            now.revision,
            outputs,
        )?;
        let gone = had.iter().filter(|(event, _)| !has.contains_key(*event));
        let gone = gone.map(|(event, atom)| (event, Some(atom), None));
        let stays = has.iter();
        let stays = stays.map(|(event, atom)| (event, had.get(event), Some(atom)));
        for (event, had, has) in gone.chain(stays).filter(|(_, had, has)| had != has) {
            let (had, has) = (had.map(Vec::as_slice), has.map(Vec::as_slice));
            self.atoms.send_change(had, has, now.revision, outputs)?;
            let record = has
                .map(|atom| state.encode(now.revision, atom))
                .transpose()?;
            let key = [&prefix[..], event].concat();
            outputs.put(claimed.partition, &key, record)?;
        }
        if now != before || is_new {
            claimed.put(&now, now.revision, state, outputs)?;
        }
        Ok(())
    }

    /// With claims that come behind all others, and the refunds that they are.
    fn go_on(&mut self, before: &Emitted, new: &[Claim<'_>]) -> Result<(Emitted, Refunds), Broken> {
        let mut now = before.clone();
        now.claims += placed(new);
        let mut refunds = Refunds::new();
        let (Some(state), Some(atom), Some(ledger)) =
            (&before.order, &before.atom, &mut now.ledger)
        else {
            return Ok((now, refunds));
        };
        let atom: Atom<'_> = kept(atom)?;
        let Some(AtomBody::OrderAtom(order)) = &atom.body else {
            return Err(Broken("an order's atom is none of an order".to_owned()));
        };
        let products = order.products.iter();
        let products: Vec<Product<'_>> = products
            .map(|product| Product {
                id: product.product_id,
                amount: product.amount,
            })
            .collect();
        for claim in new {
            let named = core_products(claim);
            if let Some(back) = ledger.count(&core_claim(claim, &named), &products) {
                let refund = self.refund(atom.profile_id, order, claim, (back.0, &back.1))?;
                refunds.insert(event_of(claim), refund);
            }
        }
        let mut state: OrderState<'_> = kept(state)?;
        state.refunded = ledger.refunded();
        state.cancelled = ledger.cancelled;
        state.claims = now.claims;
        now.order = Some(self.order(&state)?);
        Ok((now, refunds))
    }

    /// From all claims.
    fn anew(&mut self, claims: &[Vec<u8>]) -> Result<(Emitted, Refunds), Broken> {
        let claims = claims.iter().map(|claim| read(claim));
        let claims: Vec<Claim<'_>> = claims.collect::<Result<_, _>>()?;
        let products: Vec<Vec<Product<'_>>> = claims.iter().map(core_products).collect();
        let claimed = claims.iter().zip(&products);
        let claimed: Vec<order::Claim<'_>> = claimed
            .map(|(claim, products)| core_claim(claim, products))
            .collect();
        let mut refunds = Refunds::new();
        let mut now = Emitted {
            claims: placed(&claims),
            ..Emitted::default()
        };
        let Some(decided) = order::decide(&claimed) else {
            return Ok((now, refunds));
        };
        let first = &claims[decided.winner];
        let owner = first
            .profile_id
            .ok_or_else(|| Broken("an order without owner was decided".to_owned()))?;
        let order = order_atom(first, claimed[decided.winner].products);
        for refund in &decided.refunds {
            let claim = &claims[refund.claim];
            let message = self.refund(owner, &order, claim, (refund.amount, &refund.products))?;
            refunds.insert(event_of(claim), message);
        }
        now.order = Some(self.order(&order_state(first, &decided.ledger, now.claims))?);
        let atom_id = ["order", first.order_namespace, first.order_id].join("\u{1}");
        now.atom = Some(self.atoms.encode(&Atom {
            workspace: first.workspace,
            profile_id: owner,
            atom_id: &atom_id,
            revision: 0,
            body: Some(AtomBody::OrderAtom(order)),
        })?);
        now.ledger = Some(decided.ledger);
        Ok((now, refunds))
    }

    /// The atom of what a claim gives back of an order, of all and of each of its products.
    fn refund(
        &mut self,
        owner: ProfileId,
        order: &OrderAtom<'_>,
        claim: &Claim<'_>,
        (amount, of_products): (Amount, &[Amount]),
    ) -> Result<Vec<u8>, Broken> {
        let atom_id = [
            "refund",
            claim.order_namespace,
            claim.order_id,
            claim.timeline_type,
            claim.timeline_value,
            claim.message_id,
        ]
        .join("\u{1}");
        let products = order.products.iter().zip(of_products);
        let products = products.filter(|(_, amount)| !amount.is_zero());
        let products = products.map(|(product, amount)| ProductAmount {
            product_id: product.product_id,
            amount: *amount,
        });
        self.atoms.encode(&Atom {
            workspace: claim.workspace,
            profile_id: owner,
            atom_id: &atom_id,
            revision: 0,
            body: Some(AtomBody::RefundAtom(RefundAtom {
                refunded_at: claim.occurred_at,
                currency: order.currency,
                amount,
                channel: order.channel,
                traffic_source: order.traffic_source,
                campaign: order.campaign,
                store: order.store,
                device_type: order.device_type,
                products: products.collect(),
            })),
        })
    }

    fn send_order(
        &mut self,
        before: &Emitted,
        now: &Emitted,
        outputs: &mut dyn Outputs,
    ) -> Result<(), Broken> {
        if now.order == before.order {
            return Ok(());
        }
        let Some(message) = now.order.as_ref().or(before.order.as_ref()) else {
            return Ok(());
        };
        let mut order: OrderState<'_> = kept(message)?;
        order.revision = now.revision;
        order.gone = now.order.is_none();
        let key = keys::joined(&[order.workspace, order.order_namespace, order.order_id]);
        let partition = keys::partition(&key, outputs.partitions("orders"));
        let message = self.order(&order)?;
        outputs.send("orders", partition, &key, &message)
    }

    fn order(&mut self, state: &OrderState<'_>) -> Result<Vec<u8>, Broken> {
        let mut buffer = Vec::new();
        self.order
            .encode(state, &mut buffer)
            .map_err(|error| Broken(format!("encode an order: {error}")))?;
        Ok(buffer)
    }
}

/// How many of them place an order.
fn placed(claims: &[Claim<'_>]) -> i64 {
    let placed = claims.iter();
    placed
        .filter(|claim| claim.kind == ClaimKind::Placed)
        .count() as i64
}

/// What others should know of an order, of which that is the claim that counts.
fn order_state<'a>(first: &Claim<'a>, ledger: &Ledger, claims: i64) -> OrderState<'a> {
    OrderState {
        workspace: first.workspace,
        order_namespace: first.order_namespace,
        order_id: first.order_id,
        currency: first.currency,
        total: ledger.total,
        refunded: ledger.refunded(),
        margin: first.margin,
        ordered_at: first.occurred_at,
        message_id: first.message_id,
        timeline_type: first.timeline_type,
        timeline_value: first.timeline_value,
        channel: first.channel,
        source: first.source,
        traffic_source: first.traffic_source,
        campaign: first.campaign,
        store: first.store,
        device_type: first.device_type,
        session_id: first.session_id,
        profile_id: first.profile_id,
        cancelled: ledger.cancelled,
        claims,
        revision: 0,
        gone: false,
    }
}

fn order_atom<'a>(first: &Claim<'a>, products: &[Product<'a>]) -> OrderAtom<'a> {
    OrderAtom {
        ordered_at: first.occurred_at,
        currency: first.currency,
        total: first.total.unwrap_or(Amount::ZERO),
        margin: first.margin,
        channel: first.channel,
        traffic_source: first.traffic_source,
        campaign: first.campaign,
        store: first.store,
        device_type: first.device_type,
        message_id: first.message_id,
        timeline_type: first.timeline_type,
        timeline_value: first.timeline_value,
        products: sold(products, first.margin),
    }
}

/// The products of an order, each with its part of the margin.
fn sold<'a>(products: &[Product<'a>], margin: Option<Amount>) -> Vec<ProductSold<'a>> {
    let margins = margin.and_then(|margin| order::share_out(margin, products));
    let margin_of = |place: usize| margins.as_ref().map(|margins| margins[place]);
    let products = products.iter().enumerate();
    products
        .map(|(place, product)| ProductSold {
            product_id: product.id,
            amount: product.amount,
            margin: margin_of(place),
        })
        .collect()
}

fn core_claim<'a>(claim: &Claim<'a>, products: &'a [Product<'a>]) -> order::Claim<'a> {
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

fn core_products<'a>(claim: &Claim<'a>) -> Vec<Product<'a>> {
    let products = claim.products.iter();
    products
        .map(|product| Product {
            id: product.product_id,
            amount: product.amount,
        })
        .collect()
}

fn event_of(claim: &Claim<'_>) -> Vec<u8> {
    let timeline = (claim.timeline_type, claim.timeline_value);
    event_key(claim.message_id, timeline)
}

/// Ends with a NUL, as the prefix of claims does.
fn refunds_prefix(order_key: &[u8]) -> Vec<u8> {
    let mut prefix = state_key(REFUND, order_key);
    prefix.push(0);
    prefix
}
