//! What operators enter, and take back.

use crate::shop::{login, minutes_ago, order, page, yesterday};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tributary_tests::Tenant;

fn up_to(marks: Timestamp) -> String {
    format!(
        "window_end <= toDateTime64({}, 3, 'UTC')",
        marks.as_second()
    )
}

/// Enters it and waits until everybody obeys; returns its number.
fn entered(tenant: &Tenant<'_>, arguments: &[&str]) -> String {
    let workspace = tenant.workspace();
    let mut all = vec!["identity"];
    all.extend(arguments);
    all.extend(["--workspace", &workspace, "--json"]);
    let output = tenant.system.job(&all);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    tenant.settled();
    answer["number"].as_i64().expect("a number").to_string()
}

/// Identifiers of each customer.
fn customers(tenant: &Tenant<'_>) -> Vec<Value> {
    tenant
        .query(
            "SELECT arrayMap(i -> i.2, identifiers) AS identifiers FROM profiles_current WHERE workspace = {w:String} \
             ORDER BY identifiers",
        )
        .into_iter()
        .map(|row| row["identifiers"].clone())
        .collect()
}

fn visitors(tenant: &Tenant<'_>, marks: Timestamp) -> String {
    let row = tenant.row(&format!(
        "SELECT toString(value) AS value FROM kpis_current WHERE workspace = {{w:String}} AND kpi = 'visitors' AND dimension = '' \
         AND window = '24h' AND {} ORDER BY window_end DESC LIMIT 1",
        up_to(marks)
    ));
    row["value"].as_str().expect("a value").to_owned()
}

pub(crate) fn what_is_entered_changes_the_past_and_what_is_taken_back_restores_it(
    tenant: &Tenant<'_>,
) {
    let marks = minutes_ago(20);
    let at = |minute: i64| minutes_ago(300 - minute);
    tenant.send(
        "web",
        &[
            page("m1", "laptop", at(0)),
            login("m2", "laptop", "ada", at(1)),
            page("m3", "laptop", at(60)),
            order("m4", "phone", "ada", "o1", 59.9, at(70)),
            page("m5", "tablet", at(80)),
        ],
    );
    tenant.settled();
    let before = tenant.state(marks.as_second());
    assert_eq!(
        customers(tenant),
        [json!(["ada", "laptop", "phone"]), json!(["tablet"])]
    );
    assert_eq!(visitors(tenant, marks), "2");

    let cut = entered(
        tenant,
        &["cut", "user_id:ada", "laptop", "--why", "a shared laptop"],
    );
    assert_eq!(
        customers(tenant),
        [
            json!(["ada", "phone"]),
            json!(["laptop"]),
            json!(["tablet"])
        ]
    );
    assert_eq!(visitors(tenant, marks), "3", "also in the past");
    let owners = tenant.query(
        "SELECT message_id, dictionary.user AS user FROM touchpoints_current AS t LEFT JOIN \
         (SELECT profile_id, identifiers[1].2 AS user FROM profiles_current WHERE workspace = {w:String}) AS dictionary \
         ON dictionary.profile_id = t.profile_id WHERE workspace = {w:String} ORDER BY message_id",
    );
    let expected: Vec<Value> = [
        ("m1", "laptop"),
        ("m2", "ada"),
        ("m3", "laptop"),
        ("m4", "ada"),
        ("m5", "tablet"),
    ]
    .into_iter()
    .map(|(message_id, user)| json!({"message_id": message_id, "user": user}))
    .collect();
    assert_eq!(
        owners, expected,
        "the login stays hers, on a line of its own"
    );

    let undo = entered(tenant, &["undo", &cut]);
    assert_eq!(
        tenant.state(marks.as_second()),
        before,
        "the cut is taken back"
    );

    let pin = entered(tenant, &["pin", "tablet", "user_id:ada"]);
    assert_eq!(
        customers(tenant),
        [json!(["ada", "laptop", "phone", "tablet"])]
    );
    assert_eq!(visitors(tenant, marks), "1");
    entered(tenant, &["undo", &pin]);
    assert_eq!(
        tenant.state(marks.as_second()),
        before,
        "the pin is taken back"
    );

    let block = entered(tenant, &["block", "ada"]);
    assert_eq!(
        customers(tenant),
        [json!(["laptop"]), json!(["phone"]), json!(["tablet"])],
        "as if ada had never been sent"
    );
    assert_eq!(tenant.count("orders_current"), 1, "the phone's order now");
    entered(tenant, &["undo", &block]);
    assert_eq!(
        tenant.state(marks.as_second()),
        before,
        "the block is taken back"
    );

    entered(tenant, &["undo", &undo]);
    assert_eq!(visitors(tenant, marks), "3", "the cut holds again");

    let workspace = tenant.workspace();
    let log = |json: &[&str]| {
        let mut arguments = vec!["identity", "log", "--workspace", &workspace];
        arguments.extend(json);
        tenant.system.job(&arguments).stdout
    };
    let text = String::from_utf8_lossy(&log(&[])).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 7, "{text}");
    assert!(
        lines[0].contains("cut user_id:ada - anonymous_id:laptop")
            && lines[0].ends_with("a shared laptop"),
        "{text}"
    );
    assert!(lines[1].ends_with("(undone)"), "{text}");
    let rows: Value = serde_json::from_slice(&log(&["--json"])).expect("JSON");
    assert_eq!(rows[0]["number"].to_string(), cut, "{rows}");
}

