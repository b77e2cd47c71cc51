use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::atom::{
    Activity, Answer, Email, Facets, Mention, Moment, Part, Passive, Product, Refund, Report,
    Session, Social, Source, Trait,
};
use super::super::contributions::Difference;
use super::super::runs::Runs;
use super::super::traits::{Rule, TraitRules};
use super::*;
use crate::email::Outcome;
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

fn definitions() -> Definitions {
    Definitions {
        goals: vec!["purchase".into(), "signup".into()],
        customer_days: 20,
        currencies: BTreeMap::new(),
        qualifying: BTreeMap::new(),
        prefetched_opens: false,
        high_attitude: 9,
        low_attitude: 6,
        uncounted: Vec::new(),
        traits: TraitRules {
            rules: BTreeMap::from([("city".to_owned(), Rule::Union)]),
            priority: Vec::new(),
            inferred: vec!["model".to_owned()],
        },
    }
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

fn traits(names: &'static [&'static str]) -> impl Strategy<Value = Vec<Trait<'static>>> {
    let stated = (
        word(names),
        word(&["1", "2", "true"]),
        0..3_i64,
        word(&["m1", "m2"]),
        word(&["site", "model"]),
    );
    prop::collection::vec(
        stated.prop_map(|(name, value, time, message_id, source)| Trait {
            name,
            value,
            source,
            times: 1 + time,
            first: (Timestamp(-time), message_id),
            occurred_at: Timestamp(time),
            message_id,
        }),
        0..3,
    )
}

fn stated() -> impl Strategy<Value = Stated<'static>> {
    (
        traits(&["name", "city"]),
        traits(&["marketing"]),
        traits(&["team-1", "team-2"]),
    )
        .prop_map(|(traits, consents, groups)| Stated {
            traits,
            consents,
            groups,
        })
}

fn social() -> impl Strategy<Value = Social<'static>> {
    (
        word(&["", "chirper"]),
        word(&["", "post-1"]),
        word(&["", "ann"]),
    )
        .prop_map(|(network, post, influencer)| Social {
            network,
            post,
            influencer,
        })
}

fn moments() -> impl Strategy<Value = Vec<Moment<'static>>> {
    let note = prop_oneof![
        (0..11_u8).prop_map(Note::Nps),
        (1..11_u8).prop_map(Note::NpsFromOne),
        any::<bool>().prop_map(Note::YesNo),
        (1..=5_u8).prop_map(Note::Stars),
        (1..6_u8).prop_map(Note::Ces),
    ];
    let answer = (
        prop::option::weighted(0.9, note),
        word(&["", "q1"]),
        word(&["", "p1"]),
        word(&["", "delivery"]),
    )
        .prop_map(|(note, question, product, touchpoint)| {
            Said::Answer(Answer {
                number: 1,
                question,
                note,
                comment: "so so",
                product,
                touchpoint,
            })
        });
    let count = || prop::option::of(0..4_i64);
    let report = (social(), count(), count(), count(), count()).prop_map(
        |(social, followers, reach, impressions, engagement)| {
            Said::Report(Report {
                social,
                followers,
                reach,
                impressions,
                engagement,
            })
        },
    );
    let mention = (social(), word(&["positive", "negative"]))
        .prop_map(|(social, sentiment)| Said::Mention(Mention { social, sentiment }));
    let said = prop_oneof![
        2 => report,
        1 => mention,
        3 => answer,
        1 => any::<bool>().prop_map(Said::Lead),
        1 => (-5..5_i64).prop_map(|points| Said::Points(Amount::from_units(points))),
        1 => (1..5_i64).prop_map(|spent| Said::Spend(Amount::from_units(spent), "EUR")),
    ];
    let moment = (0..4_000_000_000_i64, facets(), said).prop_map(|(time, facets, said)| Moment {
        occurred_at: Timestamp(time),
        message_id: if time % 2 == 0 { "m1" } else { "m2" },
        facets,
        said,
    });
    prop::collection::vec(moment, 0..3).prop_map(|mut moments| {
        moments.sort_by_key(|moment| (moment.occurred_at, moment.message_id));
        moments
    })
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
            goals: vec![
                ("download", Runs::of([(first, 1)])),
                ("purchase", Runs::of([(first, 1), (first + 51, 1)])),
            ],
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
        (stated(), moments()),
        // A few, so that some sessions go on where they began.
        (
            prop::sample::select(vec![5, 50_000, 70_000, 8_000_000]),
            0..3_i64,
            0..4_i64,
        ),
    )
        .prop_map(
            |(facets, goals, activity, (stated, moments), (start, touchpoints, views))| {
                Atom::Session(Session {
                    timeline: ("anonymous_id", "c1"),
                    started_at: Timestamp(start),
                    ended_at: Timestamp(start + 1_234 * touchpoints),
                    touchpoints: touchpoints + 1,
                    views,
                    facets,
                    goals,
                    activity,
                    stated,
                    moments,
                })
            },
        )
}

