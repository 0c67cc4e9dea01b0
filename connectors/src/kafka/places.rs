//! From where to where a partition is read, asked from the broker once, before it is assigned.

use super::context::Context;
use super::options::{OnReset, Place, SourceConfig};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::time::Duration;
use tidewheel_core::time::{OFFSET_MAX, PARTITION_MAX};

/// Why the broker's answer does not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It cannot be reached now.
    Away(String),
    /// The topic is not there.
    Missing,
    /// Trying again does not help.
    Fatal(String),
}

/// A partition's part that is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    /// The first offset.
    pub(super) start: u64,
    /// One past the last offset of a bounded read.
    pub(super) end: Option<u64>,
    /// It begins at the first record that is left, and there were others before.
    pub(super) cut: bool,
    /// It begins elsewhere than it should: records that are passed over, and why.
    pub(super) reset: Option<(u64, String)>,
}

/// The broker, and how long to wait for each answer.
pub(super) struct Broker<'a> {
    pub(super) consumer: &'a BaseConsumer<Context>,
    pub(super) config: &'a SourceConfig,
    pub(super) timeout: Duration,
}

impl Broker<'_> {
    /// The partitions of the topic.
    pub(super) fn partitions(&self) -> Result<Vec<u32>, Trouble> {
        let topic = &self.config.topic;
        let metadata = self
            .consumer
            .fetch_metadata(Some(topic), self.timeout)
            .map_err(|error| self.trouble(&error))?;
        let Some(found) = metadata.topics().first() else {
            return Err(Trouble::Missing);
        };
        if let Some(error) = found.error() {
            return Err(self.trouble(&KafkaError::MetadataFetch(error.into())));
        }
        if found.partitions().is_empty() {
            return Err(Trouble::Missing);
        }
        let mut ids: Vec<u32> = found
            .partitions()
            .iter()
            .filter_map(|p| u32::try_from(p.id()).ok())
            .collect();
        ids.sort_unstable();
        match ids.last() {
            Some(last) if *last > PARTITION_MAX => Err(Trouble::Fatal(format!(
                "the topic '{topic}' has a partition {last}; the highest that can be read is \
                 {PARTITION_MAX}"
            ))),
            _ => Ok(ids),
        }
    }

    /// What to read of a partition. `requested` is where a checkpoint says to go on; `added`
    /// means that the partition was not there when the others were begun.
    pub(super) fn span(
        &self,
        partition: u32,
        requested: Option<u64>,
        added: bool,
    ) -> Result<Span, Trouble> {
        let topic = &self.config.topic;
        let (low, high) = self
            .consumer
            .fetch_watermarks(topic, partition as i32, self.timeout)
            .map_err(|error| self.trouble(&error))?;
        let (low, high) = (low.max(0) as u64, high.max(0) as u64);
        let mut start = match requested {
            Some(offset) => offset,
            // Records of a new partition are new, wherever reading began in the others.
            None if added => low,
            None => self.offset(&self.config.start, partition, low, high)?,
        };
        let mut reset = None;
        if start < low || start > high {
            let why = out_of_range(topic, partition, start, low, high);
            let Some(next) = self.config.after_reset(low, high) else {
                return Err(Trouble::Fatal(format!("{why}; {ADVICE}")));
            };
            let from = if start < low { start } else { low };
            reset = Some((next.saturating_sub(from), why));
            start = next;
        }
        if high > OFFSET_MAX {
            return Err(Trouble::Fatal(format!(
                "partition {partition} of the topic '{topic}' has reached offset {high}; the \
                 highest that can be read is {OFFSET_MAX}"
            )));
        }
        let end = match &self.config.end {
            None => None,
            Some(place) => Some(self.offset(place, partition, low, high)?.min(high)),
        };
        Ok(Span {
            start,
            end,
            cut: start == low && low > 0,
            reset,
        })
    }

    fn offset(&self, place: &Place, partition: u32, low: u64, high: u64) -> Result<u64, Trouble> {
        match place {
            Place::Earliest => Ok(low),
            Place::Latest => Ok(high),
            Place::Offsets(offsets) => {
                // Flink: what is not named begins at its group's offset. Here: at its beginning
                // as a start, at its end as an end.
                let is_end = self.config.end.as_ref() == Some(place);
                Ok(offsets
                    .get(&partition)
                    .copied()
                    .unwrap_or(if is_end { high } else { low }))
            }
            Place::Timestamp(time) => {
                let mut list = TopicPartitionList::new();
                list.add_partition_offset(
                    &self.config.topic,
                    partition as i32,
                    Offset::Offset(*time),
                )
                .map_err(|error| self.trouble(&error))?;
                let found = self
                    .consumer
                    .offsets_for_times(list, self.timeout)
                    .map_err(|error| self.trouble(&error))?;
                Ok(first_offset(&found).unwrap_or(high))
            }
            Place::Group => {
                let mut list = TopicPartitionList::new();
                list.add_partition(&self.config.topic, partition as i32);
                let found = self
                    .consumer
                    .committed_offsets(list, self.timeout)
                    .map_err(|error| self.trouble(&error))?;
                match (first_offset(&found), &self.config.uncommitted) {
                    (Some(offset), _) => Ok(offset),
                    (None, Place::Group) => Err(Trouble::Fatal(format!(
                        "the group '{}' has committed no offset of partition {partition}; write \
                         another 'scan.startup.mode', or 'properties.auto.offset.reset' = \
                         'earliest'",
                        self.config.client.get("group.id").unwrap_or_default()
                    ))),
                    (None, other) => self.offset(other, partition, low, high),
                }
            }
        }
    }

    /// What an error means for going on.
    pub(super) fn trouble(&self, error: &KafkaError) -> Trouble {
        use RDKafkaErrorCode as Code;
        let topic = &self.config.topic;
        let Some(code) = error.rdkafka_error_code() else {
            return Trouble::Away(error.to_string());
        };
        match code {
            Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
                Trouble::Missing
            }
            Code::TopicAuthorizationFailed => Trouble::Fatal(format!(
                "the user may not read the topic '{topic}'; allow READ and DESCRIBE on it"
            )),
            Code::ClusterAuthorizationFailed
            | Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::IllegalSASLState => Trouble::Fatal(format!(
                "the broker refuses the login ({code}); check 'properties.security.protocol' and \
                 'properties.sasl.*'"
            )),
            Code::GroupAuthorizationFailed if self.config.start == Place::Group => {
                Trouble::Fatal(format!(
                    "the user may not read the group '{}'; allow READ on it, or write another \
                     'scan.startup.mode'",
                    self.config.client.get("group.id").unwrap_or_default()
                ))
            }
            _ => Trouble::Away(format!("{code}")),
        }
    }
}

