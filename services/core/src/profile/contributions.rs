//! What atoms contribute to KPIs.

use crate::kpi::{Dimension, Key, Kpi, Sum, Window, minute_of};
use crate::money::Amount;

use super::atom::{Atom, Order, Session};

/// A change to a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The window in whose marks it is; none: an amount at a minute, which counts in every window that holds it.
    pub window: Option<Window>,
    /// Number of the mark, or the minute.
    pub mark: i64,
    /// To be added.
    pub sum: Sum,
}

/// Where differences are summed up.
pub trait Contributions {
    /// Adds differences to the sums of a key.
    fn add(&mut self, key: &Key<'_>, differences: &[Difference]);
}

/// Whether an atom is added or taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Add,
    Retract,
}

impl Sign {
    fn of(self, sum: Sum) -> Sum {
        match self {
            Self::Add => sum,
            Self::Retract => -sum,
        }
    }
}

/// The goal that counts where the dimension is not `goal`.
const PURCHASE: &str = "purchase";

/// Channels whose sessions are visits to convert.
const SITE: [&str; 2] = ["web", "app"];

/// Numerators are in millionths.
const MILLION: i128 = 1_000_000;

/// Replaces what an atom contributes that adds up: everything but distinct counts.
pub(super) fn contribute_amounts(
    before: Option<&Atom<'_>>,
    after: Option<&Atom<'_>>,
    goals: &[Box<str>],
    contributions: &mut impl Contributions,
) {
    match (before, after) {
        // A session that goes on where it began: only what it holds is more.
        (Some(Atom::Session(before)), Some(Atom::Session(after)))
            if minute_of(before.started_at) == minute_of(after.started_at)
                && before.facets == after.facets =>
        {
            session_amounts(after, Some(before), Sign::Add, contributions);
            by_goal(after, Some(before), goals, Sign::Add, contributions);
        }
        (before, after) if before == after => {}
        (before, after) => {
            for (atom, sign) in [(before, Sign::Retract), (after, Sign::Add)] {
                match atom {
                    Some(Atom::Session(session)) => {
                        session_amounts(session, None, sign, contributions);
                        by_goal(session, None, goals, sign, contributions);
                    }
                    Some(Atom::Order(order)) => order_amounts(order, sign, contributions),
                    Some(Atom::Passive(_) | Atom::Identifier(_)) | None => {}
                }
            }
        }
    }
}

/// Corrects what an atom contributed when other goals were configured.
pub fn contribute_goals(
    atom: &Atom<'_>,
    before: &[Box<str>],
    after: &[Box<str>],
    contributions: &mut impl Contributions,
) {
    let Atom::Session(session) = atom else { return };
    let besides = |these: &[Box<str>], those: &[Box<str>]| -> Vec<Box<str>> {
        these
            .iter()
            .filter(|goal| !those.contains(goal))
            .cloned()
            .collect()
    };
    let (gone, new) = (besides(before, after), besides(after, before));
    by_goal(session, None, &gone, Sign::Retract, contributions);
    by_goal(session, None, &new, Sign::Add, contributions);
}

/// What a session adds to sums, whatever the dimension.
fn measures(session: &Session<'_>) -> [(Kpi, Sum); 6] {
    let is_visit = SITE.contains(&session.facets.channel);
    let by_visit = |numerator: i128| match is_visit {
        true => Sum {
            numerator,
            denominator: 1,
        },
        false => Sum::ZERO,
    };
    let milliseconds = session.ended_at.0 - session.started_at.0;
    let [converted, conversions] = conversion(session, PURCHASE);
    [
        (Kpi::Sessions, Sum::ONE),
        converted,
        conversions,
        (
            Kpi::BounceRate,
            by_visit(i128::from(session.touchpoints == 1) * MILLION),
        ),
        (
            Kpi::PagesPerSession,
            by_visit(i128::from(session.views) * MILLION),
        ),
        (
            Kpi::SessionDuration,
            by_visit(i128::from(milliseconds) * MILLION / 1000),
        ),
    ]
}

