//! Deciding a timeline from a cut on gives what deciding all of it gives, whatever came behind the cut since.

use proptest::prelude::*;
use tributary_core::identifier::{Identifier, IdentifierType};
use tributary_core::identity::{Graph, NodeId, Observation, Rules, SharedDevices, Strangers};
use tributary_core::time::{DAY, MINUTE, Timestamp};
use tributary_core::timeline::{
    Activity, Cut, Decisions, Event, Owner, SessionDecision, cuts, decide, decide_from,
};

/// An event on the device.
#[derive(Clone, Debug)]
struct Seen {
    /// In tens of minutes: three of them apart is still one session.
    at: i64,
    message: String,
    activity: Activity,
    /// Who logs in.
    user: Option<usize>,
}

fn seen(most: i64, name: &'static str) -> impl Strategy<Value = Vec<Seen>> {
    let activity = prop_oneof![
        8 => Just(Activity::Active),
        2 => Just(Activity::Passive),
        1 => Just(Activity::Nobody),
    ];
    // Often at the same time, and now and then long after.
    let at = prop_oneof![0..12_i64, 0..most];
    let event = (
        at,
        0..99_u8,
        activity,
        prop::option::weighted(0.12, 0..4_usize),
    );
    prop::collection::vec(event, 1..30).prop_map(move |events| {
        let events = events.into_iter().enumerate();
        events
            .map(|(number, (at, order, activity, user))| Seen {
                at,
                message: format!("{order:02} {name} {number}"),
                activity,
                user,
            })
            .collect()
    })
}

/// A device and four people who were seen on it; the links of the last two cannot be used.
struct Shop {
    graph: Graph,
    device: NodeId,
    users: [NodeId; 4],
}

impl Shop {
    fn new(rules: Rules) -> Self {
        let mut graph = Graph::new("default", rules);
        let device = graph.intern(&Identifier::new(IdentifierType::ANONYMOUS_ID, "c1"));
        let users = ["ann", "bob", "eve", "dan"]
            .map(|user| graph.intern(&Identifier::new(IdentifierType::USER_ID, user)));
        let source = graph.source("site");
        for user in &users[..2] {
            let observation = Observation {
                first: Timestamp(0),
                last_day: Timestamp(DAY).day(),
                source,
            };
            graph.observe(*user, device, observation);
        }
        graph.settle();
        Self {
            graph,
            device,
            users,
        }
    }

    fn identifiers(&self, event: &Seen) -> Vec<NodeId> {
        let user = event.user.map(|user| self.users[user]);
        user.into_iter().chain([self.device]).collect()
    }
}

/// What is said of each event: its session by the message that it begins with, and its owner.
#[derive(Debug, PartialEq)]
struct Said(Vec<(Option<String>, String)>);

fn owner(owner: Owner, events: &[Event<'_>]) -> String {
    match owner {
        Owner::Stranger(first) => format!("stranger of {}", events[first as usize].message),
        owner => format!("{owner:?}"),
    }
}

impl Said {
    fn by(decisions: &Decisions, events: &[Event<'_>]) -> Self {
        let said = decisions.events.iter().map(|decision| {
            let session = decision
                .session
                .map(|number| &decisions.sessions[number as usize]);
            let begins =
                session.map(|session| events[session.events[0] as usize].message.to_owned());
            (begins, owner(decision.owner, events))
        });
        Self(said.collect())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn from_a_cut_on_a_timeline_is_decided_as_if_all_of_it_were(
        (old, new) in (seen(90, "old"), seen(90, "new")),
        users in 0..5_usize,
        (certain, strangers, hub) in (any::<bool>(), any::<bool>(), prop::bool::weighted(0.2)),
    ) {
        let shop = Shop::new(Rules {
            shared_devices: if certain { SharedDevices::Certain } else { SharedDevices::Nearest },
            strangers: if strangers { Strangers::Session } else { Strangers::Device },
            hub_above: if hub { 1 } else { 10 },
            ..Rules::default()
        });
        // In many worlds nobody logs in, or only some do.
        let of_few = |mut seen: Vec<Seen>| {
            seen.iter_mut().for_each(|event| event.user = event.user.filter(|user| *user < users));
            seen.sort_by_key(|event| (event.at, event.message.clone()));
            seen
        };
        let (old, new) = (of_few(old), of_few(new));
        let identifiers = |seen: &[Seen]| seen.iter().map(|event| shop.identifiers(event)).collect::<Vec<_>>();
        let event = |(seen, identifiers): (&'_ Seen, &'_ Vec<NodeId>)| -> Event<'_> {
            // Leaked, as what lives as long as the test.
            let (message, identifiers) = (seen.message.clone().leak(), identifiers.clone().leak());
            Event { time: Timestamp(seen.at * 10 * MINUTE), message, activity: seen.activity, identifiers }
        };
        let of = |seen: &[Seen]| seen.iter().zip(&identifiers(seen)).map(event).collect::<Vec<_>>();
        let before = of(&old);
        let decided = decide(&shop.graph, shop.device, &before);
        prop_assert!(decided.can_be_cut);
        let said_before = Said::by(&decided, &before);
        let found: Vec<_> = cuts(shop.graph.rules(), &Cut::default(), &before, &decided, 1..before.len()).collect();
        for (place, (cut, sessions)) in (1..).zip(found).filter_map(|(place, found)| Some((place, found?))) {
            let mut all = old.clone();
            let place_of = |event: &Seen| (event.at, event.message.clone());
            all.extend(new.iter().filter(|event| place_of(event) > place_of(&old[place])).cloned());
            all.sort_by_key(place_of);
            let all = of(&all);
            // The first events of the sessions that are carried stand before the others.
            let begins = sessions.iter().map(|number| before[decided.sessions[*number as usize].events[0] as usize].message);
            let carried = begins.map(|begins| all.iter().find(|event| event.message == begins).expect("it is one of them"));
            let rest: Vec<_> = carried.chain(&all[place..]).cloned().collect();
            let carried = rest.len() - (all.len() - place);
            prop_assert_eq!(carried, cut.carried());
            let behind = decide_from(&shop.graph, shop.device, &cut, &rest);
            if cut.is_overtaken(&behind) {
                continue;
            }
            let whole_decided = decide(&shop.graph, shop.device, &all);
            let (whole, behind_said) = (Said::by(&whole_decided, &all), Said::by(&behind, &rest));
            prop_assert_eq!(&whole.0[..place], &said_before.0[..place], "before {}", place);
            prop_assert_eq!(&whole.0[place..], &behind_said.0[carried..], "behind {}", place);
            // Of the sessions that go on, the end too.
            for session in &behind.sessions {
                let begins = rest[session.events[0] as usize].message;
                let same = whole_decided.sessions.iter().find(|same| all[same.events[0] as usize].message == begins);
                let ends = |session: &SessionDecision| (session.start, session.end, session.line);
                prop_assert_eq!(same.map(ends), Some(ends(session)), "the session that begins with {}", begins);
            }
            // The cuts behind it are those that deciding all of it finds.
            let without_numbers = |found: Option<(Cut, Vec<u32>)>| found.map(|(cut, _)| cut);
            let again = cuts(shop.graph.rules(), &cut, &rest, &behind, 1 + carried..rest.len());
            let again: Vec<_> = again.map(without_numbers).collect();
            let none = Cut::default();
            let all_again = cuts(shop.graph.rules(), &none, &all, &whole_decided, 1..all.len());
            let all_again: Vec<_> = all_again.map(without_numbers).collect();
            prop_assert_eq!(&again[..], &all_again[place..], "cuts behind {}", place);
        }
    }
}
