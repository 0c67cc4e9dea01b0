//! Files, standard output and nothing as sinks.

#[path = "support/tables.rs"]
mod tables;

use arrow::datatypes::DataType::{Float64, Int64, Utf8};
use std::io::Read;
use std::path::Path;
use tables::{Col, changes, check, deletes, open, progress, table, try_open, upserts};
use tidewheel_core::TableSpec;

fn spec(path: &Path, keys: usize, more: &[(&str, &str)]) -> TableSpec {
    let columns = [("user", Utf8), ("views", Int64), ("price", Float64)];
    let mut spec = table(&columns, keys, &[("connector", "file")]);
    spec.options.set("path", path.to_string_lossy());
    for (name, value) in more {
        spec.options.set(*name, *value);
    }
    spec
}

fn rows(name: &'static str) -> [Col; 3] {
    [
        Col::Text(vec![Some(name), None]),
        Col::Int(vec![Some(1), None]),
        Col::Double(vec![Some(2.0), Some(f64::NAN)]),
    ]
}

fn read(path: &Path) -> String {
    let mut text = String::new();
    let file = std::fs::File::open(path).expect("opened");
    match path.extension().and_then(|e| e.to_str()) {
        Some("gz") => flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text),
        Some("zst") => zstd::stream::read::Decoder::new(file)
            .expect("zstd")
            .read_to_string(&mut text),
        _ => std::io::BufReader::new(file).read_to_string(&mut text),
    }
    .expect("read");
    text
}

#[test]
fn rows_of_an_append_only_table_in_every_packing() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"] {
        let path = folder.path().join("made/on/the/way").join(name);
        let table = spec(&path, 0, &[]);
        let mut sink = open(&table);
        sink.write(&upserts(&table, &rows("a\"\n")), &progress(1))
            .expect("written");
        let first = "{\"user\":\"a\\\"\\n\",\"views\":1,\"price\":2.0}\n\
                     {\"user\":null,\"views\":null,\"price\":null}\n";
        assert_eq!(read(&path), first, "{name}: readable before it is closed");
        let some = changes(
            &table,
            &[2, 0],
            &[Col::Double(vec![Some(0.5)]), Col::Text(vec![Some("b")])],
        );
        sink.write(&some, &progress(2)).expect("written");
        sink.close().expect("closed");
        assert_eq!(
            read(&path),
            format!("{first}{{\"price\":0.5,\"user\":\"b\"}}\n"),
            "{name}"
        );
        assert_eq!(sink.writes(), 3);
        drop(sink);

        let more = upserts(&table, &rows("c"));
        let table = spec(&path, 0, &[("mode", "append")]);
        open(&table).write(&more, &progress(3)).expect("written");
        assert_eq!(read(&path).lines().count(), 5, "{name}: appended");
        let table = spec(&path, 0, &[]);
        open(&table).write(&more, &progress(3)).expect("written");
        assert_eq!(read(&path).lines().count(), 2, "{name}: overwritten");
    }
}

#[test]
fn a_keyed_table_is_a_changelog() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("changes.jsonl");
    let table = spec(&path, 1, &[]);
    let mut sink = open(&table);
    let one = [
        Col::Text(vec![Some("u1")]),
        Col::Int(vec![Some(1)]),
        Col::Double(vec![None]),
    ];
    sink.write(&upserts(&table, &one), &progress(1))
        .expect("written");
    sink.write(&deletes(upserts(&table, &one)), &progress(2))
        .expect("written");
    assert_eq!(
        read(&path),
        "{\"user\":\"u1\",\"views\":1,\"price\":null,\"op\":\"upsert\"}\n\
         {\"user\":\"u1\",\"op\":\"delete\"}\n"
    );
}

#[test]
fn queries_that_write_one_table_share_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("shared.jsonl");
    let table = spec(&path, 0, &[]);
    let env = tables::env();
    let connector = env.registry().connector("file").expect("file");
    let request = tidewheel_core::SinkRequest::new(table.clone(), env.clone());
    let mut first = connector.sink(&request).expect("opens");
    first
        .write(&upserts(&table, &rows("a")), &progress(1))
        .expect("written");
    let mut second = connector.sink(&request).expect("opens");
    second
        .write(&upserts(&table, &rows("b")), &progress(1))
        .expect("written");
    first
        .write(&upserts(&table, &rows("c")), &progress(1))
        .expect("written");
    let users: Vec<String> = read(&path)
        .lines()
        .filter(|line| !line.contains("null"))
        .map(|line| line[9..10].to_owned())
        .collect();
    assert_eq!(users, ["a", "b", "c"]);
    drop((first, second));
    connector.sink(&request).expect("opens");
    assert_eq!(read(&path), "", "a new run begins anew");
}

#[test]
fn what_cannot_be_written_is_told_with_advice() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a");
    let refused = |spec: &TableSpec, part: &str| {
        let error = try_open(spec)
            .err()
            .unwrap_or_else(|| panic!("{part}"))
            .message;
        assert!(error.contains(part), "'{part}' is not in: {error}");
    };
    refused(&spec(folder.path(), 0, &[]), "is a folder; name a file");
    refused(
        &spec(&path, 0, &[("mode", "truncate")]),
        "overwrite, append",
    );
    refused(
        &spec(&path, 0, &[("compression", "lz4")]),
        "auto, none, gzip, zstd",
    );
    std::fs::write(&path, "a file").expect("written");
    refused(&spec(&path.join("b"), 0, &[]), "cannot write");
    let op = table(
        &[("user", Utf8), ("op", Utf8)],
        1,
        &[("connector", "file"), ("path", "x")],
    );
    assert!(
        check(&op, true)
            .expect_err("a column op")
            .message
            .contains("'op'")
    );
}

#[test]
fn a_full_disk_is_fatal_or_retried_but_never_silent() {
    let full = Path::new("/dev/full");
    if full.exists() {
        let table = spec(full, 0, &[]);
        let result = open(&table).write(&upserts(&table, &rows("a")), &progress(1));
        assert!(result.is_err(), "{result:?}");
    }
}

#[test]
fn a_blackhole_counts() {
    let table = table(
        &[("user", Utf8), ("views", Int64), ("price", Float64)],
        0,
        &[("connector", "blackhole")],
    );
    let mut sink = open(&table);
    sink.write(&upserts(&table, &rows("a")), &progress(1))
        .expect("written");
    sink.close().expect("closed");
    assert_eq!(sink.writes(), 2);
    assert!(check(&table, false).is_err(), "nothing comes out of it");
}
