//! Values as tokens: numbers of 64 bits, or the number of a byte string that is held once.
//!
//! A store has one table of the byte strings that its cells refer to, with a count of the
//! references, so that a cell holds eight bytes for a value however long it is, and an event
//! with a known value allocates nothing.

use hashbrown::HashTable;
use std::cmp::Ordering;
use std::hash::BuildHasher;

/// What stands for a value within one store. Equal values have equal tokens. Tokens of fixed
/// types also order as their values do; those of byte strings are compared by the table.
pub(crate) type Token = u64;

/// A value of a batch, before it has a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Val<'a> {
    /// A value of a fixed type, mapped to a number that orders as it does.
    Word(u64),
    /// Text, binary, or a row encoding; all order by their bytes.
    Bytes(&'a [u8]),
}

#[derive(Debug)]
struct Entry {
    bytes: Box<[u8]>,
    hash: u64,
    refs: u32,
}

/// Byte strings, each held once, with counts of their references.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    entries: Vec<Entry>,
    free: Vec<u32>,
    index: HashTable<u32>,
    hasher: foldhash::fast::FixedState,
    held: usize,
}

impl Interner {
    fn hold(&mut self, bytes: &[u8]) -> u32 {
        let hash = self.hasher.hash_one(bytes);
        let entries = &mut self.entries;
        let found = self.index.find(hash, |&id| {
            let entry = &entries[id as usize];
            entry.hash == hash && *entry.bytes == *bytes
        });
        if let Some(&id) = found {
            entries[id as usize].refs += 1;
            return id;
        }
        self.held += bytes.len();
        let entry = Entry {
            bytes: bytes.into(),
            hash,
            refs: 1,
        };
        let id = if let Some(id) = self.free.pop() {
            entries[id as usize] = entry;
            id
        } else {
            entries.push(entry);
            (entries.len() - 1) as u32
        };
        self.index
            .insert_unique(hash, id, |&id| entries[id as usize].hash);
        id
    }

    fn release(&mut self, id: u32) {
        let entry = &mut self.entries[id as usize];
        debug_assert!(entry.refs > 0, "released more often than held");
        entry.refs -= 1;
        if entry.refs > 0 {
            return;
        }
        if let Ok(slot) = self.index.find_entry(entry.hash, |&other| other == id) {
            slot.remove();
        }
        self.held -= entry.bytes.len();
        entry.bytes = Box::default();
        self.free.push(id);
    }
}

/// The meaning of a store's tokens.
#[derive(Debug)]
pub(crate) enum Table {
    /// Tokens are the values.
    Words,
    /// Tokens are numbers of byte strings.
    Bytes(Interner),
}

impl Table {
    /// The token of a value; the caller holds one reference to it, and must release it.
    #[inline]
    pub(crate) fn hold(&mut self, val: Val<'_>) -> Token {
        match (self, val) {
            (Self::Bytes(interner), Val::Bytes(bytes)) => u64::from(interner.hold(bytes)),
            (_, Val::Word(word)) => word,
            (Self::Words, Val::Bytes(_)) => 0,
        }
    }

    /// One more reference to a token.
    #[inline]
    pub(crate) fn retain(&mut self, token: Token) {
        if let Self::Bytes(interner) = self {
            interner.entries[token as usize].refs += 1;
        }
    }

    /// One reference less.
    #[inline]
    pub(crate) fn release(&mut self, token: Token) {
        if let Self::Bytes(interner) = self {
            interner.release(token as u32);
        }
    }

    /// A token's value.
    #[inline]
    pub(crate) fn val(&self, token: Token) -> Val<'_> {
        match self {
            Self::Words => Val::Word(token),
            Self::Bytes(interner) => Val::Bytes(&interner.entries[token as usize].bytes),
        }
    }

    /// Reads the byte strings of tokens from memory, as
    /// [`CellStore::prefetch`](super::CellStore::prefetch) does. Tokens that mean nothing are left out.
    pub(crate) fn prefetch(&self, tokens: impl Iterator<Item = Token> + Clone) -> u64 {
        let Self::Bytes(interner) = self else {
            return 0;
        };
        let entries = tokens.filter_map(|token| interner.entries.get(token as usize));
        let texts = entries.map(|entry| &entry.bytes);
        let places = texts.clone().map(|text| text.as_ptr().addr() ^ text.len());
        let places = places.fold(0, |read, place| read ^ place as u64);
        let begins = texts.filter_map(|text| text.first());
        begins.fold(places, |read, byte| read ^ u64::from(*byte))
    }

    /// Orders a value of a batch against a token.
    #[inline]
    pub(crate) fn cmp_val(&self, val: Val<'_>, token: Token) -> Ordering {
        match (val, self.val(token)) {
            (Val::Word(a), Val::Word(b)) => a.cmp(&b),
            (Val::Bytes(a), Val::Bytes(b)) => a.cmp(b),
            (Val::Word(_), Val::Bytes(_)) => Ordering::Less,
            (Val::Bytes(_), Val::Word(_)) => Ordering::Greater,
        }
    }

    /// Orders two tokens by their values.
    #[inline]
    pub(crate) fn cmp(&self, a: Token, b: Token) -> Ordering {
        if a == b {
            Ordering::Equal
        } else {
            self.cmp_val(self.val(a), b)
        }
    }

    /// Allocated bytes, estimated.
    pub(crate) fn state_bytes(&self) -> usize {
        match self {
            Self::Words => 0,
            Self::Bytes(interner) => {
                interner.held
                    + interner.entries.capacity() * size_of::<Entry>()
                    + (interner.free.capacity() + interner.index.capacity()) * size_of::<u32>()
            }
        }
    }
}
