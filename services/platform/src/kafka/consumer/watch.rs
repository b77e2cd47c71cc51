//! What librdkafka tells besides records: rebalances, and by its statistics how far partitions reach.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionList;
use serde::Deserialize;

use crate::kafka::connect::{forward_error, forward_log};

/// Collects what callbacks say, for the thread that polls.
#[derive(Default)]
pub(super) struct Watch {
    rebalances: Mutex<Vec<Rebalanced>>,
    statistics: Mutex<Option<Statistics>>,
}

/// A step of a rebalance.
pub(super) enum Rebalanced {
    Assigned(TopicPartitionList),
    Revoked,
}

/// The part of librdkafka's statistics that is read here.
#[derive(Deserialize)]
pub(super) struct Statistics {
    pub(super) topics: HashMap<String, Topic>,
}

#[derive(Deserialize)]
pub(super) struct Topic {
    pub(super) partitions: HashMap<i32, Ends>,
}

/// How far a partition reaches.
#[derive(Clone, Copy, Deserialize)]
pub(super) struct Ends {
    /// Records fetched and not yet polled, of all partitions, since their queues are one.
    fetchq_cnt: i64,
    /// The next offset to fetch.
    next_offset: i64,
    /// The last end that was met, behind transaction markers.
    eof_offset: i64,
    /// The last stable offset.
    pub(super) ls_offset: i64,
    /// The first offset that still exists.
    pub(super) lo_offset: i64,
}

impl Ends {
    /// The end, if everything before it has been polled.
    pub(super) fn reached(self) -> Option<i64> {
        (self.fetchq_cnt == 0 && self.eof_offset == self.next_offset).then_some(self.eof_offset)
    }
}

impl Watch {
    pub(super) fn rebalances(&self) -> Vec<Rebalanced> {
        std::mem::take(
            &mut *self
                .rebalances
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    pub(super) fn statistics(&self) -> Option<Statistics> {
        self.statistics
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn note(&self, step: Rebalanced) {
        self.rebalances
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(step);
    }
}

impl ClientContext for Watch {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        forward_log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        forward_error(&error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        // A form that is not understood only makes ends known later.
        if let Ok(statistics) = serde_json::from_slice(statistics) {
            *self
                .statistics
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = Some(statistics);
        }
    }
}

impl ConsumerContext for Watch {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(_) = rebalance {
            self.note(Rebalanced::Revoked);
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => self.note(Rebalanced::Assigned((*list).clone())),
            Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => tracing::warn!(%error, "rebalance failed"),
        }
    }
}
