//! Splits a request's body into its events, in one pass and without copying: every field is a slice of the body.
//!
//! When the body is not JSON, the request is refused with the position. When one event has a wrong shape, only that
//! event is refused later: here it is an [`Element`] like the others.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::lenient::Text;

/// A request: what all its events share, and the events.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// The whole body.
    pub(crate) body: &'a str,
    /// `writeKey` of the body; empty where there is none.
    pub(crate) write_key: Cow<'a, str>,
    /// `sentAt` of a batch.
    pub(crate) sent_at: Option<&'a RawValue>,
    /// `context` of a batch: of each event that has none of its own.
    pub(crate) context: Option<&'a RawValue>,
    /// The events, in the order in which they were sent.
    pub(crate) elements: Vec<Element<'a>>,
}

/// What stands where an event should.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are events, and none is kept"
)]
#[derive(Debug)]
pub(crate) enum Element<'a> {
    Event(Event<'a>),
    NotAnObject,
}

/// The fields of an event, each as it was sent. Of a field that stands twice, the last counts.
#[derive(Debug, Default)]
pub(crate) struct Event<'a> {
    pub(crate) r#type: Option<&'a RawValue>,
    pub(crate) event: Option<&'a RawValue>,
    pub(crate) name: Option<&'a RawValue>,
    pub(crate) message_id: Option<&'a RawValue>,
    pub(crate) timestamp: Option<&'a RawValue>,
    pub(crate) original_timestamp: Option<&'a RawValue>,
    pub(crate) sent_at: Option<&'a RawValue>,
    pub(crate) user_id: Option<&'a RawValue>,
    pub(crate) anonymous_id: Option<&'a RawValue>,
    pub(crate) previous_id: Option<&'a RawValue>,
    pub(crate) group_id: Option<&'a RawValue>,
    pub(crate) traits: Option<&'a RawValue>,
    pub(crate) properties: Option<&'a RawValue>,
    pub(crate) context: Option<&'a RawValue>,
    write_key: Option<&'a RawValue>,
    /// Bytes from the first field's value to the end of the last.
    pub(crate) size: usize,
}

/// Why a body has no events to look at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// Not JSON, from this position on.
    Malformed {
        line: usize,
        column: usize,
        what: String,
    },
    /// Not an object.
    NotAnObject,
    /// A batch without a list of events.
    NoBatch,
    /// A batch of too many.
    TooManyEvents { found: usize },
}

/// Reads a body that is one event.
pub(crate) fn single(body: &str) -> Result<Request<'_>, Error> {
    let element: Element<'_> = serde_json::from_str(body).map_err(|error| malformed(&error))?;
    let Element::Event(event) = &element else {
        return Err(Error::NotAnObject);
    };
    let write_key = event
        .write_key
        .and_then(|key| serde_json::from_str::<Text<'_>>(key.get()).ok());
    let write_key = write_key.unwrap_or_default().0;
    Ok(Request {
        body,
        write_key,
        sent_at: None,
        context: None,
        elements: vec![element],
    })
}

/// Reads a body that is a batch of at most `limit` events.
pub(crate) fn batch(body: &str, limit: usize) -> Result<Request<'_>, Error> {
    let envelope: Envelope<'_> = serde_json::from_str(body).map_err(|error| malformed(&error))?;
    if !envelope.is_object {
        return Err(Error::NotAnObject);
    }
    let Some(Elements { elements, found }) = envelope.batch else {
        return Err(Error::NoBatch);
    };
    if found > limit.min(MOST_ELEMENTS) {
        return Err(Error::TooManyEvents { found });
    }
    let write_key = envelope.write_key.0;
    Ok(Request {
        body,
        write_key,
        sent_at: envelope.sent_at,
        context: envelope.context,
        elements,
    })
}

/// Each event of a batch as it was sent, for those that are refused. Reads the body again: refusals are rare.
pub(crate) fn raw_events(body: &str) -> Vec<&RawValue> {
    #[derive(serde::Deserialize)]
    struct Raw<'a> {
        #[serde(borrow)]
        batch: Vec<&'a RawValue>,
    }
    serde_json::from_str::<Raw<'_>>(body)
        .map(|raw| raw.batch)
        .unwrap_or_default()
}

fn malformed(error: &serde_json::Error) -> Error {
    let text = error.to_string();
    // "expected `,` or `}` at line 1 column 7": the message of a syntax error holds nothing of the body.
    let what = match error.classify() {
        serde_json::error::Category::Syntax => {
            text.rsplit_once(" at line ").map_or("", |(what, _)| what)
        }
        serde_json::error::Category::Eof => "ends too early",
        _ => "has an unexpected value",
    };
    Error::Malformed {
        line: error.line(),
        column: error.column(),
        what: what.to_owned(),
    }
}

/// Elements beyond this are counted, not kept: 500 KB of `1,` must not become tens of megabytes.
const MOST_ELEMENTS: usize = 10_000;

