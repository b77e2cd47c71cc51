//! Order does not matter: the same events in another order, with duplicates, from several senders at once, and the same
//! operations entered before the events instead of after, give the same rows, byte for byte; and rules that are changed
//! give those that they would have given from the start.

use serde_json::{Value, json};
use tributary_tests::{Settings, System, Tenant};

/// A generator of numbers that gives the same ones each time (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            let other = usize::try_from(self.below(index as u64 + 1)).expect("below the length");
            items.swap(index, other);
        }
    }
}

/// Households: people with devices of their own and a tablet for two, who log in now and then, buy, and give refunds
/// back; at times that often coincide.
fn world(end: i64) -> Vec<Value> {
    let mut dice = Dice(7);
    (0..2_000_u64)
        .map(|number| {
            let person = dice.below(120);
            let device = match dice.below(4) {
                0 => format!("tablet-{}", person / 2),
                device => format!("device-{person}-{device}"),
            };
            let at = end - 60 * i64::try_from(dice.below(3_000)).expect("small");
            let mut event = json!({
                "messageId": format!("m{number}"),
                "anonymousId": device,
                "timestamp": jiff::Timestamp::from_second(at).expect("within range").to_string(),
                "context": {"library": {"name": "analytics.js"}},
            });
            let user = format!("person-{person}");
            match dice.below(10) {
                0..5 => event["type"] = json!("page"),
                5 | 6 => {
                    event["type"] = json!("identify");
                    event["userId"] = json!(user);
                    event["traits"] = json!({"email": format!("{user}@shop.example"), "last": number});
                    if number % 3 == 0 {
                        let (home, badge) = (format!("{user}@home.example"), format!("B-{}", person / 2));
                        event["context"]["traits"] = json!({"email": home});
                        event["context"]["externalIds"] = json!([{"type": "badge", "id": badge}]);
                    }
                }
                7 | 8 => {
                    event["type"] = json!("track");
                    event["event"] = json!("Order Completed");
                    event["userId"] = json!(user);
                    event["properties"] = json!({"order_id": format!("o{}", dice.below(250)), "total": dice.below(10_000), "currency": "EUR"});
                    event["properties"]["products"] = products(number);
                    if number % 2 == 0 {
                        event["properties"]["margin"] = json!(number % 90);
                    }
                }
                _ => {
                    event["type"] = json!("track");
                    event["event"] = json!(["Order Refunded", "Order Cancelled"][usize::from(number % 9 == 0)]);
                    event["userId"] = json!(user);
                    event["properties"] = json!({"order_id": format!("o{}", dice.below(250)), "total": dice.below(100), "currency": "EUR"});
                    if number % 3 == 0 {
                        event["properties"]["products"] = products(number);
                    }
                }
            }
            event
        })
        .chain(outreach(end))
        .chain(acquisition(end))
        .collect()
}

/// Lines of an order, or what comes back of it: some without a price, some free, some a discount, some of no product, a
/// product on two of them.
fn products(number: u64) -> Value {
    let mut dice = Dice(number);
    let line = |dice: &mut Dice| {
        let mut line =
            json!({"product_id": format!("p{}", dice.below(6)), "quantity": 1 + dice.below(3)});
        if dice.below(9) == 0 {
            line["product_id"] = json!(null);
        }
        match dice.below(8) {
            0 => {}
            1 => line["price"] = json!(-0.333_333),
            2 => line["price"] = json!(-40),
            3 => line["price"] = json!(0),
            _ => {
                line["price"] =
                    json!(f64::from(u32::try_from(dice.below(99_999)).expect("small")) / 1000.0)
            }
        }
        line
    };
    (0..dice.below(4)).map(|_| line(&mut dice)).collect()
}

