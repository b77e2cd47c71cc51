//! Decides a timeline and sends what is otherwise than last sent: sessions, atoms, claims, overrides.

use std::collections::BTreeMap;

use tributary_contracts::wire::{
    AtomBody, Claim, ClaimKind, EmailClaim, Override, OverrideMessage, OverrideRange, PassiveAtom,
    ProductAmount, SourceAtom,
};
use tributary_core::identity::{Graph, NodeId};
use tributary_core::ids::{ProfileId, SessionId};
use tributary_core::money::Amount;
use tributary_core::timeline::{Activity, Decision, Decisions, Owner};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use super::event::{Index, StoredEvent};
use super::goals::Goals;
use super::identities::{self, OwnedSpan};
use super::page::{Page, Place, SentPassive};
use super::part::Part;
use super::saying;
use super::sending::Sending;
use super::sessions;
use super::stored::{Timeline, session_uuid, uuid_of};
use super::summary;
use super::waiting::Waiting;
use crate::runtime::stage::Broken;

/// Decides the timeline anew, or what new events may have changed of it, and sends the differences.
pub(super) fn settle(
    key: &[u8],
    timeline: &mut Timeline,
    graph: &Graph,
    goals: &Goals,
    waiting: &Waiting,
    sending: &mut Sending<'_>,
) -> Result<(), Broken> {
    let part = Part::decided(timeline, graph, goals);
    let (decisions, places) = (&part.decisions, part.places.as_slice());
    let mut owners = Owners {
        graph,
        timeline: timeline.identifier(),
        workspace: timeline.header.workspace.clone(),
        known: BTreeMap::new(),
        strangers: BTreeMap::new(),
    };
    owners.know_strangers(timeline, decisions, places);
    let session_ids = sessions::send(timeline, &part, &mut owners, goals, sending)?;
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
    send_resolved(key, timeline, places, &now, waiting, sending)?;
    send_claims(timeline, decisions, places, &now, sending)?;
    send_email_claims(timeline, places, &now, sending)?;
    send_passive(timeline, part.page, &now[part.carried()..], goals, sending)?;
    send_overrides(timeline, &part, &now, &session_ids, &mut owners, sending)?;
    let spans = std::mem::take(&mut timeline.spans);
    let spans = part.spans(spans, timeline.is_settled, &mut owners);
    send_spans(timeline, part.page, &spans, graph, sending)?;
    timeline.is_told_otherwise = false;
    timeline.settle(decisions.can_be_cut && timeline.pages.len() > 1);
    if timeline.is_settled {
        timeline.spans = spans;
    }
    Ok(())
}

