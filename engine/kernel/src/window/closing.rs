//! Lanes of TUMBLE, HOP and CUMULATE sets with one row a key and window.
//!
//! A window's row is queued when the watermark closes it, when a row that is late but allowed
//! changes it, or (EMIT ON CHANGE) on each change; it is computed when it is read. Before a row
//! is added that is late for a window which still waits to be read, that window's value is set
//! aside.

mod save;

use super::cells::{CellSet, Part};
use super::entries::Entries;
use super::grid::{Grid, ROW_TIME_LIMIT, Windows};
use super::lane::{ChangeRows, KeyedRow, Lane, LaneStats};
use super::save::{SavedKeys, SavedLane};
use super::slices::SliceList;
use super::table::KeyTable;
use super::tree::Forest;
use super::wheel::TimerWheel;
use crate::aggregate::{Cell, StateError};
use crate::change::{Changes, RowState};
use crate::input::Input;
use crate::keys::KeyEncoder;
use crate::spec::{Emit, SetSpec, WINDOW_TIME_GAP};
use std::collections::{BTreeMap, BTreeSet};
use tidewheel_core::EventTime;
use tidewheel_core::time::NO_TIME;

/// No timer is set; no window is to come.
const NEVER: EventTime = EventTime::MAX;

#[derive(Debug)]
struct Entry {
    slices: SliceList,
    /// When the entry's timer is due.
    armed: EventTime,
    /// End of the first window with rows that is yet to be emitted at its close.
    next_end: EventTime,
    /// The key's place in the order of arrival.
    arrival: u64,
    /// Rows that wait to be read: slices stay meanwhile.
    waiting: u32,
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            slices: SliceList::default(),
            armed: NEVER,
            next_end: NEVER,
            arrival: 0,
            waiting: 0,
        }
    }
}

/// The value of a row that waits to be read.
#[derive(Debug, Clone, Copy)]
enum Value {
    /// That of the slices when it is read.
    Slices,
    /// Set aside.
    Frozen(Cell),
    /// Set aside: no rows.
    Nothing,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    slot: u32,
    value: Value,
}

pub(crate) struct ClosingLane {
    windows: Windows,
    grid: Grid,
    /// How long after a window's end its row is queued; `None` if on each change.
    delay: Option<i64>,
    /// How long after a window's end rows still count.
    lateness: i64,
    watermark: EventTime,
    cells: CellSet,
    forest: Forest,
    entries: Entries<Entry>,
    wheel: TimerWheel,
    /// By window end, then the key's arrival.
    queue: BTreeMap<(EventTime, u64), Waiting>,
    /// For retracting input: which windows stand as live with the reader.
    shown: Option<BTreeSet<(EventTime, u32)>>,
    /// The reader may have any window's row.
    standing: bool,
    arrivals: u64,
    late_rows: u64,
    rows: Vec<u32>,
    row_cells: Vec<Cell>,
    taken_back: Vec<(u32, u32, i64)>,
    parts: Vec<Cell>,
}

impl ClosingLane {
    /// `None` for sessions, and for sets that emit a row a key.
    pub(crate) fn new(spec: &SetSpec) -> Option<Self> {
        let (delay, lateness) = match spec.emit {
            Emit::Closed { allowed_lateness } => (Some(0), allowed_lateness),
            Emit::Final { allowed_lateness } => (Some(allowed_lateness), allowed_lateness),
            Emit::EveryChange { allowed_lateness } => (None, allowed_lateness),
            Emit::Current | Emit::LastClosed => return None,
        };
        let windows = Windows::new(&spec.window)?;
        let mut entries = Entries::new();
        entries.add_reader();
        Some(Self {
            windows,
            grid: Grid::of(&windows),
            delay,
            lateness,
            watermark: NO_TIME,
            cells: CellSet::new(&spec.aggregates, spec.retracting),
            forest: Forest::default(),
            entries,
            wheel: TimerWheel::new(),
            queue: BTreeMap::new(),
            shown: spec.retracting.then(BTreeSet::new),
            standing: false,
            arrivals: 0,
            late_rows: 0,
            rows: Vec::new(),
            row_cells: Vec::new(),
            taken_back: Vec::new(),
            parts: Vec::new(),
        })
    }

    /// Whether no row counts any more in windows with this end.
    fn is_final(&self, end: EventTime, watermark: EventTime) -> bool {
        end.saturating_add(self.lateness) - WINDOW_TIME_GAP <= watermark
    }

    fn queue_row(&mut self, end: EventTime, slot: u32) {
        let entry = self.entries.get_mut(slot);
        self.queue.entry((end, entry.arrival)).or_insert_with(|| {
            entry.waiting += 1;
            Waiting {
                slot,
                value: Value::Slices,
            }
        });
    }

