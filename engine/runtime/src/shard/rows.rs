//! Rows between operators, and the row programs that run over them.

use crate::error::EngineError;
use crate::expr::evaluate;
use crate::plan::{Keyed, RowProgram, Step};
use crate::stats::{Stats, add};
use arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use std::sync::Arc;
use tidewheel_core::EventTime;
use tidewheel_kernel::change::{Changes, RowState};
use tidewheel_kernel::keys::KeyEncoder;
use tidewheel_kernel::spec::Emit;

/// Rows of which each replaces the one of the same identity before it.
#[derive(Debug, Clone)]
pub struct Upserts {
    /// The rows. Those that are gone hold their key columns, and values over no rows.
    pub batch: RecordBatch,
    /// What became of each.
    pub fates: Vec<Fate>,
    /// The operator's number for each row's key, where the operator has numbers.
    pub slots: Vec<u32>,
    /// Bytes that identify each row, where the next operator asks for them.
    pub identities: Vec<Vec<u8>>,
    /// When each row's window runs empty, event time.
    pub empty_at: Vec<EventTime>,
    /// Whether an event caused the change.
    pub urgent: Vec<bool>,
}

impl Upserts {
    /// Only the rows whose window ends after `until`.
    ///
    /// # Errors
    /// Not to be expected.
    pub fn ending_after(self, until: EventTime) -> Result<Self, EngineError> {
        if self.empty_at.iter().all(|end| *end > until) {
            return Ok(self);
        }
        let kept: Vec<usize> = (0..self.empty_at.len())
            .filter(|row| self.empty_at[*row] > until)
            .collect();
        let indices: arrow::array::UInt32Array = kept.iter().map(|row| *row as u32).collect();
        let batch = arrow::compute::take_record_batch(&self.batch, &indices)
            .map_err(|error| EngineError::Expression(error.to_string()))?;
        Ok(Self {
            batch,
            fates: kept.iter().map(|row| self.fates[*row]).collect(),
            slots: kept
                .iter()
                .filter_map(|row| self.slots.get(*row).copied())
                .collect(),
            identities: kept
                .iter()
                .filter_map(|row| self.identities.get(*row).cloned())
                .collect(),
            empty_at: kept.iter().map(|row| self.empty_at[*row]).collect(),
            urgent: kept.iter().map(|row| self.urgent[*row]).collect(),
        })
    }
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It has a value.
    Live,
    /// Its window ran empty.
    Empty,
    /// A filter above leaves it out.
    Filtered,
}

/// Rows that are added or taken back.
#[derive(Debug, Clone)]
pub struct Delta {
    /// The rows.
    pub batch: RecordBatch,
    /// True where a row is taken back; `None`: nowhere.
    pub retract: Option<Vec<bool>>,
    /// Event time of each row.
    pub time: Vec<EventTime>,
    /// Second part of each row's order.
    pub seq: Vec<u64>,
}

/// A batch of columns whose types may differ from the schema's in detail (a dictionary, the
/// names inside a map): they are cast.
///
/// # Errors
/// A column cannot be cast.
pub fn batch(
    schema: &SchemaRef,
    columns: Vec<ArrayRef>,
    rows: usize,
) -> Result<RecordBatch, EngineError> {
    let failed = |error: arrow::error::ArrowError| EngineError::Expression(error.to_string());
    let columns = columns
        .into_iter()
        .zip(schema.fields())
        .map(|(column, field)| {
            if column.data_type() == field.data_type() {
                Ok(column)
            } else {
                cast(&column, field.data_type())
            }
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(SchemaRef::clone(schema), columns, &options).map_err(failed)
}

/// Runs a program over an operator's output. A failing expression gives NULL and is counted.
/// The result says which rows the filter leaves out; they stay in the batch.
///
/// # Errors
/// An expression cannot be evaluated at all.
pub fn run(
    program: &RowProgram,
    input: &RecordBatch,
    stats: &Stats,
) -> Result<(RecordBatch, Option<Vec<bool>>), EngineError> {
    let mut failures = 0;
    let mut columns = Vec::with_capacity(program.exprs.len());
    for expr in &program.exprs {
        let result = evaluate(expr, input)?;
        failures += result.failed.map_or(0, |failed| failed.true_count());
        columns.push(result.array);
    }
    let passes = match &program.filter {
        None => None,
        Some(filter) => {
            let result = evaluate(filter, input)?;
            failures += result.failed.map_or(0, |failed| failed.true_count());
            let array = result.array.as_boolean();
            Some(
                (0..array.len())
                    .map(|row| array.is_valid(row) && array.value(row))
                    .collect(),
            )
        }
    };
    add(&stats.failed_results, failures);
    Ok((batch(&program.schema, columns, input.num_rows())?, passes))
}

/// Whether an operator's output has one row a key, whatever the window.
#[must_use]
pub fn is_one_row_a_key(keyed: &Keyed) -> bool {
    match keyed {
        Keyed::Window { emit, .. } | Keyed::Group { emit, .. } => {
            matches!(emit, Emit::Current | Emit::LastClosed)
        }
        Keyed::Latest { .. } => true,
        Keyed::TopN { .. } | Keyed::Over { .. } => false,
    }
}

/// Turns an operator's changes into rows of its step's output.
///
/// # Errors
/// An expression cannot be evaluated at all.
pub fn upserts(
    step: &Step,
    changes: Changes,
    identity: Option<&KeyEncoder>,
    stats: &Stats,
) -> Result<Upserts, EngineError> {
    let rows = changes.slots.len();
    let per_window = !is_one_row_a_key(&step.keyed);
    let window_columns = matches!(step.keyed, Keyed::Window { window_columns, .. } if window_columns)
        || (per_window && matches!(step.keyed, Keyed::Window { .. }));
    let identities = match identity {
        None => Vec::new(),
        Some(encoder) => {
            let keys = encoder
                .encode(&changes.keys, rows)
                .map_err(|error| EngineError::Expression(error.to_string()))?;
            (0..rows)
                .map(|row| {
                    let mut bytes = keys.key(row).to_vec();
                    if per_window {
                        bytes.extend_from_slice(&changes.window_start[row].to_be_bytes());
                        bytes.extend_from_slice(&changes.window_end[row].to_be_bytes());
                    }
                    bytes
                })
                .collect()
        }
    };
    let mut columns = changes.keys;
    if matches!(step.keyed, Keyed::Latest { .. }) {
        // Its columns are all those of the input, the key's among them.
        columns.clear();
    }
    if window_columns {
        columns.push(Arc::new(TimestampMicrosecondArray::from(
            changes.window_start,
        )));
        columns.push(Arc::new(TimestampMicrosecondArray::from(
            changes.window_end,
        )));
    }
    columns.extend(changes.aggregates);
    let output = batch(&step.output, columns, rows)?;
    let (batch, passes) = run(&step.program, &output, stats)?;
    let fates = changes
        .states
        .iter()
        .enumerate()
        .map(|(row, state)| match state {
            RowState::Empty => Fate::Empty,
            RowState::Live if passes.as_ref().is_some_and(|passes| !passes[row]) => Fate::Filtered,
            RowState::Live => Fate::Live,
        })
        .collect();
    Ok(Upserts {
        batch,
        fates,
        slots: changes.slots,
        identities,
        empty_at: changes.empty_at,
        urgent: changes.urgent,
    })
}
