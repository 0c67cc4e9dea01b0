//! What has changed in a query's shard, handed to the next operator or the sink.

use super::{First, QueryShard};
use crate::error::EngineError;
use crate::shard::message::SourceTime;
use crate::shard::rows::{Upserts, upserts};
use crate::sink::message::{ALL_REWRITES, SinkMessage};
use crate::stats::Stats;
use std::time::Duration;
use tidewheel_kernel::change::Changes;
use tidewheel_kernel::window::WindowOperator;

impl QueryShard {
    /// The rows that changed, of the last operator of this shard, at most about `max`.
    fn pull(
        &mut self,
        groups: &mut [Option<WindowOperator>],
        time: SourceTime,
        max: usize,
        include_expiry: bool,
        stats: &Stats,
    ) -> Result<Option<Upserts>, EngineError> {
        let last = self.rest.len();
        for at in 0..last {
            // Everything below, then time, then what changed above.
            loop {
                let rows = if at == 0 {
                    self.pull_first(groups, usize::MAX, true, stats)?
                } else {
                    self.rest[at - 1].take(usize::MAX, true, stats)?
                };
                let Some(rows) = rows else { break };
                self.rest[at].upserts(&rows, stats)?;
            }
            // All of a step's timers before the next step's: what they change would be late there.
            while self.rest[at].advance(time) {}
        }
        let rows = match self.rest.last_mut() {
            Some(step) => {
                let rows = step.take(max, include_expiry, stats)?;
                let freed = step.freed();
                self.freed_later.extend(freed);
                rows
            }
            None => self.pull_first(groups, max, include_expiry, stats)?,
        };
        Ok(rows)
    }

