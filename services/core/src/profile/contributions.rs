//! What atoms contribute to KPIs.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::kpi::{Dimension, Key, Kpi, Sum, Window, minute_of};
use crate::money::Amount;

use super::atom::{Answer, Atom, Email, Facets, Moment, Note, Order, Refund, Said, Session, said};
use super::traits::TraitRules;

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

/// What of the configuration the KPIs of profiles depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definitions {
    /// Names of the goals, sorted.
    pub goals: Vec<Box<str>>,
    /// For how many days an order makes a customer.
    pub customer_days: i64,
    /// By workspace: the currency in which leads and contacts have a cost.
    pub currencies: BTreeMap<Box<str>, Box<str>>,
    /// By workspace: sources of which a lead counts as one only where they say that it is qualified.
    pub qualifying: BTreeMap<Box<str>, BTreeSet<Box<str>>>,
    /// Whether an e-mail that only a mail client has opened, and no person, counts as opened.
    pub prefetched_opens: bool,
    /// How traits are chosen.
    pub traits: TraitRules,
    /// The least note of recommendation that is a high attitude.
    pub high_attitude: u8,
    /// The greatest that is a low one.
    pub low_attitude: u8,
    /// Dimensions by which nothing is counted.
    pub uncounted: Vec<Dimension>,
}

impl Definitions {
    /// Whether an event of the goal `lead` makes its profile one: as its source says, or where that says nothing unless it
    /// qualifies others.
    #[must_use]
    pub fn is_lead(&self, workspace: &str, source: &str, qualified: Option<bool>) -> bool {
        let of_workspace = self.qualifying.get(workspace);
        let qualifies = || of_workspace.is_some_and(|sources| sources.contains(source));
        qualified.unwrap_or_else(|| !qualifies())
    }

    /// Whether anything is counted by a dimension.
    #[must_use]
    pub fn counts_by(&self, dimension: Dimension) -> bool {
        !self.uncounted.contains(&dimension)
    }
}

/// What a change to the sums of a workspace's key changes in those of others: their denominators are its count, or their
/// numerators its amount.
pub fn follow(
    workspace: &str,
    key: &Key<'_>,
    definitions: &Definitions,
    mut visit: impl FnMut(&Key<'_>, fn(Sum) -> Sum),
) {
    const fn counted(sum: Sum) -> Sum {
        Sum {
            numerator: 0,
            denominator: (sum.numerator / MILLION) as i64,
        }
    }
    // Costs are of all, and by campaign: money is not spent by a lead's channel or device.
    let has_cost = matches!(key.dimension, Dimension::Whole | Dimension::Campaign);
    let currency = definitions.currencies.get(workspace);
    match key.kpi {
        Kpi::Spend if has_cost => {
            for kpi in [Kpi::CostPerLead, Kpi::CostPerContact] {
                visit(&Key { kpi, ..*key }, |amount| amount);
            }
        }
        Kpi::Leads | Kpi::Contacts if has_cost => {
            let Some(currency) = currency else { return };
            let kpi = match key.kpi {
                Kpi::Leads => Kpi::CostPerLead,
                _ => Kpi::CostPerContact,
            };
            let cost = Key {
                kpi,
                currency,
                ..*key
            };
            visit(&cost, counted);
        }
        Kpi::Visitors => {
            let kpi = Kpi::ConversionRateProfiles;
            visit(&Key { kpi, ..*key }, counted);
            if key.dimension == Dimension::Whole && definitions.counts_by(Dimension::Goal) {
                for goal in &definitions.goals {
                    let goal = Key {
                        kpi,
                        currency: "",
                        dimension: Dimension::Goal,
                        value: goal,
                    };
                    visit(&goal, counted);
                }
            }
        }
        Kpi::Sessions => {
            let kpi = Kpi::RecognitionRate;
            visit(&Key { kpi, ..*key }, counted);
        }
        _ => {}
    }
}

/// Whether an atom is added or taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Add,
    Retract,
}

impl Sign {
    pub(super) fn of(self, sum: Sum) -> Sum {
        match self {
            Self::Add => sum,
            Self::Retract => -sum,
        }
    }

    pub(super) const fn of_amount(self, amount: i128) -> i128 {
        match self {
            Self::Add => amount,
            Self::Retract => -amount,
        }
    }
}

/// The goal that counts where the dimension is not `goal`.
pub(super) const PURCHASE: &str = "purchase";

/// Channels whose sessions are visits to convert.
const SITE: [&str; 2] = ["web", "app"];

/// Numerators are in millionths.
pub(super) const MILLION: i128 = 1_000_000;

