use super::{post, sql, table, uri};

/// The engine's formats that can write and read the table below, each found by trying in this engine. The rest needs
/// a schema file, a registry, a geometry or a single column, or only writes or only reads.
#[tokio::test]
async fn what_any_format_wrote_it_reads_again() {
    let source = table("formats");
    sql(&format!(
        "CREATE TABLE {source} (a UInt64, s String, f Float64, d Date) ENGINE = Memory AS \
         SELECT number, concat('s\\'\\n\\n;', toString(number)), number / 3, toDate('2024-01-01') + number FROM numbers(1000)"
    ))
    .await;
    let sum = |table: &str| format!("SELECT sum(cityHash64(*)) FROM {table}");
    let expected = sql(&sum(&source)).await;
    let formats =
        sql("SELECT name FROM system.formats WHERE is_output AND is_input ORDER BY name").await;
    let mut good = 0;
    for format in formats.lines() {
        let needs_more = [
            "AvroConfluent",
            "GeoJSON",
            "LineAsString",
            "Npy",
            "ProtobufSingle",
            "RawBLOB",
            "Template",
            // These do not escape line feeds or tabs in strings.
            "Raw",
            "RawWithNames",
            "RawWithNamesAndTypes",
            "TSVRaw",
            "TSVRawWithNames",
            "TSVRawWithNamesAndTypes",
            "TabSeparatedRaw",
            "TabSeparatedRawWithNames",
            "TabSeparatedRawWithNamesAndTypes",
        ];
        if needs_more.contains(&format) {
            continue;
        }
        let written = post(
            "/",
            format!("SELECT * FROM {source} ORDER BY a FORMAT {format}"),
        )
        .await;
        assert_eq!(written.status, 200, "{format}: {}", written.text());
        assert_eq!(
            written.header("x-clickhouse-format").to_lowercase(),
            format.to_lowercase()
        );
        let target = table("formats");
        sql(&format!("CREATE TABLE {target} AS {source}")).await;
        post(
            &uri(&format!("INSERT INTO {target} FORMAT {format}"), ""),
            written.body,
        )
        .await
        .ok();
        assert_eq!(sql(&sum(&target)).await, expected, "{format}");
        good += 1;
    }
    assert!(good > 40, "{good} formats");
}

#[tokio::test]
async fn a_document_has_one_head_and_one_end_however_long_it_is() {
    let json = sql("SELECT number FROM numbers(200000) FORMAT JSON").await;
    let json: serde_json::Value = serde_json::from_str(&json).expect("one document");
    assert_eq!(json["rows"], 200_000);
    assert_eq!(json["data"].as_array().expect("rows").len(), 200_000);
    let csv = sql("SELECT number AS n FROM numbers(200000) FORMAT CSVWithNames").await;
    assert_eq!(csv.matches('n').count(), 1);
    let binary = post(
        "/",
        "SELECT number AS n FROM numbers(200000) FORMAT RowBinaryWithNamesAndTypes",
    )
    .await;
    assert_eq!(binary.body.len(), 1 + 2 + 7 + 8 * 200_000);
}

#[tokio::test]
async fn the_content_type_is_the_formats() {
    let check = async |format: &str, kind: &str| {
        let answer = post("/", format!("SELECT 1 FORMAT {format}")).await;
        assert_eq!(answer.header("content-type"), kind, "{format}");
    };
    check("JSON", "application/json; charset=UTF-8").await;
    check("CSV", "text/csv; charset=UTF-8; header=absent").await;
    check("TSV", "text/tab-separated-values; charset=UTF-8").await;
    check("Native", "application/octet-stream").await;
    let default = post("/?default_format=jsoneachrow", "SELECT 1 AS a").await;
    assert_eq!(
        (
            default.text().as_str(),
            default.header("x-clickhouse-format")
        ),
        ("{\"a\":1}\n", "JSONEachRow")
    );
    let by_header = super::support::ask(
        super::address(),
        "POST",
        "/",
        &[("X-ClickHouse-Format", "CSV")],
        "SELECT 1, 2",
    );
    assert_eq!(by_header.await.ok(), "1,2\n");
}
