//! KPIs of customers: what they say, what they are worth, whether they stay. After each scenario the runner verifies every
//! KPI against SQL; here stand the numbers that KPIS.md gives, and what merges and cuts do to them.

use crate::shop::{event, login, minutes_ago, order, page};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tributary_tests::Tenant;

/// The values of a KPI at the last mark of the window of 24 hours, by dimension value.
pub(crate) fn last(tenant: &Tenant<'_>, kpi: &str, dimension: &str) -> Vec<(String, f64)> {
    let rows = tenant.query(&format!(
        "SELECT dimension_value, value FROM kpis_current WHERE workspace = {{w:String}} AND kpi = '{kpi}' AND dimension = '{dimension}' \
         AND window = '24h' AND window_end = (SELECT max(window_end) FROM kpis_current WHERE workspace = {{w:String}} AND kpi = 'lifecycle' AND window = '24h') \
         ORDER BY dimension_value"
    ));
    let value = |row: &Value| {
        let name = row["dimension_value"].as_str().unwrap_or_default();
        let value = row["value"].as_f64().expect("a number");
        (name.to_owned(), value)
    };
    rows.iter().map(value).collect()
}

pub(crate) fn whole(tenant: &Tenant<'_>, kpi: &str) -> Option<f64> {
    last(tenant, kpi, "").first().map(|(_, value)| *value)
}

pub(crate) fn close(value: Option<f64>, expected: f64) -> bool {
    value.is_some_and(|value| (value - expected).abs() < 0.005)
}

fn answer(id: &str, device: &str, answer: Value, at: Timestamp) -> Value {
    let mut given = event(id, "track", device, at);
    given["event"] = json!("Survey Answered");
    given["properties"] = answer;
    given
}

