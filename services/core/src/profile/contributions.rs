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
pub(super) enum Sign {
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

/// Whether two states of an atom contribute the same amounts, so that nothing needs to be taken back.
pub(super) fn same_amounts(one: &Atom<'_>, other: &Atom<'_>) -> bool {
    match (one, other) {
        (Atom::Session(one), Atom::Session(other)) => {
            minute_of(one.started_at) == minute_of(other.started_at)
                && one.facets == other.facets
                && one.goals == other.goals
        }
        _ => one == other,
    }
}

/// Adds or retracts what adds up: everything but distinct counts.
pub(super) fn contribute_amounts(
    atom: &Atom<'_>,
    goals: &[Box<str>],
    sign: Sign,
    contributions: &mut impl Contributions,
) {
    match atom {
        Atom::Session(session) => session_amounts(session, goals, sign, contributions),
        Atom::Order(order) => order_amounts(order, sign, contributions),
        Atom::Passive(_) | Atom::Identifier(_) => {}
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
    by_goal(
        session,
        &besides(before, after),
        Sign::Retract,
        contributions,
    );
    by_goal(session, &besides(after, before), Sign::Add, contributions);
}

fn session_amounts(
    session: &Session<'_>,
    goals: &[Box<str>],
    sign: Sign,
    contributions: &mut impl Contributions,
) {
    let once = [at(minute_of(session.started_at), sign.of(Sum::ONE))];
    for (dimension, value) in session.facets.rows() {
        contributions.add(
            &Key {
                kpi: Kpi::Sessions,
                currency: "",
                dimension,
                value,
            },
            &once,
        );
        if dimension == Dimension::Source {
            contributions.add(
                &Key {
                    kpi: Kpi::TrafficSource,
                    currency: "",
                    dimension,
                    value,
                },
                &once,
            );
        }
    }
    if SITE.contains(&session.facets.channel) {
        let visit = [conversion(session, PURCHASE, sign)];
        for (dimension, value) in session.facets.rows() {
            contributions.add(
                &Key {
                    kpi: Kpi::ConversionRate,
                    currency: "",
                    dimension,
                    value,
                },
                &visit,
            );
        }
    }
    by_goal(session, goals, sign, contributions);
}

fn by_goal(
    session: &Session<'_>,
    goals: &[Box<str>],
    sign: Sign,
    contributions: &mut impl Contributions,
) {
    if SITE.contains(&session.facets.channel) {
        for goal in goals {
            let key = Key {
                kpi: Kpi::ConversionRate,
                currency: "",
                dimension: Dimension::Goal,
                value: goal,
            };
            contributions.add(&key, &[conversion(session, goal, sign)]);
        }
    }
}

fn conversion(session: &Session<'_>, goal: &str, sign: Sign) -> Difference {
    let reached = if session.goals.contains(&goal) {
        Sum::ONE.numerator
    } else {
        0
    };
    at(
        minute_of(session.started_at),
        sign.of(Sum {
            numerator: reached,
            denominator: 1,
        }),
    )
}

fn order_amounts(order: &Order<'_>, sign: Sign, contributions: &mut impl Contributions) {
    let minute = minute_of(order.ordered_at);
    let money = |amount: Amount| Sum {
        numerator: amount.millionths(),
        denominator: 0,
    };
    let counted = [at(minute, sign.of(Sum::ONE))];
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
        contributions.add(
            &Key {
                kpi: Kpi::Orders,
                currency: "",
                dimension,
                value,
            },
            &counted,
        );
        if !order.currency.is_empty() {
            let key = |kpi| Key {
                kpi,
                currency: order.currency,
                dimension,
                value,
            };
            contributions.add(&key(Kpi::Revenue), &revenue);
            contributions.add(&key(Kpi::AverageOrderValue), &average);
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
