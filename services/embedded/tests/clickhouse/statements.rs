use super::support::ask;
use super::{address, post, sql, table, uri};

#[tokio::test]
async fn health_is_answered_without_a_query() {
    for path in ["/ping", "/", "/replicas_status"] {
        assert_eq!(
            ask(address(), "GET", path, &[], "").await.ok(),
            "Ok.\n",
            "{path}"
        );
    }
    assert_eq!(ask(address(), "GET", "/nothing", &[], "").await.status, 404);
    assert_eq!(ask(address(), "DELETE", "/", &[], "").await.status, 405);
}

#[tokio::test]
async fn a_query_comes_in_the_url_the_body_or_both() {
    assert_eq!(
        ask(address(), "GET", "/?query=SELECT+1", &[], "")
            .await
            .ok(),
        "1\n"
    );
    assert_eq!(post("/", "SELECT 1").await.ok(), "1\n");
    assert_eq!(post("/?query=SELECT", "1").await.ok(), "1\n");
    assert_eq!(post(&uri("SELECT 1", ""), " + 1").await.ok(), "2\n");
    assert_eq!(post("/query", "SELECT 1").await.ok(), "1\n");
}

#[tokio::test]
async fn every_kind_of_statement_runs() {
    let name = table("kinds");
    let check = async |statement: &str, expected: &str| {
        let answer = post("/", statement.replace("{t}", &name)).await;
        assert_eq!(answer.status, 200, "{statement}: {}", answer.text());
        assert_eq!(answer.text(), expected, "{statement}");
    };
    check(
        "CREATE TABLE {t} (a UInt8, s String) ENGINE = MergeTree ORDER BY a",
        "",
    )
    .await;
    check(
        "INSERT INTO {t} VALUES (1, 'x'), (1 + 1, 'it''s;\n\n-- y')",
        "",
    )
    .await;
    check("INSERT INTO {t} (a) SELECT 3", "").await;
    check(
        "INSERT INTO {t} SETTINGS async_insert = 0 FORMAT JSONEachRow {\"a\": 4}\n\n{\"a\": 5};",
        "",
    )
    .await;
    check(
        "SELECT a, s FROM {t} WHERE a < 3 ORDER BY a FORMAT CSV;",
        "1,\"x\"\n2,\"it's;\n\n-- y\"\n",
    )
    .await;
    check(
        "/* FORMAT */ SELECT count() -- FORMAT CSV\nFROM {t}\n;\n;",
        "5\n",
    )
    .await;
    check("WITH 2 AS x SELECT x AS format FORMAT TSV", "2\n").await;
    check(
        "(SELECT 1) UNION ALL (SELECT 1) SETTINGS max_threads = 1",
        "1\n1\n",
    )
    .await;
    check(
        "FROM {t} SELECT max(a) SETTINGS max_threads = 1 FORMAT JSONCompactEachRow",
        "[5]\n",
    )
    .await;
    check(
        "SELECT 1 FORMAT JSONEachRow SETTINGS output_format_json_quote_64bit_integers = 1",
        "{\"1\":1}\n",
    )
    .await;
    check(
        "SELECT $$FORMAT ' CSV$$, 'a\\'b', `x` FROM (SELECT 1 AS `x`)",
        "FORMAT \\' CSV\ta\\'b\t1\n",
    )
    .await;
    check("EXISTS {t}", "1\n").await;
    check("EXISTS TABLE {t} FORMAT JSONEachRow", "{\"result\":1}\n").await;
    check("SHOW TABLES LIKE '{t}'", &format!("{name}\n")).await;
    check(
        "DESCRIBE TABLE {t} FORMAT CSV",
        "\"a\",\"UInt8\",\"\",\"\",\"\",\"\",\"\"\n\"s\",\"String\",\"\",\"\",\"\",\"\",\"\"\n",
    )
    .await;
    check("EXPLAIN SELECT 1 FORMAT Null", "").await;
    check("EXPLAIN SYNTAX SELECT 1", "SELECT 1\nFROM system.one\n").await;
    check(
        "CHECK TABLE {t} SETTINGS check_query_single_value_result = 1",
        "1\n",
    )
    .await;
    check("ALTER TABLE {t} ADD COLUMN z UInt8 DEFAULT 7", "").await;
    check("OPTIMIZE TABLE {t} FINAL", "").await;
    check("SELECT sum(z) FROM {t}", "35\n").await;
    check("DELETE FROM {t} WHERE a = 1", "").await;
    check("SYSTEM FLUSH LOGS", "").await;
    check("SET max_threads = 1", "").await;
    check("KILL QUERY WHERE query_id = 'none'", "").await;
    check("TRUNCATE TABLE {t}", "").await;
    check("SELECT count() FROM {t}", "0\n").await;
    check("RENAME TABLE {t} TO {t}_b", "").await;
    check("DROP TABLE {t}_b", "").await;
    check(
        "SELECT timezone() != '', version() LIKE '26.%', currentUser(), currentDatabase()",
        "1\t1\tdefault\tdefault\n",
    )
    .await;
}

