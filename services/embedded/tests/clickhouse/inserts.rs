use super::{post, sql, table, uri};

async fn count(table: &str) -> String {
    sql(&format!("SELECT count() FROM {table}"))
        .await
        .trim()
        .to_owned()
}

#[tokio::test]
async fn data_is_never_taken_for_sql() {
    let name = table("bytes");
    sql(&format!(
        "CREATE TABLE {name} (s String) ENGINE = MergeTree ORDER BY s"
    ))
    .await;
    let nasty = b"\n\n; DROP TABLE x; -- \0\xff\xfe ' \\ SETTINGS a = 1 FORMAT CSV /* ";
    let mut body = vec![u8::try_from(nasty.len()).expect("short")];
    body.extend_from_slice(nasty);
    post(
        &uri(&format!("INSERT INTO {name} FORMAT RowBinary"), ""),
        body.clone(),
    )
    .await
    .ok();
    let in_body = [
        format!("INSERT INTO {name} FORMAT RowBinary\n").as_bytes(),
        &body,
    ]
    .concat();
    post("/", in_body).await.ok();
    let stored = post("/", format!("SELECT s FROM {name} FORMAT RowBinary")).await;
    assert_eq!(stored.body, [&body[..], &body[..]].concat());
}

#[tokio::test]
async fn an_insert_of_nothing_is_good() {
    let name = table("nothing");
    sql(&format!(
        "CREATE TABLE {name} (a UInt8) ENGINE = MergeTree ORDER BY a"
    ))
    .await;
    post(&uri(&format!("INSERT INTO {name} FORMAT CSV"), ""), "")
        .await
        .ok();
    post("/", format!("INSERT INTO {name} VALUES")).await.ok();
    assert_eq!(count(&name).await, "0");
}

#[tokio::test]
async fn a_row_that_does_not_fit_fails_the_insert_with_its_place() {
    let name = table("misfit");
    sql(&format!(
        "CREATE TABLE {name} (a UInt8, s String) ENGINE = MergeTree ORDER BY a"
    ))
    .await;
    let answer = post(
        &uri(&format!("INSERT INTO {name} FORMAT CSV"), ""),
        "1,x\n2,y\nz,w\n",
    )
    .await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.text().contains("row 3"), "{}", answer.text());
    assert_eq!(count(&name).await, "0");
}

#[tokio::test]
async fn the_same_token_is_stored_once() {
    let name = table("dedup");
    sql(&format!(
        "CREATE TABLE {name} (a UInt64) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 100"
    ))
    .await;
    let insert = async |token: &str, rows: &str| {
        let parameters = format!("insert_deduplication_token={token}&insert_deduplicate=1");
        post(
            &uri(&format!("INSERT INTO {name} FORMAT TSV"), &parameters),
            rows.to_owned(),
        )
        .await
        .ok();
    };
    insert("a", "1\n2\n").await;
    insert("a", "1\n2\n").await;
    assert_eq!(count(&name).await, "2", "a repetition is dropped");
    insert("b", "1\n2\n").await;
    assert_eq!(
        count(&name).await,
        "4",
        "equal rows under another token are others"
    );
    insert("a", "3\n").await;
    assert_eq!(count(&name).await, "4", "the token counts, not the rows");
}

#[tokio::test]
async fn an_insert_below_the_block_size_is_one_part() {
    let name = table("block");
    sql(&format!(
        "CREATE TABLE {name} (a UInt64) ENGINE = MergeTree ORDER BY a"
    ))
    .await;
    let pinned = "max_insert_block_size=1048449&min_insert_block_size_rows=1048449&min_insert_block_size_bytes=268435456";
    let rows: Vec<u8> = (0_u64..900_000).flat_map(u64::to_le_bytes).collect();
    post(
        &uri(&format!("INSERT INTO {name} FORMAT RowBinary"), pinned),
        rows,
    )
    .await
    .ok();
    assert_eq!(
        sql(&format!("SELECT count(), uniq(_part) FROM {name}")).await,
        "900000\t1\n"
    );
}

#[tokio::test]
async fn what_an_insert_wrote_is_in_the_summary() {
    let (name, sum) = (table("summary"), table("summary"));
    sql(&format!(
        "CREATE TABLE {name} (a UInt64) ENGINE = MergeTree ORDER BY a"
    ))
    .await;
    sql(&format!(
        "CREATE MATERIALIZED VIEW {sum} ENGINE = MergeTree ORDER BY a AS SELECT a FROM {name}"
    ))
    .await;
    let answer = post(
        &uri(&format!("INSERT INTO {name} FORMAT TSV"), ""),
        "1\n2\n",
    )
    .await;
    let summary: serde_json::Value =
        serde_json::from_str(answer.header("x-clickhouse-summary")).expect("JSON");
    assert_eq!(summary["written_rows"], "4", "with the view's");
}
