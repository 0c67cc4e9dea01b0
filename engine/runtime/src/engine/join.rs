//! Lets queries that have caught up on history join the live reading of their source.

use super::state::State;
use crate::scan::change::Change;
use crate::scan::program::QueryId;
use crate::scan::reader::{CaughtUp, ReaderMessage};
use crate::shard::query::{Arrival, NewQuery};
use crate::status::QueryState;
use crate::task::{Poll, Task};
use crossbeam_channel::{Receiver, TryRecvError};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tidewheel_core::time::{MICROS_PER_MILLI, NO_TIME};

/// Waits for readings of history to catch up.
pub(super) struct Coordinator {
    state: Weak<Mutex<State>>,
    inbox: Receiver<CaughtUp>,
}

impl Coordinator {
    pub(super) fn new(state: &Arc<Mutex<State>>, inbox: Receiver<CaughtUp>) -> Self {
        Self {
            state: Arc::downgrade(state),
            inbox,
        }
    }
}

impl Task for Coordinator {
    fn poll(&mut self) -> Poll {
        match (self.inbox.try_recv(), self.state.upgrade()) {
            // No more queries come, and none reads history.
            (_, None) | (Err(TryRecvError::Disconnected), _) => Poll::Done,
            (Err(TryRecvError::Empty), _) => Poll::Idle(None),
            (Ok(caught_up), Some(state)) => {
                state.lock().join(&caught_up);
                Poll::Ready
            }
        }
    }

    fn wait(&self, timeout: Option<Duration>) {
        crate::task::wait_for(&self.inbox, timeout);
    }

    fn name(&self) -> String {
        "coordinate".to_owned()
    }
}

impl State {
    /// A query has caught up: the live reader is told to meet its reader and to go on with it
    /// from there.
    fn join(&mut self, caught_up: &CaughtUp) {
        let id = caught_up.query;
        let Some(query) = self.queries.get_mut(&id) else {
            return;
        };
        let Some(history) = query.history.take() else {
            return;
        };
        query.joining = Some(history.guest.reader.clone());
        let source_id = query.source;
        let handle = Arc::clone(&query.handle);
        let old = history.replaces;
        let failed = |message: String| handle.set_state(QueryState::Failed { message });
        let Some(source) = self.sources.get_mut(&source_id) else {
            return failed("its source is not read any more".to_owned());
        };
        let replaced: BTreeSet<QueryId> = old.into_iter().collect();
        source.full = source.full.without(&replaced);
        source.full.share(id);
        source.live.insert(id);
        source.live.retain(|query| !replaced.contains(query));
        let Some(input) = source.full.inputs.get(&id).cloned() else {
            return;
        };
        let Some(query) = self.queries.get(&id) else {
            return;
        };
        let add = history
            .states
            .into_iter()
            .enumerate()
            .map(|(shard, state)| {
                vec![NewQuery {
                    id,
                    chain: Arc::clone(&query.chain),
                    input: input.clone(),
                    sink: query.sink.clone(),
                    arrival: Arrival::new(&query.sink, shard),
                    handle: Arc::clone(&query.handle),
                    from: Some(state),
                    muted: false,
                    skip_until: history.skip_until,
                    gated: query.gated,
                }]
            })
            .collect();
        let change = Change {
            program: Arc::new(source.full.only(&source.live)),
            remove: replaced.iter().copied().collect(),
            add,
            repeats: history.repeats,
        };
        let message = ReaderMessage::Meet {
            positions: caught_up.positions.clone(),
            guest: history.guest,
            change: Box::new(change),
        };
        if source.reader.send(message).is_err() {
            return failed("its source is not read any more".to_owned());
        }
        handle.set_state(QueryState::Running);
        let first = history.handle.first.load(Relaxed);
        let wanted = history.from_ms.unwrap_or(i64::MIN);
        if history.begins_late && first != NO_TIME && first / MICROS_PER_MILLI > wanted {
            // Windows are whole that begin after the first record that is left.
            let whole = first.saturating_add(history.length);
            handle.set_complete_from(whole / MICROS_PER_MILLI);
        }
        self.end(&replaced);
    }

    /// Queries are gone: nobody asks for them any more. Their readings of history end.
    pub(super) fn forget(&mut self, gone: &BTreeSet<QueryId>) {
        let over = |ended: &Receiver<()>| ended.try_recv() == Err(TryRecvError::Disconnected);
        self.ending.retain(|(_, ended)| !over(ended));
        for id in gone {
            if let Some(run) = self.queries.remove(id) {
                if let Some(reader) = &run.joining {
                    // It may be waited for while its source is away. Where it has joined it is gone.
                    let _ = reader.send(ReaderMessage::Stop);
                }
                self.ending.push((run.chain.sink.clone(), run.ended));
            }
            self.shared.queries.remove(*id);
        }
    }
}
