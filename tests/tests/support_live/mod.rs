//! Queries over an embedded log into an embedded store, and a writer of the log.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tidewheel_connectors::log::{LogConfig, LogWriter, Record};
use tidewheel_connectors::store::{StoreReader, Value};
use tidewheel_core::env::SystemEnv;
use tidewheel_core::{Env, SourceText};
use tidewheel_simulator::{Simulator, SimulatorConfig};
use tidewheel_sql::plan::Program;

pub(crate) const PARTITIONS: u32 = 3;

/// What a query may be; `{t}` is its table.
pub(crate) const SHAPES: &[&str] = &[
    "SELECT user_key, COUNT(*), SUM(payload.product.price) FROM TABLE(HOP(TABLE e, DESCRIPTOR(`timestamp`), INTERVAL '30' SECOND, INTERVAL '5' MINUTE)) GROUP BY user_key, window_start, window_end",
    "SELECT user_key, COUNT(DISTINCT payload.product.id), AVG(payload.product.price) FROM TABLE(HOP(TABLE e, DESCRIPTOR(`timestamp`), INTERVAL '10' SECOND, INTERVAL '20' MINUTE)) WHERE type = 'product_view' GROUP BY user_key, window_start, window_end",
    "SELECT user_key, COUNT(*), MAX(payload.product.price) FROM TABLE(TUMBLE(TABLE e, DESCRIPTOR(`timestamp`), INTERVAL '10' MINUTE)) GROUP BY user_key, window_start, window_end",
    "SELECT user_key, COUNT(*), MIN(payload.cart.total_value) FROM TABLE(SESSION(TABLE e PARTITION BY user_key, DESCRIPTOR(`timestamp`), INTERVAL '2' MINUTE)) GROUP BY user_key, window_start, window_end",
    "SELECT user_key, COUNT(*), SUM(payload.product.price) FROM e GROUP BY user_key",
    "SELECT user_key, COUNT(*) FILTER (WHERE changed), CAST(NULL AS DOUBLE) FROM (SELECT user_key, p <> LAG(p) OVER (PARTITION BY user_key ORDER BY `timestamp`) AS changed FROM (SELECT user_key, payload.product.id AS p, `timestamp` FROM e WHERE type = 'product_view')) GROUP BY user_key",
    "SELECT payload.product.category, COUNT(*), SUM(payload.product.price) FROM TABLE(HOP(TABLE e, DESCRIPTOR(`timestamp`), INTERVAL '1' MINUTE, INTERVAL '10' MINUTE)) WHERE payload.product.category IS NOT NULL GROUP BY payload.product.category, window_start, window_end",
    "SELECT user_key, SUM(n), AVG(price) FROM (SELECT user_key, payload.product.id AS product, window_start, window_end, COUNT(*) AS n, MAX(payload.product.price) AS price FROM TABLE(HOP(TABLE e, DESCRIPTOR(`timestamp`), INTERVAL '10' SECOND, INTERVAL '2' MINUTE)) GROUP BY user_key, payload.product.id, window_start, window_end) GROUP BY user_key, window_start, window_end",
    "SELECT user_key, COUNT(*), CAST(NULL AS DOUBLE) FROM TABLE(CUMULATE(TABLE e, DESCRIPTOR(`timestamp`), INTERVAL '1' MINUTE, INTERVAL '15' MINUTE)) WHERE type = 'page_view' GROUP BY user_key, window_start, window_end",
];

/// One query: its name, which of [`SHAPES`], and a number of its own for its keys.
pub(crate) type Running1 = (String, usize, u64);

