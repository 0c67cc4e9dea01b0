//! The log against a plain list of what was acknowledged: concurrent writers in threads and
//! processes, ends torn at every byte, retention, and a writer killed in the middle.

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tidewheel_connectors::log::{
    Batch, Fsync, LogConfig, LogError, LogReader, LogWriter, Record, Start,
};

fn config(segment_bytes: u64) -> LogConfig {
    LogConfig {
        fsync: Fsync::Never,
        segment_bytes,
        ..LogConfig::default()
    }
}

fn record(value: &[u8]) -> Record<'_> {
    Record {
        timestamp_ms: 7,
        key: None,
        value: Some(value),
    }
}

/// Every record from a place on: offset and value.
fn read_from(path: &Path, partition: u32, start: Start) -> Vec<(u64, Vec<u8>)> {
    let mut reader = LogReader::open(path, partition, start).expect("opens");
    let mut found = Vec::new();
    follow(&mut reader, 100, &mut found);
    found
}

fn follow(reader: &mut LogReader, max_bytes: usize, found: &mut Vec<(u64, Vec<u8>)>) {
    let mut batch = Batch::default();
    while reader.read(max_bytes, &mut batch).expect("reads") > 0 {
        for (index, record) in batch.records.iter().enumerate() {
            found.push((record.offset, batch.value(index).expect("a value").to_vec()));
        }
    }
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("folder")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "seg"))
        .collect();
    files.sort();
    files
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Several writers and a reader that was there from the beginning, in any order of turns.
    #[test]
    fn a_reader_sees_what_was_acknowledged(
        segment_bytes in 1u64..400,
        turns in proptest::collection::vec((0usize..3, 0u32..2, 0usize..5, 0usize..90), 1..60),
        max_bytes in 1usize..300,
    ) {
        let folder = tempfile::tempdir().expect("tempdir");
        let config = LogConfig { partitions: Some(2), ..config(segment_bytes) };
        let open = || LogWriter::open(folder.path(), &config).expect("opens");
        let mut writers = [open(), open(), open()];
        let mut readers =
            [0, 1].map(|p| LogReader::open(folder.path(), p, Start::Earliest).expect("opens"));
        let mut wanted: BTreeMap<u32, Vec<(u64, Vec<u8>)>> = BTreeMap::new();
        let mut seen: [Vec<(u64, Vec<u8>)>; 2] = Default::default();
        for (turn, (writer, partition, count, length)) in turns.into_iter().enumerate() {
            let values: Vec<Vec<u8>> = (0..count).map(|i| vec![(turn + i) as u8; length]).collect();
            let records: Vec<Record<'_>> = values.iter().map(|v| record(v)).collect();
            let first = writers[writer].append(partition, &records).expect("appends");
            let log = wanted.entry(partition).or_default();
            prop_assert_eq!(first, log.len() as u64);
            log.extend(values.into_iter().enumerate().map(|(i, v)| (first + i as u64, v)));
            if turn % 3 == 0 {
                let p = partition as usize;
                follow(&mut readers[p], max_bytes, &mut seen[p]);
                prop_assert_eq!(&seen[p], &wanted[&partition]);
            }
        }
        for (partition, log) in &wanted {
            let p = *partition as usize;
            follow(&mut readers[p], max_bytes, &mut seen[p]);
            prop_assert_eq!(&seen[p], log);
            for from in 0..=log.len() {
                let read = read_from(folder.path(), *partition, Start::Offset(from as u64));
                prop_assert_eq!(&read[..], &log[from..]);
            }
            let end = LogReader::open(folder.path(), *partition, Start::Latest).expect("opens");
            prop_assert_eq!(end.next_offset(), log.len() as u64);
        }
    }
}

