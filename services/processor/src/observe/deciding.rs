//! Decides a timeline and sends what is otherwise than last sent: sessions, atoms, claims, overrides.

use std::collections::BTreeMap;

use tributary_contracts::wire::{
    AtomBody, Claim, ClaimKind, EmailClaim, Override, OverrideMessage, OverrideRange, PassiveAtom,
    ProductAmount, Session, SessionAtom, SourceAtom,
};
use tributary_core::identity::{Graph, NodeId};
use tributary_core::ids::{ProfileId, SessionId};
use tributary_core::money::Amount;
use tributary_core::time::Timestamp;
use tributary_core::timeline::{
    Activity, Cut, Decision, Decisions, Event, Owner, SessionDecision, cuts, decide_from,
};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use super::goals::Goals;
use super::identities::OwnedSpan;
use super::saying;
use super::sending::Sending;
use super::stored::{
    Index, Page, SentPassive, SentSession, StoredEvent, Timeline, session_uuid, uuid_of,
};
use super::summary;
use super::waiting::Waiting;
use crate::runtime::stage::Broken;

/// The place of an event: its page and its place on the page.
type Place = (usize, usize);

/// Decides the timeline anew, or what new events may have changed of it, sends the differences, and returns whose its
/// identifier is when.
pub(super) fn settle(
    key: &[u8],
    timeline: &mut Timeline,
    graph: &Graph,
    goals: &Goals,
    waiting: &Waiting,
    sending: &mut Sending<'_>,
) -> Result<Vec<OwnedSpan>, Broken> {
    let part = decided(timeline, graph);
    let decisions = &part.decisions;
    let places: Vec<Place> = timeline
        .pages
        .iter()
        .enumerate()
        .skip(part.page)
        .flat_map(|(page, content)| (0..content.events.len()).map(move |place| (page, place)))
        .collect();
    let mut owners = Owners {
        graph,
        timeline: timeline.identifier(),
        workspace: timeline.header.workspace.clone(),
        known: BTreeMap::new(),
        strangers: BTreeMap::new(),
    };
    owners.know_strangers(timeline, decisions, &places);
    let session_ids = send_sessions(timeline, decisions, &places, &mut owners, goals, sending)?;
    let now: Vec<(Option<SessionId>, Option<ProfileId>)> = decisions
        .events
        .iter()
        .map(|Decision { session, owner }| {
            (
                session.map(|number| session_ids[number as usize]),
                owners.id(*owner),
            )
        })
        .collect();
    send_resolved(key, timeline, &places, &now, waiting, sending)?;
    send_claims(timeline, decisions, &places, &now, sending)?;
    send_email_claims(timeline, &places, &now, sending)?;
    send_passive(timeline, part.page, &now, sending)?;
    send_overrides(
        timeline,
        &part,
        &places,
        &now,
        &session_ids,
        &mut owners,
        sending,
    )?;
    let spans = part.spans(timeline, &mut owners);
    timeline.touched_from = usize::MAX;
    let goes_on = decisions.single_line && timeline.pages.len() > 1;
    timeline.settled = goes_on.then(|| spans.clone());
    Ok(spans)
}

/// What was decided of a timeline: what stands on a page and behind it.
struct Part {
    page: usize,
    /// Of the page.
    cut: Cut,
    decisions: Decisions,
}

impl Part {
    /// Whose the timeline's identifier is when, with what was known of the time before.
    fn spans(&self, timeline: &Timeline, owners: &mut Owners<'_>) -> Vec<OwnedSpan> {
        let mut spans: Vec<OwnedSpan> = match &timeline.settled {
            Some(settled) if self.cut.has_sessions() => settled.clone(),
            _ => Vec::new(),
        };
        let is_first = spans.is_empty();
        let begin = self.decisions.sessions.first().map(|session| session.start);
        if !is_first && let Some(begin) = begin {
            spans.retain(|span| span.from < begin);
        }
        for span in &self.decisions.spans {
            let owner = owners.id(span.owner);
            match (spans.last(), begin) {
                // Without sessions nothing is said of whose it is.
                (Some(_), None) => {}
                (Some(last), Some(_)) if last.owner == owner => {}
                (Some(_), Some(begin)) => spans.push(OwnedSpan {
                    from: span.from.max(begin),
                    owner,
                }),
                (None, _) => spans.push(OwnedSpan {
                    from: span.from,
                    owner,
                }),
            }
        }
        spans
    }
}

