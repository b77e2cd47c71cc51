//! Stores the rows of one table exactly once, however often it is tried.
//!
//! An insert under the range's token is dropped if an insert of that token was stored, month by month. What that does
//! not cover is told by the rows: after any doubt the table is asked which offsets of the range it holds. Doubt is a
//! replay after a restart, an error, a lost answer. Two cases are mended only by asking:
//!
//! - The token has left the window of the last 10,000 blocks: the rows would be stored twice.
//! - The engine died between noting the token and storing the rows: they would be dropped for ever. When an insert was
//!   confirmed under the token and rows are missing nevertheless, they are sent under another token.

use std::collections::HashSet;
use std::time::Duration;

use tributary_platform::clickhouse::{Class, Error};
use tributary_platform::lifecycle::Shutdown;

use crate::mark::{Mark, Range};
use crate::metrics::Metrics;
use crate::ports::Warehouse;
use crate::rows::Rows;
use crate::table::Keeps;
use crate::turns::Turn;

/// First pause after a failure; each further one is twice as long, up to the last.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// The process stops before the rows are stored; the intent stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stopped;

/// What is being stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Intended<'a> {
    /// Topic, with prefix.
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) mark: &'a Mark,
    pub(crate) range: Range,
    /// Whether this range may have been stored before.
    pub(crate) again: bool,
}

/// Stores one table's rows of a range; returns the offsets whose rows the engine cannot read. Between attempts the turn
/// is left to others, whose tables may be well.
pub(crate) async fn store<W: Warehouse>(
    warehouse: &W,
    intended: Intended<'_>,
    rows: Rows,
    turn: &mut Turn<'_>,
    metrics: &Metrics,
    shutdown: &Shutdown,
) -> Result<HashSet<i64>, Stopped> {
    let mut attempt = Attempt {
        warehouse,
        intended,
        doubt: intended.again,
        confirmed: 0,
        rows,
        unreadable: HashSet::new(),
        metrics,
    };
    let (table, blocks) = (attempt.rows.table, metrics.blocks(attempt.rows.table));
    let mut pause = BACKOFF.0;
    loop {
        match attempt.once().await {
            Ok(true) => {
                metrics.clickhouse_answers();
                metrics.headroom(table, blocks);
                return Ok(attempt.unreadable);
            }
            Ok(false) => continue,
            Err(error) => {
                attempt.doubt |= error.is_ambiguous();
                metrics.clickhouse_fails(&error);
            }
        }
        tokio::select! {
            () = turn.pause(pause) => {}
            () = shutdown.requested() => return Err(Stopped),
        }
        pause = (pause * 2).min(BACKOFF.1);
    }
}

struct Attempt<'a, W> {
    warehouse: &'a W,
    intended: Intended<'a>,
    /// Whether the rows may be stored already, all or some.
    doubt: bool,
    /// Inserts that the engine confirmed while in doubt.
    confirmed: u32,
    rows: Rows,
    unreadable: HashSet<i64>,
    metrics: &'a Metrics,
}

impl<W: Warehouse> Attempt<'_, W> {
    /// One insert; whether all is stored after it.
    async fn once(&mut self) -> Result<bool, Error> {
        match self.rows.table.keeps {
            Keeps::OneRowAKey => self.replace().await,
            Keeps::EveryRow => self.append().await,
        }
    }

    /// Rows of which the table keeps one a key: once more does no harm, and a token could only get lost rows dropped.
    async fn replace(&mut self) -> Result<bool, Error> {
        self.insert(self.rows.only(|_| true), None).await
    }

    async fn append(&mut self) -> Result<bool, Error> {
        let Intended {
            partition,
            mark,
            range,
            topic,
            ..
        } = self.intended;
        let held = if self.doubt {
            self.warehouse
                .held(self.rows.table, partition, &mark.epoch, range)
                .await?
        } else {
            HashSet::new()
        };
        let missing = self.rows.only(|offset| !held.contains(&offset));
        if missing.is_empty() {
            return Ok(true);
        }
        let token = match self.confirmed {
            0 => mark.token(topic, partition, range),
            count => format!("{}/{count}", mark.token(topic, partition, range)),
        };
        let stored = self.insert(missing, Some(&token)).await?;
        if stored && self.doubt {
            self.confirmed += 1;
            // The table has the last word.
            return Ok(false);
        }
        Ok(stored)
    }

    async fn insert(&mut self, rows: Rows, token: Option<&str>) -> Result<bool, Error> {
        if rows.is_empty() {
            return Ok(true);
        }
        let (table, count, started) = (rows.table, rows.len(), tokio::time::Instant::now());
        let pieces = rows.pieces();
        match self.warehouse.insert(table, &pieces, token).await {
            Ok(()) => {
                self.metrics.inserted(table, count, started.elapsed());
                Ok(true)
            }
            Err(error) if error.class() == Class::Data => {
                // It may be one row; nothing of the insert was stored, since it was not even read.
                let unreadable = self.find_unreadable().await?;
                if unreadable.is_empty() {
                    return Err(error);
                }
                self.rows = self.rows.only(|offset| !unreadable.contains(&offset));
                self.unreadable.extend(unreadable);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// The offsets whose rows the engine cannot read, by halving.
    async fn find_unreadable(&self) -> Result<HashSet<i64>, Error> {
        let mut unreadable = HashSet::new();
        let mut suspects = vec![self.rows.only(|_| true)];
        while let Some(rows) = suspects.pop() {
            let (table, offset) = (rows.table, rows.offsets().next());
            let halves = rows.halves();
            if rows.is_empty() || self.warehouse.readable(table, &rows.pieces()).await? {
                continue;
            }
            match halves {
                Some((left, right)) => suspects.extend([left, right]),
                None => unreadable.extend(offset),
            }
        }
        Ok(unreadable)
    }
}
