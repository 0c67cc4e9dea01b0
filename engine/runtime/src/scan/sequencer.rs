//! Puts chunks back in order, judges each row, keeps the table's time, and hands rows to shards.

use super::change::Change;
use super::dedup::Dedup;
use super::partition::TableTime;
use super::program::ScanProgram;
use super::reader::ReaderMessage;
use super::worker::{Output, Prepared};
use crate::checkpoint::barrier::Saved;
use crate::checkpoint::{Barrier, Part};
use crate::error::EngineError;
use crate::shard::message::{ShardMessage, SourceRows, SourceTime};
use crate::sink::side::{SideMessage, hand_in};
use crate::stats::{Stats, add};
use crate::status::{Queries, SourceHandle, SourceState};
use crate::task::{Poll, Task, wait_for};
use arrow::array::{Array, AsArray, BooleanBufferBuilder};
use crossbeam_channel::{Receiver, Sender, TryRecvError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tidewheel_checkpoint::room;
use tidewheel_core::time::{END_OF_TIME, EventTime, NO_TIME};
use tidewheel_core::{Env, Mark, SourceEvent};
use tidewheel_kernel::keys::shard_of;

/// How often time is looked at while no rows come.
const TICK: Duration = Duration::from_millis(100);
/// How long rows wait for what a reading of history has seen. It is as far as this one, or nearly;
/// only where it is not (its broker does not answer) is it waited for in vain.
const JOIN_WAIT: Duration = Duration::from_secs(1);
/// Memory of repeats is freed each time the watermark has moved by this share of their window.
const DEDUP_EXPIRE_SHARE: i64 = 16;

/// What becomes of bad rows.
pub enum BadRowPolicy {
    /// Counted only.
    Drop,
    /// Sent on.
    Send(Sender<SideMessage>),
    /// The run ends.
    Fail,
}

/// The sequencer of one source table.
pub struct Sequencer {
    /// The table's name.
    pub table: String,
    /// Its number.
    pub source: usize,
    /// Results by ticket, in any order.
    pub inbox: Receiver<(u64, Output)>,
    /// To the reader.
    pub reader: Sender<ReaderMessage>,
    /// To the shards.
    pub shards: Vec<Sender<ShardMessage>>,
    /// The program that results come from.
    pub program: Arc<ScanProgram>,
    /// The table's time.
    pub time: TableTime,
    /// Repeats.
    pub dedup: Option<Dedup>,
    /// The repeats' window, microseconds.
    pub dedup_window: i64,
    /// Bad rows.
    pub bad_rows: BadRowPolicy,
    /// The world.
    pub env: Arc<dyn Env>,
    /// Counters.
    pub stats: Arc<Stats>,
    /// The running queries.
    pub queries: Arc<Queries>,
    /// What the table's status shows.
    pub handle: Arc<SourceHandle>,
    /// The first error that stopped the run.
    pub errors: Arc<parking_lot::Mutex<Vec<EngineError>>>,
    /// Results that came before their turn.
    pub waiting: BTreeMap<u64, Output>,
    /// The ticket whose turn it is.
    pub next: u64,
    /// When the memory of repeats was freed last: the watermark then.
    pub dedup_expired: EventTime,
    /// When time was looked at last.
    pub last_tick: Duration,
    /// The next offset of each partition.
    pub positions: BTreeMap<u32, u64>,
    /// Where partitions end of which no record has come: a restart reads them from there, however far
    /// they have grown by then.
    pub ends: BTreeMap<u32, u64>,
    /// When the newest record of each partition was made, milliseconds.
    pub newest_ms: BTreeMap<u32, i64>,
    /// In a reading of history: where what it has seen goes when it joins the live one.
    pub hand_over: Option<Sender<Dedup>>,
    /// What a reading of history that joins here has seen, and until when rows wait for it.
    pub joining: Option<(Receiver<Dedup>, Duration)>,
}

impl Sequencer {
    fn handle(&mut self, output: Output) -> Poll {
        match output {
            Output::Batch(batch) => self.batch(*batch),
            Output::Event(event) => {
                let now = self.env.monotonic();
                match event {
                    SourceEvent::AtEnd {
                        partition,
                        next_offset,
                    } => {
                        self.handle.is_back(&self.table);
                        self.ends.insert(partition, next_offset);
                        let before = self.time.is_behind(now);
                        self.time.at_end(partition, now);
                        if before && !self.time.is_behind(now) {
                            // Nothing needs to be coalesced any more.
                            self.send_time();
                        }
                    }
                    SourceEvent::Added { partition } => self.time.add(partition, now),
                    SourceEvent::Finished { partition } => {
                        self.time.finished(partition);
                        self.send_time();
                    }
                    SourceEvent::Away { reason } => {
                        self.handle.away(&self.table, reason);
                        self.time.away();
                    }
                    SourceEvent::Records(_) | SourceEvent::Nothing => {}
                }
                self.align();
                Poll::Ready
            }
            Output::Change(change) => self.change(*change),
            Output::Barrier { barrier, marks } => self.barrier(&barrier, marks),
            Output::HandOver => {
                let time = self.now();
                for shard in &self.shards {
                    let _ = shard.send(ShardMessage::Time {
                        source: self.source,
                        time,
                    });
                    let _ = shard.send(ShardMessage::HandOver);
                }
                if let (Some(live), Some(dedup)) = (&self.hand_over, self.dedup.take()) {
                    let _ = live.send(dedup);
                }
                Poll::Done
            }
            Output::Removed => {
                for shard in &self.shards {
                    let _ = shard.send(ShardMessage::SourceGone {
                        source: self.source,
                    });
                }
                Poll::Done
            }
            Output::Failed(error) => {
                let message = error.to_string();
                self.handle.set_state(SourceState::Failed { message });
                self.errors.lock().push(error);
                self.end(false);
                Poll::Done
            }
            Output::Stopped => {
                self.end(true);
                Poll::Done
            }
        }
    }

    /// Saves what this task holds, and passes the barrier on.
    fn barrier(&mut self, barrier: &Barrier, marks: BTreeMap<u32, Mark>) -> Poll {
        let full = barrier.full;
        let repeats = self.dedup.as_ref().map_or(0, |d| d.saved_bytes(full));
        let mut bytes = room::take(repeats);
        self.time.save(&mut bytes);
        let dedup = self.dedup.as_mut();
        let whole = dedup.is_none_or(|dedup| dedup.save(full, &mut bytes));
        let part = Part::Scan {
            source: self.source,
            offsets: self.places(),
            marks,
            frontier: self.time.frontier(),
            lead_ms: self.handle.lead_ms(),
            saved: Saved { whole, bytes },
        };
        let side = match &self.bad_rows {
            BadRowPolicy::Send(table) => Some(table),
            BadRowPolicy::Drop | BadRowPolicy::Fail => None,
        };
        hand_in(part, &barrier.parts, side);
        for shard in &self.shards {
            let message = ShardMessage::Barrier {
                source: self.source,
                barrier: barrier.clone(),
            };
            if shard.send(message).is_err() {
                return Poll::Done;
            }
        }
        Poll::Ready
    }

    /// Where each partition is to be read on.
    fn places(&self) -> BTreeMap<u32, u64> {
        let mut places = self.ends.clone();
        places.extend(&self.positions);
        places
    }

    fn change(&mut self, change: Change) -> Poll {
        self.program = change.program;
        if let Some(repeats) = change.repeats {
            self.joining = Some((repeats, self.env.monotonic() + JOIN_WAIT));
        }
        for (shard, add) in self.shards.iter().zip(change.add) {
            let message = ShardMessage::Queries {
                source: self.source,
                program: Arc::clone(&self.program),
                remove: change.remove.clone(),
                add,
            };
            if shard.send(message).is_err() {
                return Poll::Done;
            }
        }
        Poll::Ready
    }

    fn batch(&mut self, mut batch: Prepared) -> Poll {
        let stats = Arc::clone(&self.stats);
        add(&stats.rows_in, batch.records as usize);
        add(&stats.bytes_in, batch.bytes);
        add(
            &stats.bad,
            batch.bad.len() - batch.future - batch.tombstones,
        );
        add(&stats.future, batch.future);
        add(&stats.tombstones, batch.tombstones);
        add(&stats.unknown_schemas, batch.unknown_schemas as usize);
        add(&stats.failed_rows, batch.evaluation.failed_rows);
        if !batch.bad.is_empty() {
            match &self.bad_rows {
                BadRowPolicy::Drop => {}
                BadRowPolicy::Send(table) => {
                    let bad = std::mem::take(&mut batch.bad);
                    let _ = table.send(SideMessage::Rows(bad));
                }
                BadRowPolicy::Fail => {
                    if let Some(row) = batch.bad.iter().find(|row| row.reason != "tombstone") {
                        self.errors.lock().push(EngineError::BadRow {
                            table: self.table.clone(),
                            partition: row.partition,
                            offset: row.offset,
                            reason: row.reason.clone(),
                        });
                        self.end(false);
                        return Poll::Done;
                    }
                }
            }
        }
        let now = self.env.monotonic();
        if batch.records > 0 {
            self.handle.is_back(&self.table);
            self.time.rows_came(batch.partition, now);
        }
        if self.positions.is_empty()
            && let Some(first) = batch.time.iter().min()
        {
            self.handle.first.store(*first, Relaxed);
        }
        if let Some(lead) = batch.lead_ms {
            self.handle.lead_ms.fetch_max(lead, Relaxed);
        }
        self.positions.insert(batch.partition, batch.next_offset);
        if let Some(newest) = batch.newest_ms {
            self.newest_ms.insert(batch.partition, newest);
        }
        self.handle.handed_on(batch.partition, batch.next_offset);
        let rows = batch.time.len();
        let mut watermark = Vec::with_capacity(rows);
        let mut fresh = Vec::with_capacity(rows);
        for row in 0..rows {
            let before = self.time.watermark();
            watermark.push(before);
            let key = batch.dedup.as_ref().and_then(|keys| keys[row]);
            let first = match (&mut self.dedup, key) {
                (Some(dedup), Some(key)) => dedup.insert(key, batch.time[row], before),
                _ => true,
            };
            if first {
                fresh.push(row as u32);
            }
            self.time
                .row(batch.partition, batch.time[row], batch.watermark[row]);
        }
        add(&stats.repeats, rows - fresh.len());
        self.expire_dedup();
        self.stats
            .frontier
            .0
            .fetch_max(self.time.frontier(), Relaxed);
        self.count_matched(&batch, &fresh);
        let selections = self.select(&batch, &fresh);
        let time = self.now();
        let progress = (batch.partition, batch.next_offset);
        let all_fresh = Arc::new(fresh);
        let evaluation = Arc::new(batch.evaluation);
        let (time_column, seq, watermark) = (
            Arc::new(batch.time),
            Arc::new(batch.seq),
            Arc::new(watermark),
        );
        let places = match batch.places {
            Some(places) => Arc::new(places),
            None => Arc::clone(&seq),
        };
        for (shard, selections) in selections.into_iter().enumerate() {
            let rows = SourceRows {
                source: self.source,
                evaluation: Arc::clone(&evaluation),
                time: Arc::clone(&time_column),
                seq: Arc::clone(&seq),
                places: Arc::clone(&places),
                watermark: Arc::clone(&watermark),
                fresh: Arc::clone(&all_fresh),
                selections,
                after: time,
                read_at_ms: batch.read_at_ms,
                progress,
            };
            if self.shards[shard]
                .send(ShardMessage::Rows(Box::new(rows)))
                .is_err()
            {
                return Poll::Done;
            }
        }
        self.align();
        Poll::Ready
    }

    /// Counts for each query the rows that pass its filter, repeats left out.
    fn count_matched(&self, batch: &Prepared, fresh: &[u32]) {
        let rows = batch.time.len();
        let mask = (fresh.len() < rows).then(|| {
            let mut mask = BooleanBufferBuilder::new(rows);
            mask.append_n(rows, false);
            for row in fresh {
                mask.set_bit(*row as usize, true);
            }
            mask.finish()
        });
        for (id, input) in &self.program.inputs {
            let gate = input.gate.map(|gate| &batch.evaluation.columns[gate]);
            let count = match (gate.map(|gate| gate.as_boolean().values()), &mask) {
                (None, _) => fresh.len(),
                (Some(gate), None) => gate.count_set_bits(),
                (Some(gate), Some(mask)) => (gate & mask).count_set_bits(),
            };
            if let Some(query) = self.queries.get(*id) {
                add(&query.stats.matched, count);
            }
        }
    }

    /// For each shard and key group, the rows that are its own.
    fn select(&self, batch: &Prepared, fresh: &[u32]) -> Vec<Vec<Vec<u32>>> {
        let shards = self.shards.len();
        let groups = &self.program.groups;
        let mut selections: Vec<Vec<Vec<u32>>> = (0..shards)
            .map(|_| {
                groups
                    .iter()
                    .map(|_| Vec::with_capacity(fresh.len() / shards + 16))
                    .collect()
            })
            .collect();
        for (index, group) in groups.iter().enumerate() {
            let Some(group) = group else { continue };
            let evaluation = &batch.evaluation;
            let route = evaluation.routes[index]
                .as_ref()
                .unwrap_or(&evaluation.keys[index]);
            let required: Vec<_> = group
                .required
                .iter()
                .map(|id| &evaluation.columns[*id])
                .filter(|column| column.logical_null_count() > 0)
                .collect();
            let mut keyless = Vec::new();
            for row in fresh {
                let at = *row as usize;
                if required.iter().any(|column| column.is_null(at)) {
                    keyless.push(at);
                    continue;
                }
                let shard = if shards == 1 {
                    0
                } else {
                    shard_of(route.hash(at), shards as u32) as usize
                };
                selections[shard][index].push(*row);
            }
            if !keyless.is_empty() {
                self.count_keyless(batch, index, &keyless);
            }
        }
        selections
    }

    /// Counts keyless rows for each query of the group that they would have been rows of.
    fn count_keyless(&self, batch: &Prepared, group: usize, rows: &[usize]) {
        for (id, input) in &self.program.inputs {
            if input.group != Some(group) {
                continue;
            }
            let count = match input.gate {
                None => rows.len(),
                Some(gate) => {
                    let gate = batch.evaluation.columns[gate].as_boolean();
                    rows.iter().filter(|row| gate.value(**row)).count()
                }
            };
            if let Some(query) = self.queries.get(*id) {
                add(&query.stats.keyless, count);
            }
        }
    }

    /// Takes over what a reading of history has seen. True while rows are to wait for it.
    fn join_repeats(&mut self) -> bool {
        let Some((repeats, until)) = &self.joining else {
            return false;
        };
        match repeats.try_recv() {
            Ok(seen) => {
                if let Some(dedup) = &mut self.dedup {
                    dedup.join(seen);
                }
                self.joining = None;
            }
            Err(TryRecvError::Disconnected) => self.joining = None,
            Err(TryRecvError::Empty) => return self.env.monotonic() < *until,
        }
        false
    }

    fn expire_dedup(&mut self) {
        let watermark = self.time.watermark();
        if let Some(dedup) = &mut self.dedup
            && watermark != NO_TIME
            && watermark
                >= self
                    .dedup_expired
                    .saturating_add(self.dedup_window / DEDUP_EXPIRE_SHARE)
        {
            dedup.expire(watermark);
            self.dedup_expired = watermark;
        }
    }

    fn now(&self) -> SourceTime {
        SourceTime {
            frontier: self.time.frontier(),
            watermark: self.time.watermark(),
            behind: self.time.is_behind(self.env.monotonic()),
        }
    }

    fn send_time(&mut self) {
        let time = self.now();
        self.stats.frontier.0.fetch_max(time.frontier, Relaxed);
        for shard in &self.shards {
            let _ = shard.send(ShardMessage::Time {
                source: self.source,
                time,
            });
        }
    }

    fn align(&mut self) {
        for pause in self.time.align() {
            let _ = self.reader.send(ReaderMessage::Pause {
                partition: pause.partition,
                paused: pause.paused,
            });
        }
    }

    /// Tells the shards that nothing follows. A bounded input that was read to its end closes
    /// every window; one that was stopped closes none.
    fn end(&mut self, finished: bool) {
        self.handle.set_state(SourceState::Ended);
        let mut time = self.now();
        let whole = finished && self.time.all_finished();
        if whole {
            time.watermark = END_OF_TIME;
            time.behind = false;
        }
        for shard in &self.shards {
            let _ = shard.send(ShardMessage::Time {
                source: self.source,
                time,
            });
            let _ = shard.send(ShardMessage::SourceEnd {
                source: self.source,
                whole,
            });
        }
        let _ = self.reader.send(ReaderMessage::Stop);
    }

    fn tick(&mut self) {
        let now = self.env.monotonic();
        if now.saturating_sub(self.last_tick) < TICK {
            return;
        }
        self.last_tick = now;
        let raised = self.time.raise_frontier(self.handle.floor.load(Relaxed));
        let mut partitions = self.time.partitions(&self.positions);
        let wall_ms = self.env.wall_ms();
        for partition in &mut partitions {
            let newest = self.newest_ms.get(&partition.partition);
            partition.lag_ms = match newest {
                _ if partition.at_end => Some(0),
                Some(newest) => Some(wall_ms.saturating_sub(*newest).max(0)),
                None => None,
            };
        }
        self.handle.show(self.now(), partitions);
        let behind = self.time.is_behind(now);
        if self.time.tick(now) || raised {
            self.send_time();
        } else if !behind {
            // The shards learn that reading has caught up, and need not coalesce any more.
            self.send_time();
        }
    }
}

impl Task for Sequencer {
    fn poll(&mut self) -> Poll {
        self.tick();
        if self.join_repeats() {
            return Poll::Idle(Some(TICK));
        }
        if let Some(output) = self.waiting.remove(&self.next) {
            self.next += 1;
            return self.handle(output);
        }
        match self.inbox.try_recv() {
            Ok((ticket, output)) if ticket == self.next => {
                self.next += 1;
                self.handle(output)
            }
            Ok((ticket, output)) => {
                self.waiting.insert(ticket, output);
                Poll::Ready
            }
            Err(TryRecvError::Empty) => Poll::Idle(Some(TICK)),
            Err(TryRecvError::Disconnected) => {
                self.end(false);
                Poll::Done
            }
        }
    }

    fn wait(&self, timeout: Option<Duration>) {
        match &self.joining {
            Some((repeats, until)) if self.env.monotonic() < *until => wait_for(repeats, timeout),
            _ => wait_for(&self.inbox, timeout),
        }
    }

    fn name(&self) -> String {
        format!("sequence {}", self.table)
    }
}
