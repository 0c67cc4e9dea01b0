//! Keeps the right to write, and stops the engine when it is lost.

use crate::engine::Stopper;
use crate::error::EngineError;
use crate::task::{Poll, Task};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tidewheel_checkpoint::lease::BEAT_EVERY;
use tidewheel_checkpoint::{Lease, LeaseError};
use tidewheel_core::Env;

/// Gives signs of life as long as the engine runs.
pub struct LeaseKeeper {
    /// The right to write.
    pub lease: Arc<Mutex<Lease>>,
    /// Ends the engine.
    pub stopper: Stopper,
    /// The world.
    pub env: Arc<dyn Env>,
    /// When the last sign was given.
    pub last: Duration,
    /// The store was away at the last try.
    pub away: bool,
}

impl Task for LeaseKeeper {
    fn poll(&mut self) -> Poll {
        if self.stopper.is_over() {
            return Poll::Done;
        }
        let now = self.env.monotonic();
        if now.saturating_sub(self.last) < BEAT_EVERY {
            return Poll::Idle(Some(BEAT_EVERY / 4));
        }
        self.last = now;
        match self.lease.lock().renew() {
            Ok(()) => self.away = false,
            Err(LeaseError::Superseded { epoch }) => {
                tracing::error!(epoch, "another process has taken over; this one ends");
                self.stopper.fail(EngineError::Superseded { epoch });
                return Poll::Done;
            }
            Err(LeaseError::Storage(error)) => {
                if !std::mem::replace(&mut self.away, true) {
                    tracing::warn!(%error, "the checkpoint store is away");
                }
            }
        }
        Poll::Idle(Some(BEAT_EVERY / 4))
    }

    fn wait(&self, timeout: Option<Duration>) {
        self.env.sleep(timeout.unwrap_or(BEAT_EVERY));
    }

    fn name(&self) -> String {
        "lease".to_owned()
    }
}
