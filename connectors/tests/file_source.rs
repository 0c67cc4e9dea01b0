//! Files as sources: lines come whole, in order, each once, however they are cut and packed.

#[path = "support/tables.rs"]
mod tables;

use arrow::datatypes::DataType::Utf8;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tables::{check, env, table};
use tidewheel_core::{Framing, RawChunk, Source, SourceEvent, SourceRequest, TableSpec};

const WAIT: Duration = Duration::from_millis(200);

fn spec(path: &Path, more: &[(&str, &str)]) -> TableSpec {
    let mut spec = table(
        &[("line", Utf8)],
        0,
        &[("connector", "file"), ("format", "json")],
    );
    spec.options.set("path", path.to_string_lossy());
    for (name, value) in more {
        spec.options.set(*name, *value);
    }
    spec
}

fn try_open(spec: &TableSpec, start: &[(u32, u64)]) -> Result<Box<dyn Source>, String> {
    let env = env();
    let connector = env
        .registry()
        .for_table(&spec.options)
        .map_err(|e| e.to_string())?;
    connector.check(spec, false).map_err(|e| e.to_string())?;
    let request = SourceRequest {
        table: spec.clone(),
        start: start.iter().copied().collect(),
        from_ms: None,
        metadata: Vec::new(),
        env: Arc::clone(&env),
    };
    connector.source(&request).map_err(|e| e.to_string())
}

fn open(spec: &TableSpec, start: &[(u32, u64)]) -> Box<dyn Source> {
    try_open(spec, start).unwrap_or_else(|error| panic!("the source opens: {error}"))
}

/// The records of a chunk with their offsets, line ends cut off.
fn records(chunk: &RawChunk) -> Vec<(u64, Vec<u8>)> {
    let Framing::Lines { first_offset } = chunk.framing else {
        panic!("lines")
    };
    let mut out = Vec::new();
    let mut at = 0;
    for line in chunk.data.split_inclusive(|byte| *byte == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        out.push((first_offset + at as u64, text.to_vec()));
        at += line.len();
    }
    out
}

type Lines = BTreeMap<u32, Vec<(u64, Vec<u8>)>>;

/// Reads everything of a bounded source, in chunks of at most `max_bytes`.
fn read_all(source: &mut dyn Source, max_bytes: usize) -> Lines {
    let mut lines = Lines::new();
    let mut finished = 0;
    let mut next = BTreeMap::new();
    while finished < source.partitions().len() {
        match source.poll(max_bytes, WAIT).expect("readable") {
            SourceEvent::Records(chunk) => {
                let Framing::Lines { first_offset } = chunk.framing else {
                    panic!("lines")
                };
                let before = next.insert(chunk.partition, chunk.next_offset);
                assert!(
                    before.is_none_or(|before| before <= first_offset),
                    "in order"
                );
                lines
                    .entry(chunk.partition)
                    .or_default()
                    .extend(records(&chunk));
            }
            SourceEvent::Finished { .. } => finished += 1,
            SourceEvent::Nothing => {}
            other => panic!("unexpected: {other:?}"),
        }
    }
    lines
}

/// The lines of a text with their offsets: the naive reading.
fn naive(text: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut out = Vec::new();
    let mut start = 0;
    for (at, byte) in text.iter().enumerate() {
        if *byte == b'\n' {
            out.push((start as u64, text[start..at].to_vec()));
            start = at + 1;
        }
    }
    if start < text.len() {
        out.push((start as u64, text[start..].to_vec()));
    }
    out
}

fn pack(folder: &Path, text: &[u8], packing: &str) -> std::path::PathBuf {
    let path = folder.join(format!("events.jsonl{packing}"));
    // Two members or frames: concatenated packed files are one text.
    let (first, second) = text.split_at(text.len() / 2);
    let packed: Vec<u8> = [first, second]
        .iter()
        .flat_map(|part| match packing {
            ".gz" => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
                encoder.write_all(part).expect("packed");
                encoder.finish().expect("packed")
            }
            ".zst" => zstd::stream::encode_all(*part, 1).expect("packed"),
            _ => part.to_vec(),
        })
        .collect();
    std::fs::write(&path, packed).expect("written");
    path
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        4 => "[a-z{}\": ü]{0,20}",
        1 => "[a-z]{0,20}\r",
        1 => "[x]{100,300}",
    ];
    (proptest::collection::vec(line, 0..40), any::<bool>()).prop_map(|(lines, end)| {
        let mut text = lines.join("\n");
        if end {
            text.push('\n');
        }
        text.into_bytes()
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 150, failure_persistence: None, ..Default::default()
    })]

    #[test]
    fn lines_come_whole_and_reading_goes_on_from_every_offset(
        text in text(),
        max_bytes in prop_oneof![1_usize..64, Just(1 << 20)],
        packing in prop_oneof![Just(""), Just(".gz"), Just(".zst")],
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = pack(folder.path(), &text, packing);
        let spec = spec(&path, &[]);
        let want = naive(&text);
        let all = read_all(open(&spec, &[]).as_mut(), max_bytes);
        prop_assert_eq!(all.get(&0).map_or(&[][..], Vec::as_slice), want.as_slice());

        let mut offsets: Vec<u64> = want.iter().map(|(offset, _)| *offset).collect();
        offsets.push(text.len() as u64);
        for start in offsets {
            let rest = read_all(open(&spec, &[(0, start)]).as_mut(), max_bytes);
            let want: Vec<_> = want.iter().filter(|(at, _)| *at >= start).cloned().collect();
            prop_assert_eq!(rest.get(&0).cloned().unwrap_or_default(), want, "from {}", start);
        }
    }

    #[test]
    fn overlong_lines_come_cut_and_the_others_whole(
        text in text(),
        max_bytes in prop_oneof![1_usize..100, Just(1 << 20)],
        packing in prop_oneof![Just(""), Just(".gz")],
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = pack(folder.path(), &text, packing);
        let bound = 128;
        let spec = spec(&path, &[("line.max-bytes", "128")]);
        let all = read_all(open(&spec, &[]).as_mut(), max_bytes);
        let want: Vec<_> = naive(&text)
            .into_iter()
            .map(|(offset, mut line)| {
                line.truncate(bound);
                (offset, line)
            })
            .collect();
        prop_assert_eq!(all.get(&0).cloned().unwrap_or_default(), want);
    }
}

