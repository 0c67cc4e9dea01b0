//! What goes out of a keyed operator.

use arrow::array::ArrayRef;
use tidewheel_core::EventTime;

/// What became of an output row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowState {
    /// The aggregate columns hold its value.
    Live,
    /// Its window holds no rows any more; the aggregate columns hold the values over no rows.
    Empty,
}

/// Rows of an operator's output, at most one a key (and window).
#[derive(Debug, Clone)]
pub struct Changes {
    /// For each row, the operator's number of the key (dense, used again after it is freed).
    pub slots: Vec<u32>,
    /// The key columns.
    pub keys: Vec<ArrayRef>,
    /// For each row its window's start; for current values of no use once the frontier moves.
    pub window_start: Vec<EventTime>,
    /// For each row its window's end.
    pub window_end: Vec<EventTime>,
    /// The aggregates' columns.
    pub aggregates: Vec<ArrayRef>,
    /// What became of each row.
    pub states: Vec<RowState>,
    /// For each row, the event time at which its window runs empty if no further row comes (a
    /// session's end; for a per-window row its end; `END_OF_TIME` if never).
    pub empty_at: Vec<EventTime>,
    /// True where an event caused the change, false where only time did.
    pub urgent: Vec<bool>,
}

/// Counters of one operator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OperatorStats {
    /// Keys held now.
    pub keys: u64,
    /// Slices or sessions held now.
    pub slices: u64,
    /// Rows that were late for every one of their windows.
    pub late_rows: u64,
    /// Rows taken back that were not there.
    pub unknown_retractions: u64,
    /// Values left out because a bound was reached.
    pub bound_reached: u64,
    /// Allocated bytes of state, estimated.
    pub state_bytes: u64,
}
