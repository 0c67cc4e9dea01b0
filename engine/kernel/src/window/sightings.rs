//! COUNT(DISTINCT x) of windows that move on: each value of a key once, in the slice of its newest
//! sighting.
//!
//! A window that is open at the clock holds a value just where it holds the value's newest
//! sighting, so the count is that of the sightings in the window's slices, whichever of several
//! windows over the same slices it is. A value that comes again moves; one that comes late, from
//! before its newest sighting, changes nothing; a slice that is let go takes its values with it.
//!
//! Rows may be ahead of the clock: those of a batch are, until time follows them, and another
//! table may hold the clock back. A window can end before them, so a value keeps its newest
//! sighting up to the clock and all that are ahead of it. When the clock reaches a slice, the
//! earlier sightings of its values go ([`Sightings::settle`]).

use super::slices::Slice;
use crate::aggregate::codec::{Reader, put_count};
use crate::aggregate::value::{Codec, Floats};
use crate::aggregate::words::{Table, Token};
use crate::aggregate::{Cell, MAX_ROWS, StateError};
use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use hashbrown::HashTable;
use smallvec::SmallVec;
use std::hash::BuildHasher;

/// No sighting.
const NONE: u32 = u32::MAX;
/// So many sightings of a slice are read beforehand when it is saved; most have fewer.
const PREFETCHED: usize = 8;

/// Where the cell of a slice stands: its key's slot, and the slice's number in two halves.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place {
    slot: u32,
    low: u32,
    high: i32,
}

impl Place {
    /// The place of a slice of a key.
    pub(crate) fn new(slot: u32, index: i64) -> Self {
        Self {
            slot,
            low: index as u32,
            high: (index >> 32) as i32,
        }
    }

    fn index(self) -> i64 {
        (i64::from(self.high) << 32) | i64::from(self.low)
    }
}

/// A value of a key in one of its slices; `next` and `before` are the others of the slice.
#[derive(Debug)]
struct Sighting {
    token: Token,
    slot: u32,
    cell: Cell,
    next: u32,
    before: u32,
}

/// The sightings of a slice.
#[derive(Debug, Clone, Copy)]
struct Seen {
    first: u32,
    count: u32,
}

/// The values of one argument, over the rows that one filter chooses.
#[derive(Debug)]
pub(crate) struct Sightings {
    codec: Codec,
    table: Table,
    sightings: Vec<Sighting>,
    free: Vec<u32>,
    /// By key and value.
    index: HashTable<u32>,
    hasher: foldhash::fast::FixedState,
    cells: Vec<Seen>,
    /// How many sightings each key has, by its slot.
    held: Vec<u32>,
    left_out: u64,
}

impl Sightings {
    /// Of values of a type.
    pub(crate) fn new(arg: &DataType) -> Self {
        let codec = Codec::new(arg, Floats::Grouped);
        Self {
            table: codec.table(),
            codec,
            sightings: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            hasher: foldhash::fast::FixedState::default(),
            cells: Vec::new(),
            held: Vec::new(),
            left_out: 0,
        }
    }

    /// Makes cells `0..count` exist.
    pub(crate) fn grow(&mut self, count: usize) {
        if count > self.cells.len() {
            let none = Seen {
                first: NONE,
                count: 0,
            };
            self.cells.resize(count, none);
        }
    }

    /// Takes the values of rows into the slices whose cells they are. Slices from number `ahead`
    /// on are ahead of the clock.
    pub(crate) fn update(
        &mut self,
        cells: &[Cell],
        rows: &[u32],
        column: &ArrayRef,
        places: &[Place],
        ahead: i64,
    ) {
        // Out of the store while its values are looked at: the sightings change meanwhile.
        let none = Codec::new(&DataType::Null, Floats::Grouped);
        let mut codec = std::mem::replace(&mut self.codec, none);
        let bound = codec.bind(column, rows);
        for (i, &cell) in cells.iter().enumerate() {
            let Some(val) = bound.get(i) else { continue };
            let token = self.table.hold(val);
            if !self.see(token, cell, places, ahead) {
                self.table.release(token);
            }
        }
        self.codec = codec;
    }

    fn hash(&self, slot: u32, token: Token) -> u64 {
        self.hasher.hash_one((slot, token))
    }

    /// The sightings of a key's value.
    fn of_value(&self, slot: u32, token: Token) -> impl Iterator<Item = u32> {
        let same = move |id: &u32| {
            let sighting = &self.sightings[*id as usize];
            sighting.token == token && sighting.slot == slot
        };
        let hash = self.hash(slot, token);
        self.index.iter_hash(hash).copied().filter(same)
    }

