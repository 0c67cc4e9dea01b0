//! Queries that come, go, and take over state while a shard runs.

use super::Shard;
use super::query::{First, HandOver, NewQuery, QueryShard};
use super::report::shift;
use crate::checkpoint::restore::RestoredShard;
use crate::error::EngineError;
use crate::scan::program::QueryId;
use crate::sink::message::{ALL_REWRITES, SinkMessage};
use crate::status::{QueryHandle, QueryState};
use crate::task::Poll;
use crossbeam_channel::{Receiver, Sender, TryRecvError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tidewheel_kernel::keys::KeyEncoder;
use tidewheel_kernel::spec::SetSpec;
use tidewheel_kernel::window::{SetId, WindowOperator};

impl Shard {
    /// Takes the state that a source's queries had before a restart.
    pub(super) fn restored(&mut self, restored: RestoredShard) {
        let Some(known) = self.sources.get_mut(&restored.source) else {
            return;
        };
        known.program = Some(restored.program);
        known.groups = restored.groups;
        known.positions = restored.positions;
        known.time = restored.time;
        for query in restored.queries {
            self.enter(query);
        }
        self.advance(restored.source);
    }

    /// Begins queries. Those with history wait for their state.
    pub(super) fn add(&mut self, source: usize, new: Vec<NewQuery>) {
        let (later, now): (Vec<_>, Vec<_>) = new.into_iter().partition(|new| new.from.is_some());
        // All sets of a group at once, so that a new operator sees which of them can share slices.
        let mut sets: BTreeMap<usize, Vec<(QueryId, SetSpec)>> = BTreeMap::new();
        for query in &now {
            if let (Some(group), Some(spec)) = (
                query.input.group,
                QueryShard::set_spec(&query.chain, &query.input),
            ) {
                sets.entry(group).or_default().push((query.id, spec));
            }
        }
        let mut places: BTreeMap<QueryId, SetId> = BTreeMap::new();
        for (group, specs) in sets {
            places.extend(self.add_sets(source, group, specs));
        }
        for query in now {
            let (id, handle) = (query.id, Arc::clone(&query.handle));
            let sink = query.sink.clone();
            let set = places.get(&id).copied();
            let keeps = QueryShard::keeps(&query.chain);
            let gated = query.gated;
            match QueryShard::new(query, set) {
                Ok(mut query) => {
                    if let First::Set { group, set } = &query.first
                        && let Some(operator) = self.operator(source, *group)
                    {
                        operator.set_keep(*set, keeps);
                    }
                    if gated && let Some(known) = self.sources.get_mut(&source) {
                        query.close_gate(&mut known.groups);
                    }
                    self.enter(query);
                }
                Err(error) => self.fail(&handle, error, &sink),
            }
        }
        self.joining.extend(later);
    }

    pub(super) fn operator(&mut self, source: usize, group: usize) -> Option<&mut WindowOperator> {
        self.sources
            .get_mut(&source)?
            .groups
            .get_mut(group)?
            .as_mut()
    }

    fn add_sets(
        &mut self,
        source: usize,
        group: usize,
        specs: Vec<(QueryId, SetSpec)>,
    ) -> Vec<(QueryId, SetId)> {
        let Some(known) = self.sources.get_mut(&source) else {
            return Vec::new();
        };
        if let Some(operator) = known.groups.get_mut(group).and_then(Option::as_mut) {
            let add = |(id, spec): (QueryId, SetSpec)| (id, operator.add_set(&spec));
            return specs.into_iter().map(add).collect();
        }
        let keys = known
            .program
            .as_ref()
            .and_then(|program| program.groups.get(group)?.as_ref());
        let encoder = keys.and_then(|keys| KeyEncoder::new(keys.encoder.types()).ok());
        // The program was checked when it was made, so its keys can be encoded.
        let Some(encoder) = encoder else {
            return Vec::new();
        };
        let (ids, specs): (Vec<QueryId>, Vec<SetSpec>) = specs.into_iter().unzip();
        let operator = WindowOperator::new(encoder, specs);
        if let Some(place) = known.groups.get_mut(group) {
            *place = Some(operator);
        }
        ids.into_iter().zip((0..).map(SetId)).collect()
    }

    pub(super) fn enter(&mut self, mut query: QueryShard) {
        if let Some(early) = self.early.remove(&query.id) {
            query.credit = early.credit;
            query.rewrites += early.rewrites;
            if let Some(progress) = early.gate {
                query.gate_at(progress);
            }
        }
        self.queries.insert(query.id, query);
    }

    pub(super) fn fail(
        &self,
        handle: &QueryHandle,
        error: EngineError,
        sink: &Sender<SinkMessage>,
    ) {
        handle.set_state(QueryState::Failed {
            message: error.to_string(),
        });
        self.errors.lock().push(error);
        let _ = sink.send(SinkMessage::Done {
            shard: self.number,
            rewrites: ALL_REWRITES,
        });
    }

    /// Takes the state that the first joining query waits for. False while it is not here.
    pub(super) fn join(&mut self) -> bool {
        let Some(new) = self.joining.pop_front() else {
            return true;
        };
        let source = new.chain.source;
        match new.from.as_ref().map(Receiver::try_recv) {
            Some(Err(TryRecvError::Empty)) => {
                self.joining.push_front(new);
                return false;
            }
            Some(Ok(HandOver {
                mut query,
                operator,
            })) => {
                let skip_until = new.skip_until;
                new.arrival.has_come();
                let place = match (new.input.group, self.sources.get_mut(&source)) {
                    (Some(group), Some(known)) => known.groups.get_mut(group),
                    _ => None,
                };
                if let (First::Set { group, set }, Some(place), Some(own)) =
                    (&mut query.first, place, operator)
                {
                    match place {
                        // From here on one probe finds its keys and those of all others.
                        Some(shared) => {
                            let ids = shared.absorb(own);
                            *set = ids.get(set.0 as usize).copied().unwrap_or(*set);
                        }
                        None => *place = Some(own),
                    }
                    *group = new.input.group.unwrap_or(*group);
                }
                query.input = new.input;
                (query.muted, query.skip_until) = (false, skip_until);
                query.settling = true;
                self.enter(query);
            }
            Some(Err(TryRecvError::Disconnected)) | None => {
                // A part of its rows is none of its values.
                self.early.remove(&new.id);
                let handle = &new.handle;
                if !self.give_up.load(Relaxed) && !handle.history_failed.swap(true, Relaxed) {
                    let message = "its history could not be read to its end; \
                                   it is tried again with the next change or start";
                    tracing::error!(query = new.chain.name, message);
                    let message = message.to_owned();
                    handle.set_state(QueryState::Failed { message });
                }
            }
        }
        // The live time may be further than that of the history.
        self.advance(source);
        true
    }

    /// Gives the state to the live shard.
    pub(super) fn give_away(&mut self) -> Poll {
        let Some((_, mut query)) = self.queries.pop_first() else {
            return Poll::Done;
        };
        let operator = match &query.first {
            First::Set { group, .. } => self
                .sources
                .get_mut(&query.chain.source)
                .and_then(|source| source.groups.get_mut(*group)?.take()),
            _ => None,
        };
        shift(&query.handle.stats, &query.reported, &[0; 4]);
        query.reported = [0; 4];
        if let Some(live) = self.hand_over.take() {
            let _ = live.send(HandOver { query, operator });
        }
        Poll::Done
    }

    /// Ends a query: its state goes, and its sink task is told.
    pub(super) fn remove(&mut self, id: QueryId) {
        self.early.remove(&id);
        let Some(query) = self.queries.remove(&id) else {
            return;
        };
        if let First::Set { group, set } = &query.first {
            let source = query.chain.source;
            let shared = self.queries.values().any(|other| {
                other.chain.source == source
                    && matches!(&other.first, First::Set { group: g, .. } if g == group)
            });
            if let Some(operator) = self.operator(source, *group) {
                operator.remove_set(*set);
            }
            if !shared
                && let Some(known) = self.sources.get_mut(&source)
                && let Some(place) = known.groups.get_mut(*group)
            {
                *place = None;
            }
        }
        let _ = query.sink.send(SinkMessage::Done {
            shard: self.number,
            rewrites: ALL_REWRITES,
        });
    }
}
