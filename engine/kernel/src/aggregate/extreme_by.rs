//! MIN_BY and MAX_BY over input that only adds rows.
//!
//! Rows whose order value is NULL are skipped. Ties: MIN_BY takes the earliest row, MAX_BY the
//! latest; should two rows share one order too, the smaller value counts as the earlier (NULL
//! before all).

use super::codec::{Reader, put_order};
use super::value::{Codec, Floats};
use super::words::{Table, Token, Val};
use super::{Args, Cell, CellStore, StateError};
use crate::spec::AggregateSpec;
use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use std::cmp::Ordering;
use tidewheel_core::time::Order;

#[derive(Debug, Clone, Copy)]
struct Best {
    order: Order,
    by: Token,
    value: Option<Token>,
}

/// The best row's two values and its order a cell: 48 bytes, and each text once for all cells.
#[derive(Debug)]
pub(crate) struct ExtremeByStore {
    cells: Vec<Option<Best>>,
    wanted: Ordering,
    by: Codec,
    by_table: Table,
    value: Codec,
    value_table: Table,
    result: DataType,
}

impl ExtremeByStore {
    pub(crate) fn new(spec: &AggregateSpec, largest: bool) -> Self {
        let arg = |at: usize| spec.arg_types.get(at).unwrap_or(&DataType::Null);
        let (value, by) = (
            Codec::new(arg(0), Floats::Total),
            Codec::new(arg(1), Floats::Total),
        );
        Self {
            cells: Vec::new(),
            wanted: if largest {
                Ordering::Greater
            } else {
                Ordering::Less
            },
            by_table: by.table(),
            by,
            value_table: value.table(),
            value,
            result: spec.result.clone(),
        }
    }
}

/// Releases what a cell held.
fn drop_best(best: Option<Best>, by: &mut Table, values: &mut Table) {
    if let Some(best) = best {
        by.release(best.by);
        if let Some(value) = best.value {
            values.release(value);
        }
    }
}

fn compare(
    by: Val<'_>,
    order: Order,
    value: Option<Val<'_>>,
    held: &Best,
    by_table: &Table,
    values: &Table,
) -> Ordering {
    let tie = || match (value, held.value) {
        (Some(value), Some(held)) => values.cmp_val(value, held),
        (value, held) => value.is_some().cmp(&held.is_some()),
    };
    by_table
        .cmp_val(by, held.by)
        .then_with(|| order.cmp(&held.order))
        .then_with(tie)
}

impl CellStore for ExtremeByStore {
    fn grow(&mut self, count: usize) {
        if count > self.cells.len() {
            self.cells.resize(count, None);
        }
    }

    fn clear(&mut self, cell: Cell) {
        let best = self.cells[cell as usize].take();
        drop_best(best, &mut self.by_table, &mut self.value_table);
    }

    fn update(&mut self, cells: &[Cell], rows: &[u32], args: &Args<'_>) {
        let [values, bys] = args.columns else { return };
        let values = self.value.bind(values, rows);
        let bys = self.by.bind(bys, rows);
        for (i, (&cell, &row)) in cells.iter().zip(rows).enumerate() {
            let Some(by) = bys.get(i) else { continue };
            let value = values.get(i);
            let order = Order {
                time: args.time[row as usize],
                seq: args.seq[row as usize],
            };
            let held = &mut self.cells[cell as usize];
            if let Some(held) = held {
                let compared = compare(by, order, value, held, &self.by_table, &self.value_table);
                if compared != self.wanted {
                    continue;
                }
            }
            let by = self.by_table.hold(by);
            let value = value.map(|value| self.value_table.hold(value));
            let old = held.replace(Best { order, by, value });
            drop_best(old, &mut self.by_table, &mut self.value_table);
        }
    }

    fn retract(&mut self, _: &[Cell], _: &[u32], _: &Args<'_>) {
        debug_assert!(false, "made for input that only adds rows");
    }

    fn merge(&mut self, into: Cell, from: Cell) {
        let Some(other) = self.cells[from as usize] else {
            return;
        };
        let held = &mut self.cells[into as usize];
        if let Some(held) = held {
            let by = self.by_table.val(other.by);
            let value = other.value.map(|value| self.value_table.val(value));
            let compared = compare(
                by,
                other.order,
                value,
                held,
                &self.by_table,
                &self.value_table,
            );
            if compared != self.wanted {
                return;
            }
        }
        self.by_table.retain(other.by);
        if let Some(value) = other.value {
            self.value_table.retain(value);
        }
        let old = held.replace(other);
        drop_best(old, &mut self.by_table, &mut self.value_table);
    }

    fn read(&mut self, cells: &[Cell]) -> ArrayRef {
        let values = cells.iter().map(|&cell| {
            let value = self.cells[cell as usize].and_then(|best| best.value);
            value.map(|value| self.value_table.val(value))
        });
        self.value.array(values, &self.result)
    }

    fn prefetch(&self, cells: &[Cell]) -> u64 {
        let best = || cells.iter().filter_map(|&cell| self.cells[cell as usize]);
        let ends = best().fold(0, |read, best| read ^ best.order.seq ^ best.by);
        ends ^ self.by_table.prefetch(best().map(|best| best.by))
            ^ self
                .value_table
                .prefetch(best().filter_map(|best| best.value))
    }

    fn save(&mut self, cell: Cell, out: &mut Vec<u8>) {
        let Some(best) = self.cells[cell as usize] else {
            out.push(0);
            return;
        };
        out.push(if best.value.is_some() { 2 } else { 1 });
        put_order(out, best.order);
        self.by.save(&self.by_table, best.by, out);
        if let Some(value) = best.value {
            self.value.save(&self.value_table, value, out);
        }
    }

    fn load(&mut self, cell: Cell, bytes: &[u8]) -> Result<usize, StateError> {
        self.clear(cell);
        let mut reader = Reader::new(bytes);
        let kind = reader.u8()?;
        if kind > 2 {
            return Err(StateError(format!("{kind} is no kind of a held value")));
        }
        if kind > 0 {
            let order = reader.order()?;
            let by = self.by.load(&mut reader)?;
            let value = if kind == 2 {
                Some(self.value.load(&mut reader)?)
            } else {
                None
            };
            let by = self.by_table.hold(by);
            let value = value.map(|value| self.value_table.hold(value));
            self.cells[cell as usize] = Some(Best { order, by, value });
        }
        Ok(reader.used())
    }

    fn state_bytes(&self) -> usize {
        self.cells.capacity() * size_of::<Option<Best>>()
            + self.by_table.state_bytes()
            + self.value_table.state_bytes()
    }
}