#[test]
fn next_offsets_are_where_to_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let long = "y".repeat(1000);
    let text = format!("one\n{long}\nthree\nfour");
    let path = pack(folder.path(), text.as_bytes(), "");
    let spec = spec(&path, &[("line.max-bytes", "100")]);
    let whole = read_all(open(&spec, &[]).as_mut(), 8)[&0].clone();
    let mut start = 0;
    let mut lines = Vec::new();
    // A new source for each chunk, as after a restart.
    loop {
        match open(&spec, &[(0, start)]).poll(8, WAIT).expect("readable") {
            SourceEvent::Records(chunk) => {
                start = chunk.next_offset;
                lines.extend(records(&chunk));
            }
            SourceEvent::Finished { partition: 0 } => break,
            other => panic!("unexpected: {other:?}"),
        }
    }
    assert_eq!(lines, whole);
    assert_eq!(start, text.len() as u64);
}

#[test]
fn a_folder_is_read_by_name_without_subfolders_and_hidden_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("written");
    };
    file("b.jsonl", "b1\nb2\n");
    file("a.jsonl", "a1\n");
    file("c.txt", "");
    file(".hidden", "no\n");
    std::fs::create_dir(folder.path().join("d")).expect("a folder");
    file("d/e.jsonl", "no\n");
    let lines = |spec: &TableSpec| -> Vec<Vec<String>> {
        let mut source = open(spec, &[]);
        let all = read_all(source.as_mut(), 100);
        assert_eq!(source.size().map(|(total, read)| total == read), Some(true));
        let text = |line: &(u64, Vec<u8>)| String::from_utf8_lossy(&line.1).into_owned();
        source
            .partitions()
            .iter()
            .map(|p| {
                all.get(p)
                    .map_or(Vec::new(), |lines| lines.iter().map(text).collect())
            })
            .collect()
    };
    assert_eq!(
        lines(&spec(folder.path(), &[])),
        [vec!["a1"], vec!["b1", "b2"], vec![]]
    );
    let glob = folder.path().join("*.jsonl");
    assert_eq!(lines(&spec(&glob, &[])), [vec!["a1"], vec!["b1", "b2"]]);
}

#[test]
fn a_paused_file_waits_and_the_others_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["a", "b"] {
        std::fs::write(folder.path().join(name), "1\n2\n3\n").expect("written");
    }
    let mut source = open(&spec(folder.path(), &[]), &[]);
    source.pause(0, true);
    let mut from_b = 0;
    loop {
        match source.poll(2, WAIT).expect("readable") {
            SourceEvent::Records(chunk) => {
                assert_eq!(chunk.partition, 1);
                from_b += 1;
            }
            SourceEvent::Finished { partition: 1 } => break,
            other => panic!("unexpected: {other:?}"),
        }
    }
    assert_eq!(from_b, 3);
    assert!(matches!(
        source.poll(2, Duration::ZERO),
        Ok(SourceEvent::Nothing)
    ));
    source.pause(0, false);
    assert!(matches!(source.poll(2, WAIT), Ok(SourceEvent::Records(_))));
}

