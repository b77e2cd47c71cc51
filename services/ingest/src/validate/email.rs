//! E-mails: what happens to one names it in `properties.email_id`, the same on all its events, and may name its campaign.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::strict;
use crate::refusal::Refusal;

/// Events of e-mails, by the names of Segment's specification, and its sending.
const EVENTS: [&str; 8] = [
    "Email Sent",
    "Email Delivered",
    "Email Bounced",
    "Email Opened",
    "Email Link Clicked",
    "Email Clicked",
    "Email Unsubscribed",
    "Unsubscribed",
];

/// Refuses an event of an e-mail whose ids are none.
pub(super) fn check(event: &str, properties: &str) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    struct Stated<'a> {
        #[serde(borrow, default)]
        email_id: Option<&'a RawValue>,
        #[serde(borrow, default)]
        campaign_id: Option<&'a RawValue>,
        #[serde(borrow, default)]
        campaign_name: Option<&'a RawValue>,
    }
    if !EVENTS.contains(&event) || properties.is_empty() {
        return Ok(());
    }
    let stated: Stated<'_> = serde_json::from_str(properties)
        .map_err(|_| Refusal::invalid("properties", "cannot be read: no field may stand twice"))?;
    for (field, id) in [
        ("properties.email_id", stated.email_id),
        ("properties.campaign_id", stated.campaign_id),
        ("properties.campaign_name", stated.campaign_name),
    ] {
        let is_number = id.is_some_and(|id| id.get().parse::<i64>().is_ok());
        if !is_number {
            strict::key(id, field)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_texts_or_whole_numbers() {
        for (properties, refused) in [
            ("", None),
            ("{}", None),
            (r#"{"email_id":"m1","campaign_name":null}"#, None),
            (r#"{"email_id":17}"#, None),
            (r#"{"email_id":1.5}"#, Some("properties.email_id")),
            (r#"{"email_id":{}}"#, Some("properties.email_id")),
            (r#"{"email_id":"a\u0000b"}"#, Some("properties.email_id")),
            (r#"{"campaign_id":true}"#, Some("properties.campaign_id")),
            (r#"{"email_id":"a","email_id":"b"}"#, Some("properties")),
        ] {
            let refusal = check("Email Opened", properties).err();
            let field = refusal.as_ref().map(|refusal| &*refusal.field);
            assert_eq!(field, refused, "{properties}");
        }
        assert_eq!(check("Opened", r#"{"email_id":{}}"#), Ok(()));
    }
}
