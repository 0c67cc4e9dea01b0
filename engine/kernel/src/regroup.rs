//! GROUP BY without a window function of its own: values over all rows of a key (lifetime
//! values), or over the rows of an inner operator, which it follows with retractions.
//!
//! A key has one cell. Its state ends when its last row is taken back, `state_ttl` of event time
//! after its newest row, or, where the key holds an inner window's end, when the watermark passes
//! that end.

use crate::change::{Changes, OperatorStats, RowState};
use crate::input::Input;
use crate::keys::KeyEncoder;
use crate::spec::{AggregateSpec, Emit, WINDOW_TIME_GAP};
use crate::window::cells::{CellSet, passes};
use crate::window::entries::{DirtyLists, Entries};
use crate::window::table::KeyTable;
use crate::window::wheel::TimerWheel;
use arrow::array::AsArray;
use arrow::datatypes::TimestampMicrosecondType;
use tidewheel_core::EventTime;
use tidewheel_core::time::{END_OF_TIME, NO_TIME};

/// What a regroup operator is to compute.
#[derive(Debug, Clone)]
pub struct RegroupSpec {
    /// Index of a Boolean input column; rows where it is not true are left out.
    pub filter: Option<usize>,
    /// With a window's end in the key: what to emit of it. Else `Current`.
    pub emit: Emit,
    /// Index of an input column with an inner window's end, Timestamp(Microsecond), that is part
    /// of the key.
    pub window_end: Option<usize>,
    /// Microseconds of event time after a key's newest row at which its state ends.
    pub state_ttl: Option<i64>,
    /// The aggregates.
    pub aggregates: Vec<AggregateSpec>,
    /// The input takes rows back.
    pub retracting: bool,
}

/// A key's state, but for its cell's contents.
#[derive(Debug, Clone, Copy)]
struct Entry {
    cell: u32,
    newest: EventTime,
    /// The window's end; [`END_OF_TIME`] without a window.
    end: EventTime,
    has_cell: bool,
    is_dirty: bool,
    is_urgent: bool,
    /// Readers have a value of it.
    is_shown: bool,
    /// Its value may be emitted.
    is_open: bool,
    /// Its state goes once its last value was taken.
    is_over: bool,
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            cell: 0,
            newest: NO_TIME,
            end: END_OF_TIME,
            has_cell: false,
            is_dirty: false,
            is_urgent: false,
            is_shown: false,
            is_open: false,
            is_over: false,
        }
    }
}

/// Groups by key.
pub struct RegroupOperator {
    encoder: KeyEncoder,
    spec: RegroupSpec,
    keys: KeyTable,
    entries: Entries<Entry>,
    reader: usize,
    cells: CellSet,
    dirty: DirtyLists,
    /// Ends by `state_ttl`, on the frontier.
    lives: TimerWheel,
    /// Closing and ending of windows, on the watermark.
    closings: TimerWheel,
    frontier: EventTime,
    watermark: EventTime,
    found: Vec<u32>,
    batch_rows: Vec<u32>,
    batch_cells: Vec<u32>,
}

impl RegroupOperator {
    /// An operator for keys of this encoder.
    #[must_use]
    pub fn new(encoder: KeyEncoder, spec: RegroupSpec) -> Self {
        let mut entries = Entries::new();
        let reader = entries.add_reader();
        Self {
            cells: CellSet::new(&spec.aggregates, spec.retracting),
            encoder,
            spec,
            keys: KeyTable::default(),
            entries,
            reader,
            dirty: DirtyLists::default(),
            lives: TimerWheel::new(),
            closings: TimerWheel::new(),
            frontier: NO_TIME,
            watermark: NO_TIME,
            found: Vec::new(),
            batch_rows: Vec::new(),
            batch_cells: Vec::new(),
        }
    }

    /// Adds rows, or takes them back. Rows of one call that are taken back and added again are
    /// applied in their order.
    pub fn process(&mut self, input: &Input<'_>) {
        // Runs of rows with the same direction go to the aggregates together.
        let mut begin = 0;
        while begin < input.rows.len() {
            let direction = |row: u32| input.retract.is_some_and(|retract| retract[row as usize]);
            let retract = direction(input.rows[begin]);
            let end = input.rows[begin..]
                .iter()
                .position(|&row| direction(row) != retract)
                .map_or(input.rows.len(), |length| begin + length);
            self.run(&input.rows[begin..end], input, retract);
            begin = end;
        }
    }

