//! The keys of an operator: bytes to a dense number and back.

use crate::keys::Keys;
use crate::saved::ChangedKeys;
use hashbrown::HashTable;

/// Set in an entry's `uses` while it stands in the list of keys that nothing uses.
const NEVER: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Place {
    hash: u64,
    start: u64,
    len: u32,
    uses: u32,
}

/// Keys by number, with how many users each has. Keys without users are forgotten by `sweep`, so
/// that a number stays good while a batch is worked on.
#[derive(Debug, Default)]
pub(crate) struct KeyTable {
    table: HashTable<u32>,
    places: Vec<Place>,
    bytes: Vec<u8>,
    /// Bytes of forgotten keys in `bytes`.
    garbage: u64,
    free: Vec<u32>,
    /// Keys that had no users at some time since the last sweep.
    unused: Vec<u32>,
    /// What changed since the last save, where there was one.
    changed: Option<ChangedKeys>,
}

/// Forgotten keys' bytes are kept until there are this many, and more than of live ones.
const GARBAGE_MIN: u64 = 1 << 16;

impl KeyTable {
    /// The number of a row's key, made if it is new. A new key has no users.
    pub(crate) fn find_or_insert(&mut self, keys: &Keys, row: usize) -> u32 {
        let slot = self.number(keys.key(row), keys.hash(row));
        self.touch(slot);
        slot
    }

    /// The number of a row's key, if it has one.
    pub(crate) fn find(&self, keys: &Keys, row: usize) -> Option<u32> {
        self.known(keys.key(row), keys.hash(row))
    }

    fn known(&self, key: &[u8], hash: u64) -> Option<u32> {
        let found = self.table.find(hash, |&slot| {
            let place = &self.places[slot as usize];
            place.hash == hash && &self.bytes[range(place)] == key
        });
        found.copied()
    }

    /// The number of a key, made if it is new.
    pub(crate) fn number(&mut self, key: &[u8], hash: u64) -> u32 {
        if let Some(slot) = self.known(key, hash) {
            return slot;
        }
        let place = Place {
            hash,
            start: self.bytes.len() as u64,
            len: key.len() as u32,
            uses: 0,
        };
        self.bytes.extend_from_slice(key);
        let slot = match self.free.pop() {
            Some(slot) => {
                self.places[slot as usize] = place;
                slot
            }
            None => {
                self.places.push(place);
                (self.places.len() - 1) as u32
            }
        };
        self.unused.push(slot);
        let places = &self.places;
        self.table
            .insert_unique(hash, slot, |&slot| places[slot as usize].hash);
        slot
    }

    /// Makes room for so many more keys of so many bytes.
    pub(crate) fn reserve(&mut self, keys: usize, bytes: usize) {
        let places = &self.places;
        self.table.reserve(keys, |&slot| places[slot as usize].hash);
        self.places.reserve(keys);
        self.bytes.reserve(bytes);
    }

    /// Notes that what a key holds changed in a way that time alone will not repeat.
    pub(crate) fn touch(&mut self, slot: u32) {
        if let Some(changed) = &mut self.changed {
            changed.touch(slot);
        }
    }

    /// What changed since the last save; `None` if all is to be saved.
    pub(crate) fn changed(&self) -> Option<&ChangedKeys> {
        self.changed.as_ref()
    }

    /// Notes changes from here on, or, with `false`, no more: then the next save is a whole one.
    pub(crate) fn note_changes(&mut self, on: bool) {
        self.changed = on.then(ChangedKeys::default);
    }

    /// The numbers in use, ascending.
    pub(crate) fn numbers(&self) -> Vec<u32> {
        (0..self.places.len() as u32)
            .filter(|&slot| self.places[slot as usize].uses != NEVER)
            .collect()
    }

    /// Takes in the keys of another table, which have no users here yet. Gives the number of each
    /// by its number there.
    pub(crate) fn adopt(&mut self, other: &Self) -> Vec<u32> {
        let mut numbers = vec![super::entries::NONE; other.places.len()];
        for (slot, place) in other.places.iter().enumerate() {
            if place.uses != NEVER {
                numbers[slot] = self.number(other.key(slot as u32), place.hash);
            }
        }
        numbers
    }

