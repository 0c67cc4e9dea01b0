//! Saving and loading sessions.
//!
//! ```text
//! head   frontier i64, watermark i64, keep u8
//! entry  arrival u64, live u8, ends i64,
//!        sessions (count u32, then for each: first i64, last i64, flags u32, cell),
//!        waiting (count u32, then for each: end i64, start i64, value u8, [cell])
//! tail   the keys to be read: by events (count u32, key u32 *), by time (the same)
//! ```

use super::{CLOSED, Entry, NEVER, SHOWN, Session, SessionLane, Value, Waiting};
use crate::aggregate::codec::{Reader, put_count, put_i64, put_sized, put_u32, put_u64};
use crate::aggregate::{Cell, StateError};
use crate::saved::broken;
use crate::window::grid::ROW_TIME_LIMIT;
use crate::window::save::{LaneKind, SavedKeys, SavedLane, arrivals, rows_of};
use crate::window::table::KeyTable;
use smallvec::SmallVec;
use tidewheel_core::EventTime;

/// How a row's value was saved.
const OF_SESSION: u8 = 0;
const FROZEN: u8 = 1;
const GONE: u8 = 2;

/// A row to be queued once arrivals are numbered.
struct Queued {
    end: EventTime,
    row: Waiting,
}

impl SessionLane {
    pub(super) fn save_lane(&mut self, keys: &SavedKeys, out: &mut Vec<u8>) {
        self.cells.reserve(0);
        out.push(LaneKind::Session as u8);
        put_sized(out, |out| {
            put_i64(out, self.frontier);
            put_i64(out, self.watermark);
            out.push(u8::from(self.keep));
        });
        let entries = &self.entries;
        let sessions = |key: &u32| {
            let slot = entries.find(*key);
            slot.map_or(0, |slot| entries.get(slot).sessions.len())
        };
        put_count(out, keys.keys.iter().map(sessions).sum());
        let mut waiting: Vec<(EventTime, Waiting)> =
            self.queue.iter().map(|(key, row)| (key.0, *row)).collect();
        waiting.sort_by_key(|(_, row)| row.slot);
        let list = |entry: &Entry, list: &mut Vec<Cell>| {
            list.extend(entry.sessions.iter().map(|session| session.cell));
        };
        keys.put_entries(entries, &mut self.cells, out, list, |slot, cells, out| {
            let entry = entries.get(slot);
            put_u64(out, entry.arrival);
            out.push(u8::from(entry.live));
            put_i64(out, entry.ends);
            put_count(out, entry.sessions.len());
            for session in &entry.sessions {
                put_i64(out, session.first);
                put_i64(out, session.last);
                put_u32(out, session.flags);
                cells.save(session.cell, out);
            }
            let rows = rows_of(&waiting, slot, |(_, row)| row.slot);
            put_count(out, rows.len());
            for (end, row) in rows {
                put_i64(out, *end);
                put_i64(out, row.start);
                match row.value {
                    Value::Session => out.push(OF_SESSION),
                    Value::Gone => out.push(GONE),
                    Value::Frozen(cell) => {
                        out.push(FROZEN);
                        cells.save(cell, out);
                    }
                }
            }
        });
        let (event, expiry) = (&self.dirty.event, &self.dirty.expiry);
        keys.put_slots(entries, event.iter().copied(), |entry| entry.event, out);
        let by_time = |entry: &Entry| entry.expiry && !entry.event;
        keys.put_slots(entries, expiry.iter().copied(), by_time, out);
    }

