//! Partial aggregates, in typed columns of cells.
//!
//! A cell is one partial aggregate: of a slice, a session, a group, or scratch space for a merge.
//! All aggregates of a set number their cells alike, so that a slice is one number, and a batch
//! of rows is applied to one aggregate at a time in a tight loop over typed columns.

mod bag;
mod boolean;
mod changes;
pub mod codec;
mod count;
mod exact;
mod extreme;
mod extreme_by;
mod factory;
mod first_last;
mod multiset;
mod sight;
mod sum;
mod tally;
mod total;
pub(crate) mod value;
mod variance;
pub(crate) mod words;

pub use factory::{StoreGroup, check, new_store, new_stores};

use arrow::array::ArrayRef;
use std::fmt;

/// The most rows or values that one cell keeps, where its aggregate has to keep them at all.
/// What is beyond is left out and counted; the result is then no longer exact.
pub const MAX_ROWS: usize = 1 << 20;

/// The number of a cell within its store.
pub type Cell = u32;

/// The columns that an aggregate reads.
#[derive(Debug, Clone, Copy)]
pub struct Args<'a> {
    /// One array for each argument, all of the batch's length.
    pub columns: &'a [ArrayRef],
    /// Event time of each row of the batch.
    pub time: &'a [i64],
    /// Second part of each row's order.
    pub seq: &'a [u64],
}

/// The partial aggregates of one aggregate call.
///
/// # Contract
/// - `read` after any sequence of updates, merges and retractions depends only on the set of rows
///   that a cell stands for, never on their order. (Sketches and accumulators of others say in
///   their docs where they are only approximately so.)
/// - A new and a cleared cell stand for no rows, and hold no memory of their own.
pub trait CellStore: Send {
    /// Makes cells `0..count` exist; new ones stand for no rows.
    fn grow(&mut self, count: usize);
    /// Makes a cell stand for no rows.
    fn clear(&mut self, cell: Cell);
    /// Adds row `rows[i]` of the batch to cell `cells[i]`, for each `i`.
    fn update(&mut self, cells: &[Cell], rows: &[u32], args: &Args<'_>);
    /// Takes row `rows[i]` of the batch out of cell `cells[i]`. Only called on stores that were
    /// made for retracting input.
    fn retract(&mut self, cells: &[Cell], rows: &[u32], args: &Args<'_>);
    /// Adds the rows of `from` to `into`, another cell; `from` stays as it is.
    fn merge(&mut self, into: Cell, from: Cell);
    /// Like [`CellStore::merge`], for a cell that is made to be read. The caller promises that the
    /// rows of `from` are, by event time, all before or all after those that `into` holds (slices
    /// in their order), and that `into` gets nothing but further calls of this method, reads and
    /// `clear`. Stores of many rows then keep less.
    fn merge_span(&mut self, into: Cell, from: Cell) {
        self.merge(into, from);
    }
    /// Whether [`CellStore::subtract`] may be called: the store can keep running values.
    fn subtractable(&self) -> bool {
        false
    }
    /// Takes the rows of `from` out of `into`, which holds them, where by event time they are
    /// earlier than all other rows of `into` (a slice that expires). Only called where
    /// [`CellStore::subtractable`] is true.
    fn subtract(&mut self, into: Cell, from: Cell) {
        let _ = (into, from);
        debug_assert!(false, "subtract called on a store that cannot subtract");
    }
    /// How many arrays [`CellStore::read_all`] gives.
    fn outputs(&self) -> usize {
        1
    }
    /// The values of cells, in the order given; of a store that serves several aggregates, those
    /// of the first.
    fn read(&mut self, cells: &[Cell]) -> ArrayRef;
    /// The values of cells, one array for each aggregate that the store serves.
    fn read_all(&mut self, cells: &[Cell]) -> Vec<ArrayRef> {
        vec![self.read(cells)]
    }
    /// Reads from memory what [`CellStore::save`] of these cells will read. No read waits for
    /// another one's result where that can be, so the processor has many of them under way at a time; one
    /// cell after the other, it would wait for each. What is returned means nothing, but depends on
    /// all that was read.
    fn prefetch(&self, cells: &[Cell]) -> u64 {
        let _ = cells;
        0
    }
    /// Appends a cell's state to `out`, for checkpoints.
    fn save(&mut self, cell: Cell, out: &mut Vec<u8>);
    /// Sets a cell's state from what `save` wrote, and says how many bytes that was.
    ///
    /// # Errors
    /// The bytes are not of this aggregate.
    fn load(&mut self, cell: Cell, bytes: &[u8]) -> Result<usize, StateError>;
    /// Allocated bytes, estimated.
    fn state_bytes(&self) -> usize;
    /// Values left out so far because a bound (a list's cap, a set's) was reached.
    fn bound_reached(&self) -> u64 {
        0
    }
}

/// For [`CellStore::prefetch`]: reads a word of each of these cells.
pub(crate) fn touch<T>(all: &[T], cells: &[Cell], word: impl Fn(&T) -> u64) -> u64 {
    let words = cells.iter().map(|&cell| word(&all[cell as usize]));
    words.fold(0, |read, word| read ^ word)
}

/// Saved state cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("saved state cannot be read: {0}")]
pub struct StateError(pub String);

/// A factory of stores for an aggregate that the kernel does not know.
pub trait CustomAggregate: Send + Sync + fmt::Debug {
    /// The function's name.
    fn name(&self) -> &str;
    /// A new store without cells. With `retracting`, one that can take rows back.
    fn store(&self, retracting: bool) -> Box<dyn CellStore>;
}
