//! Stores that keep the rows of a cell in order, with counts.
//!
//! Two uses. Lists (ARRAY_AGG, STRING_AGG) need all values. And where input takes rows back,
//! MIN, MAX, FIRST, LAST, MIN_BY, MAX_BY and COUNT_CHANGES need what came second. Rows are kept
//! as sort key, order, value; each result is read off that one order. A row taken back before it
//! is added counts below zero until it comes.
//!
//! Where no rows are taken back, a list keeps no more than its cap of rows, the earliest: exact
//! in any order of rows. At most [`MAX_ROWS`] a cell at all; later rows are left out and counted.

use super::codec::{Reader, put_count, put_i64, put_order};
use super::value::{Codec, Floats, text};
use super::words::Val;
use super::{Args, Cell, CellStore, MAX_ROWS, StateError};
use crate::spec::{AggregateKind, AggregateSpec};
use arrow::array::{ArrayRef, Int64Array, LargeStringArray, ListArray, new_null_array};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::sync::Arc;
use tidewheel_core::time::Order;

/// A value, or NULL, which sorts first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Owned {
    Null,
    Word(u64),
    Bytes(Box<[u8]>),
}

impl Owned {
    fn of(val: Option<Val<'_>>) -> Self {
        match val {
            None => Self::Null,
            Some(Val::Word(word)) => Self::Word(word),
            Some(Val::Bytes(bytes)) => Self::Bytes(bytes.into()),
        }
    }

    fn val(&self) -> Option<Val<'_>> {
        match self {
            Self::Null => None,
            Self::Word(word) => Some(Val::Word(*word)),
            Self::Bytes(bytes) => Some(Val::Bytes(bytes)),
        }
    }

    fn heap(&self) -> usize {
        if let Self::Bytes(bytes) = self {
            bytes.len()
        } else {
            0
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    /// What MIN_BY and MAX_BY sort by; NULL for the others.
    by: Owned,
    order: Order,
    value: Owned,
}

impl Row {
    fn heap(&self) -> usize {
        // A tree's nodes are two thirds full on average.
        (size_of::<Self>() + size_of::<i64>()) * 3 / 2 + self.by.heap() + self.value.heap()
    }
}

/// Which of an argument's parts make a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// The value only.
    Value,
    /// Order and value.
    Ordered,
    /// Sort key, order and value.
    By,
}

/// The rows of each cell, sorted.
#[derive(Debug)]
pub(crate) struct MultisetStore {
    cells: Vec<BTreeMap<Row, i64>>,
    kind: AggregateKind,
    keep: Keep,
    nulls: bool,
    cap: usize,
    retracting: bool,
    value: Codec,
    by: Codec,
    result: DataType,
    left_out: u64,
    heap: usize,
}

impl MultisetStore {
    pub(crate) fn new(spec: &AggregateSpec, retracting: bool) -> Self {
        let arg = |at: usize| spec.arg_types.get(at).unwrap_or(&DataType::Null);
        let floats = match spec.kind {
            AggregateKind::CountChanges => Floats::Grouped,
            _ => Floats::Total,
        };
        let keep = match spec.kind {
            AggregateKind::Min | AggregateKind::Max => Keep::Value,
            AggregateKind::MinBy | AggregateKind::MaxBy => Keep::By,
            _ => Keep::Ordered,
        };
        let nulls = match spec.kind {
            AggregateKind::First { ignore_nulls } | AggregateKind::Last { ignore_nulls } => {
                !ignore_nulls
            }
            AggregateKind::MinBy | AggregateKind::MaxBy | AggregateKind::ArrayAgg { .. } => true,
            _ => false,
        };
        let cap = match spec.kind {
            AggregateKind::ArrayAgg { cap } if !retracting => cap.min(MAX_ROWS),
            _ => MAX_ROWS,
        };
        Self {
            cells: Vec::new(),
            kind: spec.kind.clone(),
            keep,
            nulls,
            cap,
            retracting,
            value: Codec::new(arg(0), floats),
            by: Codec::new(
                if keep == Keep::By {
                    arg(1)
                } else {
                    &DataType::Null
                },
                Floats::Total,
            ),
            result: spec.result.clone(),
            left_out: 0,
            heap: 0,
        }
    }

