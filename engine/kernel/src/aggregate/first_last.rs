//! FIRST_VALUE and LAST_VALUE by the order of events, over input that only adds rows.
//!
//! Should two rows share one order, the smaller value counts as the earlier (NULL before all),
//! so that the result does not hang on which of them came first.

use super::codec::{Reader, put_order};
use super::value::{Codec, Floats};
use super::words::{Table, Token, Val};
use super::{Args, Cell, CellStore, StateError, touch};
use crate::spec::AggregateSpec;
use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use std::cmp::Ordering;
use tidewheel_core::time::Order;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    Nothing,
    Null,
    Value,
}

#[derive(Debug, Clone, Copy)]
struct Sight {
    order: Order,
    token: Token,
    held: Held,
}

const NOTHING: Sight = Sight {
    order: Order { time: 0, seq: 0 },
    token: 0,
    held: Held::Nothing,
};

/// One value and its order a cell: 32 bytes, and each text once for all cells.
#[derive(Debug)]
pub(crate) struct FirstLastStore {
    cells: Vec<Sight>,
    wanted: Ordering,
    ignore_nulls: bool,
    codec: Codec,
    table: Table,
    result: DataType,
}

impl FirstLastStore {
    pub(crate) fn new(spec: &AggregateSpec, last: bool, ignore_nulls: bool) -> Self {
        let arg = spec.arg_types.first().unwrap_or(&DataType::Null);
        let codec = Codec::new(arg, Floats::Total);
        Self {
            cells: Vec::new(),
            wanted: if last {
                Ordering::Greater
            } else {
                Ordering::Less
            },
            ignore_nulls,
            table: codec.table(),
            codec,
            result: spec.result.clone(),
        }
    }
}

fn order_of(args: &Args<'_>, row: u32) -> Order {
    Order {
        time: args.time[row as usize],
        seq: args.seq[row as usize],
    }
}

/// How a row of the same order as a held one compares with it.
fn tie(val: Option<Val<'_>>, held: &Sight, table: &Table) -> Ordering {
    match (val, held.held) {
        (Some(val), Held::Value) => table.cmp_val(val, held.token),
        (Some(_), _) => Ordering::Greater,
        (None, Held::Value) => Ordering::Less,
        (None, _) => Ordering::Equal,
    }
}

impl CellStore for FirstLastStore {
    fn grow(&mut self, count: usize) {
        if count > self.cells.len() {
            self.cells.resize(count, NOTHING);
        }
    }

    fn clear(&mut self, cell: Cell) {
        let held = std::mem::replace(&mut self.cells[cell as usize], NOTHING);
        if held.held == Held::Value {
            self.table.release(held.token);
        }
    }

    fn update(&mut self, cells: &[Cell], rows: &[u32], args: &Args<'_>) {
        let Some(column) = args.columns.first() else {
            return;
        };
        let bound = self.codec.bind(column, rows);
        for (i, (&cell, &row)) in cells.iter().zip(rows).enumerate() {
            let val = bound.get(i);
            if self.ignore_nulls && val.is_none() {
                continue;
            }
            let held = &mut self.cells[cell as usize];
            let order = order_of(args, row);
            if held.held != Held::Nothing {
                let compared = order
                    .cmp(&held.order)
                    .then_with(|| tie(val, held, &self.table));
                if compared != self.wanted {
                    continue;
                }
            }
            // Held before the old one is released: it may be the same value.
            let token = val.map(|val| self.table.hold(val));
            if held.held == Held::Value {
                self.table.release(held.token);
            }
            let kind = if token.is_some() {
                Held::Value
            } else {
                Held::Null
            };
            *held = Sight {
                order,
                token: token.unwrap_or(0),
                held: kind,
            };
        }
    }

    fn retract(&mut self, _: &[Cell], _: &[u32], _: &Args<'_>) {
        debug_assert!(false, "made for input that only adds rows");
    }

    fn merge(&mut self, into: Cell, from: Cell) {
        let other = self.cells[from as usize];
        if other.held == Held::Nothing {
            return;
        }
        let held = &mut self.cells[into as usize];
        let val = (other.held == Held::Value).then(|| self.table.val(other.token));
        if held.held != Held::Nothing {
            let compared = other
                .order
                .cmp(&held.order)
                .then_with(|| tie(val, held, &self.table));
            if compared != self.wanted {
                return;
            }
        }
        if other.held == Held::Value {
            self.table.retain(other.token);
        }
        if held.held == Held::Value {
            self.table.release(held.token);
        }
        *held = other;
    }

    fn read(&mut self, cells: &[Cell]) -> ArrayRef {
        let values = cells.iter().map(|&cell| {
            let held = &self.cells[cell as usize];
            (held.held == Held::Value).then(|| self.table.val(held.token))
        });
        self.codec.array(values, &self.result)
    }

    fn prefetch(&self, cells: &[Cell]) -> u64 {
        // Both ends of each: it may lie on two lines of the processor's cache.
        let ends = |held: &Sight| held.order.seq ^ held.token ^ held.held as u64;
        let tokens = cells.iter().map(|&cell| self.cells[cell as usize].token);
        touch(&self.cells, cells, ends) ^ self.table.prefetch(tokens)
    }

    fn save(&mut self, cell: Cell, out: &mut Vec<u8>) {
        let held = self.cells[cell as usize];
        out.push(match held.held {
            Held::Nothing => 0,
            Held::Null => 1,
            Held::Value => 2,
        });
        if held.held != Held::Nothing {
            put_order(out, held.order);
        }
        if held.held == Held::Value {
            self.codec.save(&self.table, held.token, out);
        }
    }

    fn load(&mut self, cell: Cell, bytes: &[u8]) -> Result<usize, StateError> {
        self.clear(cell);
        let mut reader = Reader::new(bytes);
        self.cells[cell as usize] = match reader.u8()? {
            0 => NOTHING,
            1 => Sight {
                order: reader.order()?,
                token: 0,
                held: Held::Null,
            },
            2 => {
                let order = reader.order()?;
                let val = self.codec.load(&mut reader)?;
                Sight {
                    order,
                    token: self.table.hold(val),
                    held: Held::Value,
                }
            }
            other => return Err(StateError(format!("{other} is no kind of a held value"))),
        };
        Ok(reader.used())
    }

    fn state_bytes(&self) -> usize {
        self.cells.capacity() * size_of::<Sight>() + self.table.state_bytes()
    }
}
