//! One life of a worker: from what is committed, until something fails or the process stops.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tributary_core::time::Timestamp;
use tributary_platform::kafka::connect;
use tributary_platform::kafka::transaction::{self as kafka_transaction, TransactionalProducer};
use tributary_platform::settled::Progress;
use tributary_platform::state::{Checkpoint, Store};

use super::assignment::{Committed, Member};
use super::changelog::{self, Place};
use super::side_input::SideInput;
use super::snapshot::Snapshots;
use super::stage::{Input, Poison, Stage};
use super::transaction::{DeadLetter, Topics, Transaction, View};
use super::worker::{Failure, Worker};

/// With nothing to do, how long until links, the clock and the stop are looked at.
const IDLE: Duration = Duration::from_millis(20);

/// The first record waits this long for company; a burst is one transaction then.
const COMPANY: Duration = Duration::from_millis(10);

/// A stage that is this far behind commits less often: what it publishes is late anyway, and a commit costs about 10 ms.
const BEHIND: i64 = 2_000;
const BEHIND_FACTOR: u32 = 5;

/// The clock is read once for so many records.
const RECORDS_A_LOOK: usize = 64;

/// Changes held in memory: a checkpoint begins early beyond this, and is waited for beyond twice as much.
const MOST_CHANGED_BYTES: usize = 64 * 1024 * 1024;

/// A checkpoint without changes keeps the store from being taken for an old one.
const LONGEST_CHECKPOINT: Duration = Duration::from_secs(3600);

const MEASURE: Duration = Duration::from_secs(5);

pub(super) struct Life<'a> {
    worker: &'a Worker,
    stage: Box<dyn Stage>,
    member: Member,
    producer: TransactionalProducer,
    fence: ConsumerGroupMetadata,
    store: Store,
    side_input: Option<SideInput>,
    snapshots: Snapshots,
    topics: Topics,
    partitions: Vec<i32>,
    /// For each partition, the offset after the last record taken.
    positions: BTreeMap<i32, i64>,
    places: BTreeMap<i32, Place>,
    /// As the group has it, where all partitions have the same.
    committed: Option<Progress>,
    batch: Batch,
    committed_at: Instant,
    checkpointed_at: Instant,
    measured_at: Instant,
}

/// What was taken and not yet committed.
#[derive(Default)]
struct Batch {
    records: usize,
    since: Option<Instant>,
    /// Of the newest record.
    timestamp: Option<i64>,
    dead_letters: Vec<DeadLetter>,
}

impl<'a> Life<'a> {
    /// Gets partitions, and restores what is known of them. Blocks.
    pub(super) fn begin(worker: &'a Worker) -> Result<Self, Failure> {
        let options = &worker.options;
        let mut stage = (worker.factory)();
        worker.waits("connecting to kafka");
        // First of all: it ends the transaction that a predecessor left open.
        let producer = TransactionalProducer::open(&kafka_transaction::Options {
            kafka: options.kafka.clone(),
            transactional_id: format!(
                "{}-{}-{}",
                options.kafka.topic_prefix, worker.name, options.instance
            ),
            compression: options.compression,
            transaction_timeout: options.transaction_timeout,
        })?;
        let mut store = Store::open(&options.folder.join(worker.name), options.cache_bytes)?;
        let member = Member::join(options, worker.name, stage.input())?;
        worker.waits("waiting for partitions");
        let partitions = assigned(worker, &member)?;
        let fence = member.fence()?;

        worker.waits("restoring its state from kafka");
        let keep_alive = || member.keep_alive();
        // Before the changelog's end is asked for: whatever these offsets are part of is written by then.
        let committed = member.committed(&partitions)?;
        let changelog = connect::topic(&options.kafka, stage.changelog());
        let places = changelog::restore(worker, &changelog, &partitions, &mut store, &keep_alive)?;
        stage.assigned(&partitions, &View(&store))?;

        let mut batch = Batch::default();
        let (mut side_input, mut snapshots) = (None, Snapshots::new(worker));
        if let Some(name) = stage.side_input() {
            worker.waits("reading links");
            let decided = decided_links(&committed);
            let restored = snapshots.restore(&mut *stage, &places, decided, &keep_alive)?;
            if restored.is_none() {
                stage = (worker.factory)();
                stage.assigned(&partitions, &View(&store))?;
            }
            let mut input = SideInput::open(worker, name)?;
            input.read_from(restored.unwrap_or(0), worker, &keep_alive, |message| {
                learn(
                    worker,
                    &mut *stage,
                    message,
                    message.offset() < decided,
                    &partitions,
                    &mut batch,
                );
            })?;
            side_input = Some(input);
        }
        stage.begin()?;
        keep_alive()?;
        member.resume(&partitions)?;
        tracing::info!(stage = worker.name, ?partitions, "at work");
        worker.works();
        Ok(Self {
            worker,
            stage,
            member,
            producer,
            fence,
            store,
            side_input,
            snapshots,
            topics: Topics::new(&options.kafka),
            positions: committed
                .iter()
                .map(|(partition, committed)| (*partition, committed.offset))
                .collect(),
            committed: common_progress(&committed),
            partitions,
            places,
            batch,
            committed_at: Instant::now(),
            checkpointed_at: Instant::now(),
            measured_at: Instant::now(),
        })
    }