#[test]
fn an_end_torn_at_any_byte_is_not_read_and_is_cut_by_the_next_writer() {
    let whole = tempfile::tempdir().expect("tempdir");
    let values: Vec<Vec<u8>> = (0u8..4).map(|i| vec![i; 3 + usize::from(i)]).collect();
    let mut writer = LogWriter::open(whole.path(), &config(1 << 20)).expect("opens");
    let mut ends = vec![0];
    let file = segments(&whole.path().join("0")).pop();
    assert_eq!(file, None);
    for value in &values {
        writer.append(0, &[record(value)]).expect("appends");
        let file = segments(&whole.path().join("0")).pop().expect("a segment");
        ends.push(fs::metadata(&file).expect("metadata").len());
    }
    let file = segments(&whole.path().join("0")).pop().expect("a segment");
    let bytes = fs::read(&file).expect("reads");
    for cut in 0..=bytes.len() {
        let torn = tempfile::tempdir().expect("tempdir");
        let mut other = LogWriter::open(torn.path(), &config(1 << 20)).expect("opens");
        other.append(0, &[record(b"")]).expect("appends");
        let file = segments(&torn.path().join("0")).pop().expect("a segment");
        fs::write(&file, &bytes[..cut]).expect("writes");
        let complete = ends.iter().filter(|end| **end <= cut as u64).count() - 1;
        let mut reader = LogReader::open(torn.path(), 0, Start::Earliest).expect("opens");
        let mut found = Vec::new();
        follow(&mut reader, 4, &mut found);
        assert_eq!(found.len(), complete, "cut at {cut}");
        let mut fresh = LogWriter::open(torn.path(), &config(1 << 20)).expect("opens");
        assert_eq!(
            fresh.append(0, &[record(b"after")]).expect("appends"),
            complete as u64
        );
        follow(&mut reader, 4, &mut found);
        let mut wanted: Vec<Vec<u8>> = values[..complete].to_vec();
        wanted.push(b"after".to_vec());
        assert_eq!(
            found.into_iter().map(|(_, v)| v).collect::<Vec<_>>(),
            wanted,
            "cut at {cut}"
        );
    }
}

#[test]
fn unreadable_bytes_at_the_end_are_put_aside() {
    let folder = tempfile::tempdir().expect("tempdir");
    let mut writer = LogWriter::open(folder.path(), &config(1 << 20)).expect("opens");
    writer
        .append(0, &[record(b"one"), record(b"two")])
        .expect("appends");
    let file = segments(&folder.path().join("0")).pop().expect("a segment");
    let mut bytes = fs::read(&file).expect("reads");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&file, &bytes).expect("writes");
    let mut next = LogWriter::open(folder.path(), &config(1 << 20)).expect("opens");
    assert_eq!(next.append(0, &[record(b"three")]).expect("appends"), 1);
    let aside = fs::read_dir(folder.path().join("0"))
        .expect("folder")
        .map(|entry| entry.expect("entry").path())
        .find(|path| path.to_string_lossy().contains("cut-at"))
        .expect("put aside");
    assert_eq!(fs::read(aside).expect("reads"), bytes);
}

#[test]
fn damage_in_a_closed_segment_stops_the_reader_and_not_the_writer() {
    let folder = tempfile::tempdir().expect("tempdir");
    let mut writer = LogWriter::open(folder.path(), &config(1)).expect("opens");
    for value in [b"one", b"two", b"six"] {
        writer.append(0, &[record(value)]).expect("appends");
    }
    let files = segments(&folder.path().join("0"));
    let mut bytes = fs::read(&files[1]).expect("reads");
    bytes[12] ^= 1;
    fs::write(&files[1], &bytes).expect("writes");
    let mut reader = LogReader::open(folder.path(), 0, Start::Earliest).expect("opens");
    let mut batch = Batch::default();
    assert_eq!(reader.read(1 << 20, &mut batch).expect("reads"), 1);
    let error = reader.read(1 << 20, &mut batch).expect_err("damaged");
    assert!(matches!(error, LogError::Damaged { .. }), "{error}");
    assert_eq!(writer.append(0, &[record(b"ten")]).expect("appends"), 3);
    assert_eq!(read_from(folder.path(), 0, Start::Offset(2)).len(), 2);
}

