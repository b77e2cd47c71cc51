//! What is wrong gets a clear error, and costs nothing else.

use crate::shop::{event, login, minutes_ago, page};
use flate2::Compression;
use flate2::write::GzEncoder;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use serde_json::{Value, json};
use std::io::Write;
use std::time::Duration;
use tributary_tests::Tenant;
use tributary_tests::client::Answer;
use tributary_tests::system::basic;
use tributary_tests::wait::until;

fn post(tenant: &Tenant<'_>, path: &str, key: &str, body: &[u8]) -> Answer {
    tenant
        .system
        .ingest(path, key, body)
        .expect("ingest answers")
}

pub(crate) fn a_bad_event_is_refused_alone_and_kept_as_a_dead_letter(tenant: &Tenant<'_>) {
    let mut nobody = page("bad", "x", minutes_ago(1));
    nobody
        .as_object_mut()
        .expect("an object")
        .remove("anonymousId");
    let batch = json!({"batch": [page("good-1", "cookie", minutes_ago(3)), nobody, page("good-2", "cookie", minutes_ago(2))]});
    let answer = post(
        tenant,
        "/v1/batch?verbose=1",
        &tenant.key("web"),
        batch.to_string().as_bytes(),
    );
    assert_eq!(answer.status, 200, "{}", answer.body);
    let json = answer.json();
    assert_eq!(
        (&json["accepted"], &json["refused"]),
        (&json!(2), &json!(1)),
        "{json}"
    );
    assert_eq!(
        (&json["events"][0]["status"], &json["events"][1]["status"]),
        (&json!("accepted"), &json!("refused")),
        "{json}"
    );
    assert!(
        json["events"][1]["message"]
            .as_str()
            .is_some_and(|message| !message.is_empty()),
        "{json}"
    );
    tenant.settled();
    assert_eq!(tenant.count("touchpoints"), 2);
    let letters =
        "SELECT stage, reason FROM dead_letters WHERE workspace = {w:String} ORDER BY reason";
    let nobody = json!({"stage": "ingest", "reason": "no_identifier"});
    assert_eq!(tenant.row(letters), nobody);

    // Alone, one that is too large is refused and kept as it is in a batch; and no time is mended in silence.
    let mut large = page("large", "cookie", minutes_ago(1));
    large["name"] = json!("x".repeat(40_000));
    let mut old = page("old", "cookie", minutes_ago(1));
    old["timestamp"] = json!("1969-12-31T23:59:59.999Z");
    for (event, status, code) in [(large, 413, "too_large"), (old, 400, "invalid_time")] {
        let body = event.to_string();
        let answer = post(tenant, "/v1/page", &tenant.key("web"), body.as_bytes());
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (status, &json!(code)),
            "{}",
            answer.body
        );
    }
    tenant.settled();
    let of = |reason: &str| json!({"stage": "ingest", "reason": reason});
    assert_eq!(
        tenant.query(letters),
        [of("invalid_time"), nobody, of("too_large")]
    );
    let kept = tenant.row(
        "SELECT max(length(payload)) > 40000 AS kept FROM dead_letters WHERE workspace = {w:String}",
    );
    assert_eq!(kept, json!({"kept": 1}));
    assert_eq!(tenant.count("touchpoints"), 2);
}

pub(crate) fn requests_that_are_wrong_as_a_whole_say_why(tenant: &Tenant<'_>) {
    let key = tenant.key("web");
    let good = page("m", "cookie", minutes_ago(1)).to_string();
    let large = json!({"batch": [{"type": "track", "event": "x".repeat(600_000)}]}).to_string();
    let many: Vec<Value> = (0..2_501)
        .map(|number| json!({"type": "page", "anonymousId": "a", "messageId": number.to_string()}))
        .collect();
    let many = json!({"batch": many}).to_string();
    for (path, key, body, status) in [
        ("/v1/track", key.as_str(), "{\"broken\":", 400),
        ("/v1/batch", key.as_str(), "{}", 400),
        ("/v1/page", "no-such-key", good.as_str(), 401),
        ("/v1/batch", key.as_str(), large.as_str(), 413),
        ("/v1/batch", key.as_str(), many.as_str(), 413),
    ] {
        let answer = post(tenant, path, key, body.as_bytes());
        assert_eq!(
            answer.status,
            status,
            "{path} with {}...: {}",
            &body[..body.len().min(40)],
            answer.body
        );
        assert!(answer.json().is_object(), "{}", answer.body);
    }
    tenant.settled();
    assert_eq!(tenant.count("touchpoints"), 0);
}

