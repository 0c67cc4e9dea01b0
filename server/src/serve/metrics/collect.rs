//! Reads everything that is counted, and writes it under Prometheus' names.

use super::super::App;
use super::super::engine::{FRESHNESS_BUCKETS_MS, QueryStatus, SourceStatus, source_word, word};
use super::super::observed::WRITE_SECONDS;
use super::super::wall_ms;
use super::{REQUEST_SECONDS, process};
use crate::catalogue::file_of;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use serde_json::Value;
use std::fmt::Error;
use std::sync::Arc;
use tidewheel_connectors::lookup::Lookups;

/// All states that a statement may have.
const STATES: [&str; 5] = ["starting", "catching_up", "running", "paused", "failed"];

/// Writes what is counted at the moment of a scrape.
pub(super) struct Snapshot(pub(super) Arc<App>);

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Snapshot")
    }
}

type Labels<'a> = Vec<(&'a str, String)>;

fn label(name: &str, value: impl Into<String>) -> Labels<'_> {
    vec![(name, value.into())]
}

/// Writes families into a scrape.
struct Out<'a, 'b>(&'b mut DescriptorEncoder<'a>);

impl Out<'_, '_> {
    fn counters<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'l>, u64)>,
    ) -> Result<(), Error> {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// One counter without labels.
    fn counter(&mut self, name: &str, help: &str, value: f64) -> Result<(), Error> {
        let metric = MetricType::Counter;
        let family = self.0.encode_descriptor(name, help, None, metric)?;
        ConstCounter::new(value).encode(family)
    }

    /// One gauge without labels.
    fn gauge(&mut self, name: &str, help: &str, value: f64) -> Result<(), Error> {
        let metric = MetricType::Gauge;
        let family = self.0.encode_descriptor(name, help, None, metric)?;
        ConstGauge::new(value).encode(family)
    }

    fn gauges<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'l>, f64)>,
    ) -> Result<(), Error> {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn histograms<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'l>, f64, Vec<(f64, u64)>)>,
    ) -> Result<(), Error> {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, sum, buckets) in values {
            let count = buckets.iter().map(|(_, count)| count).sum();
            family
                .encode_family(&labels)?
                .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

/// Buckets as the encoder wants them: not summed up, the last without a bound.
fn buckets(bounds: &[f64], counts: &[u64]) -> Vec<(f64, u64)> {
    let bounds = bounds.iter().copied().chain([f64::MAX]);
    bounds.zip(counts.iter().copied()).collect()
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
        let app = &self.0;
        let mut out = Out(&mut encoder);
        service(&mut out, app)?;
        sources(&mut out, &app.engine.sources())?;
        queries(&mut out, &app.engine.queries())?;
        sinks(&mut out, app)?;
        http(&mut out, app)?;
        features(&mut out, app)
    }
}

