//! The operator of OVER: rows in, a changelog of rows with their calls' values out.

mod finals;
mod save;

use super::OverCall;
use super::calls::{CallKind, Calls, KeyWork, Lagged, Work, lagged};
use super::state::{Entry, KeyState, Open};
use crate::change::OperatorStats;
use crate::input::Input;
use crate::rows::{RowCodec, select};
use crate::saved::ChangedKeys;
use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use finals::Finals;
use hashbrown::HashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use tidewheel_core::time::{END_OF_TIME, NO_TIME};
use tidewheel_core::{EventTime, Order};

/// What a batch of rows changed.
#[derive(Debug, Clone)]
pub struct OverBatch {
    /// The input's columns, then one a call.
    pub rows: RecordBatch,
    /// For each row, true where it is taken back: it was emitted before, exactly so.
    pub retract: Vec<bool>,
    /// Event time of each row.
    pub time: Vec<EventTime>,
    /// Second part of each row's order; with the time and the key it is the row's identity.
    pub seq: Vec<u64>,
    /// The rows of the input that were late, by their number in the batch.
    pub late: Vec<u32>,
}

/// OVER windows of one PARTITION BY and ORDER BY time.
#[derive(Debug)]
pub struct OverOperator {
    input_types: Vec<DataType>,
    schema: SchemaRef,
    calls: Calls,
    row_codec: RowCodec,
    args_codec: RowCodec,
    values_codec: RowCodec,
    by_key: HashMap<Box<[u8]>, u32>,
    states: Vec<KeyState>,
    free: Vec<u32>,
    /// One a key, for when rows of it become final or needless.
    timers: BinaryHeap<Reverse<(EventTime, u32)>>,
    watermark: EventTime,
    late_rows: u64,
    rows_held: u64,
    bytes: usize,
    /// What changed since the last save, where there was one.
    changed: Option<ChangedKeys>,
    /// Where each row is emitted once: those that became final and were not taken yet.
    finals: Option<Finals>,
}

impl OverOperator {
    /// An operator over rows of columns of `input_types`, of which `output` shows the first ones
    /// and then one column for each call.
    ///
    /// # Errors
    /// A column that is not there, an aggregate that the kernel cannot compute, or a type that
    /// has no row format.
    pub fn new(
        input_types: Vec<DataType>,
        output: SchemaRef,
        calls: &[OverCall],
    ) -> Result<Self, ArrowError> {
        let shown = output.fields().len().checked_sub(calls.len());
        let Some(shown) = shown.filter(|&shown| shown <= input_types.len()) else {
            return Err(ArrowError::InvalidArgumentError(format!(
                "{} output columns do not fit {} input columns and {} calls",
                output.fields().len(),
                input_types.len(),
                calls.len()
            )));
        };
        let calls = Calls::new(calls, &input_types)?;
        Ok(Self {
            row_codec: RowCodec::new(&input_types[..shown])?,
            args_codec: RowCodec::new(calls.columns.iter().map(|&column| &input_types[column]))?,
            values_codec: RowCodec::new(
                output.fields()[shown..]
                    .iter()
                    .map(|field| field.data_type()),
            )?,
            input_types,
            schema: output,
            calls,
            by_key: HashMap::new(),
            states: Vec::new(),
            free: Vec::new(),
            timers: BinaryHeap::new(),
            watermark: NO_TIME,
            late_rows: 0,
            rows_held: 0,
            bytes: 0,
            changed: None,
            finals: None,
        })
    }

    /// Takes in rows, in any order, and gives what they change. Rows at or behind the watermark
    /// before them are late. The last row's watermark then makes rows final. An operator that
    /// emits each row [`once`](Self::once) gives those.
    ///
    /// # Errors
    /// The input's columns are not of the operator's types.
    pub fn process(&mut self, input: &Input<'_>) -> Result<OverBatch, ArrowError> {
        self.check(input)?;
        let (mut taken, mut late) = (Vec::with_capacity(input.rows.len()), Vec::new());
        for &row in input.rows {
            let at = row as usize;
            if input.watermark[at].max(self.watermark) >= input.time[at] {
                late.push(row);
            } else {
                taken.push(row);
            }
        }
        self.late_rows += late.len() as u64;
        let touched = self.insert(input, &taken)?;
        let work = self.work(&touched)?;
        let mut batch = self.emit(&work, late)?;
        if let Some(&watermark) = input.watermark.last() {
            self.advance(watermark)?;
        }
        if let Some(finals) = self.take_final()? {
            batch = OverBatch {
                late: batch.late,
                ..finals
            };
        }
        Ok(batch)
    }

