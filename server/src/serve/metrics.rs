//! Metrics in OpenMetrics' text, read anew at each scrape.

mod checkpoints;
mod collect;
mod flow;
mod out;
mod process;

use super::App;
use axum::http::Method;
use collect::{Snapshot, StandbySnapshot};
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Upper bounds of the buckets of request times, in seconds.
const REQUEST_SECONDS: [f64; 8] = [0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0, 10.0];

/// Times of the requests of one route.
#[derive(Debug, Clone, Default)]
struct Times {
    buckets: [u64; REQUEST_SECONDS.len() + 1],
    seconds: f64,
}

/// Counts of requests.
#[derive(Debug, Default)]
pub(crate) struct Http {
    /// By method, route and status.
    counts: Mutex<BTreeMap<(String, String, u16), u64>>,
    /// By route.
    times: Mutex<BTreeMap<String, Times>>,
}

impl Http {
    /// Counts an answered request. Routes are few: those of the API, and `none`.
    pub(crate) fn count(&self, method: &Method, route: &str, status: u16, took: Duration) {
        // A method may be any word; only those of HTTP become labels.
        let method = match method.as_str() {
            known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH") => known,
            _ => "other",
        };
        let key = (method.to_owned(), route.to_owned(), status);
        *self.counts.lock().entry(key).or_default() += 1;
        let seconds = took.as_secs_f64();
        let bucket = REQUEST_SECONDS.iter().position(|bound| seconds <= *bound);
        let mut times = self.times.lock();
        let times = times.entry(route.to_owned()).or_default();
        times.buckets[bucket.unwrap_or(REQUEST_SECONDS.len())] += 1;
        times.seconds += seconds;
    }
}

/// The kind of text that metrics are.
pub(crate) const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics now.
pub(crate) fn text(app: &Arc<App>) -> String {
    encoded(Snapshot(Arc::clone(app)))
}

/// The metrics of a process that stands by since a wall-clock time in milliseconds.
pub(crate) fn standby_text(began_ms: i64) -> String {
    encoded(StandbySnapshot { began_ms })
}

fn encoded(collector: impl Collector) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(collector));
    let mut out = String::new();
    if encode(&mut out, &registry).is_err() {
        tracing::error!("the metrics could not be written");
    }
    out
}
