//! What flows into sinks: absolute values by key, never increments.

use arrow::array::RecordBatch;

/// What happens to a row's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// The row is the key's value now. In an append-only table: one more row.
    Upsert,
    /// The key has no row any more. Only the key columns of the row are meaningful.
    Delete,
}

/// How far the input was read when a value was computed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// For each source table and partition, the next offset to be read.
    pub offsets: Vec<(String, u32, u64)>,
    /// The frontier, in event time; `None` before the first row.
    pub frontier: Option<i64>,
}

/// Changes for one sink table, at most one a key, to be applied in order.
#[derive(Debug, Clone)]
pub struct ChangeBatch {
    /// The rows: the columns that the query owns (key columns included), in the order of
    /// [`ChangeBatch::columns`].
    pub rows: RecordBatch,
    /// For each column of `rows`, its index in the table's schema.
    pub columns: Vec<usize>,
    /// What happens, for each row.
    pub ops: Vec<Op>,
    /// For each row: milliseconds until its window runs empty, to which the sink adds its `ttl`;
    /// 0 where it is empty already. A row without any window that ends has [`NO_EXPIRY`].
    pub live_ms: Vec<i64>,
    /// For each row, a bit set of the columns of `rows` whose value differs from what was last
    /// written, or whose ttl must be renewed; bit 63 stands for all columns from 63 on. A sink
    /// that writes columns apart may skip the others.
    pub changed: Vec<u64>,
    /// True when an event caused these changes, false when only the passing of time did.
    pub urgent: bool,
}

/// [`ChangeBatch::live_ms`] of a row that no time empties: the sink sets no expiry.
pub const NO_EXPIRY: i64 = i64::MAX;

impl ChangeBatch {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// True without rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// True when column `column` of `rows` must be written for row `row`.
    #[must_use]
    pub fn is_changed(&self, row: usize, column: usize) -> bool {
        self.changed
            .get(row)
            .is_some_and(|bits| bits >> column.min(63) & 1 == 1)
    }
}
