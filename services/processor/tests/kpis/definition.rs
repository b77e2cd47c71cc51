//! The definitions of KPIS.md, word by word, over all facts and marks: slow, and independent of how the stages do it.

use std::collections::{BTreeMap, BTreeSet};

use tributary_core::kpi::Window;
use tributary_core::time::{DAY, MINUTE, Timestamp};

use super::world::{FIRST_STORE, Facets, Fact, MOST_VALUES, Says, VALUES, What, goals};

/// KPI, window, currency, dimension, value.
pub(crate) type Series = [String; 5];

/// By time of the mark: numerator in millionths, denominator.
pub(crate) type Values = BTreeMap<i64, (i128, i64)>;

const DIMENSIONS: [&str; 5] = ["channel", "source", "campaign", "device_type", "store"];
const ONE: i128 = 1_000_000;

/// For how many days an order makes a customer.
pub(crate) const CUSTOMER_DAYS: i64 = 100;

#[derive(Default)]
struct Tables {
    window: Option<Window>,
    rows: BTreeMap<Series, Values>,
    active: BTreeMap<(String, String), BTreeMap<i64, BTreeSet<u8>>>,
    ordered: BTreeMap<(String, String), BTreeMap<i64, BTreeMap<u8, i64>>>,
    reached: BTreeMap<(String, String), BTreeMap<i64, BTreeSet<u8>>>,
    leads: BTreeMap<(String, String), BTreeMap<i64, BTreeSet<u8>>>,
    /// Of the last mark that counts.
    last: i64,
}

impl Tables {
    fn window(&self) -> Window {
        self.window.expect("set for each window")
    }

    /// Marks whose window, (end - length, end], holds that time.
    fn marks(&self, time: i64) -> Vec<i64> {
        let (step, length) = (self.window().step(), self.window().length());
        let first = time / step - 1;
        (first..first + length / step + 3)
            .map(|mark| mark * step)
            .filter(|end| end - length < time && time <= *end)
            .collect()
    }

    fn series(&mut self, kpi: &str, currency: &str, row: (&str, &str)) -> &mut Values {
        let series = [kpi, self.window().name(), currency, row.0, row.1];
        self.rows.entry(series.map(str::to_owned)).or_default()
    }

    fn add(&mut self, kpi: &str, currency: &str, row: (&str, &str), time: i64, value: (i128, i64)) {
        let marks = self.marks(time);
        let values = self.series(kpi, currency, row);
        for mark in marks {
            let sum = values.entry(mark).or_default();
            *sum = (sum.0 + value.0, sum.1 + value.1);
        }
    }

    fn converted(&mut self, row: (&str, &str), start: i64, events: i128) {
        self.add("conversion_rate", "", row, start, (events.min(1) * ONE, 1));
        self.add("conversions_per_visit", "", row, start, (events * ONE, 1));
    }

