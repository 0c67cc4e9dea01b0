//! Reads everything that is counted, and writes it under Prometheus' names.

use super::super::App;
use super::super::observed::WRITE_SECONDS;
use super::super::wall_ms;
use super::flow::{queries, sources};
use super::out::{Out, buckets, label, seconds};
use super::{REQUEST_SECONDS, checkpoints, process as kernel};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use serde_json::Value;
use std::fmt::Error;
use std::sync::Arc;
use tidewheel_connectors::lookup::Lookups;
use tidewheel_runtime::memory::MemoryStatus;

/// Writes what is counted at the moment of a scrape.
pub(super) struct Snapshot(pub(super) Arc<App>);

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Snapshot")
    }
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
        let app = &self.0;
        let mut out = Out(&mut encoder);
        service(&mut out, app)?;
        sources(&mut out, &app.engine.sources())?;
        queries(&mut out, &app.engine.queries())?;
        sinks(&mut out, app)?;
        checkpoints::write(&mut out, app)?;
        memory(&mut out, app)?;
        http(&mut out, app)?;
        features(&mut out, app)
    }
}

/// What a process writes that stands by.
#[derive(Debug)]
pub(super) struct StandbySnapshot {
    /// Since when, wall clock, milliseconds.
    pub began_ms: i64,
}

impl Collector for StandbySnapshot {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
        let mut out = Out(&mut encoder);
        process(&mut out, seconds(self.began_ms))?;
        out.gauge(checkpoints::OWNER.0, checkpoints::OWNER.1, 0.0)
    }
}

fn process(out: &mut Out<'_, '_>, started: f64) -> Result<(), Error> {
    let version = label("version", env!("CARGO_PKG_VERSION"));
    out.gauges(
        "tidewheel_build_info",
        "The version that runs",
        [(version, 1.0)],
    )?;
    out.gauge(
        "process_start_time_seconds",
        "When the process began, or took over",
        started,
    )?;
    if let Some((memory, cpu)) = kernel::usage() {
        out.gauge(
            "process_resident_memory_bytes",
            "Bytes in memory",
            memory as f64,
        )?;
        out.counter("process_cpu_seconds", "Seconds of CPU used", cpu)?;
    }
    Ok(())
}

/// A gauge's name, what it says, and its value.
type Gauge<T> = (&'static str, &'static str, fn(&T) -> f64);

fn memory(out: &mut Out<'_, '_>, app: &App) -> Result<(), Error> {
    let now = app.engine.memory();
    let gauges: [Gauge<MemoryStatus>; 3] = [
        (
            "tidewheel_memory_limit_bytes",
            "Bytes that may be used",
            |now| now.limit_bytes as f64,
        ),
        (
            "tidewheel_memory_kept_bytes",
            "Bytes that are kept free for tables that grow and checkpoints that are made",
            |now| now.kept_bytes as f64,
        ),
        (
            "tidewheel_memory_full",
            "1 while reading pauses since memory is short",
            |now| f64::from(u8::from(now.full)),
        ),
    ];
    for (name, help, value) in gauges {
        out.gauge_if(name, help, now.as_ref().map(value))?;
    }
    out.counter(
        "tidewheel_memory_limit_reached",
        "Times that reading paused since memory was short",
        now.map_or(0.0, |now| now.reached as f64),
    )?;
    out.counter(
        "tidewheel_memory_paused_seconds",
        "How long reading has paused since memory was short",
        now.map_or(0.0, |now| now.paused_ms as f64 / 1e3),
    )
}

fn service(out: &mut Out<'_, '_>, app: &App) -> Result<(), Error> {
    process(out, app.started)?;
    let view = app.catalogue.view();
    let broken = view.files.values().filter(|file| !file.errors.is_empty());
    let files = view.files.values();
    out.gauge(
        "tidewheel_catalogue_files",
        "Files of the folder",
        view.files.len() as f64,
    )?;
    out.gauge(
        "tidewheel_catalogue_broken_files",
        "Files whose text does not run",
        broken.count() as f64,
    )?;
    out.gauges(
        "tidewheel_catalogue_file_broken",
        "1 where the text of the file does not run",
        files.map(|file| {
            (
                label("file", &*file.name),
                f64::from(u8::from(!file.errors.is_empty())),
            )
        }),
    )?;
    out.counter(
        "tidewheel_catalogue_changes",
        "Times that the catalogue changed",
        view.revision as f64,
    )
}

fn sinks(out: &mut Out<'_, '_>, app: &App) -> Result<(), Error> {
    let times = app.taps.times();
    let labels = |(connector, table): &(String, String)| {
        vec![("connector", connector.clone()), ("table", table.clone())]
    };
    out.histograms(
        "tidewheel_sink_write_seconds",
        "How long a batch of writes took until it was acknowledged",
        times.iter().map(|(name, now)| {
            (
                labels(name),
                now.seconds,
                buckets(&WRITE_SECONDS, &now.counts),
            )
        }),
    )?;
    out.counters(
        "tidewheel_sink_write_failures",
        "Batches of writes that were not acknowledged",
        times.iter().map(|(name, now)| (labels(name), now.failures)),
    )?;
    out.gauge(
        "tidewheel_sinks_away",
        "Places that cannot be written",
        app.taps.away().len() as f64,
    )
}

fn http(out: &mut Out<'_, '_>, app: &App) -> Result<(), Error> {
    let counts = app.http.counts.lock().clone();
    out.counters(
        "tidewheel_http_requests",
        "Requests answered",
        counts.into_iter().map(|((method, route, status), count)| {
            (
                vec![
                    ("method", method),
                    ("route", route),
                    ("status", status.to_string()),
                ],
                count,
            )
        }),
    )?;
    let times = app.http.times.lock().clone();
    out.histograms(
        "tidewheel_http_request_seconds",
        "How long requests took until their answer began",
        times.into_iter().map(|(route, times)| {
            (
                label("route", route),
                times.seconds,
                buckets(&REQUEST_SECONDS, &times.buckets),
            )
        }),
    )?;
    let listening = app.limits.listeners - app.listeners.available_permits();
    out.gauge(
        "tidewheel_http_listeners",
        "Streams that are open",
        listening as f64,
    )?;
    out.counter(
        "tidewheel_http_missed_changes",
        "Changes that slow listeners missed",
        app.engine
            .queries()
            .iter()
            .map(|query| query.missed)
            .sum::<u64>() as f64,
    )
}

/// Features that are shown as metrics, such as the shop's own numbers.
fn features(out: &mut Out<'_, '_>, app: &App) -> Result<(), Error> {
    let view = app.catalogue.view();
    let mut values = Vec::new();
    for (name, key) in &app.shown_features {
        let sinks = view.program.queries.iter().map(|query| &query.sink);
        let Some(table) = sinks.into_iter().find(|sink| sink.name == *name) else {
            continue;
        };
        let Ok(columns) = Lookups::key_columns(table) else {
            continue;
        };
        let parts: Vec<String> = match columns.len() {
            1 => vec![key.clone()],
            _ => key.split(',').map(str::to_owned).collect(),
        };
        let Ok(held) = app.lookups.get(table, &[parts], wall_ms()) else {
            continue;
        };
        for (column, value) in held.into_iter().flat_map(|held| held.values) {
            if let Some(number) = Value::as_f64(&value) {
                let labels = vec![
                    ("table", name.clone()),
                    ("key", key.clone()),
                    ("column", column),
                ];
                values.push((labels, number));
            }
        }
    }
    out.gauges(
        "tidewheel_feature_value",
        "What a feature holds that settings show",
        values,
    )
}
