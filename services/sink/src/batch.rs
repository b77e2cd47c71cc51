//! Records of one partition on their way into one range.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tributary_contracts::framing;
use tributary_platform::kafka::consumer::Record;

use crate::encode::{Position, Topic};
use crate::mark::Range;
use crate::rows::Rows;

/// What bounds a range.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) max_rows: usize,
    pub(crate) max_bytes: usize,
    /// Bytes held by all partitions together, and what they may be.
    pub(crate) held: Arc<AtomicUsize>,
    pub(crate) max_held: usize,
}

/// The engine takes 100 partitions in one insert, and makes a part of each.
const MAX_MONTHS: usize = 90;
/// Below this a range is not cut for the sake of all partitions' memory.
const MIN_BYTES: usize = 1024 * 1024;

/// Records, as rows. What is dropped gives its bytes back.
#[derive(Debug)]
pub(crate) struct Batch {
    topic: &'static Topic,
    partition: i32,
    limits: Limits,
    pub(crate) rows: Vec<Rows>,
    /// The values, for dead letters.
    values: Vec<u8>,
    records: Vec<Entry>,
    pub(crate) unreadable: Vec<Unreadable>,
    held: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    offset: i64,
    timestamp: i64,
    end: usize,
}

/// A record without rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) offset: i64,
    pub(crate) reason: &'static str,
    pub(crate) detail: String,
}

impl Batch {
    pub(crate) fn new(topic: &'static Topic, partition: i32, limits: Limits) -> Self {
        Self {
            topic,
            partition,
            limits,
            rows: topic.no_rows(),
            values: Vec::new(),
            records: Vec::new(),
            unreadable: Vec::new(),
            held: 0,
        }
    }

    /// Adds a record. One without value says that its key is forgotten by Kafka: the rows say `gone` themselves.
    pub(crate) fn add(&mut self, record: Record<'_>, epoch: &str) {
        if let Some(value) = record.value {
            let position = Position {
                partition: self.partition,
                offset: record.offset,
                epoch,
            };
            if let Err(error) = (self.topic.encode)(value, position, &mut self.rows) {
                self.unreadable.push(Unreadable {
                    offset: record.offset,
                    reason: reason(&error),
                    detail: format!("the message {error}"),
                });
            }
            self.values.extend_from_slice(value);
        }
        self.records.push(Entry {
            offset: record.offset,
            timestamp: record.timestamp,
            end: self.values.len(),
        });
        let bytes = self.bytes();
        self.limits
            .held
            .fetch_add(bytes - self.held, Ordering::Relaxed);
        self.held = bytes;
    }

    /// Whether the range ends here.
    pub(crate) fn is_full(&self) -> bool {
        let rows = self.rows.iter().map(Rows::len).max().unwrap_or(0);
        let bytes = self.rows.iter().map(Rows::size).max().unwrap_or(0);
        let months = self.rows.iter().map(Rows::months).max().unwrap_or(0);
        let crowded = self.held >= MIN_BYTES
            && self.limits.held.load(Ordering::Relaxed) >= self.limits.max_held;
        rows.max(self.records.len()) >= self.limits.max_rows
            || bytes >= self.limits.max_bytes
            || months >= MAX_MONTHS
            || crowded
    }

    /// The range of its records, if there are any.
    pub(crate) fn range(&self) -> Option<Range> {
        Some(Range {
            first: self.records.first()?.offset,
            last: self.records.last()?.offset,
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// When its first record was produced.
    pub(crate) fn oldest(&self) -> Option<i64> {
        self.records
            .first()
            .map(|entry| entry.timestamp)
            .filter(|timestamp| *timestamp >= 0)
    }

    /// A record's time and value.
    pub(crate) fn record(&self, offset: i64) -> Option<(i64, &[u8])> {
        let index = self
            .records
            .binary_search_by_key(&offset, |entry| entry.offset)
            .ok()?;
        let start = if index == 0 {
            0
        } else {
            self.records[index - 1].end
        };
        let entry = self.records[index];
        Some((entry.timestamp, &self.values[start..entry.end]))
    }

    fn bytes(&self) -> usize {
        self.values.len()
            + self.records.len() * size_of::<Entry>()
            + self.rows.iter().map(Rows::size).sum::<usize>()
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.limits.held.fetch_sub(self.held, Ordering::Relaxed);
    }
}

const fn reason(error: &framing::Error) -> &'static str {
    match error {
        framing::Error::NotFramed => "not_framed",
        framing::Error::UnknownSchema(_) => "unknown_schema",
        framing::Error::WrongSchema { .. } => "wrong_schema",
        framing::Error::Malformed(_) => "malformed",
    }
}