impl SourceConfig {
    /// Where a partition goes on whose place is not there any more, if it may.
    pub(super) fn after_reset(&self, low: u64, high: u64) -> Option<u64> {
        match self.on_reset {
            OnReset::Fail => None,
            OnReset::Earliest => Some(low),
            OnReset::Latest => Some(high),
        }
    }
}

/// What to do about a place that is not there.
pub(super) const ADVICE: &str = "to go on all the same, set 'scan.on-reset' = 'earliest' (with the \
    oldest record that is left) or 'latest' (with what comes from now on), or start anew with \
    'scan.startup.mode' = 'earliest-offset'";

/// The message for an offset that is not there.
pub(super) fn out_of_range(
    topic: &str,
    partition: u32,
    offset: u64,
    low: u64,
    high: u64,
) -> String {
    let why = if offset < low {
        format!(
            "{} records were deleted before they were read",
            low - offset
        )
    } else {
        "the topic was made anew, or has lost its end".to_owned()
    };
    format!(
        "offset {offset} of partition {partition} is not in the topic '{topic}', which holds {low} \
         to {high}: {why}"
    )
}

fn first_offset(list: &TopicPartitionList) -> Option<u64> {
    match list.elements().first()?.offset() {
        Offset::Offset(offset) => u64::try_from(offset).ok(),
        _ => None,
    }
}
