//! Profiles: what is known of a customer, by whose word, and the groups that customers belong to.

use crate::shop::{event, login, minutes_ago};
use serde_json::{Value, json};
use tributary_tests::Tenant;

/// For the traits of this file: the till is trusted most, and what the mailer says is inferred.
pub(crate) const TRAITS: &str = "\
[traits]
priority = [\"till\"]
inferred = [\"mailer\"]
[traits.rules]
city = \"most_frequent\"
interests = \"union\"
campaign = \"first\"
basket = \"maximum\"
";

pub(crate) fn a_trait_is_chosen_by_its_rule_and_says_where_it_is_from(tenant: &Tenant<'_>) {
    let stated = |id: &str, minutes: i64, traits: Value| {
        let mut stated = login(id, "laptop", "ann", minutes_ago(minutes));
        stated["traits"] = traits;
        stated
    };
    let mut agreed = stated(
        "w1",
        200,
        json!({"plan": "basic", "city": "Rome", "interests": ["tea", "jam"], "campaign": "a", "basket": 12, "name": "A."}),
    );
    agreed["context"]["consent"] =
        json!({"categoryPreferences": {"marketing": true, "profiling": true}});
    let mut refused = stated(
        "w2",
        100,
        json!({"plan": "plus", "city": "Oslo", "interests": "coffee", "campaign": "b", "basket": 7.5, "name": "Annie"}),
    );
    refused["context"]["consent"] = json!({"categoryPreferences": {"marketing": false}});
    // The newest comes first.
    tenant.send(
        "web",
        &[stated("w3", 50, json!({"city": "Rome"})), refused, agreed],
    );
    tenant.send("till", &[stated("t1", 300, json!({"name": "Ann Archer"}))]);
    tenant.send(
        "mailer",
        &[stated("m1", 10, json!({"plan": "gone soon", "score": 0.4}))],
    );
    tenant.settled();
    let ann = tenant.row(
        "SELECT toJSONString(traits) AS traits, arrayMap(p -> (p.1, p.2, p.3, p.5), trait_provenance) AS provenance, \
         arrayMap(c -> (c.1, c.2, c.4), consents) AS consents, lifecycle FROM profiles_current \
         WHERE workspace = {w:String} AND has(identifiers, ('user_id', 'ann'))",
    );
    let traits: Value =
        serde_json::from_str(ann["traits"].as_str().expect("a text")).expect("JSON");
    assert_eq!(
        traits,
        json!({"plan": "plus", "city": "Rome", "interests": ["coffee", "jam", "tea"], "campaign": "a", "basket": 12, "name": "Ann Archer", "score": 0.4})
    );
    assert_eq!(
        ann["provenance"],
        json!([
            ["basket", "maximum", "web", "w1"],
            ["campaign", "first", "web", "w1"],
            ["city", "most_frequent", "web", "w3"],
            ["interests", "union", "web", "w2"],
            ["name", "latest", "till", "t1"],
            ["plan", "latest", "web", "w2"],
            ["score", "latest", "mailer", "m1"],
        ])
    );
    assert_eq!(
        ann["consents"],
        json!([["marketing", false, "web"], ["profiling", true, "web"]])
    );
    assert_eq!(ann["lifecycle"], "visitor");
}

pub(crate) fn a_group_has_its_traits_and_its_members(tenant: &Tenant<'_>) {
    let joins = |id: &str, device: &str, minutes: i64, traits: Value| {
        let mut joins = event(id, "group", device, minutes_ago(minutes));
        joins["groupId"] = json!("acme");
        joins["traits"] = traits;
        joins
    };
    tenant.send(
        "web",
        &[
            joins("g2", "phone", 60, json!({"employees": 40, "city": "Rome"})),
            joins(
                "g1",
                "laptop",
                90,
                json!({"name": "Acme", "employees": 30, "former": "A. Cme"}),
            ),
            joins("g3", "laptop", 80, json!({"former": null})),
        ],
    );
    tenant.settled();
    let acme = || {
        let row = tenant.row(
            "SELECT toJSONString(traits) AS traits, members FROM groups_current WHERE workspace = {w:String} AND group_id = 'acme'",
        );
        let traits = row["traits"].as_str().expect("a text");
        let traits: Value = serde_json::from_str(traits).expect("JSON");
        (traits, row["members"].clone())
    };
    let known = json!({"name": "Acme", "employees": 40, "city": "Rome"});
    assert_eq!(acme(), (known.clone(), json!(2)));
    // The two devices are one person's.
    let both = ["laptop", "phone"]
        .map(|device| login(&format!("l-{device}"), device, "ann", minutes_ago(30)));
    tenant.send("web", &both);
    tenant.settled();
    assert_eq!(acme(), (known, json!(1)));
    let ann = tenant.row(
        "SELECT groups, toJSONString(traits) AS traits FROM profiles_current WHERE workspace = {w:String} AND has(identifiers, ('user_id', 'ann'))",
    );
    assert_eq!(
        ann,
        json!({"groups": ["acme"], "traits": "{}"}),
        "the group's traits are not hers"
    );
}
