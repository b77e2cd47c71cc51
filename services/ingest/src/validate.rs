//! Turns an event's fields into a message that makes sense, or says which field does not.
//!
//! What a message identifies, dates, prices or consents to is read strictly; the rest of `context`, `traits` and
//! `properties` is kept as sent, unread.

pub(crate) mod answers;
pub(crate) mod consents;
pub(crate) mod context;
mod email;
pub(crate) mod order;
mod points;
mod social;
mod spend;
mod strict;
#[cfg(test)]
mod tests;
mod visit;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use tributary_contracts::wire::Subject;
use tributary_core::identifier::IdentifierType;
use tributary_core::identity::Types;
use tributary_core::time::Timestamp;
use uuid::Uuid;

use crate::lenient::Text;
use crate::refusal::{Reason, Refusal};
use crate::source::Source;
use crate::split::Event;
use answers::Answer;
use consents::Consent;
use context::{Contact, Context};
use order::Order;

/// The six calls of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Track,
    Identify,
    Page,
    Screen,
    Group,
    Alias,
}

impl Call {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Track => "track",
            Self::Identify => "identify",
            Self::Page => "page",
            Self::Screen => "screen",
            Self::Group => "group",
            Self::Alias => "alias",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [
            Self::Track,
            Self::Identify,
            Self::Page,
            Self::Screen,
            Self::Group,
            Self::Alias,
        ]
        .into_iter()
        .find(|call| call.name() == name)
    }
}

/// What an event is read with.
#[derive(Debug)]
pub(crate) struct Given<'a> {
    pub(crate) source: &'a Source,
    /// By the path; in a batch each event says it.
    pub(crate) call: Option<Call>,
    /// `sentAt` of the batch: of each event that has none of its own.
    pub(crate) sent_at: Result<Option<Timestamp>, Refusal>,
    /// `context` of the batch.
    pub(crate) context: Option<&'a RawValue>,
    /// Bytes of one event.
    pub(crate) max_event_bytes: usize,
}

/// An event that makes sense.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    pub(crate) call: Call,
    /// The sender's, else one of ours: then sent again it cannot be known again.
    pub(crate) message_id: Cow<'a, str>,
    /// Name of a track event, a page or a screen.
    pub(crate) event: Cow<'a, str>,
    pub(crate) group_id: Cow<'a, str>,
    /// `originalTimestamp`, which an SDK took from its clock, else `timestamp`.
    pub(crate) client_time: Option<Timestamp>,
    /// Which of the two it is.
    pub(crate) time_field: &'static str,
    pub(crate) sent_at: Option<Timestamp>,
    /// As sent, in no order.
    pub(crate) identifiers: Vec<(IdentifierType, Cow<'a, str>)>,
    pub(crate) consents: Vec<Consent<'a>>,
    pub(crate) order: Option<Order<'a>>,
    pub(crate) answers: Vec<Answer<'a>>,
    /// As stated.
    pub(crate) subject: Subject,
    pub(crate) store: Cow<'a, str>,
    pub(crate) url: Cow<'a, str>,
    pub(crate) referrer: Cow<'a, str>,
    pub(crate) context: Context<'a>,
    /// JSON objects as sent; empty where there are none.
    pub(crate) context_json: &'a str,
    pub(crate) traits_json: &'a str,
    pub(crate) properties_json: &'a str,
}

/// Bytes of a message id, which is part of keys; and of names, which are columns and dimensions.
const LONGEST_MESSAGE_ID: usize = 256;
const LONGEST_NAME: usize = 512;

