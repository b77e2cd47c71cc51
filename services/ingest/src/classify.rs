//! Says what kind of touchpoint a message is: channel, activity, bot, device, campaign and traffic source.

mod activity;
mod address;
mod agent;
mod channel;
mod traffic;

use std::borrow::Cow;

use tributary_contracts::wire::Activity;

use crate::source::Source;
use crate::validate::Message;
pub(crate) use traffic::Campaign;

/// What kind of touchpoint it is.
#[derive(Debug)]
pub(crate) struct Classified<'a> {
    pub(crate) channel: &'a str,
    pub(crate) activity: Activity,
    pub(crate) bot: bool,
    pub(crate) device_type: &'static str,
    pub(crate) campaign: Campaign<'a>,
    pub(crate) traffic_source: Cow<'static, str>,
    pub(crate) store: Cow<'a, str>,
}

/// What the request tells of who sent it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sender<'a> {
    /// The `User-Agent` header.
    pub(crate) user_agent: &'a str,
    /// Sent by a page: it has an `Origin`, or is a pixel. So the header is the customer's browser's.
    pub(crate) is_page: bool,
}

/// Bytes of a value that KPIs are told apart by.
const LONGEST_DIMENSION: usize = 512;

/// Classifies a message.
pub(crate) fn message<'a>(
    message: &'a Message<'_>,
    source: &'a Source,
    sender: Sender<'_>,
) -> Classified<'a> {
    let context = &message.context;
    let library = &*context.library.name;
    let channel = if source.channel.is_empty() {
        channel::of_library(library)
    } else {
        &source.channel
    };
    let user_agent = match &*context.user_agent {
        "" if sender.is_page => sender.user_agent,
        "" if channel::is_browser(library) => agent::of_visitor(sender.user_agent),
        stated => stated,
    };
    let agent = agent::look(user_agent);
    let device_type = match agent::stated(&context.device.r#type) {
        "" => agent.device_type,
        stated => stated,
    };
    let stated = &context.campaign;
    let stated = Campaign {
        name: dimension(Cow::Borrowed(&stated.name)),
        source: dimension(Cow::Borrowed(&stated.source)),
        medium: dimension(Cow::Borrowed(&stated.medium)),
        term: dimension(Cow::Borrowed(&stated.term)),
        content: dimension(Cow::Borrowed(&stated.content)),
    };
    let query = address::query(&message.url);
    let campaign = traffic::campaign(stated, query);
    let traffic_source = traffic::source(&campaign, query, &message.url, &message.referrer);
    Classified {
        channel,
        activity: activity::of(&message.event, source.sync),
        bot: agent.bot && !activity::fetches_images(&message.event),
        device_type,
        campaign,
        traffic_source,
        store: dimension(Cow::Borrowed(&message.store)),
    }
}

/// A value that KPIs are told apart by: part of keys, so without NUL, and of bounded length.
fn dimension(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.len() <= LONGEST_DIMENSION && !text.contains('\0') {
        return text;
    }
    Cow::Owned(text[..text.floor_char_boundary(LONGEST_DIMENSION)].replace('\0', ""))
}
