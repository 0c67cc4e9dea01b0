//! What the client's own threads report: errors, and each second how brokers and partitions are.

use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::Arc;

/// A broker that has said nothing for so long, in microseconds, counts as away: with fetches
/// under way it answers at least each `fetch.wait.max.ms`.
const SILENCE_MAX_US: i64 = 5_000_000;

/// Shared between the client and the source.
#[derive(Clone, Default)]
pub(super) struct Context(Arc<Mutex<Reports>>);

#[derive(Default)]
struct Reports {
    health: Option<Health>,
    error: Option<(KafkaError, String)>,
}

impl Context {
    /// The newest report, once.
    pub(super) fn take_health(&self) -> Option<Health> {
        self.0.lock().health.take()
    }

    /// The newest error's text, once.
    pub(super) fn take_error(&self) -> Option<(KafkaError, String)> {
        self.0.lock().error.take()
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Debug => tracing::trace!(target: "kafka", facility, message),
            _ => tracing::debug!(target: "kafka", facility, message),
        }
    }

    fn stats_raw(&self, statistics: &[u8]) {
        match serde_json::from_slice(statistics) {
            Ok(health) => self.0.lock().health = Some(health),
            Err(error) => tracing::debug!(target: "kafka", %error, "statistics cannot be read"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if !matches!(error, KafkaError::PartitionEOF(_)) {
            tracing::debug!(target: "kafka", %error, reason);
            self.0.lock().error = Some((error, reason.to_owned()));
        }
    }
}

impl ConsumerContext for Context {}

/// The part of librdkafka's statistics that is needed (its STATISTICS.md).
#[derive(Debug, Default, Deserialize)]
pub(super) struct Health {
    #[serde(default)]
    brokers: HashMap<String, Broker>,
    #[serde(default)]
    topics: HashMap<String, Topic>,
}

#[derive(Debug, Deserialize)]
struct Broker {
    nodeid: i32,
    state: String,
    #[serde(default)]
    rxidle: i64,
}

#[derive(Debug, Deserialize)]
struct Topic {
    #[serde(default)]
    partitions: HashMap<String, Partition>,
}

#[derive(Debug, Deserialize)]
struct Partition {
    partition: i32,
    broker: i32,
    leader: i32,
    #[serde(default)]
    unknown: bool,
    /// Offset behind the newest record, and behind the newest of a transaction that has ended;
    /// below 0: not known yet.
    #[serde(default = "unknown_offset")]
    hi_offset: i64,
    #[serde(default = "unknown_offset")]
    ls_offset: i64,
}

fn unknown_offset() -> i64 {
    -1
}

impl Health {
    /// The partitions that the topic has.
    pub(super) fn partitions(&self, topic: &str) -> Vec<u32> {
        let known = self
            .topics
            .get(topic)
            .map(|topic| topic.partitions.values());
        known
            .into_iter()
            .flatten()
            .filter(|partition| !partition.unknown && partition.leader >= 0)
            .filter_map(|partition| u32::try_from(partition.partition).ok())
            .collect()
    }

    /// The offset behind the newest record of a partition that may be read.
    pub(super) fn end(&self, topic: &str, partition: u32) -> Option<u64> {
        let topic = self.topics.get(topic)?;
        let found = topic.partitions.get(&partition.to_string())?;
        u64::try_from(found.ls_offset)
            .or_else(|_| u64::try_from(found.hi_offset))
            .ok()
    }

    /// Why a partition cannot be read now; `None` when its broker answers.
    pub(super) fn away(&self, topic: &str, partition: u32) -> Option<String> {
        let found = self
            .topics
            .get(topic)
            .and_then(|t| t.partitions.get(&partition.to_string()));
        let Some(found) = found else {
            return Some(format!("partition {partition} is unknown"));
        };
        let id = if found.broker >= 0 {
            found.broker
        } else {
            found.leader
        };
        let Some(broker) = self
            .brokers
            .values()
            .find(|broker| broker.nodeid == id && id >= 0)
        else {
            return Some(format!("partition {partition} has no leader"));
        };
        let up = matches!(broker.state.as_str(), "UP" | "UPDATE");
        if !up {
            return Some(format!(
                "broker {id} of partition {partition} is not connected"
            ));
        }
        (broker.rxidle > SILENCE_MAX_US)
            .then(|| format!("broker {id} of partition {partition} does not answer"))
    }
}
