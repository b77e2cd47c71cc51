//! What stitching decides: links, identities, refusals, sessions and overrides.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tributary_core::identifier::Kind;
use tributary_core::identity::Normalisation;
use tributary_core::ids::{ProfileId, SessionId};
use tributary_core::time::Timestamp;
use uuid::Uuid;

use crate::{framing, keys};

super::message!(
    Link = "link",
    Identity = "identity",
    Refusal = "refusal",
    Session = "session",
    Override = "override",
    Operation = "operation",
    StitchingConsent = "stitching_consent",
    Rules = "rules",
);

/// One partition's whole knowledge of one link from one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link<'a> {
    /// The tenant.
    pub workspace: &'a str,
    /// Type of the identifier.
    pub higher_type: &'a str,
    /// Normalised value.
    pub higher_value: &'a str,
    /// Type of the identifier.
    pub lower_type: &'a str,
    /// Normalised value.
    pub lower_value: &'a str,
    /// The source that saw both on one event.
    pub source: &'a str,
    /// Whether an event with both said that its source may link; the rules decide.
    pub may_link: bool,
    /// The partition of the touchpoints that observed it; the only writer.
    pub partition: i32,
    /// Event time of the first event with both.
    pub first_seen: Timestamp,
    /// Its message id.
    pub first_message_id: &'a str,
    /// Last UTC day both were seen on one event, counted from 1970-01-01.
    pub last_day: i32,
}

/// One partition's whole knowledge of an identifier's consent to being stitched; stands on the links log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StitchingConsent<'a> {
    /// The tenant.
    pub workspace: &'a str,
    /// Type.
    pub identifier_type: &'a str,
    /// Normalised value.
    pub identifier_value: &'a str,
    /// The partition of the touchpoints that observed it; the only writer.
    pub partition: i32,
    /// Event time of the latest decision.
    pub decided_at: Timestamp,
    /// Given or refused; of decisions at the same time a refusal.
    pub granted: bool,
}

impl Link<'_> {
    /// The record's key on the links log: what one partition knows of one link from one source.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        keys::joined(&[
            self.workspace,
            self.higher_type,
            self.higher_value,
            self.lower_type,
            self.lower_value,
            self.source,
            &self.partition.to_string(),
        ])
    }
}

impl StitchingConsent<'_> {
    /// The purpose of a touchpoint's consent that speaks of stitching.
    pub const PURPOSE: &'static str = "stitching";

    /// The record's key on the links log.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        keys::joined(&[
            self.workspace,
            "consent",
            self.identifier_type,
            self.identifier_value,
            &self.partition.to_string(),
        ])
    }
}

/// What an operator said of identifiers; stands on the links log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation<'a> {
    /// The tenant.
    pub workspace: &'a str,
    /// Of this entry.
    pub operation_id: Uuid,
    /// What it does.
    pub kind: OperationKind,
    /// Type of the one identifier; of a block empty where the value is blocked for every type; of an undo empty.
    pub first_type: &'a str,
    /// Its normalised value; of an undo empty.
    pub first_value: &'a str,
    /// Type of the other identifier; of a block and an undo empty.
    pub second_type: &'a str,
    /// Its normalised value; of a block and an undo empty.
    pub second_value: &'a str,
    /// Of an undo: the entry that counts no more.
    pub undoes: Option<Uuid>,
    /// When it was entered.
    pub entered_at: Timestamp,
    /// Who entered it.
    pub entered_by: &'a str,
    /// Why; empty where nobody said.
    pub reason: &'a str,
}

/// See the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OperationKind {
    /// `cut`.
    Cut,
    /// `separate`.
    Separate,
    /// `pin`.
    Pin,
    /// `block`.
    Block,
    /// `undo`.
    Undo,
}

impl OperationKind {
    /// Its name, as in the schema.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::Separate => "separate",
            Self::Pin => "pin",
            Self::Block => "block",
            Self::Undo => "undo",
        }
    }
}

impl Operation<'_> {
    /// The record's key on the links log. No two entries share one, so that compaction keeps them all.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        keys::joined(&[self.workspace, "operation", &self.operation_id.to_string()])
    }
}

/// A version of a workspace's rules of identity; stands on the links log, and the newest is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules<'a> {
    /// The tenant.
    pub workspace: &'a str,
    /// Its number, from 1; of two records with one number the first counts.
    pub version: i64,
    /// When a processor that was configured so published it.
    pub published_at: Timestamp,
    /// Whether a device may join two persons.
    pub device_bridges: bool,
    /// Whose a session without a login is on a shared device: the last login's before it, or only theirs who agree.
    pub shared_devices: SharedDevices,
    /// Whether both ends of a link must have agreed to stitching.
    pub consent_required: bool,
    /// An identifier linked to more values of one person type than this joins nobody.
    pub hub: i32,
    /// How many identifiers of a type one profile may hold, as version 1 said it.
    #[serde(borrow)]
    pub limits: BTreeMap<&'a str, i32>,
    /// Values that identify nobody, in lower case, of any type.
    pub blocked_values: Vec<&'a str>,
    /// The same with * for any text, with or without a type before it.
    pub blocked_patterns: Vec<&'a str>,
    /// Sources whose sight of two identifiers makes no link.
    pub sources_without_links: Vec<&'a str>,
    /// The types of identifiers, that of the highest priority first; none are the built-in ones.
    #[serde(default)]
    pub types: Vec<IdentifierTypeRule<'a>>,
    /// Who a session is that no login tells anything of.
    #[serde(default)]
    pub strangers: Strangers,
}

