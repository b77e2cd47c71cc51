//! L1 and L2 on the observe stage: in whatever order, batches and duplicates touchpoints arrive, whenever operations are
//! entered and undone and rules published, in slices of whatever size, by however many processors, whenever these crash,
//! with or without a snapshot, give partitions to each other or lag behind the links log: what was sent in the end says the same as by one that never
//! stopped, nor decided only a part of a timeline.

mod fleet;
mod said;
mod steps;

use std::collections::BTreeMap;

use fleet::{Event, Fleet, Goals, MOST_VALUES, Slices, goals, limits};
use proptest::prelude::*;
use steps::{Step, as_usual, device, on_the_device, world};
use tributary_processor::Limits;

fn event() -> impl Strategy<Value = Event> {
    let which = 0..3_usize;
    prop_oneof![
        4 => Just(Event::Nothing),
        2 => which.clone().prop_map(Event::Commit),
        1 => which.clone().prop_map(Event::CommitBehind),
        1 => which.clone().prop_map(Event::Crash),
        2 => which.clone().prop_map(Event::Snapshot),
        1 => [which.clone(), which.clone(), which.clone(), which].prop_map(Event::Rebalance),
    ]
}

/// When an event comes to a device, who logs in, and whether by a source that may not link.
type Habit<'a> = &'a dyn Fn(usize) -> (i64, Option<String>, bool);

/// What comes when one event more comes to a device with so many: bytes written, and of the longest message or record.
fn one_event_more(events: usize, habit: Habit<'_>) -> (usize, usize) {
    let slices = Slices {
        cached: 1_000_000,
        ..Slices::WHOLE
    };
    let mut fleet = Fleet::new(&as_usual(), slices, 1);
    for number in 0..events {
        let (seconds, user, pixel) = habit(number);
        fleet.take(&on_the_device(number, seconds, user, pixel));
        if number % 100 == 0 {
            fleet.come_to_rest();
        }
    }
    fleet.come_to_rest();
    let (sent, stored) = fleet.written();
    let (seconds, user, pixel) = habit(events);
    fleet.take(&on_the_device(events, seconds, user, pixel));
    fleet.come_to_rest();
    fleet.written_since(sent, &stored)
}

