//! Sink tasks: one a query. They run the query's tail, write, retry, and give shards credit.

pub mod checkpoint;
pub mod message;
mod notes;
pub mod rest;
pub mod side;

use crate::checkpoint::status::SharedStatus;
use crate::error::EngineError;
use crate::plan::Chain;
use crate::shard::finish::{Finished, Finisher};
use crate::shard::message::{Feedback, SourceTime};
use crate::shard::step::StepState;
use crate::stats::add;
use crate::status::{QueryHandle, QueryState};
use crate::task::{Poll, Task, wait_for};
use checkpoint::{Progressing, SavedSink};
use crossbeam_channel::{Receiver, Sender, TryRecvError};
use message::{ALL_REWRITES, SinkMessage};
use notes::Notes;
use rest::{Rest, Writing};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tidewheel_core::time::NO_TIME;
use tidewheel_core::{Env, Sink};
use tidewheel_kernel::aggregate::StateError;
use tidewheel_kernel::share::Share;

/// Most rows that a shard hands over at once.
pub const CREDIT_ROWS: usize = 8_192;
/// First and longest pause between two tries of a sink that is away.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));

/// The sink task of one query.
pub struct SinkTask {
    /// What is known of the query.
    pub handle: Arc<QueryHandle>,
    /// Nothing is written before this channel's senders are gone: those who write the same table
    /// and are being removed.
    pub after: Vec<Receiver<()>>,
    /// Held while the task lives, for those who come after.
    pub before: Sender<()>,
    /// The query.
    pub chain: Arc<Chain>,
    /// The sink.
    pub sink: Box<dyn Sink>,
    /// What it is told.
    pub inbox: Receiver<SinkMessage>,
    /// To the shards.
    pub shards: Vec<Sender<Feedback>>,
    /// The operators that see all shards.
    pub tail: Vec<StepState>,
    /// For the tail's rows.
    pub finisher: Finisher,
    /// The world.
    pub env: Arc<dyn Env>,
    /// Errors that stop the run.
    pub errors: Arc<parking_lot::Mutex<Vec<EngineError>>>,
    /// Told to stop although not everything could be written.
    pub give_up: Arc<std::sync::atomic::AtomicBool>,
    state: State,
    progressing: Progressing,
    /// Keys that a restart must find, where they are noted.
    notes: Option<Notes>,
    rest: Rest,
}

/// A batch that waits to be written.
struct Waiting {
    changes: Finished,
    /// The shard that gets credit once it is.
    shard: Option<usize>,
    /// When the oldest event that caused it was read.
    read_at_ms: Option<i64>,
}

/// What moves while a sink task runs.
struct State {
    /// Batches to write.
    queue: VecDeque<Waiting>,
    /// Each shard's time, and, where it has nothing more, one more than the rewrites that it had
    /// heard of by then.
    times: Vec<(SourceTime, u64)>,
    /// Shards to give credit to, and when.
    credits: Vec<(usize, Duration)>,
    retry_at: Duration,
    back_off: Duration,
    started: bool,
    counted_writes: u64,
    /// How often shards were asked to write everything again.
    rewrites: u64,
    /// Rows came for the tail while the sink was away.
    tail_waits: bool,
    /// The input has ended: credit does not wait for EMIT ON CHANGE EVERY.
    hurries: bool,
}

impl SinkTask {
    /// A sink task before its first message.
    #[allow(clippy::too_many_arguments)]
    #[must_use]
    pub fn new(
        handle: Arc<QueryHandle>,
        (before, after): (Sender<()>, Vec<Receiver<()>>),
        chain: Arc<Chain>,
        sink: Box<dyn Sink>,
        inbox: Receiver<SinkMessage>,
        shards: Vec<Sender<Feedback>>,
        tail: Vec<StepState>,
        env: Arc<dyn Env>,
        errors: Arc<parking_lot::Mutex<Vec<EngineError>>>,
        give_up: Arc<std::sync::atomic::AtomicBool>,
        writing: &Writing,
    ) -> Self {
        let time = SourceTime {
            frontier: NO_TIME,
            watermark: NO_TIME,
            behind: true,
        };
        let state = State {
            queue: VecDeque::new(),
            times: vec![(time, 0); shards.len()],
            credits: Vec::new(),
            retry_at: Duration::ZERO,
            back_off: BACK_OFF.0,
            started: false,
            counted_writes: 0,
            rewrites: 0,
            tail_waits: false,
            hurries: false,
        };
        let finisher = Finisher::new(Arc::clone(&chain));
        Self {
            handle,
            after,
            before,
            chain,
            sink,
            inbox,
            shards,
            tail,
            finisher,
            env,
            errors,
            give_up,
            state,
            progressing: Progressing::default(),
            notes: None,
            rest: Rest::new(writing),
        }
    }

