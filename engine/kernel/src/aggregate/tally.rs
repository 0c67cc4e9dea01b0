//! Counts of values: COUNT, SUM and AVG (DISTINCT x), MODE, HISTOGRAM and LIST_DISTINCT.
//!
//! All of these over one argument and the same rows share one store: each cell has each value
//! once, with its count. Lists are apart from the others where rows are never taken back: they
//! need the first sight of a value, which a running tally loses when a slice is subtracted, and
//! they keep no more than their cap.
//!
//! **What a cap means.** A list of at most `n` keeps the `n` values of earliest first sight. It
//! is exact in any order of rows: a value that had to go was first seen after all that stay, and
//! comes back only by a row that is earlier. Of equal first sights the smaller value is first.
//! Where rows are taken back all values are kept, and the cap applies to what is read.
//!
//! At most [`MAX_ROWS`] values a cell; values beyond are left out and counted.
//!
//! NaN is one value, and -0.0 and 0.0 are one.

use super::bag::{Bag, Entry};
use super::codec::{Reader, put_count, put_i64};
use super::sight::Sight;
use super::sum::{Decimals, Floats as FloatSums, Signed, SumStore, Unsigned};
use super::value::{Codec, Floats};
use super::words::{Table, Token};
use super::{Args, Cell, CellStore, MAX_ROWS, StateError};
use crate::spec::{AggregateKind, AggregateSpec};
use arrow::array::{ArrayRef, Int64Array, ListArray, MapArray, StructArray, new_null_array};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Fields};
use std::cmp::Ordering;
use std::sync::Arc;
use tidewheel_core::time::Order;

/// Values with counts in each cell, and the aggregates read from them.
#[derive(Debug)]
pub(crate) struct TallyStore<S: Sight> {
    cells: Vec<Bag<S>>,
    outputs: Vec<AggregateSpec>,
    cap: usize,
    capped: bool,
    codec: Codec,
    table: Table,
    left_out: u64,
    heap: usize,
}

/// What became of a value that a cell was to get.
enum Kept {
    Yes,
    /// It or another had to go: this token is to be released, and its sight's bytes are free.
    LeftOut(Token, usize),
}

impl<S: Sight> TallyStore<S> {
    /// A store that serves all of `outputs`, which have one argument and choose the same rows.
    pub(crate) fn new(outputs: Vec<AggregateSpec>, retracting: bool) -> Self {
        let arg = outputs.first().and_then(|spec| spec.arg_types.first());
        let codec = Codec::new(arg.unwrap_or(&DataType::Null), Floats::Grouped);
        let cap = |spec: &AggregateSpec| match spec.kind {
            AggregateKind::ListDistinct { cap } => Some(cap.min(MAX_ROWS)),
            _ => None,
        };
        let caps: Option<Vec<usize>> = outputs.iter().map(cap).collect();
        let cap = caps
            .filter(|_| !retracting)
            .and_then(|caps| caps.into_iter().max());
        Self {
            cells: Vec::new(),
            outputs,
            cap: cap.unwrap_or(MAX_ROWS),
            capped: cap.is_some(),
            table: codec.table(),
            codec,
            left_out: 0,
            heap: 0,
        }
    }

    /// Adds a value that a bag does not have. The bag takes over the caller's reference.
    fn insert(&mut self, cell: Cell, entry: Entry<S>) -> Kept {
        let bag = &mut self.cells[cell as usize];
        if bag.entries().len() < self.cap {
            bag.push(entry);
            return Kept::Yes;
        }
        let first = |a: &Entry<S>, b: &Entry<S>| {
            let orders = a.sight.order(false).cmp(&b.sight.order(false));
            orders.then_with(|| self.table.cmp(a.token, b.token))
        };
        let latest = (0..bag.entries().len())
            .filter(|_| self.capped)
            .max_by(|a, b| first(&bag.entries()[*a], &bag.entries()[*b]));
        match latest {
            Some(at) if first(&entry, &bag.entries()[at]) == Ordering::Less => {
                let gone = bag.remove(at);
                bag.push(entry);
                Kept::LeftOut(gone.token, gone.sight.heap())
            }
            _ => Kept::LeftOut(entry.token, entry.sight.heap()),
        }
    }

    fn insert_counted(&mut self, cell: Cell, entry: Entry<S>) {
        let before = self.cells[cell as usize].heap();
        let mut sights = entry.sight.heap();
        if let Kept::LeftOut(token, heap) = self.insert(cell, entry) {
            self.table.release(token);
            self.left_out += 1;
            sights = sights.saturating_sub(heap);
        }
        self.heap = (self.heap + self.cells[cell as usize].heap() + sights).saturating_sub(before);
    }