    fn says(&mut self, profile: u8, says: &[Says]) {
        for Says { time, facets, what } in says {
            let (kpi, value) = match what {
                What::Answer("nps", scale, note, _) => {
                    let kpi = if *scale == "0-10" { "nps" } else { "nps_1_10" };
                    let promotes = i128::from(*note >= 9) - i128::from(*note <= 6);
                    (kpi, (100 * promotes * ONE, 1))
                }
                What::Answer("csat", scale, note, _) => {
                    let satisfied = if *scale == "1-5" {
                        *note >= 4
                    } else {
                        *note == 1
                    };
                    ("csat", (i128::from(satisfied) * ONE, 1))
                }
                What::Answer("ces", _, note, _) => ("ces", (i128::from(*note) * ONE, 1)),
                What::Answer(..) => continue,
                What::Lead(..) => ("contacts", (ONE, 0)),
                What::Spend(units, currency) => {
                    for row in rows(facets) {
                        let spent = i128::from(*units) * ONE;
                        self.add("spend", currency, row, *time, (spent, 0));
                        if ["", "campaign"].contains(&row.0) {
                            self.add("cost_per_lead", currency, row, *time, (spent, 0));
                            self.add("cost_per_contact", currency, row, *time, (spent, 0));
                        }
                    }
                    continue;
                }
                What::Mention(influencer, sentiment) => {
                    for row in [
                        ("", ""),
                        ("influencer", influencer),
                        ("sentiment", sentiment),
                    ] {
                        if row.0.is_empty() || !row.1.is_empty() {
                            self.add("mentions", "", row, *time, (ONE, 0));
                        }
                    }
                    continue;
                }
                // Told by `reports`.
                What::Report(..) => continue,
                What::Points(points) => ("loyalty_points", (i128::from(*points) * ONE, 0)),
            };
            let mut rows = rows(facets);
            if let What::Lead(Some(true), _) | What::Lead(None, "site") = what {
                let marks = self.marks(*time);
                for row in &rows {
                    mark_profile(&mut self.leads, *row, &marks, profile);
                }
            }
            if let What::Answer(.., product) = what {
                rows.push(match product.is_empty() {
                    false => ("product", product),
                    true => ("touchpoint", "delivery"),
                });
            }
            for row in rows {
                self.add(kpi, "", row, *time, value);
                // The workspace's currency.
                if kpi == "contacts" && ["", "campaign"].contains(&row.0) {
                    self.add("cost_per_contact", "EUR", row, *time, (0, 1));
                }
            }
        }
    }

    /// What profiles are as customers at each mark.
    fn customers(&mut self, facts: &[(u8, Fact)], people: &BTreeSet<u8>) {
        let window = self.window();
        let customer = CUSTOMER_DAYS * DAY;
        let last = self.last / window.step() * window.step();
        // Everything happened within so many steps before the last mark.
        let steps = (500 * DAY / window.step()).min(60 * window.block_marks());
        let marks: Vec<i64> = (0..steps).map(|step| last - step * window.step()).collect();
        for profile in 0..4_u8 {
            let own: Vec<&Fact> = facts
                .iter()
                .filter(|(owner, _)| *owner == profile)
                .map(|(_, fact)| fact)
                .collect();
            let mut orders: Vec<Ordered> = own
                .iter()
                .enumerate()
                .filter_map(|(number, fact)| Ordered::of(number, fact))
                .collect();
            orders.sort_by_key(|order| (order.time, order.number));
            if let Some(first) = orders.first() {
                for row in rows(&first.facets) {
                    self.add("new_customers", "", row, first.time, (ONE, 0));
                }
            }
            let values: BTreeSet<_> = orders
                .iter()
                .flat_map(|order| rows(&order.facets))
                .collect();
            for &mark in &marks {
                for row in &values {
                    let of_row: Vec<&Ordered> = orders
                        .iter()
                        .filter(|order| rows(&order.facets).contains(row))
                        .collect();
                    self.customer(&of_row, *row, mark, customer);
                }
                let ordered = |by: i64| orders.iter().filter(move |order| order.time <= by);
                let met = Met::of(&own, mark);
                let status = match ordered(mark).next_back() {
                    Some(latest) if latest.time > mark - customer => {
                        let times: Vec<i64> = ordered(mark).map(|order| order.time).collect();
                        let lapsed = times.windows(2).any(|pair| {
                            // On marks of a minute.
                            let minutes = pair.iter().map(|time| (time + MINUTE - 1) / MINUTE);
                            let minutes: Vec<i64> = minutes.collect();
                            minutes[1] > minutes[0] + customer / MINUTE
                        });
                        Some(if lapsed { "won_back" } else { "customer" })
                    }
                    Some(_) => Some("lapsed"),
                    None if met.lead || met.somehow && met.has_address => Some("prospect"),
                    None if met.visited => Some("visitor"),
                    None => None,
                };
                if let Some(status) = status {
                    self.at(("lifecycle", "", ("status", status)), mark, (ONE, 0));
                }
                // What only a source says is of no customer.
                let is_somebody = own
                    .iter()
                    .any(|fact| !matches!(fact, Fact::Source(_) | Fact::Email(..)));
                let attitude = is_somebody.then(|| attitude(&own, mark)).flatten();
                if ordered(mark).next().is_some() || attitude.is_some() {
                    let again = ordered(mark)
                        .filter(|order| order.time > mark - customer)
                        .count();
                    let quadrant = match (attitude.flatten(), again >= 2) {
                        (Some(true), true) => "true",
                        (Some(true), false) => "latent",
                        (Some(false), true) => "spurious",
                        (Some(false), false) => "none",
                        (None, _) => "unknown",
                    };
                    let place = ("loyalty_quadrant", "", ("quadrant", quadrant));
                    self.at(place, mark, (ONE, 0));
                }
            }
        }
        let identifiers = |profile: u8, of: &str| {
            let values = facts.iter().filter_map(|(owner, fact)| match fact {
                Fact::Identifier(r#type, value) if *owner == profile && *r#type == of => {
                    Some(*value)
                }
                _ => None,
            });
            values.collect::<BTreeSet<_>>().len() as i128
        };
        for (row, marks) in self.active.clone() {
            for (mark, profiles) in marks {
                for profile in profiles.intersection(people) {
                    for (kpi, of) in [
                        ("devices_per_customer", "device_id"),
                        ("cookies_per_customer", "anonymous_id"),
                    ] {
                        let value = (identifiers(*profile, of) * ONE, 1);
                        self.at((kpi, "", (&row.0, &row.1)), mark, value);
                    }
                }
            }
        }
    }

