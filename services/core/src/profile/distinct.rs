//! Distinct counts: the minutes at which a profile did something, by dimension and value.

use std::collections::BTreeMap;

use crate::kpi::{AtLeast, Dimension, Key, Kpi, Occurrences, Sum, Window, minute_of};

use super::atom::{Activity, Atom, Order, Session};
use super::contributions::{Contributions, Difference};
use super::runs::Runs;

/// Every dimension but the goal, by index.
const DIMENSIONS: usize = 6;

/// By dimension and value, the minutes of facts that make the profile count as one.
type Values = [BTreeMap<Box<str>, Occurrences>; DIMENSIONS];

/// All that distinct counts are made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Distinct {
    active: Values,
    ordered: Values,
    minutes: usize,
}

impl Distinct {
    /// Replaces an atom's state by another.
    pub(super) fn replace(
        &mut self,
        before: Option<&Atom<'_>>,
        after: Option<&Atom<'_>>,
        contributions: &mut impl Contributions,
    ) {
        let (active_before, ordered_before) = touched(before);
        let (active_after, ordered_after) = touched(after);
        let Self {
            active,
            ordered,
            minutes,
        } = self;
        move_minutes(
            active,
            Kpi::Visitors,
            &active_before,
            &active_after,
            minutes,
            contributions,
        );
        move_minutes(
            ordered,
            Kpi::RepurchaseRate,
            &ordered_before,
            &ordered_after,
            minutes,
            contributions,
        );
    }

    /// Channels of active touchpoints, sorted.
    pub(super) fn channels(&self) -> impl Iterator<Item = &str> {
        self.active[Dimension::Channel.index()]
            .keys()
            .map(|channel| &**channel)
    }

    /// How many minutes it holds, each as often as it stands under a value: what it costs in memory.
    pub(super) const fn minutes(&self) -> usize {
        self.minutes
    }
}

/// The minutes at which an atom touches each dimension's values.
type Touched<'a> = Vec<((Dimension, &'a str), Runs)>;

/// What an atom touches: as active, and as ordered.
fn touched<'a>(atom: Option<&Atom<'a>>) -> (Touched<'a>, Touched<'a>) {
    match atom {
        Some(Atom::Session(session)) => (active_minutes(session), Vec::new()),
        Some(Atom::Order(order)) => (Vec::new(), order_minutes(order)),
        Some(Atom::Passive(_) | Atom::Identifier(_)) | None => (Vec::new(), Vec::new()),
    }
}

/// Source and campaign are the session's at all its minutes; channel, store and device type are the touchpoints' own.
fn active_minutes<'a>(session: &Session<'a>) -> Touched<'a> {
    let union = |included: &dyn Fn(&Activity<'_>) -> bool| {
        Runs::of(
            session
                .activity
                .iter()
                .filter(|activity| included(activity))
                .flat_map(|activity| activity.minutes.iter()),
        )
    };
    let all = union(&|_| true);
    let mut touched: Touched<'a> = session
        .facets
        .rows()
        .filter(|(dimension, _)| {
            matches!(
                dimension,
                Dimension::Whole | Dimension::Source | Dimension::Campaign
            )
        })
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
    order
        .facets
        .rows()
        .map(|row| (row, minute.clone()))
        .collect()
}

fn move_minutes(
    distinct: &mut Values,
    kpi: Kpi,
    before: &Touched<'_>,
    after: &Touched<'_>,
    minutes: &mut usize,
    contributions: &mut impl Contributions,
) {
    let nothing = Runs::default();
    let runs_of = |touched: &Touched<'_>, row: (Dimension, &str)| {
        touched.iter().position(|(other, _)| *other == row)
    };
    let pairs = before
        .iter()
        .map(|(row, runs)| {
            (
                *row,
                runs,
                runs_of(after, *row).map_or(&nothing, |index| &after[index].1),
            )
        })
        .chain(
            after
                .iter()
                .filter(|(row, _)| runs_of(before, *row).is_none())
                .map(|(row, runs)| (*row, &nothing, runs)),
        );
    let mut differences = Vec::new();
    for ((dimension, value), old, new) in pairs {
        if old == new {
            continue;
        }
        let values = &mut distinct[dimension.index()];
        if !values.contains_key(value) {
            values.insert(value.into(), Occurrences::default());
        }
        let occurrences = values
            .get_mut(value)
            .expect("was inserted above where it was missing");
        *minutes -= occurrences.len();
        old.for_each_besides(new, |minute| {
            occurrences.remove(minute, ranges(kpi, -1, &mut differences))
        });
        new.for_each_besides(old, |minute| {
            occurrences.insert(minute, ranges(kpi, 1, &mut differences))
        });
        *minutes += occurrences.len();
        if occurrences.is_empty() {
            values.remove(value);
        }
        contributions.add(
            &Key {
                kpi,
                currency: "",
                dimension,
                value,
            },
            &differences,
        );
        differences.clear();
    }
}

/// Visitors count profiles with one fact or more; the repurchase rate those with two among those with one.
fn ranges(
    kpi: Kpi,
    sign: i64,
    differences: &mut Vec<Difference>,
) -> impl FnMut(Window, AtLeast, i64, i64) + '_ {
    move |window, at_least, from, to| {
        let one = match (kpi, at_least) {
            (Kpi::RepurchaseRate, AtLeast::One) => Sum {
                numerator: 0,
                denominator: 1,
            },
            (_, AtLeast::One) | (Kpi::RepurchaseRate, AtLeast::Two) => Sum::ONE,
            (_, AtLeast::Two) => return,
        };
        let sum = if sign > 0 { one } else { -one };
        differences.push(Difference {
            window: Some(window),
            mark: from,
            sum,
        });
        differences.push(Difference {
            window: Some(window),
            mark: to,
            sum: -sum,
        });
    }
}
