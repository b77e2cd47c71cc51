//! One partition, from its feed into ClickHouse, range by range.
//!
//! ```text
//! read ─> batch ─> wait for a turn ─> note the intent ─> store each table ─> send dead letters ─> note that it is done
//! ```
//!
//! A batch goes on growing while it waits for its turn. So when the engine is the bottleneck, inserts become larger and
//! fewer instead of more and later.
//!
//! Whenever it dies, what is noted says how to go on: with an intent, exactly that range is read and stored again;
//! without, what follows the noted offset was never sent.

use std::pin::Pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tributary_contracts::topics::Cleanup;
use tributary_platform::kafka::consumer::{Chunk, Committed, Feed, Lost};
use tributary_platform::lifecycle::Shutdown;

use crate::batch::{Batch, Limits, Unreadable};
use crate::encode::Topic;
use crate::mark::{Mark, Range};
use crate::metrics::{Metrics, PartitionMetrics, age};
use crate::ports::{Letter, Letters, Offsets, Warehouse};
use crate::store::{Intended, Stopped, store};
use crate::turns::{Turn, Turns};

/// A record that the engine refuses, though its schema is right.
const UNREADABLE_BY_ENGINE: (&str, &str) = (
    "unreadable_by_clickhouse",
    "the message holds a value that the engine cannot read",
);

/// What all writers of a process share.
pub(crate) struct Shared<W, L> {
    pub(crate) warehouse: W,
    pub(crate) letters: L,
    /// Of topics of what happened.
    pub(crate) events: Pace,
    /// Of topics of what is known now, of which Kafka keeps the last record of each key.
    pub(crate) state: Pace,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    pub(crate) shutdown: Shutdown,
}

/// How often the partitions of some topics insert. Events do not queue behind the many partitions of state.
#[derive(Debug)]
pub(crate) struct Pace {
    /// From a batch's first record to its insert, if a turn is free then.
    delay: Duration,
    pub(crate) turns: Turns,
}

impl Pace {
    /// A turn rests no longer than a batch may wait.
    pub(crate) fn new(turns: usize, delay: Duration) -> Self {
        Self {
            delay,
            turns: Turns::new(turns, delay),
        }
    }
}

impl<W, L> Shared<W, L> {
    fn pace(&self, topic: &Topic) -> &Pace {
        match topic.contract().cleanup {
            Cleanup::Delete => &self.events,
            Cleanup::Compact => &self.state,
        }
    }
}

/// Who is behind waits a quarter of its lag, which hardly adds to it, and inserts fewer and larger batches: at most this.
const LONGEST_DELAY: Duration = Duration::from_secs(2);

/// The time until a batch may go, in the end with leave to insert.
type Waiting<'a> = Pin<Box<dyn Future<Output = Turn<'a>> + Send + Sync + 'a>>;

/// A partition's writer.
pub(crate) struct Writer<'a, W, L, O> {
    shared: &'a Shared<W, L>,
    offsets: O,
    topic: &'static Topic,
    /// The topic's name, with prefix.
    name: String,
    partition: i32,
    mark: Mark,
    /// The range that must be stored next, as it is.
    replay: Option<Range>,
    batch: Batch,
    pace: &'a Pace,
    /// Comes when the batch may go; while it is empty, there is none.
    turn: Option<Waiting<'a>>,
    /// Everything below was read.
    position: i64,
    /// Everything below is stored.
    stored: i64,
    metrics: PartitionMetrics,
}

/// Why a writer ended before its feed did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Somebody else has the partition.
    Lost,
    /// The process stops.
    Stopped,
}

impl From<Lost> for Ended {
    fn from(_: Lost) -> Self {
        Self::Lost
    }
}

impl From<Stopped> for Ended {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

impl<'a, W: Warehouse, L: Letters, O: Offsets> Writer<'a, W, L, O> {
    pub(crate) fn new(
        shared: &'a Shared<W, L>,
        offsets: O,
        topic: &'static Topic,
        name: &str,
        partition: i32,
        committed: Option<Committed>,
        metrics: PartitionMetrics,
    ) -> Self {
        let stored = committed.as_ref().map_or(-1, |committed| committed.offset);
        let mark = committed
            .and_then(|committed| Mark::parse(&committed.metadata))
            .unwrap_or_else(Mark::new);
        Self {
            shared,
            offsets,
            topic,
            name: name.to_owned(),
            partition,
            replay: mark.intent,
            batch: Batch::new(topic, partition, shared.limits.clone()),
            pace: shared.pace(topic),
            turn: None,
            mark: mark.done(),
            position: stored,
            stored,
            metrics,
        }
    }

    /// Reads until the feed ends, which the stop and the loss of the partition make it do; then stores what it holds.
    pub(crate) async fn run(mut self, mut feed: mpsc::Receiver<Feed>) -> Result<(), Ended> {
        loop {
            let next = tokio::select! {
                biased;
                turn = async { self.turn.as_mut().expect("checked").await }, if self.turn.is_some() => {
                    self.flush(turn).await?;
                    continue;
                }
                next = feed.recv() => next,
            };
            match next {
                Some(Feed::Records(chunk)) => self.read(&chunk).await?,
                Some(Feed::End(end)) => self.reach(end).await?,
                None if self.replay.is_some() => return Ok(()),
                None => {
                    let turn = self.next_turn().await;
                    return self.flush(turn).await;
                }
            }
        }
    }

