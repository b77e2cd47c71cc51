//! L1 and L2 on the observe stage: in whatever order, batches and duplicates touchpoints arrive, whenever operations are
//! entered and undone and rules published, in slices of whatever size, by however many processors, whenever these crash,
//! with or without a snapshot, give partitions to each other or lag behind the links log: what was sent in the end says the same as by one that never
//! stopped, nor decided only a part of a timeline.

mod fleet;
mod said;
mod steps;

use fleet::{Event, Fleet, MOST_VALUES, Slices};
use proptest::prelude::*;
use steps::{Step, as_usual, device, on_the_device, world};

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
fn more_values_are_told_apart_only_while_none_was_passed_over() {
    let mut fleet = Fleet::new(&as_usual(), Slices::WHOLE, 1);
    fleet.take(&on_the_device(0, 0, None, false));
    fleet.come_to_rest();
    fleet
        .would_tell_apart(MOST_VALUES + 1)
        .expect("one channel");
    for number in 1..10 {
        fleet.take(&on_the_device(number, number as i64, None, false));
    }
    fleet.come_to_rest();
    fleet.would_tell_apart(MOST_VALUES).expect("as many");
    let refused = fleet.would_tell_apart(MOST_VALUES + 1).expect_err("more");
    assert!(
        refused.to_string().contains("set kpi.max_values = 1"),
        "{refused}"
    );
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
}