    /// End of the first window after the one that ends at `after` that has rows.
    fn next_end(&self, slices: &SliceList, after: EventTime) -> EventTime {
        let end = self.windows.first_end_after(after);
        let first = slices.position(self.grid.index(self.windows.start_of(end)));
        match slices
            .live()
            .get(first)
            .map(|slice| self.grid.start(slice.index()))
        {
            None => NEVER,
            Some(start) if start < end => end,
            Some(start) => self.windows.first_end_after(start),
        }
    }

    /// Sets the entry's timer: its next close, or when its first slice can go.
    fn arm(&mut self, slot: u32) {
        let entry = self.entries.get(slot);
        let mut at = NEVER;
        if let Some(delay) = self.delay
            && entry.next_end != NEVER
        {
            at = entry.next_end.saturating_add(delay) - WINDOW_TIME_GAP;
        }
        if entry.waiting == 0
            && let Some(front) = entry.slices.live().first()
        {
            let last = self
                .windows
                .last_end_holding(self.grid.start(front.index()));
            at = at.min(last.saturating_add(self.lateness) - WINDOW_TIME_GAP);
        }
        if at < entry.armed {
            self.entries.get_mut(slot).armed = at;
            self.wheel.set(at, slot);
        }
    }

    /// Queues windows that closed by `watermark`: all, or one.
    fn close_due(&mut self, slot: u32, watermark: EventTime, all: bool) {
        let Some(delay) = self.delay else { return };
        loop {
            let end = self.entries.get(slot).next_end;
            if end == NEVER || end.saturating_add(delay) - WINDOW_TIME_GAP > watermark {
                return;
            }
            self.queue_row(end, slot);
            let next = self.next_end(&self.entries.get(slot).slices, end);
            self.entries.get_mut(slot).next_end = next;
            if !all {
                return;
            }
        }
    }

    /// Drops slices that no window needs any more, and the entry with its last.
    fn settle(&mut self, slot: u32, keys: &mut KeyTable) {
        let entry = self.entries.get_mut(slot);
        if entry.waiting == 0 {
            let through = self
                .watermark
                .saturating_add(WINDOW_TIME_GAP)
                .saturating_sub(self.lateness);
            let gone = entry.slices.live().partition_point(|slice| {
                self.windows
                    .last_end_holding(self.grid.start(slice.index()))
                    <= through
            });
            // Windows that are not queued yet still need theirs.
            let needed = match entry.next_end {
                NEVER => i64::MAX,
                end => self.grid.index(self.windows.start_of(end)),
            };
            if gone > 0 {
                let live = entry.slices.live();
                let first = live
                    .get(gone)
                    .map_or(i64::MAX, |slice| slice.index())
                    .min(needed);
                entry.slices.trim(first, |cell| self.cells.give_back(cell));
                self.forest.trim(&mut entry.slices, first, &mut self.cells);
            }
            if entry.slices.is_empty() {
                self.entries.remove(slot, keys);
                return;
            }
        }
        self.arm(slot);
    }

    /// The cells of a window's slices.
    fn collect(&mut self, slot: u32, end: EventTime) {
        let entry = self.entries.get_mut(slot);
        let range = (
            self.grid.index(self.windows.start_of(end)),
            self.grid.index(end),
        );
        let (first, last) = (
            entry.slices.position(range.0),
            entry.slices.position(range.1),
        );
        self.parts.clear();
        self.forest.cover(
            &mut entry.slices,
            range,
            (first, last),
            &mut self.cells,
            &mut self.parts,
        );
    }

    /// Sets aside what waits to be read of those windows that hold `time` and are final.
    fn freeze(&mut self, slot: u32, time: EventTime, watermark: EventTime) {
        let arrival = self.entries.get(slot).arrival;
        let ends = (
            self.windows.first_end_after(time),
            self.windows.last_end_holding(time),
        );
        let waiting: Vec<EventTime> = self
            .queue
            .range((ends.0, 0)..=(ends.1, u64::MAX))
            .filter(|(key, row)| key.1 == arrival && matches!(row.value, Value::Slices))
            .map(|(key, _)| key.0)
            .take_while(|&end| self.is_final(end, watermark))
            .collect();
        for end in waiting {
            self.collect(slot, end);
            let value = if self.parts.is_empty() {
                Value::Nothing
            } else {
                let cell = self.cells.take();
                let merges: Vec<(Cell, Cell)> =
                    self.parts.iter().map(|&part| (cell, part)).collect();
                self.cells.merge_spans(&merges, Part::All);
                Value::Frozen(cell)
            };
            if let Some(row) = self.queue.get_mut(&(end, arrival)) {
                row.value = value;
            }
        }
    }

