//! Streams of changes as server-sent events.

use super::App;
use super::problem::Problem;
use crate::catalogue::file_of;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_stream::stream;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tidewheel_core::text::{write_json, write_json_string};
use tidewheel_core::{ChangeBatch, Op, TableSpec};
use tokio::sync::mpsc;

/// Events that wait for a slow client; then the engine's batches wait, then they are missed.
const EVENTS_WAITING: usize = 256;
/// A comment this often keeps proxies from closing a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How often a thread that waits for changes looks whether its client is still there.
const LOOK: Duration = Duration::from_millis(200);

/// A row as a JSON object, as its sink would write the values.
pub(crate) fn row_json(rows: &RecordBatch, names: &[&str], row: usize) -> String {
    let mut out = String::from("{");
    for (at, name) in names.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_json_string(&mut out, name);
        out.push(':');
        write_json(&mut out, rows.column(at).as_ref(), row);
    }
    out.push('}');
    out
}

/// The names of a batch's columns in the table.
pub(crate) fn names<'a>(schema: &'a SchemaRef, columns: &[usize]) -> Vec<&'a str> {
    let name = |column: &usize| {
        schema
            .fields()
            .get(*column)
            .map(|field| field.name().as_str())
    };
    columns
        .iter()
        .map(|column| name(column).unwrap_or(""))
        .collect()
}

/// One change as JSON.
fn change_json(query: &str, table: &TableSpec, batch: &ChangeBatch, row: usize) -> String {
    let all = names(&table.schema, &batch.columns);
    let deleted = batch.ops.get(row) == Some(&Op::Delete);
    let row = if deleted {
        // Only the key of a row that is gone means anything.
        let keys: Vec<usize> = (0..all.len())
            .filter(|at| table.primary_key.contains(&batch.columns[*at]))
            .collect();
        let rows = batch.rows.project(&keys);
        let names: Vec<&str> = keys.iter().map(|at| all[*at]).collect();
        rows.map_or_else(|_| "{}".to_owned(), |rows| row_json(&rows, &names, row))
    } else {
        row_json(&batch.rows, &all, row)
    };
    let row = RawValue::from_string(row).ok();
    let op = if deleted { "delete" } else { "upsert" };
    // A struct keeps the order of its members; readers see what happened first.
    #[derive(serde::Serialize)]
    struct Change<'a> {
        op: &'a str,
        query: &'a str,
        table: &'a str,
        row: Option<Box<RawValue>>,
    }
    let table = &table.name;
    serde_json::to_string(&Change {
        op,
        query,
        table,
        row,
    })
    .unwrap_or_default()
}

/// True when the row's columns hold these texts.
fn matches(filter: &BTreeMap<String, String>, json: &str) -> bool {
    if filter.is_empty() {
        return true;
    }
    let Ok(Value::Object(change)) = serde_json::from_str::<Value>(json) else {
        return false;
    };
    let empty = Map::new();
    let row = change
        .get("row")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    filter.iter().all(|(name, wanted)| match row.get(name) {
        Some(Value::String(text)) => text == wanted,
        Some(other) => {
            let text = other.to_string();
            text == *wanted
        }
        None => false,
    })
}

/// The changes of all queries of a file, as they are written from now on.
///
/// # Errors
/// There are listeners enough, or none of the file's queries runs.
pub(crate) fn changes(
    app: &Arc<App>,
    file: &str,
    filter: &BTreeMap<String, String>,
) -> Result<impl IntoResponse + use<>, Problem> {
    let place = Arc::clone(&app.listeners)
        .try_acquire_owned()
        .map_err(|_| {
            Problem::too_many(format!(
                "{} listeners are connected, the limit (limits.listeners)",
                app.limits.listeners
            ))
        })?;
    let program = Arc::clone(&app.catalogue.view().program);
    let (events, mut inbox) = mpsc::channel::<String>(EVENTS_WAITING);
    let mut listened = 0;
    for query in program
        .queries
        .iter()
        .filter(|query| file_of(&query.name) == file)
    {
        let Some(changes) = app.engine.subscribe(&query.name) else {
            continue;
        };
        listened += 1;
        let (name, table) = (query.name.clone(), query.sink.clone());
        let (events, filter) = (events.clone(), filter.clone());
        std::thread::spawn(move || pump(&changes, &name, &table, &filter, &events));
    }
    drop(events);
    if listened == 0 {
        return Err(Problem::conflict(
            "none of its queries is running, so there are no changes to follow",
        ));
    }
    let mut stopping = app.stopping.clone();
    let file = file.to_owned();
    let stream = stream! {
        let _place = place;
        let hello = json!({ "query": file }).to_string();
        yield Ok::<_, Infallible>(Event::default().event("listening").data(hello));
        loop {
            tokio::select! {
                json = inbox.recv() => match json {
                    Some(json) => yield Ok(Event::default().event("change").data(json)),
                    None => break,
                },
                _ = stopping.changed() => break,
            }
        }
        yield Ok(Event::default().event("end").data("{}"));
    };
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

fn pump(
    changes: &Receiver<Arc<ChangeBatch>>,
    query: &str,
    table: &TableSpec,
    filter: &BTreeMap<String, String>,
    events: &mpsc::Sender<String>,
) {
    loop {
        match changes.recv_timeout(LOOK) {
            Ok(batch) => {
                for row in 0..batch.len() {
                    let json = change_json(query, table, &batch, row);
                    if matches(filter, &json) && events.blocking_send(json).is_err() {
                        return;
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) if events.is_closed() => return,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
