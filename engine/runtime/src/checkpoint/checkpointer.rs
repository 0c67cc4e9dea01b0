//! Sends barriers, gathers what tasks save, and writes it: aside, while rows flow on.

use super::barrier::Barrier;
use super::gather::{Gather, Gathered};
use super::status::SharedStatus;
use crate::engine::Stopper;
use crate::task::{Poll, Task, wait_for};
use crossbeam_channel::unbounded;
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tidewheel_checkpoint::{CheckpointStore, Lease, Manifest, Name, StorageError};
use tidewheel_core::Env;

/// How often the task looks around.
const LOOK: Duration = Duration::from_millis(50);
/// Increments that one full save carries, at most.
const INCREMENTS: u64 = 20;
/// Old checkpoints are removed each time so many new ones were written.
const SWEEP_EVERY: u64 = 4;

/// How checkpoints are taken.
#[derive(Clone)]
pub struct CheckpointOptions {
    /// Where they are kept.
    pub store: CheckpointStore,
    /// The right to write there.
    pub lease: Arc<Mutex<Lease>>,
    /// From one barrier to the next.
    pub interval: Duration,
    /// How many are kept.
    pub keep: usize,
    /// A checkpoint that is not gathered by then is given up.
    pub timeout: Duration,
}

impl CheckpointOptions {
    /// From one barrier to the next, unless told otherwise.
    pub const INTERVAL: Duration = Duration::from_secs(10);
    /// How many are kept, unless told otherwise.
    pub const KEEP: usize = 3;
    /// When a checkpoint is given up, unless told otherwise.
    pub const TIMEOUT: Duration = Duration::from_secs(10 * 60);

    /// Checkpoints as usual.
    #[must_use]
    pub fn new(store: CheckpointStore, lease: Lease) -> Self {
        Self {
            store,
            lease: Arc::new(Mutex::new(lease)),
            interval: Self::INTERVAL,
            keep: Self::KEEP,
            timeout: Self::TIMEOUT,
        }
    }
}

impl fmt::Debug for CheckpointOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckpointOptions")
            .field("pipeline", &self.store.pipeline())
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

/// The task that takes checkpoints.
pub struct Checkpointer {
    options: CheckpointOptions,
    stopper: Stopper,
    env: Arc<dyn Env>,
    status: Arc<SharedStatus>,
    shards: usize,
    gather: Option<(Gather, Duration, i64)>,
    /// When the next barrier is due.
    due: Duration,
    number: u64,
    /// The last one that was written, in this run.
    last: Option<Manifest>,
    /// Checkpoints written since old ones were removed. The first one that a process writes removes
    /// them too, since a process may not live for long.
    unswept: u64,
    /// Bytes of the last full one, and increments and their bytes since.
    full: (u64, u64, u64),
}

impl Checkpointer {
    pub(crate) fn new(
        options: CheckpointOptions,
        stopper: Stopper,
        env: Arc<dyn Env>,
        status: Arc<SharedStatus>,
        shards: usize,
    ) -> Self {
        let due = env.monotonic() + options.interval;
        Self {
            options,
            stopper,
            env,
            status,
            shards,
            gather: None,
            due,
            number: 0,
            last: None,
            unswept: SWEEP_EVERY,
            full: (0, 0, 0),
        }
    }

    fn begin(&mut self) {
        let now = self.env.monotonic();
        self.due = now + self.options.interval;
        let (bytes, increments, since) = self.full;
        let full = self.last.is_none() || increments >= INCREMENTS || since >= bytes;
        self.number += 1;
        let (sender, receiver) = unbounded();
        let barrier = Barrier {
            number: self.number,
            full,
            parts: sender,
        };
        let sent_to = self.stopper.send_barrier(&barrier);
        if sent_to.sources.is_empty() {
            return;
        }
        let gather = Gather::new((self.number, full), receiver, sent_to, self.shards);
        self.gather = Some((gather, now, self.env.wall_ms()));
    }

