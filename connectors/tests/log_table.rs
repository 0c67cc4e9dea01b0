//! The log as a table: what the source says and hands on, and what the sink writes.

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tidewheel_connectors::log::{Fsync, LogConfig, LogConnector, LogWriter, Record};
use tidewheel_core::env::SystemEnv;
use tidewheel_core::{
    ChangeBatch, Connector, Framing, Op, Options, Progress, RawChunk, Registry, SinkRequest,
    Source, SourceEvent, SourceRequest, TableSpec,
};

fn table(path: &Path, primary_key: Vec<usize>, more: &[(&str, &str)]) -> TableSpec {
    let mut options: Options = more.iter().copied().collect();
    options.set("path", path.to_string_lossy());
    let fields = vec![
        Field::new("id", DataType::Utf8, true),
        Field::new("count", DataType::Int64, true),
    ];
    let schema = Arc::new(Schema::new(fields));
    TableSpec {
        name: "t".into(),
        schema,
        primary_key,
        options,
    }
}

fn request(path: &Path, more: &[(&str, &str)]) -> SourceRequest {
    SourceRequest {
        table: table(path, vec![], more),
        start: BTreeMap::new(),
        from_ms: None,
        metadata: vec![],
        env: Arc::new(SystemEnv::new(Registry::default())),
    }
}

fn open(request: &SourceRequest) -> Box<dyn Source> {
    LogConnector.source(request).expect("opens")
}

fn values(chunk: &RawChunk) -> Vec<(u64, String)> {
    let Framing::Records { ranges, offsets } = &chunk.framing else {
        panic!("records expected")
    };
    let text = |(a, b): &(u32, u32)| {
        String::from_utf8_lossy(&chunk.data[*a as usize..*b as usize]).into_owned()
    };
    offsets
        .iter()
        .copied()
        .zip(ranges.iter().map(text))
        .collect()
}

/// Everything until each partition is finished or at its end.
fn read(source: &mut dyn Source, max_bytes: usize) -> BTreeMap<u32, Vec<(u64, String)>> {
    let (mut found, mut ended) = (BTreeMap::new(), BTreeMap::new());
    while ended.len() < source.partitions().len() {
        match source
            .poll(max_bytes, Duration::from_secs(1))
            .expect("reads")
        {
            SourceEvent::Records(chunk) => {
                ended.remove(&chunk.partition);
                let own: &mut Vec<_> = found.entry(chunk.partition).or_default();
                own.extend(values(&chunk));
                // None is left of a chunk that lies before the time to begin at.
                if let Some((last, _)) = own.last() {
                    assert_eq!(last + 1, chunk.next_offset);
                }
            }
            SourceEvent::AtEnd { partition, .. } | SourceEvent::Finished { partition } => {
                ended.insert(partition, ());
            }
            SourceEvent::Nothing => {}
            other => panic!("{other:?}"),
        }
    }
    found
}

fn fill(path: &Path, partitions: u32, count: u32) {
    let config = LogConfig {
        partitions: Some(partitions),
        fsync: Fsync::Never,
        segment_bytes: 500,
        ..LogConfig::default()
    };
    let mut writer = LogWriter::open(path, &config).expect("opens");
    for i in 0..count {
        for partition in 0..partitions {
            let value = format!("{partition}:{i}");
            let record = Record {
                timestamp_ms: i64::from(i),
                key: Some(b"key"),
                value: Some(value.as_bytes()),
            };
            writer.append(partition, &[record]).expect("appends");
        }
    }
}

fn wanted(partition: u32, range: std::ops::Range<u32>) -> Vec<(u64, String)> {
    range
        .map(|i| (u64::from(i), format!("{partition}:{i}")))
        .collect()
}

