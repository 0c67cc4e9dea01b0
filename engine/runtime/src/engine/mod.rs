//! Builds the tasks of a program, connects them, and changes them while they run.

mod apply;
mod build;
mod carry;
mod history;
mod join;
mod open;
mod restart;
mod state;
mod stopper;

use crate::checkpoint::CheckpointStatus;
use crate::checkpoint::checkpointer::CheckpointOptions;
use crate::checkpoint::status::SharedStatus;
use crate::error::EngineError;
use crate::memory::{MemoryGate, MemoryLimit, MemoryStatus};
use crate::sink::rest::Writing;
use crate::stats::{Stats, Summary};
use crate::status::{Queries, QueryState, QueryStatus, SourceStatus};
use crate::task::{Executor, Threads};
use crossbeam_channel::Receiver;
use parking_lot::Mutex;
use state::State;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tidewheel_core::{ChangeBatch, Env, time::MICROS_PER_MILLI};
use tidewheel_sql::plan::Program;

pub use apply::Applied;
use restart::Start;
pub use stopper::Stopper;

/// Bytes of one chunk, about.
const CHUNK_BYTES: usize = 1024 * 1024;
/// How far back sessions, OVER and lifetime values of a new query read.
const HISTORY: Duration = Duration::from_secs(24 * 60 * 60);

/// How to run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Shards: threads that hold state.
    pub shards: usize,
    /// Threads that decode, for each source table.
    pub decoders: usize,
    /// Bytes of one chunk, about.
    pub chunk_bytes: usize,
    /// How far back a query reads that joins a running source and has no longest window:
    /// sessions, OVER, newest rows, lifetime values. Zero: no query reads back.
    pub history: Duration,
    /// Where sources begin: at records of this time (milliseconds since the epoch), instead of
    /// where their options say.
    pub from_ms: Option<i64>,
    /// How checkpoints are taken; `None`: none are.
    pub checkpoints: Option<CheckpointOptions>,
    /// How much memory may be used; `None`: that is not looked at.
    pub memory: Option<MemoryLimit>,
}

impl Default for RunOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            shards: cores,
            decoders: cores,
            chunk_bytes: CHUNK_BYTES,
            history: HISTORY,
            from_ms: None,
            checkpoints: None,
            memory: None,
        }
    }
}

/// What all tasks share.
#[derive(Clone)]
pub(crate) struct Shared {
    env: Arc<dyn Env>,
    executor: Arc<dyn Executor>,
    options: RunOptions,
    /// Queries come and go.
    live: bool,
    /// Gauges of all shards.
    stats: Arc<Stats>,
    queries: Arc<Queries>,
    errors: Arc<Mutex<Vec<EngineError>>>,
    give_up: Arc<AtomicBool>,
    /// Sinks that may still have something to write.
    writing: Writing,
    /// No more queries come: shards end with their last source.
    closing: Arc<AtomicBool>,
    /// How checkpoints go.
    checkpoints: Arc<SharedStatus>,
    /// Whether there is memory to read on.
    memory: Arc<MemoryGate>,
}

/// Running queries, under an executor.
pub struct Engine {
    shared: Shared,
    state: Arc<Mutex<State>>,
    /// One change at a time. The state itself is locked only while nothing is waited for.
    applying: Mutex<()>,
}

impl Engine {
    /// Starts a program that ends when its sources do, or when it is told to stop.
    ///
    /// # Errors
    /// A connector or format refuses its table, or a query has a shape that is not executed.
    pub fn start(
        program: &Program,
        env: &Arc<dyn Env>,
        executor: Arc<dyn Executor>,
        options: &RunOptions,
    ) -> Result<Self, EngineError> {
        let engine = Self::new(env, executor, options, false);
        let applied = engine.apply(program);
        engine.close();
        match applied {
            Ok(_) => Ok(engine),
            Err(error) => {
                engine.give_up();
                Err(error)
            }
        }
    }

    /// Starts without queries; they come by [`Engine::apply`].
    #[must_use]
    pub fn live(env: &Arc<dyn Env>, executor: Arc<dyn Executor>, options: &RunOptions) -> Self {
        Self::new(env, executor, options, true)
    }

    fn new(
        env: &Arc<dyn Env>,
        executor: Arc<dyn Executor>,
        options: &RunOptions,
        live: bool,
    ) -> Self {
        let shared = Shared {
            env: Arc::clone(env),
            executor,
            options: options.clone(),
            live,
            stats: Arc::default(),
            queries: Arc::default(),
            errors: Arc::default(),
            give_up: Arc::default(),
            writing: Writing::default(),
            closing: Arc::default(),
            checkpoints: Arc::default(),
            memory: Arc::default(),
        };
        let (state, caught_up) = State::new(&shared);
        let state = Arc::new(Mutex::new(state));
        // Also without live changes: a query that a checkpoint does not have begins by history.
        if live || shared.options.checkpoints.is_some() {
            let coordinator = join::Coordinator::new(&state, caught_up);
            shared.executor.spawn(Box::new(coordinator));
        }
        if let Some(options) = &shared.options.checkpoints {
            stopper::begin_checkpoints(&shared, &state, options);
        }
        stopper::begin_memory(&shared, &state);
        let applying = Mutex::new(());
        Self {
            shared,
            state,
            applying,
        }
    }

