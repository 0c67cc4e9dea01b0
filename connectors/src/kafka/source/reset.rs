//! Places that are not there any more: records deleted before they were read, topics made anew.

use super::super::context::Context;
use super::super::mark;
use super::super::places::{ADVICE, out_of_range};
use super::{ASK_TIMEOUT, KafkaSource, OPEN_TIMEOUT, Partition, RETRY, source_error};
use crate::kafka::chunk::Gathering;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use tidewheel_core::{Mark, SourceError};

impl KafkaSource {
    /// True while records that come may not be those that are expected.
    pub(super) fn is_held(&self) -> bool {
        let missing = self.missing_since.is_some() && !self.partitions.is_empty();
        missing || self.look_at_range || !self.unverified.is_empty()
    }

    /// Compares the records before the places with what they were.
    pub(super) fn compare(&mut self) -> Result<(), SourceError> {
        let mut wanted = BTreeMap::new();
        self.unverified.retain(|number, mark| {
            let same =
                |partition: &Partition| !partition.finished && partition.position > mark.offset;
            let known = self.partitions.get(number).is_some_and(same);
            if known {
                wanted.insert(*number, mark.offset);
            }
            known
        });
        if wanted.is_empty() {
            return Ok(());
        }
        let found = match mark::read(&self.config, &wanted, OPEN_TIMEOUT) {
            Ok(found) => found,
            Err(reason) => {
                self.ask_at = self.env.monotonic() + RETRY;
                self.away(format!("Kafka cannot be reached: {reason}"));
                return Ok(());
            }
        };
        self.replace_unverified(&found)
    }

