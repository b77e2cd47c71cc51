//! Traits: what is stated of a customer, and which of the statements stands.
//!
//! Statements are ranked by their source: what a customer declared goes before what was inferred, then the configured order
//! of sources decides. Only those of the highest rank count, and among them the trait's rule chooses.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

use super::atom::Trait;
use super::fold::{Counted, change};

/// Which of several statements of a trait stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The latest by (event time, message id, timeline).
    #[default]
    Latest,
    /// The first by the same.
    First,
    /// The value stated most often; of several the one stated latest.
    MostFrequent,
    /// All values, as a sorted JSON array without doubles; arrays are taken apart.
    Union,
    /// The greatest number; where there is none the last text.
    Maximum,
}

impl Rule {
    /// Its name in configuration and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Latest => "latest",
            Self::First => "first",
            Self::MostFrequent => "most_frequent",
            Self::Union => "union",
            Self::Maximum => "maximum",
        }
    }
}

/// How traits are chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraitRules {
    /// By trait; the latest stands of those that are not named.
    pub rules: BTreeMap<String, Rule>,
    /// Sources, the most trusted first; those that are not named come after them.
    pub priority: Vec<String>,
    /// Sources whose traits are inferred, such as scores of a model: they stand only where nobody declared the trait.
    pub inferred: Vec<String>,
}

impl TraitRules {
    fn rule(&self, name: &str) -> Rule {
        self.rules.get(name).copied().unwrap_or_default()
    }

    /// Greater is better: whether it was declared, then the place among the sources.
    fn rank(&self, source: &str) -> (bool, usize) {
        let is_it = |named: &String| named == source;
        let place = self.priority.iter().position(is_it);
        (
            !self.inferred.iter().any(is_it),
            place.map_or(0, |place| self.priority.len() - place),
        )
    }
}

/// So long is a union at most: whoever states something else with each event makes no event cost more than others.
const UNITED_BYTES: usize = 32 * 1024;

/// The value of a trait that is taken away.
const NOTHING: &str = "null";

/// When and by whom something was stated; the greatest is the latest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Told {
    pub(super) occurred_at: Timestamp,
    pub(super) message_id: Box<str>,
    pub(super) timeline: (Box<str>, Box<str>),
    pub(super) source: Box<str>,
}

impl Told {
    fn of(
        stated: &Trait<'_>,
        (occurred_at, message_id): (Timestamp, &str),
        timeline: (&str, &str),
    ) -> Self {
        Self {
            occurred_at,
            message_id: message_id.into(),
            timeline: (timeline.0.into(), timeline.1.into()),
            source: stated.source.into(),
        }
    }

    /// The last that was stated.
    pub(super) fn last(stated: &Trait<'_>, timeline: (&str, &str)) -> Self {
        Self::of(stated, (stated.occurred_at, stated.message_id), timeline)
    }
}

/// All statements of one trait, by rank, as its rule needs them: so that one more costs no look at the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statements {
    rule: Rule,
    ranked: BTreeMap<(bool, usize), Ranked>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Ranked {
    /// With the value; for `latest` and `first`.
    InTime(Counted<(Told, Box<str>)>),
    ByValue(Values),
}

/// The values that were stated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Values {
    stated: BTreeMap<Box<str>, Value>,
    /// The same by what the rule goes by, the one that stands last.
    ordered: BTreeSet<(Measure, Told, Box<str>)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Value {
    times: i64,
    told: Counted<Told>,
}

/// What decides between values; where it is equal, the one stated last does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Measure {
    /// All stand.
    None,
    /// How often it was stated.
    Times(i64),
    /// A text by its letters, below all numbers.
    Text(Box<str>),
    /// A number, as an integer in the order of [`f64::total_cmp`].
    Number(i64),
}

impl Measure {
    fn of(rule: Rule, text: &str, value: &Value) -> Self {
        match rule {
            Rule::MostFrequent => Self::Times(value.times),
            Rule::Maximum => match text.parse::<f64>() {
                Ok(number) => {
                    let bits = number.to_bits() as i64;
                    // Of two negative numbers the one with the greater bits is the lesser.
                    Self::Number(if bits < 0 { bits ^ i64::MAX } else { bits })
                }
                Err(_) => Self::Text(text.into()),
            },
            Rule::Latest | Rule::First | Rule::Union => Self::None,
        }
    }
}

impl Values {
    /// Adds so many statements, or with a sign of less than 0 takes them back.
    fn change(&mut self, rule: Rule, text: &str, told: &Told, (sign, times): (i64, i64)) {
        let mut value = self.stated.remove(text).unwrap_or_default();
        if let Some(place) = value.place(rule, text) {
            self.ordered.remove(&place);
        }
        value.times += sign * times;
        change(&mut value.told, told.clone(), sign);
        if let Some(place) = value.place(rule, text) {
            self.ordered.insert(place);
            self.stated.insert(text.into(), value);
        }
    }