    fn customer(&mut self, orders: &[&Ordered], row: (&str, &str), mark: i64, customer: i64) {
        let length = self.window().length();
        let is = |at: i64, orders: &[&Ordered]| {
            let mut times = orders.iter().map(|order| order.time);
            times.any(|time| at - customer < time && time <= at)
        };
        if is(mark, orders) {
            self.at(("customers", "", row), mark, (ONE, 0));
        }
        if is(mark - length, orders) {
            let stayed = i128::from(is(mark, orders));
            self.at(("retention", "", row), mark, (stayed * ONE, 1));
            self.at(("churn", "", row), mark, ((1 - stayed) * ONE, 1));
        }
        let currencies: BTreeSet<_> = orders.iter().map(|order| order.currency).collect();
        for currency in currencies {
            let orders: Vec<&Ordered> = orders
                .iter()
                .copied()
                .filter(|order| order.currency == currency)
                .collect();
            if !is(mark, &orders) {
                continue;
            }
            for (kpi, amounts) in [
                (
                    "lifetime_value",
                    orders.iter().flat_map(|order| &order.amounts).collect(),
                ),
                (
                    "lifetime_margin",
                    orders
                        .iter()
                        .flat_map(|order| &order.margin)
                        .collect::<Vec<_>>(),
                ),
            ] {
                let until = amounts.iter().filter(|(time, _)| *time <= mark);
                let sum: i128 = until.map(|(_, amount)| *amount).sum();
                self.at((kpi, currency, row), mark, (sum * ONE, 1));
            }
        }
    }

