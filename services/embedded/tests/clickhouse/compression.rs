use super::support::ask;
use super::{address, post, sql, table, uri};
use std::io::{Read, Write};

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).expect("into memory");
    encoder.finish().expect("into memory")
}

fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).expect("into memory");
    encoder.finish().expect("into memory")
}

fn lz4(data: &[u8]) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(data).expect("into memory");
    encoder.finish().expect("into memory")
}

#[tokio::test]
async fn a_body_may_be_compressed() {
    let name = table("compressed");
    sql(&format!(
        "CREATE TABLE {name} (a UInt64) ENGINE = MergeTree ORDER BY a"
    ))
    .await;
    let rows: String = (0..100_000).map(|n| format!("{n}\n")).collect();
    let zstd = zstd::bulk::compress(rows.as_bytes(), 1).expect("compressed");
    let insert = uri(&format!("INSERT INTO {name} FORMAT TSV"), "");
    for (encoding, body) in [
        ("gzip", gzip(rows.as_bytes())),
        ("deflate", zlib(rows.as_bytes())),
        ("zstd", zstd),
        ("lz4", lz4(rows.as_bytes())),
    ] {
        sql(&format!("TRUNCATE TABLE {name}")).await;
        ask(
            address(),
            "POST",
            &insert,
            &[("content-encoding", encoding)],
            body,
        )
        .await
        .ok();
        assert_eq!(
            sql(&format!("SELECT count(), sum(a) FROM {name}")).await,
            "100000\t4999950000\n",
            "{encoding}"
        );
    }
    let query = ask(
        address(),
        "POST",
        "/",
        &[("content-encoding", "gzip")],
        gzip(b"SELECT 1"),
    )
    .await;
    assert_eq!(query.ok(), "1\n");
}

#[tokio::test]
async fn a_damaged_or_unknown_encoding_is_refused_and_stores_nothing() {
    let name = table("damaged");
    sql(&format!(
        "CREATE TABLE {name} (a UInt64) ENGINE = MergeTree ORDER BY a"
    ))
    .await;
    let rows: String = (0..100_000).map(|n| format!("{n}\n")).collect();
    let mut body = gzip(rows.as_bytes());
    body.truncate(body.len() / 2);
    let insert = uri(&format!("INSERT INTO {name} FORMAT TSV"), "");
    let answer = ask(
        address(),
        "POST",
        &insert,
        &[("content-encoding", "gzip")],
        body,
    )
    .await;
    assert_eq!(
        answer.header("x-clickhouse-exception-code"),
        "271",
        "{}",
        answer.text()
    );
    let answer = ask(
        address(),
        "POST",
        &insert,
        &[("content-encoding", "br")],
        "x",
    )
    .await;
    assert_eq!(answer.status, 501, "{}", answer.text());
    assert_eq!(sql(&format!("SELECT count() FROM {name}")).await, "0\n");
}

#[tokio::test]
async fn a_result_is_compressed_as_the_client_accepts_it() {
    let query = uri(
        "SELECT number FROM numbers(500000)",
        "enable_http_compression=1",
    );
    let plain = sql("SELECT number FROM numbers(500000)").await;
    for accepted in ["gzip", "deflate", "zstd", "lz4"] {
        let answer = ask(
            address(),
            "POST",
            &query,
            &[("accept-encoding", accepted)],
            "",
        )
        .await;
        assert_eq!(
            (answer.status, answer.header("content-encoding")),
            (200, accepted)
        );
        let mut text = String::new();
        let body = &answer.body[..];
        match accepted {
            "gzip" => flate2::read::GzDecoder::new(body).read_to_string(&mut text),
            "deflate" => flate2::read::ZlibDecoder::new(body).read_to_string(&mut text),
            "zstd" => {
                zstd::stream::read::Decoder::new(body).and_then(|mut d| d.read_to_string(&mut text))
            }
            _ => lz4_flex::frame::FrameDecoder::new(body).read_to_string(&mut text),
        }
        .expect("valid");
        assert!(
            text == plain,
            "{accepted}: {} of {} bytes",
            text.len(),
            plain.len()
        );
        assert!(answer.body.len() < plain.len(), "{accepted}");
    }
    let without = ask(
        address(),
        "POST",
        "/",
        &[("accept-encoding", "gzip")],
        "SELECT 1",
    )
    .await;
    assert_eq!(
        (without.header("content-encoding"), without.text().as_str()),
        ("", "1\n")
    );
    let failed = ask(
        address(),
        "POST",
        &uri("SELECT nosuch", "enable_http_compression=1"),
        &[("accept-encoding", "gzip")],
        "",
    )
    .await;
    assert_eq!(failed.header("content-encoding"), "");
    assert!(
        failed.text().starts_with("Code: 47"),
        "an early error is readable as it is"
    );
}

/// The engine itself judges our blocks: it reads what we wrote, and we read what it wrote.
#[tokio::test]
async fn native_blocks_go_both_ways() {
    let name = table("native");
    sql(&format!(
        "CREATE TABLE {name} (a UInt64, s String) ENGINE = MergeTree ORDER BY a"
    ))
    .await;
    let select = "SELECT number, repeat('x', 100) FROM numbers(200000) FORMAT RowBinary";
    let blocks = post("/?compress=1", select).await;
    let plain = post("/", select).await;
    assert!(blocks.body.len() < plain.body.len() / 4);
    let insert = uri(
        &format!("INSERT INTO {name} FORMAT RowBinary"),
        "decompress=1",
    );
    post(&insert, blocks.body.clone()).await.ok();
    assert_eq!(
        sql(&format!(
            "SELECT count(), sum(a), any(length(s)) FROM {name}"
        ))
        .await,
        "200000\t19999900000\t100\n"
    );
    let mut damaged = blocks.body.to_vec();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    let answer = post(&insert, damaged).await;
    assert_eq!(
        answer.header("x-clickhouse-exception-code"),
        "40",
        "{}",
        answer.text()
    );
    let answer = post(&insert, blocks.body.slice(..middle)).await;
    assert_eq!(
        answer.header("x-clickhouse-exception-code"),
        "271",
        "{}",
        answer.text()
    );
    assert_eq!(
        sql(&format!("SELECT count() FROM {name}")).await,
        "200000\n",
        "nothing of a damaged body is stored"
    );
}