/// Decides what new events may have changed: from the last page on that has none before it and can be decided alone.
fn decided(timeline: &mut Timeline, graph: &Graph) -> Part {
    let mut page = match &timeline.settled {
        Some(_) => timeline.touched_from.min(timeline.pages.len() - 1),
        None => 0,
    };
    let mut somebody_logs_in = false;
    loop {
        let cut = loop {
            match cut_at(timeline, page, somebody_logs_in) {
                Some(cut) => break cut,
                None => page -= 1,
            }
        };
        let events = events(timeline, page);
        let decisions = match timeline.node {
            Some(node) => decide_from(graph, node, &cut, &events),
            None => of_nobody(events.len()),
        };
        if page > 0 && !decisions.single_line {
            page = 0;
        } else if page > 0 && cut.is_open() && decisions.is_anchored() {
            somebody_logs_in = true;
        } else {
            let cuts = cuts_behind(timeline, page, cut, graph, &events, &decisions);
            for (page, cut) in timeline.pages[page + 1..].iter_mut().zip(cuts) {
                page.cut = cut;
            }
            return Part {
                page,
                cut,
                decisions,
            };
        }
    }
}

/// The cut at the beginning of a page, where it can be decided from there on; the first always can.
fn cut_at(timeline: &Timeline, page: usize, somebody_logs_in: bool) -> Option<Cut> {
    match page {
        0 => Some(Cut::default()),
        page => timeline.pages[page]
            .cut
            .filter(|cut| !(cut.is_open() && somebody_logs_in)),
    }
}

/// Which of the pages behind that one are cuts.
fn cuts_behind(
    timeline: &Timeline,
    page: usize,
    cut: Cut,
    graph: &Graph,
    events: &[Event<'_>],
    decisions: &Decisions,
) -> Vec<Option<Cut>> {
    let behind = timeline.pages.len() - page - 1;
    if !decisions.single_line {
        return vec![None; behind];
    }
    let begins = timeline.pages[page..].iter().scan(0, |begin, page| {
        *begin += page.events.len();
        Some(*begin)
    });
    cuts(graph.rules(), cut, events, decisions, begins.take(behind)).collect()
}

/// The events of a page and those behind it.
fn events(timeline: &Timeline, page: usize) -> Vec<Event<'_>> {
    let stored = timeline.pages[page..].iter().flat_map(|page| &page.events);
    stored
        .map(|event| Event {
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
        ..Decisions::default()
    }
}

/// Ids of owners, each made once.
pub(super) struct Owners<'a> {
    graph: &'a Graph,
    timeline: Option<tributary_core::identifier::Identifier>,
    workspace: String,
    known: BTreeMap<NodeId, ProfileId>,
    /// By the first event of their session.
    strangers: BTreeMap<u32, ProfileId>,
}

impl Owners<'_> {
    fn know_strangers(&mut self, timeline: &Timeline, decisions: &Decisions, places: &[Place]) {
        let Some(identifier) = &self.timeline else {
            return;
        };
        for session in &decisions.sessions {
            let first = session.events[0];
            if session.owner == Owner::Stranger(first) {
                let (page, place) = places[first as usize];
                let message = &timeline.pages[page].events[place].message;
                let id = ProfileId::stranger(&self.workspace, identifier, message);
                self.strangers.insert(first, id);
            }
        }
    }

    fn id(&mut self, owner: Owner) -> Option<ProfileId> {
        match owner {
            Owner::Nobody => None,
            Owner::Stranger(first) => self.strangers.get(&first).copied(),
            Owner::Alone => self
                .timeline
                .as_ref()
                .map(|timeline| ProfileId::alone(&self.workspace, timeline)),
            Owner::Profile(root) => Some(
                *self
                    .known
                    .entry(root)
                    .or_insert_with(|| self.graph.profile(root)),
            ),
        }
    }
}

