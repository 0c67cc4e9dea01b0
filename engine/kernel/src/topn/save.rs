//! Saving and loading a top-N.
//!
//! ```text
//! body       to be taken again u8,
//!            partitions (count u32, then for each: partition u32, length u32, bytes),
//!            the partitions to be read (count u32, partition u32 *)
//! partition  end i64, closed u8,
//!            rows (count u32, then for each: place, row),
//!            shown rows by rank (count u32, row *),
//!            rows that readers know by identity (count u32, then for each: row, rank i64,
//!            assumed u8)
//! row        identity, columns, when it runs empty i64
//!            (places, identities and columns are a length u32 and bytes)
//! ```

use super::partition::{Partition, Row};
use super::show::{Change, ShownRow};
use super::{Rank, TopNOperator};
use crate::aggregate::StateError;
use crate::aggregate::codec::{Reader, put_bytes, put_count, put_i64, put_sized, put_u32};
use crate::saved::{Chain, ChangedKeys, Head, Kind, Loaded, Save, broken};
use crate::share::Share;
use std::sync::Arc;
use tidewheel_core::Op;
use tidewheel_core::time::NO_TIME;

impl TopNOperator {
    /// Appends the state of all partitions to `out`.
    pub fn save(&mut self, out: &mut Vec<u8>) {
        self.save_keys(true, out);
    }

    /// Appends the partitions that changed since the last save, and which were dropped; or all
    /// where there was no save, or more were dropped than are held. True if it was all: then the
    /// saves before are not needed any more.
    pub fn save_changed(&mut self, out: &mut Vec<u8>) -> bool {
        let whole = self.changed.is_none();
        self.save_keys(whole, out);
        whole
    }

    fn save_keys(&mut self, whole: bool, out: &mut Vec<u8>) {
        let partitions = match &self.changed {
            Some(changed) if !whole => {
                let mut partitions = changed.keys();
                // Some may have been dropped since.
                partitions.retain(|number| {
                    let key = self.partitions[*number as usize].key();
                    self.by_partition.get(key) == Some(number)
                });
                partitions
            }
            _ => {
                let mut partitions: Vec<u32> = self.by_partition.values().copied().collect();
                partitions.sort_unstable();
                partitions
            }
        };
        let head = Head {
            kind: Kind::TopN,
            whole,
            frontier: self.shown.frontier(),
            watermark: self.watermark,
        };
        let none = ChangedKeys::default();
        head.put(
            partitions
                .iter()
                .map(|&number| self.partitions[number as usize].key()),
            self.changed.as_ref().unwrap_or(&none),
            out,
        );
        out.push(u8::from(!self.again.is_empty()));
        let known = self.shown.by_partition();
        put_count(out, partitions.len());
        for (number, &partition) in (0_u32..).zip(&partitions) {
            let state = &self.partitions[partition as usize];
            put_u32(out, number);
            put_sized(out, |out| {
                put_i64(out, state.end());
                out.push(u8::from(state.is_closed()));
                put_count(out, state.rows().count());
                for (place, row) in state.rows() {
                    put_bytes(out, place);
                    put_row(out, row);
                }
                put_count(out, state.shown().len());
                state.shown().iter().for_each(|row| put_row(out, row));
                let known = known.get(&partition).map_or(&[][..], Vec::as_slice);
                put_count(out, known.len());
                for (identity, row) in known {
                    put_bytes(out, identity);
                    put_bytes(out, &row.columns);
                    put_i64(out, row.empty_at);
                    put_i64(out, row.rank);
                    out.push(u8::from(row.assumed));
                }
            });
        }
        let dirty: Vec<u32> = self
            .dirty
            .iter()
            .filter_map(|partition| partitions.binary_search(partition).ok())
            .map(|number| number as u32)
            .collect();
        put_count(out, dirty.len());
        dirty.into_iter().for_each(|number| put_u32(out, number));
        self.changed = Some(ChangedKeys::default());
    }

    /// Takes in the saves of one shard: its last whole one and those of changes after it, in the
    /// order in which they were made (earlier ones do no harm). Of their partitions those in
    /// `share` are taken; its columns are places in the list of the spec's partition columns. To
    /// be called on a new operator of the same spec over the same columns, once for each shard
    /// that was saved.
    ///
    /// # Errors
    /// The bytes were not written by [`save`](Self::save) of such an operator. This operator is
    /// of no use then.
    pub fn load(&mut self, saved: &[&[u8]], share: &Share<'_>) -> Result<(), StateError> {
        let chain = Chain::read(saved, Kind::TopN)?;
        let loaded = chain.choose_by(|keys| {
            let columns = self.partition_codec.decode_saved(keys)?;
            let own = columns.len().min(self.own_columns);
            share.choose_columns(&columns[..own], keys.len())
        })?;
        self.changed = None;
        let mut again = false;
        let mut frontier = NO_TIME;
        for (save, loaded) in chain.0.iter().zip(&loaded) {
            self.watermark = self.watermark.max(save.watermark);
            frontier = frontier.max(save.frontier);
            again |= self.load_save(save, loaded)?;
        }
        let (by_identity, partitions) = (&self.by_identity, &self.partitions);
        self.shown.loaded(frontier, |identity, shown_by| {
            // What waits to be told may change it.
            let is_settled = !partitions[shown_by as usize].is_dirty();
            let (held_by, place) = by_identity.get(identity).filter(|_| is_settled)?;
            Some(partitions[*held_by as usize].row(place)?.empty_at)
        });
        if again {
            self.refresh();
        }
        Ok(())
    }

