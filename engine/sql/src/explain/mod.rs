//! The streaming plan for readers: as values that serialize to JSON, and as text.

mod nodes;
mod sharing;

use crate::lower::sink::shown;
use crate::plan::{OnEmpty, Program, Query, SourceTable};
use nodes::{expression, scan_of, show_chain};
use serde::Serialize;
use std::fmt::Write;
use std::time::Duration;

/// A program's plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// The source tables that are read.
    pub sources: Vec<ExplainedSource>,
    /// The queries.
    pub queries: Vec<ExplainedQuery>,
    /// Warnings, each with its place.
    pub warnings: Vec<String>,
}

/// A source table: one scan and one decode for all of its queries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedSource {
    /// The table.
    pub table: String,
    /// The queries that share its scan.
    pub queries: Vec<String>,
    /// What is decoded of each record; all else is skipped.
    pub reads: Vec<ExplainedColumn>,
    /// METADATA columns that are read.
    pub metadata: Vec<ExplainedColumn>,
    /// The event time.
    pub event_time: Option<String>,
    /// The watermark.
    pub watermark: Option<String>,
    /// The key of repeats.
    pub dedup_key: Option<String>,
    /// How long a key of repeats is remembered, milliseconds.
    pub dedup_window_ms: Option<u64>,
    /// Queries by their first key: one probe of it serves all of a group.
    pub key_groups: Vec<KeyGroup>,
}

/// A column and its type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedColumn {
    /// The name, with the path into it.
    pub name: String,
    /// The type as SQL names it.
    #[serde(rename = "type")]
    pub data_type: String,
}

/// Queries whose rows are grouped by the same expressions first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyGroup {
    /// The expressions of the key; empty for one group of all rows.
    pub key: Vec<String>,
    /// The queries.
    pub queries: Vec<String>,
    /// The windows that share slices.
    pub slices: Vec<SharedSlices>,
}

/// Windows that are put together from the same slices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SharedSlices {
    /// How far apart slices are cut; `None` for sessions, and where there is no window.
    pub every: Option<String>,
    /// The windows, or what stands in place of one.
    pub windows: Vec<String>,
    /// The queries.
    pub queries: Vec<String>,
}

/// A query's plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedQuery {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// The table that it writes.
    pub sink: String,
    /// The columns of it that the query owns.
    pub columns: Vec<String>,
    /// What its results are.
    pub results: &'static str,
    /// `delete`, `zero` or `keep`.
    pub on_empty: &'static str,
    /// The shortest time between two writes of a key, milliseconds.
    pub emit_every_ms: Option<u64>,
    /// The operators, from the sink down to the scan.
    pub operators: Vec<ExplainedOperator>,
}

/// An operator of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedOperator {
    /// What it is: `scan`, `filter`, `project`, `window`, `group`, `newest`, `first`, `over`.
    pub operator: &'static str,
    /// The rest, in the names of the query.
    pub text: String,
}

/// The plan as values: sources with what queries share of them, and each query's chain from its
/// sink down to its scan.
#[must_use]
pub fn explained(program: &Program) -> Explained {
    Explained {
        sources: program
            .sources
            .iter()
            .enumerate()
            .map(|(index, source)| explained_source(program, index, source))
            .collect(),
        queries: program
            .queries
            .iter()
            .map(|query| explained_query(program, query))
            .collect(),
        warnings: program.warnings.0.iter().map(ToString::to_string).collect(),
    }
}

/// The plan as JSON.
#[must_use]
pub fn explain_json(program: &Program) -> serde_json::Value {
    // Nothing of it fails to serialize: names are texts, numbers are whole.
    serde_json::to_value(explained(program)).unwrap_or_default()
}

/// The plan as text.
#[must_use]
pub fn explain(program: &Program) -> String {
    let plan = explained(program);
    let mut out = String::new();
    for source in &plan.sources {
        write_source(&mut out, source);
    }
    for query in &plan.queries {
        write_query(&mut out, query);
    }
    out.push_str(&plan.warnings.join("\n"));
    out
}

