//! L1 on the pure core: any order, duplication and interleaving of the same events and operations gives the same
//! identities, owners, sessions and refusals; and deciding step by step gives what deciding from scratch gives.

mod world;

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;
use tributary_core::identifier::{Identifier, IdentifierType, Kind};
use tributary_core::identity::{
    Blocked, Changes, Graph, Normalisation, Operation, Pattern, Restoring, Rules, SharedDevices,
    Strangers, TypeRule, Types,
};
use uuid::Uuid;
use world::{Seen, World};

fn added(name: &str) -> IdentifierType {
    IdentifierType::of(name).expect("a type's name")
}

/// Few values of few types, so that devices are shared, people full and hubs common.
fn identifiers() -> impl Strategy<Value = Vec<Identifier>> {
    let person = prop::sample::select(vec![
        IdentifierType::USER_ID,
        IdentifierType::EMAIL,
        IdentifierType::LOYALTY_CARD,
        added("badge"),
    ]);
    let device = prop::sample::select(vec![
        IdentifierType::DEVICE_ID,
        IdentifierType::ANONYMOUS_ID,
        added("set_top_box"),
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
            .map(|(index, (seconds, identifiers, is_site, consent))| Seen {
                message: format!("m{index}"),
                seconds,
                identifiers,
                source: if is_site { "site" } else { "pixel" }.to_owned(),
                consent,
            })
            .collect()
    })
}

fn rules() -> impl Strategy<Value = Rules> {
    let flags = (
        any::<bool>(),
        (any::<bool>(), any::<bool>()),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.7),
        any::<bool>(),
    );
    (flags, 1..4_u32, types()).prop_map(
        |(
            (bridges, (certain, sessions), consent_required, pixel_bars, blocks),
            hub_above,
            types,
        )| {
            let shared_devices = if certain {
                SharedDevices::Certain
            } else {
                SharedDevices::Nearest
            };
            let strangers = if sessions {
                Strangers::Session
            } else {
                Strangers::Device
            };
            let mut rules = Rules {
                device_bridges: bridges,
                shared_devices,
                strangers,
                hub_above,
                consent_required,
                ..Rules::default()
            };
            if pixel_bars {
                rules.sources_without_links.insert("pixel".to_owned());
            }
            if blocks {
                let pattern = Pattern::parse("user_id:*1", &types).expect("a pattern");
                rules.blocked_patterns.push(pattern);
            }
            rules.types = types;
            rules
        },
    )
}