pub(crate) fn entries_that_cannot_be_are_refused_with_what_to_write(tenant: &Tenant<'_>) {
    tenant.send(
        "web",
        &[
            login("m1", "twin", "twin", minutes_ago(90)),
            page("m2", "alone", minutes_ago(90)),
        ],
    );
    tenant.settled();
    let workspace = tenant.workspace();
    for (arguments, code, part) in [
        (
            vec!["cut", "nobody-at-all", "alone"],
            2,
            "user_id:nobody-at-all",
        ),
        (
            vec!["pin", "twin", "alone"],
            2,
            "user_id:twin, anonymous_id:twin",
        ),
        (
            vec!["separate", "alone", "anonymous_id:alone"],
            2,
            "name two",
        ),
        (
            vec!["cut", "user_id:a", "user_id:b"],
            2,
            "identity separate",
        ),
        (
            vec!["cut", "user_id:0", "user_id:b"],
            2,
            "`user_id:0` is no identifier",
        ),
        (vec!["undo", "999999999"], 1, "identity log"),
        (vec!["undo", "0"], 1, "identity log"),
        (vec!["block", " "], 2, "is empty"),
        (vec!["cut", "user_id:a"], 2, "<B>"),
        (vec!["log", "--workspace", "nowhere"], 2, "`nowhere`"),
    ] {
        let mut all = vec!["identity"];
        all.extend(&arguments);
        if !arguments.contains(&"--workspace") {
            all.extend(["--workspace", &workspace]);
        }
        let output = tenant.system.job(&all);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(
            text.contains(part),
            "{arguments:?}: `{part}` is not in {text}"
        );
    }
    let early = tenant.system.job(&[
        "identity",
        "cut",
        "user_id:later",
        "anonymous_id:later",
        "--workspace",
        &workspace,
    ]);
    assert!(early.status.success());
    let text = String::from_utf8_lossy(&early.stderr);
    assert!(text.contains("user_id:later was not seen yet"), "{text}");
    tenant.send("web", &[login("m3", "later", "later", minutes_ago(80))]);
    tenant.settled();
    let identities = tenant.query(
        "SELECT profile_id FROM identities WHERE workspace = {w:String} AND identifier_value = 'later' GROUP BY profile_id",
    );
    assert_eq!(identities.len(), 2, "the cut was there before the login");
}

