//! One partition of a top-N: its rows in order, and what was shown of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use tidewheel_core::EventTime;

/// A row that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// The bytes of its identity.
    pub(super) identity: Arc<[u8]>,
    /// The bytes of its columns.
    pub(super) columns: Arc<[u8]>,
    /// When it runs empty.
    pub(super) empty_at: EventTime,
}

/// The rows of a partition.
#[derive(Debug)]
pub(super) struct Partition {
    key: Box<[u8]>,
    end: EventTime,
    /// By the bytes of the order, then of the identity.
    rows: BTreeMap<Arc<[u8]>, Row>,
    /// The rows as readers have them, by rank.
    shown: Vec<Row>,
    /// The place of the last of `limit` shown rows: while nothing is dirty, a change behind it
    /// moves nothing in front of it.
    last_shown: Option<Arc<[u8]>>,
    dirty: bool,
    closed: bool,
}

impl Partition {
    pub(super) fn new(key: Box<[u8]>, end: EventTime) -> Self {
        Self {
            key,
            end,
            rows: BTreeMap::new(),
            shown: Vec::new(),
            last_shown: None,
            dirty: false,
            closed: false,
        }
    }

    /// Moves the state out and leaves an empty one.
    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::new(Box::default(), self.end))
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    pub(super) fn end(&self) -> EventTime {
        self.end
    }

    /// The rows held, each with its place.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&Arc<[u8]>, &Row)> {
        self.rows.iter()
    }

    pub(super) fn shown(&self) -> &[Row] {
        &self.shown
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Takes a row for one that readers have.
    pub(super) fn assume(&mut self, row: Row) {
        self.shown.push(row);
    }

    /// Marks the partition dirty. True when it was not dirty before.
    pub(super) fn mark_all(&mut self) -> bool {
        !std::mem::replace(&mut self.dirty, true)
    }

    /// Its window has passed: it goes once its changes are taken.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// The row at `place`.
    pub(super) fn row(&self, place: &[u8]) -> Option<&Row> {
        self.rows.get(place)
    }

    /// Puts a row at a free place; says how many bytes that takes.
    pub(super) fn insert(&mut self, place: Arc<[u8]>, row: Row) -> usize {
        let taken = bytes(&place, &row);
        self.rows.insert(place, row);
        taken
    }

    /// Takes the row at `place` out; says how many bytes it took.
    pub(super) fn remove(&mut self, place: &[u8]) -> usize {
        self.rows.remove(place).map_or(0, |row| bytes(place, &row))
    }

    /// Sets the columns and the end of the row at `place` and says how long the old columns
    /// were; `None` where both are the same.
    pub(super) fn replace(
        &mut self,
        place: &[u8],
        columns: &[u8],
        empty_at: EventTime,
    ) -> Option<usize> {
        let row = self.rows.get_mut(place)?;
        if row.columns.as_ref() == columns && row.empty_at == empty_at {
            return None;
        }
        row.empty_at = empty_at;
        let old = row.columns.len();
        if row.columns.as_ref() != columns {
            row.columns = columns.into();
        }
        Some(old)
    }

    /// Marks the partition dirty if a change at `place` can be among the first `limit` rows.
    /// True when it was not dirty before.
    pub(super) fn mark(&mut self, place: &[u8], limit: usize) -> bool {
        if self.dirty || limit == 0 {
            return false;
        }
        if self
            .last_shown
            .as_ref()
            .is_some_and(|last| place > last.as_ref())
        {
            return false;
        }
        self.dirty = true;
        true
    }

    /// The first `limit` rows.
    pub(super) fn first(&mut self, limit: usize) -> Vec<Row> {
        let full = limit.checked_sub(1).and_then(|at| self.rows.keys().nth(at));
        self.last_shown = full.cloned();
        self.rows.values().take(limit).cloned().collect()
    }

    /// Sets what readers have, and clears the dirty mark. True when the partition may go.
    pub(super) fn set_shown(&mut self, rows: Vec<Row>) -> bool {
        self.shown = rows;
        self.dirty = false;
        self.closed || (self.shown.is_empty() && self.rows.is_empty())
    }
}

/// Allocated bytes of a row that is held, estimated.
pub(super) fn bytes(place: &[u8], row: &Row) -> usize {
    /// Of a tree's entry, of an entry by identity, and of the counts of three `Arc`s.
    const PER_ROW: usize = 160;
    place.len() + row.identity.len() + row.columns.len() + PER_ROW
}
