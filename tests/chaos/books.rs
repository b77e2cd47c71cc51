//! What was sent, and what must come of it.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tributary_tests::wait::until;
use tributary_tests::{System, Tenant};

const CUSTOMERS: usize = 60;
const BATCH: usize = 20;

/// What was sent so far, and what must come of it.
#[derive(Default)]
pub(crate) struct Books {
    pub(crate) messages: usize,
    pub(crate) orders: usize,
    pub(crate) euros: usize,
}

/// Visits of all customers: pages on a device of their own, a login, an order. `round` keeps the rounds apart.
pub(crate) fn round(round: usize, books: &mut Books) -> Vec<Value> {
    let start = jiff::Timestamp::now().as_second() / 60 * 60 - 36_000
        + i64::try_from(round).expect("small") * 3_600;
    let mut events = Vec::new();
    for customer in 0..CUSTOMERS {
        let mut push = |step: i64, mut event: Value| {
            let at = jiff::Timestamp::from_second(start + step).expect("within range");
            event["messageId"] = json!(format!("{round}-{customer}-{step}"));
            event["anonymousId"] = json!(format!("device-{customer}-{}", round % 3));
            event["timestamp"] = json!(at.to_string());
            event["context"] = json!({"library": {"name": "analytics.js"}});
            events.push(event);
        };
        for step in 0..4 {
            push(step, json!({"type": "page", "name": "Home"}));
        }
        let user = format!("customer-{customer}");
        push(10, json!({"type": "identify", "userId": user}));
        let total = customer + round + 1;
        let properties = json!({"order_id": format!("order-{round}-{customer}"), "total": total, "currency": "EUR"});
        push(
            20,
            json!({"type": "track", "event": "Order Completed", "userId": user, "properties": properties}),
        );
        books.orders += 1;
        books.euros += total;
    }
    books.messages += events.len();
    events
}

/// Sends a round as a stream, and does something to the system in the middle of it.
pub(crate) fn send_while(system: &System, events: &[Value], disturb: impl FnOnce()) {
    let tenant = Tenant { system, number: 0 };
    let sent = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for batch in events.chunks(BATCH) {
                tenant.send_stubbornly("web", batch);
                sent.fetch_add(1, Ordering::SeqCst);
            }
        });
        until(
            "the middle of the stream",
            Duration::from_secs(60),
            || match sent.load(Ordering::SeqCst) {
                sent if sent >= events.len() / BATCH / 3 => Ok(()),
                sent => Err(format!("{sent} batches are sent")),
            },
        );
        disturb();
    });
}

pub(crate) fn check(system: &System, books: &Books, when: &str) {
    system.settled();
    let tenant = Tenant { system, number: 0 };
    let number = |sql: &str| tenant.row(sql)["n"].clone();
    assert_eq!(
        tenant.count("touchpoints"),
        books.messages as u64,
        "touchpoints after {when}"
    );
    assert_eq!(
        tenant.count("touchpoints_current"),
        books.messages as u64,
        "current touchpoints after {when}"
    );
    assert_eq!(
        number("SELECT uniqExact(message_id) AS n FROM touchpoints WHERE workspace = {w:String}"),
        json!(books.messages),
        "messages after {when}"
    );
    assert_eq!(
        tenant.count("profiles_current"),
        CUSTOMERS as u64,
        "profiles after {when}"
    );
    assert_eq!(
        tenant.count("orders_current"),
        books.orders as u64,
        "orders after {when}"
    );
    let whole = tenant.row("SELECT sum(orders) AS orders, sum(touchpoints) AS touchpoints, toString(sum(revenue['EUR'])) AS revenue FROM profiles_current WHERE workspace = {w:String}");
    assert_eq!(
        whole,
        json!({"orders": books.orders, "touchpoints": books.messages, "revenue": books.euros.to_string()}),
        "profiles' sums after {when}"
    );
    let kpi = |kpi: &str| {
        tenant.query(&format!(
            "SELECT toString(value) AS value FROM kpis_current WHERE workspace = {{w:String}} AND kpi = '{kpi}' AND window = '7d' AND dimension = '' ORDER BY window_end DESC LIMIT 1"
        ))
    };
    // The last 7-day mark is on the hour; every event is at least that old, but for the last rounds'.
    let orders = number(
        "SELECT count() AS n FROM orders_current WHERE workspace = {w:String} AND ordered_at <= (SELECT max(window_end) FROM kpis_current \
         WHERE workspace = {w:String} AND kpi = 'orders' AND window = '7d' AND dimension = '')",
    );
    assert_eq!(
        kpi("orders"),
        [json!({"value": orders.to_string()})],
        "orders as a KPI after {when}"
    );
    let sessions: BTreeSet<String> = tenant
        .query("SELECT DISTINCT toString(session_id) AS id FROM touchpoints_current WHERE workspace = {w:String}")
        .iter()
        .map(|row| row["id"].to_string())
        .collect();
    assert_eq!(
        sessions.len() as u64,
        tenant.count("sessions_current"),
        "sessions after {when}"
    );
    assert_eq!(tenant.count("dead_letters"), 0, "dead letters after {when}");
    tenant.verify_kpis(&[]);
}
