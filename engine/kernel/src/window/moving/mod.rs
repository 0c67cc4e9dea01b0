//! Lanes of sets with one row a key: the current window, or the last that closed.
//!
//! A view is one set's window that moves over the lane's slices. Views of one lane share the
//! slices; each has its own dirty lists. An entry has one timer: the first time at which a slice
//! enters or leaves the window of some view.

mod late;
mod read;
mod save;
mod standing;
mod views;

use crate::aggregate::{Cell, StateError};
use crate::change::Changes;
use crate::input::Input;
use crate::keys::KeyEncoder;
use crate::spec::{AggregateSpec, Emit, SetSpec, WINDOW_TIME_GAP};
use crate::window::cells::{CellSet, Part};
use crate::window::entries::{DirtyLists, Entries};
use crate::window::grid::{Grid, MovingWindow, Pick, ROW_TIME_LIMIT, Windows};
use crate::window::lane::{KeyedRow, Lane, LaneStats};
use crate::window::save::{SavedKeys, SavedLane};
use crate::window::slices::SliceList;
use crate::window::table::KeyTable;
use crate::window::tree::Forest;
use crate::window::wheel::TimerWheel;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use tidewheel_core::EventTime;
use tidewheel_core::time::{END_OF_TIME, NO_TIME};

/// Most views of one lane: bits of an entry's flags.
const VIEWS_MAX: usize = 16;
/// No timer is set.
const UNARMED: EventTime = EventTime::MAX;

#[derive(Debug)]
struct Entry {
    slices: SliceList,
    /// When the entry's timer is due.
    armed: EventTime,
    /// Views to read again because of an event.
    event: u16,
    /// Views to read again because time went on.
    expiry: u16,
    /// Views whose last reported row was live.
    live: u16,
    /// Views with a running value.
    running: u16,
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            slices: SliceList::default(),
            armed: UNARMED,
            event: 0,
            expiry: 0,
            live: 0,
            running: 0,
        }
    }
}

/// The running value of a key and view: a cell that holds the rows of slices `from..to`.
#[derive(Debug)]
struct Span {
    cell: Cell,
    from: i64,
    to: i64,
}

#[derive(Debug)]
struct View {
    window: MovingWindow,
    /// Its window at the lane's clock, and as slice numbers.
    range: (EventTime, EventTime),
    slices: (i64, i64),
    dirty: DirtyLists,
    removed: bool,
    /// No row is reported as empty.
    keep: bool,
    /// Running values by slot, of entries whose `running` bit is set.
    spans: HashMap<u32, Span, foldhash::fast::FixedState>,
}

/// A slice that was made since time last went on.
#[derive(Debug, Clone, Copy)]
struct NewSlice {
    slot: u32,
    index: i64,
}

pub(crate) struct MovingLane {
    aggregates: Vec<AggregateSpec>,
    filter: Option<usize>,
    retracting: bool,
    pick: Pick,
    grid: Grid,
    /// At least one view has gaps between its windows.
    gaps: bool,
    clock: EventTime,
    /// No row has come yet.
    untouched: bool,
    /// When the input's end closed all windows.
    ended: Option<EventTime>,
    views: Vec<View>,
    /// Views whose readers may have any row.
    standing: u16,
    cells: CellSet,
    forest: Forest,
    entries: Entries<Entry>,
    wheel: TimerWheel,
    new_slices: Vec<NewSlice>,
    /// Slices ahead of the clock that are to be settled when it reaches them: slots by number.
    waiting: BTreeMap<i64, Vec<u32>>,
    /// For `LastClosed`: values of windows that were not read before a row came that is late
    /// for them, by slot: the window's end, and a cell, or none where it held no rows.
    frozen: HashMap<u32, (EventTime, Option<Cell>), foldhash::fast::FixedState>,
    /// For `LastClosed`: when the next window closes of a key that got a row late for the last,
    /// by slot. That row changes the value though no slice enters or leaves.
    changed: HashMap<u32, EventTime, foldhash::fast::FixedState>,
    late_rows: u64,
    // Buffers.
    rows: Vec<u32>,
    row_cells: Vec<Cell>,
    running_rows: Vec<u32>,
    running_cells: Vec<Cell>,
    taken_back: Vec<(u32, u32, i64)>,
    parts: Vec<Cell>,
}

