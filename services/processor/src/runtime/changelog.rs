//! The changelog of a stage: what its store is restored from.
//!
//! Its first record in each partition, under the empty key, is the changelog's incarnation: a random id, by which a store
//! knows that the topic was not deleted and made anew since.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tributary_contracts::framing;
use tributary_contracts::wire::State;
use tributary_platform::kafka::connect::{Logged, properties};
use tributary_platform::kafka::offsets::Ends;
use tributary_platform::state::{Checkpoint, Store};

use super::worker::{Failure, Worker};

/// The key of the incarnation record; a stage's own keys are never empty.
pub(super) const INCARNATION_KEY: &[u8] = b"";

/// A broker that says nothing for this long amid a restore is gone.
const SILENCE: Duration = Duration::from_secs(30);

/// Changes held in memory while restoring.
const MOST_CHANGED_BYTES: usize = 32 * 1024 * 1024;

/// A partition's place in its changelog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) checkpoint: Checkpoint,
    /// Whether the incarnation is still to be written, with the first transaction.
    pub(super) announce: bool,
}

/// The framed incarnation record.
pub(super) fn incarnation_record(incarnation: &str) -> Vec<u8> {
    let state = State {
        revision: 0,
        rules_version: 0,
        links_offset: -1,
        body: incarnation.as_bytes(),
    };
    framing::encode(&state).expect("a state record holds any bytes")
}

fn incarnation_of(record: &[u8]) -> Option<String> {
    let state: State<'_> = framing::decode(record).ok()?;
    String::from_utf8(state.body.to_vec()).ok()
}

/// Brings the store up to the end of the changelog. `keep_alive` is called at least once a second.
///
/// Every transaction that the caller's committed offsets are part of must be decided or under way: so fetch those
/// offsets first, then call this. What is written to the changelog by then is waited for, whether it is committed yet
/// or not.
pub(super) fn restore(
    worker: &Worker,
    topic: &str,
    partitions: &[i32],
    store: &mut Store,
    keep_alive: &dyn Fn() -> Result<(), Failure>,
) -> Result<BTreeMap<i32, Place>, Failure> {
    let stored = store.assign(partitions)?;
    if partitions.is_empty() {
        return Ok(BTreeMap::new());
    }
    let options = &worker.options;
    let named: Vec<(String, i32)> = partitions
        .iter()
        .map(|partition| (topic.to_owned(), *partition))
        .collect();
    let ends = Ends::new(&options.kafka, worker.name, Duration::from_secs(10))?;
    let stop = || worker.shutdown.is_requested() || keep_alive().is_err();
    let decided = ends.decided(&named, options.transaction_timeout * 3, &stop);
    keep_alive()?;
    let ends: BTreeMap<i32, i64> = decided?
        .into_iter()
        .map(|((_, partition), end)| (partition, end))
        .collect();

    let reader = Reader::connect(worker, topic)?;
    let known: Vec<i32> = stored
        .iter()
        .filter(|(_, checkpoint)| checkpoint.is_some())
        .map(|(partition, _)| *partition)
        .collect();
    let incarnations = reader.incarnations(&known, keep_alive)?;
    let mut from = BTreeMap::new();
    let mut places = BTreeMap::new();
    for (partition, checkpoint) in stored {
        let end = ends.get(&partition).copied().unwrap_or(0);
        let usable = checkpoint.filter(|checkpoint| {
            let same = incarnations.get(&partition).and_then(Option::as_ref)
                == Some(&checkpoint.incarnation);
            if !same || checkpoint.offset > end {
                tracing::warn!(
                    stage = worker.name,
                    partition,
                    "local store is of another changelog: building it anew"
                );
            }
            same && checkpoint.offset <= end
        });
        let offset = usable.as_ref().map_or(0, |checkpoint| checkpoint.offset);
        if usable.is_none() {
            store.discard(partition)?;
        }
        if offset < end {
            from.insert(partition, offset);
        }
        let incarnation = usable
            .map(|checkpoint| checkpoint.incarnation)
            .unwrap_or_default();
        places.insert(
            partition,
            Place {
                checkpoint: Checkpoint {
                    offset: end,
                    incarnation,
                },
                announce: false,
            },
        );
    }
    reader.read(worker, &from, &ends, store, &mut places, keep_alive)?;
    for place in places.values_mut() {
        if place.checkpoint.incarnation.is_empty() {
            place.checkpoint.incarnation = uuid::Uuid::new_v4().to_string();
            place.announce = true;
        }
    }
    Ok(places)
}

struct Reader<'a> {
    consumer: BaseConsumer<Logged>,
    topic: &'a str,
}

impl<'a> Reader<'a> {
    fn connect(worker: &Worker, topic: &'a str) -> Result<Self, KafkaError> {
        let group = format!(
            "{}-{}-restore",
            worker.options.kafka.topic_prefix, worker.name
        );
        let config = properties(
            &worker.options.kafka,
            &group,
            &[
                // A consumer needs a group to be assigned anything; it neither joins nor commits.
                ("group.id", &group),
                ("isolation.level", "read_committed"),
                ("enable.auto.commit", "false"),
                ("enable.partition.eof", "true"),
                ("auto.offset.reset", "earliest"),
                ("fetch.queue.backoff.ms", "10"),
                ("fetch.wait.max.ms", "50"),
                ("queued.max.messages.kbytes", "32768"),
            ],
        );
        Ok(Self {
            consumer: BaseConsumer::from_config_and_context(&config, Logged)?,
            topic,
        })
    }

