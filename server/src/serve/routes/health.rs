//! Health, readiness, metrics.

use super::super::problem::Problem;
use super::super::{
    App, blocking,
    engine::{QueryState, source_word},
};
use super::checkpoints::checkpoints;
use super::replies::Any;
use crate::tables::masked_text;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// How the service is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct HealthBody {
    /// `ok`, or `degraded` where something below is not empty.
    #[schema(example = "ok")]
    pub status: String,
    /// The program's version.
    pub version: String,
    /// Files whose text does not run.
    pub broken: Vec<String>,
    /// Statements that have stopped for good.
    pub failed: Vec<String>,
    /// What cannot be reached, and why.
    pub away: Vec<AwayBody>,
    /// How checkpoints go; `null` where none are taken.
    pub checkpoints: Option<CheckpointHealth>,
    /// How memory is; `null` where it has no limit.
    pub memory: Option<MemoryHealth>,
}

/// How memory is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct MemoryHealth {
    /// Bytes that may be used.
    pub limit_bytes: u64,
    /// Bytes that are used.
    pub used_bytes: u64,
    /// True while reading pauses, since there is no room.
    pub full: bool,
}

/// How checkpoints go, in short.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct CheckpointHealth {
    /// `owner`: this process writes. `standby`: another one does, and this one waits for its end.
    #[schema(example = "owner")]
    pub role: String,
    /// The newest good one.
    #[schema(example = "3-17")]
    pub last: Option<String>,
    /// How old it is; since the start where there is none.
    pub age_seconds: Option<f64>,
    /// Why the last try failed, while no later one has succeeded.
    pub error: Option<String>,
    /// Of a standby: who writes.
    pub owner: Option<String>,
}

/// Something that cannot be reached.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct AwayBody {
    /// The table or place.
    pub place: String,
    /// Why.
    pub reason: String,
}

/// Whether queries answer with whole values.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ReadyBody {
    /// True when the folder has been read and all queries follow the live flow.
    pub ready: bool,
    /// True while another process runs this pipeline and this one waits for its end.
    pub standby: bool,
    /// Statements that still read history.
    pub catching_up: Vec<String>,
}

/// Is the process alive?
///
/// 200 as long as it answers; the body says what is wrong.
#[utoipa::path(
    get, path = "/healthz", tag = "service", operation_id = "health", security(()),
    responses((status = 200, body = HealthBody, description = "It answers"), Any)
)]
pub(super) async fn healthz(State(app): State<Arc<App>>) -> Json<HealthBody> {
    let view = app.catalogue.view();
    let broken = view.files.values().filter(|file| !file.errors.is_empty());
    let broken: Vec<String> = broken.map(|file| file.name.clone()).collect();
    let statuses = app.engine.queries();
    let failed = statuses
        .iter()
        .filter(|s| matches!(s.state, QueryState::Failed { .. }));
    let failed: Vec<String> = failed.map(|status| status.name.clone()).collect();
    let away = |(place, reason)| AwayBody { place, reason };
    let mut away: Vec<AwayBody> = app.taps.away().into_iter().map(away).collect();
    for source in app.engine.sources() {
        if let (_, Some(reason)) = source_word(&source.state) {
            away.push(AwayBody {
                place: source.table.clone(),
                reason: masked_text(reason),
            });
        }
    }
    if app.catalogue.is_gone() {
        away.push(AwayBody {
            place: app.catalogue.folder().display().to_string(),
            reason: "the folder of the queries is gone; what runs goes on".to_owned(),
        });
    }
    let checkpoints = checkpoints(&app).map(|now| CheckpointHealth {
        role: "owner".to_owned(),
        last: now.last,
        age_seconds: Some(now.age_seconds),
        error: now.error,
        owner: None,
    });
    let kept = checkpoints.as_ref().is_none_or(|now| now.error.is_none());
    let memory = app.engine.memory().map(|now| MemoryHealth {
        limit_bytes: now.limit_bytes,
        used_bytes: now.used_bytes,
        full: now.full,
    });
    let room = memory.as_ref().is_none_or(|now| !now.full);
    let fine = broken.is_empty() && failed.is_empty() && away.is_empty() && kept && room;
    Json(HealthBody {
        status: if fine { "ok" } else { "degraded" }.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        broken,
        failed,
        away,
        checkpoints,
        memory,
    })
}

/// Are the values whole?
#[utoipa::path(
    get, path = "/readyz", tag = "service", operation_id = "ready", security(()),
    responses(
        (status = 200, body = ReadyBody, description = "They are"),
        (status = 503, body = ReadyBody, description = "Some query still starts or reads history"),
        Any
    )
)]
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Response {
    let behind =
        |state: &QueryState| matches!(state, QueryState::Starting | QueryState::CatchingUp { .. });
    let statuses = app.engine.queries();
    let catching_up = statuses.iter().filter(|status| behind(&status.state));
    let catching_up: Vec<String> = catching_up.map(|status| status.name.clone()).collect();
    let ready = catching_up.is_empty() && app.catalogue.view().revision > 0;
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = ReadyBody {
        ready,
        standby: false,
        catching_up,
    };
    (status, Json(body)).into_response()
}

/// Metrics for Prometheus
#[utoipa::path(
    get, path = "/metrics", tag = "service", operation_id = "metrics",
    responses((status = 200, body = String, content_type = "application/openmetrics-text", description = "OpenMetrics text"), Any)
)]
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let text = blocking(move || super::super::metrics::text(&app)).await?;
    let kind = super::super::metrics::KIND;
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