    /// All of them, sorted, up to the first that does not fit.
    fn united(&self) -> String {
        let mut left = UNITED_BYTES;
        let texts = self.stated.keys().map(|value| &**value);
        let fitting = texts.take_while(|value| {
            let rest = left.checked_sub(value.len() + 1);
            left = rest.unwrap_or(0);
            rest.is_some()
        });
        let texts: Vec<&str> = fitting.collect();
        format!("[{}]", texts.join(","))
    }
}

impl Value {
    /// Where it stands among the others; nowhere if nobody states it.
    fn place(&self, rule: Rule, text: &str) -> Option<(Measure, Told, Box<str>)> {
        let (last, _) = self.told.last_key_value()?;
        Some((Measure::of(rule, text, self), last.clone(), text.into()))
    }
}

/// A trait, and where it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen<'a> {
    /// Name.
    pub name: &'a str,
    /// JSON value.
    pub value: Cow<'a, str>,
    /// Why this one.
    pub rule: Rule,
    /// Source that stated it; of several the last.
    pub source: &'a str,
    /// When it did.
    pub occurred_at: Timestamp,
    /// On which message.
    pub message_id: &'a str,
}

impl Statements {
    pub(super) fn of(name: &str, rules: &TraitRules) -> Self {
        Self {
            rule: rules.rule(name),
            ranked: BTreeMap::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ranked.is_empty()
    }

    /// Adds a statement, or with a sign of less than 0 takes it back.
    pub(super) fn change(
        &mut self,
        stated: &Trait<'_>,
        timeline: (&str, &str),
        sign: i64,
        rules: &TraitRules,
    ) {
        // A trait that is taken away is a statement of nothing: it stands, where it is the latest, and is no value.
        if stated.value == NOTHING && self.rule != Rule::Latest {
            return;
        }
        let last = Told::last(stated, timeline);
        let rank = rules.rank(stated.source);
        let ranked = self.ranked.entry(rank).or_insert_with(|| match self.rule {
            Rule::Latest | Rule::First => Ranked::InTime(Counted::new()),
            Rule::MostFrequent | Rule::Union | Rule::Maximum => Ranked::ByValue(Values::default()),
        });
        let is_empty = match ranked {
            Ranked::InTime(all) => {
                let told = match self.rule {
                    Rule::First => Told::of(stated, stated.first, timeline),
                    _ => last,
                };
                change(all, (told, stated.value.into()), sign);
                all.is_empty()
            }
            Ranked::ByValue(values) => {
                for value in parts(stated.value, self.rule) {
                    values.change(self.rule, &value, &last, (sign, stated.times));
                }
                values.stated.is_empty()
            }
        };
        if is_empty {
            self.ranked.remove(&rank);
        }
    }

    /// The one that stands.
    pub(super) fn chosen<'a>(&'a self, name: &'a str) -> Option<Chosen<'a>> {
        let (_, ranked) = self.ranked.last_key_value()?;
        let (value, told): (Cow<'a, str>, &Told) = match ranked {
            Ranked::InTime(all) => {
                let ((told, value), _) = match self.rule {
                    Rule::First => all.first_key_value()?,
                    _ => all.last_key_value()?,
                };
                (Cow::Borrowed(value), told)
            }
            Ranked::ByValue(values) => {
                let (_, told, value) = values.ordered.last()?;
                match self.rule {
                    Rule::Union => (Cow::Owned(values.united()), told),
                    _ => (Cow::Borrowed(value), told),
                }
            }
        };
        if value == NOTHING {
            return None;
        }
        Some(Chosen {
            name,
            value,
            rule: self.rule,
            source: &told.source,
            occurred_at: told.occurred_at,
            message_id: &told.message_id,
        })
    }
}

/// The elements of an array that is united with others; else the value itself.
fn parts(value: &str, rule: Rule) -> Vec<Cow<'_, str>> {
    if rule == Rule::Union
        && let Ok(elements) = serde_json::from_str::<Vec<&serde_json::value::RawValue>>(value)
    {
        return elements
            .into_iter()
            .map(serde_json::value::RawValue::get)
            .filter(|element| *element != NOTHING)
            .map(Cow::Borrowed)
            .collect();
    }
    vec![Cow::Borrowed(value)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(rule: Rule) -> TraitRules {
        TraitRules {
            rules: BTreeMap::from([("t".to_owned(), rule)]),
            priority: vec!["crm".to_owned(), "app".to_owned()],
            inferred: vec!["model".to_owned()],
        }
    }

    /// Source, first time, last time, how often, value.
    type Row<'a> = (&'a str, i64, i64, i64, &'a str);

    fn stated<'a>((source, first, last, times, value): Row<'a>) -> Trait<'a> {
        Trait {
            name: "t",
            value,
            source,
            times,
            first: (Timestamp(first), "m"),
            occurred_at: Timestamp(last),
            message_id: "m",
        }
    }

    fn chosen(rule: Rule, rows: &[Row<'_>]) -> (String, String, i64) {
        let rules = rules(rule);
        let mut statements = Statements::of("t", &rules);
        for row in rows {
            statements.change(&stated(*row), ("user_id", "ann"), 1, &rules);
        }
        let chosen = statements.chosen("t").expect("something was stated");
        let told = (
            chosen.value.to_string(),
            chosen.source.to_owned(),
            chosen.occurred_at.0,
        );
        for row in rows {
            statements.change(&stated(*row), ("user_id", "ann"), -1, &rules);
        }
        assert!(statements.is_empty(), "all was taken back");
        told
    }

    #[test]
    fn each_rule_chooses_among_the_statements_of_the_best_source() {
        let rows = [
            ("web", 1, 9, 2, "5"),
            ("web", 3, 4, 3, "12"),
            ("web", 2, 7, 1, "\"a\""),
        ];
        for (rule, value, at) in [
            (Rule::Latest, "5", 9),
            (Rule::First, "5", 1),
            (Rule::MostFrequent, "12", 4),
            (Rule::Union, "[\"a\",12,5]", 9),
            (Rule::Maximum, "12", 4),
        ] {
            let expected = (value.to_owned(), "web".to_owned(), at);
            assert_eq!(chosen(rule, &rows), expected, "{}", rule.name());
        }
    }

    #[test]
    fn what_was_declared_beats_what_was_inferred_and_then_the_order_of_sources_counts() {
        let (web, app, model) = (
            ("web", 1, 1, 1, "1"),
            ("app", 0, 0, 1, "2"),
            ("model", 5, 5, 9, "3"),
        );
        for (rows, value) in [
            (vec![model], "3"),
            (vec![model, web], "1"),
            (vec![model, web, app], "2"),
            (vec![model, web, app, ("crm", -1, -1, 1, "4")], "4"),
        ] {
            for rule in [Rule::Latest, Rule::Maximum, Rule::MostFrequent] {
                assert_eq!(chosen(rule, &rows).0, value, "{}", rule.name());
            }
        }
    }

    #[test]
    fn numbers_are_greater_by_size_and_any_is_greater_than_a_text() {
        let rows: Vec<Row<'_>> = ["\"z\"", "-12.5", "-3", "0", "1e3", "999"]
            .into_iter()
            .map(|value| ("web", 1, 1, 1, value))
            .collect();
        for (count, greatest) in [(1, "\"z\""), (2, "-12.5"), (3, "-3"), (4, "0"), (6, "1e3")] {
            assert_eq!(chosen(Rule::Maximum, &rows[..count]).0, greatest);
        }
    }

    #[test]
    fn a_union_has_as_many_values_as_fit() {
        let values: Vec<String> = (0..10_000).map(|value| format!("\"{value:05}\"")).collect();
        let rows: Vec<Row<'_>> = values
            .iter()
            .map(|value| ("web", 1, 1, 1, &**value))
            .collect();
        let united = chosen(Rule::Union, &rows).0;
        let listed: Vec<String> = serde_json::from_str(&united).expect("is an array");
        assert!(united.len() <= UNITED_BYTES + 2 && united.len() > UNITED_BYTES - 16);
        assert_eq!(listed[..2], ["00000", "00001"]);
    }

    #[test]
    fn nothing_is_no_value_and_takes_away_what_was_stated_before_it() {
        let rows = [
            ("web", 1, 1, 1, "null"),
            ("web", 2, 2, 1, "\"golf\""),
            ("web", 3, 3, 2, "[null]"),
        ];
        for (rule, value) in [
            (Rule::First, "\"golf\""),
            (Rule::MostFrequent, "\"golf\""),
            (Rule::Maximum, "\"golf\""),
            (Rule::Latest, "\"golf\""),
        ] {
            assert_eq!(chosen(rule, &rows[..2]).0, value, "{}", rule.name());
        }
        assert_eq!(chosen(Rule::Union, &rows).0, "[\"golf\"]");
        let rules = rules(Rule::Latest);
        let mut statements = Statements::of("t", &rules);
        for row in [rows[1], ("web", 9, 9, 1, "null")] {
            statements.change(&stated(row), ("user_id", "ann"), 1, &rules);
        }
        assert_eq!(statements.chosen("t"), None);
    }

    #[test]
    fn arrays_are_united_by_their_elements() {
        let rows = [
            ("web", 1, 1, 1, "[\"tea\", \"coffee\"]"),
            ("web", 2, 2, 1, "\"tea\""),
            ("web", 3, 3, 1, "[]"),
        ];
        assert_eq!(chosen(Rule::Union, &rows[..2]).0, "[\"coffee\",\"tea\"]");
        // A statement of nothing adds nothing, and can be taken back.
        assert_eq!(chosen(Rule::Union, &rows).0, "[\"coffee\",\"tea\"]");
    }
}
