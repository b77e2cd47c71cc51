//! An e-mail to one recipient, decided from the set of everything that happened to it.

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

/// A message to one recipient, counted once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Email {
    /// Place in the claims of the one that says when it was sent.
    pub sent: usize,
    /// What became of it.
    pub outcome: Outcome,
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

/// The message that these claims make, once one says that it went out: the first that it was sent, or where none says so,
/// as of mail providers that do not report it, the first that it was delivered or came back. A function of the set: the
/// order of the slice does not matter, and a claim that is in it twice counts once.
#[must_use]
pub fn decide(claims: &[Claim<'_>]) -> Option<Email> {
    let first = |is: fn(Kind) -> bool| {
        let of_kind = claims
            .iter()
            .enumerate()
            .filter(|(_, claim)| is(claim.kind));
        of_kind.min_by_key(|(_, claim)| (claim.occurred_at, claim.message_id, claim.timeline))
    };
    let (sent, _) = first(|kind| kind == Kind::Sent)
        .or_else(|| first(|kind| matches!(kind, Kind::Delivered | Kind::Bounced)))?;
    let any = |kind: Kind| claims.iter().any(|claim| claim.kind == kind);
    let delivered = !any(Kind::Bounced);
    let seen = any(Kind::Opened) || any(Kind::Clicked);
    let opened = seen || any(Kind::Prefetched);
    Some(Email {
        sent,
        outcome: Outcome {
            delivered,
            opened: delivered && opened,
            prefetched: delivered && opened && !seen,
            clicked: delivered && any(Kind::Clicked),
            unsubscribed: delivered && any(Kind::Unsubscribed),
        },
    })
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

    fn outcome(kinds: &[Kind]) -> Option<Outcome> {
        let claims: Vec<Claim<'_>> = kinds.iter().map(|kind| claim(*kind, 1, "m")).collect();
        decide(&claims).map(|email| email.outcome)
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
        assert_eq!(decide(&claims).expect("sent").sent, 2);
        let unsaid = [
            claim(Kind::Opened, 0, "o"),
            claim(Kind::Bounced, 2, "b"),
            claims[0],
        ];
        assert_eq!(decide(&unsaid).expect("sent").sent, 2);
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
