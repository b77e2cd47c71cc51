//! The whole sink, on a real broker and the real engine.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::BaseConsumer;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tributary_embedded::child;
use tributary_platform::admin_http::Readiness;
use tributary_platform::clickhouse::Client;
use tributary_platform::config::{Config, Kafka};
use tributary_platform::kafka::offsets::{self, Ends};
use tributary_platform::kafka::{connect, topics};
use tributary_platform::lifecycle::Lifecycle;
use tributary_platform::metrics::Metrics as Registry;

use super::engine::{options, text};
use super::events::{order, resolved, touchpoint};
use super::servers;
use crate::encode::TOPICS;
use crate::{Options, run};

/// Of anything that is awaited: a busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(120);
/// Says to the process of [`a_process_that_is_told_to_be_a_sink_is_one`] what to be.
const SINK: &str = "TRIBUTARY_TEST_SINK";

/// Topics and a database of a test's own.
struct Place {
    config: Config,
    client: Client,
}

impl Place {
    async fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let mut config = Config::default();
        config.kafka.brokers = servers::broker().to_owned();
        config.kafka.topic_prefix = format!("sink{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        config.clickhouse = options();
        topics::ensure(&config.kafka, PATIENCE)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        let client = Client::new(&config.clickhouse);
        Self { config, client }
    }

    /// Writes touchpoints `m0` to `m{count - 1}` of this prefix, spread over the partitions, in transactions, with an
    /// aborted one amid them.
    fn produce(&self, prefix: &str, count: usize) {
        let id = format!("{}-{prefix}", self.config.kafka.topic_prefix);
        let config = connect::properties(&self.config.kafka, &id, &[("transactional.id", &id)]);
        let producer: BaseProducer = config.create().expect("a producer");
        producer
            .init_transactions(PATIENCE)
            .expect("the broker knows transactions");
        let topic = connect::topic(&self.config.kafka, "resolved");
        let send = |number: usize, mark: &str| {
            let (id, order_id) = (format!("{prefix}{mark}{number}"), format!("o{number}"));
            let mut event = touchpoint(&id, "c1", super::events::START + number as i64 * 1_000);
            if number.is_multiple_of(10) {
                event.order = Some(order(&order_id, &["p1"]));
            }
            let value = resolved(event);
            let record = BaseRecord::<(), _>::to(&topic)
                .partition((number % 4) as i32)
                .payload(&value);
            producer
                .send(record)
                .map_err(|(error, _)| error)
                .expect("the queue is long enough");
        };
        let numbers: Vec<usize> = (0..count).collect();
        for (index, numbers) in numbers.chunks(count.div_ceil(4)).enumerate() {
            producer.begin_transaction().expect("a transaction");
            numbers.iter().for_each(|number| send(*number, "m"));
            producer.commit_transaction(PATIENCE).expect("it commits");
            if index == 1 {
                producer.begin_transaction().expect("a transaction");
                numbers.iter().for_each(|number| send(*number, "never"));
                producer.flush(PATIENCE).expect("the broker takes them");
                producer.abort_transaction(PATIENCE).expect("it aborts");
            }
        }
    }

    /// Waits until what is committed has met the ends of all topics of the sink.
    async fn stored(&self) {
        let kafka = self.config.kafka.clone();
        let wait = tokio::task::spawn_blocking(move || stored(&kafka));
        wait.await.expect("it does not panic");
    }

    async fn text(&self, select: &str) -> String {
        text(&self.client, select).await
    }
}

