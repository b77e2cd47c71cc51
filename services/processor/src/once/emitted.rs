//! What was last emitted of an order or an e-mail, and the messages that make a difference known.

use serde::{Deserialize, Serialize};
use tributary_contracts::framing::{self, Encoder};
use tributary_contracts::keys;
use tributary_contracts::wire::{
    Atom, AtomBody, Claim, EmailAtom, EmailClaim, OrderAtom, OrderState, ProductAmount,
    ProductSold, Refund,
};
use tributary_core::email::Outcome;
use tributary_core::money::Amount;
use tributary_core::order::{self, Order, Product};

use crate::runtime::stage::{Broken, Outputs};
use crate::state_record;

/// What others know of an order or an e-mail. The messages are kept as they were sent, but with revision 0, to be compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Emitted {
    /// Of the messages; 0 where nothing was ever sent.
    pub(super) revision: i64,
    /// The framed [`OrderState`], if there is an order.
    order: Option<Vec<u8>>,
    /// The framed [`Atom`] of its owner.
    atom: Option<Vec<u8>>,
}

impl Emitted {
    /// From the framed state record.
    pub(super) fn read(record: &[u8]) -> Result<Self, Broken> {
        let body = state_record::decode(record)?.body;
        postcard::from_bytes(body)
            .map_err(|error| Broken(format!("read what was emitted: {error}")))
    }

    /// This, with the revision of what was before, or the next where something is new.
    pub(super) fn after(self, before: &Self) -> Self {
        let same = self.order == before.order && self.atom == before.atom;
        let revision = before.revision + i64::from(!same);
        Self { revision, ..self }
    }

    /// The body of the state record.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, Broken> {
        postcard::to_allocvec(self)
            .map_err(|error| Broken(format!("encode what was emitted: {error}")))
    }
}

/// Encoders of the two messages.
#[derive(Debug)]
pub(super) struct Encoders {
    order: Encoder,
    atom: Encoder,
}

impl Encoders {
    pub(super) fn new() -> Self {
        Self {
            order: Encoder::new("order"),
            atom: Encoder::new("atom"),
        }
    }

    /// Sends what is otherwise than before. An atom that moves is gone here and new there in one transaction.
    pub(super) fn send_changes(
        &mut self,
        before: &Emitted,
        now: &Emitted,
        outputs: &mut dyn Outputs,
    ) -> Result<(), Broken> {
        if now.order != before.order
            && let Some((message, gone)) = now
                .order
                .as_ref()
                .map(|order| (order, false))
                .or(before.order.as_ref().map(|order| (order, true)))
        {
            let mut order: OrderState<'_> = kept(message)?;
            order.revision = now.revision;
            order.gone = gone;
            let key = keys::joined(&[order.workspace, order.order_namespace, order.order_id]);
            let partition = keys::partition(&key, outputs.partitions("orders"));
            let message = self.order(&order)?;
            outputs.send("orders", partition, &key, &message)?;
        }
        if now.atom != before.atom {
            let old: Option<Atom<'_>> = before.atom.as_deref().map(kept).transpose()?;
            let new: Option<Atom<'_>> = now.atom.as_deref().map(kept).transpose()?;
            if let Some(old) = old
                && new
                    .as_ref()
                    .is_none_or(|new| new.profile_id != old.profile_id)
            {
                self.send_atom(
                    Atom {
                        body: None,
                        revision: now.revision,
                        ..old
                    },
                    outputs,
                )?;
            }
            if let Some(new) = new {
                self.send_atom(
                    Atom {
                        revision: now.revision,
                        ..new
                    },
                    outputs,
                )?;
            }
        }
        Ok(())
    }

    fn send_atom(&mut self, atom: Atom<'_>, outputs: &mut dyn Outputs) -> Result<(), Broken> {
        let owner = atom.profile_id.to_string();
        let partition = keys::partition(
            &keys::joined(&[atom.workspace, &owner]),
            outputs.partitions("atoms"),
        );
        let message = self.atom(&atom)?;
        outputs.send(
            "atoms",
            partition,
            &keys::joined(&[atom.workspace, &owner, atom.atom_id]),
            &message,
        )
    }

