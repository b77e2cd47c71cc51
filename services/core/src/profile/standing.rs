//! What a profile is at a mark, by its orders up to then: a customer, a lapsed one, one won back; of what worth.
//!
//! All of it follows from the profile's *spells* as a customer: the minutes at which an order lies in the
//! `customer_days` up to then. A profile has few of them, however many its orders: they are found by leaping from the last
//! order that a spell reaches to the next. So each time something changed, they are made anew, and the difference to what
//! was told before is contributed.

use std::collections::{BTreeMap, BTreeSet};

use crate::kpi::{AtLeast, Dimension, Key, Kpi, Occurrences, Sum, Window, minute_of};
use crate::money::Amount;
use crate::time::{DAY, MINUTE, Timestamp};

use super::atom::{Atom, Facets, Order, Refund};
use super::contributions::{Contributions, Definitions, Difference, Sign, add_to_rows, at};
use super::distinct::range;

/// Ranges of minutes, the end not included, ascending and apart.
type Spells = Vec<(i64, i64)>;

/// A change of a sum at a minute.
type Step = (i64, Sum);

/// The orders of a profile, and what was told of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// By dimension and value.
    orders: BTreeMap<(Dimension, Box<str>), Purchases>,
    /// Those of them with changes that were not yet told.
    changed: BTreeSet<(Dimension, Box<str>)>,
    /// All orders, in order of (time, message id, timeline).
    placed: BTreeSet<Placed>,
    told: Told,
}

/// What the KPIs know of the whole profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Told {
    first: Option<Placed>,
    life: Vec<(Status, i64, Option<i64>)>,
    quadrants: Vec<(Quadrant, i64, Option<i64>)>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Placed {
    ordered_at: Timestamp,
    message_id: Box<str>,
    timeline: (Box<str>, Box<str>),
    /// Channel, source, campaign, device type, store.
    facets: [Box<str>; 5],
}

impl Placed {
    fn of(order: &Order<'_>) -> Self {
        let Facets {
            channel,
            source,
            campaign,
            device_type,
            store,
        } = order.facets;
        Self {
            ordered_at: order.ordered_at,
            message_id: order.message_id.into(),
            timeline: (order.timeline.0.into(), order.timeline.1.into()),
            facets: [channel, source, campaign, device_type, store].map(Into::into),
        }
    }

    fn facets(&self) -> Facets<'_> {
        let [channel, source, campaign, device_type, store] = &self.facets;
        Facets {
            channel,
            source,
            campaign,
            device_type,
            store,
        }
    }
}

/// Orders of one value of a dimension.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Purchases {
    ordered: Occurrences,
    told: Spells,
    /// By currency.
    money: BTreeMap<Box<str>, Money>,
}

/// Those in one currency, and what they brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Money {
    ordered: Occurrences,
    told: Spells,
    revenue: Amounts,
    margin: Amounts,
}

/// Amounts by minute, and their changes that were not yet told. In millionths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Amounts {
    at: BTreeMap<i64, i128>,
    sum: i128,
    pending: Vec<(i64, i128)>,
}

/// A status in the lifecycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Visitor,
    Prospect,
    Customer,
    Lapsed,
    WonBack,
}

/// Attitude by repeat purchase (Dick and Basu 1994).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quadrant {
    True,
    Latent,
    Spurious,
    None,
    Unknown,
}

/// What besides orders decides a profile's status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Acquaintance {
    /// Minute of the first touchpoint, active or passive.
    pub(super) met: Option<i64>,
    /// Minute of the first active touchpoint.
    pub(super) visited: Option<i64>,
    /// Minute of the first qualified lead.
    pub(super) lead: Option<i64>,
    /// Whether it holds an address: an e-mail's or a phone's.
    pub(super) has_address: bool,
}