struct Elements<'a> {
    elements: Vec<Element<'a>>,
    found: usize,
}

#[derive(Default)]
struct Envelope<'a> {
    is_object: bool,
    write_key: Text<'a>,
    sent_at: Option<&'a RawValue>,
    context: Option<&'a RawValue>,
    batch: Option<Elements<'a>>,
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum EnvelopeField {
    Batch,
    WriteKey,
    SentAt,
    Context,
    #[serde(other)]
    Other,
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum EventField {
    Type,
    Event,
    Name,
    MessageId,
    Timestamp,
    OriginalTimestamp,
    SentAt,
    UserId,
    AnonymousId,
    PreviousId,
    GroupId,
    Traits,
    Properties,
    Context,
    WriteKey,
    #[serde(other)]
    Other,
}

/// Everything that is not of the wanted shape, consumed.
macro_rules! not_wanted {
    ($value:expr) => {
        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("JSON")
        }
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($value)
        }
    };
}

macro_rules! drain_list {
    ($value:expr) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            Ok($value)
        }
    };
}

impl<'de> Deserialize<'de> for Element<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Element<'de>;
            not_wanted!(Element::NotAnObject);
            drain_list!(Element::NotAnObject);
            fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
                Event::read(object).map(Element::Event)
            }
        }
        deserializer.deserialize_any(Visit)
    }
}

impl<'de> Event<'de> {
    fn read<A: MapAccess<'de>>(mut object: A) -> Result<Self, A::Error> {
        let mut event = Self::default();
        // Every value is a slice of the body, so the first and the last tell how long the event is.
        let (mut first, mut last) = (None, 0);
        while let Some(field) = object.next_key::<EventField>()? {
            let value: &'de RawValue = object.next_value()?;
            let start = value.get().as_ptr().addr();
            first.get_or_insert(start);
            last = start + value.get().len();
            let slot = match field {
                EventField::Type => &mut event.r#type,
                EventField::Event => &mut event.event,
                EventField::Name => &mut event.name,
                EventField::MessageId => &mut event.message_id,
                EventField::Timestamp => &mut event.timestamp,
                EventField::OriginalTimestamp => &mut event.original_timestamp,
                EventField::SentAt => &mut event.sent_at,
                EventField::UserId => &mut event.user_id,
                EventField::AnonymousId => &mut event.anonymous_id,
                EventField::PreviousId => &mut event.previous_id,
                EventField::GroupId => &mut event.group_id,
                EventField::Traits => &mut event.traits,
                EventField::Properties => &mut event.properties,
                EventField::Context => &mut event.context,
                EventField::WriteKey => &mut event.write_key,
                EventField::Other => continue,
            };
            *slot = Some(value).filter(|value| value.get() != "null");
        }
        event.size = last - first.unwrap_or(last);
        Ok(event)
    }
}

impl<'de> Deserialize<'de> for Elements<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ElementsVisitor)
    }
}

struct ElementsVisitor;

impl<'de> Visitor<'de> for ElementsVisitor {
    type Value = Elements<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::with_capacity(32);
        while elements.len() <= MOST_ELEMENTS {
            let Some(element) = list.next_element()? else {
                let found = elements.len();
                return Ok(Elements { elements, found });
            };
            elements.push(element);
        }
        let mut found = elements.len();
        while list.next_element::<IgnoredAny>()?.is_some() {
            found += 1;
        }
        Ok(Elements { elements, found })
    }
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Envelope<'de>;
            not_wanted!(Envelope::default());
            drain_list!(Envelope::default());
            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
                let mut envelope = Envelope {
                    is_object: true,
                    ..Envelope::default()
                };
                while let Some(field) = object.next_key()? {
                    match field {
                        EnvelopeField::Batch if envelope.batch.is_some() => {
                            return Err(A::Error::duplicate_field("batch"));
                        }
                        EnvelopeField::Batch => {
                            envelope.batch = object.next_value::<Batch<'de>>()?.0
                        }
                        EnvelopeField::WriteKey => envelope.write_key = object.next_value()?,
                        EnvelopeField::SentAt => envelope.sent_at = object.next_value()?,
                        EnvelopeField::Context => envelope.context = object.next_value()?,
                        EnvelopeField::Other => drop(object.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(envelope)
            }
        }
        deserializer.deserialize_any(Visit)
    }
}

/// The list of a batch, or nothing where something else stands in its place.
struct Batch<'a>(Option<Elements<'a>>);

impl<'de> Deserialize<'de> for Batch<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Batch<'de>;
            not_wanted!(Batch(None));
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                ElementsVisitor
                    .visit_seq(list)
                    .map(|elements| Batch(Some(elements)))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
                while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Batch(None))
            }
        }
        deserializer.deserialize_any(Visit)
    }
}

#[cfg(test)]
mod tests;