    /// Makes the running queries those of `program`, by name and fingerprint: those that are the
    /// same run on undisturbed, others are added, replaced or removed. A query that joins a
    /// running source first reads the history that it needs; what it replaces runs until then.
    ///
    /// # Errors
    /// A connector or format refuses its table, or a query has a shape that is not executed. Then
    /// nothing has changed.
    pub fn apply(&self, program: &Program) -> Result<Applied, EngineError> {
        let _one_change = self.applying.lock();
        if self.shared.options.checkpoints.is_some() && self.state.lock().is_fresh() {
            return self.restart(program);
        }
        self.change(program, &Start::Live)
    }

    fn change(&self, program: &Program, start: &Start<'_>) -> Result<Applied, EngineError> {
        let mut opened = open::Opened::default();
        loop {
            let missing = {
                let mut state = self.state.lock();
                let planned = state.plan(program, start)?;
                let missing = opened.missing(state.needs(&planned, program));
                if missing.is_empty() {
                    return state.carry_out(planned, &mut opened, start);
                }
                missing
            };
            opened.open(&self.shared, missing)?;
        }
    }

    /// No more queries come: the engine ends with its last source.
    pub fn close(&self) {
        self.shared.closing.store(true, Relaxed);
        self.state.lock().close();
    }

    /// The counters now.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut sum = self.shared.stats.summary();
        sum.add(&self.shared.queries.counted());
        sum.add(&self.state.lock().counted_by_sources());
        sum
    }

    /// The queries, by name.
    #[must_use]
    pub fn queries(&self) -> Vec<QueryStatus> {
        self.state.lock().query_statuses()
    }

    /// The source tables that are read, by name.
    #[must_use]
    pub fn sources(&self) -> Vec<SourceStatus> {
        self.state.lock().source_statuses()
    }

    /// Stops the writing of the values of the queries with these names, and lets all others
    /// write; state goes on. A name may be of a query that is yet to be applied: it begins paused.
    pub fn set_paused(&self, names: std::collections::BTreeSet<String>) {
        self.state.lock().set_paused(names);
    }

    /// Changes of a query as its sink acknowledges them, and the columns of its table that they
    /// have. A slow listener misses some; [`QueryStatus::missed`] counts them.
    #[must_use]
    pub fn subscribe(&self, query: &str) -> Option<Receiver<Arc<ChangeBatch>>> {
        let handle = self.state.lock().newest(query)?;
        Some(handle.subscribe())
    }

    /// How checkpoints go; `None`: none are taken.
    #[must_use]
    pub fn checkpoints(&self) -> Option<CheckpointStatus> {
        let taken = self.shared.options.checkpoints.is_some();
        taken.then(|| self.shared.checkpoints.get())
    }

    /// How memory is; `None`: it has no limit.
    #[must_use]
    pub fn memory(&self) -> Option<MemoryStatus> {
        self.shared.memory.status()
    }

    /// Errors that stopped something.
    #[must_use]
    pub fn errors(&self) -> Vec<EngineError> {
        self.shared.errors.lock().clone()
    }

    /// True when every source ends.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.state.lock().is_bounded()
    }

    /// Stops reading. What was read is computed and written, windows stay open.
    pub fn stop(&self) {
        self.shared.closing.store(true, Relaxed);
        self.state.lock().stop();
    }

    /// Sinks that are away are not waited for any more.
    pub fn give_up(&self) {
        self.shared.give_up.store(true, Relaxed);
        self.stop();
    }
}

/// A program on threads, from start to end.
pub struct Running {
    /// The engine.
    pub engine: Engine,
    threads: Arc<Threads>,
}

impl Running {
    /// Starts a program on threads; it ends when its sources do.
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub fn start(
        program: &Program,
        env: &Arc<dyn Env>,
        options: &RunOptions,
    ) -> Result<Self, EngineError> {
        let threads = Arc::new(Threads::default());
        let executor: Arc<dyn Executor> = threads.clone();
        let engine = Engine::start(program, env, executor, options)?;
        Ok(Self { engine, threads })
    }

    /// Starts without queries, on threads; it runs until it is told to stop.
    #[must_use]
    pub fn live(env: &Arc<dyn Env>, options: &RunOptions) -> Self {
        let threads = Arc::new(Threads::default());
        let executor: Arc<dyn Executor> = threads.clone();
        let engine = Engine::live(env, executor, options);
        Self { engine, threads }
    }

    /// True once everything has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.threads.is_finished()
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// The first error that stopped something.
    pub fn wait(&self) -> Result<Summary, EngineError> {
        let fine = self.threads.join();
        self.engine.release();
        if let Some(error) = self.engine.errors().into_iter().next() {
            return Err(error);
        }
        if fine {
            Ok(self.engine.summary())
        } else {
            Err(EngineError::Defect)
        }
    }
}

/// How far a query that reads history is.
fn catching_up(from_ms: Option<i64>, at: Option<i64>, to: Option<i64>) -> QueryState {
    QueryState::CatchingUp {
        from_ms,
        at_ms: at.map(|at| at / MICROS_PER_MILLI),
        to_ms: to.map(|to| to / MICROS_PER_MILLI),
    }
}
