//! The store as a table: the keys and texts that stand in it, by layout.

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Schema;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tidewheel_connectors::store::{NEVER, StoreConnector, StoreReader, Value};
use tidewheel_core::change::NO_EXPIRY;
use tidewheel_core::{
    ChangeBatch, Connector, Env, Op, Options, Progress, Registry, SinkRequest, TableSpec,
};

/// Always the same time.
struct Clock(Registry);

const NOW: i64 = 1_000_000;

impl Env for Clock {
    fn wall_ms(&self) -> i64 {
        NOW
    }
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
    fn random(&self) -> u64 {
        4
    }
    fn registry(&self) -> &Registry {
        &self.0
    }
    fn sleep(&self, _duration: Duration) {}
}

fn rows() -> RecordBatch {
    let columns: [(&str, ArrayRef); 3] = [
        (
            "user_key",
            Arc::new(StringArray::from(vec!["u1", "u2", "u3"])),
        ),
        (
            "views",
            Arc::new(Int64Array::from(vec![Some(3), None, Some(5)])),
        ),
        (
            "price",
            Arc::new(Float64Array::from(vec![Some(129.99), Some(2.0), Some(1.0)])),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(n, c)| (n, c, true))).expect("batch")
}

fn batch(columns: &[usize], ops: [Op; 3], live_ms: [i64; 3], changed: u64) -> ChangeBatch {
    ChangeBatch {
        rows: rows().project(columns).expect("columns"),
        columns: columns.to_vec(),
        ops: ops.to_vec(),
        live_ms: live_ms.to_vec(),
        changed: vec![changed; 3],
        urgent: true,
    }
}

fn table(path: &Path, name: &str, columns: &[usize], more: &[(&str, &str)]) -> TableSpec {
    let mut options: Options = more.iter().copied().collect();
    options.set("path", path.to_string_lossy());
    let schema = rows().schema();
    let schema = Arc::new(Schema::new(
        schema.project(columns).expect("columns").fields,
    ));
    TableSpec {
        name: name.into(),
        schema,
        primary_key: vec![0],
        options,
    }
}

fn sink(connector: &StoreConnector, table: TableSpec) -> Box<dyn tidewheel_core::Sink> {
    connector.check(&table, true).expect("checks");
    let env = Arc::new(Clock(Registry::default()));
    connector
        .sink(&SinkRequest::new(table, env))
        .expect("opens")
}

fn stands(path: &Path, now: i64) -> BTreeMap<String, Value> {
    let reader = StoreReader::open(path).expect("opens");
    reader
        .iter(now)
        .map(|(key, entry)| (key.to_owned(), entry.value.clone()))
        .collect()
}

fn texts<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, Value> {
    pairs
        .into_iter()
        .map(|(key, text)| (key.to_owned(), Value::Text(text.to_owned())))
        .collect()
}

const UPSERTS: [Op; 3] = [Op::Upsert; 3];

#[test]
fn strings_stand_by_column_and_expire() {
    let folder = tempfile::tempdir().expect("tempdir");
    let connector = StoreConnector::default();
    let options = [("key", "user:{user_key}:{column}_5m"), ("ttl", "10 s")];
    let mut sink = sink(&connector, table(folder.path(), "t", &[0, 1, 2], &options));
    let live = [5_000, 0, NO_EXPIRY];
    sink.write(
        &batch(&[0, 1, 2], UPSERTS, live, u64::MAX),
        &Progress::default(),
    )
    .expect("writes");
    assert_eq!(sink.writes(), 6);
    assert_eq!(
        stands(folder.path(), NOW),
        texts([
            ("user:u1:price_5m", "129.99"),
            ("user:u1:views_5m", "3"),
            ("user:u2:price_5m", "2.0"),
            ("user:u3:price_5m", "1.0"),
            ("user:u3:views_5m", "5"),
        ])
    );
    let reader = StoreReader::open(folder.path()).expect("opens");
    let expires = |key: &str| reader.get(key, NOW).expect("there").expire_ms;
    assert_eq!(expires("user:u1:views_5m"), NOW + 15_000);
    assert_eq!(expires("user:u2:price_5m"), NOW + 10_000);
    assert_eq!(expires("user:u3:price_5m"), NEVER);
    // Only changed columns are written, and a delete takes all of its row's keys.
    let ops = [Op::Upsert, Op::Upsert, Op::Delete];
    let again = batch(&[0, 1, 2], ops, [20_000; 3], 0b010);
    sink.write(&again, &Progress::default()).expect("writes");
    let reader = StoreReader::open(folder.path()).expect("opens");
    let expires = |key: &str| reader.get(key, NOW).map(|entry| entry.expire_ms);
    assert_eq!(expires("user:u1:views_5m"), Some(NOW + 30_000));
    assert_eq!(expires("user:u1:price_5m"), Some(NOW + 15_000));
    assert_eq!(expires("user:u3:price_5m"), None);
    assert_eq!(stands(folder.path(), NOW + 30_000), texts([]));
}

