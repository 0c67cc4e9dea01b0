//! What is running now: sources with their readers, queries with their sinks.

use super::history::Past;
use super::{Shared, catching_up};
use crate::error::EngineError;
use crate::plan::Chain;
use crate::scan::dedup::Dedup;
use crate::scan::meeting::Guest;
use crate::scan::program::{QueryId, ScanProgram};
use crate::scan::reader::{CaughtUp, ReaderMessage};
use crate::shard::message::{Feedback, ShardMessage};
use crate::shard::query::HandOver;
use crate::sink::message::SinkMessage;
use crate::sink::side::SideMessage;
use crate::stats::Summary;
use crate::status::{
    QueryHandle, QueryState, QueryStatus, SourceHandle, SourceState, SourceStatus,
};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tidewheel_core::TableSpec;
use tidewheel_sql::plan::SourceTable;

/// The number of a source that is or was read; never used again.
pub(super) type SourceId = usize;

/// Where late rows go, and the name they carry.
pub(super) type Late = Option<(Sender<SideMessage>, String)>;

/// A source table that is being read.
pub(super) struct SourceRun {
    pub(super) name: String,
    pub(super) fingerprint: u64,
    /// What all its queries need, those included that still read history.
    pub(super) full: ScanProgram,
    /// The queries that its own reading serves.
    pub(super) live: BTreeSet<QueryId>,
    pub(super) reader: Sender<ReaderMessage>,
    pub(super) work_capacity: usize,
    pub(super) handle: Arc<SourceHandle>,
    pub(super) bounded: bool,
}

impl SourceRun {
    /// It reads that table, as it is defined there.
    pub(super) fn is_of(&self, table: &SourceTable) -> bool {
        self.name == table.spec.name && self.fingerprint == table.fingerprint
    }

    /// True while queries can join it.
    pub(super) fn is_joinable(&self) -> bool {
        matches!(
            self.handle.state(),
            SourceState::Reading | SourceState::Away { .. }
        )
    }
}

/// A query that is running.
pub(super) struct QueryRun {
    pub(super) name: String,
    pub(super) fingerprint: u64,
    pub(super) source: SourceId,
    pub(super) chain: Arc<Chain>,
    pub(super) handle: Arc<QueryHandle>,
    /// Its values may stand in the sink, from a process that has ended.
    pub(super) gated: bool,
    /// What its history lies before, where it began by one.
    pub(super) past: Option<Past>,
    pub(super) sink: Sender<SinkMessage>,
    /// Disconnected once its sink task has ended.
    pub(super) ended: Receiver<()>,
    /// Set while it reads history.
    pub(super) history: Option<HistoryRun>,
    /// Its reader of history, once that has been told to join.
    pub(super) joining: Option<Sender<ReaderMessage>>,
}

impl QueryRun {
    /// Its history could not be read to its end: it has to begin once more.
    pub(super) fn has_failed_history(&self) -> bool {
        let failed =
            |history: &HistoryRun| matches!(history.handle.state(), SourceState::Failed { .. });
        self.handle.history_failed.load(Relaxed) || self.history.as_ref().is_some_and(failed)
    }

    /// It has not come to write.
    pub(super) fn is_unborn(&self) -> bool {
        self.history.is_some() || self.handle.history_failed.load(Relaxed)
    }
}

/// A query's own reading of history.
pub(super) struct HistoryRun {
    pub(super) guest: Guest,
    /// The state of each shard, once it is handed over.
    pub(super) states: Vec<Receiver<HandOver>>,
    /// What it has seen, once it is handed over; none where the table has no repeats.
    pub(super) repeats: Option<Receiver<Dedup>>,
    /// What runs until it has caught up.
    pub(super) replaces: Option<QueryId>,
    pub(super) handle: Arc<SourceHandle>,
    pub(super) from_ms: Option<i64>,
    /// How far back it reads, microseconds.
    pub(super) length: i64,
    pub(super) begins_late: bool,
    pub(super) skip_until: Option<i64>,
}

/// Everything that runs.
pub(super) struct State {
    pub(super) shared: Shared,
    pub(super) shards: Vec<Sender<ShardMessage>>,
    pub(super) feedback: Vec<Sender<Feedback>>,
    pub(super) sources: BTreeMap<SourceId, SourceRun>,
    pub(super) queries: BTreeMap<QueryId, QueryRun>,
    /// Names of queries whose values are not to be written; some may not be there yet.
    pub(super) paused: BTreeSet<String>,
    /// Sink tasks that may still write although their queries are gone, by table.
    pub(super) ending: Vec<(TableSpec, Receiver<()>)>,
    /// The tables for bad and late rows that are in use.
    pub(super) sides: BTreeMap<String, Sender<SideMessage>>,
    pub(super) caught_up: Option<Sender<CaughtUp>>,
    pub(super) next_source: SourceId,
    pub(super) next_query: QueryId,
    /// What sources that are gone have counted.
    pub(super) gone: Summary,
}

