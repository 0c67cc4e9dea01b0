//! Places as they are written on a command line.

use std::path::PathBuf;
use std::str::FromStr;

/// Where records go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The embedded log in a folder: `log:DIR`.
    Log(PathBuf),
    /// A Kafka topic: `kafka:BROKERS/TOPIC`.
    Kafka {
        /// Addresses, separated by commas.
        brokers: String,
        /// The topic, which must be there.
        topic: String,
    },
    /// A file to append lines to: a path, or `file:PATH`.
    File(PathBuf),
    /// Standard output: `-`.
    Stdout,
}

/// A text names no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' {why}")]
pub struct PlaceError {
    text: String,
    why: &'static str,
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let wrong = |why| {
            Err(PlaceError {
                text: text.to_owned(),
                why,
            })
        };
        if text == "-" {
            return Ok(Self::Stdout);
        }
        if let Some(folder) = text.strip_prefix("log:") {
            if folder.is_empty() {
                return wrong("names no folder; write log:DIR");
            }
            return Ok(Self::Log(folder.into()));
        }
        if let Some(target) = text.strip_prefix("kafka:") {
            return match target.rsplit_once('/') {
                Some((brokers, topic)) if !brokers.is_empty() && !topic.is_empty() => {
                    Ok(Self::Kafka {
                        brokers: brokers.to_owned(),
                        topic: topic.to_owned(),
                    })
                }
                _ => wrong("names no topic; write kafka:BROKERS/TOPIC"),
            };
        }
        let path = text.strip_prefix("file:").unwrap_or(text);
        if path.is_empty() {
            return wrong("is no place; write log:DIR, kafka:BROKERS/TOPIC, a file's path or -");
        }
        Ok(Self::File(path.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        let kafka = Place::Kafka {
            brokers: "a:1,b:2".to_owned(),
            topic: "events".to_owned(),
        };
        for (text, want) in [
            ("-", Place::Stdout),
            ("log:a/b", Place::Log("a/b".into())),
            ("kafka:a:1,b:2/events", kafka),
            ("file:x.jsonl", Place::File("x.jsonl".into())),
            ("x.jsonl", Place::File("x.jsonl".into())),
        ] {
            assert_eq!(text.parse(), Ok(want), "{text}");
        }
        for wrong in ["", "file:", "log:", "kafka:a:1", "kafka:/x", "kafka:a/"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}