    /// Works until the process stops.
    pub(super) fn run(mut self) -> Result<(), Failure> {
        while !self.worker.shutdown.is_requested() {
            self.gather()?;
            self.learn_new()?;
            if self.commit_is_due() {
                self.commit()?;
            }
            self.checkpoint_if_due()?;
            self.snapshot_if_due();
            self.measure()?;
        }
        self.commit()?;
        self.store.wait()?;
        self.checkpoint()?;
        self.store.wait()?;
        if let Some(offset) = self.committed_links() {
            let stage = &mut *self.stage;
            self.snapshots.write_whole(stage, &self.places, offset);
        }
        Ok(())
    }

    /// Takes records until none is there, or a commit is due.
    fn gather(&mut self) -> Result<(), Failure> {
        let mut patience = self.patience();
        loop {
            // Borrowed from the field alone, so that the stage can be told meanwhile.
            let Some(message) = self.member.poll(patience)? else {
                self.member.check()?;
                // Silence alone says nothing: a broker that does not answer is silent too.
                let at_end = |partition: &i32| self.member.is_at_end(*partition);
                if self.partitions.iter().all(at_end) {
                    self.worker.metrics.lag_seconds.set(0);
                }
                return Ok(());
            };
            self.member.check()?;
            let position = self.positions.entry(message.partition()).or_default();
            if message.offset() < *position {
                let text = format!(
                    "offset {} of partition {} where {position} comes next",
                    message.offset(),
                    message.partition()
                );
                return Err(Failure::Unexpected(text));
            }
            *position = message.offset() + 1;
            let input = input(&message);
            self.batch.records += 1;
            self.batch.since.get_or_insert_with(Instant::now);
            self.batch.timestamp = message.timestamp().to_millis();
            if let Err(poison) = self.stage.take(&input, &View(&self.store)) {
                let letter = dead_letter(self.worker, self.member.topic(), &input, poison);
                self.batch.dead_letters.push(letter);
            }
            if self.batch.records >= self.worker.options.max_batch
                || (self.batch.records.is_multiple_of(RECORDS_A_LOOK) && self.commit_is_due())
            {
                return Ok(());
            }
            patience = Duration::ZERO;
        }
    }

    /// How long to wait for a record.
    fn patience(&self) -> Duration {
        match self.batch.since {
            None => IDLE,
            Some(since) => {
                let company = COMPANY.saturating_sub(since.elapsed());
                let interval = self
                    .worker
                    .options
                    .commit_interval
                    .saturating_sub(self.committed_at.elapsed());
                // In whole milliseconds: the consumer's poll does not sleep through a part of one.
                let patience = company.max(interval).as_millis() as u64 + 1;
                Duration::from_millis(patience).min(IDLE)
            }
        }
    }

    fn learn_new(&mut self) -> Result<(), Failure> {
        let Some(side_input) = &mut self.side_input else {
            return Ok(());
        };
        let (worker, stage, partitions, batch) = (
            self.worker,
            &mut *self.stage,
            &self.partitions,
            &mut self.batch,
        );
        side_input.read_new(|message| learn(worker, stage, message, false, partitions, batch))?;
        Ok(())
    }

    fn commit_is_due(&self) -> bool {
        let interval = self.worker.options.commit_interval;
        let since_commit = self.committed_at.elapsed();
        if let Some(since) = self.batch.since {
            let behind = self
                .batch
                .timestamp
                .is_some_and(|timestamp| now().0 - timestamp > BEHIND);
            let interval = if behind {
                interval * BEHIND_FACTOR
            } else {
                interval
            };
            return self.batch.records >= self.worker.options.max_batch
                || (since.elapsed() >= COMPANY && since_commit >= interval);
        }
        let learned = self.side_input.as_ref().is_some_and(|links| {
            let taken_into_account = self
                .committed
                .as_ref()
                .and_then(|committed| committed.links);
            taken_into_account.unwrap_or(0) != links.position()
        });
        since_commit >= interval
            && (learned || !self.batch.dead_letters.is_empty() || self.stage.due(now()))
    }

