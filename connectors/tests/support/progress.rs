//! What holds of every store that remembers progress.

#![allow(dead_code, unreachable_pub)]

use crate::tables::{Col, open, open_owned, owned, table, try_request, upserts};
use arrow::datatypes::DataType::{Int64, Utf8};
use tidewheel_core::{ChangeBatch, Progress, Sink, SinkRequest, TableSpec};

pub fn features(connector: &str, place: (&str, &str)) -> TableSpec {
    let options = [
        ("connector", connector),
        place,
        ("key", "user:{user_key}:{column}"),
    ];
    table(&[("user_key", Utf8), ("views", Int64)], 1, &options)
}

pub fn one(table: &TableSpec) -> ChangeBatch {
    upserts(
        table,
        &[Col::Text(vec![Some("u1")]), Col::Int(vec![Some(1)])],
    )
}

pub fn at(offsets: &[(&str, u32, u64)], frontier: Option<i64>) -> Progress {
    Progress {
        offsets: offsets
            .iter()
            .map(|(source, partition, offset)| ((*source).to_owned(), *partition, *offset))
            .collect(),
        frontier,
    }
}

/// The same for both stores.
pub fn is_read_back_and_never_goes_back(table: &TableSpec) {
    let batch = one(table);
    let mut sink = open_owned(table, 1, None);
    assert_eq!(sink.progress().expect("answers"), None);
    let first = at(&[("a:b", 0, 7), ("a:b", 1, 9)], Some(-5));
    sink.write(&batch, &first).expect("written");
    drop(sink);
    let mut sink = open_owned(table, 2, None);
    assert_eq!(sink.progress().expect("answers"), Some(first));
    // A restored run that begins before, with a partition more.
    let before = at(&[("a:b", 0, 3), ("a:b", 1, 11), ("c", 0, 1)], Some(-9));
    sink.write(&batch, &before).expect("written");
    let highest = at(&[("a:b", 0, 7), ("a:b", 1, 11), ("c", 0, 1)], Some(-5));
    assert_eq!(sink.progress().expect("answers"), Some(highest));
    drop(sink);
    // One that does not ask first raises no less.
    let mut sink = open_owned(table, 2, None);
    let next = at(&[("a:b", 0, 8), ("a:b", 1, 2)], Some(4));
    sink.write(&batch, &next).expect("written");
    drop(sink);
    let highest = at(&[("a:b", 0, 8), ("a:b", 1, 11), ("c", 0, 1)], Some(4));
    let mut sink = open_owned(table, 2, None);
    assert_eq!(sink.progress().expect("answers"), Some(highest));
    drop(sink);
    // Another query of the pipeline has a progress of its own, and so has the table.
    let other = SinkRequest {
        query: "other".to_owned(),
        ..owned(table, 2, None)
    };
    assert_eq!(try_request(&other).expect("opens").progress(), Ok(None));
    assert_eq!(open(table).progress(), Ok(None));
}

/// The same for both stores.
pub fn notes_stay_until_they_are_dropped(table: &TableSpec) {
    let keys = |keys: &[&str]| -> Vec<Vec<u8>> {
        let bytes = keys.iter().map(|key| key.as_bytes().to_vec());
        bytes.collect()
    };
    let sorted = |sink: &mut dyn Sink| {
        let mut keys = sink.noted().expect("answers");
        keys.sort();
        keys
    };
    let mut sink = open_owned(table, 1, None);
    assert_eq!(sink.noted(), Ok(Vec::new()));
    // Bytes of any kind.
    let odd = vec![0, 255, b'\n', 0];
    sink.note(&[odd.clone(), b"a".to_vec()], 5, None)
        .expect("noted");
    sink.note(&keys(&["b", "c"]), 6, None).expect("noted");
    drop(sink);
    let mut sink = open_owned(table, 2, None);
    let all = [vec![odd], keys(&["a", "b", "c"])].concat();
    assert_eq!(sorted(&mut *sink), all);
    // What is noted again counts from then on.
    sink.note(&keys(&["a"]), 7, Some(6)).expect("noted");
    assert_eq!(sorted(&mut *sink), keys(&["a", "b", "c"]));
    sink.note(&keys(&["d"]), 1_764_000_000_000, Some(7))
        .expect("noted");
    drop(sink);
    let mut sink = open_owned(table, 2, None);
    assert_eq!(sorted(&mut *sink), keys(&["a", "d"]));
    drop(sink);
    let other = SinkRequest {
        query: "other".to_owned(),
        ..owned(table, 2, None)
    };
    let mut other = try_request(&other).expect("opens");
    assert_eq!(other.noted(), Ok(Vec::new()), "another query");
}
