//! Saving all sets over one key, and restoring them, at another number of shards too.
//!
//! A save holds the keys once, and then each lane: the ids of its sets, its time, and its entries
//! by key. Sets that shared a lane share one again. A slice stands with the time at which it
//! starts, so that it also goes into a lane whose slices are longer.
//!
//! ```text
//! lanes  count u32, then for each: length u64, sets (count u32, id u32 *), kind u8,
//!        head (length u32, bytes), cells u32,
//!        entries (count u32, then for each: key u32, length u32, bytes), tail
//! ```

use super::cells::CellSet;
use super::entries::{Entries, NONE};
use super::grid::{Grid, ROW_TIME_LIMIT};
use super::operator::{LaneSlot, SetId, SetPlace, WindowOperator};
use super::slices::SliceList;
use super::table::KeyTable;
use crate::aggregate::codec::{
    Reader, put_count, put_counted, put_i64, put_sized, put_u32, put_u64,
};
use crate::aggregate::{Cell, StateError};
use crate::keys::{KeyEncoder, hash_of};
use crate::saved::{Chain, ChangedKeys, Head, Kind, Save, broken};
use crate::share::Share;
use crate::spec::SetSpec;

/// Which kind of lane wrote a save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum LaneKind {
    Moving = 0,
    Closing = 1,
    Session = 2,
}

/// How many cells are read from memory before they are saved: enough that what is to be read of
/// them is under way together, few enough that it stays in the processor's own cache till then.
const CELLS_AT_ONCE: usize = 128;

/// The keys that are saved.
#[derive(Debug)]
pub(crate) struct SavedKeys {
    /// Their numbers in the key table, by their number in the save.
    pub(crate) keys: Vec<u32>,
    /// Their numbers in the save, by that in the key table.
    numbers: Vec<u32>,
}

impl SavedKeys {
    /// What is to be saved of a table's keys: all, or those that changed.
    pub(crate) fn of(table: &KeyTable, whole: bool) -> Self {
        let keys = match table.changed() {
            Some(changed) if !whole => changed.keys(),
            _ => table.numbers(),
        };
        let mut numbers = vec![NONE; table.capacity()];
        for (number, &key) in keys.iter().enumerate() {
            numbers[key as usize] = number as u32;
        }
        Self { keys, numbers }
    }

    /// The number of a key in the save, if it is saved.
    pub(crate) fn number(&self, key: u32) -> Option<u32> {
        let number = self.numbers.get(key as usize).copied();
        number.filter(|&number| number != NONE)
    }

    /// Appends the entries of these keys; `put` writes one. `list` names the cells that it will
    /// save: they are read from memory for some keys at a time beforehand.
    pub(crate) fn put_entries<E: Default>(
        &self,
        entries: &Entries<E>,
        cells: &mut CellSet,
        out: &mut Vec<u8>,
        list: impl Fn(&E, &mut Vec<Cell>),
        mut put: impl FnMut(u32, &mut CellSet, &mut Vec<u8>),
    ) {
        put_counted(out, |out| {
            let (mut slots, mut listed) = (Vec::new(), Vec::new());
            let mut count = 0;
            let last = self.keys.len().saturating_sub(1);
            for (number, &key) in self.keys.iter().enumerate() {
                if let Some(slot) = entries.find(key) {
                    slots.push((number as u32, slot));
                    list(entries.get(slot), &mut listed);
                }
                if number < last && listed.len() < CELLS_AT_ONCE && slots.len() < CELLS_AT_ONCE {
                    continue;
                }
                cells.prefetch(&listed);
                count += slots.len();
                for (number, slot) in slots.drain(..) {
                    put_u32(out, number);
                    put_sized(out, |out| put(slot, cells, out));
                }
                listed.clear();
            }
            count
        });
    }

