//! Migrations on the real engine; each test has a database of its own.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tributary_platform::clickhouse::Client;
use tributary_platform::config::{self, Config, Secret};
use tributary_platform::migrate;

use super::servers;

/// How a database of a test's own is reached.
pub(super) fn options() -> config::ClickHouse {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let database = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let password = Secret::default();
    config::ClickHouse {
        url: servers::engine().to_owned(),
        user: "default".to_owned(),
        password,
        database,
        timeout: Duration::from_secs(60),
    }
}

/// A migrated database of a test's own.
pub(super) async fn database() -> Client {
    let client = Client::new(&options());
    migrate::run(&client)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    client
}

/// The answer, tab-separated, to a SELECT in which `{db}` stands for the database.
pub(super) async fn text(client: &Client, select: &str) -> String {
    let select = select.replace("{db}", client.database());
    let bytes = client
        .text(&select, "TSV")
        .await
        .unwrap_or_else(|error| panic!("{select}: {}", error.detail()));
    String::from_utf8(bytes.to_vec())
        .expect("text")
        .trim_end()
        .to_owned()
}

#[tokio::test]
async fn migrations_run_once_and_every_column_has_a_comment() {
    let client = Client::new(&options());
    let run = migrate::run(&client)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(run.len(), migrate::ALL.len());
    assert!(
        migrate::run(&client)
            .await
            .expect("nothing to do")
            .is_empty()
    );
    let silent = text(
        &client,
        "SELECT table, name FROM system.columns WHERE database = '{db}' AND comment = '' \
         AND table NOT IN (SELECT name FROM system.tables WHERE database = '{db}' AND engine = 'MaterializedView')",
    )
    .await;
    assert_eq!(silent, "", "columns without a comment");
    let silent = text(
        &client,
        "SELECT name FROM system.tables WHERE database = '{db}' AND comment = ''",
    )
    .await;
    assert_eq!(silent, "", "tables without a comment");
    let windows = "SELECT count() FROM system.tables WHERE database = '{db}' AND engine LIKE '%MergeTree' AND NOT create_table_query LIKE '%non_replicated_deduplication_window = 10000%'";
    assert_eq!(
        text(&client, windows).await,
        "0",
        "tables that would not drop a block sent twice"
    );
}

#[tokio::test]
async fn of_many_that_start_at_once_each_migration_is_run_by_one() {
    let options = options();
    let starters = (0..4).map(|_| {
        let client = Client::new(&options);
        tokio::spawn(async move {
            migrate::run(&client)
                .await
                .unwrap_or_else(|error| panic!("{error}"))
        })
    });
    let mut run = Vec::new();
    for starter in starters.collect::<Vec<_>>() {
        run.extend(starter.await.expect("it does not panic"));
    }
    run.sort_unstable();
    assert_eq!(
        run,
        migrate::ALL
            .iter()
            .map(|migration| migration.name)
            .collect::<Vec<_>>()
    );
    assert_eq!(
        text(
            &Client::new(&options),
            "SELECT count(), uniqExact(version) FROM {db}.migrations"
        )
        .await,
        format!("{0}\t{0}", migrate::ALL.len())
    );
}

#[tokio::test]
async fn a_newer_database_and_a_changed_migration_are_refused_by_name() {
    let client = database().await;
    let older = migrate::run_these(&client, &migrate::ALL[..2])
        .await
        .expect_err("the database is newer");
    assert!(
        matches!(older, migrate::Error::Newer { found, known: 2, .. } if found == migrate::ALL.len() as u32),
        "{older}"
    );
    let mut changed = migrate::ALL.to_vec();
    changed[1].sql = "SELECT 1";
    let changed = migrate::run_these(&client, &changed)
        .await
        .expect_err("a file was changed");
    assert!(
        changed.to_string().contains(migrate::ALL[1].name),
        "{changed}"
    );
    assert!(!older.is_retryable() && !changed.is_retryable());
}

#[tokio::test]
async fn a_migration_that_was_interrupted_is_run_again_from_its_start() {
    let client = Client::new(&options());
    let create = "CREATE TABLE IF NOT EXISTS {database}.a (x UInt8 COMMENT 'x') ENGINE = {engine:MergeTree} ORDER BY x;\n";
    let broken = migrate::Migration {
        version: 1,
        name: "0001_a",
        sql: Box::leak(
            format!(
                "{create}CREATE TABLE IF NOT EXISTS {{database}}.b (y Wrong) ENGINE = Memory;\n"
            )
            .into(),
        ),
    };
    let error = migrate::run_these(&client, &[broken])
        .await
        .expect_err("the second statement is wrong");
    assert!(
        error
            .to_string()
            .contains("statement 2 of migration 0001_a"),
        "{error}"
    );
    let mended = migrate::Migration {
        sql: Box::leak(create.into()),
        ..broken
    };
    assert_eq!(
        migrate::run_these(&client, &[mended])
            .await
            .unwrap_or_else(|error| panic!("{error}")),
        ["0001_a"]
    );
}

#[tokio::test]
async fn a_lock_whose_holder_died_is_taken_over_when_its_lease_ends() {
    let client = Client::new(&options());
    migrate::run_these(&client, &migrate::ALL[..1])
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let claim = format!(
        "INSERT INTO {0}.migration_lock (term, holder, event) SELECT max(term) + 1, 'dead', 'claimed' FROM {0}.migration_lock",
        client.database()
    );
    client
        .execute(&claim)
        .await
        .unwrap_or_else(|error| panic!("{}", error.detail()));
    let run = migrate::run(&client)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(run.len(), migrate::ALL.len() - 1);
    let claims = text(
        &client,
        "SELECT count() FROM {db}.migration_lock WHERE event = 'claimed' AND holder != 'dead'",
    )
    .await;
    assert_eq!(claims, "2");
}

#[test]
fn the_defaults_name_the_database_that_readers_expect() {
    assert_eq!(Config::default().clickhouse.database, "tributary");
}
