//! The real SDK of Segment, with only its host changed.

use serde_json::json;
use std::path::Path;
use std::process::Command;
use tributary_tests::Tenant;

pub(crate) fn a_visit_with_the_real_sdk_is_one_customer(tenant: &Tenant<'_>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/sdk");
    assert!(
        folder.join("node_modules").is_dir(),
        "{} has no node_modules; `make test` fetches them first",
        folder.display()
    );
    let output = Command::new("node")
        .arg("visit.mjs")
        .args([tenant.system.endpoint("ingest"), &tenant.key("web"), "sdk"])
        .current_dir(&folder)
        .output()
        .expect("node is installed; `make test` sees to that");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    tenant.settled();

    assert_eq!(tenant.count("touchpoints"), 8);
    let ada = tenant.row(
        "SELECT profile_id, identifiers, JSONExtractString(toString(traits), 'city') AS city, sessions, touchpoints, orders, revenue \
         FROM profiles_current WHERE workspace = {w:String}",
    );
    let identifiers = json!([
        ["user_id", "sdk-ada"],
        ["email", "sdk.ada@shop.example"],
        ["anonymous_id", "sdk-laptop"],
        ["anonymous_id", "sdk-phone"]
    ]);
    assert_eq!(ada["identifiers"], identifiers);
    assert_eq!(ada["city"], "Lyon");
    assert_eq!(
        (&ada["sessions"], &ada["touchpoints"], &ada["orders"]),
        (&json!(3), &json!(8), &json!(2))
    );
    assert_eq!(ada["revenue"], json!({"EUR": "80"}));
    let sessions = tenant.query("SELECT touchpoints, campaign FROM sessions_current WHERE workspace = {w:String} ORDER BY started_at, touchpoints");
    assert_eq!(sessions.len(), 3, "{sessions:?}");
    assert_eq!(sessions[0], json!({"touchpoints": 3, "campaign": "spring"}));
    let owners = tenant
        .query("SELECT DISTINCT profile_id FROM touchpoints_current WHERE workspace = {w:String}");
    assert_eq!(owners, [json!({"profile_id": ada["profile_id"]})]);
}
