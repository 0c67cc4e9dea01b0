//! Counters of a run.

use serde::Serialize;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// Counters that tasks add to. All counts are since the start.
#[derive(Debug, Default)]
pub struct Stats {
    /// Records read, bad ones included.
    pub rows_in: AtomicU64,
    /// Bytes read.
    pub bytes_in: AtomicU64,
    /// Bad rows, future ones not included.
    pub bad: AtomicU64,
    /// Tombstones: records without a value.
    pub tombstones: AtomicU64,
    /// Values passed over since their schema is none that the table knows.
    pub unknown_schemas: AtomicU64,
    /// Rows too far ahead of the wall clock.
    pub future: AtomicU64,
    /// Repeats that dedup left out.
    pub repeats: AtomicU64,
    /// Rows that pass a query's filter, by query; those without a key included.
    pub matched: AtomicU64,
    /// Rows without a key, by query.
    pub keyless: AtomicU64,
    /// Rows late for every window of a query, by query.
    pub late: AtomicU64,
    /// Rows on which an expression of a query failed, by query.
    pub failed_rows: AtomicU64,
    /// Values that are NULL since an expression above an aggregate failed.
    pub failed_results: AtomicU64,
    /// Keys held now.
    pub keys: AtomicU64,
    /// Slices and sessions held now.
    pub slices: AtomicU64,
    /// Bytes of state, estimated.
    pub state_bytes: AtomicU64,
    /// Values left out because a bound was reached.
    pub bounds_reached: AtomicU64,
    /// Rows handed to sinks.
    pub changes: AtomicU64,
    /// Single writes that sinks acknowledged.
    pub writes: AtomicU64,
    /// Retries of sinks.
    pub sink_retries: AtomicU64,
    /// Bytes read and bytes in all, of bounded sources where known.
    pub size: (AtomicU64, AtomicU64),
    /// The highest frontier of all sources, in microseconds; `i64::MIN` before the first row.
    pub frontier: AtomicI64Min,
}

/// An atomic that starts at `i64::MIN`.
#[derive(Debug)]
pub struct AtomicI64Min(pub AtomicI64);

impl Default for AtomicI64Min {
    fn default() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }
}

/// The counters at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Records read, bad ones included.
    pub rows_in: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bad rows, future ones not included.
    pub bad: u64,
    /// Tombstones.
    pub tombstones: u64,
    /// Values passed over since their schema is none that the table knows.
    pub unknown_schemas: u64,
    /// Rows too far ahead of the wall clock.
    pub future: u64,
    /// Repeats left out.
    pub repeats: u64,
    /// Rows that pass a query's filter, summed over queries.
    pub matched: u64,
    /// Rows without a key, summed over queries.
    pub keyless: u64,
    /// Rows late for every window, summed over queries.
    pub late: u64,
    /// Rows on which an expression failed, summed over queries.
    pub failed_rows: u64,
    /// Values that are NULL since an expression above an aggregate failed.
    pub failed_results: u64,
    /// Keys held at the end.
    pub keys: u64,
    /// Slices and sessions held at the end.
    pub slices: u64,
    /// Bytes of state, estimated.
    pub state_bytes: u64,
    /// Values left out because a bound was reached.
    pub bounds_reached: u64,
    /// Rows handed to sinks.
    pub changes: u64,
    /// Single writes acknowledged.
    pub writes: u64,
    /// Retries of sinks.
    pub sink_retries: u64,
    /// Bytes read so far, and bytes in all, of bounded sources where known.
    #[serde(skip)]
    pub size: (u64, u64),
}

impl Summary {
    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        self.rows_in += other.rows_in;
        self.bytes_in += other.bytes_in;
        self.bad += other.bad;
        self.tombstones += other.tombstones;
        self.unknown_schemas += other.unknown_schemas;
        self.future += other.future;
        self.repeats += other.repeats;
        self.matched += other.matched;
        self.keyless += other.keyless;
        self.late += other.late;
        self.failed_rows += other.failed_rows;
        self.failed_results += other.failed_results;
        self.keys += other.keys;
        self.slices += other.slices;
        self.state_bytes += other.state_bytes;
        self.bounds_reached += other.bounds_reached;
        self.changes += other.changes;
        self.writes += other.writes;
        self.sink_retries += other.sink_retries;
        self.size.0 += other.size.0;
        self.size.1 += other.size.1;
    }
}

impl Stats {
    /// Reads all counters.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            rows_in: self.rows_in.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            bad: self.bad.load(Relaxed),
            tombstones: self.tombstones.load(Relaxed),
            unknown_schemas: self.unknown_schemas.load(Relaxed),
            future: self.future.load(Relaxed),
            repeats: self.repeats.load(Relaxed),
            matched: self.matched.load(Relaxed),
            keyless: self.keyless.load(Relaxed),
            late: self.late.load(Relaxed),
            failed_rows: self.failed_rows.load(Relaxed),
            failed_results: self.failed_results.load(Relaxed),
            keys: self.keys.load(Relaxed),
            slices: self.slices.load(Relaxed),
            state_bytes: self.state_bytes.load(Relaxed),
            bounds_reached: self.bounds_reached.load(Relaxed),
            changes: self.changes.load(Relaxed),
            writes: self.writes.load(Relaxed),
            sink_retries: self.sink_retries.load(Relaxed),
            size: (self.size.0.load(Relaxed), self.size.1.load(Relaxed)),
        }
    }
}

/// Adds to a counter.
pub fn add(counter: &AtomicU64, count: usize) {
    if count > 0 {
        counter.fetch_add(count as u64, Relaxed);
    }
}
