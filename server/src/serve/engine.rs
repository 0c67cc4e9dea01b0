//! The engine as the service sees it: a program that can be exchanged while it runs.

use super::observed::Taps;
use crossbeam_channel::Receiver;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidewheel_core::{ChangeBatch, Env};
use tidewheel_runtime::checkpoint::CheckpointStatus;
use tidewheel_runtime::engine::Applied;
use tidewheel_runtime::memory::MemoryStatus;
use tidewheel_runtime::{EngineError, RunOptions, Running};
use tidewheel_sql::plan::Program;

pub(crate) use tidewheel_runtime::status::{
    FRESHNESS_BUCKETS_MS, QueryState, QueryStatus, SourceState, SourceStatus,
};

/// How long a stop waits for sinks that are away.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// The engine.
pub(crate) struct Engine {
    running: Running,
    taps: Arc<Taps>,
}

impl Engine {
    /// Starts with no queries.
    pub(crate) fn start(env: &Arc<dyn Env>, options: &RunOptions, taps: Arc<Taps>) -> Self {
        Self {
            running: Running::live(env, options),
            taps,
        }
    }

    /// Makes the running queries those of the program.
    ///
    /// # Errors
    /// A table cannot be opened; what ran before goes on.
    pub(crate) fn apply(&self, program: &Program) -> Result<Applied, EngineError> {
        self.taps.note_side_tables(program);
        let applied = self.running.engine.apply(program)?;
        tracing::debug!(?applied, "the running queries have changed");
        Ok(applied)
    }

    /// All queries, by name.
    pub(crate) fn queries(&self) -> Vec<QueryStatus> {
        self.running.engine.queries()
    }

    /// All source tables.
    pub(crate) fn sources(&self) -> Vec<SourceStatus> {
        self.running.engine.sources()
    }

    /// Stops writing the results of the queries with these names, and lets all others write.
    pub(crate) fn set_paused(&self, names: BTreeSet<String>) {
        self.running.engine.set_paused(names);
    }

    /// What the query writes from now on.
    pub(crate) fn subscribe(&self, query: &str) -> Option<Receiver<Arc<ChangeBatch>>> {
        self.running.engine.subscribe(query)
    }

    /// How checkpoints go; `None`: none are taken.
    pub(crate) fn checkpoints(&self) -> Option<CheckpointStatus> {
        self.running.engine.checkpoints()
    }

    /// How memory is; `None`: it has no limit.
    pub(crate) fn memory(&self) -> Option<MemoryStatus> {
        self.running.engine.memory()
    }

    /// Set once another process has taken over.
    pub(crate) fn superseded(&self) -> Option<EngineError> {
        let mut errors = self.running.engine.errors().into_iter();
        errors.find(|error| matches!(error, EngineError::Superseded { .. }))
    }

    /// Stops reading, writes what was read, and waits for it; sinks that are away are not waited
    /// for longer than [`STOP_PATIENCE`].
    pub(crate) fn stop(&self) {
        self.running.engine.stop();
        let begin = Instant::now();
        while !self.running.is_finished() && begin.elapsed() < STOP_PATIENCE {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.running.engine.give_up();
        if let Err(error) = self.running.wait() {
            // What had stopped a query was shown while the service ran.
            tracing::warn!(%error, "something had stopped before");
        }
    }
}

/// The word for a state, in the API and in metrics.
pub(crate) fn word(state: &QueryState) -> &'static str {
    match state {
        QueryState::Starting => "starting",
        QueryState::CatchingUp { .. } => "catching_up",
        QueryState::Running => "running",
        QueryState::Paused => "paused",
        QueryState::Failed { .. } => "failed",
    }
}

/// The word for a source's state, and why it is so.
pub(crate) fn source_word(state: &SourceState) -> (&'static str, Option<&str>) {
    match state {
        SourceState::Reading => ("reading", None),
        SourceState::Away { reason } => ("away", Some(reason)),
        SourceState::Ended => ("ended", None),
        SourceState::Failed { message } => ("failed", Some(message)),
    }
}