impl Standing {
    /// Replaces an atom's state by another. Repeat purchases are told at once, the rest by [`tell`](Self::tell).
    pub(super) fn replace(
        &mut self,
        before: Option<&Atom<'_>>,
        after: Option<&Atom<'_>>,
        contributions: &mut impl Contributions,
    ) {
        for (atom, sign) in [(before, Sign::Retract), (after, Sign::Add)] {
            let order = match atom {
                Some(Atom::Order(order)) => order,
                Some(Atom::Refund(refund)) => {
                    self.give_back(refund, sign);
                    continue;
                }
                _ => continue,
            };
            match sign {
                Sign::Add => self.placed.insert(Placed::of(order)),
                Sign::Retract => self.placed.remove(&Placed::of(order)),
            };
            for (dimension, value) in order.facets.rows() {
                let place = (dimension, Box::from(value));
                let purchases = self.orders.entry(place.clone()).or_default();
                let differences = purchases.count(order, sign);
                let key = Key {
                    kpi: Kpi::RepurchaseRate,
                    currency: "",
                    dimension,
                    value,
                };
                contributions.add(&key, &differences);
                self.changed.insert(place);
            }
        }
    }

    fn give_back(&mut self, refund: &Refund<'_>, sign: Sign) {
        if refund.currency.is_empty() {
            return;
        }
        let back = -sign.of_amount(refund.amount.millionths());
        for (dimension, value) in refund.facets.rows() {
            let place = (dimension, Box::from(value));
            let purchases = self.orders.entry(place.clone()).or_default();
            let money = purchases.money.entry(refund.currency.into()).or_default();
            money.revenue.add(minute_of(refund.refunded_at), back);
            self.changed.insert(place);
        }
    }

    /// Contributes what changed since the last time: of attitudes it is told whether they did.
    pub(super) fn tell(
        &mut self,
        acquaintance: &Acquaintance,
        (attitudes, is_changed): (&[(i64, Attitude)], bool),
        definitions: &Definitions,
        contributions: &mut impl Contributions,
    ) {
        let length = definitions.customer_days * DAY / MINUTE;
        let is_changed = is_changed || !self.changed.is_empty();
        for place in std::mem::take(&mut self.changed) {
            let Some(purchases) = self.orders.get_mut(&place) else {
                continue;
            };
            purchases.tell(place.0, &place.1, length, contributions);
            if purchases.ordered.is_empty() && purchases.money.is_empty() {
                self.orders.remove(&place);
            }
        }
        let first = self.placed.first().cloned();
        if first != self.told.first {
            for (placed, sign) in [(&self.told.first, Sign::Retract), (&first, Sign::Add)] {
                let Some(placed) = placed else { continue };
                let once = [at(minute_of(placed.ordered_at), sign.of(Sum::ONE))];
                let rows = placed.facets().rows();
                add_to_rows((Kpi::NewCustomers, ""), rows, &once, contributions);
            }
            self.told.first = first;
        }
        let whole = self.orders.get(&(Dimension::Whole, Box::from("")));
        let spells = whole.map_or(&[][..], |whole| &whole.told);
        let life = life(acquaintance, spells);
        let place = |status: Status| (Dimension::Status, status.name());
        replace_ranges(Kpi::Lifecycle, place, &self.told.life, &life, contributions);
        self.told.life = life;
        if !is_changed {
            return;
        }
        let repeats =
            whole.map_or_else(Vec::new, |whole| whole.ordered.spells(AtLeast::Two, length));
        let quadrants = quadrants(
            whole.and_then(|whole| whole.ordered.first()),
            &repeats,
            attitudes,
        );
        let place = |quadrant: Quadrant| (Dimension::Quadrant, quadrant.name());
        let told = &self.told.quadrants;
        replace_ranges(Kpi::LoyaltyQuadrant, place, told, &quadrants, contributions);
        self.told.quadrants = quadrants;
    }

    /// Time of the first order.
    pub(super) fn first_order(&self) -> Option<Timestamp> {
        self.placed.first().map(|placed| placed.ordered_at)
    }

    /// Time of the last order.
    pub(super) fn last_order(&self) -> Option<Timestamp> {
        self.placed.last().map(|placed| placed.ordered_at)
    }

    /// The last few statuses, those to come too.
    pub(super) fn statuses(&self) -> impl Iterator<Item = (&'static str, Timestamp)> {
        last_of(&self.told.life).map(|(status, from)| (status.name(), from))
    }

    /// The same of quadrants.
    pub(super) fn quadrants(&self) -> impl Iterator<Item = (&'static str, Timestamp)> {
        last_of(&self.told.quadrants).map(|(quadrant, from)| (quadrant.name(), from))
    }

