//! Bad and late rows in their tables, from a file to files: which rows, and every column.

use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use tidewheel_core::env::SystemEnv;
use tidewheel_core::{Env, SourceText};
use tidewheel_runtime::{RunOptions, Running, Summary};
use tidewheel_sql::{CompileContext, compile};

fn run(folder: &Path, lines: &[&str], queries: &str) -> Summary {
    run_with(folder, lines, queries, "")
}

fn run_with(folder: &Path, lines: &[&str], queries: &str, options: &str) -> Summary {
    let input = folder.join("events.jsonl");
    std::fs::write(&input, lines.concat()).expect("writes");
    let side = |name: &str| {
        format!(
            "CREATE TABLE {name} (topic STRING, `partition` INT, `offset` BIGINT, reason STRING, \
             query STRING, event_time TIMESTAMP(3), record STRING) \
             WITH ('connector' = 'file', 'path' = '{}');\n",
            folder.join(name).display()
        )
    };
    let text = format!(
        "{}{}CREATE TABLE events (k STRING, ts TIMESTAMP(3), n BIGINT, WATERMARK FOR ts AS ts) \
         WITH ('connector' = 'file', 'format' = 'json', 'path' = '{}', \
         'bad-rows.table' = 'bad', 'late-rows.table' = 'late'{options});\n{}",
        side("bad"),
        side("late"),
        input.display(),
        queries.replace("{folder}", &folder.display().to_string()),
    );
    let source = Arc::new(SourceText {
        name: "side.sql".to_owned(),
        text,
    });
    let mut registry = tidewheel_connectors::registry();
    tidewheel_formats::register(&mut registry);
    let program = compile(&[source], &CompileContext::new(&registry))
        .unwrap_or_else(|errors| panic!("{errors}"));
    let env: Arc<dyn Env> = Arc::new(SystemEnv::new(registry));
    let options = RunOptions {
        shards: 2,
        decoders: 1,
        chunk_bytes: 64,
        ..RunOptions::default()
    };
    Running::start(&program, &env, &options)
        .expect("starts")
        .wait()
        .expect("ends well")
}

fn rows(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut rows: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    rows.sort_by_key(|row| (row["offset"].as_i64(), row["query"].to_string()));
    rows
}

/// Byte positions of lines.
fn offsets(lines: &[&str]) -> Vec<usize> {
    let mut at = 0;
    let offset = |line: &&str| {
        at += line.len();
        at - line.len()
    };
    lines.iter().map(offset).collect()
}

const CURRENT: &str = "CREATE TABLE now (k STRING, c BIGINT, PRIMARY KEY (k) NOT ENFORCED) \
    WITH ('connector' = 'file', 'path' = '{folder}/now');\n\
    INSERT INTO now SELECT k, COUNT(*) \
    FROM TABLE(HOP(TABLE events, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '60' SECOND)) \
    GROUP BY k, window_start, window_end;\n";

#[test]
fn bad_rows_come_with_where_they_stood_and_what_they_were() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = [
        "{\"k\":\"a\",\"ts\":\"2024-03-01T00:00:00Z\"}\n",
        "{\"k\":\"a\",\n",
        "{\"k\":\"no time\"}\n",
        "{\"k\":\"unreadable\",\"ts\":\"yesterday\"}\n",
        "{\"k\":\"future\",\"ts\":\"2999-01-01T00:00:00Z\"}\n",
        "{\"k\":\"b\",\"ts\":\"2024-03-01T00:00:01Z\"}\n",
    ];
    let summary = run(folder.path(), &lines, CURRENT);
    assert_eq!((summary.rows_in, summary.bad, summary.future), (6, 3, 1));
    let at = offsets(&lines);
    let topic = folder.path().join("events.jsonl").display().to_string();
    let row = |number: usize, reason: &str, time: Value| {
        json!({
            "topic": topic, "partition": 0, "offset": at[number], "reason": reason, "query": "",
            "event_time": time, "record": lines[number].trim_end(),
        })
    };
    let mut found = rows(&folder.path().join("bad"));
    let broken = found.remove(0);
    assert_eq!(broken["offset"], at[1]);
    assert_eq!(broken["record"], lines[1].trim_end());
    assert_ne!(broken["reason"], "");
    let unreadable = "no event time, or an unreadable one";
    let ahead = "event time too far ahead of the wall clock";
    assert_eq!(
        found,
        [
            row(2, unreadable, Value::Null),
            row(3, unreadable, Value::Null),
            row(4, ahead, json!("2999-01-01T00:00:00.000Z")),
        ]
    );
    assert_eq!(rows(&folder.path().join("late")), [] as [Value; 0]);
}

