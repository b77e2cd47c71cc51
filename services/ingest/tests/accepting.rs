//! What is taken, and how it stands on Kafka when the 200 comes.

mod world;

use rdkafka::message::Message;
use tributary_contracts::wire::{Activity, OrderKind, Subject, Touchpoint, identifier_flags};
use tributary_contracts::{framing, keys};
use tributary_core::money::Amount;
use world::{KEY, PARTITIONS, World, basic, payload};

#[test]
fn a_200_means_that_the_event_stands_on_its_timelines_partition() {
    let world = World::start(|config| config.workspaces[0].phone_region = "FR".to_owned());
    let answer = world.post(
        "/v1/track",
        r#"{"messageId":"m1","event":"Order Completed","userId":"ann","anonymousId":"cookie",
            "timestamp":"2024-05-01T10:00:00.000Z","sentAt":"2024-05-01T10:00:01.000Z",
            "properties":{"order_id":"o1","total":"99.90","currency":"eur","products":[{"sku":"s","price":10,"quantity":2}]},
            "context":{"ip":"203.0.113.77","userAgent":"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Mobile",
              "library":{"name":"analytics.js"},"traits":{"email":" Ann@Example.org","phone":"06 12 34 56 78"},
              "device":{"id":"00000000-0000-0000-0000-000000000000"},
              "page":{"url":"https://shop.org/?utm_source=news&utm_medium=email","referrer":"https://www.google.com/"},
              "consent":{"categoryPreferences":{"Analytics":true}}}}"#,
    );
    assert_eq!(
        (answer.status, answer.json()["success"].as_bool()),
        (200, Some(true)),
        "{answer:?}"
    );

    let records = world.records("tributary.touchpoints", 1);
    let key = keys::timeline("default", "anonymous_id", "cookie");
    assert_eq!(records[0].key(), Some(&key[..]));
    assert_eq!(
        records[0].partition(),
        keys::partition(&key, PARTITIONS as u32)
    );
    let touchpoint: Touchpoint<'_> = framing::decode(payload(&records[0])).unwrap();
    assert_eq!(
        (touchpoint.message_id, touchpoint.r#type, touchpoint.event),
        ("m1", "track", "Order Completed")
    );
    assert_eq!(
        (touchpoint.workspace, touchpoint.source, touchpoint.channel),
        ("default", "site", "web")
    );
    assert_eq!(
        (touchpoint.timeline_type, touchpoint.timeline_value),
        ("anonymous_id", "cookie")
    );
    assert_eq!(
        (touchpoint.subject, touchpoint.activity, touchpoint.bot),
        (Subject::Customer, Activity::Active, false)
    );
    let identifiers: Vec<_> = touchpoint
        .identifiers
        .iter()
        .map(|i| (i.r#type, i.value, i.raw, i.flags))
        .collect();
    assert_eq!(
        identifiers,
        [
            ("user_id", "ann", "", 0),
            ("email", "ann@example.org", " Ann@Example.org", 0),
            ("phone", "+33612345678", "06 12 34 56 78", 0),
            ("anonymous_id", "cookie", "", 0),
            (
                "device_id",
                "",
                "00000000-0000-0000-0000-000000000000",
                identifier_flags::PLACEHOLDER
            ),
        ]
    );
    // Sent with a clock that is years behind: the event happened a second before it was received, to the minute.
    let age = touchpoint.received_at.0 - touchpoint.occurred_at.0;
    assert!((0..=31_000).contains(&age), "{age}");
    assert_eq!(
        touchpoint.original_timestamp.map(|time| time.0),
        Some(1_714_557_600_000)
    );
    assert_eq!(touchpoint.clock_correction_ms % 60_000, 0);
    assert_eq!(
        (touchpoint.device_type, touchpoint.traffic_source),
        ("mobile", "news / email")
    );
    assert_eq!(
        (touchpoint.campaign.source, touchpoint.campaign.medium),
        ("news", "email")
    );
    assert!(
        touchpoint.context.contains(r#""ip":"203.0.113.0""#),
        "{}",
        touchpoint.context
    );
    assert!(touchpoint.consents[0].granted && touchpoint.consents[0].purpose == "analytics");
    let order = touchpoint.order.unwrap();
    assert_eq!(
        (order.kind, order.order_id, order.currency),
        (OrderKind::Placed, "o1", "EUR")
    );
    assert_eq!(order.total, Some(Amount::from_millionths(99_900_000)));
    assert_eq!(
        (order.lines[0].product_id, order.lines[0].quantity),
        ("s", Amount::from_units(2))
    );
    assert_eq!(world.events("accepted"), 1);
}

#[test]
fn every_call_is_taken_under_its_long_and_its_short_path_with_the_key_in_the_body() {
    let world = World::start(|_| ());
    let paths = [
        ("track", "t", r#","event":"e""#),
        ("identify", "i", ""),
        ("page", "p", ""),
        ("screen", "s", ""),
        ("group", "g", r#","groupId":"acme""#),
        ("alias", "a", r#","previousId":"old""#),
    ];
    for (long, short, more) in paths {
        for path in [long, short] {
            let body =
                format!(r#"{{"writeKey":"{KEY}","messageId":"{path}","anonymousId":"c"{more}}}"#);
            let answer = world.request(
                "POST",
                &format!("/v1/{path}"),
                &[("Content-Type", "text/plain")],
                body.as_bytes(),
            );
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
        }
    }
    let records = world.records("tributary.touchpoints", 12);
    let touchpoints: Vec<Touchpoint<'_>> = records
        .iter()
        .map(|record| framing::decode(payload(record)).unwrap())
        .collect();
    for (long, short, _) in paths {
        for path in [long, short] {
            let touchpoint = touchpoints
                .iter()
                .find(|touchpoint| touchpoint.message_id == path)
                .unwrap();
            assert_eq!(touchpoint.r#type, long, "{path}");
        }
    }
    assert_eq!(
        touchpoints
            .iter()
            .find(|touchpoint| touchpoint.r#type == "group")
            .unwrap()
            .group_id,
        "acme"
    );
}

#[test]
fn a_batch_is_taken_gzipped_with_its_key_in_the_body() {
    use std::io::Write as _;
    let world = World::start(|_| ());
    let events: Vec<String> = (0..250)
        .map(|n| {
            format!(r#"{{"type":"track","event":"e","messageId":"m{n}","anonymousId":"c{n}"}}"#)
        })
        .collect();
    let body = format!(
        r#"{{"batch":[{}],"writeKey":"{KEY}","sentAt":"2024-05-01T10:00:00Z"}}"#,
        events.join(",")
    );
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(body.as_bytes()).unwrap();
    let answer = world.request(
        "POST",
        "/v1/b",
        &[("Content-Encoding", "gzip")],
        &gzip.finish().unwrap(),
    );
    assert_eq!(
        (answer.status, answer.json()["accepted"].as_u64()),
        (200, Some(250)),
        "{answer:?}"
    );
    let records = world.records("tributary.touchpoints", 250);
    let mut ids: Vec<_> = records
        .iter()
        .map(|record| {
            framing::decode::<Touchpoint<'_>>(payload(record))
                .unwrap()
                .message_id
                .to_owned()
        })
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 250);
    assert_eq!((world.events("accepted"), world.events("failed")), (250, 0));
}

#[test]
fn a_pixel_and_a_beacon_are_taken_and_their_browser_is_looked_at() {
    let world = World::start(|_| ());
    let event =
        format!(r#"{{"writeKey":"{KEY}","messageId":"pixel","anonymousId":"c","event":"Seen"}}"#);
    let data = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(event)
    };
    let robot = (
        "User-Agent",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    );
    let answer = world.request(
        "GET",
        &format!("/v1/pixel/track?data={data}"),
        &[robot],
        b"",
    );
    assert_eq!(
        (answer.status, answer.headers["content-type"].as_str()),
        (200, "image/gif")
    );
    assert!(answer.body.starts_with(b"GIF89a"));
    let beacon = format!(r#"{{"writeKey":"{KEY}","messageId":"beacon","anonymousId":"c"}}"#);
    let headers = [
        ("Content-Type", "text/plain;charset=UTF-8"),
        ("Origin", "https://shop.org"),
        robot,
    ];
    assert_eq!(
        world
            .request("POST", "/v1/p", &headers, beacon.as_bytes())
            .status,
        200
    );
    // The same header of a server's own code says nothing of the customer.
    let call = r#"{"messageId":"server","anonymousId":"c"}"#;
    let headers = [("Authorization", &*basic(KEY)), robot];
    assert_eq!(
        world
            .request("POST", "/v1/page", &headers, call.as_bytes())
            .status,
        200
    );
    // A browser's call that a tool passes on has no browser that could be looked at.
    for (id, agent) in [("crawled", robot.1), ("passed on", "curl/8.5.0")] {
        let call = format!(
            r#"{{"messageId":"{id}","anonymousId":"c","context":{{"library":{{"name":"analytics.js"}}}}}}"#
        );
        let headers = [("Authorization", &*basic(KEY)), ("User-Agent", agent)];
        assert_eq!(
            world
                .request("POST", "/v1/page", &headers, call.as_bytes())
                .status,
            200
        );
    }
    for record in world.records("tributary.touchpoints", 5) {
        let touchpoint: Touchpoint<'_> = framing::decode(payload(&record)).unwrap();
        assert_eq!(
            touchpoint.bot,
            !["server", "passed on"].contains(&touchpoint.message_id),
            "{}",
            touchpoint.message_id
        );
    }
    assert_eq!(
        world.request("GET", "/v1/pixel/track", &[], b"").error(),
        ("no_data".to_owned(), "data".to_owned())
    );
}

#[test]
fn an_answer_at_a_terminal_is_filed_under_its_source() {
    let world = World::start(|_| ());
    let body = r#"{"event":"Survey Answered","messageId":"m","properties":{"aspect":"csat","scale":"1-5","value":4}}"#;
    assert_eq!(world.post("/v1/track", body).status, 200);
    let records = world.records("tributary.touchpoints", 1);
    let touchpoint: Touchpoint<'_> = framing::decode(payload(&records[0])).unwrap();
    assert_eq!(
        (
            touchpoint.subject,
            touchpoint.timeline_type,
            touchpoint.timeline_value
        ),
        (Subject::Source, "source", "site")
    );
    assert_eq!(
        (touchpoint.answers[0].scale, touchpoint.answers[0].value),
        ("1-5", Some(Amount::from_units(4)))
    );
}

#[test]
fn a_historic_source_keeps_its_times_and_a_sync_is_passive() {
    let world = World::start(|config| {
        config.sources[0].historic = true;
        config.sources[0].sync = true;
        config.sources[0].channel = "store".to_owned();
    });
    let body = r#"{"event":"Order Completed","userId":"7","timestamp":"1997-01-01","sentAt":"1997-06-01T00:00:00Z",
        "properties":{"total":11.77,"store_id":"s1"}}"#;
    assert_eq!(world.post("/v1/track", body).status, 200);
    let records = world.records("tributary.touchpoints", 1);
    let touchpoint: Touchpoint<'_> = framing::decode(payload(&records[0])).unwrap();
    assert_eq!(
        (touchpoint.occurred_at.0, touchpoint.clock_correction_ms),
        (852_076_800_000, 0)
    );
    assert!(touchpoint.historic);
    assert_eq!(
        (touchpoint.activity, touchpoint.channel, touchpoint.store),
        (Activity::Passive, "store", "s1")
    );
    let order = touchpoint.order.unwrap();
    assert_eq!(
        (order.order_id, order.currency),
        (touchpoint.message_id, "EUR")
    );
}
