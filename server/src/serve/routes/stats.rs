//! What a query does: its plan, its changes, its counters.

use super::super::body::decoded;
use super::super::problem::Problem;
use super::super::{
    App,
    engine::{FRESHNESS_BUCKETS_MS, QueryStatus, word},
    streams, time_text,
};
use super::replies::{Any, Named};
use super::submit::own_queries;
use crate::catalogue::file_of;
use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// The plan of a query.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct PlanBody {
    /// The query.
    pub name: String,
    /// The streaming plan, as text.
    pub plan: String,
    /// The same, for programs.
    #[schema(value_type = Object)]
    pub explained: serde_json::Value,
}

/// Counters of a query, since it began.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct StatsBody {
    /// The query.
    pub name: String,
    /// One entry for each INSERT.
    pub statements: Vec<StatementStats>,
}

/// Counters of an INSERT.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct StatementStats {
    /// The engine's name.
    pub name: String,
    /// What it is doing.
    pub state: String,
    /// Keys held now.
    pub keys: u64,
    /// Slices and sessions held now.
    pub slices: u64,
    /// Bytes of state, estimated.
    pub state_bytes: u64,
    /// Rows that passed its filter, those without a key included.
    pub matched: u64,
    /// Rows that came after all their windows had closed.
    pub late: u64,
    /// Rows without a key.
    pub keyless: u64,
    /// Rows on which an expression failed.
    pub failed_rows: u64,
    /// Values left out because a bound was reached.
    pub bounds_reached: u64,
    /// Changes handed to the sink.
    pub changes: u64,
    /// Writes that the sink acknowledged.
    pub writes: u64,
    /// Times that a write was tried again.
    pub sink_retries: u64,
    /// When its sink acknowledged changes last.
    pub last_change: Option<String>,
    /// Milliseconds from reading an event to its acknowledged value, by share of all.
    pub freshness: Option<FreshnessBody>,
}

/// Times from an event to its value, as upper bounds of buckets, in milliseconds.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct FreshnessBody {
    /// Half of the writes took at most this long.
    pub p50_ms: u64,
    /// 99 of 100.
    pub p99_ms: u64,
    /// How many were measured.
    pub count: u64,
}

fn freshness(status: &QueryStatus) -> Option<FreshnessBody> {
    let histogram = &status.freshness;
    let count = histogram
        .cumulative
        .last()
        .copied()
        .filter(|count| *count > 0)?;
    let at = |share: f64| {
        let wanted = (count as f64 * share).ceil() as u64;
        let bucket = histogram
            .cumulative
            .iter()
            .position(|up_to| *up_to >= wanted);
        let bound = bucket.and_then(|bucket| FRESHNESS_BUCKETS_MS.get(bucket));
        bound.or(FRESHNESS_BUCKETS_MS.last()).copied().unwrap_or(0)
    };
    Some(FreshnessBody {
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        count,
    })
}

fn check(app: &App, name: &str) -> Result<(), Problem> {
    if app.catalogue.view().files.contains_key(name) {
        Ok(())
    } else {
        Err(Problem::no_query(name))
    }
}

/// The plan
#[utoipa::path(
    get, path = "/api/v1/queries/{name}/plan", tag = "queries", operation_id = "readPlan",
    params(("name" = String, Path, description = "The query")),
    responses((status = 200, body = PlanBody, description = "What runs"), Any, Named)
)]
pub(super) async fn plan(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Json<PlanBody>, Problem> {
    check(&app, &name)?;
    let own = own_queries(&app.catalogue.view().program, &name);
    Ok(Json(PlanBody {
        plan: crate::tables::masked_text(&tidewheel_sql::explain(&own)),
        explained: tidewheel_sql::explain_json(&own),
        name,
    }))
}

/// Counters
#[utoipa::path(
    get, path = "/api/v1/queries/{name}/stats", tag = "queries", operation_id = "readStats",
    params(("name" = String, Path, description = "The query")),
    responses((status = 200, body = StatsBody, description = "The counters"), Any, Named)
)]
pub(super) async fn stats(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Json<StatsBody>, Problem> {
    check(&app, &name)?;
    let statuses = app.engine.queries();
    let own = statuses
        .iter()
        .filter(|status| file_of(&status.name) == name);
    let statements = own
        .map(|status| StatementStats {
            name: status.name.clone(),
            state: word(&status.state).to_owned(),
            keys: status.counters.keys,
            slices: status.counters.slices,
            state_bytes: status.counters.state_bytes,
            matched: status.counters.matched,
            late: status.counters.late,
            keyless: status.counters.keyless,
            failed_rows: status.counters.failed_rows,
            bounds_reached: status.counters.bounds_reached,
            changes: status.counters.changes,
            writes: status.counters.writes,
            sink_retries: status.counters.sink_retries,
            last_change: status.last_change_ms.map(time_text),
            freshness: freshness(status),
        })
        .collect();
    Ok(Json(StatsBody { name, statements }))
}

/// Changes, as they are written
///
/// Server-sent events: `listening`, then `change` with `op` (`upsert` or `delete`), `query`,
/// `table` and `row`. Further parameters choose rows: `?user_key=42`.
#[utoipa::path(
    get, path = "/api/v1/queries/{name}/changes", tag = "queries", operation_id = "watchQuery",
    params(("name" = String, Path, description = "The query")),
    responses(
        (status = 200, content_type = "text/event-stream", body = String, description = "The events"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "None of its statements runs"),
        Any, Named
    )
)]
pub(super) async fn changes(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    check(&app, &name)?;
    let query = query.unwrap_or_default();
    let filter: BTreeMap<String, String> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decoded(name), decoded(&value.replace('+', " "))))
        .collect();
    Ok(streams::changes(&app, &name, &filter)?.into_response())
}
