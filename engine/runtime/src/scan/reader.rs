//! Takes chunks from a source and numbers them.

use super::change::Change;
use super::meeting::{Approach, Guest, Positions, goal};
use super::program::{QueryId, ScanProgram};
use super::worker::{Output, Work};
use crate::checkpoint::Barrier;
use crate::error::EngineError;
use crate::memory::MemoryGate;
use crate::status::SourceHandle;
use crate::task::{Poll, Task};
use crossbeam_channel::{Receiver, Sender};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tidewheel_core::{Env, RawChunk, Source, SourceEvent};

/// How long a source may wait for records before the reader looks at its own inbox.
const POLL_TIMEOUT: Duration = Duration::from_millis(20);
/// How long a reader of history waits for its next message once it has caught up.
const WAIT_TO_JOIN: Duration = Duration::from_millis(5);
/// How long a reader of history waits for each chunk that waits in the live reading.
const YIELD: Duration = Duration::from_micros(500);
/// A reader of history takes a chunk at the latest after it has yielded for so long, that it comes
/// to its end also where the live reading is always busy.
const YIELD_MAX: Duration = Duration::from_millis(20);
/// How long a reader waits for its next message while memory is short.
const HELD: Duration = Duration::from_millis(10);
/// How often the source is asked how much is left.
const LAG_EVERY: Duration = Duration::from_secs(1);

/// What a reader is told.
#[derive(Debug)]
pub enum ReaderMessage {
    /// Stop or go on with a partition.
    Pause {
        /// The partition.
        partition: u32,
        /// Stop or go on.
        paused: bool,
    },
    /// From here on, other queries.
    Change(Box<Change>),
    /// A reading of history has caught up: meet it at the farther of both places, then change.
    Meet {
        /// Where the other stands.
        positions: Positions,
        /// The other reading, to be told the goal.
        guest: Guest,
        /// What changes there.
        change: Box<Change>,
    },
    /// To a reading of history: go on to the goal, and hand over.
    Finish(Positions),
    /// State is to be saved as it is here.
    Barrier(Barrier),
    /// Read no more; what was read is written.
    Stop,
    /// Read no more; the table's queries are gone.
    Remove,
}

/// A reading of history has caught up with the live one and waits to be told where to meet.
#[derive(Debug)]
pub struct CaughtUp {
    /// The query that it is for.
    pub query: QueryId,
    /// Where it stands.
    pub positions: Positions,
}

/// What a reading of history knows beside its source.
pub struct History {
    /// The query that it is for.
    pub query: QueryId,
    /// Whom to tell that it has caught up.
    pub coordinator: Sender<CaughtUp>,
    /// The live reading, to which this one yields.
    pub live: Arc<SourceHandle>,
    /// Partitions whose end was seen.
    pub at_end: BTreeSet<u32>,
    /// It has caught up and said so.
    pub waiting: bool,
    /// How long it has yielded since its last chunk.
    pub yielded: Duration,
}

/// With whom a reader meets, and what changes there.
type Company = Option<(Guest, Box<Change>)>;

/// Reads one source table.
pub struct Reader {
    /// The table's name.
    pub table: String,
    /// The source.
    pub source: Box<dyn Source>,
    /// What the reader is told.
    pub inbox: Receiver<ReaderMessage>,
    /// To the workers.
    pub workers: Sender<Work>,
    /// To the sequencer, for what needs no decoding.
    pub sequencer: Sender<(u64, Output)>,
    /// The program that chunks are evaluated by.
    pub program: Arc<ScanProgram>,
    /// Bytes of a chunk.
    pub chunk_bytes: usize,
    /// The world.
    pub env: Arc<dyn Env>,
    /// Counters, and what the table's status shows.
    pub handle: Arc<SourceHandle>,
    /// The number of the next chunk or event.
    pub ticket: u64,
    /// A bounded source's partitions that are still open.
    pub open: Vec<u32>,
    /// Set in a reading of history.
    pub history: Option<History>,
    /// The next offset of each partition, once the source has given records of it or told its end: a
    /// saved place may be one that is not there any more.
    pub positions: Positions,
    /// Partitions of which a record was read. Of others the position is the store's end, which a
    /// reader that has come by way of records does not always reach: behind the last record there
    /// may be more places, as behind a transaction.
    pub read: BTreeSet<u32>,
    /// The way to a meeting, with whom, and what changes there (nothing in a reading of history).
    pub approach: Option<(Approach, Company)>,
    /// Messages that wait for the meeting.
    pub deferred: VecDeque<ReaderMessage>,
    /// Partitions that alignment has paused.
    pub paused: BTreeSet<u32>,
    /// Chunks that were read before they were wanted.
    pub kept: VecDeque<RawChunk>,
    /// When the source is asked next how much is left.
    pub lag_at: Duration,
    /// Whether there is memory to read on.
    pub memory: Arc<MemoryGate>,
    /// It has said that there is none.
    pub held: bool,
}

