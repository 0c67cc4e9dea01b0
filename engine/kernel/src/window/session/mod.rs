//! Lanes of SESSION sets.
//!
//! A row makes a session or joins those at most a gap away; two that it joins become one. It is
//! late if the session that results has closed by the watermark before it. A closed session is
//! forgotten once the watermark has passed its end by a gap: a row that would join it alone is
//! late by then. (One that also joins an open session joins that one only.)

mod queue;
mod save;

use crate::aggregate::{Cell, StateError};
use crate::change::Changes;
use crate::input::Input;
use crate::keys::KeyEncoder;
use crate::spec::{Emit, SetSpec, WINDOW_TIME_GAP, WindowKind};
use crate::window::cells::{CellSet, Part};
use crate::window::entries::{DirtyLists, Entries};
use crate::window::grid::ROW_TIME_LIMIT;
use crate::window::lane::{ChangeRows, KeyedRow, Lane, LaneStats};
use crate::window::save::{SavedKeys, SavedLane};
use crate::window::table::KeyTable;
use crate::window::wheel::TimerWheel;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use tidewheel_core::EventTime;
use tidewheel_core::time::NO_TIME;

/// No timer is set.
const NEVER: EventTime = EventTime::MAX;

/// The watermark passed the session's end, and its row was queued.
const CLOSED: u32 = 1;
/// Its row was read: the reader holds one with this start and end.
const SHOWN: u32 = 2;

#[derive(Debug, Clone, Copy)]
struct Session {
    first: EventTime,
    last: EventTime,
    cell: Cell,
    flags: u32,
}

#[derive(Debug)]
struct Entry {
    /// In the order of time; any two are more than a gap apart.
    sessions: SmallVec<[Session; 1]>,
    /// When the timer of the watermark is due.
    armed: EventTime,
    /// When the timer of the frontier is due.
    ends: EventTime,
    arrival: u64,
    /// Rows that wait to be read.
    waiting: u32,
    event: bool,
    expiry: bool,
    live: bool,
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            sessions: SmallVec::new(),
            armed: NEVER,
            ends: NEVER,
            arrival: 0,
            waiting: 0,
            event: false,
            expiry: false,
            live: false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// The newest session.
    Current,
    /// The last that closed.
    LastClosed,
    /// Each, `delay` after its end; once if `once`, else again when it changes.
    Closed { delay: i64, once: bool },
    /// Each, whenever it changes.
    EveryChange,
}

/// A row that waits to be read.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    slot: u32,
    start: EventTime,
    value: Value,
}

#[derive(Debug, Clone, Copy)]
enum Value {
    /// That of the session when it is read.
    Session,
    /// Set aside.
    Frozen(Cell),
    /// The session is no more: it became part of a longer one.
    Gone,
}

/// By window end, the key's arrival, window start.
type QueueKey = (EventTime, u64, EventTime);

pub(crate) struct SessionLane {
    gap: i64,
    mode: Mode,
    lateness: i64,
    frontier: EventTime,
    watermark: EventTime,
    cells: CellSet,
    entries: Entries<Entry>,
    /// By the watermark: closing, freeing.
    wheel: TimerWheel,
    /// By the frontier: the newest session's end.
    end_wheel: TimerWheel,
    dirty: DirtyLists,
    keep: bool,
    /// The reader may have any row.
    standing: bool,
    queue: BTreeMap<QueueKey, Waiting>,
    arrivals: u64,
    late_rows: u64,
    rows: Vec<u32>,
    row_cells: Vec<Cell>,
}

impl SessionLane {
    /// A lane for a set whose windows are sessions (of others the size is taken as the gap).
    pub(crate) fn new(spec: &SetSpec) -> Self {
        let gap = match spec.window.kind {
            WindowKind::Session { gap } => gap,
            WindowKind::Tumble { size }
            | WindowKind::Hop { size, .. }
            | WindowKind::Cumulate { size, .. } => size,
        };
        let (mode, lateness) = match spec.emit {
            Emit::Current => (Mode::Current, 0),
            Emit::LastClosed => (Mode::LastClosed, 0),
            Emit::Closed { allowed_lateness } => (
                Mode::Closed {
                    delay: 0,
                    once: false,
                },
                allowed_lateness,
            ),
            Emit::Final { allowed_lateness } => (
                Mode::Closed {
                    delay: allowed_lateness,
                    once: true,
                },
                allowed_lateness,
            ),
            Emit::EveryChange { allowed_lateness } => (Mode::EveryChange, allowed_lateness),
        };
        let mut entries = Entries::new();
        entries.add_reader();
        Self {
            gap: gap.max(0),
            mode,
            lateness,
            frontier: NO_TIME,
            watermark: NO_TIME,
            cells: CellSet::new(&spec.aggregates, spec.retracting),
            entries,
            wheel: TimerWheel::new(),
            end_wheel: TimerWheel::new(),
            dirty: DirtyLists::default(),
            keep: false,
            standing: false,
            queue: BTreeMap::new(),
            arrivals: 0,
            late_rows: 0,
            rows: Vec::new(),
            row_cells: Vec::new(),
        }
    }