    fn remove(&mut self, cell: Cell, at: usize) {
        let bag = &mut self.cells[cell as usize];
        let before = bag.heap();
        let gone = bag.remove(at);
        self.heap = (self.heap + bag.heap()).saturating_sub(before + gone.sight.heap());
        self.table.release(gone.token);
    }

    /// The values of a cell that count.
    fn live(&self, cell: Cell) -> impl Iterator<Item = &Entry<S>> {
        self.cells[cell as usize]
            .entries()
            .iter()
            .filter(|entry| entry.count > 0)
    }

    fn mode(&self, cell: Cell) -> Option<Token> {
        let newest = |a: &&Entry<S>, b: &&Entry<S>| {
            let counts = a.count.cmp(&b.count);
            let orders = || a.sight.order(true).cmp(&b.sight.order(true));
            counts
                .then_with(orders)
                .then_with(|| self.table.cmp(a.token, b.token))
        };
        self.live(cell).max_by(newest).map(|entry| entry.token)
    }

    /// The values of several cells one after another, each cell's in an order of meaning, and
    /// where each cell's begin.
    fn flat<F>(&self, cells: &[Cell], cap: usize, order: F) -> (Vec<&Entry<S>>, OffsetBuffer<i32>)
    where
        F: Fn(&Entry<S>, &Entry<S>) -> Ordering,
    {
        let mut flat = Vec::new();
        let mut offsets = vec![0];
        for &cell in cells {
            let start = flat.len();
            flat.extend(self.live(cell));
            flat[start..].sort_unstable_by(|a, b| order(a, b));
            flat.truncate(start.saturating_add(cap));
            offsets.push(i32::try_from(flat.len()).unwrap_or(i32::MAX));
        }
        (flat, OffsetBuffer::new(ScalarBuffer::from(offsets)))
    }

    fn values(&self, entries: &[&Entry<S>], result: &DataType) -> ArrayRef {
        let values = entries
            .iter()
            .map(|entry| Some(self.table.val(entry.token)));
        self.codec.array(values, result)
    }

    fn histogram(&self, cells: &[Cell], result: &DataType) -> Option<ArrayRef> {
        let DataType::Map(field, sorted) = result else {
            return None;
        };
        let DataType::Struct(fields) = field.data_type() else {
            return None;
        };
        let [key, value] = fields.as_ref() else {
            return None;
        };
        let by_value = |a: &Entry<S>, b: &Entry<S>| self.table.cmp(a.token, b.token);
        let (entries, offsets) = self.flat(cells, usize::MAX, by_value);
        let keys = self.values(&entries, key.data_type());
        let counts = Int64Array::from_iter_values(entries.iter().map(|entry| entry.count));
        let counts = cast(&counts, value.data_type()).ok()?;
        let fields: Fields = fields.clone();
        let pairs = StructArray::try_new(fields, vec![keys, counts], None).ok()?;
        let map = MapArray::try_new(field.clone(), offsets, pairs, None, *sorted).ok()?;
        Some(Arc::new(map))
    }

    fn list(&self, cells: &[Cell], cap: usize, result: &DataType) -> Option<ArrayRef> {
        let (DataType::List(field) | DataType::LargeList(field)) = result else {
            return None;
        };
        let by_sight = |a: &Entry<S>, b: &Entry<S>| {
            let orders = a.sight.order(false).cmp(&b.sight.order(false));
            orders.then_with(|| self.table.cmp(a.token, b.token))
        };
        let (entries, offsets) = self.flat(cells, cap, by_sight);
        let values = self.values(&entries, field.data_type());
        let list = ListArray::try_new(field.clone(), offsets, values, None).ok()?;
        if matches!(result, DataType::LargeList(_)) {
            return cast(&list, result).ok();
        }
        Some(Arc::new(list))
    }

