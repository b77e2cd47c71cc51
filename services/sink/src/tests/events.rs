//! Records for tests.

use tributary_contracts::framing;
use tributary_contracts::wire::{
    Activity, Answer, Campaign, Identifier, Order, OrderKind, OrderLine, ResolvedTouchpoint,
    Subject, Touchpoint,
};
use tributary_core::ids::{ProfileId, SessionId};
use tributary_core::money::Amount;
use tributary_core::time::{DAY, Timestamp};
use uuid::Uuid;

pub(super) const START: i64 = 1_767_225_600_000;

pub(super) fn touchpoint<'a>(message_id: &'a str, timeline: &'a str, at: i64) -> Touchpoint<'a> {
    Touchpoint {
        workspace: "default",
        message_id,
        r#type: "track",
        event: "Product Viewed",
        channel: "web",
        source: "shop",
        order_namespace: "online",
        subject: Subject::Customer,
        activity: Activity::Active,
        bot: false,
        historic: false,
        may_link: true,
        occurred_at: Timestamp(at),
        received_at: Timestamp(at + 1_500),
        sent_at: Some(Timestamp(at + 1_000)),
        original_timestamp: None,
        clock_correction_ms: 0,
        timeline_type: "anonymous_id",
        timeline_value: timeline,
        identifiers: vec![
            Identifier {
                r#type: "user_id",
                value: "u1",
                raw: "",
                flags: 0,
            },
            Identifier {
                r#type: "anonymous_id",
                value: timeline,
                raw: "",
                flags: 0,
            },
            Identifier {
                r#type: "email",
                value: "",
                raw: "null",
                flags: 1,
            },
        ],
        consents: Vec::new(),
        device_type: "desktop",
        store: "",
        traffic_source: "direct",
        campaign: Campaign {
            name: "",
            source: "",
            medium: "",
            term: "",
            content: "",
        },
        url: "https://shop.example/p/1",
        referrer: "",
        group_id: "",
        order: None,
        answers: Vec::new(),
        traits: "",
        properties: r#"{"sku":"A-1","price":9.5}"#,
        context: r#"{"library":{"name":"test"}}"#,
    }
}

pub(super) fn order<'a>(order_id: &'a str, products: &[&'a str]) -> Order<'a> {
    let line = |product: &&'a str| OrderLine {
        product_id: product,
        sku: "",
        name: "Ball",
        category: "Toys",
        brand: "",
        variant: "",
        coupon: "",
        quantity: Amount::from_units(2),
        price: "12.5".parse().ok(),
    };
    Order {
        kind: OrderKind::Placed,
        order_id,
        currency: "EUR",
        total: "99.999999".parse().ok(),
        margin: None,
        lines: products.iter().map(line).collect(),
    }
}

pub(super) fn answer(comment: &str) -> Answer<'_> {
    Answer {
        question_id: "q1",
        wording: "Would you?",
        kind: "relation",
        aspect: "nps",
        scale: "0-10",
        value: Some(Amount::from_units(9)),
        comment,
        product: "",
        touchpoint: "delivery",
    }
}

pub(super) const fn session(number: u128) -> SessionId {
    SessionId(Uuid::from_u128(0x5e55_0000 + number))
}

pub(super) const fn profile(number: u128) -> ProfileId {
    ProfileId(Uuid::from_u128(0xf11e_0000 + number))
}

pub(super) fn resolved(touchpoint: Touchpoint<'_>) -> Vec<u8> {
    let resolved = ResolvedTouchpoint {
        session_id: Some(session(1)),
        profile_id: Some(profile(1)),
        links_offset: 7,
        touchpoint,
    };
    framing::encode(&resolved).expect("it fits its schema")
}

/// The value of the record at an offset: some are orders, some have answers, some cannot be read, months differ.
pub(super) fn value(offset: i64) -> Vec<u8> {
    if offset % 11 == 10 {
        return b"\0\0\0\0\x02what is this".to_vec();
    }
    let (message_id, order_id) = (format!("m{offset}"), format!("o{offset}"));
    let mut touchpoint = touchpoint(&message_id, "c1", START + offset % 5 * 40 * DAY);
    if offset % 3 == 0 {
        touchpoint.order = Some(order(&order_id, &["p1", "p2"]));
    }
    if offset % 4 == 0 {
        touchpoint.answers.push(answer("fine"));
    }
    resolved(touchpoint)
}

/// How many rows a record has in a table.
pub(super) fn rows_in(table: &str, offset: i64) -> usize {
    if offset % 11 == 10 {
        return 0;
    }
    match table {
        "touchpoints" => 1,
        "order_lines" => (offset % 3 == 0).into(),
        "answers" => (offset % 4 == 0).into(),
        _ => 0,
    }
}

/// Rows of a table for one of [`rows_in`].
pub(super) fn rows_each(table: &str) -> usize {
    if table == "order_lines" { 2 } else { 1 }
}
