//! Saving and loading lanes with one row a key and window.
//!
//! Rows that wait to be read stand with their key's entry, and so do the windows that a reader
//! has of retracting input. Keys keep their order of arrival; it is numbered anew.
//!
//! ```text
//! head   watermark i64
//! entry  next end i64, arrival u64, slices (count u32, then for each: start i64, cell),
//!        waiting (count u32, then for each: end i64, value u8, [cell]),
//!        shown (count u32, end i64 *)
//! tail   none
//! ```

use super::{ClosingLane, Entry, Value, Waiting};
use crate::aggregate::StateError;
use crate::aggregate::codec::{Reader, put_count, put_i64, put_sized, put_u64};
use crate::saved::broken;
use crate::window::save::{
    LaneKind, SavedKeys, SavedLane, arrivals, list_slices, put_slices, read_slices, rows_of,
};
use crate::window::table::KeyTable;
use tidewheel_core::EventTime;

/// How a row's value was saved.
const OF_SLICES: u8 = 0;
const FROZEN: u8 = 1;
const NOTHING: u8 = 2;

/// Rows to be queued once arrivals are numbered: slot, window end, value.
type Queued = Vec<(u32, EventTime, Value)>;

impl ClosingLane {
    pub(super) fn save_lane(&mut self, keys: &SavedKeys, out: &mut Vec<u8>) {
        self.cells.reserve(0);
        out.push(LaneKind::Closing as u8);
        put_sized(out, |out| put_i64(out, self.watermark));
        let entries = &self.entries;
        let slices = |key: &u32| {
            let slot = entries.find(*key);
            slot.map_or(0, |slot| entries.get(slot).slices.live().len())
        };
        put_count(out, keys.keys.iter().map(slices).sum());
        let mut waiting: Vec<(u32, EventTime, Value)> = self
            .queue
            .iter()
            .map(|(key, row)| (row.slot, key.0, row.value))
            .collect();
        waiting.sort_by_key(|row| row.0);
        let mut shown: Vec<(u32, EventTime)> = Vec::new();
        if let Some(known) = &self.shown {
            shown.extend(known.iter().map(|&(end, slot)| (slot, end)));
            shown.sort_unstable();
        }
        let list = |entry: &Entry, list: &mut _| list_slices(&entry.slices, list);
        keys.put_entries(entries, &mut self.cells, out, list, |slot, cells, out| {
            let entry = entries.get(slot);
            put_i64(out, entry.next_end);
            put_u64(out, entry.arrival);
            put_slices(&entry.slices, &self.grid, cells, out);
            let rows = rows_of(&waiting, slot, |row| row.0);
            put_count(out, rows.len());
            for &(_, end, value) in rows {
                put_i64(out, end);
                match value {
                    Value::Slices => out.push(OF_SLICES),
                    Value::Nothing => out.push(NOTHING),
                    Value::Frozen(cell) => {
                        out.push(FROZEN);
                        cells.save(cell, out);
                    }
                }
            }
            let ends = rows_of(&shown, slot, |row| row.0);
            put_count(out, ends.len());
            ends.iter().for_each(|&(_, end)| put_i64(out, end));
        });
    }

    pub(super) fn load_lane(
        &mut self,
        saved: &mut [SavedLane<'_>],
        keys: &mut KeyTable,
    ) -> Result<(), StateError> {
        for lane in saved.iter_mut() {
            lane.check(LaneKind::Closing)?;
            self.watermark = self.watermark.max(lane.head.i64()?);
        }
        self.wheel.pop(self.watermark);
        self.entries
            .reserve(saved.iter().map(|lane| lane.loaded).sum());
        self.cells
            .reserve(saved.iter().map(|lane| lane.cells).sum());
        let mut order: Vec<(u64, usize, u32)> = Vec::new();
        let mut queued = Queued::new();
        for (shard, lane) in saved.iter_mut().enumerate() {
            lane.body.entries(|key, reader| {
                let slot = self.load_entry(key, reader, &mut queued, keys)?;
                order.push((self.entries.get(slot).arrival, shard, slot));
                Ok(())
            })?;
            lane.body.finish()?;
        }
        for (arrival, slot) in arrivals(order) {
            self.entries.get_mut(slot).arrival = arrival;
            self.arrivals = arrival + 1;
        }
        for (slot, end, value) in queued {
            let entry = self.entries.get_mut(slot);
            entry.waiting += 1;
            let row = Waiting { slot, value };
            if self.queue.insert((end, entry.arrival), row).is_some() {
                return broken("a window waits twice");
            }
        }
        let slots: Vec<u32> = self.entries.slots().collect();
        slots.into_iter().for_each(|slot| self.arm(slot));
        Ok(())
    }

    fn load_entry(
        &mut self,
        key: u32,
        reader: &mut Reader<'_>,
        queued: &mut Queued,
        keys: &mut KeyTable,
    ) -> Result<u32, StateError> {
        if self.entries.find(key).is_some() {
            return broken("a key was saved twice");
        }
        let slot = self.entries.find_or_insert(key, keys);
        let (next_end, arrival) = (reader.i64()?, reader.u64()?);
        let slices = read_slices(reader, slot, &self.grid, &mut self.cells)?;
        for _ in 0..reader.count(size_of::<i64>() + 1)? {
            let end = reader.i64()?;
            let value = match reader.u8()? {
                OF_SLICES => Value::Slices,
                NOTHING => Value::Nothing,
                FROZEN => Value::Frozen(self.cells.load(reader)?),
                _ => return broken("a row's value is of no known kind"),
            };
            self.windows.check_end(end)?;
            queued.push((slot, end, value));
        }
        for _ in 0..reader.count(size_of::<i64>())? {
            let end = reader.i64()?;
            self.windows.check_end(end)?;
            if let Some(shown) = &mut self.shown {
                shown.insert((end, slot));
            }
        }
        if next_end != super::NEVER {
            self.windows.check_end(next_end)?;
        }
        let entry = self.entries.get_mut(slot);
        entry.next_end = next_end;
        entry.arrival = arrival;
        entry.slices = slices;
        Ok(slot)
    }
}
