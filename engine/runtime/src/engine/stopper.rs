//! What tasks beside the flow may do to the engine: look whether it is over, end it, send barriers.

use super::Shared;
use super::state::State;
use crate::checkpoint::Barrier;
use crate::checkpoint::checkpointer::{CheckpointOptions, Checkpointer};
use crate::checkpoint::gather::{Definition, SentTo, SourceDefinition};
use crate::checkpoint::lease::LeaseKeeper;
use crate::error::EngineError;
use crate::memory::MemoryKeeper;
use crate::scan::program::QueryId;
use crate::scan::reader::ReaderMessage;
use crate::status::SourceState;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// A hold on the engine that does not keep it alive.
#[derive(Clone)]
pub struct Stopper {
    shared: Shared,
    state: Weak<Mutex<State>>,
}

impl Stopper {
    fn new(shared: &Shared, state: &Arc<Mutex<State>>) -> Self {
        Self {
            shared: shared.clone(),
            state: Arc::downgrade(state),
        }
    }

    /// True once nothing more will be read.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let Some(state) = self.state.upgrade() else {
            return true;
        };
        self.shared.closing.load(Relaxed) && state.lock().have_sources_ended()
    }

    /// Ends the engine at once: it may not write any more.
    pub fn fail(&self, error: EngineError) {
        self.shared.errors.lock().push(error);
        self.shared.give_up.store(true, Relaxed);
        self.shared.closing.store(true, Relaxed);
        if let Some(state) = self.state.upgrade() {
            state.lock().stop();
        }
    }

    /// Sends a barrier to every source that is read. Says which those are, and what queries run.
    #[must_use]
    pub fn send_barrier(&self, barrier: &Barrier) -> SentTo {
        let Some(state) = self.state.upgrade() else {
            return SentTo::default();
        };
        // Under the lock, so that the queries are those that the barrier meets.
        state.lock().send_barrier(barrier)
    }
}

/// Spawns the tasks that take checkpoints and keep the right to write.
pub(super) fn begin_checkpoints(
    shared: &Shared,
    state: &Arc<Mutex<State>>,
    options: &CheckpointOptions,
) {
    let stopper = Stopper::new(shared, state);
    shared.checkpoints.change(|status| {
        status.place = options.store.storage().place();
        status.pipeline = options.store.pipeline().to_owned();
        status.epoch = options.lease.lock().epoch();
    });
    shared.executor.spawn(Box::new(LeaseKeeper {
        lease: Arc::clone(&options.lease),
        stopper: stopper.clone(),
        env: Arc::clone(&shared.env),
        last: Duration::ZERO,
        away: false,
    }));
    let checkpointer = Checkpointer::new(
        options.clone(),
        stopper,
        Arc::clone(&shared.env),
        Arc::clone(&shared.checkpoints),
        shared.options.shards.max(1),
    );
    shared.executor.spawn(Box::new(checkpointer));
}

/// Spawns the task that looks at memory, where it has a limit.
pub(super) fn begin_memory(shared: &Shared, state: &Arc<Mutex<State>>) {
    let Some(limit) = &shared.options.memory else {
        return;
    };
    shared.executor.spawn(Box::new(MemoryKeeper {
        limit: limit.clone(),
        gate: Arc::clone(&shared.memory),
        stopper: Stopper::new(shared, state),
        env: Arc::clone(&shared.env),
        stats: Arc::clone(&shared.stats),
        copies: shared.options.checkpoints.is_some(),
        chunk_bytes: shared.options.chunk_bytes as u64,
        decoders: shared.options.decoders as u64,
        // A short program may be read before the first look.
        before: (limit.used)().unwrap_or(0),
        last: Duration::ZERO,
    }));
}

impl State {
    fn have_sources_ended(&self) -> bool {
        self.sources.values().all(|source| {
            matches!(
                source.handle.state(),
                SourceState::Ended | SourceState::Failed { .. }
            )
        })
    }

    fn send_barrier(&self, barrier: &Barrier) -> SentTo {
        let mut sources = BTreeMap::new();
        // One without the place of a source that failed would end the chance to go on from there.
        let failed = |state: SourceState| matches!(state, SourceState::Failed { .. });
        if self.sources.values().any(|s| failed(s.handle.state())) {
            return SentTo::default();
        }
        for (id, source) in &self.sources {
            let message = ReaderMessage::Barrier(barrier.clone());
            if source.reader.send(message).is_ok() {
                let table = Definition {
                    name: source.name.clone(),
                    fingerprint: source.fingerprint,
                };
                let bounded = source.bounded;
                sources.insert(*id, SourceDefinition { table, bounded });
            }
        }
        let definition = |(id, query): (&QueryId, &super::state::QueryRun)| {
            let definition = Definition {
                name: query.name.clone(),
                fingerprint: query.fingerprint,
            };
            (*id, definition)
        };
        let queries = self.queries.iter().map(definition).collect();
        SentTo { sources, queries }
    }
}
