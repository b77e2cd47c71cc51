use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::atom::{Activity, Facets, Passive, Refund, Session};
use super::super::contributions::Difference;
use super::super::runs::Runs;
use super::*;
use crate::kpi::{Dimension, Key, Kpi, Window};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sums(BTreeMap<(Kpi, String, Dimension, String, Option<Window>, i64), (i128, i64)>);

impl Contributions for Sums {
    fn add(&mut self, key: &Key<'_>, differences: &[Difference]) {
        for difference in differences {
            let place = (
                key.kpi,
                key.currency.to_owned(),
                key.dimension,
                key.value.to_owned(),
                difference.window,
                difference.mark,
            );
            let sum = self.0.entry(place.clone()).or_default();
            sum.0 += difference.sum.numerator;
            sum.1 += difference.sum.denominator;
            if *sum == (0, 0) {
                self.0.remove(&place);
            }
        }
    }
}

fn goals() -> Vec<Box<str>> {
    vec!["purchase".into(), "signup".into()]
}

fn word(words: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(words)
}

fn facets() -> impl Strategy<Value = Facets<'static>> {
    (
        word(&["web", "store", "app"]),
        word(&["", "direct"]),
        word(&["", "sale"]),
        word(&["", "mobile"]),
        word(&["", "s1"]),
    )
        .prop_map(|(channel, source, campaign, device_type, store)| Facets {
            channel,
            source,
            campaign,
            device_type,
            store,
        })
}

fn traits() -> impl Strategy<Value = Vec<Trait<'static>>> {
    let stated = (
        word(&["name", "city"]),
        word(&["1", "2"]),
        0..3_i64,
        word(&["m1", "m2"]),
    );
    prop::collection::vec(
        stated.prop_map(|(name, value, time, message_id)| Trait {
            name,
            value,
            occurred_at: Timestamp(time),
            message_id,
        }),
        0..3,
    )
}

fn session() -> impl Strategy<Value = Atom<'static>> {
    let activity = (
        word(&["web", "app"]),
        word(&["", "s1"]),
        0..200_i64,
        1..40_i64,
    )
        .prop_map(|(channel, store, first, length)| Activity {
            channel,
            store,
            device_type: "mobile",
            minutes: Runs::of([(first, length), (first + 50, 2)]),
        });
    let goals =
        prop::sample::subsequence(vec![("purchase", 1), ("purchase", 3), ("signup", 1)], 0..=2)
            .prop_map(|mut goals| {
                goals.dedup_by_key(|(goal, _)| *goal);
                goals
            });
    (
        facets(),
        goals,
        prop::collection::vec(activity, 0..3),
        traits(),
        // A few, so that some sessions go on where they began.
        (
            prop::sample::select(vec![5, 50_000, 70_000, 8_000_000]),
            0..3_i64,
            0..4_i64,
        ),
    )
        .prop_map(
            |(facets, goals, activity, traits, (start, touchpoints, views))| {
                Atom::Session(Session {
                    timeline: ("anonymous_id", "c1"),
                    started_at: Timestamp(start),
                    ended_at: Timestamp(start + 1_234 * touchpoints),
                    touchpoints: touchpoints + 1,
                    views,
                    facets,
                    goals,
                    activity,
                    traits,
                })
            },
        )
}