/// The built-in types, and often others, of other kinds and in another order.
fn types() -> impl Strategy<Value = Types> {
    let rule = |name: &str, kind| {
        (1..4_u32, any::<bool>()).prop_map({
            let r#type = added(name);
            move |(limit, can_be_hub)| TypeRule {
                r#type,
                kind,
                normalisation: Normalisation::None,
                limit,
                can_be_hub,
            }
        })
    };
    let more = (
        prop::option::of(rule("badge", Kind::Person)),
        prop::option::of(rule("set_top_box", Kind::Device)),
    );
    let odd = prop_oneof![
        3 => Just(None),
        1 => (any::<Index>(), any::<Index>(), any::<Index>()).prop_map(Some)
    ];
    (1..4_u32, more, odd).prop_map(|(emails, (badge, box_), odd)| {
        let usual = (Types::default())
            .with_limit(IdentifierType::EMAIL, emails)
            .with_limit(IdentifierType::ANONYMOUS_ID, 3);
        let mut rules = usual.by_priority().to_vec();
        rules.extend(badge.into_iter().chain(box_));
        if let Some((kind, one, other)) = odd {
            let changed = kind.index(rules.len());
            rules[changed].kind = match rules[changed].kind {
                Kind::Person => Kind::Device,
                Kind::Device => Kind::Person,
            };
            let (one, other) = (one.index(rules.len()), other.index(rules.len()));
            rules.swap(one, other);
        }
        Types::new(rules).expect("few, and each once")
    })
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

/// An operation on two of the identifiers, or an undo of an entry before it.
#[derive(Clone, Debug)]
enum Entry {
    Pair(u8, Index, Index),
    Undo(Index),
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let entry = prop_oneof![
        3 => (0..5_u8, any::<Index>(), any::<Index>()).prop_map(|(kind, one, other)| Entry::Pair(kind, one, other)),
        2 => any::<Index>().prop_map(Entry::Undo),
    ];
    prop::collection::vec(entry, 0..8)
}

fn identifiers_in(events: &[Seen]) -> Vec<Identifier> {
    events
        .iter()
        .flat_map(|event| event.identifiers.clone())
        .collect()
}

fn operation(entry: &Entry, all: &[Identifier]) -> Option<Operation> {
    let Entry::Pair(kind, one, other) = entry else {
        return None;
    };
    let (one, other) = (one.get(all).clone(), other.get(all).clone());
    Some(match kind {
        0 => Operation::Cut(one, other),
        1 => Operation::Separate(one, other),
        2 => Operation::Pin(one, other),
        3 => Operation::Block(Blocked::Identifier(one)),
        _ => Operation::Block(Blocked::Value(one.value.to_string())),
    })
}

/// Enters all; with `every` other than 0 one after every so many events, which it takes, too.
fn enter(world: &mut World, entries: &[Entry], all: &[Identifier], events: &[Seen], every: usize) {
    let mut ids = Vec::new();
    let mut events = events.iter();
    for (index, entry) in entries.iter().enumerate() {
        for event in events.by_ref().take(every * (index + 1)) {
            world.take(event);
            world.graph.settle();
        }
        let operation = match entry {
            Entry::Undo(_) if ids.is_empty() => Operation::Undo(Uuid::nil()),
            Entry::Undo(which) => Operation::Undo(*which.get(&ids)),
            Entry::Pair(..) => operation(entry, all).expect("a pair is an operation"),
        };
        ids.push(world.operate(operation));
        world.graph.settle();
    }
    if every > 0 {
        events.for_each(|event| world.take(event));
    }
}

/// The entries that nothing undoes which is not undone itself, told apart from the log as written.
fn counting(entries: &[Entry]) -> Vec<&Entry> {
    let mut counts = vec![true; entries.len()];
    // An undo speaks of an entry before it, so whoever comes last is decided first.
    for index in (1..entries.len()).rev() {
        if let (true, Entry::Undo(which)) = (counts[index], &entries[index]) {
            let targets: Vec<usize> = (0..index).collect();
            counts[*which.get(&targets)] = false;
        }
    }
    (0..entries.len())
        .filter(|index| counts[*index])
        .map(|index| &entries[index])
        .collect()
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
    fn operations_count_the_same_whenever_they_are_entered_and_undone_ones_not_at_all(
        rules in rules(),
        events in events(),
        entries in entries(),
    ) {
        let all = identifiers_in(&events);
        let (mut early, mut late, mut without) = (World::new(rules.clone()), World::new(rules.clone()), World::new(rules));
        // An operation on identifiers that are not seen yet is still known when they come.
        enter(&mut early, &entries, &all, &events, 0);
        events.iter().for_each(|event| early.take(event));
        // Entered among the events, deciding after each.
        enter(&mut late, &entries, &all, &events, 1);
        // Those that count in the end, alone.
        for entry in counting(&entries) {
            if let Some(operation) = operation(entry, &all) {
                without.operate(operation);
            }
        }
        events.iter().for_each(|event| without.take(event));
        let expected = outcome(&mut without);
        prop_assert_eq!(&outcome(&mut early), &expected, "entered first");
        prop_assert_eq!(&outcome(&mut late), &expected, "entered among the events");
    }

    #[test]
    fn a_cut_leaves_what_would_be_without_the_link_and_a_block_what_would_be_without_the_value(
        rules in rules(),
        events in events(),
        picks in (any::<Index>(), any::<Index>()),
    ) {
        let all = identifiers_in(&events);
        let (one, other) = (picks.0.get(&all), picks.1.get(&all));
        let mut cut = World::new(rules.clone());
        for event in &events {
            cut.take(event);
            cut.graph.settle();
        }
        cut.operate(Operation::Cut(one.clone(), other.clone()));
        let mut never = World::new(rules.clone());
        never.never = Some([one.clone(), other.clone()]);
        events.iter().for_each(|event| never.take(event));
        prop_assert_eq!(outcome(&mut cut), outcome(&mut never), "cut {:?} {:?}", one, other);

        let mut blocked = World::new(rules.clone());
        for event in &events {
            blocked.take(event);
            blocked.graph.settle();
        }
        blocked.operate(Operation::Block(Blocked::Identifier(one.clone())));
        let mut first = World::new(Rules { blocked: [one.clone()].into(), ..rules });
        events.iter().for_each(|event| first.take(event));
        prop_assert_eq!(outcome(&mut blocked), outcome(&mut first), "blocked {:?}", one);
    }

    #[test]
    fn other_rules_leave_what_would_be_had_they_always_held(
        before in rules(),
        after in rules(),
        events in events(),
        entries in entries(),
        learned in any::<Index>(),
    ) {
        let all = identifiers_in(&events);
        let (mut changed, mut always) = (World::new(before), World::new(after.clone()));
        enter(&mut changed, &entries, &all, &[], 0);
        enter(&mut always, &entries, &all, &[], 0);
        let (old, new) = events.split_at(learned.index(events.len() + 1));
        for event in old {
            changed.take(event);
            changed.graph.settle();
        }
        changed.graph.obey(after);
        new.iter().for_each(|event| changed.take(event));
        events.iter().for_each(|event| always.take(event));
        prop_assert_eq!(outcome(&mut changed), outcome(&mut always));
    }

    #[test]
    fn a_graph_that_is_read_back_goes_on_as_if_it_had_never_stopped(
        rules in rules(),
        events in events(),
        entries in entries(),
        (begin, again) in (any::<Index>(), any::<Index>()),
        size in 1..400_usize,
    ) {
        let all = identifiers_in(&events);
        let (mut world, mut entries, mut ids) = (World::new(rules.clone()), entries.iter(), Vec::new());
        let begin = begin.index(events.len());
        let (mut beginning, mut parts, mut is_done) = (None, Vec::new(), false);
        let mut steps: Vec<(Seen, Option<Operation>)> = Vec::new();
        for (index, event) in events.iter().enumerate() {
            let operation = entries.next().map(|entry| match entry {
                Entry::Undo(_) if ids.is_empty() => Operation::Undo(Uuid::nil()),
                Entry::Undo(which) => Operation::Undo(*which.get(&ids)),
                Entry::Pair(..) => operation(entry, &all).expect("a pair is an operation"),
            });
            world.take(event);
            ids.extend(operation.clone().map(|operation| world.operate(operation)));
            world.graph.settle();
            if index == begin {
                let head = world.graph.begin_snapshot().expect("it is settled");
                beginning = Some((head, world.timelines.clone(), world.entered));
            } else if beginning.is_some() && !is_done {
                let mut part = Vec::new();
                is_done = world.graph.snapshot_part(size, &mut part);
                parts.push(part);
            }
            steps.push((event.clone(), operation));
        }
        while !is_done {
            let mut part = Vec::new();
            is_done = world.graph.snapshot_part(size, &mut part);
            parts.push(part);
        }
        let (head, timelines, entered) = beginning.expect("it has begun");
        let mut restoring = Restoring::new("default", rules, head).expect("a head");
        for part in &parts {
            restoring.take(part).expect("a part");
        }
        let mut restored = World { graph: restoring.finish().expect("all parts"), timelines, entered, never: None };
        prop_assert!(restored.graph.settle().identifiers.is_empty(), "nothing is left to settle");
        // What came before its beginning, too, is learned again without harm: the log is read from before it.
        let again = again.index(begin + 1);
        restored.entered = 0;
        for (index, (event, operation)) in steps.iter().enumerate() {
            let operation = operation.clone();
            if index < again {
                restored.entered += u128::from(operation.is_some());
                continue;
            }
            restored.take(event);
            if let Some(operation) = operation {
                restored.operate(operation);
            }
            let changes = restored.graph.settle();
            prop_assert!(index > begin || changes.identifiers.is_empty(), "{index} was known");
        }
        prop_assert_eq!(outcome(&mut restored), outcome(&mut world));
    }

    #[test]
    fn components_that_are_resolved_in_slices_come_out_the_same_and_every_change_is_told(
        (before, after) in (rules(), rules()),
        events in events(),
        entries in entries(),
        ruled in any::<Index>(),
        (links, slices) in (0..60_usize, prop::collection::vec(0..12_usize, 40)),
    ) {
        let all = identifiers_in(&events);
        let (mut entries, mut ids) = (entries.iter(), Vec::new());
        let (mut world, mut always) = (World::new(before), World::new(after.clone()));
        let (mut profiles, mut refusals) = (BTreeMap::new(), BTreeMap::new());
        let mut learn = |graph: &Graph, changes: Changes| {
            for node in changes.identifiers {
                profiles.insert(node, graph.profile(node));
            }
            for link in changes.refusals {
                refusals.insert(link, graph.refusal(link));
            }
        };
        let ruled = ruled.index(events.len());
        for ((index, event), steps) in events.iter().enumerate().zip(slices) {
            let operation = entries.next().map(|entry| match entry {
                Entry::Undo(_) if ids.is_empty() => Operation::Undo(Uuid::nil()),
                Entry::Undo(which) => Operation::Undo(*which.get(&ids)),
                Entry::Pair(..) => operation(entry, &all).expect("a pair is an operation"),
            });
            for world in [&mut world, &mut always] {
                world.take(event);
                let id = operation.clone().map(|operation| world.operate(operation));
                if ids.last() != id.as_ref() {
                    ids.extend(id);
                }
            }
            if index == ruled {
                world.graph.obey(after.clone());
            }
            let changes = world.graph.settle_within(links);
            learn(&world.graph, changes);
            let changes = world.graph.work(steps);
            learn(&world.graph, changes);
        }
        let mut rounds = 0;
        while !world.graph.is_settled() {
            rounds += 1;
            prop_assert!(rounds < 10_000, "it comes to no end");
            let changes = world.graph.work(1);
            learn(&world.graph, changes);
            let changes = world.graph.settle_within(links);
            learn(&world.graph, changes);
        }
        let graph = &world.graph;
        for node in graph.all_nodes() {
            prop_assert_eq!(profiles.get(&node), Some(&graph.profile(node)), "{:?}", graph.identifier(node));
        }
        for link in graph.all_links() {
            prop_assert_eq!(refusals.get(&link).copied().flatten(), graph.refusal(link), "{:?}", graph.ends(link));
        }
        prop_assert_eq!(outcome(&mut world), outcome(&mut always));
    }

    #[test]
    fn no_profile_holds_more_than_the_limits(rules in rules(), events in events()) {
        let mut world = World::new(rules.clone());
        events.iter().for_each(|event| world.take(event));
        let outcome = world.settle();
        for profile in outcome.profiles {
            for rule in rules.types.by_priority() {
                let name = rule.r#type.name();
                let held = profile.iter().filter(|(r#type, _)| r#type == name).count();
                prop_assert!(held <= rule.limit as usize, "{held} of {name} in {profile:?}");
            }
        }
    }
}