    /// What the last report says at each mark, of the account and the post that a profile stands for.
    fn reports(&mut self, facts: &[(u8, Fact)]) {
        let window = self.window();
        let last = self.last / window.step() * window.step();
        let steps = (500 * DAY / window.step()).min(60 * window.block_marks());
        for profile in 0..4_u8 {
            // By time, then as the tests' atoms are named: every message of theirs has the same id.
            let mut told: Vec<(i64, String, [Option<i64>; 3], &'static str)> = Vec::new();
            for (number, (owner, fact)) in facts.iter().enumerate() {
                if *owner != profile {
                    continue;
                }
                told.extend(said(&[fact]).filter_map(|says| match says.what {
                    What::Report(counts, influencer) => {
                        Some((says.time, timeline(number, fact), counts, influencer))
                    }
                    _ => None,
                }));
            }
            for mark in (0..steps).map(|step| last - step * window.step()) {
                let latest = |place: usize, since: i64| {
                    let known = told
                        .iter()
                        .filter(move |(time, ..)| since < *time && *time <= mark);
                    let counted = known.filter_map(|(time, line, counts, influencer)| {
                        Some((*time, line, counts[place]?, *influencer))
                    });
                    counted
                        .max()
                        .map(|(_, _, count, influencer)| (count, influencer))
                };
                let rows = |influencer: &'static str| {
                    let all = [
                        ("", ""),
                        ("network", "chirper"),
                        ("post", "p9"),
                        ("influencer", influencer),
                    ];
                    all.into_iter()
                        .filter(|(name, value)| name.is_empty() || !value.is_empty())
                };
                if let Some((count, influencer)) = latest(0, i64::MIN) {
                    for row in rows(influencer) {
                        self.at(
                            ("social_followers", "", row),
                            mark,
                            (i128::from(count) * ONE, 0),
                        );
                    }
                }
                let post = ("post", "p9");
                let since = mark - window.length();
                if let Some((count, _)) = latest(1, since) {
                    let reach = i128::from(count) * ONE;
                    self.at(("social_reach", "", post), mark, (reach, 0));
                    self.at(("social_engagement_rate", "", post), mark, (0, count));
                }
                if let Some((count, influencer)) = latest(2, since) {
                    let engagement = i128::from(count) * ONE;
                    for row in rows(influencer) {
                        self.at(("social_engagement", "", row), mark, (engagement, 0));
                    }
                    self.at(("social_engagement_rate", "", post), mark, (engagement, 0));
                }
            }
        }
    }

    fn at(
        &mut self,
        (kpi, currency, row): (&str, &str, (&str, &str)),
        mark: i64,
        value: (i128, i64),
    ) {
        let sum = self.series(kpi, currency, row).entry(mark).or_default();
        *sum = (sum.0 + value.0, sum.1 + value.1);
    }