    fn pull_first(
        &mut self,
        groups: &mut [Option<WindowOperator>],
        max: usize,
        include_expiry: bool,
        stats: &Stats,
    ) -> Result<Option<Upserts>, EngineError> {
        let failed = |error: arrow::error::ArrowError| EngineError::Expression(error.to_string());
        let changes: Option<Changes> = match &mut self.first {
            First::None | First::Over(_) => None,
            First::Set { group, set } => match groups.get_mut(*group).and_then(Option::as_mut) {
                Some(operator) => operator.take_changes(*set, max, include_expiry),
                None => None,
            },
            First::Group(operator) => operator.take_changes(max, include_expiry),
            First::Latest(operator) => operator.take_changes(max).map_err(failed)?,
        };
        match (changes, self.chain.steps.first()) {
            (Some(changes), Some(step)) => {
                upserts(step, changes, self.identity.as_ref(), stats).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn take_freed(&mut self, groups: &mut [Option<WindowOperator>]) -> Vec<u32> {
        match &mut self.first {
            First::Set { group, set } => groups
                .get_mut(*group)
                .and_then(Option::as_mut)
                .map(|operator| operator.take_freed(*set))
                .unwrap_or_default(),
            First::Group(operator) => operator.take_freed(),
            First::Latest(operator) => operator.take_freed(),
            First::None | First::Over(_) => Vec::new(),
        }
    }

    /// Sends the sink what changed, if it is ready for it. Returns whether something was sent.
    ///
    /// # Errors
    /// An expression cannot be evaluated at all.
    pub fn serve(
        &mut self,
        shard: usize,
        groups: &mut [Option<WindowOperator>],
        time: SourceTime,
        include_expiry: bool,
        stats: &Stats,
    ) -> Result<bool, EngineError> {
        if self.credit == 0 {
            return Ok(false);
        }
        let max = self.credit;
        let renewable = self.finisher.renewable(time.frontier, max);
        self.mark(groups, &renewable);
        if !self.chain.tail.is_empty() {
            return self.serve_tail(shard, groups, time, stats);
        }
        loop {
            let rows = self.pull(groups, time, max, include_expiry, stats)?;
            let of_first = self.take_freed(groups);
            let freed = if self.rest.is_empty() {
                of_first
            } else {
                std::mem::take(&mut self.freed_later)
            };
            let Some(mut rows) = rows else {
                self.finisher.freed(&freed);
                if include_expiry {
                    self.read_at_ms = None;
                    self.settle(shard);
                }
                return Ok(false);
            };
            if let Some(until) = self.skip_until {
                rows = rows.ending_after(until)?;
            }
            let changes = self.finisher.finish(&rows, time.frontier, stats)?;
            self.finisher.freed(&freed);
            if let Some(changes) = changes {
                self.credit = 0;
                let read_at = self
                    .read_at_ms
                    .take()
                    .filter(|_| changes.batch.urgent && !time.behind);
                let _ = self.sink.send(SinkMessage::Changes {
                    shard,
                    changes,
                    credit: true,
                    read_at_ms: read_at,
                });
                return Ok(true);
            }
        }
    }

    /// Sends the tail all that changed, and the time up to which that is all.
    fn serve_tail(
        &mut self,
        shard: usize,
        groups: &mut [Option<WindowOperator>],
        time: SourceTime,
        stats: &Stats,
    ) -> Result<bool, EngineError> {
        let mut batches = Vec::new();
        loop {
            let rows = self.pull(groups, time, usize::MAX, true, stats)?;
            match rows {
                Some(rows) => batches.push(match self.skip_until {
                    Some(until) => rows.ending_after(until)?,
                    None => rows,
                }),
                None => break,
            }
        }
        let freed = self.take_freed(groups);
        drop(freed);
        if batches.is_empty() && self.told == Some(time) {
            self.settle(shard);
            return Ok(false);
        }
        self.told = Some(time);
        self.credit = 0;
        let _ = self.sink.send(SinkMessage::Upserts {
            shard,
            batches,
            time,
        });
        // That was all, so that one is not waited for that has always more to say.
        self.settle(shard);
        Ok(true)
    }

    /// Has keys of the last operator looked at again.
    fn mark(&mut self, groups: &mut [Option<WindowOperator>], slots: &[u32]) {
        if slots.is_empty() {
            return;
        }
        if let Some(step) = self.rest.last_mut() {
            step.mark(slots);
            return;
        }
        match &mut self.first {
            First::Set { group, set } => {
                if let Some(operator) = groups.get_mut(*group).and_then(Option::as_mut) {
                    operator.mark(*set, slots);
                }
            }
            First::Group(operator) => operator.mark(slots),
            First::Latest(operator) => operator.mark_again(slots),
            First::None | First::Over(_) => {}
        }
    }

    /// Renews the ttls of all live values, in chunks as the sink takes them, where event time has
    /// fallen so far behind the clock that they would expire: true then. `now` is the monotonic
    /// time.
    pub fn renew(
        &mut self,
        groups: &mut [Option<WindowOperator>],
        time: SourceTime,
        now: Duration,
    ) -> bool {
        let due = self.chain.tail.is_empty() && self.finisher.renews_all(now, time.frontier);
        if due {
            self.refresh(groups);
        }
        due
    }

    /// Tells the sink that nothing follows. One that has not begun to write, or was paused before it
    /// had said all that stands, leaves what stands.
    pub fn send_done(&mut self, shard: usize) {
        self.done = true;
        let begun = !self.muted && self.is_open() && !self.settling;
        let rewrites = if begun { self.rewrites } else { ALL_REWRITES };
        let _ = self.sink.send(SinkMessage::Done { shard, rewrites });
    }

    /// Whether other operators follow the first.
    #[must_use]
    pub fn has_steps(&self) -> bool {
        !self.rest.is_empty() || !self.chain.tail.is_empty()
    }

    /// How often [`Self::renew`] is to be asked while nothing else happens.
    #[must_use]
    pub fn look_every(&self) -> Option<Duration> {
        self.finisher.look_every()
    }
}