pub(crate) fn compressed_requests_are_taken_and_bombs_are_not(tenant: &Tenant<'_>) {
    let authorization = basic(&tenant.key("web"));
    let send = |plain: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain).expect("memory is written");
        let body = encoder.finish().expect("memory is written");
        let headers = [
            ("Authorization", authorization.as_str()),
            ("Content-Type", "application/json"),
            ("Content-Encoding", "gzip"),
        ];
        tenant
            .system
            .client
            .post(
                &format!("{}/v1/batch", tenant.system.endpoint("ingest")),
                &headers,
                &body,
            )
            .expect("ingest answers")
    };
    let good = json!({"batch": [page("m1", "cookie", minutes_ago(1))]}).to_string();
    assert_eq!(send(good.as_bytes()).status, 200);
    let bomb = vec![b' '; 200_000_000];
    assert_eq!(send(&bomb).status, 413);
    tenant.settled();
    assert_eq!(tenant.count("touchpoints"), 1);
}

pub(crate) fn identifiers_that_nobody_can_use_are_told_and_join_nobody(tenant: &Tenant<'_>) {
    let event = |id: &str, device: &str, traits: Value| {
        let mut event = page(id, device, minutes_ago(2));
        event["context"]["traits"] = traits;
        event
    };
    let long = "x".repeat(10_000);
    let mut too_long = event("m1", "cookie-1", json!({}));
    too_long["userId"] = json!(long);
    let mut crowd = event("m2", "cookie-2", json!({}));
    let ids: Vec<Value> = (0..25)
        .map(|number| json!({"type": "social_handle", "id": format!("@{number:02}")}))
        .collect();
    crowd["context"]["externalIds"] = json!(ids);
    let batch = [
        too_long,
        crowd,
        // The second has a Cyrillic letter in it: to a computer they are two, and none can tell which was meant.
        event("m3", "cookie-3", json!({"email": "ada@shop.example"})),
        event("m4", "cookie-4", json!({"email": "\u{430}da@shop.example"})),
        event("m5", "cookie-5", json!({"phone": "01 23 45 67 89"})),
        event(
            "m6",
            "cookie-6",
            json!({"phone": "01 23 45 67 89", "email": "nobody"}),
        ),
        event("m7", "cookie-7", json!({"email": "NULL"})),
    ];
    tenant.send("web", &batch);
    tenant.settled();
    let problems = tenant.query(
        "SELECT message_id, problem.type AS type, if(length(problem.sent) > 100, toString(length(problem.sent)), problem.sent) AS sent, \
         problem.problem AS problem FROM touchpoints ARRAY JOIN identifier_problems AS problem \
         WHERE workspace = {w:String} AND message_id != 'm2' ORDER BY message_id, type",
    );
    let problem = |message: &str, r#type: &str, sent: &str, problem: &str| json!({"message_id": message, "type": r#type, "sent": sent, "problem": problem});
    assert_eq!(
        problems,
        [
            problem("m1", "user_id", "10000", "too_long"),
            problem("m5", "phone", "01 23 45 67 89", "not_normalised"),
            problem("m6", "email", "nobody", "not_normalised"),
            problem("m6", "phone", "01 23 45 67 89", "not_normalised"),
            problem("m7", "email", "NULL", "placeholder"),
        ]
    );
    // Twenty of the 26 identifiers, the highest, are kept; the cookie that names the timeline was not among them.
    let crowd = tenant.row(
        "SELECT length(identifiers) AS kept, arrayMap(problem -> problem.sent, identifier_problems) AS left_out, timeline \
         FROM touchpoints WHERE workspace = {w:String} AND message_id = 'm2'",
    );
    let left_out = ["@20", "@21", "@22", "@23", "@24", "cookie-2"];
    assert_eq!(
        crowd,
        json!({"kept": 20, "left_out": left_out, "timeline": "social_handle:@00"})
    );
    // Of cookies 3 to 6 only the two with the same phone, as it was typed, are one customer.
    let customers = tenant.query(
        "SELECT arraySort(groupArray(identifier_value)) AS cookies FROM identities \
         WHERE workspace = {w:String} AND identifier_type = 'anonymous_id' AND identifier_value > 'cookie-2' AND valid_to > now() \
         GROUP BY profile_id ORDER BY cookies",
    );
    let cookies: Vec<&Value> = customers.iter().map(|row| &row["cookies"]).collect();
    assert_eq!(
        cookies,
        [
            &json!(["cookie-3"]),
            &json!(["cookie-4"]),
            &json!(["cookie-5", "cookie-6"]),
            &json!(["cookie-7"]),
        ]
    );
}

