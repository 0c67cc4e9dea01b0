//! History first, through a real Kafka broker: a query over 24 hours is added by REST to a topic
//! with more than a day in it, and its first value of every key is that of a naive reading of the
//! records. `HISTORY_EVENTS` makes the day fuller.

mod support_service;
mod support_services;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support_service::{Service, Start};
use support_services::Services;
use tempfile::TempDir;
use tidewheel_simulator::{Simulator, SimulatorConfig};
use tidewheel_tests::reference::time_ms;

const TOPIC: &str = "shop";
const PARTITIONS: u32 = 4;
const HOURS: i64 = 30;
const HOUR_MS: i64 = 3_600_000;
const SLIDE_MS: i64 = 60_000;
const WINDOW_MS: i64 = 24 * HOUR_MS;
/// Events that come once the live reading has begun.
const LIVE: usize = 40;

/// No longer is waited for the last values.
const PATIENCE: Duration = Duration::from_secs(30);

/// A record: its partition, its timestamp, its text.
type Record = (u32, i64, Vec<u8>);

/// Some 30 hours of events that end about now, in the order of arrival, spread over partitions.
fn records(events: usize) -> Vec<Record> {
    let span_ms = HOURS * HOUR_MS;
    let simulator = Simulator::new(SimulatorConfig {
        seed: 3,
        shoppers: 60,
        start_ms: now_ms() - span_ms,
        // Somewhat fewer than would fill the span, so that none lies in the future.
        events_per_second: events as f64 * 1_000.0 / (span_ms - 60_000) as f64,
        disorder_ms: 3_000,
        repeat: 0.03,
        repeat_ms: 20_000,
        ..SimulatorConfig::default()
    });
    let mut random = fastrand::Rng::with_seed(9);
    let all = simulator.expect("settings").take(events);
    all.map(|event| (random.u32(0..PARTITIONS), event.arrival_ms, event.json))
        .collect()
}

fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.expect("after 1970").as_millis()).expect("a time")
}

/// Events, distinct products, and the sum of prices of one user.
type Row = (i64, i64, f64);

/// The window of 24 hours that the newest of the records lies in, by user.
fn expected(records: &[Record]) -> BTreeMap<String, Row> {
    let mut ids = BTreeSet::new();
    let mut rows = Vec::new();
    for (_, _, json) in records {
        let event: Value = serde_json::from_slice(json).expect("JSON");
        let text = |value: &Value| {
            value
                .as_str()
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        let time = event["timestamp"]
            .as_str()
            .and_then(time_ms)
            .expect("a time");
        if !ids.insert(event["id"].as_str().expect("an id").to_owned()) {
            continue;
        }
        let user = &event["enrich"]["user"];
        let key = text(&user["user_id"]).or_else(|| text(&user["domain_userid"]));
        let product = event["payload"]["product"].clone();
        // Some trackers send numbers as text.
        let price = &product["price"];
        let number = price.as_f64().or_else(|| price.as_str()?.parse().ok());
        rows.push((time, key, text(&product["id"]), number));
    }
    let frontier = rows.iter().map(|row| row.0).max().expect("rows");
    let end = frontier.div_euclid(SLIDE_MS) * SLIDE_MS + SLIDE_MS;
    let mut values: BTreeMap<String, (Row, BTreeSet<String>)> = BTreeMap::new();
    for (time, key, product, price) in rows {
        let Some(key) = key.filter(|_| time >= end - WINDOW_MS) else {
            continue;
        };
        let (row, products) = values.entry(key).or_default();
        products.extend(product);
        row.0 += 1;
        row.1 = products.len() as i64;
        row.2 += price.unwrap_or(0.0);
    }
    values
        .into_iter()
        .map(|(key, (row, _))| (key, row))
        .collect()
}

/// The first and the last value of each key in a changelog.
fn changes(path: &Path) -> (BTreeMap<String, Row>, BTreeMap<String, Row>) {
    let (mut first, mut last) = (BTreeMap::new(), BTreeMap::new());
    let text = std::fs::read_to_string(path).unwrap_or_default();
    // The last line may be on its way.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    for line in whole.lines() {
        let change: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(change["op"], "upsert", "{line}");
        let number = |name: &str| change[name].as_i64().unwrap_or_else(|| panic!("{line}"));
        let total = change["total"].as_f64().unwrap_or(0.0);
        let row = (number("n"), number("products"), total);
        let key = change["user_key"].as_str().expect("a key").to_owned();
        first.entry(key.clone()).or_insert(row);
        last.insert(key, row);
    }
    (first, last)
}

