use super::support::ask;
use super::{address, post, sql, table, until_running, uri};

#[tokio::test]
async fn an_error_has_the_engines_code_and_text_and_clickhouses_status() {
    let check = async |query: &str, status: u16, code: &str, text: &str| {
        let answer = post("/", query.to_owned()).await;
        assert_eq!(
            (answer.status, answer.header("x-clickhouse-exception-code")),
            (status, code),
            "{query}: {}",
            answer.text()
        );
        let start = format!("Code: {code}. DB::Exception: ");
        assert!(
            answer.text().starts_with(&start) && answer.text().contains(text),
            "{query}: {}",
            answer.text()
        );
        assert_eq!(
            answer.text().matches("DB::Exception").count(),
            1,
            "{}",
            answer.text()
        );
        assert!(!answer.text().contains("/proc/self"), "{}", answer.text());
    };
    check(
        "SELECT * FROM nosuch",
        404,
        "60",
        "(UNKNOWN_TABLE) (version 26.",
    )
    .await;
    check("INSERT INTO nosuch VALUES (1)", 404, "60", "UNKNOWN_TABLE").await;
    check("SELECT * FROM nosuch.t", 404, "81", "UNKNOWN_DATABASE").await;
    check("SELECT nosuch", 404, "47", "nosuch").await;
    check("SELECT nosuch(1)", 404, "46", "UNKNOWN_FUNCTION").await;
    check("SELECT 1 FORMAT Nosuch", 404, "73", "Unknown format Nosuch").await;
    check("SELECT 1 SETTINGS nosuch = 1", 404, "115", "nosuch").await;
    check("SELECT 1 +", 400, "62", "Syntax error").await;
    check("SELEC 1", 400, "62", "Syntax error").await;
    check("1 + 1", 400, "62", "Syntax error").await;
    check("INSERT INTO t FORMAT CSV;\n1", 400, "62", "excessive ';'").await;
    check(
        "INSERT INTO t (a,, b) VALUES (1)",
        400,
        "62",
        "Syntax error",
    )
    .await;
    check("", 400, "62", "Empty query").await;
    check(
        "SELECT 1; SELECT 2",
        400,
        "62",
        "Multi-statements are not allowed",
    )
    .await;
    check(
        "SET a = 1; DROP TABLE x",
        400,
        "62",
        "Multi-statements are not allowed",
    )
    .await;
    check("SELECT throwIf(1, 'boom')", 500, "395", "boom").await;
    check("SELECT 'x'::UInt8", 400, "6", "CANNOT_PARSE_TEXT").await;
    check(
        "SELECT 1 INTO OUTFILE '/tmp/x'",
        500,
        "358",
        "INTO OUTFILE is not allowed",
    )
    .await;
    check(
        "SHOW TABLES INTO OUTFILE '/tmp/x'",
        500,
        "358",
        "INTO OUTFILE is not allowed",
    )
    .await;
    check(
        "INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV",
        400,
        "36",
        "request's body",
    )
    .await;
    check(
        "INSERT INTO t SELECT a FROM input('a UInt8') FORMAT CSV\n1\n",
        501,
        "48",
        "input() is not supported",
    )
    .await;
    check(
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        403,
        "497",
        "Not enough privileges",
    )
    .await;
    check(
        "SELECT sleep(3) SETTINGS max_execution_time = 0.1",
        408,
        "159",
        "TIMEOUT_EXCEEDED",
    )
    .await;
}

#[tokio::test]
async fn a_second_statement_never_runs() {
    let name = table("second");
    sql(&format!("CREATE TABLE {name} (a UInt8) ENGINE = Memory")).await;
    let select_in = format!("INSERT INTO {name} SELECT 1 FORMAT CSV\n\n");
    let answer = post("/", format!("{select_in}DROP TABLE {name}")).await;
    assert_eq!(
        sql(&format!("EXISTS {name}")).await,
        "1\n",
        "{}",
        answer.text()
    );
    for first in [
        "SELECT 1",
        "SET max_threads = 1",
        "SHOW TABLES",
        "KILL QUERY WHERE 0",
    ] {
        let answer = post("/", format!("{first}; DROP TABLE {name}")).await;
        assert_eq!(
            answer.header("x-clickhouse-exception-code"),
            "62",
            "{first}"
        );
    }
    assert_eq!(sql(&format!("EXISTS {name}")).await, "1\n");
}

