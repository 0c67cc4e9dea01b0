//! A shard: one thread that holds the state of its keys, for all queries. Nothing is locked on
//! the way of an event.

mod change;
pub mod differ;
pub mod finish;
pub mod message;
pub mod query;
pub mod renew;
mod report;
pub mod rows;
pub mod save;
pub mod step;
pub mod written;

use crate::checkpoint::barrier::{Barrier, Part, QueryPart, Saved};
use crate::checkpoint::gate::Reached;
use crate::error::EngineError;
use crate::scan::bad::SideRow;
use crate::scan::program::{QueryId, ScanProgram};
use crate::sink::message::SinkMessage;
use crate::sink::side::{SideMessage, hand_in};
use crate::stats::{Stats, add};
use crate::status::QueryState;
use crate::task::{Poll, Task, wait_for, wait_for_either};
use crossbeam_channel::{Receiver, Sender, TryRecvError};
use message::{Feedback, ShardMessage, SourceRows, SourceTime};
use query::{First, HandOver, NewQuery, QueryShard};
use save::{Room, save};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use step::TIMERS_AT_ONCE;
use tidewheel_core::Env;
use tidewheel_core::time::{NO_TIME, unpack_seq};
use tidewheel_kernel::input::Input;
use tidewheel_kernel::window::WindowOperator;

/// While a source is read back, a query's changes are handed on at most this often: a key that
/// changes many times in between is evaluated and written once.
const COALESCE_BEHIND: Duration = Duration::from_millis(500);
/// Changes that only the passing of time caused wait while rows come in, at most this long.
const EXPIRY_WAIT: Duration = Duration::from_millis(250);
/// Messages that are handled before changes are looked for, while more are waiting.
const MESSAGES_AT_ONCE: usize = 8;
/// How long a shard waits for its last sinks before it looks again: at first, since most are gone
/// at once.
pub const END_WAIT_MIN: Duration = Duration::from_millis(1);
/// The same at most.
const END_WAIT_MAX: Duration = Duration::from_millis(100);
/// How long a shard waits at once for a state that is on its way.
const JOIN_WAIT: Duration = Duration::from_millis(5);
/// How often counters are refreshed.
const STATS_EVERY: Duration = Duration::from_secs(2);

/// A source's part of a shard.
pub struct SourceShard {
    /// The program that its rows come from.
    pub program: Option<Arc<ScanProgram>>,
    /// The window operator of each key group that needs one.
    pub groups: Vec<Option<WindowOperator>>,
    /// The source's time.
    pub time: SourceTime,
    /// Nothing follows.
    pub ended: bool,
    /// It was read to its end.
    pub whole: bool,
    /// Timers are due that did not fit the last call.
    pub timers_left: bool,
    /// Where late rows go, and the name they carry.
    pub late: Option<(Sender<SideMessage>, String)>,
    /// By partition, the offset up to which rows have come.
    pub positions: BTreeMap<u32, u64>,
    /// How large the saved states of its key groups were.
    rooms: BTreeMap<usize, Room>,
}

impl SourceShard {
    /// A source before its first row.
    #[must_use]
    pub fn new(late: Option<(Sender<SideMessage>, String)>) -> Self {
        let time = SourceTime {
            frontier: NO_TIME,
            watermark: NO_TIME,
            behind: true,
        };
        Self {
            program: None,
            groups: Vec::new(),
            time,
            ended: false,
            whole: false,
            timers_left: false,
            late,
            positions: BTreeMap::new(),
            rooms: BTreeMap::new(),
        }
    }
}

/// What sinks said to queries that were not here yet.
#[derive(Debug, Default)]
pub struct Early {
    credit: usize,
    rewrites: u64,
    gate: Option<Arc<Reached>>,
}

