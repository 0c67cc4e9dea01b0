//! Builds and spawns tasks: shards, sinks, and the reading of a source.

use super::apply::Beginning;
use super::open::{Opened, Place};
use super::state::{Late, SourceId, State};
use crate::error::EngineError;
use crate::scan::dedup::Dedup;
use crate::scan::partition::TableTime;
use crate::scan::program::{QueryId, ScanProgram};
use crate::scan::reader::{History, Reader, ReaderMessage};
use crate::scan::sequencer::{BadRowPolicy, Sequencer};
use crate::scan::worker::{TableReading, Work, Worker};
use crate::shard::message::{Feedback, ShardMessage, SourceTime};
use crate::shard::query::HandOver;
use crate::shard::step::{StepState, micros};
use crate::shard::{END_WAIT_MIN, Shard};
use crate::sink::SinkTask;
use crate::sink::message::SinkMessage;
use crate::sink::side::{SideMessage, SideTask};
use crate::stats::Stats;
use crate::status::SourceHandle;
use crate::task::{Task, channel};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tidewheel_checkpoint::SourceEntry;
use tidewheel_core::time::NO_TIME;
use tidewheel_core::{DecodeRequest, Sink, Source, TableSpec};
use tidewheel_sql::plan::{BadRows, SourceTable};

/// Waiting chunks between the reader and the workers, for each worker.
const CHUNKS_WAITING: usize = 2;
/// Waiting batches in front of a shard.
const BATCHES_WAITING: usize = 8;
/// Waiting messages in front of a sink.
const CHANGES_WAITING: usize = 8;
/// Waiting groups of bad rows in front of their table.
const SIDE_WAITING: usize = 64;

/// The name that a table's rows carry elsewhere.
pub(super) fn topic(table: &TableSpec) -> String {
    let options = &table.options;
    options
        .get("topic")
        .or_else(|| options.get("path"))
        .unwrap_or(&table.name)
        .to_owned()
}

/// The tasks of a source's reading, before they are spawned.
pub(super) struct Scan {
    pub(super) tasks: Vec<Box<dyn Task>>,
    pub(super) reader: Sender<ReaderMessage>,
    pub(super) work_capacity: usize,
    pub(super) handle: Arc<SourceHandle>,
    pub(super) late: Late,
    pub(super) bounded: bool,
    /// Its reading may lack the oldest records that it was to begin with.
    pub(super) begins_late: bool,
    /// The table's time where it begins.
    pub(super) reached: SourceTime,
    /// In a reading of history: what it has seen, once it is handed over.
    pub(super) repeats: Option<Receiver<Dedup>>,
}

/// How a source is to be read.
pub(super) struct ScanRequest<'a> {
    pub(super) id: SourceId,
    pub(super) table: &'a SourceTable,
    pub(super) source: Box<dyn Source>,
    pub(super) shards: Vec<Sender<ShardMessage>>,
    pub(super) program: Arc<ScanProgram>,
    pub(super) decoders: usize,
    /// Set for a reading of history: the query, and the live reading.
    pub(super) history: Option<(QueryId, Arc<SourceHandle>)>,
    /// Where it goes on from a checkpoint: its entry; times and repeats.
    pub(super) saved: Option<(&'a SourceEntry, Vec<&'a [u8]>)>,
}

/// A sink task, before it is spawned.
pub(super) struct NewSink {
    pub(super) task: Box<dyn Task>,
    pub(super) sender: Sender<SinkMessage>,
    /// Disconnected once the task has ended.
    pub(super) ended: Receiver<()>,
}

impl State {
    pub(super) fn spawn_shard(&self, number: usize) -> (Sender<ShardMessage>, Sender<Feedback>) {
        let stats = Arc::clone(&self.shared.stats);
        let (task, inbox, feedback) = self.shard(number, stats, None);
        self.shared.executor.spawn(task);
        (inbox, feedback)
    }

    /// A shard that reads one query's history, and the channel by which it gives its state away.
    pub(super) fn history_shard(
        &self,
        number: usize,
    ) -> (Box<dyn Task>, Sender<ShardMessage>, Receiver<HandOver>) {
        let (hand_over, state) = bounded(1);
        let (task, inbox, _) = self.shard(number, Arc::default(), Some(hand_over));
        (task, inbox, state)
    }

    fn shard(
        &self,
        number: usize,
        stats: Arc<Stats>,
        hand_over: Option<Sender<HandOver>>,
    ) -> (Box<dyn Task>, Sender<ShardMessage>, Sender<Feedback>) {
        let shared = &self.shared;
        let (sender, inbox) = channel(shared.executor.as_ref(), BATCHES_WAITING);
        let (to_shard, feedback) = unbounded();
        let shard = Shard {
            number,
            inbox,
            feedback,
            sources: BTreeMap::new(),
            queries: BTreeMap::new(),
            joining: VecDeque::new(),
            early: BTreeMap::new(),
            hand_over,
            env: Arc::clone(&shared.env),
            stats,
            errors: Arc::clone(&shared.errors),
            closing: Arc::clone(&shared.closing),
            give_up: Arc::clone(&shared.give_up),
            timers_left: false,
            unserved: 0,
            expiry_served: Duration::ZERO,
            end_wait: END_WAIT_MIN,
            reported: (Duration::ZERO, [0; 4]),
        };
        (Box::new(shard), sender, to_shard)
    }

