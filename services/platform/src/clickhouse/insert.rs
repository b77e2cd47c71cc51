//! Inserts of bytes that were laid out by ourselves: the same bytes and token again store nothing twice.

use bytes::Bytes;

use super::{Client, Error};

/// Rows for one table, as `RowBinary`.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// What follows `INSERT INTO`: a table of our database, or a table function.
    pub target: &'a str,
    /// The columns of a row, in order, separated by commas; empty for a table function.
    pub columns: &'a str,
    /// The rows.
    pub rows: &'a [Bytes],
}

/// Whether the engine drops the block if it has stored one of the same token.
#[derive(Clone, Copy, Debug)]
pub enum Deduplicate<'a> {
    /// Among the last blocks of the table (`non_replicated_deduplication_window`).
    Token(&'a str),
    /// Never: the table's engine replaces equal rows, or nothing is stored.
    Never,
}

/// The whole insert must be one block, because the engine counts blocks under a token: the same rows cut otherwise are
/// stored twice, and other rows under the same token are dropped.
const ONE_BLOCK: [(&str, &str); 6] = [
    ("async_insert", "0"),
    ("max_insert_block_size", "1048449"),
    ("min_insert_block_size_rows", "0"),
    ("min_insert_block_size_bytes", "0"),
    ("input_format_parallel_parsing", "0"),
    ("max_insert_threads", "1"),
];

/// JSON comes as text, and what is text in it stays text: a title that looks like a date is none.
const JSON_AS_SENT: [(&str, &str); 4] = [
    ("input_format_binary_read_json_as_string", "1"),
    ("type_json_skip_duplicated_paths", "1"),
    ("input_format_try_infer_dates", "0"),
    ("input_format_try_infer_datetimes", "0"),
];

impl Client {
    /// Inserts the block.
    ///
    /// # Errors
    /// See [`Error`]; unless [`Error::is_ambiguous`] says otherwise, nothing is known about what was stored.
    pub async fn insert(
        &self,
        block: Block<'_>,
        deduplicate: Deduplicate<'_>,
    ) -> Result<(), Error> {
        let columns = if block.columns.is_empty() {
            String::new()
        } else {
            format!(" ({})", block.columns)
        };
        let mut insert = self.inner.insert_formatted_with(format!(
            "INSERT INTO {}{columns} FORMAT RowBinary",
            block.target
        ));
        for (name, value) in ONE_BLOCK.into_iter().chain(JSON_AS_SENT) {
            insert = insert.with_setting(name, value);
        }
        insert = match deduplicate {
            Deduplicate::Token(token) => insert
                .with_setting("insert_deduplicate", "1")
                .with_setting("insert_deduplication_token", token)
                // A block may be in the table and not yet in what its views keep.
                .with_setting("deduplicate_blocks_in_dependent_materialized_views", "1"),
            Deduplicate::Never => insert.with_setting("insert_deduplicate", "0"),
        };
        let mut insert = insert.with_timeouts(Some(self.timeout), Some(self.timeout));
        let result = async {
            for rows in block.rows {
                insert.send(rows.clone()).await?;
            }
            insert.end().await
        };
        match result.await {
            Err(clickhouse::error::Error::TimedOut) => Err(Error::TimedOut {
                after: self.timeout,
            }),
            result => result.map_err(Error::from),
        }
    }
}
