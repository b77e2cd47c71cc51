//! What a stage is: a keyed state machine between two sets of topics, without any I/O of its own.
//!
//! The runtime owns Kafka, the store and the clock; a stage only decides. So the same stage runs in a unit test on
//! maps and in production inside transactions.

use tributary_core::time::Timestamp;

/// A record of the stage's input, or of its side input.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Partition of the topic.
    pub partition: i32,
    /// Offset in the partition.
    pub offset: i64,
    /// The record's key; empty where it has none.
    pub key: &'a [u8],
    /// The record's value; none for a tombstone.
    pub value: Option<&'a [u8]>,
}

/// A record that can never be used: it goes to the dead letters, whole, and the stage goes on.
#[derive(Debug, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Poison {
    /// One of few, for metrics.
    pub reason: &'static str,
    /// What is wrong; no personal data.
    pub detail: String,
}

/// The stage cannot go on: the runtime drops it, with all it has not committed, and starts it anew from what is.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Broken(pub String);

/// A stage's local store: what was put before the last commit is durable in the changelog. Keys live within an input
/// partition.
pub trait Store {
    /// The value of a key.
    ///
    /// # Errors
    /// When the disk fails.
    fn get(&self, partition: i32, key: &[u8]) -> Result<Option<Vec<u8>>, Broken>;

    /// Calls `visit` with every key and value that starts with `prefix`, in the order of keys.
    ///
    /// # Errors
    /// When the disk fails, or `visit` does.
    fn scan(
        &self,
        partition: i32,
        prefix: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> Result<(), Broken>,
    ) -> Result<(), Broken>;

    /// The first key behind `after` that starts with `prefix`.
    ///
    /// # Errors
    /// When the disk fails.
    fn next_key(
        &self,
        partition: i32,
        prefix: &[u8],
        after: &[u8],
    ) -> Result<Option<Vec<u8>>, Broken>;
}

/// Where a stage puts its decisions; all of them commit in one transaction with the input's offsets, or none.
pub trait Outputs: Store {
    /// Sends a framed message to a topic (named without prefix).
    ///
    /// # Errors
    /// When it cannot be queued.
    fn send(
        &mut self,
        topic: &'static str,
        partition: i32,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), Broken>;

    /// Number of partitions of a topic.
    fn partitions(&self, topic: &'static str) -> u32;

    /// Writes a record of the store, and of its changelog; none deletes it. The value is a framed `State` record, as the
    /// changelog's schema says, and the store gives it back as it is. A key is never empty.
    ///
    /// # Errors
    /// When it cannot be queued.
    fn put(&mut self, partition: i32, key: &[u8], value: Option<&[u8]>) -> Result<(), Broken>;
}

/// A stage of the processor.
pub trait Stage: Send {
    /// Its name: `observe`, `once`, `profile` or `kpi`; also the consumer group's suffix.
    fn name(&self) -> &'static str;

    /// Topic it consumes, without prefix.
    fn input(&self) -> &'static str;

    /// Topic of its changelog, without prefix; as many partitions as the input.
    fn changelog(&self) -> &'static str;

    /// A topic of one partition that every instance reads whole, ahead of the input: the links log.
    fn side_input(&self) -> Option<&'static str> {
        None
    }

    /// These partitions are now this instance's, and no others; their state is in the store as of the last commit.
    /// What the stage knew before is void.
    ///
    /// # Errors
    /// When the state cannot be read.
    fn assigned(&mut self, partitions: &[i32], store: &dyn Store) -> Result<(), Broken>;

    /// A record of the side input; called after [`assigned`](Self::assigned). `decided` is true for records up to the offset that the committed state had already
    /// taken into account: they are learned, but decide nothing anew.
    ///
    /// # Errors
    /// [`Poison`] when it cannot be used.
    fn learn(&mut self, _input: &Input<'_>, _decided: bool) -> Result<(), Poison> {
        Ok(())
    }

    /// Begins a snapshot of all that was learned of the side input; called right after a commit, when nothing was taken
    /// or learned since. False where none can be taken now.
    fn begin_snapshot(&mut self) -> bool {
        false
    }

    /// Appends the next part of the snapshot to `part`, of about `size` bytes; true where it was the last. The stage goes
    /// on between two parts, but what they hold is as it was at the beginning.
    fn snapshot_part(&mut self, _size: usize, _part: &mut Vec<u8>) -> bool {
        true
    }

    /// There will be no further part: the snapshot is given up.
    fn end_snapshot(&mut self) {}

    /// Takes in the next part of a snapshot, or that there is none behind the last. Called after
    /// [`assigned`](Self::assigned), instead of [`learn`](Self::learn) for the records that it was made of; it may know
    /// records behind those, too, which were committed before it was taken.
    ///
    /// # Errors
    /// When it is none: then the stage is of no use any more.
    fn restore(&mut self, _part: Option<&[u8]>) -> Result<(), Broken> {
        Err(Broken("this stage takes no snapshots".to_owned()))
    }

    /// Called once the state is there and the side input is read to the end that it had, before any input is taken.
    ///
    /// # Errors
    /// When the stage must not work on what it finds.
    fn begin(&mut self) -> Result<(), Broken> {
        Ok(())
    }

    /// A record of the input. The stage only takes it in; what follows from it is sent by [`flush`](Self::flush).
    ///
    /// # Errors
    /// [`Poison`] when it cannot be used.
    fn take(&mut self, input: &Input<'_>, store: &dyn Store) -> Result<(), Poison>;

    /// Everything of a partition of the input was read, up to now.
    fn idle(&mut self, _partition: i32, _now: Timestamp) {}

    /// Up to which event time a partition of the input is taken to be complete; none where the stage does not know.
    fn watermark(&self, _partition: i32) -> Option<Timestamp> {
        None
    }

    /// Whether there is something to flush though no input came (learned links, marks that the clock has passed).
    fn due(&self, now: Timestamp) -> bool;

    /// Sends what follows from all that was taken and learned since the last flush, and puts the changed state. Called
    /// right before each commit. Returns whether something is still held back for a later flush.
    ///
    /// # Errors
    /// [`Broken`] aborts the transaction.
    fn flush(&mut self, now: Timestamp, outputs: &mut dyn Outputs) -> Result<bool, Broken>;
}
