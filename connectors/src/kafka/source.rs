//! Reading a topic on the caller's thread.

mod identity;
mod reset;

use super::chunk::{Gathering, Wanted};
use super::context::Context;
use super::options::{SourceConfig, source_config};
use super::places::{Broker, Trouble};
use super::properties::config_error;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tidewheel_core::{
    ConnectorError, Env, LagAmount, Mark, PartitionLag, Source, SourceError, SourceEvent,
    SourceRequest,
};

/// How long opening waits for each answer of the broker before the source starts without it.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// The same while records are being read.
const ASK_TIMEOUT: Duration = Duration::from_secs(1);
/// Wait between two tries to reach the broker.
const RETRY: Duration = Duration::from_secs(1);
/// All partitions' chunks together hold at most so many times the bytes of one.
const GATHER_FACTOR: usize = 4;

/// Reads one topic.
pub(super) struct KafkaSource {
    consumer: BaseConsumer<Context>,
    context: Context,
    config: SourceConfig,
    env: Arc<dyn Env>,
    /// Where a checkpoint says to go on.
    requested: BTreeMap<u32, u64>,
    wanted: Wanted,
    partitions: BTreeMap<u32, Partition>,
    events: VecDeque<SourceEvent>,
    /// Partitions that are waiting for the broker to say where they begin: all before the first
    /// answer, later the new ones.
    must_ask: bool,
    /// When to ask next.
    ask_at: Duration,
    missing_since: Option<Duration>,
    /// Looks in a row at which a partition's broker was away.
    away_looks: u32,
    bytes_read: u64,
    /// The offset behind each partition's newest record, as the client heard of it last.
    ends: BTreeMap<u32, u64>,
    /// Reading was to begin at a time.
    from_time: bool,
    /// The last record handed on, by partition.
    marks: BTreeMap<u32, Mark>,
    /// Of the chunks among the events, in their order; `None`: it is none any more.
    marks_to_come: VecDeque<Option<(u32, Mark)>>,
    /// Places that are read from once the record before has been compared with this.
    unverified: BTreeMap<u32, Mark>,
    identity: identity::Identity,
    /// An offset was not there, and the broker has not said yet which.
    look_at_range: bool,
    /// The client has stopped reading some partition.
    stopped: bool,
    /// The client is to be replaced before anything more is read.
    renew: bool,
    /// Records that were passed over.
    lost: u64,
}

struct Partition {
    /// Records before its start are gone.
    cut: bool,
    start: u64,
    end: Option<u64>,
    /// The next offset.
    position: u64,
    gathering: Gathering,
    at_end: bool,
    /// True from the end until it has been said.
    say_at_end: bool,
    finished: bool,
    paused: bool,
}

impl KafkaSource {
    pub(super) fn open(request: &SourceRequest) -> Result<Self, ConnectorError> {
        let mut config = source_config(&request.table)?;
        if let Some(from) = request.from_ms {
            config.start = super::options::Place::Timestamp(from);
        }
        let context = Context::default();
        let consumer: BaseConsumer<Context> = config
            .client
            .create_with_context(context.clone())
            .map_err(config_error)?;
        let mut source = Self {
            consumer,
            context,
            config,
            env: request.env.clone(),
            requested: request.start.clone(),
            wanted: Wanted::new(&request.metadata),
            partitions: BTreeMap::new(),
            events: VecDeque::new(),
            must_ask: true,
            ask_at: Duration::ZERO,
            missing_since: None,
            away_looks: 0,
            bytes_read: 0,
            ends: BTreeMap::new(),
            from_time: request.from_ms.is_some(),
            marks: BTreeMap::new(),
            marks_to_come: VecDeque::new(),
            unverified: BTreeMap::new(),
            identity: identity::Identity::default(),
            look_at_range: false,
            stopped: false,
            renew: false,
            lost: 0,
        };
        source
            .ask(OPEN_TIMEOUT, true)
            .map_err(|error| ConnectorError::new(error.0))?;
        // The partitions found now are told by `partitions`.
        source
            .events
            .retain(|event| !matches!(event, SourceEvent::Added { .. }));
        Ok(source)
    }

