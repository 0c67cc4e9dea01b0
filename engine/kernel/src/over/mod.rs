//! OVER windows by key: the value of each row among the rows before it.
//!
//! Rows of a key come in any order. Each is emitted as it comes, with the values it has among the
//! rows that are there; a row that comes later but belongs earlier changes the values of those
//! after it, which are then taken back and emitted anew. A row that the watermark has passed is
//! final, since no row before it can come any more: its columns go, and only what the frames of
//! later rows need is kept. A row at or behind the watermark is late and left out.
//!
//! What a call costs: ROW_NUMBER and LAG look their value up; an aggregate over an unbounded frame
//! keeps two cells a key, one for its final rows and one for all of them, so that a row that comes
//! in order costs one update, and one that does not a fold over the rows not yet final; an
//! aggregate over a bounded frame is a fold over that frame.

mod calls;
mod operator;
mod state;

pub use operator::{OverBatch, OverOperator};

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
