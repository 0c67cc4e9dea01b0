//! COUNT_CHANGES over input that only adds rows.
//!
//! A late row may fall between any two others, and whether it makes two changes or none depends
//! on just those two. So a cell that may still get rows keeps the order of every row: 24 bytes
//! each, in order (rows mostly come so, and are appended). A run of equal values cannot be kept
//! as its two ends: of three late rows inside it, the count would depend on which of the run's own
//! rows lie between them. A cell that is only made to be read ([`CellStore::merge_span`]) keeps
//! its ends and its count alone.
//!
//! At most [`MAX_ROWS`] a cell; later rows are left out and counted.

use super::codec::{Reader, put_count, put_i64, put_order};
use super::value::{Codec, Floats};
use super::words::{Table, Token};
use super::{Args, Cell, CellStore, MAX_ROWS, StateError};
use crate::spec::AggregateSpec;
use arrow::array::{ArrayRef, Int64Array, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use std::cmp::Ordering;
use std::sync::Arc;
use tidewheel_core::time::Order;

#[derive(Debug, Clone, Copy)]
struct Row {
    order: Order,
    token: Token,
}

/// What a span of rows is to its neighbours.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: Row,
    last: Row,
    changes: i64,
}

#[derive(Debug, Clone)]
enum State {
    Rows(Vec<Row>),
    Span(Box<Span>),
}

/// The rows of each cell that are not NULL, by order.
#[derive(Debug)]
pub(crate) struct ChangesStore {
    cells: Vec<State>,
    codec: Codec,
    table: Table,
    result: DataType,
    left_out: u64,
    row_bytes: usize,
}

fn changes(rows: &[Row]) -> i64 {
    rows.windows(2)
        .filter(|pair| pair[0].token != pair[1].token)
        .count() as i64
}

impl Span {
    fn of(rows: &[Row]) -> Option<Self> {
        let (first, last) = (rows.first()?, rows.last()?);
        Some(Self {
            first: *first,
            last: *last,
            changes: changes(rows),
        })
    }

    fn then(self, later: Self) -> Self {
        let between = i64::from(self.last.token != later.first.token);
        let changes = self.changes + between + later.changes;
        Self {
            first: self.first,
            last: later.last,
            changes,
        }
    }
}

impl State {
    fn span(&self) -> Option<Span> {
        match self {
            Self::Rows(rows) => Span::of(rows),
            Self::Span(span) => Some(**span),
        }
    }
}

impl ChangesStore {
    pub(crate) fn new(spec: &AggregateSpec) -> Self {
        let arg = spec.arg_types.first().unwrap_or(&DataType::Null);
        let codec = Codec::new(arg, Floats::Grouped);
        Self {
            cells: Vec::new(),
            table: codec.table(),
            codec,
            result: spec.result.clone(),
            left_out: 0,
            row_bytes: 0,
        }
    }

    fn put(&mut self, cell: Cell, state: State) {
        if let State::Rows(rows) = &state {
            self.row_bytes += rows.capacity() * size_of::<Row>();
        }
        self.clear(cell);
        self.cells[cell as usize] = state;
    }
}

fn compare(a: &Row, b: &Row, table: &Table) -> Ordering {
    a.order
        .cmp(&b.order)
        .then_with(|| table.cmp(a.token, b.token))
}

/// Puts a row at its place, and gives what had to go for it.
fn insert(rows: &mut Vec<Row>, row: Row, table: &Table) -> Option<Row> {
    let after = rows
        .last()
        .is_none_or(|last| compare(last, &row, table) != Ordering::Greater);
    if after {
        if rows.len() >= MAX_ROWS {
            return Some(row);
        }
        rows.push(row);
        return None;
    }
    let at = rows.partition_point(|other| compare(other, &row, table) != Ordering::Greater);
    rows.insert(at, row);
    if rows.len() > MAX_ROWS {
        rows.pop()
    } else {
        None
    }
}

impl CellStore for ChangesStore {
    fn grow(&mut self, count: usize) {
        if count > self.cells.len() {
            self.cells.resize_with(count, || State::Rows(Vec::new()));
        }
    }

    fn clear(&mut self, cell: Cell) {
        let state = std::mem::replace(&mut self.cells[cell as usize], State::Rows(Vec::new()));
        match state {
            State::Rows(rows) => {
                self.row_bytes -= rows.capacity() * size_of::<Row>();
                rows.iter().for_each(|row| self.table.release(row.token));
            }
            State::Span(span) => {
                self.table.release(span.first.token);
                self.table.release(span.last.token);
            }
        }
    }

    fn update(&mut self, cells: &[Cell], rows: &[u32], args: &Args<'_>) {
        let Some(column) = args.columns.first() else {
            return;
        };
        let bound = self.codec.bind(column, rows);
        for (i, (&cell, &row)) in cells.iter().zip(rows).enumerate() {
            let Some(val) = bound.get(i) else { continue };
            let State::Rows(held) = &mut self.cells[cell as usize] else {
                debug_assert!(false, "a row for a cell that is made to be read");
                continue;
            };
            let order = Order {
                time: args.time[row as usize],
                seq: args.seq[row as usize],
            };
            let row = Row {
                order,
                token: self.table.hold(val),
            };
            let before = held.capacity();
            if let Some(gone) = insert(held, row, &self.table) {
                self.table.release(gone.token);
                self.left_out += 1;
            }
            self.row_bytes += (held.capacity() - before) * size_of::<Row>();
        }
    }