#[test]
fn a_followed_file_hands_on_what_is_appended_line_by_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.jsonl");
    std::fs::write(&path, "one\ntw").expect("written");
    let spec = spec(folder.path(), &[("follow", "true")]);
    let mut source = open(&spec, &[]);
    assert!(!source.is_bounded());
    let next = |source: &mut dyn Source| -> Vec<String> {
        match source.poll(100, Duration::from_secs(5)).expect("readable") {
            SourceEvent::Records(chunk) => {
                let text = |r: (u64, Vec<u8>)| String::from_utf8_lossy(&r.1).into_owned();
                records(&chunk).into_iter().map(text).collect()
            }
            SourceEvent::AtEnd { partition, .. } => vec![format!("end of {partition}")],
            SourceEvent::Added { partition } => vec![format!("new {partition}")],
            other => panic!("unexpected: {other:?}"),
        }
    };
    assert_eq!(next(source.as_mut()), ["one"]);
    assert_eq!(next(source.as_mut()), ["end of 0"]);
    assert_eq!(next(source.as_mut()), ["end of 0"], "it is said again");
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .expect("opened");
    file.write_all(b"o\nthree\nfo").expect("appended");
    assert_eq!(next(source.as_mut()), ["two", "three"]);
    std::fs::write(folder.path().join("b.jsonl"), "b1\n").expect("written");
    let mut heard = Vec::new();
    while !heard.contains(&"b1".to_owned()) {
        heard.extend(next(source.as_mut()));
    }
    assert!(heard.contains(&"new 1".to_owned()), "{heard:?}");
    file.set_len(3).expect("cut");
    let error = loop {
        match source.poll(100, WAIT) {
            Ok(_) => {}
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("was cut to 3 bytes"), "{error}");
}

#[test]
fn what_cannot_be_read_is_told_with_advice() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = |spec: &TableSpec, part: &str| {
        let error = try_open(spec, &[])
            .err()
            .unwrap_or_else(|| panic!("{part}"));
        assert!(error.contains(part), "'{part}' is not in: {error}");
    };
    refused(
        &spec(&folder.path().join("no.jsonl"), &[]),
        "no.jsonl'; check the option 'path'",
    );
    refused(&spec(folder.path(), &[]), "holds no files");
    refused(&spec(&folder.path().join("*.x"), &[]), "no file matches");
    refused(
        &spec(Path::new("-"), &[("follow", "true")]),
        "remove the option",
    );
    refused(&spec(Path::new("x.gz"), &[("follow", "true")]), "unpack it");
    refused(
        &spec(Path::new("x"), &[("line.max-bytes", "1")]),
        "out of range",
    );
    refused(
        &spec(Path::new("x"), &[("compression", "rar")]),
        "auto, none, gzip, zstd",
    );
    let none = table(&[("line", Utf8)], 0, &[("connector", "file")]);
    assert!(
        check(&none, false)
            .expect_err("no path")
            .message
            .contains("'path' is missing")
    );

    // Broken packing and an offset past the end are errors, not silence.
    let path = folder.path().join("broken.gz");
    let whole = std::fs::read(pack(folder.path(), &b"line\n".repeat(1000), ".gz")).expect("read");
    std::fs::write(&path, &whole[..whole.len() - 5]).expect("written");
    let mut source = open(&spec(&path, &[]), &[]);
    let error = loop {
        match source.poll(100, WAIT) {
            Ok(SourceEvent::Finished { .. }) => panic!("a cut file has no good end"),
            Ok(_) => {}
            Err(error) => break error.to_string(),
        }
    };
    assert!(
        error.contains("broken.gz") && error.contains("cut short"),
        "{error}"
    );
    let plain = pack(folder.path(), b"one\n", "");
    for path in [plain, pack(folder.path(), b"one\n", ".zst")] {
        let error = open(&spec(&path, &[]), &[(0, 99)])
            .poll(9, WAIT)
            .expect_err("past the end");
        assert!(error.to_string().contains("byte 99"), "{error}");
    }
}

#[test]
fn a_named_pipe_is_read_as_a_stream() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo")
        .arg(&path)
        .status()
        .expect("mkfifo");
    assert!(made.success());
    let writer = std::thread::spawn({
        let path = path.clone();
        move || std::fs::write(path, "one\ntwo\nlast").expect("written")
    });
    let mut source = open(&spec(&path, &[]), &[(0, 4)]);
    assert_eq!(source.size(), None);
    let lines = read_all(source.as_mut(), 100);
    assert_eq!(lines[&0], [(4, b"two".to_vec()), (8, b"last".to_vec())]);
    writer.join().expect("joined");
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = pack(folder.path(), b"\xef\xbb\xbf{}\n{}\n", "");
    let lines = read_all(open(&spec(&path, &[]), &[]).as_mut(), 3);
    assert_eq!(lines[&0], [(3, b"{}".to_vec()), (6, b"{}".to_vec())]);
}

#[test]
fn more_files_than_are_kept_open() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in 0..300 {
        let text = format!("{name} one\n{name} two\n{name} three");
        std::fs::write(folder.path().join(format!("{name:03}")), text).expect("written");
    }
    let lines = read_all(open(&spec(folder.path(), &[]), &[]).as_mut(), 4);
    assert_eq!(lines.len(), 300);
    for (partition, lines) in lines {
        let texts: Vec<_> = lines
            .iter()
            .map(|(_, l)| String::from_utf8_lossy(l))
            .collect();
        let want = ["one", "two", "three"].map(|word| format!("{partition} {word}"));
        assert_eq!(texts, want);
    }
}
