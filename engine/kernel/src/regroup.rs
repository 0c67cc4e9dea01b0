//! GROUP BY without a window function: over a stream (lifetime values) or over a changelog
//! (a second aggregation over the windows of a first).
//!
//! A group is one cell and a count of its rows. It goes when the last row is taken back, when
//! its windows' end has passed (`window_end`), or `state_ttl` after its newest row.

mod save;

use crate::aggregate::Cell;
use crate::change::{Changes, OperatorStats, RowState};
use crate::input::Input;
use crate::keys::{KeyEncoder, Keys};
use crate::spec::{AggregateSpec, Emit, WINDOW_TIME_GAP};
use crate::window::cells::{CellSet, Part, is_true};
use crate::window::entries::{DirtyLists, Entries, NONE};
use crate::window::lane::ChangeRows;
use crate::window::table::KeyTable;
use crate::window::wheel::TimerWheel;
use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType};
use tidewheel_core::EventTime;
use tidewheel_core::time::{END_OF_TIME, NO_TIME};

/// What a regroup operator is to compute.
#[derive(Debug, Clone)]
pub struct RegroupSpec {
    /// Index of a Boolean input column; rows where it is not true are left out.
    pub filter: Option<usize>,
    /// The aggregates, in the order of the output columns.
    pub aggregates: Vec<AggregateSpec>,
    /// The input retracts rows.
    pub retracting: bool,
    /// Microseconds of event time after a group's newest row at which its state goes.
    pub state_ttl: Option<i64>,
    /// Index of the input column (a timestamp, or microseconds) with the start of the windows
    /// that the rows come from, for the output only.
    pub window_start: Option<usize>,
    /// Index of the input column with their end; it must be the same for all rows of a group.
    pub window_end: Option<usize>,
    /// When a group is emitted. `Closed` and `Final` wait until the watermark passes
    /// `window_end`; all others emit on change. Without `window_end` all emit on change.
    pub emit: Emit,
}

/// No timer is set.
const NEVER: EventTime = EventTime::MAX;

#[derive(Debug)]
struct Group {
    cell: Cell,
    rows: i64,
    newest: EventTime,
    /// The latest end of a row that it was given, [`NO_TIME`] where rows have no ends.
    last_end: EventTime,
    window: (EventTime, EventTime),
    armed: EventTime,
    event: bool,
    expiry: bool,
    live: bool,
    /// The watermark passed its window's end: it is emitted.
    open: bool,
}

impl Default for Group {
    fn default() -> Self {
        Self {
            cell: NONE,
            rows: 0,
            newest: NO_TIME,
            last_end: NO_TIME,
            window: (NO_TIME, END_OF_TIME),
            armed: NEVER,
            event: false,
            expiry: false,
            live: false,
            open: false,
        }
    }
}

/// One shard's share of a GROUP BY.
pub struct RegroupOperator {
    encoder: KeyEncoder,
    spec: RegroupSpec,
    /// How long after a window's end its group is emitted first; `None` if at once.
    delay: Option<i64>,
    lateness: i64,
    keys: KeyTable,
    cells: CellSet,
    groups: Entries<Group>,
    dirty: DirtyLists,
    wheel: TimerWheel,
    frontier: EventTime,
    watermark: EventTime,
    late_rows: u64,
    /// The reader may have any group.
    standing: bool,
}

impl RegroupOperator {
    /// An operator for keys of this encoder.
    #[must_use]
    pub fn new(encoder: KeyEncoder, spec: RegroupSpec) -> Self {
        let (delay, lateness) = match spec.emit {
            Emit::Closed { allowed_lateness } => (Some(0), allowed_lateness),
            Emit::Final { allowed_lateness } => (Some(allowed_lateness), allowed_lateness),
            Emit::EveryChange { allowed_lateness } => (None, allowed_lateness),
            Emit::Current | Emit::LastClosed => (None, 0),
        };
        let mut groups = Entries::new();
        groups.add_reader();
        Self {
            encoder,
            delay: delay.filter(|_| spec.window_end.is_some()),
            lateness,
            keys: KeyTable::default(),
            cells: CellSet::new(&spec.aggregates, spec.retracting),
            groups,
            dirty: DirtyLists::default(),
            wheel: TimerWheel::new(),
            frontier: NO_TIME,
            watermark: NO_TIME,
            late_rows: 0,
            standing: false,
            spec,
        }
    }

