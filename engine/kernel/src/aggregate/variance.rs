//! Variance and standard deviation, from exact sums of the values and of their squares.
//!
//! Each square goes in as its rounded value and its exact error, and the difference of the sums
//! is taken in exact arithmetic too: better than 1e-9 relative while the mean is below 1e11
//! standard deviations. Free of order, mergeable, subtractable.
//! Values beyond 1e150 have no square among the doubles; their variance is NaN, as is that of
//! infinities and NaN. Squares below 1e-290 lose their error term.
//!
//! The error is kept whole, though the squares of fractions then often need more than two words
//! (a third of a kilobyte a cell): with a shortened one, equal values would not have variance 0.

use super::codec::{Reader, put_i64};
use super::exact::{Exact, Wides};
use super::{Args, Cell, CellStore, StateError, touch};
use crate::spec::AggregateSpec;
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use std::sync::Arc;

#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    rows: i64,
    sum: Exact,
    squares: Exact,
}

/// 40 bytes a cell.
#[derive(Debug)]
pub(crate) struct VarianceStore {
    cells: Vec<Moments>,
    wides: Wides,
    sample: bool,
    stddev: bool,
    result: DataType,
}

/// A product's rounded value and its exact error.
fn two_product(a: f64, b: f64) -> (f64, f64) {
    let product = a * b;
    if !product.is_finite() {
        return (product, 0.0);
    }
    (product, a.mul_add(b, -product))
}

impl VarianceStore {
    pub(crate) fn new(spec: &AggregateSpec, sample: bool, stddev: bool) -> Self {
        let result = spec.result.clone();
        Self {
            cells: Vec::new(),
            wides: Wides::default(),
            sample,
            stddev,
            result,
        }
    }

    fn apply(&mut self, cells: &[Cell], rows: &[u32], args: &Args<'_>, add: bool) {
        let Some(column) = args.columns.first() else {
            return;
        };
        let count = column.len();
        let column = cast(column, &DataType::Float64)
            .unwrap_or_else(|_| new_null_array(&DataType::Float64, count));
        let values = column.as_primitive::<Float64Type>();
        for (&cell, &row) in cells.iter().zip(rows) {
            if values.is_null(row as usize) {
                continue;
            }
            let x = values.value(row as usize);
            let (square, error) = two_product(x, x);
            let moments = &mut self.cells[cell as usize];
            let sums = [(&mut moments.sum, x), (&mut moments.squares, square)];
            if add {
                moments.rows += 1;
                sums.into_iter()
                    .for_each(|(sum, x)| sum.add(x, &mut self.wides));
                moments.squares.add(error, &mut self.wides);
            } else {
                moments.rows -= 1;
                sums.into_iter()
                    .for_each(|(sum, x)| sum.remove(x, &mut self.wides));
                moments.squares.remove(error, &mut self.wides);
            }
        }
    }

    fn combine(&mut self, into: Cell, from: Cell, sign: i64) {
        let from = self.cells[from as usize];
        let into = &mut self.cells[into as usize];
        into.rows += sign * from.rows;
        into.sum.merge(from.sum, sign, &mut self.wides);
        into.squares.merge(from.squares, sign, &mut self.wides);
    }

    fn value(&mut self, cell: Cell) -> Option<f64> {
        let moments = &mut self.cells[cell as usize];
        let divisor = moments.rows - i64::from(self.sample);
        if moments.rows <= 0 || divisor <= 0 {
            return None;
        }
        let rows = moments.rows as f64;
        let (high, low) = moments.sum.words(&mut self.wides);
        let (squares, rest) = moments.squares.words(&mut self.wides);
        if !(high.is_finite() && squares.is_finite()) {
            return Some(f64::NAN);
        }
        // rows * squares - sum * sum, over rows * divisor.
        let mut wides = Wides::default();
        let mut scaled = Exact::default();
        for (a, b) in [
            (rows, squares),
            (rows, rest),
            (-high, high),
            (-high, low),
            (-high, low),
            (-low, low),
        ] {
            let (product, error) = two_product(a, b);
            scaled.add(product, &mut wides);
            scaled.add(error, &mut wides);
        }
        let variance = (scaled.value(&mut wides) / rows / divisor as f64).max(0.0);
        Some(if self.stddev {
            variance.sqrt()
        } else {
            variance
        })
    }
}

impl CellStore for VarianceStore {
    fn grow(&mut self, count: usize) {
        if count > self.cells.len() {
            self.cells.resize_with(count, Default::default);
        }
    }

    fn clear(&mut self, cell: Cell) {
        let moments = &mut self.cells[cell as usize];
        moments.rows = 0;
        moments.sum.clear(&mut self.wides);
        moments.squares.clear(&mut self.wides);
    }

    fn update(&mut self, cells: &[Cell], rows: &[u32], args: &Args<'_>) {
        self.apply(cells, rows, args, true);
    }

    fn retract(&mut self, cells: &[Cell], rows: &[u32], args: &Args<'_>) {
        self.apply(cells, rows, args, false);
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
        let values: Float64Array = cells.iter().map(|&cell| self.value(cell)).collect();
        let made: ArrayRef = Arc::new(values);
        if self.result == DataType::Float64 {
            return made;
        }
        cast(&made, &self.result).unwrap_or_else(|_| new_null_array(&self.result, cells.len()))
    }

    fn prefetch(&self, cells: &[Cell]) -> u64 {
        touch(&self.cells, cells, |moments| moments.rows as u64)
    }

    fn save(&mut self, cell: Cell, out: &mut Vec<u8>) {
        let moments = self.cells[cell as usize];
        put_i64(out, moments.rows);
        moments.sum.save(&self.wides, out);
        moments.squares.save(&self.wides, out);
    }

    fn load(&mut self, cell: Cell, bytes: &[u8]) -> Result<usize, StateError> {
        self.clear(cell);
        let mut reader = Reader::new(bytes);
        let rows = reader.i64()?;
        let sum = Exact::load(&mut reader, &mut self.wides)?;
        // In the cell at once, so that a failure below leaves nothing behind that none refers to.
        self.cells[cell as usize].sum = sum;
        let squares = Exact::load(&mut reader, &mut self.wides);
        match squares {
            Ok(squares) => self.cells[cell as usize] = Moments { rows, sum, squares },
            Err(error) => {
                self.clear(cell);
                return Err(error);
            }
        }
        Ok(reader.used())
    }

    fn state_bytes(&self) -> usize {
        self.cells.capacity() * size_of::<Moments>() + self.wides.state_bytes()
    }
}
