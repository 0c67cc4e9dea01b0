//! The engine as the service sees it: a program that can be exchanged while it runs.

use super::observed::Taps;
use crossbeam_channel::Receiver;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tidewheel_core::{ChangeBatch, Env};
use tidewheel_runtime::{EngineError, RunOptions, Running, Summary};
use tidewheel_sql::plan::Program;

/// What a change of the program did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Applied {
    /// Queries that are new.
    pub added: Vec<String>,
    /// Queries whose SQL is another one.
    pub replaced: Vec<String>,
    /// Queries that are gone.
    pub removed: Vec<String>,
    /// Queries that run on undisturbed.
    pub unchanged: Vec<String>,
}

/// What a query is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum QueryState {
    /// Its tasks are being made.
    Starting,
    /// It reads history beside the live flow.
    CatchingUp {
        /// Event time that it has read to, milliseconds since 1970.
        at_ms: Option<i64>,
        /// Event time that it reads from.
        from_ms: Option<i64>,
        /// Event time of the live flow.
        to_ms: Option<i64>,
    },
    /// It follows the live flow.
    Running,
    /// Its state goes on, nothing is written.
    Paused,
    /// It has stopped for good.
    Failed {
        /// Why.
        message: String,
    },
}

/// Counts by size, as Prometheus wants them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Histogram {
    /// The upper bounds, ascending, in milliseconds.
    pub bounds_ms: Vec<u64>,
    /// How many there are up to each bound, then all.
    pub cumulative: Vec<u64>,
    /// The sum of all, in milliseconds.
    pub sum_ms: u64,
}

/// One of the engine's queries.
#[derive(Debug, Clone)]
pub(crate) struct QueryStatus {
    /// Its name.
    pub name: String,
    /// The table that it writes.
    pub table: String,
    /// What it is doing.
    pub state: QueryState,
    /// From when on its values are whole, milliseconds since 1970; `None`: they are.
    pub complete_from_ms: Option<i64>,
    /// Why the sink is away, while it is.
    pub sink_away: Option<String>,
    /// When its sink acknowledged changes last, milliseconds since 1970.
    pub last_change_ms: Option<i64>,
    /// Changes that slow listeners missed.
    pub missed: u64,
    /// Its counters.
    pub counters: Summary,
    /// From reading an event to the sink's acknowledgement.
    pub freshness: Histogram,
}

/// One partition of a source.
#[derive(Debug, Clone, Default)]
pub(crate) struct PartitionStatus {
    /// Its number.
    pub partition: u32,
    /// The next offset to be read.
    pub next_offset: Option<u64>,
    /// Its watermark, milliseconds since 1970.
    pub watermark_ms: Option<i64>,
    /// It is read to its end.
    pub at_end: bool,
    /// It does not hold the table's time back.
    pub idle: bool,
}

/// One source table.
#[derive(Debug, Clone)]
pub(crate) struct SourceStatus {
    /// Its name.
    pub table: String,
    /// `reading`, `away`, `ended` or `failed`.
    pub state: &'static str,
    /// Why it is away or has failed.
    pub reason: Option<String>,
    /// True while it is being read back to its end.
    pub behind: bool,
    /// The highest event time, milliseconds since 1970.
    pub frontier_ms: Option<i64>,
    /// The lowest watermark, milliseconds since 1970.
    pub watermark_ms: Option<i64>,
    /// Its partitions.
    pub partitions: Vec<PartitionStatus>,
    /// Its counters.
    pub counters: Summary,
    /// Chunks that wait to be decoded.
    pub queued: usize,
    /// Most chunks that may wait.
    pub queue_capacity: usize,
}

struct Current {
    running: Running,
    program: Program,
}

/// The engine.
pub(crate) struct Engine {
    env: Arc<dyn Env>,
    options: RunOptions,
    taps: Arc<Taps>,
    current: Mutex<Option<Current>>,
    paused: Mutex<BTreeSet<String>>,
}

impl Engine {
    /// Starts with no queries.
    pub(crate) fn start(env: Arc<dyn Env>, options: RunOptions, taps: Arc<Taps>) -> Self {
        Self {
            env,
            options,
            taps,
            current: Mutex::new(None),
            paused: Mutex::new(BTreeSet::new()),
        }
    }