    /// The encoder of its keys.
    #[must_use]
    pub fn encoder(&self) -> &KeyEncoder {
        &self.encoder
    }

    /// Takes the rows of a batch. Returns the places of those that were late: their window's end
    /// and allowed lateness had passed by the watermark before them.
    pub fn process(&mut self, input: &Input<'_>) -> Vec<u32> {
        let filter = self
            .spec
            .filter
            .and_then(|column| input.columns[column].as_boolean_opt());
        let starts = times(input, self.spec.window_start);
        let ends = times(input, self.spec.window_end);
        let mut late = Vec::new();
        let (mut rows, mut cells) = (Vec::new(), Vec::new());
        let mut taken_back = Vec::new();
        for &row in input.rows {
            if filter.is_some_and(|filter| !is_true(filter, row)) {
                continue;
            }
            let at = row as usize;
            let start = starts.as_ref().map_or(NO_TIME, |times| times[at]);
            let end = ends.as_ref().map_or(END_OF_TIME, |times| times[at]);
            let watermark = input.watermark[at].max(self.watermark);
            if end != END_OF_TIME && self.end_clock(end, self.lateness) <= watermark {
                self.late_rows += 1;
                late.push(row);
                continue;
            }
            let key = self.keys.find_or_insert(input.keys, at);
            let slot = self.groups.find_or_insert(key, &mut self.keys);
            let known = self.groups.get(slot);
            let expired = self.spec.state_ttl.is_some_and(|ttl| {
                known.newest != NO_TIME && known.newest.saturating_add(ttl) <= input.time[at]
            });
            if expired && !self.spec.retracting {
                // The timer comes only after the batch; the group starts anew with this row.
                self.cells.apply(&rows, &cells, input, false, Part::All);
                rows.clear();
                cells.clear();
                let group = self.groups.get_mut(slot);
                self.cells
                    .give_back(std::mem::replace(&mut group.cell, NONE));
                group.rows = 0;
            }
            let group = self.groups.get_mut(slot);
            if group.cell == NONE {
                group.cell = self.cells.take();
            }
            group.window = (start, end);
            group.newest = group.newest.max(input.time[at]);
            if input.retract.is_some_and(|retract| retract[at]) {
                taken_back.push((row, slot));
            } else {
                group.rows += 1;
                rows.push(row);
                cells.push(group.cell);
            }
            group.open = match self.delay {
                None => true,
                Some(delay) => end.saturating_add(delay) - WINDOW_TIME_GAP <= watermark,
            };
            if group.open && !group.event {
                group.event = true;
                self.dirty.event.push_back(slot);
            }
            if self.standing {
                self.assume_live(slot);
            }
            self.arm(slot);
        }
        self.cells.apply(&rows, &cells, input, false, Part::All);
        rows.clear();
        cells.clear();
        // Rows are added before any is taken back: a batch may hold both for one group.
        for &(row, slot) in &taken_back {
            let group = self.groups.get_mut(slot);
            if group.rows > 0 {
                group.rows -= 1;
                rows.push(row);
                cells.push(group.cell);
            } else {
                self.cells.count_unknown_retraction();
            }
        }
        self.cells.apply(&rows, &cells, input, true, Part::All);
        for (_, slot) in taken_back {
            self.forget_if_unused(slot);
        }
        self.keys.sweep();
        late
    }

    /// Says until when rows of a changelog live that were processed, or would be again as they
    /// were: `ends[row]` for each of `rows`. A group runs empty at the last of its rows' ends;
    /// one whose end moves on is to be taken again, as one that time changed.
    pub fn extend(&mut self, keys: &Keys, rows: &[u32], ends: &[EventTime]) {
        for &row in rows {
            let Some(key) = self.keys.find(keys, row as usize) else {
                continue;
            };
            let Some(slot) = self.groups.find(key) else {
                continue;
            };
            let group = self.groups.get_mut(slot);
            if ends[row as usize] <= group.last_end {
                continue;
            }
            self.keys.touch(key);
            group.last_end = ends[row as usize];
            group.newest = group.newest.max(group.last_end);
            if group.live && !group.event && !group.expiry {
                group.expiry = true;
                self.dirty.expiry.push_back(slot);
            }
        }
    }

