//! DataFusion's aggregates in the window kernel: an adapter from [`AggregateUDF`] to
//! [`CellStore`].
//!
//! An accumulator's `state` and `evaluate` may be called once only, so a cell holds its state as
//! values, and beside it a live accumulator only from one update to the next read or merge. With
//! retracting input it holds its rows, and every read goes over them in the order of event time.
//!
//! Results are free of the rows' order as far as the function's own `update_batch` and
//! `merge_batch` are: exact for integers, to rounding for sums of doubles, to the sketch's error
//! for approximate functions. A function that fails on a cell reads NULL there.

use super::custom_rows::RowCell;
use arrow::array::{ArrayRef, UInt32Array, new_null_array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use arrow::row::{RowConverter, SortField};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use std::fmt;
use std::sync::Arc;
use tidewheel_kernel::aggregate::{Args, Cell, CellStore, CustomAggregate, MAX_ROWS, StateError};

/// An argument of an aggregate call.
#[derive(Debug, Clone)]
pub enum UdafArgument {
    /// The next of the columns that the kernel hands over, of this type.
    Column(DataType),
    /// A constant, such as the share of a quantile.
    Literal(ScalarValue),
}

/// A call of one of DataFusion's aggregates, for the kernel.
#[derive(Clone)]
pub struct UdafAggregate {
    function: Arc<AggregateUDF>,
    arguments: Vec<UdafArgument>,
    fields: Vec<FieldRef>,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    schema: Arc<Schema>,
    result: FieldRef,
    state_types: Vec<DataType>,
    is_distinct: bool,
    ignore_nulls: bool,
}

impl fmt::Debug for UdafAggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdafAggregate")
            .field("function", &self.function.name())
            .field("arguments", &self.arguments)
            .field("is_distinct", &self.is_distinct)
            .finish_non_exhaustive()
    }
}

impl UdafAggregate {
    /// A call with these arguments, whose types are those that the function was coerced to.
    ///
    /// # Errors
    /// The function does not take the arguments, or its state cannot be kept as rows.
    pub fn new(
        function: Arc<AggregateUDF>,
        arguments: Vec<UdafArgument>,
        is_distinct: bool,
        ignore_nulls: bool,
    ) -> Result<Self> {
        let (mut fields, mut exprs): (Vec<FieldRef>, Vec<Arc<dyn PhysicalExpr>>) =
            (Vec::new(), Vec::new());
        for (at, argument) in arguments.iter().enumerate() {
            let name = format!("arg{at}");
            let data_type = match argument {
                UdafArgument::Column(data_type) => {
                    exprs.push(Arc::new(Column::new(&name, at)));
                    data_type.clone()
                }
                UdafArgument::Literal(value) => {
                    exprs.push(Arc::new(Literal::new(value.clone())));
                    value.data_type()
                }
            };
            fields.push(Arc::new(Field::new(name, data_type, true)));
        }
        let result = function.return_field(&fields)?;
        let state = function.state_fields(StateFieldsArgs {
            name: function.name(),
            input_fields: &fields,
            return_field: Arc::clone(&result),
            ordering_fields: &[],
            is_distinct,
        })?;
        let call = Self {
            schema: Arc::new(Schema::new(fields.clone())),
            function,
            arguments,
            fields,
            exprs,
            result,
            state_types: state
                .iter()
                .map(|field| field.data_type().clone())
                .collect(),
            is_distinct,
            ignore_nulls,
        };
        // What fails here would fail on every row.
        call.accumulator()?.evaluate()?;
        converter(&call.state_types)?;
        converter(&call.column_types())?;
        Ok(call)
    }

    /// The type of the result.
    #[must_use]
    pub fn result_type(&self) -> &DataType {
        self.result.data_type()
    }

    /// The types of the columns that the kernel hands over.
    pub(super) fn column_types(&self) -> Vec<DataType> {
        let columns = self.arguments.iter().filter_map(|argument| match argument {
            UdafArgument::Column(data_type) => Some(data_type.clone()),
            UdafArgument::Literal(_) => None,
        });
        columns.collect()
    }

    pub(super) fn accumulator(&self) -> Result<Box<dyn Accumulator>> {
        self.function.accumulator(AccumulatorArgs {
            return_field: Arc::clone(&self.result),
            schema: &self.schema,
            ignore_nulls: self.ignore_nulls,
            order_bys: &[],
            is_reversed: false,
            name: self.function.name(),
            is_distinct: self.is_distinct,
            exprs: &self.exprs,
            expr_fields: &self.fields,
        })
    }

    /// The function's arguments from the kernel's columns, literals made as long as they are.
    pub(super) fn values(&self, columns: &[ArrayRef], rows: usize) -> Result<Vec<ArrayRef>> {
        let mut columns = columns.iter();
        let values = self.arguments.iter().map(|argument| match argument {
            UdafArgument::Column(_) => columns.next().cloned().ok_or_else(|| {
                DataFusionError::Internal(format!("{} lacks a column", self.function.name()))
            }),
            UdafArgument::Literal(value) => value.to_array_of_size(rows),
        });
        values.collect()
    }