    /// Flushes the stage, and commits what it sends with the offsets and all that belongs to them.
    fn commit(&mut self) -> Result<(), Failure> {
        let begin = Instant::now();
        self.member.check()?;
        self.committed_at = begin;
        if self.partitions.is_empty() {
            // Standing by: others own all there is, and a transaction without offsets would be fenced by nothing.
            return Ok(());
        }
        // A checkpoint that failed may have been the last holder of what the stage has just read.
        self.store.is_idle()?;
        let unnamed = self.places.iter().filter(|(_, place)| place.announce);
        let mut transaction = Transaction {
            producer: &self.producer,
            store: &mut self.store,
            changelog: self.stage.changelog(),
            topics: &mut self.topics,
            announce: unnamed
                .map(|(partition, place)| (*partition, place.checkpoint.incarnation.clone()))
                .collect(),
            begun: false,
            failure: None,
        };
        let flushed = self.stage.flush(now(), &mut transaction);
        if let Some(error) = transaction.failure.take() {
            return Err(error.into());
        }
        let held = flushed?;
        for letter in &self.batch.dead_letters {
            transaction.dead_letter(letter)?;
        }
        let progress = Progress {
            links: self.side_input.as_ref().map(SideInput::position),
            held,
        };
        if transaction.begun || self.batch.records > 0 || self.committed.as_ref() != Some(&progress)
        {
            transaction.begin()?;
            self.commit_transaction(progress)?;
            self.worker
                .metrics
                .commit_seconds
                .observe(begin.elapsed().as_secs_f64());
        }
        self.committed_at = Instant::now();
        Ok(())
    }

    fn commit_transaction(&mut self, progress: Progress) -> Result<(), Failure> {
        let offsets = offsets(self.member.topic(), &self.positions, &progress)?;
        self.producer.commit(&offsets, &self.fence)?;
        self.committed = Some(progress);
        let metrics = &self.worker.metrics;
        for (partition, end) in self.producer.tracked_ends() {
            if let Some(place) = self.places.get_mut(&partition) {
                place.checkpoint.offset = place.checkpoint.offset.max(end);
                place.announce = false;
            }
        }
        for (topic, count) in self.topics.take_sent() {
            metrics.records_out(topic, count);
        }
        for letter in &self.batch.dead_letters {
            metrics.dead_letter(letter.poison.reason);
        }
        metrics.records_in.inc_by(self.batch.records as u64);
        metrics
            .transaction_records
            .observe(self.batch.records as f64);
        if let Some(timestamp) = self.batch.timestamp {
            metrics.lag_seconds.set((now().0 - timestamp).max(0) / 1000);
        }
        self.batch = Batch::default();
        Ok(())
    }

    /// Between transactions: all that was put is committed.
    fn checkpoint_if_due(&mut self) -> Result<(), Failure> {
        if self.batch.records > 0 {
            // Taken and not committed: nothing of it is put, but the next commit is near.
            return Ok(());
        }
        let changed = self.store.changed_bytes();
        if changed > 2 * MOST_CHANGED_BYTES {
            self.store.wait()?;
        }
        let elapsed = self.checkpointed_at.elapsed();
        let due = elapsed >= self.worker.options.checkpoint_interval && changed > 0;
        if due || changed > MOST_CHANGED_BYTES || elapsed > LONGEST_CHECKPOINT {
            self.checkpoint()?;
        }
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<(), Failure> {
        // A partition without an incarnation in its changelog could not be recognised.
        let places = self.places.iter().filter(|(_, place)| !place.announce);
        let checkpoints: BTreeMap<i32, Checkpoint> = places
            .map(|(partition, place)| (*partition, place.checkpoint.clone()))
            .collect();
        self.store.checkpoint(&checkpoints)?;
        self.checkpointed_at = Instant::now();
        Ok(())
    }

    /// Where the side input was committed up to, if nothing was taken or learned since.
    fn committed_links(&self) -> Option<i64> {
        let position = self.side_input.as_ref()?.position();
        let committed = self.committed.as_ref()?.links?;
        (self.batch.records == 0 && committed == position).then_some(position)
    }

    fn snapshot_if_due(&mut self) {
        let stage = &mut *self.stage;
        if !self.snapshots.go_on(stage)
            && let Some(offset) = self.committed_links()
        {
            let stage = &mut *self.stage;
            self.snapshots.begin_if_due(stage, &self.places, offset);
        }
    }

    fn measure(&mut self) -> Result<(), Failure> {
        if self.measured_at.elapsed() < MEASURE {
            return Ok(());
        }
        self.measured_at = Instant::now();
        let metrics = &self.worker.metrics;
        metrics.changed_keys.set(self.store.changed_keys() as i64);
        for partition in &self.partitions {
            if self.member.is_at_end(*partition) {
                self.stage.idle(*partition, now());
            }
            if let Some(watermark) = self.stage.watermark(*partition) {
                metrics.watermark(*partition, watermark);
            }
        }
        metrics.store_bytes.set(self.store.disk_bytes() as i64);
        // A broker that does not answer this will not answer a commit either: let that one decide.
        if let Ok(ends) = self.member.ends(&self.partitions) {
            let read = |partition: &i32| self.positions.get(partition).copied().unwrap_or(0);
            metrics.lag_messages.set(
                ends.iter()
                    .filter(|(partition, _)| !self.member.is_at_end(**partition))
                    .map(|(partition, end)| (end - read(partition)).max(0))
                    .sum(),
            );
        }
        Ok(())
    }
}

impl Drop for Life<'_> {
    /// Another process may own the partitions next, and tell their watermarks.
    fn drop(&mut self) {
        for partition in &self.partitions {
            if self.stage.watermark(*partition).is_some() {
                self.worker.metrics.no_watermark(*partition);
            }
        }
    }
}