impl Reader {
    fn send(&mut self, output: Output) -> bool {
        self.ticket += 1;
        self.sequencer.send((self.ticket - 1, output)).is_ok()
    }

    fn end(&mut self, output: Output) -> Poll {
        self.send(output);
        Poll::Done
    }

    /// Obeys one message. `Some`: what the task says.
    fn obey(&mut self, message: ReaderMessage) -> Option<Poll> {
        match message {
            ReaderMessage::Pause { partition, paused } => {
                if paused {
                    self.paused.insert(partition);
                } else {
                    self.paused.remove(&partition);
                }
                // On the way to a meeting, only the goal decides.
                if self.approach.is_none() {
                    self.source.pause(partition, paused);
                }
                None
            }
            ReaderMessage::Stop => Some(self.end(Output::Stopped)),
            ReaderMessage::Remove => Some(self.end(Output::Removed)),
            later if self.is_meeting() => {
                self.deferred.push_back(later);
                None
            }
            ReaderMessage::Change(change) => self.change(change),
            ReaderMessage::Barrier(barrier) => {
                let marks = self.source.marks();
                (!self.send(Output::Barrier { barrier, marks })).then_some(Poll::Done)
            }
            ReaderMessage::Meet {
                positions,
                guest,
                change,
            } => {
                let goal = goal(&place(&self.positions, &self.read), &positions);
                let _ = guest.reader.send(ReaderMessage::Finish(goal.clone()));
                self.approach(goal, Some((guest, change)))
            }
            ReaderMessage::Finish(goal) => self.approach(goal, None),
        }
    }

    fn change(&mut self, change: Box<Change>) -> Option<Poll> {
        self.program = Arc::clone(&change.program);
        (!self.send(Output::Change(change))).then_some(Poll::Done)
    }

    fn approach(&mut self, goal: Positions, change: Company) -> Option<Poll> {
        for partition in &self.paused {
            self.source.pause(*partition, false);
        }
        self.approach = Some((Approach::new(goal), change));
        self.arrive()
    }

    /// Pauses what has come to the goal; ends the approach when all has.
    fn arrive(&mut self) -> Option<Poll> {
        let (approach, _) = self.approach.as_mut()?;
        for partition in approach.arrivals(&self.positions) {
            self.source.pause(partition, true);
        }
        if !approach.is_there(&self.positions) {
            return None;
        }
        let (approach, change) = self.approach.take()?;
        let Some((mut guest, change)) = change else {
            return Some(self.end(Output::HandOver));
        };
        let (kept, arrived) = approach.end();
        self.kept.extend(kept);
        for partition in arrived.union(&self.paused) {
            let paused = self.paused.contains(partition);
            self.source.pause(*partition, paused);
        }
        let poll = self.change(change);
        guest.has_joined = poll.is_none();
        poll
    }

    /// On the way to a meeting, or not yet through with what was read beyond the last one: what its
    /// place is, and what others may be told of it, is not known then.
    fn is_meeting(&self) -> bool {
        self.approach.is_some() || !self.kept.is_empty()
    }

    /// Sends a chunk to the workers, or the part of it that lies before a meeting.
    fn chunk(&mut self, chunk: RawChunk) -> Poll {
        self.memory.reads();
        let chunk = match &mut self.approach {
            None => Some(chunk),
            Some((approach, _)) => approach.take(chunk),
        };
        let Some(chunk) = chunk else {
            return Poll::Ready;
        };
        self.positions.insert(chunk.partition, chunk.next_offset);
        self.read.insert(chunk.partition);
        let work = Work {
            ticket: self.ticket,
            read_at_ms: self.env.wall_ms(),
            program: Arc::clone(&self.program),
            chunk,
        };
        self.ticket += 1;
        self.handle.queued.fetch_add(1, Relaxed);
        if self.workers.send(work).is_err() {
            return Poll::Done;
        }
        self.arrive().unwrap_or(Poll::Ready)
    }

