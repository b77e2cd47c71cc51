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

/// A value of each type, some depending on the row's number.
const VALUES: &[&str] = &[
    "number",
    "toInt128(number) AS i128, toUInt256(number) AS u256",
    "toString(number) AS s, repeat('x', number % 300) AS long, toFixedString('abc', 3) AS fixed",
    "toFloat32(number) AS f32, toFloat64(number) AS f64, number % 2 = 0 AS bool",
    "toDecimal32(1.5, 2) AS d32, toDecimal64(1.5, 3) AS d64, toDecimal128(1.5, 4) AS d128, toDecimal256(1.5, 5) AS d256",
    "toDate('2026-01-01') AS date, toDate32('2026-01-01') AS date32, toDateTime('2026-01-01 00:00:00', 'Europe/Paris') AS dt, \
     toDateTime64('2026-01-01 00:00:00', 3, 'UTC') AS dt64",
    "toUUID('00000000-0000-0000-0000-000000000001') AS uuid, toIPv4('1.2.3.4') AS v4, toIPv6('::1') AS v6",
    "CAST('b,(', 'Enum8(\\'a\\' = 1, \\'b,(\\' = 2)') AS e8, CAST('b', 'Enum16(\\'a\\' = 1, \\'b\\' = 1000)') AS e16",
    "NULL AS nothing, nullIf(number, 7) AS nullable, nullIf(toString(number), '7') AS nullable_text",
    "range(number % 5) AS numbers, arrayMap(x -> range(x), range(number % 4)) AS nested, [] AS empty",
    "tuple(number, toString(number)) AS pair, CAST((1, 'x'), 'Tuple(a UInt8, `b c` String)') AS named",
    "map('k', number, 'l', 1) AS m, map(toString(number % 3), [number]) AS lists",
    "toLowCardinality(toString(number % 10)) AS lc, CAST(nullIf(toString(number % 3), '1'), 'LowCardinality(Nullable(String))') AS lcn",
    "arrayMap(x -> toLowCardinality(toString(x)), range(number % 3)) AS lcs, \
     CAST(map('a', 'b'), 'Map(LowCardinality(String), LowCardinality(String))') AS lcm, \
     CAST(([('x', 'y')]), 'Array(Tuple(p LowCardinality(String), q LowCardinality(String)))') AS lct",
    "CAST((1, 2), 'Point') AS point, CAST([[(1, 2), (3, 4)]], 'Polygon') AS polygon",
    "CAST(number % 3 = 0 ? CAST(number, 'Variant(String, UInt64)') : CAST('s', 'Variant(String, UInt64)'), 'Variant(String, UInt64)') AS variant",
    "CAST('{\"a\": [1, {\"b\": 2}]}', 'JSON') AS json",
    "toIntervalDay(number) AS days",
];

#[tokio::test]
async fn native_blocks_follow_the_revision_that_the_client_states() {
    let as_text = "output_format_native_write_json_as_string=1";
    for values in VALUES {
        let question = format!(
            "SELECT {values} FROM numbers(2500) SETTINGS max_block_size = 1000, max_threads = 1 FORMAT Native"
        );
        let old = post(&format!("/?{as_text}"), question.clone()).await;
        assert_eq!(old.status, 200, "{values}: {}", old.text());
        let described = sql(&format!("DESCRIBE (SELECT {values} FROM numbers(1))")).await;
        let columns = described.lines().count();
        for (revision, info) in [(54_460, 8), (54_484, 10)] {
            let new = post(
                &format!("/?client_protocol_version={revision}"),
                question.clone(),
            )
            .await;
            assert_eq!(new.status, 200, "{values}: {}", new.text());
            // Three blocks or more, each with its info and a byte a column.
            let added = new.body.len() - old.body.len();
            assert_eq!(added % (info + columns), 0, "{values}: {added} bytes more");
            assert!(
                added / (info + columns) >= 3,
                "{values}: {added} bytes more"
            );
        }
        let older = post(
            &format!("/?client_protocol_version=54405&{as_text}"),
            question,
        )
        .await;
        assert_eq!(older.body.len(), old.body.len(), "{values}");
    }
}

#[tokio::test]
async fn a_type_without_a_known_layout_is_an_error_that_says_what_to_do() {
    let question = "SELECT sumState(number) FROM numbers(10) FORMAT Native";
    let answer = post("/?client_protocol_version=54460", question).await;
    assert_eq!(answer.status, 501, "{}", answer.text());
    assert_eq!(answer.header("x-clickhouse-exception-code"), "48");
    let text = answer.text();
    assert!(
        text.contains("AggregateFunction") && text.contains("cast it to String"),
        "{text}"
    );
}