    async fn read(&mut self, chunk: &Chunk) -> Result<(), Ended> {
        for record in chunk.records() {
            if self.replay.is_some_and(|range| record.offset > range.last) {
                self.finish_replay().await?;
            }
            self.batch.add(record, &self.mark.epoch);
            self.position = record.offset + 1;
            if let Some(range) = self.replay {
                if record.offset == range.last {
                    self.finish_replay().await?;
                }
            } else if self.batch.is_full() {
                let turn = self.next_turn().await;
                self.flush(turn).await?;
            } else if self.turn.is_none() {
                let lag = self.batch.oldest().map_or(Duration::ZERO, age);
                let pace = self.pace;
                let delay = pace.delay.max((lag / 4).min(LONGEST_DELAY));
                self.turn = Some(Box::pin(async move {
                    tokio::time::sleep(delay).await;
                    pace.turns.take().await
                }));
            }
        }
        self.metrics.read(self.stored, self.batch.oldest());
        Ok(())
    }

    /// A turn without further delay. One that is waited for already goes on being waited for: its place in the queue is
    /// further ahead, and it may hold a turn that rests, which nobody else gets until it is done with or dropped.
    async fn next_turn(&mut self) -> Turn<'a> {
        let another = self.pace.turns.take();
        match self.turn.take() {
            Some(waiting) => tokio::select! {
                turn = waiting => turn,
                turn = another => turn,
            },
            None => another.await,
        }
    }

    /// Everything below `end` has come.
    async fn reach(&mut self, end: i64) -> Result<(), Ended> {
        if self.replay.is_some_and(|range| end > range.last) {
            self.finish_replay().await?;
        }
        self.position = self.position.max(end);
        if self.replay.is_none() && self.batch.is_empty() {
            self.done()?;
        }
        Ok(())
    }

    /// The intended range has come whole. It may have lost records to compaction or retention, then they are stored or
    /// past their time.
    async fn finish_replay(&mut self) -> Result<(), Ended> {
        if let Some(range) = self.replay.take() {
            let turn = self.next_turn().await;
            self.store(range, true, turn).await?;
        }
        Ok(())
    }

    async fn flush(&mut self, turn: Turn<'a>) -> Result<(), Ended> {
        self.turn = None;
        let Some(range) = self.batch.range() else {
            return Ok(());
        };
        self.offsets
            .note(range.first, &self.mark.intending(range))
            .await?;
        self.store(range, false, turn).await
    }

    async fn store(&mut self, range: Range, again: bool, mut turn: Turn<'a>) -> Result<(), Ended> {
        if self.batch.is_full() {
            turn.is_for_a_full_batch();
        }
        let mut batch = std::mem::replace(
            &mut self.batch,
            Batch::new(self.topic, self.partition, self.shared.limits.clone()),
        );
        let mut unreadable = std::mem::take(&mut batch.unreadable);
        for rows in std::mem::take(&mut batch.rows) {
            if rows.is_empty() {
                continue;
            }
            let intended = Intended {
                topic: &self.name,
                partition: self.partition,
                mark: &self.mark,
                range,
                again,
            };
            let refused = store(
                &self.shared.warehouse,
                intended,
                rows,
                &mut turn,
                &self.shared.metrics,
                &self.shared.shutdown,
            )
            .await?;
            let (reason, detail) = UNREADABLE_BY_ENGINE;
            unreadable.extend(refused.into_iter().map(|offset| Unreadable {
                offset,
                reason,
                detail: detail.to_owned(),
            }));
        }
        drop(turn);
        self.send_letters(&batch, &unreadable).await?;
        self.position = self.position.max(range.last + 1);
        self.done()?;
        self.metrics.stored(self.stored);
        Ok(())
    }

    fn done(&mut self) -> Result<(), Ended> {
        self.stored = self.position;
        self.metrics.stored(self.stored);
        Ok(self.offsets.note_soon(self.stored, &self.mark)?)
    }

    async fn send_letters(&self, batch: &Batch, unreadable: &[Unreadable]) -> Result<(), Ended> {
        if unreadable.is_empty() {
            return Ok(());
        }
        for record in unreadable {
            tracing::warn!(
                topic = self.name,
                partition = self.partition,
                offset = record.offset,
                reason = record.reason,
                "cannot be stored"
            );
        }
        self.shared.metrics.dead_letters(unreadable.len());
        if self.topic.contract().dead_letters.is_empty() {
            // A dead letter that cannot be read has nowhere further to go; it stays in Kafka for its retention.
            return Ok(());
        }
        let letters: Vec<Letter<'_>> = unreadable
            .iter()
            .map(|record| {
                let (timestamp, value) = batch.record(record.offset).unwrap_or_default();
                Letter {
                    topic: &self.name,
                    partition: self.partition,
                    offset: record.offset,
                    timestamp,
                    reason: record.reason,
                    detail: &record.detail,
                    value,
                }
            })
            .collect();
        while self.shared.letters.send(&letters).await.is_err() {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
                () = self.shared.shutdown.requested() => return Err(Ended::Stopped),
            }
        }
        Ok(())
    }
}