fn same(got: &BTreeMap<String, Row>, want: &BTreeMap<String, Row>) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(b.abs());
    got.len() == want.len()
        && got
            .iter()
            .zip(want)
            .all(|((a, x), (b, y))| a == b && (x.0, x.1) == (y.0, y.1) && near(x.2, y.2))
}

/// The table. Events are seconds apart, so the simulator's repeats of one of the last lines come up to
/// half an hour later: the window is longer than that.
fn source(brokers: &str) -> String {
    format!(
        "CREATE TABLE shop (id STRING, `timestamp` TIMESTAMP(3),
           payload ROW<product ROW<id STRING, price DOUBLE>>,
           enrich ROW<`user` ROW<user_id STRING, domain_userid STRING>>,
           user_key AS COALESCE(NULLIF(enrich.`user`.user_id, ''), NULLIF(enrich.`user`.domain_userid, '')),
           WATERMARK FOR `timestamp` AS `timestamp` - INTERVAL '5' SECOND)
         WITH ('connector' = 'kafka', 'topic' = '{TOPIC}', 'properties.bootstrap.servers' = '{brokers}',
               'format' = 'json', 'scan.startup.mode' = 'latest-offset',
               'scan.watermark.idle-timeout' = '1 h', 'dedup.key' = 'id', 'dedup.window' = '2 h');"
    )
}

const MINUTE: &str =
    "CREATE TABLE minute (user_key STRING, n BIGINT, PRIMARY KEY (user_key) NOT ENFORCED)
  WITH ('connector' = 'blackhole');
INSERT INTO minute SELECT user_key, COUNT(*)
FROM TABLE(HOP(TABLE shop, DESCRIPTOR(`timestamp`), INTERVAL '1' SECOND, INTERVAL '1' MINUTE))
GROUP BY user_key, window_start, window_end;";

const DAY: &str = "CREATE TABLE day (user_key STRING, n BIGINT, products BIGINT, total DOUBLE, PRIMARY KEY (user_key) NOT ENFORCED)
  WITH ('connector' = 'file', 'path' = 'day.jsonl', 'format' = 'json');
INSERT INTO day SELECT user_key, COUNT(*), COUNT(DISTINCT payload.product.id), SUM(payload.product.price)
FROM TABLE(HOP(TABLE shop, DESCRIPTOR(`timestamp`), INTERVAL '1' MINUTE, INTERVAL '24' HOUR))
GROUP BY user_key, window_start, window_end;";

fn rows_read(service: &Service) -> u64 {
    let table = service.get("/api/v1/tables/shop").json();
    table["source"]["rows"].as_u64().unwrap_or(0)
}

/// A service that has come to the topic's end.
fn serve(services: &Services) -> (Arc<TempDir>, Service) {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let queries = folder.path().join("queries");
    std::fs::create_dir(&queries).expect("makes");
    std::fs::write(queries.join("shop.sql"), source(&services.brokers())).expect("writes");
    std::fs::write(queries.join("minute.sql"), MINUTE).expect("writes");
    let service = Start::default().serve(&folder);
    // All partitions have answered before something new comes.
    service.until_ends("shop", PARTITIONS as usize);
    (folder, service)
}

/// Adds the query over a day under this name.
fn make(service: &Service, name: &str) {
    let path = format!("/api/v1/queries?name={name}");
    let text = DAY.replace("day", name);
    let made = service.send("POST", &path, &[], Some(text.as_bytes()));
    assert_eq!(made.status, 201, "{}", made.text);
}

