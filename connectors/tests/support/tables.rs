//! Tables, rows and sinks for tests.

#![allow(dead_code, unreachable_pub)]

use arrow::array::TimestampMillisecondArray;
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use std::sync::Arc;
use tidewheel_core::env::SystemEnv;
use tidewheel_core::{
    ChangeBatch, ConnectorError, Env, Op, Options, Owner, Progress, Sink, SinkRequest, TableSpec,
};

/// The environment of the tests: the real one.
pub fn env() -> Arc<dyn Env> {
    Arc::new(SystemEnv::new(tidewheel_connectors::registry()))
}

/// A column of rows.
#[derive(Clone)]
pub enum Col {
    /// Text.
    Text(Vec<Option<&'static str>>),
    /// Text that is made by the test.
    Owned(Vec<Option<String>>),
    /// Whole numbers.
    Int(Vec<Option<i64>>),
    /// Doubles.
    Double(Vec<Option<f64>>),
    /// Times in milliseconds.
    Time(Vec<Option<i64>>),
}

impl Col {
    fn array(&self) -> ArrayRef {
        match self {
            Self::Text(values) => Arc::new(StringArray::from(values.clone())),
            Self::Owned(values) => Arc::new(StringArray::from(values.clone())),
            Self::Int(values) => Arc::new(Int64Array::from(values.clone())),
            Self::Double(values) => Arc::new(Float64Array::from(values.clone())),
            Self::Time(values) => Arc::new(TimestampMillisecondArray::from(values.clone())),
        }
    }
}

/// A table of these columns, of which the first `keys` are its key.
pub fn table(columns: &[(&str, DataType)], keys: usize, options: &[(&str, &str)]) -> TableSpec {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, kind)| Field::new(*name, kind.clone(), true))
        .collect();
    TableSpec {
        name: "features".to_owned(),
        schema: Arc::new(Schema::new(fields)),
        primary_key: (0..keys).collect(),
        options: options.iter().copied().collect::<Options>(),
    }
}

/// The type of times.
pub fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, None)
}

/// Upserts of all columns of a table, everything changed, `live_ms` 0.
pub fn upserts(table: &TableSpec, columns: &[Col]) -> ChangeBatch {
    let all: Vec<usize> = (0..columns.len()).collect();
    changes(table, &all, columns)
}

/// Upserts of some columns of a table.
pub fn changes(table: &TableSpec, which: &[usize], columns: &[Col]) -> ChangeBatch {
    let schema = Arc::new(table.schema.project(which).expect("columns"));
    let arrays: Vec<ArrayRef> = columns.iter().map(Col::array).collect();
    let rows = RecordBatch::try_new(schema, arrays).expect("rows");
    let count = rows.num_rows();
    ChangeBatch {
        rows,
        columns: which.to_vec(),
        ops: vec![Op::Upsert; count],
        live_ms: vec![0; count],
        changed: vec![u64::MAX; count],
        urgent: true,
    }
}

/// The same rows as deletes.
pub fn deletes(mut batch: ChangeBatch) -> ChangeBatch {
    batch.ops.fill(Op::Delete);
    batch
}

/// How far one partition was read.
pub fn progress(offset: u64) -> Progress {
    Progress {
        offsets: vec![("events".to_owned(), 0, offset)],
        frontier: Some(1_000_000),
    }
}

/// Opens a sink by the table's option `connector`.
pub fn open(table: &TableSpec) -> Box<dyn Sink> {
    try_open(table).unwrap_or_else(|error| panic!("the sink opens: {error}"))
}

/// Opens a sink, or says why not.
pub fn try_open(table: &TableSpec) -> Result<Box<dyn Sink>, ConnectorError> {
    try_request(&SinkRequest::new(table.clone(), env()))
}

/// The request of a query `q` that goes on from a checkpoint, in a pipeline `shop`.
pub fn owned(table: &TableSpec, epoch: u64, resume: Option<Vec<u8>>) -> SinkRequest {
    SinkRequest {
        query: "q".to_owned(),
        owner: Some(Owner {
            pipeline: "shop".to_owned(),
            epoch,
        }),
        resume,
        ..SinkRequest::new(table.clone(), env())
    }
}

/// Opens the sink of [`owned`].
pub fn open_owned(table: &TableSpec, epoch: u64, resume: Option<Vec<u8>>) -> Box<dyn Sink> {
    let opened = try_request(&owned(table, epoch, resume));
    opened.unwrap_or_else(|error| panic!("the sink opens: {error}"))
}

/// Opens a sink by its request, or says why not.
pub fn try_request(request: &SinkRequest) -> Result<Box<dyn Sink>, ConnectorError> {
    let table = &request.table;
    let connector = Arc::clone(request.env.registry().for_table(&table.options)?);
    connector.check(table, true)?;
    connector.sink(request)
}

/// The first error of a table's check.
pub fn check(table: &TableSpec, as_sink: bool) -> Result<(), ConnectorError> {
    let env = env();
    env.registry()
        .for_table(&table.options)?
        .check(table, as_sink)
}
