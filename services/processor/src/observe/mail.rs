//! E-mails: which message to whom an event is of.

use serde::Deserialize;
use tributary_contracts::wire::{EmailClaim, EmailClaimKind, Touchpoint};

use super::event::StoredEmail;

/// What the events of e-mails say, by the names of Segment's specification, and its sending.
const EVENTS: [(&str, EmailClaimKind); 8] = [
    ("Email Sent", EmailClaimKind::Sent),
    ("Email Delivered", EmailClaimKind::Delivered),
    ("Email Bounced", EmailClaimKind::Bounced),
    ("Email Opened", EmailClaimKind::Opened),
    ("Email Link Clicked", EmailClaimKind::Clicked),
    ("Email Clicked", EmailClaimKind::Clicked),
    ("Email Unsubscribed", EmailClaimKind::Unsubscribed),
    ("Unsubscribed", EmailClaimKind::Unsubscribed),
];

/// The user agent with which Apple Mail fetches the images of every mail, read or not, and nobody else.
const APPLE_MAIL_PRIVACY_PROTECTION: &str = "Mozilla/5.0";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Properties {
    email_id: Option<Id>,
    campaign_id: Option<Id>,
    campaign_name: Option<Id>,
    prefetched: Option<serde_json::Value>,
}

/// As ingest let it pass.
#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(i64),
}

impl Id {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }
}

/// The message that the event is of, if it is of one and names it: by its id, or where it has none by its campaign, which
/// a recipient is sent once.
pub(super) fn of(touchpoint: &Touchpoint<'_>) -> Option<StoredEmail> {
    if touchpoint.r#type != "track" {
        return None;
    }
    let (_, kind) = EVENTS
        .iter()
        .find(|(event, _)| *event == touchpoint.event)?;
    let properties: Properties = match touchpoint.properties {
        "" => Properties::default(),
        properties => serde_json::from_str(properties).ok()?,
    };
    let named = |id: Option<Id>| id.map(Id::text).filter(|id| !id.is_empty());
    let campaign = Some(touchpoint.campaign.name.to_owned())
        .filter(|name| !name.is_empty())
        .or_else(|| named(properties.campaign_name))
        .or_else(|| named(properties.campaign_id))
        .unwrap_or_default();
    let email_id = named(properties.email_id)
        .or_else(|| (!campaign.is_empty()).then(|| format!("campaign:{campaign}")))?;
    let is_prefetched = *kind == EmailClaimKind::Opened
        && (properties.prefetched == Some(serde_json::Value::Bool(true))
            || user_agent(touchpoint.context).as_deref() == Some(APPLE_MAIL_PRIVACY_PROTECTION));
    let kind = match is_prefetched {
        true => EmailClaimKind::Prefetched,
        false => *kind,
    };
    let (recipient_type, recipient_value) = recipient(touchpoint);
    Some(StoredEmail {
        kind,
        email_id,
        recipient_type: recipient_type.to_owned(),
        recipient_value: recipient_value.to_owned(),
        campaign,
        claimed: 0,
    })
}

/// The address, or where the event has none the user, or what else it is filed under.
fn recipient<'a>(touchpoint: &Touchpoint<'a>) -> (&'a str, &'a str) {
    let of = |r#type: &str| {
        let kept = touchpoint.identifiers.iter();
        kept.filter(|identifier| !identifier.value.is_empty())
            .find(|identifier| identifier.r#type == r#type)
            .map(|identifier| (identifier.r#type, identifier.value))
    };
    of("email")
        .or_else(|| of("user_id"))
        .unwrap_or((touchpoint.timeline_type, touchpoint.timeline_value))
}

fn user_agent(context: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Stated {
        #[serde(rename = "userAgent")]
        user_agent: Option<String>,
    }
    serde_json::from_str::<Stated>(context).ok()?.user_agent
}

/// The key of a claim, under which all claims of a message to a recipient come together.
pub(super) fn key(claim: &EmailClaim<'_>) -> Vec<u8> {
    tributary_contracts::keys::joined(&[
        claim.workspace,
        "email",
        claim.email_id,
        claim.recipient_type,
        claim.recipient_value,
    ])
}
