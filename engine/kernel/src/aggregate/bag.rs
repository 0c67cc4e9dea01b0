//! One cell of a tally: the values seen, each once, with counts.

use super::sight::Sight;
use super::words::Token;
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// Up to so many values are looked through one by one; beyond, there is an index.
const SCAN_MAX: usize = 12;

/// A value, how often it was seen, and when.
#[derive(Debug, Clone)]
pub(crate) struct Entry<S> {
    pub(crate) token: Token,
    /// Below zero where rows were taken back before they were added.
    pub(crate) count: i64,
    pub(crate) sight: S,
}

/// Values with counts, in no order of meaning.
#[derive(Debug)]
pub(crate) struct Bag<S> {
    entries: Vec<Entry<S>>,
    index: Option<Box<HashTable<u32>>>,
}

impl<S> Default for Bag<S> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            index: None,
        }
    }
}

fn hash(token: Token) -> u64 {
    foldhash::fast::FixedState::default().hash_one(token)
}

impl<S: Sight> Bag<S> {
    pub(crate) fn entries(&self) -> &[Entry<S>] {
        &self.entries
    }

    pub(crate) fn find(&self, token: Token) -> Option<usize> {
        match &self.index {
            None => self.entries.iter().position(|entry| entry.token == token),
            Some(index) => {
                let same = |at: &u32| self.entries[*at as usize].token == token;
                index.find(hash(token), same).map(|at| *at as usize)
            }
        }
    }

    pub(crate) fn entry(&mut self, at: usize) -> &mut Entry<S> {
        &mut self.entries[at]
    }

    /// Adds a value that is not there.
    pub(crate) fn push(&mut self, entry: Entry<S>) {
        let token = entry.token;
        self.entries.push(entry);
        if let Some(index) = &mut self.index {
            let at = (self.entries.len() - 1) as u32;
            index.insert_unique(hash(token), at, |at| hash(self.entries[*at as usize].token));
        } else if self.entries.len() > SCAN_MAX {
            let mut index = HashTable::with_capacity(2 * SCAN_MAX);
            for (at, entry) in self.entries.iter().enumerate() {
                let hasher = |at: &u32| hash(self.entries[*at as usize].token);
                index.insert_unique(hash(entry.token), at as u32, hasher);
            }
            self.index = Some(Box::new(index));
        }
    }

    /// Takes a value out; the last takes its place.
    pub(crate) fn remove(&mut self, at: usize) -> Entry<S> {
        let last = self.entries.len() - 1;
        if let Some(index) = &mut self.index {
            let gone = hash(self.entries[at].token);
            if let Ok(slot) = index.find_entry(gone, |other| *other as usize == at) {
                slot.remove();
            }
            if at != last {
                let moved = hash(self.entries[last].token);
                if let Some(slot) = index.find_mut(moved, |other| *other as usize == last) {
                    *slot = at as u32;
                }
            }
        }
        let entry = self.entries.swap_remove(at);
        if self.entries.len() <= SCAN_MAX / 2 {
            self.index = None;
        }
        if self.entries.is_empty() {
            self.entries = Vec::new();
        }
        entry
    }

    /// Allocated bytes outside the bag itself, estimated, without those of the sights.
    pub(crate) fn heap(&self) -> usize {
        let index = self
            .index
            .as_ref()
            .map_or(0, |index| index.capacity() * 5 + 32);
        self.entries.capacity() * size_of::<Entry<S>>() + index
    }
}
