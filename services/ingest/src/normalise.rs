//! Brings a message into the form in which it is compared: identifiers, timeline, event time; and takes out of it what
//! must not be kept: the host part of an IP address.

pub(crate) mod address;
pub(crate) mod identifiers;
pub(crate) mod phone;
pub(crate) mod time;

use std::borrow::Cow;

use tributary_contracts::wire::Subject;
use tributary_core::identifier::SOURCE;
use tributary_core::time::Timestamp;

use crate::refusal::{Reason, Refusal};
use crate::source::Source;
use crate::validate::Message;
use identifiers::Identifier;
use time::EventTime;

/// The form in which a message is compared.
#[derive(Debug)]
pub(crate) struct Normalised<'a> {
    pub(crate) identifiers: Vec<Identifier<'a>>,
    pub(crate) subject: Subject,
    /// Type and value that the event is filed under.
    pub(crate) timeline: (&'static str, Cow<'a, str>),
    pub(crate) time: EventTime,
    /// JSON; empty where there is none.
    pub(crate) context: Cow<'a, str>,
}

/// Normalises a message; its identifiers move into the result. One about a customer needs an identifier.
pub(crate) fn message<'a>(
    message: &mut Message<'a>,
    source: &'a Source,
    received: Timestamp,
) -> Result<Normalised<'a>, Refusal> {
    let identifiers =
        identifiers::normalised(std::mem::take(&mut message.identifiers), &source.forms);
    let of_source = || (Subject::Source, (SOURCE, Cow::Borrowed(&*source.name)));
    let (subject, timeline) = match (message.subject, identifiers::timeline(&identifiers)) {
        (Subject::Source, _) => of_source(),
        (Subject::Customer, Some(first)) => (
            Subject::Customer,
            (first.r#type.name(), first.value.clone()),
        ),
        // A smiley terminal has answers of nobody: they speak of the terminal.
        (Subject::Customer, None) if !message.answers.is_empty() => of_source(),
        (Subject::Customer, None) => {
            let fix = "has none: send userId or anonymousId (empty, null, none, undefined and zeros are none)";
            return Err(Refusal::new(Reason::NoIdentifier, "userId", fix));
        }
    };
    let (client_time, sent_at) = (message.client_time, message.sent_at);
    let time = time::event_time(client_time, sent_at, received, source.historic);
    let time = time.ok_or_else(|| {
        let fix = "is before 1970: mend the clock that it comes from";
        Refusal::new(Reason::InvalidTime, message.time_field, fix)
    })?;
    Ok(Normalised {
        subject,
        timeline,
        time,
        context: address::truncated(message.context_json, message.context.ip),
        identifiers,
    })
}
