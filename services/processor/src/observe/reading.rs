//! What this stage reads of a touchpoint; the rest of its bytes pass through untouched.

use serde::Deserialize;
use tributary_contracts::framing::Message;
use tributary_contracts::wire::{Activity, Order, Subject};
use tributary_core::identifier::{Identifier, IdentifierType};
use tributary_core::time::Timestamp;
use xxhash_rust::xxh3::Xxh3Default;

use crate::runtime::stage::Poison;

/// The fields of a touchpoint that decide something here.
#[derive(Debug, Deserialize)]
pub(super) struct Reading<'a> {
    pub(super) workspace: &'a str,
    pub(super) message_id: &'a str,
    pub(super) r#type: &'a str,
    pub(super) event: &'a str,
    pub(super) channel: &'a str,
    pub(super) source: &'a str,
    pub(super) order_namespace: &'a str,
    pub(super) subject: Subject,
    pub(super) activity: Activity,
    pub(super) bot: bool,
    pub(super) may_link: bool,
    pub(super) occurred_at: Timestamp,
    pub(super) original_timestamp: Option<Timestamp>,
    pub(super) timeline_type: &'a str,
    pub(super) timeline_value: &'a str,
    #[serde(borrow)]
    pub(super) identifiers: Vec<ReadIdentifier<'a>>,
    pub(super) device_type: &'a str,
    pub(super) store: &'a str,
    pub(super) traffic_source: &'a str,
    #[serde(borrow)]
    pub(super) campaign: ReadCampaign<'a>,
    #[serde(borrow)]
    pub(super) order: Option<Order<'a>>,
    pub(super) traits: &'a str,
    pub(super) properties: &'a str,
}

#[derive(Debug, Deserialize)]
pub(super) struct ReadIdentifier<'a> {
    pub(super) r#type: &'a str,
    pub(super) value: &'a str,
}

#[derive(Debug, Deserialize)]
pub(super) struct ReadCampaign<'a> {
    pub(super) name: &'a str,
}

impl Message for Reading<'_> {
    const SCHEMA: &'static str = "touchpoint";
}

impl Reading<'_> {
    /// Whether the event has a customer: bots and events of a source have none.
    pub(super) fn has_customer(&self) -> bool {
        !self.bot && self.subject == Subject::Customer
    }

    /// The identifiers, highest first, without those that ingest left out.
    pub(super) fn identifiers(&self) -> Result<Vec<Identifier>, Poison> {
        let mut identifiers = Vec::with_capacity(self.identifiers.len());
        for read in self
            .identifiers
            .iter()
            .filter(|read| !read.value.is_empty())
        {
            identifiers.push(Identifier::new(identifier_type(read.r#type)?, read.value));
        }
        identifiers.sort();
        identifiers.dedup();
        Ok(identifiers)
    }

    /// The identifier under which the event is filed.
    pub(super) fn timeline(&self) -> Result<Identifier, Poison> {
        Ok(Identifier::new(
            identifier_type(self.timeline_type)?,
            self.timeline_value,
        ))
    }

    /// A stable hash of what a message id stands for: what the sender said, not when or through what it arrived, so
    /// that a retry is the same message.
    pub(super) fn content(&self) -> u64 {
        let mut hash = Xxh3Default::new();
        let mut add = |text: &str| {
            hash.update(text.as_bytes());
            hash.update(&[0]);
        };
        for text in [
            self.r#type,
            self.event,
            self.source,
            self.traits,
            self.properties,
        ] {
            add(text);
        }
        for identifier in &self.identifiers {
            add(identifier.r#type);
            add(identifier.value);
        }
        hash.update(
            &self
                .original_timestamp
                .map_or(i64::MIN, |time| time.0)
                .to_le_bytes(),
        );
        hash.digest()
    }
}

fn identifier_type(name: &str) -> Result<IdentifierType, Poison> {
    IdentifierType::named(name).ok_or_else(|| Poison {
        reason: "unknown_identifier_type",
        detail: format!("identifier type {name} is none of this version's: upgrade the processor, or mend the sender"),
    })
}