    /// SUM or AVG over each value once.
    fn sums(&mut self, cells: &[Cell], spec: &AggregateSpec) -> ArrayRef {
        let (entries, offsets) =
            self.flat(cells, usize::MAX, |a, b| self.table.cmp(a.token, b.token));
        let arg = spec.arg_types.first().unwrap_or(&DataType::Null);
        let values = self.values(&entries, arg);
        let rows: Vec<u32> = (0..entries.len() as u32).collect();
        let mut owners: Vec<Cell> = Vec::with_capacity(entries.len());
        for (owner, pair) in offsets.windows(2).enumerate() {
            owners.resize(pair[1] as usize, owner as Cell);
        }
        let mut store: Box<dyn CellStore> = match arg {
            arg if arg.is_unsigned_integer() => Box::new(SumStore::<Unsigned>::new(spec)),
            arg if arg.is_signed_integer() => Box::new(SumStore::<Signed>::new(spec)),
            DataType::Decimal128(_, _) => Box::new(SumStore::<Decimals>::new(spec)),
            _ => Box::new(SumStore::<FloatSums>::new(spec)),
        };
        store.grow(cells.len());
        store.update(
            &owners,
            &rows,
            &Args {
                columns: &[values],
                time: &[],
                seq: &[],
            },
        );
        let all: Vec<Cell> = (0..cells.len() as Cell).collect();
        let array = store.read(&all);
        self.left_out += store.bound_reached();
        array
    }

    fn output(&mut self, cells: &[Cell], at: usize) -> ArrayRef {
        let spec = self.outputs[at].clone();
        let null = || new_null_array(&spec.result, cells.len());
        match &spec.kind {
            AggregateKind::Mode => {
                let tokens: Vec<_> = cells.iter().map(|&cell| self.mode(cell)).collect();
                let values = tokens
                    .iter()
                    .map(|token| token.map(|token| self.table.val(token)));
                self.codec.array(values, &spec.result)
            }
            AggregateKind::Histogram => self.histogram(cells, &spec.result).unwrap_or_else(null),
            AggregateKind::ListDistinct { cap } => {
                self.list(cells, *cap, &spec.result).unwrap_or_else(null)
            }
            AggregateKind::SumDistinct | AggregateKind::AvgDistinct => self.sums(cells, &spec),
            _ => {
                let counts = cells.iter().map(|&cell| self.live(cell).count() as i64);
                let counts = Int64Array::from_iter_values(counts);
                cast(&counts, &spec.result).unwrap_or_else(|_| null())
            }
        }
    }
}

impl<S: Sight> CellStore for TallyStore<S> {
    fn grow(&mut self, count: usize) {
        if count > self.cells.len() {
            self.cells.resize_with(count, Bag::default);
        }
    }

    fn clear(&mut self, cell: Cell) {
        let bag = std::mem::take(&mut self.cells[cell as usize]);
        let sights: usize = bag.entries().iter().map(|entry| entry.sight.heap()).sum();
        self.heap = self.heap.saturating_sub(bag.heap() + sights);
        bag.entries()
            .iter()
            .for_each(|entry| self.table.release(entry.token));
    }

    fn update(&mut self, cells: &[Cell], rows: &[u32], args: &Args<'_>) {
        let Some(column) = args.columns.first() else {
            return;
        };
        // Out of the store while its values are looked at: the cells are changed meanwhile.
        let none = Codec::new(&DataType::Null, Floats::Grouped);
        let mut codec = std::mem::replace(&mut self.codec, none);
        let bound = codec.bind(column, rows);
        for (i, (&cell, &row)) in cells.iter().zip(rows).enumerate() {
            let Some(val) = bound.get(i) else { continue };
            let order = Order {
                time: args.time[row as usize],
                seq: args.seq[row as usize],
            };
            let token = self.table.hold(val);
            let bag = &mut self.cells[cell as usize];
            if let Some(at) = bag.find(token) {
                let entry = bag.entry(at);
                entry.count += 1;
                self.heap -= entry.sight.heap();
                entry.sight.add(order);
                self.heap += entry.sight.heap();
                if entry.count == 0 && entry.sight.is_empty() {
                    self.remove(cell, at);
                }
                self.table.release(token);
            } else {
                self.insert_counted(
                    cell,
                    Entry {
                        token,
                        count: 1,
                        sight: S::one(order),
                    },
                );
            }
        }
        self.codec = codec;
    }

    fn retract(&mut self, cells: &[Cell], rows: &[u32], args: &Args<'_>) {
        let Some(column) = args.columns.first() else {
            return;
        };
        // Out of the store while its values are looked at: the cells are changed meanwhile.
        let none = Codec::new(&DataType::Null, Floats::Grouped);
        let mut codec = std::mem::replace(&mut self.codec, none);
        let bound = codec.bind(column, rows);
        for (i, (&cell, &row)) in cells.iter().zip(rows).enumerate() {
            let Some(val) = bound.get(i) else { continue };
            let order = Order {
                time: args.time[row as usize],
                seq: args.seq[row as usize],
            };
            let token = self.table.hold(val);
            let bag = &mut self.cells[cell as usize];
            if let Some(at) = bag.find(token) {
                let entry = bag.entry(at);
                entry.count -= 1;
                self.heap -= entry.sight.heap();
                entry.sight.remove(order);
                self.heap += entry.sight.heap();
                if entry.count == 0 && entry.sight.is_empty() {
                    self.remove(cell, at);
                }
                self.table.release(token);
            } else {
                let mut sight = S::one(order);
                sight.remove(order);
                sight.remove(order);
                self.insert_counted(
                    cell,
                    Entry {
                        token,
                        count: -1,
                        sight,
                    },
                );
            }
        }
        self.codec = codec;
    }