/// More traits and groups than fit into one message of a broker, and more than one event's share.
pub(crate) fn who_says_very_much_stops_nobody(tenant: &Tenant<'_>) {
    let login = |id: String, minute: i64, traits: Value| {
        let mut login = login(&id, "d1", "u1", minutes_ago(600 - minute));
        login["traits"] = traits;
        login
    };
    let long: Vec<Value> = (0..70)
        .map(|number| {
            let name = format!("long {number}");
            login(
                format!("l{number}"),
                number,
                json!({name: "x".repeat(20_000)}),
            )
        })
        .collect();
    // Each in a request of its own, which may have half a megabyte.
    long.chunks(20).for_each(|chunk| tenant.send("web", chunk));
    let many: serde_json::Map<String, Value> = (0..2_000)
        .map(|number| (format!("a{number:04}"), json!(number)))
        .collect();
    tenant.send("web", &[login("many".to_owned(), 80, json!(many))]);
    let groups: Vec<Value> = (0..2_500)
        .map(|number| {
            let mut group = event(&format!("g{number}"), "group", "d1", minutes_ago(400));
            group["groupId"] = json!(format!("{number:04}{}", "g".repeat(496)));
            group
        })
        .collect();
    groups
        .chunks(500)
        .for_each(|chunk| tenant.send("web", chunk));
    let of_order = |id: &str, name: &str, minute: i64, properties: Value| {
        let mut event = event(id, "track", "d3", minutes_ago(300 - minute));
        event["event"] = json!(name);
        event["properties"] = properties;
        event
    };
    let products: Vec<Value> = (0..100)
        .map(|number| {
            let product_id = format!("{number:04}{}", "p".repeat(100));
            json!({"product_id": product_id, "price": 20, "quantity": 1})
        })
        .collect();
    let order = json!({"order_id": "o", "total": 2_000, "currency": "EUR", "products": products});
    let order = of_order("order", "Order Completed", 0, order);
    tenant.send("web", &[order]);
    // Each gives back a part of each product.
    let refunds: Vec<Value> = (0..1_000)
        .map(|number| {
            let refund = json!({"order_id": "o", "total": 1, "currency": "EUR"});
            of_order(
                &format!("r{number}"),
                "Order Refunded",
                1 + number % 9,
                refund,
            )
        })
        .collect();
    refunds
        .chunks(250)
        .for_each(|chunk| tenant.send("web", chunk));
    tenant.send("web", &[page("another", "d2", minutes_ago(1))]);
    tenant.settled();
    assert_eq!(tenant.count("touchpoints"), 70 + 1 + 2_500 + 1_001 + 1);
    let order = "SELECT toInt64(total) AS total, toInt64(refunded) AS refunded, claims FROM orders_current \
        WHERE workspace = {w:String}";
    let refunded = json!({"total": 2_000, "refunded": 1_000, "claims": 1});
    assert_eq!(tenant.row(order), refunded);
    let said = tenant.row(
        "SELECT touchpoints, length(groups) AS groups, length(JSONAllPaths(traits)) AS traits FROM profiles_current \
         WHERE workspace = {w:String} AND has(identifiers.value, 'u1')",
    );
    assert_eq!(said["touchpoints"], json!(2_571), "{said}");
    // 256 traits of the event with 2,000, and of the long ones, which come behind them, as many as fit.
    let traits = said["traits"].as_u64().expect("a number");
    assert!((258..262).contains(&traits), "{said}");
    let groups = said["groups"].as_u64().expect("a number");
    assert!((200..300).contains(&groups), "{said}");
    assert_eq!(tenant.count("profiles_current"), 3);
}

