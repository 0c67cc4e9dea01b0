//! Changes what runs, as planned.

use super::apply::{Applied, Beginning, Planned, SourcePlan};
use super::build::{NewSink, Scan, ScanRequest};
use super::open::{Opened, Place};
use super::restart::Start;
use super::state::{HistoryRun, QueryRun, SourceId, SourceRun, State};
use crate::error::EngineError;
use crate::scan::change::Change;
use crate::scan::program::{Member, QueryId, QueryInput, ScanProgram};
use crate::scan::reader::ReaderMessage;
use crate::shard::message::ShardMessage;
use crate::shard::query::{Arrival, NewQuery};
use crate::status::QueryState;
use crate::task::Task;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidewheel_core::Source;

impl State {
    /// Changes everything as planned.
    ///
    /// # Errors
    /// A query has a shape that is not executed; then nothing has changed.
    pub(super) fn carry_out(
        &mut self,
        planned: Planned<'_>,
        opened: &mut Opened,
        start: &Start<'_>,
    ) -> Result<Applied, EngineError> {
        let Planned {
            sources: plans,
            gone,
            applied,
        } = planned;
        let gone = &gone;
        let mut programs: BTreeMap<SourceId, ScanProgram> = BTreeMap::new();
        let mut scans: BTreeMap<SourceId, Scan> = BTreeMap::new();
        let mut ready: BTreeMap<QueryId, Ready> = BTreeMap::new();
        for (id, plan) in &plans {
            let reading = self.reading(plan.table)?;
            let mut program = match self.sources.get(id) {
                Some(run) => run.full.without(gone),
                None => ScanProgram::new(Arc::new(reading.clone())),
            };
            let new: Vec<Member<'_>> = plan
                .new
                .iter()
                .map(|new| Member {
                    id: new.id,
                    chain: &new.chain,
                    alone: new.history.is_some(),
                })
                .collect();
            program.extend(&reading, &new)?;
            programs.insert(*id, program);
            if plan.is_new {
                let request = ScanRequest {
                    id: *id,
                    table: plan.table,
                    source: opened.source(&Place::Live(plan.table.spec.name.clone()))?,
                    shards: self.shards.clone(),
                    program: Arc::new(ScanProgram::new(Arc::new(reading))),
                    decoders: self.shared.options.decoders,
                    history: None,
                    saved: match (&plan.saved, start.checkpoint()) {
                        (Some(entry), Some(checkpoint)) => Some((entry, checkpoint.scan(entry)?)),
                        _ => None,
                    },
                };
                let scan = self.scan(request, opened)?;
                scans.insert(*id, scan);
            }
            for new in &plan.new {
                let after = self.writers_before(new, gone);
                let sink = opened.sink(&Place::Sink(new.place))?;
                let sink = self.sink(new, sink, after)?;
                let history = match new.history {
                    Some(_) => Some(opened.source(&Place::History(new.place))?),
                    None => None,
                };
                ready.insert(new.id, Ready { sink, history });
            }
        }
        let mut restored = self.restored(&plans, &programs, &scans, &ready, start)?;
        // From here on nothing is refused.
        let mut tasks: Vec<Box<dyn Task>> = Vec::new();
        for (id, scan) in scans {
            for shard in &self.shards {
                let _ = shard.send(ShardMessage::SourceBegins {
                    source: id,
                    late: scan.late.clone(),
                });
            }
            let plan = &plans[&id];
            self.sources.insert(
                id,
                SourceRun {
                    name: plan.table.spec.name.clone(),
                    fingerprint: plan.table.fingerprint,
                    full: programs[&id].clone(),
                    live: BTreeSet::new(),
                    reader: scan.reader,
                    work_capacity: scan.work_capacity,
                    handle: scan.handle,
                    bounded: scan.bounded,
                },
            );
            tasks.extend(scan.tasks);
        }
        for (id, plan) in plans {
            if let Some(full) = programs.remove(&id) {
                if let Some(shards) = restored.remove(&id) {
                    for (shard, state) in self.shards.iter().zip(shards) {
                        let _ = shard.send(ShardMessage::Restored(Box::new(state)));
                    }
                }
                self.change_source(id, plan, full, gone, &mut ready, &mut tasks);
            }
        }
        self.end(gone);
        for task in tasks {
            self.shared.executor.spawn(task);
        }
        Ok(applied)
    }