    /// What others should know of an e-mail, of which that claim says when it was sent.
    pub(super) fn of_email(
        &mut self,
        sent: &EmailClaim<'_>,
        outcome: Outcome,
    ) -> Result<Emitted, Broken> {
        let owner = sent
            .profile_id
            .ok_or_else(|| Broken("an e-mail without owner was decided".to_owned()))?;
        let recipient = [sent.recipient_type, sent.recipient_value];
        let atom_id = ["email", sent.email_id, recipient[0], recipient[1]].join("\u{1}");
        let atom = Atom {
            workspace: sent.workspace,
            profile_id: owner,
            atom_id: &atom_id,
            revision: 0,
            body: Some(AtomBody::EmailAtom(EmailAtom {
                sent_at: sent.occurred_at,
                campaign: sent.campaign,
                delivered: outcome.delivered,
                opened: outcome.opened,
                prefetched: outcome.prefetched,
                clicked: outcome.clicked,
                unsubscribed: outcome.unsubscribed,
            })),
        };
        Ok(Emitted {
            revision: 0,
            order: None,
            atom: Some(self.atom(&atom)?),
        })
    }

    /// What others should know of an order.
    pub(super) fn of_order(
        &mut self,
        claims: &[Claim<'_>],
        products: &[Product<'_>],
        order: &Order,
    ) -> Result<Emitted, Broken> {
        let first = &claims[order.winner];
        let state = OrderState {
            workspace: first.workspace,
            order_namespace: first.order_namespace,
            order_id: first.order_id,
            currency: first.currency,
            total: order.total,
            refunded: order.refunded(),
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
            cancelled: order.cancelled,
            claims: claims.len() as i64,
            revision: 0,
            gone: false,
        };
        let owner = first
            .profile_id
            .ok_or_else(|| Broken("an order without owner was decided".to_owned()))?;
        let atom_id = atom_id(&state);
        let atom = Atom {
            workspace: first.workspace,
            profile_id: owner,
            atom_id: &atom_id,
            revision: 0,
            body: Some(AtomBody::OrderAtom(OrderAtom {
                ordered_at: first.occurred_at,
                currency: first.currency,
                total: order.total,
                margin: first.margin,
                channel: first.channel,
                traffic_source: first.traffic_source,
                campaign: first.campaign,
                store: first.store,
                device_type: first.device_type,
                refunds: order
                    .refunds
                    .iter()
                    .map(|refund| Refund {
                        refunded_at: refund.refunded_at,
                        amount: refund.amount,
                        products: given_back(products, &refund.products),
                    })
                    .collect(),
                message_id: first.message_id,
                timeline_type: first.timeline_type,
                timeline_value: first.timeline_value,
                products: sold(products, first.margin),
            })),
        };
        Ok(Emitted {
            revision: 0,
            order: Some(self.order(&state)?),
            atom: Some(self.atom(&atom)?),
        })
    }

    fn order(&mut self, state: &OrderState<'_>) -> Result<Vec<u8>, Broken> {
        let mut buffer = Vec::new();
        self.order
            .encode(state, &mut buffer)
            .map_err(|error| Broken(format!("encode an order: {error}")))?;
        Ok(buffer)
    }

    fn atom(&mut self, atom: &Atom<'_>) -> Result<Vec<u8>, Broken> {
        let mut buffer = Vec::new();
        self.atom
            .encode(atom, &mut buffer)
            .map_err(|error| Broken(format!("encode an atom: {error}")))?;
        Ok(buffer)
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

/// Products of which something is given back.
fn given_back<'a>(products: &[Product<'a>], amounts: &[Amount]) -> Vec<ProductAmount<'a>> {
    let each = products.iter().zip(amounts);
    each.filter(|(_, amount)| !amount.is_zero())
        .map(|(product, amount)| ProductAmount {
            product_id: product.id,
            amount: *amount,
        })
        .collect()
}

fn kept<'a, T: framing::Message + Deserialize<'a>>(message: &'a [u8]) -> Result<T, Broken> {
    framing::decode(message).map_err(|error| Broken(format!("a message that was kept {error}")))
}

/// Stands beside other kinds of atoms of a profile; the parts of a key may hold no NUL.
fn atom_id(order: &OrderState<'_>) -> String {
    ["order", order.order_namespace, order.order_id].join("\u{1}")
}
