//! What is read of `context` and `traits`. Everything else in them is kept as it is, unread.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::lenient::{List, Object, Text};

/// The parts of `context` that mean something to us, by Segment's names; `store` and `subject` are ours.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Context<'a> {
    #[serde(borrow)]
    pub(crate) ip: Option<&'a RawValue>,
    #[serde(borrow, rename = "userAgent")]
    pub(crate) user_agent: Text<'a>,
    #[serde(borrow)]
    pub(crate) library: Object<Library<'a>>,
    #[serde(borrow)]
    pub(crate) device: Object<Device<'a>>,
    #[serde(borrow)]
    pub(crate) traits: Object<Contact<'a>>,
    #[serde(borrow, rename = "externalIds")]
    pub(crate) external_ids: List<ExternalId<'a>>,
    #[serde(borrow)]
    pub(crate) campaign: Object<Campaign<'a>>,
    #[serde(borrow)]
    pub(crate) page: Object<Page<'a>>,
    #[serde(borrow)]
    pub(crate) consent: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) store: Option<&'a RawValue>,
    /// `source`: the event speaks of its source (spend, followers), not of a customer.
    #[serde(borrow)]
    pub(crate) subject: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Library<'a> {
    #[serde(borrow)]
    pub(crate) name: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Device<'a> {
    #[serde(borrow)]
    pub(crate) id: Option<Text<'a>>,
    #[serde(borrow, rename = "advertisingId")]
    pub(crate) advertising_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) token: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) r#type: Text<'a>,
}

/// How a person is reached.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Contact<'a> {
    #[serde(borrow)]
    pub(crate) email: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) phone: Option<Text<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ExternalId<'a> {
    #[serde(borrow)]
    pub(crate) id: Text<'a>,
    #[serde(borrow)]
    pub(crate) r#type: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Campaign<'a> {
    #[serde(borrow)]
    pub(crate) name: Text<'a>,
    #[serde(borrow)]
    pub(crate) source: Text<'a>,
    #[serde(borrow)]
    pub(crate) medium: Text<'a>,
    #[serde(borrow)]
    pub(crate) term: Text<'a>,
    #[serde(borrow)]
    pub(crate) content: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Page<'a> {
    #[serde(borrow)]
    pub(crate) url: Text<'a>,
    #[serde(borrow)]
    pub(crate) referrer: Text<'a>,
}
