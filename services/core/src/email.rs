//! An e-mail to one recipient, decided from the set of everything that happened to it.

use serde::{Deserialize, Serialize};

use crate::place::Place;
use crate::time::Timestamp;

/// What one event says of a message to a recipient. A message determines its claim, but for whom it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim<'a> {
    /// What happened.
    pub kind: Kind,
    /// Event time.
    pub occurred_at: Timestamp,
    /// Message id of the event.
    pub message_id: &'a str,
    /// Type and value of the timeline; with the message id it names the claim.
    pub timeline: (&'a str, &'a str),
}

/// What happened to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It was sent.
    Sent,
    /// It was delivered.
    Delivered,
    /// It came back.
    Bounced,
    /// It was opened.
    Opened,
    /// A mail client opened it before anybody looked at it (Apple Mail Privacy Protection).
    Prefetched,
    /// A link in it was followed.
    Clicked,
    /// Its recipient wants no more of them.
    Unsubscribed,
}

/// What became of a message. One that came back has neither opens nor clicks, whatever was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// It did not come back.
    pub delivered: bool,
    /// It was opened, or a link in it followed.
    pub opened: bool,
    /// All of its opens were a mail client's own, and no link was followed.
    pub prefetched: bool,
    /// A link in it was followed.
    pub clicked: bool,
    /// Its recipient wants no more of them.
    pub unsubscribed: bool,
}

impl Outcome {
    /// Whether it counts as opened, where opens that are only a mail client's own do or do not.
    #[must_use]
    pub const fn is_opened(self, prefetched_opens: bool) -> bool {
        self.opened && (prefetched_opens || !self.prefetched)
    }
}

/// What was said of a message to one recipient. The order in which it was said does not matter, nor how often.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// The first that says it was sent.
    sent: Option<Place>,
    /// The first that says it was delivered or came back.
    arrived: Option<Place>,
    bounced: bool,
    opened: bool,
    prefetched: bool,
    clicked: bool,
    unsubscribed: bool,
}

impl Tally {
    /// Counts a claim.
    pub fn count(&mut self, claim: &Claim<'_>) {
        match claim.kind {
            Kind::Sent => claim.comes_first(&mut self.sent),
            Kind::Delivered => claim.comes_first(&mut self.arrived),
            Kind::Bounced => {
                self.bounced = true;
                claim.comes_first(&mut self.arrived);
            }
            Kind::Opened => self.opened = true,
            Kind::Prefetched => self.prefetched = true,
            Kind::Clicked => self.clicked = true,
            Kind::Unsubscribed => self.unsubscribed = true,
        }
    }

    /// The event that says when the message was sent, and what became of it, once one says that it went out: the first that
    /// it was sent, or where none says so, as of mail providers that do not report it, the first that it was delivered or
    /// came back.
    #[must_use]
    pub fn email(&self) -> Option<(&Place, Outcome)> {
        let sent = self.sent.as_ref().or(self.arrived.as_ref())?;
        let delivered = !self.bounced;
        let seen = self.opened || self.clicked;
        let opened = delivered && (seen || self.prefetched);
        Some((
            sent,
            Outcome {
                delivered,
                opened,
                prefetched: opened && !seen,
                clicked: delivered && self.clicked,
                unsubscribed: delivered && self.unsubscribed,
            },
        ))
    }
}

impl Claim<'_> {
    fn comes_first(&self, first: &mut Option<Place>) {
        let place = Place {
            occurred_at: self.occurred_at,
            message_id: self.message_id.into(),
            timeline: (self.timeline.0.into(), self.timeline.1.into()),
        };
        if first.as_ref().is_none_or(|first| place < *first) {
            *first = Some(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(kind: Kind, at: i64, message_id: &str) -> Claim<'_> {
        Claim {
            kind,
            occurred_at: Timestamp(at),
            message_id,
            timeline: ("email", "ann@example.com"),
        }
    }

    fn tally(claims: &[Claim<'_>]) -> Tally {
        let mut tally = Tally::default();
        claims.iter().for_each(|claim| tally.count(claim));
        tally
    }

    fn outcome(kinds: &[Kind]) -> Option<Outcome> {
        let claims: Vec<Claim<'_>> = kinds.iter().map(|kind| claim(*kind, 1, "m")).collect();
        tally(&claims).email().map(|(_, outcome)| outcome)
    }

    #[test]
    fn a_message_that_nobody_sent_is_none() {
        assert_eq!(outcome(&[]), None);
        assert_eq!(
            outcome(&[Kind::Opened, Kind::Clicked, Kind::Unsubscribed]),
            None
        );
    }

    #[test]
    fn the_first_word_of_its_sending_says_when_it_was_sent() {
        let claims = [
            claim(Kind::Delivered, 1, "d"),
            claim(Kind::Sent, 3, "b"),
            claim(Kind::Sent, 3, "a"),
            claim(Kind::Sent, 4, "c"),
        ];
        let sent = |claims: &[Claim<'_>]| {
            let tally = tally(claims);
            let (sent, _) = tally.email().expect("sent");
            sent.message_id.to_string()
        };
        assert_eq!(sent(&claims), "a");
        let unsaid = [
            claim(Kind::Opened, 0, "o"),
            claim(Kind::Bounced, 2, "b"),
            claims[0],
        ];
        assert_eq!(sent(&unsaid), "d");
    }

    #[test]
    fn a_click_is_an_open_and_what_came_back_has_neither() {
        let delivered = Outcome {
            delivered: true,
            ..Outcome::default()
        };
        assert_eq!(outcome(&[Kind::Sent]), Some(delivered));
        let read = Outcome {
            opened: true,
            ..delivered
        };
        assert_eq!(
            outcome(&[Kind::Sent, Kind::Opened, Kind::Opened]),
            Some(read)
        );
        let prefetched = Outcome {
            prefetched: true,
            ..read
        };
        assert_eq!(outcome(&[Kind::Prefetched, Kind::Sent]), Some(prefetched));
        let clicked = Outcome {
            clicked: true,
            ..read
        };
        assert_eq!(
            outcome(&[Kind::Prefetched, Kind::Sent, Kind::Clicked]),
            Some(clicked)
        );
        let all = [
            Kind::Sent,
            Kind::Bounced,
            Kind::Opened,
            Kind::Clicked,
            Kind::Unsubscribed,
        ];
        assert_eq!(outcome(&all), Some(Outcome::default()));
    }
}
