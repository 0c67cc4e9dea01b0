//! What readers of a top-N have, and what they must be told.

use super::partition::Row;
use hashbrown::{HashMap, HashSet};
use std::sync::Arc;
use tidewheel_core::Op;

/// A change to be emitted.
#[derive(Debug)]
pub(super) struct Change {
    /// The bytes of the row's columns.
    pub(super) columns: Arc<[u8]>,
    /// Its rank, from 1; of a delete the one it had.
    pub(super) rank: i64,
    /// What became of it.
    pub(super) op: Op,
}

#[derive(Debug)]
struct ShownRow {
    /// The partition that showed it last: a row may move, and be shown by its new partition
    /// before the old one notices.
    partition: u32,
    columns: Arc<[u8]>,
    rank: i64,
}

/// The rows that readers have, by identity.
#[derive(Debug, Default)]
pub(super) struct Shown(HashMap<Arc<[u8]>, ShownRow>);

impl Shown {
    /// Appends what turns `old` rows of a partition into `new` ones for readers who know rows by
    /// identity.
    pub(super) fn diff(
        &mut self,
        partition: u32,
        old: &[Row],
        new: &[Row],
        rank_used: bool,
        changes: &mut Vec<Change>,
    ) {
        // Rows are not skipped as equal prefixes, since a row's place elsewhere may have been
        // shown in between.
        let stays: HashSet<&[u8]> = new.iter().map(|row| row.identity.as_ref()).collect();
        for row in old {
            let is_here = self
                .0
                .get(&row.identity)
                .is_some_and(|shown| shown.partition == partition);
            if !is_here || stays.contains(row.identity.as_ref()) {
                continue;
            }
            if let Some(shown) = self.0.remove(&row.identity) {
                changes.push(Change {
                    columns: shown.columns,
                    rank: shown.rank,
                    op: Op::Delete,
                });
            }
        }
        for (rank, row) in (1..).zip(new) {
            let columns = Arc::clone(&row.columns);
            if let Some(shown) = self.0.get_mut(&row.identity) {
                if shown.columns == columns && (!rank_used || shown.rank == rank) {
                    shown.partition = partition;
                    continue;
                }
                *shown = ShownRow {
                    partition,
                    columns,
                    rank,
                };
            } else {
                let identity = Arc::clone(&row.identity);
                self.0.insert(
                    identity,
                    ShownRow {
                        partition,
                        columns,
                        rank,
                    },
                );
            }
            changes.push(Change {
                columns: Arc::clone(&row.columns),
                rank,
                op: Op::Upsert,
            });
        }
    }

    /// Forgets what a partition showed.
    pub(super) fn forget(&mut self, partition: u32, rows: &[Row]) {
        for row in rows {
            if self
                .0
                .get(&row.identity)
                .is_some_and(|shown| shown.partition == partition)
            {
                self.0.remove(&row.identity);
            }
        }
    }
}

/// Appends what turns `old` rows into `new` ones for readers who know rows by rank.
pub(super) fn by_rank(old: &[Row], new: &[Row], changes: &mut Vec<Change>) {
    for (rank, row) in (1..).zip(old).skip(new.len()) {
        changes.push(Change {
            columns: Arc::clone(&row.columns),
            rank,
            op: Op::Delete,
        });
    }
    for (at, row) in new.iter().enumerate() {
        if old.get(at).is_none_or(|was| was.columns != row.columns) {
            let rank = i64::try_from(at).unwrap_or(i64::MAX - 1) + 1;
            changes.push(Change {
                columns: Arc::clone(&row.columns),
                rank,
                op: Op::Upsert,
            });
        }
    }
}
