//! The statements of the simulations, and what is compared at their ends.

use super::Row;
use super::oracle::{CURRENT, Current, Table};
use super::world::{Memory, Shared};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use std::collections::BTreeMap;
use std::panic::RefUnwindSafe;
use std::sync::Arc;
use tidewheel_core::text::write_value;
use tidewheel_core::{Registry, SourceText};
use tidewheel_sql::plan::Program;
use tidewheel_sql::{CompileContext, compile};

pub const TTL_SECONDS: i64 = 20;
/// The windows of some rows: for each a row, its start and its end.
pub type Windows = fn(&[Row]) -> Vec<(Row, i64, i64)>;

/// A table with a row a window: FROM, the window's start and end (microseconds) of a row's time.
pub struct PerWindow {
    pub table: &'static str,
    pub from: &'static str,
    pub key: &'static str,
    pub suffix: &'static str,
    pub windows: Windows,
}

const SECOND: i64 = 1_000_000;

fn hops(rows: &[Row], slide: i64, size: i64) -> Vec<(Row, i64, i64)> {
    let mut found = Vec::new();
    for row in rows {
        let mut start = row.ts.div_euclid(slide * SECOND) * slide * SECOND;
        while start + size * SECOND > row.ts {
            found.push((row.clone(), start, start + size * SECOND));
            start -= slide * SECOND;
        }
    }
    found
}

pub const PER_WINDOW: &[PerWindow] = &[
    PerWindow {
        table: "w_tumble",
        from: "TUMBLE(TABLE events, DESCRIPTOR(ts), INTERVAL '20' SECOND)",
        key: ", PRIMARY KEY (k, window_start) NOT ENFORCED",
        suffix: "",
        windows: |rows| hops(rows, 20, 20),
    },
    PerWindow {
        table: "w_hop",
        from: "HOP(TABLE events, DESCRIPTOR(ts), INTERVAL '7' SECOND, INTERVAL '30' SECOND)",
        key: "",
        suffix: "",
        windows: |rows| hops(rows, 7, 30),
    },
    PerWindow {
        table: "w_change",
        from: "HOP(TABLE events, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '20' SECOND)",
        key: ", PRIMARY KEY (k, window_end) NOT ENFORCED",
        suffix: "EMIT ON CHANGE",
        windows: |rows| hops(rows, 10, 20),
    },
    PerWindow {
        table: "w_session",
        from: "SESSION(TABLE events PARTITION BY k, DESCRIPTOR(ts), INTERVAL '10' SECOND)",
        key: "",
        suffix: "",
        windows: |rows| {
            let mut keys: BTreeMap<Option<&str>, Vec<Row>> = BTreeMap::new();
            for row in rows {
                keys.entry(row.k).or_default().push(row.clone());
            }
            let mut found = Vec::new();
            for mut rows in keys.into_values() {
                rows.sort_by_key(|row| row.ts);
                for session in rows.chunk_by(|a, b| b.ts - a.ts <= 10 * SECOND) {
                    let end = session[session.len() - 1].ts + 10 * SECOND;
                    found.extend(session.iter().map(|row| (row.clone(), session[0].ts, end)));
                }
            }
            found
        },
    },
];

/// Tables whose queries can begin as [`earlier`] ones.
pub const CHANGED: [&str; 3] = ["hop_now", "lifetime", "all_rows"];