#[tokio::test]
async fn an_own_database_is_used_for_one_query() {
    let database = table("database");
    sql(&format!("CREATE DATABASE {database}")).await;
    let at = format!("/?database={database}");
    post(
        &at,
        "CREATE TABLE x (a UInt8) ENGINE = MergeTree ORDER BY a",
    )
    .await
    .ok();
    post(&at, "INSERT INTO x VALUES (1)").await.ok();
    post(
        &uri("INSERT INTO x FORMAT CSV", &format!("database={database}")),
        "2\n",
    )
    .await
    .ok();
    assert_eq!(post(&at, "SELECT sum(a) FROM x").await.ok(), "3\n");
    assert_eq!(
        sql(&format!("SELECT sum(a) FROM {database}.x")).await,
        "3\n"
    );
    assert_eq!(post("/?database=nosuch", "SELECT 1").await.status, 404);
}

#[tokio::test]
async fn a_dictionary_reads_a_table_of_the_engine() {
    let (source, dictionary) = (table("source"), table("dictionary"));
    sql(&format!(
        "CREATE TABLE {source} (id UInt64, v String) ENGINE = MergeTree ORDER BY id"
    ))
    .await;
    sql(&format!("INSERT INTO {source} VALUES (1, 'one')")).await;
    sql(&format!(
        "CREATE DICTIONARY {dictionary} (id UInt64, v String) PRIMARY KEY id \
         SOURCE(CLICKHOUSE(TABLE '{source}' DB 'default')) LAYOUT(HASHED()) LIFETIME(0)"
    ))
    .await;
    assert_eq!(
        sql(&format!("SELECT dictGet('{dictionary}', 'v', toUInt64(1))")).await,
        "one\n"
    );
}

#[tokio::test]
async fn answers_carry_clickhouses_headers() {
    let answer = post(
        "/?query_id=mine&session_timezone=Asia/Tokyo",
        "SELECT timezone(), number FROM numbers(3)",
    )
    .await;
    assert_eq!(answer.header("x-clickhouse-query-id"), "mine");
    assert_eq!(answer.header("x-clickhouse-timezone"), "Asia/Tokyo");
    assert_eq!(answer.header("x-clickhouse-format"), "TabSeparated");
    assert!(!answer.header("x-clickhouse-server-display-name").is_empty());
    let summary: serde_json::Value =
        serde_json::from_str(answer.header("x-clickhouse-summary")).expect("JSON");
    assert_eq!(
        (&summary["read_rows"], &summary["result_rows"]),
        (&"3".into(), &"3".into())
    );
    assert_eq!(
        answer.header("content-length"),
        answer.body.len().to_string()
    );
    assert_eq!(answer.text().lines().next(), Some("Asia/Tokyo\t0"));
}
