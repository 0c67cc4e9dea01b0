//! The streaming plan: what the runtime executes, free of SQL and of connectors.

use crate::tables::TableInfo;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;
use std::sync::Arc;
use std::time::Duration;
use tidewheel_core::{Diagnostics, ReadColumn, TableSpec};
use tidewheel_kernel::spec::{AggregateSpec, Emit, WindowSpec};

/// A compiled folder of statements.
#[derive(Debug, Clone)]
pub struct Program {
    /// The source tables that some query reads.
    pub sources: Vec<SourceTable>,
    /// The queries, in the order of their files and statements.
    pub queries: Vec<Query>,
    /// All tables and views of the catalogue, by name.
    pub tables: Vec<TableInfo>,
    /// Warnings; errors make no program.
    pub warnings: Diagnostics,
}

/// A table that is read.
#[derive(Debug, Clone)]
pub struct SourceTable {
    /// Name, physical columns, options.
    pub spec: TableSpec,
    /// xxh3 of the table's CREATE TABLE and effective options (secrets left out): the same as long
    /// as its rows mean the same, whatever columns are read.
    pub fingerprint: u64,
    /// What some query (or the watermark, or dedup) reads of each record; the scan's schema
    /// begins with these, in this order, each named by its path joined with `.`.
    pub read: Vec<ReadColumn>,
    /// METADATA columns that some query reads; they follow `read` in the scan's schema.
    pub metadata: Vec<MetadataColumn>,
    /// The schema of the scan: `read`, then `metadata`.
    pub scan_schema: SchemaRef,
    /// Event time of a row, over the scan's schema, as Timestamp(Microsecond, None). `None` for a
    /// table without WATERMARK (only queries without time may read it).
    pub event_time: Option<Arc<dyn PhysicalExpr>>,
    /// The WATERMARK's expression over the scan's schema, as Timestamp(Microsecond, None).
    pub watermark: Option<Arc<dyn PhysicalExpr>>,
    /// The key of repeats (`dedup.key`) over the scan's schema, and how long it is remembered.
    pub dedup: Option<(Vec<Arc<dyn PhysicalExpr>>, Duration)>,
    /// The column that breaks ties of time (`order.by`), as UInt64.
    pub order_by: Option<Arc<dyn PhysicalExpr>>,
    /// `scan.watermark.idle-timeout`.
    pub idle_timeout: Duration,
    /// `scan.max-ahead`.
    pub max_ahead: Duration,
    /// `scan.watermark.alignment.max-drift`.
    pub max_drift: Duration,
    /// What becomes of bad rows.
    pub bad_rows: BadRows,
    /// The table that late rows go to.
    pub late_rows_table: Option<TableSpec>,
}

/// What becomes of bad rows: the options `bad-rows` and `bad-rows.table`.
#[derive(Debug, Clone)]
pub enum BadRows {
    /// Counted and dropped.
    Drop,
    /// Counted and written to a table.
    DeadLetter(TableSpec),
    /// The first one ends the run with an error.
    Fail,
}

/// A METADATA column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataColumn {
    /// The column's name.
    pub name: String,
    /// What it holds.
    pub kind: MetadataKind,
    /// Its type in the scan's schema.
    pub data_type: DataType,
}

/// What a METADATA column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataKind {
    /// The partition's number.
    Partition,
    /// The offset in it.
    Offset,
    /// The record's timestamp.
    Timestamp,
    /// The record's key, as bytes or text.
    Key,
    /// The headers, as a MAP of text to bytes.
    Headers,
    /// The topic's name (the table's path for files).
    Topic,
}

/// One INSERT … SELECT.
#[derive(Debug, Clone)]
pub struct Query {
    /// The name: of its file, with `#2`, `#3` … from its second INSERT on.
    pub name: String,
    /// The name of the file it stands in, as it was given to the compiler.
    pub file: String,
    /// Its own INSERT statement as written, without the semicolon.
    pub sql: String,
    /// xxh3 of all that its results depend on: its statement, the tables and views that it uses
    /// with their effective options (secrets left out), the settings in force. Free of white
    /// space, comments, other queries, and the columns of the scan that queries share.
    pub fingerprint: u64,
    /// The table it writes.
    pub sink: TableSpec,
    /// For each column of the root's output, its index in the sink's schema.
    pub sink_columns: Vec<usize>,
    /// What becomes of a key whose window ran empty.
    pub on_empty: OnEmpty,
    /// `EMIT ON CHANGE EVERY`: the shortest time between two writes of a key.
    pub emit_every: Option<Duration>,
    /// True where results are one row a key; false where a window column is in the key or the
    /// sink is append-only.
    pub current: bool,
    /// The plan; its schema has the sink's owned columns.
    pub root: PlanNode,
}

