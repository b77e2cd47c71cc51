//! The profile itself.

use std::collections::BTreeMap;

use crate::kpi::{AtLeast, Dimension, Key, Kpi, Occurrences, Sum, Window, minute_of};
use crate::money::Amount;
use crate::time::Timestamp;

use super::atom::{Atom, Identifier, Order, Session, Trait};
use super::contributions::{Contributions, Difference, Sign, contribute_amounts, same_amounts};
use super::runs::Runs;

/// Every dimension but the goal, by index.
const DIMENSIONS: usize = 6;

/// By dimension and value, the minutes of facts that make the profile count as one.
type Distinct = [BTreeMap<Box<str>, Occurrences>; DIMENSIONS];

/// A multiset.
type Counted<T> = BTreeMap<T, u32>;

/// A customer, folded from atoms. What is folded is kept in multisets, so that it can be taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fold {
    active: Distinct,
    ordered: Distinct,
    started: Counted<Timestamp>,
    ended: Counted<Timestamp>,
    sessions: i64,
    touchpoints: i64,
    orders: i64,
    /// Orders, and what they brought less refunds, by currency.
    revenue: BTreeMap<Box<str>, (i64, Amount)>,
    identifiers: Counted<(u8, Box<str>, Box<str>)>,
    traits: BTreeMap<Box<str>, Counted<Stated>>,
    minutes: usize,
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
        if let (Some(before), Some(after)) = (before, after)
            && same_amounts(before, after)
        {
            self.distinct(Some(before), Some(after), contributions);
        } else {
            if let Some(atom) = before {
                contribute_amounts(atom, goals, Sign::Retract, contributions);
            }
            if let Some(atom) = after {
                contribute_amounts(atom, goals, Sign::Add, contributions);
            }
            self.distinct(before, after, contributions);
        }
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
        self.identifiers.keys().map(|(_, r#type, value)| Identifier { r#type, value })
    }

    /// Traits by name, each with the JSON value stated last by (time, message id, timeline).
    pub fn traits(&self) -> impl Iterator<Item = (&str, &str)> {
        self.traits.iter().filter_map(|(name, stated)| Some((&**name, &*stated.last_key_value()?.0.value)))
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
        self.revenue.iter().map(|(currency, (_, amount))| (&**currency, *amount))
    }

    /// Channels of active touchpoints, sorted.
    pub fn channels(&self) -> impl Iterator<Item = &str> {
        self.active[Dimension::Channel.index()].keys().map(|channel| &**channel)
    }

    /// About how many entries it holds: what it costs in memory.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.minutes + self.started.len() + self.ended.len() + self.identifiers.len() + self.traits.len()
    }

    fn distinct(&mut self, before: Option<&Atom<'_>>, after: Option<&Atom<'_>>, contributions: &mut impl Contributions) {
        let (mut active_before, mut active_after) = (Vec::new(), Vec::new());
        let (mut ordered_before, mut ordered_after) = (Vec::new(), Vec::new());
        for (atom, active, ordered) in
            [(before, &mut active_before, &mut ordered_before), (after, &mut active_after, &mut ordered_after)]
        {
            match atom {
                Some(Atom::Session(session)) => *active = active_minutes(session),
                Some(Atom::Order(order)) => *ordered = order_minutes(order),
                Some(Atom::Passive(_) | Atom::Identifier(_)) | None => {}
            }
        }
        move_minutes(&mut self.active, Kpi::Visitors, &active_before, &active_after, &mut self.minutes, contributions);
        move_minutes(&mut self.ordered, Kpi::RepurchaseRate, &ordered_before, &ordered_after, &mut self.minutes, contributions);
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
                change(&mut self.identifiers, (rank, r#type.into(), value.into()), sign);
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
        let (before, after) = (before.and_then(stated_traits), after.and_then(stated_traits));
        if before == after {
            return;
        }
        for (stated, sign) in [(before, -1), (after, 1)] {
            let Some((timeline, traits)) = stated else { continue };
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

/// The minutes at which an atom touches each dimension's values.
type Touched<'a> = Vec<((Dimension, &'a str), Runs)>;

/// Source and campaign are the session's at all its minutes; channel, store and device type are the touchpoints' own.
fn active_minutes<'a>(session: &Session<'a>) -> Touched<'a> {
    let union = |included: &dyn Fn(&super::atom::Activity<'_>) -> bool| {
        Runs::of(session.activity.iter().filter(|activity| included(activity)).flat_map(|activity| activity.minutes.iter()))
    };
    let all = union(&|_| true);
    let mut touched: Touched<'a> = session
        .facets
        .rows()
        .filter(|(dimension, _)| matches!(dimension, Dimension::Whole | Dimension::Source | Dimension::Campaign))
        .map(|row| (row, all.clone()))
        .collect();
    for activity in &session.activity {
        let own = [
            (Dimension::Channel, activity.channel),
            (Dimension::DeviceType, activity.device_type),
            (Dimension::Store, activity.store),
        ];
        for (dimension, value) in own {
            if value.is_empty() || touched.iter().any(|(row, _)| *row == (dimension, value)) {
                continue;
            }
            let minutes = union(&|other| match dimension {
                Dimension::Channel => other.channel == value,
                Dimension::DeviceType => other.device_type == value,
                _ => other.store == value,
            });
            touched.push(((dimension, value), minutes));
        }
    }
    touched
}