pub(crate) fn source(log: &Path, bounded: bool) -> String {
    let mode = if bounded {
        "'latest-offset'"
    } else {
        "'unbounded'"
    };
    format!(
        "CREATE TABLE e (id STRING, type STRING, `timestamp` TIMESTAMP(3),
           payload ROW<product ROW<id STRING, category STRING, price DOUBLE>, cart ROW<total_value DOUBLE>>,
           enrich ROW<`user` ROW<user_id STRING, domain_userid STRING>>,
           user_key AS COALESCE(NULLIF(enrich.`user`.user_id, ''), NULLIF(enrich.`user`.domain_userid, '')),
           WATERMARK FOR `timestamp` AS `timestamp` - INTERVAL '5' SECOND)
         WITH ('connector' = 'log', 'path' = '{}', 'format' = 'json', 'scan.bounded.mode' = {mode},
               'scan.watermark.idle-timeout' = '1 h', 'dedup.key' = 'id', 'dedup.window' = '10 min');",
        log.display()
    )
}

pub(crate) fn query(store: &Path, (name, shape, number): &Running1) -> String {
    format!(
        "CREATE TABLE {name}_table (k STRING, n BIGINT, v DOUBLE, PRIMARY KEY (k) NOT ENFORCED)
         WITH ('connector' = 'store', 'path' = '{}', 'layout' = 'string', 'key' = '{name}.{number}:{{k}}:{{column}}',
               'on-empty' = 'delete');
         INSERT INTO {name}_table {};",
        store.display(),
        SHAPES[*shape]
    )
}

pub(crate) fn compile(log: &Path, store: &Path, queries: &[Running1], bounded: bool) -> Program {
    let mut registry = tidewheel_connectors::registry();
    tidewheel_formats::register(&mut registry);
    let mut texts = vec![Arc::new(SourceText {
        name: "events.sql".into(),
        text: source(log, bounded),
    })];
    for one in queries {
        texts.push(Arc::new(SourceText {
            name: format!("{}.sql", one.0),
            text: query(store, one),
        }));
    }
    let context = tidewheel_sql::CompileContext::new(&registry);
    tidewheel_sql::compile(&texts, &context).unwrap_or_else(|errors| panic!("{errors}"))
}

pub(crate) fn environment() -> Arc<dyn Env> {
    let mut registry = tidewheel_connectors::registry();
    tidewheel_formats::register(&mut registry);
    Arc::new(SystemEnv::new(registry))
}

/// The values whose keys begin with one of the queries' names.
pub(crate) fn values(
    store: &Path,
    queries: &[Running1],
    env: &Arc<dyn Env>,
) -> BTreeMap<String, String> {
    let Ok(store) = StoreReader::open(store) else {
        return BTreeMap::new();
    };
    let prefixes: Vec<String> = queries
        .iter()
        .map(|(name, _, n)| format!("{name}.{n}:"))
        .collect();
    store
        .iter(env.wall_ms())
        .filter(|(key, _)| {
            prefixes
                .iter()
                .any(|prefix| key.starts_with(prefix.as_str()))
        })
        .map(|(key, entry)| {
            let Value::Text(text) = &entry.value else {
                panic!("{key} is no text");
            };
            (key.to_owned(), text.clone())
        })
        .collect()
}

/// Appends events until told to stop. Returns how many.
pub(crate) fn write(log: &Path, seed: u64, stop: &AtomicBool, written: &AtomicU64) {
    let config = LogConfig {
        partitions: Some(PARTITIONS),
        ..LogConfig::default()
    };
    let mut writer = LogWriter::open(log, &config).expect("log");
    let mut simulator = Simulator::new(SimulatorConfig {
        seed,
        shoppers: 400,
        events_per_second: 8.0,
        disorder_ms: 3_000,
        repeat: 0.02,
        ..SimulatorConfig::default()
    })
    .expect("config");
    let mut line = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..50 {
            line.clear();
            let event = simulator.write_next(&mut line);
            while line.last() == Some(&b'\n') {
                line.pop();
            }
            let record = Record {
                timestamp_ms: event.arrival_ms,
                key: None,
                value: Some(&line),
            };
            let partition = event.shopper % PARTITIONS;
            writer.append(partition, &[record]).expect("appends");
            written.fetch_add(1, Ordering::Relaxed);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    writer.flush().expect("flushes");
}
