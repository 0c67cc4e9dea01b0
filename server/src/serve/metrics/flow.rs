//! Metrics of the flow: source tables and statements.

use super::super::engine::{FRESHNESS_BUCKETS_MS, QueryStatus, SourceStatus, source_word, word};
use super::super::wall_ms;
use super::out::{Out, buckets, label, seconds};
use crate::catalogue::file_of;
use std::fmt::Error;
use tidewheel_core::LagAmount;

/// All states that a statement may have.
const STATES: [&str; 5] = ["starting", "catching_up", "running", "paused", "failed"];

/// Writes what the sources have counted.
pub(super) fn sources(out: &mut Out<'_, '_>, sources: &[SourceStatus]) -> Result<(), Error> {
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
        "tidewheel_source_key_groups",
        "Different keys that its queries group by; an event costs a probe for each",
        sources
            .iter()
            .map(|source| (table(source), source.key_groups as f64)),
    )?;
    out.gauges(
        "tidewheel_partition_lag_records",
        "Records of the partition that are not read yet, where the source counts records",
        partitions().filter_map(|(labels, p)| match p.lag? {
            LagAmount::Records(records) => Some((labels, records as f64)),
            LagAmount::Bytes(_) => None,
        }),
    )?;
    out.gauges(
        "tidewheel_partition_lag_bytes",
        "Bytes of the partition that are not read yet, where the source counts bytes",
        partitions().filter_map(|(labels, p)| match p.lag? {
            LagAmount::Bytes(bytes) => Some((labels, bytes as f64)),
            LagAmount::Records(_) => None,
        }),
    )?;
    out.gauges(
        "tidewheel_partition_lag_seconds",
        "Age of the newest record that was read; 0 while the partition is read to its end",
        partitions().filter_map(|(labels, p)| Some((labels, seconds(p.lag_ms?)))),
    )?;
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

/// Writes what the statements have counted.
pub(super) fn queries(out: &mut Out<'_, '_>, queries: &[QueryStatus]) -> Result<(), Error> {
    let labels = |query: &QueryStatus| {
        vec![
            ("query", file_of(&query.name).to_owned()),
            ("statement", query.name.clone()),
        ]
    };
    type Count = fn(&tidewheel_runtime::Summary) -> u64;
    let counters: [(&str, &str, Count); 8] = [
        (
            "tidewheel_query_matched_rows",
            "Rows that pass the filter, those without a key included",
            |c| c.matched,
        ),
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
