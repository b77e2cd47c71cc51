//! Order does not matter: the same events in another order, with duplicates, from several senders at once, and the same
//! operations entered before the events instead of after, give the same rows, byte for byte.

use serde_json::{Value, json};
use tributary_tests::{Settings, System, Tenant};

/// Each view that must be equal, without what may differ.
const VIEWS: [(&str, &str); 8] = [
    ("identities", "*"),
    ("profile_aliases", "*"),
    ("identity_refusals", "*"),
    ("profiles_current", "*"),
    ("sessions_current", "*"),
    ("orders_current", "*"),
    ("links", "*"),
    (
        "touchpoints_current",
        "* EXCEPT (received_at, sent_at, links_offset, kafka_partition, kafka_offset)",
    ),
];

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
                }
                7 | 8 => {
                    event["type"] = json!("track");
                    event["event"] = json!("Order Completed");
                    event["userId"] = json!(user);
                    event["properties"] = json!({"order_id": format!("o{}", dice.below(250)), "total": dice.below(10_000), "currency": "EUR"});
                }
                _ => {
                    event["type"] = json!("track");
                    event["event"] = json!("Order Refunded");
                    event["userId"] = json!(user);
                    event["properties"] = json!({"order_id": format!("o{}", dice.below(250)), "total": dice.below(100), "currency": "EUR"});
                }
            }
            event
        })
        .collect()
}

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

fn rows(system: &System, end: i64) -> Vec<(String, Vec<Value>)> {
    let tenant = Tenant { system, number: 0 };
    tenant.settled();
    let views = VIEWS.iter().map(|(view, columns)| {
        (
            format!("SELECT {columns} FROM {view} WHERE workspace = {{w:String}} ORDER BY ALL"),
            *view,
        )
    });
    let kpis = format!(
        "SELECT * FROM kpis_current WHERE workspace = {{w:String}} AND window_end <= toDateTime64({end}, 3, 'UTC') ORDER BY ALL"
    );
    views
        .chain([(kpis, "kpis_current")])
        .map(|(sql, view)| (view.to_owned(), tenant.query(&sql)))
        .collect()
}

#[test]
fn any_order_with_duplicates_gives_the_same_rows() {
    let end = jiff::Timestamp::now().as_second() / 3_600 * 3_600;
    let mut events = world(end);
    let settings = || Settings::new(env!("CARGO_BIN_EXE_tributary"), 1, "");

    let mut system = System::start(settings());
    for part in events.chunks(500) {
        Tenant {
            system: &system,
            number: 0,
        }
        .send("web", part);
        system.settled();
    }
    let without = rows(&system, end);
    operate(&system);
    let first = rows(&system, end);
    system.stop();
    drop(system);
    for view in [
        "identities",
        "profiles_current",
        "touchpoints_current",
        "kpis_current",
    ] {
        let of = |all: &[(String, Vec<Value>)]| {
            all.iter()
                .find(|(name, _)| name == view)
                .map(|(_, rows)| rows.clone())
        };
        assert_ne!(of(&without), of(&first), "the operations change {view}");
    }
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
            let tenant = Tenant {
                system: &system,
                number: 0,
            };
            scope.spawn(move || part.chunks(50).for_each(|batch| tenant.send("web", batch)));
        }
    });
    let second = rows(&system, end);
    for ((view, first), (_, second)) in first.iter().zip(&second) {
        for (first, second) in first.iter().zip(second) {
            assert_eq!(first, second, "a row of {view}");
        }
        assert_eq!(first.len(), second.len(), "rows of {view}");
    }
    system.stop();
}
