//! Atoms with histories: they change, change owners, and go.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tributary_contracts::framing;
use tributary_contracts::wire::{
    Atom, AtomBody, ChannelActivity, IdentifierAtom, MinuteRun, OrderAtom, PassiveAtom, Refund,
    SessionAtom, Trait,
};
use tributary_core::identifier::{Identifier, IdentifierType};
use tributary_core::ids::ProfileId;
use tributary_core::money::Amount;
use tributary_core::time::{DAY, HOUR, MINUTE, Timestamp};

/// When everything has happened.
pub(crate) const NOW: Timestamp = Timestamp(20_000 * DAY + 7 * HOUR + 3 * MINUTE + 1);

/// A fact, with true times.
#[derive(Clone, Debug)]
pub(crate) enum Fact {
    /// Times after the start with channel, store and device type; the facets of the first; views; events of goals; a trait.
    Session {
        start: i64,
        touches: Vec<(i64, &'static str, &'static str, &'static str)>,
        facets: Facets,
        views: i64,
        goals: Vec<(&'static str, i64)>,
    },
    /// The margin where one is stated, refunds as time after the order, and units.
    Order {
        time: i64,
        currency: &'static str,
        units: i64,
        margin: Option<i64>,
        facets: Facets,
        refunds: Vec<(i64, i64)>,
    },
    Passive(i64),
    Identifier(&'static str),
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

fn fact() -> impl Strategy<Value = Fact> {
    let touch = (
        0..40 * MINUTE,
        word(&["web", "app"]),
        word(&["", "s1", "s2"]),
        word(&["", "mobile"]),
    );
    let session = (
        time(),
        prop::collection::vec(touch, 1..4),
        facets(),
        0..5_i64,
        (0..4_i64, 0..3_i64),
    )
        .prop_map(
            |(start, mut touches, facets, views, (purchases, signups))| {
                let mut goals = vec![("purchase", purchases), ("signup", signups)];
                goals.retain(|(_, events)| *events > 0);
                touches[0].0 = 0;
                touches
                    .iter_mut()
                    .for_each(|touch| touch.0 = touch.0.min(NOW.0 - start));
                Fact::Session {
                    start,
                    touches,
                    facets,
                    views,
                    goals,
                }
            },
        );
    let order = (
        time(),
        word(&["EUR", "USD"]),
        (0..4_i64, prop::option::of(-1..3_i64)),
        facets(),
        prop::collection::vec((0..2 * DAY, 0..3_i64), 0..3),
    )
        .prop_map(|(time, currency, (units, margin), facets, mut refunds)| {
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
            }
        });
    prop_oneof![
        4 => session,
        4 => order,
        1 => (1..5_i64).prop_map(Fact::Passive),
        1 => word(&["ann", "bob"]).prop_map(Fact::Identifier),
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
        let mut owner = None;
        for state in history {
            let next = state
                .as_ref()
                .map(|(profile_number, _)| profile(*profile_number));
            if let Some(before) = owner.filter(|_| owner != next) {
                let queue = messages.entry((before, atom_id.clone())).or_default();
                queue.push(message(before, &atom_id, queue.len() as i64, None));
            }
            if let (Some(profile), Some((_, fact))) = (next, state) {
                let queue = messages.entry((profile, atom_id.clone())).or_default();
                queue.push(message(profile, &atom_id, queue.len() as i64, Some(fact)));
            }
            owner = next;
        }
    }
    messages
}

fn message(profile_id: ProfileId, atom_id: &str, revision: i64, fact: Option<&Fact>) -> Vec<u8> {
    let body = fact.map(|fact| body(atom_id, fact));
    framing::encode(&Atom {
        workspace: "default",
        profile_id,
        atom_id,
        revision,
        body,
    })
    .expect("encodes")
}

fn body<'a>(atom_id: &'a str, fact: &Fact) -> AtomBody<'a> {
    match fact {
        Fact::Session {
            start,
            touches,
            facets: [channel, source, campaign, device_type, store],
            views,
            goals,
        } => {
            let last = touches
                .iter()
                .map(|touch| touch.0)
                .max()
                .unwrap_or_default();
            let mut activity: Vec<ChannelActivity<'static>> = Vec::new();
            for (after, channel, store, device_type) in touches.iter().copied() {
                let run = MinuteRun {
                    first: (start + after + MINUTE - 1) / MINUTE,
                    length: 1,
                };
                let same = |other: &&mut ChannelActivity<'_>| {
                    (other.channel, other.store, other.device_type) == (channel, store, device_type)
                };
                match activity.iter_mut().find(same) {
                    Some(activity) => activity.minutes.push(run),
                    None => activity.push(ChannelActivity {
                        channel,
                        store,
                        device_type,
                        minutes: vec![run],
                    }),
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
                goals: goals.iter().copied().collect(),
                activity,
                traits: vec![Trait {
                    name: "city",
                    value: "\"Rome\"",
                    occurred_at: Timestamp(start / DAY),
                    message_id: "m",
                }],
            })
        }
        Fact::Order {
            time,
            currency,
            units,
            margin,
            facets: [channel, source, campaign, device_type, store],
            refunds,
        } => {
            let refund = |&(after, units): &(i64, i64)| Refund {
                refunded_at: Timestamp(time + after),
                amount: Amount::from_units(units),
            };
            AtomBody::OrderAtom(OrderAtom {
                ordered_at: Timestamp(*time),
                currency,
                total: Amount::from_units(*units),
                margin: margin.map(Amount::from_units),
                channel,
                traffic_source: source,
                campaign,
                store,
                device_type,
                refunds: refunds.iter().map(refund).collect(),
            })
        }
        Fact::Passive(touchpoints) => AtomBody::PassiveAtom(PassiveAtom {
            timeline_type: "email",
            timeline_value: atom_id,
            touchpoints: *touchpoints,
            first_seen: Timestamp(1),
            traits: vec![Trait {
                name: "city",
                value: "\"Oslo\"",
                occurred_at: Timestamp(19_900),
                message_id: "n",
            }],
        }),
        Fact::Identifier(value) => AtomBody::IdentifierAtom(IdentifierAtom {
            r#type: "email",
            value,
        }),
    }
}