    /// Appends the keys of these slots, in their order, each once and only as far as they are
    /// saved and `chosen`.
    pub(crate) fn put_slots<E: Default>(
        &self,
        entries: &Entries<E>,
        slots: impl Iterator<Item = u32>,
        chosen: impl Fn(&E) -> bool,
        out: &mut Vec<u8>,
    ) {
        put_counted(out, |out| {
            let (mut seen, mut count) = (ChangedKeys::default(), 0);
            for slot in slots {
                let number = entries.key(slot).and_then(|key| self.number(key));
                if let Some(number) = number
                    && chosen(entries.get(slot))
                    && seen.touch(number)
                {
                    put_u32(out, number);
                    count += 1;
                }
            }
            count
        });
    }
}

/// Names the cells of slices, for [`SavedKeys::put_entries`]: the first ones. [`put_slices`] reads
/// those behind them itself.
pub(crate) fn list_slices(slices: &SliceList, list: &mut Vec<Cell>) {
    let cells = slices.live().iter().map(|slice| slice.cell);
    list.extend(cells.take(CELLS_AT_ONCE));
}

/// Appends slices with the times at which they start.
pub(crate) fn put_slices(slices: &SliceList, grid: &Grid, cells: &mut CellSet, out: &mut Vec<u8>) {
    put_count(out, slices.live().len());
    for (number, some) in slices.live().chunks(CELLS_AT_ONCE).enumerate() {
        if number > 0 {
            let listed: Vec<Cell> = some.iter().map(|slice| slice.cell).collect();
            cells.prefetch(&listed);
        }
        for slice in some {
            put_i64(out, grid.start(slice.index()));
            cells.save(slice.cell, out);
        }
    }
}

/// Reads the slices of a key's slot. Those that are one slice of this grid are merged.
pub(crate) fn read_slices(
    reader: &mut Reader<'_>,
    slot: u32,
    grid: &Grid,
    cells: &mut CellSet,
) -> Result<SliceList, StateError> {
    let mut slices = SliceList::default();
    let count = reader.count(size_of::<i64>())?;
    slices.reserve(count);
    let mut before = i64::MIN;
    for _ in 0..count {
        let start = reader.i64()?;
        // The slice of the earliest row may begin before that row.
        if start <= before || !(-2 * ROW_TIME_LIMIT..=ROW_TIME_LIMIT).contains(&start) {
            return broken("slices are out of order");
        }
        before = start;
        let index = grid.index(start);
        match slices.live().last() {
            Some(last) if last.index() == index => cells.load_more(last.cell, reader)?,
            _ => slices.push(index, cells.load_slice(slot, index, reader)?),
        }
    }
    Ok(slices)
}

/// Entries by key as they were saved, and what stands behind them.
#[derive(Debug, Clone)]
pub(crate) struct SavedEntries<'a> {
    reader: Reader<'a>,
    /// By the keys' numbers in the save, those in the table; [`NONE`] for keys that are not loaded.
    keys: &'a [u32],
}

impl<'a> SavedEntries<'a> {
    pub(crate) fn new(reader: Reader<'a>, keys: &'a [u32]) -> Self {
        Self { reader, keys }
    }

    /// Reads the entries of keys that are loaded: `load` gets the key's number in the table.
    pub(crate) fn entries(
        &mut self,
        mut load: impl FnMut(u32, &mut Reader<'a>) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        let count = self.reader.count(2 * size_of::<u32>())?;
        for _ in 0..count {
            let number = self.reader.u32()?;
            let mut entry = self.reader.sized()?;
            if let Some(key) = self.key(number)? {
                load(key, &mut entry)?;
                if !entry.is_done() {
                    return broken("a key's state is longer than it should be");
                }
            }
        }
        Ok(())
    }

    /// The keys of a list that are loaded.
    pub(crate) fn list(&mut self) -> Result<Vec<u32>, StateError> {
        let count = self.reader.count(size_of::<u32>())?;
        let mut keys = Vec::new();
        for _ in 0..count {
            let number = self.reader.u32()?;
            keys.extend(self.key(number)?);
        }
        Ok(keys)
    }

    /// What stands behind the entries.
    pub(crate) fn tail(&mut self) -> &mut Reader<'a> {
        &mut self.reader
    }

