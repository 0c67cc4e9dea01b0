//! Per-window results against DataFusion, which runs the same aggregates as a batch over the same
//! rows. The windows that hold a row are enumerated here, from their definition alone.
//!
//! Rows come in any order, some at the same time, some with NULLs, and none is late. Values of
//! `x` are quarters, so that a sum is exact in whatever order it is made.

#![allow(clippy::unwrap_used, clippy::result_large_err, reason = "a test")]

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use tidewheel_core::env::SystemEnv;
use tidewheel_core::text::{write_json, write_time};
use tidewheel_core::{Env, Registry, SourceText};
use tidewheel_runtime::{RunOptions, Running};
use tidewheel_sql::{CompileContext, compile};

/// 2024-03-01T00:00:00Z, in milliseconds.
const BEGIN: i64 = 1_709_251_200_000;
/// Rows lie in this stretch of time, in milliseconds.
const STRETCH: i64 = 400_000;
const ROWS: usize = 500;
const SECOND: i64 = 1_000;

#[derive(Debug, Clone)]
struct Row {
    k: Option<&'static str>,
    v: Option<i64>,
    x: Option<f64>,
    s: Option<&'static str>,
    ts: i64,
}

fn rows(seed: u64) -> Vec<Row> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut rows: Vec<Row> = Vec::new();
    for _ in 0..ROWS {
        let any = BEGIN + random.i64(0..STRETCH);
        let ts = match random.u8(0..10) {
            // On an edge, and at the time of another row.
            0 => any - any.rem_euclid(SECOND),
            1 => rows.last().map_or(any, |row| row.ts),
            _ => any,
        };
        let one_of = |random: &mut fastrand::Rng, of: &[&'static str], null: u8| {
            let chosen = of[random.usize(0..of.len())];
            (random.u8(0..null) > 0).then_some(chosen)
        };
        rows.push(Row {
            k: one_of(&mut random, &["a", "b", "c", "d", "e"], 20),
            v: (random.u8(0..6) > 0).then(|| random.i64(-3..10)),
            x: (random.u8(0..6) > 0).then(|| random.i64(-400..4_000) as f64 / 4.0),
            s: one_of(&mut random, &["p", "q", "r", "ä\"\\", ""], 6),
            ts,
        });
    }
    rows
}

fn json_lines(rows: &[Row]) -> String {
    let mut lines = String::new();
    for row in rows {
        let mut line = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            // A field that is missing and one that is null are both NULL.
            if value.is_some() || row.ts % 2 == 0 {
                line.insert(name.to_owned(), value.unwrap_or(Value::Null));
            }
        };
        let mut time = String::new();
        write_time(&mut time, row.ts * 1_000);
        put("k", row.k.map(Value::from));
        put("v", row.v.map(Value::from));
        put("x", row.x.map(Value::from));
        put("s", row.s.map(Value::from));
        put("ts", Some(Value::from(time)));
        lines.push_str(&Value::Object(line).to_string());
        lines.push('\n');
    }
    lines
}

/// Windows, as a FROM clause and by their definition.
#[derive(Debug, Clone, Copy)]
enum Window {
    Tumble {
        size: i64,
        offset: i64,
    },
    Hop {
        slide: i64,
        size: i64,
        offset: i64,
    },
    Cumulate {
        step: i64,
        size: i64,
        offset: i64,
    },
    /// For each key `k`.
    Session {
        gap: i64,
    },
}

fn interval(ms: i64) -> String {
    format!("INTERVAL '{}.{:03}' SECOND", ms / SECOND, ms % SECOND)
}

impl Window {
    fn clause(self) -> String {
        let with_offset = |arguments: Vec<i64>, offset: i64| {
            let offset = (offset != 0).then_some(offset);
            let all: Vec<String> = arguments.into_iter().chain(offset).map(interval).collect();
            all.join(", ")
        };
        let (name, arguments) = match self {
            Self::Tumble { size, offset } => ("TUMBLE", with_offset(vec![size], offset)),
            Self::Hop {
                slide,
                size,
                offset,
            } => ("HOP", with_offset(vec![slide, size], offset)),
            Self::Cumulate { step, size, offset } => {
                ("CUMULATE", with_offset(vec![step, size], offset))
            }
            Self::Session { gap } => {
                let gap = interval(gap);
                return format!(
                    "TABLE(SESSION(TABLE events PARTITION BY k, DESCRIPTOR(ts), {gap}))"
                );
            }
        };
        format!("TABLE({name}(TABLE events, DESCRIPTOR(ts), {arguments}))")
    }

