//! A limit for the process's memory: reading pauses before it is reached.
//!
//! What is measured is what the operating system counts, since that is what it kills for. Room is
//! kept for what comes at once: rows on their way, tables that double, a checkpoint that copies the
//! state. Beyond that reading pauses and event time stands still, so nothing is lost and nothing
//! becomes late: queues and sinks drain, and what they held is free again. Where the state itself is
//! too large, reading stays paused, which the source's state says; a start with a higher limit goes
//! on from there.

use crate::engine::Stopper;
use crate::stats::Stats;
use crate::task::{Poll, Task};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tidewheel_checkpoint::room;
use tidewheel_core::Env;

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// Reading pauses at this share of the limit, percent.
const FULL_PERCENT: u64 = 90;
/// It goes on below this share of it, percent, so that it does not flutter.
const ROOM_PERCENT: u64 = 85;
/// Chunks that may be on their way besides those of the decoders: results, batches before shards.
const CHUNKS_UNDER_WAY: u64 = 12;
/// Chunks on their way for each decoder: before it, and behind it.
const CHUNKS_A_DECODER: u64 = 4;
/// How many times larger a chunk is once it is decoded and has become state.
const EXPANSION: u64 = 3;
/// Rows on their way are given this part of the limit at most.
const UNDER_WAY_PART: u64 = 6;
/// Share of the state, percent, for tables that double.
const GROWTH_PERCENT: u64 = 50;
/// Share of the state, percent, that a checkpoint copies at most.
const COPY_PERCENT: u64 = 50;

/// How much memory may be used, and who says how much is.
#[derive(Clone)]
pub struct MemoryLimit {
    /// Bytes that the process may use.
    pub bytes: u64,
    /// Bytes that it uses; `None`: it cannot be told now.
    pub used: Arc<dyn Fn() -> Option<u64> + Send + Sync>,
}

impl fmt::Debug for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemoryLimit").field(&self.bytes).finish()
    }
}

/// How memory is, for those who ask.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct MemoryStatus {
    /// Bytes that may be used.
    pub limit_bytes: u64,
    /// Bytes that are used.
    pub used_bytes: u64,
    /// Bytes that are kept free for what comes at once.
    pub kept_bytes: u64,
    /// Reading pauses.
    pub full: bool,
    /// Times that reading paused.
    pub reached: u64,
    /// How long it has paused in all, milliseconds.
    pub paused_ms: u64,
}

/// Whether there is room, for the tasks that read.
#[derive(Debug, Default)]
pub struct MemoryGate {
    full: AtomicBool,
    /// Some record has been taken from a source.
    reads: AtomicBool,
    limit: AtomicU64,
    used: AtomicU64,
    kept: AtomicU64,
    reached: AtomicU64,
    paused_ms: AtomicU64,
}

impl MemoryGate {
    /// True while nothing may be read.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full.load(Relaxed)
    }

    /// Said when records are taken from a source.
    pub fn reads(&self) {
        self.reads.store(true, Relaxed);
    }

    /// What a source says that pauses.
    #[must_use]
    pub fn reason(&self) -> String {
        let megabytes = self.limit.load(Relaxed) / (1 << 20);
        format!(
            "the memory limit of {megabytes} MB is reached; reading pauses until there is room \
             (--memory-limit)"
        )
    }

    /// How memory is; `None`: there is no limit.
    #[must_use]
    pub fn status(&self) -> Option<MemoryStatus> {
        let limit_bytes = self.limit.load(Relaxed);
        (limit_bytes > 0).then(|| MemoryStatus {
            limit_bytes,
            used_bytes: self.used.load(Relaxed),
            kept_bytes: self.kept.load(Relaxed),
            full: self.is_full(),
            reached: self.reached.load(Relaxed),
            paused_ms: self.paused_ms.load(Relaxed),
        })
    }

    fn is_short(limit: u64, used: u64, kept: u64, percent: u64) -> bool {
        used.saturating_add(kept) >= limit / 100 * percent
    }

    /// Looks at the memory used, and at what is to be kept free. True when that has changed
    /// whether there is room.
    fn look(&self, limit: u64, used: u64, kept: u64) -> bool {
        self.limit.store(limit, Relaxed);
        self.used.store(used, Relaxed);
        self.kept.store(kept, Relaxed);
        let was = self.is_full();
        let percent = if was { ROOM_PERCENT } else { FULL_PERCENT };
        let full = Self::is_short(limit, used, kept, percent);
        self.full.store(full, Relaxed);
        if full && !was {
            self.reached.fetch_add(1, Relaxed);
        }
        full != was
    }
}

