//! Saving and loading moving windows.
//!
//! Of an entry its slices and what readers have of it are saved. Running values and trees are
//! made again when they are needed. Timers are set anew, but for those that were due and not
//! worked off yet: what they will mark depends on when they were due.
//!
//! ```text
//! head   clock i64, untouched u8, ended (u8, i64), views that keep u16
//! entry  flags u8, live u16, [timer i64], [frozen: end i64, held u8, [cell]], [changed i64],
//!        slices (count u32, then for each: start i64, cell)
//! tail   slices since time last went on (count u32, then for each: key u32, start i64),
//!        for each view the keys to be read: by events (count u32, key u32 *), by time (the same)
//! ```

use super::{Entry, MovingLane, NewSlice, UNARMED};
use crate::aggregate::StateError;
use crate::aggregate::codec::{Reader, put_count, put_i64, put_sized, put_u32};
use crate::saved::broken;
use crate::window::save::{LaneKind, SavedKeys, SavedLane, list_slices, put_slices, read_slices};
use crate::window::slices::SliceList;
use crate::window::table::KeyTable;
use tidewheel_core::EventTime;
use tidewheel_core::time::NO_TIME;

/// Flags of a saved entry: which parts it has.
const DUE: u8 = 1;
const FROZEN: u8 = 2;
const CHANGED: u8 = 4;

fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// The bits of `views` in `bits`, as those of their places in the list.
fn pack(bits: u16, views: &[usize]) -> u16 {
    let places = views.iter().enumerate();
    places.fold(0, |packed, (at, view)| packed | ((bits >> view) & 1) << at)
}

/// The other way round.
fn unpack(packed: u16, views: &[Option<usize>]) -> u16 {
    let places = views.iter().take(u16::BITS as usize).enumerate();
    places.fold(0, |bits, (at, view)| {
        view.map_or(bits, |view| bits | ((packed >> at) & 1) << view)
    })
}

/// What a saved lane wrote of itself.
struct Head {
    clock: EventTime,
    untouched: bool,
    ended: Option<EventTime>,
    keep: u16,
}

impl Head {
    fn read(reader: &mut Reader<'_>) -> Result<Self, StateError> {
        let (clock, untouched) = (reader.i64()?, reader.bool()?);
        let (has_ended, ended) = (reader.bool()?, reader.i64()?);
        Ok(Self {
            clock,
            untouched,
            ended: has_ended.then_some(ended),
            keep: u16::from_le_bytes(reader.array()?),
        })
    }
}

impl MovingLane {
    pub(super) fn save_lane(&mut self, views: &[usize], keys: &SavedKeys, out: &mut Vec<u8>) {
        // Cells that were taken since a row came last.
        self.cells.reserve(0);
        out.push(LaneKind::Moving as u8);
        let keep = self
            .views
            .iter()
            .enumerate()
            .fold(0, |bits, (at, view)| bits | u16::from(view.keep) << at);
        put_sized(out, |out| {
            put_i64(out, self.clock);
            out.push(u8::from(self.untouched));
            out.push(u8::from(self.ended.is_some()));
            put_i64(out, self.ended.unwrap_or(0));
            put_u16(out, pack(keep, views));
        });
        let entries = &self.entries;
        let slices = |key: &u32| {
            let slot = entries.find(*key);
            slot.map_or(0, |slot| entries.get(slot).slices.live().len())
        };
        put_count(out, keys.keys.iter().map(slices).sum());
        let list = |entry: &Entry, list: &mut _| list_slices(&entry.slices, list);
        keys.put_entries(entries, &mut self.cells, out, list, |slot, cells, out| {
            let entry = entries.get(slot);
            let (frozen, changed) = (self.frozen.get(&slot), self.changed.get(&slot));
            let due = entry.armed <= self.clock;
            let flag = |set: bool, flag: u8| if set { flag } else { 0 };
            out.push(
                flag(due, DUE) | flag(frozen.is_some(), FROZEN) | flag(changed.is_some(), CHANGED),
            );
            put_u16(out, pack(entry.live, views));
            if due {
                put_i64(out, entry.armed);
            }
            if let Some(&(end, cell)) = frozen {
                put_i64(out, end);
                out.push(u8::from(cell.is_some()));
                if let Some(cell) = cell {
                    cells.save(cell, out);
                }
            }
            if let Some(&at) = changed {
                put_i64(out, at);
            }
            put_slices(&entry.slices, &self.grid, cells, out);
        });
        let new_slices: Vec<(u32, EventTime)> = self
            .new_slices
            .iter()
            .filter_map(|new| {
                let key = keys.number(entries.key(new.slot)?)?;
                Some((key, self.grid.start(new.index)))
            })
            .collect();
        put_count(out, new_slices.len());
        for (key, start) in new_slices {
            put_u32(out, key);
            put_i64(out, start);
        }
        for &view in views {
            let (dirty, bit) = (&self.views[view].dirty, 1 << view);
            let by_event = |entry: &Entry| entry.event & bit != 0;
            let by_time = |entry: &Entry| entry.expiry & !entry.event & bit != 0;
            keys.put_slots(entries, dirty.event.iter().copied(), by_event, out);
            keys.put_slots(entries, dirty.expiry.iter().copied(), by_time, out);
        }
    }