#[test]
fn reading_begins_and_ends_where_the_options_say() {
    let folder = tempfile::tempdir().expect("tempdir");
    fill(folder.path(), 2, 100);
    for max_bytes in [1, 300, 1 << 20] {
        let found = read(&mut *open(&request(folder.path(), &[])), max_bytes);
        assert_eq!(
            found,
            BTreeMap::from([(0, wanted(0, 0..100)), (1, wanted(1, 0..100))])
        );
    }
    let latest = request(folder.path(), &[("scan.startup.mode", "latest-offset")]);
    let mut follower = open(&latest);
    assert_eq!(read(&mut *follower, 1 << 20), BTreeMap::new());
    let specific = [
        ("scan.startup.mode", "specific-offsets"),
        (
            "scan.startup.specific-offsets",
            "partition:0,offset:98;partition:1,offset:100",
        ),
    ];
    let found = read(&mut *open(&request(folder.path(), &specific)), 1 << 20);
    assert_eq!(found, BTreeMap::from([(0, wanted(0, 98..100))]));
    // A bounded read leaves out what comes after it was opened.
    let mut resumed = request(folder.path(), &[("scan.bounded.mode", "latest-offset")]);
    resumed.start.insert(1, 40);
    let mut bounded = open(&resumed);
    assert!(bounded.is_bounded());
    let config = LogConfig::default();
    let mut writer = LogWriter::open(folder.path(), &config).expect("opens");
    writer
        .append(
            1,
            &[Record {
                value: Some(b"1:100"),
                ..Record::default()
            }],
        )
        .expect("appends");
    let found = read(&mut *bounded, 1 << 20);
    assert_eq!(
        found,
        BTreeMap::from([(0, wanted(0, 0..100)), (1, wanted(1, 40..100))])
    );
    // The follower gets it, and nothing else.
    assert_eq!(
        read(&mut *follower, 1 << 20),
        BTreeMap::from([(1, wanted(1, 100..101))])
    );
    let error = {
        resumed.start.insert(0, 101);
        LogConnector.source(&resumed).err().expect("refused")
    };
    assert!(error.message.contains("offset 101"), "{error}");
}

#[test]
fn an_end_is_said_again_and_again_and_a_paused_partition_is_silent() {
    let folder = tempfile::tempdir().expect("tempdir");
    fill(folder.path(), 2, 3);
    let mut source = open(&request(folder.path(), &[]));
    source.pause(1, true);
    let mut ends = 0;
    let mut found = Vec::new();
    while ends < 3 {
        match source.poll(1 << 20, Duration::from_secs(1)).expect("reads") {
            SourceEvent::AtEnd { partition, .. } => {
                assert_eq!(partition, 0);
                ends += 1;
            }
            SourceEvent::Records(chunk) => found.extend(values(&chunk)),
            _ => {}
        }
    }
    assert_eq!(found, wanted(0, 0..3));
    source.pause(1, false);
    assert_eq!(
        read(&mut *source, 1 << 20),
        BTreeMap::from([(1, wanted(1, 0..3))])
    );
}

#[test]
fn metadata_comes_where_asked_for() {
    let folder = tempfile::tempdir().expect("tempdir");
    fill(folder.path(), 1, 2);
    let mut writer = LogWriter::open(folder.path(), &LogConfig::default()).expect("opens");
    writer
        .append(
            0,
            &[Record {
                timestamp_ms: 9,
                key: None,
                value: None,
            }],
        )
        .expect("appends");
    let mut request = request(folder.path(), &[]);
    request.metadata = ["timestamp", "key", "headers"].map(str::to_owned).to_vec();
    let mut source = open(&request);
    let mut times = Vec::new();
    let mut keys = Vec::new();
    let mut tombstones = Vec::new();
    while times.len() < 3 {
        if let SourceEvent::Records(chunk) =
            source.poll(1 << 20, Duration::from_secs(1)).expect("reads")
        {
            let count = values(&chunk).len();
            assert_eq!(chunk.meta.headers.len(), count);
            times.extend(chunk.meta.timestamps);
            keys.extend(chunk.meta.keys);
            let none = chunk.meta.tombstones.is_empty();
            tombstones.extend(if none {
                vec![false; count]
            } else {
                chunk.meta.tombstones
            });
        }
    }
    assert_eq!(times, [0, 1, 9]);
    assert_eq!(keys, [Some(b"key".to_vec()), Some(b"key".to_vec()), None]);
    assert_eq!(tombstones, [false, false, true]);
}

