//! What a writer needs of the world: where rows go, where it notes what it does, where unusable records go. Each is the
//! real thing in the service, and one that can be killed between any two steps in the tests.

use std::collections::HashSet;

use bytes::Bytes;
use tributary_platform::clickhouse::Error;
use tributary_platform::kafka::consumer::{Commits, Lost};

use crate::mark::{Mark, Range};
use crate::table::Table;

/// Stores rows.
pub(crate) trait Warehouse: Send + Sync {
    /// Inserts rows as one block, dropped if a block of that token is stored; without a token always.
    fn insert(
        &self,
        table: &'static Table,
        rows: &[Bytes],
        token: Option<&str>,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// The offsets of the range that the table holds, of one life of the topic.
    fn held(
        &self,
        table: &'static Table,
        partition: i32,
        epoch: &str,
        range: Range,
    ) -> impl Future<Output = Result<HashSet<i64>, Error>> + Send;

    /// Whether the engine can read these rows, without storing them.
    fn readable(
        &self,
        table: &'static Table,
        rows: &[Bytes],
    ) -> impl Future<Output = Result<bool, Error>> + Send;
}

/// Notes what is done and what is about to be done, in the consumer group.
pub(crate) trait Offsets: Send + Sync {
    /// Returns once it is noted.
    fn note(&self, offset: i64, mark: &Mark) -> impl Future<Output = Result<(), Lost>> + Send;

    /// Notes it soon, or not at all if something later is noted first.
    fn note_soon(&self, offset: i64, mark: &Mark) -> Result<(), Lost>;
}

impl Offsets for Commits {
    async fn note(&self, offset: i64, mark: &Mark) -> Result<(), Lost> {
        self.commit(offset, mark.to_metadata()).await
    }

    fn note_soon(&self, offset: i64, mark: &Mark) -> Result<(), Lost> {
        self.commit_soon(offset, mark.to_metadata())
    }
}

/// A record that cannot be stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Letter<'a> {
    /// Topic, with prefix.
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// When it was produced.
    pub(crate) timestamp: i64,
    pub(crate) reason: &'static str,
    pub(crate) detail: &'a str,
    pub(crate) value: &'a [u8],
}

/// Takes records that cannot be stored.
pub(crate) trait Letters: Send + Sync {
    /// Returns once they are safe. The same may be sent again.
    fn send(&self, letters: &[Letter<'_>]) -> impl Future<Output = Result<(), NotSent>> + Send;
}

/// Kafka did not take the letters; it may later.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("dead letters were not acknowledged")]
pub(crate) struct NotSent;
