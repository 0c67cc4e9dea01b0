//! Dead letters, read from a file, an embedded log or a Kafka topic to its present end.

use crate::error::CliError;
use crate::load::registry;
use arrow::datatypes::Schema;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tidewheel_core::decode::BAD_ROW_BYTES_MAX;
use tidewheel_core::env::SystemEnv;
use tidewheel_core::{
    Env, Framing, Options, RawChunk, Source, SourceEvent, SourceRequest, TableSpec,
};
use xxhash_rust::xxh3::Xxh3;

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 1 << 20;
/// How long one look at the source may take.
const POLL: Duration = Duration::from_millis(200);

/// A record that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Letter {
    /// Where it stood: the topic, log or file.
    pub(super) topic: String,
    pub(super) partition: u32,
    pub(super) offset: u64,
    pub(super) reason: String,
    pub(super) event_time: Option<String>,
    /// Its bytes.
    pub(super) record: Vec<u8>,
}

impl Letter {
    /// The same for the same record of the same place, sent to the same target.
    pub(super) fn id(&self, target: &str) -> u128 {
        let mut hash = Xxh3::new();
        for text in [target.as_bytes(), self.topic.as_bytes()] {
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        hash.update(&self.partition.to_le_bytes());
        hash.update(&self.offset.to_le_bytes());
        hash.update(&self.record);
        hash.digest128()
    }
}

/// A row as the table holds it.
#[derive(Deserialize)]
struct Row {
    topic: Option<String>,
    partition: Option<u32>,
    offset: Option<u64>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    event_time: Option<String>,
    record: Option<String>,
    #[serde(default)]
    encoding: Option<String>,
}

/// Reads a row; else says what is missing.
fn letter(bytes: &[u8]) -> Result<Letter, String> {
    let row: Row =
        serde_json::from_slice(bytes).map_err(|error| format!("a row cannot be read: {error}"))?;
    let missing =
        |column: &str| format!("a row has no '{column}'; the table of bad rows needs that column");
    let (topic, partition, offset) = (
        row.topic.ok_or_else(|| missing("topic"))?,
        row.partition.ok_or_else(|| missing("partition"))?,
        row.offset.ok_or_else(|| missing("offset"))?,
    );
    let place = format!("{topic}, partition {partition}, offset {offset}");
    let text = row.record.ok_or_else(|| missing("record"))?;
    let record = match row.encoding.as_deref() {
        Some("base64") => STANDARD
            .decode(&text)
            .map_err(|error| format!("the record of {place} cannot be read: {error}"))?,
        Some(other) if other != "utf-8" => {
            return Err(format!(
                "the record of {place} has the encoding '{other}'; utf-8 and base64 are known"
            ));
        }
        None if text.contains('\u{FFFD}') => {
            return Err(format!(
                "the record of {place} was not UTF-8 and its bytes are lost; give the table of bad \
                 rows a column encoding STRING to keep them"
            ));
        }
        _ => text.into_bytes(),
    };
    if record.len() >= BAD_ROW_BYTES_MAX {
        return Err(format!(
            "of the record of {place} the first {} KiB are here, and it may be longer; read it at \
             that place",
            BAD_ROW_BYTES_MAX / 1024
        ));
    }
    Ok(Letter {
        topic,
        partition,
        offset,
        reason: row.reason.unwrap_or_default(),
        event_time: row.event_time,
        record,
    })
}

/// The rows of a table, one after the other.
pub(super) struct Letters {
    source: Box<dyn Source>,
    open: BTreeSet<u32>,
    waiting: VecDeque<Result<Letter, String>>,
    away: bool,
}

impl Letters {
    /// Opens the table.
    ///
    /// # Errors
    /// The text names none, or it cannot be read.
    pub(super) fn open(place: &str) -> Result<Self, CliError> {
        let none = |what: &str| CliError::Other(format!("there is no {what}"));
        let pairs: Vec<(&str, &str)> = if let Some(folder) = place.strip_prefix("log:") {
            // Opening a log makes it.
            if !Path::new(folder).is_dir() {
                return Err(none(&format!("log in {folder}")));
            }
            vec![
                ("connector", "log"),
                ("path", folder),
                ("scan.bounded.mode", "latest-offset"),
            ]
        } else if let Some(target) = place.strip_prefix("kafka:") {
            let (brokers, topic) = target.rsplit_once('/').ok_or_else(|| {
                CliError::Usage(format!(
                    "'{place}' names no topic; write kafka:BROKERS/TOPIC"
                ))
            })?;
            vec![
                ("connector", "kafka"),
                ("properties.bootstrap.servers", brokers),
                ("topic", topic),
                ("scan.bounded.mode", "latest-offset"),
            ]
        } else {
            let path = place.strip_prefix("file:").unwrap_or(place);
            if !Path::new(path).exists() {
                return Err(none(&format!("file {path}")));
            }
            vec![("connector", "file"), ("path", path)]
        };
        let options: Options = pairs.into_iter().collect();
        let env: Arc<dyn Env> = Arc::new(SystemEnv::new(registry()));
        let failed = |error: tidewheel_core::ConnectorError| CliError::Other(error.message);
        let connector = env.registry().for_table(&options).map_err(failed)?;
        let request = SourceRequest {
            table: TableSpec {
                name: "dead_letters".to_owned(),
                schema: Arc::new(Schema::empty()),
                primary_key: Vec::new(),
                options,
            },
            start: BTreeMap::new(),
            from_ms: None,
            metadata: Vec::new(),
            env: Arc::clone(&env),
        };
        let source = connector.source(&request).map_err(failed)?;
        Ok(Self {
            open: source.partitions().into_iter().collect(),
            source,
            waiting: VecDeque::new(),
            away: false,
        })
    }

