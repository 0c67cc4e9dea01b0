//! The options of a Kafka table.

use super::properties::client_config;
use crate::scan_options::specific_offsets;
use rdkafka::config::ClientConfig;
use std::collections::BTreeMap;
use std::time::Duration;
use tidewheel_core::{ConnectorError, Options, TableSpec};

/// How long a topic may be missing before the source gives up.
const TOPIC_TIMEOUT: Duration = Duration::from_secs(30);
/// How often new partitions are looked for.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(300);
/// How often it is looked at whether the topic is still the one that was read.
const RESET_CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// Where a partition begins or ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// The oldest record.
    Earliest,
    /// Behind the newest record.
    Latest,
    /// What the group has committed.
    Group,
    /// The first record of that time, in milliseconds since the epoch, or later.
    Timestamp(i64),
    /// Offsets by partition.
    Offsets(BTreeMap<u32, u64>),
}

/// A source's options.
#[derive(Debug, Clone)]
pub(super) struct SourceConfig {
    pub(super) topic: String,
    pub(super) client: ClientConfig,
    pub(super) start: Place,
    /// Where it begins in partitions of which the group has committed nothing.
    pub(super) uncommitted: Place,
    pub(super) end: Option<Place>,
    pub(super) topic_timeout: Duration,
    pub(super) on_reset: OnReset,
    /// How often it is looked at whether the topic is still the same; `None`: never.
    pub(super) reset_check: Option<Duration>,
}

/// What to do where records are gone before they were read, or a topic was made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnReset {
    /// Fail, and say what is lost.
    Fail,
    /// Go on with the oldest record that is there.
    Earliest,
    /// Go on behind the newest.
    Latest,
}

pub(super) fn source_config(table: &TableSpec) -> Result<SourceConfig, ConnectorError> {
    let options = &table.options;
    let mut client = client_config(options)?;
    let start = start(options, client.get("group.id").is_some())?;
    let end = end(options)?;
    if (start == Place::Group || end == Some(Place::Group)) && client.get("group.id").is_none() {
        return Err(ConnectorError::new(
            "'group-offsets' needs the option 'properties.group.id': the group's name",
        ));
    }
    let discovery = options
        .duration("scan.topic-partition-discovery.interval")?
        .unwrap_or(DISCOVERY_INTERVAL)
        .as_millis();
    let refresh = if discovery == 0 {
        "-1".to_owned()
    } else {
        discovery.max(10).to_string()
    };
    client
        .set("topic.metadata.refresh.interval.ms", refresh)
        // An offset that is gone must be an error, not a silent jump to the end.
        .set("auto.offset.reset", "error")
        .set("enable.partition.eof", "true")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("statistics.interval.ms", "1000");
    set_default(&mut client, "client.id", "tidewheel");
    // Needed by the library to hand records out; no group is ever joined.
    set_default(&mut client, "group.id", "tidewheel");
    // The default of a second leaves a hole whenever the prefetch queue was full.
    set_default(&mut client, "fetch.queue.backoff.ms", "20");
    // A record that comes just as a fetch begins to wait may be handed out only when the fetch has
    // waited its time; the default of 500 ms would be felt.
    set_default(&mut client, "fetch.wait.max.ms", "50");
    // The default of ten seconds is added to each outage.
    set_default(&mut client, "reconnect.backoff.max.ms", "1000");
    Ok(SourceConfig {
        topic: topic(options)?,
        client,
        start,
        uncommitted: uncommitted(options)?,
        end,
        topic_timeout: options
            .duration("scan.topic-missing-timeout")?
            .unwrap_or(TOPIC_TIMEOUT),
        on_reset: match options.word("scan.on-reset", &["fail", "earliest", "latest"], "fail")? {
            "earliest" => OnReset::Earliest,
            "latest" => OnReset::Latest,
            _ => OnReset::Fail,
        },
        reset_check: Some(
            options
                .duration("scan.reset-check.interval")?
                .unwrap_or(RESET_CHECK_INTERVAL),
        )
        .filter(|interval| !interval.is_zero()),
    })
}

/// Sets a property where the table says nothing.
pub(super) fn set_default(client: &mut ClientConfig, name: &str, value: &str) {
    if client.get(name).is_none() {
        client.set(name, value);
    }
}

/// The one topic of a table.
pub(super) fn topic(options: &Options) -> Result<String, ConnectorError> {
    if options.get("topic-pattern").is_some() {
        return Err(ConnectorError::option(
            "topic-pattern",
            "patterns are not known here; write a table with 'topic' and an INSERT for each topic",
        ));
    }
    let topic = options.get("topic").unwrap_or_default().trim();
    if topic.is_empty() {
        return Err(ConnectorError::new(
            "the option 'topic' is missing; write the topic's name",
        ));
    }
    if topic.contains(';') {
        return Err(ConnectorError::option(
            "topic",
            "a table reads one topic; write a table and an INSERT for each of them",
        ));
    }
    let good = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if topic.len() > 249 || !topic.chars().all(good) {
        return Err(ConnectorError::option(
            "topic",
            format!(
                "'{topic}' is no topic's name; write up to 249 of a-z, A-Z, 0-9, '.', '_', '-'"
            ),
        ));
    }
    Ok(topic.to_owned())
}