    fn fact(&mut self, profile: u8, fact: &Fact, people: &BTreeSet<u8>) {
        match fact {
            Fact::Session {
                start,
                touches,
                facets,
                views,
                says,
            } => {
                self.says(profile, says);
                let goals = goals(touches);
                for row in rows(facets) {
                    let known = i128::from(people.contains(&profile));
                    self.add("recognition_rate", "", row, *start, (known * ONE, 1));
                    self.add("sessions", "", row, *start, (ONE, 0));
                    if row.0 == "source" {
                        self.add("traffic_source", "", row, *start, (ONE, 0));
                    }
                }
                if ["web", "app"].contains(&facets[0]) {
                    let events = |of: &str| goals.get(of).map_or(0, |events| i128::from(*events));
                    let last = touches.iter().map(|touch| touch.0).max().unwrap_or(0);
                    let bounced = i128::from(touches.len() == 1);
                    for row in rows(facets) {
                        for (kpi, value) in [
                            ("bounce_rate", bounced * ONE),
                            ("session_duration", i128::from(last) * ONE / 1000),
                        ] {
                            self.add(kpi, "", row, *start, (value, 1));
                        }
                        if *views > 0 {
                            let viewed = (i128::from(*views) * ONE, 1);
                            self.add("pages_per_session", "", row, *start, viewed);
                        }
                        self.converted(row, *start, events("purchase"));
                    }
                    for goal in ["purchase", "signup"] {
                        self.converted(("goal", goal), *start, events(goal));
                    }
                }
                for (after, channel, store, device_type, goal) in touches {
                    let marks = self.marks(start + after);
                    let touched = rows(&[channel, facets[1], facets[2], device_type, store]);
                    for row in &touched {
                        mark_profile(&mut self.active, *row, &marks, profile);
                    }
                    if !goal.is_empty() {
                        mark_profile(&mut self.reached, ("goal", goal), &marks, profile);
                    }
                    if *goal == "purchase" {
                        for row in &touched {
                            mark_profile(&mut self.reached, *row, &marks, profile);
                        }
                    }
                }
            }
            Fact::Order {
                time,
                currency,
                units,
                margin,
                facets,
                refunds,
                products,
            } => {
                for (product, units) in products {
                    let row = ("product", *product);
                    let amount = i128::from(*units) * ONE;
                    self.add("orders", "", row, *time, (ONE, 0));
                    self.add("average_order_value", currency, row, *time, (amount, 1));
                    self.add("revenue", currency, row, *time, (amount, 0));
                    for (after, units) in refunds {
                        let back = i128::from(units + 1) * ONE;
                        self.add("revenue", currency, row, time + after, (-back, 0));
                    }
                    if let Some(margin) = margin {
                        let margin = i128::from(margin - 1) * ONE;
                        self.add("margin", currency, row, *time, (margin, 0));
                    }
                }
                let total = i128::from(*units) * ONE;
                for row in rows(facets) {
                    self.add("orders", "", row, *time, (ONE, 0));
                    self.add("average_order_value", currency, row, *time, (total, 1));
                    let states_one = i128::from(margin.is_some());
                    self.add("margin_coverage", "", row, *time, (states_one * ONE, 1));
                    let margin = i128::from(margin.unwrap_or(0)) * ONE;
                    self.add("margin", currency, row, *time, (margin, 0));
                    self.add("revenue", currency, row, *time, (total, 0));
                    for (after, units) in refunds {
                        self.add(
                            "revenue",
                            currency,
                            row,
                            time + after,
                            (-i128::from(*units) * ONE, 0),
                        );
                    }
                    let marks = self.marks(*time);
                    let ordered = self
                        .ordered
                        .entry((row.0.into(), row.1.into()))
                        .or_default();
                    for mark in marks {
                        *ordered.entry(mark).or_default().entry(profile).or_default() += 1;
                    }
                }
            }
            Fact::Passive(_, _, says) | Fact::Source(says) => self.says(profile, says),
            Fact::Email(time, campaign, [delivered, opened, prefetched, clicked, unsubscribed]) => {
                let opened = *opened && !*prefetched;
                let counted = |is: bool| i128::from(is) * ONE;
                for (kpi, value) in [
                    ("email_sent", (ONE, 0)),
                    ("email_delivered", (counted(*delivered), 0)),
                    ("email_open_rate", (counted(opened), i64::from(*delivered))),
                    (
                        "email_click_rate",
                        (counted(*clicked), i64::from(*delivered)),
                    ),
                    (
                        "email_click_to_open",
                        (counted(*clicked), i64::from(opened)),
                    ),
                    (
                        "email_unsubscribe_rate",
                        (counted(*unsubscribed), i64::from(*delivered)),
                    ),
                ] {
                    for row in [("", ""), ("campaign", campaign)] {
                        if row.0.is_empty() || !row.1.is_empty() {
                            self.add(kpi, "", row, *time, value);
                        }
                    }
                }
            }
            Fact::Identifier(..) => {}
        }
    }