/// What the same people are sent, say, agree to and belong to.
fn outreach(end: i64) -> impl Iterator<Item = Value> {
    let mut dice = Dice(9);
    (0..800_u64).map(move |number| {
        let person = dice.below(120);
        let user = format!("person-{person}");
        let at = end - 60 * i64::try_from(dice.below(3_000)).expect("small");
        let mut event = json!({
            "messageId": format!("e{number}"),
            "type": "track",
            "timestamp": jiff::Timestamp::from_second(at).expect("within range").to_string(),
        });
        match dice.below(7) {
            6 => {
                // The same by people and by bots.
                event["type"] = json!("page");
                event["anonymousId"] = json!(format!("device-{person}-1"));
                event["context"]["campaign"] = json!({"name": format!("campaign-{}", dice.below(12))});
                if dice.below(2) == 0 {
                    event["context"]["userAgent"] = json!("Googlebot/2.1");
                }
            }
            5 => {
                event["event"] = json!("Survey Answered");
                event["userId"] = json!(user);
                event["properties"] = json!({"aspect": "nps", "value": dice.below(11)});
            }
            0 => {
                event["type"] = json!("group");
                event["userId"] = json!(user);
                event["groupId"] = json!(format!("group-{}", dice.below(20)));
                event["traits"] = json!({"size": number, "kind": dice.below(3)});
            }
            1 => {
                event["type"] = json!("identify");
                event["anonymousId"] = json!(format!("device-{person}-{}", 1 + dice.below(3)));
                event["traits"] = json!({"interests": [format!("i{}", dice.below(9))], "city": format!("c{}", dice.below(3)), "basket": dice.below(90)});
                let purpose = ["marketing", "profiling"][usize::from(dice.below(2) == 0)];
                event["context"]["consent"] = json!({"categoryPreferences": {(purpose): dice.below(2) == 0}});
            }
            2 => {
                let sentiment = ["negative", "positive"][usize::from(dice.below(2) == 0)];
                event["event"] = json!("Brand Mentioned");
                event["userId"] = json!(user);
                event["properties"] = json!({"network": format!("network-{}", dice.below(5)), "sentiment": sentiment});
            }
            _ => {
                let happens = ["Email Sent", "Email Sent", "Email Bounced", "Email Opened", "Email Link Clicked", "Unsubscribed"];
                let happens = happens[usize::try_from(dice.below(6)).expect("small")];
                event["event"] = json!(happens);
                event["properties"] = json!({"email_id": format!("mail-{}", dice.below(2)), "campaign_name": format!("campaign-{}", dice.below(9))});
                event["context"] = json!({"traits": {"email": format!("{user}@shop.example")}});
            }
        }
        event
    })
}

/// What is spent and reported, who becomes a lead, and what points they have: amounts as senders write them, and posts of
/// which one is called as the rest of a dimension is.
fn acquisition(end: i64) -> impl Iterator<Item = Value> {
    let mut dice = Dice(11);
    (0..300_u64).map(move |number| {
        let at = end - 60 * i64::try_from(dice.below(3_000)).expect("small");
        let campaign = format!("campaign-{}", dice.below(9));
        let mut event = json!({
            "messageId": format!("a{number}"),
            "type": "track",
            "timestamp": jiff::Timestamp::from_second(at).expect("within range").to_string(),
            "context": {"campaign": {"name": campaign}},
        });
        let amounts = [
            json!(" 7 "),
            json!("0.0000015"),
            json!("2.5e1"),
            json!(0.1),
            json!(12),
        ];
        let amount = amounts[usize::try_from(dice.below(5)).expect("small")].clone();
        match dice.below(4) {
            0 => {
                event["event"] = json!("Spend Reported");
                event["context"]["subject"] = json!("source");
                event["properties"] = json!({"amount": amount, "currency": "EUR"});
            }
            1 => {
                let posts = ["one", "two", "three", "four", "five", "other"];
                event["event"] = json!("Post Reported");
                event["context"]["subject"] = json!("source");
                event["properties"] = json!({
                    "post_id": posts[usize::try_from(dice.below(6)).expect("small")],
                    "network": "network-1", "reach": 1 + dice.below(50), "likes": dice.below(9),
                });
            }
            2 => {
                let qualified = [
                    json!(true),
                    json!("False"),
                    json!("true"),
                    json!(false),
                    Value::Null,
                ];
                event["event"] = json!("Lead Submitted");
                event["userId"] = json!(format!("person-{}", dice.below(120)));
                event["properties"] =
                    json!({"qualified": qualified[usize::try_from(dice.below(5)).expect("small")]});
            }
            _ => {
                event["event"] = json!(
                    ["Loyalty Points Earned", "Loyalty Points Redeemed"]
                        [usize::from(dice.below(3) == 0)]
                );
                event["userId"] = json!(format!("person-{}", dice.below(120)));
                event["properties"] = json!({"points": amount});
            }
        }
        event
    })
}