    /// Values are written with how far they may have come. `fingerprint` is that of the query's
    /// definition, `status` that of the checkpoints.
    #[must_use]
    pub fn with_progress(mut self, fingerprint: u64, status: &Arc<SharedStatus>) -> Self {
        self.progressing.tells = true;
        self.notes = Notes::of(&self.chain, fingerprint, status, self.env.wall_ms());
        self
    }

    /// The query begins by history: its state comes shard by shard.
    #[must_use]
    pub fn with_history(mut self) -> Self {
        self.progressing.hold_tail(&self.chain, self.shards.len());
        self
    }

    /// The query goes on from a checkpoint, or from nothing where an earlier process may have
    /// written.
    ///
    /// # Errors
    /// What was saved is something else.
    pub fn restarted(mut self, saved: Option<&SavedSink>) -> Result<Self, StateError> {
        let shards = self.shards.len();
        self.progressing.restart(saved, &self.chain, shards);
        if let Some(saved) = saved {
            if saved.tail.len() != self.tail.len() {
                return Err(StateError("it has another number of steps".to_owned()));
            }
            for (step, bytes) in self.tail.iter_mut().zip(&saved.tail) {
                step.load(&[vec![bytes]], &Share::all(), &Share::all())?;
            }
        }
        if self.chain.current && !self.tail.is_empty() {
            if let Some(step) = self.tail.last_mut() {
                step.assume_standing(true);
            }
            self.finisher.assume_unknown();
        }
        Ok(self)
    }

    fn queue_is_empty(&self) -> bool {
        self.state.queue.is_empty()
    }

    fn queued(&self) -> impl Iterator<Item = &Waiting> {
        self.state.queue.iter()
    }

    fn push(&mut self, waiting: Waiting) {
        self.state.queue.push_back(waiting);
    }

    fn is_done(&self, shard: usize) -> bool {
        self.state.times[shard].1 > self.state.rewrites
    }

    fn credit(&mut self, shard: usize) {
        let message = Feedback::Credit {
            query: self.handle.id,
            rows: CREDIT_ROWS,
        };
        let _ = self.shards[shard].send(message);
    }

    /// Gives the shard credit, now or once `EMIT ON CHANGE EVERY` has passed.
    fn credit_later(&mut self, shard: usize) {
        match self.chain.emit_every {
            Some(every) if !self.state.hurries => {
                self.state
                    .credits
                    .push((shard, self.env.monotonic() + every));
            }
            _ => self.credit(shard),
        }
    }

    fn all_ended(&self) -> bool {
        let rewrites = self.state.rewrites;
        self.state.times.iter().all(|(_, done)| *done > rewrites)
    }

    fn handle(&mut self, message: SinkMessage) -> Result<(), EngineError> {
        match message {
            SinkMessage::Changes {
                shard,
                changes,
                credit,
                read_at_ms,
            } => {
                self.progressing.adopt(&self.chain, &changes.batch)?;
                self.state.queue.push_back(Waiting {
                    changes,
                    shard: credit.then_some(shard),
                    read_at_ms,
                });
                Ok(())
            }
            SinkMessage::Upserts {
                shard,
                batches,
                time,
            } => {
                for rows in &batches {
                    if let Some(first) = self.tail.first_mut() {
                        first.upserts(rows, &self.handle.stats)?;
                    }
                }
                self.state.times[shard].0 = time;
                self.run_tail()?;
                self.credit_later(shard);
                Ok(())
            }
            SinkMessage::Hurry => {
                self.state.hurries = true;
                Ok(())
            }
            SinkMessage::Wake | SinkMessage::Barrier { .. } | SinkMessage::Settled { .. } => Ok(()),
            SinkMessage::Done { shard, rewrites } => {
                let done = &mut self.state.times[shard].1;
                *done = (*done).max(rewrites.saturating_add(1));
                // A query that is gone before it was whole leaves what stands.
                if rewrites != ALL_REWRITES {
                    self.settled(shard)?;
                }
                self.pass_barrier()
            }
        }
    }