    /// The key's bytes.
    pub(crate) fn key(&self, slot: u32) -> &[u8] {
        &self.bytes[range(&self.places[slot as usize])]
    }

    /// Numbers given out so far: all are below this.
    pub(crate) fn capacity(&self) -> usize {
        self.places.len()
    }

    /// Keys held.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Notes one more user of a key.
    pub(crate) fn retain(&mut self, slot: u32) {
        self.places[slot as usize].uses += 1;
    }

    /// Notes one user less.
    pub(crate) fn release(&mut self, slot: u32) {
        let place = &mut self.places[slot as usize];
        place.uses = place.uses.saturating_sub(1);
        if place.uses == 0 {
            self.unused.push(slot);
        }
    }

    /// Forgets the keys that have no users.
    pub(crate) fn sweep(&mut self) {
        while let Some(slot) = self.unused.pop() {
            self.forget_unused(slot);
        }
    }

    fn forget_unused(&mut self, slot: u32) {
        let place = self.places[slot as usize];
        if place.uses != 0 {
            return;
        }
        if let Ok(entry) = self.table.find_entry(place.hash, |&other| other == slot) {
            entry.remove();
            self.places[slot as usize].uses = NEVER;
            self.free.push(slot);
            if let Some(changed) = &mut self.changed {
                let key = &self.bytes[range(&place)];
                if !changed.forget(slot, key, self.table.len()) {
                    self.changed = None;
                }
            }
            self.garbage += u64::from(place.len);
            if self.garbage > GARBAGE_MIN && self.garbage * 2 > self.bytes.len() as u64 {
                self.compact();
            }
        }
    }

    fn compact(&mut self) {
        let mut live = Vec::with_capacity(self.bytes.len() - self.garbage as usize);
        for place in self.places.iter_mut().filter(|place| place.uses != NEVER) {
            let start = live.len() as u64;
            live.extend_from_slice(&self.bytes[range(place)]);
            place.start = start;
        }
        self.bytes = live;
        self.garbage = 0;
    }

    /// Allocated bytes, estimated.
    pub(crate) fn state_bytes(&self) -> usize {
        self.bytes.capacity()
            + self.places.capacity() * size_of::<Place>()
            + self.free.capacity() * size_of::<u32>()
            + self.table.allocation_size()
            + self.changed.as_ref().map_or(0, ChangedKeys::state_bytes)
    }
}

fn range(place: &Place) -> std::ops::Range<usize> {
    let start = place.start as usize;
    start..start + place.len as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KeyEncoder;
    use arrow::array::{ArrayRef, StringViewArray};
    use arrow::datatypes::DataType;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    #[test]
    fn forgotten_keys_give_back_number_and_bytes() {
        let encoder = KeyEncoder::new(&[DataType::Utf8View]).expect("a type");
        let mut table = KeyTable::default();
        let mut random = fastrand::Rng::with_seed(1);
        let mut held: BTreeMap<String, u32> = BTreeMap::new();
        for _ in 0..200 {
            let texts: Vec<String> = (0..100)
                .map(|_| "x".repeat(40) + &random.u32(0..600).to_string())
                .collect();
            let column: ArrayRef = Arc::new(StringViewArray::from_iter_values(&texts));
            let keys = encoder.encode(&[column], 100).expect("encodes");
            for (row, text) in texts.iter().enumerate() {
                let slot = table.find_or_insert(&keys, row);
                match held.get(text) {
                    Some(&known) => assert_eq!(known, slot),
                    None => {
                        table.retain(slot);
                        held.insert(text.clone(), slot);
                    }
                }
                assert_eq!(table.key(slot), text.as_bytes());
            }
            held.retain(|_, &mut slot| {
                let keep = random.u32(0..3) == 0;
                if !keep {
                    table.release(slot);
                }
                keep
            });
            table.sweep();
            assert_eq!(table.len(), held.len());
        }
        assert!(table.capacity() <= 600);
        assert!(table.bytes.len() < 200_000);
    }
}
