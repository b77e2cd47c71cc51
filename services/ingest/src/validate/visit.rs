//! Where the customer was: the page or screen, and the store.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::context::Context;
use super::{Call, parse_object};
use crate::lenient::Text;
use crate::refusal::Refusal;
use crate::source::Source;

/// Where the customer was: on which page, in which store.
#[derive(Debug, Default)]
pub(super) struct Visit<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) url: Cow<'a, str>,
    pub(super) referrer: Cow<'a, str>,
    pub(super) store: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct VisitProperties<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    url: Text<'a>,
    #[serde(borrow)]
    referrer: Text<'a>,
    #[serde(borrow)]
    store_id: Text<'a>,
}

/// From the context; for page and screen calls, and in stores, also from the properties.
pub(super) fn visit<'a>(
    call: Call,
    source: &Source,
    context: &Context<'a>,
    properties: &'a str,
) -> Result<Visit<'a>, Refusal> {
    let mut visit = Visit {
        name: Cow::Borrowed(""),
        url: context.page.url.0.clone(),
        referrer: context.page.referrer.0.clone(),
        store: store(context.store),
    };
    let is_view = matches!(call, Call::Page | Call::Screen);
    if !properties.is_empty() && (is_view || (source.channel == "store" && visit.store.is_empty()))
    {
        let stated: VisitProperties<'a> = parse_object(properties, "properties")?;
        let fill = |slot: &mut Cow<'a, str>, value: Cow<'a, str>| {
            if slot.is_empty() {
                *slot = value;
            }
        };
        if is_view {
            fill(&mut visit.name, stated.name.0);
            fill(&mut visit.url, stated.url.0);
            fill(&mut visit.referrer, stated.referrer.0);
        }
        fill(&mut visit.store, stated.store_id.0);
    }
    Ok(visit)
}

/// `context.store` is an id, or an object that has one.
fn store<'a>(raw: Option<&'a RawValue>) -> Cow<'a, str> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Store<'a> {
        #[serde(borrow)]
        id: Text<'a>,
    }
    let Some(raw) = raw.map(RawValue::get) else {
        return Cow::Borrowed("");
    };
    if raw.starts_with('{') {
        serde_json::from_str::<Store<'a>>(raw)
            .unwrap_or_default()
            .id
            .0
    } else {
        serde_json::from_str::<Text<'a>>(raw).unwrap_or_default().0
    }
}
