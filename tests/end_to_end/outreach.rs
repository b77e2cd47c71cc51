//! E-mails and social networks: what is sent, read and said. After each scenario the runner verifies every KPI against SQL.

use crate::kpis::{close, last, whole};
use crate::shop::{login, minutes_ago};
use jiff::Timestamp;
use serde_json::{Value, json};
use tributary_tests::Tenant;

/// What happened to the e-mail `spring-1` to that address.
fn mail(id: &str, name: &str, address: &str, at: Timestamp) -> Value {
    json!({
        "messageId": id, "type": "track", "event": name, "timestamp": at.to_string(),
        "properties": {"email_id": "spring-1"},
        "context": {"traits": {"email": address}, "campaign": {"name": "spring"}},
    })
}

pub(crate) fn an_email_counts_when_it_was_sent_and_once_however_often_it_is_opened(
    tenant: &Tenant<'_>,
) {
    let (sent_at, read_at) = (minutes_ago(600), minutes_ago(20));
    let address = |number: i64| format!("Ann{number}@example.com");
    let mut events = Vec::new();
    for number in 0..10 {
        let id = format!("s{number}");
        events.push(mail(&id, "Email Sent", &address(number), sent_at));
    }
    let opened = |id: &str, number: i64, agent: &str| {
        let mut opened = mail(id, "Email Opened", &address(number), read_at);
        opened["context"]["userAgent"] = json!(agent);
        opened
    };
    events.push(mail("b", "Email Bounced", &address(9), sent_at));
    events.push(opened("bo", 9, ""));
    for number in 0..5 {
        events.push(opened(&format!("o{number}"), number, ""));
    }
    // Again, on a proxy that a list of bots knows.
    let proxy =
        "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)";
    events.push(opened("oo", 0, proxy));
    events.push(opened("prefetched", 5, "Mozilla/5.0"));
    for (id, number) in [("c0", 0), ("cc0", 0), ("c6", 6)] {
        let clicked = mail(id, "Email Link Clicked", &address(number), read_at);
        events.push(clicked);
    }
    events.push(mail("u", "Unsubscribed", &address(1), read_at));
    tenant.send("mailer", &events);
    tenant.settled();
    let expect = |expected: &[(&str, f64)]| {
        for (kpi, expected) in expected {
            let value = whole(tenant, kpi);
            assert!(
                close(value, *expected),
                "{kpi} is {value:?}, not {expected}"
            );
        }
    };
    expect(&[
        ("email_sent", 10.0),
        ("email_delivered", 9.0),
        ("email_open_rate", 7.0 / 9.0),
        ("email_click_rate", 2.0 / 9.0),
        ("email_click_to_open", 2.0 / 7.0),
        ("email_unsubscribe_rate", 1.0 / 9.0),
    ]);
    assert_eq!(
        last(tenant, "email_sent", "campaign"),
        [("spring".to_owned(), 10.0)]
    );
    assert_eq!(
        last(tenant, "email_sent", "channel"),
        [],
        "by campaign only"
    );
    let of_last_hour = tenant.row(
        "SELECT count() AS marks FROM kpis_current WHERE workspace = {w:String} AND kpi LIKE 'email%' AND window = '1h' \
         AND window_end > now() - INTERVAL 1 HOUR",
    );
    assert_eq!(of_last_hour["marks"], json!(0), "nothing was sent then");

    // Read before anybody said that it was sent: by its campaign, as it has no id.
    let ghost = |id: &str, name: &str, at: Timestamp| {
        let mut ghost = mail(id, name, "ghost@example.com", at);
        ghost["properties"] = json!({});
        ghost
    };
    tenant.send("mailer", &[ghost("g1", "Email Opened", read_at)]);
    tenant.settled();
    expect(&[("email_sent", 10.0), ("email_open_rate", 7.0 / 9.0)]);
    tenant.send("mailer", &[ghost("g2", "Email Sent", sent_at)]);
    tenant.settled();
    expect(&[("email_sent", 11.0), ("email_open_rate", 8.0 / 10.0)]);

    // Two addresses of one customer are two recipients.
    for (id, address) in [("j1", "ann0@example.com"), ("j2", "ann6@example.com")] {
        let mut joined = login(id, "laptop", "ann", minutes_ago(10));
        joined["traits"] = json!({"email": address});
        tenant.send("web", &[joined]);
    }
    tenant.settled();
    expect(&[("email_sent", 11.0), ("email_click_to_open", 2.0 / 8.0)]);
    let ann = tenant.row(
        "SELECT emails_sent, emails_delivered, emails_opened, emails_clicked, emails_unsubscribed FROM profiles_current \
         WHERE workspace = {w:String} AND has(identifiers, ('user_id', 'ann'))",
    );
    let counts = ["sent", "delivered", "opened", "clicked", "unsubscribed"]
        .map(|count| ann[format!("emails_{count}")].as_i64());
    assert_eq!(counts, [2, 2, 2, 2, 0].map(Some));
}