pub(crate) fn answers_leads_and_points_follow_their_customer(tenant: &Tenant<'_>) {
    let at = |minute: i64| minutes_ago(600 - minute);
    let mut events = Vec::new();
    for note in 0..=10 {
        let device = format!("d{note}");
        let nps =
            json!({"question_id": "q1", "aspect": "nps", "value": note, "comment": "so it was"});
        events.push(answer(&format!("n{note}"), &device, nps, at(note)));
        if note > 0 {
            let nps = json!({"aspect": "nps", "scale": "1-10", "value": note});
            events.push(answer(&format!("o{note}"), &device, nps, at(20 + note)));
        }
    }
    for number in 0..100 {
        let csat = if number % 2 == 0 {
            json!({"aspect": "csat", "value": if number < 90 { 5 } else { 3 }, "product": "p1", "touchpoint": "delivery"})
        } else {
            json!({"aspect": "csat", "scale": "yes-no", "value": if number < 90 { "yes" } else { "no" }})
        };
        events.push(answer(&format!("c{number}"), "d1", csat, at(40 + number)));
    }
    for effort in [1, 2, 5] {
        let ces = json!({"aspect": "ces", "value": effort});
        events.push(answer(&format!("e{effort}"), "d2", ces, at(150 + effort)));
    }
    for (id, device, properties) in [
        ("l1", "d1", json!({})),
        ("l2", "d1", json!({"qualified": true})),
        ("l3", "d2", json!({"qualified": "true"})),
        ("l4", "d3", json!({"qualified": false})),
    ] {
        let mut lead = event(id, "track", device, at(160));
        lead["event"] = json!("Lead Submitted");
        lead["properties"] = properties;
        events.push(lead);
    }
    for (id, name, points) in [
        ("p1", "Loyalty Points Earned", json!(120)),
        ("p2", "Loyalty Points Redeemed", json!(" 50.5")),
        ("p3", "Loyalty Points Expired", json!(9)),
    ] {
        let mut moved = event(id, "track", "d1", at(170));
        moved["event"] = json!(name);
        moved["properties"] = json!({"points": points});
        events.push(moved);
    }
    tenant.send("web", &events);
    // A smiley terminal: nobody's answer, and no visitor.
    let smiley = json!({
        "messageId": "s1", "type": "track", "event": "Survey Answered", "timestamp": at(180).to_string(),
        "properties": {"answers": [{"aspect": "ces", "value": 4, "question_id": "smiley"}, {"aspect": "csat", "value": 5, "question_id": "stars"}]},
        "context": {"subject": "source", "store": {"id": "berlin"}},
    });
    let spend = json!({
        "messageId": "s2", "type": "track", "event": "Spend Reported", "timestamp": at(181).to_string(),
        "properties": {"amount": 100, "currency": "eur"},
        "context": {"subject": "source", "campaign": {"name": "spring"}},
    });
    // The tills say which leads are qualified: of this one they say nothing.
    let mut unqualified = event("l5", "track", "d4", at(160));
    unqualified["event"] = json!("Lead Submitted");
    tenant.send("till", &[smiley, spend, unqualified]);
    tenant.settled();
    for (kpi, expected) in [
        ("nps", -45.4545),
        ("nps_1_10", -40.0),
        ("csat", 91.0 / 101.0),
        ("ces", 3.0),
        ("contacts", 5.0),
        ("leads", 2.0),
        ("loyalty_points", 60.5),
        ("spend", 100.0),
        ("cost_per_lead", 50.0),
        ("cost_per_contact", 20.0),
        ("visitors", 11.0),
    ] {
        let value = whole(tenant, kpi);
        assert!(close(value, expected), "{kpi} is {value:?}, not {expected}");
    }
    assert_eq!(
        last(tenant, "ces", "question"),
        [("smiley".to_owned(), 4.0)]
    );
    assert_eq!(last(tenant, "csat", "product"), [("p1".to_owned(), 0.9)]);
    assert_eq!(
        last(tenant, "csat", "touchpoint"),
        [("delivery".to_owned(), 0.9)]
    );
    assert_eq!(
        last(tenant, "lifecycle", "status"),
        [("prospect".to_owned(), 2.0), ("visitor".to_owned(), 9.0)]
    );
    assert_eq!(
        tenant.count("profiles_current"),
        11,
        "the terminal is no customer"
    );
    let quadrants = last(tenant, "loyalty_quadrant", "quadrant");
    let of_quadrants: f64 = quadrants.iter().map(|(_, customers)| customers).sum();
    let answered = tenant.row(
        "SELECT uniqExact(profile_id) AS people FROM answers WHERE workspace = {w:String} AND aspect IN ('nps', 'csat') AND profile_id IS NOT NULL",
    );
    assert_eq!(
        json!({"people": of_quadrants as u64}),
        answered,
        "{quadrants:?}"
    );

    // The two leads turn out to be one.
    let joined = [
        login("j1", "d1", "ada", at(200)),
        login("j2", "d2", "ada", at(201)),
        order("j3", "d1", "ada", "o1", 20.0, at(202)),
    ];
    tenant.send("web", &joined);
    tenant.settled();
    assert!(close(whole(tenant, "leads"), 1.0));
    assert!(close(whole(tenant, "cost_per_lead"), 100.0));
    assert_eq!(
        last(tenant, "spend", "campaign"),
        [("spring".to_owned(), 100.0)]
    );
    assert_eq!(
        last(tenant, "cost_per_lead", "campaign"),
        [],
        "no lead came by it"
    );
    assert!(
        close(whole(tenant, "contacts"), 5.0),
        "events are as many as they were"
    );
    assert!(close(whole(tenant, "visitors"), 10.0));
    assert_eq!(
        last(tenant, "lifecycle", "status"),
        [("customer".to_owned(), 1.0), ("visitor".to_owned(), 9.0)]
    );
    assert!(close(whole(tenant, "cookies_per_customer"), 2.0));
}

