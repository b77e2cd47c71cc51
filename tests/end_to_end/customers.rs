//! Who is who, and what it adds up to.

use crate::shop::{event, login, minutes_ago, order, page};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tributary_tests::Tenant;

const PROFILES: &str = "SELECT profile_id, identifiers, sessions, touchpoints, orders, revenue, traits \
    FROM profiles_current WHERE workspace = {w:String} ORDER BY profile_id";

pub(crate) fn one_event_is_stored_once_however_often_it_is_sent(tenant: &Tenant<'_>) {
    let mut event = event("m1", "track", "cookie", minutes_ago(10));
    event["event"] = json!("Product Viewed");
    tenant.send("web", &[event.clone()]);
    tenant.settled();
    let count = || {
        (
            tenant.count("touchpoints"),
            tenant.count("touchpoints_current"),
            tenant.count("profiles_current"),
            tenant.count("sessions_current"),
        )
    };
    assert_eq!(count(), (1, 1, 1, 1));
    tenant.send("web", &[event.clone(), event.clone()]);
    tenant.send("web", &[event]);
    tenant.settled();
    assert_eq!(count(), (1, 1, 1, 1));
    let row = tenant.row("SELECT type, event, channel, source, anonymous_id FROM touchpoints WHERE workspace = {w:String}");
    assert_eq!(
        row,
        json!({"type": "track", "event": "Product Viewed", "channel": "web", "source": "web", "anonymous_id": "cookie"})
    );
}

pub(crate) fn logins_on_two_devices_make_one_customer_of_three(tenant: &Tenant<'_>) {
    let at = |minute: i64| minutes_ago(300 - minute);
    tenant.send(
        "web",
        &[
            page("a1", "laptop", at(0)),
            page("a2", "laptop", at(1)),
            page("b1", "phone", at(5)),
        ],
    );
    tenant.settled();
    assert_eq!(tenant.count("profiles_current"), 2, "nobody has logged in");
    let visitors = |tenant: &Tenant<'_>| -> Vec<Value> {
        tenant.query(
            "SELECT toString(value) AS value FROM kpis_current WHERE workspace = {w:String} AND kpi = 'visitors' AND dimension = '' \
             AND window = '24h' ORDER BY window_end DESC LIMIT 1",
        )
    };
    assert_eq!(visitors(tenant), [json!({"value": "2"})]);

    tenant.send(
        "web",
        &[
            login("a3", "laptop", "ada", at(60)),
            order("a4", "laptop", "ada", "o1", 59.9, at(61)),
        ],
    );
    tenant.send(
        "web",
        &[
            login("b2", "phone", "ada", at(70)),
            order("b3", "phone", "ada", "o2", 20.1, at(71)),
        ],
    );
    tenant.settled();
    let profiles = tenant.query(PROFILES);
    assert_eq!(profiles.len(), 1, "{profiles:?}");
    let ada = &profiles[0];
    assert_eq!(
        ada["identifiers"],
        json!([
            ["user_id", "ada"],
            ["anonymous_id", "laptop"],
            ["anonymous_id", "phone"]
        ])
    );
    assert_eq!(
        (&ada["sessions"], &ada["touchpoints"], &ada["orders"]),
        (&json!(4), &json!(7), &json!(2))
    );
    assert_eq!(ada["revenue"], json!({"EUR": "80"}));
    assert_eq!(
        visitors(tenant),
        [json!({"value": "1"})],
        "the two visitors were one, also in the past"
    );

    let owners = tenant
        .query("SELECT DISTINCT profile_id FROM touchpoints_current WHERE workspace = {w:String}");
    assert_eq!(
        owners,
        [json!({"profile_id": ada["profile_id"]})],
        "the anonymous rows are hers now"
    );
    let received =
        tenant.query("SELECT DISTINCT profile_id FROM touchpoints WHERE workspace = {w:String}");
    assert_eq!(
        received.len(),
        3,
        "as received they were two cookies' and hers"
    );
    let sessions =
        tenant.query("SELECT session_id FROM sessions_current WHERE workspace = {w:String}");
    let current: BTreeSet<String> = column(
        &tenant.query(
            "SELECT DISTINCT session_id FROM touchpoints_current WHERE workspace = {w:String}",
        ),
        "session_id",
    );
    assert_eq!(
        current,
        column(&sessions, "session_id"),
        "touchpoints name the sessions that there are"
    );
    let identities = tenant.query(
        "SELECT identifier_type, identifier_value, profile_id FROM identities WHERE workspace = {w:String} ORDER BY ALL",
    );
    assert_eq!(identities.len(), 3, "{identities:?}");
    assert!(
        identities
            .iter()
            .all(|identity| identity["profile_id"] == ada["profile_id"]),
        "{identities:?}"
    );
    let aliases = tenant.query("SELECT * FROM profile_aliases WHERE workspace = {w:String}");
    assert!(!aliases.is_empty(), "the cookies' own ids resolve to her");
}