    /// Whether rows were to be taken again.
    fn load_save(&mut self, save: &Save<'_>, loaded: &Loaded) -> Result<bool, StateError> {
        let mut body = save.body.clone();
        let again = body.bool()?;
        let mut numbers: Vec<Option<u32>> = vec![None; save.kept.len()];
        let mut rows: Vec<&[u8]> = Vec::new();
        for _ in 0..body.count(2 * size_of::<u32>())? {
            let number = body.u32()? as usize;
            let mut reader = body.sized()?;
            let Some(key) = save.kept.get(number) else {
                return broken("a partition that was not saved");
            };
            if !loaded.0[number] {
                continue;
            }
            if self.by_partition.contains_key(*key) {
                return broken("a partition was saved twice");
            }
            numbers[number] = Some(self.load_partition(key, &mut reader, &mut rows)?);
            if !reader.is_done() {
                return broken("a partition's state is longer than it should be");
            }
        }
        for _ in 0..body.count(size_of::<u32>())? {
            let Some(partition) = numbers.get(body.u32()? as usize) else {
                return broken("a partition that was not saved");
            };
            if let Some(partition) = *partition
                && self.partitions[partition as usize].mark_all()
            {
                self.dirty.push_back(partition);
            }
        }
        if !body.is_done() {
            return broken("it is longer than it should be");
        }
        self.row_codec.check_saved(&rows)?;
        Ok(again)
    }

    fn load_partition<'a>(
        &mut self,
        key: &[u8],
        reader: &mut Reader<'a>,
        checked: &mut Vec<&'a [u8]>,
    ) -> Result<u32, StateError> {
        let (end, closed) = (reader.i64()?, reader.bool()?);
        let number = self.partition(key, end);
        if closed {
            self.ends.remove(&(end, number));
        }
        let mut state = Partition::new(key.into(), end);
        if closed {
            state.close();
        }
        for _ in 0..reader.count(3 * size_of::<u32>())? {
            let place: Arc<[u8]> = reader.bytes()?.into();
            let row = read_row(reader, checked)?;
            let before = self
                .by_identity
                .insert(Arc::clone(&row.identity), (number, Arc::clone(&place)));
            if before.is_some() || state.row(&place).is_some() {
                return broken("a row was saved twice");
            }
            self.bytes += state.insert(place, row);
        }
        let mut shown = Vec::new();
        for _ in 0..reader.count(2 * size_of::<u32>())? {
            shown.push(read_row(reader, checked)?);
        }
        state.first(self.spec.limit);
        state.set_shown(shown);
        for _ in 0..reader.count(2 * size_of::<u32>())? {
            let row = read_row(reader, checked)?;
            let shown = ShownRow {
                partition: number,
                columns: row.columns,
                empty_at: row.empty_at,
                rank: reader.i64()?,
                assumed: reader.bool()?,
            };
            // A later save may know that the row is shown by another partition now.
            self.shown.insert_new(row.identity, shown);
        }
        self.partitions[number as usize] = state;
        Ok(number)
    }

    /// While on, every row that is there or comes is taken for one that the reader has, as after
    /// a restore the reader may have rows that the state lacks: one that is not among the first
    /// is then deleted, and so is one that nobody knows when it is taken out. Where the rank is
    /// the key nothing is assumed.
    pub fn assume_standing(&mut self, on: bool) {
        self.standing = on && self.spec.rank != Rank::Key;
        if !self.standing {
            return;
        }
        let mut partitions: Vec<u32> = self.by_partition.values().copied().collect();
        partitions.sort_unstable();
        for partition in partitions {
            let rows: Vec<Row> = self.partitions[partition as usize]
                .rows()
                .map(|(_, row)| row.clone())
                .collect();
            rows.into_iter()
                .for_each(|row| self.assume_row(partition, row));
        }
    }

    /// The reader has a row that a partition holds.
    pub(super) fn assume_row(&mut self, partition: u32, row: Row) {
        let shown = ShownRow {
            partition,
            columns: Arc::clone(&row.columns),
            rank: 0,
            empty_at: row.empty_at,
            assumed: true,
        };
        if self.shown.insert_new(Arc::clone(&row.identity), shown) {
            let state = &mut self.partitions[partition as usize];
            state.assume(row);
            if state.mark_all() {
                self.dirty.push_back(partition);
            }
        }
    }

    /// The reader has a row that no partition holds, and that is taken out.
    pub(super) fn assume_gone(&mut self, identity: &[u8], columns: &[u8]) {
        if !self.shown.contains(identity) {
            self.again.push(Change {
                columns: columns.into(),
                rank: 0,
                op: Op::Delete,
                empty_at: NO_TIME,
            });
        }
    }
}

fn put_row(out: &mut Vec<u8>, row: &Row) {
    put_bytes(out, &row.identity);
    put_bytes(out, &row.columns);
    put_i64(out, row.empty_at);
}

fn read_row<'a>(reader: &mut Reader<'a>, checked: &mut Vec<&'a [u8]>) -> Result<Row, StateError> {
    let (identity, columns) = (reader.bytes()?, reader.bytes()?);
    checked.push(columns);
    Ok(Row {
        identity: identity.into(),
        columns: columns.into(),
        empty_at: reader.i64()?,
    })
}
