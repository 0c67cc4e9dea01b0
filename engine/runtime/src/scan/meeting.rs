//! How a query's own reading of history joins the live reading of its table.
//!
//! Both readers go on to one place, the *goal*: for each partition the farther of the two. The
//! live reader announces the query there, and the shards of the history hand their state over, so
//! that the query has every row exactly once. Neither reader waits for the other, only for
//! records that the other has already read.

use super::reader::ReaderMessage;
use crossbeam_channel::Sender;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tidewheel_core::{Framing, RawChunk};

/// For each partition, the next offset to read.
pub type Positions = BTreeMap<u32, u64>;

/// The farther of two places.
#[must_use]
pub fn goal(one: &Positions, other: &Positions) -> Positions {
    let mut goal = one.clone();
    for (partition, offset) in other {
        let entry = goal.entry(*partition).or_insert(*offset);
        *entry = (*entry).max(*offset);
    }
    goal
}

/// True when nothing before `goal` is left to read.
#[must_use]
pub fn reached(positions: &Positions, goal: &Positions) -> bool {
    goal.iter()
        .all(|(partition, offset)| positions.get(partition).is_some_and(|at| at >= offset))
}

/// A reading of history that is to join the live one. Dropped before it has, on whatever way, it
/// ends: nobody would take its state.
#[derive(Debug)]
pub struct Guest {
    /// To its reader.
    pub reader: Sender<ReaderMessage>,
    /// Its query is announced to the live shards, which wait for its state.
    pub has_joined: bool,
}

impl Drop for Guest {
    fn drop(&mut self) {
        if !self.has_joined {
            let _ = self.reader.send(ReaderMessage::Stop);
        }
    }
}

/// A reader's way to the goal: what lies behind it is kept for later.
#[derive(Debug, Default)]
pub struct Approach {
    goal: Positions,
    /// Chunks from behind the goal, in their order.
    kept: VecDeque<RawChunk>,
    /// Partitions that have arrived.
    arrived: BTreeSet<u32>,
}

impl Approach {
    /// The way to a goal.
    #[must_use]
    pub fn new(goal: Positions) -> Self {
        Self {
            goal,
            ..Self::default()
        }
    }

    /// The part of a chunk that lies before the goal. The rest is kept.
    pub fn take(&mut self, chunk: RawChunk) -> Option<RawChunk> {
        let goal = self.goal.get(&chunk.partition).copied().unwrap_or(0);
        let (before, behind) = split(chunk, goal);
        self.kept.extend(behind);
        before
    }

    /// Partitions that have newly arrived, to be paused.
    pub fn arrivals(&mut self, positions: &Positions) -> Vec<u32> {
        let new: Vec<u32> = positions
            .iter()
            .filter(|(partition, at)| {
                !self.arrived.contains(partition)
                    && self.goal.get(partition).is_none_or(|goal| *at >= goal)
            })
            .map(|(partition, _)| *partition)
            .collect();
        self.arrived.extend(&new);
        new
    }

    /// True at the goal.
    #[must_use]
    pub fn is_there(&self, positions: &Positions) -> bool {
        reached(positions, &self.goal)
    }

    /// What was kept, and the partitions that were paused.
    #[must_use]
    pub fn end(self) -> (VecDeque<RawChunk>, BTreeSet<u32>) {
        (self.kept, self.arrived)
    }
}