    fn end(&self, session: &Session) -> EventTime {
        session.last + self.gap
    }

    /// How long after its end a session's row is queued; `None` where the watermark queues none.
    fn close_delay(&self) -> Option<i64> {
        match self.mode {
            Mode::LastClosed => Some(0),
            Mode::Closed { delay, .. } => Some(delay),
            Mode::Current | Mode::EveryChange => None,
        }
    }

    fn has_closed(&self, session: &Session, watermark: EventTime) -> bool {
        self.close_delay().is_some_and(|delay| {
            self.end(session).saturating_add(delay) - WINDOW_TIME_GAP <= watermark
        })
    }

    /// When the watermark frees a session.
    fn free_at(&self, session: &Session) -> EventTime {
        (self.end(session) + self.gap).saturating_add(self.lateness) - WINDOW_TIME_GAP
    }

    /// The entry of a key, and whether it is new.
    fn entry(&mut self, key: u32, keys: &mut KeyTable) -> (u32, bool) {
        if let Some(slot) = self.entries.find(key) {
            return (slot, false);
        }
        let slot = self.entries.find_or_insert(key, keys);
        self.entries.get_mut(slot).arrival = self.arrivals;
        self.arrivals += 1;
        (slot, true)
    }

    /// The reader has a row of this key. What is read next may be that there is none.
    fn assume_live(&mut self, slot: u32) {
        let entry = self.entries.get_mut(slot);
        if !entry.live {
            entry.live = true;
            if !entry.event && !entry.expiry {
                entry.expiry = true;
                self.dirty.expiry.push_back(slot);
            }
        }
    }

    /// Adds a row to an entry; false if it is late.
    fn add(&mut self, slot: u32, time: EventTime, watermark: EventTime, input: &Input<'_>) -> bool {
        let gap = self.gap;
        let sessions = &self.entries.get(slot).sessions;
        // The common case first: the newest session, or one after it.
        let from = match sessions.last() {
            Some(last) if last.last < time - gap => sessions.len(),
            _ => sessions.partition_point(|session| session.last < time - gap),
        };
        // A forgotten session may still be there, but which rows it takes must not depend on that.
        let forgotten = sessions[from..]
            .iter()
            .take_while(|session| self.free_at(session) <= watermark)
            .count();
        let from = from + forgotten;
        let joined = sessions[from..]
            .iter()
            .take_while(|session| session.first <= time + gap)
            .count();
        let to = from + joined;
        let mut first = time;
        let mut last = time;
        if joined > 0 {
            first = first.min(sessions[from].first);
            last = last.max(sessions[to - 1].last);
        }
        let whole = (last + gap).saturating_add(self.lateness) - WINDOW_TIME_GAP;
        if whole <= watermark {
            return false;
        }
        // What had closed before this row came is queued before the row changes it.
        for at in from..to {
            let session = self.entries.get(slot).sessions[at];
            if session.flags & CLOSED == 0 && self.has_closed(&session, watermark) {
                self.apply_rows(input);
                self.close_session(slot, at);
            }
        }
        let same = joined == 1 && {
            let session = &self.entries.get(slot).sessions[from];
            session.first == first && session.last == last
        };
        let cell = if joined == 0 {
            let cell = self.cells.take();
            let session = Session {
                first,
                last,
                cell,
                flags: 0,
            };
            self.entries.get_mut(slot).sessions.insert(from, session);
            cell
        } else {
            if !same {
                self.change(slot, from, to, input);
            }
            let session = &mut self.entries.get_mut(slot).sessions[from];
            session.first = first;
            session.last = last;
            session.cell
        };
        self.row_cells.push(cell);
        self.row_changed(slot, from, watermark);
        true
    }

    /// The sessions `from..to` become one, or change their ends.
    fn change(&mut self, slot: u32, from: usize, to: usize, input: &Input<'_>) {
        let touched: SmallVec<[Session; 2]> = self.entries.get(slot).sessions[from..to]
            .iter()
            .copied()
            .collect();
        let aside = touched.len() > 1
            || touched
                .iter()
                .any(|session| session.flags != 0 && self.mode != Mode::Current);
        if aside {
            self.apply_rows(input);
        }
        for session in &touched {
            if session.flags != 0 || self.mode == Mode::EveryChange {
                self.session_changes(slot, session);
            }
        }
        for session in &touched[1..] {
            self.cells.merge(touched[0].cell, session.cell);
            self.cells.give_back(session.cell);
        }
        let sessions = &mut self.entries.get_mut(slot).sessions;
        sessions.drain(from + 1..to);
        sessions[from].flags = 0;
    }