    /// A key's number in the table by that in the save, if it is loaded.
    pub(crate) fn key(&self, number: u32) -> Result<Option<u32>, StateError> {
        match self.keys.get(number as usize) {
            Some(&key) => Ok(Some(key).filter(|&key| key != NONE)),
            None => broken("a key that was not saved"),
        }
    }

    /// All was read.
    pub(crate) fn finish(&self) -> Result<(), StateError> {
        if self.reader.is_done() {
            return Ok(());
        }
        broken("it is longer than it should be")
    }
}

/// A lane as it was saved.
#[derive(Debug)]
pub(crate) struct SavedLane<'a> {
    sets: Vec<SetId>,
    kind: u8,
    /// What the lane wrote of itself.
    pub(crate) head: Reader<'a>,
    /// About how many cells are to be loaded.
    pub(crate) cells: usize,
    /// Its entries, and what stands behind them.
    pub(crate) body: SavedEntries<'a>,
    /// For each of its sets the view of the lane that loads it, if it has one.
    pub(crate) views: Vec<Option<usize>>,
    /// How many keys are loaded.
    pub(crate) loaded: usize,
}

impl<'a> SavedLane<'a> {
    fn read(mut reader: Reader<'a>) -> Result<Self, StateError> {
        let count = reader.count(size_of::<u32>())?;
        let sets: Vec<SetId> = (0..count)
            .map(|_| Ok(SetId(reader.u32()?)))
            .collect::<Result<_, StateError>>()?;
        let kind = reader.u8()?;
        let head = reader.sized()?;
        let cells = reader.u32()? as usize;
        if cells > reader.rest().len() {
            return broken("more cells than bytes");
        }
        Ok(Self {
            sets,
            kind,
            head,
            cells,
            body: SavedEntries::new(reader, &[]),
            views: Vec::new(),
            loaded: 0,
        })
    }

    /// Whether it was a lane of this kind.
    pub(crate) fn check(&self, kind: LaneKind) -> Result<(), StateError> {
        if self.kind == kind as u8 {
            return Ok(());
        }
        broken("a set's windows or what it emits are of another kind")
    }

    /// Whether some of its sets go on elsewhere, or have ended.
    pub(crate) fn is_part(&self) -> bool {
        self.views.iter().any(Option::is_none)
    }
}

impl WindowOperator {
    /// Appends the state of all keys to `out`. To be called between batches.
    pub fn save(&mut self, out: &mut Vec<u8>) {
        self.save_keys(true, out);
    }

    /// Appends the keys that changed since the last save, and which were forgotten; or all where
    /// there was no save, sets came or went since, or more were forgotten than are held. True if
    /// it was all: then the saves before are not needed any more. Keys that only time changed
    /// count as changed once their rows were taken, where a window's row is emitted once.
    pub fn save_changed(&mut self, out: &mut Vec<u8>) -> bool {
        let whole = self.keys.changed().is_none();
        self.save_keys(whole, out);
        whole
    }