fn order_minutes<'a>(order: &Order<'a>) -> Touched<'a> {
    let minute = Runs::of([(minute_of(order.ordered_at), 1)]);
    order.facets.rows().map(|row| (row, minute.clone())).collect()
}

fn move_minutes(
    distinct: &mut Distinct,
    kpi: Kpi,
    before: &Touched<'_>,
    after: &Touched<'_>,
    minutes: &mut usize,
    contributions: &mut impl Contributions,
) {
    let nothing = Runs::default();
    let runs_of = |touched: &Touched<'_>, row: (Dimension, &str)| touched.iter().position(|(other, _)| *other == row);
    let pairs = before
        .iter()
        .map(|(row, runs)| (*row, runs, runs_of(after, *row).map_or(&nothing, |index| &after[index].1)))
        .chain(after.iter().filter(|(row, _)| runs_of(before, *row).is_none()).map(|(row, runs)| (*row, &nothing, runs)));
    let mut differences = Vec::new();
    for ((dimension, value), old, new) in pairs {
        if old == new {
            continue;
        }
        let values = &mut distinct[dimension.index()];
        if !values.contains_key(value) {
            values.insert(value.into(), Occurrences::default());
        }
        let occurrences = values.get_mut(value).expect("was inserted above where it was missing");
        *minutes -= occurrences.len();
        old.for_each_besides(new, |minute| occurrences.remove(minute, ranges(kpi, -1, &mut differences)));
        new.for_each_besides(old, |minute| occurrences.insert(minute, ranges(kpi, 1, &mut differences)));
        *minutes += occurrences.len();
        if occurrences.is_empty() {
            values.remove(value);
        }
        contributions.add(&Key { kpi, currency: "", dimension, value }, &differences);
        differences.clear();
    }
}

/// Visitors count profiles with one fact or more; the repurchase rate those with two among those with one.
fn ranges(kpi: Kpi, sign: i64, differences: &mut Vec<Difference>) -> impl FnMut(Window, AtLeast, i64, i64) + '_ {
    move |window, at_least, from, to| {
        let one = match (kpi, at_least) {
            (Kpi::RepurchaseRate, AtLeast::One) => Sum { numerator: 0, denominator: 1 },
            (_, AtLeast::One) | (Kpi::RepurchaseRate, AtLeast::Two) => Sum::ONE,
            (_, AtLeast::Two) => return,
        };
        let sum = if sign > 0 { one } else { -one };
        differences.push(Difference { window: Some(window), mark: from, sum });
        differences.push(Difference { window: Some(window), mark: to, sum: -sum });
    }
}

#[cfg(test)]
mod tests;