    /// Begins anew in the partitions whose record is another one than the one that was read there.
    ///
    /// # Errors
    /// The option `scan.on-reset` says to fail.
    pub(super) fn replace_unverified(
        &mut self,
        found: &BTreeMap<u32, Option<Mark>>,
    ) -> Result<(), SourceError> {
        while let Some((number, mark)) = self.unverified.pop_first() {
            let other = found.get(&number).copied().flatten();
            if other.is_none_or(|other| other == mark) {
                continue;
            }
            let topic = &self.config.topic;
            let why = format!(
                "the topic '{topic}' was made anew: the record at offset {} of partition {number} is \
                 not the one that was read there",
                mark.offset
            );
            let ends = self
                .consumer
                .fetch_watermarks(topic, number as i32, OPEN_TIMEOUT);
            match ends {
                Ok((low, high)) => {
                    let (low, high) = (low.max(0) as u64, high.max(0) as u64);
                    self.begin_again(number, (low, high), low, &why)?;
                }
                Err(error) => {
                    self.unverified.insert(number, mark);
                    self.ask_at = self.env.monotonic() + RETRY;
                    self.away(format!("Kafka cannot be reached: {error}"));
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// After word that an offset is not there: the client does not say of which partition it
    /// speaks, so the broker is asked.
    pub(super) fn look_at_range(&mut self) -> Result<(), SourceError> {
        let topic = self.config.topic.clone();
        let numbers: Vec<u32> = self.partitions.keys().copied().collect();
        let mut found = false;
        for number in numbers {
            let Some(position) = self.partitions.get(&number).map(|known| known.position) else {
                continue;
            };
            let marks = self
                .consumer
                .fetch_watermarks(&topic, number as i32, ASK_TIMEOUT);
            let (low, high) = match marks {
                Ok((low, high)) => (low.max(0) as u64, high.max(0) as u64),
                Err(error) => {
                    self.look_at_range = true;
                    self.ask_at = self.env.monotonic() + RETRY;
                    self.away(format!("Kafka cannot be reached: {error}"));
                    return Ok(());
                }
            };
            if position < low || position > high {
                let why = out_of_range(&topic, number, position, low, high);
                let from = if position < low { position } else { low };
                self.begin_again(number, (low, high), from, &why)?;
                found = true;
            }
        }
        self.look_at_range = false;
        if !found {
            // All is there after all: the topic may have been made anew and have grown.
            let marks = self.marks.clone();
            self.unverified.extend(marks);
        }
        if !found && self.stopped {
            let places: Vec<(u32, u64)> = self
                .partitions
                .iter()
                .filter(|(_, partition)| !partition.finished)
                .map(|(number, partition)| (*number, partition.position))
                .collect();
            for (number, position) in places {
                self.seek(number, position);
            }
        }
        self.stopped = false;
        Ok(())
    }

    /// Goes on where the option `scan.on-reset` says; `from` is the first record that is passed
    /// over where it says the end.
    ///
    /// # Errors
    /// It says to fail.
    fn begin_again(
        &mut self,
        number: u32,
        (low, high): (u64, u64),
        from: u64,
        why: &str,
    ) -> Result<(), SourceError> {
        let Some(next) = self.config.after_reset(low, high) else {
            return Err(SourceError(format!("{why}; {ADVICE}")));
        };
        self.passed_over(number, next, next.saturating_sub(from), why);
        self.marks.remove(&number);
        self.identity.forget(number);
        for to_come in &mut self.marks_to_come {
            // What waits to be handed on is of the topic before.
            if to_come.is_some_and(|(partition, _)| partition == number) {
                *to_come = None;
            }
        }
        self.seek(number, next);
        Ok(())
    }

    /// Says that a partition goes on elsewhere.
    pub(super) fn passed_over(&mut self, partition: u32, next: u64, lost: u64, why: &str) {
        self.lost += lost;
        let topic = &self.config.topic;
        tracing::warn!(
            topic,
            partition,
            next,
            lost,
            why,
            "reading goes on elsewhere"
        );
    }

    /// A partition is to be read from there.
    fn seek(&mut self, number: u32, position: u64) {
        let Some(partition) = self.partitions.get_mut(&number) else {
            return;
        };
        partition.position = position;
        partition.gathering = Gathering::default();
        (partition.at_end, partition.say_at_end) = (false, false);
        self.renew = true;
    }

    /// Reads on with a client of its own. One that has known a topic before it was made anew may
    /// never fetch of the new one, whatever it is told to: it asks by the id that the topic had.
    ///
    /// # Errors
    /// The client refuses what the one before had taken.
    pub(super) fn renew_client(&mut self) -> Result<(), SourceError> {
        self.renew = false;
        let context = Context::default();
        let client = self.config.client.create_with_context(context.clone());
        let consumer: BaseConsumer<Context> = client.map_err(|error| source_error(&error))?;
        self.context = context;
        self.ends.clear();
        self.away_looks = 0;
        let before = std::mem::replace(&mut self.consumer, consumer);
        // It may take its time to end; nothing is to be waited for.
        let ending = std::thread::Builder::new().name("kafka-ending".to_owned());
        if let Err(error) = ending.spawn(move || drop(before)) {
            tracing::debug!(target: "kafka", %error, "the client before was ended here");
        }
        let topic = &self.config.topic;
        let mut paused = TopicPartitionList::new();
        let mut places = TopicPartitionList::new();
        for (number, partition) in &self.partitions {
            if partition.finished {
                continue;
            }
            let (number, place) = (*number as i32, Offset::Offset(partition.position as i64));
            places
                .add_partition_offset(topic, number, place)
                .map_err(|error| source_error(&error))?;
            if partition.paused {
                paused.add_partition(topic, number);
            }
        }
        if places.count() > 0 {
            self.consumer
                .incremental_assign(&places)
                .map_err(|error| source_error(&error))?;
        }
        if paused.count() > 0 {
            self.consumer
                .pause(&paused)
                .map_err(|error| source_error(&error))?;
        }
        Ok(())
    }

    /// Takes over what the records before the places were.
    pub(super) fn expect(&mut self, marks: BTreeMap<u32, Mark>) {
        for (number, mark) in &marks {
            self.marks.insert(*number, *mark);
            self.identity.handed_on(*number, *mark);
        }
        self.unverified = marks;
    }
}