    /// One array of the result's type from the values of cells; NULL where one failed.
    fn column(&self, values: Vec<Result<ScalarValue>>) -> ArrayRef {
        let count = values.len();
        let null = || ScalarValue::try_from(self.result_type());
        let values = values.into_iter().map(|value| value.or_else(|_| null()));
        let array = values
            .collect::<Result<Vec<_>>>()
            .and_then(|values| {
                if values.is_empty() {
                    null()?.to_array_of_size(0)
                } else {
                    ScalarValue::iter_to_array(values)
                }
            })
            .and_then(|array| Ok(cast(&array, self.result_type())?));
        array.unwrap_or_else(|_| new_null_array(self.result_type(), count))
    }
}

impl CustomAggregate for UdafAggregate {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn store(&self, retracting: bool) -> Box<dyn CellStore> {
        let call = Arc::new(self.clone());
        if retracting {
            let cells: Vec<RowCell> = Vec::new();
            Box::new(RowStore {
                call,
                cells,
                bound_reached: 0,
            })
        } else {
            Box::new(StateStore {
                call,
                cells: Vec::new(),
                live: 0,
            })
        }
    }
}

/// The converter of saved rows.
pub(super) fn converter(types: &[DataType]) -> Result<RowConverter> {
    let fields = types
        .iter()
        .map(|data_type| SortField::new(data_type.clone()))
        .collect();
    Ok(RowConverter::new(fields)?)
}

/// A cell without retractions: a state, a live accumulator, or neither where it has no rows.
#[derive(Default)]
struct StateCell {
    state: Option<Vec<ScalarValue>>,
    live: Option<Box<dyn Accumulator>>,
    /// The function failed on one of its rows: it has no value any more.
    is_failed: bool,
}

struct StateStore {
    call: Arc<UdafAggregate>,
    cells: Vec<StateCell>,
    /// Bytes of states, as last counted.
    live: usize,
}

impl StateStore {
    /// The cell's accumulator, made from its state where it has none.
    fn live(&mut self, cell: Cell) -> Result<&mut Box<dyn Accumulator>> {
        let cell = &mut self.cells[cell as usize];
        let live = match cell.live.take() {
            Some(live) => live,
            None => {
                let mut live = self.call.accumulator()?;
                if let Some(state) = cell.state.take() {
                    live.merge_batch(&arrays(&state)?)?;
                }
                live
            }
        };
        Ok(cell.live.insert(live))
    }

    /// The cell's state; `None` where it has no rows.
    fn state(&mut self, cell: Cell) -> Result<Option<&[ScalarValue]>> {
        let cell = &mut self.cells[cell as usize];
        if let Some(mut live) = cell.live.take() {
            let state = live.state()?;
            self.live += state.iter().map(ScalarValue::size).sum::<usize>();
            cell.state = Some(state);
        }
        Ok(cell.state.as_deref())
    }

    fn value(&mut self, cell: Cell) -> Result<ScalarValue> {
        if self.cells[cell as usize].is_failed {
            return ScalarValue::try_from(self.call.result_type());
        }
        let call = Arc::clone(&self.call);
        let mut accumulator = call.accumulator()?;
        if let Some(state) = self.state(cell)? {
            accumulator.merge_batch(&arrays(state)?)?;
        }
        accumulator.evaluate()
    }

    fn add(&mut self, cell: Cell, rows: &[u32], args: &Args<'_>) -> Result<()> {
        let picked = UInt32Array::from(rows.to_vec());
        let columns = args
            .columns
            .iter()
            .map(|column| take(column, &picked, None));
        let columns = columns.collect::<std::result::Result<Vec<_>, _>>()?;
        let values = self.call.values(&columns, rows.len())?;
        self.live(cell)?.update_batch(&values)
    }

    fn add_state(&mut self, into: Cell, from: Cell) -> Result<()> {
        let Some(state) = self.state(from)? else {
            return Ok(());
        };
        let state = arrays(state)?;
        self.live(into)?.merge_batch(&state)
    }
}

fn arrays(state: &[ScalarValue]) -> Result<Vec<ArrayRef>> {
    state.iter().map(ScalarValue::to_array).collect()
}

impl CellStore for StateStore {
    fn grow(&mut self, count: usize) {
        if self.cells.len() < count {
            self.cells.resize_with(count, StateCell::default);
        }
    }

    fn clear(&mut self, cell: Cell) {
        let old = std::mem::take(&mut self.cells[cell as usize]);
        let bytes: usize = old.state.iter().flatten().map(ScalarValue::size).sum();
        self.live = self.live.saturating_sub(bytes);
    }

    fn update(&mut self, cells: &[Cell], rows: &[u32], args: &Args<'_>) {
        let mut pairs: Vec<(Cell, u32)> = cells.iter().copied().zip(rows.iter().copied()).collect();
        pairs.sort_by_key(|(cell, _)| *cell);
        for chunk in pairs.chunk_by(|a, b| a.0 == b.0) {
            let rows: Vec<u32> = chunk.iter().map(|(_, row)| *row).collect();
            if self.add(chunk[0].0, &rows, args).is_err() {
                self.cells[chunk[0].0 as usize].is_failed = true;
            }
        }
    }

