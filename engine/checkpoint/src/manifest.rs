//! What a checkpoint holds, and where.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A stretch of a data object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The object's name within the pipeline.
    pub object: String,
    /// Where it begins in the object's content.
    pub offset: u64,
    /// Its length, bytes.
    pub length: u64,
}

/// A checkpoint: for each source, its place and the state of the queries that read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The pipeline's name.
    pub pipeline: String,
    /// The epoch of its writer.
    pub epoch: u64,
    /// Its number within the epoch, from 1.
    pub number: u64,
    /// When its barrier was sent, wall clock, milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// How long it took from the barrier until all state was gathered, milliseconds.
    pub gather_ms: u64,
    /// The program that wrote it.
    pub version: String,
    /// How many shards held the state.
    pub shards: u32,
    /// The sources.
    pub sources: Vec<SourceEntry>,
}

/// A source table at its barrier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceEntry {
    /// The table's name.
    pub name: String,
    /// Of its definition.
    pub fingerprint: u64,
    /// By partition, the offset of the next record.
    pub offsets: BTreeMap<u32, u64>,
    /// Highest event time seen, microseconds since the Unix epoch; `None`: no row came.
    pub frontier: Option<i64>,
    /// By partition, what the last record before the offset was, where the source can tell: whether
    /// the offset still means the same place. Absent where it was written before that was kept.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub marks: BTreeMap<u32, RecordMark>,
    /// It has an end. Absent where it was written before that was kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bounded: bool,
    /// How far event times lay beyond their records' timestamps at most, milliseconds, where that
    /// is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_ms: Option<i64>,
    /// Times, idleness, memory of repeats. Where that is not all of it, then what came since the
    /// pieces before.
    pub scan: Piece,
    /// In their order, a full save and the increments after it, up to `scan`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scan_before: Vec<Piece>,
    /// State that queries with the same key share.
    pub groups: Vec<GroupEntry>,
    /// The queries.
    pub queries: Vec<QueryEntry>,
}

/// One record, so that it is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordMark {
    /// Its offset.
    pub offset: u64,
    /// A hash of what tells it from others.
    pub check: u64,
}

/// State that queries with the same key share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupEntry {
    /// Its number in the source's program at the time.
    pub group: u32,
    /// For each shard, a full save and the increments after it, in their order.
    pub shards: Vec<Vec<Piece>>,
}

/// A query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryEntry {
    /// Its name.
    pub name: String,
    /// Of its statement and all that it uses.
    pub fingerprint: u64,
    /// The group that its windows stand in.
    pub group: Option<u32>,
    /// For each shard, the set that they are there.
    pub sets: Vec<u32>,
    /// For each shard, the state that is its own. Where that is not all of it, then what changed
    /// since the pieces before.
    pub shards: Vec<Piece>,
    /// For each shard, in their order, a full save and the increments after it, up to the one in
    /// `shards`. Absent where that is all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Vec<Piece>>,
    /// The state of its sink: operators over all shards, writes under way, the sink's own place.
    pub sink: Piece,
}

impl SourceEntry {
    /// The pieces of its scan, oldest first.
    pub fn scans(&self) -> impl Iterator<Item = &Piece> {
        self.scan_before.iter().chain([&self.scan])
    }
}

impl QueryEntry {
    /// The pieces of one shard, oldest first.
    pub fn shard(&self, number: usize) -> impl Iterator<Item = &Piece> {
        let before = self.before.get(number).into_iter().flatten();
        before.chain(self.shards.get(number))
    }

    /// All its own pieces.
    pub fn pieces(&self) -> impl Iterator<Item = &Piece> {
        let before = self.before.iter().flatten();
        before.chain(&self.shards).chain([&self.sink])
    }
}

impl Manifest {
    /// All pieces.
    pub fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.sources.iter().flat_map(|source| {
            let groups = source.groups.iter().flat_map(|group| &group.shards);
            let of_queries = source.queries.iter().flat_map(QueryEntry::pieces);
            let all = source.scans().chain(groups.flatten());
            all.chain(of_queries)
        })
    }

    /// Bytes of state that it stands for.
    #[must_use]
    pub fn state_bytes(&self) -> u64 {
        self.pieces().map(|piece| piece.length).sum()
    }
}