/// One shard.
pub struct Shard {
    /// Its number.
    pub number: usize,
    /// What it is told.
    pub inbox: Receiver<ShardMessage>,
    /// What sinks tell it.
    pub feedback: Receiver<Feedback>,
    /// Its sources.
    pub sources: BTreeMap<usize, SourceShard>,
    /// Its queries.
    pub queries: BTreeMap<QueryId, QueryShard>,
    /// Queries whose state is on its way from the shard that read their history. Nothing else is
    /// done before it is here.
    pub joining: VecDeque<NewQuery>,
    /// Of queries that are not here yet.
    pub early: BTreeMap<QueryId, Early>,
    /// In a shard that reads history: where its state goes.
    pub hand_over: Option<Sender<HandOver>>,
    /// The world.
    pub env: Arc<dyn Env>,
    /// Gauges of all shards.
    pub stats: Arc<Stats>,
    /// Errors that stop the run.
    pub errors: Arc<parking_lot::Mutex<Vec<EngineError>>>,
    /// No more sources come: the shard ends with its last one.
    pub closing: Arc<AtomicBool>,
    /// Told to stop although not everything could be written.
    pub give_up: Arc<AtomicBool>,
    /// Timers are due that did not fit the last call.
    pub timers_left: bool,
    /// Messages since changes were looked for.
    pub unserved: usize,
    /// When expiry was last looked for.
    pub expiry_served: Duration,
    /// How long it waits next for its last sinks.
    pub end_wait: Duration,
    /// When counters were refreshed last, and what this shard last added to them.
    pub reported: (Duration, [u64; 4]),
}

impl Shard {
    fn handle(&mut self, message: ShardMessage) {
        match message {
            ShardMessage::Rows(rows) => self.rows(&rows),
            ShardMessage::Time { source, time } => {
                if let Some(known) = self.sources.get_mut(&source) {
                    known.time = time;
                    self.advance(source);
                }
            }
            ShardMessage::SourceBegins { source, late } => {
                self.sources.insert(source, SourceShard::new(late));
            }
            ShardMessage::Queries {
                source,
                program,
                remove,
                add,
            } => {
                for query in remove {
                    self.remove(query);
                }
                if let Some(known) = self.sources.get_mut(&source) {
                    let groups = program.groups.len().max(known.groups.len());
                    known.groups.resize_with(groups, || None);
                    known.program = Some(program);
                }
                self.add(source, add);
            }
            ShardMessage::SourceEnd { source, whole } => {
                if let Some(known) = self.sources.get_mut(&source) {
                    (known.ended, known.whole) = (true, whole);
                }
            }
            ShardMessage::SourceGone { source } => {
                let of_source = self.queries.iter();
                let gone: Vec<QueryId> = of_source
                    .filter(|(_, query)| query.chain.source == source)
                    .map(|(id, _)| *id)
                    .collect();
                for query in gone {
                    self.remove(query);
                }
                self.sources.remove(&source);
            }
            ShardMessage::Barrier { source, barrier } => self.barrier(source, &barrier),
            ShardMessage::Restored(restored) => self.restored(*restored),
            // Handled where messages are received.
            ShardMessage::HandOver | ShardMessage::Wake => {}
        }
    }

    fn feedback(&mut self, feedback: Feedback) {
        match feedback {
            Feedback::Credit { query, rows } => match self.queries.get_mut(&query) {
                Some(known) => known.credit = rows,
                None => self.early.entry(query).or_default().credit = rows,
            },
            Feedback::Rewrite { query } => match self.queries.get_mut(&query) {
                Some(known) => {
                    if let Some(source) = self.sources.get_mut(&known.chain.source) {
                        known.rewrite(&mut source.groups);
                    }
                }
                None => self.early.entry(query).or_default().rewrites += 1,
            },
            Feedback::Gate { query, reached } => match self.queries.get_mut(&query) {
                Some(known) => known.gate_at(reached),
                None => self.early.entry(query).or_default().gate = Some(reached),
            },
        }
    }

