//! The messages of this stage, with their keys and partitions.

use serde::Serialize;
use tributary_contracts::framing::{Encoder, Message};
use tributary_contracts::keys;
use tributary_contracts::wire::{
    Atom, AtomBody, Claim, Contribution, EmailClaim, Identity, Link, Override, Refusal,
    ResolvedTouchpoint, Rules, Session, State, StitchingConsent,
};
use tributary_core::ids::{ProfileId, SessionId};
use tributary_core::kpi::Dimension;

use super::{mail, stored};
use crate::runtime::stage::{Broken, Outputs};

/// Encoders of all that this stage sends, and the buffers they share.
pub(super) struct Encoders {
    link: Encoder,
    consent: Encoder,
    rules: Encoder,
    session: Encoder,
    identity: Encoder,
    refusal: Encoder,
    r#override: Encoder,
    claim: Encoder,
    email_claim: Encoder,
    contribution: Encoder,
    atom: Encoder,
    state: Encoder,
    buffer: Vec<u8>,
    /// A record of the store before it is framed.
    body: Vec<u8>,
}

impl Default for Encoders {
    fn default() -> Self {
        Self {
            link: Encoder::new(Link::SCHEMA),
            consent: Encoder::new(StitchingConsent::SCHEMA),
            rules: Encoder::new(Rules::SCHEMA),
            session: Encoder::new(Session::SCHEMA),
            identity: Encoder::new(Identity::SCHEMA),
            refusal: Encoder::new(Refusal::SCHEMA),
            r#override: Encoder::new(Override::SCHEMA),
            claim: Encoder::new(Claim::SCHEMA),
            email_claim: Encoder::new(EmailClaim::SCHEMA),
            contribution: Encoder::new(Contribution::SCHEMA),
            atom: Encoder::new(Atom::SCHEMA),
            state: Encoder::new(State::SCHEMA),
            buffer: Vec::new(),
            body: Vec::new(),
        }
    }
}

/// One flush's way out.
pub(super) struct Sending<'a> {
    pub(super) outputs: &'a mut dyn Outputs,
    pub(super) encoders: &'a mut Encoders,
    pub(super) revision: i64,
    pub(super) rules_version: i64,
    pub(super) links_offset: i64,
}

macro_rules! send {
    ($sending:ident, $encoder:ident, $topic:literal, $partition:expr, $key:expr, $message:expr) => {{
        let Encoders {
            $encoder: encoder,
            buffer,
            ..
        } = &mut *$sending.encoders;
        buffer.clear();
        encoder.encode($message, buffer).map_err(|error| {
            Broken(format!(
                concat!("a message for ", $topic, " does not fit: {}"),
                error
            ))
        })?;
        $sending.outputs.send($topic, $partition, $key, buffer)
    }};
}