    /// Tells the watermark: rows that it has passed become final, and what no frame needs any
    /// more goes.
    ///
    /// # Errors
    /// Rows that were kept cannot be read; not to be expected.
    pub fn advance(&mut self, watermark: EventTime) -> Result<(), ArrowError> {
        if watermark <= self.watermark {
            return Ok(());
        }
        self.watermark = watermark;
        let mut due = Vec::new();
        while let Some(&Reverse((time, slot))) = self.timers.peek() {
            if time > self.watermark {
                break;
            }
            self.timers.pop();
            let state = &mut self.states[slot as usize];
            if state.timer == time {
                state.timer = END_OF_TIME;
                due.push(slot);
            }
        }
        self.make_final(&due)?;
        for slot in due {
            self.trim(slot);
        }
        Ok(())
    }

    /// Counters; `slices` are rows.
    #[must_use]
    pub fn stats(&self) -> OperatorStats {
        let of_keys = self.states.len() * size_of::<KeyState>();
        OperatorStats {
            keys: self.by_key.len() as u64,
            slices: self.rows_held,
            late_rows: self.late_rows,
            unknown_retractions: 0,
            bound_reached: self.calls.bound_reached(),
            state_bytes: (self.bytes + of_keys + self.calls.state_bytes()) as u64,
        }
    }

    fn check(&self, input: &Input<'_>) -> Result<(), ArrowError> {
        let fits = input.columns.len() == self.input_types.len()
            && input
                .columns
                .iter()
                .zip(&self.input_types)
                .all(|(column, data_type)| {
                    column.data_type() == data_type && column.len() == input.time.len()
                })
            && input.seq.len() == input.time.len()
            && input.watermark.len() == input.time.len()
            && input.keys.len() == input.time.len();
        if fits && input.retract.is_none() {
            return Ok(());
        }
        Err(ArrowError::InvalidArgumentError(
            "OVER takes rows that are only added, of the columns it was made for".to_owned(),
        ))
    }

    /// Puts rows in their places; gives the keys that got some, in the order of their first.
    fn insert(&mut self, input: &Input<'_>, taken: &[u32]) -> Result<Vec<u32>, ArrowError> {
        let columns = select(input.columns, taken, input.time.len())?;
        let shown = self.schema.fields().len() - self.calls.calls.len();
        let rows = self.row_codec.encode(&columns[..shown])?;
        let read: Vec<ArrayRef> = self
            .calls
            .columns
            .iter()
            .map(|&column| Arc::clone(&columns[column]))
            .collect();
        let args = self.args_codec.encode(&read)?;
        let mut touched = Vec::new();
        for (at, &row) in taken.iter().enumerate() {
            let row = row as usize;
            let slot = self.slot(input.keys.key(row));
            let mut nulls = 0;
            for (bit, &column) in self.calls.null_columns.iter().enumerate() {
                nulls |= u64::from(read[column].is_null(at)) << bit;
            }
            let entry = Entry {
                order: Order {
                    time: input.time[row],
                    seq: input.seq[row],
                },
                args: args.row(at).into(),
                nulls,
                open: Some(Open {
                    row: rows.row(at).into(),
                    values: None,
                }),
            };
            self.bytes += entry.bytes();
            self.rows_held += 1;
            if self.states[slot as usize].insert(entry) {
                touched.push(slot);
            }
            self.set_timer(slot, input.time[row]);
        }
        self.calls.grow(self.states.len());
        Ok(touched)
    }

