//! What readers of a top-N have, and what they must be told.

use super::partition::Row;
use hashbrown::{HashMap, HashSet};
use std::collections::BTreeSet;
use std::sync::Arc;
use tidewheel_core::time::NO_TIME;
use tidewheel_core::{EventTime, Op};

/// A change to be emitted.
#[derive(Debug)]
pub(super) struct Change {
    /// The bytes of the row's columns.
    pub(super) columns: Arc<[u8]>,
    /// Its rank, from 1; of a delete the one it had.
    pub(super) rank: i64,
    /// What became of it.
    pub(super) op: Op,
    /// When it runs empty; of a delete nothing.
    pub(super) empty_at: EventTime,
}

#[derive(Debug)]
pub(super) struct ShownRow {
    /// The partition that showed it last: a row may move, and be shown by its new partition
    /// before the old one notices.
    pub(super) partition: u32,
    pub(super) columns: Arc<[u8]>,
    pub(super) rank: i64,
    /// When it runs empty, as readers were told.
    pub(super) empty_at: EventTime,
    /// Readers may have it, nobody knows how.
    pub(super) assumed: bool,
}

/// Rows that readers have, by partition.
pub(super) type ShownBy<'a> = HashMap<u32, Vec<(&'a Arc<[u8]>, &'a ShownRow)>>;

/// The rows that readers have, by identity.
#[derive(Debug)]
pub(super) struct Shown {
    rows: HashMap<Arc<[u8]>, ShownRow>,
    /// Rows that live longer than readers were told, by the end that they were told.
    longer: BTreeSet<(EventTime, Arc<[u8]>)>,
    frontier: EventTime,
    /// Partitions of which a row is shown by another now.
    moved: Vec<u32>,
}

impl Default for Shown {
    fn default() -> Self {
        Self {
            rows: HashMap::new(),
            longer: BTreeSet::new(),
            frontier: NO_TIME,
            moved: Vec::new(),
        }
    }
}

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
                .rows
                .get(&row.identity)
                .is_some_and(|shown| shown.partition == partition);
            if !is_here || stays.contains(row.identity.as_ref()) {
                continue;
            }
            if let Some(shown) = self.rows.remove(&row.identity) {
                changes.push(Change {
                    columns: shown.columns,
                    rank: shown.rank,
                    op: Op::Delete,
                    empty_at: NO_TIME,
                });
            }
        }
        for (rank, row) in (1..).zip(new) {
            let columns = Arc::clone(&row.columns);
            let now = ShownRow {
                partition,
                columns,
                rank,
                empty_at: row.empty_at,
                assumed: false,
            };
            if let Some(shown) = self.rows.get_mut(&row.identity) {
                if shown.partition != partition {
                    self.moved.push(shown.partition);
                }
                let same = shown.columns == now.columns && (!rank_used || shown.rank == rank);
                let longer = row.empty_at > shown.empty_at;
                if same && !shown.assumed && !(longer && shown.empty_at <= self.frontier) {
                    shown.partition = partition;
                    if longer {
                        let identity = Arc::clone(&row.identity);
                        self.longer.insert((shown.empty_at, identity));
                    }
                    continue;
                }
                *shown = now;
            } else {
                self.rows.insert(Arc::clone(&row.identity), now);
            }
            changes.push(Change {
                columns: Arc::clone(&row.columns),
                rank,
                op: Op::Upsert,
                empty_at: row.empty_at,
            });
        }
    }

    /// The partitions, since the last call, of which a row is shown by another now.
    pub(super) fn take_moved(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.moved)
    }

    /// Whether readers have a row.
    pub(super) fn contains(&self, identity: &[u8]) -> bool {
        self.rows.contains_key(identity)
    }

    /// Whether it is only assumed that readers have a row.
    pub(super) fn is_assumed(&self, identity: &[u8]) -> bool {
        self.rows.get(identity).is_some_and(|shown| shown.assumed)
    }

    /// Notes a row that readers have, if nothing is known of it. True if so.
    pub(super) fn insert_new(&mut self, identity: Arc<[u8]>, row: ShownRow) -> bool {
        match self.rows.entry(identity) {
            hashbrown::hash_map::Entry::Occupied(_) => false,
            hashbrown::hash_map::Entry::Vacant(place) => {
                place.insert(row);
                true
            }
        }
    }

    /// The rows by the partition that showed them last, in the order of their identities.
    pub(super) fn by_partition(&self) -> ShownBy<'_> {
        let mut by: ShownBy<'_> = HashMap::new();
        for (identity, row) in &self.rows {
            by.entry(row.partition).or_default().push((identity, row));
        }
        by.values_mut()
            .for_each(|rows| rows.sort_unstable_by_key(|(identity, _)| *identity));
        by
    }

    /// The frontier that was told last.
    pub(super) fn frontier(&self) -> EventTime {
        self.frontier
    }

    /// After rows were loaded: the frontier that was told, and which rows live longer than
    /// readers were told, where `end_of` knows their ends.
    pub(super) fn loaded(
        &mut self,
        frontier: EventTime,
        end_of: impl Fn(&[u8], u32) -> Option<EventTime>,
    ) {
        self.frontier = self.frontier.max(frontier);
        for (identity, shown) in &self.rows {
            if end_of(identity, shown.partition).is_some_and(|end| end > shown.empty_at) {
                self.longer.insert((shown.empty_at, Arc::clone(identity)));
            }
        }
    }

    /// A row of which readers were told that it runs empty at or before `frontier`, and which
    /// lives longer.
    pub(super) fn next_longer(&mut self, frontier: EventTime) -> Option<Arc<[u8]>> {
        self.frontier = self.frontier.max(frontier);
        loop {
            let (told, _) = self.longer.first()?;
            if *told > frontier {
                return None;
            }
            let (told, identity) = self.longer.pop_first()?;
            let stands = self.rows.get(&identity);
            if stands.is_some_and(|shown| shown.empty_at == told) {
                return Some(identity);
            }
        }
    }

    /// The row as readers have it, with an end that they are told now.
    pub(super) fn again(&mut self, identity: &[u8], empty_at: EventTime) -> Option<Change> {
        let shown = self.rows.get_mut(identity)?;
        shown.empty_at = empty_at;
        Some(Change {
            columns: Arc::clone(&shown.columns),
            rank: shown.rank,
            op: Op::Upsert,
            empty_at,
        })
    }

    /// Forgets what a partition showed.
    pub(super) fn forget(&mut self, partition: u32, rows: &[Row]) {
        for row in rows {
            if self
                .rows
                .get(&row.identity)
                .is_some_and(|shown| shown.partition == partition)
            {
                self.rows.remove(&row.identity);
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
            empty_at: NO_TIME,
        });
    }
    for (at, row) in new.iter().enumerate() {
        if old.get(at).is_none_or(|was| was.columns != row.columns) {
            let rank = i64::try_from(at).unwrap_or(i64::MAX - 1) + 1;
            changes.push(Change {
                columns: Arc::clone(&row.columns),
                rank,
                op: Op::Upsert,
                empty_at: row.empty_at,
            });
        }
    }
}