pub(crate) fn who_refuses_to_be_stitched_is_not(tenant: &Tenant<'_>) {
    let at = |minute: i64| minutes_ago(300 - minute);
    let consent = |id: &str, minute: i64, granted: bool| {
        let mut event = page(id, "laptop", at(minute));
        event["context"]["consent"] =
            json!({"categoryPreferences": {"stitching": granted, "analytics": true}});
        event
    };
    tenant.send(
        "web",
        &[
            page("m1", "laptop", at(0)),
            login("m2", "laptop", "ada", at(1)),
        ],
    );
    tenant.settled();
    assert_eq!(customers(tenant), [json!(["ada", "laptop"])]);

    tenant.send("web", &[consent("m3", 100, false)]);
    tenant.settled();
    assert_eq!(
        customers(tenant),
        [json!(["ada"]), json!(["laptop"])],
        "also what was before the refusal"
    );
    let consents = || {
        tenant.query("SELECT identifier_value, granted FROM identity_consents WHERE workspace = {w:String} ORDER BY ALL")
    };
    assert_eq!(
        consents(),
        [json!({"identifier_value": "laptop", "granted": false})]
    );

    tenant.send("web", &[consent("m4", 200, true)]);
    tenant.settled();
    assert_eq!(
        customers(tenant),
        [json!(["ada", "laptop"])],
        "the latest decision counts"
    );
    // It comes late: what counts is when it was said.
    tenant.send("web", &[consent("m5", 150, false)]);
    tenant.settled();
    assert_eq!(customers(tenant), [json!(["ada", "laptop"])]);
    tenant.send("web", &[consent("m6", 200, false)]);
    tenant.settled();
    assert_eq!(
        customers(tenant),
        [json!(["ada"]), json!(["laptop"])],
        "at equal times a refusal wins"
    );
    assert_eq!(
        consents(),
        [json!({"identifier_value": "laptop", "granted": false})]
    );
}

pub(crate) fn explain_tells_the_way_between_two_and_who_it_was_when(tenant: &Tenant<'_>) {
    let at = yesterday();
    let number = tenant.number;
    let name = |value: &str| format!("{value}-{number}");
    let (ada, ben) = (name("ada"), name("ben"));
    tenant.send(
        "web",
        &[
            login("m1", &name("phone"), &ada, at(0)),
            login("m2", &name("tablet"), &ada, at(10)),
            login("m3", &name("tablet"), &ben, at(100)),
        ],
    );
    tenant.settled();
    let workspace = tenant.workspace();
    let explain = |arguments: &[&str], code: i32| {
        let mut all = vec!["explain", "--workspace", &workspace];
        all.extend(arguments);
        let output = tenant.system.job(&all);
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        text
    };
    let (phone, tablet) = (name("phone"), name("tablet"));
    let way = explain(&["--between", &phone, &tablet], 0);
    let lines: Vec<&str> = way.lines().collect();
    assert!(lines[0].contains("are one customer"), "{way}");
    assert!(
        lines[2].contains("m1") && lines[2].contains(&phone) && lines[3].contains("m2"),
        "{way}"
    );
    let json: Value =
        serde_json::from_str(&explain(&["--between", &ada, &ben, "--json"], 0)).expect("JSON");
    assert_eq!(
        (&json["same"], &json["links"]),
        (&json!(false), &json!([])),
        "{json}"
    );
    let refused = explain(&["--between", &ben, &tablet], 0);
    assert!(
        refused.contains("are two customers") && refused.contains("refused: limit user_id"),
        "{refused}"
    );
    let cut = entered(tenant, &["cut", &ada, &phone]);
    let two = explain(&["--between", &ada, &phone], 0);
    assert!(two.contains(&format!("(cut by entry {cut})")), "{two}");
    let all = explain(&[&format!("user_id:{ada}")], 0);
    assert!(
        all.contains(&format!("(cut by entry {cut})")) && all.contains("entries of operators"),
        "{all}"
    );
    entered(tenant, &["undo", &cut]);
    entered(
        tenant,
        &["pin", &ada, &format!("loyalty_card:{}", name("card"))],
    );
    let pinned = explain(&["--between", &phone, &name("card")], 0);
    assert!(
        pinned.contains("never seen together (pinned by entry") && pinned.contains("m1"),
        "{pinned}"
    );

    for (minute, user, other) in [(20, &ada, &ben), (150, &ben, &ada)] {
        let text = explain(&[&tablet, "--at", &at(minute).to_string()], 0);
        assert!(
            text.contains(&format!("user_id:{user}\n"))
                && !text.contains(&format!("user_id:{other}\n")),
            "whose the tablet was after {minute} minutes: {text}"
        );
    }
    let wrong = explain(&[&tablet, "--at", "yesterday"], 2);
    assert!(wrong.contains("`yesterday` is no time"), "{wrong}");
    explain(&["--between", &tablet], 2);
    explain(&[], 2);
}

