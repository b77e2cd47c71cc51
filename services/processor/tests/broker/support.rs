//! The broker, and topics of a test's own on it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Message, OwnedMessage};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tributary_platform::config::{Config, Kafka};

/// Nothing here takes that long; what does is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Where the broker listens. It is started with the first test and ends with the process.
fn brokers() -> &'static str {
    static BROKERS: OnceLock<String> = OnceLock::new();
    BROKERS.get_or_init(|| {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("processor-kafka");
        let _ = std::fs::remove_dir_all(&folder);
        let port = || {
            let listener = std::net::TcpListener::bind("127.0.0.1:0")
                .expect("the loopback address has free ports");
            listener.local_addr().expect("it is bound").port()
        };
        let (port, controller_port) = (port(), port());
        let options = tributary_embedded::kafka::Options::new(folder, port, controller_port);
        let (ready, is_ready) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            let ended = runtime.block_on(tributary_embedded::kafka::run(
                options,
                std::future::pending(),
                || {
                    ready.send(()).expect("the test waits for it");
                },
            ));
            panic!("the broker ended: {ended:?}");
        });
        is_ready
            .recv_timeout(PATIENCE)
            .expect("the broker starts: see its log in the target folder");
        format!("127.0.0.1:{port}")
    })
}

/// Topics of one test.
pub(crate) struct Topics {
    pub(crate) kafka: Kafka,
    producer: BaseProducer,
}

impl Topics {
    /// Creates all of them, under a prefix that nobody else uses.
    pub(crate) fn create() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let kafka = Kafka {
            brokers: brokers().to_owned(),
            topic_prefix: format!(
                "test-{}-{}",
                std::process::id(),
                NUMBER.fetch_add(1, Ordering::Relaxed)
            ),
            ..Config::default().kafka
        };
        let topics = Self {
            producer: client(&kafka, &[("linger.ms", "2")])
                .create()
                .expect("a producer"),
            kafka,
        };
        topics.ensure();
        topics
    }

    pub(crate) fn ensure(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime
            .block_on(tributary_platform::kafka::topics::ensure(
                &self.kafka,
                Duration::from_secs(20),
            ))
            .expect("topics are created");
    }

    pub(crate) fn name(&self, topic: &str) -> String {
        format!("{}.{topic}", self.kafka.topic_prefix)
    }

    /// Sends records and waits until they are acknowledged. The partition is the key's hash, as everywhere.
    pub(crate) fn send<'a>(
        &self,
        topic: &str,
        records: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) {
        let partitions = tributary_contracts::topics::all()[topic].partitions;
        let topic = self.name(topic);
        for (key, value) in records {
            let partition = tributary_contracts::keys::partition(key.as_bytes(), partitions);
            self.producer
                .send(
                    BaseRecord::to(&topic)
                        .partition(partition)
                        .key(key)
                        .payload(value),
                )
                .map_err(|(error, _)| error)
                .expect("the queue has room");
        }
        self.producer.flush(PATIENCE).expect("kafka acknowledges");
    }

    /// Everything that is committed on a topic now, in the order of each partition.
    pub(crate) fn read(&self, topic: &str) -> Vec<(String, Option<Vec<u8>>)> {
        let records = self.records(topic).into_iter();
        records
            .map(|message| {
                let key = String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned();
                (key, message.payload().map(<[u8]>::to_vec))
            })
            .collect()
    }

    /// Partition and offset of everything that is committed on a topic now.
    pub(crate) fn offsets(&self, topic: &str) -> Vec<(i32, i64)> {
        self.records(topic)
            .iter()
            .map(|message| (message.partition(), message.offset()))
            .collect()
    }

    fn records(&self, topic: &str) -> Vec<OwnedMessage> {
        let partitions = tributary_contracts::topics::all()[topic].partitions as i32;
        let topic = self.name(topic);
        let properties = [
            ("group.id", "reader"),
            ("isolation.level", "read_committed"),
            ("enable.partition.eof", "true"),
        ];
        let consumer: BaseConsumer = client(&self.kafka, &properties)
            .create()
            .expect("a consumer");
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(&topic, partition, Offset::Beginning)
                .expect("an offset");
        }
        consumer.assign(&list).expect("assigned");
        let (mut records, mut ended, begin) = (Vec::new(), BTreeMap::new(), Instant::now());
        while ended.len() < partitions as usize {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => records.push(message.detach()),
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    ended.insert(partition, ());
                }
                Some(Err(error)) => panic!("{topic}: {error}"),
                None => assert!(begin.elapsed() < PATIENCE, "{topic} has no end"),
            }
        }
        records
    }
}

/// A client of the test's own, on librdkafka's terms.
pub(crate) fn client(kafka: &Kafka, properties: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &kafka.brokers);
    for (key, value) in properties {
        config.set(*key, *value);
    }
    config
}

/// Asks until the answer is there.
pub(crate) fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