/// Validates one event.
pub(crate) fn message<'a>(event: &Event<'a>, given: &Given<'a>) -> Result<Message<'a>, Refusal> {
    if event.size > given.max_event_bytes {
        let message = format!(
            "has more than {} bytes: send less in properties, traits and context",
            given.max_event_bytes
        );
        return Err(Refusal::new(Reason::TooLarge, "", message));
    }
    let call = call(event, given.call)?;
    let message_id = message_id(event)?.unwrap_or_else(|| Cow::Owned(Uuid::new_v4().to_string()));
    let (client_time, time_field) = match event.original_timestamp {
        Some(time) => (Some(time), "originalTimestamp"),
        None => (event.timestamp, "timestamp"),
    };
    let client_time = strict::timestamp(client_time, time_field)?;
    let sent_at = match event.sent_at {
        Some(time) => self::sent_at(Some(time))?,
        None => given.sent_at.clone()?,
    };
    let traits_json = strict::object(event.traits, "traits")?;
    let properties_json = strict::object(event.properties, "properties")?;
    let context_json = strict::object(event.context.or(given.context), "context")?;
    let context: Context<'a> = parse_object(context_json, "context")?;
    let visit = visit::visit(call, given.source, &context, properties_json)?;
    let name = name(call, event, visit.name)?;
    let subject = match &*context.subject {
        "source" => Subject::Source,
        _ => Subject::Customer,
    };
    if call == Call::Track {
        points::check(&name, properties_json)?;
        spend::check(&name, subject, properties_json)?;
        email::check(&name, properties_json)?;
        social::check(&name, subject, properties_json)?;
    }
    let answers = if call == Call::Track {
        answers::answers(&name, properties_json)?
    } else {
        Vec::new()
    };
    let order = match order::kind(&name).filter(|_| call == Call::Track) {
        Some(kind) => Some(order::order(kind, properties_json)?),
        None => None,
    };
    let types = &given.source.forms.types;
    let identifiers = identifiers(call, event, &context, traits_json, types)?;
    Ok(Message {
        call,
        message_id,
        event: name,
        group_id: group_id(call, event)?,
        client_time,
        time_field,
        sent_at,
        identifiers,
        consents: consents::consents(context.consent)?,
        order,
        answers,
        subject,
        store: visit.store,
        url: visit.url,
        referrer: visit.referrer,
        context,
        context_json,
        traits_json,
        properties_json,
    })
}

/// Reads a `sentAt`.
pub(crate) fn sent_at(raw: Option<&RawValue>) -> Result<Option<Timestamp>, Refusal> {
    strict::timestamp(raw, "sentAt")
}

/// The sender's message id, if there is one.
pub(crate) fn message_id<'a>(event: &Event<'a>) -> Result<Option<Cow<'a, str>>, Refusal> {
    let id = strict::optional(event.message_id, "messageId")?.filter(|id| !id.is_empty());
    match &id {
        Some(id) if id.len() > LONGEST_MESSAGE_ID => {
            Err(Refusal::invalid("messageId", "must have at most 256 bytes"))
        }
        Some(id) if id.contains('\0') => Err(Refusal::invalid(
            "messageId",
            "must not hold the character NUL",
        )),
        _ => Ok(id),
    }
}

fn call(event: &Event<'_>, by_path: Option<Call>) -> Result<Call, Refusal> {
    const MESSAGE: &str = "must be one of track, identify, page, screen, group and alias";
    match (by_path, event.r#type) {
        (Some(call), _) => Ok(call),
        (None, None) => Err(Refusal::missing("type", MESSAGE)),
        (None, Some(raw)) => {
            let name = strict::text(raw, "type")?;
            Call::named(&name).ok_or_else(|| Refusal::new(Reason::UnknownType, "type", MESSAGE))
        }
    }
}

fn name<'a>(
    call: Call,
    event: &Event<'a>,
    in_properties: Cow<'a, str>,
) -> Result<Cow<'a, str>, Refusal> {
    let (field, name) = match call {
        Call::Track => ("event", strict::optional(event.event, "event")?),
        Call::Page | Call::Screen => (
            "name",
            strict::optional(event.name, "name")?.or(Some(in_properties)),
        ),
        Call::Identify | Call::Group | Call::Alias => return Ok(Cow::Borrowed("")),
    };
    let name = name.unwrap_or_default();
    match () {
        () if call == Call::Track && name.trim().is_empty() => Err(Refusal::missing(
            "event",
            "is missing: name what happened, such as \"Order Completed\"",
        )),
        () if name.len() > LONGEST_NAME => {
            Err(Refusal::invalid(field, "must have at most 512 bytes"))
        }
        () if name.contains('\0') => {
            Err(Refusal::invalid(field, "must not hold the character NUL"))
        }
        () => Ok(name),
    }
}