    /// Asks the broker for the partitions that are not read yet and begins them.
    fn ask(&mut self, timeout: Duration, opening: bool) -> Result<(), SourceError> {
        let added = !self.partitions.is_empty();
        let answer = self.ask_once(timeout, added);
        let now = self.env.monotonic();
        self.ask_at = now + RETRY;
        match answer {
            Ok(spans) => {
                self.must_ask = false;
                if self.missing_since.take().is_some() {
                    // It may have been made anew.
                    self.unverified.extend(self.marks.clone());
                    self.look_at_range = !self.partitions.is_empty();
                    self.stopped = true;
                }
                self.begin(spans)
            }
            Err(Trouble::Fatal(message)) => Err(SourceError(message)),
            Err(Trouble::Away(message)) => {
                let reason = self
                    .context
                    .take_error()
                    .map_or(message, |(_, reason)| reason);
                self.away(format!("Kafka cannot be reached: {reason}"));
                Ok(())
            }
            Err(Trouble::Missing) => {
                let since = *self.missing_since.get_or_insert(now);
                let topic = &self.config.topic;
                if !opening && now.saturating_sub(since) >= self.config.topic_timeout {
                    return Err(SourceError(format!(
                        "there is no topic '{topic}'; make it, or correct the option 'topic'"
                    )));
                }
                self.away(format!("there is no topic '{topic}' yet"));
                Ok(())
            }
        }
    }

    fn ask_once(
        &self,
        timeout: Duration,
        added: bool,
    ) -> Result<Vec<(u32, super::places::Span)>, Trouble> {
        let broker = Broker {
            consumer: &self.consumer,
            config: &self.config,
            timeout,
        };
        let mut spans = Vec::new();
        for partition in broker.partitions()? {
            if !self.partitions.contains_key(&partition) {
                let requested = self.requested.get(&partition).copied();
                spans.push((partition, broker.span(partition, requested, added)?));
            }
        }
        Ok(spans)
    }

    fn begin(&mut self, spans: Vec<(u32, super::places::Span)>) -> Result<(), SourceError> {
        let mut list = TopicPartitionList::new();
        // After all have been told of, or the first end would look like the last one.
        let mut ended = Vec::new();
        for (number, span) in spans {
            if let Some((lost, why)) = &span.reset {
                self.passed_over(number, span.start, *lost, why);
            }
            let finished = span.end.is_some_and(|end| span.start >= end);
            self.events
                .push_back(SourceEvent::Added { partition: number });
            if finished {
                ended.push(SourceEvent::Finished { partition: number });
            } else {
                let offset = Offset::Offset(span.start as i64);
                list.add_partition_offset(&self.config.topic, number as i32, offset)
                    .map_err(|error| source_error(&error))?;
            }
            let partition = Partition {
                cut: span.cut,
                start: span.start,
                end: span.end,
                position: span.start,
                gathering: Gathering::default(),
                at_end: false,
                say_at_end: false,
                finished,
                paused: false,
            };
            self.partitions.insert(number, partition);
        }
        self.events.extend(ended);
        if list.count() == 0 {
            return Ok(());
        }
        self.consumer
            .incremental_assign(&list)
            .map_err(|error| source_error(&error))
    }

    fn away(&mut self, reason: String) {
        self.events.push_back(SourceEvent::Away { reason });
    }

    /// Takes over what the client has fetched, without waiting once there is something.
    fn gather(&mut self, max_bytes: usize, timeout: Duration) -> Result<(), SourceError> {
        let (mut wait, mut total) = (timeout, 0);
        loop {
            match self.consumer.poll(wait) {
                None => return Ok(()),
                Some(Ok(message)) => {
                    let number = message.partition() as u32;
                    let offset = message.offset().max(0) as u64;
                    let Some(partition) = self.partitions.get_mut(&number) else {
                        continue;
                    };
                    // What a pause had thrown away may come again.
                    if partition.finished || offset < partition.position {
                        continue;
                    }
                    if partition.end.is_some_and(|end| offset >= end) {
                        drop(message);
                        self.finish(number)?;
                        continue;
                    }
                    partition.at_end = false;
                    partition.say_at_end = false;
                    partition.position = offset + 1;
                    let before = partition.gathering.size();
                    partition.gathering.push(&message, offset, self.wanted);
                    let size = partition.gathering.size();
                    total += size - before;
                    self.bytes_read += message.payload_len() as u64;
                    drop(message);
                    if partition.end.is_some_and(|end| offset + 1 >= end) {
                        self.finish(number)?;
                    }
                    if size >= max_bytes || total >= max_bytes.saturating_mul(GATHER_FACTOR) {
                        return Ok(());
                    }
                }
                Some(Err(KafkaError::PartitionEOF(number))) => {
                    self.reach_end(number as u32)?;
                }
                Some(Err(error)) => self.heed(&error)?,
            }
            wait = Duration::ZERO;
        }
    }