    fn count(&mut self, cell: Cell, row: Row, by: i64) {
        let rows = &mut self.cells[cell as usize];
        let full = rows.len() >= self.cap;
        if full && self.retracting && !rows.contains_key(&row) {
            self.left_out += by.unsigned_abs();
            return;
        }
        match rows.entry(row) {
            Slot::Vacant(slot) => {
                self.heap += slot.key().heap();
                slot.insert(by);
            }
            Slot::Occupied(mut slot) => {
                *slot.get_mut() += by;
                if *slot.get() == 0 {
                    self.heap = self.heap.saturating_sub(slot.key().heap());
                    slot.remove();
                }
            }
        }
        if rows.len() > self.cap
            && let Some((gone, count)) = rows.pop_last()
        {
            self.heap = self.heap.saturating_sub(gone.heap());
            self.left_out += count.unsigned_abs();
        }
    }

    fn apply(&mut self, cells: &[Cell], rows: &[u32], args: &Args<'_>, by: i64) {
        let Some(column) = args.columns.first() else {
            return;
        };
        let none = Codec::new(&DataType::Null, Floats::Total);
        let mut value_codec = std::mem::replace(&mut self.value, none);
        let none = Codec::new(&DataType::Null, Floats::Total);
        let mut by_codec = std::mem::replace(&mut self.by, none);
        let values = value_codec.bind(column, rows);
        let bys = match args.columns.get(1) {
            Some(column) if self.keep == Keep::By => Some(by_codec.bind(column, rows)),
            _ => None,
        };
        for (i, (&cell, &row)) in cells.iter().zip(rows).enumerate() {
            let value = Owned::of(values.get(i));
            let key = Owned::of(bys.as_ref().and_then(|bys| bys.get(i)));
            let skip = (value == Owned::Null && !self.nulls)
                || (self.keep == Keep::By && key == Owned::Null);
            if skip {
                continue;
            }
            let order = match self.keep {
                Keep::Value => Order { time: 0, seq: 0 },
                _ => Order {
                    time: args.time[row as usize],
                    seq: args.seq[row as usize],
                },
            };
            self.count(
                cell,
                Row {
                    by: key,
                    order,
                    value,
                },
                by,
            );
        }
        self.value = value_codec;
        self.by = by_codec;
    }

    /// The rows of a cell that count.
    fn live(&self, cell: Cell) -> impl DoubleEndedIterator<Item = (&Row, i64)> {
        let rows = self.cells[cell as usize].iter();
        rows.map(|(row, count)| (row, *count))
            .filter(|(_, count)| *count > 0)
    }

    /// The values of a cell, each as often as it counts, and at most [`MAX_ROWS`] of them.
    fn each(&self, cell: Cell) -> impl Iterator<Item = &Owned> {
        let repeated = self.live(cell).flat_map(|(row, count)| {
            std::iter::repeat_n(&row.value, usize::try_from(count).unwrap_or(0))
        });
        repeated.take(MAX_ROWS)
    }

    fn lists(&self, cells: &[Cell], cap: usize) -> Option<ArrayRef> {
        let (DataType::List(field) | DataType::LargeList(field)) = &self.result else {
            return None;
        };
        let mut flat = Vec::new();
        let mut offsets = vec![0];
        let mut some = Vec::with_capacity(cells.len());
        for &cell in cells {
            flat.extend(self.each(cell).take(cap).map(Owned::val));
            offsets.push(i32::try_from(flat.len()).ok()?);
            some.push(self.live(cell).next().is_some());
        }
        let values = self.value.array(flat.into_iter(), field.data_type());
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let nulls = Some(NullBuffer::from(some)).filter(|nulls| nulls.null_count() > 0);
        let list = ListArray::try_new(field.clone(), offsets, values, nulls).ok()?;
        if matches!(self.result, DataType::LargeList(_)) {
            return cast(&list, &self.result).ok();
        }
        Some(Arc::new(list))
    }

    fn joined(&self, cells: &[Cell], separator: &str) -> Option<ArrayRef> {
        let join = |&cell: &Cell| {
            let mut joined: Option<String> = None;
            for value in self.each(cell) {
                let value = text(value.val()).unwrap_or_default();
                match &mut joined {
                    Some(joined) => {
                        joined.push_str(separator);
                        joined.push_str(value);
                    }
                    None => joined = Some(value.to_owned()),
                }
            }
            joined
        };
        let joined: LargeStringArray = cells.iter().map(join).collect();
        cast(&joined, &self.result).ok()
    }

    fn changes(&self, cell: Cell) -> i64 {
        let mut last: Option<&Owned> = None;
        let mut changes = 0;
        for (row, _) in self.live(cell) {
            changes += i64::from(last.is_some_and(|last| *last != row.value));
            last = Some(&row.value);
        }
        changes
    }