    /// Each row's number with each window that holds it.
    fn enumerate(self, rows: &[Row]) -> Vec<(usize, i64, i64)> {
        let mut found = Vec::new();
        // Starts `offset + n * every`, tried one by one over more than the rows' stretch.
        let starts = |every: i64, offset: i64| {
            let first = (BEGIN - STRETCH).div_euclid(every) * every + offset;
            (0..)
                .map(move |n| first + n * every)
                .take_while(|start| *start < BEGIN + 2 * STRETCH)
        };
        for (number, row) in rows.iter().enumerate() {
            let mut add = |start: i64, end: i64| {
                if start <= row.ts && row.ts < end {
                    found.push((number, start, end));
                }
            };
            match self {
                Self::Tumble { size, offset } => {
                    starts(size, offset).for_each(|start| add(start, start + size));
                }
                Self::Hop {
                    slide,
                    size,
                    offset,
                } => starts(slide, offset).for_each(|start| add(start, start + size)),
                Self::Cumulate { step, size, offset } => {
                    for start in starts(size, offset) {
                        for steps in 1..=size / step {
                            add(start, start + steps * step);
                        }
                    }
                }
                Self::Session { .. } => {}
            }
        }
        if let Self::Session { gap } = self {
            let keys: BTreeSet<Option<&str>> = rows.iter().map(|row| row.k).collect();
            for key in keys {
                let mut own: Vec<usize> = (0..rows.len()).filter(|n| rows[*n].k == key).collect();
                own.sort_by_key(|n| rows[*n].ts);
                // Two rows exactly a gap apart share a session.
                for session in own.chunk_by(|a, b| rows[*b].ts - rows[*a].ts <= gap) {
                    let (first, last) = (session[0], session[session.len() - 1]);
                    let (start, end) = (rows[first].ts, rows[last].ts + gap);
                    found.extend(session.iter().map(|number| (*number, start, end)));
                }
            }
        }
        found
    }
}

/// A query: its results with their types, WHERE and HAVING. `{by}` and `{desc}` stand for the
/// order by event time, in which rows of the same time go by their offset.
struct Query {
    table: &'static str,
    results: &'static [(&'static str, &'static str)],
    rest: (&'static str, &'static str),
    /// Results are the same to 1e-9, relatively.
    loose: bool,
}