    fn reach_end(&mut self, number: u32) -> Result<(), SourceError> {
        let Some(partition) = self.partitions.get_mut(&number) else {
            return Ok(());
        };
        if partition.finished {
            return Ok(());
        }
        // The end was asked for before reading began, so whoever has come to the present end has
        // passed it, whatever offsets transactions and compaction have taken.
        if partition.end.is_some() {
            return self.finish(number);
        }
        (partition.at_end, partition.say_at_end) = (true, true);
        Ok(())
    }

    fn finish(&mut self, number: u32) -> Result<(), SourceError> {
        let Some(partition) = self.partitions.get_mut(&number) else {
            return Ok(());
        };
        if std::mem::replace(&mut partition.finished, true) {
            return Ok(());
        }
        partition.say_at_end = true;
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.config.topic, number as i32);
        self.consumer
            .incremental_unassign(&list)
            .map_err(|error| source_error(&error))
    }

    /// An error that the client reports.
    fn heed(&mut self, error: &KafkaError) -> Result<(), SourceError> {
        use RDKafkaErrorCode as Code;
        let reason = self.context.take_error().map(|(_, reason)| reason);
        let reason = reason.unwrap_or_else(|| error.to_string());
        if matches!(error, KafkaError::MessageConsumptionFatal(_)) {
            return Err(SourceError(format!(
                "the Kafka client cannot go on: {reason}"
            )));
        }
        match error.rdkafka_error_code() {
            Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => {
                tracing::debug!(target: "kafka", %error, reason, "an offset is not there");
                (self.look_at_range, self.ask_at) = (true, Duration::ZERO);
                self.stopped = true;
                Ok(())
            }
            Some(Code::BadMessage | Code::BadCompression | Code::NotImplemented) => {
                Err(SourceError(format!(
                    "records of the topic '{}' cannot be unpacked: {reason}; start behind them \
                     with 'scan.startup.mode' = 'specific-offsets'",
                    self.config.topic
                )))
            }
            Some(Code::MessageSizeTooLarge) => Err(SourceError(format!(
                "a record is too large: {reason}; raise 'properties.receive.message.max.bytes' \
                 and 'properties.fetch.message.max.bytes'"
            ))),
            Some(Code::AllBrokersDown) => {
                for partition in self.partitions.values_mut() {
                    partition.say_at_end = false;
                }
                self.away(format!("Kafka cannot be reached: {reason}"));
                Ok(())
            }
            _ => {
                let broker = Broker {
                    consumer: &self.consumer,
                    config: &self.config,
                    timeout: ASK_TIMEOUT,
                };
                match broker.trouble(error) {
                    Trouble::Fatal(message) => Err(SourceError(message)),
                    Trouble::Missing => {
                        self.missing_since.get_or_insert(self.env.monotonic());
                        self.must_ask = true;
                        Ok(())
                    }
                    Trouble::Away(_) => {
                        tracing::debug!(target: "kafka", %error, reason, "goes on");
                        Ok(())
                    }
                }
            }
        }
    }

    /// Each second: which partitions stay at their end, and whose broker is away.
    fn look_at_health(&mut self) {
        let Some(health) = self.context.take_health() else {
            return;
        };
        let topic = &self.config.topic;
        let mut reason = None;
        let mut again = Vec::new();
        for (number, partition) in &self.partitions {
            if partition.finished {
                continue;
            }
            if let Some(end) = health.end(topic, *number) {
                self.ends.insert(*number, end);
            }
            match health.away(topic, *number) {
                Some(why) => reason = reason.or(Some(why)),
                None if partition.at_end && !partition.say_at_end => {
                    again.push((*number, partition.position));
                }
                None => {}
            }
        }
        if health
            .partitions(topic)
            .iter()
            .any(|found| !self.partitions.contains_key(found))
        {
            self.must_ask = true;
        }
        self.events.extend(
            again
                .into_iter()
                .map(|(partition, next_offset)| SourceEvent::AtEnd {
                    partition,
                    next_offset,
                }),
        );
        match reason {
            // Once may be a connection that is just being made.
            Some(why) if self.away_looks > 0 => self.away(why),
            Some(_) => self.away_looks += 1,
            None => self.away_looks = 0,
        }
    }

    fn next_event(&mut self) -> Option<SourceEvent> {
        let event = self.events.pop_front()?;
        if let SourceEvent::Records(chunk) = &event
            && let Some(Some((partition, mark))) = self.marks_to_come.pop_front()
        {
            debug_assert_eq!(partition, chunk.partition);
            self.marks.insert(partition, mark);
            self.identity.handed_on(partition, mark);
        }
        Some(event)
    }

    /// Turns what was gathered into events.
    fn hand_out(&mut self) {
        for (number, partition) in &mut self.partitions {
            if let Some((chunk, mark)) = partition.gathering.take(*number) {
                self.events.push_back(SourceEvent::Records(chunk));
                self.marks_to_come.push_back(Some((*number, mark)));
            }
            if std::mem::take(&mut partition.say_at_end) {
                let partition_number = *number;
                self.events.push_back(if partition.finished {
                    SourceEvent::Finished {
                        partition: partition_number,
                    }
                } else {
                    SourceEvent::AtEnd {
                        partition: partition_number,
                        next_offset: partition.position,
                    }
                });
            }
        }
    }
}

