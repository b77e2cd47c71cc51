//! What a flush sends, on its way into a transaction.

use std::collections::BTreeMap;

use rdkafka::error::KafkaError;
use rustc_hash::FxHashMap;
use tributary_contracts::{framing, keys, topics, wire};
use tributary_core::time::Timestamp;
use tributary_platform::kafka::connect;
use tributary_platform::kafka::transaction::{Track, TransactionalProducer};
use tributary_platform::state;

use super::changelog::{INCARNATION_KEY, incarnation_record};
use super::stage::{Broken, Outputs, Poison, Store};

/// Topic of records that could not be used.
const DEAD_LETTERS: &str = "dead_letters";

/// A stage's view of its store.
pub(super) struct View<'a>(pub(super) &'a state::Store);

impl Store for View<'_> {
    fn get(&self, partition: i32, key: &[u8]) -> Result<Option<Vec<u8>>, Broken> {
        self.0.get(partition, key).map_err(|error| broken(&error))
    }

    fn scan(
        &self,
        partition: i32,
        prefix: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        let mut stopped = None;
        let result = self.0.scan(partition, prefix, &mut |key, value| {
            visit(key, value).map_err(|broken| {
                stopped = Some(broken);
                Stopped::ByVisitor
            })
        });
        match (result, stopped) {
            (Ok(()), _) => Ok(()),
            (Err(_), Some(broken)) => Err(broken),
            (Err(Stopped::ByDisk(error)), None) => Err(broken(&error)),
            (Err(Stopped::ByVisitor), None) => Ok(()),
        }
    }

    fn next_key(
        &self,
        partition: i32,
        prefix: &[u8],
        after: &[u8],
    ) -> Result<Option<Vec<u8>>, Broken> {
        self.0
            .next_key(partition, prefix, after)
            .map_err(|error| broken(&error))
    }
}

enum Stopped {
    ByVisitor,
    ByDisk(state::Error),
}

impl From<state::Error> for Stopped {
    fn from(error: state::Error) -> Self {
        Stopped::ByDisk(error)
    }
}

fn broken(error: &state::Error) -> Broken {
    Broken(error.to_string())
}

/// The topics that a stage may write to.
pub(super) struct Topics(FxHashMap<&'static str, Topic>);

struct Topic {
    /// With prefix.
    name: String,
    partitions: u32,
    /// Records, since this was last asked.
    sent: u64,
}

impl Topics {
    pub(super) fn new(kafka: &tributary_platform::config::Kafka) -> Self {
        let topic = |(name, topic): (&'static String, &topics::Topic)| {
            let out = Topic {
                name: connect::topic(kafka, name),
                partitions: topic.partitions,
                sent: 0,
            };
            (name.as_str(), out)
        };
        Self(topics::all().iter().map(topic).collect())
    }

    fn count(&mut self, topic: &'static str) -> &str {
        let topic = self.0.get_mut(topic).expect(NAMED);
        topic.sent += 1;
        &topic.name
    }

    fn partitions(&self, topic: &'static str) -> u32 {
        self.0.get(topic).expect(NAMED).partitions
    }

    /// What was sent since the last call, by topic.
    pub(super) fn take_sent(&mut self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0
            .iter_mut()
            .map(|(name, topic)| (*name, std::mem::take(&mut topic.sent)))
            .filter(|(_, sent)| *sent > 0)
    }
}

const NAMED: &str = "topics are named by literals of schemas/topics.toml";

/// A transaction that begins with the first record; without any there is none.
pub(super) struct Transaction<'a> {
    pub(super) producer: &'a TransactionalProducer,
    pub(super) store: &'a mut state::Store,
    pub(super) changelog: &'static str,
    pub(super) topics: &'a mut Topics,
    /// Partitions of the changelog without an incarnation, and which it will be.
    pub(super) announce: BTreeMap<i32, String>,
    pub(super) begun: bool,
    /// The first error of Kafka, which the stage only sees as text.
    pub(super) failure: Option<KafkaError>,
}

