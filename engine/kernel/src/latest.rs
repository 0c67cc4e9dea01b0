//! The newest row of each key, by event time, ties by the second part of the order.
//!
//! From rows that are only ever added, one row a key is held. From a changelog with retractions
//! (that of OVER) the rows that the watermark has not passed are held as well, since each of them
//! may still be taken back; of those that it has passed only the newest matters.

mod save;

use crate::change::{Changes, OperatorStats, RowState};
use crate::rows::{RowCodec, select};
use crate::saved::ChangedKeys;
use arrow::array::{Array, ArrayRef, BooleanArray, new_null_array};
use arrow::compute::kernels::zip::zip;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use hashbrown::HashMap;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use tidewheel_core::time::{END_OF_TIME, NO_TIME};
use tidewheel_core::{EventTime, Order};

/// The rows of a batch that are for this operator.
#[derive(Debug, Clone, Copy)]
pub struct LatestInput<'a> {
    /// The input's columns.
    pub columns: &'a [ArrayRef],
    /// Which rows of the batch to take.
    pub rows: &'a [u32],
    /// Event time of each row of the batch.
    pub time: &'a [EventTime],
    /// Second part of each row's order.
    pub seq: &'a [u64],
    /// For changelog inputs: true where the row is taken back.
    pub retract: Option<&'a [bool]>,
}

/// The newest row of each key.
#[derive(Debug)]
pub struct LatestOperator {
    schema: SchemaRef,
    key_columns: Vec<usize>,
    /// Microseconds of event time that a key lives after its newest row.
    state_ttl: Option<i64>,
    key_codec: RowCodec,
    row_codec: RowCodec,
    by_key: HashMap<Box<[u8]>, u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Freed slots that the reader has not been told of: not used again until it has.
    freed: Vec<u32>,
    dirty: VecDeque<u32>,
    /// One timer a key with a time to live: due at or before the key's end.
    timers: BinaryHeap<Reverse<(EventTime, u32)>>,
    /// Keys that hold rows which the watermark will make needless.
    to_prune: BinaryHeap<Reverse<(EventTime, u32)>>,
    frontier: EventTime,
    watermark: EventTime,
    unknown_retractions: u64,
    bytes: usize,
    /// The reader may have any key.
    standing: bool,
    /// What changed since the last save, where there was one.
    changed: Option<ChangedKeys>,
}

#[derive(Debug)]
struct Slot {
    key: Box<[u8]>,
    /// Ascending by order; the last is the key's newest. Empty in a slot that is free.
    rows: Vec<(Order, Box<[u8]>)>,
    /// What readers have: the newest row's order and bytes.
    shown: Option<(Order, Box<[u8]>)>,
    dirty: bool,
    /// To be taken though nothing changed.
    again: bool,
    urgent: bool,
    /// When its timer is due, `END_OF_TIME` without one; timers of other times are void.
    timer: EventTime,
}

impl Slot {
    fn new(key: Box<[u8]>) -> Self {
        Self {
            key,
            rows: Vec::new(),
            shown: None,
            dirty: false,
            again: false,
            urgent: false,
            timer: END_OF_TIME,
        }
    }
}

impl LatestOperator {
    /// An operator over rows of `schema`, by the columns `keys`. With `state_ttl` (microseconds
    /// of event time), a key ends that long after its newest row.
    ///
    /// # Errors
    /// A column index is out of range, or a type has no row format.
    pub fn new(
        schema: SchemaRef,
        keys: Vec<usize>,
        state_ttl: Option<i64>,
    ) -> Result<Self, ArrowError> {
        if let Some(column) = keys.iter().find(|&&column| column >= schema.fields().len()) {
            let text = format!("there is no input column {column}");
            return Err(ArrowError::InvalidArgumentError(text));
        }
        Ok(Self {
            key_codec: RowCodec::new(keys.iter().map(|&column| schema.field(column).data_type()))?,
            row_codec: RowCodec::new(schema.fields().iter().map(|field| field.data_type()))?,
            schema,
            key_columns: keys,
            state_ttl,
            by_key: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            freed: Vec::new(),
            dirty: VecDeque::new(),
            timers: BinaryHeap::new(),
            to_prune: BinaryHeap::new(),
            frontier: NO_TIME,
            watermark: NO_TIME,
            unknown_retractions: 0,
            bytes: 0,
            standing: false,
            changed: None,
        })
    }

