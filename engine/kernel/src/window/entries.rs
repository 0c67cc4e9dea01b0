//! What a lane holds for each key: dense numbers of its own, dirty lists, numbers given back.

use super::table::KeyTable;
use std::collections::VecDeque;

/// No entry, no key.
pub(crate) const NONE: u32 = u32::MAX;

/// The entries of one lane, by a dense number: the slot that its changes are reported under.
#[derive(Debug)]
pub(crate) struct Entries<E> {
    /// By the key's number in the operator's table.
    index: Vec<u32>,
    items: Vec<E>,
    /// The key of each entry, [`NONE`] where the slot is free.
    keys: Vec<u32>,
    free: Vec<u32>,
    /// Freed slots that some reader has not been told of: not used again until all have.
    freed: Vec<u32>,
    /// How many of `freed` each reader has been told of; `None` where a reader is gone.
    told: Vec<Option<usize>>,
    held: usize,
}

impl<E: Default> Entries<E> {
    pub(crate) fn new() -> Self {
        Self {
            index: Vec::new(),
            items: Vec::new(),
            keys: Vec::new(),
            free: Vec::new(),
            freed: Vec::new(),
            told: Vec::new(),
            held: 0,
        }
    }

    /// The number of a new reader of [`Entries::take_freed`].
    pub(crate) fn add_reader(&mut self) -> usize {
        self.told.push(Some(self.freed.len()));
        self.told.len() - 1
    }

    /// Makes `reader` one, new or again.
    pub(crate) fn set_reader(&mut self, reader: usize) {
        if self.told.len() <= reader {
            self.told.resize(reader + 1, None);
        }
        self.told[reader] = Some(self.freed.len());
    }

    pub(crate) fn remove_reader(&mut self, reader: usize) {
        self.told[reader] = None;
        self.recycle();
    }

    /// The entry of a key, if it has one.
    pub(crate) fn find(&self, key: u32) -> Option<u32> {
        self.index
            .get(key as usize)
            .copied()
            .filter(|&slot| slot != NONE)
    }

    /// The slot of a key's entry, made if it is new.
    pub(crate) fn find_or_insert(&mut self, key: u32, keys: &mut KeyTable) -> u32 {
        if self.index.len() <= key as usize {
            self.index
                .resize(keys.capacity().max(key as usize + 1), NONE);
        }
        let known = self.index[key as usize];
        if known != NONE {
            return known;
        }
        keys.retain(key);
        self.held += 1;
        let slot = match self.free.pop() {
            Some(slot) => {
                self.items[slot as usize] = E::default();
                self.keys[slot as usize] = key;
                slot
            }
            None => {
                self.items.push(E::default());
                self.keys.push(key);
                (self.items.len() - 1) as u32
            }
        };
        self.index[key as usize] = slot;
        slot
    }

    /// Makes room for so many more entries.
    pub(crate) fn reserve(&mut self, entries: usize) {
        self.items.reserve(entries);
        self.keys.reserve(entries);
    }

    pub(crate) fn get(&self, slot: u32) -> &E {
        &self.items[slot as usize]
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> &mut E {
        &mut self.items[slot as usize]
    }

    /// The key of a slot in use.
    pub(crate) fn key(&self, slot: u32) -> Option<u32> {
        self.keys
            .get(slot as usize)
            .copied()
            .filter(|&key| key != NONE)
    }

    /// The slots in use.
    pub(crate) fn slots(&self) -> impl Iterator<Item = u32> + use<'_, E> {
        (0..self.items.len() as u32).filter(|&slot| self.keys[slot as usize] != NONE)
    }

    /// Forgets an entry.
    pub(crate) fn remove(&mut self, slot: u32, keys: &mut KeyTable) {
        let key = std::mem::replace(&mut self.keys[slot as usize], NONE);
        if key == NONE {
            return;
        }
        self.index[key as usize] = NONE;
        self.items[slot as usize] = E::default();
        keys.release(key);
        self.held -= 1;
        self.freed.push(slot);
    }

    /// The slots freed since the reader asked last. They are used again once all readers have
    /// been told.
    pub(crate) fn take_freed(&mut self, reader: usize) -> Vec<u32> {
        let told = self.told[reader]
            .replace(self.freed.len())
            .unwrap_or(self.freed.len());
        let freed = self.freed[told..].to_vec();
        self.recycle();
        freed
    }

    fn recycle(&mut self) {
        let all = self.freed.len();
        if all > 0 && self.told.iter().flatten().all(|&told| told == all) {
            self.free.append(&mut self.freed);
            for told in self.told.iter_mut().flatten() {
                *told = 0;
            }
        }
    }

    /// The keys have other numbers: `numbers` says which, by the old one. Each entry becomes a
    /// user of its key there.
    pub(crate) fn rekey(&mut self, numbers: &[u32], keys: &mut KeyTable) {
        self.index.clear();
        self.index.resize(keys.capacity(), NONE);
        for (slot, key) in self.keys.iter_mut().enumerate() {
            if *key == NONE {
                continue;
            }
            *key = numbers[*key as usize];
            self.index[*key as usize] = slot as u32;
            keys.retain(*key);
        }
    }

    /// Entries in use.
    pub(crate) fn len(&self) -> usize {
        self.held
    }

    /// Allocated bytes, estimated, without what entries hold outside of themselves.
    pub(crate) fn state_bytes(&self) -> usize {
        self.items.capacity() * size_of::<E>()
            + (self.index.capacity()
                + self.keys.capacity()
                + self.free.capacity()
                + self.freed.capacity())
                * size_of::<u32>()
    }
}

/// Slots whose value is to be read again, each at most once: those that an event touched before
/// those that only time did. The flags that say whether a slot is in a list are its entry's.
#[derive(Debug, Default)]
pub(crate) struct DirtyLists {
    pub(crate) event: VecDeque<u32>,
    pub(crate) expiry: VecDeque<u32>,
}

impl DirtyLists {
    pub(crate) fn pop(&mut self, include_expiry: bool) -> Option<u32> {
        match self.event.pop_front() {
            Some(slot) => Some(slot),
            None if include_expiry => self.expiry.pop_front(),
            None => None,
        }
    }

    pub(crate) fn state_bytes(&self) -> usize {
        (self.event.capacity() + self.expiry.capacity()) * size_of::<u32>()
    }
}