/// The option `on-empty` of a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnEmpty {
    /// The key is deleted.
    Delete,
    /// The columns get their values over no rows.
    Zero,
    /// The last values stay.
    Keep,
}

/// A node of the plan with the schema of its output.
#[derive(Debug, Clone)]
pub struct PlanNode {
    /// The output's columns.
    pub schema: SchemaRef,
    /// What it does.
    pub kind: NodeKind,
}

/// What a node does. Column numbers point into the input's schema.
#[derive(Debug, Clone)]
pub enum NodeKind {
    /// All rows of a source table, with its scan schema.
    Scan {
        /// Index into [`Program::sources`].
        source: usize,
    },
    /// Rows for which the predicate is true.
    Filter {
        /// The input.
        input: Box<PlanNode>,
        /// A Boolean expression over the input's schema.
        predicate: Arc<dyn PhysicalExpr>,
    },
    /// Computed columns.
    Project {
        /// The input.
        input: Box<PlanNode>,
        /// One expression over the input's schema for each output column.
        exprs: Vec<Arc<dyn PhysicalExpr>>,
    },
    /// Windows of a time column, grouped by key columns.
    ///
    /// Output: the keys; then, where `emit` is a per-window one (and also for current values where
    /// `window_columns` says so), `window_start` and `window_end` as Timestamp(Microsecond, None)
    /// columns; then the aggregates. The window columns are left out of `keys`.
    Window {
        /// The input: append-only rows, or a changelog of an inner window's rows.
        input: Box<PlanNode>,
        /// The input column with the time to cut by, Timestamp(Microsecond, None).
        time: usize,
        /// The input columns of the key.
        keys: Vec<usize>,
        /// The windows.
        window: WindowSpec,
        /// Which results.
        emit: Emit,
        /// Whether window_start and window_end are output columns.
        window_columns: bool,
        /// The aggregates; their column numbers point into the input's schema.
        aggregates: Vec<AggregateSpec>,
    },
    /// GROUP BY without a window function of its own: over a stream (lifetime values) or over
    /// the rows of an inner node, which it follows with retractions. Output: keys, aggregates.
    Group {
        /// The input.
        input: Box<PlanNode>,
        /// The input columns of the key.
        keys: Vec<usize>,
        /// Index of an input column with the end of an inner window, where the key holds one:
        /// state goes when the watermark passes it.
        window_end: Option<usize>,
        /// With a window column in the key: what to emit of it. `Current` without one.
        emit: Emit,
        /// `state-ttl`: how long, in event time after the key's newest row, the state lives.
        state_ttl: Option<Duration>,
        /// The aggregates.
        aggregates: Vec<AggregateSpec>,
    },
    /// The newest row of each key (SELECT without GROUP BY into a keyed table).
    Latest {
        /// The input.
        input: Box<PlanNode>,
        /// The input columns of the key.
        keys: Vec<usize>,
        /// `state-ttl`.
        state_ttl: Option<Duration>,
    },
    /// The first `limit` rows of each partition by an order. Output: the input's columns, then
    /// the rank (from 1, Int64).
    TopN {
        /// The input: rows with a key, followed with retractions.
        input: Box<PlanNode>,
        /// The input columns that make a row's identity.
        identity: Vec<usize>,
        /// The input columns of the partition, the current window's columns left out.
        partition: Vec<usize>,
        /// The order.
        order: Vec<SortKey>,
        /// How many.
        limit: usize,
        /// Whether the rank is used above: else rows are not emitted for its change alone.
        rank_used: bool,
        /// Index of an input column with a window's end, as in `Group`.
        window_end: Option<usize>,
    },
    /// OVER windows of one PARTITION BY and ORDER BY time. Output: the input's columns, then one
    /// column a call.
    Over {
        /// The input: append-only rows.
        input: Box<PlanNode>,
        /// The input column with the event time.
        time: usize,
        /// The input columns of the partition.
        partition: Vec<usize>,
        /// The calls.
        calls: Vec<OverCall>,
    },
}

/// A key of an ORDER BY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortKey {
    /// The input column.
    pub column: usize,
    /// Largest first.
    pub descending: bool,
    /// NULLs before all others.
    pub nulls_first: bool,
}

pub use tidewheel_kernel::over::OverCall;
