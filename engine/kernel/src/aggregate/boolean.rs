//! BOOL_AND and BOOL_OR.

use super::codec::{Reader, put_i64};
use super::{Args, Cell, CellStore, StateError, touch};
use crate::spec::AggregateSpec;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use std::sync::Arc;

#[derive(Debug, Clone, Copy, Default)]
struct Votes {
    yes: i64,
    no: i64,
}

/// Counts of true and of false: 16 bytes a cell.
#[derive(Debug)]
pub(crate) struct BooleanStore {
    cells: Vec<Votes>,
    all: bool,
    result: DataType,
}

impl BooleanStore {
    pub(crate) fn new(spec: &AggregateSpec, all: bool) -> Self {
        Self {
            cells: Vec::new(),
            all,
            result: spec.result.clone(),
        }
    }

    fn apply(&mut self, cells: &[Cell], rows: &[u32], args: &Args<'_>, by: i64) {
        let Some(column) = args.columns.first() else {
            return;
        };
        let count = column.len();
        let column = cast(column, &DataType::Boolean)
            .unwrap_or_else(|_| new_null_array(&DataType::Boolean, count));
        let values = column.as_boolean();
        for (&cell, &row) in cells.iter().zip(rows) {
            if values.is_null(row as usize) {
                continue;
            }
            let votes = &mut self.cells[cell as usize];
            if values.value(row as usize) {
                votes.yes += by;
            } else {
                votes.no += by;
            }
        }
    }

    fn combine(&mut self, into: Cell, from: Cell, by: i64) {
        let from = self.cells[from as usize];
        let into = &mut self.cells[into as usize];
        into.yes += by * from.yes;
        into.no += by * from.no;
    }
}

impl CellStore for BooleanStore {
    fn grow(&mut self, count: usize) {
        if count > self.cells.len() {
            self.cells.resize_with(count, Default::default);
        }
    }

    fn clear(&mut self, cell: Cell) {
        self.cells[cell as usize] = Votes::default();
    }

    fn update(&mut self, cells: &[Cell], rows: &[u32], args: &Args<'_>) {
        self.apply(cells, rows, args, 1);
    }

    fn retract(&mut self, cells: &[Cell], rows: &[u32], args: &Args<'_>) {
        self.apply(cells, rows, args, -1);
    }

    fn merge(&mut self, into: Cell, from: Cell) {
        self.combine(into, from, 1);
    }

    fn subtractable(&self) -> bool {
        true
    }

    fn subtract(&mut self, into: Cell, from: Cell) {
        self.combine(into, from, -1);
    }

    fn read(&mut self, cells: &[Cell]) -> ArrayRef {
        let value = |&cell: &Cell| {
            let votes = self.cells[cell as usize];
            let some = votes.yes > 0 || votes.no > 0;
            some.then_some(if self.all {
                votes.no <= 0
            } else {
                votes.yes > 0
            })
        };
        let made: ArrayRef = Arc::new(cells.iter().map(value).collect::<BooleanArray>());
        if self.result == DataType::Boolean {
            return made;
        }
        cast(&made, &self.result).unwrap_or_else(|_| new_null_array(&self.result, cells.len()))
    }

    fn prefetch(&self, cells: &[Cell]) -> u64 {
        touch(&self.cells, cells, |votes| (votes.yes ^ votes.no) as u64)
    }

    fn save(&mut self, cell: Cell, out: &mut Vec<u8>) {
        let votes = self.cells[cell as usize];
        put_i64(out, votes.yes);
        put_i64(out, votes.no);
    }

    fn load(&mut self, cell: Cell, bytes: &[u8]) -> Result<usize, StateError> {
        let mut reader = Reader::new(bytes);
        self.cells[cell as usize] = Votes {
            yes: reader.i64()?,
            no: reader.i64()?,
        };
        Ok(reader.used())
    }

    fn state_bytes(&self) -> usize {
        self.cells.capacity() * size_of::<Votes>()
    }
}