    fn save_keys(&mut self, whole: bool, out: &mut Vec<u8>) {
        self.keys.sweep();
        let keys = SavedKeys::of(&self.keys, whole);
        let head = Head {
            kind: Kind::Window,
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
        put_count(out, self.lanes.iter().flatten().count());
        for (number, slot) in self.lanes.iter_mut().enumerate() {
            let Some(slot) = slot else { continue };
            let at = out.len();
            put_u64(out, 0);
            let places = (0_u32..).zip(&self.sets);
            let sets: Vec<(u32, usize)> = places
                .filter_map(|(set, place)| Some((set, (*place)?)))
                .filter(|(_, place)| place.lane == number)
                .map(|(set, place)| (set, place.view))
                .collect();
            put_count(out, sets.len());
            sets.iter().for_each(|(set, _)| put_u32(out, *set));
            let views: Vec<usize> = sets.iter().map(|(_, view)| *view).collect();
            slot.lane.save(&views, &keys, out);
            let length = (out.len() - at - size_of::<u64>()) as u64;
            out[at..at + size_of::<u64>()].copy_from_slice(&length.to_le_bytes());
        }
        self.keys.note_changes(true);
    }

    /// An operator with the state that was saved. Its sets are those of the list: for each the
    /// id that it had and its spec now, which may only have its columns at other places. Returned
    /// is the new id of each; other saved sets are dropped. One that was saved nowhere starts
    /// without rows, and so does one in those shards' keys whose saves lack it.
    ///
    /// `saved` holds for each shard that was saved its last whole save and those of changes after
    /// it, in the order in which they were made (earlier ones do no harm). Of their keys those in
    /// `share` are taken. The operator is to be advanced before it is read.
    ///
    /// # Errors
    /// The bytes were not written by [`save`](Self::save), or by sets of other windows or
    /// aggregates.
    pub fn restore(
        encoder: KeyEncoder,
        sets: &[(SetId, SetSpec)],
        saved: &[Vec<&[u8]>],
        share: &Share<'_>,
    ) -> Result<(Self, Vec<SetId>), StateError> {
        let mut operator = Self::new(encoder, Vec::new());
        let mut saves = Vec::new();
        let mut loaded = Vec::new();
        for chain in saved {
            let chain = Chain::read(chain, Kind::Window)?;
            loaded.extend(chain.choose(share, &operator.encoder)?);
            saves.extend(chain.0);
        }
        let lanes = saves
            .iter_mut()
            .map(read_lanes)
            .collect::<Result<Vec<_>, _>>()?;
        for save in &saves {
            operator.frontier = operator.frontier.max(save.frontier);
            operator.watermark = operator.watermark.max(save.watermark);
        }
        let total: usize = loaded.iter().map(|loaded| loaded.count()).sum();
        let bytes: usize = saves
            .iter()
            .zip(&loaded)
            .flat_map(|(save, loaded)| save.kept.iter().zip(&loaded.0))
            .map(|(key, &loaded)| if loaded { key.len() } else { 0 })
            .sum();
        operator.keys.reserve(total, bytes);
        let mut numbers = Vec::with_capacity(saves.len());
        for (save, loaded) in saves.iter().zip(&loaded) {
            let of_save = save.kept.iter().zip(&loaded.0);
            numbers.push(
                of_save
                    .map(|(key, &loaded)| {
                        if loaded {
                            operator.keys.number(key, hash_of(key))
                        } else {
                            NONE
                        }
                    })
                    .collect::<Vec<u32>>(),
            );
        }
        let homes = operator.place_saved(sets, &lanes);
        for (at, home) in homes.iter().enumerate() {
            let mut parts = Vec::new();
            for (save, lane) in home.iter().enumerate() {
                if let Some(lane) = lane {
                    let keys = &numbers[save];
                    let count = loaded[save].count();
                    parts.push(operator.part(at, sets, &lanes[save][*lane], keys, count));
                }
            }
            operator.load_lane(at, &mut parts)?;
        }
        operator.keys.sweep();
        let ids = (0..sets.len() as u32).map(SetId).collect();
        Ok((operator, ids))
    }

    /// Makes the lanes of sets that were saved in `saved`. Sets share one if they did in every
    /// save, and still can. Gives for each lane the lane of each save that it comes from.
    fn place_saved(
        &mut self,
        sets: &[(SetId, SetSpec)],
        saved: &[Vec<SavedLane<'_>>],
    ) -> Vec<Vec<Option<usize>>> {
        self.sets.resize(sets.len(), None);
        let mut order: Vec<usize> = (0..sets.len()).collect();
        order.sort_by_key(|&number| super::lane::edge_distance(&sets[number].1));
        let mut homes: Vec<Vec<Option<usize>>> = Vec::new();
        for number in order {
            let (old, spec) = &sets[number];
            let home: Vec<Option<usize>> = saved
                .iter()
                .map(|lanes| lanes.iter().position(|lane| lane.sets.contains(old)))
                .collect();
            let shares = home.iter().all(Option::is_some) || home.iter().all(Option::is_none);
            let joined = (0..homes.len()).find_map(|lane| {
                let slot = self.lanes[lane].as_mut()?;
                if !shares || homes[lane] != home {
                    return None;
                }
                let view = slot.lane.try_join(spec, &mut self.keys)?;
                Some(SetPlace { lane, view })
            });
            let place = joined.unwrap_or_else(|| {
                homes.push(home);
                let lane = self.add_lane(LaneSlot {
                    filter: spec.filter,
                    sets: Vec::new(),
                    lane: super::lane::new_lane(spec),
                });
                SetPlace { lane, view: 0 }
            });
            self.sets[number] = Some(place);
            self.enter(place, SetId(number as u32));
        }
        homes
    }

    /// A saved lane for lane `at` of this operator.
    fn part<'a>(
        &self,
        at: usize,
        sets: &[(SetId, SetSpec)],
        lane: &SavedLane<'a>,
        keys: &'a [u32],
        loaded: usize,
    ) -> SavedLane<'a> {
        let view = |old: &SetId| {
            let places = sets.iter().zip(&self.sets);
            let mut places = places.filter(|((id, _), _)| id == old);
            places.find_map(|(_, place)| place.filter(|place| place.lane == at))
        };
        let views = lane.sets.iter().map(|old| Some(view(old)?.view)).collect();
        // As the keys, so the cells.
        let cells = lane.cells as u64 * loaded as u64 / (keys.len() as u64).max(1);
        SavedLane {
            sets: Vec::new(),
            kind: lane.kind,
            head: lane.head.clone(),
            cells: cells as usize,
            body: SavedEntries::new(lane.body.reader.clone(), keys),
            views,
            loaded,
        }
    }

