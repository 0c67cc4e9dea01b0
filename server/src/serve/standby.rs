//! What a process answers that waits for another one's end: that it is one.

use super::problem::Problem;
use super::routes::health::{CheckpointHealth, HealthBody, ReadyBody};
use super::security::Access;
use super::{metrics, wall_ms};
use crate::checkpoints::Held;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long its last answers may take once the process writes.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// What its answers need.
struct Standby {
    access: Access,
    held: Arc<Mutex<Option<Held>>>,
    began_ms: i64,
}

/// Answers until it is told to end.
pub(super) struct Answering {
    end: oneshot::Sender<()>,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Answering {
    /// Begins to answer. `held` is who writes, as far as it is known.
    pub(super) fn start(
        listener: TcpListener,
        access: Access,
        held: &Arc<Mutex<Option<Held>>>,
    ) -> Self {
        let standby = Arc::new(Standby {
            access,
            held: Arc::clone(held),
            began_ms: wall_ms(),
        });
        let router = Router::new()
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .fallback(elsewhere)
            .layer(from_fn_with_state(Arc::clone(&standby), guard))
            .with_state(standby);
        let (end, ended) = oneshot::channel();
        let serving = tokio::spawn(async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(async move {
                    let _ = ended.await;
                })
                .await
        });
        Self { end, serving }
    }

    /// Leaves the address to the service.
    pub(super) async fn end(mut self) {
        let _ = self.end.send(());
        if tokio::time::timeout(LAST_ANSWERS, &mut self.serving)
            .await
            .is_err()
        {
            self.serving.abort();
        }
    }
}

async fn guard(State(standby): State<Arc<Standby>>, request: Request, next: Next) -> Response {
    match standby.access.check(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn healthz(State(standby): State<Arc<Standby>>) -> Json<HealthBody> {
    let held = standby.held.lock().clone();
    Json(HealthBody {
        status: "ok".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        broken: Vec::new(),
        failed: Vec::new(),
        away: Vec::new(),
        checkpoints: Some(CheckpointHealth {
            role: "standby".to_owned(),
            last: None,
            age_seconds: None,
            error: None,
            owner: held.map(|held| held.by),
        }),
        memory: None,
    })
}

async fn readyz() -> Response {
    let body = ReadyBody {
        ready: false,
        standby: true,
        catching_up: Vec::new(),
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}

async fn metrics(State(standby): State<Arc<Standby>>) -> Response {
    let text = metrics::standby_text(standby.began_ms);
    ([(header::CONTENT_TYPE, metrics::KIND)], text).into_response()
}

async fn elsewhere(State(standby): State<Arc<Standby>>) -> Problem {
    let by = standby.held.lock().clone();
    let who = by.map_or_else(
        || "it is not known yet whether another process does".to_owned(),
        |held| format!("{} does (epoch {})", held.by, held.epoch),
    );
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "standby",
        "This process stands by",
        format!("it does not run the queries of its pipeline: {who}"),
    )
    .with_header(header::RETRY_AFTER, "2")
}
