//! A sink task with nothing to write: whether what it wrote still stands, and when it ends.
//!
//! A store can lose its data while a query is silent. Whoever writes next would find that out, but a
//! query over rare events may not write for hours, and one at the end of its input never again. So
//! the sink is asked now and then, and before it is closed; and at the end of a run no sink is closed
//! while another still waits for the store.

use super::message::ALL_REWRITES;
use super::{BACK_OFF, SinkTask};
use crate::error::EngineError;
use crate::task::Poll;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tidewheel_core::SinkError;

/// How long a sink with nothing to write is not asked whether what it wrote still stands.
const VERIFY_EVERY: Duration = Duration::from_secs(1);
/// How often a sink at its end looks whether all others are there too.
const OTHERS_EVERY: Duration = Duration::from_millis(5);

/// The sinks of an engine that may still have something to write.
#[derive(Debug, Clone, Default)]
pub struct Writing(Arc<AtomicUsize>);

/// One sink's part in it.
pub(super) struct Rest {
    all: Writing,
    counted: bool,
    /// When it is asked next whether what it wrote stands.
    verify_at: Duration,
}

impl Rest {
    pub(super) fn new(all: &Writing) -> Self {
        all.0.fetch_add(1, Relaxed);
        Self {
            all: all.clone(),
            counted: true,
            verify_at: Duration::ZERO,
        }
    }

    /// It has written all or may not begin, or it writes.
    pub(super) fn set(&mut self, ended: bool) {
        if self.counted != ended {
            return;
        }
        self.counted = !ended;
        if ended {
            self.all.0.fetch_sub(1, Relaxed);
        } else {
            self.all.0.fetch_add(1, Relaxed);
        }
    }

    fn others_write(&self) -> bool {
        self.all.0.load(Relaxed) > usize::from(self.counted)
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        self.set(true);
    }
}

impl SinkTask {
    /// Nothing waits to be written, and no message is there.
    pub(super) fn rest(&mut self, now: Duration) -> Result<Poll, EngineError> {
        let ended = self.all_ended();
        self.rest.set(ended);
        if self.give_up.load(Relaxed) || ended && self.is_removed() {
            return self.close();
        }
        let ends = ended && !self.rest.others_write();
        if now >= self.rest.verify_at || ends && now >= self.state.retry_at {
            if !self.verify()? {
                return Ok(Poll::Idle(Some(BACK_OFF.0)));
            }
            if ends {
                return self.close();
            }
        }
        let credits = self.state.credits.iter();
        let next = credits.map(|(_, at)| at.saturating_sub(now)).min();
        let look = self.finisher.look_every().filter(|_| !self.tail.is_empty());
        let verify = self.rest.verify_at.saturating_sub(now);
        let others = ended.then_some(OTHERS_EVERY);
        let waits = [next, look, Some(verify), others];
        Ok(Poll::Idle(waits.into_iter().flatten().min()))
    }

    /// Nobody asks for the query's values any more.
    pub(super) fn is_removed(&self) -> bool {
        let gone = ALL_REWRITES.saturating_add(1);
        self.handle.abandoned.load(Relaxed)
            || self.state.times.iter().all(|(_, done)| *done >= gone)
    }

    /// Asks the sink whether what it wrote still stands. False when it does not, or is away.
    fn verify(&mut self) -> Result<bool, EngineError> {
        let verified = self.sink.verify();
        let stands = self.heed(verified)?;
        self.rest.verify_at = if stands {
            self.env.monotonic() + VERIFY_EVERY
        } else {
            self.state.retry_at
        };
        Ok(stands)
    }

    /// What a sink's answer asks for. True where it is well.
    pub(super) fn heed(&mut self, answer: Result<(), SinkError>) -> Result<bool, EngineError> {
        match answer {
            Ok(()) => {
                self.state.back_off = BACK_OFF.0;
                if self.handle.sink_is_back() {
                    tracing::info!(table = self.chain.sink.name, "the sink is back");
                }
                Ok(true)
            }
            Err(SinkError::Fatal(message)) => Err(EngineError::Sink {
                table: self.chain.sink.name.clone(),
                message,
            }),
            Err(SinkError::Retry(message)) => {
                self.away(&message);
                Ok(false)
            }
            Err(SinkError::Rewrite(message)) => {
                self.write_again();
                self.away(&message);
                Ok(false)
            }
        }
    }
}