/// Replaces what an atom contributes that adds up: everything but distinct counts. `recognised` are the sessions of who
/// holds a person identifier.
pub(super) fn contribute_amounts(
    before: Option<&Atom<'_>>,
    after: Option<&Atom<'_>>,
    definitions: &Definitions,
    recognised: bool,
    contributions: &mut impl Contributions,
) {
    let goals = &definitions.goals;
    match (before, after) {
        // A session that goes on where it began: only what it holds is more.
        (Some(Atom::Session(before)), Some(Atom::Session(after)))
            if minute_of(before.started_at) == minute_of(after.started_at)
                && before.facets == after.facets =>
        {
            session_amounts(after, Some(before), Sign::Add, contributions);
            by_goal(after, Some(before), goals, Sign::Add, contributions);
        }
        (before, after) if before == after => return,
        (before, after) => {
            for (atom, sign) in [(before, Sign::Retract), (after, Sign::Add)] {
                match atom {
                    Some(Atom::Session(session)) => {
                        session_amounts(session, None, sign, contributions);
                        by_goal(session, None, goals, sign, contributions);
                        if recognised {
                            let begun = [(minute_of(session.started_at), 1)];
                            recognise(session.facets, begun, sign, contributions);
                        }
                    }
                    Some(Atom::Order(order)) => order_amounts(order, sign, contributions),
                    Some(Atom::Refund(refund)) => refund_amounts(refund, sign, contributions),
                    Some(Atom::Email(email)) => {
                        email_amounts(email, definitions.prefetched_opens, sign, contributions);
                    }
                    Some(
                        Atom::Part(_) | Atom::Passive(_) | Atom::Identifier(_) | Atom::Source(_),
                    )
                    | None => {}
                }
            }
        }
    }
    each_changed(said(before).0, said(after).0, |moment, sign| {
        moment_amounts(moment, sign, contributions);
    });
}

/// Calls `visit` with each moment that is taken back or added; both lists are in order of time.
pub(super) fn each_changed<'m, 'a>(
    mut before: &'m [Moment<'a>],
    mut after: &'m [Moment<'a>],
    mut visit: impl FnMut(&'m Moment<'a>, Sign),
) {
    let place = |moment: &Moment<'a>| (moment.occurred_at, moment.message_id);
    while let (Some((one, rest)), Some((other, others))) =
        (before.split_first(), after.split_first())
    {
        if one == other {
            (before, after) = (rest, others);
        } else if place(one) <= place(other) {
            visit(one, Sign::Retract);
            before = rest;
        } else {
            visit(other, Sign::Add);
            after = others;
        }
    }
    before.iter().for_each(|one| visit(one, Sign::Retract));
    after.iter().for_each(|other| visit(other, Sign::Add));
}

/// Counts sessions among those of who is known, or no longer: so many that began at each of these minutes, alike.
pub(super) fn recognise(
    facets: Facets<'_>,
    begun: impl IntoIterator<Item = (i64, u32)>,
    sign: Sign,
    contributions: &mut impl Contributions,
) {
    let times = |count: u32| Sum {
        numerator: Sum::ONE.numerator * i128::from(count),
        ..Sum::ONE
    };
    let differences: Vec<Difference> = begun
        .into_iter()
        .map(|(minute, count)| at(minute, sign.of(times(count))))
        .collect();
    let row = (Kpi::RecognitionRate, "");
    add_to_rows(row, facets.rows(), &differences, contributions);
}

/// Adds differences to the sums of each row of a KPI in a currency.
pub(super) fn add_to_rows<'a>(
    (kpi, currency): (Kpi, &str),
    rows: impl Iterator<Item = (Dimension, &'a str)>,
    differences: &[Difference],
    contributions: &mut impl Contributions,
) {
    for (dimension, value) in rows {
        let key = Key {
            kpi,
            currency,
            dimension,
            value,
        };
        contributions.add(&key, differences);
    }
}

fn moment_amounts(moment: &Moment<'_>, sign: Sign, contributions: &mut impl Contributions) {
    let amount = |amount: Amount| Sum {
        numerator: amount.millionths(),
        denominator: 0,
    };
    let (kpi, currency, sum) = match &moment.said {
        Said::Answer(Answer {
            note: Some(note), ..
        }) => {
            let (kpi, sum) = noted(*note);
            (kpi, "", sum)
        }
        Said::Answer(_) => return,
        Said::Lead(_) => (Kpi::Contacts, "", Sum::ONE),
        Said::Points(points) => (Kpi::LoyaltyPoints, "", amount(*points)),
        Said::Spend(spent, currency) => (Kpi::Spend, *currency, amount(*spent)),
        Said::Mention(mention) => {
            let once = [at(minute_of(moment.occurred_at), sign.of(Sum::ONE))];
            let sentiment = [(Dimension::Sentiment, mention.sentiment)];
            let rows = mention.social.rows().chain(sentiment);
            add_to_rows((Kpi::Mentions, ""), rows, &once, contributions);
            return;
        }
        // Only the last of a thing counts: `reports` knows which.
        Said::Report(_) => return,
    };
    let once = [at(minute_of(moment.occurred_at), sign.of(sum))];
    let asked = match &moment.said {
        Said::Answer(answer) => &[
            (Dimension::Product, answer.product),
            (Dimension::Question, answer.question),
            (Dimension::Touchpoint, answer.touchpoint),
        ][..],
        _ => &[],
    };
    let asked = asked.iter().copied().filter(|(_, value)| !value.is_empty());
    let rows = moment.facets.rows().chain(asked);
    add_to_rows((kpi, currency), rows, &once, contributions);
}