impl State {
    /// Shards without sources; and where readings of history say that they have caught up.
    pub(super) fn new(shared: &Shared) -> (Self, Receiver<CaughtUp>) {
        let (sender, receiver) = unbounded();
        let mut state = Self {
            shared: shared.clone(),
            shards: Vec::new(),
            feedback: Vec::new(),
            sources: BTreeMap::new(),
            queries: BTreeMap::new(),
            paused: BTreeSet::new(),
            ending: Vec::new(),
            sides: BTreeMap::new(),
            caught_up: Some(sender),
            next_source: 0,
            next_query: 0,
            gone: Summary::default(),
        };
        for number in 0..shared.options.shards.max(1) {
            let (inbox, feedback) = state.spawn_shard(number);
            state.shards.push(inbox);
            state.feedback.push(feedback);
        }
        (state, receiver)
    }

    /// True before the first change.
    pub(super) fn is_fresh(&self) -> bool {
        self.next_query == 0
    }

    /// The newest query of that name.
    pub(super) fn newest(&self, name: &str) -> Option<Arc<QueryHandle>> {
        let of_name = |query: &&QueryRun| query.name == name;
        let query = self.queries.values().rev().find(of_name)?;
        Some(Arc::clone(&query.handle))
    }

    /// Makes the paused queries those of these names. What is not there yet begins paused.
    pub(super) fn set_paused(&mut self, names: BTreeSet<String>) {
        self.paused = names;
        for query in self.queries.values() {
            let paused = self.paused.contains(&query.name);
            query.handle.paused.store(paused, Relaxed);
        }
        self.wake_shards();
    }

    fn wake_shards(&self) {
        for shard in &self.shards {
            let _ = shard.try_send(ShardMessage::Wake);
        }
    }

    pub(super) fn query_statuses(&self) -> Vec<QueryStatus> {
        let mut by_name: BTreeMap<&str, QueryStatus> = BTreeMap::new();
        for query in self.queries.values() {
            let mut status = query.handle.status();
            if let Some(history) = &query.history
                && let SourceState::Failed { message } = history.handle.state()
            {
                let message = format!("its history cannot be read: {message}");
                status.state = QueryState::Failed { message };
            } else if let Some(history) = &query.history
                && !matches!(status.state, QueryState::Failed { .. })
            {
                let live = self.sources.get(&query.source);
                status.state = catching_up(
                    history.from_ms,
                    history.handle.frontier(),
                    live.and_then(|source| source.handle.frontier()),
                );
            }
            if let Some(SourceState::Failed { message }) =
                self.sources.get(&query.source).map(|s| s.handle.state())
            {
                status.state = QueryState::Failed { message };
            }
            by_name.insert(&query.name, status);
        }
        by_name.into_values().collect()
    }

    pub(super) fn source_statuses(&self) -> Vec<SourceStatus> {
        let mut all: Vec<SourceStatus> = self
            .sources
            .values()
            .map(|source| SourceStatus {
                queue_capacity: source.work_capacity,
                key_groups: source.full.key_groups(&source.live),
                ..source.handle.status()
            })
            .collect();
        all.sort_by(|a, b| a.table.cmp(&b.table));
        all
    }

    pub(super) fn counted_by_sources(&self) -> Summary {
        let mut sum = self.gone.clone();
        for source in self.sources.values() {
            sum.add(&source.handle.stats.summary());
        }
        sum
    }

    pub(super) fn is_bounded(&self) -> bool {
        self.sources.values().all(|source| source.bounded)
    }

    /// No more queries come.
    pub(super) fn close(&mut self) {
        self.sides.clear();
        self.caught_up = None;
        self.wake_shards();
    }

    /// Stops all reading.
    pub(super) fn stop(&mut self) {
        self.close();
        for source in self.sources.values() {
            let _ = source.reader.send(ReaderMessage::Stop);
        }
        for query in self.queries.values() {
            let reading = query.history.as_ref();
            let reading = reading.map(|history| &history.guest.reader);
            // Who has been told to join has only to read what is there, and its state is waited for:
            // but not where its source is away for good.
            let joining = query.joining.as_ref();
            let joining = joining.filter(|_| self.shared.give_up.load(Relaxed));
            if let Some(reader) = reading.or(joining) {
                let _ = reader.send(ReaderMessage::Stop);
            }
            let _ = query.sink.try_send(SinkMessage::Wake);
        }
    }

    /// What a connector says of a table.
    pub(super) fn refused(
        table: &TableSpec,
    ) -> impl Fn(tidewheel_core::ConnectorError) -> EngineError + '_ {
        |error| EngineError::Table {
            table: table.name.clone(),
            message: error.message,
        }
    }
}
