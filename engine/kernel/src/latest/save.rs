//! Saving and loading the newest rows.
//!
//! ```text
//! body   keys (count u32, then for each: key u32, length u32, bytes),
//!        the keys to be read (count u32, key u32 *)
//! key    rows (count u32, then for each: time i64, seq u64, length u32, bytes),
//!        is shown u8, [time i64, seq u64, length u32, bytes], again u8, urgent u8
//! ```

use super::{LatestOperator, Slot};
use crate::aggregate::StateError;
use crate::aggregate::codec::{Reader, put_bytes, put_count, put_order, put_sized, put_u32};
use crate::saved::{Chain, ChangedKeys, Head, Kind, Loaded, Save, broken};
use crate::share::Share;
use std::cmp::Reverse;
use tidewheel_core::Order;

/// A row's order and bytes.
type Row = (Order, Box<[u8]>);

impl LatestOperator {
    /// Appends the state of all keys to `out`.
    pub fn save(&mut self, out: &mut Vec<u8>) {
        self.save_keys(true, out);
    }

    /// Appends the keys that changed since the last save, and which were forgotten; or all where
    /// there was no save, or more were forgotten than are held. True if it was all: then the
    /// saves before are not needed any more. Keys that only time changed do not count.
    pub fn save_changed(&mut self, out: &mut Vec<u8>) -> bool {
        let whole = self.changed.is_none();
        self.save_keys(whole, out);
        whole
    }

    fn save_keys(&mut self, whole: bool, out: &mut Vec<u8>) {
        let slots = match &self.changed {
            Some(changed) if !whole => changed.keys(),
            _ => {
                let mut slots: Vec<u32> = self.by_key.values().copied().collect();
                slots.sort_unstable();
                slots
            }
        };
        let head = Head {
            kind: Kind::Latest,
            whole,
            frontier: self.frontier,
            watermark: self.watermark,
        };
        let none = ChangedKeys::default();
        head.put(
            slots
                .iter()
                .map(|&slot| self.slots[slot as usize].key.as_ref()),
            self.changed.as_ref().unwrap_or(&none),
            out,
        );
        put_count(out, slots.len());
        for (number, &slot) in (0_u32..).zip(&slots) {
            let state = &self.slots[slot as usize];
            put_u32(out, number);
            put_sized(out, |out| {
                put_count(out, state.rows.len());
                state.rows.iter().for_each(|row| put_row(out, row));
                out.push(u8::from(state.shown.is_some()));
                state.shown.iter().for_each(|row| put_row(out, row));
                out.push(u8::from(state.again));
                out.push(u8::from(state.urgent));
            });
        }
        let dirty: Vec<u32> = self
            .dirty
            .iter()
            .filter_map(|slot| slots.binary_search(slot).ok())
            .map(|number| number as u32)
            .collect();
        put_count(out, dirty.len());
        dirty.into_iter().for_each(|number| put_u32(out, number));
        self.changed = Some(ChangedKeys::default());
    }

    /// Takes in the saves of one shard: its last whole one and those of changes after it, in the
    /// order in which they were made (earlier ones do no harm). Of their keys those in `share` are
    /// taken. To be called on a new operator over the same columns, once for each shard that was
    /// saved.
    ///
    /// # Errors
    /// The bytes were not written by [`save`](Self::save) of such an operator. This operator is
    /// of no use then.
    pub fn load(&mut self, saved: &[&[u8]], share: &Share<'_>) -> Result<(), StateError> {
        let chain = Chain::read(saved, Kind::Latest)?;
        let loaded = chain.choose_by(|keys| {
            let columns = self.key_codec.decode_saved(keys)?;
            share.choose_columns(&columns, keys.len())
        })?;
        self.changed = None;
        for (save, loaded) in chain.0.iter().zip(&loaded) {
            self.frontier = self.frontier.max(save.frontier);
            self.watermark = self.watermark.max(save.watermark);
            self.load_save(save, loaded)?;
        }
        Ok(())
    }

