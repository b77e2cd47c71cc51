use super::support::ask;
use super::{address, post, sql, table, until_running};

#[tokio::test]
async fn a_session_keeps_settings_and_temporary_tables() {
    let at = "/?session_id=keeps";
    post(at, "SET max_threads = 3").await.ok();
    post(at, "CREATE TEMPORARY TABLE mine (a UInt8)").await.ok();
    post(at, "INSERT INTO mine VALUES (1)").await.ok();
    assert_eq!(
        post(at, "SELECT a, getSetting('max_threads') FROM mine")
            .await
            .ok(),
        "1\t3\n"
    );
    assert_eq!(
        post("/?session_id=other", "SELECT getSetting('max_threads') = 3")
            .await
            .ok(),
        "0\n"
    );
    assert_eq!(
        post("/?session_id=other", "SELECT * FROM mine")
            .await
            .status,
        404
    );
    assert_eq!(sql("EXISTS TEMPORARY TABLE mine").await, "0\n");
}

#[tokio::test]
async fn what_a_url_sets_does_not_stay_in_the_session() {
    let at = "/?session_id=undone";
    let database = table("database");
    post(at, "SET max_block_size = 11").await.ok();
    post(at, format!("CREATE DATABASE {database}")).await.ok();
    let query =
        "SELECT getSetting('max_block_size'), getSetting('max_threads') = 9, currentDatabase()";
    let set = post(
        &format!("{at}&max_block_size=12&max_threads=9&database={database}"),
        query,
    )
    .await;
    assert_eq!(set.ok(), format!("12\t1\t{database}\n"));
    assert_eq!(post(at, query).await.ok(), "11\t0\tdefault\n");
    let failed = post(&format!("{at}&max_block_size=12&nosuch=1"), query).await;
    assert_eq!(failed.header("x-clickhouse-exception-code"), "115");
    assert_eq!(post(at, query).await.ok(), "11\t0\tdefault\n");
    post(at, format!("USE {database}")).await.ok();
    assert_eq!(post(at, query).await.ok(), format!("11\t0\t{database}\n"));
}

#[tokio::test]
async fn a_session_serves_one_request_at_a_time() {
    let slow =
        "SELECT sleepEachRow(0.3) AS locks_session FROM numbers(5) SETTINGS max_block_size = 1";
    let first = tokio::spawn(post("/?session_id=busy", slow));
    until_running("locks_session", 1).await;
    let second = post("/?session_id=busy", "SELECT 1").await;
    assert_eq!(
        second.header("x-clickhouse-exception-code"),
        "373",
        "{}",
        second.text()
    );
    first.await.expect("no panic").ok();
    assert_eq!(post("/?session_id=busy", "SELECT 1").await.ok(), "1\n");
}

#[tokio::test]
async fn one_request_after_the_other_never_finds_the_session_locked() {
    for _ in 0..200 {
        post("/?session_id=quick", "SELECT 1").await.ok();
    }
}

#[tokio::test]
async fn a_session_is_checked_for_and_ends() {
    let check = "/?session_id=checked&session_check=1";
    assert_eq!(
        post(check, "SELECT 1")
            .await
            .header("x-clickhouse-exception-code"),
        "372"
    );
    post(
        "/?session_id=checked",
        "CREATE TEMPORARY TABLE mine (a UInt8)",
    )
    .await
    .ok();
    assert_eq!(post(check, "EXISTS TEMPORARY TABLE mine").await.ok(), "1\n");
    assert_eq!(
        post(&format!("{check}&close_session=1"), "SELECT 1")
            .await
            .ok(),
        "1\n"
    );
    assert_eq!(
        post(check, "SELECT 1")
            .await
            .header("x-clickhouse-exception-code"),
        "372"
    );
    post("/?session_id=brief&session_timeout=0", "SELECT 1")
        .await
        .ok();
    let gone = post("/?session_id=brief&session_check=1", "SELECT 1").await;
    assert_eq!(gone.header("x-clickhouse-exception-code"), "372");
}

#[tokio::test]
async fn get_in_a_session_changes_only_the_session() {
    let get = async |query: &str| {
        ask(
            address(),
            "GET",
            &format!("/?session_id=get&query={}", super::encoded(query)),
            &[],
            "",
        )
        .await
    };
    get("SET max_threads = 3").await.ok();
    assert_eq!(get("SELECT getSetting('max_threads')").await.ok(), "3\n");
    let name = table("session_get");
    let create = format!("CREATE TABLE {name} (a UInt8) ENGINE = Memory");
    assert_eq!(
        get(&create).await.header("x-clickhouse-exception-code"),
        "164"
    );
    post("/?session_id=get", create).await.ok();
    assert_eq!(
        get(&format!("INSERT INTO {name} VALUES (1)"))
            .await
            .header("x-clickhouse-exception-code"),
        "164"
    );
}