    /// Makes the running queries those of the program.
    ///
    /// # Errors
    /// A table cannot be opened; what ran before goes on.
    pub(crate) fn apply(&self, program: &Program) -> Result<Applied, EngineError> {
        let mut current = self.current.lock();
        self.taps.note_side_tables(program);
        let before = current.take();
        let names = |program: &Program| -> BTreeMap<String, String> {
            let named = program.queries.iter();
            named
                .map(|query| (query.name.clone(), format!("{:?}", query.root)))
                .collect()
        };
        let old = before.as_ref().map(|before| names(&before.program));
        let old = old.unwrap_or_default();
        let new = names(program);
        let mut applied = Applied::default();
        for (name, plan) in &new {
            let list = match old.get(name) {
                None => &mut applied.added,
                Some(before) if before == plan => &mut applied.unchanged,
                Some(_) => &mut applied.replaced,
            };
            list.push(name.clone());
        }
        applied.removed = old
            .into_keys()
            .filter(|name| !new.contains_key(name))
            .collect();
        let before = before.map(|before| {
            before.running.engine.give_up();
            let _ = before.running.wait();
            before.program
        });
        let start = |program: &Program| Running::start(program, &self.env, &self.options);
        match start(program) {
            Ok(running) => {
                let program = program.clone();
                *current = Some(Current { running, program });
                Ok(applied)
            }
            Err(error) => {
                if let Some(program) = before
                    && let Ok(running) = start(&program)
                {
                    *current = Some(Current { running, program });
                }
                Err(error)
            }
        }
    }

    /// All queries.
    pub(crate) fn queries(&self) -> Vec<QueryStatus> {
        let current = self.current.lock();
        let Some(current) = current.as_ref() else {
            return Vec::new();
        };
        let paused = self.paused.lock();
        let failed = current
            .running
            .engine
            .errors()
            .first()
            .map(ToString::to_string);
        let state = |name: &str| match &failed {
            Some(message) => QueryState::Failed {
                message: message.clone(),
            },
            None if paused.contains(name) => QueryState::Paused,
            None => QueryState::Running,
        };
        let queries = current.program.queries.iter();
        queries
            .map(|query| QueryStatus {
                name: query.name.clone(),
                table: query.sink.name.clone(),
                state: state(&query.name),
                complete_from_ms: None,
                sink_away: None,
                last_change_ms: None,
                missed: 0,
                counters: Summary::default(),
                freshness: Histogram::default(),
            })
            .collect()
    }

    /// All source tables.
    pub(crate) fn sources(&self) -> Vec<SourceStatus> {
        let current = self.current.lock();
        let Some(current) = current.as_ref() else {
            return Vec::new();
        };
        let stats = current.running.engine.stats();
        let frontier = stats.frontier.0.load(Relaxed);
        let sources = current.program.sources.iter();
        sources
            .map(|source| SourceStatus {
                table: source.spec.name.clone(),
                state: "reading",
                reason: None,
                behind: false,
                frontier_ms: (frontier != i64::MIN).then(|| frontier.div_euclid(1_000)),
                watermark_ms: None,
                partitions: Vec::new(),
                counters: stats.summary(),
                queued: 0,
                queue_capacity: 0,
            })
            .collect()
    }

    /// Stops writing a query's results; false where there is none.
    pub(crate) fn pause(&self, query: &str) -> bool {
        self.paused.lock().insert(query.to_owned())
    }

    /// Goes on writing; false where there is none.
    pub(crate) fn resume(&self, query: &str) -> bool {
        self.paused.lock().remove(query)
    }

    /// What the query writes from now on.
    pub(crate) fn subscribe(&self, query: &str) -> Option<Receiver<Arc<ChangeBatch>>> {
        let current = self.current.lock();
        let queries = &current.as_ref()?.program.queries;
        let query = queries.iter().find(|known| known.name == query)?;
        Some(self.taps.listen(&query.sink.name, &query.sink_columns))
    }

    /// Stops everything and waits for it.
    ///
    /// # Errors
    /// What had stopped it before.
    pub(crate) fn stop(&self) -> Result<(), EngineError> {
        let Some(current) = self.current.lock().take() else {
            return Ok(());
        };
        current.running.engine.give_up();
        current.running.wait().map(|_| ())
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