    pub(super) fn load_lane(
        &mut self,
        saved: &mut [SavedLane<'_>],
        keys: &mut KeyTable,
    ) -> Result<(), StateError> {
        for lane in saved.iter_mut() {
            lane.check(LaneKind::Session)?;
            self.frontier = self.frontier.max(lane.head.i64()?);
            self.watermark = self.watermark.max(lane.head.i64()?);
            self.keep |= lane.head.bool()?;
        }
        self.wheel.pop(self.watermark);
        self.end_wheel.pop(self.frontier);
        self.entries
            .reserve(saved.iter().map(|lane| lane.loaded).sum());
        self.cells
            .reserve(saved.iter().map(|lane| lane.cells).sum());
        let mut order: Vec<(u64, usize, u32)> = Vec::new();
        let mut queued: Vec<Queued> = Vec::new();
        for (shard, lane) in saved.iter_mut().enumerate() {
            lane.body.entries(|key, reader| {
                let slot = self.load_entry(key, reader, &mut queued, keys)?;
                order.push((self.entries.get(slot).arrival, shard, slot));
                Ok(())
            })?;
            for event in [true, false] {
                for key in lane.body.list()? {
                    if let Some(slot) = self.entries.find(key) {
                        self.mark_saved(slot, event);
                    }
                }
            }
            lane.body.finish()?;
        }
        for (arrival, slot) in arrivals(order) {
            self.entries.get_mut(slot).arrival = arrival;
            self.arrivals = arrival + 1;
        }
        for Queued { end, row } in queued {
            let entry = self.entries.get_mut(row.slot);
            entry.waiting += 1;
            let key = (end, entry.arrival, row.start);
            if self.queue.insert(key, row).is_some() {
                return broken("a session waits twice");
            }
        }
        Ok(())
    }

    fn load_entry(
        &mut self,
        key: u32,
        reader: &mut Reader<'_>,
        queued: &mut Vec<Queued>,
        keys: &mut KeyTable,
    ) -> Result<u32, StateError> {
        if self.entries.find(key).is_some() {
            return broken("a key was saved twice");
        }
        let slot = self.entries.find_or_insert(key, keys);
        let (arrival, live, ends) = (reader.u64()?, reader.bool()?, reader.i64()?);
        let mut sessions: SmallVec<[Session; 1]> = SmallVec::new();
        for _ in 0..reader.count(2 * size_of::<i64>() + size_of::<u32>())? {
            let (first, last, flags) = (reader.i64()?, reader.i64()?, reader.u32()?);
            let times = -ROW_TIME_LIMIT..=ROW_TIME_LIMIT;
            // One that was forgotten may reach into the next.
            let after = sessions.last().is_none_or(|before| before.last < last);
            if !(times.contains(&first) && times.contains(&last) && first <= last && after) {
                return broken("sessions are out of order");
            }
            sessions.push(Session {
                first,
                last,
                cell: self.cells.load(reader)?,
                flags: flags & (CLOSED | SHOWN),
            });
        }
        for _ in 0..reader.count(2 * size_of::<i64>() + 1)? {
            let (end, start) = (reader.i64()?, reader.i64()?);
            let value = match reader.u8()? {
                OF_SESSION => Value::Session,
                GONE => Value::Gone,
                FROZEN => Value::Frozen(self.cells.load(reader)?),
                _ => return broken("a row's value is of no known kind"),
            };
            let row = Waiting { slot, start, value };
            queued.push(Queued { end, row });
        }
        let entry = self.entries.get_mut(slot);
        entry.arrival = arrival;
        entry.live = live;
        entry.ends = ends;
        entry.sessions = sessions;
        if self.mode == super::Mode::Current && ends != NEVER {
            self.end_wheel.set(ends, slot);
        }
        let sessions = self.entries.get(slot).sessions.clone();
        sessions.iter().for_each(|session| self.arm(slot, session));
        Ok(slot)
    }

    fn mark_saved(&mut self, slot: u32, event: bool) {
        let entry = self.entries.get_mut(slot);
        if event && !entry.event {
            entry.event = true;
            self.dirty.event.push_back(slot);
        } else if !event && !entry.event && !entry.expiry {
            entry.expiry = true;
            self.dirty.expiry.push_back(slot);
        }
    }
}