    /// About how many entries it holds: what it costs in memory.
    pub(super) fn weight(&self) -> usize {
        3 * self.placed.len() + self.orders.len()
    }
}

/// Of ranges one after the other the last few, each with its begin: enough for all that are yet to come, and the one before.
fn last_of<T: Copy>(ranges: &[(T, i64, Option<i64>)]) -> impl Iterator<Item = (T, Timestamp)> {
    const FEW: usize = 4;
    ranges[ranges.len().saturating_sub(FEW)..]
        .iter()
        .map(|(what, from, _)| (*what, Timestamp(from * MINUTE)))
}

impl Purchases {
    /// Counts an order, and returns what that changes in the repurchase rate.
    fn count(&mut self, order: &Order<'_>, sign: Sign) -> Vec<Difference> {
        let minute = minute_of(order.ordered_at);
        let mut differences = Vec::new();
        let changed = |window, at_least, from, to| {
            let sum = match at_least {
                AtLeast::One => Sum {
                    numerator: 0,
                    denominator: 1,
                },
                AtLeast::Two => Sum::ONE,
            };
            differences.extend(range(window, from, to, sign.of(sum)));
        };
        match sign {
            Sign::Add => self.ordered.insert(minute, changed),
            Sign::Retract => self.ordered.remove(minute, changed),
        }
        if !order.currency.is_empty() {
            let money = self.money.entry(order.currency.into()).or_default();
            match sign {
                Sign::Add => money.ordered.insert(minute, |_, _, _, _| {}),
                Sign::Retract => money.ordered.remove(minute, |_, _, _, _| {}),
            }
            let signed = |amount: Amount| sign.of_amount(amount.millionths());
            money.revenue.add(minute, signed(order.total));
            if let Some(margin) = order.margin {
                money.margin.add(minute, signed(margin));
            }
        }
        differences
    }

    fn tell(
        &mut self,
        dimension: Dimension,
        value: &str,
        length: i64,
        contributions: &mut impl Contributions,
    ) {
        let key = |kpi, currency| Key {
            kpi,
            currency,
            dimension,
            value,
        };
        let spells = self.ordered.spells(AtLeast::One, length);
        if spells != self.told {
            let steps = stepped(&self.told, &spells, Sum::ONE);
            contributions.add(&key(Kpi::Customers, ""), &at_all_windows(&steps));
            let mut kept = (Vec::new(), Vec::new());
            for window in Window::ALL {
                for (spells, sign) in [(&self.told, Sign::Retract), (&spells, Sign::Add)] {
                    retained(window, spells, sign, &mut kept);
                }
            }
            contributions.add(&key(Kpi::Retention, ""), &kept.0);
            contributions.add(&key(Kpi::Churn, ""), &kept.1);
            self.told = spells;
        }
        for (currency, money) in &mut self.money {
            let spells = money.ordered.spells(AtLeast::One, length);
            for (kpi, amounts) in [
                (Kpi::LifetimeValue, &mut money.revenue),
                (Kpi::LifetimeMargin, &mut money.margin),
            ] {
                let steps = amounts.tell(&money.told, &spells);
                contributions.add(&key(kpi, currency), &at_all_windows(&steps));
            }
            money.told = spells;
        }
        self.money
            .retain(|_, money| !money.ordered.is_empty() || !money.revenue.at.is_empty());
    }
}

impl Amounts {
    fn add(&mut self, minute: i64, amount: i128) {
        if amount == 0 {
            return;
        }
        let sum = self.at.entry(minute).or_default();
        *sum += amount;
        if *sum == 0 {
            self.at.remove(&minute);
        }
        self.sum += amount;
        self.pending.push((minute, amount));
    }

    /// All up to a minute, found from the nearer end.
    fn until(&self, minute: i64) -> i128 {
        let (mut before, mut after) = (self.at.range(..=minute), self.at.range(minute + 1..));
        let (mut up_to, mut beyond) = (0, 0);
        loop {
            match before.next() {
                Some((_, amount)) => up_to += amount,
                None => return up_to,
            }
            match after.next_back() {
                Some((_, amount)) => beyond += amount,
                None => return self.sum - beyond,
            }
        }
    }