#[test]
fn retention_removes_the_oldest_segments_and_tells_who_needed_them() {
    let folder = tempfile::tempdir().expect("tempdir");
    let config = LogConfig {
        retention_bytes: Some(300),
        ..config(100)
    };
    let mut idle = LogWriter::open(folder.path(), &config).expect("opens");
    idle.append(0, &[record(&[1; 60])]).expect("appends");
    let mut slow = LogReader::open(folder.path(), 0, Start::Earliest).expect("opens");
    let mut writer = LogWriter::open(folder.path(), &config).expect("opens");
    for i in 1..40u8 {
        writer.append(0, &[record(&[i; 60])]).expect("appends");
    }
    let kept = read_from(folder.path(), 0, Start::Earliest);
    assert!(
        kept[0].0 > 30 && kept.last().is_some_and(|(offset, _)| *offset == 39),
        "{kept:?}"
    );
    // The slow reader still holds its segment, and then finds that the next one is gone.
    let mut batch = Batch::default();
    assert!(slow.read(1 << 20, &mut batch).expect("reads") > 0);
    let error = slow.read(1 << 20, &mut batch).expect_err("out of range");
    assert!(matches!(error, LogError::Range { .. }), "{error}");
    let error = LogReader::open(folder.path(), 0, Start::Offset(3)).expect_err("out of range");
    assert!(error.to_string().contains("earliest-offset"), "{error}");
    let error = LogReader::open(folder.path(), 0, Start::Offset(41)).expect_err("out of range");
    assert!(error.to_string().contains("offset 41"), "{error}");
    // A writer whose segment was removed under it goes on at the end.
    assert_eq!(idle.append(0, &[record(b"x")]).expect("appends"), 40);
}

#[test]
fn the_number_of_partitions_is_fixed() {
    let folder = tempfile::tempdir().expect("tempdir");
    let four = LogConfig {
        partitions: Some(4),
        ..LogConfig::default()
    };
    assert_eq!(
        LogWriter::open(folder.path(), &four)
            .expect("opens")
            .partitions(),
        4
    );
    assert_eq!(
        LogWriter::open(folder.path(), &config(9))
            .expect("opens")
            .partitions(),
        4
    );
    let two = LogConfig {
        partitions: Some(2),
        ..LogConfig::default()
    };
    let error = LogWriter::open(folder.path(), &two).err().expect("refused");
    assert!(error.to_string().contains("'partitions' = '4'"), "{error}");
}

/// Not a test of its own: the body of a writer process, run by the tests below.
#[test]
fn writer_process() {
    let (Ok(path), Ok(name)) = (std::env::var("LOG_PATH"), std::env::var("LOG_NAME")) else {
        return;
    };
    let count: u64 = std::env::var("LOG_COUNT")
        .expect("count")
        .parse()
        .expect("number");
    let mut writer = LogWriter::open(path.as_ref(), &config(2_000)).expect("opens");
    for i in 0..count {
        let (a, b) = (format!("{name} {i} a"), format!("{name} {i} b"));
        let records = [record(a.as_bytes()), record(b.as_bytes())];
        let first = writer.append(0, &records).expect("appends");
        println!("ack {first} {a}");
    }
}

