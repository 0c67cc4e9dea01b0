//! How checkpoints go, for those who ask.

use parking_lot::Mutex;
use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How checkpoints go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CheckpointStatus {
    /// Where they are kept.
    pub place: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The epoch that this process has claimed.
    pub epoch: u64,
    /// Checkpoints written since the start.
    pub written: u64,
    /// Checkpoints that could not be written since the start.
    pub failed: u64,
    /// The name of the last one.
    pub last: Option<String>,
    /// When the last one's barrier was sent, wall clock, milliseconds since the Unix epoch. At
    /// the start: that of the one that was restored.
    pub last_at_ms: Option<i64>,
    /// From the last one's barrier until all state was gathered, milliseconds.
    pub gather_ms: u64,
    /// From there until the store had it, milliseconds.
    pub write_ms: u64,
    /// Bytes that the last one wrote.
    pub written_bytes: u64,
    /// Bytes of state that the last one stands for.
    pub state_bytes: u64,
    /// Why the last try failed, while no later one has succeeded.
    pub error: Option<String>,
    /// The checkpoint that this run went on from.
    pub restored: Option<String>,
    /// How long that took, milliseconds.
    pub restore_ms: u64,
}

/// A status that tasks fill.
#[derive(Debug, Default)]
pub struct SharedStatus {
    status: Mutex<CheckpointStatus>,
    /// The number of the oldest checkpoint that is left, where all are this process's; else 0.
    oldest: AtomicU64,
}

impl SharedStatus {
    /// The status now.
    #[must_use]
    pub fn get(&self) -> CheckpointStatus {
        self.status.lock().clone()
    }

    /// Changes it.
    pub fn change(&self, change: impl FnOnce(&mut CheckpointStatus)) {
        change(&mut self.status.lock());
    }

    /// The number of the oldest checkpoint that is left, where all that are left were made by this
    /// process.
    #[must_use]
    pub fn oldest(&self) -> Option<u64> {
        let oldest = self.oldest.load(Relaxed);
        (oldest > 0).then_some(oldest)
    }

    /// Sets what [`Self::oldest`] gives.
    pub fn set_oldest(&self, number: u64) {
        self.oldest.store(number, Relaxed);
    }
}