    /// True where the sighting is a new one, which keeps the caller's reference to the token.
    fn see(&mut self, token: Token, cell: Cell, places: &[Place], ahead: i64) -> bool {
        let place = places[cell as usize];
        let at = place.index();
        let mut earlier: SmallVec<[u32; 2]> = SmallVec::new();
        for id in self.of_value(place.slot, token) {
            let other = places[self.sightings[id as usize].cell as usize].index();
            if other == at || (at < other && other < ahead) {
                return false;
            }
            if other < at && at < ahead {
                earlier.push(id);
            }
        }
        if let Some((&first, rest)) = earlier.split_first() {
            self.unlink(first);
            self.link(first, cell);
            for &id in rest {
                self.remove(id);
            }
            return false;
        }
        self.add(token, place.slot, cell)
    }

    fn add(&mut self, token: Token, slot: u32, cell: Cell) -> bool {
        if self.held.len() <= slot as usize {
            self.held.resize(slot as usize + 1, 0);
        }
        if self.held[slot as usize] as usize >= MAX_ROWS {
            self.left_out += 1;
            return false;
        }
        self.held[slot as usize] += 1;
        let sighting = Sighting {
            token,
            slot,
            cell,
            next: NONE,
            before: NONE,
        };
        let id = if let Some(id) = self.free.pop() {
            self.sightings[id as usize] = sighting;
            id
        } else {
            self.sightings.push(sighting);
            (self.sightings.len() - 1) as u32
        };
        let hash = self.hash(slot, token);
        let (sightings, hasher) = (&self.sightings, &self.hasher);
        self.index.insert_unique(hash, id, |&id| {
            let sighting = &sightings[id as usize];
            hasher.hash_one((sighting.slot, sighting.token))
        });
        self.link(id, cell);
        true
    }

    fn link(&mut self, id: u32, cell: Cell) {
        let seen = &mut self.cells[cell as usize];
        let next = std::mem::replace(&mut seen.first, id);
        seen.count += 1;
        let sighting = &mut self.sightings[id as usize];
        (sighting.cell, sighting.next, sighting.before) = (cell, next, NONE);
        if next != NONE {
            self.sightings[next as usize].before = id;
        }
    }

    fn unlink(&mut self, id: u32) {
        let Sighting {
            cell, next, before, ..
        } = self.sightings[id as usize];
        let seen = &mut self.cells[cell as usize];
        seen.count -= 1;
        if before == NONE {
            seen.first = next;
        } else {
            self.sightings[before as usize].next = next;
        }
        if next != NONE {
            self.sightings[next as usize].before = before;
        }
    }

    fn remove(&mut self, id: u32) {
        self.unlink(id);
        let Sighting { token, slot, .. } = self.sightings[id as usize];
        if let Ok(found) = self
            .index
            .find_entry(self.hash(slot, token), |&other| other == id)
        {
            found.remove();
        }
        self.held[slot as usize] -= 1;
        self.table.release(token);
        self.free.push(id);
    }

    /// Lets go of a slice's values.
    pub(crate) fn clear(&mut self, cell: Cell) {
        loop {
            let first = self.cells[cell as usize].first;
            if first == NONE {
                break;
            }
            self.remove(first);
        }
        if self.free.len() == self.sightings.len() && self.free.capacity() > 0 {
            (self.sightings, self.free) = (Vec::new(), Vec::new());
            self.index = HashTable::new();
        }
    }

    fn each(&self, cell: Cell) -> impl Iterator<Item = u32> {
        let mut next = self.cells[cell as usize].first;
        std::iter::from_fn(move || {
            let id = next;
            (id != NONE).then(|| {
                next = self.sightings[id as usize].next;
                id
            })
        })
    }

    /// Whether the value of a sighting has another one in a slice from number `from` on that is
    /// earlier.
    fn earlier(&self, id: u32, from: i64, places: &[Place]) -> SmallVec<[u32; 2]> {
        let Sighting {
            token, slot, cell, ..
        } = self.sightings[id as usize];
        let at = places[cell as usize].index();
        self.of_value(slot, token)
            .filter(|&other| {
                let index = places[self.sightings[other as usize].cell as usize].index();
                from <= index && index < at
            })
            .collect()
    }