    pub(super) fn load_lane(
        &mut self,
        saved: &mut [SavedLane<'_>],
        keys: &mut KeyTable,
    ) -> Result<(), StateError> {
        let mut heads = Vec::with_capacity(saved.len());
        let mut clock = NO_TIME;
        for lane in saved.iter_mut() {
            lane.check(LaneKind::Moving)?;
            let head = Head::read(&mut lane.head)?;
            clock = clock.max(head.clock);
            self.untouched &= head.untouched;
            self.ended = self.ended.max(head.ended);
            for (number, view) in self.views.iter_mut().enumerate() {
                view.keep |= unpack(head.keep, &lane.views) >> number & 1 == 1;
            }
            heads.push(head);
        }
        self.move_views(clock);
        // Timers go to their places by how far they are from the wheel's own time.
        self.wheel.pop(clock);
        self.entries
            .reserve(saved.iter().map(|lane| lane.loaded).sum());
        self.cells
            .reserve(saved.iter().map(|lane| lane.cells).sum());
        for (lane, head) in saved.iter_mut().zip(&heads) {
            let views = lane.views.clone();
            let is_part = lane.is_part();
            lane.body
                .entries(|key, reader| self.load_entry(key, reader, head, &views, is_part, keys))?;
            self.load_tail(lane)?;
        }
        Ok(())
    }

    fn load_entry(
        &mut self,
        key: u32,
        reader: &mut Reader<'_>,
        head: &Head,
        views: &[Option<usize>],
        is_part: bool,
        keys: &mut KeyTable,
    ) -> Result<(), StateError> {
        if self.entries.find(key).is_some() {
            return broken("a key was saved twice");
        }
        let flags = reader.u8()?;
        let live = unpack(u16::from_le_bytes(reader.array()?), views);
        let mut next = UNARMED;
        if flags & DUE != 0 {
            next = reader.i64()?;
        }
        let slot = self.entries.find_or_insert(key, keys);
        if flags & FROZEN != 0 {
            let end = reader.i64()?;
            let cell = if reader.bool()? {
                Some(self.cells.load(reader)?)
            } else {
                None
            };
            self.frozen.insert(slot, (end, cell));
        }
        if flags & CHANGED != 0 {
            let at = reader.i64()?;
            self.changed.insert(slot, at);
            next = next.min(at);
        }
        let slices = read_slices(reader, slot, &self.grid, &mut self.cells)?;
        self.settle_loaded(slot, &slices, head.clock);
        if flags & DUE == 0 {
            next = next.min(self.next_change(&slices, head.clock));
            if is_part || slices.is_empty() {
                // Slices that only other sets needed go as soon as time goes on, and so does an
                // entry that holds nothing.
                next = next.min(head.clock.saturating_add(1));
            }
        }
        let entry = self.entries.get_mut(slot);
        entry.slices = slices;
        entry.live = live;
        self.arm(slot, next);
        Ok(())
    }

    /// Slices that were ahead of the clock when they were saved are settled once it has reached
    /// them.
    fn settle_loaded(&mut self, slot: u32, slices: &SliceList, clock: EventTime) {
        if self.cells.sighted() == 0 {
            return;
        }
        // That of the clock may have got some, where slices are longer here.
        let first = slices.position(self.grid.index(clock));
        for slice in &slices.live()[first..] {
            if self.cells.waits(slice.index()) {
                self.waiting.entry(slice.index()).or_default().push(slot);
            } else {
                self.cells.settle(slice.cell);
            }
        }
    }

    fn load_tail(&mut self, lane: &mut SavedLane<'_>) -> Result<(), StateError> {
        let count = lane
            .body
            .tail()
            .count(size_of::<u32>() + size_of::<i64>())?;
        for _ in 0..count {
            let (key, start) = (lane.body.tail().u32()?, lane.body.tail().i64()?);
            let slot = lane.body.key(key)?.and_then(|key| self.entries.find(key));
            let index = self.grid.index(start);
            if let Some(slot) = slot
                && self.entries.get(slot).slices.get(index).is_some()
            {
                self.new_slices.push(NewSlice { slot, index });
            }
        }
        for at in 0..lane.views.len() {
            for event in [true, false] {
                let list = lane.body.list()?;
                let Some(view) = lane.views[at] else {
                    continue;
                };
                for key in list {
                    if let Some(slot) = self.entries.find(key) {
                        let entry = self.entries.get_mut(slot);
                        Self::mark(&mut self.views, entry, slot, 1 << view, event);
                    }
                }
            }
        }
        lane.body.finish()
    }
}