impl MovingLane {
    /// `None` for sessions, and for sets that emit a row a window.
    pub(crate) fn new(spec: &SetSpec) -> Option<Self> {
        let pick = match spec.emit {
            Emit::Current => Pick::Current,
            Emit::LastClosed => Pick::LastClosed,
            _ => return None,
        };
        let windows = Windows::new(&spec.window)?;
        let mut lane = Self {
            aggregates: spec.aggregates.clone(),
            filter: spec.filter,
            retracting: spec.retracting,
            pick,
            grid: Grid::of(&windows),
            gaps: false,
            clock: NO_TIME,
            untouched: true,
            ended: None,
            views: Vec::new(),
            standing: 0,
            cells: CellSet::new(&spec.aggregates, spec.retracting),
            forest: Forest::default(),
            entries: Entries::new(),
            wheel: TimerWheel::new(),
            new_slices: Vec::new(),
            waiting: BTreeMap::new(),
            frozen: HashMap::default(),
            changed: HashMap::default(),
            late_rows: 0,
            rows: Vec::new(),
            row_cells: Vec::new(),
            running_rows: Vec::new(),
            running_cells: Vec::new(),
            taken_back: Vec::new(),
            parts: Vec::new(),
        };
        if pick == Pick::Current {
            if !spec.retracting && !windows.gaps() {
                lane.cells.count_by_sight(&spec.aggregates);
            }
            lane.cells.keep_running();
        }
        lane.add_view(windows);
        Some(lane)
    }

    fn move_views(&mut self, clock: EventTime) {
        self.clock = clock;
        self.cells.set_ahead(self.grid.index(clock) + 1);
        for view in &mut self.views {
            view.range = view.window.range(clock);
            view.slices = (self.grid.index(view.range.0), self.grid.index(view.range.1));
        }
    }

    /// The first slice that some view still needs at its slice range.
    fn first_needed(&self) -> i64 {
        let views = self.views.iter().filter(|view| !view.removed);
        views.map(|view| view.slices.0).min().unwrap_or(i64::MAX)
    }

    fn mark(views: &mut [View], entry: &mut Entry, slot: u32, mut bits: u16, event: bool) {
        bits &= !(if event {
            entry.event
        } else {
            entry.event | entry.expiry
        });
        if event {
            entry.event |= bits;
        } else {
            entry.expiry |= bits;
        }
        while bits != 0 {
            let dirty = &mut views[bits.trailing_zeros() as usize].dirty;
            if event {
                dirty.event.push_back(slot);
            } else {
                dirty.expiry.push_back(slot);
            }
            bits &= bits - 1;
        }
    }

    /// Sets the entry's timer if `at` is before the one it has.
    fn arm(&mut self, slot: u32, at: EventTime) {
        let entry = self.entries.get_mut(slot);
        if at < entry.armed {
            entry.armed = at;
            self.wheel.set(at, slot);
        }
    }

    /// The first time after `now` at which a slice enters or leaves some view's window.
    fn next_change(&self, slices: &SliceList, now: EventTime) -> EventTime {
        let live = slices.live();
        let mut next = UNARMED;
        for view in self.views.iter().filter(|view| !view.removed) {
            let (lo, hi) = self.slices_at(view, now);
            if let Some(slice) = live.get(slices.position(lo)) {
                next = next.min(view.window.leave(self.grid.start(slice.index())));
            }
            if let Some(last) = live.last()
                && last.index() >= hi
                && let Some(slice) = live.get(slices.position(hi))
            {
                next = next.min(view.window.enter(self.grid.start(slice.index())));
            }
        }
        next
    }