impl Sending<'_> {
    pub(super) fn link(&mut self, link: &Link<'_>) -> Result<(), Broken> {
        send!(self, link, "links", 0, &link.key(), link)
    }

    /// Publishes a version of the rules.
    pub(super) fn rules(&mut self, rules: &Rules<'_>) -> Result<(), Broken> {
        send!(self, rules, "links", 0, &rules.key(), rules)
    }

    pub(super) fn consent(&mut self, consent: &StitchingConsent<'_>) -> Result<(), Broken> {
        send!(self, consent, "links", 0, &consent.key(), consent)
    }

    pub(super) fn resolved(
        &mut self,
        partition: i32,
        key: &[u8],
        session: Option<SessionId>,
        profile: Option<ProfileId>,
        touchpoint: &[u8],
    ) -> Result<(), Broken> {
        let buffer = &mut self.encoders.buffer;
        buffer.clear();
        ResolvedTouchpoint::frame(session, profile, self.links_offset, touchpoint, buffer)
            .map_err(|error| Broken(format!("a touchpoint {error}")))?;
        let partition = partition % self.outputs.partitions("resolved") as i32;
        self.outputs.send("resolved", partition, key, buffer)
    }

    pub(super) fn session(&mut self, partition: i32, session: &Session<'_>) -> Result<(), Broken> {
        let partition = partition % self.outputs.partitions("sessions") as i32;
        let key = keys::joined(&[session.workspace, &session.session_id.to_string()]);
        send!(self, session, "sessions", partition, &key, session)
    }

    pub(super) fn overrides(
        &mut self,
        partition: i32,
        overrides: &Override<'_>,
    ) -> Result<(), Broken> {
        let partition = partition % self.outputs.partitions("overrides") as i32;
        let page = overrides.page.to_string();
        let key = keys::joined(&[
            overrides.workspace,
            overrides.timeline_type,
            overrides.timeline_value,
            &page,
        ]);
        send!(self, r#override, "overrides", partition, &key, overrides)
    }

    pub(super) fn claim(&mut self, claim: &Claim<'_>) -> Result<(), Broken> {
        let key = keys::joined(&[claim.workspace, claim.order_namespace, claim.order_id]);
        let partition = keys::partition(&key, self.outputs.partitions("claims"));
        send!(self, claim, "claims", partition, &key, claim)
    }

    pub(super) fn email_claim(&mut self, claim: &EmailClaim<'_>) -> Result<(), Broken> {
        let key = mail::key(claim);
        let partition = keys::partition(&key, self.outputs.partitions("claims"));
        send!(self, email_claim, "claims", partition, &key, claim)
    }

    /// Tells every partition of the kpi stage that a dimension has this value.
    pub(super) fn value(
        &mut self,
        workspace: &str,
        dimension: Dimension,
        value: &str,
    ) -> Result<(), Broken> {
        let contribution = Contribution {
            workspace,
            kpi: "",
            currency: "",
            dimension: dimension.name(),
            dimension_value: value,
            changes: Vec::new(),
        };
        let key = keys::joined(&[workspace, "", "", dimension.name(), value]);
        for partition in 0..self.outputs.partitions("contributions") as i32 {
            send!(
                self,
                contribution,
                "contributions",
                partition,
                &key,
                &contribution
            )?;
        }
        Ok(())
    }

    pub(super) fn identity(&mut self, identity: &Identity<'_>) -> Result<(), Broken> {
        let mut key = keys::timeline(
            identity.workspace,
            identity.identifier_type,
            identity.identifier_value,
        );
        let partition = keys::partition(&key, self.outputs.partitions("identities"));
        if identity.part > 0 {
            key.push(0);
            key.extend_from_slice(identity.part.to_string().as_bytes());
        }
        send!(self, identity, "identities", partition, &key, identity)
    }

    pub(super) fn refusal(&mut self, refusal: &Refusal<'_>) -> Result<(), Broken> {
        let filed = keys::timeline(refusal.workspace, refusal.higher_type, refusal.higher_value);
        let partition = keys::partition(&filed, self.outputs.partitions("refusals"));
        let key = keys::joined(&[
            refusal.workspace,
            refusal.higher_type,
            refusal.higher_value,
            refusal.lower_type,
            refusal.lower_value,
        ]);
        send!(self, refusal, "refusals", partition, &key, refusal)
    }

    /// Gives an atom to a profile, or with no body takes it from it.
    pub(super) fn atom(
        &mut self,
        workspace: &str,
        owner: ProfileId,
        id: &str,
        body: Option<AtomBody<'_>>,
    ) -> Result<(), Broken> {
        let profile = owner.to_string();
        let key = keys::joined(&[workspace, &profile, id]);
        let filed = &key[..workspace.len() + 1 + profile.len()];
        let partition = keys::partition(filed, self.outputs.partitions("atoms"));
        let atom = Atom {
            workspace,
            profile_id: owner,
            atom_id: id,
            revision: self.revision,
            body,
        };
        send!(self, atom, "atoms", partition, &key, &atom)
    }

    /// Writes a record of the store, or deletes it.
    pub(super) fn put<T: Serialize>(
        &mut self,
        partition: i32,
        key: &[u8],
        record: Option<&T>,
    ) -> Result<(), Broken> {
        let Some(record) = record else {
            return self.outputs.put(partition, key, None);
        };
        let Encoders {
            state,
            buffer,
            body,
            ..
        } = &mut *self.encoders;
        body.clear();
        *body = stored::encode(record, std::mem::take(body));
        buffer.clear();
        let framed = State {
            revision: self.revision,
            rules_version: self.rules_version,
            links_offset: self.links_offset,
            body,
        };
        state
            .encode(&framed, buffer)
            .map_err(|error| Broken(format!("a record of the state does not fit: {error}")))?;
        self.outputs.put(partition, key, Some(buffer))
    }
}
