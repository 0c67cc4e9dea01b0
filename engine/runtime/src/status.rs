//! What runs, for those who ask: handles that tasks fill and others read.

use crate::scan::program::QueryId;
use crate::shard::message::SourceTime;
use crate::stats::{Stats, Summary};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use tidewheel_core::time::{EventTime, MICROS_PER_MILLI, NO_TIME};
use tidewheel_core::{ChangeBatch, LagAmount, PartitionLag, Progress, TableSpec};

/// Batches of changes that wait for a listener; more are left out for it and counted.
pub const LISTENER_BATCHES: usize = 64;

/// Upper bounds of the buckets of [`Freshness`], milliseconds.
pub const FRESHNESS_BUCKETS_MS: [u64; 14] = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 60_000,
];

/// How far a query is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum QueryState {
    /// It is being built.
    Starting,
    /// It reads history beside the live flow.
    CatchingUp {
        /// Event time that it has read to, milliseconds since the epoch.
        at_ms: Option<i64>,
        /// Event time that it reads from, milliseconds.
        from_ms: Option<i64>,
        /// Event time of the live flow, milliseconds.
        to_ms: Option<i64>,
    },
    /// It follows its source.
    Running,
    /// Its state goes on, nothing is written.
    Paused,
    /// It has stopped.
    Failed {
        /// Why.
        message: String,
    },
}

/// A histogram of the time from reading an event until the sink has acknowledged the values that it
/// changed.
#[derive(Debug, Default)]
pub struct Freshness {
    buckets: [AtomicU64; FRESHNESS_BUCKETS_MS.len() + 1],
    sum_ms: AtomicU64,
}

/// A histogram at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FreshnessSnapshot {
    /// Number of observations up to each of [`FRESHNESS_BUCKETS_MS`], then of all.
    pub cumulative: Vec<u64>,
    /// Sum of the observations, milliseconds.
    pub sum_ms: u64,
}

impl Freshness {
    fn observe(&self, ms: u64) {
        let bucket = FRESHNESS_BUCKETS_MS.partition_point(|bound| *bound < ms);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum_ms.fetch_add(ms, Relaxed);
    }

    fn snapshot(&self) -> FreshnessSnapshot {
        let mut total = 0;
        let counts = self.buckets.iter().map(|bucket| {
            total += bucket.load(Relaxed);
            total
        });
        FreshnessSnapshot {
            cumulative: counts.collect(),
            sum_ms: self.sum_ms.load(Relaxed),
        }
    }
}

/// One running query, shared by its tasks.
#[derive(Debug)]
pub struct QueryHandle {
    /// Its number.
    pub id: QueryId,
    /// Its name.
    pub name: String,
    /// The table that it writes.
    pub table: TableSpec,
    /// Its counters.
    pub stats: Stats,
    /// Time from event to sink.
    pub freshness: Freshness,
    /// Nothing is to be written.
    pub paused: AtomicBool,
    /// It is removed: what its sink does not take is given up.
    pub abandoned: AtomicBool,
    /// Its history could not be read to its end, so it is nowhere.
    pub history_failed: AtomicBool,
    /// Its sink has stopped.
    pub sink_gone: AtomicBool,
    /// The source that it reads.
    pub source: OnceLock<Arc<SourceHandle>>,
    /// Changes that listeners missed since they were slow.
    pub missed: AtomicU64,
    first_change_ms: AtomicI64,
    last_change_ms: AtomicI64,
    state: parking_lot::Mutex<QueryState>,
    away: parking_lot::Mutex<Option<String>>,
    complete_from_ms: parking_lot::Mutex<Option<i64>>,
    listeners: parking_lot::Mutex<Vec<Sender<Arc<ChangeBatch>>>>,
    listening: AtomicUsize,
}

impl QueryHandle {
    /// A query that is being built.
    #[must_use]
    pub fn new(id: QueryId, name: String, table: TableSpec) -> Self {
        Self {
            id,
            name,
            table,
            stats: Stats::default(),
            freshness: Freshness::default(),
            paused: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            history_failed: AtomicBool::new(false),
            sink_gone: AtomicBool::new(false),
            source: OnceLock::new(),
            missed: AtomicU64::new(0),
            first_change_ms: AtomicI64::new(i64::MIN),
            last_change_ms: AtomicI64::new(i64::MIN),
            state: parking_lot::Mutex::new(QueryState::Starting),
            away: parking_lot::Mutex::default(),
            complete_from_ms: parking_lot::Mutex::default(),
            listeners: parking_lot::Mutex::default(),
            listening: AtomicUsize::new(0),
        }
    }

