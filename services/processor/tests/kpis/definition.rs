//! The definitions of KPIS.md, word by word, over all facts and marks: slow, and independent of how the stages do it.

use std::collections::{BTreeMap, BTreeSet};

use tributary_core::kpi::Window;
use tributary_core::time::Timestamp;

use super::world::{Fact, Facets};

/// KPI, window, currency, dimension, value, time of the mark.
pub type Row = (String, String, String, String, String, i64);

/// Numerator in millionths, denominator.
pub type Value = (i128, i64);

const DIMENSIONS: [&str; 5] = ["channel", "source", "campaign", "device_type", "store"];
const ONE: i128 = 1_000_000;

#[derive(Default)]
struct Tables {
    window: Option<Window>,
    rows: BTreeMap<Row, Value>,
    active: BTreeMap<(String, String, i64), BTreeSet<u8>>,
    ordered: BTreeMap<(String, String, i64), BTreeMap<u8, i64>>,
}

impl Tables {
    fn window(&self) -> Window {
        self.window.expect("set for each window")
    }

    /// Marks whose window, (end - length, end], holds that time.
    fn marks(&self, time: i64) -> Vec<i64> {
        let (step, length) = (self.window().step(), self.window().length());
        let first = time / step - 1;
        (first..first + length / step + 3).map(|mark| mark * step).filter(|end| end - length < time && time <= *end).collect()
    }

    fn add(&mut self, kpi: &str, currency: &str, row: (&str, &str), time: i64, value: Value) {
        for mark in self.marks(time) {
            let name = self.window().name();
            let row = (kpi.into(), name.into(), currency.into(), row.0.into(), row.1.into(), mark);
            let sum = self.rows.entry(row).or_default();
            *sum = (sum.0 + value.0, sum.1 + value.1);
        }
    }

    fn fact(&mut self, profile: u8, fact: &Fact) {
        match fact {
            Fact::Session { start, touches, facets, goals } => {
                for row in rows(facets) {
                    self.add("sessions", "", row, *start, (ONE, 0));
                    if row.0 == "source" {
                        self.add("traffic_source", "", row, *start, (ONE, 0));
                    }
                }
                if ["web", "app"].contains(&facets[0]) {
                    let reached = |goal: &str| if goals.contains(&goal) { ONE } else { 0 };
                    for row in rows(facets) {
                        self.add("conversion_rate", "", row, *start, (reached("purchase"), 1));
                    }
                    for goal in ["purchase", "signup"] {
                        self.add("conversion_rate", "", ("goal", goal), *start, (reached(goal), 1));
                    }
                }
                for (after, channel, store, device_type) in touches {
                    for row in rows(&[channel, facets[1], facets[2], device_type, store]) {
                        for mark in self.marks(start + after) {
                            self.active.entry((row.0.into(), row.1.into(), mark)).or_default().insert(profile);
                        }
                    }
                }
            }
            Fact::Order { time, currency, units, facets, refunds } => {
                let total = i128::from(*units) * ONE;
                for row in rows(facets) {
                    self.add("orders", "", row, *time, (ONE, 0));
                    self.add("average_order_value", currency, row, *time, (total, 1));
                    self.add("revenue", currency, row, *time, (total, 0));
                    for (after, units) in refunds {
                        self.add("revenue", currency, row, time + after, (-i128::from(*units) * ONE, 0));
                    }
                    for mark in self.marks(*time) {
                        let profiles = self.ordered.entry((row.0.into(), row.1.into(), mark)).or_default();
                        *profiles.entry(profile).or_default() += 1;
                    }
                }
            }
            Fact::Passive(_) | Fact::Identifier(_) => {}
        }
    }

    fn count(&mut self) {
        let name = self.window().name();
        for ((dimension, value, mark), profiles) in std::mem::take(&mut self.active) {
            let row = ("visitors".into(), name.into(), String::new(), dimension, value, mark);
            self.rows.insert(row, (profiles.len() as i128 * ONE, 0));
        }
        for ((dimension, value, mark), profiles) in std::mem::take(&mut self.ordered) {
            let again = profiles.values().filter(|orders| **orders >= 2).count();
            let row = ("repurchase_rate".into(), name.into(), String::new(), dimension, value, mark);
            self.rows.insert(row, (again as i128 * ONE, profiles.len() as i64));
        }
    }
}

fn rows<'a>(facets: &Facets) -> Vec<(&'a str, &'static str)> {
    let own = DIMENSIONS.into_iter().zip(*facets).filter(|(_, value)| !value.is_empty());
    std::iter::once(("", "")).chain(own).collect()
}

/// Every row for the kept marks up to now.
pub fn values(facts: &[(u8, Fact)], keep: &[i64; 6], now: Timestamp) -> BTreeMap<Row, Value> {
    let mut tables = Tables::default();
    for window in Window::ALL {
        tables.window = Some(window);
        for (profile, fact) in facts {
            tables.fact(*profile, fact);
        }
        tables.count();
    }
    let ratios = ["conversion_rate", "average_order_value", "repurchase_rate"];
    let mut values = tables.rows;
    values.retain(|(kpi, name, .., mark), (numerator, denominator)| {
        let window = Window::ALL.into_iter().find(|window| window.name() == *name).expect("one of them");
        let block = window.step() * window.block_marks();
        let last_of_block = mark - mark.rem_euclid(block) + block - window.step();
        let ratio = ratios.contains(&kpi.as_str());
        let there = if ratio { *denominator != 0 } else { *numerator != 0 };
        if !ratio {
            *denominator = 1;
        }
        there && *mark <= now.0 && last_of_block >= now.0 - keep[window.index()]
    });
    values
}