    /// Saves the state of a source's queries, and passes the barrier on to their sinks.
    fn barrier(&mut self, source: usize, barrier: &Barrier) {
        let Some(known) = self.sources.get_mut(&source) else {
            return;
        };
        let mut groups = BTreeMap::new();
        for (number, operator) in known.groups.iter_mut().enumerate() {
            let Some(operator) = operator else { continue };
            let room = known.rooms.entry(number).or_default();
            let (whole, bytes) = room.fill(operator.stats().state_bytes, |bytes| {
                save!(operator, barrier.full, bytes)
            });
            groups.insert(number, Saved { whole, bytes });
        }
        let is_there = |query: &QueryShard| {
            query.chain.source == source && !query.handle.sink_gone.load(Relaxed)
        };
        let queries = self
            .queries
            .values_mut()
            .filter(|query| is_there(query))
            .map(|query| {
                let mut room = query.room;
                let memory = query.stats().iter().map(|stats| stats.state_bytes).sum();
                let (whole, bytes) = room.fill(memory, |bytes| query.save(barrier.full, bytes));
                query.room = room;
                QueryPart {
                    query: query.id,
                    set: match &query.first {
                        First::Set { group, set } => Some((*group, set.0)),
                        _ => None,
                    },
                    saved: Saved { whole, bytes },
                }
            })
            .collect();
        let part = Part::Shard {
            source,
            shard: self.number,
            groups,
            queries,
        };
        let side = known.late.as_ref().map(|(table, _)| table);
        hand_in(part, &barrier.parts, side);
        for query in self.queries.values() {
            if is_there(query) {
                let _ = query.sink.send(SinkMessage::Barrier {
                    shard: self.number,
                    barrier: barrier.clone(),
                });
            }
        }
    }

    fn rows(&mut self, rows: &SourceRows) {
        let Some(source) = self.sources.get_mut(&rows.source) else {
            return;
        };
        for (group, operator) in source.groups.iter_mut().enumerate() {
            let Some(operator) = operator else { continue };
            let selection = rows.selections.get(group).map_or(&[][..], Vec::as_slice);
            if selection.is_empty() {
                continue;
            }
            let report = operator.process(&Input {
                keys: &rows.evaluation.keys[group],
                rows: selection,
                time: &rows.time,
                seq: &rows.seq,
                watermark: &rows.watermark,
                columns: &rows.evaluation.columns,
                retract: None,
            });
            for late in &report {
                let query = self.queries.values().find(|query| {
                    query.chain.source == rows.source
                        && matches!(&query.first, First::Set { group: g, set: s }
                            if *g == group && *s == late.set)
                });
                let Some(query) = query else { continue };
                add(&query.handle.stats.late, late.rows.len());
                if let Some((table, topic)) = &source.late {
                    let rows = late_rows(&late.rows, rows, topic, &query.chain.name);
                    let _ = table.send(SideMessage::Rows(rows));
                }
            }
        }
        let mut failed = Vec::new();
        for (id, query) in &mut self.queries {
            if query.chain.source != rows.source {
                continue;
            }
            query.read_at_ms.get_or_insert(rows.read_at_ms);
            let handle = Arc::clone(&query.handle);
            let mut late = Vec::new();
            if let Err(error) = query.rows(self.number, rows, &mut late, &handle.stats) {
                failed.push((*id, error));
            }
            if let Some((table, topic)) = &source.late
                && !late.is_empty()
            {
                let rows = late_rows(&late, rows, topic, &query.chain.name);
                let _ = table.send(SideMessage::Rows(rows));
            }
        }
        source.time = rows.after;
        source.positions.insert(rows.progress.0, rows.progress.1);
        self.stop_failed(failed);
        self.advance(rows.source);
    }

    /// Ends queries that cannot go on; the others do.
    fn stop_failed(&mut self, failed: Vec<(QueryId, EngineError)>) {
        for (id, error) in failed {
            if let Some(query) = self.queries.get(&id) {
                query.handle.set_state(QueryState::Failed {
                    message: error.to_string(),
                });
            }
            self.errors.lock().push(error);
            self.remove(id);
        }
    }