pub(crate) fn a_customer_is_worth_all_orders_ever_whatever_profiles_they_were_of(
    tenant: &Tenant<'_>,
) {
    let years_ago = |years: i64| minutes_ago(60) - SignedDuration::from_hours(24 * 365 * years);
    let mut orders = Vec::new();
    for year in 0..5 {
        // Two years on the old telephone, three on the new one.
        let device = if year >= 3 { "old" } else { "new" };
        let mut placed = order(
            &format!("m{year}"),
            device,
            "",
            &format!("o{year}"),
            200.0,
            years_ago(year),
        );
        placed.as_object_mut().expect("an object").remove("userId");
        orders.push(placed);
    }
    tenant.send("history", &orders);
    tenant.settled();
    // Who has not ordered for a year is no customer: the old telephone's has lapsed.
    assert!(close(whole(tenant, "lifetime_value"), 600.0));
    assert!(close(whole(tenant, "customers"), 1.0));
    assert_eq!(
        last(tenant, "lifecycle", "status"),
        [("customer".to_owned(), 1.0), ("lapsed".to_owned(), 1.0)]
    );
    tenant.send(
        "web",
        &[
            login("a", "old", "ann", minutes_ago(30)),
            login("b", "new", "ann", minutes_ago(29)),
        ],
    );
    tenant.settled();
    assert!(
        close(whole(tenant, "lifetime_value"), 1000.0),
        "{:?}",
        whole(tenant, "lifetime_value")
    );
    tenant.verify_kpis(&[]);

    // A refund of long ago, and what is cut is two again.
    let mut refund = event(
        "r",
        "track",
        "new",
        years_ago(1) + SignedDuration::from_hours(1),
    );
    refund["event"] = json!("Order Refunded");
    refund["properties"] = json!({"order_id": "o0", "total": 50.0, "currency": "EUR"});
    tenant.send("history", &[refund]);
    tenant.settled();
    assert!(close(whole(tenant, "lifetime_value"), 950.0));
    let workspace = tenant.workspace();
    let cut = tenant.system.job(&[
        "identity",
        "cut",
        "anonymous_id:old",
        "user_id:ann",
        "--workspace",
        &workspace,
        "--why",
        "two people",
    ]);
    assert!(
        cut.status.success(),
        "{}",
        String::from_utf8_lossy(&cut.stderr)
    );
    tenant.settled();
    assert!(close(whole(tenant, "lifetime_value"), 550.0));
}

pub(crate) fn who_stays_and_who_leaves_is_told_at_every_mark(tenant: &Tenant<'_>) {
    // Ten customers a year ago and a day; nine ordered again within the year, three came new.
    let ago = |days: i64, number: i64| minutes_ago(days * 1440 + number);
    let placed = |id: &str, device: &str, at: Timestamp| {
        let mut placed = order(id, device, "", id, 10.0, at);
        placed.as_object_mut().expect("an object").remove("userId");
        placed
    };
    let mut orders = Vec::new();
    for number in 0..10 {
        let device = format!("d{number}");
        orders.push(placed(&format!("first{number}"), &device, ago(380, number)));
        if number > 0 {
            orders.push(placed(
                &format!("again{number}"),
                &device,
                ago(100 + number, 0),
            ));
        }
    }
    for number in 0..3 {
        let id = format!("new{number}");
        orders.push(placed(&id, &id, ago(5, number)));
    }
    tenant.send("history", &orders);
    tenant.send("web", &[page("p", "nobody", minutes_ago(90))]);
    tenant.settled();
    let of_year = |kpi: &str| {
        let row = tenant.row(&format!(
            "SELECT argMax((toInt64(numerator), denominator), window_end) AS value FROM kpis_current WHERE workspace = {{w:String}} AND kpi = '{kpi}' \
             AND dimension = '' AND window = '365d'"
        ));
        row["value"].clone()
    };
    assert_eq!(of_year("retention"), json!([9, 10]));
    assert_eq!(of_year("churn"), json!([1, 10]));
    assert_eq!(of_year("customers"), json!([12, 1]));
    assert_eq!(of_year("new_customers"), json!([3, 1]));
    assert_eq!(
        last(tenant, "lifecycle", "status"),
        [("customer", 12.0), ("lapsed", 1.0), ("visitor", 1.0)]
            .map(|(name, value)| (name.to_owned(), value))
    );
    // Their quintiles stand in their profiles: twelve are three, three, two, two and two.
    let quintiles = tenant.row(
        "SELECT countIf(notEmpty(rfm)) AS customers, arraySort(groupArrayIf(rfm[1].r, notEmpty(rfm))) AS recency, \
         groupUniqArrayIf(rfm[1].currency, notEmpty(rfm)) AS currencies, \
         minIf(rfm[1].r, last_order > now() - INTERVAL 10 DAY) AS newest FROM profiles_current WHERE workspace = {w:String}",
    );
    assert_eq!(
        quintiles,
        json!({"customers": 12, "recency": [1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 5, 5], "currencies": ["EUR"], "newest": 4})
    );
    let differing = "SELECT countIf(NOT has(p.rfm, (r.currency, r.r, r.f, r.m))) AS differing FROM rfm_current AS r \
        INNER JOIN profiles_current AS p USING (workspace, profile_id) WHERE workspace = {w:String}";
    assert_eq!(tenant.row(differing), json!({"differing": 0}));
    // The last mark says what kpis_current says at it, and no more.
    let latest = tenant.row(
        "SELECT uniqExact(window_end) AS marks, countIf((kpi, dimension, dimension_value, numerator, denominator, window_end) NOT IN \
         (SELECT kpi, dimension, dimension_value, numerator, denominator, window_end FROM kpis_current WHERE workspace = {w:String} AND window = '365d')) AS others, \
         countIf(kpi = 'retention' AND dimension = '') AS retention, toUInt64(sumIf(numerator, kpi = 'customers' AND dimension = '')) AS customers \
         FROM kpis_latest WHERE workspace = {w:String} AND window = '365d'",
    );
    assert_eq!(
        latest,
        json!({"marks": 1, "others": 0, "retention": 1, "customers": 12})
    );
}