#[tokio::test]
async fn get_changes_nothing() {
    let name = table("readonly");
    let get = async |query: &str| ask(address(), "GET", &uri(query, ""), &[], "").await;
    for query in [
        format!("CREATE TABLE {name} (a UInt8) ENGINE = Memory"),
        format!("INSERT INTO {name} VALUES (1)"),
        "DROP DATABASE default".to_owned(),
        "SYSTEM FLUSH LOGS".to_owned(),
    ] {
        let answer = get(&query).await;
        assert_eq!(
            answer.header("x-clickhouse-exception-code"),
            "164",
            "{query}: {}",
            answer.text()
        );
    }
    assert_eq!(get(&format!("EXISTS {name}")).await.ok(), "0\n");
    assert_eq!(get("SET max_threads = 1").await.ok(), "");
    let setting = ask(
        address(),
        "GET",
        &uri("SELECT getSetting('max_threads')", "max_threads=3"),
        &[],
        "",
    )
    .await;
    assert_eq!(setting.ok(), "3\n");
}

#[tokio::test]
async fn an_error_after_the_first_bytes_stands_between_marks_and_the_connection_breaks() {
    for (parameters, blocks) in [("", false), ("compress=1", true)] {
        let request = hyper::Request::post(uri(
            "SELECT number, throwIf(number = 3000000, 'boom') FROM numbers(10000000)",
            parameters,
        ))
        .header("host", "localhost")
        .body(http_body_util::Full::new(bytes::Bytes::new()))
        .expect("a request");
        let response = super::support::send(address(), request).await;
        assert_eq!(response.status(), 200);
        let tag = response.headers()["x-clickhouse-exception-tag"]
            .to_str()
            .expect("text")
            .to_owned();
        let mut body = response.into_body();
        let mut text = Vec::new();
        let broken = loop {
            match http_body_util::BodyExt::frame(&mut body).await {
                Some(Ok(frame)) => text.extend_from_slice(frame.data_ref().expect("data")),
                Some(Err(_)) => break true,
                None => break false,
            }
        };
        assert!(broken, "the body must not look whole");
        if blocks {
            continue;
        }
        let tail = String::from_utf8_lossy(&text[text.len() - 1000..]).into_owned();
        let (_, exception) = tail
            .split_once(&format!("\r\n__exception__\r\n{tag}\r\n"))
            .expect("the first mark");
        let exception = exception
            .strip_suffix("\r\n__exception__\r\n")
            .expect("the last mark");
        let (message, length) = exception.rsplit_once('\n').expect("the length");
        assert_eq!(length, format!("{} {tag}", message.len() + 1));
        assert!(
            message.starts_with("Code: 395. DB::Exception: boom"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn with_wait_end_of_query_a_late_error_is_an_early_one() {
    let late = uri(
        "SELECT number, throwIf(number = 3000000, 'boom') FROM numbers(10000000)",
        "wait_end_of_query=1",
    );
    let answer = post(&late, "").await;
    assert_eq!(
        (answer.status, answer.header("x-clickhouse-exception-code")),
        (500, "395")
    );
    assert!(answer.text().starts_with("Code: 395. DB::Exception: boom"));
    let whole = post(
        &uri("SELECT number FROM numbers(3000000)", "wait_end_of_query=1"),
        "",
    )
    .await;
    assert_eq!(whole.ok().lines().count(), 3_000_000);
}

#[tokio::test]
async fn a_query_id_runs_once_at_a_time() {
    let slow = "SELECT sleepEachRow(0.3) AS runs_once FROM numbers(5) SETTINGS max_block_size = 1";
    let slow = tokio::spawn(post("/?query_id=twice", slow));
    until_running("runs_once", 1).await;
    let second = post("/?query_id=twice", "SELECT 1").await;
    assert_eq!(
        second.header("x-clickhouse-exception-code"),
        "216",
        "{}",
        second.text()
    );
    slow.await.expect("no panic").ok();
    assert_eq!(post("/?query_id=twice", "SELECT 1").await.ok(), "1\n");
}
