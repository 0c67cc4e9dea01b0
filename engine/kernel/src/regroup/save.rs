//! Saving and loading groups.
//!
//! ```text
//! body   cells u32, groups (count u32, then for each: key u32, length u32, bytes),
//!        the keys to be read: by events (count u32, key u32 *), by time (the same)
//! group  rows i64, newest i64, last end i64, window start i64, window end i64, live u8, open u8, cell
//! ```

use super::{Group, RegroupOperator};
use crate::aggregate::codec::{Reader, put_count, put_i64};
use crate::aggregate::{Cell, StateError};
use crate::keys::hash_of;
use crate::saved::{Chain, ChangedKeys, Head, Kind, Loaded, Save, broken};
use crate::share::Share;
use crate::window::entries::NONE;
use crate::window::save::{SavedEntries, SavedKeys};

impl RegroupOperator {
    /// Appends the state of all groups to `out`. To be called between batches.
    pub fn save(&mut self, out: &mut Vec<u8>) {
        self.save_keys(true, out);
    }

    /// Appends the groups that changed since the last save, and which were forgotten; or all where
    /// there was no save, or more were forgotten than are held. True if it was all: then the
    /// saves before are not needed any more. Groups that only time changed do not count.
    pub fn save_changed(&mut self, out: &mut Vec<u8>) -> bool {
        let whole = self.keys.changed().is_none();
        self.save_keys(whole, out);
        whole
    }

    fn save_keys(&mut self, whole: bool, out: &mut Vec<u8>) {
        self.keys.sweep();
        self.cells.reserve(0);
        let keys = SavedKeys::of(&self.keys, whole);
        let head = Head {
            kind: Kind::Regroup,
            whole,
            frontier: self.frontier,
            watermark: self.watermark,
        };
        let none = ChangedKeys::default();
        head.put(
            keys.keys.iter().map(|&key| self.keys.key(key)),
            self.keys.changed().unwrap_or(&none),
            out,
        );
        put_count(out, keys.keys.len());
        let groups = &self.groups;
        let list = |group: &Group, list: &mut Vec<Cell>| list.push(group.cell);
        keys.put_entries(groups, &mut self.cells, out, list, |slot, cells, out| {
            let group = groups.get(slot);
            put_i64(out, group.rows);
            put_i64(out, group.newest);
            put_i64(out, group.last_end);
            put_i64(out, group.window.0);
            put_i64(out, group.window.1);
            out.push(u8::from(group.live));
            out.push(u8::from(group.open));
            // Between batches every group has one.
            cells.save(group.cell, out);
        });
        let (event, expiry) = (&self.dirty.event, &self.dirty.expiry);
        keys.put_slots(groups, event.iter().copied(), |group| group.event, out);
        let by_time = |group: &Group| group.expiry && !group.event;
        keys.put_slots(groups, expiry.iter().copied(), by_time, out);
        self.keys.note_changes(true);
    }

    /// Takes in the saves of one shard: its last whole one and those of changes after it, in the
    /// order in which they were made (earlier ones do no harm). Of their keys those in `share` are
    /// taken. To be called on a new operator of the same spec (its columns may have other
    /// places), once for each shard that was saved.
    ///
    /// # Errors
    /// The bytes were not written by [`save`](Self::save) of such an operator. This operator is
    /// of no use then.
    pub fn load(&mut self, saved: &[&[u8]], share: &Share<'_>) -> Result<(), StateError> {
        let chain = Chain::read(saved, Kind::Regroup)?;
        let loaded = chain.choose(share, &self.encoder)?;
        self.keys.note_changes(false);
        if self.groups.len() == 0 {
            // Timers go to their places by how far they are from the wheel's own time.
            for save in &chain.0 {
                self.wheel.pop(self.clock_at(save.frontier, save.watermark));
            }
        }
        for (save, loaded) in chain.0.iter().zip(&loaded) {
            self.frontier = self.frontier.max(save.frontier);
            self.watermark = self.watermark.max(save.watermark);
            self.load_save(save, loaded)?;
        }
        self.keys.sweep();
        Ok(())
    }

    fn load_save(&mut self, save: &Save<'_>, loaded: &Loaded) -> Result<(), StateError> {
        let count = loaded.count();
        self.keys.reserve(count, 0);
        self.groups.reserve(count);
        self.cells.reserve(count);
        let numbers: Vec<u32> = save
            .kept
            .iter()
            .zip(&loaded.0)
            .map(|(key, &loaded)| {
                if loaded {
                    self.keys.number(key, hash_of(key))
                } else {
                    NONE
                }
            })
            .collect();
        let mut body = save.body.clone();
        body.u32()?;
        let mut saved = SavedEntries::new(body, &numbers);
        saved.entries(|key, reader| self.load_group(key, reader))?;
        for event in [true, false] {
            for key in saved.list()? {
                let Some(slot) = self.groups.find(key) else {
                    continue;
                };
                let group = self.groups.get_mut(slot);
                if event && !group.event {
                    group.event = true;
                    self.dirty.event.push_back(slot);
                } else if !event && !group.event && !group.expiry {
                    group.expiry = true;
                    self.dirty.expiry.push_back(slot);
                }
            }
        }
        saved.finish()
    }

    fn load_group(&mut self, key: u32, reader: &mut Reader<'_>) -> Result<(), StateError> {
        if self.groups.find(key).is_some() {
            return broken("a group was saved twice");
        }
        let slot = self.groups.find_or_insert(key, &mut self.keys);
        let mut group = Group {
            rows: reader.i64()?,
            newest: reader.i64()?,
            last_end: reader.i64()?,
            window: (reader.i64()?, reader.i64()?),
            live: reader.bool()?,
            open: reader.bool()?,
            ..Group::default()
        };
        group.cell = self.cells.load(reader)?;
        *self.groups.get_mut(slot) = group;
        self.arm(slot);
        Ok(())
    }

    /// While on, every group that is there or comes is taken for one that the reader has, as after
    /// a restore the reader may have groups that the state lacks: one that comes and goes between
    /// two reads is reported as empty instead of not at all.
    pub fn assume_standing(&mut self, on: bool) {
        self.standing = on;
        if on {
            let slots: Vec<u32> = self.groups.slots().collect();
            slots.into_iter().for_each(|slot| self.assume_live(slot));
        }
    }

    /// The reader has a row of this group. What is read next may be that there is none.
    pub(super) fn assume_live(&mut self, slot: u32) {
        let group = self.groups.get_mut(slot);
        // Of a window that has not closed it has none.
        if !group.live && group.open {
            group.live = true;
            if !group.event && !group.expiry {
                group.expiry = true;
                self.dirty.expiry.push_back(slot);
            }
        }
    }
}