    /// What is to be computed for keys that got rows.
    fn work(&mut self, touched: &[u32]) -> Result<Work, ArrowError> {
        let mut keys = Vec::with_capacity(touched.len());
        let mut needed: Vec<&[u8]> = Vec::new();
        let (mut time, mut seq) = (Vec::new(), Vec::new());
        for &slot in touched {
            let state = &self.states[slot as usize];
            let Some(first) = state.first_new else {
                continue;
            };
            let from = if self.calls.needs.peers {
                state.first_peer(first)
            } else {
                first
            };
            let in_order = state.has_head && from == state.len_before;
            let needed_from = self.calls.needed_from(state, from, in_order);
            let key = KeyWork {
                slot,
                from,
                len: state.rows.len(),
                needed_from,
                place: needed.len(),
                in_order,
            };
            for entry in state.rows.range(needed_from..) {
                needed.push(&entry.args);
                time.push(entry.order.time);
                seq.push(entry.order.seq);
            }
            keys.push(key);
        }
        let mut found = std::collections::HashMap::new();
        for call in &self.calls.calls {
            let CallKind::Lag {
                offset,
                null_bit,
                history,
                ..
            } = call.kind
            else {
                continue;
            };
            for key in &keys {
                let state = &self.states[key.slot as usize];
                for row in key.from..key.len {
                    let Lagged::Final(at) = lagged(state, row, offset, null_bit, history) else {
                        continue;
                    };
                    found.entry((key.slot, history, at)).or_insert_with(|| {
                        needed.push(&state.lags[history][at]);
                        (needed.len() - 1) as u32
                    });
                }
            }
        }
        let columns = self.args_codec.decode(needed.iter().copied())?;
        for key in &keys {
            let state = &mut self.states[key.slot as usize];
            state.first_new = None;
            state.has_head = true;
        }
        Ok(Work {
            keys,
            columns,
            time,
            seq,
            lagged: found,
        })
    }

    /// Computes the work's rows, and emits those whose values are new.
    fn emit(&mut self, work: &Work, late: Vec<u32>) -> Result<OverBatch, ArrowError> {
        let shown = self.schema.fields().len() - self.calls.calls.len();
        let mut values = Vec::with_capacity(self.calls.calls.len());
        for (call, field) in self
            .calls
            .calls
            .iter_mut()
            .zip(&self.schema.fields()[shown..])
        {
            values.push(cast(&call.values(work, &self.states)?, field.data_type())?);
        }
        let values = self.values_codec.encode(&values)?;
        let (mut retract, mut time, mut seq) = (Vec::new(), Vec::new(), Vec::new());
        let mut old_values: Vec<Box<[u8]>> = Vec::new();
        // For each row that goes out: its key and number, and its new value or old one.
        let mut out: Vec<(u32, usize, usize)> = Vec::new();
        let mut at = 0;
        for key in &work.keys {
            for row in key.from..key.len {
                let entry = &mut self.states[key.slot as usize].rows[row];
                let Some(open) = entry.open.as_mut() else {
                    continue;
                };
                let (number, new) = (at, values.row(at));
                at += 1;
                let is_same = open.values.as_ref().is_some_and(|old| old.as_ref() == new);
                if !is_same {
                    self.bytes += new.len();
                    let old = open.values.replace(new.into());
                    self.bytes -= old.as_ref().map_or(0, |old| old.len());
                    if self.finals.is_some() {
                        continue;
                    }
                    if let Some(old) = old {
                        out.push((key.slot, row, old_values.len()));
                        old_values.push(old);
                        retract.push(true);
                        time.push(entry.order.time);
                        seq.push(entry.order.seq);
                    }
                    out.push((key.slot, row, number));
                    retract.push(false);
                    time.push(entry.order.time);
                    seq.push(entry.order.seq);
                }
            }
        }
        let open = |&(slot, row, _): &(u32, usize, usize)| -> &[u8] {
            self.states[slot as usize].rows[row]
                .open
                .as_ref()
                .map_or(&[], |open| &open.row)
        };
        let mut columns = self.row_codec.decode(out.iter().map(open))?;
        let shown_values = out.iter().zip(&retract).map(|(&(_, _, at), &is_old)| {
            if is_old {
                old_values[at].as_ref()
            } else {
                values.row(at)
            }
        });
        columns.extend(self.values_codec.decode(shown_values)?);
        let rows = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        Ok(OverBatch {
            rows,
            retract,
            time,
            seq,
            late,
        })
    }

