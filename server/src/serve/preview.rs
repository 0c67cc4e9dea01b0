//! Previews: the results of a SELECT as server-sent events, writing nothing.

use super::problem::Problem;
use super::streams::row_json;
use super::{App, blocking, wall_ms};
use crate::catalogue::ChangeError;
use crate::catalogue::policy::Policy;
use crate::select::{Begin, Selected, Selecting, compile, names};
use crate::tables::sql_type;
use async_stream::stream;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use crossbeam_channel::RecvTimeoutError;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidewheel_core::{ChangeBatch, Op};
use tidewheel_runtime::RunOptions;
use tokio::sync::mpsc;

/// Rows that wait for a slow client; then the preview waits.
const EVENTS_WAITING: usize = 256;
/// A comment this often keeps proxies from closing a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How often bounds are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Bytes of one chunk: a preview is small.
const CHUNK_BYTES: usize = 256 * 1024;

/// What was asked for.
pub(crate) struct Asked {
    /// The SELECT.
    pub sql: String,
    /// How far back to begin.
    pub last: Option<Duration>,
    /// End after that many seconds.
    pub seconds: Option<u64>,
    /// End after that many rows.
    pub rows: Option<u64>,
}

/// Compiles, starts, and streams.
///
/// # Errors
/// The SQL is wrong, reaches what it may not, or there are previews enough.
pub(crate) async fn stream(
    app: &Arc<App>,
    asked: Asked,
) -> Result<impl IntoResponse + use<>, Problem> {
    let full = |what: &str, limit: usize, setting: &str| {
        Problem::too_many(format!("{limit} {what}, the limit ({setting})"))
    };
    let place = Arc::clone(&app.previews).try_acquire_owned();
    let place = place.map_err(|_| full("previews run", app.limits.previews, "limits.previews"))?;
    let listening = Arc::clone(&app.listeners).try_acquire_owned();
    let listening = listening.map_err(|_| {
        full(
            "listeners are connected",
            app.limits.listeners,
            "limits.listeners",
        )
    })?;
    let (limits, stopping) = (app.limits.clone(), app.stopping.clone());
    let until = asked
        .seconds
        .map_or(limits.preview_time, Duration::from_secs);
    let bounds = Bounds {
        time: until.min(limits.preview_time),
        rows: asked
            .rows
            .map_or(limits.preview_rows, |rows| {
                usize::try_from(rows).unwrap_or(usize::MAX)
            })
            .min(limits.preview_rows),
        memory: limits.preview_memory as u64,
    };
    let owned = Arc::clone(app);
    let (selected, selecting) = blocking(move || start(&owned, &asked)).await??;
    let (events, mut inbox) = mpsc::channel::<Line>(EVENTS_WAITING);
    std::thread::spawn(move || pump(&selected, selecting, &bounds, &events, &stopping));
    let stream = stream! {
        let _places = (place, listening);
        while let Some(line) = inbox.recv().await {
            yield Ok::<_, Infallible>(Event::default().event(line.event).data(line.json));
        }
    };
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

fn start(app: &App, asked: &Asked) -> Result<(Selected, Selecting), Problem> {
    let from = asked.last.map(|last| {
        let back = i64::try_from(last.as_millis()).unwrap_or(i64::MAX);
        wall_ms().saturating_sub(back)
    });
    let begin = if from.is_some() {
        Begin::Table
    } else {
        Begin::Now
    };
    Policy::check_text(&asked.sql).map_err(ChangeError::Forbidden)?;
    let view = app.catalogue.view();
    let compiler = app.catalogue.compiler();
    let selected =
        compile(compiler, &view.texts, &asked.sql, begin).map_err(|found| Problem::sql(&found))?;
    app.catalogue
        .check_places(&view, &selected.places(), &asked.sql)?;
    let options = RunOptions {
        shards: 1,
        decoders: 1,
        chunk_bytes: CHUNK_BYTES,
        from_ms: from,
        ..RunOptions::default()
    };
    let selecting = Selecting::start(&selected, &app.registry, &options)
        .map_err(|error| Problem::from(ChangeError::Engine(error)))?;
    Ok((selected, selecting))
}

struct Bounds {
    time: Duration,
    rows: usize,
    memory: u64,
}

struct Line {
    event: &'static str,
    json: String,
}

fn pump(
    selected: &Selected,
    selecting: Selecting,
    bounds: &Bounds,
    events: &mpsc::Sender<Line>,
    stopping: &tokio::sync::watch::Receiver<bool>,
) {
    let send = |event, json| events.blocking_send(Line { event, json }).is_ok();
    let fields = selected.table.schema.fields().iter();
    let columns: Vec<_> = fields
        .map(|field| json!({ "name": field.name(), "type": sql_type(field.data_type()) }))
        .collect();
    let mut here = send("columns", json!({ "columns": columns }).to_string());
    let (begin, mut rows) = (Instant::now(), 0);
    let reason = loop {
        if !here {
            break "gone";
        } else if rows >= bounds.rows {
            break "rows";
        } else if begin.elapsed() >= bounds.time {
            break "time";
        } else if selecting.running.engine.summary().state_bytes > bounds.memory {
            break "memory";
        } else if *stopping.borrow() {
            break "stopping";
        }
        match selecting.results.recv_timeout(LOOK) {
            Ok(batch) => {
                let names = names(&selected.table, &batch);
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                for row in 0..batch.len().min(bounds.rows - rows) {
                    here = here && send("row", row_line(&batch, &names, row));
                    rows += 1;
                }
            }
            Err(RecvTimeoutError::Timeout) if selecting.running.is_finished() => {
                if selecting.results.is_empty() {
                    break "input";
                }
            }
            Err(RecvTimeoutError::Timeout) => here = !events.is_closed(),
            Err(RecvTimeoutError::Disconnected) => break "input",
        }
    };
    let ended = selecting.end();
    let end = match ended {
        Ok(()) => json!({ "reason": reason, "rows": rows }),
        Err(error) => {
            let message = crate::tables::masked_text(&error.to_string());
            json!({ "reason": "error", "rows": rows, "message": message })
        }
    };
    send("end", end.to_string());
}

fn row_line(batch: &ChangeBatch, names: &[&str], row: usize) -> String {
    let op = if batch.ops.get(row) == Some(&Op::Delete) {
        "delete"
    } else {
        "upsert"
    };
    format!(
        "{{\"op\":\"{op}\",\"row\":{}}}",
        row_json(&batch.rows, names, row)
    )
}
