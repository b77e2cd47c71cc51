//! L1 on the pure core: any order, duplication and interleaving of the same events and operations gives the same
//! identities, owners, sessions and refusals; and deciding step by step gives what deciding from scratch gives.

mod world;

use proptest::prelude::*;
use tributary_core::identifier::{Identifier, IdentifierType};
use tributary_core::identity::{Rules, SharedDevices};
use world::{Seen, World};

/// Few values of few types, so that devices are shared, people full and hubs common.
fn identifiers() -> impl Strategy<Value = Vec<Identifier>> {
    let person = prop::sample::select(vec![
        IdentifierType::USER_ID,
        IdentifierType::EMAIL,
        IdentifierType::LOYALTY_CARD,
    ]);
    let device = prop::sample::select(vec![
        IdentifierType::DEVICE_ID,
        IdentifierType::ANONYMOUS_ID,
    ]);
    let one = |r#type, values: u8| {
        (r#type, 0..values)
            .prop_map(|(r#type, value)| Identifier::new(r#type, &format!("v{value}")))
    };
    (
        prop::collection::vec(one(person.boxed(), 5), 0..3),
        prop::collection::vec(one(device.boxed(), 4), 0..3),
    )
        .prop_filter_map("an event has an identifier", |(persons, devices)| {
            let mut all: Vec<Identifier> = persons.into_iter().chain(devices).collect();
            all.sort();
            all.dedup();
            (!all.is_empty()).then_some(all)
        })
}

fn events() -> impl Strategy<Value = Vec<Seen>> {
    let seconds = prop_oneof![0..7_200_i64, 0..400_000_i64];
    let event = (
        seconds,
        identifiers(),
        prop::bool::weighted(0.9),
        prop::option::weighted(0.05, any::<bool>()),
    );
    prop::collection::vec(event, 1..40).prop_map(|events| {
        events
            .into_iter()
            .enumerate()
            .map(|(index, (seconds, identifiers, may_link, consent))| Seen {
                message: format!("m{index}"),
                seconds,
                identifiers,
                may_link,
                consent,
            })
            .collect()
    })
}

fn rules() -> impl Strategy<Value = Rules> {
    (any::<bool>(), any::<bool>(), 1..4_u32, 1..4_u32).prop_map(
        |(device_bridges, certain, hub_above, emails)| {
            let shared_devices = if certain {
                SharedDevices::Certain
            } else {
                SharedDevices::Nearest
            };
            let mut rules = Rules {
                device_bridges,
                shared_devices,
                hub_above,
                ..Rules::default()
            };
            rules.limits[usize::from(IdentifierType::EMAIL.0)] = emails;
            rules.limits[usize::from(IdentifierType::ANONYMOUS_ID.0)] = 3;
            rules
        },
    )
}

/// Roots are nodes, whose numbers depend on the order of arrival: compare what they name.
fn outcome(world: &mut World) -> impl PartialEq + std::fmt::Debug + use<> {
    let outcome = world.settle();
    let named: Vec<_> = outcome
        .owners
        .iter()
        .map(|(event, owner)| {
            let named = match owner {
                tributary_core::timeline::Owner::Profile(root) => {
                    world.graph.profile(*root).to_string()
                }
                other => format!("{other:?}"),
            };
            (event.clone(), named)
        })
        .collect();
    (
        outcome.profiles,
        outcome.refused,
        outcome.sessions,
        outcome.hubs,
        named,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_order_and_duplication_of_events_comes_out_the_same(
        rules in rules(),
        (first, second) in events().prop_flat_map(|events| {
            let doubled: Vec<Seen> = events.iter().chain(events.iter().step_by(3)).cloned().collect();
            (Just(events), Just(doubled).prop_shuffle())
        }),
    ) {
        let (mut one, mut other) = (World::new(rules.clone()), World::new(rules));
        first.iter().for_each(|event| one.take(event));
        // The other decides after every event, so that each step starts from what the step before left.
        for event in &second {
            other.take(event);
            other.graph.settle();
        }
        prop_assert_eq!(outcome(&mut one), outcome(&mut other));
    }

    #[test]
    fn operations_count_the_same_whenever_they_are_entered(rules in rules(), events in events(), picks in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..3_u8), 0..4)) {
        let all: Vec<Identifier> = events.iter().flat_map(|event| event.identifiers.clone()).collect();
        let (mut early, mut late) = (World::new(rules.clone()), World::new(rules));
        let operate = |world: &mut World| {
            for (one, other, operation) in &picks {
                let (one, other) = (one.get(&all), other.get(&all));
                if one == other { continue }
                match operation { 0 => world.cut(one, other), 1 => world.separate(one, other), _ => world.pin(one, other) }
                world.graph.settle();
            }
        };
        // An operation on identifiers that are not seen yet is still known when they come.
        operate(&mut early);
        events.iter().for_each(|event| early.take(event));
        for event in &events {
            late.take(event);
            late.graph.settle();
        }
        operate(&mut late);
        prop_assert_eq!(outcome(&mut early), outcome(&mut late));
    }

    #[test]
    fn no_profile_holds_more_than_the_limits(rules in rules(), events in events()) {
        let mut world = World::new(rules.clone());
        events.iter().for_each(|event| world.take(event));
        let outcome = world.settle();
        for profile in outcome.profiles {
            for (rank, limit) in (0..).zip(rules.limits) {
                let name = IdentifierType(rank).name();
                let held = profile.iter().filter(|(r#type, _)| r#type == name).count();
                prop_assert!(held <= limit as usize, "{held} of {name} in {profile:?}");
            }
        }
    }
}