    fn run(&mut self, rows: &[u32], input: &Input<'_>, retract: bool) {
        let filter = self.spec.filter.and_then(|column| input.columns[column].as_boolean_opt());
        let ends = self
            .spec
            .window_end
            .and_then(|column| input.columns[column].as_primitive_opt::<TimestampMicrosecondType>());
        let mut chosen = std::mem::take(&mut self.batch_rows);
        let mut cells = std::mem::take(&mut self.batch_cells);
        self.found.clear();
        (chosen.clear(), cells.clear());
        for &row in rows.iter().filter(|&&row| passes(filter, row)) {
            let at = row as usize;
            let time = input.time[at];
            let outlived = self
                .spec
                .state_ttl
                .is_some_and(|ttl| time.saturating_add(ttl) <= self.frontier);
            if outlived {
                continue;
            }
            let key = self.keys.find_or_insert(input.keys, at);
            if retract && self.entries.find(key).is_none() {
                self.keys.forget_unused(key);
                self.cells.count_unknown_retraction();
                continue;
            }
            let slot = self.entries.find_or_insert(key, &mut self.keys);
            if !self.entries.get(slot).has_cell {
                self.begin(slot, ends.map_or(END_OF_TIME, |ends| ends.value(at)));
            }
            let entry = self.entries.get_mut(slot);
            if time > entry.newest {
                let first = entry.newest == NO_TIME;
                entry.newest = time;
                if let (true, Some(ttl)) = (first, self.spec.state_ttl) {
                    self.lives.set(time.saturating_add(ttl), slot);
                }
            }
            let cell = self.entries.get(slot).cell;
            (chosen.push(row), cells.push(cell));
            self.found.push(slot);
        }
        self.cells.apply(&chosen, &cells, input, retract);
        let found = std::mem::take(&mut self.found);
        for &slot in &found {
            self.mark(slot, true);
        }
        (self.found, self.batch_rows, self.batch_cells) = (found, chosen, cells);
    }

    fn begin(&mut self, slot: u32, end: EventTime) {
        let cell = self.cells.take();
        let (closes_at, is_open) = match self.spec.emit {
            Emit::Current | Emit::LastClosed => (END_OF_TIME, true),
            Emit::EveryChange { allowed_lateness } => (last(end, allowed_lateness), true),
            Emit::Closed { .. } => (last(end, 0), false),
            Emit::Final { allowed_lateness } => (last(end, allowed_lateness), false),
        };
        let entry = self.entries.get_mut(slot);
        (entry.cell, entry.has_cell, entry.end) = (cell, true, end);
        entry.is_open = is_open || closes_at <= self.watermark;
        if end != END_OF_TIME {
            self.closings.set(closes_at, slot);
        }
    }

    fn mark(&mut self, slot: u32, urgent: bool) {
        let entry = self.entries.get_mut(slot);
        if !entry.is_open {
            return;
        }
        if !entry.is_dirty {
            entry.is_dirty = true;
            entry.is_urgent = urgent;
            let list = if urgent { &mut self.dirty.event } else { &mut self.dirty.expiry };
            list.push_back(slot);
        } else if urgent && !entry.is_urgent {
            // It stands in the other list as well; the first that is popped counts.
            entry.is_urgent = true;
            self.dirty.event.push_back(slot);
        }
    }

    /// Time goes on. At most about `budget` timers fire; true when more are due.
    pub fn advance(&mut self, frontier: EventTime, watermark: EventTime, budget: usize) -> bool {
        self.frontier = self.frontier.max(frontier);
        self.watermark = self.watermark.max(watermark);
        for _ in 0..budget {
            if let Some(timer) = self.lives.pop(self.frontier) {
                self.end_life(timer.id);
            } else if let Some(timer) = self.closings.pop(self.watermark) {
                self.close(timer.id);
            } else {
                return false;
            }
        }
        true
    }

    fn end_life(&mut self, slot: u32) {
        let Some(ttl) = self.spec.state_ttl else { return };
        if self.entries.key(slot).is_none() {
            return;
        }
        let entry = self.entries.get_mut(slot);
        let end = entry.newest.saturating_add(ttl);
        if end > self.frontier {
            self.lives.set(end, slot);
            return;
        }
        entry.is_over = true;
        self.mark(slot, false);
    }

    /// A window's end was passed: its value may be emitted, or its state goes.
    fn close(&mut self, slot: u32) {
        if self.entries.key(slot).is_none() {
            return;
        }
        let lateness = match self.spec.emit {
            Emit::Closed { allowed_lateness }
            | Emit::Final { allowed_lateness }
            | Emit::EveryChange { allowed_lateness } => allowed_lateness,
            Emit::Current | Emit::LastClosed => 0,
        };
        let entry = self.entries.get_mut(slot);
        let over_at = last(entry.end, lateness);
        // A slot that was given to another key meanwhile has a timer of its own.
        if last(entry.end, 0) > self.watermark {
            return;
        }
        let opened = !entry.is_open;
        entry.is_open = true;
        if over_at > self.watermark {
            self.closings.set(over_at, slot);
        } else {
            entry.is_over = true;
        }
        if opened || !self.entries.get(slot).is_dirty {
            self.mark(slot, false);
        }
    }

