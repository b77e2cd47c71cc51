//! What the events of a session come to: the minutes that were active, the traits as last stated.

use std::collections::BTreeMap;

use tributary_contracts::wire::{ChannelActivity, GoalMinutes, MinuteRun, Trait};
use tributary_core::time::MINUTE;

use super::goals::Goals;
use super::stored::{Facts, Header, StoredEvent};

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
        if let Some(name) = event.goal_event {
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

/// Each trait as the latest of the events states it; they stand in order of time.
pub(super) fn latest_traits<'a>(header: &'a Header, events: &[&'a StoredEvent]) -> Vec<Trait<'a>> {
    let mut latest: BTreeMap<&str, Trait<'_>> = BTreeMap::new();
    for event in events {
        for (name, value) in event.traits() {
            let name = header.names[name.get()].as_str();
            latest.insert(
                name,
                Trait {
                    name,
                    value,
                    occurred_at: event.time(),
                    message_id: &event.message,
                },
            );
        }
    }
    latest.into_values().collect()
}
