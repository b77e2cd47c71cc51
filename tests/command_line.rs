//! What the command line promises: exit codes, messages, and `endpoints.json`.

use std::net::TcpListener;
use std::process::{Command, Output};
use std::time::Duration;
use tributary_tests::wait::until;
use tributary_tests::{Settings, System};

fn prepared(lines: &str) -> System {
    System::prepare(Settings::new(env!("CARGO_BIN_EXE_tributary"), 1, lines))
}

fn check(output: &Output, code: i32, parts: &[&str]) {
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(code), "{text}");
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
}

#[test]
fn the_configuration_in_force_is_shown_without_secrets() {
    let system = prepared("[kpi]\nkeep = \"40y\"\n");
    let output = system.job(&["config"]);
    check(
        &output,
        0,
        &["40y", "max_event_bytes = 32768", "name = \"history\""],
    );
    assert!(
        !String::from_utf8_lossy(&output.stdout).contains("w0-history"),
        "a write key is shown"
    );
}

#[test]
fn wrong_usage_and_configuration_exit_with_2_and_name_what_is_wrong() {
    check(&prepared("").job(&["fly"]), 2, &["fly"]);
    check(
        &prepared("[ingest]\nmax_event_byte = 5\n").job(&["config"]),
        2,
        &["max_event_byte"],
    );
    check(
        &prepared("[kpi]\nkeep = \"forever\"\n").job(&["all"]),
        2,
        &["kpi.keep"],
    );
    let system = prepared("");
    let file = system.file("rows.csv", "a,b\n1,2\n");
    let mapping = system.file(
        "mapping.toml",
        "format = \"csv\"\nseparater = \";\"\n[fields]\n",
    );
    let path = |path: &std::path::Path| path.to_str().expect("our own names").to_owned();
    check(
        &system.job(&["import", &path(&file), "--mapping", &path(&mapping)]),
        2,
        &["separater", "`separator`"],
    );
}

#[test]
fn jobs_say_that_nothing_runs_and_how_to_start_it() {
    let system = prepared("");
    check(
        &system.job(&["explain", "ada"]),
        1,
        &["tributary all --data"],
    );
    let file = system.file("rows.csv", "user,day\nada,2001-01-01\n");
    let mapping = system.file("mapping.toml", "format = \"csv\"\n[fields]\nuser_id = \"user\"\ntimestamp = \"day\"\n[constants]\nevent = \"Visited\"\n");
    let path = |path: &std::path::Path| path.to_str().expect("our own names").to_owned();
    let arguments = ["import", &path(&file), "--mapping", &path(&mapping)];
    check(&system.job(&arguments), 1, &["tributary all --data"]);
    check(
        &system.job(&[&arguments[..], &["--dry-run"]].concat()),
        0,
        &["1 rows would be sent"],
    );
}

#[test]
fn a_port_in_use_is_named_with_the_setting_that_changes_it() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let port = taken.local_addr().expect("it is bound").port();
    let output = prepared(&format!(
        "[ports]\ningest = {port}\nmetrics = 0\nclickhouse = 0\nkafka = 0\nkafka_controller = 0\n"
    ))
    .job(&["all"]);
    check(&output, 2, &[&port.to_string(), "ports.ingest"]);
}

#[test]
fn without_java_it_says_so() {
    let system = prepared("");
    let output = system
        .command(&["all", "--ports", "auto"])
        .env("PATH", "/nonexistent")
        .env_remove("JAVA_HOME")
        .output()
        .expect("the binary starts");
    check(&output, 2, &["ava"]);
}

/// The lines that follow the heading, up to an empty one, as a shell takes them.
fn printed_command(text: &str, heading: &str) -> String {
    let (_, rest) = text
        .split_once(&format!("\n{heading}:\n"))
        .unwrap_or_else(|| panic!("there is no `{heading}` in {text}"));
    rest.split("\n\n").next().unwrap_or_default().to_owned()
}

/// Runs it until it prints all of these: what it asks for may take a moment.
fn until_it_prints(command: &str, parts: &[&str]) {
    until(command, Duration::from_secs(30), || {
        let output = Command::new("sh").args(["-c", command]).output();
        let output = output.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout);
        let missing = parts.iter().find(|part| !text.contains(**part));
        match missing {
            None if output.status.success() => Ok(()),
            _ => Err(format!(
                "{}, {missing:?} missing: {text}{}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            )),
        }
    });
}

#[test]
fn the_commands_that_the_demo_prints_do_what_they_say() {
    let mut settings = Settings::new(env!("CARGO_BIN_EXE_tributary"), 1, "");
    // As on a fresh machine: nothing configured, and keys that it makes itself.
    settings.config.clear();
    settings.demo = true;
    let mut system = System::start(settings);
    let text = until("the welcome", Duration::from_secs(60), || {
        let text = system.printed();
        if text.contains("Ctrl-C stops everything.") {
            Ok(text)
        } else {
            Err(text)
        }
    });
    let write_key = system.endpoint("write_key");
    for part in ["ingest", "metrics", "clickhouse", "kafka", "write_key"] {
        assert!(
            text.contains(system.endpoint(part)),
            "{part} is not in {text}"
        );
    }
    let send = printed_command(&text, "Send an event");
    assert!(send.contains(write_key), "{send}");
    until_it_prints(&send, &["\"success\":true"]);
    let count = printed_command(&text, "Count events by channel");
    until_it_prints(&count, &["app", "store", "web"]);
    let explain = printed_command(&text, "Explain a customer");
    until_it_prints(&explain, &["user_id", "ada", "browser-1"]);
    the_queries_of_the_documentation_have_answers(&system);
    system.stop();
}

fn the_queries_of_the_documentation_have_answers(system: &System) {
    const PAGE: &str = include_str!("../services/QUERIES.md");
    let queries: Vec<&str> = PAGE
        .split("```sql\n")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once("```")?.0))
        .collect();
    assert_eq!(queries.len(), 30, "as the page's title says");
    system.settled();
    for query in queries {
        let rows = system.query(query, &[]);
        assert!(!rows.is_empty(), "the demo has no answer to {query}");
    }
}

#[test]
fn a_folder_has_one_system_at_a_time_and_is_left_clean() {
    let mut system = prepared("");
    std::fs::write(
        system.data().join("endpoints.json"),
        "{\"ingest\": \"http://127.0.0.1:1\"}",
    )
    .expect("the folder is writable");
    system.start_without_waiting();
    until(
        "the removal of the stale endpoints.json",
        Duration::from_secs(20),
        || {
            let text =
                std::fs::read_to_string(system.data().join("endpoints.json")).unwrap_or_default();
            if text.contains("127.0.0.1:1\"") {
                Err("it is there".to_owned())
            } else {
                Ok(())
            }
        },
    );
    system.await_ready();
    for part in ["ingest", "metrics", "clickhouse", "kafka", "write_key"] {
        assert!(!system.endpoint(part).ends_with('/'), "{part}");
    }
    let second = system.job(&["all", "--ports", "auto"]);
    assert_ne!(second.status.code(), Some(0));
    let text = String::from_utf8_lossy(&second.stderr);
    assert!(
        text.contains(&system.data().to_string_lossy()[..]),
        "it does not say which folder: {text}"
    );
    for path in ["/health", "/ready"] {
        let answer = system
            .client
            .get(&format!("{}{path}", system.endpoint("metrics")))
            .expect("it answers");
        assert_eq!(answer.status, 200, "{path} still answers: {}", answer.body);
    }
    system.stop();
}
