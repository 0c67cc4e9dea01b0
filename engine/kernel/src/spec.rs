//! What a window operator is to compute.

use crate::aggregate::CustomAggregate;
use arrow::datatypes::DataType;
use std::sync::Arc;
use tidewheel_core::time::{EventTime, MICROS_PER_MILLI};

/// The kinds of windows; all lengths in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WindowKind {
    /// Windows side by side.
    Tumble {
        /// Length.
        size: i64,
    },
    /// Windows of `size` that start every `slide`; `size` need not be a multiple of it.
    Hop {
        /// Distance between two starts.
        slide: i64,
        /// Length.
        size: i64,
    },
    /// Windows that share a start every `size` and end at each `step` after it.
    Cumulate {
        /// Distance between two ends.
        step: i64,
        /// Length of the longest.
        size: i64,
    },
    /// Rows of a key at most `gap` apart; ends `gap` after its last row.
    Session {
        /// Longest distance between neighbouring rows of one session.
        gap: i64,
    },
}

/// A window table function's arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WindowSpec {
    /// Kind and lengths.
    pub kind: WindowKind,
    /// Shift of the windows' alignment from the epoch; 0 for sessions.
    pub offset: i64,
}

impl WindowSpec {
    /// The start and end of the current window at frontier `now`: the one whose end is the first
    /// after `now` (for CUMULATE the step that `now` is in). `None` for sessions, and for a `now`
    /// so far out that its window cannot be represented.
    #[must_use]
    pub fn current(&self, now: EventTime) -> Option<(EventTime, EventTime)> {
        let first_after = |every: i64, shift: i64| -> Option<EventTime> {
            let k = now.checked_sub(shift)?.div_euclid(every).checked_add(1)?;
            k.checked_mul(every)?.checked_add(shift)
        };
        match self.kind {
            WindowKind::Tumble { size } => {
                let end = first_after(size, self.offset)?;
                Some((end.checked_sub(size)?, end))
            }
            WindowKind::Hop { slide, size } => {
                let end = first_after(slide, self.offset.checked_add(size)?)?;
                Some((end.checked_sub(size)?, end))
            }
            WindowKind::Cumulate { step, size } => {
                let start = first_after(size, self.offset)?.checked_sub(size)?;
                let into = now.checked_sub(start)?.div_euclid(step).checked_add(1)?;
                Some((start, start.checked_add(into.checked_mul(step)?)?))
            }
            WindowKind::Session { .. } => None,
        }
    }
}

/// Flink's distance between a window's end and its `window_time`, and between its end and the
/// watermark that closes it.
pub const WINDOW_TIME_GAP: i64 = MICROS_PER_MILLI;

/// The aggregate functions that have kernels of their own.
#[derive(Debug, Clone)]
pub enum AggregateKind {
    /// COUNT(*) (no argument) or COUNT(x): rows, or rows where x is not NULL. Int64.
    Count,
    /// SUM: integers as Int64 (UInt64), doubles exactly, decimals as Decimal128.
    Sum,
    /// AVG: Float64 (Decimal128 for decimals), from exact sums.
    Avg,
    /// Smallest value, any ordered type.
    Min,
    /// Largest value, any ordered type.
    Max,
    /// Variance and standard deviation; `sample` divides by n - 1.
    Variance {
        /// Sample instead of population.
        sample: bool,
        /// Square root of it.
        stddev: bool,
    },
    /// COUNT(DISTINCT x). Int64.
    CountDistinct,
    /// SUM(DISTINCT x), as `Sum`.
    SumDistinct,
    /// AVG(DISTINCT x), as `Avg`.
    AvgDistinct,
    /// Most frequent value that is not NULL; ties: the one seen latest.
    Mode,
    /// Value to count, as a MAP; NULLs do not count; `{}` over no rows.
    Histogram,
    /// Distinct values that are not NULL, by first sight, at most `cap`; `[]` over no rows.
    ListDistinct {
        /// Longest list.
        cap: usize,
    },
    /// Value of the first row by event time. With `ignore_nulls`, of the first that is not NULL.
    First {
        /// Skip NULLs.
        ignore_nulls: bool,
    },
    /// Value of the last row by event time.
    Last {
        /// Skip NULLs.
        ignore_nulls: bool,
    },
    /// Value of the first argument where the second is smallest; ties: the earliest row.
    MinBy,
    /// Value of the first argument where the second is largest; ties: the latest row.
    MaxBy,
    /// Changes between neighbouring values, by event time, that are not NULL. Int64.
    CountChanges,
    /// BOOL_AND.
    BoolAnd,
    /// BOOL_OR.
    BoolOr,
    /// ARRAY_AGG by event time, at most `cap`.
    ArrayAgg {
        /// Longest list.
        cap: usize,
    },
    /// STRING_AGG by event time.
    StringAgg {
        /// Between two values.
        separator: String,
    },
    /// Any other: an accumulator of DataFusion's or of a user's, through its factory.
    Custom(Arc<dyn CustomAggregate>),
}

/// One aggregate call of a query.
#[derive(Debug, Clone)]
pub struct AggregateSpec {
    /// The function.
    pub kind: AggregateKind,
    /// Its arguments: indices into the input's columns.
    pub args: Vec<usize>,
    /// The arguments' types.
    pub arg_types: Vec<DataType>,
    /// Index of a Boolean input column; rows where it is not true are left out (FILTER).
    pub filter: Option<usize>,
    /// Type of the result.
    pub result: DataType,
}

/// Which results of its windows a set emits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Emit {
    /// One row a key: the current window's value at the frontier, on change.
    Current,
    /// One row a key: the last window that the watermark closed.
    LastClosed,
    /// One row a key and window, when the watermark passes its end, and again on each change by
    /// a late row until `allowed_lateness` (microseconds) after its end.
    Closed {
        /// Microseconds after a window's end in which late rows still change it.
        allowed_lateness: i64,
    },
    /// One row a key and window, once, when the watermark passes its end + `allowed_lateness`.
    Final {
        /// Microseconds after a window's end in which late rows still count.
        allowed_lateness: i64,
    },
    /// One row a key and window, on every change, open windows included (EMIT ON CHANGE into a
    /// key with a window column; inner windows of a cascade). Its rows end as those of `Closed`.
    EveryChange {
        /// Microseconds after a window's end in which late rows still change it.
        allowed_lateness: i64,
    },
}

/// What one query wants of the rows of one key group: a filter, windows, aggregates.
#[derive(Debug, Clone)]
pub struct SetSpec {
    /// Index of a Boolean input column: the query's WHERE. Rows where it is not true make no
    /// key and no window in this set.
    pub filter: Option<usize>,
    /// The windows.
    pub window: WindowSpec,
    /// What to emit.
    pub emit: Emit,
    /// The aggregates, in the order of the output columns.
    pub aggregates: Vec<AggregateSpec>,
    /// The input retracts rows: every aggregate must be able to take a row back.
    pub retracting: bool,
}
