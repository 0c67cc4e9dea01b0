//! One place that is open for writing.

use super::Place;
use crate::batch::Records;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tidewheel_connectors::kafka::{KafkaWriter, KafkaWriterError};
use tidewheel_connectors::log::{Fsync, LogConfig, LogWriter, Record};
use tidewheel_core::Options;

/// How long a broker may take to acknowledge: less than the 5 s after which trackers give up.
const DELIVERY_TIME: Duration = Duration::from_secs(4);
/// How long a broker may take to answer whether it is there.
const PROBE_TIME: Duration = Duration::from_secs(2);

/// A place cannot be opened, or does not take records.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SinkError(pub String);

fn error(error: impl std::fmt::Display) -> SinkError {
    SinkError(error.to_string())
}

/// A place that is open.
pub(super) enum Target {
    /// None after a failure: it is opened anew, since the folder may be another one.
    Log(Option<Box<LogWriter>>, PathBuf, LogConfig),
    Kafka(Box<KafkaWriter>),
    Lines(Box<dyn Write + Send>, String),
}

impl Target {
    pub(super) fn open(
        place: &Place,
        fsync: Fsync,
        properties: &[(String, String)],
    ) -> Result<Self, SinkError> {
        match place {
            Place::Log(folder) => {
                let config = LogConfig {
                    fsync,
                    ..LogConfig::default()
                };
                let writer = LogWriter::open(folder, &config).map_err(error)?;
                Ok(Self::Log(Some(Box::new(writer)), folder.clone(), config))
            }
            Place::Kafka { brokers, topic } => {
                let mut options: Options = [
                    ("properties.bootstrap.servers", &**brokers),
                    ("topic", topic),
                ]
                .into_iter()
                .collect();
                for (name, value) in properties {
                    options.set(format!("properties.{name}"), value);
                }
                let writer = KafkaWriter::open(&options).map_err(error)?;
                Ok(Self::Kafka(Box::new(writer)))
            }
            Place::File(path) => {
                let name = path.display().to_string();
                let file = OpenOptions::new().create(true).append(true).open(path);
                let file = file.map_err(|e| SinkError(format!("cannot write {name}: {e}")))?;
                Ok(Self::Lines(Box::new(file), name))
            }
            Place::Stdout => Ok(Self::Lines(
                Box::new(std::io::stdout()),
                "standard output".to_owned(),
            )),
        }
    }

    /// Hands records over; they are held when [`Target::settle`] returns.
    pub(super) fn write<'r>(
        &mut self,
        batches: impl Iterator<Item = (&'r Records, i64)>,
    ) -> Result<(), SinkError> {
        match self {
            Self::Log(log, folder, config) => append(opened(log, folder, config)?, batches),
            Self::Kafka(kafka) => {
                for (records, time) in batches {
                    for (key, value) in records.iter() {
                        let key = Some(key).filter(|key| !key.is_empty());
                        kafka
                            .send(None, key, Some(value), Some(time))
                            .map_err(error)?;
                    }
                }
                Ok(())
            }
            Self::Lines(out, name) => {
                let mut lines = Vec::new();
                for (_, value) in batches.flat_map(|(records, _)| records.iter()) {
                    lines.extend_from_slice(value);
                    lines.push(b'\n');
                }
                out.write_all(&lines)
                    .map_err(|e| SinkError(format!("cannot write {name}: {e}")))
            }
        }
    }

    /// Waits until what was written is held.
    pub(super) fn settle(&mut self) -> Result<(), SinkError> {
        match self {
            Self::Log(..) => Ok(()),
            Self::Kafka(kafka) => kafka.flush(DELIVERY_TIME).map_err(error),
            Self::Lines(out, name) => out
                .flush()
                .map_err(|e| SinkError(format!("cannot write {name}: {e}"))),
        }
    }

    /// Gives up what is still under way, after a failure: whoever sent it sends it again.
    pub(super) fn give_up(&mut self) {
        match self {
            Self::Log(log, ..) => *log = None,
            Self::Kafka(kafka) => kafka.forget(),
            Self::Lines(..) => {}
        }
    }

    /// Asks whether the place would take records.
    pub(super) fn probe(&mut self) -> Result<(), SinkError> {
        match self {
            Self::Log(log, folder, config) => {
                let log = opened(log, folder, config)?;
                log.append(0, &[]).map(drop).map_err(error)
            }
            Self::Kafka(kafka) => kafka
                .reachable(PROBE_TIME)
                .map_err(|e: KafkaWriterError| error(e)),
            Self::Lines(..) => Ok(()),
        }
    }
}

fn opened<'w>(
    log: &'w mut Option<Box<LogWriter>>,
    folder: &Path,
    config: &LogConfig,
) -> Result<&'w mut LogWriter, SinkError> {
    Ok(match log {
        Some(log) => log,
        None => log.insert(Box::new(LogWriter::open(folder, config).map_err(error)?)),
    })
}

/// Appends all records in one turn for each partition.
fn append<'r>(
    log: &mut LogWriter,
    batches: impl Iterator<Item = (&'r Records, i64)>,
) -> Result<(), SinkError> {
    let partitions = log.partitions();
    let mut turns: BTreeMap<u32, Vec<Record<'_>>> = BTreeMap::new();
    for (records, timestamp_ms) in batches {
        for (key, value) in records.iter() {
            let partition = if partitions > 1 {
                log.partition_of(key)
            } else {
                0
            };
            turns.entry(partition).or_default().push(Record {
                timestamp_ms,
                key: None,
                value: Some(value),
            });
        }
    }
    for (partition, records) in &turns {
        log.append(*partition, records).map_err(error)?;
    }
    Ok(())
}