    /// Makes the rows final that the watermark has passed, of keys that have such.
    fn make_final(&mut self, due: &[u32]) -> Result<(), ArrowError> {
        let (mut slots, mut time, mut seq) = (Vec::new(), Vec::new(), Vec::new());
        let mut args: Vec<Arc<[u8]>> = Vec::new();
        for &slot in due {
            let state = &mut self.states[slot as usize];
            while let Some(entry) = state.rows.get_mut(state.done) {
                if entry.order.time > self.watermark {
                    break;
                }
                self.bytes -= entry.bytes();
                let open = entry.open.take();
                if let Some(finals) = &mut self.finals {
                    finals.add(entry.order, open);
                }
                self.bytes += entry.bytes();
                slots.push(slot);
                time.push(entry.order.time);
                seq.push(entry.order.seq);
                args.push(Arc::clone(&entry.args));
                for call in &self.calls.calls {
                    let CallKind::Lag {
                        offset,
                        null_bit,
                        history,
                        ..
                    } = call.kind
                    else {
                        continue;
                    };
                    let is_skipped = null_bit.is_some_and(|bit| entry.nulls >> bit & 1 == 1);
                    if offset == 0 || is_skipped {
                        continue;
                    }
                    let kept = &mut state.lags[history];
                    kept.push_back(Arc::clone(&entry.args));
                    self.bytes += entry.args.len();
                    if kept.len() > offset
                        && let Some(gone) = kept.pop_front()
                    {
                        self.bytes -= gone.len();
                    }
                }
                state.done += 1;
                state.count += 1;
            }
        }
        if slots.is_empty() {
            return Ok(());
        }
        let columns = self.args_codec.decode(args.iter().map(AsRef::as_ref))?;
        self.calls.add_final(&slots, &columns, &time, &seq);
        Ok(())
    }

    /// Drops the final rows of a key that no frame needs, and the key where nothing needs it.
    fn trim(&mut self, slot: u32) {
        let needs = self.calls.needs;
        let state = &mut self.states[slot as usize];
        let is_old = |time: EventTime| {
            needs
                .range
                .is_none_or(|range| time.saturating_add(range) <= self.watermark)
        };
        while state.done as u64 > needs.rows && is_old(state.rows[0].order.time) {
            if let Some(entry) = state.rows.pop_front() {
                self.bytes -= entry.bytes();
                self.rows_held -= 1;
            }
            state.done -= 1;
        }
        // A queue that grew in a burst gives its room back.
        if state.rows.capacity() > 4 * state.rows.len() {
            state.rows.shrink_to_fit();
        }
        if state.done == state.rows.len() && state.has_head {
            state.has_head = false;
            self.calls.clear_head(slot);
        }
        if let Some(next) = self.next_due(slot) {
            self.set_timer(slot, next);
        } else if self.states[slot as usize].rows.is_empty() && !needs.key {
            self.release(slot);
        }
    }

    /// When the next row of a key becomes final, or needless.
    fn next_due(&self, slot: u32) -> Option<EventTime> {
        let needs = self.calls.needs;
        let state = &self.states[slot as usize];
        let next_open = state.rows.get(state.done).map(|entry| entry.order.time);
        let next_old = match (needs.range, state.rows.front()) {
            (Some(range), Some(entry)) if state.done as u64 > needs.rows => {
                Some(entry.order.time.saturating_add(range))
            }
            _ => None,
        };
        next_open.into_iter().chain(next_old).min()
    }

    fn slot(&mut self, key: &[u8]) -> u32 {
        if let Some(&slot) = self.by_key.get(key) {
            self.touch(slot);
            return slot;
        }
        let state = KeyState::new(key.into(), self.calls.lag_offsets.len());
        let slot = if let Some(slot) = self.free.pop() {
            self.states[slot as usize] = state;
            slot
        } else {
            self.states.push(state);
            u32::try_from(self.states.len() - 1).unwrap_or(u32::MAX)
        };
        self.bytes += 2 * key.len();
        self.by_key.insert(key.into(), slot);
        self.touch(slot);
        slot
    }

    fn touch(&mut self, slot: u32) {
        if let Some(changed) = &mut self.changed {
            changed.touch(slot);
        }
    }

    fn release(&mut self, slot: u32) {
        let empty = KeyState::new(Box::default(), 0);
        let old = std::mem::replace(&mut self.states[slot as usize], empty);
        self.by_key.remove(&old.key);
        self.bytes -= 2 * old.key.len();
        self.calls.clear(slot);
        self.free.push(slot);
        if let Some(changed) = &mut self.changed
            && !changed.forget(slot, &old.key, self.by_key.len())
        {
            self.changed = None;
        }
    }

    fn set_timer(&mut self, slot: u32, due: EventTime) {
        let state = &mut self.states[slot as usize];
        if due < state.timer {
            state.timer = due;
            self.timers.push(Reverse((due, slot)));
        }
    }
}