    /// At most `max` keys whose value changed since they were last taken: those that an event
    /// touched first, then, with `include_expiry`, those that only time did.
    pub fn take_changes(&mut self, max: usize, include_expiry: bool) -> Option<Changes> {
        let mut taken: Vec<(u32, RowState, bool)> = Vec::new();
        while taken.len() < max.max(1) {
            let Some(slot) = self.dirty.pop(include_expiry) else { break };
            if self.entries.key(slot).is_none() || !self.entries.get(slot).is_dirty {
                continue;
            }
            let windowed = self.entries.get(slot).end != END_OF_TIME;
            let rows = self.cells.row_count(self.entries.get(slot).cell);
            let entry = self.entries.get_mut(slot);
            entry.is_dirty = false;
            let is_gone = rows.is_some_and(|rows| rows <= 0) || (entry.is_over && !windowed);
            match (is_gone, entry.is_shown) {
                (true, true) => taken.push((slot, RowState::Empty, entry.is_urgent)),
                (true, false) => self.forget(slot),
                // A closed window is emitted once more only where an event changed it.
                (false, true) if windowed && !entry.is_urgent => {
                    if entry.is_over {
                        self.forget(slot);
                    }
                }
                (false, _) => taken.push((slot, RowState::Live, entry.is_urgent)),
            }
        }
        if taken.is_empty() {
            return None;
        }
        taken.sort_by_key(|&(slot, ..)| (self.entries.get(slot).end, slot));
        Some(self.changes(&taken))
    }

    fn changes(&mut self, taken: &[(u32, RowState, bool)]) -> Changes {
        let scratch = self.cells.take();
        let cells: Vec<u32> = taken
            .iter()
            .map(|&(slot, state, _)| match state {
                RowState::Live => self.entries.get(slot).cell,
                RowState::Empty => scratch,
            })
            .collect();
        let aggregates = self.cells.read(&cells);
        self.cells.give_back(scratch);
        let keys = self.encoder.decode(taken.iter().map(|&(slot, ..)| {
            self.entries.key(slot).map_or(&[][..], |key| self.keys.key(key))
        }));
        let mut changes = Changes {
            slots: taken.iter().map(|&(slot, ..)| slot).collect(),
            keys: keys.unwrap_or_default(),
            window_start: vec![NO_TIME; taken.len()],
            window_end: Vec::with_capacity(taken.len()),
            aggregates,
            states: taken.iter().map(|&(_, state, _)| state).collect(),
            empty_at: Vec::with_capacity(taken.len()),
            urgent: taken.iter().map(|&(.., urgent)| urgent).collect(),
        };
        for &(slot, state, _) in taken {
            let entry = self.entries.get_mut(slot);
            changes.window_end.push(entry.end);
            changes.empty_at.push(match (state, self.spec.state_ttl) {
                (RowState::Empty, _) => self.frontier,
                (RowState::Live, Some(ttl)) => entry.newest.saturating_add(ttl),
                (RowState::Live, None) => entry.end,
            });
            entry.is_shown = state == RowState::Live;
            entry.is_urgent = false;
            let (over, cell) = (entry.is_over, entry.cell);
            let emptied = state == RowState::Empty
                && (over || self.cells.row_count(cell).is_none_or(|rows| rows <= 0));
            if over || emptied {
                self.forget(slot);
            }
        }
        changes
    }

    fn forget(&mut self, slot: u32) {
        let entry = *self.entries.get(slot);
        if entry.has_cell {
            self.cells.give_back(entry.cell);
        }
        self.entries.remove(slot, &mut self.keys);
    }

    /// Key numbers that were freed since the last call.
    pub fn take_freed(&mut self) -> Vec<u32> {
        self.entries.take_freed(self.reader)
    }

    /// Marks every live key to be taken again, as one that time changed.
    pub fn refresh(&mut self) {
        let slots: Vec<u32> = self.entries.slots().collect();
        for slot in slots {
            self.entries.get_mut(slot).is_shown = false;
            self.mark(slot, false);
        }
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> OperatorStats {
        OperatorStats {
            keys: self.entries.len() as u64,
            unknown_retractions: self.cells.unknown_retractions(),
            bound_reached: self.cells.bound_reached(),
            state_bytes: (self.cells.state_bytes()
                + self.entries.state_bytes()
                + self.keys.state_bytes()
                + self.dirty.state_bytes()
                + self.lives.state_bytes()
                + self.closings.state_bytes()) as u64,
            ..OperatorStats::default()
        }
    }
}

/// The watermark from which a window with this end, and this much lateness, is closed.
fn last(end: EventTime, lateness: i64) -> EventTime {
    if end == END_OF_TIME {
        return end;
    }
    end.saturating_add(lateness).saturating_sub(WINDOW_TIME_GAP)
}
