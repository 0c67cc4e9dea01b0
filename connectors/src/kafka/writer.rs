//! Writing records, for the simulator, the sink and tests.

use super::options::set_default;
use super::properties::client_config;
use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidewheel_core::{ConnectorError, Options};

/// How long opening waits for the topic's metadata.
const METADATA_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a topic that is not there is looked for again, and the wait before each look.
const TOPIC_LOOKS: u32 = 15;
const TOPIC_WAIT: Duration = Duration::from_millis(200);
/// Wait for room in the producer's queue before trying again.
const QUEUE_WAIT: Duration = Duration::from_millis(10);
/// How long an acknowledgement may wait to be seen.
const FLUSH_WAIT: Duration = Duration::from_micros(500);

/// Records could not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Kafka topic '{topic}': {message}")]
pub struct KafkaWriterError {
    /// The topic.
    pub topic: String,
    /// What is wrong.
    pub message: String,
    /// True when the same may succeed later.
    pub retry: bool,
}

/// Sends records to one topic, in batches, and reports those that did not arrive.
///
/// Dropping it gives up what was not flushed.
pub struct KafkaWriter {
    producer: BaseProducer<Deliveries>,
    deliveries: Deliveries,
    topic: String,
    partitions: u32,
}

#[derive(Clone, Default)]
struct Deliveries(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    delivered: u64,
    failed: u64,
    error: Option<KafkaError>,
}

impl ClientContext for Deliveries {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "kafka", facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "kafka", %error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _opaque: ()) {
        let mut counts = self.0.lock();
        match result {
            Ok(_) => counts.delivered += 1,
            Err((error, _)) => {
                counts.failed += 1;
                counts.error = Some(error.clone());
            }
        }
    }
}

impl KafkaWriter {
    /// Opens a topic with a table's options: `topic` and `properties.*`. Unless they say
    /// otherwise, records are sent idempotently, waiting up to 5 ms to fill a batch.
    ///
    /// # Errors
    /// An option is wrong, the broker cannot be reached, or there is no such topic.
    pub fn open(options: &Options) -> Result<Self, ConnectorError> {
        let topic = super::options::topic(options)?;
        let mut client = client_config(options)?;
        for (name, value) in [
            ("client.id", "tidewheel"),
            ("linger.ms", "5"),
            ("batch.size", "1000000"),
            ("enable.idempotence", "true"),
            ("compression.type", "lz4"),
        ] {
            set_default(&mut client, name, value);
        }
        let deliveries = Deliveries::default();
        let producer: BaseProducer<Deliveries> = client
            .create_with_context(deliveries.clone())
            .map_err(super::properties::config_error)?;
        // Asked before the first record: a producer that does not know its partitions yet holds
        // records back in an order of its own, seconds apart.
        let ask = || {
            let metadata = producer
                .client()
                .fetch_metadata(Some(&topic), METADATA_TIMEOUT)?;
            Ok(metadata
                .topics()
                .first()
                .map_or(0, |topic| topic.partitions().len()))
        };
        let away = |error: KafkaError| {
            ConnectorError::option(
                "properties.bootstrap.servers",
                format!("Kafka cannot be reached: {error}"),
            )
        };
        let mut partitions = ask().map_err(away)?;
        for _ in 0..TOPIC_LOOKS {
            if partitions > 0 {
                break;
            }
            // A topic that was made just now is not known to every broker at once.
            producer.poll(TOPIC_WAIT);
            partitions = ask().map_err(away)?;
        }
        if partitions == 0 {
            let message = format!("there is no topic '{topic}'; make it first");
            return Err(ConnectorError::option("topic", message));
        }
        Ok(Self {
            producer,
            deliveries,
            topic,
            partitions: partitions as u32,
        })
    }

    /// The number of partitions.
    #[must_use]
    pub fn partitions(&self) -> u32 {
        self.partitions
    }