    /// Brings an entry whose timer was due up to `now`.
    fn bring_up(&mut self, slot: u32, now: EventTime) {
        let before = self.entries.get(slot).armed.saturating_sub(1);
        let mut bits = 0;
        for (number, view) in self
            .views
            .iter()
            .enumerate()
            .filter(|(_, view)| !view.removed)
        {
            let slices = &self.entries.get(slot).slices;
            let (old_lo, old_hi) = view.window.range(before);
            let (lo, hi) = self.slices_at(view, now);
            let between = |from: i64, to: i64| {
                let slice = slices.live().get(slices.position(from));
                slice.is_some_and(|slice| slice.index() < to)
            };
            if between(self.grid.index(old_lo), lo) || between(self.grid.index(old_hi), hi) {
                bits |= 1 << number;
            }
        }
        let entry = self.entries.get(slot);
        for view in bits_of(entry.running) {
            let (lo, _) = self.slices_at(&self.views[view], now);
            if let Some(span) = self.views[view].spans.get_mut(&slot) {
                span.slide(lo, &entry.slices, &mut self.cells);
            }
        }
        let changes_at = self.changed.get(&slot).copied();
        if changes_at.is_some_and(|at| at <= now) {
            self.changed.remove(&slot);
            bits |= 1;
        }
        let entry = self.entries.get_mut(slot);
        Self::mark(&mut self.views, entry, slot, bits, false);
        entry.armed = UNARMED;
        self.trim(slot, now);
        let mut next = self.next_change(&self.entries.get(slot).slices, now);
        if let Some(&at) = self.changed.get(&slot) {
            next = next.min(at);
        }
        if next != UNARMED {
            self.arm(slot, next);
        }
    }

    /// The clock has moved on: settles the slices that it has reached.
    fn settle_waiting(&mut self) {
        while let Some(first) = self.waiting.first_entry()
            && !self.cells.waits(*first.key())
        {
            let (index, slots) = first.remove_entry();
            for slot in slots {
                if self.entries.key(slot).is_some()
                    && let Some(cell) = self.entries.get(slot).slices.get(index)
                {
                    self.cells.settle(cell);
                }
            }
        }
    }

    fn forget_if_unused(&mut self, slot: u32, keys: &mut KeyTable) {
        let entry = self.entries.get(slot);
        if entry.slices.is_empty() && entry.event | entry.expiry | entry.live == 0 {
            if let Some((_, Some(cell))) = self.frozen.remove(&slot) {
                self.cells.give_back(cell);
            }
            self.changed.remove(&slot);
            for view in bits_of(entry.running) {
                if let Some(span) = self.views[view].spans.remove(&slot) {
                    self.cells.give_back(span.cell);
                }
            }
            self.entries.remove(slot, keys);
        }
    }

