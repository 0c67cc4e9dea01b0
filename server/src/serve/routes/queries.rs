//! `/api/v1/queries`: what is there.

use super::super::problem::{Problem, SqlError};
use super::super::{
    App, blocking, changing,
    engine::{QueryState, QueryStatus, word},
    time_text,
};
use super::replies::{Any, Changing, Named, Tagged};
use crate::catalogue::{FileView, View, etag, file_of, sources_of};
use crate::tables::masked_sql;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// A query: a file of statements.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct QueryBody {
    /// Its name: the file's without `.sql`.
    #[schema(example = "cart")]
    pub name: String,
    /// `running`, `starting`, `catching_up`, `paused`, `failed`, `broken` (an error, and nothing
    /// of it runs), or `tables` (it only declares tables and views).
    #[schema(example = "running")]
    pub state: String,
    /// Its tag: send it as If-Match to replace just this text.
    pub etag: String,
    /// When the file was changed last.
    #[schema(example = "2026-01-31T08:00:00.000Z")]
    pub modified: String,
    /// Its text, secrets masked. Not in the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// Why this text does not run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<SqlError>,
    /// True when the text has errors and the version before runs on.
    pub runs_version_before: bool,
    /// True when nothing is written.
    pub paused: bool,
    /// Its INSERTs and how they run.
    pub statements: Vec<StatementBody>,
}

/// An INSERT and how it runs.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct StatementBody {
    /// The engine's name: the file's, with `#2`, `#3` … from the second on.
    #[schema(example = "cart#2")]
    pub name: String,
    /// As for the query.
    pub state: String,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How far it is while it reads history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<ProgressBody>,
    /// From when on its values are whole, where the source holds less than its window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complete_from: Option<String>,
    /// Why its sink takes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sink_away: Option<String>,
    /// The tables that it reads.
    pub reads: Vec<String>,
    /// The table that it writes.
    pub writes: String,
}

/// How far a query is that reads history, in event time.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ProgressBody {
    /// Where it began.
    pub from: Option<String>,
    /// Where it is.
    pub at: Option<String>,
    /// Where the live flow is.
    pub to: Option<String>,
    /// The share that is done, 0 to 1.
    #[schema(example = 0.42)]
    pub done: f64,
}

/// All queries.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct QueryList {
    /// Each, without its text.
    pub queries: Vec<QueryBody>,
}

fn progress(state: &QueryState) -> Option<ProgressBody> {
    let QueryState::CatchingUp {
        at_ms,
        from_ms,
        to_ms,
    } = state
    else {
        return None;
    };
    let done = match (at_ms, from_ms, to_ms) {
        (Some(at), Some(from), Some(to)) if to > from => {
            ((at - from) as f64 / (to - from) as f64).clamp(0.0, 1.0)
        }
        _ => 0.0,
    };
    Some(ProgressBody {
        from: from_ms.map(time_text),
        at: at_ms.map(time_text),
        to: to_ms.map(time_text),
        done,
    })
}

fn statement(view: &View, status: &QueryStatus) -> StatementBody {
    let query = view
        .program
        .queries
        .iter()
        .find(|query| query.name == status.name);
    let mut sources = Vec::new();
    if let Some(query) = query {
        sources_of(&query.root, &mut sources);
    }
    let reads = sources
        .into_iter()
        .filter_map(|source| view.program.sources.get(source));
    StatementBody {
        name: status.name.clone(),
        state: word(&status.state).to_owned(),
        message: match &status.state {
            QueryState::Failed { message } => Some(crate::tables::masked_text(message)),
            _ => None,
        },
        progress: progress(&status.state),
        complete_from: status.complete_from_ms.map(time_text),
        sink_away: status.sink_away.as_deref().map(crate::tables::masked_text),
        reads: reads.map(|source| source.spec.name.clone()).collect(),
        writes: status.table.clone(),
    }
}

/// The state of a file: that of its worst statement.
pub(super) fn file_state(file: &FileView, statuses: &[&QueryStatus]) -> &'static str {
    if file.running.is_none() {
        return "broken";
    }
    for state in ["failed", "catching_up", "starting", "paused"] {
        if statuses.iter().any(|status| word(&status.state) == state) {
            return state;
        }
    }
    match (file.paused, file.queries.is_empty()) {
        (_, true) => "tables",
        (true, _) => "paused",
        _ => "running",
    }
}

