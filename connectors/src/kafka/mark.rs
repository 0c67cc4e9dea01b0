//! Records that are known again: whether a place in a topic is still the same.
//!
//! A topic that was deleted and made anew has the same offsets with other records. The client
//! says nothing once it has grown past the place, so the record before it is compared.

use super::context::Context;
use super::options::SourceConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tidewheel_core::Mark;
use xxhash_rust::xxh3::Xxh3;

/// A record's mark: its timestamp and value.
pub(super) fn of(offset: u64, timestamp_ms: Option<i64>, payload: &[u8]) -> Mark {
    let mut hash = Xxh3::new();
    hash.update(&timestamp_ms.unwrap_or(-1).to_le_bytes());
    hash.update(payload);
    let check = hash.digest();
    Mark { offset, check }
}

/// A client of its own: the reader's own place does not move.
fn client(config: &SourceConfig) -> Result<(BaseConsumer<Context>, Context), String> {
    let mut client = config.client.clone();
    client.set("statistics.interval.ms", "0");
    let context = Context::default();
    let consumer = client.create_with_context(context.clone());
    Ok((consumer.map_err(said)?, context))
}

// As `map_err` hands it over.
#[allow(clippy::needless_pass_by_value)]
fn said(error: KafkaError) -> String {
    error.to_string()
}

/// The marks of the records at these offsets, by partition; `None` where there is no record at
/// the offset (compacted, deleted, a transaction's end).
///
/// # Errors
/// The broker did not answer in time; says why.
pub(super) fn read(
    config: &SourceConfig,
    offsets: &BTreeMap<u32, u64>,
    timeout: Duration,
) -> Result<BTreeMap<u32, Option<Mark>>, String> {
    let (consumer, context) = client(config)?;
    read_by(&consumer, &context, config, offsets, timeout)
}

/// The marks that were asked for, and the ends of partitions.
type Looked = (BTreeMap<u32, Option<Mark>>, BTreeMap<u32, u64>);

/// What [`read`] gives, and for each of `partitions` that can be asked the offset behind its last
/// record.
///
/// # Errors
/// The broker did not answer in time; says why.
pub(super) fn look(
    config: &SourceConfig,
    offsets: &BTreeMap<u32, u64>,
    partitions: &[u32],
    timeout: Duration,
) -> Result<Looked, String> {
    let (consumer, context) = client(config)?;
    let marks = read_by(&consumer, &context, config, offsets, timeout)?;
    let mut ends = BTreeMap::new();
    for partition in partitions {
        match consumer.fetch_watermarks(&config.topic, *partition as i32, timeout) {
            Ok((_, end)) => {
                ends.insert(*partition, u64::try_from(end).unwrap_or(0));
            }
            // One without a leader says nothing of the others.
            Err(error) => tracing::debug!(target: "kafka", %error, partition, "no end"),
        }
    }
    Ok((marks, ends))
}

fn read_by(
    consumer: &BaseConsumer<Context>,
    context: &Context,
    config: &SourceConfig,
    offsets: &BTreeMap<u32, u64>,
    timeout: Duration,
) -> Result<BTreeMap<u32, Option<Mark>>, String> {
    if offsets.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut list = TopicPartitionList::new();
    for (partition, offset) in offsets {
        let offset = Offset::Offset(i64::try_from(*offset).unwrap_or(i64::MAX));
        list.add_partition_offset(&config.topic, *partition as i32, offset)
            .map_err(said)?;
    }
    consumer.assign(&list).map_err(said)?;
    let end = Instant::now() + timeout;
    let mut found = BTreeMap::new();
    while found.len() < offsets.len() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let reason = context.take_error().map(|(_, reason)| reason);
            return Err(reason.unwrap_or_else(|| "the broker does not answer".to_owned()));
        }
        match consumer.poll(left.min(Duration::from_millis(100))) {
            None => {}
            Some(Ok(message)) => {
                let partition = message.partition() as u32;
                let offset = message.offset().max(0) as u64;
                let payload = message.payload().unwrap_or_default();
                let mark = of(offset, message.timestamp().to_millis(), payload);
                let is_it = offsets.get(&partition) == Some(&offset);
                found.entry(partition).or_insert(is_it.then_some(mark));
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                found.entry(partition as u32).or_insert(None);
            }
            Some(Err(error)) => match error.rdkafka_error_code() {
                // Which partition is not said: those that do not answer are gone with it.
                Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                    for partition in offsets.keys() {
                        found.entry(*partition).or_insert(None);
                    }
                }
                _ => tracing::debug!(target: "kafka", %error, "goes on"),
            },
        }
    }
    Ok(found)
}
