//! COUNT.

use super::codec::{Reader, put_i64};
use super::{Args, Cell, CellStore, StateError, touch};
use arrow::array::{Array, ArrayRef, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use std::sync::Arc;

/// COUNT(*) and COUNT(x): eight bytes a cell. Counts may be below zero for a while, where a row
/// is taken back before it is added.
#[derive(Debug)]
pub(crate) struct CountStore {
    counts: Vec<i64>,
    result: DataType,
}

impl CountStore {
    pub(crate) fn new(result: DataType) -> Self {
        Self {
            counts: Vec::new(),
            result,
        }
    }

    fn apply(&mut self, cells: &[Cell], rows: &[u32], args: &Args<'_>, by: i64) {
        let nulls = args
            .columns
            .first()
            .and_then(|column| column.logical_nulls());
        match nulls.filter(|nulls| nulls.null_count() > 0) {
            None => cells
                .iter()
                .for_each(|&cell| self.counts[cell as usize] += by),
            Some(nulls) => {
                for (&cell, &row) in cells.iter().zip(rows) {
                    self.counts[cell as usize] += by * i64::from(nulls.is_valid(row as usize));
                }
            }
        }
    }
}

impl CellStore for CountStore {
    fn grow(&mut self, count: usize) {
        if count > self.counts.len() {
            self.counts.resize(count, 0);
        }
    }

    fn clear(&mut self, cell: Cell) {
        self.counts[cell as usize] = 0;
    }

    fn update(&mut self, cells: &[Cell], rows: &[u32], args: &Args<'_>) {
        self.apply(cells, rows, args, 1);
    }

    fn retract(&mut self, cells: &[Cell], rows: &[u32], args: &Args<'_>) {
        self.apply(cells, rows, args, -1);
    }

    fn merge(&mut self, into: Cell, from: Cell) {
        self.counts[into as usize] += self.counts[from as usize];
    }

    fn subtractable(&self) -> bool {
        true
    }

    fn subtract(&mut self, into: Cell, from: Cell) {
        self.counts[into as usize] -= self.counts[from as usize];
    }

    fn read(&mut self, cells: &[Cell]) -> ArrayRef {
        let counts = cells.iter().map(|&cell| self.counts[cell as usize]);
        let made: ArrayRef = Arc::new(Int64Array::from_iter_values(counts));
        if self.result == DataType::Int64 {
            return made;
        }
        cast(&made, &self.result).unwrap_or(made)
    }

    fn prefetch(&self, cells: &[Cell]) -> u64 {
        touch(&self.counts, cells, |count| *count as u64)
    }

    fn save(&mut self, cell: Cell, out: &mut Vec<u8>) {
        put_i64(out, self.counts[cell as usize]);
    }

    fn load(&mut self, cell: Cell, bytes: &[u8]) -> Result<usize, StateError> {
        let mut reader = Reader::new(bytes);
        self.counts[cell as usize] = reader.i64()?;
        Ok(reader.used())
    }

    fn state_bytes(&self) -> usize {
        self.counts.capacity() * size_of::<i64>()
    }
}