/// What the query of a table was before it was changed: it took fewer rows.
pub fn earlier(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let is_changed = |table: &&str| line.starts_with(&format!("INSERT INTO {table} "));
        if CHANGED.iter().any(is_changed) {
            line.replacen(" GROUP BY k", " WHERE v IS NOT NULL GROUP BY k", 1)
        } else {
            line.to_owned()
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// `ttl` of tables with a row a key is in seconds: a short one has to be renewed in time, a long
/// one shows what was left behind.
pub fn statements(bounded: bool, ttl: i64) -> String {
    // In an unbounded run idle partitions do not wait for one another: nothing is to be late.
    let bound = if bounded { 6 } else { 86_400 };
    let mut text = format!(
        "CREATE TABLE broken (`partition` INT, `offset` BIGINT) WITH ('connector' = 'memory');\n\
         CREATE TABLE events (k STRING, v BIGINT, s STRING, ts TIMESTAMP(3), \
         WATERMARK FOR ts AS ts - INTERVAL '{bound}' SECOND) \
         WITH ('connector' = 'memory', 'format' = 'json', 'bounded' = '{bounded}', \
         'bad-rows.table' = 'broken', 'dedup.key' = 'ts', 'dedup.window' = '10 min');\n"
    );
    text.push_str(
        "CREATE VIEW parts AS SELECT k, window_time AS ts, COUNT(*) AS n, MAX(v) AS v \
         FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(ts), INTERVAL '5' SECOND)) \
         GROUP BY k, window_start, window_end, window_time;\n",
    );
    for query in CURRENT {
        text.push_str(&format!(
            "CREATE TABLE {} ({}, PRIMARY KEY (k) NOT ENFORCED) \
             WITH ('connector' = 'memory', 'ttl' = '{ttl} s', {});\n\
             INSERT INTO {} {};\n",
            query.table, query.columns, query.options, query.table, query.select
        ));
    }
    // The end of the window that each value was computed for shows the frontier that it is of.
    text.push_str(
        "CREATE TABLE clock (k STRING, c BIGINT, e TIMESTAMP(3), PRIMARY KEY (k) NOT ENFORCED) \
         WITH ('connector' = 'memory');\n\
         INSERT INTO clock SELECT k, COUNT(*), window_end \
         FROM TABLE(HOP(TABLE events, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '20' SECOND)) \
         GROUP BY k, window_start, window_end;\n",
    );
    if bounded {
        for query in PER_WINDOW {
            text.push_str(&format!(
                "CREATE TABLE {} (k STRING, window_start TIMESTAMP(3), window_end TIMESTAMP(3), \
                 c BIGINT, sv BIGINT, d BIGINT{}) WITH ('connector' = 'memory', 'lossy' = 'false');\n\
                 INSERT INTO {} {} {};\n",
                query.table,
                query.key,
                query.table,
                select(&format!("TABLE({})", query.from)),
                query.suffix,
            ));
        }
        text.push_str(
            "CREATE TABLE last_hop (k STRING, c BIGINT, mx BIGINT, PRIMARY KEY (k) NOT ENFORCED) \
             WITH ('connector' = 'memory');\n\
             INSERT INTO last_hop SELECT k, COUNT(*), MAX(v) \
             FROM TABLE(HOP(TABLE events, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '30' SECOND)) \
             GROUP BY k, window_start, window_end EMIT ON WINDOW CLOSE;\n\
             CREATE TABLE now_and_then (k STRING, c BIGINT, mx BIGINT, PRIMARY KEY (k) NOT ENFORCED) \
             WITH ('connector' = 'memory', 'state-ttl' = '1 h');\n\
             INSERT INTO now_and_then SELECT k, COUNT(*), MAX(v) FROM events GROUP BY k \
             EMIT ON CHANGE EVERY INTERVAL '4' SECOND;\n",
        );
    }
    text
}

fn select(from: &str) -> String {
    format!(
        "SELECT k, window_start, window_end, COUNT(*) AS c, SUM(v) AS sv, COUNT(DISTINCT s) AS d \
         FROM {from} GROUP BY k, window_start, window_end"
    )
}

/// Rows as text, sorted, as DataFusion computes them.
pub fn batch(query: &PerWindow, rows: &[Row], runtime: &tokio::runtime::Runtime) -> Vec<String> {
    let all = (query.windows)(rows);
    let time = |of: Vec<i64>| Arc::new(TimestampMicrosecondArray::from(of)) as ArrayRef;
    let texts = |of: Vec<Option<&str>>| Arc::new(StringArray::from(of)) as ArrayRef;
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("k", texts(all.iter().map(|w| w.0.k).collect()), true),
        (
            "v",
            Arc::new(all.iter().map(|w| w.0.v).collect::<Int64Array>()) as ArrayRef,
            true,
        ),
        ("s", texts(all.iter().map(|w| w.0.s).collect()), true),
        (
            "window_start",
            time(all.iter().map(|w| w.1).collect()),
            true,
        ),
        ("window_end", time(all.iter().map(|w| w.2).collect()), true),
    ])
    .expect("a batch");
    let context = SessionContext::new();
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).expect("a table");
    context
        .register_table("expanded", Arc::new(table))
        .expect("registers");
    let batches = runtime
        .block_on(async { context.sql(&select("expanded")).await?.collect().await })
        .expect("runs");
    let mut lines = Vec::new();
    for batch in &batches {
        for row in 0..batch.num_rows() {
            let text = |at: usize| {
                let mut text = String::new();
                write_value(&mut text, batch.column(at).as_ref(), row);
                text
            };
            // Without a key there is no row of a keyed table.
            if batch.column(0).is_valid(row) || query.key.is_empty() {
                lines.push((0..6).map(text).collect::<Vec<_>>().join("|"));
            }
        }
    }
    lines.sort();
    lines
}