fn stored(kafka: &Kafka) {
    let group = format!("{}-sink", kafka.topic_prefix);
    let consumer: BaseConsumer = connect::properties(kafka, "test", &[("group.id", &group)])
        .create()
        .expect("a consumer");
    let ends = Ends::new(kafka, "test", PATIENCE).expect("a consumer");
    let mut list = TopicPartitionList::new();
    for topic in TOPICS {
        list.add_partition_range(
            &connect::topic(kafka, topic.name),
            0,
            topic.contract().partitions as i32 - 1,
        );
    }
    let partitions: Vec<(String, i32)> = list
        .elements()
        .iter()
        .map(|element| (element.topic().to_owned(), element.partition()))
        .collect();
    let ends = ends.committed(&partitions).expect("the broker answers");
    let begin = Instant::now();
    loop {
        let committed = offsets::committed(&consumer, &list, PATIENCE).expect("the broker answers");
        let committed: BTreeMap<(String, i32), i64> = committed
            .elements()
            .iter()
            .filter_map(|element| match element.offset() {
                Offset::Offset(offset) => {
                    Some(((element.topic().to_owned(), element.partition()), offset))
                }
                _ => None,
            })
            .collect();
        if ends
            .iter()
            .all(|(partition, end)| committed.get(partition).is_some_and(|offset| offset >= end))
        {
            return;
        }
        assert!(
            begin.elapsed() < PATIENCE,
            "committed {committed:?} of {ends:?}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn start(config: &Config) -> Lifecycle {
    let mut lifecycle = Lifecycle::default();
    let scope = lifecycle.component("sink", PATIENCE);
    scope.spawn(
        "sink",
        run(
            Options::new(config, "test"),
            scope.clone(),
            Registry::default(),
            Readiness::default(),
        ),
    );
    lifecycle
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_committed_in_kafka_is_in_the_tables_once_and_offsets_meet_their_ends() {
    let place = Place::new().await;
    let counts = "SELECT count(), uniqExact(message_id), countIf(message_id LIKE '%never%') FROM {db}.touchpoints";
    place.produce("a", 4_000);
    let lifecycle = start(&place.config);
    place.stored().await;
    assert_eq!(place.text(counts).await, "4000\t4000\t0");
    place.produce("b", 400);
    place.stored().await;
    assert_eq!(lifecycle.stop().await, Vec::<String>::new());

    place.produce("c", 40);
    let lifecycle = start(&place.config);
    place.stored().await;
    assert_eq!(place.text(counts).await, "4440\t4440\t0");
    assert_eq!(
        place
            .text("SELECT count(), uniqExact(message_id) FROM {db}.order_lines")
            .await,
        "444\t444"
    );
    lifecycle.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_nobody_can_read_is_a_dead_letter_and_holds_up_nothing() {
    let place = Place::new().await;
    let producer: BaseProducer = connect::properties(&place.config.kafka, "test", &[])
        .create()
        .expect("a producer");
    let topic = connect::topic(&place.config.kafka, "resolved");
    let good = resolved(touchpoint("m1", "c1", super::events::START));
    for value in [b"what is this".as_slice(), &good, b"\0\0\0\0\x63?"] {
        producer
            .send(BaseRecord::<(), _>::to(&topic).partition(1).payload(value))
            .map_err(|(error, _)| error)
            .expect("a short queue");
    }
    producer.flush(PATIENCE).expect("the broker takes them");
    let lifecycle = start(&place.config);
    place.stored().await;
    // They come back as records of their own topic.
    place.stored().await;
    let letters =
        "SELECT stage, reason, partition, offset, payload FROM {db}.dead_letters ORDER BY offset";
    assert_eq!(
        place.text(letters).await,
        "sink\tnot_framed\t1\t0\twhat is this\nsink\tunknown_schema\t1\t2\t\\0\\0\\0\\0c?"
    );
    assert_eq!(
        place
            .text("SELECT groupArray(message_id) FROM {db}.touchpoints")
            .await,
        "['m1']"
    );
    lifecycle.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_sinks_with_one_name_one_goes_on() {
    let place = Place::new().await;
    place.produce("a", 400);
    let mut first = start(&place.config);
    place.stored().await;
    // Shuts out the first, which joins anew and shuts out this one, and so on.
    let mut second = start(&place.config);
    let (ended, other) = tokio::select! {
        failure = first.failure() => (failure, second),
        failure = second.failure() => (failure, first),
        () = tokio::time::sleep(PATIENCE) => panic!("both go on"),
    };
    assert!(
        ended.to_string().contains("the same data folder"),
        "{ended}"
    );
    place.produce("b", 400);
    place.stored().await;
    let counts = "SELECT count(), uniqExact(message_id) FROM {db}.touchpoints";
    assert_eq!(place.text(counts).await, "800\t800");
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_the_sink_stores_each_row_once() {
    const EVENTS: usize = 6_000;
    let mut place = Place::new().await;
    // Small ranges, so that a kill finds one under way.
    place.config.sink.max_rows = 40;
    place.config.sink.max_delay = Duration::from_millis(20);
    tributary_platform::migrate::run(&place.client)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    place.produce("a", EVENTS);
    let told = serde_json::json!({
        "brokers": place.config.kafka.brokers,
        "prefix": place.config.kafka.topic_prefix,
        "url": place.config.clickhouse.url,
        "database": place.config.clickhouse.database,
    });
    for life in 1..=5 {
        let mut command =
            std::process::Command::new(std::env::current_exe().expect("this test binary"));
        command
            .args([
                "--exact",
                "tests::pipeline::a_process_that_is_told_to_be_a_sink_is_one",
            ])
            .env(SINK, told.to_string());
        let mut sink = child::bind_to_parent(&mut command)
            .spawn()
            .expect("it starts");
        let wanted = EVENTS * life / 8;
        let begin = Instant::now();
        while place
            .text("SELECT count() FROM {db}.touchpoints")
            .await
            .parse::<usize>()
            .expect("a number")
            < wanted
        {
            assert!(begin.elapsed() < PATIENCE, "life {life} stores nothing");
        }
        sink.kill().expect("it runs");
        sink.wait().expect("it was killed");
    }
    let lifecycle = start(&place.config);
    place.stored().await;
    let counts = "SELECT count(), uniqExact(message_id) FROM {db}.touchpoints";
    assert_eq!(place.text(counts).await, format!("{EVENTS}\t{EVENTS}"));
    let lines = "SELECT count(), uniqExact(message_id) FROM {db}.order_lines";
    assert_eq!(place.text(lines).await, format!("{0}\t{0}", EVENTS / 10));
    lifecycle.stop().await;
}

/// The process that [`killed_again_and_again_the_sink_stores_each_row_once`] kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_told_to_be_a_sink_is_one() {
    let Ok(told) = std::env::var(SINK) else {
        return;
    };
    let told: BTreeMap<String, String> =
        serde_json::from_str(&told).expect("what the parent wrote");
    let mut config = Config::default();
    config.kafka.brokers.clone_from(&told["brokers"]);
    config.kafka.topic_prefix.clone_from(&told["prefix"]);
    config.clickhouse.url.clone_from(&told["url"]);
    config.clickhouse.database.clone_from(&told["database"]);
    config.sink.max_rows = 40;
    config.sink.max_delay = Duration::from_millis(20);
    let mut lifecycle = start(&config);
    panic!("{}", lifecycle.failure().await);
}