#[test]
fn one_event_more_writes_as_much_whatever_is_there() {
    let kiosk = |number: usize| (number as i64 * 3_600, Some(format!("u{number}")), false);
    // Five customers in half an hour, each with three events.
    let till = |number: usize| (number as i64 * 120, Some(format!("u{}", number / 3)), true);
    let endless = |number: usize| (number as i64 * 600, None, false);
    let visits = |number: usize| {
        (
            number as i64 / 10 * 7_200,
            number.is_multiple_of(100).then(|| "u1".to_owned()),
            false,
        )
    };
    let habits: [(&str, Habit<'_>); 4] = [
        ("a kiosk", &kiosk),
        ("a till whose source may not link", &till),
        ("a session without end", &endless),
        ("visits", &visits),
    ];
    for (name, habit) in habits {
        let few = one_event_more(127, habit);
        let many = one_event_more(64 * 40 - 1, habit);
        // A page is as full with the one as with the other.
        assert!(
            many.0 < few.0 * 5 / 4,
            "{name}: {} bytes, and {} of many",
            few.0,
            many.0
        );
        assert!(
            many.1 < 64 * 1024,
            "{name}: a message or record of {} bytes",
            many.1
        );
    }
}

#[test]
fn what_was_passed_over_is_told_where_it_is_to_be_told_apart() {
    let slices = Slices {
        page: 2,
        events: 3,
        ..Slices::WHOLE
    };
    let mut fleet = Fleet::new(&as_usual(), slices, 1);
    let mut channels = ["web", "app"];
    channels.sort_by_key(|channel| xxhash_rust::xxh3::xxh3_64(channel.as_bytes()));
    let [least, other] = channels;
    let mut numbers: Vec<usize> = (0..20).collect();
    numbers.sort_by_key(|number| number.is_multiple_of(5) == (least == "web"));
    for number in numbers {
        fleet.take(&on_the_device(number, number as i64, None, false));
        fleet.come_to_rest();
    }
    let told = |channels: &[&str]| {
        channels
            .iter()
            .map(|channel| (*channel).to_owned())
            .collect()
    };
    assert_eq!(fleet.channels_told(0), told(&[least]), "one of two");
    let mut tell_apart = |limits, channels: &[&str]| {
        let (sent, _) = fleet.written();
        fleet.tell_apart(limits);
        fleet.happens(&Event::Commit(0));
        // What was begun is begun again.
        fleet.happens(&Event::Crash(0));
        fleet.come_to_rest();
        assert_eq!(fleet.channels_told(sent), told(channels));
    };
    tell_apart(limits(MOST_VALUES, &[]), &[]);
    tell_apart(limits(2, &[]), &[other]);
    tell_apart(limits(3, &[]), &[]);
    tell_apart(limits(1, &[]), &[]);
    tell_apart(limits(1, &[other]), &[other]);
    let not_counted = Limits::new(1, &BTreeMap::new(), &[]);
    tell_apart(not_counted, &[]);
    tell_apart(limits(2, &[]), &[least, other]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_same_touchpoints_operations_and_rules_in_any_order_by_processors_that_crash_say_the_same_in_the_end(
        (first, world, other, happens) in prop_oneof![world(), device()].prop_flat_map(|(first, world)| {
            let doubled: Vec<Step> = world.iter().chain(world.iter().step_by(4)).cloned().collect();
            let events = prop::collection::vec(event(), doubled.len());
            (Just(first), Just(world), Just(doubled).prop_shuffle(), events)
        }),
        (events, links, page, cached) in (1..40_usize, 1..60_usize, 2..6_usize, prop::sample::select(vec![30, 1_000])),
        processors in 1..4_usize,
    ) {
        let mut steady = Fleet::new(&first, Slices::WHOLE, 1);
        world.iter().for_each(|step| steady.take(step));
        let mut shaken = Fleet::new(&first, Slices { events, links, page, cached }, processors);
        for (step, event) in other.iter().zip(&happens) {
            shaken.take(step);
            shaken.happens(event);
        }
        let (steady, shaken) = (steady.said(), shaken.said());
        prop_assert_eq!(&steady.touchpoints, &shaken.touchpoints, "touchpoints");
        prop_assert_eq!(&steady.sessions, &shaken.sessions, "sessions");
        prop_assert_eq!(&steady.identities, &shaken.identities, "identities");
        prop_assert_eq!(&steady.refusals, &shaken.refusals, "refusals");
        prop_assert_eq!(&steady.passive, &shaken.passive, "passive touchpoints");
        prop_assert_eq!(&steady.atoms, &shaken.atoms, "atoms");
        prop_assert_eq!(&steady.claims, &shaken.claims, "claims");
    }

    #[test]
    fn other_goals_say_what_they_would_have_said_from_the_start(
        (first, world) in prop_oneof![world(), device()], changes in prop::collection::vec((0..90_usize, other_goals()), 1..3),
        crashes in prop::collection::vec(any::<bool>(), 90), (events, page, cached) in (1..40_usize, 2..6_usize, prop::sample::select(vec![30, 1_000])),
    ) {
        let mut changes: BTreeMap<usize, Goals> = changes.into_iter().map(|(at, goals)| (at % world.len(), goals)).collect();
        let mut shaken = Fleet::new(&first, Slices { events, page, cached, ..Slices::WHOLE }, 2);
        let mut last = goals();
        for (number, step) in world.iter().enumerate() {
            if let Some(goals) = changes.remove(&number) {
                last = goals.clone();
                shaken.set_goals(goals);
            }
            shaken.take(step);
            shaken.happens(&Event::Commit(number));
            if crashes.get(number) == Some(&true) {
                shaken.happens(&Event::Crash(0));
            }
        }
        let mut steady = Fleet::new(&first, Slices::WHOLE, 1);
        steady.set_goals(last);
        world.iter().for_each(|step| steady.take(step));
        prop_assert_eq!(shaken.said(), steady.said());
    }
}

/// Goals that the events of the world reach, or do not.
fn other_goals() -> impl Strategy<Value = Goals> {
    let events = prop::sample::subsequence(vec!["Looked", "Order Completed", "Signed Up"], 0..=3);
    prop::collection::btree_map("purchase|lead|looked", events, 0..3).prop_map(|goals| {
        let names = |events: Vec<&str>| events.into_iter().map(str::to_owned).collect();
        goals
            .into_iter()
            .map(|(goal, events)| (goal, names(events)))
            .collect()
    })
}