pub(crate) fn what_goes_wrong_with_orders_answers_and_times_has_its_outcome(tenant: &Tenant<'_>) {
    let at = |minute: i64| minutes_ago(600 - minute);
    let stated = |id: &str, event_name: &str, properties: Value, at: Timestamp| {
        let mut stated = event(id, "track", "shopper", at);
        stated["event"] = json!(event_name);
        stated["properties"] = properties;
        stated
    };
    // Refused alone, with the field and the fix, and kept as dead letters.
    let euros =
        |order: &str, total: Value| json!({"order_id": order, "total": total, "currency": "EUR"});
    for (number, (name, properties, field, reason)) in [
        (
            "Order Completed",
            euros("n", json!(-5)),
            "properties.total",
            "invalid_amount",
        ),
        (
            "Order Completed",
            euros("n", json!(1e30)),
            "properties.total",
            "invalid_amount",
        ),
        (
            "Order Completed",
            json!({"order_id": "n", "total": 5, "currency": "euros"}),
            "properties.currency",
            "invalid_field",
        ),
        (
            "Order Completed",
            json!({"order_id": "n", "total": 5, "currency": ["EUR"]}),
            "properties.currency",
            "invalid_field",
        ),
        (
            "Order Completed",
            json!({"order_id": true, "total": 5}),
            "properties.order_id",
            "invalid_field",
        ),
        (
            "Order Refunded",
            json!({"total": 5}),
            "properties.order_id",
            "missing_field",
        ),
        (
            "Survey Answered",
            json!({"aspect": "nps", "value": 11}),
            "properties.value",
            "invalid_answer",
        ),
        (
            "Survey Answered",
            json!({"aspect": "csat", "scale": "1-10", "value": 0}),
            "properties.value",
            "invalid_answer",
        ),
        (
            "Spend Reported",
            json!({"amount": 5, "currency": "EUR"}),
            "context.subject",
            "invalid_field",
        ),
        (
            "Loyalty Points Earned",
            json!({}),
            "properties.points",
            "missing_field",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("bad{number}");
        let body = json!({"batch": [stated(&id, name, properties, at(0))]});
        let answer = tenant
            .system
            .ingest(
                "/v1/batch?verbose=1",
                &tenant.key("web"),
                body.to_string().as_bytes(),
            )
            .expect("an answer");
        let told = &answer.json()["events"][0];
        assert_eq!(told["field"], field, "{told}");
        tenant.settled();
        let letters = tenant.row(&format!(
            "SELECT count() AS letters FROM dead_letters WHERE workspace = {{w:String}} AND message_id = '{id}' AND reason = '{reason}'"
        ));
        assert_eq!(letters, json!({"letters": 1}), "{id}");
    }
    assert_eq!(tenant.count("touchpoints"), 0);

    // A refund that comes before its order waits for it; one of an order that nobody knows goes on waiting.
    let early = stated("r1", "Order Refunded", euros("late", json!(30)), at(10));
    let unknown = stated("r2", "Order Refunded", euros("never", json!(10)), at(10));
    tenant.send("web", &[early, unknown]);
    tenant.settled();
    assert_eq!(
        (tenant.count("touchpoints"), tenant.count("orders_current")),
        (2, 0)
    );
    let placed = stated("o1", "Order Completed", euros("late", json!(100)), at(5));
    // Sent again by another system with other amounts: the first by event time counts.
    let again = stated("o2", "Order Completed", euros("late", json!(999)), at(6));
    tenant.send("web", &[again]);
    tenant.send("web", &[placed]);
    tenant.settled();
    let order = tenant.row(
        "SELECT toString(total) AS total, toString(revenue) AS revenue, claims FROM orders_current WHERE workspace = {w:String}",
    );
    assert_eq!(order, json!({"total": "100", "revenue": "70", "claims": 2}));
    // Who gives money back makes no difference: nobody, whose id is blocked, or a back office that names no customer. Without
    // a total, it is what the lines come to.
    let mut of_lines = stated(
        "r3",
        "Order Refunded",
        json!({"order_id": "late", "products": [{"product_id": "tea", "price": 10, "quantity": 2}]}),
        at(11),
    );
    of_lines["userId"] = json!("guest");
    of_lines
        .as_object_mut()
        .expect("an object")
        .remove("anonymousId");
    let mut of_office = stated("r4", "Order Refunded", euros("late", json!(5)), at(12));
    of_office["context"] = json!({"subject": "source"});
    of_office
        .as_object_mut()
        .expect("an object")
        .remove("anonymousId");
    tenant.send("web", &[of_lines, of_office]);
    tenant.settled();
    let order = tenant.row(
        "SELECT toString(total) AS total, toString(revenue) AS revenue, claims FROM orders_current WHERE workspace = {w:String}",
    );
    assert_eq!(order, json!({"total": "100", "revenue": "45", "claims": 2}));
    // Without a view there are no pages by session.
    assert_eq!(whole(tenant, "pages_per_session"), None);
    // Ids of more digits than a double has are two, each the same as its text.
    let digits = "12345678901234567890123";
    let long = stated("l1", "Order Completed", euros("LONG", json!(7)), at(13));
    let other = stated("l2", "Order Completed", euros("LONGER", json!(8)), at(14));
    let body = json!({"batch": [long, other]}).to_string();
    let body = body
        .replace(r#""LONGER""#, &digits.replace("123", "124"))
        .replace(r#""LONG""#, digits);
    let answer = tenant
        .system
        .ingest("/v1/batch", &tenant.key("web"), body.as_bytes())
        .expect("an answer");
    assert_eq!(answer.json()["accepted"], 2, "{}", answer.body);
    let back = stated("l3", "Order Refunded", euros(digits, json!(2)), at(15));
    tenant.send("web", &[back]);
    tenant.settled();
    let orders = tenant.query(
        "SELECT toString(revenue) AS revenue FROM orders_current WHERE workspace = {w:String} AND order_id LIKE '1%' ORDER BY revenue",
    );
    assert_eq!(orders, [json!({"revenue": "5"}), json!({"revenue": "8"})]);
    // Whoever names another workspace is told so, instead of that all is well.
    let output = tenant
        .system
        .job(&["verify", "kpis", "--workspace", "nosuch"]);
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(2) && why.contains("there is no workspace `nosuch`"),
        "{why}"
    );

    // A visitor who never pauses for a week is one session; what a device sends from the end to the beginning is the same.
    let week = 7 * 1440 / 25;
    let mut pages: Vec<Value> = (0..=week)
        .map(|number| {
            page(
                &format!("w{number}"),
                "tireless",
                minutes_ago(9 * 1440 - 25 * number),
            )
        })
        .collect();
    pages.extend(
        (0..365).map(|day| page(&format!("y{day}"), "daily", minutes_ago(day * 1440 + 60))),
    );
    pages.reverse();
    for part in pages.chunks(100) {
        tenant.send("history", part);
        tenant.settled();
    }
    let session = tenant.row(
        "SELECT count() AS sessions, max(touchpoints) AS touchpoints, max(dateDiff('minute', started_at, ended_at)) AS minutes \
         FROM sessions_current WHERE workspace = {w:String} AND timeline = 'anonymous_id:tireless'",
    );
    assert_eq!(
        session,
        json!({"sessions": 1, "touchpoints": week + 1, "minutes": 25 * week})
    );
    let sessions = tenant.row("SELECT count() AS sessions FROM sessions_current WHERE workspace = {w:String} AND timeline = 'anonymous_id:daily'");
    assert_eq!(sessions, json!({"sessions": 365}));

    // Two time zones: times with an offset are moments, wherever they were written.
    let minute = minutes_ago(300);
    let berlin = minute.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let mut one = page("z1", "zones", minute);
    one["timestamp"] = json!(format!("{berlin}+02:00"));
    let mut other = page("z2", "zones", minute);
    other["timestamp"] = json!(format!("{berlin}-05:00"));
    tenant.send("history", &[one, other]);
    tenant.settled();
    let apart = tenant.row(
        "SELECT dateDiff('hour', min(occurred_at), max(occurred_at)) AS hours FROM touchpoints WHERE workspace = {w:String} AND anonymous_id = 'zones'",
    );
    assert_eq!(apart, json!({"hours": 7}));
}