/// Traits of the world that are not as stated last, and fewer values of a dimension told apart than there are,
/// fewer dimensions, another attitude.
const CONFIGURED: &str = "[kpi]\nmax_values = 3\nattitude = { high = 8, low = 5 }\ndimensions = [\"channel\", \"campaign\", \"goal\", \"product\", \"network\", \"post\", \"sentiment\"]\n[traits.rules]\ninterests = \"union\"\ncity = \"most_frequent\"\nbasket = \"maximum\"\n";

/// What is entered; the last two take entries back.
const OPERATIONS: [&[&str]; 8] = [
    &["cut", "user_id:person-3", "anonymous_id:device-3-1"],
    &["cut", "user_id:person-10", "email:person-10@shop.example"],
    &["separate", "user_id:person-20", "anonymous_id:tablet-10"],
    &["pin", "user_id:person-40", "anonymous_id:device-41-2"],
    &["block", "user_id:person-50"],
    &["block", "email:person-60@shop.example"],
    &["undo", "0"],
    &["undo", "5"],
];

/// What a processor logs that started with a snapshot of the graph.
const SNAPSHOT_READ: &str = "a snapshot was read";

fn operate(system: &System) {
    let mut numbers: Vec<String> = Vec::new();
    for operation in OPERATIONS {
        let mut arguments = vec!["identity", "--workspace", "w0", "--json"];
        match operation {
            ["undo", which] => {
                let which: usize = which.parse().expect("an index");
                arguments.extend(["undo", &numbers[which]]);
            }
            operation => arguments.extend(operation),
        }
        let output = system.job(&arguments);
        assert!(
            output.status.success(),
            "{operation:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        numbers.push(answer["number"].to_string());
    }
}

/// Sends each event from the site or, every third, from the tills.
fn feed(system: &System, events: &[Value]) {
    let tenant = only(system);
    for part in events.chunks(100) {
        let (till, site): (Vec<_>, Vec<_>) = part
            .iter()
            .enumerate()
            .partition(|(index, _)| index % 3 == 0);
        for (source, part) in [("web", site), ("till", till)] {
            let part: Vec<Value> = part.into_iter().map(|(_, event)| event.clone()).collect();
            tenant.send(source, &part);
        }
    }
}

/// The rows of all views, of which every KPI is what SQL makes of all touchpoints.
fn verified(system: &System, end: i64) -> State {
    let tenant = only(system);
    tenant.verify_kpis(&[]);
    tenant.state(end)
}

/// Who has no identifiers is known by the profile's id alone.
fn assert_strangers_are_explained(system: &System) {
    let strangers = only(system).query(
        "SELECT toString(p.profile_id) AS id FROM profiles_current AS p WHERE workspace = {w:String} AND empty(identifiers) LIMIT 3",
    );
    assert!(
        !strangers.is_empty(),
        "nobody is a stranger: the world is too simple"
    );
    for stranger in strangers {
        let id = stranger["id"].as_str().expect("an id");
        let output = system.job(&["explain", id]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            text.contains(&format!("customer {id}")) && text.contains("1 session"),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

fn only(system: &System) -> Tenant<'_> {
    Tenant { system, number: 0 }
}

type State = Vec<(&'static str, Vec<Value>)>;

fn assert_equal(one: &State, other: &State, what: &str) {
    for ((view, one), (_, other)) in one.iter().zip(other) {
        for (one, other) in one.iter().zip(other) {
            assert_eq!(one, other, "a row of {view}: {what}");
        }
        assert_eq!(one.len(), other.len(), "rows of {view}: {what}");
    }
}

/// What a dry run of that configuration reports.
fn simulated(system: &System, config: &str) -> Value {
    let file = system.file("proposed.toml", config);
    let file = file.to_str().expect("UTF-8");
    let output = system.job(&[
        "identity",
        "simulate",
        "--rules",
        file,
        "--workspace",
        "w0",
        "--json",
    ]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The system is as the dry run said.
fn assert_reported(report: &Value, when: &str, system: &System) {
    let tenant = only(system);
    let count = |sql: &str| tenant.row(sql)["count"].clone();
    for (what, sql) in [
        (
            "customers",
            "SELECT uniqExact(profile_id) AS count FROM profile_aliases WHERE workspace = {w:String}",
        ),
        (
            "identifiers",
            "SELECT count() AS count FROM profile_aliases WHERE workspace = {w:String}",
        ),
        (
            "refused_links",
            "SELECT count() AS count FROM identity_refusals WHERE workspace = {w:String}",
        ),
    ] {
        assert_eq!(report[what][when], count(sql), "{what} {when}: {report}");
    }
    let kpis = report["kpis"].as_array().expect("KPIs");
    assert_eq!(kpis.len(), 4, "{report}");
    for kpi in kpis {
        let rows = tenant.query(&format!(
            "SELECT numerator, denominator FROM kpis_current WHERE workspace = {{w:String}} AND dimension = '' AND kpi = {} \
             AND window = {} AND toUnixTimestamp(window_end) = {}",
            quoted(&kpi["kpi"]),
            quoted(&kpi["window"]),
            kpi["window_end"]
        ));
        let found = rows.first().unwrap_or_else(|| panic!("no mark of {kpi}"));
        for part in ["numerator", "denominator"] {
            let number = |value: &Value| match value {
                Value::String(text) => text.parse::<f64>().expect("a number"),
                value => value.as_f64().expect("a number"),
            };
            let (said, is) = (number(&kpi[part][when]), number(&found[part]));
            assert!(
                (said - is).abs() < 1e-9,
                "{part} {when} of {kpi} is {found}"
            );
        }
    }
}

fn quoted(text: &Value) -> String {
    format!("'{}'", text.as_str().expect("a text"))
}

fn assert_changed(before: &State, after: &State, views: &[&str]) {
    for ((view, before), (_, after)) in before.iter().zip(after) {
        if views.contains(view) {
            assert_ne!(before, after, "{view} does not change");
        }
    }
}

/// More values are told apart, and one that was `other` before all others, once nothing was counted by the dimensions. Goals
/// that other events reach count for all the past, too.
fn count_anew(system: &mut System, config: &str) {
    let dimensions = r#"dimensions = ["channel", "campaign", "goal", "product", "network", "post", "sentiment"]"#;
    assert!(config.contains(dimensions), "{config}");
    system.configure(&config.replace(
        dimensions,
        r#"dimensions = ["channel", "goal", "sentiment"]"#,
    ));
    system.restart();
    system.settled();
    let counted = "SELECT DISTINCT dimension, dimension_value AS value FROM kpis_current WHERE workspace = {w:String} AND dimension IN ('campaign', 'network', 'post', 'product') ORDER BY ALL";
    assert_eq!(only(system).query(counted), [] as [Value; 0]);
    let campaign = only(system).row("SELECT max(campaign) AS value FROM touchpoints WHERE workspace = {w:String} AND NOT bot AND campaign != '' AND xxh3(campaign) > (SELECT arraySort(groupUniqArray(xxh3(campaign)))[5] FROM touchpoints WHERE workspace = {w:String} AND NOT bot AND campaign != '')");
    let first = campaign["value"].as_str().expect("a campaign").to_owned();
    system.stop();
    system.configure(&format!(
        "{}[kpi.first_values]\ncampaign = [\"{first}\"]\n[kpi.goals]\nlead = [\"Order Completed\"]\nsignup = [\"Survey Answered\", \"Order Completed\"]\ndownload = []\n",
        config.replace("max_values = 3", "max_values = 5")
    ));
    system.restart();
    system.settled();
    only(system).verify_kpis(&[]);
    let goals = only(system).query("SELECT DISTINCT dimension_value AS goal FROM kpis_current WHERE workspace = {w:String} AND kpi = 'conversion_rate' AND dimension = 'goal' AND numerator > 0 ORDER BY ALL");
    let goals: Vec<&Value> = goals.iter().map(|row| &row["goal"]).collect();
    assert_eq!(goals, ["lead", "purchase", "signup"]);
    let rows = only(system).query(counted);
    let of = |dimension: &str| {
        rows.iter()
            .filter(|row| row["dimension"] == dimension)
            .count()
    };
    assert_eq!(of("campaign"), 6, "five and the rest: {rows:?}");
    assert!(
        rows.contains(&json!({"dimension": "campaign", "value": first})),
        "{first}: {rows:?}"
    );
}

#[test]
fn any_order_with_duplicates_gives_the_same_rows() {
    let end = jiff::Timestamp::now().as_second() / 3_600 * 3_600;
    let mut events = world(end);
    let configured = |lines| Settings::new(env!("CARGO_BIN_EXE_tributary"), 1, lines);
    let settings = || configured(CONFIGURED);

    let mut system = System::start(settings());
    for part in events.chunks(500) {
        only(&system).send("web", part);
        system.settled();
    }
    let without = verified(&system, end);
    operate(&system);
    let first = verified(&system, end);
    let others = only(&system).query("SELECT DISTINCT dimension FROM kpis_current WHERE workspace = {w:String} AND dimension_value = 'other' ORDER BY dimension");
    let others: Vec<&Value> = others.iter().map(|row| &row["dimension"]).collect();
    assert_eq!(
        others,
        ["campaign", "network", "post", "product"],
        "more values than are told apart"
    );
    system.stop();
    // What is `other` cannot be taken apart.
    system.configure(
        &settings()
            .config
            .replace("max_values = 3", "max_values = 5"),
    );
    system.start_without_waiting();
    system.await_words("take `campaign`, `product`, `network`, `post` out of kpi.dimensions");
    system.stop();
    count_anew(&mut system, &settings().config);
    system.stop();
    drop(system);
    assert_changed(
        &without,
        &first,
        &[
            "identities",
            "profiles_current",
            "touchpoints_current",
            "kpis_current",
        ],
    );
    for (view, rows) in &first {
        assert!(!rows.is_empty(), "{view} is empty: the world is too simple");
    }

    let mut dice = Dice(8);
    let duplicates: Vec<Value> = (0..400)
        .map(|_| events[usize::try_from(dice.below(2_000)).expect("small")].clone())
        .collect();
    events.extend(duplicates);
    dice.shuffle(&mut events);
    let mut system = System::start(settings());
    operate(&system);
    std::thread::scope(|scope| {
        for part in events.chunks(events.len() / 3 + 1) {
            let tenant = only(&system);
            scope.spawn(move || part.chunks(50).for_each(|batch| tenant.send("web", batch)));
        }
    });
    let second = verified(&system, end);
    assert_equal(&first, &second, "another order");
    system.stop();
    drop(system);

    // Killed with a backlog of events, and again with one of what the entries change.
    dice.shuffle(&mut events);
    let (early, late) = events.split_at(events.len() / 2);
    let mut system = System::start(configured(&format!(
        "{CONFIGURED}[processor]\nsnapshot_interval = \"50ms\""
    )));
    early
        .chunks(50)
        .for_each(|batch| only(&system).send("web", batch));
    system.kill();
    system.restart();
    operate(&system);
    system.kill();
    system.restart();
    late.chunks(50)
        .for_each(|batch| only(&system).send("web", batch));
    let third = verified(&system, end);
    assert_equal(&first, &third, "a third order, killed twice");
    let printed = system.printed();
    assert!(printed.contains(SNAPSHOT_READ), "{printed}");
    system.stop();
}

#[test]
fn other_rules_give_what_they_would_have_given_from_the_start() {
    let end = jiff::Timestamp::now().as_second() / 3_600 * 3_600;
    let events = world(end);
    let settings = |lines: &str| Settings::new(env!("CARGO_BIN_EXE_tributary"), 1, lines);
    let old = settings(
        "[identity.types]\nbadge = { kind = \"device\", normalise = \"lowercase\", limit = 2, can_be_hub = true }",
    );
    let mut new = settings(
        "[identity]\nshared_devices = \"certain\"\nstrangers = \"session\"\nhub = 1\nblocked_patterns = [\"user_id:*7\"]\n\
         priority = [\"email\"]\n[identity.types]\nanonymous_id = { limit = 2 }\n\
         badge = { kind = \"person\", normalise = \"lowercase\", limit = 1, can_be_hub = false }",
    );
    let till = "write_keys = [\"w0-till\"]\n";
    assert!(new.config.contains(till), "{}", new.config);
    new.config = new.config.replace(till, &format!("{till}links = false\n"));

    let mut system = System::start(old.clone());
    feed(&system, &events);
    let before = verified(&system, end);
    let report = simulated(&system, &new.config);
    assert_eq!(verified(&system, end), before, "a dry run changes nothing");
    assert_reported(&report, "before", &system);
    system.stop();
    system.configure(&new.config);
    system.restart();
    let after = verified(&system, end);
    let printed = system.printed();
    assert!(printed.contains(SNAPSHOT_READ), "of the stop: {printed}");
    assert_reported(&report, "after", &system);
    assert_strangers_are_explained(&system);
    for what in ["merged", "split", "unchanged", "lost_identifiers"] {
        assert_ne!(report[what], 0, "{what}: the world is too simple");
    }
    let same = simulated(&system, &new.config);
    assert_eq!(same["same"], true);
    assert_eq!((&same["merged"], &same["split"]), (&json!(0), &json!(0)));
    assert_changed(
        &before,
        &after,
        &[
            "identities",
            "identity_refusals",
            "links",
            "sessions_current",
            "profiles_current",
            "touchpoints_current",
            "kpis_current",
        ],
    );
    let rules = only(&system)
        .query("SELECT version, in_force, hub, sources_without_links FROM identity_rules WHERE workspace = {w:String} ORDER BY version");
    assert_eq!(
        rules,
        [
            json!({"version": 1, "in_force": false, "hub": 10, "sources_without_links": []}),
            json!({"version": 2, "in_force": true, "hub": 1, "sources_without_links": ["till"]}),
        ]
    );

    let mut always = System::start(new.clone());
    feed(&always, &events);
    let from_the_start = only(&always).state(end);
    always.stop();
    assert_equal(&after, &from_the_start, "as if these rules had always held");

    // An older configuration is refused, and says how it is meant.
    system.stop();
    system.configure(&old.config);
    system.start_without_waiting();
    system.await_words("state identity.version = 3 to go back");
    system.stop();
    system.configure(&format!("[identity]\nversion = 3\n{}", old.config));
    system.restart();
    assert_equal(&before, &verified(&system, end), "back to the old rules");
    system.stop();
}
