//! A shard: one thread that holds the state of its keys, for all queries. Nothing is locked on
//! the way of an event.

pub mod differ;
pub mod finish;
pub mod message;
pub mod query;
pub mod renew;
pub mod rows;
pub mod step;
pub mod written;

use crate::error::EngineError;
use crate::scan::bad::SideRow;
use crate::scan::program::ScanProgram;
use crate::sink::message::SinkMessage;
use crate::stats::{Stats, add};
use crate::task::{Poll, Task, wait_for_either};
use crossbeam_channel::{Receiver, Sender, TryRecvError};
use message::{Feedback, ShardMessage, SourceRows, SourceTime};
use query::{First, QueryShard};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use step::TIMERS_AT_ONCE;
use tidewheel_core::Env;
use tidewheel_core::time::{NO_TIME, unpack_seq};
use tidewheel_kernel::input::Input;
use tidewheel_kernel::window::{SetId, WindowOperator};

/// While a source is read back, a query's changes are handed on at most this often: a key that
/// changes many times in between is evaluated and written once.
const COALESCE_BEHIND: Duration = Duration::from_millis(500);
/// Changes that only the passing of time caused wait while rows come in, at most this long.
const EXPIRY_WAIT: Duration = Duration::from_millis(250);
/// Messages that are handled before changes are looked for, while more are waiting.
const MESSAGES_AT_ONCE: usize = 8;
/// How often a shard that waits for its last sinks looks whether it is to give up.
const END_WAIT: Duration = Duration::from_millis(100);
/// How often counters are refreshed.
const STATS_EVERY: Duration = Duration::from_secs(2);

/// A source's part of a shard.
pub struct SourceShard {
    /// The program that its rows come from.
    pub program: Arc<ScanProgram>,
    /// The window operator of each key group that needs one.
    pub groups: Vec<Option<WindowOperator>>,
    /// The source's time.
    pub time: SourceTime,
    /// Nothing follows.
    pub ended: bool,
    /// Timers are due that did not fit the last call.
    pub timers_left: bool,
    /// Where late rows go, and the name they carry.
    pub late: Option<(Sender<Vec<SideRow>>, String)>,
}

impl SourceShard {
    /// A source before its first row.
    #[must_use]
    pub fn new(
        program: Arc<ScanProgram>,
        groups: Vec<Option<WindowOperator>>,
        late: Option<(Sender<Vec<SideRow>>, String)>,
    ) -> Self {
        let time = SourceTime {
            frontier: NO_TIME,
            watermark: NO_TIME,
            behind: true,
        };
        Self {
            program,
            groups,
            time,
            ended: false,
            timers_left: false,
            late,
        }
    }
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
    pub sources: Vec<SourceShard>,
    /// Its queries.
    pub queries: Vec<QueryShard>,
    /// The world.
    pub env: Arc<dyn Env>,
    /// Counters.
    pub stats: Arc<Stats>,
    /// Errors that stop the run.
    pub errors: Arc<parking_lot::Mutex<Vec<EngineError>>>,
    /// Told to stop although not everything could be written.
    pub give_up: Arc<AtomicBool>,
    /// Timers are due that did not fit the last call.
    pub timers_left: bool,
    /// Messages since changes were looked for.
    pub unserved: usize,
    /// When expiry was last looked for.
    pub expiry_served: Duration,
    /// When counters were refreshed last, and what this shard last added to them.
    pub reported: (Duration, [u64; 4]),
}

impl Shard {
    fn handle(&mut self, message: ShardMessage) -> Result<(), EngineError> {
        match message {
            ShardMessage::Rows(rows) => self.rows(&rows),
            ShardMessage::Time { source, time } => {
                self.sources[source].time = time;
                self.advance(source);
                Ok(())
            }
            ShardMessage::SourceEnd { source } => {
                self.sources[source].ended = true;
                Ok(())
            }
        }
    }

    fn feedback(&mut self, feedback: Feedback) {
        match feedback {
            Feedback::Credit { query, rows } => self.queries[query].credit = rows,
            Feedback::Rewrite { query } => {
                let source = self.queries[query].chain.source;
                self.queries[query].rewrite(&mut self.sources[source].groups);
            }
        }
    }