pub(crate) fn a_simulated_customer_base_is_recognised_as_its_truth_says(tenant: &Tenant<'_>) {
    let truth = tenant
        .system
        .file(&format!("truth-{}.ndjson", tenant.number), "");
    let truth = truth.to_str().expect("our own names");
    let (workspace, key) = (tenant.workspace(), tenant.key("web"));
    let check = [
        "verify",
        "identity",
        "--workspace",
        &workspace,
        "--json",
        "--truth",
        truth,
    ];
    let output = tenant.system.job(&[
        "simulate",
        "--people",
        "150",
        "--days",
        "60",
        "--until",
        "2026-11-01",
        "--seed",
        "3",
        "--write-key",
        &key,
        "--truth",
        truth,
    ]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    tenant.settled();
    let output = tenant.system.job(&check);
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(0), "{text}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        report["by_person_identifier"]["pairwise"]["precision"],
        json!(1.0),
        "{text}"
    );
    let f1 = |name: &str| {
        let rows = report["by_event"].as_array().expect("rows");
        let row = rows.iter().find(|row| row["name"] == name).expect("a row");
        row["quality"]["pairwise"]["f1"].as_f64().expect("a number")
    };
    assert!(
        f1("Tributary") >= f1("nearest login")
            && f1("Tributary") > f1("union")
            && f1("union") > 0.0,
        "{text}"
    );
    assert!(
        f1("ceiling") >= f1("Tributary"),
        "nobody knows more than there is to know: {text}"
    );

    // A card that no account has stated, pinned to somebody else's account: found.
    let lines = std::fs::read_to_string(truth).expect("the truth");
    let (mut users, mut cards, mut stated) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    for line in lines.lines() {
        let event: Value = serde_json::from_str(line).expect("JSON");
        let of = |r#type: &str| {
            let all = event["identifiers"].as_array().expect("identifiers");
            let found = all.iter().find(|identifier| identifier[0] == r#type)?;
            Some(found[1].as_str().expect("a value").to_owned())
        };
        let person = event["person"].to_string();
        let (user, card) = (of("user_id"), of("loyalty_card"));
        if let (Some(_), Some(card)) = (&user, &card) {
            stated.insert(card.clone());
        }
        users.extend(
            user.filter(|user| user.starts_with("user-"))
                .map(|user| (user, person.clone())),
        );
        cards.extend(
            card.filter(|card| card.starts_with("4000"))
                .map(|card| (card, person)),
        );
    }
    let (card, owner) = cards
        .iter()
        .find(|(card, _)| !stated.contains(*card))
        .expect("a card");
    let (user, _) = users
        .iter()
        .find(|(_, person)| *person != owner)
        .expect("an account");
    let wrong = entered(
        tenant,
        &[
            "pin",
            &format!("user_id:{user}"),
            &format!("loyalty_card:{card}"),
        ],
    );
    let output = tenant.system.job(&check);
    assert_eq!(
        output.status.code(),
        Some(3),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    entered(tenant, &["undo", &wrong]);
    assert_eq!(tenant.system.job(&check).status.code(), Some(0));
}