fn atom() -> impl Strategy<Value = Atom<'static>> {
    let order = (
        facets(),
        0..9_000_000_i64,
        word(&["EUR", "USD", ""]),
        (0..5_i64, prop::option::of(-1..3_i64)),
        0..2_usize,
    )
        .prop_map(|(facets, time, currency, (units, margin), refunds)| {
            let refund = Refund {
                refunded_at: Timestamp(time + 70_000),
                amount: Amount::from_units(1),
            };
            Atom::Order(Order {
                ordered_at: Timestamp(time),
                currency,
                total: Amount::from_units(units),
                margin: margin.map(Amount::from_units),
                facets,
                refunds: vec![refund; refunds],
            })
        });
    let passive = traits().prop_map(|traits| {
        Atom::Passive(Passive {
            timeline: ("email", "a@b"),
            touchpoints: 2,
            traits,
        })
    });
    let identifier = (word(&["email", "user_id", "fax"]), word(&["a", "b"]))
        .prop_map(|(r#type, value)| Atom::Identifier(Identifier { r#type, value }));
    prop_oneof![3 => session(), 3 => order, 1 => passive, 1 => identifier]
}

fn folded(atoms: &BTreeMap<usize, Atom<'static>>) -> (Fold, Sums) {
    let (mut fold, mut sums) = (Fold::default(), Sums::default());
    for atom in atoms.values() {
        fold.replace(None, Some(atom), &goals(), &mut sums);
    }
    (fold, sums)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn replacing_atoms_in_any_order_leaves_what_a_fold_from_scratch_gives(
        steps in prop::collection::vec((0..5_usize, prop::option::weighted(0.8, atom())), 1..20),
    ) {
        let (mut fold, mut sums, mut atoms) = (Fold::default(), Sums::default(), BTreeMap::new());
        for (id, after) in steps {
            fold.replace(atoms.get(&id), after.as_ref(), &goals(), &mut sums);
            match after {
                Some(atom) => atoms.insert(id, atom),
                None => atoms.remove(&id),
            };
        }
        prop_assert_eq!((fold, sums), folded(&atoms));
    }

    #[test]
    fn other_goals_can_be_counted_afterwards(atoms in prop::collection::vec(atom(), 1..6)) {
        let before: Vec<Box<str>> = vec!["purchase".into(), "lead".into()];
        let (mut fold, mut sums) = (Fold::default(), Sums::default());
        for atom in &atoms {
            fold.replace(None, Some(atom), &before, &mut sums);
        }
        for atom in &atoms {
            super::super::contribute_goals(atom, &before, &goals(), &mut sums);
        }
        prop_assert_eq!(sums, folded(&atoms.into_iter().enumerate().collect()).1);
    }
}

#[test]
fn a_profile_tells_what_its_atoms_say() {
    let sums = &mut Sums::default();
    let mut fold = Fold::default();
    let stated = |time, message_id, value| Trait {
        name: "city",
        value,
        occurred_at: Timestamp(time),
        message_id,
    };
    let session = |start, traits| {
        Atom::Session(Session {
            timeline: ("anonymous_id", "c1"),
            started_at: Timestamp(start),
            ended_at: Timestamp(start + 1000),
            touchpoints: 2,
            views: 1,
            facets: Facets {
                channel: "web",
                ..Facets::default()
            },
            goals: Vec::new(),
            activity: vec![Activity {
                channel: "web",
                store: "",
                device_type: "",
                minutes: Runs::of([(1, 1)]),
            }],
            traits,
        })
    };
    let order = Atom::Order(Order {
        ordered_at: Timestamp(5),
        currency: "EUR",
        total: Amount::from_units(10),
        margin: None,
        facets: Facets::default(),
        refunds: vec![Refund {
            refunded_at: Timestamp(9),
            amount: Amount::from_units(4),
        }],
    });
    let late = session(50_000, vec![stated(9, "m9", "\"Rome\"")]);
    let atoms = [
        &session(10_000, vec![stated(9, "m8", "\"Paris\"")]),
        &late,
        &order,
        &Atom::Identifier(Identifier {
            r#type: "anonymous_id",
            value: "c1",
        }),
        &Atom::Identifier(Identifier {
            r#type: "fax",
            value: "1",
        }),
        &Atom::Identifier(Identifier {
            r#type: "user_id",
            value: "ann",
        }),
    ];
    for atom in atoms {
        fold.replace(None, Some(atom), &[], sums);
    }
    assert_eq!(fold.traits().collect::<Vec<_>>(), [("city", "\"Rome\"")]);
    assert_eq!(
        fold.identifiers()
            .map(|identifier| identifier.value)
            .collect::<Vec<_>>(),
        ["ann", "c1", "1"]
    );
    assert_eq!(
        fold.revenue().collect::<Vec<_>>(),
        [("EUR", Amount::from_units(6))]
    );
    assert_eq!(fold.channels().collect::<Vec<_>>(), ["web"]);
    assert_eq!(
        (fold.first_seen(), fold.last_seen()),
        (Some(Timestamp(10_000)), Some(Timestamp(51_000)))
    );
    fold.replace(Some(&late), None, &[], sums);
    assert_eq!(fold.traits().collect::<Vec<_>>(), [("city", "\"Paris\"")]);
    assert_eq!(
        (fold.sessions(), fold.touchpoints(), fold.orders()),
        (1, 2, 1)
    );
    assert_eq!(fold.last_seen(), Some(Timestamp(11_000)));
}

#[test]
fn a_session_says_how_long_and_how_deep_a_visit_was() {
    let session = |channel, touchpoints, seconds: i64| {
        Atom::Session(Session {
            timeline: ("anonymous_id", "c1"),
            started_at: Timestamp(60_000),
            ended_at: Timestamp(60_000 + seconds * 1000),
            touchpoints,
            views: touchpoints,
            facets: Facets {
                channel,
                ..Facets::default()
            },
            goals: vec![("purchase", 2)],
            activity: Vec::new(),
            traits: Vec::new(),
        })
    };
    let whole = |sums: &Sums, kpi| {
        let place = (kpi, String::new(), Dimension::Whole, String::new(), None, 1);
        sums.0.get(&place).copied()
    };
    let (mut fold, mut sums) = (Fold::default(), Sums::default());
    let first = session("web", 1, 0);
    fold.replace(None, Some(&first), &goals(), &mut sums);
    assert_eq!(whole(&sums, Kpi::BounceRate), Some((1_000_000, 1)));
    assert_eq!(whole(&sums, Kpi::SessionDuration), Some((0, 1)));
    // It goes on.
    fold.replace(
        Some(&first),
        Some(&session("web", 4, 90)),
        &goals(),
        &mut sums,
    );
    let shop = session("store", 9, 900);
    fold.replace(None, Some(&shop), &goals(), &mut sums);
    for (kpi, sum) in [
        (Kpi::Sessions, (2_000_000, 0)),
        (Kpi::BounceRate, (0, 1)),
        (Kpi::PagesPerSession, (4_000_000, 1)),
        (Kpi::SessionDuration, (90_000_000, 1)),
        (Kpi::ConversionRate, (1_000_000, 1)),
        (Kpi::ConversionsPerVisit, (2_000_000, 1)),
    ] {
        assert_eq!(whole(&sums, kpi), Some(sum), "{}", kpi.slug());
    }
}

#[test]
fn a_margin_counts_where_it_is_stated_and_how_often_that_is() {
    let order = |margin: Option<i64>| {
        Atom::Order(Order {
            ordered_at: Timestamp(60_000),
            currency: "EUR",
            total: Amount::from_units(10),
            margin: margin.map(Amount::from_units),
            facets: Facets::default(),
            refunds: Vec::new(),
        })
    };
    let (mut fold, mut sums) = (Fold::default(), Sums::default());
    for atom in [order(Some(3)), order(Some(-1)), order(None)] {
        fold.replace(None, Some(&atom), &[], &mut sums);
    }
    let sum = |kpi, currency: &str| {
        let place = (
            kpi,
            currency.to_owned(),
            Dimension::Whole,
            String::new(),
            None,
            1,
        );
        sums.0.get(&place).copied()
    };
    assert_eq!(sum(Kpi::Margin, "EUR"), Some((2_000_000, 0)));
    assert_eq!(sum(Kpi::MarginCoverage, ""), Some((2_000_000, 3)));
}