impl Source for KafkaSource {
    fn partitions(&self) -> Vec<u32> {
        self.partitions.keys().copied().collect()
    }

    fn poll(&mut self, max_bytes: usize, timeout: Duration) -> Result<SourceEvent, SourceError> {
        if let Some(event) = self.next_event() {
            return Ok(event);
        }
        let now = self.env.monotonic();
        if self.must_ask && now >= self.ask_at {
            self.ask(ASK_TIMEOUT, false)?;
        }
        if !self.must_ask && self.is_held() && now >= self.ask_at {
            if self.look_at_range {
                self.look_at_range()?;
            } else {
                self.compare()?;
            }
        }
        if self.is_held() {
            if self.events.is_empty() {
                self.env.sleep(timeout);
            }
            return Ok(self.next_event().unwrap_or(SourceEvent::Nothing));
        }
        if self.renew {
            self.renew_client()?;
        }
        let wait = if self.events.is_empty() {
            timeout
        } else {
            Duration::ZERO
        };
        let wait = if self.must_ask {
            wait.min(self.ask_at.saturating_sub(self.env.monotonic()))
        } else {
            wait
        };
        // A chunk's ranges are 32 bits wide.
        self.gather(max_bytes.clamp(1, 1 << 30), wait)?;
        self.hand_out();
        self.look_at_health();
        self.look_at_identity()?;
        Ok(self.next_event().unwrap_or(SourceEvent::Nothing))
    }

    fn pause(&mut self, partition: u32, paused: bool) {
        let Some(known) = self.partitions.get_mut(&partition) else {
            return;
        };
        if known.finished || known.paused == paused {
            return;
        }
        known.paused = paused;
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.config.topic, partition as i32);
        let result = if paused {
            self.consumer.pause(&list)
        } else {
            self.consumer.resume(&list)
        };
        if let Err(error) = result {
            // Reading on is never wrong, only early.
            tracing::debug!(target: "kafka", %error, partition, paused, "cannot pause or resume");
        }
    }

    fn lags(&self) -> Vec<PartitionLag> {
        let lag = |(number, partition): (&u32, &Partition)| {
            let left = if partition.at_end || partition.finished {
                0
            } else {
                self.ends.get(number)?.saturating_sub(partition.position)
            };
            Some(PartitionLag {
                partition: *number,
                amount: LagAmount::Records(left),
            })
        };
        self.partitions.iter().filter_map(lag).collect()
    }

    fn size(&self) -> Option<(u64, u64)> {
        // Of the records to come only their number is known: their bytes are taken to be as many
        // as those of the records so far.
        self.config.end.as_ref()?;
        let span = |p: &Partition| p.end.unwrap_or(p.start).saturating_sub(p.start);
        let total: u64 = self.partitions.values().map(span).sum();
        let read: u64 = self
            .partitions
            .values()
            .map(|p| {
                if p.finished {
                    span(p)
                } else {
                    p.position - p.start
                }
            })
            .sum();
        if read == 0 {
            return None;
        }
        let bytes = u128::from(self.bytes_read) * u128::from(total) / u128::from(read);
        Some((
            u64::try_from(bytes)
                .unwrap_or(u64::MAX)
                .max(self.bytes_read),
            self.bytes_read,
        ))
    }

    fn is_bounded(&self) -> bool {
        self.config.end.is_some()
    }

    fn begins_late(&self) -> bool {
        self.from_time && self.partitions.values().any(|partition| partition.cut)
    }

    fn marks(&self) -> BTreeMap<u32, Mark> {
        self.marks.clone()
    }

    fn verify(&mut self, marks: BTreeMap<u32, Mark>) {
        self.expect(marks);
    }

    fn lost(&self) -> u64 {
        self.lost
    }
}

fn source_error(error: &KafkaError) -> SourceError {
    SourceError(format!("the Kafka client cannot go on: {error}"))
}