const QUERIES: &[Query] = &[
    Query {
        table: "numbers",
        results: &[
            ("COUNT(*)", "BIGINT"),
            ("COUNT(v)", "BIGINT"),
            ("COUNT(DISTINCT s)", "BIGINT"),
            ("SUM(v)", "BIGINT"),
            ("SUM(x)", "DOUBLE"),
            ("SUM(DISTINCT v)", "BIGINT"),
            ("AVG(x)", "DOUBLE"),
            ("AVG(v)", "DOUBLE"),
            ("MIN(v)", "BIGINT"),
            ("MAX(x)", "DOUBLE"),
            ("MIN(s)", "STRING"),
            ("MAX(s)", "STRING"),
            ("MIN(ts)", "TIMESTAMP(3)"),
            ("SUM(x) / COUNT(x) + MAX(v)", "DOUBLE"),
        ],
        rest: ("", ""),
        loose: false,
    },
    Query {
        table: "spread",
        results: &[
            ("STDDEV(x)", "DOUBLE"),
            ("STDDEV_POP(x)", "DOUBLE"),
            ("VAR_SAMP(x)", "DOUBLE"),
            ("VAR_POP(v)", "DOUBLE"),
            ("COVAR_POP(x, v)", "DOUBLE"),
        ],
        rest: ("", ""),
        loose: true,
    },
    Query {
        table: "choices",
        results: &[
            ("BOOL_AND(v > 0)", "BOOLEAN"),
            ("BOOL_OR(v > 8)", "BOOLEAN"),
            ("COUNT(*) FILTER (WHERE s = 'p')", "BIGINT"),
            ("SUM(x) FILTER (WHERE v IS NULL)", "DOUBLE"),
            ("SUM(CASE WHEN v > 5 THEN 1 ELSE 0 END)", "BIGINT"),
            ("COALESCE(MAX(v) FILTER (WHERE v < 0), -99)", "BIGINT"),
            (
                "CASE WHEN COUNT(*) > 2 THEN 'many' ELSE 'few' END",
                "STRING",
            ),
        ],
        rest: (
            "WHERE v IS NULL OR v <> 4",
            "HAVING COUNT(*) > 1 AND MAX(v) > 2",
        ),
        loose: false,
    },
    Query {
        table: "in_order",
        results: &[
            ("FIRST_VALUE(v {by})", "BIGINT"),
            ("LAST_VALUE(s {by})", "STRING"),
            ("FIRST_VALUE(s {desc})", "STRING"),
            ("ARRAY_AGG(s {by})", "ARRAY<STRING>"),
            ("STRING_AGG(s, ',' {by})", "STRING"),
            ("MODE(s)", "STRING"),
            ("COUNT_CHANGES(v)", "BIGINT"),
            ("MIN_BY(s, v)", "STRING"),
            ("MAX_BY(s, v)", "STRING"),
            ("HISTOGRAM(s)", "MAP<STRING, BIGINT>"),
            ("LIST_DISTINCT(s, 3)", "ARRAY<STRING>"),
        ],
        rest: ("", ""),
        loose: false,
    },
    Query {
        table: "through_accumulators",
        results: &[
            ("MEDIAN(x)", "DOUBLE"),
            ("CAST(APPROX_DISTINCT(s) AS BIGINT)", "BIGINT"),
            ("BIT_OR(v)", "BIGINT"),
            ("BIT_XOR(v)", "BIGINT"),
        ],
        rest: ("", ""),
        loose: false,
    },
];

impl Query {
    fn sql(&self, from: &str, by: &str, desc: &str) -> String {
        let mut results = String::new();
        for (number, (result, _)) in self.results.iter().enumerate() {
            let result = result.replace("{by}", by).replace("{desc}", desc);
            results.push_str(&format!(", {result} AS r{number}"));
        }
        let (filter, having) = self.rest;
        format!(
            "SELECT k, window_start, window_end{results} FROM {from} {filter} \
             GROUP BY k, window_start, window_end {having}"
        )
    }

    fn statements(&self, from: &str, folder: &Path, keyed: bool) -> String {
        let name = self.table;
        let mut columns = String::new();
        for (number, (_, data_type)) in self.results.iter().enumerate() {
            columns.push_str(&format!(", r{number} {data_type}"));
        }
        if keyed {
            columns.push_str(", PRIMARY KEY (k, window_start, window_end) NOT ENFORCED");
        }
        let path = folder.join(name);
        format!(
            "CREATE TABLE {name} (k STRING, window_start TIMESTAMP(3), window_end TIMESTAMP(3)\
             {columns}) WITH ('connector' = 'file', 'path' = '{}');\nINSERT INTO {name} {};\n",
            path.display(),
            self.sql(from, "ORDER BY ts", "ORDER BY ts DESC"),
        )
    }
}

/// Rows by key and window, as JSON.
type Results = BTreeMap<String, Value>;

fn identity(row: &Value) -> String {
    format!("{} {} {}", row["window_start"], row["window_end"], row["k"])
}

fn registry() -> Registry {
    let mut registry = tidewheel_connectors::registry();
    tidewheel_formats::register(&mut registry);
    registry
}

