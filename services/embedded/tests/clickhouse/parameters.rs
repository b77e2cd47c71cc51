use super::support::ask;
use super::{address, encoded, post, sql, table, uri};

#[tokio::test]
async fn parameters_are_values_and_never_sql() {
    let check = async |kind: &str, value: &str, expected: &str| {
        let uri = format!("/?param_a={}", encoded(value));
        let answer = post(&uri, format!("SELECT {{a:{kind}}}")).await;
        assert_eq!(answer.text(), format!("{expected}\n"), "{kind} {value}");
    };
    check("UInt64", "42", "42").await;
    check(
        "String",
        "it's \\\\ ; DROP TABLE x --",
        "it\\'s \\\\ ; DROP TABLE x --",
    )
    .await;
    check("String", "a\\nb\\tc", "a\\nb\\tc").await;
    check("Array(String)", "['a','b']", "['a','b']").await;
    check("Nullable(String)", "\\N", "\\N").await;
    check("Date", "2024-02-29", "2024-02-29").await;
    let wrong = post("/?param_a=x", "SELECT {a:UInt8}").await;
    assert_eq!(
        wrong.header("x-clickhouse-exception-code"),
        "457",
        "{}",
        wrong.text()
    );
    let missing = post("/", "SELECT {a:UInt8}").await;
    assert_eq!(
        missing.header("x-clickhouse-exception-code"),
        "456",
        "{}",
        missing.text()
    );
}

#[tokio::test]
async fn parameters_work_in_all_statements() {
    let name = table("parameters");
    let at = format!("/?param_t={name}&param_v=7&param_s={}", encoded("a'b"));
    post(
        &at,
        "CREATE TABLE {t:Identifier} (a UInt8, s String) ENGINE = Memory",
    )
    .await
    .ok();
    post(
        &at,
        "INSERT INTO {t:Identifier} VALUES ({v:UInt8}, {s:String})",
    )
    .await
    .ok();
    post(
        &at,
        "INSERT INTO {t:Identifier} SELECT {v:UInt8} + 1, {s:String}",
    )
    .await
    .ok();
    assert_eq!(
        post(&at, "SELECT * FROM {t:Identifier} ORDER BY a")
            .await
            .ok(),
        "7\ta\\'b\n8\ta\\'b\n"
    );
    assert_eq!(post(&at, "EXISTS {t:Identifier}").await.ok(), "1\n");
}

#[tokio::test]
async fn settings_of_the_url_hold_for_one_query() {
    assert_eq!(
        post(
            "/?max_block_size=7&max_threads=1",
            "SELECT getSetting('max_block_size')"
        )
        .await
        .ok(),
        "7\n"
    );
    assert_eq!(sql("SELECT getSetting('max_block_size') = 7").await, "0\n");
    let answer = post("/?nosuch=1", "SELECT 1").await;
    assert_eq!(
        (answer.status, answer.header("x-clickhouse-exception-code")),
        (404, "115"),
        "{}",
        answer.text()
    );
    let quoted = post("/?format_csv_delimiter=%27", "SELECT 1, 2 FORMAT CSV").await;
    assert_eq!(quoted.ok(), "1'2\n");
    let own = post(
        "/?log_comment=mine",
        "SELECT startsWith(getSetting('log_comment'), 'mine')",
    )
    .await;
    assert_eq!(own.ok(), "1\n");
}

#[tokio::test]
async fn a_form_brings_parameters_and_tables() {
    let body = "--b\r\nContent-Disposition: form-data; name=\"param_a\"\r\n\r\nx\\ny\r\n\
                --b\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT {a:String}, sum(v), any(s) FROM people\r\n\
                --b\r\nContent-Disposition: form-data; name=\"people\"; filename=\"people.csv\"\r\n\r\n1,\"it's\"\n2,b\n\r\n--b--\r\n";
    let uri = format!(
        "/?people_format=CSV&people_structure={}",
        encoded("v UInt8, s String")
    );
    let form = [("content-type", "multipart/form-data; boundary=b")];
    assert_eq!(
        ask(address(), "POST", &uri, &form, body).await.ok(),
        "x\\ny\t3\tit\\'s\n"
    );
    let by_types = format!(
        "/?people_format=CSV&people_types={}",
        encoded("UInt8,String")
    );
    let by_types = ask(
        address(),
        "POST",
        &by_types,
        &form,
        body.replace("sum(v), any(s)", "sum(_1), any(_2)"),
    )
    .await;
    assert_eq!(by_types.ok(), "x\\ny\t3\tit\\'s\n");
    let nothing = ask(address(), "POST", "/?people_format=CSV", &form, body).await;
    assert!(
        nothing.text().contains("people_structure"),
        "{}",
        nothing.text()
    );
    let broken = ask(address(), "POST", "/", &form, &body[..60]).await;
    assert_eq!(broken.status, 400, "{}", broken.text());
}

#[tokio::test]
async fn no_name_of_a_setting_or_format_becomes_sql() {
    let answer = post(&uri("SELECT 1", &format!("{}=1", encoded("a = 1, b"))), "").await;
    assert_eq!(answer.header("x-clickhouse-exception-code"), "115");
    let answer = post(
        &uri(
            "SELECT 1",
            &format!("default_format={}", encoded("TSV SETTINGS x = 1")),
        ),
        "",
    )
    .await;
    assert_eq!(answer.header("x-clickhouse-exception-code"), "73");
}