    /// The clock has reached a slice: the earlier sightings of its values go.
    pub(crate) fn settle(&mut self, cell: Cell, places: &[Place]) {
        let ids: Vec<u32> = self.each(cell).collect();
        for id in ids {
            for earlier in self.earlier(id, i64::MIN, places) {
                self.remove(earlier);
            }
        }
    }

    /// How many values a window holds: that of the slices `live[first..last]` of the key `slot`.
    pub(crate) fn count(
        &self,
        slot: u32,
        live: &[Slice],
        (first, last): (usize, usize),
        places: &[Place],
        ahead: i64,
    ) -> i64 {
        let sum = |slices: &[Slice]| -> i64 {
            let seen = slices
                .iter()
                .map(|slice| self.cells[slice.cell as usize].count);
            seen.map(i64::from).sum()
        };
        let inside = &live[first..last];
        let settled = live.last().is_none_or(|slice| slice.index() < ahead);
        if settled && live.len() - inside.len() < inside.len() {
            // It is less work to go over those outside.
            let all = self.held.get(slot as usize).copied().unwrap_or_default();
            return i64::from(all) - sum(&live[..first]) - sum(&live[last..]);
        }
        let early = inside.partition_point(|slice| slice.index() < ahead);
        let from = inside.first().map_or(i64::MAX, Slice::index);
        let mut count = sum(&inside[..early]);
        for slice in &inside[early..] {
            let new = |id: &u32| self.earlier(*id, from, places).is_empty();
            count += self.each(slice.cell).filter(new).count() as i64;
        }
        count
    }

    /// Reads from memory what [`Self::save`] of these cells will read, as
    /// [`CellStore::prefetch`](crate::aggregate::CellStore::prefetch) does.
    pub(crate) fn prefetch(&self, cells: &[Cell]) -> u64 {
        let firsts = cells.iter().map(|&cell| self.cells[cell as usize].first);
        let mut ids: Vec<u32> = firsts.filter(|&id| id != NONE).collect();
        let mut read = 0;
        // From each cell one sighting in turn: those of one follow one another.
        for _ in 0..PREFETCHED {
            let tokens = ids.iter().map(|&id| self.sightings[id as usize].token);
            read ^= self.table.prefetch(tokens.clone());
            read ^= tokens.fold(0, |read, token| read ^ token);
            for id in &mut ids {
                *id = self.sightings[*id as usize].next;
            }
            ids.retain(|&id| id != NONE);
        }
        read
    }

    /// Appends a slice's values to `out`, for checkpoints.
    pub(crate) fn save(&self, cell: Cell, out: &mut Vec<u8>) {
        put_count(out, self.cells[cell as usize].count as usize);
        for id in self.each(cell) {
            self.codec
                .save(&self.table, self.sightings[id as usize].token, out);
        }
    }

    /// Adds the values that `save` wrote to a slice, and says how many bytes that was. A value that
    /// the slice has is seen once; the key's other slices keep theirs.
    ///
    /// # Errors
    /// The bytes are not of this aggregate.
    pub(crate) fn load(
        &mut self,
        cell: Cell,
        bytes: &[u8],
        places: &[Place],
    ) -> Result<usize, StateError> {
        let mut reader = Reader::new(bytes);
        let count = reader.count(self.codec.least_saved())?;
        for _ in 0..count {
            let val = self.codec.load(&mut reader)?;
            let token = self.table.hold(val);
            // As it was saved: nothing is settled here that was not.
            if !self.see(token, cell, places, i64::MIN) {
                self.table.release(token);
            }
        }
        Ok(reader.used())
    }

    /// Allocated bytes, estimated.
    pub(crate) fn state_bytes(&self) -> usize {
        self.sightings.capacity() * size_of::<Sighting>()
            + self.cells.capacity() * size_of::<Seen>()
            + (self.free.capacity() + self.held.capacity()) * size_of::<u32>()
            + self.index.allocation_size()
            + self.table.state_bytes()
    }

    /// Values left out because a key had [`MAX_ROWS`].
    pub(crate) fn bound_reached(&self) -> u64 {
        self.left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, StringViewArray};
    use std::collections::BTreeMap;
    use std::sync::Arc;

    fn slices(places: &[Place], slot: u32) -> Vec<Slice> {
        let mut of_key: Vec<Slice> = places
            .iter()
            .enumerate()
            .filter(|(_, place)| place.slot == slot)
            .map(|(cell, place)| Slice::new(place.index(), cell as Cell))
            .collect();
        of_key.sort_by_key(Slice::index);
        of_key
    }