    /// The sink task of a query. It writes nothing before the tasks behind `after` have ended.
    ///
    /// # Errors
    /// A step has a shape that is not executed, or what was saved is something else.
    pub(super) fn sink(
        &self,
        new: &Beginning,
        sink: Box<dyn Sink>,
        after: Vec<Receiver<()>>,
    ) -> Result<NewSink, EngineError> {
        let (handle, chain) = (&new.handle, &new.chain);
        let shared = &self.shared;
        let capacity = CHANGES_WAITING + 2 * self.feedback.len();
        let (sender, inbox) = channel(shared.executor.as_ref(), capacity);
        let mut tail = Vec::new();
        for (at, step) in chain.tail.iter().enumerate() {
            let asked = chain.tail.get(at + 1).is_some_and(StepState::asks_identity);
            let below = chain.steps.iter().chain(&chain.tail[..at]);
            let step = StepState::new(&chain.name, step, false, asked)?;
            tail.push(step.through(below));
        }
        let (before, ended) = bounded(1);
        let mut task = SinkTask::new(
            Arc::clone(handle),
            (before, after),
            Arc::clone(chain),
            sink,
            inbox,
            self.feedback.clone(),
            tail,
            Arc::clone(&shared.env),
            Arc::clone(&shared.errors),
            Arc::clone(&shared.give_up),
            &shared.writing,
        );
        if shared.options.checkpoints.is_some() {
            task = task.with_progress(new.fingerprint, &shared.checkpoints);
        }
        if new.history.is_some() {
            task = task.with_history();
        }
        if new.gated {
            task = task.restarted(new.saved_sink.as_ref())?;
        }
        Ok(NewSink {
            task: Box::new(task),
            sender,
            ended,
        })
    }

    /// Where a table's bad or late rows go: one task for all that name it.
    fn side(
        &mut self,
        table: &TableSpec,
        opened: &mut Opened,
    ) -> Result<Sender<SideMessage>, EngineError> {
        if let Some(known) = self.sides.get(&table.name) {
            return Ok(known.clone());
        }
        let shared = &self.shared;
        let (sender, inbox) = channel(shared.executor.as_ref(), SIDE_WAITING);
        let task = SideTask {
            sink: opened.sink(&Place::Side(table.name.clone()))?,
            table: table.clone(),
            inbox,
            env: Arc::clone(&shared.env),
            errors: Arc::clone(&shared.errors),
            give_up: Arc::clone(&shared.give_up),
            waiting: None,
        };
        shared.executor.spawn(Box::new(task));
        self.sides.insert(table.name.clone(), sender.clone());
        Ok(sender)
    }

    /// How a table's records become rows.
    pub(super) fn reading(&self, table: &SourceTable) -> Result<TableReading, EngineError> {
        let spec = &table.spec;
        let registry = self.shared.env.registry();
        let format_name = spec.options.get_or("format", "json");
        let format = registry
            .format(format_name)
            .ok_or_else(|| EngineError::Table {
                table: spec.name.clone(),
                message: format!(
                    "there is no format '{format_name}'; known are {}",
                    registry.format_names().join(", ")
                ),
            })?;
        let decoded = table.read.len();
        let reading = TableReading {
            topic: topic(spec),
            format: Arc::clone(format),
            request: DecodeRequest {
                columns: table.read.clone(),
                options: spec.options.clone(),
                declared: spec
                    .schema
                    .fields()
                    .iter()
                    .map(|field| field.name().clone())
                    .collect(),
            },
            decoded: (0..decoded).collect(),
            metadata: (decoded..).zip(table.metadata.iter().cloned()).collect(),
            schema: Arc::clone(&table.scan_schema),
            event_time: table.event_time.clone(),
            watermark: table.watermark.clone(),
            dedup: table.dedup.as_ref().map(|(keys, _)| keys.clone()),
            order_by: table.order_by.clone(),
            max_ahead: micros(table.max_ahead),
        };
        // Refused now rather than in a worker.
        reading.decoder().map_err(Self::refused(spec))?;
        Ok(reading)
    }

