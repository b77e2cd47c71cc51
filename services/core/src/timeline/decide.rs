use std::collections::BTreeMap;

use super::cut::{Cut, Open};
use super::event::{Activity, Event};
use super::line::{self, LineKey};
use crate::identity::{Graph, NodeId, Rules, SharedDevices, Strangers};
use crate::time::{MINUTE, Timestamp};

/// A gap longer than this ends a session.
pub(super) const GAP: i64 = 30 * MINUTE;

/// Who owns a session or an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The profile of this identifier, which gives it its id.
    Profile(NodeId),
    /// A profile of the timeline alone.
    Alone,
    /// A profile of the session alone that begins with the event of this index.
    Stranger(u32),
    /// Nobody: in no profile and no KPI.
    Nobody,
}

/// What is decided about one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Index of its session in [`Decisions::sessions`]; none for passive events and bots.
    pub session: Option<u32>,
    /// Whose it is.
    pub owner: Owner,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionDecision {
    /// Its line.
    pub line: LineKey,
    /// Whose it is.
    pub owner: Owner,
    /// Indices of its events, in order; never empty. The first gives the session its id.
    pub events: Vec<u32>,
    /// The profile that logged in in it, if one did.
    pub anchored: Option<NodeId>,
    /// Index of the first event of the moment at which it did.
    pub anchored_at: Option<u32>,
    /// Time of the first event.
    pub start: Timestamp,
    /// Time of the last event.
    pub end: Timestamp,
}

/// A span of time in which the timeline's identifier belongs to one owner, from its start to the next one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First moment.
    pub from: Timestamp,
    /// Whose it is.
    pub owner: Owner,
}

/// What is decided about a timeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decisions {
    /// For each event, in the order given.
    pub events: Vec<Decision>,
    /// The sessions of all lines, in order of line and time.
    pub sessions: Vec<SessionDecision>,
    /// Whose the timeline's identifier is; empty where it is blocked.
    pub spans: Vec<Span>,
    /// Whether all of these events that have a session or an owner are on the timeline's own line.
    pub single_line: bool,
    /// Whether there may be [cuts](super::cuts): not where the timeline's identifier is blocked.
    pub can_be_cut: bool,
}