fn stream(rows: &[Row], window: Window, keyed: bool, options: &RunOptions) -> Vec<Results> {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("events.jsonl");
    std::fs::write(&input, json_lines(rows)).unwrap();
    let mut text = format!(
        "CREATE TABLE events (k STRING, v BIGINT, x DOUBLE, s STRING, ts TIMESTAMP(3), \
         WATERMARK FOR ts AS ts - INTERVAL '1' DAY) \
         WITH ('connector' = 'file', 'format' = 'json', 'path' = '{}');\n",
        input.display()
    );
    for query in QUERIES {
        text.push_str(&query.statements(&window.clause(), folder.path(), keyed));
    }
    let source = Arc::new(SourceText {
        name: "batch.sql".to_owned(),
        text,
    });
    let registry = registry();
    let program = compile(&[source], &CompileContext::new(&registry))
        .unwrap_or_else(|errors| panic!("{window:?}\n{errors}"));
    let env: Arc<dyn Env> = Arc::new(SystemEnv::new(registry));
    let summary = Running::start(&program, &env, options)
        .unwrap()
        .wait()
        .unwrap();
    assert_eq!(summary.rows_in, rows.len() as u64);
    let read = |query: &Query| {
        let written = std::fs::read_to_string(folder.path().join(query.table)).unwrap();
        let mut results = Results::new();
        for line in written.lines() {
            let mut row: Value = serde_json::from_str(line).unwrap();
            let op = row.as_object_mut().unwrap().remove("op");
            if op.as_ref().is_some_and(|op| op == "delete") {
                // HAVING refused a row that was never there.
                assert_eq!(results.get(&identity(&row)), None, "{line}");
                continue;
            }
            assert_eq!(op, keyed.then(|| Value::from("upsert")), "{line}");
            let before = results.insert(identity(&row), row);
            // A closed window's row is final.
            assert_eq!(before, None, "{}: twice: {line}", query.table);
        }
        results
    };
    QUERIES.iter().map(read).collect()
}

/// The rows with their windows, sorted by event time and offset.
fn expanded(rows: &[Row], window: Window) -> RecordBatch {
    let mut all = window.enumerate(rows);
    all.sort_by_key(|(number, start, end)| (rows[*number].ts, *number, *start, *end));
    let of = |number: usize| &rows[number];
    let time = |of: Vec<i64>| Arc::new(TimestampMillisecondArray::from(of)) as ArrayRef;
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "k",
            Arc::new(all.iter().map(|w| of(w.0).k).collect::<StringArray>()),
        ),
        (
            "v",
            Arc::new(all.iter().map(|w| of(w.0).v).collect::<Int64Array>()),
        ),
        (
            "x",
            Arc::new(all.iter().map(|w| of(w.0).x).collect::<Float64Array>()),
        ),
        (
            "s",
            Arc::new(all.iter().map(|w| of(w.0).s).collect::<StringArray>()),
        ),
        ("ts", time(all.iter().map(|w| of(w.0).ts).collect())),
        (
            "place",
            Arc::new(all.iter().map(|w| w.0 as i64).collect::<Int64Array>()),
        ),
        ("window_start", time(all.iter().map(|w| w.1).collect())),
        ("window_end", time(all.iter().map(|w| w.2).collect())),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, column)| Field::new(*name, column.data_type().clone(), true))
        .collect();
    assert_eq!(
        fields[4].data_type(),
        &DataType::Timestamp(TimeUnit::Millisecond, None)
    );
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn batch(rows: &[Row], window: Window, keyed: bool) -> Vec<Results> {
    // Of one partition, so that aggregates see the rows in the order of the table.
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    // A scalar function of DataFusion's has the name of an aggregate of ours.
    context.deregister_udf("list_distinct");
    for function in tidewheel_sql::functions::aggregate_functions() {
        context.register_udaf(function);
    }
    let batch = expanded(rows, window);
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
    context.register_table("expanded", Arc::new(table)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let run = |query: &Query| {
        let sql = query.sql(
            "expanded",
            "ORDER BY ts, place",
            "ORDER BY ts DESC, place DESC",
        );
        let batches = runtime
            .block_on(async { context.sql(&sql).await?.collect().await })
            .unwrap_or_else(|error| panic!("{sql}\n{error}"));
        let mut results = Results::new();
        for batch in &batches {
            for at in 0..batch.num_rows() {
                let mut row = Map::new();
                for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
                    let mut text = String::new();
                    write_json(&mut text, column.as_ref(), at);
                    row.insert(field.name().clone(), serde_json::from_str(&text).unwrap());
                }
                // Without a key there is no row of a keyed table.
                if keyed && row["k"].is_null() {
                    continue;
                }
                let row = Value::Object(row);
                assert!(results.insert(identity(&row), row).is_none());
            }
        }
        results
    };
    QUERIES.iter().map(run).collect()
}

