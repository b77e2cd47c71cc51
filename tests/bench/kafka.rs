//! Bare librdkafka: what Tributary's services are compared to, with the properties that they use.

use anyhow::{Context as _, bail};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tributary_platform::kafka::offsets;

/// Of every topic that a service reads from or writes to here.
pub(crate) const PARTITIONS: i32 = 4;
const TIMEOUT: Duration = Duration::from_secs(30);
/// Between looks at acknowledgements.
const PAUSE: Duration = Duration::from_micros(500);

/// A record as it stands on a topic.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) partition: i32,
    pub(crate) key: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

/// The broker.
#[derive(Debug, Clone)]
pub(crate) struct Kafka {
    pub(crate) brokers: String,
}

impl Kafka {
    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("socket.nagle.disable", "true")
            .set("allow.auto.create.topics", "false");
        config
    }

    fn producer(&self, properties: &[(&str, &str)]) -> Result<BaseProducer, KafkaError> {
        let mut config = self.config();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", "none");
        for (key, value) in properties {
            config.set(*key, *value);
        }
        config.create()
    }

    fn consumer(&self, group: &str) -> Result<BaseConsumer, KafkaError> {
        self.config()
            .set("group.id", group)
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("fetch.queue.backoff.ms", "10")
            .set("queued.min.messages", "50000")
            .set("queued.max.messages.kbytes", "32768")
            .create()
    }

    /// Whether the broker answers.
    pub(crate) fn answers(&self) -> bool {
        let consumer: Result<BaseConsumer, _> = self.config().create();
        consumer.is_ok_and(|consumer| {
            consumer
                .fetch_metadata(None, Duration::from_secs(1))
                .is_ok()
        })
    }

    /// A topic of our own.
    pub(crate) fn create(&self, topic: &str) -> anyhow::Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.config().create()?;
        let new = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let results = runtime.block_on(admin.create_topics([&new], &AdminOptions::new()))?;
        match results.into_iter().next() {
            Some(Ok(_)) => Ok(()),
            other => bail!("topic {topic} was not created: {other:?}"),
        }
    }

    /// Where each partition ends.
    pub(crate) fn ends(&self, topic: &str) -> anyhow::Result<Vec<i64>> {
        let consumer = self.consumer("bench")?;
        let end = |partition| anyhow::Ok(consumer.fetch_watermarks(topic, partition, TIMEOUT)?.1);
        (0..PARTITIONS).map(end).collect()
    }

    /// Reads a topic from these offsets to its end.
    pub(crate) fn read(
        &self,
        topic: &str,
        from: &[i64],
        mut each: impl FnMut(&BorrowedMessage<'_>),
    ) -> anyhow::Result<u64> {
        let consumer = self.assigned(topic, from, "bench")?;
        let mut records = 0;
        self.poll_to_end(&consumer, |message| {
            each(message);
            records += 1;
            Ok(())
        })?;
        Ok(records)
    }

    fn assigned(&self, topic: &str, from: &[i64], group: &str) -> anyhow::Result<BaseConsumer> {
        let consumer = self.consumer(group)?;
        let mut partitions = TopicPartitionList::new();
        for (partition, offset) in (0..).zip(from) {
            partitions.add_partition_offset(topic, partition, Offset::Offset(*offset))?;
        }
        consumer.assign(&partitions)?;
        Ok(consumer)
    }

    fn poll_to_end(
        &self,
        consumer: &BaseConsumer,
        mut each: impl FnMut(&BorrowedMessage<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut open = PARTITIONS;
        let mut heard = Instant::now();
        while open > 0 {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => each(&message)?,
                Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
                Some(Err(error)) => return Err(error.into()),
                None if heard.elapsed() > TIMEOUT => bail!("no record came for {TIMEOUT:?}"),
                None => continue,
            }
            heard = Instant::now();
        }
        Ok(())
    }

    /// Produces `count` records, these over and over, until all are acknowledged.
    pub(crate) fn produce(
        &self,
        topic: &str,
        records: &[Record],
        count: u64,
        linger_ms: u32,
    ) -> anyhow::Result<()> {
        let producer = self.producer(&[
            ("linger.ms", &linger_ms.to_string()),
            ("queue.buffering.max.kbytes", "65536"),
            ("queue.buffering.max.messages", "1000000"),
        ])?;
        for index in 0..count {
            let record = &records[usize::try_from(index)? % records.len()];
            send(
                &producer,
                BaseRecord::to(topic)
                    .partition(record.partition)
                    .key(record.key.as_slice())
                    .payload(record.payload.as_slice()),
            )?;
            if index % 256 == 0 {
                producer.poll(Duration::ZERO);
            }
        }
        drain(&producer)
    }

    /// Copies a topic, each `interval` of it in a transaction with the offsets it was read at.
    pub(crate) fn copy(&self, from: &str, to: &str, interval: Duration) -> anyhow::Result<u64> {
        let group = "bench-copy";
        let consumer = self.assigned(from, &[0; PARTITIONS as usize], group)?;
        let producer = self.producer(&[
            ("transactional.id", group),
            ("linger.ms", "2"),
            ("queue.buffering.max.kbytes", "65536"),
            ("queue.buffering.max.messages", "500000"),
        ])?;
        producer.init_transactions(TIMEOUT)?;
        producer.begin_transaction()?;
        let commit = |positions: &BTreeMap<i32, i64>| -> anyhow::Result<()> {
            let mut offsets = TopicPartitionList::new();
            for (partition, offset) in positions {
                offsets.add_partition_offset(from, *partition, Offset::Offset(*offset))?;
            }
            let metadata = consumer
                .group_metadata()
                .context("a consumer with a group has its metadata")?;
            producer.send_offsets_to_transaction(&offsets, &metadata, TIMEOUT)?;
            drain(&producer)?;
            Ok(producer.commit_transaction(TIMEOUT)?)
        };
        let (mut positions, mut records, mut committed) = (BTreeMap::new(), 0_u64, Instant::now());
        self.poll_to_end(&consumer, |message| {
            let record = BaseRecord::to(to).partition(message.partition());
            send(
                &producer,
                record
                    .key(message.key().unwrap_or_default())
                    .payload(message.payload().unwrap_or_default()),
            )?;
            positions.insert(message.partition(), message.offset() + 1);
            records += 1;
            if records.is_multiple_of(64) && committed.elapsed() > interval {
                commit(&positions)?;
                producer.begin_transaction()?;
                committed = Instant::now();
            }
            Ok(())
        })?;
        commit(&positions)?;
        Ok(records)
    }

    /// Where a group has committed; 0 where it has not.
    pub(crate) fn committed(&self, group: &str, topic: &str) -> anyhow::Result<Committed> {
        let mut partitions = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            partitions.add_partition(topic, partition);
        }
        Ok(Committed {
            consumer: self.consumer(group)?,
            partitions,
        })
    }

    /// A member that keeps everybody who prefers another assignment strategy out of a group. Alive until dropped.
    pub(crate) fn occupy(&self, group: &str, topic: &str) -> anyhow::Result<BaseConsumer> {
        let mut config = self.config();
        let consumer: BaseConsumer = config
            .set("group.id", group)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .create()?;
        consumer.subscribe(&[topic])?;
        let begin = Instant::now();
        while consumer.assignment()?.count() == 0 {
            if begin.elapsed() > TIMEOUT {
                bail!("group {group} could not be joined");
            }
            if let Some(result) = consumer.poll(Duration::from_millis(50)) {
                result?;
            }
        }
        Ok(consumer)
    }
}