/// Waits for the group's first assignment.
fn assigned(worker: &Worker, member: &Member) -> Result<Vec<i32>, Failure> {
    loop {
        if worker.shutdown.is_requested() {
            return Err(Failure::Stopping);
        }
        if let Some(message) = member.poll(Duration::from_millis(100))? {
            return Err(Failure::Unexpected(format!(
                "a record of paused partition {}",
                message.partition()
            )));
        }
        if let Some(partitions) = member.assigned() {
            member.check()?;
            return Ok(partitions);
        }
    }
}

/// The links offset up to which the state of every partition was decided. A partition that nothing was ever committed
/// for has no state.
fn decided_links(committed: &BTreeMap<i32, Committed>) -> i64 {
    let links = committed
        .values()
        .filter_map(|committed| committed.progress.as_ref()?.links);
    links.min().unwrap_or(0)
}

fn common_progress(committed: &BTreeMap<i32, Committed>) -> Option<Progress> {
    let mut progress = committed
        .values()
        .map(|committed| committed.progress.as_ref());
    let first = progress.next()??;
    progress
        .all(|progress| progress == Some(first))
        .then(|| first.clone())
}

fn offsets(
    topic: &str,
    positions: &BTreeMap<i32, i64>,
    progress: &Progress,
) -> Result<TopicPartitionList, Failure> {
    let metadata = progress.to_metadata();
    let mut list = TopicPartitionList::with_capacity(positions.len());
    for (partition, offset) in positions {
        let mut element = list.add_partition(topic, *partition);
        element.set_offset(Offset::Offset(*offset))?;
        element.set_metadata(&metadata);
    }
    Ok(list)
}

fn input<'a>(message: &'a BorrowedMessage<'_>) -> Input<'a> {
    Input {
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().unwrap_or_default(),
        value: message.payload(),
    }
}

/// Every instance reads the side input: of a record that cannot be used, the owner of the first partition tells, once.
fn learn(
    worker: &Worker,
    stage: &mut dyn Stage,
    message: &BorrowedMessage<'_>,
    decided: bool,
    partitions: &[i32],
    batch: &mut Batch,
) {
    let input = input(message);
    if let Err(poison) = stage.learn(&input, decided)
        && !decided
        && partitions.contains(&0)
    {
        batch
            .dead_letters
            .push(dead_letter(worker, message.topic(), &input, poison));
    }
}

fn dead_letter(worker: &Worker, topic: &str, input: &Input<'_>, poison: Poison) -> DeadLetter {
    tracing::warn!(
        stage = worker.name,
        topic,
        partition = input.partition,
        offset = input.offset,
        reason = poison.reason,
        "a record cannot be used: it goes to the dead letters"
    );
    DeadLetter {
        stage: worker.name,
        poison,
        received_at: now(),
        topic: topic.to_owned(),
        partition: input.partition,
        offset: input.offset,
        payload: input.value.unwrap_or_default().to_vec(),
    }
}

fn now() -> Timestamp {
    Timestamp(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as i64),
    )
}