fn send_sessions(
    timeline: &mut Timeline,
    decisions: &Decisions,
    places: &[Place],
    owners: &mut Owners<'_>,
    goals: &Goals,
    sending: &mut Sending<'_>,
) -> Result<Vec<SessionId>, Broken> {
    let Some(identifier) = timeline.identifier() else {
        return Ok(Vec::new());
    };
    let workspace = timeline.header.workspace.clone();
    let mut ids = Vec::with_capacity(decisions.sessions.len());
    let mut begins = vec![false; places.len()];
    for session in &decisions.sessions {
        let first = session.events[0] as usize;
        begins[first] = true;
        let (page, place) = places[first];
        let sent = timeline.pages[page].events[place].sent();
        let id = sent.map_or_else(
            || {
                SessionId::of(
                    &workspace,
                    &identifier,
                    &timeline.pages[page].events[place].message,
                )
            },
            |sent| SessionId(sent.id),
        );
        ids.push(id);
        let owner = owners.id(session.owner);
        let is_as_sent = sent.is_some_and(|sent| {
            sent.owner == uuid_of(owner)
                && sent.events as usize == session.events.len()
                && sent.end == session.end.0
        }) && !session.events.iter().any(|event| {
            let (page, place) = places[*event as usize];
            timeline.pages[page].events[place].waiting.is_some()
        });
        if is_as_sent {
            continue;
        }
        let before = sent.and_then(|sent| sent.owner).map(ProfileId);
        send_session(timeline, session, places, id, before, owner, goals, sending)?;
        let page = &mut timeline.pages[page];
        page.dirty = true;
        let events = session.events.len() as u32;
        page.events[place].set_sent(Some(SentSession {
            id: id.0,
            owner: uuid_of(owner),
            events,
            end: session.end.0,
        }));
    }
    for (index, (page, place)) in places.iter().enumerate() {
        if begins[index] {
            continue;
        }
        if let Some(sent) = timeline.pages[*page].events[*place].set_sent(None) {
            timeline.pages[*page].dirty = true;
            take_back_session(timeline, &sent, sending)?;
        }
    }
    Ok(ids)
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one message, all of different types"
)]
fn send_session(
    timeline: &Timeline,
    session: &SessionDecision,
    places: &[Place],
    id: SessionId,
    before: Option<ProfileId>,
    owner: Option<ProfileId>,
    goals: &Goals,
    sending: &mut Sending<'_>,
) -> Result<(), Broken> {
    let header = &timeline.header;
    let events: Vec<&StoredEvent> = session
        .events
        .iter()
        .map(|event| {
            let (page, place) = places[*event as usize];
            &timeline.pages[page].events[place]
        })
        .collect();
    let facts = &header.facts[events[0].facts.get()];
    let reached = goals.reached(
        events
            .iter()
            .filter_map(|event| Some(header.names[event.goal_event?.get()].as_str())),
    );
    let atom_id = format!("session:{id}");
    if let Some(before) = before.filter(|before| Some(*before) != owner) {
        sending.atom(&header.workspace, before, &atom_id, None)?;
    }
    let views = events.iter().filter(|event| event.view).count() as i64;
    if let Some(owner) = owner {
        let stated = summary::stated(header, &events);
        let body = AtomBody::SessionAtom(SessionAtom {
            timeline_type: &header.timeline_type,
            timeline_value: &header.timeline_value,
            started_at: session.start,
            ended_at: session.end,
            touchpoints: events.len() as i64,
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
            moments: saying::moments(header, &events, Some(facts)),
            consents: stated.consents,
            groups: stated.groups,
        });
        sending.atom(&header.workspace, owner, &atom_id, Some(body))?;
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
            touchpoints: events.len() as i64,
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

/// The session is none any more: its events are in others.
fn take_back_session(
    timeline: &Timeline,
    sent: &SentSession,
    sending: &mut Sending<'_>,
) -> Result<(), Broken> {
    let header = &timeline.header;
    if let Some(owner) = sent.owner {
        sending.atom(
            &header.workspace,
            ProfileId(owner),
            &format!("session:{}", sent.id),
            None,
        )?;
    }
    let revision = sending.revision;
    sending.session(
        timeline.partition,
        &Session {
            workspace: &header.workspace,
            session_id: SessionId(sent.id),
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

/// Sends the touchpoints that waited, and remembers under which session and owner.
fn send_resolved(
    key: &[u8],
    timeline: &mut Timeline,
    places: &[Place],
    now: &[(Option<SessionId>, Option<ProfileId>)],
    waiting: &Waiting,
    sending: &mut Sending<'_>,
) -> Result<(), Broken> {
    for ((page, place), (session, owner)) in places.iter().zip(now) {
        let page = &mut timeline.pages[*page];
        let Some(touchpoint) = page.events[*place].waiting.take() else {
            continue;
        };
        sending.resolved(
            timeline.partition,
            key,
            *session,
            *owner,
            waiting.get(touchpoint),
        )?;
        let session = session_uuid(*session).map(|session| page.place(session));
        let owner = uuid_of(*owner).map(|owner| page.place(owner));
        let event = &mut page.events[*place];
        event.received_session = session;
        event.received_owner = owner;
    }
    Ok(())
}

fn send_claims(
    timeline: &mut Timeline,
    decisions: &Decisions,
    places: &[Place],
    now: &[(Option<SessionId>, Option<ProfileId>)],
    sending: &mut Sending<'_>,
) -> Result<(), Broken> {
    for (index, (page, place)) in places.iter().enumerate() {
        let event = &timeline.pages[*page].events[*place];
        let Some(order) = event.order() else {
            continue;
        };
        let (session_id, profile_id) = now[index];
        let first = decisions.events[index]
            .session
            .map_or((*page, *place), |session| {
                places[decisions.sessions[session as usize].events[0] as usize]
            });
        let header = &timeline.header;
        let facts = &header.facts[event.facts.get()];
        let begun = &header.facts[timeline.pages[first.0].events[first.1].facts.get()];
        let claim = Claim {
            workspace: &header.workspace,
            order_namespace: &order.namespace,
            order_id: &order.order_id,
            kind: match order.kind {
                0 => ClaimKind::Placed,
                1 => ClaimKind::Refunded,
                _ => ClaimKind::Cancelled,
            },
            message_id: &event.message,
            timeline_type: &header.timeline_type,
            timeline_value: &header.timeline_value,
            occurred_at: event.time(),
            currency: &order.currency,
            total: order.total(),
            margin: order.margin(),
            channel: facts.channel(),
            source: facts.source(),
            traffic_source: begun.traffic_source(),
            campaign: begun.campaign(),
            store: facts.store(),
            device_type: facts.device_type(),
            session_id,
            profile_id,
            gone: profile_id.is_none(),
            products: order
                .products
                .iter()
                .map(|(product_id, amount)| ProductAmount {
                    product_id,
                    amount: Amount::from_millionths(*amount),
                })
                .collect(),
        };
        // The rest of a claim never changes: its message determines it.
        let changing = format!(
            "{profile_id:?} {session_id:?} {} {}",
            claim.traffic_source, claim.campaign
        );
        let hash = if claim.gone {
            0
        } else {
            xxh3_64(changing.as_bytes()).max(1)
        };
        if hash == order.claimed {
            continue;
        }
        sending.claim(&claim)?;
        let page = &mut timeline.pages[*page];
        page.dirty = true;
        if let Some(more) = &mut page.events[*place].more
            && let Some(order) = &mut more.order
        {
            order.claimed = hash;
        }
    }
    Ok(())
}

/// Sends what events say of e-mails under their owners.
fn send_email_claims(
    timeline: &mut Timeline,
    places: &[Place],
    now: &[(Option<SessionId>, Option<ProfileId>)],
    sending: &mut Sending<'_>,
) -> Result<(), Broken> {
    for ((page, place), (_, profile_id)) in places.iter().zip(now) {
        let event = &timeline.pages[*page].events[*place];
        let Some(email) = event.email() else {
            continue;
        };
        let hash = profile_id.map_or(0, |owner| xxh3_64(owner.0.as_bytes()).max(1));
        if hash == email.claimed {
            continue;
        }
        let header = &timeline.header;
        sending.email_claim(&EmailClaim {
            workspace: &header.workspace,
            email_id: &email.email_id,
            recipient_type: &email.recipient_type,
            recipient_value: &email.recipient_value,
            kind: email.kind,
            message_id: &event.message,
            timeline_type: &header.timeline_type,
            timeline_value: &header.timeline_value,
            occurred_at: event.time(),
            campaign: &email.campaign,
            profile_id: *profile_id,
            gone: profile_id.is_none(),
        })?;
        let page = &mut timeline.pages[*page];
        page.dirty = true;
        if let Some(more) = &mut page.events[*place].more
            && let Some(email) = &mut more.email
        {
            email.claimed = hash;
        }
    }
    Ok(())
}

/// Sends what is in no session: passive touchpoints to their owners, and what a source says of itself.
fn send_passive(
    timeline: &mut Timeline,
    first: usize,
    now: &[(Option<SessionId>, Option<ProfileId>)],
    sending: &mut Sending<'_>,
) -> Result<(), Broken> {
    let mut decided = now.iter();
    let is_source = timeline.source().is_some();
    for index in first..timeline.pages.len() {
        let page = &timeline.pages[index];
        let mut owned: BTreeMap<Uuid, Vec<&StoredEvent>> = BTreeMap::new();
        for event in &page.events {
            let (_, owner) = decided.next().expect("every event is decided");
            if let (Activity::Passive, Some(owner)) = (event.activity(), owner) {
                owned.entry(owner.0).or_default().push(event);
            } else if let Some(source) = timeline.source_of(event)
                && !event.says().is_empty()
            {
                owned.entry(source.0).or_default().push(event);
            }
        }
        if owned.is_empty() && page.passive.is_empty() {
            continue;
        }
        let header = &timeline.header;
        let atom_id = format!(
            "passive:{}:{}:{}",
            header.timeline_type, header.timeline_value, page.number
        );
        let mut sent = Vec::with_capacity(owned.len());
        for (owner, events) in &owned {
            let messages: Vec<&str> = events.iter().map(|event| &*event.message).collect();
            let hash = xxh3_64(messages.join("\0").as_bytes());
            let entry = SentPassive {
                owner: *owner,
                hash,
            };
            if !page.passive.contains(&entry) {
                let (timeline_type, timeline_value) =
                    (&*header.timeline_type, &*header.timeline_value);
                let moments = saying::moments(header, events, None);
                let body = match is_source {
                    true => AtomBody::SourceAtom(SourceAtom {
                        timeline_type,
                        timeline_value,
                        moments,
                    }),
                    false => {
                        let stated = summary::stated(header, events);
                        AtomBody::PassiveAtom(PassiveAtom {
                            timeline_type,
                            timeline_value,
                            touchpoints: events.len() as i64,
                            first_seen: events[0].time(),
                            traits: stated.traits,
                            moments,
                            consents: stated.consents,
                            groups: stated.groups,
                        })
                    }
                };
                sending.atom(&header.workspace, ProfileId(*owner), &atom_id, Some(body))?;
            }
            sent.push(entry);
        }
        for before in page
            .passive
            .iter()
            .filter(|before| !owned.contains_key(&before.owner))
        {
            sending.atom(&header.workspace, ProfileId(before.owner), &atom_id, None)?;
        }
        if sent != page.passive {
            let page: &mut Page = &mut timeline.pages[index];
            page.passive = sent;
            page.dirty = true;
        }
    }
    Ok(())
}

/// Which touchpoints are decided otherwise than when they were received: by session where the timeline has one line, by
/// message else.
fn send_overrides(
    timeline: &mut Timeline,
    part: &Part,
    places: &[Place],
    now: &[(Option<SessionId>, Option<ProfileId>)],
    session_ids: &[SessionId],
    owners: &mut Owners<'_>,
    sending: &mut Sending<'_>,
) -> Result<(), Broken> {
    let decisions = &part.decisions;
    let otherwise = |timeline: &Timeline, index: usize| {
        let (page, place) = places[index];
        let page = &timeline.pages[page];
        let event = &page.events[place];
        let received = |place: Option<Index>| place.map(|place| page.ids[place.get()]);
        let (session, owner) = now[index];
        received(event.received_session) != session_uuid(session)
            || received(event.received_owner) != uuid_of(owner)
    };
    let mut ranges: BTreeMap<usize, Vec<OverrideRange>> = BTreeMap::new();
    if decisions.single_line {
        for (session, id) in decisions.sessions.iter().zip(session_ids) {
            if session
                .events
                .iter()
                .any(|event| otherwise(timeline, *event as usize))
            {
                let range = OverrideRange {
                    from: session.start,
                    to: session.end,
                    session_id: Some(*id),
                    profile_id: owners.id(session.owner),
                };
                ranges
                    .entry(places[session.events[0] as usize].0)
                    .or_default()
                    .push(range);
            }
        }
    }
    let mut next = 0;
    for index in part.page..timeline.pages.len() {
        let page = &timeline.pages[index];
        let first = next;
        next += page.events.len();
        let messages: Vec<OverrideMessage<'_>> = page
            .events
            .iter()
            .enumerate()
            .filter(|(place, event)| {
                let by_session = decisions.single_line
                    && event.activity() == Activity::Active
                    && event.set.is_some();
                !by_session && otherwise(timeline, first + place)
            })
            .map(|(place, event)| {
                let (session_id, profile_id) = now[first + place];
                OverrideMessage {
                    message_id: &event.message,
                    session_id,
                    profile_id,
                }
            })
            .collect();
        let ranges = ranges.remove(&index).unwrap_or_default();
        let hash = if ranges.is_empty() && messages.is_empty() {
            0
        } else {
            xxh3_64(format!("{ranges:?}{messages:?}").as_bytes()).max(1)
        };
        if hash == page.overrides {
            continue;
        }
        let header = &timeline.header;
        let overrides = Override {
            workspace: &header.workspace,
            timeline_type: &header.timeline_type,
            timeline_value: &header.timeline_value,
            page: i64::from(page.number),
            revision: sending.revision,
            ranges,
            messages,
        };
        sending.overrides(timeline.partition, &overrides)?;
        let page = &mut timeline.pages[index];
        page.overrides = hash;
        page.dirty = true;
    }
    Ok(())
}