    fn apply(&mut self, input: &Input<'_>) {
        self.cells
            .apply(&self.rows, &self.row_cells, input, false, Part::All);
        self.rows.clear();
        self.row_cells.clear();
        let mut taken_back = std::mem::take(&mut self.taken_back);
        for (row, slot, index) in taken_back.drain(..) {
            match self.entries.get(slot).slices.get(index) {
                Some(cell) if self.cells.row_count(cell).is_some_and(|rows| rows > 0) => {
                    self.cells.apply(&[row], &[cell], input, true, Part::All);
                    let entry = self.entries.get_mut(slot);
                    self.forest.touch(&entry.slices, index, &mut self.cells);
                    if self.cells.row_count(cell) == Some(0) {
                        entry.slices.remove(index);
                        self.forest
                            .trim(&mut entry.slices, i64::MIN, &mut self.cells);
                        self.cells.give_back(cell);
                    }
                }
                _ => self.cells.count_unknown_retraction(),
            }
        }
        self.taken_back = taken_back;
    }
}

impl Lane for ClosingLane {
    fn process(
        &mut self,
        rows: &[KeyedRow],
        keys: &mut KeyTable,
        input: &Input<'_>,
        late: &mut Vec<u32>,
    ) {
        let mut shrunk: Vec<u32> = Vec::new();
        for &KeyedRow { row, key } in rows {
            let time = input.time[row as usize];
            if !(-ROW_TIME_LIMIT..=ROW_TIME_LIMIT).contains(&time) {
                self.late_rows += 1;
                late.push(row);
                continue;
            }
            let last_end = self.windows.last_end_holding(time);
            if last_end <= time {
                continue;
            }
            let watermark = input.watermark[row as usize].max(self.watermark);
            if self.is_final(last_end, watermark) {
                self.late_rows += 1;
                late.push(row);
                continue;
            }
            let known = self.entries.find(key);
            let slot = self.entries.find_or_insert(key, keys);
            if known.is_none() {
                self.entries.get_mut(slot).arrival = self.arrivals;
                self.arrivals += 1;
            }
            let first_end = self.windows.first_end_after(time);
            if first_end - WINDOW_TIME_GAP <= watermark {
                self.apply(input);
                self.close_due(slot, watermark, true);
                self.freeze(slot, time, watermark);
            }
            let index = self.grid.index(time);
            let entry = self.entries.get_mut(slot);
            if input.retract.is_some_and(|retract| retract[row as usize]) {
                self.taken_back.push((row, slot, index));
                shrunk.push(slot);
            } else {
                let (cell, _) = entry.slices.get_or_insert(index, || self.cells.take());
                self.forest.touch(&entry.slices, index, &mut self.cells);
                self.rows.push(row);
                self.row_cells.push(cell);
            }
            // Windows of the row: those that are final are passed over, those that have closed
            // are queued now, the first that has not is emitted at its close.
            let mut end = first_end;
            while end <= last_end {
                let closed = self
                    .delay
                    .is_none_or(|delay| end.saturating_add(delay) - WINDOW_TIME_GAP <= watermark);
                if !closed {
                    let entry = self.entries.get_mut(slot);
                    entry.next_end = entry.next_end.min(end);
                    break;
                }
                if !self.is_final(end, watermark) {
                    self.queue_row(end, slot);
                }
                end = self.windows.first_end_after(end);
            }
            self.arm(slot);
        }
        self.apply(input);
        for slot in shrunk {
            if self.entries.key(slot).is_some() && self.entries.get(slot).slices.is_empty() {
                self.settle(slot, keys);
            }
        }
    }

    fn set_time(&mut self, _frontier: EventTime, watermark: EventTime, _keys: &mut KeyTable) {
        self.watermark = self.watermark.max(watermark);
        if let Some(shown) = &mut self.shown {
            let waiting = self.queue.first_key_value().map_or(NEVER, |(key, _)| key.0);
            let through = watermark
                .saturating_add(WINDOW_TIME_GAP)
                .saturating_sub(self.lateness);
            let kept = shown.split_off(&(through.saturating_add(1).min(waiting), 0));
            *shown = kept;
        }
    }

    fn drain(&mut self, budget: &mut usize, keys: &mut KeyTable) -> bool {
        while *budget > 0 {
            let Some(timer) = self.wheel.pop(self.watermark) else {
                return false;
            };
            *budget -= 1;
            let slot = timer.id;
            if self.entries.key(slot).is_some() && self.entries.get(slot).armed == timer.deadline {
                self.entries.get_mut(slot).armed = NEVER;
                self.close_due(slot, self.watermark, false);
                self.settle(slot, keys);
            }
        }
        true
    }