    /// Sets how far it is. One that has failed stays so.
    pub fn set_state(&self, state: QueryState) {
        let mut now = self.state.lock();
        if !matches!(*now, QueryState::Failed { .. }) {
            *now = state;
        }
    }

    /// How far it is.
    #[must_use]
    pub fn state(&self) -> QueryState {
        match self.state.lock().clone() {
            QueryState::Running if self.paused.load(Relaxed) => QueryState::Paused,
            state => state,
        }
    }

    /// From which event time on its values are whole, where its source holds less than it needs.
    pub fn set_complete_from(&self, time_ms: i64) {
        *self.complete_from_ms.lock() = Some(time_ms);
    }

    /// Its sink is away. True when it was not before.
    pub fn sink_is_away(&self, reason: &str) -> bool {
        self.away.lock().replace(reason.to_owned()).is_none()
    }

    /// Its sink takes changes. True when it was away before.
    pub fn sink_is_back(&self) -> bool {
        self.away.lock().take().is_some()
    }

    /// The sink has acknowledged changes; `read_at_ms` is when the oldest event that caused them
    /// was read.
    pub fn acknowledged(&self, batch: &ChangeBatch, read_at_ms: Option<i64>, now_ms: i64) {
        if self.last_change_ms.swap(now_ms, Relaxed) == i64::MIN {
            self.first_change_ms.store(now_ms, Relaxed);
        }
        if let Some(read_at) = read_at_ms {
            self.freshness.observe((now_ms - read_at).max(0) as u64);
        }
        if self.listening.load(Relaxed) == 0 {
            return;
        }
        let shared = Arc::new(batch.clone());
        let mut listeners = self.listeners.lock();
        listeners.retain(|listener| match listener.try_send(Arc::clone(&shared)) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.missed.fetch_add(shared.len() as u64, Relaxed);
                true
            }
            Err(TrySendError::Disconnected(_)) => false,
        });
        self.listening.store(listeners.len(), Relaxed);
    }

    /// A new listener of its changes. It ends when the receiver is dropped or the query goes.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<Arc<ChangeBatch>> {
        let (sender, receiver) = bounded(LISTENER_BATCHES);
        let mut listeners = self.listeners.lock();
        listeners.push(sender);
        self.listening.store(listeners.len(), Relaxed);
        receiver
    }

    /// The query is gone: its listeners end.
    pub fn close_listeners(&self) {
        self.listeners.lock().clear();
        self.listening.store(0, Relaxed);
    }

    /// What there is to say of it.
    #[must_use]
    pub fn status(&self) -> QueryStatus {
        let last = self.last_change_ms.load(Relaxed);
        let first = self.first_change_ms.load(Relaxed);
        QueryStatus {
            name: self.name.clone(),
            table: self.table.name.clone(),
            state: self.state(),
            complete_from_ms: *self.complete_from_ms.lock(),
            sink_away: self.away.lock().clone(),
            first_change_ms: (first != i64::MIN).then_some(first),
            last_change_ms: (last != i64::MIN).then_some(last),
            missed: self.missed.load(Relaxed),
            listeners: self.listening.load(Relaxed),
            counters: self.stats.summary(),
            freshness: self.freshness.snapshot(),
        }
    }
}

/// A query at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct QueryStatus {
    /// Its name.
    pub name: String,
    /// The table that it writes.
    pub table: String,
    /// How far it is.
    #[serde(flatten)]
    pub state: QueryState,
    /// From which event time on its values are whole (milliseconds); `None`: they are.
    pub complete_from_ms: Option<i64>,
    /// Why its sink takes nothing; `None`: it does.
    pub sink_away: Option<String>,
    /// When its sink acknowledged changes first, wall clock, milliseconds.
    pub first_change_ms: Option<i64>,
    /// When its sink acknowledged changes last, wall clock, milliseconds.
    pub last_change_ms: Option<i64>,
    /// Changes that slow listeners missed.
    pub missed: u64,
    /// Listeners now.
    pub listeners: usize,
    /// Its counters. Keys, slices and bytes are those of its operators, shared ones included.
    pub counters: Summary,
    /// Time from reading an event to the sink's acknowledgement.
    pub freshness: FreshnessSnapshot,
}

