//! The profile itself.

use std::collections::BTreeMap;

use crate::money::Amount;
use crate::time::Timestamp;

use super::atom::{Atom, Identifier, Order, Trait};
use super::contributions::{Contributions, contribute_amounts};
use super::distinct::Distinct;

/// A multiset.
type Counted<T> = BTreeMap<T, u32>;

/// A customer, folded from atoms. What is folded is kept in multisets, so that it can be taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fold {
    distinct: Distinct,
    started: Counted<Timestamp>,
    ended: Counted<Timestamp>,
    sessions: i64,
    touchpoints: i64,
    orders: i64,
    /// Orders, and what they brought less refunds, by currency.
    revenue: BTreeMap<Box<str>, (i64, Amount)>,
    identifiers: Counted<(u8, Box<str>, Box<str>)>,
    traits: BTreeMap<Box<str>, Counted<Stated>>,
}

/// A trait as one atom states it; the greatest is the latest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Stated {
    occurred_at: Timestamp,
    message_id: Box<str>,
    timeline: (Box<str>, Box<str>),
    value: Box<str>,
}

impl Fold {
    /// Replaces an atom's state by another; none stands for an atom that is not there. `goals` are those configured.
    pub fn replace(
        &mut self,
        before: Option<&Atom<'_>>,
        after: Option<&Atom<'_>>,
        goals: &[Box<str>],
        contributions: &mut impl Contributions,
    ) {
        contribute_amounts(before, after, goals, contributions);
        self.distinct.replace(before, after, contributions);
        if let Some(atom) = before {
            self.count(atom, -1);
        }
        if let Some(atom) = after {
            self.count(atom, 1);
        }
        self.restate(before, after);
    }

    /// Identifiers, highest first.
    pub fn identifiers(&self) -> impl Iterator<Item = Identifier<'_>> {
        self.identifiers
            .keys()
            .map(|(_, r#type, value)| Identifier { r#type, value })
    }

    /// Traits by name, each with the JSON value stated last by (time, message id, timeline).
    pub fn traits(&self) -> impl Iterator<Item = (&str, &str)> {
        self.traits
            .iter()
            .filter_map(|(name, stated)| Some((&**name, &*stated.last_key_value()?.0.value)))
    }

    /// Event time of the first active touchpoint.
    #[must_use]
    pub fn first_seen(&self) -> Option<Timestamp> {
        self.started.first_key_value().map(|(time, _)| *time)
    }

    /// Event time of the last active touchpoint.
    #[must_use]
    pub fn last_seen(&self) -> Option<Timestamp> {
        self.ended.last_key_value().map(|(time, _)| *time)
    }

    /// Sessions.
    #[must_use]
    pub const fn sessions(&self) -> i64 {
        self.sessions
    }

    /// Touchpoints, active and passive.
    #[must_use]
    pub const fn touchpoints(&self) -> i64 {
        self.touchpoints
    }

    /// Orders.
    #[must_use]
    pub const fn orders(&self) -> i64 {
        self.orders
    }

    /// Order totals less refunds, by currency.
    pub fn revenue(&self) -> impl Iterator<Item = (&str, Amount)> {
        self.revenue
            .iter()
            .map(|(currency, (_, amount))| (&**currency, *amount))
    }

    /// Channels of active touchpoints, sorted.
    pub fn channels(&self) -> impl Iterator<Item = &str> {
        self.distinct.channels()
    }

    /// About how many entries it holds: what it costs in memory.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.distinct.minutes()
            + self.started.len()
            + self.ended.len()
            + self.identifiers.len()
            + self.traits.len()
    }

    fn count(&mut self, atom: &Atom<'_>, sign: i64) {
        match atom {
            Atom::Session(session) => {
                self.sessions += sign;
                self.touchpoints += sign * session.touchpoints;
                change(&mut self.started, session.started_at, sign);
                change(&mut self.ended, session.ended_at, sign);
            }
            Atom::Passive(passive) => self.touchpoints += sign * passive.touchpoints,
            Atom::Order(order) => {
                self.orders += sign;
                self.earn(order, sign);
            }
            Atom::Identifier(identifier) => {
                let (rank, r#type, value) = identifier.rank();
                change(
                    &mut self.identifiers,
                    (rank, r#type.into(), value.into()),
                    sign,
                );
            }
        }
    }

    fn earn(&mut self, order: &Order<'_>, sign: i64) {
        if order.currency.is_empty() {
            return;
        }
        let amount = order.total - order.refunds.iter().map(|refund| refund.amount).sum();
        let (orders, revenue) = self.revenue.entry(order.currency.into()).or_default();
        *orders += sign;
        *revenue += if sign > 0 { amount } else { -amount };
        if *orders == 0 {
            self.revenue.remove(order.currency);
        }
    }

    fn restate(&mut self, before: Option<&Atom<'_>>, after: Option<&Atom<'_>>) {
        let (before, after) = (
            before.and_then(stated_traits),
            after.and_then(stated_traits),
        );
        if before == after {
            return;
        }
        for (stated, sign) in [(before, -1), (after, 1)] {
            let Some((timeline, traits)) = stated else {
                continue;
            };
            for stated in traits {
                let all = self.traits.entry(stated.name.into()).or_default();
                let key = Stated {
                    occurred_at: stated.occurred_at,
                    message_id: stated.message_id.into(),
                    timeline: (timeline.0.into(), timeline.1.into()),
                    value: stated.value.into(),
                };
                change(all, key, sign);
                if all.is_empty() {
                    self.traits.remove(stated.name);
                }
            }
        }
    }
}

fn stated_traits<'a, 'b>(atom: &'b Atom<'a>) -> Option<((&'a str, &'a str), &'b [Trait<'a>])> {
    match atom {
        Atom::Session(session) => Some((session.timeline, &session.traits)),
        Atom::Passive(passive) => Some((passive.timeline, &passive.traits)),
        Atom::Order(_) | Atom::Identifier(_) => None,
    }
}

fn change<T: Ord>(counted: &mut Counted<T>, key: T, sign: i64) {
    if sign > 0 {
        *counted.entry(key).or_default() += 1;
    } else if let Some(count) = counted.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counted.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests;
