//! Sessions as they are told: each with its atom, and with one more for each further page that its events stand on, so that
//! one event more changes what is said of its page.

use std::collections::BTreeMap;

use tributary_contracts::wire::{AtomBody, Session, SessionAtom, SessionPartAtom};
use tributary_core::ids::{ProfileId, SessionId};
use tributary_core::time::Timestamp;
use tributary_core::timeline::SessionDecision;
use xxhash_rust::xxh3::xxh3_64;

use super::deciding::Owners;
use super::event::{SentSession, StoredEvent};
use super::goals::Goals;
use super::page::{Held, Place, SentPart};
use super::part::Part;
use super::saying;
use super::sending::Sending;
use super::stored::{Timeline, uuid_of};
use super::summary;
use crate::runtime::stage::Broken;

/// Sends the sessions that are otherwise than last sent; returns the ids of all.
pub(super) fn send(
    timeline: &mut Timeline,
    part: &Part,
    owners: &mut Owners<'_>,
    goals: &Goals,
    sending: &mut Sending<'_>,
) -> Result<Vec<SessionId>, Broken> {
    let Some(identifier) = timeline.identifier() else {
        return Ok(Vec::new());
    };
    let workspace = timeline.header.workspace.clone();
    let sessions = &part.decisions.sessions;
    let mut ids = Vec::with_capacity(sessions.len());
    let mut begins = vec![false; part.places.len()];
    for (number, session) in sessions.iter().enumerate() {
        let first = session.events[0];
        begins[first as usize] = true;
        let first = part.place(first);
        let begun = timeline.event(first);
        let id = begun.sent().map_or_else(
            || SessionId::of(&workspace, &identifier, &begun.message),
            |sent| SessionId(sent.id),
        );
        ids.push(id);
        let owner = owners.id(session.owner);
        send_session(timeline, part, number, (id, owner), goals, sending)?;
    }
    for (index, (page, place)) in part.places.iter().enumerate() {
        if begins[index] {
            continue;
        }
        if let Some(sent) = timeline.pages[*page].events[*place].set_sent(None) {
            timeline.pages[*page].dirty = true;
            take_back(timeline, &sent, sending)?;
        }
    }
    send_parts(timeline, part, &ids, owners, goals, sending)?;
    Ok(ids)
}

/// Sends a session, with what is on the page that it begins on, where that is otherwise than last sent.
fn send_session(
    timeline: &mut Timeline,
    part: &Part,
    number: usize,
    (id, owner): (SessionId, Option<ProfileId>),
    goals: &Goals,
    sending: &mut Sending<'_>,
) -> Result<(), Broken> {
    let session = &part.decisions.sessions[number];
    let first = part.place(session.events[0]);
    let (own, carried) = part.session(number);
    let mut held = carried.map_or_else(Held::default, |carried| carried.held.clone());
    let mut has_new = false;
    for event in own {
        let event = timeline.event(part.place(*event));
        held.add(event, goals.ask_for(event, &timeline.header));
        has_new |= event.waiting.is_some();
    }
    let here: Vec<Place> = match carried {
        Some(carried) => {
            let here = carried.here.iter();
            here.map(|place| (first.0, place.get())).collect()
        }
        None => {
            let places = own.iter().map(|event| part.place(*event));
            places.take_while(|place| place.0 == first.0).collect()
        }
    };
    let now = SentSession {
        id: id.0,
        owner: uuid_of(owner),
        events: held.events,
        here: here.len() as u32,
        end: session.end.0,
    };
    let sent = timeline.event(first).sent();
    if sent == Some(&now) && !has_new && !timeline.is_told_otherwise {
        return Ok(());
    }
    let before = sent.and_then(|sent| sent.owner).map(ProfileId);
    if let Some(before) = before.filter(|before| Some(*before) != owner) {
        sending.atom(&timeline.header.workspace, before, &atom_id(id), None)?;
    }
    tell(timeline, session, &here, &held, (id, owner), goals, sending)?;
    let page = &mut timeline.pages[first.0];
    page.dirty = true;
    page.events[first.1].set_sent(Some(now));
    Ok(())
}

fn atom_id(session: SessionId) -> String {
    format!("session:{session}")
}

fn tell(
    timeline: &Timeline,
    session: &SessionDecision,
    here: &[Place],
    held: &Held,
    (id, owner): (SessionId, Option<ProfileId>),
    goals: &Goals,
    sending: &mut Sending<'_>,
) -> Result<(), Broken> {
    let header = &timeline.header;
    let events: Vec<&StoredEvent> = here.iter().map(|place| timeline.event(*place)).collect();
    let facts = &header.facts[events[0].facts.get()];
    let reached = goals.reached(held.goal_events.iter().map(|(name, events)| {
        let name = header.names[name.get()].as_str();
        (name, i64::from(*events))
    }));
    let (touchpoints, views) = (i64::from(held.events), i64::from(held.views));
    if let Some(owner) = owner {
        let stated = summary::stated(header, &events);
        let body = AtomBody::SessionAtom(SessionAtom {
            timeline_type: &header.timeline_type,
            timeline_value: &header.timeline_value,
            started_at: session.start,
            ended_at: session.end,
            touchpoints,
            views,
            channel: facts.channel(),
            traffic_source: facts.traffic_source(),
            campaign: facts.campaign(),
            store: facts.store(),
            device_type: facts.device_type(),
            source: facts.source(),
            goals: reached.clone(),
            activity: summary::activity(header, &events, goals),
            traits: stated.traits,
            moments: saying::moments(header, &events, Some(facts), goals),
            consents: stated.consents,
            groups: stated.groups,
        });
        sending.atom(&header.workspace, owner, &atom_id(id), Some(body))?;
    }
    let revision = sending.revision;
    sending.session(
        timeline.partition,
        &Session {
            workspace: &header.workspace,
            session_id: id,
            profile_id: owner,
            timeline_type: &header.timeline_type,
            timeline_value: &header.timeline_value,
            started_at: session.start,
            ended_at: session.end,
            touchpoints,
            views,
            channel: facts.channel(),
            traffic_source: facts.traffic_source(),
            campaign: facts.campaign(),
            store: facts.store(),
            device_type: facts.device_type(),
            source: facts.source(),
            goals: reached,
            revision,
            gone: false,
        },
    )
}

