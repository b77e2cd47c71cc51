//! ClickHouse as the place where rows go.

use std::collections::HashSet;

use bytes::Bytes;
use serde::Deserialize;
use tributary_platform::clickhouse::{Block, Class, Client, Deduplicate, Error, quoted};

use crate::mark::Range;
use crate::ports::Warehouse;
use crate::table::Table;

/// The tables of a database.
#[derive(Clone, Debug)]
pub(crate) struct ClickHouse {
    client: Client,
}

impl ClickHouse {
    pub(crate) const fn new(client: Client) -> Self {
        Self { client }
    }

    fn target(&self, table: &Table) -> String {
        format!("{}.{}", quoted(self.client.database()), table.name)
    }
}

impl Warehouse for ClickHouse {
    async fn insert(
        &self,
        table: &'static Table,
        rows: &[Bytes],
        token: Option<&str>,
    ) -> Result<(), Error> {
        let block = Block {
            target: &self.target(table),
            columns: table.columns,
            rows,
        };
        self.client
            .insert(block, token.map_or(Deduplicate::Never, Deduplicate::Token))
            .await
    }

    async fn held(
        &self,
        table: &'static Table,
        partition: i32,
        epoch: &str,
        range: Range,
    ) -> Result<HashSet<i64>, Error> {
        // The epoch was read from Kafka, where others can write: as text, it cannot end the literal.
        let epoch: String = epoch.chars().filter(char::is_ascii_alphanumeric).collect();
        let select = format!(
            "SELECT DISTINCT kafka_offset FROM {} WHERE kafka_partition = {partition} AND kafka_offset BETWEEN {} AND {} AND kafka_epoch = '{epoch}'",
            self.target(table),
            range.first,
            range.last
        );
        let text = self.client.text(&select, "TSV").await?;
        let numbers = text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        numbers
            .map(|line| {
                let number = std::str::from_utf8(line)
                    .ok()
                    .and_then(|line| line.parse().ok());
                number.ok_or_else(|| Error::Answer {
                    cause: "an offset that is no number".to_owned(),
                })
            })
            .collect()
    }

    async fn readable(&self, table: &'static Table, rows: &[Bytes]) -> Result<bool, Error> {
        let structure = self.structure(table).await?;
        let target = format!(
            "FUNCTION null('{}')",
            structure.replace('\\', "\\\\").replace('\'', "\\'")
        );
        match self
            .client
            .insert(
                Block {
                    target: &target,
                    columns: "",
                    rows,
                },
                Deduplicate::Never,
            )
            .await
        {
            Ok(()) => Ok(true),
            Err(error) if error.class() == Class::Data => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl ClickHouse {
    /// Columns with their types, in the order of our rows.
    async fn structure(&self, table: &Table) -> Result<String, Error> {
        #[derive(Deserialize)]
        struct Column {
            name: String,
            r#type: String,
        }
        let literal = |text: &str| text.replace('\\', "\\\\").replace('\'', "\\'");
        let select = format!(
            "SELECT name, type FROM system.columns WHERE database = '{}' AND table = '{}'",
            literal(self.client.database()),
            literal(table.name)
        );
        let columns: Vec<Column> = self.client.rows(&select).await?;
        let typed = table.columns.split(", ").map(|name| {
            let found = columns.iter().find(|column| column.name == name);
            found
                .map(|column| format!("{} {}", quoted(name), column.r#type))
                .ok_or_else(|| Error::Answer {
                    cause: format!(
                        "table {} has no column {name}: run `tributary migrate`",
                        table.name
                    ),
                })
        });
        Ok(typed.collect::<Result<Vec<_>, _>>()?.join(", "))
    }
}
