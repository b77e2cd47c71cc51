//! E-mails: one to a recipient, however often it is opened.

use serde::{Deserialize, Serialize};
use tributary_contracts::wire::{Atom, AtomBody, EmailAtom, EmailClaim, EmailClaimKind};
use tributary_core::email::{Claim, Kind, Outcome, Tally};

use crate::runtime::stage::{Broken, Outputs};
use crate::state_record::StateEncoder;

use super::atoms::Atoms;
use super::{Claimed, read};

/// What others know of an e-mail, and what follows from all its claims so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Emitted {
    /// Of the messages; 0 where nothing was ever sent.
    revision: i64,
    /// The framed [`Atom`] of its owner, with revision 0.
    atom: Option<Vec<u8>>,
    tally: Tally,
}

/// Decides e-mails.
#[derive(Debug)]
pub(super) struct Emails {
    atoms: Atoms,
}

impl Emails {
    pub(super) fn new() -> Self {
        Self {
            atoms: Atoms::new(),
        }
    }

    pub(super) fn decide(
        &mut self,
        claimed: &Claimed,
        state: &mut StateEncoder,
        outputs: &mut dyn Outputs,
    ) -> Result<(), Broken> {
        let stored: Option<Emitted> = claimed.emitted()?;
        let is_new = stored.is_none();
        let before = stored.unwrap_or_default();
        let mut tally = Tally::default();
        let all;
        let claims = match claimed.is_appended {
            true => {
                tally.clone_from(&before.tally);
                &claimed.new
            }
            false => {
                all = claimed.all(outputs)?;
                &all
            }
        };
        for claim in claims {
            tally.count(&core_claim(&read(claim)?));
        }
        let atom = match tally.email() {
            Some((place, outcome)) => Some(self.atom(&claimed.at(place, outputs)?, outcome)?),
            None => None,
        };
        let now = Emitted {
            revision: before.revision + i64::from(atom != before.atom),
            atom,
            tally,
        };
        self.atoms.send_change(
            before.atom.as_deref(),
            now.atom.as_deref(),
            now.revision,
            outputs,
        )?;
        if now != before || is_new {
            claimed.put(&now, now.revision, state, outputs)?;
        }
        Ok(())
    }

    /// What others should know of an e-mail, of which that claim says when it was sent.
    fn atom(&mut self, sent: &[u8], outcome: Outcome) -> Result<Vec<u8>, Broken> {
        let sent: EmailClaim<'_> = read(sent)?;
        let owner = sent
            .profile_id
            .ok_or_else(|| Broken("an e-mail without owner was decided".to_owned()))?;
        let recipient = [sent.recipient_type, sent.recipient_value];
        let atom_id = ["email", sent.email_id, recipient[0], recipient[1]].join("\u{1}");
        self.atoms.encode(&Atom {
            workspace: sent.workspace,
            profile_id: owner,
            atom_id: &atom_id,
            revision: 0,
            body: Some(AtomBody::EmailAtom(EmailAtom {
                sent_at: sent.occurred_at,
                campaign: sent.campaign,
                delivered: outcome.delivered,
                opened: outcome.opened,
                prefetched: outcome.prefetched,
                clicked: outcome.clicked,
                unsubscribed: outcome.unsubscribed,
            })),
        })
    }
}

fn core_claim<'a>(claim: &EmailClaim<'a>) -> Claim<'a> {
    Claim {
        kind: match claim.kind {
            EmailClaimKind::Sent => Kind::Sent,
            EmailClaimKind::Delivered => Kind::Delivered,
            EmailClaimKind::Bounced => Kind::Bounced,
            EmailClaimKind::Opened => Kind::Opened,
            EmailClaimKind::Prefetched => Kind::Prefetched,
            EmailClaimKind::Clicked => Kind::Clicked,
            EmailClaimKind::Unsubscribed => Kind::Unsubscribed,
        },
        occurred_at: claim.occurred_at,
        message_id: claim.message_id,
        timeline: (claim.timeline_type, claim.timeline_value),
    }
}
