//! OVER windows by key: the value of each row among the rows before it.

use crate::spec::AggregateSpec;

/// One function call with an OVER clause.
#[derive(Debug, Clone)]
pub struct OverCall {
    /// The function.
    pub function: OverFunction,
    /// The rows it looks at.
    pub frame: Frame,
}

/// A function of an OVER clause.
#[derive(Debug, Clone)]
pub enum OverFunction {
    /// LAG(x, offset): the value `offset` rows before; NULL where there is none.
    Lag {
        /// The input column.
        column: usize,
        /// How many rows back.
        offset: usize,
        /// Rows where the column is NULL are not counted.
        ignore_nulls: bool,
    },
    /// An aggregate over the frame (LAST_VALUE, FIRST_VALUE, COUNT, SUM, MAX …).
    Aggregate(AggregateSpec),
    /// ROW_NUMBER(): the row's number in its partition, from 1.
    RowNumber,
}

/// Where a frame begins; it always ends at the current row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// From the partition's first row. With `peers`, rows of the same time after it count too
    /// (RANGE); else only up to the row itself (ROWS).
    Unbounded {
        /// RANGE instead of ROWS.
        peers: bool,
    },
    /// The `n` rows before it, and itself.
    Rows {
        /// How many rows before.
        preceding: u64,
    },
    /// The rows at most `micros` before it, itself and its peers.
    Range {
        /// Microseconds before.
        preceding: i64,
    },
}