pub(crate) fn of_a_social_network_the_last_report_counts_and_every_mention(tenant: &Tenant<'_>) {
    let reported = |id: &str, name: &str, minutes: i64, properties: Value| {
        json!({
            "messageId": id, "type": "track", "event": name, "timestamp": minutes_ago(minutes).to_string(),
            "properties": properties, "context": {"subject": "source"},
        })
    };
    let followers = |id: &str, account: &str, minutes: i64, followers: i64| {
        let properties = json!({"network": "chirper", "account": account, "followers": followers});
        reported(id, "Followers Reported", minutes, properties)
    };
    let post = |id: &str, post: &str, minutes: i64, counts: Value| {
        let mut properties = json!({"network": "chirper", "post_id": post, "influencer": "ina"});
        for (name, count) in counts.as_object().expect("counts") {
            properties[name] = count.clone();
        }
        reported(id, "Post Reported", minutes, properties)
    };
    tenant.send(
        "mailer",
        &[
            followers("f1", "brand", 300, 1000),
            followers("f2", "brand", 100, 1100),
            followers("f3", "shop", 200, 50),
            post(
                "p1",
                "one",
                250,
                json!({"reach": 100, "impressions": 130, "likes": 3}),
            ),
            post(
                "p2",
                "one",
                50,
                json!({"reach": 200, "impressions": 280, "likes": 8, "comments": 2}),
            ),
            post("p3", "two", 60, json!({"impressions": 20, "shares": 1})),
        ],
    );
    // Another source has an older count of the same account: the last by time stands.
    tenant.send("till", &[followers("f4", "brand", 150, 1050)]);
    let mention = |id: &str, sentiment: &str, minutes: i64| {
        json!({
            "messageId": id, "type": "track", "event": "Brand Mentioned", "timestamp": minutes_ago(minutes).to_string(),
            "properties": {"network": "chirper", "sentiment": sentiment},
            "context": {"externalIds": [{"type": "social_handle", "id": "@eve", "collection": "users"}]},
        })
    };
    tenant.send(
        "mailer",
        &[
            mention("m1", "negative", 40),
            mention("m2", "negative", 30),
            mention("m3", "positive", 20),
        ],
    );
    tenant.settled();
    let named = |rows: &[(&str, f64)]| -> Vec<(String, f64)> {
        rows.iter()
            .map(|(name, value)| ((*name).to_owned(), *value))
            .collect()
    };
    assert!(close(whole(tenant, "social_followers"), 1150.0));
    assert_eq!(
        last(tenant, "social_reach", ""),
        [],
        "reach of posts is never added"
    );
    assert_eq!(
        last(tenant, "social_reach", "post"),
        named(&[("one", 200.0)])
    );
    assert!(close(whole(tenant, "social_impressions"), 300.0));
    assert_eq!(
        last(tenant, "social_engagement", "post"),
        named(&[("one", 10.0), ("two", 1.0)])
    );
    assert_eq!(
        last(tenant, "social_engagement", "influencer"),
        named(&[("ina", 11.0)])
    );
    assert_eq!(
        last(tenant, "social_engagement_rate", "post"),
        named(&[("one", 0.05)]),
        "none without reach"
    );
    assert_eq!(
        last(tenant, "mentions", "sentiment"),
        named(&[("negative", 2.0), ("positive", 1.0)])
    );
    let eve = tenant.row(
        "SELECT mentions FROM profiles_current WHERE workspace = {w:String} AND has(identifiers, ('social_handle', '@eve'))",
    );
    assert_eq!(eve["mentions"], json!(3));
}

pub(crate) fn bad_buzz_raises_an_alert(tenant: &Tenant<'_>) {
    let spoken = |id: &str, sentiment: &str, minutes: i64| {
        json!({
            "messageId": id, "type": "track", "event": "Brand Mentioned", "timestamp": minutes_ago(minutes).to_string(),
            "properties": {"network": "chirper", "sentiment": sentiment}, "context": {"subject": "source"},
        })
    };
    let mention = |id: &str, minutes: i64| spoken(id, "negative", minutes);
    let raised = || tenant.count("alerts");
    let mut mentions = vec![spoken("long ago", "neutral", 60 * 30)];
    mentions.extend((0..3).map(|number| mention(&format!("m{number}"), 3)));
    tenant.send("mailer", &mentions);
    tenant.settled();
    assert_eq!(raised(), 0, "three in an hour are not yet unusual");
    tenant.send("mailer", &[mention("m5", 2), mention("m6", 2)]);
    tenant.settled();
    let alert = tenant.row(
        "SELECT alert, cleared_at IS NULL AS stands, value > most AS is_more, usual < 1 AS is_rare FROM alerts WHERE workspace = {w:String}",
    );
    assert_eq!(
        alert,
        json!({"alert": "bad_buzz", "stands": 1, "is_more": 1, "is_rare": 1})
    );
    let gauge = format!(
        "tributary_processor_bad_buzz{{workspace=\"{}\"}} 1",
        tenant.workspace()
    );
    assert!(tenant.system.metrics().contains(&gauge));
}
