//! The values of every topic, borrowed from their message where they are text. Fields stand in the order of their
//! schema in schemas/avro, which documents each.

mod kpi;
mod order;
mod profile;
mod state;
mod stitching;
mod touchpoint;

pub use kpi::{Alert, Change, Contribution, KpiBlock};
pub use order::{Claim, ClaimKind, EmailClaim, EmailClaimKind, OrderState, ProductAmount};
pub use profile::{
    AnswerGiven, Atom, AtomBody, BrandMentioned, ChannelActivity, EmailAtom, Emails, GoalMinutes,
    IdentifierAtom, LastAnswer, LeadMade, MinuteRun, Moment, OrderAtom, PassiveAtom, PointsMoved,
    ProductSold, Profile, ProfileConsent, ProfileIdentifier, Provenance, RefundAtom, Said,
    SessionAtom, SessionPartAtom, Since, SocialReported, SourceAtom, SpendReported, Spending,
    Trait,
};
pub use state::State;
pub use stitching::{
    IdentifierTypeRule, Identity, Link, Operation, OperationKind, Override, OverrideMessage,
    OverrideRange, Refusal, Rules, Session, SharedDevices, Span, StitchingConsent, Strangers,
};
pub use touchpoint::{
    Activity, Answer, Campaign, Consent, DeadLetter, Identifier, Order, OrderKind, OrderLine,
    ResolvedTouchpoint, Subject, Touchpoint, identifier_flags,
};

/// States which schema a struct is of.
macro_rules! message {
    ($($name:ident = $schema:literal),* $(,)?) => {
        $(impl crate::framing::Message for $name<'_> {
            const SCHEMA: &'static str = $schema;
        })*
    };
}
use message;
