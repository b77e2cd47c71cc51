//! One pass through all stages.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::{Value, json};
use tributary_contracts::topics;

use super::Progress;
use crate::config::Kafka;
use crate::kafka::connect::{Logged, properties, topic as prefixed};
use crate::kafka::offsets::{Ends, Offsets};

/// An answer may wait for a transaction to end.
const ANSWER: Duration = Duration::from_secs(5);

/// The stages of the processor in the direction of flow, each with its input. The sink reads what topics.toml says.
const STAGES: [(&str, &str); 4] = [
    ("observe", "touchpoints"),
    ("once", "claims"),
    ("profile", "atoms"),
    ("kpi", "contributions"),
];

/// The side input of `observe`.
const LINKS: &str = "links";

/// What a pass found.
pub(super) struct Report {
    /// None when settled.
    pub(super) waiting_for: Option<String>,
    /// As far as the pass came.
    pub(super) stages: Vec<Value>,
}

/// A stage with its group.
struct Stage {
    name: &'static str,
    partitions: Vec<(String, i32)>,
    group: BaseConsumer<Logged>,
    reads_links: bool,
}

pub(super) struct Checker {
    stages: Vec<Stage>,
    links: (String, i32),
    ends: Ends,
    reader: BaseConsumer<Logged>,
    /// Ranges of offsets that were read and held nothing; the last of each partition.
    empty: BTreeMap<(String, i32), (i64, i64)>,
}

impl std::fmt::Debug for Checker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Checker").finish_non_exhaustive()
    }
}

impl Checker {
    pub(super) fn connect(kafka: &Kafka) -> Result<Self, KafkaError> {
        let consumer = |group: &str| {
            let group = format!("{}-{group}", kafka.topic_prefix);
            let config = properties(
                kafka,
                "tributary-settled",
                &[
                    ("group.id", &group),
                    ("isolation.level", "read_committed"),
                    ("enable.auto.commit", "false"),
                    ("enable.partition.eof", "true"),
                    ("auto.offset.reset", "earliest"),
                    ("fetch.wait.max.ms", "50"),
                ],
            );
            BaseConsumer::<Logged>::from_config_and_context(&config, Logged)
        };
        let partitions = |names: &[&str]| {
            let partitions = names.iter().flat_map(|name| {
                let count = topics::all()
                    .get(*name)
                    .map_or(0, |topic| topic.partitions as i32);
                (0..count).map(|partition| (prefixed(kafka, name), partition))
            });
            partitions.collect()
        };
        let mut stages = Vec::new();
        for (name, input) in STAGES {
            let reads_links = name == "observe";
            stages.push(Stage {
                name,
                partitions: partitions(&[input]),
                group: consumer(name)?,
                reads_links,
            });
        }
        let stored: Vec<&str> = topics::all()
            .iter()
            .filter(|(_, topic)| topic.consumers.iter().any(|consumer| consumer == "sink"))
            .map(|(name, _)| name.as_str())
            .collect();
        stages.push(Stage {
            name: "sink",
            partitions: partitions(&stored),
            group: consumer("sink")?,
            reads_links: false,
        });
        Ok(Self {
            stages,
            links: (prefixed(kafka, LINKS), 0),
            ends: Ends::new(kafka, "tributary-settled", ANSWER)?,
            // A group of its own, which nobody joins and nothing is committed for.
            reader: consumer("settled")?,
            empty: BTreeMap::new(),
        })
    }

    pub(super) fn check(&mut self) -> Result<Report, KafkaError> {
        let mut report = Report {
            waiting_for: None,
            stages: Vec::new(),
        };
        for index in 0..self.stages.len() {
            let (waiting_for, offsets) = self.check_stage(index)?;
            let name = self.stages[index].name;
            report.stages.push(
                json!({ "stage": name, "settled": waiting_for.is_none(), "offsets": offsets }),
            );
            if let Some(why) = waiting_for {
                report.waiting_for = Some(format!("{name}: {why}"));
                break;
            }
        }
        Ok(report)
    }

    /// Why the stage is not settled, if it is not, and its offsets by topic, as pairs of committed and end.
    fn check_stage(&mut self, index: usize) -> Result<(Option<String>, Value), KafkaError> {
        // After the stage before, and before what this one has committed.
        let stage = &self.stages[index];
        let ends = self.ends.written(&stage.partitions)?;
        let committed = committed(stage)?;
        let offsets = shown(&ends, &committed);
        if let Some(open) = self.open_transaction(&ends)? {
            return Ok((Some(open), offsets));
        }
        let read: Offsets = committed
            .iter()
            .map(|(partition, (offset, _))| (partition.clone(), *offset))
            .collect();
        if let Some(unread) = self.unread(&read, &ends)? {
            return Ok((Some(unread), offsets));
        }
        let stage = &self.stages[index];
        if !stage.reads_links {
            let held = committed.iter().find(|(_, (_, progress))| progress.held);
            return Ok((
                held.map(|((topic, partition), _)| {
                    format!("{topic} {partition}: something is held back")
                }),
                offsets,
            ));
        }
        // All its input is read, so all links that come of it are written: now it must have learned them.
        let ends = self.ends.written(std::slice::from_ref(&self.links))?;
        let committed = self::committed(stage)?;
        if let Some(open) = self.open_transaction(&ends)? {
            return Ok((Some(open), offsets));
        }
        let learned = committed
            .values()
            .map(|(_, progress)| progress.links.unwrap_or(0))
            .min()
            .unwrap_or(0);
        let learned = Offsets::from([(self.links.clone(), learned)]);
        let waiting_for = match self.unread(&learned, &ends)? {
            Some(unread) => Some(unread),
            None => {
                let held = committed.iter().find(|(_, (_, progress))| progress.held);
                held.map(|((topic, partition), _)| {
                    format!("{topic} {partition}: something is held back")
                })
            }
        };
        Ok((waiting_for, offsets))
    }