    fn load_lane(&mut self, at: usize, parts: &mut [SavedLane<'_>]) -> Result<(), StateError> {
        let Some(slot) = &mut self.lanes[at] else {
            return Ok(());
        };
        if parts.is_empty() {
            let (frontier, watermark) = (self.frontier, self.watermark);
            slot.lane.set_time(frontier, watermark, &mut self.keys);
            return Ok(());
        }
        slot.lane.load(parts, &mut self.keys)
    }
}

fn read_lanes<'a>(save: &mut Save<'a>) -> Result<Vec<SavedLane<'a>>, StateError> {
    let count = save.body.count(size_of::<u64>())?;
    let mut lanes = Vec::new();
    for _ in 0..count {
        let length = save.body.u64()?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        lanes.push(SavedLane::read(Reader::new(save.body.take(length)?))?);
    }
    if !save.body.is_done() {
        return broken("it is longer than it should be");
    }
    Ok(lanes)
}

/// The rows of a slot in a list that is sorted by slots.
pub(crate) fn rows_of<T>(rows: &[T], slot: u32, of: impl Fn(&T) -> u32) -> &[T] {
    let first = rows.partition_point(|row| of(row) < slot);
    let count = rows[first..].partition_point(|row| of(row) == slot);
    &rows[first..first + count]
}

/// New numbers for the order in which keys came, by slot: `order` holds the number that each had,
/// its shard, and its slot.
pub(crate) fn arrivals(mut order: Vec<(u64, usize, u32)>) -> impl Iterator<Item = (u64, u32)> {
    order.sort_unstable();
    let slots = order.into_iter().map(|(_, _, slot)| slot);
    (0..).zip(slots)
}
