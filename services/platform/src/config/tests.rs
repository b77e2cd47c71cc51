use super::*;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

fn load(
    file: &str,
    environment: &[(&str, &str)],
    flags: &[(&str, toml::Value)],
) -> Result<Config, String> {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    std::fs::write(folder.path().join("tributary.toml"), file).expect("the folder is writable");
    let inputs = Inputs {
        folder: folder.path().to_owned(),
        environment: environment
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        flags: flags
            .iter()
            .map(|(k, v)| (format!("--{k}"), (*k).to_owned(), v.clone()))
            .collect(),
        ..Inputs::default()
    };
    Config::load(&inputs).map_err(|error| error.to_string())
}

#[track_caller]
fn check_error(file: &str, environment: &[(&str, &str)], parts: &[&str]) {
    let error = load(file, environment, &[]).expect_err("it must be refused");
    for part in parts {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}

#[test]
fn the_defaults_are_those_of_the_specification() {
    let config = Config::default();
    assert_eq!(config.ports.ingest, 8080);
    assert_eq!(config.ingest.max_event_bytes, 32 * 1024);
    assert_eq!(config.ingest.max_batch_bytes, 500 * 1024);
    assert_eq!(config.kpi.keep.window("1h"), 8 * DAY);
    assert_eq!(config.kpi.keep.window("24h"), 100 * DAY);
    assert_eq!(
        config.kpi.keep.window("365d"),
        parse_duration("13mo").unwrap()
    );
    assert_eq!(config.identity.types["anonymous_id"].limit, 100);
    assert_eq!(config.workspaces, std::slice::from_ref(&config.workspace));
    assert!(config.sources.is_empty());
}

#[test]
fn each_layer_wins_over_those_before() {
    let file = "[ports]\ningest = 1\nmetrics = 1\nkafka = 1\n";
    let environment = [
        ("TRIBUTARY__PORTS__METRICS", "2"),
        ("TRIBUTARY__PORTS__KAFKA", "2"),
    ];
    let config = load(file, &environment, &[("ports.kafka", 3.into())]).unwrap();
    let ports = config.ports;
    assert_eq!(
        (ports.ingest, ports.metrics, ports.kafka, ports.clickhouse),
        (1, 2, 3, 8123)
    );
}

#[test]
fn the_short_cuts_set_kafka_and_clickhouse() {
    let environment = [
        ("KAFKA_BROKERS", "a:1,b:2"),
        ("CLICKHOUSE_URL", "http://c:8123/"),
    ];
    let config = load("", &environment, &[]).unwrap();
    assert_eq!(config.kafka.brokers, "a:1,b:2");
    assert_eq!(config.clickhouse.url, "http://c:8123");
}

#[test]
fn the_environment_can_hold_strings_that_look_like_numbers_lists_and_tables() {
    let environment = [
        ("TRIBUTARY__CLICKHOUSE__PASSWORD", "12345"),
        ("TRIBUTARY__IDENTITY__DEVICE_BRIDGES", "true"),
        ("TRIBUTARY__KPI__KEEP", "40y"),
        (
            "TRIBUTARY__KAFKA__PROPERTIES",
            r#"{ "security.protocol" = "SASL_SSL" }"#,
        ),
        (
            "TRIBUTARY__SOURCES",
            r#"[{ name = "shop", write_keys = ["0123456789"] }]"#,
        ),
    ];
    let config = load("", &environment, &[]).unwrap();
    assert_eq!(config.clickhouse.password.expose(), "12345");
    assert!(config.identity.device_bridges);
    assert_eq!(config.kpi.keep, Keep::all(parse_duration("40y").unwrap()));
    let properties: Vec<_> = config.kafka.properties.iter().collect();
    assert_eq!(properties, [("security.protocol", "SASL_SSL")]);
    assert_eq!(config.sources[0].name, "shop");
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_what_exists() {
    check_error(
        "[kafka]\nbrokrs = \"a:1\"\n",
        &[],
        &["tributary.toml", "`kafka", "brokrs", "brokers"],
    );
    check_error(
        "",
        &[("TRIBUTARY__INGEST__MAX_EVENTS", "1")],
        &["TRIBUTARY__INGEST__MAX_EVENTS", "max_events"],
    );
}

#[test]
fn a_wrong_value_is_named_with_its_key_and_the_fix() {
    check_error(
        "[sink]\nmax_delay = \"soon\"\n",
        &[],
        &["`sink.max_delay`", "`soon`", "\"30s\""],
    );
    check_error(
        "[kpi]\nkeep = { \"2h\" = \"1d\" }\n",
        &[],
        &["`kpi.keep`", "`2h`", "365d"],
    );
    check_error(
        "[kpi]\ncustomer_days = 0\n",
        &[],
        &["`kpi.customer_days`", "at least 1"],
    );
    check_error(
        "[kpi]\ndimensions = [\"weather\"]\n",
        &[],
        &["`kpi.dimensions`", "`weather`", "campaign"],
    );
    check_error(
        "[kpi]\nattitude = { high = 6, low = 6 }\n",
        &[],
        &["`kpi.attitude`", "less than high"],
    );
    check_error(
        "[kpi]\nmax_values = 0\n",
        &[],
        &["`kpi.max_values`", "at least 1"],
    );
    check_error(
        "[kpi.first_values]\ngoal = [\"purchase\"]\n",
        &[],
        &["`kpi.first_values.goal`", "campaign"],
    );
    check_error(
        "[kpi]\nmax_values = 1\n[kpi.first_values]\nstore = [\"a\", \"b\"]\n",
        &[],
        &[
            "`kpi.first_values.store`",
            "2 values",
            "`kpi.max_values` is 1",
        ],
    );
    check_error(
        "[kpi.first_values]\ncampaign = [\"spring\", \"other\"]\n",
        &[],
        &["`kpi.first_values.campaign`", "`other`"],
    );
    check_error(
        "[traits.rules]\nscore = \"best\"\n",
        &[],
        &["`traits.rules.score`", "`best`", "maximum"],
    );
    check_error(
        "[traits]\npriority = [\"crm\"]\n",
        &[],
        &["`traits.priority`", "`crm`"],
    );
    check_error(
        "[ports]\ningest = 99999\n",
        &[],
        &["`ports.ingest`", "99999"],
    );
    check_error("ports = [", &[], &["no TOML", "line 1"]);
    check_error(
        "[[sources]]\nname = \"till\"\n",
        &[],
        &["`sources.write_keys`", "`till`"],
    );
    check_error(
        "[[sources]]\nname = \"a\"\nworkspace = \"b\"\nwrite_keys = [\"0123456789\"]\n",
        &[],
        &["`sources.workspace`", "add [[workspaces]]"],
    );
}

#[test]
fn an_error_never_holds_the_secret() {
    for file in [
        "[clickhouse]\npassword = 987654321\n",
        "[clickhouse]\npassword = [\"987654321\"\n",
        "[clickhouse]\nurl = \"http://user:987654321@\"\n",
        "[[sources]]\nname = \"a\"\nwrite_keys = [987654321]\n",
    ] {
        let error = load(file, &[], &[]).expect_err("it must be refused");
        assert!(!error.contains("987654321"), "{error}");
    }
}

#[test]
fn entries_inherit_what_the_pattern_says() {
    let file = r#"
        [workspace]
        currency = "CHF"
        [[workspaces]]
        name = "one"
        [[workspaces]]
        name = "two"
        currency = "USD"
        [source]
        workspace = "one"
        [[sources]]
        name = "till"
        write_keys = ["0123456789"]
        channel = "store"
        [[sources]]
        name = "web"
        write_keys = ["abcdefghij"]
    "#;
    let config = load(file, &[], &[]).unwrap();
    assert_eq!(config.workspace("one").unwrap().currency, "CHF");
    assert_eq!(config.workspace("two").unwrap().currency, "USD");
    assert!(config.workspace("default").is_none());
    let namespaces: Vec<_> = config
        .sources
        .iter()
        .map(|s| (&*s.workspace, &*s.order_namespace))
        .collect();
    assert_eq!(namespaces, [("one", "store"), ("one", "online")]);
}

#[test]
fn credentials_are_taken_out_of_the_url() {
    let url = "https://bob:s%40cret@host:8443/?database=other";
    let clickhouse = load("", &[("CLICKHOUSE_URL", url)], &[])
        .unwrap()
        .clickhouse;
    assert_eq!(clickhouse.url, "https://host:8443");
    assert_eq!(
        (&*clickhouse.user, clickhouse.password.expose()),
        ("bob", "s@cret")
    );
    assert_eq!(clickhouse.database, "other");
}

#[test]
fn what_is_printed_hides_secrets_and_can_be_read_back() {
    let file = r#"
        [clickhouse]
        url = "http://u:hidden-one@h:1"
        [kafka.properties]
        "sasl.username" = "seen"
        "sasl.password" = "hidden-two"
        [[sources]]
        name = "web"
        write_keys = ["hidden-three"]
    "#;
    let config = load(file, &[], &[]).unwrap();
    let printed = config.to_toml();
    for text in [&printed, &format!("{config:?}")] {
        assert!(!text.contains("hidden-"), "{text}");
        assert!(text.contains("seen"), "{text}");
    }
    let again = load(&printed, &[], &[]).unwrap();
    assert_eq!(again.kpi, config.kpi);
    assert_eq!(again.ingest, config.ingest);
}

#[test]
fn durations_read_and_print_in_the_largest_exact_unit() {
    for text in ["0s", "250ms", "90s", "5m", "8d", "13mo", "40y"] {
        assert_eq!(format_duration(parse_duration(text).unwrap()), text);
    }
    assert_eq!(parse_duration("2w").unwrap(), 14 * DAY);
    for text in [
        "",
        "5",
        "s",
        "-1s",
        "1.5h",
        "5 parsecs",
        "99999999999999999y",
    ] {
        assert!(parse_duration(text).is_err(), "{text}");
    }
}

#[test]
fn the_default_sources_are_one_for_sdks_and_one_for_files() {
    let sources = Config::default().default_sources(|name| Secret::new(format!("key of {name}")));
    let [default, history] = sources.as_slice() else {
        panic!("two sources: {sources:?}")
    };
    assert_eq!(
        (default.historic, &*default.order_namespace),
        (false, "online")
    );
    assert_eq!(
        (
            history.historic,
            &*history.order_namespace,
            &*history.channel
        ),
        (true, "store", "store")
    );
}

#[test]
fn the_summary_holds_what_differs_and_no_secret() {
    let file = "[ports]\ningest = 7\n[clickhouse]\npassword = \"hidden-one\"\n";
    let summary = load(file, &[], &[]).unwrap().summary();
    assert_eq!(
        summary,
        ["clickhouse.password = \"(hidden)\"", "ports.ingest = 7"]
    );
    assert!(Config::default().summary().is_empty());
}

#[test]
fn rules_of_identity_that_make_no_sense_are_refused_by_key() {
    for (line, parts) in [
        (
            "[identity]\npriority = [\"fax\"]",
            [
                "identity.priority",
                "there is no type `fax`; there are advertising_id",
            ],
        ),
        (
            "[identity]\npriority = [\"email\", \"email\"]",
            ["identity.priority", "`email` twice"],
        ),
        (
            "[identity.types]\nemail = { limit = 0 }",
            ["identity.types.email.limit", "at least 1"],
        ),
        (
            "[identity.types.user_id]\ncan_be_hub = true",
            ["identity.types.user_id.can_be_hub", "must be false"],
        ),
        (
            "[identity.types.Fax]\nkind = \"person\"\nlimit = 1\ncan_be_hub = true",
            ["identity.types.Fax", "lower-case"],
        ),
        (
            "[identity.types.fax]\nkind = \"person\"\nlimit = 1",
            ["identity.types.fax", "can_be_hub"],
        ),
        (
            "[identity.types.fax]\nkind = \"machine\"\nlimit = 1\ncan_be_hub = true",
            ["identity.types.fax.kind", "person"],
        ),
        ("[identity]\nhub = 0", ["identity.hub", "at least 1"]),
        (
            "[identity]\nblocked_values = [\"\"]",
            ["identity.blocked_values", "empty"],
        ),
        (
            "[identity]\nblocked_patterns = [\"test\"]",
            ["identity.blocked_patterns", "blocked_values"],
        ),
        (
            "[identity]\nblocked_patterns = [\"email:*\"]",
            ["identity.blocked_patterns", "every value"],
        ),
    ] {
        let error = load(line, &[], &[]).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "{line}: `{part}` is not in {error}");
        }
    }
    // What is built in stands twice, and is the same.
    let types = Config::default().identity.types().expect("types");
    assert_eq!(types, tributary_core::identity::Types::default());
    let added = "[identity]\npriority = [\"email\", \"fax\"]\n[identity.types]\n\
                 fax = { kind = \"person\", normalise = \"phone\", limit = 2, can_be_hub = true }\n\
                 box = { kind = \"device\", limit = 2, can_be_hub = true }\n\
                 badge = { kind = \"person\", limit = 2, can_be_hub = true }";
    let types = load(added, &[], &[]).expect("types").workspaces[0]
        .identity
        .types()
        .expect("types");
    let names: Vec<&str> = types
        .by_priority()
        .iter()
        .map(|rule| rule.r#type.name())
        .collect();
    assert_eq!(names[..4], ["email", "fax", "user_id", "crm_id"]);
    assert_eq!(names[6..9], ["social_handle", "badge", "device_id"]);
    assert_eq!(names[12..], ["box"]);
    // The defaults are patterns.
    assert!(Config::default().identity.blocked_patterns.len() > 3);
}
