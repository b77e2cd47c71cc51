use super::super::insert::ENOUGH_AFTER_FORMAT;
use super::*;

fn insert_of(text: &str) -> (String, &str) {
    match parse(text.as_bytes(), true) {
        Statement::Insert(insert) => {
            let data = insert.data;
            let sql = insert
                .reading_file("F")
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ");
            (
                sql.replace("FROM INFILE 'F' COMPRESSION 'none'", "@"),
                &text[data..],
            )
        }
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn an_insert_is_parted_from_its_data_at_the_byte() {
    let check =
        |text, sql: &str, data| assert_eq!(insert_of(text), (sql.to_owned(), data), "{text}");
    check(
        "INSERT INTO t FORMAT CSV\n1,2\n",
        "INSERT INTO t @ FORMAT CSV",
        "1,2\n",
    );
    check(
        "INSERT INTO t FORMAT TSV \t\r\n\n1",
        "INSERT INTO t @ FORMAT TSV",
        "\n1",
    );
    check(
        "insert into t format JSONEachRow {\"a\":1}",
        "insert into t @ FORMAT JSONEachRow",
        "{\"a\":1}",
    );
    check("INSERT t VALUES (1)", "INSERT t @ FORMAT Values", " (1)");
    check(
        "INSERT INTO db.t (a, `b)c`, d) VALUES(1)",
        "INSERT INTO db.t (a, `b)c`, d) @ FORMAT Values",
        "(1)",
    );
    check(
        "/* FORMAT x */ INSERT INTO TABLE values (a) SETTINGS x = 1, y='FORMAT CSV', z = -1.5 FORMAT RowBinary\n\0\x01;",
        "/* FORMAT x */ INSERT INTO TABLE values (a) @ SETTINGS x = 1, y='FORMAT CSV', z = -1.5 FORMAT RowBinary",
        "\0\x01;",
    );
    check(
        "INSERT INTO t FORMAT CSV SETTINGS x = {'a': 1}\n1",
        "INSERT INTO t @ SETTINGS x = {'a': 1} FORMAT CSV",
        "1",
    );
    check(
        "INSERT INTO t FORMAT TSV\nSETTINGS\t1",
        "INSERT INTO t @ FORMAT TSV",
        "SETTINGS\t1",
    );
    check(
        "INSERT INTO t SETTINGS async_insert VALUES (1)",
        "INSERT INTO t @ SETTINGS async_insert FORMAT Values",
        " (1)",
    );
    check(
        "INSERT INTO FUNCTION file('a', 'CSV', 'x Int8') PARTITION BY x VALUES (1)",
        "INSERT INTO FUNCTION file('a', 'CSV', 'x Int8') PARTITION BY x @ FORMAT Values",
        " (1)",
    );
    check(
        "INSERT INTO {t:Identifier}.x VALUES ({a:Int8})",
        "INSERT INTO {t:Identifier}.x @ FORMAT Values",
        " ({a:Int8})",
    );
    check(
        "INSERT INTO t (* EXCEPT(b)) FORMAT Native\n",
        "INSERT INTO t (* EXCEPT(b)) @ FORMAT Native",
        "",
    );
}

#[test]
fn an_insert_without_data_runs_as_it_is() {
    for text in [
        "INSERT INTO t SELECT 1 FORMAT CSV",
        "INSERT INTO t (a) SELECT 1",
        "INSERT INTO t (SELECT 1)",
        "INSERT INTO t WITH x AS (SELECT 1) SELECT * FROM x",
        "INSERT INTO t SETTINGS a = 1 SELECT 1",
        "INSERT INTO t FROM INFILE 'x' FORMAT CSV",
        "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x",
        "INSERT INTO",
    ] {
        assert!(
            matches!(parse(text.as_bytes(), true), Statement::Other(_)),
            "{text}"
        );
    }
}

#[test]
fn a_cut_insert_waits_for_more_until_its_data_has_surely_begun() {
    let head = "INSERT INTO t (a) SETTINGS x = 1 FORMAT CSV \n";
    let text = format!("{head}{}", "1,2\n".repeat(200));
    let mut found = 0;
    for cut in 0..text.len() {
        match parse(&text.as_bytes()[..cut], false) {
            Statement::Incomplete => assert!(cut < head.len() + ENOUGH_AFTER_FORMAT, "{cut}"),
            Statement::Insert(insert) => {
                assert_eq!(insert.data, head.len(), "{cut}");
                found += 1;
            }
            other => panic!("{cut}: {other:?}"),
        }
    }
    assert!(found > 200);
}

#[test]
fn a_semicolon_right_after_the_format_is_seen() {
    let Statement::Insert(insert) = parse(b"INSERT INTO t FORMAT CSV;\n1", true) else {
        panic!("an INSERT")
    };
    assert!(insert.excessive_semicolon);
}

fn select_of(text: &str) -> Vec<String> {
    match parse(text.as_bytes(), true) {
        Statement::Select(select) => select
            .writing_file("F", "TSV")
            .iter()
            .map(|way| {
                way.replace("INTO OUTFILE 'F' APPEND", "@")
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect(),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn the_file_of_a_result_is_named_before_its_format() {
    let check = |text, expected: &[&str]| assert_eq!(select_of(text), expected, "{text}");
    check("SELECT 1", &["SELECT 1 @ FORMAT TSV"]);
    check("SELECT 1 -- FORMAT x\n;;", &["SELECT 1 @ FORMAT TSV"]);
    check("SELECT 1 FORMAT JSON", &["SELECT 1 @ FORMAT JSON"]);
    check(
        "SELECT 1 format `JSON` settings a = 1;",
        &["SELECT 1 @ format `JSON` settings a = 1"],
    );
    check(
        "SELECT 1 SETTINGS a = 1 FORMAT JSON",
        &["SELECT 1 SETTINGS a = 1 @ FORMAT JSON"],
    );
    check(
        "SELECT 1 SETTINGS a = 1",
        &[
            "SELECT 1 SETTINGS a = 1 @ FORMAT TSV",
            "SELECT 1 @ FORMAT TSV SETTINGS a = 1",
        ],
    );
    check(
        "SELECT format FROM t",
        &["SELECT format FROM t @ FORMAT TSV"],
    );
    check(
        "SELECT 'FORMAT JSON'",
        &["SELECT 'FORMAT JSON' @ FORMAT TSV"],
    );
    check(
        "(SELECT 1 FORMAT JSON)",
        &["(SELECT 1 FORMAT JSON) @ FORMAT TSV"],
    );
    check(
        "WITH 1 AS format SELECT format FORMAT CSV",
        &["WITH 1 AS format SELECT format @ FORMAT CSV"],
    );
}

#[test]
fn what_has_a_small_result_runs_as_it_is() {
    let other = |text: &str| match parse(text.as_bytes(), true) {
        Statement::Other(other) => (other.words.join(" "), other.many, other.format),
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(
        other("show tables format JSON"),
        ("SHOW TABLES".to_owned(), false, Some("JSON".to_owned()))
    );
    assert_eq!(
        other("DROP TABLE t;"),
        ("DROP TABLE".to_owned(), false, None)
    );
    assert_eq!(
        other("SET a = 1; SELECT 2"),
        ("SET A".to_owned(), true, None)
    );
    assert_eq!(
        other("EXPLAIN INSERT INTO t VALUES"),
        ("EXPLAIN INSERT".to_owned(), false, None)
    );
}

#[test]
fn blanks_and_comments_are_no_statement() {
    assert_eq!(parse(b" \n-- x\n/* y */", true), Statement::Empty);
    assert_eq!(parse(b"", false), Statement::Incomplete);
    assert!(matches!(parse(b";", true), Statement::Other(_)));
}

#[test]
fn a_second_statement_and_an_own_file_are_seen() {
    let Statement::Select(select) = parse(b"SELECT 1; DROP TABLE t", true) else {
        panic!("a SELECT")
    };
    assert!(select.many && !select.has_outfile);
    let Statement::Select(select) = parse(b"SELECT 1 INTO OUTFILE 'x'", true) else {
        panic!("a SELECT")
    };
    assert!(select.has_outfile && !select.many);
}