    fn retract(&mut self, _: &[Cell], _: &[u32], _: &Args<'_>) {
        debug_assert!(false, "made for input that only adds rows");
    }

    fn merge(&mut self, into: Cell, from: Cell) {
        let (State::Rows(held), State::Rows(others)) =
            (&self.cells[into as usize], &self.cells[from as usize])
        else {
            self.merge_span(into, from);
            return;
        };
        let mut merged = Vec::with_capacity(held.len() + others.len());
        let (mut held, mut others) = (held.iter().peekable(), others.iter().peekable());
        while let Some(row) = match (held.peek(), others.peek()) {
            (Some(a), Some(b)) if compare(a, b, &self.table) == Ordering::Greater => others.next(),
            (Some(_), _) => held.next(),
            (None, _) => others.next(),
        } {
            merged.push(*row);
        }
        self.left_out += merged.len().saturating_sub(MAX_ROWS) as u64;
        merged.truncate(MAX_ROWS);
        merged.iter().for_each(|row| self.table.retain(row.token));
        self.put(into, State::Rows(merged));
    }

    fn merge_span(&mut self, into: Cell, from: Cell) {
        let Some(other) = self.cells[from as usize].span() else {
            return;
        };
        let merged = match self.cells[into as usize].span() {
            None => other,
            Some(span) if span.first.order <= other.first.order => span.then(other),
            Some(span) => other.then(span),
        };
        self.table.retain(merged.first.token);
        self.table.retain(merged.last.token);
        self.put(into, State::Span(Box::new(merged)));
    }

    fn read(&mut self, cells: &[Cell]) -> ArrayRef {
        let counts = cells.iter().map(|&cell| match &self.cells[cell as usize] {
            State::Rows(rows) => changes(rows),
            State::Span(span) => span.changes,
        });
        let made: ArrayRef = Arc::new(Int64Array::from_iter_values(counts));
        if self.result == DataType::Int64 {
            return made;
        }
        cast(&made, &self.result).unwrap_or_else(|_| new_null_array(&self.result, cells.len()))
    }

    fn prefetch(&self, cells: &[Cell]) -> u64 {
        let lists = || {
            let states = cells.iter().map(|&cell| &self.cells[cell as usize]);
            states.filter_map(|state| match state {
                State::Rows(rows) => Some(rows),
                State::Span(_) => None,
            })
        };
        let places = lists().map(|rows| rows.as_ptr().addr() ^ rows.len());
        let places = places.fold(0, |read, place| read ^ place as u64);
        let ends = || lists().filter_map(|rows| Some((rows.first()?, rows.last()?)));
        let rows = ends().fold(places, |read, (first, last)| {
            read ^ first.order.seq ^ last.token
        });
        rows ^ self.table.prefetch(ends().map(|(first, _)| first.token))
    }

    fn save(&mut self, cell: Cell, out: &mut Vec<u8>) {
        let put = |row: &Row, out: &mut Vec<u8>| {
            put_order(out, row.order);
            self.codec.save(&self.table, row.token, out);
        };
        match &self.cells[cell as usize] {
            State::Rows(rows) => {
                out.push(0);
                put_count(out, rows.len());
                rows.iter().for_each(|row| put(row, out));
            }
            State::Span(span) => {
                out.push(1);
                put(&span.first, out);
                put(&span.last, out);
                put_i64(out, span.changes);
            }
        }
    }

    fn load(&mut self, cell: Cell, bytes: &[u8]) -> Result<usize, StateError> {
        self.clear(cell);
        let mut reader = Reader::new(bytes);
        let is_span = reader.bool()?;
        let count = if is_span {
            2
        } else {
            reader.count(16 + self.codec.least_saved())?
        };
        let mut read = Vec::with_capacity(count);
        for _ in 0..count {
            read.push((reader.order()?, self.codec.load(&mut reader)?));
        }
        let changes = if is_span { reader.i64()? } else { 0 };
        if read.windows(2).any(|pair| pair[0].0 > pair[1].0) {
            return Err(StateError("rows that are not in order".into()));
        }
        let rows: Vec<Row> = read
            .into_iter()
            .map(|(order, val)| Row {
                order,
                token: self.table.hold(val),
            })
            .collect();
        let state = match rows.as_slice() {
            [first, last] if is_span => State::Span(Box::new(Span {
                first: *first,
                last: *last,
                changes,
            })),
            _ => State::Rows(rows),
        };
        self.put(cell, state);
        Ok(reader.used())
    }

    fn state_bytes(&self) -> usize {
        self.cells.capacity() * size_of::<State>() + self.row_bytes + self.table.state_bytes()
    }

    fn bound_reached(&self) -> u64 {
        self.left_out
    }
}