    /// Records that the broker has acknowledged so far.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.deliveries.0.lock().delivered
    }

    /// Hands a record to the producer, and waits for room where its queue is full. Without a
    /// partition the key's hash chooses it, without a key the producer does. `timestamp_ms` is in
    /// milliseconds since the epoch, `None` the present.
    ///
    /// # Errors
    /// The record is refused, or one before it was not delivered.
    pub fn send(
        &mut self,
        partition: Option<u32>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp_ms: Option<i64>,
    ) -> Result<(), KafkaWriterError> {
        let topic = self.topic.clone();
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&topic);
        record.partition = partition.map(|number| number as i32);
        record.key = key;
        record.payload = value;
        record.timestamp = timestamp_ms;
        loop {
            match self.producer.send(record) {
                Ok(()) => break,
                Err((error, back)) => {
                    if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                        return Err(self.error(&error));
                    }
                    record = back;
                    self.producer.poll(QUEUE_WAIT);
                    self.check()?;
                }
            }
        }
        self.producer.poll(Duration::ZERO);
        self.check()
    }

    /// Waits until all records are acknowledged.
    ///
    /// # Errors
    /// Some were not, or not within `timeout`.
    pub fn flush(&mut self, timeout: Duration) -> Result<(), KafkaWriterError> {
        let end = Instant::now() + timeout;
        // The library's own flush looks for acknowledgements each 100 ms, which everybody who waits
        // for one would wait too.
        let result = loop {
            match self.producer.flush(Duration::ZERO) {
                Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut))
                    if Instant::now() < end =>
                {
                    // Its poll spins through the last millisecond of what it may wait.
                    self.producer.poll(Duration::ZERO);
                    std::thread::sleep(FLUSH_WAIT);
                }
                result => break result,
            }
        };
        self.check()?;
        result.map_err(|error| self.error(&error))
    }

    /// Asks the broker for the topic.
    ///
    /// # Errors
    /// No broker answers within `timeout`, or the topic is gone.
    pub fn reachable(&self, timeout: Duration) -> Result<(), KafkaWriterError> {
        let metadata = self
            .producer
            .client()
            .fetch_metadata(Some(&self.topic), timeout)
            .map_err(|error| self.error(&error))?;
        let partitions = metadata.topics().first().map(|t| t.partitions().len());
        if partitions.is_none_or(|count| count == 0) {
            return Err(KafkaWriterError {
                topic: self.topic.clone(),
                message: "there is no such topic; make it".to_owned(),
                retry: true,
            });
        }
        Ok(())
    }

    /// Drops what is still waiting to be sent, so that it is not sent beside a repetition. To be
    /// called after a failure, before the same records are sent again.
    pub fn forget(&mut self) {
        use rdkafka::producer::PurgeConfig;
        self.producer
            .purge(PurgeConfig::default().queue().inflight());
        self.producer.poll(Duration::ZERO);
        self.deliveries.0.lock().error = None;
    }

    fn check(&self) -> Result<(), KafkaWriterError> {
        let (failed, error) = {
            let mut counts = self.deliveries.0.lock();
            (std::mem::take(&mut counts.failed), counts.error.take())
        };
        let Some(error) = error else { return Ok(()) };
        let mut wrong = self.error(&error);
        wrong.message = format!("{failed} records were not delivered: {}", wrong.message);
        Err(wrong)
    }

    fn error(&self, error: &KafkaError) -> KafkaWriterError {
        use RDKafkaErrorCode as Code;
        let lasting = matches!(
            error.rdkafka_error_code(),
            Some(
                Code::UnknownTopic
                    | Code::UnknownPartition
                    | Code::UnknownTopicOrPartition
                    | Code::MessageSizeTooLarge
                    | Code::TopicAuthorizationFailed
                    | Code::ClusterAuthorizationFailed
                    | Code::Fatal
                    | Code::InvalidRecord
            )
        );
        KafkaWriterError {
            topic: self.topic.clone(),
            message: error
                .rdkafka_error_code()
                .map_or_else(|| error.to_string(), |c| c.to_string()),
            retry: !lasting,
        }
    }
}