/// What a session adds to the sums of a goal.
fn conversion(session: &Session<'_>, goal: &str) -> [(Kpi, Sum); 2] {
    if !SITE.contains(&session.facets.channel) {
        return [Kpi::ConversionRate, Kpi::ConversionsPerVisit].map(|kpi| (kpi, Sum::ZERO));
    }
    let events = session.goals.iter().find(|(name, _)| *name == goal);
    let events = events.map_or(0, |(_, events)| *events);
    let by_visit = |count: i64| Sum {
        numerator: i128::from(count) * MILLION,
        denominator: 1,
    };
    [
        (Kpi::ConversionRate, by_visit(events.min(1))),
        (Kpi::ConversionsPerVisit, by_visit(events)),
    ]
}

/// What is more in a session than in the same session before.
fn session_amounts(
    session: &Session<'_>,
    before: Option<&Session<'_>>,
    sign: Sign,
    contributions: &mut impl Contributions,
) {
    let before = before.map(measures);
    for (place, (kpi, sum)) in measures(session).into_iter().enumerate() {
        let sum = more(sum, before.map(|before| before[place].1));
        if sum.is_zero() {
            continue;
        }
        let once = [at(minute_of(session.started_at), sign.of(sum))];
        for (dimension, value) in session.facets.rows() {
            let key = |kpi| Key {
                kpi,
                currency: "",
                dimension,
                value,
            };
            contributions.add(&key(kpi), &once);
            if kpi == Kpi::Sessions && dimension == Dimension::Source {
                contributions.add(&key(Kpi::TrafficSource), &once);
            }
        }
    }
}

/// The same by goal.
fn by_goal(
    session: &Session<'_>,
    before: Option<&Session<'_>>,
    goals: &[Box<str>],
    sign: Sign,
    contributions: &mut impl Contributions,
) {
    for goal in goals {
        let before = before.map(|before| conversion(before, goal));
        for (place, (kpi, sum)) in conversion(session, goal).into_iter().enumerate() {
            let sum = more(sum, before.map(|before| before[place].1));
            if sum.is_zero() {
                continue;
            }
            let key = Key {
                kpi,
                currency: "",
                dimension: Dimension::Goal,
                value: goal,
            };
            let once = [at(minute_of(session.started_at), sign.of(sum))];
            contributions.add(&key, &once);
        }
    }
}

fn more(sum: Sum, before: Option<Sum>) -> Sum {
    let mut more = sum;
    more += -before.unwrap_or(Sum::ZERO);
    more
}

fn order_amounts(order: &Order<'_>, sign: Sign, contributions: &mut impl Contributions) {
    let minute = minute_of(order.ordered_at);
    let money = |amount: Amount| Sum {
        numerator: amount.millionths(),
        denominator: 0,
    };
    let counted = [at(minute, sign.of(Sum::ONE))];
    let covered = [at(
        minute,
        sign.of(Sum {
            numerator: i128::from(order.margin.is_some()) * MILLION,
            denominator: 1,
        }),
    )];
    let margin = order
        .margin
        .map(|margin| [at(minute, sign.of(money(margin)))]);
    let average = [at(
        minute,
        sign.of(Sum {
            denominator: 1,
            ..money(order.total)
        }),
    )];
    let mut revenue = vec![at(minute, sign.of(money(order.total)))];
    revenue.extend(order.refunds.iter().map(|refund| {
        at(
            minute_of(refund.refunded_at),
            sign.of(money(-refund.amount)),
        )
    }));
    for (dimension, value) in order.facets.rows() {
        let key = |kpi, currency| Key {
            kpi,
            currency,
            dimension,
            value,
        };
        contributions.add(&key(Kpi::Orders, ""), &counted);
        contributions.add(&key(Kpi::MarginCoverage, ""), &covered);
        if !order.currency.is_empty() {
            contributions.add(&key(Kpi::Revenue, order.currency), &revenue);
            contributions.add(&key(Kpi::AverageOrderValue, order.currency), &average);
            if let Some(margin) = &margin {
                contributions.add(&key(Kpi::Margin, order.currency), margin);
            }
        }
    }
}

const fn at(minute: i64, sum: Sum) -> Difference {
    Difference {
        window: None,
        mark: minute,
        sum,
    }
}