pub(crate) fn a_clock_that_is_years_wrong_is_corrected(tenant: &Tenant<'_>) {
    let years_ago = minutes_ago(3 * 365 * 24 * 60);
    let mut event = page("m1", "cookie", years_ago);
    event["originalTimestamp"] = json!(years_ago.to_string());
    event["sentAt"] = json!(years_ago.to_string());
    event
        .as_object_mut()
        .expect("an object")
        .remove("timestamp");
    tenant.send("web", &[event]);
    tenant.settled();
    let row = tenant.row("SELECT abs(dateDiff('minute', occurred_at, received_at)) <= 1 AS corrected, toYear(original_timestamp) AS year FROM touchpoints WHERE workspace = {w:String}");
    let year = years_ago.to_string()[..4].parse::<i32>().expect("a year");
    assert_eq!(row, json!({"corrected": 1, "year": year}));
}

pub(crate) fn every_partition_tells_up_to_when_it_is_complete_and_what_is_late_is_counted(
    tenant: &Tenant<'_>,
) {
    let read = |name: &str| -> Vec<i64> {
        let metrics = tenant.system.metrics();
        let lines = metrics.lines().filter(|line| line.starts_with(name));
        let values = lines.filter_map(|line| line.rsplit(' ').next());
        values
            .map(|value| value.parse().expect("a number"))
            .collect()
    };
    let late = || read("tributary_processor_late_events_total")[0];
    let begin = jiff::Timestamp::now();
    // Partitions without a single event go on with the clock, too.
    until(
        "a watermark of every partition",
        Duration::from_secs(60),
        || {
            let watermarks = read("tributary_processor_watermark_timestamp_seconds");
            let newest = begin.as_second() - 60;
            let passed = watermarks.len() == 4 && watermarks.iter().all(|at| *at >= newest);
            passed.then_some(()).ok_or(format!("{watermarks:?}"))
        },
    );
    let before = late();
    tenant.send("web", &[page("m1", "cookie", minutes_ago(90))]);
    tenant.settled();
    assert!(late() > before, "an event of long ago is late");
}

pub(crate) fn a_topic_with_too_few_partitions_is_named(tenant: &Tenant<'_>) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", tenant.system.endpoint("kafka"))
        .create()
        .expect("the properties are right");
    let topic = NewTopic::new("short.touchpoints", 1, TopicReplication::Fixed(1));
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
    let results = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts")
        .block_on(admin.create_topics([&topic], &options))
        .expect("kafka answers");
    assert_eq!(results, [Ok("short.touchpoints".to_owned())]);
    let output = tenant
        .system
        .command(&["migrate"])
        .env("TRIBUTARY__KAFKA__TOPIC_PREFIX", "short")
        .output()
        .expect("the binary starts");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    for part in [
        "short.touchpoints",
        "1 partitions instead of 4",
        "kafka.topic_prefix",
    ] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
}