pub(crate) fn people_on_a_shared_tablet_stay_two(tenant: &Tenant<'_>) {
    let at = |minute: i64| minutes_ago(300 - minute);
    let mut events = Vec::new();
    for (number, user) in ["ada", "ben", "ada"].into_iter().enumerate() {
        let start = 60 * i64::try_from(number).expect("three");
        events.push(login(&format!("l{number}"), "tablet", user, at(start)));
        events.push(order(
            &format!("o{number}"),
            "tablet",
            user,
            &format!("o{number}"),
            10.0,
            at(start + 1),
        ));
    }
    tenant.send("web", &events);
    tenant.settled();
    let profiles = tenant.query(
        "SELECT identifiers[1].2 AS user, sessions, touchpoints, orders FROM profiles_current WHERE workspace = {w:String} ORDER BY user",
    );
    let expected = [
        json!({"user": "ada", "sessions": 2, "touchpoints": 4, "orders": 2}),
        json!({"user": "ben", "sessions": 1, "touchpoints": 2, "orders": 1}),
    ];
    assert_eq!(profiles, expected);
    let refusals =
        tenant.query("SELECT reason FROM identity_refusals WHERE workspace = {w:String}");
    assert_eq!(
        refusals.len(),
        1,
        "the tablet joins one of them: {refusals:?}"
    );
    let spans = tenant.query("SELECT valid_from FROM identities WHERE workspace = {w:String} AND identifier_value = 'tablet' ORDER BY valid_from");
    assert_eq!(
        spans.len(),
        3,
        "the tablet was ada's, then ben's, then ada's: {spans:?}"
    );
}

pub(crate) fn an_order_sent_by_two_systems_counts_once_and_a_refund_is_taken_off(
    tenant: &Tenant<'_>,
) {
    let first = order("m1", "laptop", "ada", "o1", 100.0, minutes_ago(150));
    let again = order("m2", "server", "ada", "o1", 100.0, minutes_ago(149));
    let mut refund = order("m3", "laptop", "ada", "o1", 30.25, minutes_ago(140));
    refund["event"] = json!("Order Refunded");
    // The refund comes before its order.
    tenant.send("web", &[refund]);
    tenant.settled();
    assert_eq!(
        tenant.count("orders_current"),
        0,
        "nobody knows the order yet"
    );
    tenant.send("web", &[again, first]);
    tenant.settled();
    assert_eq!(tenant.count("orders_current"), 1);
    let profiles = tenant.query(PROFILES);
    assert_eq!(profiles.len(), 1, "{profiles:?}");
    assert_eq!(
        (&profiles[0]["orders"], &profiles[0]["revenue"]),
        (&json!(1), &json!({"EUR": "69.75"}))
    );
    let kpis = tenant.query(
        "SELECT kpi, toString(value) AS value FROM kpis_current WHERE workspace = {w:String} AND dimension = '' AND window = '7d' \
         AND kpi IN ('orders', 'revenue', 'average_order_value') ORDER BY window_end DESC, kpi LIMIT 3",
    );
    let expected = [
        json!({"kpi": "average_order_value", "value": "100"}),
        json!({"kpi": "orders", "value": "1"}),
        json!({"kpi": "revenue", "value": "69.75"}),
    ];
    assert_eq!(kpis, expected);
}

