//! The thread's side: polls, hands on, commits.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::partition::{Chunk, Commits, Committed, Feed, Lost, Partition, Request};
use super::watch::{Rebalanced, Watch};
use super::{Change, IDLE};
use crate::kafka::offsets;
use crate::lifecycle::Shutdown;

/// A chunk is handed on when it has this size, or earlier when nothing more is at hand.
const CHUNK_BYTES: usize = 512 * 1024;
/// Chunks that wait for a reader: with the one being filled, what a partition holds in memory besides its reader.
const FEED: usize = 4;
/// An answer of a coordinator may wait for another worker's transaction to end.
const ANSWER: Duration = Duration::from_secs(15);
/// Statistics that may still speak of the time before an assignment or a pause.
const STALE: u8 = 2;
/// Readers that do not end hold up a stop no longer than this.
const DRAIN: Duration = Duration::from_secs(10);

pub(super) struct Group {
    consumer: BaseConsumer<Watch>,
    changes: mpsc::UnboundedSender<Change>,
    requests: RefCell<mpsc::UnboundedReceiver<Request>>,
    request: RefCell<Option<mpsc::UnboundedSender<Request>>>,
    readers: RefCell<BTreeMap<(String, i32), Reader>>,
    /// Commits to be sent, the newest of each partition.
    commits: RefCell<BTreeMap<(String, i32), Vec<Request>>>,
    generation: Cell<u64>,
}

struct Reader {
    feed: mpsc::Sender<Feed>,
    filling: Chunk,
    waiting: VecDeque<Feed>,
    paused: bool,
    /// Next offset, as told to the reader.
    position: i64,
    stale: u8,
    end: Arc<AtomicI64>,
}

impl Group {
    pub(super) fn new(
        consumer: BaseConsumer<Watch>,
        changes: mpsc::UnboundedSender<Change>,
    ) -> Self {
        // Unbounded: a reader waits for its intent, so a partition has two entries at most.
        let (request, requests) = mpsc::unbounded_channel();
        Self {
            consumer,
            changes,
            requests: RefCell::new(requests),
            request: RefCell::new(Some(request)),
            readers: RefCell::default(),
            commits: RefCell::default(),
            generation: Cell::new(0),
        }
    }

    /// Takes records until a chunk is full or nothing is at hand.
    pub(super) fn poll(&self, idle: Duration) -> Result<(), KafkaError> {
        let mut wait = idle;
        loop {
            match self.consumer.poll(wait) {
                None | Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
                Some(Err(error)) => return Err(error),
                Some(Ok(message)) => {
                    let mut readers = self.readers.borrow_mut();
                    // Of a partition that was just revoked.
                    let Some(reader) = find(&mut readers, message.topic(), message.partition())
                    else {
                        continue;
                    };
                    reader.filling.push(
                        message.offset(),
                        message.timestamp().to_millis().unwrap_or(-1),
                        message.payload(),
                    );
                    reader.position = message.offset() + 1;
                    if reader.filling.size() >= CHUNK_BYTES {
                        return Ok(());
                    }
                }
            }
            wait = Duration::ZERO;
        }
    }

    /// Hands chunks to readers; pauses partitions whose reader is behind and resumes those whose is not any more.
    pub(super) fn pass_on(&self) {
        let (mut pause, mut resume) = (TopicPartitionList::new(), TopicPartitionList::new());
        for ((topic, partition), reader) in self.readers.borrow_mut().iter_mut() {
            if !reader.filling.is_empty() {
                reader
                    .waiting
                    .push_back(Feed::Records(std::mem::take(&mut reader.filling)));
            }
            while let Some(feed) = reader.waiting.pop_front() {
                match reader.feed.try_send(feed) {
                    Ok(()) => {}
                    Err(TrySendError::Full(feed)) => {
                        reader.waiting.push_front(feed);
                        break;
                    }
                    // It has ended, and tells why itself.
                    Err(TrySendError::Closed(_)) => {}
                }
            }
            if !reader.waiting.is_empty() && !reader.paused {
                reader.paused = true;
                pause.add_partition(topic, *partition);
            } else if reader.paused
                && reader.waiting.is_empty()
                && reader.feed.capacity() >= FEED / 2
            {
                reader.paused = false;
                reader.stale = STALE;
                resume.add_partition(topic, *partition);
            }
        }
        if pause.count() > 0
            && let Err(error) = self.consumer.pause(&pause)
        {
            tracing::warn!(%error, "could not pause");
        }
        if resume.count() > 0
            && let Err(error) = self.consumer.resume(&resume)
        {
            tracing::warn!(%error, "could not resume");
        }
    }

    /// Tells readers that are idle how far their partition reaches.
    pub(super) fn look_for_ends(&self) {
        let Some(statistics) = self.consumer.context().statistics() else {
            return;
        };
        let mut readers = self.readers.borrow_mut();
        for (topic, found) in &statistics.topics {
            for (partition, ends) in &found.partitions {
                let Some(reader) = find(&mut readers, topic, *partition) else {
                    continue;
                };
                reader.end.store(ends.ls_offset, Ordering::Relaxed);
                if reader.stale > 0 {
                    reader.stale -= 1;
                    continue;
                }
                if reader.position < ends.lo_offset && reader.position >= 0 {
                    tracing::error!(
                        topic,
                        partition,
                        from = reader.position,
                        to = ends.lo_offset,
                        "records were deleted before they were read"
                    );
                    reader.position = ends.lo_offset;
                }
                if reader.paused || !reader.filling.is_empty() {
                    continue;
                }
                if let Some(end) = ends.reached().filter(|end| *end > reader.position) {
                    reader.position = end;
                    reader.waiting.push_back(Feed::End(end));
                }
            }
        }
    }

