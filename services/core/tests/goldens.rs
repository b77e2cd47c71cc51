//! The worked cases of the identity rules, in every order of their events and links.

mod world;

use std::collections::BTreeSet;

use serde_json::Value;
use tributary_core::identity::{Operation, Rules, SharedDevices, Strangers};
use tributary_core::timeline::Owner;
use world::{World, identifier, identifiers_of};

fn pairs(
    value: &Value,
) -> Vec<(
    tributary_core::identifier::Identifier,
    tributary_core::identifier::Identifier,
)> {
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter()
        .map(|pair| (identifier(&pair[0]), identifier(&pair[1])))
        .collect()
}

fn check(case: &Value, reversed: bool) {
    let name = case["name"].as_str().expect("a name");
    let operations = &case["operations"];
    let mut rules = Rules {
        device_bridges: operations["bridges"].as_bool().unwrap_or(false),
        consent_required: operations["demand"].as_bool().unwrap_or(false),
        ..Rules::default()
    };
    if operations["policy"] == "certain" {
        rules.shared_devices = SharedDevices::Certain;
    }
    if operations["strangers"] == "session" {
        rules.strangers = Strangers::Session;
    }
    rules.blocked = operations["blocked"]
        .as_array()
        .into_iter()
        .flatten()
        .map(identifier)
        .collect();
    rules.sources_without_links = operations["barred"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();

    let mut events: Vec<world::Seen> = case["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| world::Seen {
            message: event["id"].as_str().expect("an id").to_owned(),
            seconds: event["seconds"].as_i64().expect("seconds"),
            identifiers: identifiers_of(&event["identifiers"]),
            source: event["source"].as_str().unwrap_or("web").to_owned(),
            consent: event["consent"].as_bool(),
        })
        .collect();
    if reversed {
        events.reverse();
    }
    let mut world = World::new(rules);
    for (one, other) in pairs(&operations["cuts"]) {
        world.operate(Operation::Cut(one, other));
    }
    for (one, other) in pairs(&operations["separate"]) {
        world.operate(Operation::Separate(one, other));
    }
    for (one, other) in pairs(&operations["pins"]) {
        world.operate(Operation::Pin(one, other));
    }
    for event in &events {
        world.take(event);
    }
    let result = world.settle();

    let expected: BTreeSet<BTreeSet<(String, String)>> = case["profiles"]
        .as_array()
        .expect("profiles")
        .iter()
        .map(|profile| {
            profile
                .as_array()
                .expect("identifiers")
                .iter()
                .map(world::named)
                .collect()
        })
        .collect();
    assert_eq!(
        result.profiles, expected,
        "profiles of {name:?}, reversed: {reversed}"
    );

    let expected: BTreeSet<((String, String), (String, String), String)> = case["refused"]
        .as_array()
        .expect("refused")
        .iter()
        .map(|refused| {
            let (one, other) = (identifier(&refused[0][0]), identifier(&refused[0][1]));
            let (higher, lower) = if one < other {
                (one, other)
            } else {
                (other, one)
            };
            (
                world::pair(&higher),
                world::pair(&lower),
                refused[1].as_str().expect("a reason").to_owned(),
            )
        })
        .collect();
    assert_eq!(
        result.refused, expected,
        "refused links of {name:?}, reversed: {reversed}"
    );
    assert_eq!(
        result.sessions as u64,
        case["sessions"].as_u64().expect("a number"),
        "sessions of {name:?}, reversed: {reversed}"
    );

    // The cases with strangers have one timeline.
    events.sort_by(|one, other| (one.seconds, &one.message).cmp(&(other.seconds, &other.message)));
    let in_order: Vec<&str> = events.iter().map(|event| event.message.as_str()).collect();
    for (event, owner) in case["owner"].as_object().expect("owners") {
        let found = match result.owners[event] {
            Owner::Profile(root) => serde_json::json!(world.highest_of(root)),
            Owner::Alone => serde_json::json!([owner[0], "alone"]),
            Owner::Stranger(first) => serde_json::json!([owner[0], in_order[first as usize]]),
            Owner::Nobody => Value::Null,
        };
        assert_eq!(
            &found, owner,
            "owner of {event} in {name:?}, reversed: {reversed}"
        );
    }
    let hubs: BTreeSet<(String, String)> = case["hubs"]
        .as_array()
        .expect("hubs")
        .iter()
        .map(world::named)
        .collect();
    assert_eq!(result.hubs, hubs, "hubs of {name:?}, reversed: {reversed}");
}

#[test]
fn the_worked_cases_come_out_as_written_in_either_order() {
    let goldens: Value =
        serde_json::from_str(include_str!("goldens/identity.json")).expect("goldens/identity.json");
    let cases = goldens["cases"].as_array().expect("cases");
    assert!(cases.len() > 30, "only {} cases", cases.len());
    for case in cases {
        check(case, false);
        check(case, true);
    }
    let strangers: Value = serde_json::from_str(include_str!("goldens/strangers.json"))
        .expect("goldens/strangers.json");
    for case in strangers["cases"].as_array().expect("cases") {
        check(case, false);
        check(case, true);
    }
}