#[test]
fn the_first_value_of_a_new_query_is_that_of_its_whole_day() {
    let events = std::env::var("HISTORY_EVENTS").ok();
    let events = events.and_then(|text| text.parse().ok()).unwrap_or(20_000);
    let Some(services) = Services::start_if_possible() else {
        return;
    };
    let mut records = records(events);
    let live = records.split_off(events - LIVE);
    services.fill(TOPIC, PARTITIONS, &[]);
    services.append(TOPIC, &records);

    let (folder, service) = serve(&services);
    let (before, after) = live.split_at(LIVE / 2);
    services.append(TOPIC, before);
    service.until("live rows", |service| {
        rows_read(service) >= before.len() as u64
    });
    records.extend_from_slice(before);
    service.until("each partition's lag", |service| {
        let metrics = service.get("/metrics").text;
        (0..PARTITIONS).all(|partition| {
            let lag = "tidewheel_partition_lag_records{table=\"shop\",partition=";
            metrics.contains(&format!("{lag}\"{partition}\"}} "))
        })
    });

    make(&service, "day");
    let begin = Instant::now();
    let want = expected(&records);
    let path = folder.path().join("day.jsonl");
    service.until("its values", |_| changes(&path).0.len() >= want.len());
    println!(
        "{} records, {} keys, {:.2} s to the first value of each",
        records.len(),
        want.len(),
        begin.elapsed().as_secs_f64()
    );
    let first = changes(&path).0;
    assert!(
        same(&first, &want),
        "first values\n{first:#?}\nexpected\n{want:#?}"
    );
    assert!(want.values().map(|row| row.0).sum::<i64>() < records.len() as i64 * 9 / 10);
    let shown = service.get("/api/v1/queries/day").json();
    assert!(shown["complete_from"].is_null(), "{shown}");

    // It follows the live flow from there on.
    services.append(TOPIC, after);
    records.extend_from_slice(after);
    let want = expected(&records);
    let last = || -> BTreeMap<String, Row> {
        let all = changes(&path).1.into_iter();
        all.filter(|(key, _)| want.contains_key(key)).collect()
    };
    let begin = Instant::now();
    while !same(&last(), &want) && begin.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(50));
    }
    let last = last();
    assert!(
        same(&last, &want),
        "last values\n{last:#?}\nexpected\n{want:#?}"
    );
}

/// Behind the last record of a partition is the end of a transaction, which takes an offset too; of one that was
/// given up the records are there as well. Neither of two readers comes to a place that it has no record of.
#[test]
fn a_topic_that_ends_with_transactions_is_read_whole_by_a_new_query() {
    let Some(services) = Services::start_if_possible() else {
        return;
    };
    // The last of a day: more than an hour.
    let mut records = records(20_000).split_off(19_100);
    let given_up = records.split_off(800);
    let live = records.split_off(600);
    services.fill(TOPIC, PARTITIONS, &[]);
    let producer = services.transactions("shop");
    producer.transact(TOPIC, &records, true);
    producer.transact(TOPIC, &given_up, false);
    let (folder, service) = serve(&services);

    let is_first_value = |name: &str, records: &[Record]| {
        let want = expected(records);
        make(&service, name);
        let path = folder.path().join(format!("{name}.jsonl"));
        service.until("its values", |_| changes(&path).0.len() >= want.len());
        let first = changes(&path).0;
        assert!(same(&first, &want), "{first:#?}\nexpected\n{want:#?}");
    };
    // The live reading has seen the end alone.
    is_first_value("day", &records);
    let mut live = live;
    // Of the other partitions the live reading goes on to know the end alone.
    live.iter_mut().for_each(|record| record.0 = 0);
    producer.transact(TOPIC, &live, true);
    producer.transact(TOPIC, &given_up, false);
    service.until("live rows", |service| {
        rows_read(service) >= live.len() as u64
    });
    records.extend(live);
    let last = || changes(&folder.path().join("day.jsonl")).1;
    service.until("the last values of the first", |_| {
        same(&last(), &expected(&records))
    });
    // Now it has read records.
    is_first_value("later", &records);
}