    /// Follows the group's decisions.
    pub(super) fn rebalance(&self, shutdown: &Shutdown) {
        for step in self.consumer.context().rebalances() {
            // Eager: an assignment is whole, so whatever was ours is not any more.
            self.lose_all();
            if let Rebalanced::Assigned(list) = step {
                self.gain(&list, shutdown);
                let _ = self.changes.send(Change::Settled);
            }
        }
    }

    fn gain(&self, list: &TopicPartitionList, shutdown: &Shutdown) {
        let committed = loop {
            match offsets::committed(&self.consumer, list, ANSWER) {
                Ok(committed) => break committed,
                Err(error) => {
                    tracing::warn!(%error, "could not learn committed offsets; trying again")
                }
            }
            if shutdown.is_requested() {
                return;
            }
        };
        let Some(requests) = self.request.borrow().clone() else {
            return;
        };
        self.generation.set(self.generation.get() + 1);
        for element in committed.elements() {
            let key = (element.topic().to_owned(), element.partition());
            let committed = match element.offset() {
                Offset::Offset(offset) => Some(Committed {
                    offset,
                    metadata: element.metadata().to_owned(),
                }),
                _ => None,
            };
            let position = committed.as_ref().map_or(-1, |committed| committed.offset);
            let (feed, receiver) = mpsc::channel(FEED);
            let end = Arc::new(AtomicI64::new(-1));
            let reader = Reader {
                feed,
                filling: Chunk::default(),
                waiting: VecDeque::new(),
                paused: false,
                position,
                stale: STALE,
                end: Arc::clone(&end),
            };
            self.readers.borrow_mut().insert(key.clone(), reader);
            let commits = Commits {
                key: key.clone(),
                generation: self.generation.get(),
                requests: requests.clone(),
            };
            let partition = Partition {
                topic: key.0,
                number: key.1,
                committed,
                feed: receiver,
                commits,
                end,
            };
            let _ = self.changes.send(Change::Gained(partition));
        }
    }

    /// Ends all readers.
    pub(super) fn lose_all(&self) {
        for ((topic, partition), _) in std::mem::take(&mut *self.readers.borrow_mut()) {
            let _ = self.changes.send(Change::Lost { topic, partition });
        }
        for requests in std::mem::take(&mut *self.commits.borrow_mut()).into_values() {
            answer(requests, Err(Lost));
        }
    }

    /// Sends the commits that were asked for, all in one request.
    pub(super) fn commit(&self) {
        let readers = self.readers.borrow();
        let mut commits = self.commits.borrow_mut();
        while let Ok(request) = self.requests.borrow_mut().try_recv() {
            if request.generation == self.generation.get() && readers.contains_key(&request.key) {
                commits
                    .entry(request.key.clone())
                    .or_default()
                    .push(request);
            } else {
                answer(vec![request], Err(Lost));
            }
        }
        if commits.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::with_capacity(commits.len());
        for ((topic, partition), requests) in commits.iter() {
            // The last one asked for stands for those before it.
            let Some(newest) = requests.last() else {
                continue;
            };
            let mut element = list.add_partition(topic, *partition);
            element.set_metadata(&newest.committed.metadata);
            if let Err(error) = element.set_offset(Offset::Offset(newest.committed.offset)) {
                tracing::error!(%error, topic, partition, "an offset that cannot be committed");
            }
        }
        match self.consumer.commit(&list, CommitMode::Sync) {
            Ok(()) => answer(
                std::mem::take(&mut *commits).into_values().flatten(),
                Ok(()),
            ),
            Err(KafkaError::ConsumerCommit(
                RDKafkaErrorCode::IllegalGeneration
                | RDKafkaErrorCode::UnknownMemberId
                | RDKafkaErrorCode::FencedInstanceId,
            )) => answer(
                std::mem::take(&mut *commits).into_values().flatten(),
                Err(Lost),
            ),
            // A rebalance is under way, or Kafka is: they are sent again in the next round, or lost with the partition.
            Err(error) => tracing::debug!(%error, "could not commit; trying again"),
        }
    }

    /// After the stop was requested: takes nothing more, and commits for readers until they have ended.
    pub(super) fn drain(&self) {
        self.request.borrow_mut().take();
        for reader in self.readers.borrow_mut().values_mut() {
            // Closing the feed tells the reader; its commits stay valid.
            reader.feed = mpsc::channel(1).0;
            reader.waiting.clear();
        }
        let begin = Instant::now();
        while begin.elapsed() < DRAIN {
            self.commit();
            if self.requests.borrow().is_closed() && self.commits.borrow().is_empty() {
                return;
            }
            // Keeps the membership; what comes is read again after the next start.
            let _ = self.consumer.poll(IDLE);
            if !self.consumer.context().rebalances().is_empty() {
                self.lose_all();
            }
        }
    }
}

fn find<'a>(
    readers: &'a mut BTreeMap<(String, i32), Reader>,
    topic: &str,
    partition: i32,
) -> Option<&'a mut Reader> {
    // A handful of topics: walking them is as quick as making a key to look up.
    readers
        .iter_mut()
        .find(|((name, number), _)| *number == partition && name == topic)
        .map(|(_, reader)| reader)
}

fn answer(requests: impl IntoIterator<Item = Request>, result: Result<(), Lost>) {
    for done in requests.into_iter().filter_map(|request| request.done) {
        let _ = done.send(result);
    }
}