    fn take_changes(
        &mut self,
        _view: usize,
        max: usize,
        _include_expiry: bool,
        keys: &mut KeyTable,
        encoder: &KeyEncoder,
    ) -> Option<Changes> {
        let mut out = ChangeRows::default();
        let mut looked_at = Vec::new();
        let mut nothing: Option<Cell> = None;
        while out.len() < max {
            let Some(((end, _), Waiting { slot, value })) = self.queue.pop_first() else {
                break;
            };
            let Some(key) = self.entries.key(slot) else {
                continue;
            };
            self.entries.get_mut(slot).waiting -= 1;
            // Not to come again after a restore.
            keys.touch(key);
            looked_at.push(slot);
            let cell = match value {
                Value::Frozen(cell) => {
                    out.scratch.push(cell);
                    Some(cell)
                }
                Value::Nothing => None,
                Value::Slices => {
                    self.collect(slot, end);
                    let parts = std::mem::take(&mut self.parts);
                    let cell =
                        (!parts.is_empty()).then(|| out.merged(&parts, Part::All, &mut self.cells));
                    self.parts = parts;
                    cell
                }
            };
            let live = cell.is_some();
            if let Some(shown) = &mut self.shown {
                let before = if live {
                    !shown.insert((end, slot))
                } else {
                    shown.remove(&(end, slot))
                };
                if !live && !before && !self.standing {
                    continue;
                }
            } else if !live {
                continue;
            }
            let cell = cell.unwrap_or_else(|| *nothing.get_or_insert_with(|| self.cells.take()));
            out.slots.push(slot);
            out.keys.push(key);
            out.window_start.push(self.windows.start_of(end));
            out.window_end.push(end);
            out.states.push(if live {
                RowState::Live
            } else {
                RowState::Empty
            });
            out.empty_at.push(end);
            out.urgent.push(true);
            out.cells.push(cell);
        }
        out.scratch.extend(nothing);
        let changes = out.finish(&mut self.cells, keys, encoder);
        for slot in looked_at {
            if self.entries.key(slot).is_some() {
                self.settle(slot, keys);
            }
        }
        changes
    }

    fn take_freed(&mut self, view: usize) -> Vec<u32> {
        self.entries.take_freed(view)
    }

    fn refresh(&mut self, _view: usize) {
        if self.delay.is_some_and(|delay| delay >= self.lateness) {
            // Emitted once, when no row counts any more: nothing is held of it.
            return;
        }
        let now = self.watermark.saturating_add(WINDOW_TIME_GAP);
        let slots: Vec<u32> = self.entries.slots().collect();
        for slot in slots {
            let mut end = now.saturating_sub(self.lateness);
            loop {
                end = self.next_end(&self.entries.get(slot).slices, end);
                if end == NEVER || (self.delay.is_some() && end > now) {
                    break;
                }
                self.queue_row(end, slot);
            }
        }
    }

    fn mark(&mut self, _view: usize, _slots: &[u32]) {
        // A window's end does not move.
    }

    fn assume_standing(&mut self, _view: usize, on: bool) {
        self.standing = on;
    }

    fn save(&mut self, _views: &[usize], keys: &SavedKeys, out: &mut Vec<u8>) {
        self.save_lane(keys, out);
    }

    fn load(&mut self, saved: &mut [SavedLane<'_>], keys: &mut KeyTable) -> Result<(), StateError> {
        self.load_lane(saved, keys)
    }

    fn rekey(&mut self, numbers: &[u32], keys: &mut KeyTable) {
        self.entries.rekey(numbers, keys);
    }

    fn remove_view(&mut self, _view: usize, _keys: &mut KeyTable) -> bool {
        true
    }

    fn close(&mut self, keys: &mut KeyTable) {
        let slots: Vec<u32> = self.entries.slots().collect();
        for slot in slots {
            self.entries.remove(slot, keys);
        }
    }

    fn stats(&self) -> LaneStats {
        let mut slices = 0;
        let mut lists = 0;
        for slot in self.entries.slots() {
            let list = &self.entries.get(slot).slices;
            slices += list.live().len() as u64;
            lists += list.heap_bytes();
        }
        let queued = self.queue.len() * size_of::<((EventTime, u64), Waiting)>();
        let bytes = lists
            + queued
            + self.cells.state_bytes()
            + self.forest.state_bytes()
            + self.entries.state_bytes()
            + self.wheel.state_bytes();
        LaneStats {
            slices,
            late_rows: self.late_rows,
            unknown_retractions: self.cells.unknown_retractions(),
            bound_reached: self.cells.bound_reached(),
            state_bytes: bytes as u64,
        }
    }
}
