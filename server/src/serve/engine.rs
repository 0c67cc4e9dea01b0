//! The engine as the service sees it: a program that can be exchanged while it runs.

use super::observed::Taps;
use crossbeam_channel::Receiver;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidewheel_core::{ChangeBatch, Env};
use tidewheel_runtime::status as runtime;
use tidewheel_runtime::{EngineError, RunOptions, Running, Summary};
use tidewheel_sql::plan::Program;

pub(crate) use tidewheel_runtime::engine::Applied;
pub(crate) use tidewheel_runtime::status::QueryState;

/// How long a stop waits for sinks that are away.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

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

/// The engine.
pub(crate) struct Engine {
    taps: Arc<Taps>,
    running: Running,
}

impl Engine {
    /// Starts with no queries.
    pub(crate) fn start(env: &Arc<dyn Env>, options: &RunOptions, taps: Arc<Taps>) -> Self {
        Self {
            taps,
            running: Running::live(env, options),
        }
    }

    /// Makes the running queries those of the program.
    ///
    /// # Errors
    /// A table cannot be opened; what ran before goes on.
    pub(crate) fn apply(&self, program: &Program) -> Result<Applied, EngineError> {
        self.taps.note_side_tables(program);
        self.running.engine.apply(program)
    }

    /// All queries, by name.
    pub(crate) fn queries(&self) -> Vec<QueryStatus> {
        let all = self.running.engine.queries();
        all.into_iter().map(QueryStatus::from).collect()
    }

    /// All source tables, by name.
    pub(crate) fn sources(&self) -> Vec<SourceStatus> {
        let all = self.running.engine.sources();
        all.into_iter().map(SourceStatus::from).collect()
    }

    /// Stops writing a query's results; false where there is none.
    pub(crate) fn pause(&self, query: &str) -> bool {
        self.running.engine.pause(query)
    }

    /// Goes on writing; false where there is none.
    pub(crate) fn resume(&self, query: &str) -> bool {
        self.running.engine.resume(query)
    }

    /// What the query writes from now on.
    pub(crate) fn subscribe(&self, query: &str) -> Option<Receiver<Arc<ChangeBatch>>> {
        self.running.engine.subscribe(query)
    }

    /// Stops reading, writes what was read, and waits for it; sinks that are away are not waited
    /// for longer than [`STOP_PATIENCE`].
    ///
    /// # Errors
    /// What had stopped something before.
    pub(crate) fn stop(&self) -> Result<(), EngineError> {
        self.running.engine.stop();
        let begin = Instant::now();
        while !self.running.is_finished() && begin.elapsed() < STOP_PATIENCE {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.running.engine.give_up();
        self.running.wait().map(|_| ())
    }
}

impl From<runtime::QueryStatus> for QueryStatus {
    fn from(status: runtime::QueryStatus) -> Self {
        Self {
            name: status.name,
            table: status.table,
            state: status.state,
            complete_from_ms: status.complete_from_ms,
            sink_away: status.sink_away,
            last_change_ms: status.last_change_ms,
            missed: status.missed,
            counters: status.counters,
            freshness: Histogram {
                bounds_ms: runtime::FRESHNESS_BUCKETS_MS.to_vec(),
                cumulative: status.freshness.cumulative,
                sum_ms: status.freshness.sum_ms,
            },
        }
    }
}

impl From<runtime::SourceStatus> for SourceStatus {
    fn from(status: runtime::SourceStatus) -> Self {
        let (state, reason) = match status.state {
            runtime::SourceState::Reading => ("reading", None),
            runtime::SourceState::Away { reason } => ("away", Some(reason)),
            runtime::SourceState::Ended => ("ended", None),
            runtime::SourceState::Failed { message } => ("failed", Some(message)),
        };
        let partition = |partition: runtime::PartitionStatus| PartitionStatus {
            partition: partition.partition,
            next_offset: partition.next_offset,
            watermark_ms: partition.watermark.map(|at| at.div_euclid(1_000)),
            at_end: partition.at_end,
            idle: partition.idle,
        };
        Self {
            table: status.table,
            state,
            reason,
            behind: status.behind,
            frontier_ms: status.frontier_ms,
            watermark_ms: status.watermark_ms,
            partitions: status.partitions.into_iter().map(partition).collect(),
            counters: status.counters,
            queued: status.queued,
            queue_capacity: status.queue_capacity,
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