/// The running queries by number.
#[derive(Debug, Default)]
pub struct Queries {
    running: parking_lot::RwLock<BTreeMap<QueryId, Arc<QueryHandle>>>,
    /// What queries that are gone have counted.
    gone: parking_lot::Mutex<Summary>,
}

impl Queries {
    /// The query of that number.
    #[must_use]
    pub fn get(&self, id: QueryId) -> Option<Arc<QueryHandle>> {
        self.running.read().get(&id).cloned()
    }

    /// All, in the order of their numbers.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<QueryHandle>> {
        self.running.read().values().cloned().collect()
    }

    /// Adds one.
    pub fn add(&self, handle: Arc<QueryHandle>) {
        self.running.write().insert(handle.id, handle);
    }

    /// Removes one and keeps what it has counted.
    pub fn remove(&self, id: QueryId) {
        if let Some(handle) = self.running.write().remove(&id) {
            let mut last = handle.stats.summary();
            // What it held is gone with it.
            (last.keys, last.slices, last.state_bytes) = (0, 0, 0);
            self.gone.lock().add(&last);
            handle.abandoned.store(true, Relaxed);
            handle.close_listeners();
        }
    }

    /// Sum of what all have counted since the start, without what they hold now (which
    /// shared operators would make count twice).
    #[must_use]
    pub fn counted(&self) -> Summary {
        let mut sum = self.gone.lock().clone();
        for handle in self.running.read().values() {
            let mut own = handle.stats.summary();
            (own.keys, own.slices, own.state_bytes, own.bounds_reached) = (0, 0, 0, 0);
            sum.add(&own);
        }
        sum
    }
}

/// How far a source table is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum SourceState {
    /// It is being read.
    Reading,
    /// The store or broker cannot be reached.
    Away {
        /// Why.
        reason: String,
    },
    /// It was read to its end, or stopped.
    Ended,
    /// It cannot go on.
    Failed {
        /// Why.
        message: String,
    },
}

/// One partition at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartitionStatus {
    /// Its number.
    pub partition: u32,
    /// The next offset to read, once known.
    pub next_offset: Option<u64>,
    /// Its watermark, microseconds.
    pub watermark: Option<i64>,
    /// It is read to its end.
    pub at_end: bool,
    /// It is idle.
    pub idle: bool,
    /// What of it is there and not yet read, where its source can tell.
    #[serde(skip)]
    pub lag: Option<LagAmount>,
    /// How long ago the newest record was made that was read of it, milliseconds; 0 where it is
    /// read to its end.
    pub lag_ms: Option<i64>,
}

/// A source table, shared by its tasks.
#[derive(Debug)]
pub struct SourceHandle {
    /// The table's name.
    pub table: String,
    /// Its counters.
    pub stats: Arc<Stats>,
    /// Chunks that wait to be decoded.
    pub queued: AtomicUsize,
    /// Lowest event time of the first chunk, microseconds; [`NO_TIME`] before it.
    pub first: AtomicI64,
    /// How far event times lie beyond their records' timestamps at most, milliseconds.
    pub lead_ms: AtomicI64,
    /// What of the partitions is not read yet.
    lags: parking_lot::Mutex<BTreeMap<u32, LagAmount>>,
    /// The frontier is at least this: readers of values may have seen it so before a restart.
    pub floor: AtomicI64,
    /// All partitions were read to their ends at some time.
    pub caught_up: AtomicBool,
    positions: parking_lot::Mutex<BTreeMap<u32, u64>>,
    state: parking_lot::Mutex<SourceState>,
    time: parking_lot::Mutex<(SourceTime, Vec<PartitionStatus>)>,
}

impl SourceHandle {
    /// A source before its first row.
    #[must_use]
    pub fn new(table: String) -> Self {
        let time = SourceTime {
            frontier: NO_TIME,
            watermark: NO_TIME,
            behind: true,
        };
        Self {
            table,
            stats: Arc::default(),
            queued: AtomicUsize::new(0),
            first: AtomicI64::new(NO_TIME),
            lead_ms: AtomicI64::new(i64::MIN),
            lags: parking_lot::Mutex::default(),
            floor: AtomicI64::new(NO_TIME),
            caught_up: AtomicBool::new(false),
            positions: parking_lot::Mutex::default(),
            state: parking_lot::Mutex::new(SourceState::Reading),
            time: parking_lot::Mutex::new((time, Vec::new())),
        }
    }

    /// Rows up to this offset are handed to the shards.
    pub fn handed_on(&self, partition: u32, next_offset: u64) {
        self.positions.lock().insert(partition, next_offset);
    }

