//! The service: the API over HTTP, the catalogue, and the engine behind both.

#![allow(
    clippy::result_large_err,
    reason = "a problem is made at most once a request"
)]

pub(crate) mod body;
pub(crate) mod engine;
mod idempotency;
mod metrics;
mod middleware;
pub(crate) mod observed;
pub(crate) mod preview;
mod problem;
mod routes;
mod security;
mod server;
mod standby;
mod streams;

pub(crate) use server::run;

use crate::catalogue::Catalogue;
use engine::Engine;
use idempotency::Answers;
use metrics::Http;
use observed::Taps;
use problem::Problem;
use security::Access;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tidewheel_connectors::lookup::Lookups;
use tidewheel_core::Registry;
use tokio::sync::{Semaphore, watch};

/// Bounds of the API.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Bytes of a body.
    pub request_bytes: usize,
    /// The longest a request may take.
    pub request_time: Duration,
    /// Requests at the same time.
    pub requests: usize,
    /// Streams at the same time.
    pub listeners: usize,
    /// Previews at the same time.
    pub previews: usize,
    /// The longest a preview runs.
    pub preview_time: Duration,
    /// The most rows a preview sends.
    pub preview_rows: usize,
    /// Bytes of state at which a preview is ended.
    pub preview_memory: usize,
    /// Keys that one request reads.
    pub keys: usize,
}

/// What every request may need.
pub(crate) struct App {
    /// The folder and the program.
    pub catalogue: Arc<Catalogue>,
    /// What runs it.
    pub engine: Arc<Engine>,
    /// What is known of sinks.
    pub taps: Arc<Taps>,
    /// Connectors and formats.
    pub registry: Arc<Registry>,
    /// Reads what sinks hold.
    pub lookups: Lookups,
    /// Who may do what.
    pub access: Access,
    /// Bounds.
    pub limits: Limits,
    /// Places for streams.
    pub listeners: Arc<Semaphore>,
    /// Places for previews.
    pub previews: Arc<Semaphore>,
    /// Places for requests.
    pub requests: Arc<Semaphore>,
    /// Places for changes of the catalogue, which may wait for one another.
    pub changes: Arc<Semaphore>,
    /// Answers to requests that may come again.
    pub answers: Answers,
    /// Counts of requests.
    pub http: Http,
    /// Features that are shown as metrics: table and key.
    pub shown_features: Vec<(String, String)>,
    /// Neighbours that the page links to: name and URL.
    pub links: Vec<(String, String)>,
    /// The description of the API.
    pub openapi: String,
    /// True once the service ends.
    pub stopping: watch::Receiver<bool>,
    /// When it began, or took over from another process, seconds since 1970.
    pub started: f64,
    /// Seconds from then to the first value that a sink acknowledged.
    pub recovered: OnceLock<f64>,
}

impl App {
    /// Seconds from the start to the first value that a sink acknowledged; `None` before it.
    pub(crate) fn recovery_seconds(&self) -> Option<f64> {
        if let Some(seconds) = self.recovered.get() {
            return Some(*seconds);
        }
        let queries = self.engine.queries();
        let first = queries.iter().filter_map(|query| query.first_change_ms);
        let seconds = (first.min()? as f64 / 1e3 - self.started).max(0.0);
        let seconds = (seconds * 1e3).round() / 1e3;
        Some(*self.recovered.get_or_init(|| seconds))
    }
}

/// Runs a change of the catalogue. Those that wait for a slow one must not take all threads from
/// requests that wait for nobody; nor do they once their client has given up.
pub(crate) async fn changing<T: Send + 'static>(
    app: &App,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let place = Arc::clone(&app.changes).try_acquire_owned().map_err(|_| {
        Problem::too_many("too many changes wait for one that is slow; send it again later")
    })?;
    blocking(move || {
        let _place = place;
        work()
    })
    .await
}

/// Runs what may block or take long apart from the threads that answer.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Problem::internal(format!("a request ended unexpectedly: {error}")))
}

/// Wall-clock time in milliseconds since 1970.
pub(crate) fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |passed| {
        i64::try_from(passed.as_millis()).unwrap_or(i64::MAX)
    })
}

/// A time as RFC 3339.
pub(crate) fn time_text(ms: i64) -> String {
    let mut text = String::new();
    tidewheel_core::text::write_time(&mut text, ms.saturating_mul(1_000));
    text
}