    fn end_clock(&self, end: EventTime, after: i64) -> EventTime {
        end.saturating_add(after).saturating_sub(WINDOW_TIME_GAP)
    }

    /// Windows end by the watermark, a group without one lives by the frontier.
    fn clock_at(&self, frontier: EventTime, watermark: EventTime) -> EventTime {
        if self.spec.window_end.is_some() {
            watermark
        } else {
            frontier
        }
    }

    /// When a group is due: to be emitted first, or to go.
    fn due(&self, group: &Group) -> EventTime {
        let mut due = NEVER;
        if let Some(ttl) = self.spec.state_ttl
            && group.newest != NO_TIME
        {
            due = group.newest.saturating_add(ttl);
        }
        if group.window.1 != END_OF_TIME {
            let after = match self.delay {
                Some(delay) if !group.open => delay,
                _ => self.lateness,
            };
            due = due.min(self.end_clock(group.window.1, after));
        }
        due
    }

    fn arm(&mut self, slot: u32) {
        let group = self.groups.get(slot);
        let due = self.due(group);
        if due < group.armed {
            self.groups.get_mut(slot).armed = due;
            self.wheel.set(due, slot);
        }
    }

    /// Time has come this far; neither goes back. At most `budget` timers are worked off; true
    /// if more are due.
    pub fn advance(&mut self, frontier: EventTime, watermark: EventTime, budget: usize) -> bool {
        self.frontier = self.frontier.max(frontier);
        self.watermark = self.watermark.max(watermark);
        let mut budget = budget;
        let clock = self.clock_at(self.frontier, self.watermark);
        while budget > 0 {
            let Some(timer) = self.wheel.pop(clock) else {
                return false;
            };
            budget -= 1;
            let slot = timer.id;
            if self.groups.key(slot).is_none() || self.groups.get(slot).armed != timer.deadline {
                continue;
            }
            self.groups.get_mut(slot).armed = NEVER;
            if self.due(self.groups.get(slot)) <= clock {
                self.fall_due(slot, clock);
            }
            if self.groups.key(slot).is_some() && self.due(self.groups.get(slot)) > clock {
                self.arm(slot);
            }
        }
        self.keys.sweep();
        budget == 0
    }

    fn fall_due(&mut self, slot: u32, clock: EventTime) {
        let closes = self.delay.is_some() && !self.groups.get(slot).open;
        let group = self.groups.get_mut(slot);
        if closes {
            group.open = true;
            if !group.event {
                group.event = true;
                self.dirty.event.push_back(slot);
            }
            if self.due(self.groups.get(slot)) > clock {
                return;
            }
        }
        if self.groups.get(slot).window.1 != END_OF_TIME {
            // The window is over: its row stands, its state goes once it was read.
            self.forget_if_unused(slot);
            return;
        }
        let group = self.groups.get_mut(slot);
        group.rows = 0;
        self.cells.give_back(group.cell);
        group.cell = self.cells.take();
        group.newest = NO_TIME;
        if !group.event && !group.expiry && group.live {
            group.expiry = true;
            self.dirty.expiry.push_back(slot);
        }
        self.forget_if_unused(slot);
    }

    fn forget_if_unused(&mut self, slot: u32) {
        if self.groups.key(slot).is_none() {
            return;
        }
        let group = self.groups.get(slot);
        if group.event || group.expiry {
            return;
        }
        let over = group.window.1 != END_OF_TIME
            && self.end_clock(group.window.1, self.lateness) <= self.watermark;
        if over || (group.rows <= 0 && !group.live) {
            if group.cell != NONE {
                self.cells.give_back(group.cell);
            }
            self.groups.remove(slot, &mut self.keys);
        }
    }