    /// The one row that MIN, MAX, FIRST, LAST, MIN_BY or MAX_BY reads.
    fn chosen(&self, cell: Cell) -> Option<Val<'_>> {
        let mut rows = self.live(cell);
        let last = matches!(
            self.kind,
            AggregateKind::Max | AggregateKind::Last { .. } | AggregateKind::MaxBy
        );
        let found = if last { rows.next_back() } else { rows.next() };
        found.and_then(|(row, _)| row.value.val())
    }

    fn put_value(codec: &Codec, value: &Owned, out: &mut Vec<u8>) {
        match value.val() {
            None => out.push(0),
            Some(val) => {
                out.push(1);
                codec.save_val(val, out);
            }
        }
    }

    fn read_row(&self, reader: &mut Reader<'_>) -> Result<(Row, i64), StateError> {
        let by = if reader.bool()? {
            Some(self.by.load(reader)?)
        } else {
            None
        };
        let order = reader.order()?;
        let value = if reader.bool()? {
            Some(self.value.load(reader)?)
        } else {
            None
        };
        let row = Row {
            by: Owned::of(by),
            order,
            value: Owned::of(value),
        };
        Ok((row, reader.i64()?))
    }
}

impl CellStore for MultisetStore {
    fn grow(&mut self, count: usize) {
        if count > self.cells.len() {
            self.cells.resize_with(count, BTreeMap::new);
        }
    }

    fn clear(&mut self, cell: Cell) {
        let rows = std::mem::take(&mut self.cells[cell as usize]);
        let gone: usize = rows.keys().map(Row::heap).sum();
        self.heap = self.heap.saturating_sub(gone);
    }

    fn update(&mut self, cells: &[Cell], rows: &[u32], args: &Args<'_>) {
        self.apply(cells, rows, args, 1);
    }

    fn retract(&mut self, cells: &[Cell], rows: &[u32], args: &Args<'_>) {
        self.apply(cells, rows, args, -1);
    }

    fn merge(&mut self, into: Cell, from: Cell) {
        let other = std::mem::take(&mut self.cells[from as usize]);
        for (row, count) in &other {
            self.count(into, row.clone(), *count);
        }
        self.cells[from as usize] = other;
    }

    fn subtractable(&self) -> bool {
        self.retracting
    }

    fn subtract(&mut self, into: Cell, from: Cell) {
        let other = std::mem::take(&mut self.cells[from as usize]);
        for (row, count) in &other {
            self.count(into, row.clone(), -count);
        }
        self.cells[from as usize] = other;
    }

    fn read(&mut self, cells: &[Cell]) -> ArrayRef {
        let made = match &self.kind {
            AggregateKind::ArrayAgg { cap } => self.lists(cells, *cap),
            AggregateKind::StringAgg { separator } => self.joined(cells, separator),
            AggregateKind::CountChanges => {
                let counts = cells.iter().map(|&cell| self.changes(cell));
                cast(&Int64Array::from_iter_values(counts), &self.result).ok()
            }
            _ => {
                let values = cells.iter().map(|&cell| self.chosen(cell));
                Some(self.value.array(values, &self.result))
            }
        };
        made.unwrap_or_else(|| new_null_array(&self.result, cells.len()))
    }

    fn save(&mut self, cell: Cell, out: &mut Vec<u8>) {
        let rows = &self.cells[cell as usize];
        put_count(out, rows.len());
        for (row, count) in rows {
            Self::put_value(&self.by, &row.by, out);
            put_order(out, row.order);
            Self::put_value(&self.value, &row.value, out);
            put_i64(out, *count);
        }
    }

    fn load(&mut self, cell: Cell, bytes: &[u8]) -> Result<usize, StateError> {
        self.clear(cell);
        let mut reader = Reader::new(bytes);
        let count = reader.count(1 + 16 + 1 + 8)?;
        let mut rows = BTreeMap::new();
        for _ in 0..count {
            let (row, count) = self.read_row(&mut reader)?;
            rows.insert(row, count);
        }
        self.heap += rows.keys().map(Row::heap).sum::<usize>();
        self.cells[cell as usize] = rows;
        Ok(reader.used())
    }

    fn state_bytes(&self) -> usize {
        self.cells.capacity() * size_of::<BTreeMap<Row, i64>>() + self.heap
    }

    fn bound_reached(&self) -> u64 {
        self.left_out
    }
}
