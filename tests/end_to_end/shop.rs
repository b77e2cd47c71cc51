//! Events as SDKs send them.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// A moment so many minutes ago, on the minute: in time for every window, and never after its own arrival.
pub(crate) fn minutes_ago(minutes: i64) -> Timestamp {
    let now = Timestamp::now().as_second();
    Timestamp::from_second(now - now % 60).expect("now is within range")
        - SignedDuration::from_mins(minutes)
}

/// Minutes since six in the morning of yesterday, as it is now. Of two links the one with the later last day (UTC) goes
/// before: events whose links compete lie in one day, whenever the test runs.
pub(crate) fn yesterday() -> impl Fn(i64) -> Timestamp {
    const DAY: i64 = 86_400;
    let today = Timestamp::now().as_second() / DAY * DAY;
    let six = Timestamp::from_second(today - DAY).expect("now is within range")
        + SignedDuration::from_hours(6);
    move |minutes| six + SignedDuration::from_mins(minutes)
}

/// An event of an anonymous visitor.
pub(crate) fn event(id: &str, r#type: &str, device: &str, at: Timestamp) -> Value {
    json!({"messageId": id, "type": r#type, "anonymousId": device, "timestamp": at.to_string(), "context": {"library": {"name": "analytics.js"}}})
}

/// A page view.
pub(crate) fn page(id: &str, device: &str, at: Timestamp) -> Value {
    let mut page = event(id, "page", device, at);
    page["name"] = json!("Home");
    page
}

/// A login.
pub(crate) fn login(id: &str, device: &str, user: &str, at: Timestamp) -> Value {
    let mut login = event(id, "identify", device, at);
    login["userId"] = json!(user);
    login
}

/// An order of a logged-in visitor, in euros.
pub(crate) fn order(
    id: &str,
    device: &str,
    user: &str,
    order_id: &str,
    total: f64,
    at: Timestamp,
) -> Value {
    let mut order = event(id, "track", device, at);
    order["userId"] = json!(user);
    order["event"] = json!("Order Completed");
    order["properties"] = json!({"order_id": order_id, "total": total, "currency": "EUR"});
    order
}
