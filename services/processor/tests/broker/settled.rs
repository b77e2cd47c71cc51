//! `/settled` on a real broker: true only once everything is read, learned, published and committed.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tributary_platform::admin_http::Settled;
use tributary_platform::settled::{Progress, Settlement};

use crate::support::{PATIENCE, Topics, client};

/// A system whose stages are played by the test.
struct System {
    topics: Topics,
    settlement: Settlement,
    runtime: tokio::runtime::Runtime,
}

impl System {
    fn start() -> Self {
        let topics = Topics::create();
        let settlement = Settlement::new(&topics.kafka);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        Self {
            topics,
            settlement,
            runtime,
        }
    }

    fn ask(&self) -> Settled {
        self.runtime.block_on(self.settlement.check())
    }

    /// What it waits for; none when it is settled.
    fn waits_for(&self) -> Option<String> {
        let Settled { settled, detail } = self.ask();
        let waiting_for = detail["waiting_for"].as_str().map(str::to_owned);
        assert_eq!(settled, waiting_for.is_none(), "{detail}");
        waiting_for
    }

    /// Sends in a transaction, so that a marker follows.
    fn transact(&self, id: &str, records: &[(&str, &str)]) -> BaseProducer {
        let id = format!("{}-{id}", self.topics.kafka.topic_prefix);
        let producer: BaseProducer = client(&self.topics.kafka, &[("transactional.id", &id)])
            .create()
            .expect("a producer");
        producer.init_transactions(PATIENCE).expect("kafka answers");
        producer.begin_transaction().expect("a transaction");
        for (topic, key) in records {
            let partitions = tributary_contracts::topics::all()[*topic].partitions;
            let partition = tributary_contracts::keys::partition(key.as_bytes(), partitions);
            let topic = self.topics.name(topic);
            let record = BaseRecord::to(&topic)
                .partition(partition)
                .key(*key)
                .payload("");
            producer
                .send(record)
                .map_err(|(error, _)| error)
                .expect("the queue has room");
        }
        producer.flush(PATIENCE).expect("kafka acknowledges");
        producer
    }

    /// Commits for a stage that it has read all that is there, up to the last record: markers are never told of.
    fn commit(&self, stage: &str, topics: &[&str], progress: Option<&Progress>) {
        let group = format!("{}-{stage}", self.topics.kafka.topic_prefix);
        let consumer: BaseConsumer = client(
            &self.topics.kafka,
            &[("group.id", &group), ("enable.auto.commit", "false")],
        )
        .create()
        .expect("a consumer");
        let mut list = TopicPartitionList::new();
        for topic in topics {
            for (partition, records) in self.counts(topic) {
                let mut element = list.add_partition(&self.topics.name(topic), partition);
                element
                    .set_offset(Offset::Offset(records))
                    .expect("an offset");
                if let Some(progress) = progress {
                    element.set_metadata(progress.to_metadata());
                }
            }
        }
        consumer
            .commit(&list, CommitMode::Sync)
            .expect("kafka answers");
    }

    /// For each partition the offset after its last committed record.
    fn counts(&self, topic: &str) -> BTreeMap<i32, i64> {
        let partitions = tributary_contracts::topics::all()[topic].partitions;
        let mut counts: BTreeMap<i32, i64> = (0..partitions as i32)
            .map(|partition| (partition, 0))
            .collect();
        for (partition, offset) in self.topics.offsets(topic) {
            counts.insert(partition, offset + 1);
        }
        counts
    }
}

fn learned(links: i64) -> Progress {
    Progress {
        links: Some(links),
        held: false,
    }
}

#[test]
fn a_system_that_nothing_was_sent_to_is_settled() {
    assert_eq!(System::start().waits_for(), None);
}

#[test]
fn stage_by_stage_what_is_not_read_is_waited_for() {
    let system = System::start();
    system.topics.send("touchpoints", [("c1", b"".as_slice())]);
    let waits = |expected: &str| {
        let waits_for = system.waits_for();
        assert!(
            waits_for
                .as_deref()
                .is_some_and(|text| text.starts_with(expected)),
            "{expected}: {waits_for:?}"
        );
    };
    waits("observe: ");

    // Observe reads it, and says so in the transaction of what it sends.
    let outputs = [
        ("links", "l"),
        ("claims", "o"),
        ("atoms", "p"),
        ("resolved", "c1"),
    ];
    let producer = system.transact("observe", &outputs);
    system.commit("observe", &["touchpoints"], Some(&learned(0)));
    waits("observe: ");
    producer
        .commit_transaction(PATIENCE)
        .expect("kafka answers");
    waits("observe: ");
    assert!(
        system.waits_for().expect("waits").contains(".links"),
        "it has not learned its own link"
    );
    system.commit("observe", &["touchpoints"], Some(&learned(1)));

    waits("once: ");
    system.commit("once", &["claims"], None);
    waits("profile: ");
    // What once sends to the profile stage while the profile stage has read all of observe's.
    system.commit("profile", &["atoms"], None);
    system
        .transact("once", &[("atoms", "q"), ("orders", "o")])
        .commit_transaction(PATIENCE)
        .expect("kafka answers");
    waits("profile: ");
    system.commit("profile", &["atoms"], None);
    system
        .transact("profile", &[("contributions", "k")])
        .commit_transaction(PATIENCE)
        .expect("kafka answers");
    waits("kpi: ");
    system.commit(
        "kpi",
        &["contributions"],
        Some(&Progress {
            links: None,
            held: true,
        }),
    );
    waits("kpi: ");
    assert!(system.waits_for().expect("waits").contains("held back"));
    system.commit(
        "kpi",
        &["contributions"],
        Some(&Progress {
            links: None,
            held: false,
        }),
    );
    waits("sink: ");
    system.commit("sink", &["resolved", "orders", "links"], None);
    assert_eq!(system.waits_for(), None);

    system.topics.send("dead_letters", [("d", b"".as_slice())]);
    waits("sink: ");
    system.commit("sink", &["dead_letters"], None);
    assert_eq!(system.waits_for(), None);
}

#[test]
fn an_open_transaction_is_waited_for_and_an_aborted_one_leaves_nothing_to_read() {
    let system = System::start();
    let producer = system.transact("observe", &[("claims", "o")]);
    let waits_for = system.waits_for();
    assert!(
        waits_for
            .as_deref()
            .is_some_and(|text| text.contains("a transaction is open")),
        "{waits_for:?}"
    );
    producer.abort_transaction(PATIENCE).expect("kafka answers");
    crate::support::wait_for("the abort", || system.waits_for().is_none().then_some(()));
    // The same range is not read again, and a record behind it is seen.
    assert_eq!(system.waits_for(), None);
    system.topics.send("claims", [("o", b"".as_slice())]);
    assert!(system.waits_for().is_some());
}

#[test]
fn a_kafka_that_does_not_answer_is_not_settled() {
    let kafka = tributary_platform::config::Kafka {
        // The port of discard: nothing listens there.
        brokers: "127.0.0.1:9".to_owned(),
        ..tributary_platform::config::Config::default().kafka
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let answer = runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(60), Settlement::new(&kafka).check())
            .await
            .expect("it gives up")
    });
    assert!(!answer.settled, "{answer:?}");
}
