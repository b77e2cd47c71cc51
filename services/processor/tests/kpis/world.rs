//! Atoms with histories: they change, change owners, and go.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tributary_contracts::framing;
use tributary_contracts::wire::{
    AnswerGiven, Atom, AtomBody, BrandMentioned, ChannelActivity, EmailAtom, GoalMinutes,
    IdentifierAtom, LeadMade, MinuteRun, Moment, OrderAtom, PassiveAtom, PointsMoved,
    ProductAmount, ProductSold, RefundAtom, Said, SessionAtom, SocialReported, SourceAtom,
    SpendReported, Trait,
};
use tributary_core::identifier::{Identifier, IdentifierType};
use tributary_core::ids::ProfileId;
use tributary_core::money::Amount;
use tributary_core::time::{DAY, HOUR, MINUTE, Timestamp};

/// When everything has happened.
pub(crate) const NOW: Timestamp = Timestamp(20_000 * DAY + 7 * HOUR + 3 * MINUTE + 1);

/// All values that events of this world may have, by dimension, of which so many are told apart.
pub(crate) const VALUES: [(&str, &[&str]); 8] = [
    ("channel", &["web", "app", "store"]),
    ("source", &["direct", "search"]),
    ("campaign", &["sale"]),
    ("device_type", &["mobile"]),
    ("store", &["s1", "s2"]),
    ("product", &["p1", "p2"]),
    ("network", &["chirper"]),
    ("influencer", &["ann"]),
];

/// Values of a dimension that are told apart.
pub(crate) const MOST_VALUES: usize = 1;

/// The store that is told apart before others.
pub(crate) const FIRST_STORE: [&str; 1] = ["s2"];