/// Decides sessions and owners of a timeline.
///
/// `events` stand in order of (time, message id), without duplicates.
#[must_use]
pub fn decide(graph: &Graph, timeline: NodeId, events: &[Event<'_>]) -> Decisions {
    decide_from(graph, timeline, &Cut::default(), events)
}

/// The same of the events from a cut on, all of which are given, behind the first events of the sessions that it
/// [carries](Cut::carried): those are decided too, of which no other event before the cut is told. Spans are as if there were
/// none before it. Indices are those of the events given.
#[must_use]
pub fn decide_from(graph: &Graph, timeline: NodeId, cut: &Cut, events: &[Event<'_>]) -> Decisions {
    let carried = cut.carried();
    debug_assert!(
        events[carried..].is_sorted_by_key(|event| (event.time, event.message)),
        "events stand in order"
    );
    let mut lines: BTreeMap<LineOrder, Line> = BTreeMap::new();
    let own = (0, None);
    let open = cut.open.map(|open| (0, open));
    lines.insert(own.clone(), Line::new(LineKey::Own, open));
    let mut single_line = true;
    for (index, (node, open)) in (u32::from(cut.has_own())..).zip(&cut.others) {
        let line = Line::new(LineKey::Other(*node), Some((index, *open)));
        lines.insert((1, Some(graph.identifier(*node))), line);
    }
    for (index, event) in (0_u32..).zip(events).skip(carried) {
        if event.activity == Activity::Nobody {
            continue;
        }
        let anchor = line::anchor(graph, event.identifiers);
        let key = line::line(graph, timeline, anchor, event.identifiers);
        let order = match key {
            LineKey::Own => own.clone(),
            LineKey::Other(node) => (1, Some(graph.identifier(node))),
            LineKey::Nothing => (2, None),
        };
        let member = Member {
            index,
            time: event.time,
            anchor,
        };
        single_line &= key == LineKey::Own;
        let line = lines.entry(order).or_insert_with(|| Line::new(key, None));
        if event.activity == Activity::Active {
            line.active.push(member)
        } else {
            line.passive.push(member)
        }
    }
    let mut decisions = Decisions {
        events: vec![
            Decision {
                session: None,
                owner: Owner::Nobody
            };
            events.len()
        ],
        single_line,
        can_be_cut: !graph.is_blocked(timeline),
        ..Decisions::default()
    };
    for line in lines.values() {
        let first = decisions.sessions.len();
        let before = cut.before.filter(|_| line.key == LineKey::Own);
        line.decide(graph, timeline, before, &mut decisions);
        if line.key == LineKey::Own && !graph.is_blocked(timeline) {
            decisions.spans = spans(graph, timeline, &decisions.sessions[first..]);
        }
    }
    decisions
}

/// Lines in an order that does not depend on the numbers of nodes.
type LineOrder = (u8, Option<crate::identifier::Identifier>);

struct Line {
    key: LineKey,
    /// A session that may go on, with the index of its first event.
    open: Option<(u32, Open)>,
    active: Vec<Member>,
    passive: Vec<Member>,
}

#[derive(Clone, Copy)]
struct Member {
    index: u32,
    time: Timestamp,
    anchor: Option<NodeId>,
}

impl Line {
    fn new(key: LineKey, open: Option<(u32, Open)>) -> Self {
        Self {
            key,
            open,
            active: Vec::new(),
            passive: Vec::new(),
        }
    }

    /// Decides it, where that person logged in last before.
    fn decide(
        &self,
        graph: &Graph,
        timeline: NodeId,
        before: Option<NodeId>,
        decisions: &mut Decisions,
    ) {
        let identifier = match self.key {
            LineKey::Own if graph.is_blocked(timeline) => None,
            LineKey::Own => Some(timeline),
            LineKey::Other(node) => Some(node),
            LineKey::Nothing => None,
        };
        let fallback = identifier.map_or(Owner::Nobody, |node| Owner::Profile(graph.root(node)));
        let hub = identifier.is_some_and(|node| graph.is_hub(node));
        let mut sessions = self.cut(graph);
        let before = before.map(|person| graph.root(person));
        own(&mut sessions, before, fallback, hub, graph.rules());

        let first = decisions.sessions.len() as u32;
        for (number, session) in (first..).zip(&sessions) {
            for event in &session.events {
                decisions.events[*event as usize] = Decision {
                    session: Some(number),
                    owner: session.owner,
                };
            }
        }
        for member in &self.passive {
            let around = sessions.partition_point(|session| session.start <= member.time);
            let owner = match member.anchor {
                Some(anchor) => Owner::Profile(graph.root(anchor)),
                None if around > 0 => sessions[around - 1].owner,
                None => fallback,
            };
            decisions.events[member.index as usize] = Decision {
                session: None,
                owner,
            };
        }
        decisions.sessions.extend(sessions);
    }

    /// Cuts the active events where the gap is too long or where the anchor of another profile appears. Events of equal
    /// time are never cut apart, and the highest anchor among them counts. An open session may go on.
    fn cut(&self, graph: &Graph) -> Vec<SessionDecision> {
        let mut last = self.open.map(|(_, open)| open.end);
        let open = self.open.map(|(first, open)| SessionDecision {
            line: self.key,
            owner: Owner::Nobody,
            events: vec![first],
            anchored: open.anchored.map(|person| graph.root(person)),
            anchored_at: open.anchored.map(|_| first),
            start: open.start,
            end: open.end,
        });
        let mut sessions = Vec::from_iter(open);
        for moment in self.active.chunk_by(|one, other| one.time == other.time) {
            let time = moment[0].time;
            let anchor = moment
                .iter()
                .filter_map(|member| member.anchor)
                .min_by(|one, other| graph.compare(*one, *other));
            let person = anchor.map(|anchor| graph.root(anchor));
            let goes_on = last.is_some_and(|last| time.0 - last.0 <= GAP)
                && sessions
                    .last()
                    .is_some_and(|session| match (session.anchored, person) {
                        (Some(before), Some(now)) => before == now,
                        _ => true,
                    });
            if !goes_on {
                sessions.push(SessionDecision {
                    line: self.key,
                    owner: Owner::Nobody,
                    events: Vec::new(),
                    anchored: None,
                    anchored_at: None,
                    start: time,
                    end: time,
                });
            }
            let session = sessions
                .last_mut()
                .expect("one was pushed unless the last goes on");
            if session.anchored.is_none() && person.is_some() {
                (session.anchored, session.anchored_at) = (person, Some(moment[0].index));
            }
            session.end = time;
            session
                .events
                .extend(moment.iter().map(|member| member.index));
            last = Some(time);
        }
        sessions
    }
}

/// Gives the sessions of a line their owners.
fn own(
    sessions: &mut [SessionDecision],
    mut before: Option<NodeId>,
    fallback: Owner,
    hub: bool,
    rules: &Rules,
) {
    let unless_strangers = |device, session: &SessionDecision| match rules.strangers {
        Strangers::Device => device,
        Strangers::Session => Owner::Stranger(session.events[0]),
    };
    let mut after: Vec<Option<NodeId>> = vec![None; sessions.len()];
    let mut next = None;
    for (session, after) in sessions.iter().zip(&mut after).rev() {
        *after = next;
        next = session.anchored.or(next);
    }
    for (session, after) in sessions.iter_mut().zip(after) {
        session.owner = match (session.anchored, before, after) {
            (Some(person), _, _) => Owner::Profile(person),
            (None, _, _) if hub => unless_strangers(fallback, session),
            (None, Some(before), Some(after))
                if rules.shared_devices == SharedDevices::Certain && before != after =>
            {
                unless_strangers(Owner::Alone, session)
            }
            (None, Some(person), _) | (None, None, Some(person)) => Owner::Profile(person),
            (None, None, None) => fallback,
        };
        before = session.anchored.or(before);
    }
}

/// The timeline's identifier changes owner at the first event of a session owned otherwise than the session before.
fn spans(graph: &Graph, timeline: NodeId, sessions: &[SessionDecision]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for session in sessions {
        if spans.last().is_none_or(|span| span.owner != session.owner) {
            let from = if spans.is_empty() {
                Timestamp::MIN
            } else {
                session.start
            };
            spans.push(Span {
                from,
                owner: session.owner,
            });
        }
    }
    if spans.is_empty() {
        spans.push(Span {
            from: Timestamp::MIN,
            owner: Owner::Profile(graph.root(timeline)),
        });
    }
    spans
}