/// What a note adds to its KPI: KPIS.md, "Satisfaction".
fn noted(note: Note) -> (Kpi, Sum) {
    let (kpi, numerator) = match note {
        Note::Nps(note) => (Kpi::Nps, 100 * promotion(note)),
        Note::NpsFromOne(note) => (Kpi::NpsFromOne, 100 * promotion(note)),
        Note::Stars(_) | Note::YesNo(_) => (Kpi::Csat, i128::from(note.is_satisfied())),
        Note::Ces(effort) => (Kpi::Ces, i128::from(effort)),
    };
    let sum = Sum {
        numerator: numerator * MILLION,
        denominator: 1,
    };
    (kpi, sum)
}

/// 1 for a promoter, -1 for a detractor (Reichheld 2003).
const fn promotion(note: u8) -> i128 {
    match note {
        9.. => 1,
        7..=8 => 0,
        0..=6 => -1,
    }
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
            match session.views {
                0 => Sum::ZERO,
                views => by_visit(i128::from(views) * MILLION),
            },
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

/// What an e-mail adds, by campaign only: KPIS.md, "Email".
fn email_amounts(
    email: &Email<'_>,
    prefetched_opens: bool,
    sign: Sign,
    contributions: &mut impl Contributions,
) {
    let outcome = email.outcome;
    let opened = outcome.is_opened(prefetched_opens);
    let of = |is: bool, whole: bool| Sum {
        numerator: i128::from(is) * MILLION,
        denominator: i64::from(whole),
    };
    for (kpi, sum) in [
        (Kpi::EmailSent, of(true, false)),
        (Kpi::EmailDelivered, of(outcome.delivered, false)),
        (Kpi::EmailOpenRate, of(opened, outcome.delivered)),
        (Kpi::EmailClickRate, of(outcome.clicked, outcome.delivered)),
        (Kpi::EmailClickToOpen, of(outcome.clicked, opened)),
        (
            Kpi::EmailUnsubscribeRate,
            of(outcome.unsubscribed, outcome.delivered),
        ),
    ] {
        if sum.is_zero() {
            continue;
        }
        let once = [at(minute_of(email.sent_at), sign.of(sum))];
        let rows = [
            (Dimension::Whole, ""),
            (Dimension::Campaign, email.campaign),
        ];
        let rows = rows
            .into_iter()
            .filter(|(dimension, value)| *dimension == Dimension::Whole || !value.is_empty());
        add_to_rows((kpi, ""), rows, &once, contributions);
    }
}

fn order_amounts(order: &Order<'_>, sign: Sign, contributions: &mut impl Contributions) {
    let minute = minute_of(order.ordered_at);
    let covered = [at(
        minute,
        sign.of(Sum {
            numerator: i128::from(order.margin.is_some()) * MILLION,
            denominator: 1,
        }),
    )];
    for row in order.facets.rows() {
        add_to_rows(
            (Kpi::MarginCoverage, ""),
            [row].into_iter(),
            &covered,
            contributions,
        );
        sold_amounts(order, row, (order.total, order.margin), sign, contributions);
    }
    for product in &order.products {
        let row = (Dimension::Product, product.id);
        sold_amounts(
            order,
            row,
            (product.amount, product.margin),
            sign,
            contributions,
        );
    }
}

/// What an order brings in a row: amount and margin of all of it, or of its lines of a product.
fn sold_amounts(
    order: &Order<'_>,
    row: (Dimension, &str),
    (amount, margin): (Amount, Option<Amount>),
    sign: Sign,
    contributions: &mut impl Contributions,
) {
    let minute = minute_of(order.ordered_at);
    let mut add = |kpi, currency, sum| {
        let once = [at(minute, sign.of(sum))];
        add_to_rows((kpi, currency), [row].into_iter(), &once, contributions);
    };
    add(Kpi::Orders, "", Sum::ONE);
    if order.currency.is_empty() {
        return;
    }
    add(Kpi::Revenue, order.currency, money(amount, 0));
    add(Kpi::AverageOrderValue, order.currency, money(amount, 1));
    if let Some(margin) = margin {
        add(Kpi::Margin, order.currency, money(margin, 0));
    }
}

fn refund_amounts(refund: &Refund<'_>, sign: Sign, contributions: &mut impl Contributions) {
    if refund.currency.is_empty() {
        return;
    }
    let minute = minute_of(refund.refunded_at);
    let whole = refund.facets.rows().map(|row| (row, refund.amount));
    let products = refund.products.iter();
    let products = products.map(|(id, amount)| ((Dimension::Product, *id), *amount));
    for (row, amount) in whole.chain(products) {
        let once = [at(minute, sign.of(money(-amount, 0)))];
        let key = (Kpi::Revenue, refund.currency);
        add_to_rows(key, [row].into_iter(), &once, contributions);
    }
}

const fn money(amount: Amount, denominator: i64) -> Sum {
    Sum {
        numerator: amount.millionths(),
        denominator,
    }
}

pub(super) const fn at(minute: i64, sum: Sum) -> Difference {
    Difference {
        window: None,
        mark: minute,
        sum,
    }
}