fn service(out: &mut Out<'_, '_>, app: &App) -> Result<(), Error> {
    let version = label("version", env!("CARGO_PKG_VERSION"));
    out.gauges(
        "tidewheel_build_info",
        "The version that runs",
        [(version, 1.0)],
    )?;
    out.gauge(
        "process_start_time_seconds",
        "When the process began",
        app.started,
    )?;
    if let Some((memory, cpu)) = process::usage() {
        out.gauge(
            "process_resident_memory_bytes",
            "Bytes in memory",
            memory as f64,
        )?;
        out.counter("process_cpu_seconds", "Seconds of CPU used", cpu)?;
    }
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

fn sources(out: &mut Out<'_, '_>, sources: &[SourceStatus]) -> Result<(), Error> {
    let now = seconds(wall_ms());
    let table = |source: &SourceStatus| label("table", &*source.table);
    type Count = fn(&tidewheel_runtime::Summary) -> u64;
    let counters: [(&str, &str, Count); 7] = [
        (
            "tidewheel_source_rows",
            "Records read, bad ones included",
            |c| c.rows_in,
        ),
        ("tidewheel_source_bytes", "Bytes read", |c| c.bytes_in),
        (
            "tidewheel_source_bad_rows",
            "Rows that could not be decoded or have no time",
            |c| c.bad,
        ),
        (
            "tidewheel_source_future_rows",
            "Rows too far ahead of the clock",
            |c| c.future,
        ),
        (
            "tidewheel_source_repeated_rows",
            "Repeats that were left out",
            |c| c.repeats,
        ),
        (
            "tidewheel_source_tombstones",
            "Records without a value",
            |c| c.tombstones,
        ),
        (
            "tidewheel_source_unknown_schemas",
            "Events and entities passed over since the table knows no column of their schema",
            |c| c.unknown_schemas,
        ),
    ];
    for (name, help, count) in counters {
        let values = sources
            .iter()
            .map(|source| (table(source), count(&source.counters)));
        out.counters(name, help, values)?;
    }
    out.gauges(
        "tidewheel_source_up",
        "1 while the source can be reached",
        sources.iter().map(|source| {
            let up = !matches!(source_word(&source.state).0, "away" | "failed");
            (table(source), f64::from(u8::from(up)))
        }),
    )?;
    out.gauges(
        "tidewheel_source_behind",
        "1 while the source is read back to its end",
        sources
            .iter()
            .map(|source| (table(source), f64::from(u8::from(source.behind)))),
    )?;
    out.gauges(
        "tidewheel_source_frontier_timestamp_seconds",
        "The highest event time",
        sources
            .iter()
            .filter_map(|source| Some((table(source), seconds(source.frontier_ms?)))),
    )?;
    out.gauges(
        "tidewheel_source_watermark_timestamp_seconds",
        "The watermark",
        sources
            .iter()
            .filter_map(|source| Some((table(source), seconds(source.watermark_ms?)))),
    )?;
    out.gauges(
        "tidewheel_source_watermark_lag_seconds",
        "How far the watermark is behind the clock",
        sources
            .iter()
            .filter_map(|source| Some((table(source), now - seconds(source.watermark_ms?)))),
    )?;
    out.gauges(
        "tidewheel_source_queued_chunks",
        "Chunks that wait to be decoded",
        sources
            .iter()
            .map(|source| (table(source), source.queued as f64)),
    )?;
    let partitions = || {
        sources.iter().flat_map(|source| {
            source.partitions.iter().map(|partition| {
                let number = partition.partition.to_string();
                let labels = vec![("table", source.table.clone()), ("partition", number)];
                (labels, partition)
            })
        })
    };
    out.gauges(
        "tidewheel_partition_watermark_lag_seconds",
        "How far the partition's watermark is behind the clock",
        partitions().filter_map(|(labels, p)| Some((labels, now - seconds(p.watermark? / 1_000)))),
    )?;
    out.gauges(
        "tidewheel_partition_next_offset",
        "The next offset to be read",
        partitions().filter_map(|(labels, p)| Some((labels, p.next_offset? as f64))),
    )?;
    out.gauges(
        "tidewheel_partition_at_end",
        "1 while the partition is read to its end",
        partitions().map(|(labels, p)| (labels, f64::from(u8::from(p.at_end)))),
    )?;
    out.gauges(
        "tidewheel_partition_idle",
        "1 while the partition does not hold the table's time back",
        partitions().map(|(labels, p)| (labels, f64::from(u8::from(p.idle)))),
    )
}

fn queries(out: &mut Out<'_, '_>, queries: &[QueryStatus]) -> Result<(), Error> {
    let labels = |query: &QueryStatus| {
        vec![
            ("query", file_of(&query.name).to_owned()),
            ("statement", query.name.clone()),
        ]
    };
    type Count = fn(&tidewheel_runtime::Summary) -> u64;
    let counters: [(&str, &str, Count); 7] = [
        (
            "tidewheel_query_late_rows",
            "Rows that came after all their windows had closed",
            |c| c.late,
        ),
        ("tidewheel_query_keyless_rows", "Rows without a key", |c| {
            c.keyless
        }),
        (
            "tidewheel_query_failed_rows",
            "Rows on which an expression failed",
            |c| c.failed_rows,
        ),
        (
            "tidewheel_query_bounds_reached",
            "Values left out because a bound was reached",
            |c| c.bounds_reached,
        ),
        (
            "tidewheel_query_changes",
            "Changes handed to the sink",
            |c| c.changes,
        ),
        (
            "tidewheel_query_writes",
            "Single writes that the sink acknowledged",
            |c| c.writes,
        ),
        (
            "tidewheel_query_sink_retries",
            "Times that a write was tried again",
            |c| c.sink_retries,
        ),
    ];
    for (name, help, count) in counters {
        let values = queries
            .iter()
            .map(|query| (labels(query), count(&query.counters)));
        out.counters(name, help, values)?;
    }
    let gauges: [(&str, &str, Count); 3] = [
        ("tidewheel_query_keys", "Keys held", |c| c.keys),
        ("tidewheel_query_slices", "Slices and sessions held", |c| {
            c.slices
        }),
        (
            "tidewheel_query_state_bytes",
            "Bytes of state, estimated",
            |c| c.state_bytes,
        ),
    ];
    for (name, help, count) in gauges {
        let values = queries
            .iter()
            .map(|query| (labels(query), count(&query.counters) as f64));
        out.gauges(name, help, values)?;
    }
    out.gauges(
        "tidewheel_query_state",
        "1 for the state that the statement has",
        queries.iter().flat_map(|query| {
            let now = word(&query.state);
            STATES.map(|state| {
                let mut labels = labels(query);
                labels.push(("state", state.to_owned()));
                (labels, f64::from(u8::from(state == now)))
            })
        }),
    )?;
    out.gauges(
        "tidewheel_query_last_change_timestamp_seconds",
        "When the sink acknowledged changes last",
        queries
            .iter()
            .filter_map(|query| Some((labels(query), seconds(query.last_change_ms?)))),
    )?;
    out.histograms(
        "tidewheel_query_freshness_seconds",
        "From reading an event to the sink's acknowledgement of the values it changed",
        queries
            .iter()
            .filter(|query| !query.freshness.cumulative.is_empty())
            .map(|query| {
                let histogram = &query.freshness;
                let bounds: Vec<f64> = FRESHNESS_BUCKETS_MS
                    .iter()
                    .map(|ms| *ms as f64 / 1e3)
                    .collect();
                let mut before = 0;
                let counts: Vec<u64> = histogram
                    .cumulative
                    .iter()
                    .map(|up_to| up_to.saturating_sub(std::mem::replace(&mut before, *up_to)))
                    .collect();
                (
                    labels(query),
                    histogram.sum_ms as f64 / 1e3,
                    buckets(&bounds, &counts),
                )
            }),
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