    fn load_save(&mut self, save: &Save<'_>, loaded: &Loaded) -> Result<(), StateError> {
        let mut body = save.body.clone();
        let mut slots: Vec<Option<u32>> = vec![None; save.kept.len()];
        let count = loaded.count();
        self.by_key.reserve(count);
        self.slots.reserve(count);
        let mut rows: Vec<&[u8]> = Vec::new();
        for _ in 0..body.count(2 * size_of::<u32>())? {
            let number = body.u32()? as usize;
            let mut reader = body.sized()?;
            let Some(key) = save.kept.get(number) else {
                return broken("a key that was not saved");
            };
            if !loaded.0[number] {
                continue;
            }
            if self.by_key.contains_key(*key) {
                return broken("a key was saved twice");
            }
            let state = read_slot(key, &mut reader, &mut rows)?;
            if !reader.is_done() {
                return broken("a key's state is longer than it should be");
            }
            let slot = self.slot(key);
            self.bytes += state.rows.iter().map(|(_, row)| row.len()).sum::<usize>();
            for (order, _) in state.rows.iter().skip(1) {
                self.to_prune.push(Reverse((order.time, slot)));
            }
            self.slots[slot as usize] = state;
            let end = self.end_of(slot);
            self.set_timer(slot, end);
            slots[number] = Some(slot);
        }
        for _ in 0..body.count(size_of::<u32>())? {
            let Some(slot) = slots.get(body.u32()? as usize) else {
                return broken("a key that was not saved");
            };
            if let Some(slot) = *slot {
                self.mark(slot, false);
            }
        }
        if !body.is_done() {
            return broken("it is longer than it should be");
        }
        self.row_codec.check_saved(&rows)
    }

    /// While on, every key that is there or comes is taken for one that the reader has, as after
    /// a restore the reader may have keys that the state lacks: one that comes and goes between
    /// two reads, or comes too late to count, is reported as empty instead of not at all.
    pub fn assume_standing(&mut self, on: bool) {
        self.standing = on;
        if !on {
            return;
        }
        let mut slots: Vec<u32> = self.by_key.values().copied().collect();
        slots.sort_unstable();
        for slot in slots {
            let state = &mut self.slots[slot as usize];
            if state.shown.is_none() {
                state.shown = state.rows.last().cloned();
                state.again = true;
                self.mark(slot, false);
            }
        }
    }

    /// The reader has a row of this key. What is read next may be that there is none.
    pub(super) fn assume_key_live(&mut self, key: &[u8], order: Order, bytes: &[u8]) {
        let slot = self.slot(key);
        let state = &mut self.slots[slot as usize];
        if state.shown.is_none() {
            state.shown = Some((order, bytes.into()));
            state.again = true;
            self.mark(slot, false);
        }
    }
}

fn put_row(out: &mut Vec<u8>, (order, bytes): &Row) {
    put_order(out, *order);
    put_bytes(out, bytes);
}

fn read_row<'a>(reader: &mut Reader<'a>, rows: &mut Vec<&'a [u8]>) -> Result<Row, StateError> {
    let order = reader.order()?;
    let bytes = reader.bytes()?;
    rows.push(bytes);
    Ok((order, bytes.into()))
}

fn read_slot<'a>(
    key: &[u8],
    reader: &mut Reader<'a>,
    rows: &mut Vec<&'a [u8]>,
) -> Result<Slot, StateError> {
    let mut state = Slot::new(key.into());
    for _ in 0..reader.count(size_of::<Order>())? {
        let row = read_row(reader, rows)?;
        if state
            .rows
            .last()
            .is_some_and(|(before, _)| *before >= row.0)
        {
            return broken("rows are out of order");
        }
        state.rows.push(row);
    }
    if reader.bool()? {
        state.shown = Some(read_row(reader, rows)?);
    }
    state.again = reader.bool()?;
    state.urgent = reader.bool()?;
    Ok(state)
}
