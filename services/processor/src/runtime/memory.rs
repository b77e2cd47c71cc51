//! A stage's surroundings in memory: for tests of stages, where no broker is wanted.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::stage::{Broken, Outputs, Store};

/// A message that a stage sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Topic, without prefix.
    pub topic: &'static str,
    /// Partition.
    pub partition: i32,
    /// Key.
    pub key: Vec<u8>,
    /// Framed message.
    pub value: Vec<u8>,
}

/// Store and outputs on maps. Partition counts are those of schemas/topics.toml unless set otherwise.
#[derive(Clone, Debug, Default)]
pub struct MemoryOutputs {
    /// The store's records by input partition.
    pub stored: BTreeMap<i32, BTreeMap<Vec<u8>, Vec<u8>>>,
    /// What was sent, in order; see [`take_sent`](Self::take_sent).
    pub sent: Vec<Sent>,
    /// Partition counts that differ from schemas/topics.toml.
    pub partition_counts: BTreeMap<&'static str, u32>,
}

impl MemoryOutputs {
    /// What was sent since the last call.
    pub fn take_sent(&mut self) -> Vec<Sent> {
        std::mem::take(&mut self.sent)
    }

    /// The last value sent under each (topic, key) so far: what a compacted topic holds.
    #[must_use]
    pub fn compacted(&self) -> BTreeMap<(&'static str, Vec<u8>), Vec<u8>> {
        self.sent
            .iter()
            .map(|sent| ((sent.topic, sent.key.clone()), sent.value.clone()))
            .collect()
    }
}

impl Store for MemoryOutputs {
    fn get(&self, partition: i32, key: &[u8]) -> Result<Option<Vec<u8>>, Broken> {
        Ok(self
            .stored
            .get(&partition)
            .and_then(|records| records.get(key))
            .cloned())
    }

    fn scan(
        &self,
        partition: i32,
        prefix: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        let Some(records) = self.stored.get(&partition) else {
            return Ok(());
        };
        for (key, value) in records
            .range(prefix.to_vec()..)
            .take_while(|(key, _)| key.starts_with(prefix))
        {
            visit(key, value)?;
        }
        Ok(())
    }

    fn next_key(
        &self,
        partition: i32,
        prefix: &[u8],
        after: &[u8],
    ) -> Result<Option<Vec<u8>>, Broken> {
        let behind = (Bound::Excluded(after.to_vec()), Bound::Unbounded);
        let next = self
            .stored
            .get(&partition)
            .and_then(|records| records.range(behind).next());
        Ok(next
            .map(|(key, _)| key.clone())
            .filter(|key| key.starts_with(prefix)))
    }
}

impl Outputs for MemoryOutputs {
    fn send(
        &mut self,
        topic: &'static str,
        partition: i32,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), Broken> {
        if !(0..self.partitions(topic) as i32).contains(&partition) {
            return Err(Broken(format!("{topic} has no partition {partition}")));
        }
        self.sent.push(Sent {
            topic,
            partition,
            key: key.to_vec(),
            value: value.to_vec(),
        });
        Ok(())
    }

    fn partitions(&self, topic: &'static str) -> u32 {
        let stated = tributary_contracts::topics::all()
            .get(topic)
            .map(|topic| topic.partitions);
        self.partition_counts
            .get(topic)
            .copied()
            .or(stated)
            .expect("topics are named by literals of schemas/topics.toml")
    }

    fn put(&mut self, partition: i32, key: &[u8], value: Option<&[u8]>) -> Result<(), Broken> {
        let records = self.stored.entry(partition).or_default();
        match value {
            Some(value) => records.insert(key.to_vec(), value.to_vec()),
            None => records.remove(key),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_visits_the_keys_of_a_prefix_in_order_and_no_other_partition() {
        let mut outputs = MemoryOutputs::default();
        for (partition, key) in [(0, "b1"), (0, "a2"), (0, "a1"), (1, "a3"), (0, "c")] {
            outputs
                .put(partition, key.as_bytes(), Some(b"value"))
                .expect("memory");
        }
        outputs.put(0, b"a1", None).expect("memory");
        outputs.put(0, b"a0", Some(b"")).expect("memory");
        let mut keys = Vec::new();
        outputs
            .scan(0, b"a", &mut |key, _| {
                keys.push(String::from_utf8_lossy(key).into_owned());
                Ok(())
            })
            .expect("memory");
        assert_eq!(keys, ["a0", "a2"]);
    }

    #[test]
    fn a_message_to_a_partition_that_the_topic_does_not_have_is_an_error() {
        let mut outputs = MemoryOutputs::default();
        let partitions = outputs.partitions("orders") as i32;
        assert!(
            outputs
                .send("orders", partitions - 1, b"key", b"value")
                .is_ok()
        );
        assert!(
            outputs
                .send("orders", partitions, b"key", b"value")
                .is_err()
        );
    }
}