    fn advance(&mut self, source: usize) {
        let Some(known) = self.sources.get_mut(&source) else {
            return;
        };
        let time = known.time;
        let mut more = false;
        for operator in known.groups.iter_mut().flatten() {
            more |= operator.advance(time.frontier, time.watermark, TIMERS_AT_ONCE);
        }
        let mut failed = Vec::new();
        for (id, query) in &mut self.queries {
            if query.chain.source == source {
                more |= query.advance(time);
                let handle = Arc::clone(&query.handle);
                if let Err(error) = query.pass_final(self.number, &handle.stats) {
                    failed.push((*id, error));
                }
            }
        }
        known.timers_left = more;
        self.timers_left |= more;
        self.stop_failed(failed);
    }

    /// Hands changes to sinks that are ready. True when something was sent.
    fn serve(&mut self, include_expiry: bool) -> bool {
        self.unserved = 0;
        let now = self.env.monotonic();
        if include_expiry {
            self.expiry_served = now;
        }
        let mut sent = false;
        let mut failed = Vec::new();
        for (id, query) in &mut self.queries {
            if query.done || query.muted || query.handle.paused.load(Relaxed) {
                continue;
            }
            let Some(source) = self.sources.get_mut(&query.chain.source) else {
                continue;
            };
            let end = source.ended.then_some(source.whole);
            if !query.try_gate(&mut source.groups, &source.positions, (source.time, end)) {
                continue;
            }
            query.renew(&mut source.groups, source.time, now);
            if query.credit == 0 {
                continue;
            }
            if source.timers_left && query.has_steps() {
                // What the timers change would be late for the second step.
                continue;
            }
            if source.time.behind
                && !source.ended
                && query.served != Duration::ZERO
                && now.saturating_sub(query.served) < COALESCE_BEHIND
            {
                continue;
            }
            let handle = Arc::clone(&query.handle);
            let served = query.serve(
                self.number,
                &mut source.groups,
                source.time,
                include_expiry || source.ended,
                &handle.stats,
            );
            match served {
                Ok(true) => {
                    query.served = now.max(Duration::from_nanos(1));
                    sent = true;
                }
                Ok(false) => {}
                Err(error) => failed.push((*id, error)),
            }
        }
        self.stop_failed(failed);
        sent
    }

    fn finish(&mut self) -> Poll {
        if self.give_up.load(Relaxed) {
            // Sinks that are away are not waited for any more.
            return Poll::Done;
        }
        // All sources have ended and all timers have fired: what is left, is sent, then the end,
        // without the pauses of EMIT ON CHANGE EVERY.
        for query in self.queries.values_mut() {
            let pauses = query.chain.emit_every.is_some() && !query.muted;
            if pauses && !std::mem::replace(&mut query.hurries, true) {
                let _ = query.sink.send(SinkMessage::Hurry);
            }
        }
        self.renew_done();
        let sent = self.serve(true);
        for query in self.queries.values_mut() {
            let gone = query.handle.sink_gone.load(Relaxed);
            let silent = is_silent(&self.sources, query);
            if (query.credit > 0 && !sent || gone || silent) && !query.done {
                query.send_done(self.number);
            }
        }
        self.report(true);
        // A sink may still find that it has lost what was written.
        let is_over = |query: &QueryShard| {
            let silent = is_silent(&self.sources, query);
            query.done && (silent || query.handle.sink_gone.load(Relaxed))
        };
        if self.queries.values().all(is_over) {
            Poll::Done
        } else {
            let wait = self.end_wait;
            self.end_wait = (wait * 2).min(END_WAIT_MAX);
            Poll::Idle(Some(self.look_every(wait)))
        }
    }