/// Looks at memory as long as the engine runs.
pub struct MemoryKeeper {
    /// The limit.
    pub limit: MemoryLimit,
    /// Whom to tell.
    pub gate: Arc<MemoryGate>,
    /// Ends with the engine.
    pub stopper: Stopper,
    /// The world.
    pub env: Arc<dyn Env>,
    /// The gauges of all shards.
    pub stats: Arc<Stats>,
    /// Checkpoints are taken, which copy state.
    pub copies: bool,
    /// Bytes of a chunk.
    pub chunk_bytes: u64,
    /// Threads that decode.
    pub decoders: u64,
    /// Bytes that were used before the first record came.
    pub before: u64,
    /// When it was looked last.
    pub last: Duration,
}

impl MemoryKeeper {
    /// Bytes to be kept free, and those of them that are for state.
    fn kept(&mut self, used: u64) -> u64 {
        // The shards' own estimate is up to a second old: what has come since the first record is
        // state, or will be.
        if !self.gate.reads.load(Relaxed) {
            self.before = used;
        }
        let grown = used.saturating_sub(self.before);
        let state = self.stats.state_bytes.load(Relaxed).max(grown);
        let share = GROWTH_PERCENT + if self.copies { COPY_PERCENT } else { 0 };
        let chunks = CHUNKS_UNDER_WAY + CHUNKS_A_DECODER * self.decoders;
        let under_way = chunks * self.chunk_bytes * EXPANSION;
        state / 100 * share + under_way.min(self.limit.bytes / UNDER_WAY_PART)
    }
}

impl Task for MemoryKeeper {
    fn poll(&mut self) -> Poll {
        if self.stopper.is_over() {
            self.gate.full.store(false, Relaxed);
            return Poll::Done;
        }
        let now = self.env.monotonic();
        let passed = now.saturating_sub(self.last);
        if passed < LOOK {
            return Poll::Idle(Some(LOOK - passed));
        }
        self.last = now;
        if self.gate.is_full() {
            let paused = passed.as_millis() as u64;
            self.gate.paused_ms.fetch_add(paused, Relaxed);
        }
        let Some(mut used) = (self.limit.used)() else {
            return Poll::Idle(Some(LOOK));
        };
        let limit = self.limit.bytes;
        // What is kept for the next checkpoint is no state, and goes first.
        let spare = room::bytes();
        let kept = self.kept(used.saturating_sub(spare));
        if spare > 0 && MemoryGate::is_short(limit, used, kept, FULL_PERCENT) {
            room::release();
            used = used.saturating_sub(spare);
        }
        if self.gate.look(limit, used, kept) {
            if self.gate.is_full() {
                tracing::warn!(limit, used, kept, "memory is short: reading pauses");
            } else {
                tracing::info!(limit, used, kept, "there is room: reading goes on");
            }
        }
        Poll::Idle(Some(LOOK))
    }

    fn wait(&self, timeout: Option<Duration>) {
        self.env.sleep(timeout.unwrap_or(LOOK));
    }

    fn name(&self) -> String {
        "memory".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn reading_pauses_before_the_limit_and_goes_on_below_it() {
        let gate = MemoryGate::default();
        assert_eq!(gate.status(), None);
        let full = |used: u64, kept: u64| {
            gate.look(1000 * MIB, used * MIB, kept * MIB);
            gate.is_full()
        };
        assert!(!full(899, 0));
        assert!(full(901, 0));
        assert!(full(860, 0), "it does not flutter");
        assert!(!full(849, 0));
        assert!(!full(550, 300));
        assert!(full(650, 300));
        let status = gate.status().expect("a limit");
        assert_eq!((status.limit_bytes, status.reached), (1000 * MIB, 2));
    }
}
