//! The definitions of KPIS.md, word by word, over all facts and marks: slow, and independent of how the stages do it.

use std::collections::{BTreeMap, BTreeSet};

use tributary_core::kpi::Window;
use tributary_core::time::Timestamp;

use super::world::{Facets, Fact};

/// KPI, window, currency, dimension, value.
pub(crate) type Series = [String; 5];

/// By time of the mark: numerator in millionths, denominator.
pub(crate) type Values = BTreeMap<i64, (i128, i64)>;

const DIMENSIONS: [&str; 5] = ["channel", "source", "campaign", "device_type", "store"];
const ONE: i128 = 1_000_000;

#[derive(Default)]
struct Tables {
    window: Option<Window>,
    rows: BTreeMap<Series, Values>,
    active: BTreeMap<(String, String), BTreeMap<i64, BTreeSet<u8>>>,
    ordered: BTreeMap<(String, String), BTreeMap<i64, BTreeMap<u8, i64>>>,
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

    fn fact(&mut self, profile: u8, fact: &Fact) {
        match fact {
            Fact::Session {
                start,
                touches,
                facets,
                views,
                goals,
            } => {
                for row in rows(facets) {
                    self.add("sessions", "", row, *start, (ONE, 0));
                    if row.0 == "source" {
                        self.add("traffic_source", "", row, *start, (ONE, 0));
                    }
                }
                if ["web", "app"].contains(&facets[0]) {
                    let events = |of: &str| {
                        let mut events = goals.iter().filter(|(goal, _)| *goal == of);
                        events.next().map_or(0, |(_, events)| i128::from(*events))
                    };
                    let last = touches.iter().map(|touch| touch.0).max().unwrap_or(0);
                    let bounced = i128::from(touches.len() == 1);
                    for row in rows(facets) {
                        for (kpi, value) in [
                            ("bounce_rate", bounced * ONE),
                            ("pages_per_session", i128::from(*views) * ONE),
                            ("session_duration", i128::from(last) * ONE / 1000),
                        ] {
                            self.add(kpi, "", row, *start, (value, 1));
                        }
                        self.converted(row, *start, events("purchase"));
                    }
                    for goal in ["purchase", "signup"] {
                        self.converted(("goal", goal), *start, events(goal));
                    }
                }
                for (after, channel, store, device_type) in touches {
                    for row in rows(&[channel, facets[1], facets[2], device_type, store]) {
                        let marks = self.marks(start + after);
                        let active = self.active.entry((row.0.into(), row.1.into())).or_default();
                        for mark in marks {
                            active.entry(mark).or_default().insert(profile);
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
            } => {
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
            Fact::Passive(_) | Fact::Identifier(_) => {}
        }
    }

    fn count(&mut self) {
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
    let mut tables = Tables::default();
    for window in Window::ALL {
        tables.window = Some(window);
        for (profile, fact) in facts {
            tables.fact(*profile, fact);
        }
        tables.count();
    }
    let sums = [
        "visitors",
        "sessions",
        "traffic_source",
        "orders",
        "revenue",
        "margin",
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
