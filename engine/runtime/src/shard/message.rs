//! What shards are told. Control travels in the same channel as data.

use super::query::NewQuery;
use crate::checkpoint::Barrier;
use crate::checkpoint::gate::Reached;
use crate::checkpoint::restore::RestoredShard;
use crate::scan::program::{Evaluation, QueryId, ScanProgram};
use crate::sink::side::SideMessage;
use crossbeam_channel::Sender;
use std::sync::Arc;
use tidewheel_core::EventTime;

/// A source's time after a batch or a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceTime {
    /// The table's frontier.
    pub frontier: EventTime,
    /// The table's watermark.
    pub watermark: EventTime,
    /// True while the source is being read back to its end: coalesce harder.
    pub behind: bool,
}

/// A shard's rows of one chunk.
#[derive(Debug)]
pub struct SourceRows {
    /// The source table.
    pub source: usize,
    /// Result columns and keys, shared by all shards.
    pub evaluation: Arc<Evaluation>,
    /// Event time of each row.
    pub time: Arc<Vec<EventTime>>,
    /// Second part of each row's order.
    pub seq: Arc<Vec<u64>>,
    /// Partition and offset of each row, packed.
    pub places: Arc<Vec<u64>>,
    /// The watermark before each row.
    pub watermark: Arc<Vec<EventTime>>,
    /// Rows that are no repeats, for queries without a keyed operator.
    pub fresh: Arc<Vec<u32>>,
    /// For each key group, the rows of this shard.
    pub selections: Vec<Vec<u32>>,
    /// The source's time after the chunk.
    pub after: SourceTime,
    /// The wall clock when the chunk was read, milliseconds.
    pub read_at_ms: i64,
    /// The partition and the offset after the chunk.
    pub progress: (u32, u64),
}

/// What a shard is told.
#[derive(Debug)]
pub enum ShardMessage {
    /// Rows of a source.
    Rows(Box<SourceRows>),
    /// Time went on without rows.
    Time {
        /// The source table.
        source: usize,
        /// Its time.
        time: SourceTime,
    },
    /// From here on, other queries read a source.
    Queries {
        /// The source table.
        source: usize,
        /// What is evaluated from here on.
        program: Arc<ScanProgram>,
        /// Queries that end here.
        remove: Vec<QueryId>,
        /// Queries that begin here.
        add: Vec<NewQuery>,
    },
    /// A source is read from now on.
    SourceBegins {
        /// The source table.
        source: usize,
        /// Where its late rows go, and the name they carry.
        late: Option<(Sender<SideMessage>, String)>,
    },
    /// A source is read no more, and its queries are gone.
    SourceGone {
        /// The source table.
        source: usize,
    },
    /// State is to be saved as it is here.
    Barrier {
        /// The source table.
        source: usize,
        /// The barrier.
        barrier: Barrier,
    },
    /// The state that a source's queries had before a restart.
    Restored(Box<RestoredShard>),
    /// The history is read: the state goes to the live shard.
    HandOver,
    /// Something outside has changed: look.
    Wake,
    /// Nothing follows of this source.
    SourceEnd {
        /// The source table.
        source: usize,
        /// It was read to its end; else it was stopped, or failed.
        whole: bool,
    },
}

/// What sinks tell shards. It goes beside the data, in a channel without bound, so that a sink
/// never waits for a shard that waits for it; there is at most one credit a query under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feedback {
    /// A query's sink is ready for more.
    Credit {
        /// The query.
        query: usize,
        /// Most rows that it wants.
        rows: usize,
    },
    /// A query's sink lost what was written: everything live is to be written again.
    Rewrite {
        /// The query.
        query: usize,
    },
    /// After a restart: how far the values in the sink are.
    Gate {
        /// The query.
        query: usize,
        /// From where in its source they came at most.
        reached: Arc<Reached>,
    },
}
