//! Random changes in a real Redis, in every layout, against a naive model.

#[path = "support/redis.rs"]
mod redis_server;
#[path = "support/tables.rs"]
mod tables;

use arrow::datatypes::DataType::{Float64, Int64, Utf8};
use proptest::prelude::*;
use redis::Commands;
use redis_server::RedisServer;
use std::collections::BTreeMap;
use tables::{Col, changes, open, progress, table};
use tidewheel_core::Op;

const COLUMNS: [&str; 3] = ["a", "b", "c"];

/// One change: key, which columns changed, their values (`None` is a delete).
#[derive(Debug, Clone)]
struct Change {
    key: String,
    changed: u8,
    values: Option<(Option<i64>, Option<f64>, Option<String>)>,
}

fn change() -> impl Strategy<Value = Change> {
    let values = (
        proptest::option::of(-3_i64..3),
        proptest::option::of(prop_oneof![
            Just(0.1),
            Just(-0.0),
            Just(1e300),
            Just(f64::NAN)
        ]),
        proptest::option::of("[a\r\n\"{}é ]{0,4}"),
    );
    (
        "[ab:{} ]{0,2}",
        0_u8..8,
        proptest::option::weighted(0.8, values),
    )
        .prop_map(|(key, changed, values)| Change {
            key,
            changed,
            values,
        })
}

/// Key in Redis → field (empty for strings) → text.
type Model = BTreeMap<String, BTreeMap<String, String>>;

fn set(model: &mut Model, key: &str, field: &str, value: Option<String>) {
    let fields = model.entry(key.to_owned()).or_default();
    match value {
        Some(value) => fields.insert(field.to_owned(), value),
        None => fields.remove(field),
    };
    if model[key].is_empty() {
        model.remove(key);
    }
}

fn apply(model: &mut Model, layout: &str, change: &Change) {
    let texts: [Option<String>; 3] = match &change.values {
        None => [None, None, None],
        Some((a, b, c)) => [
            a.map(|a| a.to_string()),
            b.filter(|b| b.is_finite()).map(|b| match b {
                1e300 => format!("1{}.0", "0".repeat(300)),
                0.1 => "0.1".to_owned(),
                _ => "0.0".to_owned(),
            }),
            c.clone(),
        ],
    };
    for (at, text) in texts.into_iter().enumerate() {
        if change.values.is_some() && change.changed >> at & 1 == 0 {
            continue;
        }
        let (key, field) = match layout {
            "string" => (format!("k:{}:{}", change.key, COLUMNS[at]), ""),
            _ => (format!("k:{}", change.key), COLUMNS[at]),
        };
        set(model, &key, field, text);
    }
}

fn read(redis: &mut redis::Connection, layout: &str) -> Model {
    let keys: Vec<String> = redis.keys("k:*").expect("KEYS");
    let one = |key: String| {
        let fields = match layout {
            "string" => {
                let text: String = redis.get(&key).expect("GET");
                [(String::new(), text)].into_iter().collect()
            }
            _ => redis.hgetall(&key).expect("HGETALL"),
        };
        (key, fields)
    };
    keys.into_iter().map(one).collect()
}

#[test]
fn random_changes_leave_what_a_naive_model_holds() {
    let server = RedisServer::start(&[]);
    let redis = std::cell::RefCell::new(server.connection());
    let url = server.url();
    let cases = (
        proptest::collection::vec(proptest::collection::vec(change(), 1..20), 1..5),
        prop_oneof![Just("string"), Just("hash")],
        any::<bool>(),
        prop_oneof![Just("1 kb"), Just("4 mb")],
    );
    let config = ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..Default::default()
    };
    proptest!(config, |(batches in cases.0, layout in cases.1, ttl in cases.2, bytes in cases.3)| {
        let _: () = redis.borrow_mut().flushall().expect("FLUSHALL");
        let key = if layout == "string" { "k:{key}:{column}" } else { "k:{key}" };
        let mut options = vec![
            ("connector", "redis"),
            ("url", &url),
            ("layout", layout),
            ("key", key),
            ("batch.max-bytes", bytes),
        ];
        if ttl {
            options.push(("ttl", "1 h"));
        }
        let columns = [("key", Utf8), ("a", Int64), ("b", Float64), ("c", Utf8)];
        let spec = table(&columns, 1, &options);
        let mut sink = open(&spec);
        let mut model = Model::new();
        for (offset, batch) in batches.iter().enumerate() {
            let values = |c: &Change| c.values.clone().unwrap_or((Some(9), Some(9.0), None));
            // The order of a batch's columns is the query's, not the table's.
            let mut rows = changes(&spec, &[3, 0, 1, 2], &[
                Col::Owned(batch.iter().map(|c| values(c).2).collect()),
                Col::Owned(batch.iter().map(|c| Some(c.key.clone())).collect()),
                Col::Int(batch.iter().map(|c| values(c).0).collect()),
                Col::Double(batch.iter().map(|c| values(c).1).collect()),
            ]);
            for (row, change) in batch.iter().enumerate() {
                let bits = u64::from(change.changed);
                rows.changed[row] = (bits & 3) << 2 | bits >> 2;
                if change.values.is_none() {
                    rows.ops[row] = Op::Delete;
                }
                apply(&mut model, layout, change);
            }
            // Written twice: again, nothing changes.
            sink.write(&rows, &progress(offset as u64)).expect("written");
            sink.write(&rows, &progress(offset as u64)).expect("written again");
        }
        prop_assert_eq!(read(&mut redis.borrow_mut(), layout), model);
    });
}