/// What rules say of a type of identifiers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentifierTypeRule<'a> {
    /// The type.
    pub name: &'a str,
    /// What it names.
    pub kind: Kind,
    /// The form into which ingest brings its values.
    pub normalisation: Normalisation,
    /// How many of it one profile may hold.
    pub limit: i32,
    /// Whether one of it that is linked to too many persons joins nobody.
    pub can_be_hub: bool,
}

/// See the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SharedDevices {
    /// `last`.
    Last,
    /// `certain`.
    Certain,
}

/// See the schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strangers {
    /// `device`.
    #[default]
    Device,
    /// `session`.
    Session,
}

impl Strangers {
    /// Its name, as in the schema.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Session => "session",
        }
    }
}

impl SharedDevices {
    /// Its name, as in the schema.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Certain => "certain",
        }
    }
}

impl Rules<'_> {
    /// The record's key on the links log. Compaction keeps every version, and of two with one number both, because the
    /// first counts: so a hash of what it says is part of it.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        let says = Self {
            published_at: Timestamp(0),
            ..self.clone()
        };
        let bytes = framing::encode(&says).unwrap_or_default();
        let hash = xxhash_rust::xxh3::xxh3_64(&bytes);
        keys::joined(&[
            self.workspace,
            "rules",
            &self.version.to_string(),
            &format!("{hash:016x}"),
        ])
    }
}

/// An identifier and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity<'a> {
    /// The tenant.
    pub workspace: &'a str,
    /// Type.
    pub identifier_type: &'a str,
    /// Normalised value.
    pub identifier_value: &'a str,
    /// The profile id that this identifier alone would give; it resolves to the profile that holds the identifier.
    pub own_profile_id: ProfileId,
    /// The profile that holds the identifier; part 0 says it.
    pub profile_id: ProfileId,
    /// Linked to too many persons to join any; part 0 says it.
    pub hub: bool,
    /// Touching spans, of all parts from 1970 to 2299; neighbours differ.
    pub spans: Vec<Span>,
    /// Grows with each change.
    pub revision: i64,
    /// No longer known.
    pub gone: bool,
    /// Spans of an identifier that had many owners come in parts, in no order, each with a key of its own.
    #[serde(default)]
    pub part: i32,
}

/// A half-open span of event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Who it belongs to in this span.
    pub profile_id: ProfileId,
    /// First moment.
    pub valid_from: Timestamp,
    /// First moment after.
    pub valid_to: Timestamp,
}

/// A usable link that joins nobody, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal<'a> {
    /// The tenant.
    pub workspace: &'a str,
    /// Type of the identifier.
    pub higher_type: &'a str,
    /// Normalised value.
    pub higher_value: &'a str,
    /// Type of the identifier.
    pub lower_type: &'a str,
    /// Normalised value.
    pub lower_value: &'a str,
    /// Hub, limit TYPE, separated or device bridge.
    pub reason: &'a str,
    /// Grows with each change.
    pub revision: i64,
    /// No longer refused.
    pub gone: bool,
}

/// A session as known now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session<'a> {
    /// The tenant.
    pub workspace: &'a str,
    /// Session id.
    pub session_id: SessionId,
    /// Whose it is; null for nobody.
    pub profile_id: Option<ProfileId>,
    /// Type of the identifier the event is filed under.
    pub timeline_type: &'a str,
    /// Its normalised value.
    pub timeline_value: &'a str,
    /// Event time of the first touchpoint.
    pub started_at: Timestamp,
    /// Event time of the last touchpoint.
    pub ended_at: Timestamp,
    /// Active touchpoints in it.
    pub touchpoints: i64,
    /// Page and screen views.
    pub views: i64,
    /// Of the first touchpoint.
    pub channel: &'a str,
    /// Of the first touchpoint.
    pub traffic_source: &'a str,
    /// Of the first touchpoint.
    pub campaign: &'a str,
    /// Of the first touchpoint.
    pub store: &'a str,
    /// Of the first touchpoint.
    pub device_type: &'a str,
    /// Of the first touchpoint.
    pub source: &'a str,
    /// Events of each goal.
    #[serde(borrow)]
    pub goals: BTreeMap<&'a str, i64>,
    /// Grows with each change.
    pub revision: i64,
    /// No longer a session (its events are in others).
    pub gone: bool,
}

/// Touchpoints of one page of a timeline that are decided otherwise than when they were received; replaces the page's earlier record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override<'a> {
    /// The tenant.
    pub workspace: &'a str,
    /// Type of the identifier the event is filed under.
    pub timeline_type: &'a str,
    /// Its normalised value.
    pub timeline_value: &'a str,
    /// Number of the timeline's page.
    pub page: i64,
    /// Grows with each change.
    pub revision: i64,
    /// Where the timeline has one line.
    pub ranges: Vec<OverrideRange>,
    /// Passive touchpoints, and where the timeline has several lines.
    #[serde(borrow)]
    pub messages: Vec<OverrideMessage<'a>>,
}

/// All active touchpoints, bots excepted, from one moment to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverrideRange {
    /// First event time.
    pub from: Timestamp,
    /// Last event time.
    pub to: Timestamp,
    /// Session as known now.
    pub session_id: Option<SessionId>,
    /// Profile as known now.
    pub profile_id: Option<ProfileId>,
}

/// One touchpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverrideMessage<'a> {
    /// Message id.
    pub message_id: &'a str,
    /// Session as known now.
    pub session_id: Option<SessionId>,
    /// Profile as known now.
    pub profile_id: Option<ProfileId>,
}