    /// How far any value that is written now may have come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let positions = self.positions.lock();
        let frontier = self.stats.frontier.0.load(Relaxed);
        Progress {
            offsets: positions
                .iter()
                .map(|(partition, offset)| (self.table.clone(), *partition, *offset))
                .collect(),
            frontier: (frontier != NO_TIME).then_some(frontier),
        }
    }

    /// Sets how far it is. One that has failed stays so.
    pub fn set_state(&self, state: SourceState) {
        let mut now = self.state.lock();
        if !matches!(*now, SourceState::Failed { .. }) {
            *now = state;
        }
    }

    /// The store or broker is away; said once in the log.
    pub fn away(&self, table: &str, reason: String) {
        let mut state = self.state.lock();
        if matches!(*state, SourceState::Reading) {
            tracing::warn!(table, reason, "the source is away");
        }
        if matches!(*state, SourceState::Reading | SourceState::Away { .. }) {
            *state = SourceState::Away { reason };
        }
    }

    /// The store or broker answers.
    pub fn is_back(&self, table: &str) {
        let mut state = self.state.lock();
        if matches!(*state, SourceState::Away { .. }) {
            tracing::info!(table, "the source is back");
            *state = SourceState::Reading;
        }
    }

    /// Shows what of its partitions is not read yet.
    pub fn show_lags(&self, lags: &[PartitionLag]) {
        *self.lags.lock() = lags.iter().map(|lag| (lag.partition, lag.amount)).collect();
    }

    /// Shows its time.
    pub fn show(&self, time: SourceTime, partitions: Vec<PartitionStatus>) {
        if !time.behind {
            self.caught_up.store(true, Relaxed);
        }
        *self.time.lock() = (time, partitions);
    }

    /// Its frontier, once there was a row.
    #[must_use]
    pub fn frontier(&self) -> Option<EventTime> {
        let frontier = self.stats.frontier.0.load(Relaxed);
        (frontier != NO_TIME).then_some(frontier)
    }

    /// How far event times lay beyond their records' timestamps at most, milliseconds.
    #[must_use]
    pub fn lead_ms(&self) -> Option<i64> {
        let lead = self.lead_ms.load(Relaxed);
        (lead != i64::MIN).then_some(lead)
    }

    /// How far it is.
    #[must_use]
    pub fn state(&self) -> SourceState {
        self.state.lock().clone()
    }

    /// What there is to say of it.
    #[must_use]
    pub fn status(&self) -> SourceStatus {
        let (time, mut partitions) = self.time.lock().clone();
        let lags = self.lags.lock();
        for partition in &mut partitions {
            partition.lag = lags.get(&partition.partition).copied();
        }
        drop(lags);
        let known = |time: EventTime| (time != NO_TIME).then_some(time / MICROS_PER_MILLI);
        SourceStatus {
            table: self.table.clone(),
            state: self.state(),
            behind: time.behind,
            frontier_ms: self.frontier().and_then(known),
            watermark_ms: known(time.watermark),
            partitions,
            counters: self.stats.summary(),
            queued: self.queued.load(Relaxed),
            queue_capacity: 0,
            key_groups: 0,
        }
    }
}

/// A source table at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct SourceStatus {
    /// The table's name.
    pub table: String,
    /// How far it is.
    #[serde(flatten)]
    pub state: SourceState,
    /// True while it is being read back to its end.
    pub behind: bool,
    /// Highest event time, milliseconds since the epoch.
    pub frontier_ms: Option<i64>,
    /// The watermark, milliseconds.
    pub watermark_ms: Option<i64>,
    /// Its partitions.
    pub partitions: Vec<PartitionStatus>,
    /// Its counters.
    pub counters: Summary,
    /// Chunks that wait to be decoded.
    pub queued: usize,
    /// Most chunks that may wait.
    pub queue_capacity: usize,
    /// Different keys that its queries group by: what an event costs probes for.
    pub key_groups: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freshness_counts_each_observation_up_to_its_bucket() {
        let freshness = Freshness::default();
        for ms in [0, 1, 3, 70_000] {
            freshness.observe(ms);
        }
        let shown = freshness.snapshot();
        assert_eq!(shown.cumulative[0], 2);
        assert_eq!(shown.cumulative[1], 2);
        assert_eq!(shown.cumulative[2], 3);
        assert_eq!(shown.cumulative[13], 3);
        assert_eq!(shown.cumulative[14], 4);
        assert_eq!(shown.sum_ms, 70_004);
    }
}