    /// Takes in rows, in any order; of rows of one key and one order, the last one stays.
    ///
    /// # Errors
    /// The columns are not of the operator's schema.
    pub fn process(&mut self, input: &LatestInput<'_>) -> Result<(), ArrowError> {
        let columns = select(input.columns, input.rows, input.time.len())?;
        if columns.len() != self.schema.fields().len() {
            let text = format!(
                "{} columns, not {}",
                columns.len(),
                self.schema.fields().len()
            );
            return Err(ArrowError::InvalidArgumentError(text));
        }
        let key_columns: Vec<ArrayRef> = self
            .key_columns
            .iter()
            .map(|&column| columns[column].clone())
            .collect();
        let keys = self.key_codec.encode(&key_columns)?;
        let rows = self.row_codec.encode(&columns)?;
        for (at, &row) in input.rows.iter().enumerate() {
            let row = row as usize;
            let order = Order {
                time: input.time[row],
                seq: input.seq[row],
            };
            if self.standing {
                self.assume_key_live(keys.row(at), order, rows.row(at));
            }
            match input.retract {
                Some(retract) if retract[row] => self.retract(keys.row(at), order),
                retract => self.insert(keys.row(at), order, rows.row(at), retract.is_some()),
            }
        }
        Ok(())
    }

    /// Moves event time on: keys whose newest row is older than the time to live end, and rows
    /// that the watermark has made needless go.
    pub fn advance(&mut self, frontier: EventTime, watermark: EventTime) {
        self.frontier = self.frontier.max(frontier);
        self.watermark = self.watermark.max(watermark);
        while let Some(&Reverse((time, slot))) = self.to_prune.peek() {
            if time > self.watermark {
                break;
            }
            self.to_prune.pop();
            self.prune(slot);
        }
        while let Some(&Reverse((due, slot))) = self.timers.peek() {
            if due > self.frontier {
                break;
            }
            self.timers.pop();
            let state = &mut self.slots[slot as usize];
            if state.timer != due {
                continue;
            }
            state.timer = END_OF_TIME;
            let end = self.end_of(slot);
            if end <= self.frontier {
                self.end(slot);
            } else {
                self.set_timer(slot, end);
            }
        }
    }

    /// The keys that changed since the last call, at most `max`; `None` where there are none.
    ///
    /// `aggregates` are all columns of the input; of a key that ended, all but the key columns
    /// are NULL, though the schema may say that they never are. The window columns are
    /// [`NO_TIME`] and [`END_OF_TIME`].
    ///
    /// # Errors
    /// The rows do not fit the schema; not to be expected.
    pub fn take_changes(&mut self, max: usize) -> Result<Option<Changes>, ArrowError> {
        let mut slots = Vec::new();
        while slots.len() < max.max(1) {
            let Some(slot) = self.dirty.pop_front() else {
                break;
            };
            let state = &mut self.slots[slot as usize];
            state.dirty = false;
            let now = state.rows.last();
            let again = std::mem::take(&mut state.again);
            if !again
                && now.map(|(_, bytes)| bytes) == state.shown.as_ref().map(|(_, bytes)| bytes)
                && now.map(|(order, _)| order) == state.shown.as_ref().map(|(order, _)| order)
            {
                if now.is_none() {
                    self.free(slot);
                }
                continue;
            }
            slots.push(slot);
        }
        if slots.is_empty() {
            return Ok(None);
        }
        let changes = self.changes(&slots)?;
        for slot in slots {
            let state = &mut self.slots[slot as usize];
            // What time alone did it will do again after a restore.
            if std::mem::take(&mut state.urgent)
                && let Some(changed) = &mut self.changed
            {
                changed.touch(slot);
            }
            state.shown = state.rows.last().cloned();
            if state.rows.is_empty() {
                self.free(slot);
            }
        }
        Ok(Some(changes))
    }