    /// The next row: a letter, or why it is none. `None` at the end.
    ///
    /// # Errors
    /// The table cannot be read on.
    pub(super) fn next(&mut self) -> Result<Option<Result<Letter, String>>, CliError> {
        loop {
            if let Some(letter) = self.waiting.pop_front() {
                return Ok(Some(letter));
            }
            // A broker that was away at the beginning has not said its partitions yet.
            if self.open.is_empty() && !self.away {
                return Ok(None);
            }
            let event = self.source.poll(CHUNK_BYTES, POLL);
            match event.map_err(|error| CliError::Other(error.to_string()))? {
                SourceEvent::Records(chunk) => self.waiting.extend(rows(&chunk)),
                SourceEvent::Finished { partition } => {
                    self.open.remove(&partition);
                }
                SourceEvent::Added { partition } => {
                    self.away = false;
                    self.open.insert(partition);
                }
                SourceEvent::Away { reason } if self.open.is_empty() => {
                    return Err(CliError::Other(reason));
                }
                SourceEvent::Away { reason } => tracing::warn!(reason, "waiting"),
                SourceEvent::AtEnd { .. } | SourceEvent::Nothing => {}
            }
        }
    }
}

fn rows(chunk: &RawChunk) -> Vec<Result<Letter, String>> {
    match &chunk.framing {
        Framing::Lines { .. } => chunk
            .data
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.trim_ascii().is_empty())
            .map(letter)
            .collect(),
        Framing::Records { ranges, .. } => ranges
            .iter()
            .filter_map(|(start, end)| chunk.data.get(*start as usize..*end as usize))
            .map(letter)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_read_exactly_or_say_why_not() {
        let row = |record: &str| {
            format!("{{\"topic\":\"t\",\"partition\":1,\"offset\":18446744073709551615,{record}}}")
        };
        let plain = letter(row("\"record\":\"{\\\"a\\\": 1}\\u0000ü\"").as_bytes()).expect("reads");
        assert_eq!(plain.record, "{\"a\": 1}\0ü".as_bytes());
        assert_eq!((plain.partition, plain.offset), (1, u64::MAX));
        let bytes = [0xff, 0x00, 0xfe];
        let coded = format!(
            "\"record\":\"{}\",\"encoding\":\"base64\"",
            STANDARD.encode(bytes)
        );
        assert_eq!(letter(row(&coded).as_bytes()).expect("reads").record, bytes);
        // That the text holds the sign itself is known where the encoding is.
        let sign = row("\"record\":\"\u{FFFD}\",\"encoding\":\"utf-8\"");
        assert_eq!(
            letter(sign.as_bytes()).expect("reads").record,
            "\u{FFFD}".as_bytes()
        );
        for (text, part) in [
            (row("\"record\":\"a\u{FFFD}\""), "column encoding"),
            (row("\"record\":null"), "'record'"),
            (
                "{\"topic\":\"t\",\"record\":\"\"}".to_owned(),
                "'partition'",
            ),
            ("{".to_owned(), "cannot be read"),
            (
                row(&format!("\"record\":\"{}\"", "x".repeat(64 * 1024))),
                "may be longer",
            ),
            (row("\"record\":\"x\",\"encoding\":\"utf-16\""), "'utf-16'"),
            (
                row("\"record\":\"?\",\"encoding\":\"base64\""),
                "cannot be read",
            ),
        ] {
            let why = letter(text.as_bytes()).expect_err(part);
            assert!(why.contains(part), "{why}");
        }
    }

    #[test]
    fn a_letter_is_known_by_its_place_its_bytes_and_its_target() {
        let one = Letter {
            topic: "t".to_owned(),
            partition: 0,
            offset: 5,
            reason: "r".to_owned(),
            event_time: None,
            record: b"x".to_vec(),
        };
        let id = one.id("log:a");
        let reason = Letter {
            reason: String::new(),
            ..one.clone()
        };
        assert_eq!(reason.id("log:a"), id);
        assert_ne!(one.id("log:b"), id);
        for other in [
            Letter {
                topic: "u".to_owned(),
                ..one.clone()
            },
            Letter {
                partition: 1,
                ..one.clone()
            },
            Letter {
                offset: 6,
                ..one.clone()
            },
            Letter {
                record: b"y".to_vec(),
                ..one
            },
        ] {
            assert_ne!(other.id("log:a"), id);
        }
    }
}