    fn retract(&mut self, _: &[Cell], _: &[u32], _: &Args<'_>) {
        debug_assert!(false, "retract called on a store that keeps no rows");
    }

    fn merge(&mut self, into: Cell, from: Cell) {
        let is_failed = self.cells[from as usize].is_failed;
        if self.add_state(into, from).is_err() || is_failed {
            self.cells[into as usize].is_failed = true;
        }
    }

    fn read(&mut self, cells: &[Cell]) -> ArrayRef {
        let values = cells.iter().map(|&cell| self.value(cell)).collect();
        self.call.column(values)
    }

    fn save(&mut self, cell: Cell, out: &mut Vec<u8>) {
        let call = Arc::clone(&self.call);
        let saved = match self.state(cell) {
            Ok(Some(state)) => arrays(state).and_then(|state| {
                let rows = converter(&call.state_types)?.convert_columns(&state)?;
                Ok(rows.row(0).data().to_vec())
            }),
            _ => Ok(Vec::new()),
        };
        super::custom_rows::write_block(&saved.unwrap_or_default(), out);
    }

    fn load(&mut self, cell: Cell, bytes: &[u8]) -> std::result::Result<usize, StateError> {
        let (block, read) = super::custom_rows::read_block(bytes)?;
        self.clear(cell);
        if !block.is_empty() {
            let error = |error: DataFusionError| StateError(error.to_string());
            let converter = converter(&self.call.state_types).map_err(error)?;
            let columns = converter
                .convert_rows([converter.parser().parse(block)])
                .map_err(|e| error(e.into()))?;
            let state: Result<Vec<ScalarValue>> = columns
                .iter()
                .map(|column| ScalarValue::try_from_array(column, 0))
                .collect();
            let state = state.map_err(error)?;
            self.live += state.iter().map(ScalarValue::size).sum::<usize>();
            self.cells[cell as usize].state = Some(state);
        }
        Ok(read)
    }

    fn state_bytes(&self) -> usize {
        self.live + self.cells.capacity() * size_of::<StateCell>()
    }
}

/// Cells that hold their rows, for input that takes rows back.
struct RowStore {
    call: Arc<UdafAggregate>,
    cells: Vec<RowCell>,
    bound_reached: u64,
}

impl CellStore for RowStore {
    fn grow(&mut self, count: usize) {
        if self.cells.len() < count {
            self.cells.resize_with(count, RowCell::default);
        }
    }

    fn clear(&mut self, cell: Cell) {
        self.cells[cell as usize] = RowCell::default();
    }

    fn update(&mut self, cells: &[Cell], rows: &[u32], args: &Args<'_>) {
        self.each(cells, rows, args, |cell, order, row| {
            let fits = cell.len() < MAX_ROWS;
            if fits {
                cell.add(order, row);
            }
            u64::from(!fits)
        });
    }

    fn retract(&mut self, cells: &[Cell], rows: &[u32], args: &Args<'_>) {
        self.each(cells, rows, args, |cell, order, row| {
            cell.remove(order, row);
            0
        });
    }

    fn merge(&mut self, into: Cell, from: Cell) {
        let from = self.cells[from as usize].clone();
        self.bound_reached += self.cells[into as usize].merge(from, MAX_ROWS);
    }

    fn read(&mut self, cells: &[Cell]) -> ArrayRef {
        let values = cells
            .iter()
            .map(|&cell| self.cells[cell as usize].value(&self.call));
        self.call.column(values.collect())
    }

    fn save(&mut self, cell: Cell, out: &mut Vec<u8>) {
        self.cells[cell as usize].save(out);
    }

    fn load(&mut self, cell: Cell, bytes: &[u8]) -> std::result::Result<usize, StateError> {
        let (loaded, read) = RowCell::load(bytes)?;
        self.cells[cell as usize] = loaded;
        Ok(read)
    }

    fn state_bytes(&self) -> usize {
        self.cells.iter().map(RowCell::bytes).sum()
    }

    fn bound_reached(&self) -> u64 {
        self.bound_reached
    }
}

impl RowStore {
    fn each(
        &mut self,
        cells: &[Cell],
        rows: &[u32],
        args: &Args<'_>,
        mut action: impl FnMut(&mut RowCell, (i64, u64), &[u8]) -> u64,
    ) {
        let encoded = converter(&self.call.column_types())
            .and_then(|converter| Ok(converter.convert_columns(args.columns)?));
        // The types were tried when the call was made; columns of others are the caller's defect.
        let Ok(encoded) = encoded else { return };
        for (&cell, &row) in cells.iter().zip(rows) {
            let row = row as usize;
            let bytes = if args.columns.is_empty() {
                &[]
            } else {
                encoded.row(row).data()
            };
            let order = (args.time[row], args.seq[row]);
            self.bound_reached += action(&mut self.cells[cell as usize], order, bytes);
        }
    }
}

#[cfg(test)]
#[path = "custom_tests.rs"]
mod tests;