/// Cuts a chunk at an offset: records before it, and those from it on.
#[must_use]
pub fn split(chunk: RawChunk, offset: u64) -> (Option<RawChunk>, Option<RawChunk>) {
    if chunk.next_offset <= offset {
        return (Some(chunk), None);
    }
    match &chunk.framing {
        Framing::Lines { first_offset } => {
            if offset <= *first_offset {
                return (None, Some(chunk));
            }
            let at = usize::try_from(offset - first_offset).unwrap_or(usize::MAX);
            let at = at.min(chunk.data.len());
            let mut before = chunk;
            let data = before.data.split_off(at);
            let behind = RawChunk {
                partition: before.partition,
                next_offset: before.next_offset,
                data,
                framing: Framing::Lines {
                    first_offset: offset,
                },
                meta: before.meta.clone(),
            };
            before.next_offset = offset;
            (Some(before), Some(behind))
        }
        Framing::Records { ranges, offsets } => {
            let at = offsets.partition_point(|record| *record < offset);
            if at == 0 {
                return (None, Some(chunk));
            }
            let part = |from: usize, to: usize, next_offset: u64| {
                let meta = &chunk.meta;
                RawChunk {
                    partition: chunk.partition,
                    next_offset,
                    data: chunk.data.clone(),
                    framing: Framing::Records {
                        ranges: ranges[from..to].to_vec(),
                        offsets: offsets[from..to].to_vec(),
                    },
                    meta: tidewheel_core::RecordMeta {
                        timestamps: cut(&meta.timestamps, from, to),
                        keys: cut(&meta.keys, from, to),
                        headers: cut(&meta.headers, from, to),
                        tombstones: cut(&meta.tombstones, from, to),
                    },
                }
            };
            let behind = part(at, offsets.len(), chunk.next_offset);
            (Some(part(0, at, offset)), Some(behind))
        }
    }
}

fn cut<T: Clone>(items: &[T], from: usize, to: usize) -> Vec<T> {
    items
        .get(from..to.min(items.len()))
        .map(<[T]>::to_vec)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(offsets: &[u64]) -> RawChunk {
        RawChunk {
            partition: 0,
            next_offset: offsets.last().map_or(0, |last| last + 1),
            data: vec![b'x'; offsets.len()],
            framing: Framing::Records {
                ranges: (0..offsets.len() as u32).map(|at| (at, at + 1)).collect(),
                offsets: offsets.to_vec(),
            },
            meta: tidewheel_core::RecordMeta {
                timestamps: offsets.iter().map(|offset| *offset as i64).collect(),
                ..Default::default()
            },
        }
    }

    fn offsets(chunk: Option<&RawChunk>) -> Vec<u64> {
        match chunk.map(|chunk| &chunk.framing) {
            Some(Framing::Records { offsets, .. }) => offsets.clone(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn records_are_cut_where_the_goal_is_even_in_a_gap() {
        for goal in 0..12 {
            let all = [2, 3, 5, 8, 9];
            let (before, behind) = split(records(&all), goal);
            let (a, b) = (offsets(before.as_ref()), offsets(behind.as_ref()));
            assert!(a.iter().all(|offset| *offset < goal));
            assert!(b.iter().all(|offset| *offset >= goal));
            assert_eq!([a, b].concat(), all);
            for part in [before, behind].into_iter().flatten() {
                let times: Vec<u64> = part.meta.timestamps.iter().map(|t| *t as u64).collect();
                assert_eq!(times, offsets(Some(&part)));
            }
        }
    }

    #[test]
    fn lines_are_cut_at_the_byte() {
        let chunk = RawChunk {
            partition: 3,
            next_offset: 108,
            data: b"ab\ncd\nef".to_vec(),
            framing: Framing::Lines { first_offset: 100 },
            meta: Default::default(),
        };
        let (before, behind) = split(chunk, 103);
        let (before, behind) = (before.expect("a part"), behind.expect("a part"));
        assert_eq!(
            (before.data.as_slice(), before.next_offset),
            (&b"ab\n"[..], 103)
        );
        assert_eq!(behind.framing, Framing::Lines { first_offset: 103 });
        assert_eq!(
            (behind.data.as_slice(), behind.next_offset),
            (&b"cd\nef"[..], 108)
        );
    }

    #[test]
    fn a_goal_is_the_farther_place_of_each_partition() {
        let one = Positions::from([(0, 5), (1, 9)]);
        let other = Positions::from([(1, 7), (2, 1)]);
        let goal = goal(&one, &other);
        assert_eq!(goal, Positions::from([(0, 5), (1, 9), (2, 1)]));
        assert!(!reached(&one, &goal));
        assert!(reached(&goal, &goal));
    }
}