#[test]
fn tables_share_a_hash_and_own_only_their_fields() {
    let folder = tempfile::tempdir().expect("tempdir");
    let connector = StoreConnector::default();
    let options = |ttl| {
        [
            ("layout", "hash"),
            ("key", "user:{user_key}"),
            ("ttl", ttl),
            ("url", "redis://no"),
        ]
    };
    let mut views = sink(
        &connector,
        table(folder.path(), "v", &[0, 1], &options("60 s")),
    );
    let mut price = sink(
        &connector,
        table(folder.path(), "p", &[0, 2], &options("1 s")),
    );
    let none = Progress::default();
    views
        .write(&batch(&[0, 1], UPSERTS, [0; 3], u64::MAX), &none)
        .expect("writes");
    let mut prices = batch(&[0, 2], UPSERTS, [0; 3], u64::MAX);
    prices.columns = vec![0, 1];
    price.write(&prices, &none).expect("writes");
    let reader = StoreReader::open(folder.path()).expect("opens");
    let entry = reader.get("user:u1", NOW).expect("there");
    let hash = BTreeMap::from([("price", "129.99"), ("views", "3")]);
    let hash = hash
        .into_iter()
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .collect();
    assert_eq!(entry.value, Value::Hash(hash));
    assert_eq!(entry.expire_ms, NOW + 60_000, "a ttl is never shortened");
    prices.ops = vec![Op::Delete; 3];
    price.write(&prices, &none).expect("writes");
    let left = stands(folder.path(), NOW);
    // The second had no views: with its price the whole key is gone.
    assert_eq!(left.keys().collect::<Vec<_>>(), ["user:u1", "user:u3"]);
}

#[test]
fn sorted_sets_json_and_progress() {
    let folder = tempfile::tempdir().expect("tempdir");
    let connector = StoreConnector::default();
    let trending = [
        ("layout", "sorted-set"),
        ("key", "shop:trending"),
        ("member", "user_key"),
        ("score", "views"),
    ];
    let mut sorted = sink(&connector, table(folder.path(), "s", &[0, 1], &trending));
    let progress = Progress {
        offsets: vec![("events".into(), 1, 42)],
        frontier: Some(7),
    };
    let rows = batch(&[0, 1], UPSERTS, [NO_EXPIRY; 3], u64::MAX);
    sorted.write(&rows, &progress).expect("writes");
    let json = [("layout", "json"), ("key", "j:{user_key}")];
    let mut json = sink(&connector, table(folder.path(), "j", &[0, 1, 2], &json));
    let rows = batch(&[0, 1, 2], UPSERTS, [NO_EXPIRY; 3], u64::MAX);
    json.write(&rows, &Progress::default()).expect("writes");
    let found = stands(folder.path(), NOW);
    assert_eq!(
        found["shop:trending"].by_score(),
        [("u3", 5.0), ("u1", 3.0)]
    );
    assert_eq!(
        found["j:u1"],
        Value::Text(r#"{"views":3,"price":129.99}"#.into())
    );
    assert_eq!(found["j:u2"], Value::Text(r#"{"price":2.0}"#.into()));
    let wanted = BTreeMap::from([
        ("frontier".to_owned(), "7".to_owned()),
        ("offset:events:1".to_owned(), "42".to_owned()),
    ]);
    assert_eq!(found["tidewheel:progress:s"], Value::Hash(wanted));
}

#[test]
fn what_cannot_be_stored_is_refused() {
    let connector = StoreConnector::default();
    let path = Path::new("anywhere");
    let check = |table: TableSpec| connector.check(&table, true).expect_err("refused").message;
    assert!(check(table(path, "t", &[0, 1], &[])).contains("'key'"));
    let mut keyless = table(path, "t", &[0, 1], &[("key", "a")]);
    keyless.primary_key.clear();
    assert!(check(keyless).contains("PRIMARY KEY"));
    let mut pathless = table(path, "t", &[0, 1], &[("key", "{user_key}")]);
    pathless.options.remove("path");
    assert!(check(pathless).contains("'path'"));
    let error = connector
        .check(&table(path, "t", &[0, 1], &[]), false)
        .expect_err("no source");
    assert!(error.message.contains("only writes"), "{error}");
}