    fn failed(&mut self, message: String) {
        tracing::warn!(message, "a checkpoint failed; the next one is full");
        // What changed since the last one is in none.
        self.last = None;
        self.status.change(|status| {
            status.failed += 1;
            status.error = Some(message);
        });
    }

    fn write(&mut self, gather: Gather, began: Duration, at_ms: i64) {
        let gathered = self.env.monotonic();
        let millis = |from: Duration, to: Duration| to.saturating_sub(from).as_millis() as u64;
        let epoch = self.options.lease.lock().epoch();
        let name = Name {
            epoch,
            number: gather.number,
        };
        let full = gather.full;
        let manifest = Manifest {
            pipeline: self.options.store.pipeline().to_owned(),
            epoch,
            number: gather.number,
            at_ms,
            gather_ms: millis(began, gathered),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            shards: self.shards as u32,
            sources: Vec::new(),
        };
        let Some((data, manifest)) = gather.finish(name, self.last.as_ref(), manifest) else {
            self.failed("what it builds on is not there".to_owned());
            return;
        };
        let written = data.len();
        if let Err(error) = self.options.store.write(data, &manifest) {
            self.failed(error.to_string());
            return;
        }
        self.full = if full {
            (written, 0, 0)
        } else {
            let (bytes, increments, since) = self.full;
            (bytes, increments + 1, since + written)
        };
        let now = self.env.monotonic();
        self.status.change(|status| {
            status.written += 1;
            status.last = Some(name.to_string());
            status.last_at_ms = Some(at_ms);
            status.gather_ms = manifest.gather_ms;
            status.write_ms = millis(gathered, now);
            status.written_bytes = written;
            status.state_bytes = manifest.state_bytes();
            status.error = None;
        });
        tracing::debug!(checkpoint = %name, bytes = written, full, "a checkpoint was written");
        self.last = Some(manifest);
        self.unswept += 1;
        if self.unswept >= SWEEP_EVERY
            && let Err(error) = self.sweep(epoch)
        {
            tracing::warn!(%error, "old checkpoints could not be removed; tried again later");
        }
    }

    /// Removes old checkpoints.
    fn sweep(&mut self, epoch: u64) -> Result<(), StorageError> {
        let store = &self.options.store;
        store.retain(self.options.keep)?;
        self.unswept = 0;
        if let Some(oldest) = store.names()?.first()
            && oldest.epoch == epoch
        {
            self.status.set_oldest(oldest.number);
        }
        Ok(())
    }
}

impl Task for Checkpointer {
    fn poll(&mut self) -> Poll {
        if self.stopper.is_over() {
            return Poll::Done;
        }
        let now = self.env.monotonic();
        let Some((gather, began, _)) = &mut self.gather else {
            if now >= self.due {
                self.begin();
                return Poll::Ready;
            }
            return Poll::Idle(Some((self.due - now).min(LOOK)));
        };
        match gather.take() {
            Gathered::Waiting if now.saturating_sub(*began) < self.options.timeout => {
                Poll::Idle(Some(LOOK))
            }
            Gathered::Waiting => {
                self.gather = None;
                let waited = self.options.timeout.as_secs();
                self.failed(format!(
                    "not all state was there after {waited} s: a source or a sink may be away"
                ));
                Poll::Ready
            }
            Gathered::Broken => {
                self.gather = None;
                self.failed("a query or a source ended meanwhile".to_owned());
                Poll::Ready
            }
            Gathered::All => {
                if let Some((gather, began, at_ms)) = self.gather.take() {
                    self.write(gather, began, at_ms);
                }
                Poll::Ready
            }
        }
    }

    fn wait(&self, timeout: Option<Duration>) {
        match &self.gather {
            Some((gather, ..)) => wait_for(gather.inbox(), timeout),
            None => self.env.sleep(timeout.unwrap_or(LOOK)),
        }
    }

    fn name(&self) -> String {
        "checkpoint".to_owned()
    }
}