    /// Random rows in random order, of two keys over slices that lie on both sides of the clock,
    /// which goes on; each window's count is that of the raw rows. Then the same after a reload.
    #[test]
    fn counts_are_those_of_the_rows() {
        for seed in 0..2_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let count = random.i64(1..12);
            let places: Vec<Place> = (0..2 * count)
                .map(|cell| Place::new(u32::from(cell >= count), (cell % count) - 5))
                .collect();
            let mut store = Sightings::new(&DataType::Utf8View);
            store.grow(places.len());
            let mut rows: BTreeMap<(Cell, String), ()> = BTreeMap::new();
            let mut ahead = random.i64(-5..3);
            for _ in 0..random.usize(0..40) {
                let cell = random.u32(0..places.len() as u32);
                let value = format!("the value {}", random.u32(0..5));
                let column: ArrayRef =
                    Arc::new(StringViewArray::from_iter_values([value.as_str()]));
                store.update(&[cell], &[0], &column, &places, ahead);
                rows.insert((cell, value), ());
                if random.u32(0..10) == 0 {
                    for (cell, place) in places.iter().enumerate() {
                        if place.index() == ahead {
                            store.settle(cell as Cell, &places);
                        }
                    }
                    ahead += 1;
                }
            }
            if random.bool() {
                let mut copy = Sightings::new(&DataType::Utf8View);
                copy.grow(places.len());
                for cell in 0..places.len() as Cell {
                    let mut bytes = Vec::new();
                    store.save(cell, &mut bytes);
                    let read = copy.load(cell, &bytes, &places);
                    assert_eq!(read, Ok(bytes.len()), "seed {seed}");
                }
                store = copy;
            }
            for slot in 0..2 {
                let live = slices(&places, slot);
                for first in 0..live.len() {
                    // Windows that are open at the clock, or end at it.
                    for last in first..=live.len() {
                        if live.get(last).is_some_and(|slice| slice.index() < ahead) {
                            continue;
                        }
                        let mut wanted: Vec<&str> = rows
                            .keys()
                            .filter(|(cell, _)| {
                                live[first..last].iter().any(|slice| slice.cell == *cell)
                            })
                            .map(|(_, value)| value.as_str())
                            .collect();
                        wanted.sort_unstable();
                        wanted.dedup();
                        assert_eq!(
                            store.count(slot, &live, (first, last), &places, ahead),
                            wanted.len() as i64,
                            "seed {seed} {first}..{last} ahead {ahead}"
                        );
                    }
                }
            }
            for cell in 0..places.len() as Cell {
                store.clear(cell);
            }
            assert_eq!(store.sightings.capacity(), 0);
            assert_eq!(store.index.len(), 0);
            assert!(store.held.iter().all(|held| *held == 0));
        }
    }

    #[test]
    fn a_key_keeps_no_more_values_than_the_bound() {
        let places = [Place::new(0, 0), Place::new(1, 0)];
        let mut store = Sightings::new(&DataType::Int64);
        store.grow(2);
        let more = 5;
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..(MAX_ROWS + more) as i64));
        let rows: Vec<u32> = (0..(MAX_ROWS + more) as u32).collect();
        store.update(&vec![0; rows.len()], &rows, &column, &places, 1);
        store.update(&[1], &[0], &column, &places, 1);
        assert_eq!(store.bound_reached(), more as u64);
        let live = slices(&places, 0);
        assert_eq!(store.count(0, &live, (0, 1), &places, 1), MAX_ROWS as i64);
        let live = slices(&places, 1);
        assert_eq!(store.count(1, &live, (0, 1), &places, 1), 1);
    }

    #[test]
    fn broken_bytes_are_an_error() {
        let places = [Place::new(0, 0)];
        let mut store = Sightings::new(&DataType::Utf8View);
        store.grow(1);
        let column: ArrayRef = Arc::new(StringViewArray::from_iter_values(["one", "two"]));
        store.update(&[0, 0], &[0, 1], &column, &places, 1);
        let mut bytes = Vec::new();
        store.save(0, &mut bytes);
        for end in 0..bytes.len() {
            assert!(store.load(0, &bytes[..end], &places).is_err());
        }
        store.clear(0);
        // What is there already is seen once.
        for _ in 0..2 {
            assert_eq!(store.load(0, &bytes, &places), Ok(bytes.len()));
            assert_eq!(store.cells[0].count, 2);
        }
    }
}
