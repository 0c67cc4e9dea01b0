//! Which keys changed since the last save.

use crate::aggregate::codec::put_bytes;

/// Forgotten keys are named up to this many, or as many as there are keys; then the next save is
/// a whole one, so that an operator that is saved no more does not grow.
const FORGOTTEN_MIN: usize = 1 << 16;

/// The keys, by number, that changed since the last save, and those that were forgotten. An
/// operator that was never saved has none of it.
#[derive(Debug, Default)]
pub(crate) struct ChangedKeys {
    bits: Vec<u64>,
    forgotten: Vec<u8>,
    forgotten_count: usize,
}

impl ChangedKeys {
    /// A key changed. True if that is new.
    pub(crate) fn touch(&mut self, number: u32) -> bool {
        let word = number as usize / 64;
        if word >= self.bits.len() {
            self.bits.resize(word + 1, 0);
        }
        let (bit, word) = (1 << (number % 64), &mut self.bits[word]);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// A key is gone, of `held` that are left; its number may be given to another. False if there
    /// are too many to be named.
    pub(crate) fn forget(&mut self, number: u32, key: &[u8], held: usize) -> bool {
        if let Some(word) = self.bits.get_mut(number as usize / 64) {
            *word &= !(1 << (number % 64));
        }
        put_bytes(&mut self.forgotten, key);
        self.forgotten_count += 1;
        self.forgotten_count <= FORGOTTEN_MIN.max(held)
    }

    /// The keys that changed, ascending.
    pub(crate) fn keys(&self) -> Vec<u32> {
        let mut keys = Vec::new();
        for (word, &bits) in self.bits.iter().enumerate() {
            let mut bits = bits;
            while bits != 0 {
                keys.push(word as u32 * 64 + bits.trailing_zeros());
                bits &= bits - 1;
            }
        }
        keys
    }

    /// How many keys were forgotten, and their bytes as they are saved.
    pub(crate) fn forgotten(&self) -> (usize, &[u8]) {
        (self.forgotten_count, &self.forgotten)
    }

    /// Allocated bytes, estimated.
    pub(crate) fn state_bytes(&self) -> usize {
        self.bits.capacity() * size_of::<u64>() + self.forgotten.capacity()
    }
}
