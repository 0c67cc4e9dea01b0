//! Rows in a real Redis: every layout, ttl, NULLs, deletes, shared hashes.

#[path = "support/redis.rs"]
mod redis_server;
#[path = "support/tables.rs"]
mod tables;

use arrow::datatypes::DataType::{Float64, Int64, Utf8};
use redis::Commands;
use redis_server::RedisServer;
use std::collections::BTreeMap;
use tables::{Col, changes, deletes, open, progress, table, upserts};
use tidewheel_core::change::NO_EXPIRY;
use tidewheel_core::{Progress, TableSpec};

fn strings(server: &RedisServer, more: &[(&str, &str)]) -> TableSpec {
    let url = server.url();
    let mut options = vec![
        ("connector", "redis"),
        ("url", url.as_str()),
        ("layout", "string"),
        ("key", "user:{user_key}:{column}_5m"),
    ];
    options.extend_from_slice(more);
    table(
        &[
            ("user_key", Utf8),
            ("views", Int64),
            ("price", Float64),
            ("brand", Utf8),
        ],
        1,
        &options,
    )
}

fn row(views: Option<i64>, price: Option<f64>, brand: Option<&'static str>) -> Vec<Col> {
    vec![
        Col::Text(vec![Some("u1")]),
        Col::Int(vec![views]),
        Col::Double(vec![price]),
        Col::Text(vec![brand]),
    ]
}

fn get(connection: &mut redis::Connection, key: &str) -> Option<String> {
    connection.get(key).expect("GET")
}

#[test]
fn strings_have_one_key_a_column_with_the_text_of_values() {
    let server = RedisServer::start(&[]);
    let mut redis = server.connection();
    let table = strings(&server, &[("ttl", "10 min")]);
    let mut sink = open(&table);
    let mut batch = upserts(&table, &row(Some(3), Some(129.99), Some("a \"b\"\r\nü")));
    batch.live_ms = vec![60_000];
    sink.write(&batch, &progress(7)).expect("written");

    assert_eq!(get(&mut redis, "user:u1:views_5m").as_deref(), Some("3"));
    assert_eq!(
        get(&mut redis, "user:u1:price_5m").as_deref(),
        Some("129.99")
    );
    assert_eq!(
        get(&mut redis, "user:u1:brand_5m").as_deref(),
        Some("a \"b\"\r\nü")
    );
    let left: i64 = redis.pttl("user:u1:views_5m").expect("PTTL");
    assert!((600_001..=660_000).contains(&left), "{left}");
    assert_eq!(sink.writes(), 3);

    // Beside the values stands how far the input was read.
    let beside: BTreeMap<String, i64> = redis.hgetall("tidewheel:progress:features").expect("hash");
    let want = [
        ("frontier".to_owned(), 1_000_000),
        ("offset:events:0".to_owned(), 7),
    ];
    assert_eq!(beside, want.into_iter().collect());
}

#[test]
fn null_and_nan_delete_their_key_only_and_a_delete_all_own_keys() {
    let server = RedisServer::start(&[]);
    let mut redis = server.connection();
    let table = strings(&server, &[]);
    let mut sink = open(&table);
    sink.write(
        &upserts(&table, &row(Some(3), Some(1.0), Some("x"))),
        &progress(1),
    )
    .expect("ok");
    sink.write(
        &upserts(&table, &row(Some(4), Some(f64::NAN), None)),
        &progress(2),
    )
    .expect("ok");
    assert_eq!(get(&mut redis, "user:u1:views_5m").as_deref(), Some("4"));
    assert_eq!(get(&mut redis, "user:u1:price_5m"), None);
    assert_eq!(get(&mut redis, "user:u1:brand_5m"), None);
    let left: i64 = redis.pttl("user:u1:views_5m").expect("PTTL");
    assert_eq!(left, -1, "without the option nothing expires");

    // A query that owns two columns deletes those and no others.
    sink.write(
        &upserts(&table, &row(Some(3), Some(1.0), Some("x"))),
        &progress(3),
    )
    .expect("ok");
    let owned = [
        Col::Text(vec![Some("u1")]),
        Col::Int(vec![None]),
        Col::Double(vec![None]),
    ];
    sink.write(&deletes(changes(&table, &[0, 1, 2], &owned)), &progress(4))
        .expect("ok");
    assert_eq!(get(&mut redis, "user:u1:views_5m"), None);
    assert_eq!(get(&mut redis, "user:u1:price_5m"), None);
    assert_eq!(get(&mut redis, "user:u1:brand_5m").as_deref(), Some("x"));
}

