//! The events that are sent: visits of a shop, each of 20 events by one visitor whom nothing links to anybody.

use std::io::Write as _;

/// An event's JSON, on its own and as an element of a batch.
pub(crate) const EVENT_BYTES: usize = 531;
pub(crate) const EVENTS_A_SESSION: u64 = 20;
/// Sessions that go on at a time: their events alternate.
const SIDE_BY_SIDE: u64 = 64;
/// Every so many sessions ends with an order.
const SESSIONS_AN_ORDER: u64 = 40;

/// The number that an event's message id tells.
pub(crate) fn number(message_id: &str) -> Option<u64> {
    message_id.strip_prefix("bench-")?.parse().ok()
}

/// Appends the event of this number, which happened at `at` (milliseconds since 1970).
pub(crate) fn write(number: u64, at: i64, out: &mut Vec<u8>) {
    let group = number / (SIDE_BY_SIDE * EVENTS_A_SESSION);
    let session = group * SIDE_BY_SIDE + number % SIDE_BY_SIDE;
    let step = number / SIDE_BY_SIDE % EVENTS_A_SESSION;
    let at = jiff::Timestamp::from_millisecond(at).expect("a time of these days");
    let product = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52;
    let start = out.len();
    let is_order = step + 1 == EVENTS_A_SESSION && session.is_multiple_of(SESSIONS_AN_ORDER);
    let event = if is_order {
        "Order Completed"
    } else {
        "Product Viewed"
    };
    let result = write!(
        out,
        r#"{{"type":"track","event":"{event}","messageId":"bench-{number:010}","anonymousId":"visitor-{session:010}","timestamp":"{at:.3}","context":{{"library":{{"name":"analytics.js","version":"2.11.1"}},"locale":"en-GB","page":{{"url":"https://shop.example/products/{product}","referrer":"https://www.google.com/"}},"userAgent":"Mozilla/5.0 (X11; Linux x86_64)"}},"properties":{{"#
    );
    let rest = match is_order {
        true => write!(
            out,
            r#""order_id":"o-{number}","total":{product}.5,"currency":"EUR","products":[{{"product_id":"p-{product}","price":{product}.5,"quantity":1}}],"note":""#
        ),
        false => write!(
            out,
            r#""product_id":"p-{product}","price":{product}.5,"currency":"EUR","category":"Shoes","name":""#
        ),
    };
    result.and(rest).expect("memory takes all");
    const END: &[u8] = br#""}}"#;
    while out.len() - start + END.len() < EVENT_BYTES {
        out.push(b'x');
    }
    out.extend_from_slice(END);
    debug_assert_eq!(out.len() - start, EVENT_BYTES);
}
