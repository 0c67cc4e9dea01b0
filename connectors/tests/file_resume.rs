//! Files that are taken up again where a checkpoint left them.

#[path = "support/tables.rs"]
mod tables;

use arrow::datatypes::DataType::Utf8;
use std::io::Read;
use std::path::Path;
use tables::{Col, open_owned, owned, progress, table, try_request, upserts};
use tidewheel_core::{Sink, TableSpec};

fn spec(path: &Path, more: &[(&str, &str)]) -> TableSpec {
    let mut spec = table(&[("user", Utf8)], 0, &[("connector", "file")]);
    spec.options.set("path", path.to_string_lossy());
    for (name, value) in more {
        spec.options.set(*name, *value);
    }
    spec
}

fn write(sink: &mut dyn Sink, table: &TableSpec, users: impl IntoIterator<Item = String>) {
    for user in users {
        let batch = upserts(table, &[Col::Owned(vec![Some(user)])]);
        sink.write(&batch, &progress(1)).expect("written");
    }
}

fn names(prefix: &str, range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|i| format!("{prefix}{i}")).collect()
}

/// The users in a file, in their order.
fn users(path: &Path) -> Vec<String> {
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
    let user = |line: &str| {
        let line = line.strip_prefix("{\"user\":\"").expect("a row");
        line.strip_suffix("\"}").expect("a row").to_owned()
    };
    text.lines().map(user).collect()
}

#[test]
fn a_file_is_cut_back_to_its_place_in_the_checkpoint() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"] {
        for mode in ["overwrite", "append"] {
            let path = folder.path().join(mode).join(name);
            let table = spec(&path, &[("mode", mode)]);
            let mut sink = open_owned(&table, 1, None);
            let empty = sink.position().expect("a place");
            write(&mut *sink, &table, names("a", 0..700));
            let place = sink.position().expect("a place");
            write(&mut *sink, &table, names("lost", 0..5));
            drop(sink);
            // A torn write behind it.
            let mut bytes = std::fs::read(&path).expect("read");
            bytes.extend_from_slice(b"{\"us");
            std::fs::write(&path, &bytes).expect("written");

            let mut sink = open_owned(&table, 2, Some(place));
            let unchanged = std::fs::read(&path).expect("read");
            assert_eq!(unchanged, bytes, "nothing is cut before the first write");
            write(&mut *sink, &table, names("b", 0..5));
            let place = sink.position().expect("a place");
            drop(sink);
            let want = [names("a", 0..700), names("b", 0..5)].concat();
            assert_eq!(users(&path), want, "{mode} {name}");

            // Taken up twice without a row in between, and closed.
            for epoch in 3..5 {
                let mut sink = open_owned(&table, epoch, Some(place.clone()));
                assert_eq!(sink.position().expect("a place"), place);
                sink.close().expect("closed");
            }
            assert_eq!(users(&path), want, "{mode} {name}");
            // From before the first row.
            let mut sink = open_owned(&table, 6, Some(empty));
            write(&mut *sink, &table, names("c", 0..1));
            assert_eq!(users(&path), ["c0"], "{mode} {name}");
        }
    }
}

#[test]
fn a_file_that_is_gone_is_begun_anew_and_another_one_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.jsonl");
    let table = spec(&path, &[]);
    let mut sink = open_owned(&table, 1, None);
    write(&mut *sink, &table, names("a", 0..10));
    let place = sink.position().expect("a place");
    drop(sink);
    let whole = std::fs::read(&path).expect("read");

    let refused = |part: &str| {
        let before = std::fs::read(&path).expect("read");
        let error = try_request(&owned(&table, 2, Some(place.clone())))
            .err()
            .unwrap_or_else(|| panic!("{part}"));
        assert!(error.message.contains(part), "{error}");
        assert!(error.message.contains("move it away"), "{error}");
        assert_eq!(std::fs::read(&path).expect("read"), before);
    };
    std::fs::write(&path, &whole[..whole.len() - 1]).expect("written");
    refused("it was cut or replaced");
    let mut other = whole;
    other[3] ^= 1;
    other.extend_from_slice(b"more\n");
    std::fs::write(&path, &other).expect("written");
    refused("not the file of the checkpoint");

    for gone in [true, false] {
        if gone {
            std::fs::remove_file(&path).expect("removed");
        } else {
            std::fs::write(&path, b"").expect("emptied");
        }
        let mut sink = open_owned(&table, 3, Some(place.clone()));
        write(&mut *sink, &table, names("b", 0..2));
        assert_eq!(users(&path), names("b", 0..2));
    }
    let broken = try_request(&owned(&table, 2, Some(b"{\"length\":".to_vec())));
    assert!(broken.is_err());
}

#[test]
fn of_a_shared_file_nothing_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.jsonl");
    let table = spec(&path, &[]);
    let request = owned(&table, 1, None);
    let connector = request.env.registry().connector("file").expect("file");
    let mut first = connector.sink(&request).expect("opens");
    let mut second = connector.sink(&request).expect("opens");
    write(&mut *first, &table, names("a", 0..1));
    let place_1 = first.position().expect("a place");
    write(&mut *first, &table, names("twice", 0..1));
    write(&mut *second, &table, names("b", 0..1));
    let place_2 = second.position().expect("a place");
    write(&mut *second, &table, names("lost", 0..1));
    drop((first, second));

    for turned in [false, true] {
        let mut places = [place_1.clone(), place_2.clone()];
        if turned {
            places.reverse();
        }
        let [one, two] = places.map(|place| {
            let request = tidewheel_core::SinkRequest {
                env: request.env.clone(),
                ..owned(&table, 2, Some(place))
            };
            connector.sink(&request).expect("opens")
        });
        let (mut one, mut two) = (one, two);
        write(&mut *one, &table, names("c", 0..1));
        write(&mut *two, &table, names("d", 0..1));
        assert_eq!(users(&path), ["a0", "twice0", "b0", "c0", "d0"]);
    }
}

#[test]
fn a_pipe_has_no_place() {
    let table = spec(Path::new("/dev/null"), &[]);
    let mut sink = open_owned(&table, 1, None);
    write(&mut *sink, &table, names("a", 0..1));
    assert_eq!(sink.position().expect("none"), Vec::<u8>::new());
    open_owned(&table, 2, Some(b"{\"length\":9,\"tail\":1}".to_vec()));
}

#[test]
fn what_is_not_read_again_stays_where_the_table_would_begin_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out.jsonl");
    let table = spec(&path, &[]);
    let open = |keep: bool| {
        let request = tidewheel_core::SinkRequest {
            keep,
            ..owned(&table, 1, None)
        };
        try_request(&request).expect("opens")
    };
    write(&mut *open(false), &table, names("a", 0..2));
    write(&mut *open(true), &table, names("b", 0..1));
    assert_eq!(users(&path), ["a0", "a1", "b0"]);
    write(&mut *open(false), &table, names("c", 0..1));
    assert_eq!(users(&path), ["c0"]);
}
