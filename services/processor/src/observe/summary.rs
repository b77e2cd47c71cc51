//! What events of a session, or passive ones, come to: the minutes that were active, what is stated of the customer.

use std::collections::BTreeMap;

use tributary_contracts::wire::{ChannelActivity, GoalMinutes, MinuteRun, Trait};
use tributary_core::time::MINUTE;

use super::event::{Index, StoredEvent};
use super::facts::Facts;
use super::goals::Goals;
use super::stored::Header;

/// Active minutes by channel, store and device type, in their order.
pub(super) fn activity<'a>(
    header: &'a Header,
    events: &[&StoredEvent],
    goals: &'a Goals,
) -> Vec<ChannelActivity<'a>> {
    let mut activities: Vec<ChannelActivity<'_>> = Vec::new();
    // Most events have the facts of the one before.
    let mut last = None;
    for event in events {
        let place = match last {
            Some((facts, place)) if facts == event.facts => place,
            _ => activity_of(&mut activities, &header.facts[event.facts.get()]),
        };
        last = Some((event.facts, place));
        // The first minute mark at or after the event: a window (end - length, end] holds it from that mark on.
        let minute = event.time.div_euclid(MINUTE) + i64::from(event.time.rem_euclid(MINUTE) != 0);
        if let Some(name) = event.name {
            let reached = goals.reached_by(&header.names[name.get()]);
            reached.for_each(|goal| reach(&mut activities[place].goals, goal, minute));
        }
        let runs = &mut activities[place].minutes;
        match runs.last_mut() {
            Some(run) if minute < run.first + run.length => {}
            Some(run) if minute == run.first + run.length => run.length += 1,
            _ => runs.push(MinuteRun {
                first: minute,
                length: 1,
            }),
        }
    }
    activities
        .sort_unstable_by_key(|activity| (activity.channel, activity.store, activity.device_type));
    activities
}

/// Adds a minute, none before another, to those of a goal.
fn reach<'a>(goals: &mut Vec<GoalMinutes<'a>>, goal: &'a str, minute: i64) {
    let place = goals.binary_search_by_key(&goal, |reached| reached.goal);
    let place = place.unwrap_or_else(|place| {
        let minutes = Vec::new();
        goals.insert(place, GoalMinutes { goal, minutes });
        place
    });
    let minutes = &mut goals[place].minutes;
    if minutes.last() != Some(&minute) {
        minutes.push(minute);
    }
}

/// The place of the activity that the facts belong to.
fn activity_of<'a>(activities: &mut Vec<ChannelActivity<'a>>, facts: &'a Facts) -> usize {
    let known = activities.iter().position(|activity| {
        activity.channel == facts.channel()
            && activity.store == facts.store()
            && activity.device_type == facts.device_type()
    });
    known.unwrap_or_else(|| {
        activities.push(ChannelActivity {
            channel: facts.channel(),
            store: facts.store(),
            device_type: facts.device_type(),
            minutes: Vec::new(),
            goals: Vec::new(),
        });
        activities.len() - 1
    })
}

/// What events state of their customer.
pub(super) struct Stated<'a> {
    pub(super) traits: Vec<Trait<'a>>,
    pub(super) consents: Vec<Trait<'a>>,
    pub(super) groups: Vec<Trait<'a>>,
}

/// What the events, which stand in order of time, state of their customer: each value of each source once.
pub(super) fn stated<'a>(header: &'a Header, events: &[&'a StoredEvent]) -> Stated<'a> {
    let (mut traits, mut consents, mut groups) = (All::new(), All::new(), All::new());
    for event in events {
        let name = |place: Index| header.names[place.get()].as_str();
        let source = header.facts[event.facts.get()].source();
        let add = |all: &mut All<'a>, place: Index, value: &'a str| {
            let stated = all.entry((name(place), source, value)).or_insert(Trait {
                name: name(place),
                value,
                occurred_at: event.time(),
                message_id: &event.message,
                source,
                times: 0,
                first_at: Some(event.time()),
                first_message_id: &event.message,
            });
            stated.times += 1;
            (stated.occurred_at, stated.message_id) = (event.time(), &event.message);
        };
        for (place, value) in event.traits() {
            add(&mut traits, *place, value);
        }
        for (place, granted) in event.consents() {
            add(
                &mut consents,
                *place,
                if *granted { "true" } else { "false" },
            );
        }
        if let Some(place) = event.group() {
            add(&mut groups, place, "true");
        }
    }
    Stated {
        traits: traits.into_values().collect(),
        consents: consents.into_values().collect(),
        groups: groups.into_values().collect(),
    }
}

/// By name, source and value.
type All<'a> = BTreeMap<(&'a str, &'a str, &'a str), Trait<'a>>;
