use super::decide::{Decisions, GAP, SessionDecision};
use super::event::Event;
use super::line::LineKey;
use crate::identity::{NodeId, Rules, SharedDevices};
use crate::time::Timestamp;

/// More sessions of other lines than these are not carried over a place: then it is no cut.
const MOST_OTHERS: usize = 64;

/// A place in a timeline from which on it can be decided without the events before, and what must be known of them.
///
/// It holds whatever events come behind the place later, as long as what is decided from there on
/// [does not reach](Cut::is_overtaken) before it. On other lines than the timeline's own nothing does: a session there is
/// of who logged in in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// The last session before on the timeline's own line, which may go on behind the place.
    pub(super) open: Option<Open>,
    /// Who logged in last before that session.
    pub(super) before: Option<NodeId>,
    /// Whether a session before would be another's if somebody logged in behind the place.
    is_open: bool,
    /// Sessions on other lines that may go on, each with whose line it is, in order of lines.
    pub(super) others: Vec<(NodeId, Open)>,
}

/// A session as far as a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) start: Timestamp,
    /// Time of its last event before the place.
    pub(super) end: Timestamp,
    /// Who logged in in it before the place.
    pub(super) anchored: Option<NodeId>,
}

impl Open {
    /// The session as far as the place; of one that was begun before the first of the events, what the cut says of it.
    fn until(place: usize, session: &SessionDecision, events: &[Event<'_>], cut: &Cut) -> Self {
        let carried = cut.session(session.events[0]);
        let passed = session
            .events
            .partition_point(|event| (*event as usize) < place);
        let end = match carried {
            Some(carried) if passed == 1 => carried.end,
            _ => events[session.events[passed - 1] as usize].time,
        };
        let is_anchored = session
            .anchored_at
            .is_some_and(|anchor| (anchor as usize) < place);
        Self {
            start: session.start,
            end,
            anchored: session.anchored.filter(|_| is_anchored),
        }
    }
}

impl Cut {
    /// How many sessions are carried over it. Their first events stand before those behind the place wherever they are
    /// decided from it: that of the timeline's own line, where one [is before](Self::has_own), and those of the other lines.
    #[must_use]
    pub fn carried(&self) -> usize {
        usize::from(self.has_own()) + self.others.len()
    }

    /// Whether a session of the timeline's own line is before it.
    #[must_use]
    pub const fn has_own(&self) -> bool {
        self.open.is_some()
    }

    /// What is known of the session whose first event has that index.
    fn session(&self, first: u32) -> Option<&Open> {
        let others = self.others.iter().map(|(_, open)| open);
        self.open.iter().chain(others).nth(first as usize)
    }

    /// Whether a session before it would be another's if somebody logged in behind it.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether the session that may go on behind both is the same.
    #[must_use]
    pub fn shares_session(&self, other: &Self) -> bool {
        let starts = [self, other].map(|cut| cut.open.map(|open| open.start));
        starts[0].is_some() && starts[0] == starts[1]
    }

    /// Whether what was decided from here on makes what was decided before it wrong: somebody logged in in the session that
    /// goes on, or behind sessions in which nobody had.
    #[must_use]
    pub fn is_overtaken(&self, decisions: &Decisions) -> bool {
        let Some(open) = &self.open else {
            return false;
        };
        let goes_on = &decisions.sessions[0];
        let is_claimed = open.anchored.is_none() && goes_on.anchored.is_some();
        let sessions = decisions.sessions.iter();
        let mut own = sessions.take_while(|session| session.line == LineKey::Own);
        is_claimed || (self.is_open && own.any(|session| session.anchored.is_some()))
    }
}

/// Which of these places, which ascend, are cuts, each with the numbers of the sessions that it carries. `events` were
/// decided from `cut` on, of a timeline that [can be cut](Decisions::can_be_cut).
pub fn cuts(
    rules: &Rules,
    cut: &Cut,
    events: &[Event<'_>],
    decisions: &Decisions,
    places: impl Iterator<Item = usize>,
) -> impl Iterator<Item = Option<(Cut, Vec<u32>)>> {
    let sessions = (0_u32..).zip(&decisions.sessions);
    let (own, mut others): (Vec<Numbered<'_>>, Vec<Numbered<'_>>) =
        sessions.partition(|(_, session)| session.line == LineKey::Own);
    others.sort_by_key(|(_, session)| session.events[0]);
    let (mut own, mut others) = (own.into_iter().peekable(), others.into_iter().peekable());
    let mut before = cut.before;
    let mut last: Option<Numbered<'_>> = None;
    // Of other lines, by the session's number, which is in order of lines. One a line: the next begins when it cannot go on.
    let mut beside: Vec<(u32, NodeId, &SessionDecision)> = Vec::new();
    places.map(move |place| {
        let begins_before = |(_, session): &Numbered<'_>| (session.events[0] as usize) < place;
        while let Some(session) = own.next_if(begins_before) {
            let closed = last.replace(session);
            let anchored = closed.and_then(|(_, closed)| closed.anchored);
            before = anchored.or(before);
        }
        while let Some((number, session)) = others.next_if(begins_before) {
            let LineKey::Other(node) = session.line else {
                continue;
            };
            let behind = beside.partition_point(|(before, ..)| *before < number);
            beside.insert(behind, (number, node, session));
        }
        let time = events[place].time;
        let mut carried: Vec<u32> = last.iter().map(|(number, _)| *number).collect();
        let open = last.map(|(_, session)| Open::until(place, session, events, cut));
        let is_open = open.is_some_and(|open| {
            let certain = rules.shared_devices == SharedDevices::Certain;
            open.anchored.is_none() && (before.is_none() || certain)
        });
        let mut going_on = Vec::new();
        beside.retain(|(number, node, session)| {
            let open = Open::until(place, session, events, cut);
            let goes_on = time.0 - open.end.0 <= GAP;
            if goes_on {
                carried.push(*number);
                going_on.push((*node, open));
            }
            goes_on
        });
        // Whatever comes behind the place is of the same or a later time, so it is not cut apart from what is before it.
        let is_apart = events[place - 1].time < time;
        let cut = Cut {
            open,
            before,
            is_open,
            others: going_on,
        };
        (is_apart && cut.others.len() <= MOST_OTHERS).then_some((cut, carried))
    })
}

/// A session with its number.
type Numbered<'d> = (u32, &'d SessionDecision);
