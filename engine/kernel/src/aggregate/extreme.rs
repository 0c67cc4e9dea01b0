//! MIN and MAX over input that only adds rows.
//!
//! Doubles order as IEEE 754's total order has it (as in Arrow's kernels): NaN is the largest,
//! -0.0 is below 0.0. Text orders by its bytes.

use super::codec::Reader;
use super::value::{Codec, Floats};
use super::words::{Table, Token, Val};
use super::{Args, Cell, CellStore, StateError, touch};
use crate::spec::AggregateSpec;
use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use std::cmp::Ordering;

/// One value a cell: nine bytes, and each text once for all cells.
#[derive(Debug)]
pub(crate) struct ExtremeStore {
    tokens: Vec<Token>,
    some: Vec<bool>,
    wanted: Ordering,
    codec: Codec,
    table: Table,
    result: DataType,
}

impl ExtremeStore {
    pub(crate) fn new(spec: &AggregateSpec, largest: bool) -> Self {
        let arg = spec.arg_types.first().unwrap_or(&DataType::Null);
        let codec = Codec::new(arg, Floats::Total);
        Self {
            tokens: Vec::new(),
            some: Vec::new(),
            wanted: if largest {
                Ordering::Greater
            } else {
                Ordering::Less
            },
            table: codec.table(),
            codec,
            result: spec.result.clone(),
        }
    }
}

/// Adds a value to a cell.
#[inline]
fn offer(token: &mut Token, some: &mut bool, val: Val<'_>, wanted: Ordering, table: &mut Table) {
    if *some {
        if table.cmp_val(val, *token) != wanted {
            return;
        }
        table.release(*token);
    }
    *token = table.hold(val);
    *some = true;
}

impl CellStore for ExtremeStore {
    fn grow(&mut self, count: usize) {
        if count > self.tokens.len() {
            self.tokens.resize(count, 0);
            self.some.resize(count, false);
        }
    }

    fn clear(&mut self, cell: Cell) {
        let cell = cell as usize;
        if self.some[cell] {
            self.table.release(self.tokens[cell]);
            self.some[cell] = false;
            self.tokens[cell] = 0;
        }
    }

    fn update(&mut self, cells: &[Cell], rows: &[u32], args: &Args<'_>) {
        let Some(column) = args.columns.first() else {
            return;
        };
        let bound = self.codec.bind(column, rows);
        if let Some(words) = bound.words() {
            for (&cell, &word) in cells.iter().zip(words) {
                let cell = cell as usize;
                if !self.some[cell] || word.cmp(&self.tokens[cell]) == self.wanted {
                    self.tokens[cell] = word;
                    self.some[cell] = true;
                }
            }
            return;
        }
        for (i, &cell) in cells.iter().enumerate() {
            let Some(val) = bound.get(i) else { continue };
            let cell = cell as usize;
            let token = &mut self.tokens[cell];
            offer(
                token,
                &mut self.some[cell],
                val,
                self.wanted,
                &mut self.table,
            );
        }
    }

    fn retract(&mut self, _: &[Cell], _: &[u32], _: &Args<'_>) {
        debug_assert!(false, "made for input that only adds rows");
    }

    fn merge(&mut self, into: Cell, from: Cell) {
        let (into, from) = (into as usize, from as usize);
        if !self.some[from] {
            return;
        }
        let token = self.tokens[from];
        if self.some[into] {
            if self.table.cmp(token, self.tokens[into]) != self.wanted {
                return;
            }
            self.table.release(self.tokens[into]);
        }
        self.table.retain(token);
        self.tokens[into] = token;
        self.some[into] = true;
    }

    fn read(&mut self, cells: &[Cell]) -> ArrayRef {
        let values = cells.iter().map(|&cell| {
            let cell = cell as usize;
            self.some[cell].then(|| self.table.val(self.tokens[cell]))
        });
        self.codec.array(values, &self.result)
    }

    fn prefetch(&self, cells: &[Cell]) -> u64 {
        let some = touch(&self.some, cells, |some| u64::from(*some));
        let tokens = cells.iter().map(|&cell| self.tokens[cell as usize]);
        some ^ touch(&self.tokens, cells, |token| *token) ^ self.table.prefetch(tokens)
    }

    fn save(&mut self, cell: Cell, out: &mut Vec<u8>) {
        let cell = cell as usize;
        out.push(u8::from(self.some[cell]));
        if self.some[cell] {
            self.codec.save(&self.table, self.tokens[cell], out);
        }
    }

    fn load(&mut self, cell: Cell, bytes: &[u8]) -> Result<usize, StateError> {
        self.clear(cell);
        let mut reader = Reader::new(bytes);
        if reader.bool()? {
            let val = self.codec.load(&mut reader)?;
            self.tokens[cell as usize] = self.table.hold(val);
            self.some[cell as usize] = true;
        }
        Ok(reader.used())
    }

    fn state_bytes(&self) -> usize {
        self.tokens.capacity() * size_of::<Token>()
            + self.some.capacity()
            + self.table.state_bytes()
    }
}