#[test]
fn a_source_may_be_opened_before_its_writer() {
    let folder = tempfile::tempdir().expect("tempdir");
    let path = folder.path().join("not").join("there");
    let mut source = open(&request(&path, &[("partitions", "3")]));
    assert_eq!(read(&mut *source, 1 << 20), BTreeMap::new());
    fill(&path, 3, 1);
    let found = read(&mut *source, 1 << 20);
    assert_eq!(found.len(), 3);
}

fn batch() -> ChangeBatch {
    let schema = table(Path::new("x"), vec![], &[]).schema;
    let ids = StringArray::from(vec![Some("a\"b"), None, Some("c")]);
    let counts = Int64Array::from(vec![Some(1), Some(2), None]);
    ChangeBatch {
        rows: RecordBatch::try_new(schema, vec![Arc::new(ids), Arc::new(counts)]).expect("batch"),
        columns: vec![0, 1],
        ops: vec![Op::Upsert, Op::Upsert, Op::Delete],
        live_ms: vec![0; 3],
        changed: vec![u64::MAX; 3],
        urgent: true,
    }
}

#[test]
fn rows_are_written_as_json_and_read_back() {
    let write = |primary_key: Vec<usize>| {
        let folder = tempfile::tempdir().expect("tempdir");
        let request = SinkRequest::new(
            table(
                folder.path(),
                primary_key,
                &[("partitions", "2"), ("fsync", "always")],
            ),
            Arc::new(SystemEnv::new(Registry::default())),
        );
        let mut sink = LogConnector.sink(&request).expect("opens");
        sink.write(&batch(), &Progress::default()).expect("writes");
        sink.close().expect("closes");
        assert_eq!(sink.writes(), 3);
        let found = read(&mut *open(&self::request(folder.path(), &[])), 1 << 20);
        let mut texts: Vec<String> = found
            .into_values()
            .flatten()
            .map(|(_, text)| text)
            .collect();
        texts.sort();
        texts
    };
    assert_eq!(
        write(vec![]),
        [
            r#"{"id":"a\"b","count":1}"#,
            r#"{"id":"c","count":null}"#,
            r#"{"id":null,"count":2}"#
        ]
    );
    assert_eq!(
        write(vec![0]),
        [
            r#"{"id":"a\"b","count":1,"op":"upsert"}"#,
            r#"{"id":"c","op":"delete"}"#,
            r#"{"id":null,"count":2,"op":"upsert"}"#
        ]
    );
}

#[test]
fn wrong_options_say_what_to_write() {
    let path = Path::new("anywhere");
    let mut without = table(path, vec![], &[]);
    without.options.remove("path");
    let error = LogConnector.check(&without, false).expect_err("refused");
    assert!(error.message.contains("'path'"), "{error}");
    for (as_sink, option, value, part) in [
        (
            false,
            "scan.startup.mode",
            "group-offsets",
            "earliest-offset",
        ),
        (false, "scan.bounded.mode", "timestamp", "latest-offset"),
        (false, "partitions", "0", "between 1 and 1024"),
        (true, "partitions", "many", "whole number"),
        (true, "fsync", "sometimes", "interval"),
        (true, "segment.bytes", "10", "4096"),
        (true, "retention.ms", "soon", "duration"),
    ] {
        let table = table(path, vec![], &[(option, value)]);
        let error = LogConnector.check(&table, as_sink).expect_err(option);
        assert_eq!(error.option.as_deref(), Some(option));
        assert!(error.message.contains(part), "{error}");
    }
}

#[test]
fn a_reading_from_a_time_has_every_record_from_it_on() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("log");
    fill(&path, 2, 200);
    for from in [0, 1, 57, 123, 199, 200, 500] {
        let mut request = request(&path, &[]);
        request.from_ms = Some(from);
        let mut source = open(&request);
        let found = read(source.as_mut(), 1 << 20);
        for partition in 0..2 {
            let own = found.get(&partition).cloned().unwrap_or_default();
            let first = u32::try_from(from).expect("small").min(200);
            assert_eq!(own, wanted(partition, first..200), "from {from}");
        }
        assert!(!source.begins_late());
    }
}