/// A session as one atom, and as two of which the second holds what is left of each list.
fn in_parts(session: Session<'static>, keep: usize) -> [Atom<'static>; 2] {
    fn rest<T>(all: &mut Vec<T>, keep: usize) -> Vec<T> {
        all.split_off(keep.min(all.len()))
    }
    let mut first = session;
    let stated = &mut first.stated;
    let stated = Stated {
        traits: rest(&mut stated.traits, keep),
        consents: rest(&mut stated.consents, keep),
        groups: rest(&mut stated.groups, keep),
    };
    let part = Part {
        timeline: first.timeline,
        source: first.facets.source,
        campaign: first.facets.campaign,
        activity: rest(&mut first.activity, keep),
        stated,
        moments: rest(&mut first.moments, keep),
    };
    [Atom::Session(first), Atom::Part(part)]
}

fn identifier(r#type: &'static str, value: &'static str) -> Atom<'static> {
    Atom::Identifier(Identifier {
        r#type,
        value,
        is_person: ["email", "user_id"].contains(&r#type),
    })
}

fn atom() -> impl Strategy<Value = Atom<'static>> {
    let order = (
        facets(),
        // Within a few of the spells that an order makes a customer for.
        0..9_000_000_000_i64,
        word(&["EUR", "USD", ""]),
        (0..5_i64, prop::option::of(-1..3_i64)),
    )
        .prop_map(|(facets, time, currency, (units, margin))| {
            let product = Product {
                id: "p1",
                amount: Amount::from_units(units),
                margin: margin.map(Amount::from_units),
            };
            Atom::Order(Order {
                ordered_at: Timestamp(time),
                currency,
                total: Amount::from_units(units),
                margin: margin.map(Amount::from_units),
                facets,
                message_id: "m1",
                timeline: ("anonymous_id", if time % 2 == 0 { "c1" } else { "c2" }),
                products: vec![product; usize::from(units > 2)],
            })
        });
    let currency = word(&["EUR", "USD", ""]);
    let refund = (facets(), 0..9_000_000_000_i64, currency, 0..5_i64).prop_map(
        |(facets, time, currency, units)| {
            Atom::Refund(Refund {
                refunded_at: Timestamp(time),
                currency,
                amount: Amount::from_units(units),
                facets,
                products: vec![("p1", Amount::from_units(1)); usize::from(units > 2)],
            })
        },
    );
    let passive = (stated(), moments()).prop_map(|(stated, moments)| {
        Atom::Passive(Passive {
            timeline: ("email", "a@b"),
            touchpoints: 2,
            first_seen: Timestamp(60_000),
            stated,
            moments,
        })
    });
    let source = moments().prop_map(|moments| {
        Atom::Source(Source {
            timeline: ("source", "kiosk"),
            moments,
        })
    });
    let identifier = (
        word(&["email", "user_id", "fax", "device_id", "anonymous_id"]),
        word(&["a", "b"]),
    )
        .prop_map(|(r#type, value)| identifier(r#type, value));
    let email = (
        0..9_000_000_000_i64,
        word(&["", "sale"]),
        any::<[bool; 5]>(),
    )
        .prop_map(
            |(time, campaign, [delivered, opened, prefetched, clicked, unsubscribed])| {
                Atom::Email(Email {
                    sent_at: Timestamp(time),
                    campaign,
                    outcome: Outcome {
                        delivered,
                        opened,
                        prefetched,
                        clicked,
                        unsubscribed,
                    },
                })
            },
        );
    let part = (session(), 0..3_usize).prop_map(|(session, keep)| {
        let Atom::Session(session) = session else {
            unreachable!("session makes sessions");
        };
        let [_, part] = in_parts(session, keep);
        part
    });
    prop_oneof![
        3 => session(),
        1 => part,
        3 => order,
        1 => refund,
        1 => passive,
        2 => identifier,
        2 => source,
        1 => email,
    ]
}

fn folded(atoms: &BTreeMap<usize, Atom<'static>>) -> (Fold, Sums) {
    let (mut fold, mut sums) = (Fold::default(), Sums::default());
    for atom in atoms.values() {
        fold.replace(None, Some(atom), &definitions(), &mut sums);
    }
    fold.tell(&definitions(), &mut sums);
    (fold, sums)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn replacing_atoms_in_any_order_leaves_what_a_fold_from_scratch_gives(
        steps in prop::collection::vec(
            (0..5_usize, prop::option::weighted(0.8, atom()), any::<bool>()), 1..20,
        ),
    ) {
        let (mut fold, mut sums, mut atoms) = (Fold::default(), Sums::default(), BTreeMap::new());
        for (id, after, tells) in steps {
            fold.replace(atoms.get(&id), after.as_ref(), &definitions(), &mut sums);
            match after {
                Some(atom) => atoms.insert(id, atom),
                None => atoms.remove(&id),
            };
            if tells {
                fold.tell(&definitions(), &mut sums);
            }
        }
        fold.tell(&definitions(), &mut sums);
        prop_assert_eq!((fold, sums), folded(&atoms));
    }

    #[test]
    fn a_session_that_comes_in_parts_counts_as_it_does_whole(
        (session, others) in (session(), prop::collection::vec(atom(), 0..4)),
        keep in 0..3_usize,
    ) {
        let numbered = |atoms: Vec<Atom<'static>>| atoms.into_iter().enumerate().collect();
        let Atom::Session(whole) = session.clone() else {
            unreachable!("session makes sessions");
        };
        let in_parts: Vec<_> = in_parts(whole, keep).into_iter().chain(others.clone()).collect();
        let whole: Vec<_> = [session].into_iter().chain(others).collect();
        let (whole, in_parts) = (folded(&numbered(whole)), folded(&numbered(in_parts)));
        prop_assert_eq!(whole.1, in_parts.1);
        // How often a minute was active is the fold's matter.
        let traits = |fold: &Fold| format!("{:?}", fold.traits().collect::<Vec<_>>());
        prop_assert_eq!(traits(&whole.0), traits(&in_parts.0));
        let counts = |fold: &Fold| (fold.sessions(), fold.touchpoints(), fold.points());
        prop_assert_eq!(counts(&whole.0), counts(&in_parts.0));
        let channels = |fold: &Fold| fold.channels().map(str::to_owned).collect::<Vec<_>>();
        prop_assert_eq!(channels(&whole.0), channels(&in_parts.0));
    }
}

#[test]
fn a_profile_tells_what_its_atoms_say() {
    let sums = &mut Sums::default();
    let mut fold = Fold::default();
    let city = |time, message_id, value| Trait {
        name: "home",
        value,
        source: "site",
        times: 1,
        first: (Timestamp(time), message_id),
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
                goals: Vec::new(),
            }],
            stated: Stated {
                traits,
                ..Stated::default()
            },
            moments: Vec::new(),
        })
    };
    let order = Atom::Order(Order {
        ordered_at: Timestamp(5),
        currency: "EUR",
        total: Amount::from_units(10),
        margin: None,
        facets: Facets::default(),
        message_id: "m",
        timeline: ("anonymous_id", "c1"),
        products: Vec::new(),
    });
    let refund = Atom::Refund(Refund {
        refunded_at: Timestamp(9),
        currency: "EUR",
        amount: Amount::from_units(4),
        facets: Facets::default(),
        products: Vec::new(),
    });
    let late = session(50_000, vec![city(9, "m9", "\"Rome\"")]);
    let atoms = [
        &session(10_000, vec![city(9, "m8", "\"Paris\"")]),
        &late,
        &refund,
        &order,
        &identifier("anonymous_id", "c1"),
        &identifier("fax", "1"),
        &identifier("user_id", "ann"),
    ];
    for atom in atoms {
        fold.replace(None, Some(atom), &definitions(), sums);
    }
    let homes = |fold: &Fold| -> Vec<String> {
        fold.traits()
            .map(|chosen| format!("{} {} {}", chosen.name, chosen.value, chosen.message_id))
            .collect()
    };
    assert_eq!(homes(&fold), ["home \"Rome\" m9"]);
    assert_eq!(
        fold.identifiers()
            .map(|identifier| identifier.value)
            .collect::<Vec<_>>(),
        ["ann", "c1", "1"]
    );
    assert_eq!(
        fold.spending()
            .map(|(currency, spending)| (currency, spending.orders, spending.revenue))
            .collect::<Vec<_>>(),
        [("EUR", 1, Amount::from_units(6))]
    );
    assert_eq!(fold.channels().collect::<Vec<_>>(), ["web"]);
    assert_eq!(
        (fold.first_seen(), fold.last_seen()),
        (Some(Timestamp(10_000)), Some(Timestamp(51_000)))
    );
    fold.replace(Some(&late), None, &definitions(), sums);
    assert_eq!(homes(&fold), ["home \"Paris\" m8"]);
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
            stated: Stated::default(),
            moments: Vec::new(),
        })
    };
    let whole = |sums: &Sums, kpi| {
        let place = (kpi, String::new(), Dimension::Whole, String::new(), None, 1);
        sums.0.get(&place).copied()
    };
    let (mut fold, mut sums) = (Fold::default(), Sums::default());
    let first = session("web", 1, 0);
    fold.replace(None, Some(&first), &definitions(), &mut sums);
    assert_eq!(whole(&sums, Kpi::BounceRate), Some((1_000_000, 1)));
    assert_eq!(whole(&sums, Kpi::SessionDuration), Some((0, 1)));
    // It goes on.
    fold.replace(
        Some(&first),
        Some(&session("web", 4, 90)),
        &definitions(),
        &mut sums,
    );
    let shop = session("store", 9, 900);
    fold.replace(None, Some(&shop), &definitions(), &mut sums);
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
            message_id: "m",
            timeline: ("anonymous_id", "c1"),
            products: Vec::new(),
        })
    };
    let (mut fold, mut sums) = (Fold::default(), Sums::default());
    for atom in [order(Some(3)), order(Some(-1)), order(None)] {
        fold.replace(None, Some(&atom), &definitions(), &mut sums);
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

#[test]
fn of_what_is_reported_the_last_word_counts() {
    let reports = |reports: &[(i64, i64, Option<i64>)]| {
        let moment = |&(minute, followers, reach): &(i64, i64, Option<i64>)| Moment {
            occurred_at: Timestamp(minute * 60_000),
            message_id: "m",
            facets: Facets::default(),
            said: Said::Report(Report {
                social: Social {
                    network: "chirper",
                    post: "p1",
                    influencer: "",
                },
                followers: Some(followers),
                reach,
                impressions: None,
                engagement: None,
            }),
        };
        Atom::Source(Source {
            timeline: ("source", "feed"),
            moments: reports.iter().map(moment).collect(),
        })
    };
    let (mut fold, mut sums) = (Fold::default(), Sums::default());
    let atom = reports(&[(10, 100, Some(7)), (30, 90, None), (200, 95, Some(8))]);
    fold.replace(None, Some(&atom), &definitions(), &mut sums);
    let at = |sums: &Sums, kpi, dimension, value: &str, mark| {
        let place = |at| {
            (
                kpi,
                String::new(),
                dimension,
                value.to_owned(),
                Some(Window::Hour),
                at,
            )
        };
        let until = sums.0.range(place(i64::MIN)..=place(mark));
        until.map(|(_, sum)| sum.0 / 1_000_000).sum::<i128>()
    };
    let followers = |sums: &Sums, mark| at(sums, Kpi::SocialFollowers, Dimension::Whole, "", mark);
    let known: Vec<i128> = [9, 10, 29, 30, 199, 200, 9_000]
        .map(|mark| followers(&sums, mark))
        .into();
    assert_eq!(known, [0, 100, 100, 90, 90, 95, 95], "until the next word");
    let reach = |mark| at(&sums, Kpi::SocialReach, Dimension::Post, "p1", mark);
    let seen: Vec<i128> = [9, 10, 69, 70, 200, 259, 260].map(reach).into();
    assert_eq!(seen, [0, 7, 7, 0, 8, 8, 0], "the last in the hour");
    assert_eq!(at(&sums, Kpi::SocialReach, Dimension::Whole, "", 30), 0);
    // The last word is taken back: the one before it holds on.
    let fewer = reports(&[(10, 100, Some(7)), (30, 90, None)]);
    fold.replace(Some(&atom), Some(&fewer), &definitions(), &mut sums);
    assert_eq!(followers(&sums, 9_000), 90);
}