pub(crate) fn a_product_brings_its_lines_less_what_is_given_back_of_it(tenant: &Tenant<'_>) {
    let mut placed = order("m1", "laptop", "ada", "o1", 100.0, minutes_ago(150));
    placed["properties"]["margin"] = json!(10);
    placed["properties"]["products"] = json!([
        {"product_id": "mug", "price": 30, "quantity": 2},
        {"sku": "pot", "price": 30},
        {"product_id": "voucher", "price": -1},
    ]);
    let refunded = |id: &str, amount: f64, at| {
        let mut refund = order(id, "laptop", "ada", "o1", amount, at);
        refund["event"] = json!("Order Refunded");
        refund
    };
    let mut a_pot = refunded("m2", 10.0, minutes_ago(140));
    a_pot["properties"]["products"] = json!([{"product_id": "pot", "price": 10}]);
    let a_tenth = refunded("m3", 10.0, minutes_ago(130));
    let expect = |kpi: &str, expected: &[(&str, &str)]| {
        tenant.settled();
        let values = tenant.query(&format!(
            "SELECT dimension_value, toString(value) AS value FROM kpis_current WHERE workspace = {{w:String}} AND kpi = '{kpi}' \
             AND dimension = 'product' AND window = '7d' AND window_end = \
             (SELECT max(window_end) FROM kpis_current WHERE workspace = {{w:String}} AND kpi = 'orders' AND window = '7d') \
             ORDER BY dimension_value"
        ));
        let expected = expected
            .iter()
            .map(|(product, value)| json!({"dimension_value": product, "value": value}));
        assert_eq!(values, expected.collect::<Vec<_>>(), "{kpi}");
    };
    tenant.send("web", &[a_tenth, a_pot, placed]);
    expect("orders", &[("mug", "1"), ("pot", "1"), ("voucher", "1")]);
    expect(
        "average_order_value",
        &[("mug", "60"), ("pot", "30"), ("voucher", "-1")],
    );
    expect("margin", &[("mug", "6.666666"), ("pot", "3.333334")]);
    expect(
        "revenue",
        &[("mug", "54"), ("pot", "17"), ("voucher", "-0.9")],
    );
    let mut cancelled = refunded("m4", 0.0, minutes_ago(120));
    cancelled["event"] = json!("Order Cancelled");
    tenant.send("web", &[cancelled]);
    expect("revenue", &[]);
}

pub(crate) fn kpis_are_what_sql_says_over_all_events(tenant: &Tenant<'_>) {
    let mut events = Vec::new();
    for visitor in 0..40_i64 {
        let device = format!("d{visitor}");
        for visit in 0..=(visitor % 4) {
            let minutes = 30 + (visitor * 97 + visit * 731) % 2_500;
            let id = format!("{visitor}-{visit}");
            events.push(page(&format!("{id}-p"), &device, minutes_ago(minutes)));
            if visitor % 3 == 0 {
                let user = format!("u{}", visitor / 2);
                events.push(order(
                    &format!("{id}-o"),
                    &device,
                    &user,
                    &format!("order-{id}"),
                    1.0 + f64::from(i32::try_from(minutes).expect("small")),
                    minutes_ago(minutes - 1),
                ));
            }
        }
    }
    tenant.send("web", &events);
    tenant.settled();
    // Each line: the KPI, and the same over all rows in a window that ends at the mark.
    for (kpi, sql) in [
        ("visitors", "uniqExactIf(profile_id, activity = 'active')"),
        ("sessions", "uniqExact(session_id)"),
        ("orders", "uniqExactIf(order_id, event = 'Order Completed')"),
        ("revenue", "sumIf(revenue, event = 'Order Completed')"),
    ] {
        for (window, hours) in [("1h", 1), ("24h", 24), ("7d", 168)] {
            let by_sql = if kpi == "sessions" {
                "SELECT count() FROM sessions_current WHERE workspace = {w:String} AND started_at > kpis.window_end - INTERVAL HOURS HOUR AND started_at <= kpis.window_end"
                    .to_owned()
            } else {
                format!(
                    "SELECT {sql} FROM touchpoints_current WHERE workspace = {{w:String}} AND occurred_at > kpis.window_end - INTERVAL HOURS HOUR AND occurred_at <= kpis.window_end"
                )
            };
            let marks = tenant.query(&format!(
                "SELECT toUnixTimestamp(window_end) AS mark, toFloat64(value) AS value FROM kpis_current WHERE workspace = {{w:String}} \
                 AND kpi = '{kpi}' AND window = '{window}' AND dimension = '' ORDER BY cityHash64(window_end) LIMIT 12"
            ));
            assert!(!marks.is_empty(), "{kpi} has no mark of {window}");
            for mark in marks {
                let moment = format!("toDateTime64({}, 3, 'UTC')", mark["mark"]);
                let sql = by_sql
                    .replace("kpis.window_end", &moment)
                    .replace("HOURS", &hours.to_string());
                let expected = tenant.row(&format!("SELECT toFloat64(({sql})) AS value"));
                assert_eq!(
                    mark["value"], expected["value"],
                    "{kpi} of {window} at {}",
                    mark["mark"]
                );
            }
        }
    }
}