#[test]
fn unchanged_columns_are_not_written() {
    let server = RedisServer::start(&[]);
    let mut redis = server.connection();
    for layout in ["string", "hash"] {
        let key = if layout == "hash" {
            "h:{user_key}"
        } else {
            "s:{user_key}:{column}"
        };
        let table = strings(&server, &[("layout", layout), ("key", key)]);
        let mut sink = open(&table);
        let mut batch = upserts(&table, &row(Some(3), Some(1.5), Some("x")));
        batch.changed = vec![0b0100];
        sink.write(&batch, &progress(1)).expect("ok");
        assert_eq!(sink.writes(), 1, "{layout}");
    }
    assert_eq!(get(&mut redis, "s:u1:price").as_deref(), Some("1.5"));
    assert_eq!(get(&mut redis, "s:u1:views"), None);
    let fields: Vec<String> = redis.hkeys("h:u1").expect("HKEYS");
    assert_eq!(fields, ["price"]);
}

#[test]
fn a_row_that_no_time_empties_gets_no_expiry() {
    let server = RedisServer::start(&[]);
    let mut redis = server.connection();
    let table = strings(&server, &[("ttl", "10 min")]);
    let mut sink = open(&table);
    let mut batch = upserts(&table, &row(Some(3), None, None));
    batch.live_ms = vec![NO_EXPIRY];
    sink.write(&batch, &Progress::default()).expect("ok");
    assert_eq!(redis.pttl::<_, i64>("user:u1:views_5m").expect("PTTL"), -1);
    batch.live_ms = vec![-5_000];
    sink.write(&batch, &Progress::default()).expect("ok");
    let left: i64 = redis.pttl("user:u1:views_5m").expect("PTTL");
    assert!(
        (590_000..=600_000).contains(&left),
        "{left}: the past counts as no time"
    );
    batch.live_ms = vec![NO_EXPIRY - 1];
    sink.write(&batch, &Progress::default())
        .expect("a time far away is no error");
}

#[test]
fn window_columns_stand_as_times_in_keys() {
    let server = RedisServer::start(&[]);
    let mut redis = server.connection();
    let url = server.url();
    let options = [
        ("connector", "redis"),
        ("url", &url),
        ("layout", "hash"),
        ("key", "shop:{window_start}"),
    ];
    let table = table(
        &[("window_start", tables::time()), ("events", Int64)],
        1,
        &options,
    );
    let rows = [
        Col::Time(vec![Some(1_742_986_560_000), None]),
        Col::Int(vec![Some(5), Some(6)]),
    ];
    let mut sink = open(&table);
    sink.write(&upserts(&table, &rows), &Progress::default())
        .expect("ok");
    let value: String = redis
        .hget("shop:2025-03-26T10:56:00.000Z", "events")
        .expect("HGET");
    assert_eq!(value, "5");
    let keys: Vec<String> = redis.keys("*").expect("KEYS");
    assert_eq!(
        keys.len(),
        1,
        "a row with NULL in its key is not written: {keys:?}"
    );
}

fn hash(server: &RedisServer, column: &str, ttl: Option<&str>) -> TableSpec {
    let url = server.url();
    let mut options = vec![
        ("connector", "redis"),
        ("url", &url),
        ("layout", "hash"),
        ("key", "user:{user_key}"),
    ];
    if let Some(ttl) = ttl {
        options.push(("ttl", ttl));
    }
    let mut spec = table(&[("user_key", Utf8), (column, Int64)], 1, &options);
    spec.name = column.to_owned();
    spec
}

fn write_hash(table: &TableSpec, value: Option<i64>, live_ms: i64) {
    let mut batch = upserts(table, &[Col::Text(vec![Some("u1")]), Col::Int(vec![value])]);
    batch.live_ms = vec![live_ms];
    open(table)
        .write(&batch, &Progress::default())
        .expect("written");
}

#[test]
fn tables_share_a_hash_and_no_ttl_is_shortened() {
    let server = RedisServer::start(&[]);
    let mut redis = server.connection();
    let (short, long) = (
        hash(&server, "a", Some("1 min")),
        hash(&server, "b", Some("1 h")),
    );
    let forever = hash(&server, "c", None);
    let mut left = |least: i64, most: i64| {
        let left: i64 = redis.pttl("user:u1").expect("PTTL");
        assert!(
            (least..=most).contains(&left),
            "{left} is not in {least}..={most}"
        );
    };
    write_hash(&short, Some(1), 0);
    left(50_000, 60_000);
    write_hash(&long, Some(2), 0);
    left(3_590_000, 3_600_000);
    write_hash(&short, Some(3), 0);
    left(3_590_000, 3_600_000);
    write_hash(&long, Some(2), 3_600_000);
    left(7_190_000, 7_200_000);
    // A table without ttl keeps its fields for ever, and so the others'.
    write_hash(&forever, Some(4), 0);
    left(-1, -1);
    write_hash(&short, Some(5), 0);
    left(-1, -1);

    // NULL removes the own field only, and with its last field the hash is gone.
    write_hash(&short, None, 0);
    let fields: BTreeMap<String, i64> = redis.hgetall("user:u1").expect("HGETALL");
    assert_eq!(
        fields,
        [("b".to_owned(), 2), ("c".to_owned(), 4)]
            .into_iter()
            .collect()
    );
    write_hash(&long, None, 0);
    write_hash(&forever, None, 0);
    assert!(!redis.exists::<_, bool>("user:u1").expect("EXISTS"));
    write_hash(&short, Some(1), 0);
    let left: i64 = redis.pttl("user:u1").expect("PTTL");
    assert!(
        (50_000..=60_000).contains(&left),
        "{left}: a new hash begins anew"
    );
}