    /// At most `max` groups that changed since they were last taken: those that an event touched
    /// first, then, with `include_expiry`, those that only time did. `None` if there are none.
    pub fn take_changes(&mut self, max: usize, include_expiry: bool) -> Option<Changes> {
        let mut out = ChangeRows::default();
        let mut looked_at = Vec::new();
        while out.len() < max {
            let Some(slot) = self.dirty.pop(include_expiry) else {
                break;
            };
            let Some(key) = self.groups.key(slot) else {
                continue;
            };
            let ttl = self.spec.state_ttl;
            let group = self.groups.get_mut(slot);
            if !group.event && !group.expiry {
                continue;
            }
            let urgent = std::mem::take(&mut group.event);
            group.expiry = false;
            looked_at.push(slot);
            if urgent {
                // Time alone will not take it again.
                self.keys.touch(key);
            }
            let live = group.rows > 0;
            if !live && !group.live {
                continue;
            }
            group.live = live;
            let empty_at = match (group.window.1, ttl) {
                (END_OF_TIME, Some(ttl)) if live => group.newest.saturating_add(ttl),
                (END_OF_TIME, None) if !live && self.spec.retracting => self.frontier,
                // Rows of windows have their own ends.
                (END_OF_TIME, None) if group.last_end != NO_TIME => group.last_end,
                (END_OF_TIME, None) => group.newest,
                (END_OF_TIME, Some(_)) => self.frontier,
                (end, _) => end,
            };
            out.slots.push(slot);
            out.keys.push(key);
            out.window_start.push(group.window.0);
            out.window_end.push(group.window.1);
            out.states.push(if live {
                RowState::Live
            } else {
                RowState::Empty
            });
            out.empty_at.push(empty_at);
            out.urgent.push(urgent);
            out.cells.push(group.cell);
        }
        let changes = out.finish(&mut self.cells, &self.keys, &self.encoder);
        for slot in looked_at {
            self.forget_if_unused(slot);
        }
        self.keys.sweep();
        changes
    }

    /// The slots freed since the last call; only then are they used again.
    pub fn take_freed(&mut self) -> Vec<u32> {
        self.groups.take_freed(0)
    }

    /// Marks every live group to be taken again, as one that time changed.
    pub fn refresh(&mut self) {
        let slots: Vec<u32> = self.groups.slots().collect();
        self.mark(&slots);
    }

    /// Marks some groups to be taken again, by their slots: those that are live.
    pub fn mark(&mut self, slots: &[u32]) {
        for &slot in slots {
            if self.groups.key(slot).is_none() {
                continue;
            }
            let group = self.groups.get_mut(slot);
            if group.live && !group.event && !group.expiry {
                group.expiry = true;
                self.dirty.expiry.push_back(slot);
            }
        }
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> OperatorStats {
        let bytes = self.keys.state_bytes()
            + self.groups.state_bytes()
            + self.cells.state_bytes()
            + self.dirty.state_bytes()
            + self.wheel.state_bytes();
        OperatorStats {
            keys: self.keys.len() as u64,
            slices: self.groups.len() as u64,
            late_rows: self.late_rows,
            unknown_retractions: self.cells.unknown_retractions(),
            bound_reached: self.cells.bound_reached(),
            state_bytes: bytes as u64,
        }
    }
}

/// A column of times in microseconds; NULL is the end of time.
fn times(input: &Input<'_>, column: Option<usize>) -> Option<Vec<EventTime>> {
    let column = &input.columns[column?];
    let wanted = DataType::Timestamp(TimeUnit::Microsecond, None);
    if let DataType::Int64 = column.data_type() {
        let times = column.as_primitive::<Int64Type>();
        return Some(
            times
                .iter()
                .map(|time| time.unwrap_or(END_OF_TIME))
                .collect(),
        );
    }
    let times = cast(column, &wanted).ok()?;
    let times = times.as_primitive::<TimestampMicrosecondType>();
    Some(
        (0..times.len())
            .map(|i| {
                if times.is_valid(i) {
                    times.value(i)
                } else {
                    END_OF_TIME
                }
            })
            .collect(),
    )
}