fn group_id<'a>(call: Call, event: &Event<'a>) -> Result<Cow<'a, str>, Refusal> {
    if call != Call::Group {
        return Ok(Cow::Borrowed(""));
    }
    strict::optional(event.group_id, "groupId")?
        .filter(|id| !id.is_empty())
        .ok_or_else(|| Refusal::missing("groupId", "is missing: a group call names the group"))
}

/// Who the event is known by: userId, anonymousId, previousId of an alias, e-mail and phone of the traits (those of a
/// group are the group's, and are left out), the device's ids and `externalIds`; nothing of the properties.
fn identifiers<'a>(
    call: Call,
    event: &Event<'a>,
    context: &Context<'a>,
    traits: &'a str,
    types: &Types,
) -> Result<Vec<(IdentifierType, Cow<'a, str>)>, Refusal> {
    let mut found = Vec::with_capacity(4);
    let mut add =
        |r#type, value: Option<Cow<'a, str>>| found.extend(value.map(|value| (r#type, value)));
    add(
        IdentifierType::USER_ID,
        strict::optional(event.user_id, "userId")?,
    );
    add(
        IdentifierType::ANONYMOUS_ID,
        strict::optional(event.anonymous_id, "anonymousId")?,
    );
    if call == Call::Alias {
        let previous =
            strict::optional(event.previous_id, "previousId")?.filter(|id| !id.is_empty());
        if previous.is_none() {
            return Err(Refusal::missing(
                "previousId",
                "is missing: an alias names the id that was used before",
            ));
        }
        add(IdentifierType::ANONYMOUS_ID, previous);
    }
    let text = |text: &Option<Text<'a>>| text.as_ref().map(|text| text.0.clone());
    if call != Call::Group && (traits.contains("email") || traits.contains("phone")) {
        let contact: Contact<'a> = parse_object(traits, "traits")?;
        add(IdentifierType::EMAIL, text(&contact.email));
        add(IdentifierType::PHONE, text(&contact.phone));
    }
    add(IdentifierType::EMAIL, text(&context.traits.email));
    add(IdentifierType::PHONE, text(&context.traits.phone));
    add(IdentifierType::DEVICE_ID, text(&context.device.id));
    add(
        IdentifierType::ADVERTISING_ID,
        text(&context.device.advertising_id),
    );
    add(IdentifierType::PUSH_TOKEN, text(&context.device.token));
    for external in &context.external_ids.0 {
        if let Some(r#type) = external_type(&external.r#type, types) {
            add(r#type, Some(external.id.0.clone()));
        }
    }
    Ok(found)
}

/// A type of the workspace, or the name that Segment has for one. Of another type an external id is kept in the context
/// only.
fn external_type(name: &str, types: &Types) -> Option<IdentifierType> {
    types.named(name).or(match name {
        "ios.id" | "android.id" => Some(IdentifierType::DEVICE_ID),
        "ios.idfa" | "android.idfa" => Some(IdentifierType::ADVERTISING_ID),
        "ios.push_token" | "android.push_token" => Some(IdentifierType::PUSH_TOKEN),
        _ => None,
    })
}

fn parse_object<'a, T: Deserialize<'a> + Default>(
    json: &'a str,
    field: &'static str,
) -> Result<T, Refusal> {
    if json.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_str(json).map_err(|_| {
        Refusal::invalid(
            field,
            "cannot be read: no field may stand twice, and every escape must be a character",
        )
    })
}