/// What the API says of a file.
pub(super) fn body(
    view: &View,
    file: &FileView,
    statuses: &[QueryStatus],
    full: bool,
) -> QueryBody {
    let own = statuses
        .iter()
        .filter(|status| file_of(&status.name) == file.name);
    let own: Vec<&QueryStatus> = own.collect();
    let text = file.text.as_deref().unwrap_or("");
    QueryBody {
        name: file.name.clone(),
        state: file_state(file, &own).to_owned(),
        etag: etag(text),
        modified: time_text(file.modified_ms),
        sql: full.then(|| masked_sql(text)),
        errors: SqlError::all(&file.errors),
        runs_version_before: !file.errors.is_empty() && file.running.is_some(),
        paused: file.paused,
        statements: own.iter().map(|status| statement(view, status)).collect(),
    }
}

/// The answer with one query.
pub(super) fn reply(app: &App, name: &str, status: StatusCode) -> Result<Response, Problem> {
    let view = app.catalogue.view();
    let file = view
        .files
        .get(name)
        .ok_or_else(|| Problem::no_query(name))?;
    let body = body(&view, file, &app.engine.queries(), true);
    let tag = HeaderValue::from_str(&body.etag);
    let mut response = (status, Json(body)).into_response();
    if let Ok(tag) = tag {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}

/// True when the tag is one of those in the header; `None` where there is no header.
pub(super) fn tag_matches(
    headers: &HeaderMap,
    name: header::HeaderName,
    tag: &str,
) -> Option<bool> {
    let mut values = headers.get_all(name).iter().peekable();
    values.peek()?;
    let mut tags = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|v| v.split(','));
    Some(tags.any(|one| one.trim() == "*" || one.trim() == tag))
}

/// All queries
#[utoipa::path(
    get, path = "/api/v1/queries", tag = "queries", operation_id = "listQueries",
    responses((status = 200, body = QueryList, description = "All queries"), Any)
)]
pub(super) async fn list(State(app): State<Arc<App>>) -> Json<QueryList> {
    let view = app.catalogue.view();
    let statuses = app.engine.queries();
    let queries = view
        .files
        .values()
        .map(|file| body(&view, file, &statuses, false));
    Json(QueryList {
        queries: queries.collect(),
    })
}

/// One query
#[utoipa::path(
    get, path = "/api/v1/queries/{name}", tag = "queries", operation_id = "readQuery",
    params(("name" = String, Path, description = "The query", example = "cart")),
    responses(
        (status = 200, body = QueryBody, description = "The query and its text",
         headers(("ETag" = String, description = "The text's tag"))),
        (status = 304, description = "The text has the tag in If-None-Match"),
        Any, Named
    )
)]
pub(super) async fn read(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let response = reply(&app, &name, StatusCode::OK)?;
    let tag = response.headers().get(header::ETAG).cloned();
    if let Some(tag) = tag
        && let Ok(text) = tag.to_str()
        && tag_matches(&headers, header::IF_NONE_MATCH, text) == Some(true)
    {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    Ok(response)
}

/// Remove a query
///
/// Its file goes, its state too; what it wrote stays until its ttl. Not while others use its
/// tables.
#[utoipa::path(
    delete, path = "/api/v1/queries/{name}", tag = "queries", operation_id = "deleteQuery",
    params(
        ("name" = String, Path, description = "The query"),
        ("If-Match" = Option<String>, Header, description = "Only if it still has this tag")
    ),
    responses((status = 204, description = "It is gone"), Any, Named, Changing, Tagged)
)]
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let of_app = Arc::clone(&app);
    changing(&of_app, move || {
        let expected = |tag: &str| tag_matches(&headers, header::IF_MATCH, tag) != Some(false);
        app.catalogue.delete(&name, expected)
    })
    .await??;
    Ok(StatusCode::NO_CONTENT)
}

/// Stop writing
///
/// The query's state goes on, so that it is whole when it is resumed. A restart keeps the pause.
#[utoipa::path(
    post, path = "/api/v1/queries/{name}/pause", tag = "queries", operation_id = "pauseQuery",
    params(("name" = String, Path, description = "The query")),
    responses((status = 200, body = QueryBody, description = "It writes nothing"), Any, Named)
)]
pub(super) async fn pause(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    set_paused(app, name, true).await
}

/// Go on writing
#[utoipa::path(
    post, path = "/api/v1/queries/{name}/resume", tag = "queries", operation_id = "resumeQuery",
    params(("name" = String, Path, description = "The query")),
    responses((status = 200, body = QueryBody, description = "It writes"), Any, Named)
)]
pub(super) async fn resume(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    set_paused(app, name, false).await
}

async fn set_paused(app: Arc<App>, name: String, paused: bool) -> Result<Response, Problem> {
    blocking(move || {
        app.catalogue.set_paused(&name, paused)?;
        reply(&app, &name, StatusCode::OK)
    })
    .await?
}