#[test]
fn a_json_text_leaves_nulls_out() {
    let server = RedisServer::start(&[]);
    let mut redis = server.connection();
    let table = strings(
        &server,
        &[
            ("layout", "json"),
            ("key", "j:{user_key}"),
            ("ttl", "10 min"),
        ],
    );
    let mut sink = open(&table);
    sink.write(
        &upserts(&table, &row(Some(3), Some(2.0), Some("a\"b"))),
        &progress(1),
    )
    .expect("ok");
    let text = get(&mut redis, "j:u1");
    assert_eq!(
        text.as_deref(),
        Some("{\"views\":3,\"price\":2.0,\"brand\":\"a\\\"b\"}")
    );
    sink.write(&upserts(&table, &row(None, Some(2.0), None)), &progress(2))
        .expect("ok");
    assert_eq!(get(&mut redis, "j:u1").as_deref(), Some("{\"price\":2.0}"));
    assert!(redis.pttl::<_, i64>("j:u1").expect("PTTL") > 590_000);
    sink.write(
        &upserts(&table, &row(None, None, Some("null"))),
        &progress(3),
    )
    .expect("ok");
    assert_eq!(
        get(&mut redis, "j:u1").as_deref(),
        Some("{\"brand\":\"null\"}")
    );
    sink.write(
        &deletes(upserts(&table, &row(None, None, None))),
        &progress(4),
    )
    .expect("ok");
    assert_eq!(get(&mut redis, "j:u1"), None);
}

#[test]
fn a_sorted_set_holds_members_with_scores() {
    let server = RedisServer::start(&[]);
    let mut redis = server.connection();
    let url = server.url();
    let options = [
        ("connector", "redis"),
        ("url", url.as_str()),
        ("layout", "sorted-set"),
        ("key", "shop:trending"),
        ("member", "product_id"),
        ("score", "views"),
        ("ttl", "10 min"),
    ];
    let table = table(&[("product_id", Utf8), ("views", Int64)], 1, &options);
    let mut sink = open(&table);
    let names = |names: &[&'static str]| Col::Text(names.iter().copied().map(Some).collect());
    let three = [
        names(&["p1", "p2", "p 3"]),
        Col::Int(vec![Some(5), Some(7), Some(6)]),
    ];
    sink.write(&upserts(&table, &three), &progress(1))
        .expect("ok");
    let read = |redis: &mut redis::Connection| -> Vec<(String, f64)> {
        redis
            .zrange_withscores("shop:trending", 0, -1)
            .expect("ZRANGE")
    };
    assert_eq!(
        read(&mut redis),
        [
            ("p1".to_owned(), 5.0),
            ("p 3".to_owned(), 6.0),
            ("p2".to_owned(), 7.0)
        ]
    );
    assert!(redis.pttl::<_, i64>("shop:trending").expect("PTTL") > 590_000);
    // A lost rank is a delete; a NULL score removes the member too.
    let gone = [names(&["p2"]), Col::Int(vec![None])];
    sink.write(&deletes(upserts(&table, &gone)), &progress(2))
        .expect("ok");
    let null = [names(&["p1", "p 3"]), Col::Int(vec![None, Some(9)])];
    sink.write(&upserts(&table, &null), &progress(3))
        .expect("ok");
    assert_eq!(read(&mut redis), [("p 3".to_owned(), 9.0)]);
    assert_eq!(sink.writes(), 6);
}

#[test]
fn a_unix_socket_and_a_database_number() {
    let server = RedisServer::start(&[]);
    let url = format!("unix://{}?db=3", server.socket().display());
    let table = strings(&server, &[("url", &url)]);
    open(&table)
        .write(&upserts(&table, &row(Some(1), None, None)), &progress(1))
        .expect("ok");
    let other = format!("{}/3", server.url());
    let mut redis = redis::Client::open(other)
        .expect("url")
        .get_connection()
        .expect("connection");
    assert_eq!(get(&mut redis, "user:u1:views_5m").as_deref(), Some("1"));
}