#[test]
fn late_rows_are_those_of_windows_that_have_closed() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = [
        "{\"k\":\"a\",\"ts\":\"2024-03-01T00:00:05Z\"}\n",
        "{\"k\":\"a\",\"ts\":\"2024-03-01T00:01:30Z\"}\n",
        // Its minute has closed; of the hops over 60 seconds some are open.
        "{\"k\":\"a\",\"ts\":\"2024-03-01T00:00:50Z\"}\n",
        // Every window has closed.
        "{\"k\":\"b\",\"ts\":\"2024-03-01T00:00:10Z\"}\n",
    ];
    let queries = format!(
        "{CURRENT}\
         CREATE TABLE minutes (k STRING, window_start TIMESTAMP(3), c BIGINT) \
         WITH ('connector' = 'file', 'path' = '{{folder}}/minutes');\n\
         INSERT INTO minutes SELECT k, window_start, COUNT(*) \
         FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) \
         GROUP BY k, window_start, window_end;\n\
         CREATE TABLE hops (k STRING, window_start TIMESTAMP(3), c BIGINT) \
         WITH ('connector' = 'file', 'path' = '{{folder}}/hops');\n\
         INSERT INTO hops SELECT k, window_start, COUNT(*) \
         FROM TABLE(HOP(TABLE events, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '60' SECOND)) \
         GROUP BY k, window_start, window_end;\n\
         CREATE TABLE before (k STRING, p TIMESTAMP(3), PRIMARY KEY (k) NOT ENFORCED) \
         WITH ('connector' = 'file', 'path' = '{{folder}}/before');\n\
         INSERT INTO before SELECT k, LAG(ts) OVER (PARTITION BY k ORDER BY ts) FROM events;\n"
    );
    let summary = run(folder.path(), &lines, &queries);
    let at = offsets(&lines);
    let found: Vec<(Value, Value, Value)> = rows(&folder.path().join("late"))
        .into_iter()
        .map(|row| {
            assert_eq!(row["partition"], 0);
            assert_eq!(row["record"], Value::Null);
            assert_ne!(row["reason"], "");
            let topic = row["topic"].as_str().expect("a topic");
            assert!(topic.ends_with("events.jsonl"));
            (
                row["offset"].clone(),
                row["query"].clone(),
                row["event_time"].clone(),
            )
        })
        .collect();
    let late = |number: usize, query: &str, time: &str| {
        let time = format!("2024-03-01T00:00:{time}.000Z");
        (json!(at[number]), json!(query), json!(time))
    };
    // The current value (the first query) takes what its window holds, and misses nothing else.
    assert_eq!(
        found,
        [
            late(2, "side#2", "50"),
            late(2, "side#4", "50"),
            late(3, "side#2", "10"),
            late(3, "side#3", "10"),
            late(3, "side#4", "10"),
        ]
    );
    assert_eq!(summary.late, 5);
}

/// Where `order.by` breaks ties, a late row still says where it stood.
#[test]
fn a_late_row_is_where_it_stood_whatever_breaks_ties() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = [
        "{\"k\":\"a\",\"ts\":\"2024-03-01T00:05:00Z\",\"n\":9000000000}\n",
        "{\"k\":\"b\",\"ts\":\"2024-03-01T00:00:10Z\",\"n\":7000000000}\n",
        "{\"k\":\"c\",\"ts\":\"2024-03-01T00:00:20Z\"}\n",
    ];
    let queries = "CREATE TABLE minutes (k STRING, window_start TIMESTAMP(3), c BIGINT) \
         WITH ('connector' = 'file', 'path' = '{folder}/minutes');\n\
         INSERT INTO minutes SELECT k, window_start, COUNT(*) \
         FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) \
         GROUP BY k, window_start, window_end;\n";
    let summary = run_with(folder.path(), &lines, queries, ", 'order.by' = 'n'");
    assert_eq!(summary.late, 2);
    let at = offsets(&lines);
    let places: Vec<(Value, Value)> = rows(&folder.path().join("late"))
        .into_iter()
        .map(|row| (row["partition"].clone(), row["offset"].clone()))
        .collect();
    let place = |number: usize| (json!(0), json!(at[number]));
    assert_eq!(places, [place(1), place(2)]);
}
