//! Active: the customer did it. Passive: the brand or a machine did.

use tributary_contracts::wire::Activity;

/// Track events of the brand's own doing, by the names of Segment's specification for email, push, SMS and ads, and ours.
const PASSIVE: [&str; 25] = [
    "Email Sent",
    "Email Processed",
    "Email Delivered",
    "Email Deferred",
    "Email Dropped",
    "Email Bounced",
    "Email Opened",
    "Push Sent",
    "Push Delivered",
    "Push Bounced",
    "Push Notification Sent",
    "Push Notification Delivered",
    "Push Notification Received",
    "Push Notification Bounced",
    "SMS Sent",
    "SMS Delivered",
    "SMS Failed",
    "Message Sent",
    "Message Delivered",
    "Message Bounced",
    "Letter Sent",
    "Letter Delivered",
    "Ad Impression",
    "Impression",
    "Loyalty Points Expired",
];

/// By the event's name; everything of a source that synchronises another system is passive.
pub(crate) fn of(event: &str, sync: bool) -> Activity {
    if sync
        || PASSIVE
            .iter()
            .any(|passive| passive.eq_ignore_ascii_case(event))
    {
        Activity::Passive
    } else {
        Activity::Active
    }
}

/// Whether the agent of that event is whatever fetched the images of a mail: a mail client, or the proxy that it has them
/// fetched by, which a list of bots knows, though a person may look.
pub(crate) fn fetches_images(event: &str) -> bool {
    event.eq_ignore_ascii_case("Email Opened")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_brand_did_is_passive() {
        for (event, sync, activity) in [
            ("Email Delivered", false, Activity::Passive),
            ("email opened", false, Activity::Passive),
            ("Email Link Clicked", false, Activity::Active),
            ("Loyalty Points Expired", false, Activity::Passive),
            ("Loyalty Points Redeemed", false, Activity::Active),
            ("Order Delivered", false, Activity::Active),
            ("Order Completed", false, Activity::Active),
            ("Order Completed", true, Activity::Passive),
            ("", false, Activity::Active),
            ("", true, Activity::Passive),
        ] {
            assert_eq!(of(event, sync), activity, "{event} sync {sync}");
        }
    }
}
