//! The dead letters topic as the place where unusable records go.

use std::time::Duration;

use tributary_contracts::wire::DeadLetter;
use tributary_contracts::{framing, keys, topics};
use tributary_core::time::Timestamp;
use tributary_platform::config::{Compression, Kafka};
use tributary_platform::kafka::connect;
use tributary_platform::kafka::producer::{self, Options, Producer, Settled};
use tributary_platform::lifecycle::Scope;

use crate::ports::{Letter, Letters, NotSent};

/// The name without prefix.
const TOPIC: &str = "dead_letters";
/// Letters are rare; one range's worth is sent at a time.
const QUEUE_BYTES: usize = 64 * 1024 * 1024;

/// Counted where they are sent from.
#[derive(Debug)]
struct Uncounted;

impl Settled for Uncounted {
    fn settled(&self, _: usize, _: usize) {}
}

/// Sends dead letters to Kafka.
#[derive(Debug)]
pub(crate) struct KafkaLetters {
    producer: Producer<Uncounted>,
    topic: String,
    partitions: u32,
}

impl KafkaLetters {
    pub(crate) fn start(
        kafka: &Kafka,
        instance: &str,
        scope: &Scope,
    ) -> Result<Self, producer::Error> {
        let options = Options {
            kafka: kafka.clone(),
            client_id: format!("{instance}-letters"),
            compression: Compression::None,
            acks_timeout: Duration::from_secs(30),
            linger: Duration::from_millis(5),
            queue_bytes: QUEUE_BYTES,
        };
        let partitions = topics::all().get(TOPIC).map_or(1, |topic| topic.partitions);
        Ok(Self {
            producer: Producer::start(&options, scope)?,
            topic: connect::topic(kafka, TOPIC),
            partitions,
        })
    }
}

impl Letters for KafkaLetters {
    async fn send(&self, letters: &[Letter<'_>]) -> Result<(), NotSent> {
        let batch = self.producer.batch(Uncounted);
        for letter in letters {
            // What cannot be decoded does not tell its workspace and source.
            let (workspace, source) = ("", "");
            let message = framing::encode(&DeadLetter {
                workspace,
                source,
                stage: "sink",
                reason: letter.reason,
                detail: letter.detail,
                message_id: "",
                // The record's own time, so that a letter sent again is the same letter.
                received_at: Timestamp(letter.timestamp).clamped(),
                payload: letter.value,
                topic: letter.topic,
                partition: letter.partition,
                offset: letter.offset,
            });
            let message = message.map_err(|_| NotSent)?;
            let key = keys::joined(&[workspace, source]);
            let partition = keys::partition(&key, self.partitions).cast_unsigned();
            batch
                .send(&self.topic, partition, &key, &message)
                .map_err(|_| NotSent)?;
        }
        batch.acknowledged().await.map_err(|_| NotSent)
    }
}

impl Drop for KafkaLetters {
    fn drop(&mut self) {
        self.producer.close();
    }
}