    fn count(&mut self) {
        for ((dimension, value), marks) in std::mem::take(&mut self.leads) {
            if ["", "campaign"].contains(&&*dimension) {
                for (mark, profiles) in &marks {
                    let place = ("cost_per_lead", "EUR", (&*dimension, &*value));
                    self.at(place, *mark, (0, profiles.len() as i64));
                }
            }
            let values = self.series("leads", "", (&dimension, &value));
            values.extend(
                marks
                    .into_iter()
                    .map(|(mark, profiles)| (mark, (profiles.len() as i128 * ONE, 0))),
            );
        }
        // Of all visitors in the dimension's value; of a goal of all.
        let mut visited = self.active.clone();
        let all = visited
            .get(&(String::new(), String::new()))
            .cloned()
            .unwrap_or_default();
        for goal in ["purchase", "signup"] {
            visited.insert(("goal".to_owned(), goal.to_owned()), all.clone());
        }
        let reached = std::mem::take(&mut self.reached);
        for (row, marks) in visited {
            let reached = reached.get(&row);
            let values = self.series("conversion_rate_profiles", "", (&row.0, &row.1));
            values.extend(marks.into_iter().map(|(mark, profiles)| {
                let reached = reached.and_then(|marks| Some(marks.get(&mark)?.len()));
                (
                    mark,
                    (reached.unwrap_or(0) as i128 * ONE, profiles.len() as i64),
                )
            }));
        }
        for ((dimension, value), marks) in std::mem::take(&mut self.active) {
            let values = self.series("visitors", "", (&dimension, &value));
            values.extend(
                marks
                    .into_iter()
                    .map(|(mark, profiles)| (mark, (profiles.len() as i128 * ONE, 0))),
            );
        }
        for ((dimension, value), marks) in std::mem::take(&mut self.ordered) {
            let values = self.series("repurchase_rate", "", (&dimension, &value));
            values.extend(marks.into_iter().map(|(mark, profiles)| {
                let again = profiles.values().filter(|orders| **orders >= 2).count();
                (mark, (again as i128 * ONE, profiles.len() as i64))
            }));
        }
    }
}

fn mark_profile(
    profiles: &mut BTreeMap<(String, String), BTreeMap<i64, BTreeSet<u8>>>,
    row: (&str, &str),
    marks: &[i64],
    profile: u8,
) {
    let of_row = profiles.entry((row.0.into(), row.1.into())).or_default();
    for mark in marks {
        of_row.entry(*mark).or_default().insert(profile);
    }
}

/// An order, with what it brings when.
struct Ordered {
    number: usize,
    time: i64,
    currency: &'static str,
    facets: Facets,
    amounts: Vec<(i64, i128)>,
    margin: Vec<(i64, i128)>,
}

impl Ordered {
    fn of(number: usize, fact: &Fact) -> Option<Self> {
        let Fact::Order {
            time,
            currency,
            units,
            margin,
            facets,
            refunds,
            ..
        } = fact
        else {
            return None;
        };
        let refunds = refunds
            .iter()
            .map(|(after, units)| (time + after, -i128::from(*units)));
        Some(Self {
            number,
            time: *time,
            currency,
            facets: *facets,
            amounts: refunds.chain([(*time, i128::from(*units))]).collect(),
            margin: margin
                .iter()
                .map(|margin| (*time, i128::from(*margin)))
                .collect(),
        })
    }
}

/// What is known of a profile at a mark.
#[derive(Default)]
struct Met {
    visited: bool,
    somehow: bool,
    lead: bool,
    has_address: bool,
}

impl Met {
    fn of(facts: &[&Fact], mark: i64) -> Self {
        let mut met = Self::default();
        for fact in facts {
            match fact {
                Fact::Session { start, .. } if *start <= mark => {
                    (met.visited, met.somehow) = (true, true);
                }
                Fact::Passive(time, ..) if *time <= mark => met.somehow = true,
                Fact::Identifier("email", _) => met.has_address = true,
                _ => {}
            }
        }
        met.lead = said(facts).any(|says| {
            says.time <= mark
                && matches!(
                    says.what,
                    What::Lead(Some(true), _) | What::Lead(None, "site")
                )
        });
        met
    }
}

