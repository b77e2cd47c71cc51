//! Files of tills and CRMs.

use serde_json::json;
use tributary_tests::Tenant;

pub(crate) fn a_file_is_imported_once_and_its_bad_rows_are_told(tenant: &Tenant<'_>) {
    let name = |suffix: &str| format!("till-{}{suffix}", tenant.number);
    let file = tenant.system.file(
        &name(".csv"),
        "card;day;sum\nc1;31.12.2001 10:00;12,50\nc1;31.12.2001 10:00;12,50\nc2;31.12.2001 11:00;lots\nc3;never;1,00\n000;31.12.2001 12:00;1,00\n",
    );
    let mapping = tenant.system.file(
        &name(".toml"),
        "format = \"csv\"\nseparator = \";\"\ndecimal = \",\"\ndates = [\"%d.%m.%Y %H:%M\"]\ntime_zone = \"Europe/Paris\"\n\
         [fields]\nloyalty_card = \"card\"\ntimestamp = \"day\"\ntotal = \"sum\"\n[constants]\nevent = \"Order Completed\"\nstore = \"Paris 1\"\n",
    );
    let rejects = tenant.system.data().join(name(".rejects.csv"));
    let key = tenant.key("history");
    let path = |path: &std::path::Path| path.to_str().expect("our own names").to_owned();
    let (file, mapping, rejects_path) = (path(&file), path(&mapping), path(&rejects));
    let import = |more: &[&str]| {
        let arguments = [
            "import",
            &file,
            "--mapping",
            &mapping,
            "--write-key",
            &key,
            "--rejects",
            &rejects_path,
        ];
        tenant.system.job(&[&arguments, more].concat())
    };
    let output = import(&["--dry-run"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("nothing was sent"));
    let output = import(&[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    tenant.settled();
    let rejected = std::fs::read_to_string(&rejects).expect("there are rejects");
    let lines: Vec<&str> = rejected.lines().collect();
    assert_eq!(lines.len(), 4, "{rejected}");
    assert!(
        lines[1].starts_with("4,") && lines[2].starts_with("5,") && lines[3].starts_with("6,"),
        "{rejected}"
    );
    assert_eq!(
        tenant.count("orders_current"),
        2,
        "equal lines are two purchases"
    );
    let expected = json!({"total": "25", "channel": "store", "store": "Paris 1", "first": "2001-12-31 09:00:00.000"});
    let row = "SELECT toString(sum(revenue)) AS total, any(channel) AS channel, any(store) AS store, toString(min(occurred_at)) AS first \
         FROM touchpoints WHERE workspace = {w:String}";
    assert_eq!(tenant.row(row), expected);

    assert!(String::from_utf8_lossy(&import(&[]).stdout).contains("imported already"));
    import(&["--again"]);
    tenant.settled();
    assert_eq!(tenant.row(row), expected, "the same file twice is one");
}

pub(crate) fn a_json_file_is_imported_by_pointers(tenant: &Tenant<'_>) {
    let name = |suffix: &str| format!("crm-{}{suffix}", tenant.number);
    let file = tenant.system.file(
        &name(".ndjson"),
        "{\"customer\":{\"id\":17,\"mail\":\"Ann@Example.COM\"},\"at\":\"2002-03-04\",\"score\":4.5}\n{\"customer\":{\"id\":18},\"at\":\"2002-03-05\"}\n",
    );
    let mapping = tenant.system.file(
        &name(".toml"),
        "format = \"ndjson\"\ntype = \"identify\"\n[fields]\ncrm_id = \"/customer/id\"\nemail = \"/customer/mail\"\ntimestamp = \"at\"\n\"traits.score\" = \"score\"\n",
    );
    let key = tenant.key("history");
    let path = |path: &std::path::Path| path.to_str().expect("our own names").to_owned();
    let output = tenant.system.job(&[
        "import",
        &path(&file),
        "--mapping",
        &path(&mapping),
        "--write-key",
        &key,
    ]);
    assert!(output.status.success(), "{output:?}");
    tenant.settled();
    let profiles = tenant.query(
        "SELECT identifiers, JSONExtractFloat(toString(traits), 'score') AS score FROM profiles_current WHERE workspace = {w:String} ORDER BY identifiers",
    );
    let expected = [
        json!({"identifiers": [["crm_id", "17"], ["email", "ann@example.com"]], "score": 4.5}),
        json!({"identifiers": [["crm_id", "18"]], "score": 0}),
    ];
    assert_eq!(profiles, expected);
}
