//! Where replayed records go.

use super::letters::Letter;
use crate::error::CliError;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tidewheel_connectors::kafka::KafkaWriter;
use tidewheel_connectors::log::{LogConfig, LogWriter, Record};
use tidewheel_core::Options;

/// How long to wait for acknowledgements.
const FLUSH: Duration = Duration::from_secs(60);

/// What `--into` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// A file of lines.
    File(String),
    /// One log, or each record's own.
    Log(Option<String>),
    /// Brokers, and one topic or each record's own.
    Kafka(String, Option<String>),
}

impl Target {
    /// # Errors
    /// The text names nothing.
    pub(super) fn parse(text: &str) -> Result<Self, CliError> {
        let some = |name: &str| (!name.is_empty()).then(|| name.to_owned());
        if let Some(folder) = text.strip_prefix("log:") {
            return Ok(Self::Log(some(folder)));
        }
        if let Some(place) = text.strip_prefix("kafka:") {
            let (brokers, topic) = match place.rsplit_once('/') {
                Some((brokers, topic)) => (brokers, some(topic)),
                None => (place, None),
            };
            if brokers.is_empty() {
                return Err(CliError::Usage(format!(
                    "--into '{text}' names no brokers; write kafka:BROKERS or kafka:BROKERS/TOPIC"
                )));
            }
            return Ok(Self::Kafka(brokers.to_owned(), topic));
        }
        match text.strip_prefix("file:").unwrap_or(text) {
            "" => Err(CliError::Usage(
                "--into names nothing; write log:DIR, kafka:BROKERS/TOPIC or a file".to_owned(),
            )),
            path => Ok(Self::File(path.to_owned())),
        }
    }

    /// Makes it ready to send.
    ///
    /// # Errors
    /// The file cannot be written. Logs and topics are opened when they are needed.
    pub(super) fn open(self) -> Result<Sender, CliError> {
        let file = match &self {
            Self::File(path) => {
                let opened = OpenOptions::new().append(true).create(true).open(path);
                Some(opened.map_err(CliError::io(format!("cannot write {path}")))?)
            }
            _ => None,
        };
        Ok(Sender {
            target: self,
            file,
            logs: BTreeMap::new(),
            topics: BTreeMap::new(),
        })
    }
}

/// Sends records.
pub(super) struct Sender {
    target: Target,
    file: Option<File>,
    logs: BTreeMap<String, LogWriter>,
    topics: BTreeMap<String, KafkaWriter>,
}

fn failed(error: impl std::fmt::Display) -> CliError {
    CliError::Other(error.to_string())
}

impl Sender {
    /// Opens the log or topic that a record goes to, and looks whether it can be sent there.
    ///
    /// # Errors
    /// It is not there, or its brokers cannot be reached; or the target cannot hold the record.
    pub(super) fn reach(&mut self, letter: &Letter) -> Result<(), CliError> {
        match &self.target {
            Target::File(_) if letter.record.contains(&b'\n') => {
                return Err(CliError::Other(format!(
                    "the record of {}, partition {}, offset {} holds an end of line, which a file \
                     of lines cannot; replay into log:DIR or kafka:BROKERS/TOPIC",
                    letter.topic, letter.partition, letter.offset
                )));
            }
            Target::File(_) => {}
            Target::Log(folder) => {
                let folder = folder.as_ref().unwrap_or(&letter.topic);
                if !self.logs.contains_key(folder) {
                    // A record that came from elsewhere must not make a log of that name.
                    if matches!(self.target, Target::Log(None)) && !Path::new(folder).is_dir() {
                        return Err(CliError::Other(format!(
                            "there is no log in {folder}; name one by --into log:DIR"
                        )));
                    }
                    let writer = LogWriter::open(Path::new(folder), &LogConfig::default());
                    self.logs.insert(folder.clone(), writer.map_err(failed)?);
                }
            }
            Target::Kafka(brokers, topic) => {
                let topic = topic.as_ref().unwrap_or(&letter.topic);
                if !self.topics.contains_key(topic) {
                    let options: Options = [
                        ("properties.bootstrap.servers", brokers.as_str()),
                        ("topic", topic.as_str()),
                    ]
                    .into_iter()
                    .collect();
                    let writer = KafkaWriter::open(&options).map_err(failed)?;
                    self.topics.insert(topic.clone(), writer);
                }
            }
        }
        Ok(())
    }

    /// Hands a record over, once [`Self::reach`] has opened its target: to the partition it came from, where there is one of that number.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn send(&mut self, letter: &Letter) -> Result<(), CliError> {
        match &self.target {
            Target::File(path) => {
                let mut line = letter.record.clone();
                line.push(b'\n');
                let file = self.file.as_mut().ok_or_else(|| failed("no file"))?;
                file.write_all(&line)
                    .map_err(CliError::io(format!("cannot write {path}")))
            }
            Target::Log(folder) => {
                let folder = folder.as_ref().unwrap_or(&letter.topic);
                let Some(log) = self.logs.get_mut(folder) else {
                    return Ok(());
                };
                let record = Record {
                    timestamp_ms: wall_ms(),
                    key: None,
                    value: Some(&letter.record),
                };
                let partition = letter.partition % log.partitions().max(1);
                log.append(partition, &[record]).map_err(failed)?;
                Ok(())
            }
            Target::Kafka(_, topic) => {
                let topic = topic.as_ref().unwrap_or(&letter.topic);
                let Some(writer) = self.topics.get_mut(topic) else {
                    return Ok(());
                };
                let there = letter.partition < writer.partitions();
                let partition = there.then_some(letter.partition);
                writer
                    .send(partition, None, Some(&letter.record), None)
                    .map_err(failed)
            }
        }
    }

    /// Waits until all is acknowledged, and durable where this process can see to that.
    ///
    /// # Errors
    /// Something was not.
    pub(super) fn flush(&mut self) -> Result<(), CliError> {
        if let Some(file) = &self.file {
            file.sync_data()
                .map_err(CliError::io("cannot make the file durable"))?;
        }
        for log in self.logs.values_mut() {
            log.flush().map_err(failed)?;
        }
        for topic in self.topics.values_mut() {
            topic.flush(FLUSH).map_err(failed)?;
        }
        Ok(())
    }
}

fn wall_ms() -> i64 {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH);
    passed.map_or(0, |passed| {
        i64::try_from(passed.as_millis()).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_read() {
        let some = |text: &str| Some(text.to_owned());
        for (text, target) in [
            ("log:", Target::Log(None)),
            ("log:/a/b", Target::Log(some("/a/b"))),
            (
                "kafka:h:1,i:2/t",
                Target::Kafka("h:1,i:2".to_owned(), some("t")),
            ),
            ("kafka:h:1", Target::Kafka("h:1".to_owned(), None)),
            ("kafka:h:1/", Target::Kafka("h:1".to_owned(), None)),
            ("a/b", Target::File("a/b".to_owned())),
            ("file:a", Target::File("a".to_owned())),
        ] {
            assert_eq!(Target::parse(text).expect(text), target);
        }
        for text in ["", "file:", "kafka:", "kafka:/t"] {
            assert!(Target::parse(text).is_err(), "{text}");
        }
    }
}
