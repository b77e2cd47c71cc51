//! The whole service on a port of its own, in front of librdkafka's mock cluster.

// Each test file is a program of its own and uses a part of this.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Message, OwnedMessage};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tributary_platform::admin_http::Readiness;
use tributary_platform::config::{Config, Secret, Source};
use tributary_platform::lifecycle::Lifecycle;
use tributary_platform::metrics::Metrics;

pub(crate) const KEY: &str = "the-write-key";
pub(crate) const PARTITIONS: i32 = 4;
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) cluster: MockCluster<'static, DefaultProducerContext>,
    pub(crate) address: String,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Readiness,
    lifecycle: Option<Lifecycle>,
    runtime: Runtime,
    consumer: BaseConsumer,
}

/// An answer as a client sees it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        assert_eq!(
            self.headers.get("content-type").map(String::as_str),
            Some("application/json"),
            "{self:?}"
        );
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// `error.code` and `error.field`, after a look at the message.
    pub(crate) fn error(&self) -> (String, String) {
        let json = self.json();
        assert!(
            json["error"]["message"]
                .as_str()
                .is_some_and(|message| message.len() > 10),
            "{json}"
        );
        let text = |name: &str| json["error"][name].as_str().unwrap_or("").to_owned();
        (text("code"), text("field"))
    }
}

impl World {
    /// Ready to take events, with one source whose key is [`KEY`].
    pub(crate) fn start(change: impl FnOnce(&mut Config)) -> Self {
        let world = Self::boot(change);
        eventually("ingest is ready", || world.readiness.is_ready());
        world
    }

    /// Just started.
    pub(crate) fn boot(change: impl FnOnce(&mut Config)) -> Self {
        let cluster = MockCluster::new(1).expect("a mock cluster");
        cluster
            .create_topic("tributary.touchpoints", PARTITIONS, 1)
            .expect("a topic");
        cluster
            .create_topic("tributary.dead_letters", 1, 1)
            .expect("a topic");
        let mut config = Config::default();
        config.workspaces = vec![config.workspace.clone()];
        config.kafka.brokers = cluster.bootstrap_servers();
        config.sources = vec![source(&config, "site", KEY)];
        change(&mut config);
        let runtime = Runtime::new().expect("a runtime");
        let (metrics, readiness) = (Metrics::default(), Readiness::default());
        let mut lifecycle = Lifecycle::default();
        let scope = lifecycle.component("ingest", PATIENCE);
        let address = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("an address").to_string();
            tributary_ingest::start(&config, listener, &scope, &metrics, &readiness)
                .expect("ingest starts");
            address
        });
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", cluster.bootstrap_servers())
            .set("group.id", "test")
            .set("enable.auto.commit", "false")
            .create()
            .expect("a consumer");
        Self {
            cluster,
            address,
            metrics,
            readiness,
            lifecycle: Some(lifecycle),
            runtime,
            consumer,
        }
    }

    /// Stops as the process would: what is in flight is answered first. The tasks that did not stop in time.
    pub(crate) fn stop(&mut self) -> Vec<String> {
        self.lifecycle.take().map_or_else(Vec::new, |lifecycle| {
            self.runtime.block_on(lifecycle.stop())
        })
    }

    /// Begins a stop without waiting for its end.
    pub(crate) fn begin_stop(&mut self) -> tokio::task::JoinHandle<Vec<String>> {
        let lifecycle = self.lifecycle.take().expect("stopped once");
        self.runtime.spawn(lifecycle.stop())
    }

    pub(crate) fn wait<T: Send + 'static>(&self, handle: tokio::task::JoinHandle<T>) -> T {
        self.runtime.block_on(handle).expect("no panic")
    }

    /// Posts a body with the key in the header.
    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        self.request(
            "POST",
            path,
            &[("Authorization", &basic(KEY))],
            body.as_bytes(),
        )
    }

    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut connection = self.connect();
        send(&mut connection, method, path, headers, body);
        receive(&mut connection)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let connection = TcpStream::connect(&self.address).expect("a connection");
        connection
            .set_read_timeout(Some(PATIENCE))
            .expect("a timeout");
        connection
    }

    /// The first `count` records of a topic, of all its partitions.
    pub(crate) fn records(&self, topic: &str, count: usize) -> Vec<OwnedMessage> {
        let partitions = if topic == "tributary.touchpoints" {
            PARTITIONS
        } else {
            1
        };
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(topic, partition, Offset::Beginning)
                .expect("a partition");
        }
        self.consumer.assign(&list).expect("an assignment");
        let started = Instant::now();
        let mut records = Vec::new();
        while records.len() < count {
            assert!(
                started.elapsed() < PATIENCE,
                "{} of {count} records on {topic}",
                records.len()
            );
            if let Some(record) = self.consumer.poll(Duration::from_millis(50)) {
                records.push(record.expect("a record").detach());
            }
        }
        records
    }

    /// The value of one series of `/metrics`.
    pub(crate) fn metric(&self, series: &str) -> u64 {
        let text = self.metrics.render();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in\n{text}"))
            .parse()
            .expect("a whole number")
    }

    /// Events of the source `site` that ended so.
    pub(crate) fn events(&self, outcome: &str) -> u64 {
        self.metric(&format!(r#"tributary_ingest_events_total{{outcome="{outcome}",source="site",workspace="default"}}"#))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop();
    }
}

pub(crate) fn source(config: &Config, name: &str, key: &str) -> Source {
    let write_keys = vec![Secret::new(key)];
    Source {
        name: name.to_owned(),
        write_keys,
        order_namespace: "online".to_owned(),
        ..config.source.clone()
    }
}

pub(crate) fn basic(key: &str) -> String {
    use base64::Engine as _;
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(format!("{key}:"))
    )
}

pub(crate) fn payload(record: &OwnedMessage) -> &[u8] {
    record.payload().expect("a payload")
}

/// Waits for a condition that nothing announces.
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn send(
    connection: &mut TcpStream,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) {
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: ingest.example\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    connection
        .write_all(&[head.as_bytes(), body].concat())
        .expect("a request is sent");
}

/// Reads one answer, which must state its length.
pub(crate) fn receive(connection: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        let mut piece = [0; 4096];
        let read = connection.read(&mut piece).expect("an answer");
        assert!(
            read > 0,
            "closed after {:?}",
            String::from_utf8_lossy(&bytes)
        );
        bytes.extend_from_slice(&piece[..read]);
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).expect("a head of text");
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1)?.parse().ok())
        .expect("a status");
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers
        .get("content-length")
        .map_or(0, |length| length.parse().expect("a length"));
    let mut body = bytes[head_end + 4..].to_vec();
    let have = body.len();
    body.resize(length, 0);
    connection
        .read_exact(&mut body[have..])
        .expect("the whole body");
    Answer {
        status,
        headers,
        body,
    }
}