    /// The slots freed since the last call; only then are they used again.
    pub fn take_freed(&mut self) -> Vec<u32> {
        let freed = std::mem::take(&mut self.freed);
        self.free.extend(&freed);
        freed
    }

    /// Marks some keys to be taken again, by their slots: those that are live.
    pub fn mark_again(&mut self, slots: &[u32]) {
        for &slot in slots {
            let live = |state: &Slot| !state.rows.is_empty() && state.shown.is_some();
            if self.slots.get(slot as usize).is_some_and(live) {
                self.slots[slot as usize].again = true;
                self.mark(slot, false);
            }
        }
    }

    /// Marks every key to be taken again, as one that time changed.
    pub fn refresh(&mut self) {
        let mut slots: Vec<u32> = self.by_key.values().copied().collect();
        slots.sort_unstable();
        self.mark_again(&slots);
    }

    /// Counters; `slices` are rows.
    #[must_use]
    pub fn stats(&self) -> OperatorStats {
        OperatorStats {
            keys: self.by_key.len() as u64,
            unknown_retractions: self.unknown_retractions,
            state_bytes: (self.bytes + self.slots.len() * size_of::<Slot>()) as u64,
            ..OperatorStats::default()
        }
    }

    fn insert(&mut self, key: &[u8], order: Order, bytes: &[u8], retracting: bool) {
        // A row that has outlived its time makes no key: the result must not depend on whether it
        // came before the frontier or after.
        if self
            .state_ttl
            .is_some_and(|ttl| order.time.saturating_add(ttl) <= self.frontier)
        {
            return;
        }
        let slot = self.slot(key);
        let state = &mut self.slots[slot as usize];
        let newest = state.rows.last().map(|(order, _)| *order);
        if newest.is_some_and(|newest| newest > order)
            && (!retracting || order.time <= self.watermark)
        {
            return;
        }
        if !retracting {
            self.bytes -= state
                .rows
                .drain(..)
                .map(|(_, bytes)| bytes.len())
                .sum::<usize>();
        }
        match state.rows.binary_search_by_key(&order, |(order, _)| *order) {
            Ok(at) => {
                self.bytes -= state.rows[at].1.len();
                state.rows[at].1 = bytes.into();
            }
            Err(at) => {
                state.rows.insert(at, (order, bytes.into()));
                if state.rows.len() > 1 {
                    // One of two neighbours is needless once the watermark passes the later.
                    let later = state
                        .rows
                        .get(at + 1)
                        .map_or(order.time, |(next, _)| next.time);
                    self.to_prune.push(Reverse((later, slot)));
                }
            }
        }
        self.bytes += bytes.len();
        self.mark(slot, true);
        let end = self.end_of(slot);
        self.set_timer(slot, end);
    }

    /// Whether a row of this order has outlived its time.
    fn is_over(&self, order: Order) -> bool {
        self.state_ttl
            .is_some_and(|ttl| order.time.saturating_add(ttl) <= self.frontier)
    }

    fn retract(&mut self, key: &[u8], order: Order) {
        // A row that has outlived its time is gone already.
        let unknown = u64::from(!self.is_over(order));
        let Some(&slot) = self.by_key.get(key) else {
            self.unknown_retractions += unknown;
            return;
        };
        self.touch(slot);
        let state = &mut self.slots[slot as usize];
        match state.rows.binary_search_by_key(&order, |(order, _)| *order) {
            Ok(at) => {
                let (_, bytes) = state.rows.remove(at);
                self.bytes -= bytes.len();
                self.mark(slot, true);
                // The row before may have outlived its time, or will sooner.
                let end = self.end_of(slot);
                if end <= self.frontier {
                    self.end(slot);
                } else {
                    self.set_timer(slot, end);
                }
            }
            Err(_) => self.unknown_retractions += unknown,
        }
    }

    fn mark(&mut self, slot: u32, urgent: bool) {
        let state = &mut self.slots[slot as usize];
        state.urgent |= urgent;
        if !state.dirty {
            state.dirty = true;
            self.dirty.push_back(slot);
        }
    }

