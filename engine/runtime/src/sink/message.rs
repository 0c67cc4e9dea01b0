//! What sink tasks are told.

use crate::checkpoint::Barrier;
use crate::shard::finish::Finished;
use crate::shard::message::SourceTime;
use crate::shard::rows::Upserts;

/// A shard has nothing more, whatever the sink asks for.
pub const ALL_REWRITES: u64 = u64::MAX - 1;

/// What a sink task is told.
#[derive(Debug)]
pub enum SinkMessage {
    /// Changes to write.
    Changes {
        /// The shard they are from.
        shard: usize,
        /// The changes.
        changes: Finished,
        /// The shard used its credit for them.
        credit: bool,
        /// When the oldest event that caused them was read, wall clock, milliseconds.
        read_at_ms: Option<i64>,
    },
    /// Rows for the query's tail.
    Upserts {
        /// The shard they are from.
        shard: usize,
        /// The rows.
        batches: Vec<Upserts>,
        /// The shard's time, up to which these are all.
        time: SourceTime,
    },
    /// State is to be saved as it is here.
    Barrier {
        /// The shard that it comes from.
        shard: usize,
        /// The barrier.
        barrier: Barrier,
    },
    /// After a restart: the shard has handed over all that stands.
    Settled {
        /// The shard.
        shard: usize,
    },
    /// Something outside has changed: look.
    Wake,
    /// The input has ended: what is left is taken without the pauses of EMIT ON CHANGE EVERY.
    Hurry,
    /// The shard has nothing more, unless the sink asks for everything once more.
    Done {
        /// The shard.
        shard: usize,
        /// How often it was asked for everything by then.
        rewrites: u64,
    },
}
