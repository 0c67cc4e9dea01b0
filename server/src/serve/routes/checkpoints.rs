//! How checkpoints go.

use super::super::problem::Problem;
use super::super::{App, time_text, wall_ms};
use super::replies::Any;
use crate::tables::masked_text;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::sync::Arc;
use tidewheel_runtime::checkpoint::CheckpointStatus;
use utoipa::ToSchema;

/// How checkpoints go.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct CheckpointsBody {
    /// `null` where none are taken.
    pub checkpoints: Option<CheckpointBody>,
}

/// How checkpoints go, where they are taken.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct CheckpointBody {
    /// Where they are kept.
    #[schema(example = "s3://bucket/tidewheel")]
    pub place: String,
    /// The pipeline's name.
    #[schema(example = "tidewheel")]
    pub pipeline: String,
    /// The epoch that this process has claimed: it writes as long as no other has a higher one.
    pub epoch: u64,
    /// The newest good one: written by this process, or the one that it went on from.
    #[schema(example = "3-17")]
    pub last: Option<String>,
    /// The moment that it holds the state of.
    pub last_at: Option<String>,
    /// How long ago that was; since the start where there is none.
    pub age_seconds: f64,
    /// How long the state of the last one took to gather, while rows flowed on.
    pub gather_seconds: f64,
    /// How long the store took to take it.
    pub write_seconds: f64,
    /// Bytes that the last one wrote.
    pub written_bytes: u64,
    /// Bytes of state that it stands for.
    pub state_bytes: u64,
    /// Checkpoints written since the start.
    pub written: u64,
    /// Checkpoints that failed since the start.
    pub failed: u64,
    /// Why the last try failed, while no later one has succeeded.
    pub error: Option<String>,
    /// The checkpoint that this process went on from.
    pub restored: Option<String>,
    /// How long reading it and building the state took.
    pub restore_seconds: Option<f64>,
    /// From the moment that this process could write to the first value that a sink acknowledged.
    pub recovery_seconds: Option<f64>,
}

/// Milliseconds as seconds.
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1e3
}

/// How checkpoints go; `None` where none are taken.
pub(crate) fn checkpoints(app: &App) -> Option<CheckpointBody> {
    let status = app.engine.checkpoints()?;
    let recovery_seconds = status
        .restored
        .is_some()
        .then(|| app.recovery_seconds())
        .flatten();
    Some(CheckpointBody {
        age_seconds: age_seconds(&status, app.started),
        recovery_seconds,
        place: masked_text(&status.place),
        pipeline: status.pipeline,
        epoch: status.epoch,
        last: status.last.or_else(|| status.restored.clone()),
        last_at: status.last_at_ms.map(time_text),
        gather_seconds: seconds(status.gather_ms),
        write_seconds: seconds(status.write_ms),
        written_bytes: status.written_bytes,
        state_bytes: status.state_bytes,
        written: status.written,
        failed: status.failed,
        error: status.error.as_deref().map(masked_text),
        restore_seconds: status
            .restored
            .is_some()
            .then(|| seconds(status.restore_ms)),
        restored: status.restored,
    })
}

/// How old the newest good one is: what a restart now would have to read again. Where there is
/// none, that is all since the start.
fn age_seconds(status: &CheckpointStatus, started: f64) -> f64 {
    let at = status.last_at_ms.map_or(started, |at| at as f64 / 1e3);
    let age = (wall_ms() as f64 / 1e3 - at).max(0.0);
    (age * 1e3).round() / 1e3
}

/// Checkpoints
///
/// How old the newest one is, what the last one cost, and what this process went on from.
#[utoipa::path(
    get, path = "/api/v1/checkpoints", tag = "service", operation_id = "readCheckpoints",
    responses((status = 200, body = CheckpointsBody, description = "How they go"), Any)
)]
pub(super) async fn read(State(app): State<Arc<App>>) -> Result<Json<CheckpointsBody>, Problem> {
    Ok(Json(CheckpointsBody {
        checkpoints: checkpoints(&app),
    }))
}
