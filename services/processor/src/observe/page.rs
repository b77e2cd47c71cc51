//! A run of a timeline's events, and what was last sent of it.

use serde::{Deserialize, Serialize};
use tributary_core::timeline::Cut;
use uuid::Uuid;

use super::event::{Index, StoredEvent};
use super::listed::Listed;

/// Passive touchpoints of a page that belong to one profile, as last sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SentPassive {
    pub(super) owner: Uuid,
    pub(super) hash: u64,
}

/// What a page holds of a session that begins on a page before it, as last sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SentPart {
    pub(super) session: Uuid,
    pub(super) owner: Uuid,
    pub(super) hash: u64,
}

impl SentPart {
    pub(super) fn is_of_the_same(&self, other: &Self) -> bool {
        (self.session, self.owner) == (other.session, other.owner)
    }
}

/// The place of an event: its page and its place on the page.
pub(super) type Place = (usize, usize);

/// What of the events before a page must be known to decide from there on.
#[derive(Clone, Debug, Default)]
pub(super) struct Begin {
    pub(super) cut: Cut,
    /// The sessions that the cut carries.
    pub(super) sessions: Vec<Carried>,
}

/// A session as far as a page.
#[derive(Clone, Debug)]
pub(super) struct Carried {
    /// Its first event.
    pub(super) first: Place,
    /// Its events on the page that it begins on, by their places there.
    pub(super) here: Vec<Index>,
    pub(super) held: Held,
}

impl Carried {
    /// A session that begins there, without an event.
    pub(super) fn new(first: Place) -> Self {
        Self {
            first,
            here: Vec::new(),
            held: Held::default(),
        }
    }

    pub(super) fn add(&mut self, (page, place): Place, event: &StoredEvent, is_goal: bool) {
        self.held.add(event, is_goal);
        if page == self.first.0 {
            self.here.push(Index::new(place));
        }
    }
}

/// What the events of a session add up to.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    pub(super) events: u32,
    pub(super) views: u32,
    /// Names of goals' events, and how many there are of each.
    pub(super) goal_events: Vec<(Index, u32)>,
}

impl Held {
    /// Adds an event, with its name where that is one of a goal's.
    pub(super) fn add(&mut self, event: &StoredEvent, is_goal: bool) {
        self.events += 1;
        self.views += u32::from(event.view);
        let Some(name) = event.name.filter(|_| is_goal) else {
            return;
        };
        match self
            .goal_events
            .iter_mut()
            .find(|(known, _)| *known == name)
        {
            Some((_, events)) => *events += 1,
            None => self.goal_events.push((name, 1)),
        }
    }
}

/// About how many bytes what is sent of a page has at most, but for one event: well under the 1 MB that a broker takes as a
/// message by default.
const SAID: usize = 128 * 1024;

/// A run of events.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Page {
    pub(super) number: u32,
    pub(super) ids: Vec<Uuid>,
    pub(super) events: Vec<StoredEvent>,
    pub(super) passive: Vec<SentPassive>,
    pub(super) parts: Vec<SentPart>,
    /// Hash of the overrides last sent; 0 for none.
    pub(super) overrides: u64,
    /// Hash of the spans of the timeline's identifier last sent for it; 0 for none. Those of the first page are sent with
    /// whose the identifier is.
    pub(super) spans: u64,
    #[serde(skip)]
    pub(super) dirty: bool,
    /// What of the events before must be known to decide from here on, where that is enough.
    #[serde(skip)]
    pub(super) begin: Option<Box<Begin>>,
}

impl Page {
    /// The place of an id in `ids`.
    pub(super) fn place(&mut self, id: Uuid) -> Index {
        let known = self.ids.iter().rposition(|known| *known == id);
        Index::new(known.unwrap_or_else(|| {
            self.ids.push(id);
            self.ids.len() - 1
        }))
    }

    /// Whether it is full, though it has fewer events than a page has at most.
    pub(super) fn says_much(&self, names: &Listed<String>) -> bool {
        let said = self.events.iter().map(|event| event.said(names));
        self.events.len() > 1 && said.sum::<usize>() >= SAID
    }

    pub(super) fn first(&self) -> (i64, &str) {
        self.events
            .first()
            .map_or((i64::MIN, ""), |event| (event.time, &event.message))
    }
}