    /// The time that all shards have reached.
    fn time(&self) -> SourceTime {
        let times = self.state.times.iter().map(|(time, _)| *time);
        times
            .reduce(|a, b| SourceTime {
                frontier: a.frontier.min(b.frontier),
                watermark: a.watermark.min(b.watermark),
                behind: a.behind || b.behind,
            })
            .unwrap_or(SourceTime {
                frontier: NO_TIME,
                watermark: NO_TIME,
                behind: true,
            })
    }

    /// Lets the tail work, unless earlier changes of its wait to be written: then later, so that
    /// changes of the same keys are one.
    fn run_tail(&mut self) -> Result<(), EngineError> {
        self.state.tail_waits = !self.state.queue.is_empty();
        if self.state.tail_waits {
            return Ok(());
        }
        self.tail()
    }

    fn tail(&mut self) -> Result<(), EngineError> {
        let time = self.time();
        // Every shard's frontier is one that the table had, so the highest is its newest: what a
        // value's time to live is counted from.
        let frontiers = self.state.times.iter().map(|(time, _)| time.frontier);
        let newest = frontiers.max().unwrap_or(NO_TIME);
        let last = self.tail.len();
        for at in 0..last {
            if at > 0 {
                while let Some(rows) =
                    self.tail[at - 1].take(usize::MAX, true, &self.handle.stats)?
                {
                    self.tail[at].upserts(&rows, &self.handle.stats)?;
                }
            }
            while self.tail[at].advance(time) {}
        }
        if self.progressing.tail_closed {
            return Ok(());
        }
        if let Some(step) = self.tail.last_mut() {
            step.mark(&self.finisher.renewable(newest, usize::MAX));
            while let Some(rows) = step.take(CREDIT_ROWS, true, &self.handle.stats)? {
                let changes = self.finisher.finish(&rows, newest, &self.handle.stats)?;
                if let Some(changes) = changes {
                    self.progressing.adopt(&self.chain, &changes.batch)?;
                    self.state.queue.push_back(Waiting {
                        changes,
                        shard: None,
                        read_at_ms: None,
                    });
                }
            }
            let freed = step.freed();
            self.finisher.freed(&freed);
        }
        Ok(())
    }

    /// Renews the ttls of all of the tail's values, where event time has fallen so far behind the
    /// clock that they would expire.
    fn renew(&mut self, now: Duration) -> Result<(), EngineError> {
        let frontiers = self.state.times.iter().map(|(time, _)| time.frontier);
        let newest = frontiers.max().unwrap_or(NO_TIME);
        if let Some(step) = self.tail.last_mut()
            && self.finisher.renews_all(now, newest)
        {
            step.refresh();
            return self.tail();
        }
        Ok(())
    }

    /// Writes the first waiting batch. False when the sink is away.
    fn write(&mut self) -> Result<bool, EngineError> {
        let noted = self.note()?;
        let progress = self.progress();
        let Some(waiting) = self.state.queue.front() else {
            return Ok(true);
        };
        let batch = &waiting.changes.batch;
        let written = noted.and_then(|()| self.sink.write(batch, &progress));
        let writes = self.sink.writes();
        add(
            &self.handle.stats.writes,
            writes.saturating_sub(self.state.counted_writes) as usize,
        );
        self.state.counted_writes = writes;
        if !self.heed(written)? {
            return Ok(false);
        }
        if let Some(written) = self.state.queue.pop_front() {
            let now = self.env.wall_ms();
            self.handle
                .acknowledged(&written.changes.batch, written.read_at_ms, now);
            if let Some(shard) = written.shard {
                self.credit_later(shard);
            }
        }
        Ok(true)
    }

    /// The sink has lost what was written: everything is asked for once more.
    fn write_again(&mut self) {
        self.rest.set(false);
        self.state.rewrites += 1;
        for shard in &self.shards {
            let _ = shard.send(Feedback::Rewrite {
                query: self.handle.id,
            });
        }
        if let Some(step) = self.tail.last_mut() {
            self.finisher.forget_all();
            step.refresh();
            // It may be that no shard has anything to say to it.
            self.state.tail_waits = true;
        }
    }

    fn away(&mut self, message: &str) {
        let table = &self.chain.sink.name;
        if self.handle.sink_is_away(message) {
            tracing::warn!(table, message, "the sink is away; changes wait for it");
        }
        self.handle.stats.sink_retries.fetch_add(1, Relaxed);
        self.state.retry_at = self.env.monotonic() + self.state.back_off;
        self.state.back_off = (self.state.back_off * 2).min(BACK_OFF.1);
    }

