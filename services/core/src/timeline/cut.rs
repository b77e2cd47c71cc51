use super::decide::{Decisions, SessionDecision};
use super::event::Event;
use crate::identity::{NodeId, Rules, SharedDevices};
use crate::time::Timestamp;

/// A place in a timeline from which on it can be decided without the events before, and what must be known of them.
///
/// It holds for a timeline with a single line, whatever events come behind the place later, as long as they are on that line
/// too, and what is decided from there on [does not reach](Cut::is_overtaken) before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// The last session before, which may go on behind the place.
    pub(super) open: Option<Open>,
    /// Who logged in last before that session.
    pub(super) before: Option<NodeId>,
    /// Whether a session before would be another's if somebody logged in behind the place.
    is_open: bool,
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
    /// The session as far as the place; of one that was begun before the first of the events, what `carried` says of it.
    fn until(
        place: usize,
        session: &SessionDecision,
        events: &[Event<'_>],
        carried: Option<Self>,
    ) -> Self {
        let carried = carried.filter(|_| session.events[0] == 0);
        let passed = session
            .events
            .partition_point(|event| (*event as usize) < place);
        let end = match (session.events[passed - 1], carried) {
            (0, Some(carried)) => carried.end,
            (last, _) => events[last as usize].time,
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
    /// Whether a session is before it. The first event of the last of these stands before those behind the place wherever
    /// they are decided from it.
    #[must_use]
    pub const fn has_sessions(&self) -> bool {
        self.open.is_some()
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
        let mut sessions = decisions.sessions.iter();
        is_claimed || (self.is_open && sessions.any(|session| session.anchored.is_some()))
    }
}

/// Which of these places, which ascend, are cuts. `events` were decided from `cut` on, and all are on one line.
pub fn cuts(
    rules: &Rules,
    cut: Cut,
    events: &[Event<'_>],
    decisions: &Decisions,
    places: impl Iterator<Item = usize>,
) -> impl Iterator<Item = Option<Cut>> {
    let mut sessions = decisions.sessions.iter().peekable();
    let mut before = cut.before;
    let mut last: Option<&SessionDecision> = None;
    places.map(move |place| {
        while let Some(session) = sessions.next_if(|session| (session.events[0] as usize) < place) {
            let closed = last.replace(session);
            before = closed.and_then(|closed| closed.anchored).or(before);
        }
        let open = last.map(|session| Open::until(place, session, events, cut.open));
        let is_open = open.is_some_and(|open| {
            let certain = rules.shared_devices == SharedDevices::Certain;
            open.anchored.is_none() && (before.is_none() || certain)
        });
        // Whatever comes behind the place is of the same or a later time, so it is not cut apart from what is before it.
        let is_apart = events[place - 1].time < events[place].time;
        is_apart.then_some(Cut {
            open,
            before,
            is_open,
        })
    })
}