fn said<'f>(facts: &'f [&'f Fact]) -> impl Iterator<Item = &'f Says> {
    facts.iter().flat_map(|fact| match fact {
        Fact::Session { says, .. } | Fact::Passive(_, _, says) | Fact::Source(says) => &says[..],
        Fact::Order { .. } | Fact::Identifier(..) | Fact::Email(..) => &[],
    })
}

/// Which of two reports of one millisecond is the later one: by the timeline, as the messages are written.
fn timeline(number: usize, fact: &Fact) -> String {
    match fact {
        Fact::Session { .. } => format!("anonymous_id atom {number}"),
        Fact::Passive(..) => format!("email atom {number}"),
        _ => "source kiosk".to_owned(),
    }
}

/// High or low where it is known; none where nothing was said of it.
fn attitude(facts: &[&Fact], mark: i64) -> Option<Option<bool>> {
    let last = |aspect: &str| {
        let notes = said(facts).filter_map(|says| match says.what {
            What::Answer(of, scale, note, _) if of == aspect && says.time <= mark => {
                Some((says.time, scale, note))
            }
            _ => None,
        });
        notes.max_by_key(|(time, ..)| *time)
    };
    let (nps, csat) = (last("nps"), last("csat"));
    let satisfied = csat.map(|(_, scale, note)| if scale == "1-5" { note >= 4 } else { note == 1 });
    if nps.is_none() && csat.is_none() {
        return None;
    }
    Some(match nps {
        Some((_, _, 9..)) => Some(true),
        Some((_, _, ..=6)) => Some(false),
        _ => satisfied,
    })
}

fn rows<'a>(facets: &Facets) -> Vec<(&'a str, &'static str)> {
    let own = DIMENSIONS
        .into_iter()
        .zip(*facets)
        .filter(|(_, value)| !value.is_empty());
    std::iter::once(("", "")).chain(own).collect()
}

/// Every row for the kept marks up to now.
pub(crate) fn values(
    facts: &[(u8, Fact)],
    keep: &[i64; 6],
    now: Timestamp,
) -> BTreeMap<Series, Values> {
    let mut tables = Tables {
        last: now.0,
        ..Tables::default()
    };
    let people: BTreeSet<u8> = facts
        .iter()
        .filter(|(_, fact)| matches!(fact, Fact::Identifier("email" | "user_id", _)))
        .map(|(profile, _)| *profile)
        .collect();
    for window in Window::ALL {
        tables.window = Some(window);
        for (profile, fact) in facts {
            tables.fact(*profile, fact, &people);
        }
        tables.customers(facts, &people);
        tables.reports(facts);
        tables.count();
    }
    // Of each dimension so many values are told apart, the first store, then those with the least hashes; the rest is one.
    for (mut series, values) in std::mem::take(&mut tables.rows) {
        if let Some((_, all)) = VALUES.iter().find(|(dimension, _)| *dimension == series[3]) {
            let mut told_apart = all.to_vec();
            told_apart.sort_by_key(|value| {
                let is_first = series[3] == "store" && FIRST_STORE.contains(value);
                (!is_first, xxhash_rust::xxh3::xxh3_64(value.as_bytes()))
            });
            told_apart.truncate(MOST_VALUES);
            if !told_apart.contains(&&*series[4]) {
                series[4] = "other".to_owned();
            }
        }
        let merged = tables.rows.entry(series).or_default();
        for (mark, (numerator, denominator)) in values {
            let sum = merged.entry(mark).or_default();
            *sum = (sum.0 + numerator, sum.1 + denominator);
        }
    }
    let sums = [
        "visitors",
        "sessions",
        "traffic_source",
        "orders",
        "revenue",
        "margin",
        "leads",
        "contacts",
        "spend",
        "loyalty_points",
        "customers",
        "new_customers",
        "lifecycle",
        "loyalty_quadrant",
        "email_sent",
        "email_delivered",
        "social_followers",
        "social_reach",
        "social_engagement",
        "mentions",
    ];
    for (series, values) in &mut tables.rows {
        let ratio = !sums.contains(&series[0].as_str());
        let window = Window::ALL
            .into_iter()
            .find(|window| window.name() == series[1])
            .expect("one of them");
        let block = window.step() * window.block_marks();
        values.retain(|mark, (numerator, denominator)| {
            let last_of_block = mark - mark.rem_euclid(block) + block - window.step();
            let there = if ratio {
                *denominator != 0
            } else {
                *numerator != 0
            };
            if !ratio {
                *denominator = 1;
            }
            there && *mark <= now.0 && last_of_block >= now.0 - keep[window.index()]
        });
    }
    tables.rows.retain(|_, values| !values.is_empty());
    tables.rows
}