    /// Marks or queues what a row in session `at` changed, and sets timers.
    fn row_changed(&mut self, slot: u32, at: usize, watermark: EventTime) {
        let session = self.entries.get(slot).sessions[at];
        match self.mode {
            Mode::Current => {
                let entry = self.entries.get_mut(slot);
                if at + 1 == entry.sessions.len() {
                    if !entry.event {
                        entry.event = true;
                        self.dirty.event.push_back(slot);
                    }
                    let end = session.last + self.gap;
                    if end < entry.ends {
                        entry.ends = end;
                        self.end_wheel.set(end, slot);
                    }
                }
            }
            Mode::EveryChange => {
                self.queue_row(slot, session.first, session.last + self.gap, Value::Session);
            }
            Mode::Closed { .. } | Mode::LastClosed => {
                if session.flags & CLOSED != 0 || self.has_closed(&session, watermark) {
                    self.close_session(slot, at);
                }
            }
        }
        self.arm(slot, &session);
    }

    fn arm(&mut self, slot: u32, session: &Session) {
        let at = match self.close_delay() {
            Some(delay) if session.flags & CLOSED == 0 => {
                self.end(session).saturating_add(delay) - WINDOW_TIME_GAP
            }
            _ => self.free_at(session),
        };
        let entry = self.entries.get_mut(slot);
        if at < entry.armed {
            entry.armed = at;
            self.wheel.set(at, slot);
        }
    }

    /// Frees sessions that no row can join any more, and the entry with its last.
    fn settle(&mut self, slot: u32, keys: &mut KeyTable) {
        let entry = self.entries.get(slot);
        let mut unread = entry.waiting > 0 || entry.event || entry.expiry;
        if self.mode == Mode::Current
            && let Some(newest) = entry.sessions.last()
        {
            // The watermark may be ahead of the frontier: the value still stands.
            unread |= self.frontier < newest.last + self.gap || (entry.live && !self.keep);
        }
        if !unread {
            let count = entry
                .sessions
                .iter()
                .take_while(|session| {
                    self.free_at(session) <= self.watermark
                        && (self.close_delay().is_none() || session.flags & CLOSED != 0)
                })
                .count();
            let gone: SmallVec<[Session; 2]> =
                self.entries.get_mut(slot).sessions.drain(..count).collect();
            for session in gone {
                self.cells.give_back(session.cell);
            }
            let entry = self.entries.get(slot);
            if entry.sessions.is_empty() && (!entry.live || self.keep) {
                self.entries.remove(slot, keys);
                return;
            }
            let sessions = entry.sessions.clone();
            for session in &sessions {
                self.arm(slot, session);
            }
        }
    }

    fn apply_rows(&mut self, input: &Input<'_>) {
        self.cells.apply(
            &self.rows[..self.row_cells.len()],
            &self.row_cells,
            input,
            false,
            Part::All,
        );
        self.rows.clear();
        self.row_cells.clear();
    }
}

impl Lane for SessionLane {
    fn process(
        &mut self,
        rows: &[KeyedRow],
        keys: &mut KeyTable,
        input: &Input<'_>,
        late: &mut Vec<u32>,
    ) {
        for &KeyedRow { row, key } in rows {
            let time = input.time[row as usize];
            if self.standing && self.mode == Mode::Current {
                // Also where the row comes too late to count.
                let (slot, _) = self.entry(key, keys);
                self.assume_live(slot);
            }
            if !(-ROW_TIME_LIMIT..=ROW_TIME_LIMIT).contains(&time) {
                self.late_rows += 1;
                late.push(row);
                continue;
            }
            if input.retract.is_some_and(|retract| retract[row as usize]) {
                // Partial aggregates cannot tell where a session would come apart.
                self.cells.count_unknown_retraction();
                continue;
            }
            let watermark = input.watermark[row as usize].max(self.watermark);
            let (slot, new) = self.entry(key, keys);
            if self.add(slot, time, watermark, input) {
                self.rows.push(row);
            } else {
                self.late_rows += 1;
                late.push(row);
                if new {
                    self.entries.remove(slot, keys);
                }
            }
        }
        self.apply_rows(input);
    }

    fn set_time(&mut self, frontier: EventTime, watermark: EventTime, _keys: &mut KeyTable) {
        self.frontier = self.frontier.max(frontier);
        self.watermark = self.watermark.max(watermark);
    }