    fn step(&mut self) -> Result<Poll, EngineError> {
        if !self.state.started {
            let gone = |other: &Receiver<()>| other.try_recv() == Err(TryRecvError::Disconnected);
            let waits = !self.after.iter().all(gone) && !self.give_up.load(Relaxed);
            // Whoever it waits for may be waiting for all others to have written.
            self.rest.set(waits);
            if waits {
                return Ok(Poll::Idle(Some(BACK_OFF.0)));
            }
            if self.env.monotonic() < self.state.retry_at {
                return self.read_barriers();
            }
            if !self.ask_progress()? {
                return self.read_barriers();
            }
            self.state.started = true;
            for shard in 0..self.shards.len() {
                self.credit(shard);
            }
            return Ok(Poll::Ready);
        }
        let now = self.env.monotonic();
        let due: Vec<usize> = self
            .state
            .credits
            .iter()
            .filter(|(_, at)| *at <= now || self.state.hurries)
            .map(|(shard, _)| *shard)
            .collect();
        let hurries = self.state.hurries;
        self.state.credits.retain(|(_, at)| *at > now && !hurries);
        for shard in due {
            self.credit(shard);
        }
        self.renew(now)?;
        self.pass_barrier()?;
        // Barriers pass while the sink is away; there are few messages of others.
        let most = 2 * self.shards.len() + 8;
        while !self.state.queue.is_empty() && self.state.queue.len() < most {
            match self.inbox.try_recv() {
                Ok(message) => self.receive(message)?,
                Err(_) => break,
            }
        }
        if self.state.tail_waits && self.state.queue.is_empty() {
            self.run_tail()?;
        }
        if !self.state.queue.is_empty() {
            if now < self.state.retry_at {
                let abandoned = self.handle.abandoned.load(Relaxed) && self.all_ended();
                if self.give_up.load(Relaxed) || abandoned {
                    return self.close();
                }
                let wait = (self.state.retry_at - now).min(Duration::from_millis(100));
                return Ok(Poll::Idle(Some(wait)));
            }
            return Ok(if self.write()? {
                Poll::Ready
            } else {
                Poll::Idle(Some(BACK_OFF.0))
            });
        }
        match self.inbox.try_recv() {
            Ok(message) => {
                self.receive(message)?;
                Ok(Poll::Ready)
            }
            Err(TryRecvError::Empty) => self.rest(now),
            Err(TryRecvError::Disconnected) => self.close(),
        }
    }

    /// Before the first write: barriers, and the news that shards have ended.
    fn read_barriers(&mut self) -> Result<Poll, EngineError> {
        while let Ok(message) = self.inbox.try_recv() {
            self.receive(message)?;
        }
        self.pass_barrier()?;
        if self.give_up.load(Relaxed) || self.all_ended() && self.is_removed() {
            return self.close();
        }
        Ok(Poll::Idle(Some(BACK_OFF.0)))
    }

    fn close(&mut self) -> Result<Poll, EngineError> {
        let closed = self.sink.close();
        let writes = self.sink.writes();
        add(
            &self.handle.stats.writes,
            writes.saturating_sub(self.state.counted_writes) as usize,
        );
        self.state.counted_writes = writes;
        closed.map_err(|error| EngineError::Sink {
            table: self.chain.sink.name.clone(),
            message: error.to_string(),
        })?;
        Ok(Poll::Done)
    }
}

impl Task for SinkTask {
    fn poll(&mut self) -> Poll {
        let poll = self.step().unwrap_or_else(|error| {
            self.handle.set_state(QueryState::Failed {
                message: error.to_string(),
            });
            self.errors.lock().push(error);
            Poll::Done
        });
        if poll == Poll::Done {
            self.handle.sink_gone.store(true, Relaxed);
        }
        poll
    }

    fn wait(&self, timeout: Option<Duration>) {
        if !self.state.started {
            self.env.sleep(timeout.unwrap_or(BACK_OFF.0));
            return;
        }
        // While a batch waits for its retry, messages do not matter.
        if self.state.queue.is_empty() {
            wait_for(&self.inbox, timeout);
        } else {
            self.env.sleep(timeout.unwrap_or(BACK_OFF.0));
        }
    }

    fn name(&self) -> String {
        format!("sink {}", self.chain.name)
    }
}
