//! The saved state of operators: what all of them share.
//!
//! A save is either whole, or holds what changed since the save before: then a key's entry
//! replaces the earlier one, and keys that were forgotten are named. Numbers are little-endian
//! and lists stand behind their length, as in [`crate::aggregate::codec`]; every length is checked
//! against the bytes that are there. There is no version and no checksum: the checkpoint that
//! holds the bytes has them.
//!
//! ```text
//! save   kind u8, whole u8, frontier i64, watermark i64, kept u32, forgotten u32,
//!        (length u32, key)* first the kept ones, then the forgotten ones,
//!        then what the kind of operator writes, which names keys by their number in that list
//! ```

mod chain;
mod changed;

pub(crate) use chain::{Chain, Loaded, Save};
pub(crate) use changed::ChangedKeys;

use crate::aggregate::StateError;
use crate::aggregate::codec::{put_bytes, put_count, put_i64};
use tidewheel_core::EventTime;

/// Whose save it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Window = 1,
    Regroup = 2,
    Latest = 3,
    Over = 4,
    TopN = 5,
}

/// What stands at the beginning of a save.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    pub(crate) whole: bool,
    pub(crate) frontier: EventTime,
    pub(crate) watermark: EventTime,
}

impl Head {
    /// Writes the head and the keys: `kept` that are saved, and forgotten ones, which stand in
    /// `forgotten` as they are written.
    pub(crate) fn put<'k>(
        self,
        kept: impl ExactSizeIterator<Item = &'k [u8]>,
        forgotten: &ChangedKeys,
        out: &mut Vec<u8>,
    ) {
        out.push(self.kind as u8);
        out.push(u8::from(self.whole));
        put_i64(out, self.frontier);
        put_i64(out, self.watermark);
        put_count(out, kept.len());
        let forgotten = if self.whole {
            (0, &[][..])
        } else {
            forgotten.forgotten()
        };
        put_count(out, forgotten.0);
        for key in kept {
            put_bytes(out, key);
        }
        out.extend_from_slice(forgotten.1);
    }
}

/// The error for bytes that do not fit together.
pub(crate) fn broken<T>(what: &str) -> Result<T, StateError> {
    Err(StateError(what.to_owned()))
}