    /// Builds the tasks that read a source.
    ///
    /// # Errors
    /// A table for bad or late rows is not among those opened.
    pub(super) fn scan(
        &mut self,
        request: ScanRequest<'_>,
        opened: &mut Opened,
    ) -> Result<Scan, EngineError> {
        let ScanRequest {
            id,
            table,
            source,
            shards,
            program,
            decoders,
            history,
            saved,
        } = request;
        let spec = &table.spec;
        let shared = self.shared.clone();
        let mut tasks: Vec<Box<dyn Task>> = Vec::new();
        let handle = Arc::new(SourceHandle::new(spec.name.clone()));
        let work_capacity = CHUNKS_WAITING * decoders;
        let executor = shared.executor.as_ref();
        let (to_workers, work) = channel::<Work>(executor, work_capacity);
        let (to_sequencer, results) = channel(executor, work_capacity + 4);
        let (to_reader, reader_inbox) = unbounded();
        for number in 0..decoders.max(1) {
            tasks.push(Box::new(Worker {
                table: spec.name.clone(),
                number,
                decoder: None,
                inbox: work.clone(),
                outbox: to_sequencer.clone(),
                handle: Arc::clone(&handle),
            }));
        }
        let partitions = source.partitions();
        let mut time = TableTime::new(table.idle_timeout, table.max_drift);
        for partition in &partitions {
            time.add(*partition, shared.env.monotonic());
        }
        let dedup_window = table
            .dedup
            .as_ref()
            .map_or(0, |(_, window)| micros(*window));
        let mut dedup = table.dedup.as_ref().map(|_| Dedup::new(dedup_window));
        let mut positions = BTreeMap::new();
        if let Some((entry, saves)) = saved {
            for bytes in saves {
                // Of the times the last ones count.
                let mut reader = tidewheel_kernel::aggregate::codec::Reader::new(bytes);
                time.load(&mut reader, shared.env.monotonic())?;
                if let Some(dedup) = &mut dedup {
                    dedup.load(&mut reader)?;
                }
            }
            for (partition, offset) in &entry.offsets {
                handle.handed_on(*partition, *offset);
            }
            if let Some(lead_ms) = entry.lead_ms {
                handle.lead_ms.fetch_max(lead_ms, Relaxed);
            }
            positions.clone_from(&entry.offsets);
        }
        let reached = SourceTime {
            frontier: time.frontier(),
            watermark: time.watermark(),
            behind: true,
        };
        handle.stats.frontier.0.fetch_max(reached.frontier, Relaxed);
        let bounded = source.is_bounded();
        let begins_late = source.begins_late();
        let is_history = history.is_some();
        let (hand_over, repeats) = if is_history && dedup.is_some() {
            let (sender, receiver) = unbounded();
            (Some(sender), Some(receiver))
        } else {
            (None, None)
        };
        let caught_up = self.caught_up.clone();
        let history = match (history, caught_up) {
            (Some((query, live)), Some(coordinator)) => Some(History {
                query,
                coordinator,
                live,
                at_end: BTreeSet::new(),
                waiting: false,
                yielded: Duration::ZERO,
            }),
            _ => None,
        };
        tasks.push(Box::new(Reader {
            table: spec.name.clone(),
            source,
            inbox: reader_inbox,
            workers: to_workers,
            sequencer: to_sequencer,
            program: Arc::clone(&program),
            chunk_bytes: shared.options.chunk_bytes,
            env: Arc::clone(&shared.env),
            handle: Arc::clone(&handle),
            ticket: 0,
            open: partitions,
            history,
            read: BTreeSet::new(),
            positions: BTreeMap::new(),
            approach: None,
            deferred: VecDeque::new(),
            paused: BTreeSet::new(),
            kept: VecDeque::new(),
            lag_at: Duration::ZERO,
            memory: Arc::clone(&shared.memory),
            held: false,
        }));
        let bad_rows = match &table.bad_rows {
            // The live reading has reported them.
            _ if is_history => BadRowPolicy::Drop,
            BadRows::Drop => BadRowPolicy::Drop,
            BadRows::Fail => BadRowPolicy::Fail,
            BadRows::DeadLetter(table) => BadRowPolicy::Send(self.side(table, opened)?),
        };
        let late = match &table.late_rows_table {
            Some(late) if !is_history => Some((self.side(late, opened)?, topic(spec))),
            _ => None,
        };
        tasks.push(Box::new(Sequencer {
            table: spec.name.clone(),
            source: id,
            inbox: results,
            reader: to_reader.clone(),
            shards,
            program,
            time,
            dedup,
            dedup_window,
            bad_rows,
            env: Arc::clone(&shared.env),
            stats: Arc::clone(&handle.stats),
            queries: Arc::clone(&shared.queries),
            handle: Arc::clone(&handle),
            errors: Arc::clone(&shared.errors),
            waiting: BTreeMap::new(),
            next: 0,
            dedup_expired: NO_TIME,
            last_tick: Duration::ZERO,
            positions,
            ends: BTreeMap::new(),
            newest_ms: BTreeMap::new(),
            hand_over,
            joining: None,
        }));
        Ok(Scan {
            tasks,
            reader: to_reader,
            work_capacity,
            handle,
            late,
            bounded,
            begins_late,
            reached,
            repeats,
        })
    }
}