    /// A partition where something below its end is not decided.
    fn open_transaction(&self, ends: &Offsets) -> Result<Option<String>, KafkaError> {
        let partitions: Vec<(String, i32)> = ends.keys().cloned().collect();
        let decided = self.ends.committed(&partitions)?;
        let open = ends
            .iter()
            .find(|(partition, end)| decided.get(partition) < Some(end));
        Ok(open
            .map(|((topic, partition), _)| format!("{topic} {partition}: a transaction is open")))
    }

    /// A partition that holds a record from the offset read up to its end.
    fn unread(&mut self, read: &Offsets, ends: &Offsets) -> Result<Option<String>, KafkaError> {
        let mut behind: BTreeMap<&str, Vec<(i32, i64, i64)>> = BTreeMap::new();
        for (partition, end) in ends {
            let read = read.get(partition).copied().unwrap_or(0);
            let known = self
                .empty
                .get(partition)
                .is_some_and(|(from, to)| *from <= read && end <= to);
            if read < *end && !known {
                behind
                    .entry(&partition.0)
                    .or_default()
                    .push((partition.1, read, *end));
            }
        }
        for (topic, partitions) in behind {
            if let Some(partition) = self.read_for_records(topic, &partitions)? {
                return Ok(Some(format!("{topic} {partition}: records to read")));
            }
            for (partition, from, to) in partitions {
                self.empty.insert((topic.to_owned(), partition), (from, to));
            }
        }
        Ok(None)
    }

    /// Reads ranges of a topic's partitions until a record is found, or none is left to come. All of a range must be
    /// decided before the call.
    fn read_for_records(
        &self,
        topic: &str,
        ranges: &[(i32, i64, i64)],
    ) -> Result<Option<i32>, KafkaError> {
        // End-of-partition events name no topic: none of an earlier call may be left.
        self.reader.unassign()?;
        while self.reader.poll(Duration::ZERO).is_some() {}
        let mut list = TopicPartitionList::with_capacity(ranges.len());
        for (partition, from, _) in ranges {
            let from = if *from == 0 {
                Offset::Beginning
            } else {
                Offset::Offset(*from)
            };
            list.add_partition_offset(topic, *partition, from)?;
        }
        self.reader.assign(&list)?;
        let begin = Instant::now();
        let mut left: BTreeMap<i32, i64> = ranges
            .iter()
            .map(|(partition, _, to)| (*partition, *to))
            .collect();
        let mut found = None;
        while found.is_none() && !left.is_empty() {
            match self.reader.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => match left.get(&message.partition()) {
                    Some(to) if message.offset() < *to => found = Some(message.partition()),
                    _ => {
                        left.remove(&message.partition());
                    }
                },
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    left.remove(&partition);
                }
                Some(Err(error)) => return Err(error),
                None if begin.elapsed() > ANSWER => {
                    found = left.first_key_value().map(|(partition, _)| *partition)
                }
                None => {}
            }
        }
        self.reader.unassign()?;
        Ok(found)
    }
}

/// Offset and progress of each partition; where nothing is committed, none of it is read.
fn committed(stage: &Stage) -> Result<BTreeMap<(String, i32), (i64, Progress)>, KafkaError> {
    let mut list = TopicPartitionList::with_capacity(stage.partitions.len());
    for (topic, partition) in &stage.partitions {
        list.add_partition(topic, *partition);
    }
    let list = crate::kafka::offsets::committed(&stage.group, &list, ANSWER)?;
    let mut committed = BTreeMap::new();
    for element in list.elements() {
        let offset = match element.offset() {
            Offset::Offset(offset) => offset,
            _ => 0,
        };
        let progress = Progress::parse(element.metadata()).unwrap_or_default();
        committed.insert(
            (element.topic().to_owned(), element.partition()),
            (offset, progress),
        );
    }
    Ok(committed)
}

fn shown(ends: &Offsets, committed: &BTreeMap<(String, i32), (i64, Progress)>) -> Value {
    let mut topics: BTreeMap<&str, Vec<(i64, i64)>> = BTreeMap::new();
    for (partition, end) in ends {
        let offset = committed.get(partition).map_or(0, |(offset, _)| *offset);
        topics.entry(&partition.0).or_default().push((offset, *end));
    }
    json!(topics)
}
