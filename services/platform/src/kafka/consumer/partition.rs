//! A partition as its reader sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::{mpsc, oneshot};

/// A partition that is ours: what comes from it, and how to say what is done.
#[derive(Debug)]
pub struct Partition {
    /// The topic, with prefix.
    pub topic: String,
    /// Its number.
    pub number: i32,
    /// What the group has committed, if anything.
    pub committed: Option<Committed>,
    /// Records, in order, and ends.
    pub feed: mpsc::Receiver<Feed>,
    /// Says what is done.
    pub commits: Commits,
    /// The end of what can be read, as last known; -1 before that.
    pub end: Arc<AtomicI64>,
}

impl Partition {
    /// Records between `position` and the end, transaction markers included.
    #[must_use]
    pub fn lag(&self, position: i64) -> i64 {
        (self.end.load(Ordering::Relaxed) - position).max(0)
    }
}

/// What a group knows about a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The next offset to read.
    pub offset: i64,
    /// What was committed along with it.
    pub metadata: String,
}

/// What comes from a partition.
#[derive(Debug)]
pub enum Feed {
    /// Records that follow each other.
    Records(Chunk),
    /// Everything below this offset has come; what lies between it and the last record are transaction markers.
    End(i64),
}

/// Records of one partition, their values in one buffer.
#[derive(Debug, Default)]
pub struct Chunk {
    bytes: Vec<u8>,
    records: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    offset: i64,
    timestamp: i64,
    end: usize,
    present: bool,
}

/// A record of a [`Chunk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its offset.
    pub offset: i64,
    /// When it was produced, in milliseconds since 1970; -1 where Kafka does not know.
    pub timestamp: i64,
    /// Its value; none deletes its key.
    pub value: Option<&'a [u8]>,
}

impl Chunk {
    /// A chunk of these records, for tests of readers.
    pub fn of<'a>(records: impl IntoIterator<Item = Record<'a>>) -> Self {
        let mut chunk = Self::default();
        for record in records {
            chunk.push(record.offset, record.timestamp, record.value);
        }
        chunk
    }

    pub(super) fn push(&mut self, offset: i64, timestamp: i64, value: Option<&[u8]>) {
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.records.push(Entry {
            offset,
            timestamp,
            end: self.bytes.len(),
            present: value.is_some(),
        });
    }

    pub(super) fn size(&self) -> usize {
        self.bytes.len() + self.records.len() * size_of::<Entry>()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// The records, in order.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        let mut start = 0;
        self.records.iter().map(move |entry| {
            let value = &self.bytes[start..entry.end];
            start = entry.end;
            Record {
                offset: entry.offset,
                timestamp: entry.timestamp,
                value: entry.present.then_some(value),
            }
        })
    }
}

/// The partition was taken away: whoever has it now goes on from what was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the partition is no longer ours")]
pub struct Lost;

/// Commits offsets of one partition.
#[derive(Clone, Debug)]
pub struct Commits {
    pub(super) key: (String, i32),
    /// Which assignment it belongs to.
    pub(super) generation: u64,
    pub(super) requests: mpsc::UnboundedSender<Request>,
}

#[derive(Debug)]
pub(super) struct Request {
    pub(super) key: (String, i32),
    pub(super) generation: u64,
    pub(super) committed: Committed,
    pub(super) done: Option<oneshot::Sender<Result<(), Lost>>>,
}

impl Commits {
    /// Commits, and returns once Kafka has it.
    ///
    /// # Errors
    /// [`Lost`] if the partition is no longer ours.
    pub async fn commit(&self, offset: i64, metadata: String) -> Result<(), Lost> {
        let (done, answer) = oneshot::channel();
        self.send(offset, metadata, Some(done))?;
        answer.await.unwrap_or(Err(Lost))
    }

    /// Commits soon, unless a later commit of this partition comes first.
    ///
    /// # Errors
    /// [`Lost`] if the consumer has ended.
    pub fn commit_soon(&self, offset: i64, metadata: String) -> Result<(), Lost> {
        self.send(offset, metadata, None)
    }

    fn send(
        &self,
        offset: i64,
        metadata: String,
        done: Option<oneshot::Sender<Result<(), Lost>>>,
    ) -> Result<(), Lost> {
        let committed = Committed { offset, metadata };
        let request = Request {
            key: self.key.clone(),
            generation: self.generation,
            committed,
            done,
        };
        self.requests.send(request).map_err(|_| Lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_gives_back_its_records_and_tells_empty_from_absent() {
        let records = [
            Record {
                offset: 3,
                timestamp: 10,
                value: Some(b"abc".as_slice()),
            },
            Record {
                offset: 5,
                timestamp: 11,
                value: None,
            },
            Record {
                offset: 6,
                timestamp: 12,
                value: Some(b"".as_slice()),
            },
            Record {
                offset: 9,
                timestamp: 13,
                value: Some(b"d".as_slice()),
            },
        ];
        assert_eq!(Chunk::of(records).records().collect::<Vec<_>>(), records);
    }
}