    fn merge(&mut self, into: Cell, from: Cell) {
        let other = std::mem::take(&mut self.cells[from as usize]);
        for entry in other.entries() {
            let bag = &mut self.cells[into as usize];
            if let Some(at) = bag.find(entry.token) {
                let held = bag.entry(at);
                held.count += entry.count;
                self.heap -= held.sight.heap();
                held.sight.merge(&entry.sight);
                self.heap += held.sight.heap();
                if held.count == 0 && held.sight.is_empty() {
                    self.remove(into, at);
                }
            } else {
                self.table.retain(entry.token);
                self.insert_counted(into, entry.clone());
            }
        }
        self.cells[from as usize] = other;
    }

    fn subtractable(&self) -> bool {
        S::SUBTRACTABLE
    }

    fn subtract(&mut self, into: Cell, from: Cell) {
        let other = std::mem::take(&mut self.cells[from as usize]);
        for entry in other.entries() {
            let bag = &mut self.cells[into as usize];
            let Some(at) = bag.find(entry.token) else {
                continue;
            };
            let held = bag.entry(at);
            held.count -= entry.count;
            self.heap -= held.sight.heap();
            held.sight.subtract(&entry.sight);
            self.heap += held.sight.heap();
            if held.count == 0 && held.sight.is_empty() {
                self.remove(into, at);
            }
        }
        self.cells[from as usize] = other;
    }

    fn outputs(&self) -> usize {
        self.outputs.len()
    }

    fn read(&mut self, cells: &[Cell]) -> ArrayRef {
        self.output(cells, 0)
    }

    fn read_all(&mut self, cells: &[Cell]) -> Vec<ArrayRef> {
        (0..self.outputs.len())
            .map(|at| self.output(cells, at))
            .collect()
    }

    fn prefetch(&self, cells: &[Cell]) -> u64 {
        let bags = || {
            let bags = cells.iter().map(|&cell| &self.cells[cell as usize]);
            bags.map(Bag::entries)
        };
        let places = bags().map(|entries| entries.as_ptr().addr() ^ entries.len());
        let places = places.fold(0, |read, place| read ^ place as u64);
        let ends = || bags().filter_map(|entries| Some((entries.first()?, entries.last()?)));
        let sights = ends().fold(places, |read, (_, last)| {
            read ^ last.token ^ last.sight.order(true).seq
        });
        let tokens = ends().map(|(first, _)| first.token);
        sights ^ self.table.prefetch(tokens)
    }

    fn save(&mut self, cell: Cell, out: &mut Vec<u8>) {
        let bag = &self.cells[cell as usize];
        put_count(out, bag.entries().len());
        for entry in bag.entries() {
            self.codec.save(&self.table, entry.token, out);
            put_i64(out, entry.count);
            entry.sight.save(out);
        }
    }

    fn load(&mut self, cell: Cell, bytes: &[u8]) -> Result<usize, StateError> {
        self.clear(cell);
        let mut reader = Reader::new(bytes);
        let count = reader.count(self.codec.least_saved() + 8 + S::LEAST_SAVED)?;
        for _ in 0..count {
            let read = (|| {
                let val = self.codec.load(&mut reader)?;
                let (count, sight) = (reader.i64()?, S::load(&mut reader)?);
                Ok((val, count, sight))
            })();
            let (val, count, sight) = match read {
                Ok(read) => read,
                Err(error) => {
                    self.clear(cell);
                    return Err(error);
                }
            };
            let token = self.table.hold(val);
            if self.cells[cell as usize].find(token).is_some() {
                self.table.release(token);
                self.clear(cell);
                return Err(StateError("one value twice in a set".into()));
            }
            self.insert_counted(
                cell,
                Entry {
                    token,
                    count,
                    sight,
                },
            );
        }
        Ok(reader.used())
    }

    fn state_bytes(&self) -> usize {
        self.cells.capacity() * size_of::<Bag<S>>() + self.heap + self.table.state_bytes()
    }

    fn bound_reached(&self) -> u64 {
        self.left_out
    }
}
