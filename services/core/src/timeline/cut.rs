use super::decide::{Decisions, GAP, SessionDecision};
use super::event::{Activity, Event};
use crate::identity::{NodeId, Rules, SharedDevices};
use crate::time::Timestamp;

/// A place in a timeline from which on it can be decided without the events before, and what must be known of them.
///
/// It holds for a timeline with a single line, whatever events come behind the place later, as long as they are on that line
/// too, and nobody logs in behind one that [is open](Cut::is_open).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// End of the last session before.
    last_end: Option<Timestamp>,
    /// Who logged in last.
    pub(super) before: Option<NodeId>,
    /// Whether a session before would be another's if somebody logged in behind the place.
    is_open: bool,
}

impl Cut {
    /// Whether a session is before it.
    #[must_use]
    pub const fn has_sessions(&self) -> bool {
        self.last_end.is_some()
    }

    /// Whether a session before it would be another's if somebody logged in behind it: then what was decided before stands
    /// only while nobody does.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.is_open
    }

    fn pass(&mut self, session: &SessionDecision, rules: &Rules) {
        self.last_end = Some(session.end);
        match session.anchored {
            Some(person) => (self.before, self.is_open) = (Some(person), false),
            None => {
                self.is_open =
                    self.before.is_none() || rules.shared_devices == SharedDevices::Certain;
            }
        }
    }
}

/// Which of these places, which ascend, are cuts. `events` were decided from `cut` on, and all are on one line.
pub fn cuts(
    rules: &Rules,
    mut cut: Cut,
    events: &[Event<'_>],
    decisions: &Decisions,
    places: impl Iterator<Item = usize>,
) -> impl Iterator<Item = Option<Cut>> {
    let mut sessions = decisions.sessions.iter().peekable();
    places.map(move |place| {
        while let Some(session) = sessions.next_if(|session| (session.events[0] as usize) < place) {
            cut.pass(session, rules);
        }
        let (last, first) = (&events[place - 1], &events[place]);
        // Whatever comes behind the place is of the same or a later time, so it goes on with no session from before it; and
        // where a session begins at the place no passive event behind it belongs to who was before.
        let is_apart = cut
            .last_end
            .is_none_or(|end| first.activity == Activity::Active && first.time.0 - end.0 > GAP);
        (is_apart && last.time < first.time).then_some(cut)
    })
}