fn spawn_writer(path: &Path, name: &str, count: u64) -> std::process::Child {
    Command::new(std::env::current_exe().expect("exe"))
        .args(["--exact", "writer_process", "--nocapture"])
        .env("LOG_PATH", path)
        .env("LOG_NAME", name)
        .env("LOG_COUNT", count.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("spawns")
}

/// What a writer process was told is in the log.
fn acknowledged(output: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let text = String::from_utf8_lossy(output);
    let lines = text
        .lines()
        .filter(|line| text.ends_with('\n') || !text.ends_with(line));
    lines
        .filter_map(|line| {
            let (offset, value) = line.split_once("ack ")?.1.split_once(' ')?;
            Some((offset.parse().ok()?, value.as_bytes().to_vec()))
        })
        .collect()
}

#[test]
fn processes_append_to_one_log_and_none_is_lost_or_doubled() {
    let folder = tempfile::tempdir().expect("tempdir");
    let children: Vec<_> = (0..4)
        .map(|i| spawn_writer(folder.path(), &format!("p{i}"), 300))
        .collect();
    let mut acks = Vec::new();
    for child in children {
        let output = child.wait_with_output().expect("output");
        assert!(output.status.success());
        acks.extend(acknowledged(&output.stdout));
    }
    let found = read_from(folder.path(), 0, Start::Earliest);
    assert_eq!(found.len(), 4 * 300 * 2);
    assert_eq!(acks.len(), 4 * 300);
    let by_offset: BTreeMap<u64, Vec<u8>> = found.into_iter().collect();
    for (offset, value) in acks {
        assert_eq!(by_offset.get(&offset), Some(&value));
        // The second record of a batch stands right behind the first.
        let second = by_offset.get(&(offset + 1)).expect("the second");
        assert_eq!(second[..second.len() - 1], value[..value.len() - 1]);
    }
}

#[test]
fn a_writer_that_is_killed_leaves_all_it_was_told() {
    for round in 0..5u64 {
        let folder = tempfile::tempdir().expect("tempdir");
        let mut child = spawn_writer(folder.path(), "k", 1_000_000);
        // Kill it some acknowledgements later, at no place in particular.
        let mut stdout = child.stdout.take().expect("stdout");
        let mut output = vec![0; 4_000 * (round as usize + 1)];
        std::io::Read::read_exact(&mut stdout, &mut output).expect("reads");
        child.kill().expect("kills");
        std::io::Read::read_to_end(&mut stdout, &mut output).expect("reads");
        child.wait().expect("waits");
        let found: BTreeMap<u64, Vec<u8>> = read_from(folder.path(), 0, Start::Earliest)
            .into_iter()
            .collect();
        let acks = acknowledged(&output);
        assert!(acks.len() > 100);
        for (offset, value) in acks {
            assert_eq!(found.get(&offset), Some(&value));
        }
        let mut next = LogWriter::open(folder.path(), &config(2_000)).expect("opens");
        assert_eq!(
            next.append(0, &[record(b"x")]).expect("appends"),
            found.len() as u64
        );
    }
}

#[test]
fn threads_append_while_a_reader_follows() {
    let folder = tempfile::tempdir().expect("tempdir");
    LogWriter::open(folder.path(), &config(3_000)).expect("opens");
    let mut found = Vec::new();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|name| {
                let path = folder.path();
                scope.spawn(move || {
                    let mut writer = LogWriter::open(path, &config(3_000)).expect("opens");
                    for i in 0..400 {
                        let value = format!("{name}:{i}");
                        writer
                            .append(0, &[record(value.as_bytes())])
                            .expect("appends");
                    }
                })
            })
            .collect();
        let mut reader = LogReader::open(folder.path(), 0, Start::Earliest).expect("opens");
        while !writers.iter().all(|writer| writer.is_finished()) {
            follow(&mut reader, 500, &mut found);
        }
        follow(&mut reader, 500, &mut found);
    });
    let offsets: Vec<u64> = found.iter().map(|(offset, _)| *offset).collect();
    assert_eq!(offsets, (0..1_200).collect::<Vec<u64>>());
    for name in 0..3 {
        let own: Vec<&[u8]> = found
            .iter()
            .map(|(_, value)| value.as_slice())
            .filter(|value| value.starts_with(format!("{name}:").as_bytes()))
            .collect();
        let wanted: Vec<String> = (0..400).map(|i| format!("{name}:{i}")).collect();
        assert_eq!(
            own,
            wanted
                .iter()
                .map(|text| text.as_bytes())
                .collect::<Vec<_>>()
        );
    }
}
