//! A lone SELECT against a catalogue.

use crate::common;
use std::sync::Arc;
use tidewheel_core::{Diagnostics, SourceText};
use tidewheel_sql::plan::Program;
use tidewheel_sql::{CompileContext, PREVIEW, compile_select};

const TABLES: &str = include_str!("../tables.sql");
const QUERY: &str = "INSERT INTO counts SELECT user_key, COUNT(*), 1 FROM \
     TABLE(TUMBLE(TABLE events, DESCRIPTOR(`timestamp`), INTERVAL '1' MINUTE)) \
     GROUP BY user_key, window_start, window_end;\n\
     CREATE TABLE bystander (a INT) WITH ('connector' = 'nowhere');";
const TUMBLE: &str = "TABLE(TUMBLE(TABLE events, DESCRIPTOR(`timestamp`), INTERVAL '1' MINUTE))";

fn preview(text: &str) -> Result<Program, Diagnostics> {
    let file = |name: &str, text: &str| {
        Arc::new(SourceText {
            name: name.to_owned(),
            text: text.to_owned(),
        })
    };
    let files = [file("tables.sql", TABLES), file("query.sql", QUERY)];
    let registry = common::registry();
    compile_select(
        &files,
        &file("<sql>", text),
        &CompileContext::new(&registry),
    )
}

/// Columns, key, and whether they are current values.
fn shape(text: &str) -> (Vec<String>, Vec<String>, bool) {
    let program = preview(text).unwrap_or_else(|found| panic!("{text}\n{found}"));
    assert_eq!(program.queries.len(), 1, "{text}");
    assert_eq!(program.warnings.0, [], "{text}");
    let query = &program.queries[0];
    assert_eq!(query.sink.name, PREVIEW);
    assert_eq!(query.sink.options.get("connector"), Some(PREVIEW));
    assert_eq!(query.file, "<sql>");
    assert_eq!(query.root.schema.fields().len(), query.sink_columns.len());
    let name = |at: &usize| query.sink.schema.field(*at).name().clone();
    let columns = (0..query.sink.schema.fields().len()).map(|at| name(&at));
    (
        columns.collect(),
        query.sink.primary_key.iter().map(name).collect(),
        query.current,
    )
}

#[test]
fn the_key_is_that_of_the_outermost_grouping() {
    let group = "GROUP BY user_key, type, window_start, window_end";
    let none: &[&str] = &[];
    for (text, columns, key, current) in [
        // Rows as they come.
        (
            "SELECT user_key, type FROM events WHERE type = 'a';".to_owned(),
            &["user_key", "type"][..],
            none,
            false,
        ),
        // The current value of each key.
        (
            format!("SELECT type, user_key, COUNT(*) AS n FROM {TUMBLE} {group}"),
            &["type", "user_key", "n"],
            &["user_key", "type"],
            true,
        ),
        // A row for each key and window.
        (
            format!("SELECT user_key, type, window_end, COUNT(*) AS n FROM {TUMBLE} {group}"),
            &["user_key", "type", "window_end", "n"],
            &["window_end", "user_key", "type"],
            false,
        ),
        // Of windows alone.
        (
            format!(
                "SELECT window_end, COUNT(*) AS n FROM {TUMBLE} GROUP BY window_start, window_end"
            ),
            &["window_end", "n"],
            &["window_end"],
            false,
        ),
        // A part of the key is missing: rows that are final.
        (
            format!("SELECT user_key, COUNT(*) AS n FROM {TUMBLE} {group}"),
            &["user_key", "n"],
            none,
            false,
        ),
        // Without a window values change, so the key is there whether it was selected or not.
        (
            "SELECT user_key, COUNT(*) AS n FROM events GROUP BY user_key".to_owned(),
            &["user_key", "n"],
            &["user_key"],
            true,
        ),
        (
            "SELECT COUNT(*) AS n FROM events GROUP BY type".to_owned(),
            &["n", "type"],
            &["type"],
            true,
        ),
        (
            "SELECT COUNT(*) AS n FROM events".to_owned(),
            &["n", "key"],
            &["key"],
            true,
        ),
        // Names repeat, or are none.
        (
            "SELECT type, type, 1, NULL FROM events".to_owned(),
            &["type", "type0", "Int64(1)", "NULL"],
            none,
            false,
        ),
        // Tables and settings of its own.
        (
            "CREATE TABLE own (k STRING, v INT) WITH ('connector' = 'file', 'format' = 'json', \
             'path' = 'x');\nSET 'table.exec.state.ttl' = '1 h';\n\
             SELECT k, SUM(v) AS s FROM own GROUP BY k"
                .to_owned(),
            &["k", "s"],
            &["k"],
            true,
        ),
    ] {
        let (got_columns, got_key, got_current) = shape(&text);
        assert_eq!(got_columns, columns, "{text}");
        assert_eq!(got_key, key, "{text}");
        assert_eq!(got_current, current, "{text}");
    }
}

#[test]
fn only_what_the_select_reads_is_in_the_program() {
    let program = preview("SELECT type FROM events").unwrap();
    assert_eq!(program.sources.len(), 1);
    let reads: Vec<String> = program.sources[0]
        .read
        .iter()
        .map(|column| column.path.join("."))
        .collect();
    // What the watermark and dedup need, and the type.
    assert_eq!(reads, ["id", "timestamp", "type"]);
    assert!(program.tables.iter().any(|table| table.name == "counts"));
}

#[test]
fn errors_point_into_the_text() {
    for (text, message, place) in [
        ("SELECT typ FROM events", "there is no column 'typ'", "typ"),
        ("SELECT * FROM event", "there is no table 'event'", "event"),
        ("SELECT FROM", "expected", ""),
        (
            "SELECT type FROM events; SELECT id FROM events",
            "there is a second SELECT",
            "SELECT id FROM events",
        ),
        (
            "INSERT INTO counts SELECT id, 1, 1 FROM events; SELECT id FROM events",
            "an INSERT is no preview",
            "INSERT INTO counts SELECT id, 1, 1 FROM events",
        ),
        (
            "CREATE TABLE x (a INT) WITH ('connector' = 'print')",
            "there is no SELECT",
            "",
        ),
        ("", "there is no SELECT", ""),
    ] {
        let found = preview(text).expect_err(text);
        assert_eq!(found.0.len(), 1, "{text}: {found}");
        let error = &found.0[0];
        assert!(error.message.contains(message), "{text}: {}", error.message);
        assert!(error.advice.is_some(), "{text}");
        if !place.is_empty() {
            let span = error.span.as_ref().unwrap();
            assert_eq!((span.source.name.as_str(), span.text()), ("<sql>", place));
        }
    }
}

#[test]
fn what_is_wrong_elsewhere_shows_only_where_it_is_used() {
    // `bystander` has no such connector.
    let found = preview("SELECT a FROM bystander").expect_err("a broken table");
    assert!(found.to_string().contains("query.sql"), "{found}");
}
