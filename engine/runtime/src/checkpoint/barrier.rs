//! What a barrier is, and what tasks answer it with.

use crate::scan::program::QueryId;
use crossbeam_channel::Sender;
use std::collections::BTreeMap;
use tidewheel_core::{EventTime, Mark};

/// A cut through the rows: state that is saved when it comes by holds all rows before it and none
/// behind.
#[derive(Debug, Clone)]
pub struct Barrier {
    /// The checkpoint's number.
    pub number: u64,
    /// Save everything, not only what has changed since the barrier before.
    pub full: bool,
    /// Where saved state goes.
    pub parts: Sender<Part>,
}

/// State that a task has saved.
#[derive(Debug)]
pub enum Part {
    /// A source's place and time.
    Scan {
        /// The source.
        source: usize,
        /// By partition, the offset of the next record.
        offsets: BTreeMap<u32, u64>,
        /// By partition, what the last record before the offset was, where the source can tell.
        marks: BTreeMap<u32, Mark>,
        /// The highest event time seen.
        frontier: EventTime,
        /// How far event times lay beyond their records' timestamps at most, milliseconds.
        lead_ms: Option<i64>,
        /// Times, idleness, repeats.
        saved: Saved,
    },
    /// A shard's state of one source.
    Shard {
        /// The source.
        source: usize,
        /// The shard.
        shard: usize,
        /// The window operators of key groups, by the group's number.
        groups: BTreeMap<usize, Saved>,
        /// The queries that were there.
        queries: Vec<QueryPart>,
    },
    /// The state of a query's sink.
    Sink {
        /// The query.
        query: QueryId,
        /// Operators over all shards, writes under way, the sink's place.
        bytes: Vec<u8>,
    },
}

/// One query's own state in one shard.
#[derive(Debug)]
pub struct QueryPart {
    /// The query.
    pub query: QueryId,
    /// The key group that its windows stand in, and the set that they are there.
    pub set: Option<(usize, u32)>,
    /// Its operators.
    pub saved: Saved,
}

/// Saved state.
#[derive(Debug)]
pub struct Saved {
    /// It is all of the state; else what has changed since the last barrier.
    pub whole: bool,
    /// The state.
    pub bytes: Vec<u8>,
}