    fn drain(&mut self, budget: &mut usize, keys: &mut KeyTable) -> bool {
        while *budget > 0 {
            let Some(timer) = self.end_wheel.pop(self.frontier) else {
                break;
            };
            *budget -= 1;
            let slot = timer.id;
            if self.entries.key(slot).is_none() || self.entries.get(slot).ends != timer.deadline {
                continue;
            }
            let entry = self.entries.get_mut(slot);
            entry.ends = NEVER;
            let Some(newest) = entry.sessions.last() else {
                continue;
            };
            let end = newest.last + self.gap;
            if end > self.frontier {
                entry.ends = end;
                self.end_wheel.set(end, slot);
            } else if !self.keep && entry.live && !entry.event && !entry.expiry {
                entry.expiry = true;
                self.dirty.expiry.push_back(slot);
            } else {
                self.settle(slot, keys);
            }
        }
        while *budget > 0 {
            let Some(timer) = self.wheel.pop(self.watermark) else {
                return false;
            };
            *budget -= 1;
            let slot = timer.id;
            if self.entries.key(slot).is_none() || self.entries.get(slot).armed != timer.deadline {
                continue;
            }
            self.entries.get_mut(slot).armed = NEVER;
            let due: SmallVec<[usize; 4]> = {
                let sessions = self.entries.get(slot).sessions.iter().enumerate();
                sessions
                    .filter(|(_, session)| {
                        session.flags & CLOSED == 0 && self.has_closed(session, self.watermark)
                    })
                    .map(|(at, _)| at)
                    .collect()
            };
            for at in due {
                self.close_session(slot, at);
            }
            let sessions = self.entries.get(slot).sessions.clone();
            for session in &sessions {
                // What waits to be read is freed after it was read.
                if session.flags & CLOSED == 0 && self.close_delay().is_some()
                    || self.free_at(session) > self.watermark
                {
                    self.arm(slot, session);
                }
            }
            self.settle(slot, keys);
        }
        true
    }

    fn take_changes(
        &mut self,
        _view: usize,
        max: usize,
        include_expiry: bool,
        keys: &mut KeyTable,
        encoder: &KeyEncoder,
    ) -> Option<Changes> {
        let mut out = ChangeRows::default();
        let mut looked_at = Vec::new();
        if self.mode == Mode::Current {
            self.take_current(max, include_expiry, &mut out, &mut looked_at);
        } else {
            self.take_queued(max, &mut out, &mut looked_at);
        }
        // What was taken is not to come again after a restore, unless time alone makes it.
        let taken: Vec<u32> = if self.mode == Mode::Current {
            let rows = out.slots.iter().zip(&out.urgent);
            rows.filter_map(|(&slot, &urgent)| urgent.then_some(slot))
                .collect()
        } else {
            looked_at.clone()
        };
        for key in taken.into_iter().filter_map(|slot| self.entries.key(slot)) {
            keys.touch(key);
        }
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
        if self.mode != Mode::Current {
            self.queue_again();
            return;
        }
        let slots: Vec<u32> = self.entries.slots().collect();
        self.mark(0, &slots);
    }

    fn mark(&mut self, _view: usize, slots: &[u32]) {
        if self.mode != Mode::Current {
            return;
        }
        for &slot in slots {
            if self.entries.key(slot).is_none() {
                continue;
            }
            let entry = self.entries.get_mut(slot);
            if entry.live && !entry.event && !entry.expiry {
                entry.expiry = true;
                self.dirty.expiry.push_back(slot);
            }
        }
    }

    fn rekey(&mut self, numbers: &[u32], keys: &mut KeyTable) {
        self.entries.rekey(numbers, keys);
    }

    fn assume_standing(&mut self, _view: usize, on: bool) {
        self.standing = on;
        if on && self.mode == Mode::Current {
            let slots: Vec<u32> = self.entries.slots().collect();
            slots.into_iter().for_each(|slot| self.assume_live(slot));
        }
    }

    fn save(&mut self, _views: &[usize], keys: &SavedKeys, out: &mut Vec<u8>) {
        self.save_lane(keys, out);
    }

    fn load(&mut self, saved: &mut [SavedLane<'_>], keys: &mut KeyTable) -> Result<(), StateError> {
        self.load_lane(saved, keys)
    }

    fn set_keep(&mut self, _view: usize, keep: bool) {
        self.keep = keep;
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
        let mut sessions = 0;
        let mut lists = 0;
        for slot in self.entries.slots() {
            let list = &self.entries.get(slot).sessions;
            sessions += list.len() as u64;
            lists += if list.spilled() {
                list.capacity() * size_of::<Session>()
            } else {
                0
            };
        }
        let bytes = lists
            + self.queue.len() * size_of::<(QueueKey, Waiting)>()
            + self.dirty.state_bytes()
            + self.cells.state_bytes()
            + self.entries.state_bytes()
            + self.wheel.state_bytes()
            + self.end_wheel.state_bytes();
        LaneStats {
            slices: sessions,
            late_rows: self.late_rows,
            unknown_retractions: self.cells.unknown_retractions(),
            bound_reached: self.cells.bound_reached(),
            state_bytes: bytes as u64,
        }
    }
}