impl Transaction<'_> {
    /// Begins it, if no record has.
    pub(super) fn begin(&mut self) -> Result<(), KafkaError> {
        if !self.begun {
            self.producer.begin()?;
            self.begun = true;
        }
        Ok(())
    }

    /// Names the changelog's partition, ahead of its first record.
    fn announce(&mut self, partition: i32) -> Result<(), KafkaError> {
        match self.announce.remove(&partition) {
            None => Ok(()),
            Some(incarnation) => {
                let record = incarnation_record(&incarnation);
                self.record(
                    self.changelog,
                    partition,
                    INCARNATION_KEY,
                    Some(&record),
                    Track::Offset,
                )
            }
        }
    }

    /// Puts a record that the stage could not use among the dead letters.
    pub(super) fn dead_letter(&mut self, letter: &DeadLetter) -> Result<(), KafkaError> {
        let message = wire::DeadLetter {
            // Who sent it is not known: what could not be read says nothing.
            workspace: "",
            source: "",
            stage: letter.stage,
            reason: letter.poison.reason,
            detail: &letter.poison.detail,
            message_id: "",
            received_at: letter.received_at,
            payload: &letter.payload,
            topic: &letter.topic,
            partition: letter.partition,
            offset: letter.offset,
        };
        let value = framing::encode(&message).expect("a dead letter is text, numbers and bytes");
        let key = keys::joined(&["", ""]);
        let partition = keys::partition(&key, self.partitions(DEAD_LETTERS));
        self.record(DEAD_LETTERS, partition, &key, Some(&value), Track::No)
    }

    fn record(
        &mut self,
        topic: &'static str,
        partition: i32,
        key: &[u8],
        value: Option<&[u8]>,
        track: Track,
    ) -> Result<(), KafkaError> {
        self.begin()?;
        self.producer
            .send(self.topics.count(topic), partition, key, value, track)
    }

    fn told(&mut self, topic: &str, result: Result<(), KafkaError>) -> Result<(), Broken> {
        result.map_err(|error| {
            let text = format!("could not send to {topic}: {error}");
            self.failure.get_or_insert(error);
            Broken(text)
        })
    }
}

impl Store for Transaction<'_> {
    fn get(&self, partition: i32, key: &[u8]) -> Result<Option<Vec<u8>>, Broken> {
        View(self.store).get(partition, key)
    }

    fn scan(
        &self,
        partition: i32,
        prefix: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        View(self.store).scan(partition, prefix, visit)
    }

    fn next_key(
        &self,
        partition: i32,
        prefix: &[u8],
        after: &[u8],
    ) -> Result<Option<Vec<u8>>, Broken> {
        View(self.store).next_key(partition, prefix, after)
    }
}

impl Outputs for Transaction<'_> {
    fn send(
        &mut self,
        topic: &'static str,
        partition: i32,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), Broken> {
        let result = self.record(topic, partition, key, Some(value), Track::No);
        self.told(topic, result)
    }

    fn partitions(&self, topic: &'static str) -> u32 {
        self.topics.partitions(topic)
    }

    fn put(&mut self, partition: i32, key: &[u8], value: Option<&[u8]>) -> Result<(), Broken> {
        if key == INCARNATION_KEY {
            return Err(Broken("a state record has an empty key".to_owned()));
        }
        let changelog = self.changelog;
        let announced = self.announce(partition);
        let result =
            announced.and_then(|()| self.record(changelog, partition, key, value, Track::Offset));
        self.told(changelog, result)?;
        self.store.put(partition, key, value);
        Ok(())
    }
}

/// A record that the stage could not use.
pub(super) struct DeadLetter {
    pub(super) stage: &'static str,
    pub(super) poison: Poison,
    pub(super) received_at: Timestamp,
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) payload: Vec<u8>,
}