fn start(options: &Options, has_group: bool) -> Result<Place, ConnectorError> {
    let modes = [
        "earliest-offset",
        "latest-offset",
        "group-offsets",
        "timestamp",
        "specific-offsets",
    ];
    let default = if has_group {
        "group-offsets"
    } else {
        "earliest-offset"
    };
    Ok(match options.word("scan.startup.mode", &modes, default)? {
        "latest-offset" => Place::Latest,
        "group-offsets" => Place::Group,
        "timestamp" => Place::Timestamp(timestamp(options, "scan.startup.timestamp-millis")?),
        "specific-offsets" => {
            Place::Offsets(specific_offsets(options, "scan.startup.specific-offsets")?)
        }
        _ => Place::Earliest,
    })
}

fn end(options: &Options) -> Result<Option<Place>, ConnectorError> {
    let modes = [
        "unbounded",
        "latest-offset",
        "group-offsets",
        "timestamp",
        "specific-offsets",
    ];
    Ok(
        match options.word("scan.bounded.mode", &modes, "unbounded")? {
            "latest-offset" => Some(Place::Latest),
            "group-offsets" => Some(Place::Group),
            "timestamp" => Some(Place::Timestamp(timestamp(
                options,
                "scan.bounded.timestamp-millis",
            )?)),
            "specific-offsets" => Some(Place::Offsets(specific_offsets(
                options,
                "scan.bounded.specific-offsets",
            )?)),
            _ => None,
        },
    )
}

fn timestamp(options: &Options, name: &str) -> Result<i64, ConnectorError> {
    let number = options.number(name)?.ok_or_else(|| {
        ConnectorError::new(format!(
            "the option '{name}' is missing; write milliseconds since 1970"
        ))
    })?;
    i64::try_from(number).map_err(|_| ConnectorError::option(name, "the time is too far away"))
}

/// As the Java client's `auto.offset.reset`; nothing is ever committed here, so a group without
/// offsets is no error unless asked for.
fn uncommitted(options: &Options) -> Result<Place, ConnectorError> {
    let words = ["earliest", "latest", "none"];
    let word = options.word("properties.auto.offset.reset", &words, "earliest")?;
    Ok(match word {
        "latest" => Place::Latest,
        "none" => Place::Group,
        _ => Place::Earliest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::Schema;
    use std::sync::Arc;

    fn read(pairs: &[(&str, &str)]) -> Result<SourceConfig, ConnectorError> {
        let base = [
            ("properties.bootstrap.servers", "localhost:1"),
            ("topic", "events"),
        ];
        source_config(&TableSpec {
            name: "t".into(),
            schema: Arc::new(Schema::empty()),
            primary_key: vec![],
            options: base.iter().chain(pairs).copied().collect(),
        })
    }

    #[test]
    fn modes_read_as_flink_writes_them() {
        let start = |pairs: &[(&str, &str)]| read(pairs).expect("reads").start;
        assert_eq!(start(&[]), Place::Earliest);
        assert_eq!(start(&[("properties.group.id", "g")]), Place::Group);
        assert_eq!(
            start(&[("scan.startup.mode", "latest-offset")]),
            Place::Latest
        );
        let timestamp = [
            ("scan.startup.mode", "timestamp"),
            ("scan.startup.timestamp-millis", "17"),
        ];
        assert_eq!(start(&timestamp), Place::Timestamp(17));
        let bounded = read(&[
            ("scan.bounded.mode", "specific-offsets"),
            ("scan.bounded.specific-offsets", "partition:1,offset:9"),
        ]);
        assert_eq!(
            bounded.expect("reads").end,
            Some(Place::Offsets([(1, 9)].into()))
        );
    }

    #[test]
    fn what_cannot_run_is_refused_with_advice() {
        for (pairs, part) in [
            (&[("topic", "a;b")][..], "an INSERT for each"),
            (&[("topic", "")], "'topic' is missing"),
            (&[("topic", "a b")], "no topic's name"),
            (&[("topic-pattern", "a.*")], "an INSERT for each"),
            (&[("scan.startup.mode", "newest")], "earliest-offset"),
            (
                &[("scan.startup.mode", "timestamp")],
                "scan.startup.timestamp-millis",
            ),
            (
                &[("scan.startup.mode", "specific-offsets")],
                "partition:0,offset:42",
            ),
            (
                &[("scan.startup.mode", "group-offsets")],
                "properties.group.id",
            ),
        ] {
            let error = read(pairs).expect_err(part);
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn the_traps_of_the_library_are_set() {
        let client = read(&[("properties.auto.offset.reset", "latest")])
            .expect("reads")
            .client;
        assert_eq!(client.get("auto.offset.reset"), Some("error"));
        assert_eq!(client.get("enable.partition.eof"), Some("true"));
        assert_eq!(client.get("fetch.queue.backoff.ms"), Some("20"));
        assert_eq!(client.get("fetch.wait.max.ms"), Some("50"));
    }
}