    /// A sink that has all waits until the others have: what it wrote must not expire meanwhile.
    fn renew_done(&mut self) {
        let now = self.env.monotonic();
        for query in self.queries.values_mut().filter(|query| query.done) {
            let source = self.sources.get_mut(&query.chain.source);
            if let Some(source) = source
                && !query.muted
                && !query.handle.sink_gone.load(Relaxed)
                && query.renew(&mut source.groups, source.time, now)
            {
                query.done = false;
            }
        }
    }

    /// How long it may do nothing: at most `wait`, and no longer than a time to live allows.
    fn look_every(&self, wait: Duration) -> Duration {
        let looks = self.queries.values().filter_map(QueryShard::look_every);
        looks.fold(wait, Duration::min)
    }

    fn drain_timers(&mut self) -> Poll {
        self.timers_left = false;
        for source in self.sources.keys().copied().collect::<Vec<_>>() {
            self.advance(source);
        }
        Poll::Ready
    }

    fn step(&mut self) -> Poll {
        while let Ok(feedback) = self.feedback.try_recv() {
            self.feedback(feedback);
        }
        while !self.joining.is_empty() {
            if !self.join() {
                return Poll::Idle(Some(JOIN_WAIT));
            }
        }
        // Read before the inbox: a source that begins is in the inbox before this is set.
        let closing = self.closing.load(Relaxed);
        match self.inbox.try_recv() {
            Ok(ShardMessage::HandOver) => self.give_away(),
            Ok(message) => {
                self.handle(message);
                self.unserved += 1;
                if self.joining.is_empty()
                    && (self.unserved >= MESSAGES_AT_ONCE || self.inbox.is_empty())
                {
                    let now = self.env.monotonic();
                    let expiry = now.saturating_sub(self.expiry_served) >= EXPIRY_WAIT;
                    self.serve(expiry);
                }
                self.report(false);
                Poll::Ready
            }
            Err(TryRecvError::Empty) => {
                if self.timers_left {
                    return self.drain_timers();
                }
                if (closing || self.hand_over.is_some() && !self.sources.is_empty())
                    && self.sources.values().all(|source| source.ended)
                {
                    return self.finish();
                }
                self.report(false);
                let sent = self.serve(true);
                let behind = self.sources.values().any(|source| source.time.behind);
                let wait = if behind { COALESCE_BEHIND } else { STATS_EVERY };
                if sent {
                    Poll::Ready
                } else {
                    Poll::Idle(Some(self.look_every(wait)))
                }
            }
            Err(TryRecvError::Disconnected) => {
                // Its sequencers are gone, as after an error: what is left, is sent.
                if self.timers_left {
                    return self.drain_timers();
                }
                for source in self.sources.values_mut() {
                    source.ended = true;
                }
                self.finish()
            }
        }
    }
}

/// It writes nothing to the end: it reads history, or its source was stopped before it had come to
/// where the values in the sink are.
fn is_silent(sources: &BTreeMap<usize, SourceShard>, query: &QueryShard) -> bool {
    let is_whole = |source: &SourceShard| source.whole;
    query.muted || !query.is_open() && !sources.get(&query.chain.source).is_some_and(is_whole)
}

/// Late rows for their table.
fn late_rows(late: &[u32], rows: &SourceRows, topic: &str, query: &str) -> Vec<SideRow> {
    late.iter()
        .map(|row| {
            let row = *row as usize;
            let (partition, offset) = unpack_seq(rows.places[row]);
            SideRow {
                topic: topic.to_owned(),
                partition,
                offset,
                reason: "late for every window".to_owned(),
                query: query.to_owned(),
                event_time: Some(rows.time[row]),
                record: None,
            }
        })
        .collect()
}

impl Task for Shard {
    fn poll(&mut self) -> Poll {
        self.step()
    }

    fn wait(&self, timeout: Option<Duration>) {
        match self.joining.front().and_then(|new| new.from.as_ref()) {
            Some(state) => wait_for(state, timeout),
            None => wait_for_either(&self.inbox, &self.feedback, timeout),
        }
    }

    fn name(&self) -> String {
        format!("shard {}", self.number)
    }
}