    fn rows(&mut self, rows: &SourceRows) -> Result<(), EngineError> {
        let source = &mut self.sources[rows.source];
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
            if report.is_empty() {
                continue;
            }
            add(
                &self.stats.late,
                report.iter().map(|late| late.rows.len()).sum(),
            );
            if let Some((table, topic)) = &source.late {
                let of_set = |set: SetId| {
                    self.queries.iter().find(|query| {
                        query.chain.source == rows.source
                            && matches!(&query.first, First::Set { group: g, set: s }
                                if *g == group && *s == set)
                    })
                };
                for late in &report {
                    let name = of_set(late.set).map_or("", |query| query.chain.name.as_str());
                    let _ = table.send(late_rows(&late.rows, rows, topic, name));
                }
            }
        }
        for query in self
            .queries
            .iter_mut()
            .filter(|q| q.chain.source == rows.source)
        {
            let mut late = Vec::new();
            query.rows(self.number, rows, &mut late, &self.stats)?;
            if let Some((table, topic)) = &self.sources[rows.source].late
                && !late.is_empty()
            {
                let _ = table.send(late_rows(&late, rows, topic, &query.chain.name));
            }
        }
        self.sources[rows.source].time = rows.after;
        self.advance(rows.source);
        Ok(())
    }

    fn advance(&mut self, source: usize) {
        let time = self.sources[source].time;
        let mut more = false;
        for operator in self.sources[source].groups.iter_mut().flatten() {
            more |= operator.advance(time.frontier, time.watermark, TIMERS_AT_ONCE);
        }
        for query in self
            .queries
            .iter_mut()
            .filter(|query| query.chain.source == source)
        {
            more |= query.advance(time);
        }
        self.sources[source].timers_left = more;
        self.timers_left |= more;
    }

    /// Hands changes to sinks that are ready. True when something was sent.
    fn serve(&mut self, include_expiry: bool) -> Result<bool, EngineError> {
        self.unserved = 0;
        let now = self.env.monotonic();
        if include_expiry {
            self.expiry_served = now;
        }
        let mut sent = false;
        for query in &mut self.queries {
            if query.done {
                continue;
            }
            let source = &mut self.sources[query.chain.source];
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
            let served = query.serve(
                self.number,
                &mut source.groups,
                source.time,
                include_expiry || source.ended,
                &self.stats,
            )?;
            if served {
                query.served = now.max(Duration::from_nanos(1));
            }
            sent |= served;
        }
        Ok(sent)
    }

    fn finish(&mut self) -> Result<Poll, EngineError> {
        if self.give_up.load(Relaxed) {
            // Sinks that are away are not waited for any more.
            return Ok(Poll::Done);
        }
        // All sources have ended and all timers have fired: what is left, is sent, then the end,
        // without the pauses of EMIT ON CHANGE EVERY.
        for query in self
            .queries
            .iter_mut()
            .filter(|query| query.chain.emit_every.is_some())
        {
            query.credit = crate::sink::CREDIT_ROWS;
        }
        let sent = self.serve(true)?;
        for query in &mut self.queries {
            if query.credit > 0 && !query.done && !sent {
                query.done = true;
                let _ = query.sink.send(SinkMessage::Done { shard: self.number });
            }
        }
        self.report(true);
        Ok(if self.queries.iter().all(|query| query.done) {
            Poll::Done
        } else {
            Poll::Idle(Some(END_WAIT))
        })
    }

    fn report(&mut self, now_or_never: bool) {
        let now = self.env.monotonic();
        if !now_or_never && now.saturating_sub(self.reported.0) < STATS_EVERY {
            return;
        }
        let mut totals = [0_u64; 4];
        let groups = self
            .sources
            .iter()
            .flat_map(|source| source.groups.iter().flatten());
        let operators = groups
            .map(WindowOperator::stats)
            .chain(self.queries.iter().flat_map(QueryShard::stats));
        for stats in operators {
            totals[0] += stats.keys;
            totals[1] += stats.slices;
            totals[2] += stats.state_bytes;
            totals[3] += stats.bound_reached;
        }
        let counters = [
            &self.stats.keys,
            &self.stats.slices,
            &self.stats.state_bytes,
            &self.stats.bounds_reached,
        ];
        for (at, counter) in counters.into_iter().enumerate() {
            let before = self.reported.1[at];
            if totals[at] >= before {
                counter.fetch_add(totals[at] - before, Relaxed);
            } else {
                counter.fetch_sub(before - totals[at], Relaxed);
            }
        }
        self.reported = (now, totals);
    }

    fn drain_timers(&mut self) -> Poll {
        self.timers_left = false;
        for source in 0..self.sources.len() {
            self.advance(source);
        }
        Poll::Ready
    }

    fn step(&mut self) -> Result<Poll, EngineError> {
        while let Ok(feedback) = self.feedback.try_recv() {
            self.feedback(feedback);
        }
        match self.inbox.try_recv() {
            Ok(message) => {
                self.handle(message)?;
                self.unserved += 1;
                if self.unserved >= MESSAGES_AT_ONCE || self.inbox.is_empty() {
                    let now = self.env.monotonic();
                    let expiry = now.saturating_sub(self.expiry_served) >= EXPIRY_WAIT;
                    self.serve(expiry)?;
                }
                self.report(false);
                Ok(Poll::Ready)
            }
            Err(TryRecvError::Empty) => {
                if self.timers_left {
                    return Ok(self.drain_timers());
                }
                if self.sources.iter().all(|source| source.ended) {
                    return self.finish();
                }
                self.report(false);
                let sent = self.serve(true)?;
                let behind = self.sources.iter().any(|source| source.time.behind);
                let wait = if behind { COALESCE_BEHIND } else { STATS_EVERY };
                let look = self.queries.iter().filter_map(QueryShard::look_every).min();
                let wait = look.map_or(wait, |look| wait.min(look));
                Ok(if sent {
                    Poll::Ready
                } else {
                    Poll::Idle(Some(wait))
                })
            }
            Err(TryRecvError::Disconnected) => {
                // Its sequencers are gone: what is left, is sent.
                if self.timers_left {
                    return Ok(self.drain_timers());
                }
                for source in &mut self.sources {
                    source.ended = true;
                }
                self.finish()
            }
        }
    }
}

/// Late rows for their table.
fn late_rows(late: &[u32], rows: &SourceRows, topic: &str, query: &str) -> Vec<SideRow> {
    late.iter()
        .map(|row| {
            let row = *row as usize;
            let (partition, offset) = unpack_seq(rows.seq[row]);
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
        match self.step() {
            Ok(poll) => poll,
            Err(error) => {
                self.errors.lock().push(error);
                for query in &mut self.queries {
                    if !query.done {
                        query.done = true;
                        let _ = query.sink.send(SinkMessage::Done { shard: self.number });
                    }
                }
                Poll::Done
            }
        }
    }

    fn wait(&self, timeout: Option<Duration>) {
        wait_for_either(&self.inbox, &self.feedback, timeout);
    }

    fn name(&self) -> String {
        format!("shard {}", self.number)
    }
}