impl Part {
    /// Whose the timeline's identifier is when, with what was known of the time before where it `is_settled`.
    fn spans(
        &self,
        mut spans: Vec<OwnedSpan>,
        is_settled: bool,
        owners: &mut Owners<'_>,
    ) -> Vec<OwnedSpan> {
        if !is_settled || !self.begin.cut.has_own() {
            spans.clear();
        }
        // Those of the timeline's own line come first. Where it has none, no span is known and one is decided.
        let begin = self.decisions.sessions.first().map(|session| session.start);
        if let Some(begin) = begin {
            spans.truncate(spans.partition_point(|span| span.from < begin));
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

/// Sends whose the timeline's identifier is, page by page, where that is another than last sent. The spans that begin on
/// pages before the `first` are as they were, but for where the last of them ends.
fn send_spans(
    timeline: &mut Timeline,
    first: usize,
    spans: &[OwnedSpan],
    graph: &Graph,
    sending: &mut Sending<'_>,
) -> Result<(), Broken> {
    let Some(node) = timeline.node else {
        return Ok(());
    };
    // The place of the first span that begins on a page, or behind it.
    let begins = |pages: &[Page], page: usize| match pages.get(page) {
        _ if page == 0 => 0,
        // The first of all is of the first page, though that may begin in 1970.
        Some(page) => spans
            .partition_point(|span| span.from.0 < page.first().0)
            .max(spans.len().min(1)),
        None => spans.len(),
    };
    let of_page = |pages: &[Page], page: usize| {
        let end = begins(pages, page + 1);
        let next = spans.get(end).map(|span| span.from);
        (&spans[begins(pages, page)..end], next)
    };
    let (header, partition) = (&timeline.header, timeline.partition);
    let workspace = &header.workspace;
    let part = of_page(&timeline.pages, 0);
    identities::tell(graph, workspace, node, part, partition, sending)?;
    let before = begins(&timeline.pages, first).checked_sub(1);
    let page_of = |span: OwnedSpan| {
        let pages = &timeline.pages;
        let behind = pages.partition_point(|page| page.first().0 <= span.from.0);
        behind.saturating_sub(1)
    };
    let changed = before.map(|span| page_of(spans[span]));
    for index in changed.into_iter().chain(first..timeline.pages.len()) {
        if index == 0 {
            continue;
        }
        let part = of_page(&timeline.pages, index);
        let page = &mut timeline.pages[index];
        let hash = identities::tell_part(
            graph,
            workspace,
            node,
            page.number,
            part,
            page.spans,
            sending,
        )?;
        if hash != page.spans {
            page.spans = hash;
            page.dirty = true;
        }
    }
    Ok(())
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

    pub(super) fn id(&mut self, owner: Owner) -> Option<ProfileId> {
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
            // Nobody's event places no order; who gives money back makes no difference.
            gone: order.kind == 0 && profile_id.is_none(),
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
    goals: &Goals,
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
            let entry = SentPassive {
                owner: *owner,
                hash: sessions::hash_of(events),
            };
            if timeline.is_told_otherwise || !page.passive.contains(&entry) {
                let (timeline_type, timeline_value) =
                    (&*header.timeline_type, &*header.timeline_value);
                let moments = saying::moments(header, events, None, goals);
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

/// Which touchpoints are decided otherwise than when they were received: by session and page where all of them are on one
/// line, by message else.
fn send_overrides(
    timeline: &mut Timeline,
    part: &Part,
    now: &[(Option<SessionId>, Option<ProfileId>)],
    session_ids: &[SessionId],
    owners: &mut Owners<'_>,
    sending: &mut Sending<'_>,
) -> Result<(), Broken> {
    let decisions = &part.decisions;
    let otherwise = |timeline: &Timeline, index: usize| {
        let (page, place) = part.places[index];
        let page = &timeline.pages[page];
        let event = &page.events[place];
        let received = |place: Option<Index>| place.map(|place| page.ids[place.get()]);
        let (session, owner) = now[index];
        received(event.received_session) != session_uuid(session)
            || received(event.received_owner) != uuid_of(owner)
    };
    let mut ranges: BTreeMap<usize, Vec<OverrideRange>> = BTreeMap::new();
    if decisions.single_line {
        // Events of equal time are in one range, though a page may end between them.
        let pages = part.page..timeline.pages.len();
        let filed: Vec<usize> = pages
            .scan(part.page, |filed, page| {
                if timeline.pages[page].begin.is_some() {
                    *filed = page;
                }
                Some(*filed)
            })
            .collect();
        let filed = |event: u32| filed[part.place(event).0 - part.page];
        for (number, id) in session_ids.iter().enumerate() {
            let (events, _) = part.session(number);
            let time = |event: u32| timeline.event(part.place(event)).time();
            for run in events.chunk_by(|one, other| filed(*one) == filed(*other)) {
                let (first, last) = (run[0], run[run.len() - 1]);
                if run.iter().any(|event| otherwise(timeline, *event as usize)) {
                    ranges.entry(filed(first)).or_default().push(OverrideRange {
                        from: time(first),
                        to: time(last),
                        session_id: Some(*id),
                        profile_id: owners.id(decisions.sessions[number].owner),
                    });
                }
            }
        }
    }
    let mut next = part.carried();
    for index in part.page..timeline.pages.len() {
        let page = &timeline.pages[index];
        let first = next;
        next += page.events.len();
        let messages: Vec<OverrideMessage<'_>> = page
            .events
            .iter()
            .enumerate()
            .filter(|(place, event)| {
                let by_session = decisions.single_line && event.is_in_session();
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