/// What a page holds of a session that begins on a page before it.
struct Further<'t> {
    session: SessionId,
    owner: ProfileId,
    begun: &'t StoredEvent,
    events: Vec<&'t StoredEvent>,
}

/// Sends what pages hold of sessions that begin on pages before them, where that is otherwise than last sent.
fn send_parts(
    timeline: &mut Timeline,
    part: &Part,
    ids: &[SessionId],
    owners: &mut Owners<'_>,
    goals: &Goals,
    sending: &mut Sending<'_>,
) -> Result<(), Broken> {
    let held: &Timeline = timeline;
    let mut further: BTreeMap<usize, Vec<Further<'_>>> = BTreeMap::new();
    for (number, session) in part.decisions.sessions.iter().enumerate() {
        let Some(owner) = owners.id(session.owner) else {
            continue;
        };
        let first = part.place(session.events[0]);
        let places = part
            .session(number)
            .0
            .iter()
            .map(|event| part.place(*event));
        for (page, place) in places.filter(|(page, _)| *page > first.0) {
            let of_page = further.entry(page).or_default();
            if of_page
                .last()
                .is_none_or(|last| last.session != ids[number])
            {
                of_page.push(Further {
                    session: ids[number],
                    owner,
                    begun: held.event(first),
                    events: Vec::new(),
                });
            }
            let last = of_page
                .last_mut()
                .expect("one was pushed unless it was the last");
            last.events.push(held.event((page, place)));
        }
    }
    let mut changed = Vec::new();
    for (index, page) in held.pages.iter().enumerate().skip(part.page) {
        let further = further.remove(&index).unwrap_or_default();
        let mut sent = Vec::with_capacity(further.len());
        for further in &further {
            let now = SentPart {
                session: further.session.0,
                owner: further.owner.0,
                hash: hash_of(&further.events),
            };
            if held.is_told_otherwise || !page.parts.contains(&now) {
                tell_part(held, page.number, further, goals, sending)?;
            }
            sent.push(now);
        }
        for before in &page.parts {
            if !sent.iter().any(|now| now.is_of_the_same(before)) {
                let id = part_id(SessionId(before.session), page.number);
                let owner = ProfileId(before.owner);
                sending.atom(&held.header.workspace, owner, &id, None)?;
            }
        }
        if sent != page.parts {
            changed.push((index, sent));
        }
    }
    for (index, sent) in changed {
        timeline.pages[index].parts = sent;
        timeline.pages[index].dirty = true;
    }
    Ok(())
}

fn part_id(session: SessionId, page: u32) -> String {
    format!("session:{session}:{page}")
}

fn tell_part(
    timeline: &Timeline,
    page: u32,
    further: &Further<'_>,
    goals: &Goals,
    sending: &mut Sending<'_>,
) -> Result<(), Broken> {
    let header = &timeline.header;
    let facts = &header.facts[further.begun.facts.get()];
    let events = &further.events;
    let stated = summary::stated(header, events);
    let body = AtomBody::SessionPartAtom(SessionPartAtom {
        timeline_type: &header.timeline_type,
        timeline_value: &header.timeline_value,
        traffic_source: facts.traffic_source(),
        campaign: facts.campaign(),
        activity: summary::activity(header, events, goals),
        traits: stated.traits,
        moments: saying::moments(header, events, Some(facts), goals),
        consents: stated.consents,
        groups: stated.groups,
    });
    let id = part_id(further.session, page);
    sending.atom(&header.workspace, further.owner, &id, Some(body))
}

/// Of the events' messages.
pub(super) fn hash_of(events: &[&StoredEvent]) -> u64 {
    let messages: Vec<&str> = events.iter().map(|event| &*event.message).collect();
    xxh3_64(messages.join("\0").as_bytes())
}

/// The session is none any more: its events are in others.
fn take_back(
    timeline: &Timeline,
    sent: &SentSession,
    sending: &mut Sending<'_>,
) -> Result<(), Broken> {
    let header = &timeline.header;
    let id = SessionId(sent.id);
    if let Some(owner) = sent.owner {
        sending.atom(&header.workspace, ProfileId(owner), &atom_id(id), None)?;
    }
    let revision = sending.revision;
    sending.session(
        timeline.partition,
        &Session {
            workspace: &header.workspace,
            session_id: id,
            profile_id: None,
            timeline_type: &header.timeline_type,
            timeline_value: &header.timeline_value,
            started_at: Timestamp(sent.end),
            ended_at: Timestamp(sent.end),
            touchpoints: 0,
            views: 0,
            channel: "",
            traffic_source: "",
            campaign: "",
            store: "",
            device_type: "",
            source: "",
            goals: BTreeMap::new(),
            revision,
            gone: true,
        },
    )
}
