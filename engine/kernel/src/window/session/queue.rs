//! What waits to be read of a session lane, and reading it.

use super::{CLOSED, Mode, NEVER, QueueKey, SHOWN, Session, SessionLane, Value, Waiting};
use crate::aggregate::Cell;
use crate::change::RowState;
use crate::window::cells::Part;
use crate::window::lane::ChangeRows;
use tidewheel_core::EventTime;

impl SessionLane {
    pub(super) fn queue_row(&mut self, slot: u32, start: EventTime, end: EventTime, value: Value) {
        let entry = self.entries.get_mut(slot);
        let row = Waiting { slot, start, value };
        match self.queue.insert((end, entry.arrival, start), row) {
            None => entry.waiting += 1,
            Some(Waiting {
                value: Value::Frozen(cell),
                ..
            }) => self.cells.give_back(cell),
            Some(_) => {}
        }
    }

    pub(super) fn copy(&mut self, from: Cell) -> Cell {
        let cell = self.cells.take();
        self.cells.merge_spans(&[(cell, from)], Part::All);
        cell
    }

    /// Queues the row of session `at` of an entry, which has closed.
    pub(super) fn close_session(&mut self, slot: u32, at: usize) {
        let session = self.entries.get(slot).sessions[at];
        self.entries.get_mut(slot).sessions[at].flags |= CLOSED;
        let (start, end) = (session.first, self.end(&session));
        if self.mode != Mode::LastClosed {
            self.queue_row(slot, start, end, Value::Session);
            return;
        }
        // One row a key: a session that closed later stands for those before it.
        let arrival = self.entries.get(slot).arrival;
        let entry = self.entries.get_mut(slot);
        if entry.ends != NEVER && entry.ends > end {
            return;
        }
        let older = std::mem::replace(&mut entry.ends, end);
        let old: Vec<QueueKey> = if older == NEVER {
            Vec::new()
        } else {
            let rows = self
                .queue
                .range((older, arrival, i64::MIN)..=(older, arrival, i64::MAX));
            rows.map(|(key, _)| *key).collect()
        };
        for key in old {
            self.drop_row(slot, key);
        }
        let cell = self.copy(session.cell);
        self.queue_row(slot, start, end, Value::Frozen(cell));
    }

    pub(super) fn drop_row(&mut self, slot: u32, key: QueueKey) {
        if let Some(row) = self.queue.remove(&key) {
            if let Value::Frozen(cell) = row.value {
                self.cells.give_back(cell);
            }
            self.entries.get_mut(slot).waiting -= 1;
        }
    }

    /// A session is about to change its start or end: deals with the row that it has or had.
    pub(super) fn session_changes(&mut self, slot: u32, session: &Session) {
        let arrival = self.entries.get(slot).arrival;
        let key = (self.end(session), arrival, session.first);
        match self.mode {
            Mode::Current | Mode::LastClosed => {}
            Mode::Closed { once: true, .. } => {
                // Its row was due: it is emitted as it is.
                if self
                    .queue
                    .get(&key)
                    .is_some_and(|row| matches!(row.value, Value::Session))
                {
                    let cell = self.copy(session.cell);
                    self.queue_row(slot, session.first, key.0, Value::Frozen(cell));
                }
            }
            Mode::Closed { once: false, .. } | Mode::EveryChange => {
                if session.flags & SHOWN != 0 || self.standing {
                    self.queue_row(slot, session.first, key.0, Value::Gone);
                } else {
                    self.drop_row(slot, key);
                }
            }
        }
    }

    /// Queues the rows again that the reader has, of sessions that are still held.
    pub(super) fn queue_again(&mut self) {
        if matches!(self.mode, Mode::Closed { once: true, .. }) {
            // Emitted once, when no row counts any more.
            return;
        }
        let slots: Vec<u32> = self.entries.slots().collect();
        for slot in slots {
            let sessions = self.entries.get(slot).sessions.clone();
            for (at, session) in sessions.iter().enumerate() {
                let end = self.end(session);
                let waits = {
                    let arrival = self.entries.get(slot).arrival;
                    self.queue.contains_key(&(end, arrival, session.first))
                };
                if waits {
                    continue;
                }
                if self.mode == Mode::LastClosed {
                    if session.flags & CLOSED != 0 && self.entries.get(slot).ends == end {
                        self.close_session(slot, at);
                    }
                } else if session.flags & SHOWN != 0 {
                    self.queue_row(slot, session.first, end, Value::Session);
                }
            }
        }
    }

    pub(super) fn take_current(
        &mut self,
        max: usize,
        include_expiry: bool,
        out: &mut ChangeRows,
        looked_at: &mut Vec<u32>,
    ) {
        let mut nothing: Option<Cell> = None;
        while out.len() < max {
            let Some(slot) = self.dirty.pop(include_expiry) else {
                break;
            };
            let Some(key) = self.entries.key(slot) else {
                continue;
            };
            let entry = self.entries.get_mut(slot);
            if !entry.event && !entry.expiry {
                continue;
            }
            let urgent = std::mem::take(&mut entry.event);
            entry.expiry = false;
            looked_at.push(slot);
            let session = entry.sessions.last().copied();
            let (start, end) = session.map_or((self.frontier, self.frontier), |session| {
                (session.first, session.last + self.gap)
            });
            let live = self.keep || self.frontier < end;
            if session.is_none() && self.keep || !live && !entry.live {
                entry.live = false;
                continue;
            }
            entry.live = live;
            out.slots.push(slot);
            out.keys.push(key);
            out.window_start.push(start);
            out.window_end.push(end);
            out.states.push(if live {
                RowState::Live
            } else {
                RowState::Empty
            });
            out.empty_at.push(end);
            out.urgent.push(urgent);
            let cell = session.filter(|_| live).map(|session| session.cell);
            out.cells
                .push(cell.unwrap_or_else(|| *nothing.get_or_insert_with(|| self.cells.take())));
        }
        out.scratch.extend(nothing);
    }

    pub(super) fn take_queued(
        &mut self,
        max: usize,
        out: &mut ChangeRows,
        looked_at: &mut Vec<u32>,
    ) {
        let mut nothing: Option<Cell> = None;
        while out.len() < max {
            let Some(((end, _, _), row)) = self.queue.pop_first() else {
                break;
            };
            let Waiting { slot, start, value } = row;
            let Some(key) = self.entries.key(slot) else {
                continue;
            };
            let entry = self.entries.get_mut(slot);
            entry.waiting -= 1;
            looked_at.push(slot);
            let cell = match value {
                Value::Gone => None,
                Value::Frozen(cell) => {
                    out.scratch.push(cell);
                    Some(cell)
                }
                Value::Session => {
                    let found = entry
                        .sessions
                        .iter_mut()
                        .find(|session| session.first == start && session.last + self.gap == end);
                    let Some(session) = found else { continue };
                    session.flags |= SHOWN;
                    Some(session.cell)
                }
            };
            out.slots.push(slot);
            out.keys.push(key);
            out.window_start.push(start);
            out.window_end.push(end);
            out.states.push(if cell.is_some() {
                RowState::Live
            } else {
                RowState::Empty
            });
            out.empty_at.push(end);
            out.urgent.push(true);
            out.cells
                .push(cell.unwrap_or_else(|| *nothing.get_or_insert_with(|| self.cells.take())));
        }
        out.scratch.extend(nothing);
    }
}