    fn event(&mut self, event: SourceEvent) -> Poll {
        let sent = match event {
            SourceEvent::Nothing => return Poll::Idle(Some(Duration::from_micros(200))),
            SourceEvent::Records(chunk) => return self.chunk(chunk),
            SourceEvent::Finished { partition } => {
                self.open.retain(|open| *open != partition);
                let last = self.open.is_empty() && self.source.is_bounded();
                if !self.send(Output::Event(SourceEvent::Finished { partition })) {
                    return Poll::Done;
                }
                if last {
                    return self.end(Output::Stopped);
                }
                true
            }
            SourceEvent::Added { partition } => {
                self.open.push(partition);
                self.send(Output::Event(SourceEvent::Added { partition }))
            }
            SourceEvent::AtEnd {
                partition,
                next_offset,
            } => {
                self.positions.insert(partition, next_offset);
                if let Some(history) = &mut self.history {
                    history.at_end.insert(partition);
                }
                if !self.send(Output::Event(event)) {
                    return Poll::Done;
                }
                if let Some(poll) = self.arrive() {
                    return poll;
                }
                true
            }
            event @ SourceEvent::Away { .. } => self.send(Output::Event(event)),
        };
        if sent { Poll::Ready } else { Poll::Done }
    }

    /// While memory is short: reads nothing, and says so once, so that time stands still.
    fn hold(&mut self) -> Option<Poll> {
        if !self.memory.is_full() {
            self.held = false;
            return None;
        }
        if !std::mem::replace(&mut self.held, true) {
            let reason = self.memory.reason();
            if !self.send(Output::Event(SourceEvent::Away { reason })) {
                return Some(Poll::Done);
            }
        }
        Some(Poll::Idle(Some(HELD)))
    }

    /// In a reading of history: says once that it has caught up; yields to the live reading.
    fn history(&mut self) -> Option<Poll> {
        let history = self.history.as_mut()?;
        if self.approach.is_some() {
            return None;
        }
        let partitions = self.source.partitions();
        if !history.waiting
            && !partitions.is_empty()
            && partitions.iter().all(|p| history.at_end.contains(p))
        {
            history.waiting = true;
            let caught_up = CaughtUp {
                query: history.query,
                positions: place(&self.positions, &self.read),
            };
            let _ = history.coordinator.send(caught_up);
        }
        if history.waiting {
            return Some(Poll::Idle(Some(WAIT_TO_JOIN)));
        }
        let waiting = u32::try_from(history.live.queued.load(Relaxed)).unwrap_or(u32::MAX);
        if waiting == 0 || history.yielded >= YIELD_MAX {
            history.yielded = Duration::ZERO;
            return None;
        }
        let wait = YIELD.saturating_mul(waiting).min(YIELD_MAX);
        history.yielded += wait;
        Some(Poll::Idle(Some(wait)))
    }

    /// Messages in the order in which they came.
    fn next_message(&mut self) -> Option<ReaderMessage> {
        if !self.is_meeting()
            && let Some(message) = self.deferred.pop_front()
        {
            return Some(message);
        }
        self.inbox.try_recv().ok()
    }
}

/// Where a reader is, as far as another one can come there.
fn place(positions: &Positions, read: &BTreeSet<u32>) -> Positions {
    let all = positions.iter();
    let reachable = all.filter(|(partition, _)| read.contains(partition));
    reachable.map(|(number, at)| (*number, *at)).collect()
}

impl Task for Reader {
    fn poll(&mut self) -> Poll {
        while let Some(message) = self.next_message() {
            if let Some(poll) = self.obey(message) {
                return poll;
            }
        }
        // It is in memory already, so it goes on also where that is short.
        if self.approach.is_none()
            && let Some(chunk) = self.kept.pop_front()
        {
            return self.chunk(chunk);
        }
        // What a reading of history has left when it joins is waited for by all shards.
        let awaited = self.history.is_some() && self.approach.is_some();
        if let Some(poll) = if awaited { None } else { self.hold() } {
            return poll;
        }
        if let Some(poll) = self.history() {
            return poll;
        }
        let event = match self.source.poll(self.chunk_bytes, POLL_TIMEOUT) {
            Ok(event) => event,
            Err(error) => {
                let table = self.table.clone();
                return self.end(Output::Failed(EngineError::Source {
                    table,
                    message: error.0,
                }));
            }
        };
        let now = self.env.monotonic();
        if now >= self.lag_at {
            self.lag_at = now + LAG_EVERY;
            self.handle.show_lags(&self.source.lags());
        }
        if let Some((total, read)) = self.source.size() {
            self.handle.stats.size.0.store(read, Relaxed);
            self.handle.stats.size.1.store(total, Relaxed);
        }
        self.event(event)
    }

    fn wait(&self, timeout: Option<Duration>) {
        crate::task::wait_for(&self.inbox, timeout);
    }

    fn name(&self) -> String {
        format!("read {}", self.table)
    }
}