/// What the sink has of a table with a row a window, in the same form.
pub fn written(query: &PerWindow, shared: &Shared) -> Vec<String> {
    let mut lines: Vec<String> = if query.key.is_empty() {
        let appended = shared.appended.lock().expect("no panic");
        let lines = appended.get(query.table).into_iter().flatten();
        lines
            .map(|line| {
                let row: serde_json::Value = serde_json::from_str(line).expect("JSON");
                let text = |name: &str| match &row[name] {
                    serde_json::Value::Null => String::new(),
                    serde_json::Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                ["k", "window_start", "window_end", "c", "sv", "d"]
                    .map(text)
                    .join("|")
            })
            .collect()
    } else {
        let other = if query.key.contains("window_start") {
            "window_end"
        } else {
            "window_start"
        };
        shared
            .visible(query.table)
            .into_iter()
            .map(|(key, row)| {
                let (k, time) = key.split_once('|').expect("two columns");
                let of = |name: &str| row.get(name).cloned().unwrap_or_default();
                let (start, end) = if other == "window_end" {
                    (time.to_owned(), of(other))
                } else {
                    (of(other), time.to_owned())
                };
                [k.to_owned(), start, end, of("c"), of("sv"), of("d")].join("|")
            })
            .collect()
    };
    lines.sort();
    lines
}

/// Compares the current values with those at the frontier that the engine has reached.
pub fn check_current(shared: &Shared, rows: &[Row], frontier: i64, what: &str) {
    CURRENT
        .iter()
        .for_each(|query| check_table(query, shared, rows, frontier, what));
}

/// The same for one query.
pub fn check_table(query: &Current, shared: &Shared, rows: &[Row], frontier: i64, what: &str) {
    let mut expected: Table = (query.expected)(rows, frontier);
    // A row of NULLs looks like none.
    expected.retain(|_, row| !row.is_empty());
    let mut found = shared.visible(query.table);
    if !query.nothing.is_empty() {
        let text = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let nothing: BTreeMap<String, String> = query.nothing.iter().map(text).collect();
        // Of a row over nothing, columns that had not changed may have expired.
        found.retain(|_, row| {
            row.iter()
                .any(|(name, value)| nothing.get(name) != Some(value))
        });
    }
    assert_eq!(found, expected, "{what}: {} at {frontier}", query.table);
}

/// The statements of one file; its queries are named after it.
pub fn compiled(name: &str, text: String, registry: &Registry) -> Program {
    let name = name.to_owned();
    let source = Arc::new(SourceText { name, text });
    compile(&[source], &CompileContext::new(registry)).unwrap_or_else(|errors| panic!("{errors}"))
}

pub fn registry(shared: &Arc<Shared>) -> Registry {
    let mut registry = Registry::default();
    tidewheel_formats::register(&mut registry);
    registry.add_connector(Arc::new(Memory(Arc::clone(shared))));
    registry
}

/// Runs a test of a file under its seeds; a failing one says how to run it again.
pub fn run_seeds(file: &str, test: &str, default: u64, run: impl Fn(u64) + RefUnwindSafe) {
    for seed in seeds(default) {
        let outcome = std::panic::catch_unwind(|| run(seed));
        assert!(
            outcome.is_ok(),
            "seed {seed} failed: TIDEWHEEL_SEED={seed} cargo test --release -p tidewheel-tests \
             --test {file} {test}"
        );
    }
}

pub fn seeds(default: u64) -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("TIDEWHEEL_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("TIDEWHEEL_SEEDS").unwrap_or(default)).collect(),
    }
}