    fn touch(&mut self, slot: u32) {
        if let Some(changed) = &mut self.changed {
            changed.touch(slot);
        }
    }

    /// The slot of a key that gets a row.
    fn slot(&mut self, key: &[u8]) -> u32 {
        if let Some(&slot) = self.by_key.get(key) {
            self.touch(slot);
            return slot;
        }
        let state = Slot::new(key.into());
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = state;
            slot
        } else {
            self.slots.push(state);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        };
        self.bytes += 2 * key.len();
        self.by_key.insert(key.into(), slot);
        self.touch(slot);
        slot
    }

    fn free(&mut self, slot: u32) {
        let empty = Slot::new(Box::default());
        let old = std::mem::replace(&mut self.slots[slot as usize], empty);
        self.bytes -= 2 * old.key.len();
        self.by_key.remove(&old.key);
        self.freed.push(slot);
        if let Some(changed) = &mut self.changed
            && !changed.forget(slot, &old.key, self.by_key.len())
        {
            self.changed = None;
        }
    }

    /// When the key's newest row outlives its time.
    fn end_of(&self, slot: u32) -> EventTime {
        let newest = self.slots[slot as usize].rows.last();
        match (self.state_ttl, newest) {
            (Some(ttl), Some((order, _))) => order.time.saturating_add(ttl),
            _ => END_OF_TIME,
        }
    }

    fn set_timer(&mut self, slot: u32, end: EventTime) {
        let state = &mut self.slots[slot as usize];
        if end < state.timer {
            state.timer = end;
            self.timers.push(Reverse((end, slot)));
        }
    }

    fn end(&mut self, slot: u32) {
        let state = &mut self.slots[slot as usize];
        self.bytes -= state
            .rows
            .drain(..)
            .map(|(_, bytes)| bytes.len())
            .sum::<usize>();
        self.mark(slot, false);
    }

    /// Of the rows that the watermark has passed, keeps the newest.
    fn prune(&mut self, slot: u32) {
        let rows = &mut self.slots[slot as usize].rows;
        let passed = rows.partition_point(|(order, _)| order.time <= self.watermark);
        let gone = rows.drain(..passed.saturating_sub(1));
        self.bytes -= gone.map(|(_, bytes)| bytes.len()).sum::<usize>();
    }

    fn changes(&self, slots: &[u32]) -> Result<Changes, ArrowError> {
        let states: Vec<&Slot> = slots
            .iter()
            .map(|&slot| &self.slots[slot as usize])
            .collect();
        let is_live = |state: &Slot| !state.rows.is_empty();
        // An ended key is shown by its last row, with all but the key blanked.
        let rows = states.iter().filter_map(|state| {
            state
                .rows
                .last()
                .or(state.shown.as_ref())
                .map(|(_, bytes)| bytes.as_ref())
        });
        let mut columns = self.row_codec.decode(rows)?;
        let live = BooleanArray::from_iter(states.iter().map(|state| Some(is_live(state))));
        if live.true_count() < live.len() {
            for (at, column) in columns.iter_mut().enumerate() {
                if !self.key_columns.contains(&at) {
                    let null = new_null_array(column.data_type(), column.len());
                    *column = zip(&live, column, &null)?;
                }
            }
        }
        let end = |state: &&Slot| match (self.state_ttl, state.rows.last().or(state.shown.as_ref()))
        {
            (Some(ttl), Some((order, _))) => order.time.saturating_add(ttl),
            (None, Some((order, _))) => order.time,
            (_, None) => END_OF_TIME,
        };
        Ok(Changes {
            slots: slots.to_vec(),
            keys: self
                .key_columns
                .iter()
                .map(|&column| columns[column].clone())
                .collect(),
            window_start: vec![NO_TIME; slots.len()],
            window_end: vec![END_OF_TIME; slots.len()],
            aggregates: columns,
            states: states
                .iter()
                .map(|state| {
                    if is_live(state) {
                        RowState::Live
                    } else {
                        RowState::Empty
                    }
                })
                .collect(),
            empty_at: states.iter().map(end).collect(),
            urgent: states.iter().map(|state| state.urgent).collect(),
        })
    }
}