/// A group's offsets of a topic.
pub(crate) struct Committed {
    consumer: BaseConsumer,
    partitions: TopicPartitionList,
}

impl Committed {
    pub(crate) fn offsets(&self) -> anyhow::Result<Vec<i64>> {
        let committed = offsets::committed(&self.consumer, &self.partitions, TIMEOUT)?;
        Ok(committed
            .elements()
            .iter()
            .map(|element| element.offset().to_raw().unwrap_or(0).max(0))
            .collect())
    }
}

fn send(producer: &BaseProducer, record: BaseRecord<'_, [u8], [u8]>) -> anyhow::Result<()> {
    let mut record = record;
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                std::thread::sleep(PAUSE);
                reap(producer);
                record = back;
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}

/// Waits for all acknowledgements, without the whole rounds of 100 ms that `flush` waits.
fn drain(producer: &BaseProducer) -> anyhow::Result<()> {
    let begin = Instant::now();
    while producer.in_flight_count() > 0 {
        if begin.elapsed() > TIMEOUT {
            bail!(
                "{} records were not acknowledged within {TIMEOUT:?}",
                producer.in_flight_count()
            );
        }
        std::thread::sleep(PAUSE);
        reap(producer);
    }
    Ok(())
}

/// Takes the acknowledgements that are there. One that stays longer would not sleep but spin, and be measured.
fn reap(producer: &BaseProducer) {
    let mut before = i32::MAX;
    while producer.in_flight_count() < before {
        before = producer.in_flight_count();
        producer.poll(Duration::ZERO);
    }
}
