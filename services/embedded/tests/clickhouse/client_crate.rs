//! The `clickhouse` crate, unchanged.

use super::{address, sql, table};
use clickhouse::{Client, Compression, Row};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
struct Visit {
    id: u64,
    name: String,
    score: Option<f64>,
    tags: Vec<String>,
}

fn clients() -> [Client; 2] {
    let client = Client::default().with_url(format!("http://{}", address()));
    [
        client.clone().with_compression(Compression::None),
        client.with_compression(Compression::Lz4),
    ]
}

#[tokio::test]
async fn rows_go_in_and_come_out() {
    for client in clients() {
        let name = table("visits");
        let create = format!(
            "CREATE TABLE {name} (id UInt64, name String, score Nullable(Float64), tags Array(String)) ENGINE = MergeTree ORDER BY id"
        );
        client.query(&create).execute().await.expect("created");
        let visit = |id| Visit {
            id,
            name: format!("it's\n\n;{id}"),
            score: (id % 2 == 0).then_some(0.5),
            tags: vec!["a".to_owned(); 3],
        };
        let mut insert = client.insert::<Visit>(&name).await.expect("an insert");
        for id in 0..100_000 {
            insert.write(&visit(id)).await.expect("written");
        }
        insert.end().await.expect("inserted");
        let all = client
            .query("SELECT ?fields FROM ? ORDER BY id")
            .bind(clickhouse::sql::Identifier(&name));
        let all = all.fetch_all::<Visit>().await.expect("rows");
        assert_eq!(all.len(), 100_000);
        assert_eq!((&all[0], &all[99_999]), (&visit(0), &visit(99_999)));
        let count: u64 = client
            .query(&format!(
                "SELECT count() FROM {name} WHERE id < {{below:UInt64}}"
            ))
            .param("below", 10)
            .fetch_one()
            .await
            .expect("a count");
        assert_eq!(count, 10);
    }
}

#[tokio::test]
async fn our_own_bytes_are_inserted_under_a_token() {
    for client in clients() {
        let name = table("bytes");
        sql(&format!("CREATE TABLE {name} (id UInt64) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 10")).await;
        for _ in 0..2 {
            let statement = format!("INSERT INTO {name} FORMAT RowBinary");
            let mut insert = client
                .clone()
                .with_setting("insert_deduplication_token", "one")
                .insert_formatted_with(statement);
            insert
                .send(bytes::Bytes::from(7_u64.to_le_bytes().repeat(1000)))
                .await
                .expect("sent");
            insert.end().await.expect("inserted");
        }
        assert_eq!(sql(&format!("SELECT count() FROM {name}")).await, "1000\n");
    }
}

#[tokio::test]
async fn errors_early_and_late_are_errors() {
    for client in clients() {
        let early = client
            .query("SELECT nosuch")
            .fetch_all::<u64>()
            .await
            .expect_err("unknown");
        assert!(early.to_string().contains("Code: 47"), "{early}");
        let mut cursor = client
            .query("SELECT number + throwIf(number = 3000000, 'boom') FROM numbers(10000000)")
            .fetch::<u64>()
            .expect("a cursor");
        let late = loop {
            match cursor.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the cut result looked whole"),
                Err(error) => break error,
            }
        };
        assert!(late.to_string().contains("boom"), "{late}");
    }
}

#[tokio::test]
async fn a_dropped_insert_stores_nothing() {
    for client in clients() {
        let name = table("dropped");
        sql(&format!("CREATE TABLE {name} (id UInt64, name String, score Nullable(Float64), tags Array(String)) ENGINE = MergeTree ORDER BY id")).await;
        let mut insert = client.insert::<Visit>(&name).await.expect("an insert");
        let visit = Visit {
            id: 1,
            name: "x".repeat(1000),
            score: None,
            tags: vec![],
        };
        for _ in 0..2000 {
            insert.write(&visit).await.expect("written");
        }
        drop(insert);
        let mark = format!("position(query, concat('INSERT INTO ', '`{name}`')) > 0");
        while sql(&format!(
            "SELECT count() FROM system.processes WHERE {mark}"
        ))
        .await
            != "0\n"
        {}
        assert_eq!(sql(&format!("SELECT count() FROM {name}")).await, "0\n");
    }
}