    fn apply(&mut self, input: &Input<'_>) {
        self.cells
            .apply(&self.rows, &self.row_cells, input, false, Part::All);
        self.rows.clear();
        self.row_cells.clear();
        let running = (&self.running_rows, &self.running_cells);
        self.cells
            .apply(running.0, running.1, input, false, Part::Running);
        self.running_rows.clear();
        self.running_cells.clear();
        if self.taken_back.is_empty() {
            return;
        }
        // Rows are added before any is taken back: a batch may hold both for one slice.
        let taken_back = std::mem::take(&mut self.taken_back);
        for &(row, slot, index) in &taken_back {
            match self.entries.get(slot).slices.get(index) {
                Some(cell) if self.cells.row_count(cell).is_some_and(|rows| rows > 0) => {
                    self.cells.apply(&[row], &[cell], input, true, Part::All);
                    let entry = self.entries.get_mut(slot);
                    for view in bits_of(entry.running) {
                        if let Some(span) = self.views[view].spans.get(&slot)
                            && span.holds(index)
                        {
                            self.cells
                                .apply(&[row], &[span.cell], input, true, Part::Running);
                        }
                    }
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
        self.taken_back.clear();
    }
}

impl Lane for MovingLane {
    fn process(
        &mut self,
        rows: &[KeyedRow],
        keys: &mut KeyTable,
        input: &Input<'_>,
        late: &mut Vec<u32>,
    ) {
        self.untouched = false;
        if self.standing != 0 {
            self.assume_keys_live(rows, keys);
        }
        let first_needed = self.first_needed();
        // Rows come mostly in order: the last row's slice is the next one's.
        let (mut start, mut end, mut index) = (0, 0, 0);
        for &KeyedRow { row, key } in rows {
            let time = input.time[row as usize];
            if !(-ROW_TIME_LIMIT..=ROW_TIME_LIMIT).contains(&time) {
                self.late_rows += 1;
                continue;
            }
            if time < start || time >= end {
                index = self.grid.index(time);
                start = self.grid.start(index);
                end = self.grid.start(index + 1);
            }
            if self.gaps && !self.holds(time) {
                continue;
            }
            let retract = input.retract.is_some_and(|retract| retract[row as usize]);
            if self.pick == Pick::LastClosed {
                let windows = self.views[0].window.windows;
                let watermark = input.watermark[row as usize].max(self.clock);
                if windows.last_end_holding(time) - WINDOW_TIME_GAP <= watermark {
                    self.late_rows += 1;
                    late.push(row);
                    continue;
                }
                if windows.first_end_after(time) - WINDOW_TIME_GAP <= watermark {
                    self.apply(input);
                    let slot = self.entries.find_or_insert(key, keys);
                    self.freeze(slot, watermark);
                    let next = windows.first_end_after(watermark.saturating_add(WINDOW_TIME_GAP))
                        - WINDOW_TIME_GAP;
                    let at = self.changed.entry(slot).or_insert(next);
                    *at = (*at).min(next);
                    self.arm(slot, next);
                }
            } else if index < first_needed {
                self.late_rows += 1;
                continue;
            }
            let slot = self.entries.find_or_insert(key, keys);
            let entry = self.entries.get_mut(slot);
            if self.pick == Pick::Current {
                let mut bits = 0;
                for (number, view) in self.views.iter().enumerate() {
                    bits |= u16::from(time >= view.range.0 && !view.removed) << number;
                }
                Self::mark(&mut self.views, entry, slot, bits, true);
            }
            if retract {
                self.taken_back.push((row, slot, index));
                continue;
            }
            let (cell, new) = entry
                .slices
                .get_or_insert(index, || self.cells.take_slice(slot, index));
            if new && self.pick == Pick::Current {
                self.new_slices.push(NewSlice { slot, index });
            }
            let list = &entry.slices;
            self.forest.touch(list, index, &mut self.cells);
            for view in bits_of(entry.running) {
                if let Some(span) = self.views[view].spans.get(&slot)
                    && span.holds(index)
                {
                    self.running_rows.push(row);
                    self.running_cells.push(span.cell);
                }
            }
            self.rows.push(row);
            self.row_cells.push(cell);
            if new && self.pick == Pick::LastClosed {
                // At once: a later row of the batch may be late for a window that closes by then.
                let window = self.views[0].window;
                let enter = window.enter(start);
                let watermark = input.watermark[row as usize].max(self.clock);
                self.arm(
                    slot,
                    if enter > watermark {
                        enter
                    } else {
                        window.leave(start)
                    },
                );
            }
        }
        self.apply(input);
    }

    fn set_time(&mut self, frontier: EventTime, watermark: EventTime, keys: &mut KeyTable) {
        let clock = match self.pick {
            Pick::Current => frontier,
            Pick::LastClosed if watermark == END_OF_TIME => self.close_all(frontier),
            Pick::LastClosed => watermark,
        };
        let before: Vec<(i64, i64)> = self.views.iter().map(|view| view.slices).collect();
        let new_slices = std::mem::take(&mut self.new_slices);
        for &NewSlice { slot, index } in &new_slices {
            if self.cells.waits(index) {
                self.waiting.entry(index).or_default().push(slot);
            }
        }
        if clock > self.clock {
            self.move_views(clock);
            self.settle_waiting();
        }
        for &NewSlice { slot, index } in &new_slices {
            if self.entries.key(slot).is_none() {
                continue;
            }
            let start = self.grid.start(index);
            let mut next = UNARMED;
            let mut bits = 0;
            for (number, view) in self.views.iter().enumerate().filter(|(_, v)| !v.removed) {
                let (old_lo, old_hi) = before[number];
                if index >= view.slices.1 {
                    next = next.min(view.window.enter(start));
                } else if index >= old_lo {
                    // That may have passed: a value with the slice may have been read before.
                    next = next.min(view.window.leave(start));
                    // It may have been read while the slice was not in the window yet.
                    bits |= u16::from(index >= old_hi && index >= view.slices.0) << number;
                }
            }
            let event = self.pick == Pick::Current;
            Self::mark(
                &mut self.views,
                self.entries.get_mut(slot),
                slot,
                bits,
                event,
            );
            if next == UNARMED {
                // It came and went; the entry may hold nothing else.
                next = self.clock;
            }
            self.arm(slot, next);
        }
        self.new_slices = new_slices;
        self.new_slices.clear();
        let _ = keys;
    }

    fn drain(&mut self, budget: &mut usize, keys: &mut KeyTable) -> bool {
        while *budget > 0 {
            let Some(timer) = self.wheel.pop(self.clock) else {
                return false;
            };
            *budget -= 1;
            let slot = timer.id;
            if self.entries.key(slot).is_some() && self.entries.get(slot).armed == timer.deadline {
                self.bring_up(slot, self.clock);
                self.forget_if_unused(slot, keys);
            }
        }
        true
    }

    fn take_changes(
        &mut self,
        view: usize,
        max: usize,
        include_expiry: bool,
        keys: &mut KeyTable,
        encoder: &KeyEncoder,
    ) -> Option<Changes> {
        self.read(view, max, include_expiry, keys, encoder)
    }

    fn take_freed(&mut self, view: usize) -> Vec<u32> {
        self.entries.take_freed(view)
    }

    fn refresh(&mut self, view: usize) {
        let slots: Vec<u32> = self.entries.slots().collect();
        Lane::mark(self, view, &slots);
    }

    fn mark(&mut self, view: usize, slots: &[u32]) {
        for &slot in slots {
            if self.entries.key(slot).is_none() {
                continue;
            }
            let entry = self.entries.get_mut(slot);
            if entry.live & (1 << view) != 0 {
                Self::mark(&mut self.views, entry, slot, 1 << view, false);
            }
        }
    }

    fn set_keep(&mut self, view: usize, keep: bool) {
        self.views[view].keep = keep;
    }

    fn assume_standing(&mut self, view: usize, on: bool) {
        self.set_standing(view, on);
    }

    fn save(&mut self, views: &[usize], keys: &SavedKeys, out: &mut Vec<u8>) {
        self.save_lane(views, keys, out);
    }

    fn load(&mut self, saved: &mut [SavedLane<'_>], keys: &mut KeyTable) -> Result<(), StateError> {
        self.load_lane(saved, keys)
    }

    fn try_join(&mut self, spec: &SetSpec, _keys: &mut KeyTable) -> Option<usize> {
        self.join(spec)
    }

    fn remove_view(&mut self, view: usize, keys: &mut KeyTable) -> bool {
        self.end_view(view, keys)
    }

    fn rekey(&mut self, numbers: &[u32], keys: &mut KeyTable) {
        self.entries.rekey(numbers, keys);
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
        let dirty: usize = self
            .views
            .iter()
            .map(|view| view.dirty.state_bytes() + view.spans.allocation_size())
            .sum();
        let bytes = lists
            + dirty
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

impl Span {
    fn holds(&self, index: i64) -> bool {
        self.from <= index && index < self.to
    }
}

/// The numbers of the bits that are set.
fn bits_of(mut bits: u16) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = (bits != 0).then(|| bits.trailing_zeros() as usize);
        bits &= bits.wrapping_sub(1);
        lowest
    })
}