/// A fact, with true times.
#[derive(Clone, Debug)]
pub(crate) enum Fact {
    /// Its touches; the facets of the first; views; what is said in it; a trait.
    Session {
        start: i64,
        touches: Vec<Touch>,
        facets: Facets,
        views: i64,
        says: Vec<Says>,
    },
    /// The margin where one is stated; refunds as time after the order, and units: as many of each product, and one more;
    /// products, with what they come to: each has a margin of one less than the order.
    Order {
        time: i64,
        currency: &'static str,
        units: i64,
        margin: Option<i64>,
        facets: Facets,
        refunds: Vec<(i64, i64)>,
        products: BTreeMap<&'static str, i64>,
    },
    /// When the first was, how many, and what they say.
    Passive(i64, i64, Vec<Says>),
    /// Type and value.
    Identifier(&'static str, &'static str),
    /// What a source says.
    Source(Vec<Says>),
    /// When it was sent, its campaign; delivered, opened, by a mail client only, clicked, unsubscribed.
    Email(i64, &'static str, [bool; 5]),
}

/// Time after the start, channel, store, device type, goal that it reaches.
pub(crate) type Touch = (i64, &'static str, &'static str, &'static str, &'static str);

/// When, with which facets, and what.
#[derive(Clone, Debug)]
pub(crate) struct Says {
    pub(crate) time: i64,
    pub(crate) facets: Facets,
    pub(crate) what: What,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    /// Aspect, scale and note, of a product.
    Answer(&'static str, &'static str, i64, &'static str),
    /// Whether it is said to be qualified, and by which source; the CRM qualifies leads.
    Lead(Option<bool>, &'static str),
    Points(i64),
    Spend(i64, &'static str),
    /// Followers of the account, reach and engagement of the post that its owner stands for; influencer.
    Report([Option<i64>; 3], &'static str),
    /// Influencer, sentiment.
    Mention(&'static str, &'static str),
}

/// Events of each goal in a session.
pub(crate) fn goals(touches: &[Touch]) -> BTreeMap<&'static str, i64> {
    let mut goals = BTreeMap::new();
    for (.., goal) in touches.iter().filter(|(.., goal)| !goal.is_empty()) {
        *goals.entry(*goal).or_default() += 1;
    }
    goals
}

/// Channel, source, campaign, device type, store.
pub(crate) type Facets = [&'static str; 5];

/// The states that an atom takes, each with an owner; none where it is gone.
pub(crate) type History = Vec<Option<(u8, Fact)>>;

pub(crate) fn profile(number: u8) -> ProfileId {
    ProfileId::of(
        "default",
        &Identifier::new(IdentifierType::USER_ID, &format!("user {number}")),
    )
}

fn word(words: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(words)
}

fn facets() -> impl Strategy<Value = Facets> {
    (
        word(&["web", "app", "store"]),
        word(&["", "direct", "search"]),
        word(&["", "sale"]),
        word(&["", "mobile"]),
        word(&["", "s1"]),
    )
        .prop_map(|(channel, source, campaign, device, store)| {
            [channel, source, campaign, device, store]
        })
}

/// Mostly of late, some long ago, some on a mark.
fn time() -> impl Strategy<Value = i64> {
    prop_oneof![
        (0..3 * DAY).prop_map(|ago| NOW.0 - ago),
        (0..90 * MINUTE).prop_map(|ago| NOW.0 - ago),
        (0..400_i64).prop_map(|days| NOW.0 - NOW.0 % DAY - days * DAY),
        (0..30 * DAY).prop_map(|ago| NOW.0 - ago),
    ]
}

fn says() -> impl Strategy<Value = Vec<Says>> {
    let answer = prop_oneof![
        (0..11_i64).prop_map(|note| ("nps", "0-10", note)),
        (1..11_i64).prop_map(|note| ("nps", "1-10", note)),
        (1..6_i64).prop_map(|note| ("csat", "1-5", note)),
        (0..2_i64).prop_map(|note| ("csat", "yes-no", note)),
        (1..6_i64).prop_map(|note| ("ces", "1-5", note)),
        Just(("taste", "1-5", 3)),
    ];
    let what = prop_oneof![
        3 => (answer, word(&["", "p1"])).prop_map(|((aspect, scale, note), product)| {
            What::Answer(aspect, scale, note, product)
        }),
        1 => (any::<Option<bool>>(), word(&["site", "crm"])).prop_map(|(qualified, source)| What::Lead(qualified, source)),
        1 => (-3..4_i64).prop_map(What::Points),
        1 => (1..4_i64, word(&["EUR", "EUR", "USD"])).prop_map(|(units, currency)| What::Spend(units, currency)),
        2 => (any::<[bool; 3]>(), 0..9_i64, word(&["", "ann"])).prop_map(|(counted, count, influencer)| {
            What::Report(counted.map(|is| is.then_some(count)), influencer)
        }),
        1 => (word(&["", "ann"]), word(&["positive", "negative"]))
            .prop_map(|(influencer, sentiment)| What::Mention(influencer, sentiment)),
    ];
    let says =
        (time(), facets(), what).prop_map(|(time, facets, what)| Says { time, facets, what });
    prop::collection::vec(says, 0..3).prop_map(|mut says| {
        says.sort_by_key(|says| says.time);
        // The attitude of two answers in one millisecond would be a matter of how they are written.
        says.dedup_by_key(|says| says.time);
        says
    })
}

fn fact() -> impl Strategy<Value = Fact> {
    let touch = (
        0..40 * MINUTE,
        word(&["web", "app"]),
        word(&["", "s1", "s2"]),
        word(&["", "mobile"]),
        word(&["", "", "", "purchase", "signup"]),
    );
    let session = (
        time(),
        prop::collection::vec(touch, 1..4),
        facets(),
        0..5_i64,
        says(),
    )
        .prop_map(|(start, mut touches, facets, views, says)| {
            touches[0].0 = 0;
            touches
                .iter_mut()
                .for_each(|touch| touch.0 = touch.0.min(NOW.0 - start));
            Fact::Session {
                start,
                touches,
                facets,
                views,
                says,
            }
        });
    let order = (
        time(),
        word(&["EUR", "USD"]),
        (0..4_i64, prop::option::of(-1..3_i64)),
        facets(),
        (
            prop::collection::vec((0..2 * DAY, 0..3_i64), 0..3),
            prop::collection::btree_map(word(&["p1", "p2"]), -1..3_i64, 0..3),
        ),
    )
        .prop_map(
            |(time, currency, (units, margin), facets, (mut refunds, products))| {
                refunds
                    .iter_mut()
                    .for_each(|refund| refund.0 = refund.0.min(NOW.0 - time));
                Fact::Order {
                    time,
                    currency,
                    units,
                    margin,
                    facets,
                    refunds,
                    products,
                }
            },
        );
    prop_oneof![
        4 => session,
        4 => order,
        1 => (time(), 1..5_i64, says()).prop_map(|(time, number, says)| Fact::Passive(time, number, says)),
        2 => (word(&["email", "user_id", "device_id", "anonymous_id"]), word(&["ann", "bob"]))
            .prop_map(|(r#type, value)| Fact::Identifier(r#type, value)),
        1 => says().prop_map(Fact::Source),
        2 => (time(), word(&["", "sale"]), any::<[bool; 5]>()).prop_map(|(time, campaign, outcome)| {
            Fact::Email(time, campaign, outcome)
        }),
    ]
}

pub(crate) fn history() -> impl Strategy<Value = History> {
    prop::collection::vec(prop::option::weighted(0.85, (0..4_u8, fact())), 1..4)
}

/// What holds in the end.
pub(crate) fn last(histories: &[History]) -> Vec<(u8, Fact)> {
    histories
        .iter()
        .filter_map(|history| history.last().cloned().flatten())
        .collect()
}

/// The same end without what came before.
pub(crate) fn only_last(histories: &[History]) -> Vec<History> {
    histories
        .iter()
        .map(|history| history.last().cloned().into_iter().collect())
        .collect()
}

/// The messages of each atom of each profile, in their order, by (profile, atom).
pub(crate) fn messages(histories: &[History]) -> BTreeMap<(ProfileId, String), Vec<Vec<u8>>> {
    let mut messages: BTreeMap<(ProfileId, String), Vec<Vec<u8>>> = BTreeMap::new();
    for (number, history) in histories.iter().enumerate() {
        let atom_id = format!("atom {number}");
        let mut owners: BTreeMap<String, ProfileId> = BTreeMap::new();
        for state in history {
            let mut send = |owner: ProfileId, atom_id: &str, body: Option<AtomBody<'_>>| {
                let queue = messages.entry((owner, atom_id.to_owned())).or_default();
                queue.push(message(owner, atom_id, queue.len() as i64, body));
            };
            let before = std::mem::take(&mut owners);
            if let Some((number, fact)) = state {
                let owner = profile(*number);
                for (atom_id, body) in bodies(&atom_id, fact) {
                    send(owner, &atom_id, Some(body));
                    owners.insert(atom_id, owner);
                }
            }
            for (atom_id, owner) in before {
                if owners.get(&atom_id) != Some(&owner) {
                    send(owner, &atom_id, None);
                }
            }
        }
    }
    messages
}

fn message(
    profile_id: ProfileId,
    atom_id: &str,
    revision: i64,
    body: Option<AtomBody<'_>>,
) -> Vec<u8> {
    framing::encode(&Atom {
        workspace: "default",
        profile_id,
        atom_id,
        revision,
        body,
    })
    .expect("encodes")
}

/// What a fact makes: an atom, and one for each refund of an order.
fn bodies<'a>(atom_id: &'a str, fact: &Fact) -> Vec<(String, AtomBody<'a>)> {
    let mut bodies = vec![(atom_id.to_owned(), body(atom_id, fact))];
    if let Fact::Order {
        time,
        currency,
        facets: [channel, source, campaign, device_type, store],
        refunds,
        products,
        ..
    } = fact
    {
        let refunds = refunds.iter().enumerate().map(|(number, (after, units))| {
            let back = products.keys().map(|product_id| ProductAmount {
                product_id,
                amount: Amount::from_units(units + 1),
            });
            let refund = AtomBody::RefundAtom(RefundAtom {
                refunded_at: Timestamp(time + after),
                currency,
                amount: Amount::from_units(*units),
                channel,
                traffic_source: source,
                campaign,
                store,
                device_type,
                products: back.collect(),
            });
            (format!("{atom_id} refund {number}"), refund)
        });
        bodies.extend(refunds);
    }
    bodies
}

fn body<'a>(atom_id: &'a str, fact: &Fact) -> AtomBody<'a> {
    match fact {
        Fact::Session {
            start,
            touches,
            facets: [channel, source, campaign, device_type, store],
            views,
            says,
        } => {
            let last = touches
                .iter()
                .map(|touch| touch.0)
                .max()
                .unwrap_or_default();
            let mut activity: Vec<ChannelActivity<'static>> = Vec::new();
            let mut touches = touches.clone();
            touches.sort_unstable();
            for (after, channel, store, device_type, goal) in touches.iter().copied() {
                let minute = (start + after + MINUTE - 1) / MINUTE;
                let run = MinuteRun {
                    first: minute,
                    length: 1,
                };
                let same = |other: &ChannelActivity<'_>| {
                    (other.channel, other.store, other.device_type) == (channel, store, device_type)
                };
                let place = match activity.iter().position(same) {
                    Some(place) => place,
                    None => {
                        activity.push(ChannelActivity {
                            channel,
                            store,
                            device_type,
                            minutes: Vec::new(),
                            goals: Vec::new(),
                        });
                        activity.len() - 1
                    }
                };
                activity[place].minutes.push(run);
                if !goal.is_empty() {
                    let goals = &mut activity[place].goals;
                    match goals.iter_mut().find(|reached| reached.goal == goal) {
                        Some(reached) => reached.minutes.push(minute),
                        None => goals.push(GoalMinutes {
                            goal,
                            minutes: vec![minute],
                        }),
                    }
                }
            }
            AtomBody::SessionAtom(SessionAtom {
                timeline_type: "anonymous_id",
                timeline_value: atom_id,
                started_at: Timestamp(*start),
                ended_at: Timestamp(start + last),
                touchpoints: touches.len() as i64,
                views: *views,
                channel,
                traffic_source: source,
                campaign,
                store,
                device_type,
                source: "site",
                goals: goals(&touches),
                activity,
                traits: vec![Trait {
                    name: "city",
                    value: "\"Rome\"",
                    occurred_at: Timestamp(start / DAY),
                    message_id: "m",
                    source: "site",
                    times: 1,
                    first_at: None,
                    first_message_id: "",
                }],
                moments: moments(says),
                consents: Vec::new(),
                groups: Vec::new(),
            })
        }
        Fact::Order {
            time,
            currency,
            units,
            margin,
            facets: [channel, source, campaign, device_type, store],
            products,
            ..
        } => AtomBody::OrderAtom(OrderAtom {
            ordered_at: Timestamp(*time),
            currency,
            total: Amount::from_units(*units),
            margin: margin.map(Amount::from_units),
            channel,
            traffic_source: source,
            campaign,
            store,
            device_type,
            message_id: atom_id,
            timeline_type: "anonymous_id",
            timeline_value: "c1",
            products: products
                .iter()
                .map(|(product_id, units)| ProductSold {
                    product_id,
                    amount: Amount::from_units(*units),
                    margin: margin.map(|margin| Amount::from_units(margin - 1)),
                })
                .collect(),
        }),
        Fact::Passive(time, touchpoints, says) => AtomBody::PassiveAtom(PassiveAtom {
            timeline_type: "email",
            timeline_value: atom_id,
            touchpoints: *touchpoints,
            first_seen: Timestamp(*time),
            traits: vec![Trait {
                name: "city",
                value: "\"Oslo\"",
                occurred_at: Timestamp(19_900),
                message_id: "n",
                source: "site",
                times: 1,
                first_at: None,
                first_message_id: "",
            }],
            consents: Vec::new(),
            groups: Vec::new(),
            moments: moments(says),
        }),
        Fact::Email(time, campaign, [delivered, opened, prefetched, clicked, unsubscribed]) => {
            AtomBody::EmailAtom(EmailAtom {
                sent_at: Timestamp(*time),
                campaign,
                delivered: *delivered,
                opened: *opened,
                prefetched: *prefetched,
                clicked: *clicked,
                unsubscribed: *unsubscribed,
            })
        }
        Fact::Identifier(r#type, value) => AtomBody::IdentifierAtom(IdentifierAtom {
            r#type,
            value,
            person: None,
        }),
        Fact::Source(says) => AtomBody::SourceAtom(SourceAtom {
            timeline_type: "source",
            timeline_value: "kiosk",
            moments: moments(says),
        }),
    }
}

fn moments(says: &[Says]) -> Vec<Moment<'static>> {
    let each = |Says { time, facets, what }: &Says| {
        let [channel, source, campaign, device_type, store] = *facets;
        Moment {
            occurred_at: Timestamp(*time),
            message_id: "m",
            channel,
            traffic_source: source,
            campaign,
            store,
            device_type,
            said: match *what {
                What::Answer(aspect, scale, note, product) => Said::AnswerGiven(AnswerGiven {
                    question_id: "",
                    kind: "touchpoint",
                    aspect,
                    scale,
                    value: Some(Amount::from_units(note)),
                    comment: "",
                    product,
                    // What is about no product is about how it came.
                    touchpoint: if product.is_empty() { "delivery" } else { "" },
                }),
                What::Spend(units, currency) => Said::SpendReported(SpendReported {
                    amount: Amount::from_units(units),
                    currency,
                }),
                What::Lead(qualified, source) => Said::LeadMade(LeadMade {
                    qualified: qualified.unwrap_or(true),
                    stated: qualified.is_some(),
                    source,
                }),
                What::Report([followers, reach, engagement], influencer) => {
                    Said::SocialReported(SocialReported {
                        network: "chirper",
                        post: "p9",
                        influencer,
                        followers,
                        reach,
                        impressions: None,
                        engagement,
                    })
                }
                What::Mention(influencer, sentiment) => Said::BrandMentioned(BrandMentioned {
                    network: "",
                    post: "",
                    influencer,
                    sentiment,
                }),
                What::Points(points) => Said::PointsMoved(PointsMoved {
                    points: Amount::from_units(points),
                }),
            },
        }
    };
    says.iter().map(each).collect()
}