    /// Tells a source's tasks what its queries are from now on.
    fn change_source(
        &mut self,
        id: SourceId,
        plan: SourcePlan<'_>,
        full: ScanProgram,
        gone: &BTreeSet<QueryId>,
        ready: &mut BTreeMap<QueryId, Ready>,
        tasks: &mut Vec<Box<dyn Task>>,
    ) {
        let (with_history, now): (Vec<_>, Vec<_>) =
            plan.new.into_iter().partition(|new| new.history.is_some());
        let mut add: Vec<Vec<NewQuery>> = self.shards.iter().map(|_| Vec::new()).collect();
        let Some(source) = self.sources.get_mut(&id) else {
            return;
        };
        source.full = full;
        let remove: Vec<QueryId> = source.live.intersection(gone).copied().collect();
        source.live.retain(|query| !gone.contains(query));
        source.live.extend(now.iter().map(|new| new.id));
        let program = Arc::new(source.full.only(&source.live));
        for new in &now {
            let input = source.full.inputs.get(&new.id);
            let (Some(input), Some(ready)) = (input, ready.get(&new.id)) else {
                continue;
            };
            if new.saved.is_some() {
                // Its state is there already.
                continue;
            }
            for (number, shard) in add.iter_mut().enumerate() {
                shard.push(new.query(input.clone(), &ready.sink, number, false));
            }
        }
        let reader = source.reader.clone();
        if !(remove.is_empty() && now.is_empty()) {
            let _ = reader.send(ReaderMessage::Change(Box::new(Change {
                program,
                remove,
                add,
                repeats: None,
            })));
        }
        for new in now {
            new.handle.set_state(QueryState::Running);
            if let Some(ready) = ready.remove(&new.id) {
                self.register(id, new, ready.sink, None, tasks);
            }
        }
        for new in with_history {
            if let Some(ready) = ready.remove(&new.id) {
                self.begin_history(id, plan.table, new, ready, tasks);
            }
        }
    }

    pub(super) fn register(
        &mut self,
        source: SourceId,
        new: Beginning,
        sink: NewSink,
        history: Option<HistoryRun>,
        tasks: &mut Vec<Box<dyn Task>>,
    ) {
        self.shared.queries.add(Arc::clone(&new.handle));
        if let Some(run) = self.sources.get(&source) {
            let _ = new.handle.source.set(Arc::clone(&run.handle));
        }
        tasks.push(sink.task);
        self.queries.insert(
            new.id,
            QueryRun {
                name: new.name,
                fingerprint: new.fingerprint,
                source,
                chain: new.chain,
                handle: new.handle,
                gated: new.gated,
                past: new.past,
                sink: sink.sender,
                ended: sink.ended,
                history,
                joining: None,
            },
        );
    }

    /// Ends queries, and sources that are left without any.
    pub(super) fn end(&mut self, gone: &BTreeSet<QueryId>) {
        let used: BTreeSet<SourceId> = self
            .queries
            .iter()
            .filter(|(id, _)| !gone.contains(id))
            .map(|(_, run)| run.source)
            .collect();
        let unused: Vec<SourceId> = self
            .sources
            .keys()
            .copied()
            .filter(|id| !used.contains(id))
            .collect();
        for id in unused {
            if let Some(source) = self.sources.remove(&id) {
                let mut last = source.handle.stats.summary();
                last.size = (0, 0);
                self.gone.add(&last);
                // A source that has ended has no reader to pass this on.
                if source.reader.send(ReaderMessage::Remove).is_err() {
                    for shard in &self.shards {
                        let _ = shard.send(ShardMessage::SourceGone { source: id });
                    }
                }
            }
        }
        // Queries of a source that goes on but was not changed otherwise.
        for (id, source) in &mut self.sources {
            let remove: Vec<QueryId> = source.live.intersection(gone).copied().collect();
            if remove.is_empty() {
                continue;
            }
            source.live.retain(|query| !gone.contains(query));
            source.full = source.full.without(gone);
            let program = Arc::new(source.full.only(&source.live));
            let change = Change {
                program: Arc::clone(&program),
                remove: remove.clone(),
                add: self.shards.iter().map(|_| Vec::new()).collect(),
                repeats: None,
            };
            let sent = source.reader.send(ReaderMessage::Change(Box::new(change)));
            if sent.is_err() {
                for shard in &self.shards {
                    let _ = shard.send(ShardMessage::Queries {
                        source: *id,
                        program: Arc::clone(&program),
                        remove: remove.clone(),
                        add: Vec::new(),
                    });
                }
            }
        }
        self.forget(gone);
    }
}

/// What a beginning query was given open.
pub(super) struct Ready {
    pub(super) sink: NewSink,
    /// Set where it reads history first.
    pub(super) history: Option<Box<dyn Source>>,
}

impl Beginning {
    /// The query as a shard gets it.
    pub(super) fn query(
        &self,
        input: QueryInput,
        sink: &NewSink,
        shard: usize,
        muted: bool,
    ) -> NewQuery {
        NewQuery {
            id: self.id,
            chain: Arc::clone(&self.chain),
            input,
            sink: sink.sender.clone(),
            arrival: Arrival::new(&sink.sender, shard),
            handle: Arc::clone(&self.handle),
            from: None,
            muted,
            skip_until: None,
            gated: self.gated,
        }
    }
}
