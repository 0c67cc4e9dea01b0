//! What is held of one key of OVER.

use std::collections::VecDeque;
use std::sync::Arc;
use tidewheel_core::time::END_OF_TIME;
use tidewheel_core::{EventTime, Order};

/// A row that is held.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its place among the key's rows.
    pub(super) order: Order,
    /// The bytes of the columns that calls read.
    pub(super) args: Arc<[u8]>,
    /// A bit for each LAG that skips NULLs, set where its column is NULL.
    pub(super) nulls: u64,
    /// What it takes to emit the row again; none once it is final.
    pub(super) open: Option<Open>,
}

/// A row that may still be taken back.
#[derive(Debug)]
pub(super) struct Open {
    /// The bytes of the input's columns.
    pub(super) row: Box<[u8]>,
    /// The bytes of its calls' values as emitted; none before.
    pub(super) values: Option<Box<[u8]>>,
}

impl Entry {
    /// Allocated bytes, estimated.
    pub(super) fn bytes(&self) -> usize {
        let open = self.open.as_ref().map_or(0, |open| {
            open.row.len() + open.values.as_ref().map_or(0, |values| values.len())
        });
        size_of::<Self>() + self.args.len() + open
    }
}

/// The state of a key.
#[derive(Debug)]
pub(super) struct KeyState {
    /// The key's bytes.
    pub(super) key: Box<[u8]>,
    /// Ascending by order: final rows that frames still need, then those not final.
    pub(super) rows: VecDeque<Entry>,
    /// How many of `rows` are final.
    pub(super) done: usize,
    /// How many rows were ever final.
    pub(super) count: u64,
    /// For each LAG the values of the last final rows: at most its offset, newest last.
    pub(super) lags: Vec<VecDeque<Arc<[u8]>>>,
    /// Whether the running cells hold all rows.
    pub(super) has_head: bool,
    /// When its timer is due, `END_OF_TIME` without one; timers of other times are void.
    pub(super) timer: EventTime,
    /// While a batch is taken in: the first of the rows that it added.
    pub(super) first_new: Option<usize>,
    /// While a batch is taken in: how many rows there were before.
    pub(super) len_before: usize,
}

impl KeyState {
    pub(super) fn new(key: Box<[u8]>, lags: usize) -> Self {
        Self {
            key,
            rows: VecDeque::new(),
            done: 0,
            count: 0,
            lags: vec![VecDeque::new(); lags],
            has_head: false,
            timer: END_OF_TIME,
            first_new: None,
            len_before: 0,
        }
    }

    /// Puts a row in its place, after those of the same order. True for a batch's first.
    pub(super) fn insert(&mut self, entry: Entry) -> bool {
        let is_first = self.first_new.is_none();
        if is_first {
            self.len_before = self.rows.len();
        }
        let in_order = self
            .rows
            .back()
            .is_none_or(|last| last.order <= entry.order);
        let at = if in_order {
            self.rows.len()
        } else {
            self.rows.partition_point(|row| row.order <= entry.order)
        };
        self.rows.insert(at, entry);
        self.first_new = Some(self.first_new.map_or(at, |first| first.min(at)));
        is_first
    }

    /// The first of the rows that are not final with the time of row `index`.
    pub(super) fn first_peer(&self, index: usize) -> usize {
        let mut first = index;
        while first > self.done && self.rows[first - 1].order.time == self.rows[index].order.time {
            first -= 1;
        }
        first
    }

    /// One after the last row with the time of row `index`.
    pub(super) fn peers_end(&self, index: usize) -> usize {
        let mut end = index + 1;
        while end < self.rows.len() && self.rows[end].order.time == self.rows[index].order.time {
            end += 1;
        }
        end
    }

    /// Of the rows kept before row `index`, the first that is at most `preceding` before it.
    pub(super) fn range_start(&self, index: usize, preceding: i64) -> usize {
        let from = self.rows[index].order.time.saturating_sub(preceding);
        self.rows.partition_point(|row| row.order.time < from)
    }
}