fn same(got: &Value, want: &Value, loose: bool) -> bool {
    match (got, want) {
        (Value::Object(got), Value::Object(want)) if got.len() == want.len() => want
            .iter()
            .all(|(name, want)| got.get(name).is_some_and(|got| same(got, want, loose))),
        (Value::Number(got), Value::Number(want)) if loose => {
            let (got, want) = (got.as_f64().unwrap(), want.as_f64().unwrap());
            // A variance that is nothing may be off by what the numbers' own size leaves.
            (got - want).abs() <= 1e-9 * want.abs() || (got.abs() < 1e-6 && want.abs() < 1e-6)
        }
        _ => got == want,
    }
}

/// Panics with the first rows that differ.
fn compare(got: &[Results], want: &[Results], what: &str) {
    let mut wrong = String::new();
    for (query, (got, want)) in QUERIES.iter().zip(got.iter().zip(want)) {
        assert!(want.len() > 10, "{}: nothing to compare", query.table);
        let keys: BTreeSet<&String> = got.keys().chain(want.keys()).collect();
        let differing: Vec<_> = keys
            .into_iter()
            .map(|key| (got.get(key), want.get(key)))
            .filter(|pair| match pair {
                (Some(got), Some(want)) => !same(got, want, query.loose),
                _ => true,
            })
            .collect();
        if let Some((got_first, want_first)) = differing.first() {
            let show = |row: &Option<&Value>| row.map_or("nothing".to_owned(), Value::to_string);
            wrong.push_str(&format!(
                "{}: {} of {} rows differ (got {} rows)\n  want {}\n  got  {}\n",
                query.table,
                differing.len(),
                want.len(),
                got.len(),
                show(want_first),
                show(got_first),
            ));
        }
    }
    assert!(wrong.is_empty(), "{what}\n{wrong}");
}

fn check(seed: u64, window: Window) {
    let rows = rows(seed);
    for keyed in [false, true] {
        let want = batch(&rows, window, keyed);
        for (shards, decoders, chunk_bytes) in [
            (1, 1, 1 << 20),
            (1, 2, 1 << 10),
            (3, 1, 1 << 10),
            (3, 2, 1 << 20),
        ] {
            let options = RunOptions {
                shards,
                decoders,
                chunk_bytes,
                ..RunOptions::default()
            };
            let got = stream(&rows, window, keyed, &options);
            compare(
                &got,
                &want,
                &format!("{window:?}, keyed {keyed}, {options:?}"),
            );
        }
    }
}

#[test]
fn tumbling_windows() {
    check(
        1,
        Window::Tumble {
            size: 60 * SECOND,
            offset: 0,
        },
    );
    check(
        2,
        Window::Tumble {
            size: 45_500,
            offset: 7 * SECOND,
        },
    );
}

#[test]
fn hopping_windows() {
    check(
        3,
        Window::Hop {
            slide: 10 * SECOND,
            size: 60 * SECOND,
            offset: 0,
        },
    );
    check(
        4,
        Window::Hop {
            slide: 20 * SECOND,
            size: 60 * SECOND,
            offset: 5 * SECOND,
        },
    );
}

#[test]
fn hopping_windows_whose_size_is_no_multiple_of_the_slide() {
    check(
        5,
        Window::Hop {
            slide: 7 * SECOND,
            size: 30 * SECOND,
            offset: 0,
        },
    );
    check(
        6,
        Window::Hop {
            slide: 11 * SECOND,
            size: 25_250,
            offset: 3 * SECOND,
        },
    );
}

#[test]
fn cumulating_windows() {
    check(
        7,
        Window::Cumulate {
            step: 10 * SECOND,
            size: 60 * SECOND,
            offset: 0,
        },
    );
    check(
        8,
        Window::Cumulate {
            step: 15 * SECOND,
            size: 45 * SECOND,
            offset: 4 * SECOND,
        },
    );
}

#[test]
fn sessions() {
    check(9, Window::Session { gap: 5 * SECOND });
}