fn explained_source(program: &Program, index: usize, source: &SourceTable) -> ExplainedSource {
    let readers: Vec<&Query> = program
        .queries
        .iter()
        .filter(|query| scan_of(&query.root) == Some(index))
        .collect();
    let names: Vec<String> = source
        .scan_schema
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .collect();
    let shown_expr = |expr: &_| expression(expr, &names);
    ExplainedSource {
        table: source.spec.name.clone(),
        queries: readers.iter().map(|query| query.name.clone()).collect(),
        reads: source
            .read
            .iter()
            .map(|column| ExplainedColumn {
                name: column.path.join("."),
                data_type: shown(&column.data_type),
            })
            .collect(),
        metadata: source
            .metadata
            .iter()
            .map(|column| ExplainedColumn {
                name: column.name.clone(),
                data_type: shown(&column.data_type),
            })
            .collect(),
        event_time: source.event_time.as_ref().map(shown_expr),
        watermark: source.watermark.as_ref().map(shown_expr),
        dedup_key: source.dedup.as_ref().map(|(keys, _)| {
            let keys: Vec<String> = keys.iter().map(shown_expr).collect();
            keys.join(", ")
        }),
        dedup_window_ms: source.dedup.as_ref().map(|(_, window)| millis(*window)),
        key_groups: sharing::key_groups(&readers),
    }
}

fn explained_query(program: &Program, query: &Query) -> ExplainedQuery {
    let results = if query.current {
        "the current value of each key"
    } else if query.sink.is_append_only() {
        "rows, added once"
    } else {
        "a row for each key and window"
    };
    let columns = query
        .sink_columns
        .iter()
        .filter_map(|i| query.sink.schema.fields().get(*i))
        .map(|f| f.name().clone())
        .collect();
    ExplainedQuery {
        name: query.name.clone(),
        file: query.file.clone(),
        sink: query.sink.name.clone(),
        columns,
        results,
        on_empty: match query.on_empty {
            OnEmpty::Delete => "delete",
            OnEmpty::Zero => "zero",
            OnEmpty::Keep => "keep",
        },
        emit_every_ms: query.emit_every.map(millis),
        operators: show_chain(program, &query.root),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn write_source(out: &mut String, source: &ExplainedSource) {
    // Writing into a String never fails.
    let _ = writeln!(
        out,
        "source {}: one scan for {} queries",
        source.table,
        source.queries.len()
    );
    for column in &source.reads {
        let _ = writeln!(out, "  read {} {}", column.name, column.data_type);
    }
    for column in &source.metadata {
        let _ = writeln!(out, "  metadata {} {}", column.name, column.data_type);
    }
    if let Some(time) = &source.event_time {
        let _ = writeln!(out, "  event time {time}");
    }
    if let Some(watermark) = &source.watermark {
        let _ = writeln!(out, "  watermark {watermark}");
    }
    if let (Some(key), Some(ms)) = (&source.dedup_key, source.dedup_window_ms) {
        let window = nodes::length(i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1_000));
        let _ = writeln!(out, "  dedup by {key} for {window}");
    }
    for group in &source.key_groups {
        let key = if group.key.is_empty() {
            "no key".to_owned()
        } else {
            format!("key ({})", group.key.join(", "))
        };
        let _ = writeln!(out, "  {key}: one probe for {}", group.queries.join(", "));
        for slices in &group.slices {
            let every = match &slices.every {
                Some(every) => format!("slices of {every}: "),
                None => String::new(),
            };
            let _ = writeln!(
                out,
                "    {every}{} for {}",
                slices.windows.join(", "),
                slices.queries.join(", ")
            );
        }
    }
    out.push('\n');
}

fn write_query(out: &mut String, query: &ExplainedQuery) {
    // Writing into a String never fails.
    let _ = writeln!(
        out,
        "query {} -> {} ({})",
        query.name,
        query.sink,
        query.columns.join(", ")
    );
    let _ = writeln!(out, "  {}; on-empty {}", query.results, query.on_empty);
    if let Some(every) = query.emit_every_ms {
        let _ = writeln!(out, "  a key at most once in {every} ms");
    }
    for (depth, operator) in query.operators.iter().enumerate() {
        let indent = "  ".repeat(depth + 1);
        let _ = writeln!(out, "{indent}{} {}", operator.operator, operator.text);
    }
    out.push('\n');
}