pub(crate) fn a_kpi_that_is_not_what_sql_says_is_told(tenant: &Tenant<'_>) {
    tenant.send("web", &[page("m1", "cookie", minutes_ago(100))]);
    tenant.verify_kpis(&[]);
    let workspace = tenant.workspace();
    let verify = |arguments: &[&str]| {
        let all = [&["verify", "kpis", "--workspace", &workspace], arguments].concat();
        let output = tenant.system.job(&all);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    // A value of a store that nobody was in, put beside what the sink has stored.
    let forge = "INSERT INTO kpis SELECT workspace, kpi, window, currency, 'store', 'nowhere', block_start, step_ms, marks, \
        numerators, denominators, revision, kafka_partition, kafka_offset FROM kpis FINAL \
        WHERE workspace = {w:String} AND kpi = 'visitors' AND window = '24h' AND dimension = ''";
    tenant.query(forge);
    let (code, out, error) = verify(&["--kpi", "visitors"]);
    assert_eq!(code, Some(3), "{out}{error}");
    assert!(
        out.contains("24h by store nowhere at ")
            && out.contains("1 of 1 in kpis_current, 0 of 0 by SQL"),
        "{out}"
    );
    assert!(error.contains("values differ"), "{error}");
    tenant.query("DELETE FROM kpis WHERE workspace = {w:String} AND dimension_value = 'nowhere'");

    // At a moment, each window is asked at one mark: all but the hour have the visit.
    let (code, out, error) = verify(&[
        "--at",
        &minutes_ago(20).to_string(),
        "--kpi",
        "visitors",
        "--json",
    ]);
    assert_eq!(code, Some(0), "{out}{error}");
    let report: Value = serde_json::from_str(&out).expect("JSON");
    let values = report["kpis"][0]["marks"].as_u64().expect("a number");
    assert!((10..200).contains(&values), "{out}");
    for (arguments, said) in [
        (["--kpi", "moon_phase"], "visitors"),
        (["--at", "yesterday"], "2026-11-01"),
        (["--at", "2036-01-01"], "yet to come"),
    ] {
        let (code, _, error) = verify(&arguments);
        assert!(code == Some(2) && error.contains(said), "{error}");
    }
}

pub(crate) fn explain_tells_why_a_customer_is_one(tenant: &Tenant<'_>) {
    let user = format!("eve-{}", tenant.number);
    let tablet = format!("6FA459EA-EE8A-4CA4-894E-DB77E160{:04}", tenant.number);
    tenant.send(
        "web",
        &[
            page("m1", "eves-phone", minutes_ago(90)),
            login("m2", "eves-phone", &user, minutes_ago(80)),
            order("m3", "eves-phone", &user, "o1", 12.5, minutes_ago(79)),
            // As iOS makes ids, which could be a profile's.
            login("m4", &tablet, &user, minutes_ago(70)),
            json!({"messageId": "m5", "type": "page", "anonymousId": format!("crawler-{}", tenant.number),
                "context": {"userAgent": "Mozilla/5.0 (compatible; Googlebot/2.1)"}}),
        ],
    );
    tenant.settled();
    let output = tenant.system.job(&["explain", &tablet]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains(&user), "`{user}` is not in\n{text}");
    let output = tenant.system.job(&["explain", &user]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for part in [&user, "eves-phone", "12.5", "m2"] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    let output = tenant
        .system
        .job(&["explain", &format!("user_id:{user}"), "--json"]);
    let explained: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!(
        explained["profiles"][0]["profile"]["orders"],
        json!(1),
        "{explained}"
    );
    for (identifier, part) in [
        ("nobody-at-all".to_owned(), "nobody-at-all"),
        (format!("crawler-{}", tenant.number), "events of bots"),
    ] {
        let output = tenant.system.job(&["explain", &identifier]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
}

fn column(rows: &[Value], name: &str) -> BTreeSet<String> {
    rows.iter()
        .map(|row| row[name].as_str().unwrap_or_default().to_owned())
        .collect()
}