    /// What changes in the sum of what customers brought, and in their number, with all that is pending, and with other
    /// spells than were told.
    fn tell(&mut self, told: &[(i64, i64)], spells: &[(i64, i64)]) -> Vec<Step> {
        let mut steps = Vec::new();
        let sum = |numerator, denominator| Sum {
            numerator,
            denominator,
        };
        for (minute, amount) in std::mem::take(&mut self.pending) {
            for (from, to) in told.iter().filter(|(_, to)| *to > minute) {
                steps.push((minute.max(*from), sum(amount, 0)));
                steps.push((*to, sum(-amount, 0)));
            }
        }
        for (ranges, sign) in [
            (besides(spells, told), Sign::Add),
            (besides(told, spells), Sign::Retract),
        ] {
            for (from, to) in ranges {
                steps.push((from, sign.of(sum(self.until(from), 1))));
                for (minute, amount) in self.at.range(from + 1..to) {
                    steps.push((*minute, sign.of(sum(*amount, 0))));
                }
                steps.push((to, sign.of(sum(-self.until(to - 1), -1))));
            }
        }
        steps
    }
}

/// What is in the one and not in the other.
fn besides(one: &[(i64, i64)], other: &[(i64, i64)]) -> Spells {
    let mut left = Vec::new();
    for &(mut from, to) in one {
        for &(begin, end) in other {
            if end <= from {
                continue;
            }
            if begin >= to {
                break;
            }
            if from < begin {
                left.push((from, begin));
            }
            from = from.max(end);
        }
        if from < to {
            left.push((from, to));
        }
    }
    left
}

/// What is in both.
fn common(one: &[(i64, i64)], other: &[(i64, i64)]) -> Spells {
    let mut common = Vec::new();
    for (from, to) in one {
        let meeting = other
            .iter()
            .map(|(begin, end)| (*begin.max(from), *end.min(to)));
        common.extend(meeting.filter(|(from, to)| from < to));
    }
    common
}

/// One at all minutes of spells instead of those before.
fn stepped(before: &[(i64, i64)], after: &[(i64, i64)], one: Sum) -> Vec<Step> {
    let each = |spells: &[(i64, i64)], sign: Sign| -> Vec<Step> {
        let both = |(from, to): &(i64, i64)| [(*from, sign.of(one)), (*to, sign.of(-one))];
        spells.iter().flat_map(both).collect()
    };
    let mut steps = each(before, Sign::Retract);
    steps.extend(each(after, Sign::Add));
    steps
}

/// Steps as differences at the marks of each window.
fn at_all_windows(steps: &[Step]) -> Vec<Difference> {
    let mut differences = Vec::with_capacity(steps.len() * Window::ALL.len());
    for window in Window::ALL {
        differences.extend(steps.iter().map(|(minute, sum)| Difference {
            window: Some(window),
            mark: window.mark_of_minute(*minute),
            sum: *sum,
        }));
    }
    differences
}

/// Of retention and of churn: who was a customer at the window's start, and whether still at its end.
fn retained(
    window: Window,
    spells: &[(i64, i64)],
    sign: Sign,
    (retention, churn): &mut (Vec<Difference>, Vec<Difference>),
) {
    let length = window.length() / MINUTE;
    let started: Spells = spells
        .iter()
        .map(|(from, to)| (from + length, to + length))
        .collect();
    let (kept, lost) = (common(&started, spells), besides(&started, spells));
    let add = |differences: &mut Vec<Difference>, spells: &[(i64, i64)], sum: Sum| {
        for (from, to) in spells {
            let (from, to) = (window.mark_of_minute(*from), window.mark_of_minute(*to));
            differences.extend(range(window, from, to, sign.of(sum)));
        }
    };
    let one = Sum {
        numerator: 0,
        denominator: 1,
    };
    add(retention, &started, one);
    add(retention, &kept, Sum::ONE);
    add(churn, &started, one);
    add(churn, &lost, Sum::ONE);
}

