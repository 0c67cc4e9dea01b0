//! Saving and loading OVER. The cells with all of a key's rows are made again from those with its
//! final rows.
//!
//! ```text
//! body   keys (count u32, then for each: key u32, length u32, bytes)
//! key    rows (count u32, then for each: time i64, seq u64, nulls u64, arguments (length u32,
//!        bytes), open u8, [row (length u32, bytes), emitted u8, [values (length u32, bytes)]]),
//!        done u32, count u64,
//!        for each LAG: (count u32, then for each: length u32, bytes),
//!        for each aggregate without a frame: cell
//! ```

use super::super::calls::base_cell;
use super::super::state::{Entry, KeyState, Open};
use super::OverOperator;
use crate::aggregate::StateError;
use crate::aggregate::codec::put_u64;
use crate::aggregate::codec::{Reader, put_bytes, put_count, put_order, put_sized, put_u32};
use crate::keys::KeyEncoder;
use crate::saved::{Chain, ChangedKeys, Head, Kind, Loaded, Save, broken};
use crate::share::Share;
use tidewheel_core::time::NO_TIME;

/// Rows of bytes that were read, to be checked.
#[derive(Default)]
struct Rows<'a> {
    args: Vec<&'a [u8]>,
    rows: Vec<&'a [u8]>,
    values: Vec<&'a [u8]>,
}

impl OverOperator {
    /// Appends the state of all keys to `out`.
    pub fn save(&mut self, out: &mut Vec<u8>) {
        self.save_keys(true, out);
    }

    /// Appends the keys that got rows since the last save, and which were forgotten; or all where
    /// there was no save, or more were forgotten than are held. True if it was all: then the
    /// saves before are not needed any more.
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
        self.calls.grow(self.states.len());
        let head = Head {
            kind: Kind::Over,
            whole,
            frontier: NO_TIME,
            watermark: self.watermark,
        };
        let none = ChangedKeys::default();
        head.put(
            slots
                .iter()
                .map(|&slot| self.states[slot as usize].key.as_ref()),
            self.changed.as_ref().unwrap_or(&none),
            out,
        );
        put_count(out, slots.len());
        for (number, &slot) in (0_u32..).zip(&slots) {
            let (state, calls) = (&self.states[slot as usize], &mut self.calls);
            put_u32(out, number);
            put_sized(out, |out| {
                put_count(out, state.rows.len());
                state.rows.iter().for_each(|entry| put_entry(out, entry));
                put_count(out, state.done);
                put_u64(out, state.count);
                for lag in &state.lags {
                    put_count(out, lag.len());
                    lag.iter().for_each(|args| put_bytes(out, args));
                }
                for store in calls.running_stores() {
                    store.save(base_cell(slot), out);
                }
            });
        }
        self.changed = Some(ChangedKeys::default());
    }

    /// Takes in the saves of one shard: its last whole one and those of changes after it, in the
    /// order in which they were made (earlier ones do no harm). Of their keys, which `encoder`
    /// made, those in `share` are taken. To be called on a new operator over the same columns and
    /// calls, once for each shard that was saved.
    ///
    /// # Errors
    /// The bytes were not written by [`save`](Self::save) of such an operator. This operator is
    /// of no use then.
    pub fn load(
        &mut self,
        saved: &[&[u8]],
        encoder: &KeyEncoder,
        share: &Share<'_>,
    ) -> Result<(), StateError> {
        let chain = Chain::read(saved, Kind::Over)?;
        let loaded = chain.choose(share, encoder)?;
        self.changed = None;
        for (save, loaded) in chain.0.iter().zip(&loaded) {
            self.watermark = self.watermark.max(save.watermark);
            self.load_save(save, loaded)?;
        }
        if let Some(finals) = &mut self.finals {
            finals.restored(self.watermark);
        }
        Ok(())
    }

    fn load_save(&mut self, save: &Save<'_>, loaded: &Loaded) -> Result<(), StateError> {
        let count = loaded.count();
        self.by_key.reserve(count);
        self.states.reserve(count);
        let mut body = save.body.clone();
        let mut rows = Rows::default();
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
            self.load_key(key, &mut reader, &mut rows)?;
            if !reader.is_done() {
                return broken("a key's state is longer than it should be");
            }
        }
        if !body.is_done() {
            return broken("it is longer than it should be");
        }
        self.args_codec.check_saved(&rows.args)?;
        self.row_codec.check_saved(&rows.rows)?;
        self.values_codec.check_saved(&rows.values)
    }

    fn load_key<'a>(
        &mut self,
        key: &[u8],
        reader: &mut Reader<'a>,
        rows: &mut Rows<'a>,
    ) -> Result<(), StateError> {
        let offsets = self.calls.lag_offsets.clone();
        let mut state = KeyState::new(key.into(), offsets.len());
        let mut bytes = 0;
        for _ in 0..reader.count(3 * size_of::<u64>())? {
            let entry = read_entry(reader, rows)?;
            if state
                .rows
                .back()
                .is_some_and(|last| last.order > entry.order)
            {
                return broken("rows are out of order");
            }
            bytes += entry.bytes();
            state.rows.push_back(entry);
        }
        state.done = reader.u32()? as usize;
        state.count = reader.u64()?;
        if state.done > state.rows.len()
            || state.rows.range(state.done..).any(|row| row.open.is_none())
        {
            return broken("rows are final that are not there");
        }
        for (lag, offset) in state.lags.iter_mut().zip(offsets) {
            for _ in 0..reader.count(size_of::<u32>())? {
                let args = reader.bytes()?;
                rows.args.push(args);
                bytes += args.len();
                lag.push_back(args.into());
            }
            if lag.len() > offset {
                return broken("more rows before than LAG looks at");
            }
        }
        self.rows_held += state.rows.len() as u64;
        self.bytes += bytes;
        let slot = self.slot(key);
        self.states[slot as usize] = state;
        self.calls.grow(self.states.len());
        for store in self.calls.running_stores() {
            let used = store.load(base_cell(slot), reader.rest())?;
            reader.take(used)?;
        }
        if let Some(due) = self.next_due(slot) {
            self.set_timer(slot, due);
        }
        Ok(())
    }
}

fn put_entry(out: &mut Vec<u8>, entry: &Entry) {
    put_order(out, entry.order);
    put_u64(out, entry.nulls);
    put_bytes(out, &entry.args);
    out.push(u8::from(entry.open.is_some()));
    if let Some(open) = &entry.open {
        put_bytes(out, &open.row);
        out.push(u8::from(open.values.is_some()));
        open.values.iter().for_each(|values| put_bytes(out, values));
    }
}

fn read_entry<'a>(reader: &mut Reader<'a>, rows: &mut Rows<'a>) -> Result<Entry, StateError> {
    let (order, nulls, args) = (reader.order()?, reader.u64()?, reader.bytes()?);
    rows.args.push(args);
    let mut open = None;
    if reader.bool()? {
        let row = reader.bytes()?;
        rows.rows.push(row);
        let mut values = None;
        if reader.bool()? {
            let bytes = reader.bytes()?;
            rows.values.push(bytes);
            values = Some(bytes.into());
        }
        open = Some(Open {
            row: row.into(),
            values,
        });
    }
    Ok(Entry {
        order,
        args: args.into(),
        nulls,
        open,
    })
}
