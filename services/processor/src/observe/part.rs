//! What is decided of a timeline: all of it, or what new events may have changed.

use std::collections::BTreeMap;

use tributary_core::identity::Graph;
use tributary_core::timeline::{
    Activity, Cut, Decision, Decisions, Event, Owner, cuts, decide_from,
};

use super::event::StoredEvent;
use super::goals::Goals;
use super::page::{Begin, Carried, Place};
use super::stored::Timeline;

/// What was decided of a timeline: what stands on a page and behind it, with the first events of sessions that may go on
/// there.
pub(super) struct Part {
    pub(super) page: usize,
    /// What is known of the events before the page.
    pub(super) begin: Begin,
    pub(super) decisions: Decisions,
    /// Where each of the events decided stands.
    pub(super) places: Vec<Place>,
}

impl Part {
    /// Decides what new events may have changed: from the last page on that has none before it and can be decided alone.
    pub(super) fn decided(timeline: &mut Timeline, graph: &Graph, goals: &Goals) -> Self {
        let mut page = match timeline.is_settled {
            true => timeline.touched_from.min(timeline.pages.len() - 1),
            false => 0,
        };
        let mut overtaken = None;
        loop {
            let begin = loop {
                match begin_at(timeline, page, overtaken.as_ref()) {
                    Some(begin) => break begin,
                    None => page -= 1,
                }
            };
            let places = places(timeline, page, &begin);
            let events = events(timeline, &places);
            let decisions = match timeline.node {
                Some(node) => decide_from(graph, node, &begin.cut, &events),
                None => of_nobody(events.len()),
            };
            if page > 0 && begin.cut.is_overtaken(&decisions) {
                overtaken = Some(begin.cut.clone());
                page -= 1;
            } else {
                let part = Self {
                    page,
                    begin,
                    decisions,
                    places,
                };
                let begins = part.begins_behind(timeline, (graph, goals), &events);
                for (page, begin) in timeline.pages[page + 1..].iter_mut().zip(begins) {
                    page.begin = begin.map(Box::new);
                }
                return part;
            }
        }
    }

    /// How many of the first of its events stand before its page.
    pub(super) fn carried(&self) -> usize {
        self.begin.sessions.len()
    }

    /// The events of a session of it that stand on its page or behind, and what is known of those before.
    pub(super) fn session(&self, number: usize) -> (&[u32], Option<&Carried>) {
        let events = &self.decisions.sessions[number].events;
        match self.begin.sessions.get(events[0] as usize) {
            Some(carried) => (&events[1..], Some(carried)),
            None => (events, None),
        }
    }

    pub(super) fn place(&self, event: u32) -> Place {
        self.places[event as usize]
    }

    /// What must be known to decide from each page behind its own, where that is enough.
    fn begins_behind(
        &self,
        timeline: &Timeline,
        (graph, goals): (&Graph, &Goals),
        events: &[Event<'_>],
    ) -> Vec<Option<Begin>> {
        let behind = timeline.pages.len() - self.page - 1;
        if !self.decisions.can_be_cut {
            return vec![None; behind];
        }
        let pages = timeline.pages[self.page..].iter();
        let ends: Vec<usize> = pages
            .scan(self.carried(), |end, page| {
                *end += page.events.len();
                Some(*end)
            })
            .take(behind)
            .collect();
        let ends = ends.iter().copied();
        let sessions = (0_u32..).zip(&self.decisions.sessions);
        let mut known: BTreeMap<u32, Carried> = sessions
            .filter_map(|(number, session)| {
                let carried = self.begin.sessions.get(session.events[0] as usize)?;
                Some((number, carried.clone()))
            })
            .collect();
        let mut index = self.carried();
        let cut = &self.begin.cut;
        cuts(graph.rules(), cut, events, &self.decisions, ends.clone())
            .zip(ends)
            .map(|(found, end)| {
                for index in std::mem::replace(&mut index, end)..end {
                    let Some(number) = self.decisions.events[index].session else {
                        continue;
                    };
                    let place = self.places[index];
                    let session = known.entry(number).or_insert_with(|| Carried::new(place));
                    let event = timeline.event(place);
                    session.add(place, event, goals.ask_for(event, &timeline.header));
                }
                let (cut, carried) = found?;
                // No other goes on.
                known.retain(|number, _| carried.contains(number));
                let sessions = carried.iter().map(|number| known[number].clone());
                Some(Begin {
                    cut,
                    sessions: sessions.collect(),
                })
            })
            .collect()
    }
}

/// What is known of the events before a page, where it can be decided from there on; the first always can. Of one that was
/// overtaken, not where what was overtaken stands before it too.
fn begin_at(timeline: &Timeline, page: usize, overtaken: Option<&Cut>) -> Option<Begin> {
    if page == 0 {
        return Some(Begin::default());
    }
    let begin = timeline.pages[page].begin.as_deref()?;
    let is_overtaken = |overtaken: &Cut| begin.cut.is_open() || begin.cut.shares_session(overtaken);
    (!overtaken.is_some_and(is_overtaken)).then(|| begin.clone())
}

/// The places of the events of a page and those behind it, behind the first of the sessions that may go on there.
fn places(timeline: &Timeline, page: usize, begin: &Begin) -> Vec<Place> {
    let firsts = begin.sessions.iter().map(|session| session.first);
    let pages = timeline.pages.iter().enumerate().skip(page);
    let behind = pages.flat_map(|(page, content)| {
        let places = 0..content.events.len();
        places.map(move |place| (page, place))
    });
    firsts.chain(behind).collect()
}

fn events<'t>(timeline: &'t Timeline, places: &[Place]) -> Vec<Event<'t>> {
    let stored = places.iter().map(|place| timeline.event(*place));
    stored
        .map(|event: &StoredEvent| Event {
            time: event.time(),
            message: &event.message,
            activity: if event.set.is_some() {
                event.activity()
            } else {
                Activity::Nobody
            },
            identifiers: event.set.map_or(&[], |set| &timeline.nodes[set.get()]),
        })
        .collect()
}

/// What is decided of events that all are nobody's.
fn of_nobody(events: usize) -> Decisions {
    let nobody = Decision {
        session: None,
        owner: Owner::Nobody,
    };
    Decisions {
        events: vec![nobody; events],
        single_line: true,
        can_be_cut: true,
        ..Decisions::default()
    }
}