/// Statuses one after the other, the last without end.
fn life(acquaintance: &Acquaintance, spells: &[(i64, i64)]) -> Vec<(Status, i64, Option<i64>)> {
    let mut begins: Vec<(Status, i64)> = Vec::new();
    let ordered = spells.first().map_or(i64::MAX, |(from, _)| *from);
    let prospect = match (acquaintance.has_address, acquaintance.lead) {
        (true, lead) => earliest(acquaintance.met, lead),
        (false, lead) => lead,
    };
    if let Some(visited) = acquaintance.visited
        && prospect.is_none_or(|prospect| visited < prospect)
    {
        begins.push((Status::Visitor, visited));
    }
    begins.extend(prospect.map(|prospect| (Status::Prospect, prospect)));
    begins.retain(|(_, begin)| *begin < ordered);
    for (number, (from, to)) in spells.iter().enumerate() {
        let status = if number == 0 {
            Status::Customer
        } else {
            Status::WonBack
        };
        begins.extend([(status, *from), (Status::Lapsed, *to)]);
    }
    ended(&begins)
}

fn earliest(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    one.into_iter().chain(other).min()
}

/// Each until the next begins.
fn ended<T: Copy>(begins: &[(T, i64)]) -> Vec<(T, i64, Option<i64>)> {
    let ends = begins.iter().skip(1).map(|(_, begin)| Some(*begin));
    let begins = begins.iter().zip(ends.chain([None]));
    begins
        .map(|((what, begin), end)| (*what, *begin, end))
        .collect()
}

/// What a customer thinks of the brand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attitude {
    High,
    Low,
    Unknown,
}

/// From the first order or answer on: attitude by whether there are two orders of late.
fn quadrants(
    ordered: Option<i64>,
    repeats: &[(i64, i64)],
    attitudes: &[(i64, Attitude)],
) -> Vec<(Quadrant, i64, Option<i64>)> {
    let mut turns: BTreeSet<i64> = attitudes.iter().map(|(minute, _)| *minute).collect();
    turns.extend(ordered);
    turns.extend(repeats.iter().flat_map(|(from, to)| [*from, *to]));
    let mut begins: Vec<(Quadrant, i64)> = Vec::new();
    let (mut attitude, mut coming) = (Attitude::Unknown, attitudes.iter().peekable());
    let mut repeats = repeats.iter().peekable();
    for turn in turns {
        while let Some((_, next)) = coming.next_if(|(minute, _)| *minute <= turn) {
            attitude = *next;
        }
        while repeats.next_if(|(_, to)| *to <= turn).is_some() {}
        let again = repeats.peek().is_some_and(|(from, _)| *from <= turn);
        let quadrant = match (attitude, again) {
            (Attitude::High, true) => Quadrant::True,
            (Attitude::High, false) => Quadrant::Latent,
            (Attitude::Low, true) => Quadrant::Spurious,
            (Attitude::Low, false) => Quadrant::None,
            (Attitude::Unknown, _) => Quadrant::Unknown,
        };
        if begins.last().is_none_or(|(last, _)| *last != quadrant) {
            begins.push((quadrant, turn));
        }
    }
    ended(&begins)
}

fn replace_ranges<T: Copy + PartialEq>(
    kpi: Kpi,
    place: impl Fn(T) -> (Dimension, &'static str),
    before: &[(T, i64, Option<i64>)],
    after: &[(T, i64, Option<i64>)],
    contributions: &mut impl Contributions,
) {
    let kept = before
        .iter()
        .zip(after)
        .take_while(|(one, other)| one == other)
        .count();
    for (ranges, sign) in [
        (&before[kept..], Sign::Retract),
        (&after[kept..], Sign::Add),
    ] {
        for (what, from, to) in ranges {
            let mut steps = vec![(*from, sign.of(Sum::ONE))];
            steps.extend(to.map(|to| (to, sign.of(-Sum::ONE))));
            let (dimension, value) = place(*what);
            let key = Key {
                kpi,
                currency: "",
                dimension,
                value,
            };
            contributions.add(&key, &at_all_windows(&steps));
        }
    }
}

impl Status {
    const fn name(self) -> &'static str {
        match self {
            Self::Visitor => "visitor",
            Self::Prospect => "prospect",
            Self::Customer => "customer",
            Self::Lapsed => "lapsed",
            Self::WonBack => "won_back",
        }
    }
}

impl Quadrant {
    const fn name(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::Latent => "latent",
            Self::Spurious => "spurious",
            Self::None => "none",
            Self::Unknown => "unknown",
        }
    }
}