    fn assign(&self, from: impl Iterator<Item = (i32, i64)>) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in from {
            let offset = if offset == 0 {
                Offset::Beginning
            } else {
                Offset::Offset(offset)
            };
            list.add_partition_offset(self.topic, partition, offset)?;
        }
        self.consumer.assign(&list)
    }

    /// The incarnation of each partition's changelog, if its first record says one.
    fn incarnations(
        &self,
        partitions: &[i32],
        keep_alive: &dyn Fn() -> Result<(), Failure>,
    ) -> Result<BTreeMap<i32, Option<String>>, Failure> {
        let mut found = BTreeMap::new();
        self.assign(partitions.iter().map(|partition| (*partition, 0)))?;
        let patience = Patience::new();
        while found.len() < partitions.len() {
            match self.consumer.poll(Duration::from_millis(100)) {
                None => patience.check()?,
                Some(Ok(message)) => {
                    let first = || match (message.key(), message.payload()) {
                        (Some(INCARNATION_KEY), Some(record)) => incarnation_of(record),
                        _ => None,
                    };
                    found.entry(message.partition()).or_insert_with(first);
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    found.entry(partition).or_insert(None);
                }
                Some(Err(error)) => super::assignment::passing(error)?,
            }
            keep_alive()?;
        }
        self.consumer.unassign()?;
        Ok(found)
    }

    /// Puts all records from these offsets to the ends into the store.
    fn read(
        &self,
        worker: &Worker,
        from: &BTreeMap<i32, i64>,
        ends: &BTreeMap<i32, i64>,
        store: &mut Store,
        places: &mut BTreeMap<i32, Place>,
        keep_alive: &dyn Fn() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let end_of = |partition: &i32| ends.get(partition).copied().unwrap_or(0);
        let mut positions = from.clone();
        let total: i64 = from
            .iter()
            .map(|(partition, offset)| end_of(partition) - offset)
            .sum();
        self.assign(from.iter().map(|(partition, offset)| (*partition, *offset)))?;
        let mut patience = Patience::new();
        let mut told = Instant::now();
        let mut records = 0_u64;
        // All below the ends was decided before the first fetch: an end of partition is at or behind its end.
        while !positions.is_empty() {
            match self.consumer.poll(Duration::from_millis(100)) {
                None => patience.check()?,
                Some(Ok(message)) => {
                    let partition = message.partition();
                    let key = message.key().unwrap_or_default();
                    if key == INCARNATION_KEY {
                        if let (Some(place), Some(record)) =
                            (places.get_mut(&partition), message.payload())
                        {
                            place.checkpoint.incarnation =
                                incarnation_of(record).unwrap_or_default();
                        }
                    } else {
                        store.put(partition, key, message.payload());
                    }
                    records += 1;
                    patience = Patience::new();
                    if let Some(position) = positions.get_mut(&partition) {
                        *position = message.offset() + 1;
                    }
                    if message.offset() + 1 >= end_of(&partition) {
                        positions.remove(&partition);
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    positions.remove(&partition);
                }
                Some(Err(error)) => super::assignment::passing(error)?,
            }
            if records.is_multiple_of(1024) {
                if store.changed_bytes() > MOST_CHANGED_BYTES {
                    checkpoint(store, places, &positions)?;
                }
                keep_alive()?;
                if worker.shutdown.is_requested() {
                    return Err(Failure::Stopping);
                }
                let left: i64 = positions
                    .iter()
                    .map(|(partition, offset)| end_of(partition) - offset)
                    .sum();
                worker.metrics.restore_remaining.set(left);
                if told.elapsed() > Duration::from_secs(1) {
                    told = Instant::now();
                    let percent = (total - left) * 100 / total.max(1);
                    worker
                        .readiness
                        .not_ready(format!("restoring its state from kafka: {percent} %"));
                }
            }
        }
        worker.metrics.restored.inc_by(records);
        worker.metrics.restore_remaining.set(0);
        self.consumer.unassign()?;
        tracing::info!(stage = worker.name, records, "state restored");
        Ok(())
    }
}

/// Writes what was restored so far, so that it need not stay in memory. A partition whose incarnation is not known
/// waits.
fn checkpoint(
    store: &mut Store,
    places: &BTreeMap<i32, Place>,
    positions: &BTreeMap<i32, i64>,
) -> Result<(), Failure> {
    store.wait()?;
    let checkpoints = places
        .iter()
        .filter(|(_, place)| !place.checkpoint.incarnation.is_empty())
        .map(|(partition, place)| {
            let offset = positions
                .get(partition)
                .copied()
                .unwrap_or(place.checkpoint.offset);
            (
                *partition,
                Checkpoint {
                    offset,
                    incarnation: place.checkpoint.incarnation.clone(),
                },
            )
        });
    store.checkpoint(&checkpoints.collect())?;
    Ok(())
}

/// Gives up on a broker that says nothing.
struct Patience(Instant);

impl Patience {
    fn new() -> Self {
        Self(Instant::now())
    }

    fn check(&self) -> Result<(), Failure> {
        if self.0.elapsed() > SILENCE {
            return Err(Failure::Unexpected(
                "kafka sends nothing of the changelog".to_owned(),
            ));
        }
        Ok(())
    }
}
