//! Makes the running queries those of a program.

use super::build::{NewSink, Scan, ScanRequest};
use super::state::{HistoryRun, QueryRun, SourceId, SourceRun, State};
use crate::error::EngineError;
use crate::plan::{Chain, Keyed, chain};
use crate::scan::change::Change;
use crate::scan::program::{Member, QueryId, ScanProgram};
use crate::scan::reader::ReaderMessage;
use crate::shard::message::ShardMessage;
use crate::shard::query::NewQuery;
use crate::shard::step::micros;
use crate::status::{QueryHandle, QueryState};
use crate::task::Task;
use crossbeam_channel::Receiver;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tidewheel_core::time::{MICROS_PER_MILLI, MICROS_PER_SECOND};
use tidewheel_kernel::spec::WindowKind;
use tidewheel_sql::plan::{Program, Query, SourceTable};

/// Records may be this much older than their place says: a history begins so much before its
/// first window.
const HISTORY_MARGIN: i64 = 60 * MICROS_PER_SECOND;

/// What [`super::Engine::apply`] has changed, as names of queries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// New ones.
    pub added: Vec<String>,
    /// Those with a new definition.
    pub replaced: Vec<String>,
    /// Those that are gone.
    pub removed: Vec<String>,
    /// Those that run on undisturbed.
    pub unchanged: Vec<String>,
}

/// A query that is to begin.
struct Beginning {
    id: QueryId,
    name: String,
    fingerprint: u64,
    chain: Arc<Chain>,
    handle: Arc<QueryHandle>,
    sink: NewSink,
    replaces: Option<QueryId>,
    /// Set where it reads history first: how far back, microseconds.
    history: Option<i64>,
}

/// What one source's queries become.
struct SourcePlan<'a> {
    table: &'a SourceTable,
    new: Vec<Beginning>,
    is_new: bool,
}

impl State {
    pub(super) fn apply(&mut self, program: &Program) -> Result<Applied, EngineError> {
        let mut applied = Applied::default();
        let mut plans: BTreeMap<SourceId, SourcePlan<'_>> = BTreeMap::new();
        let mut places = Vec::new();
        for table in &program.sources {
            let known = self.sources.iter().rev().find(|(_, run)| {
                run.name == table.spec.name && run.fingerprint == table.fingerprint
            });
            let place = known.map(|(id, run)| (*id, run.is_joinable()));
            places.push((place, None::<SourceId>));
        }
        let mut kept: BTreeSet<QueryId> = BTreeSet::new();
        for query in &program.queries {
            let mut chain = chain(query)?;
            let table = &program.sources[chain.source];
            let (place, fresh) = &mut places[chain.source];
            let current = self.newest_run(&query.name);
            if let (Some((id, run)), Some((source, _))) = (current, *place)
                && run.source == source
                && run.fingerprint == query.fingerprint
            {
                kept.insert(id);
                // The version before it stays as well while this one reads history.
                kept.extend(run.history.as_ref().and_then(|history| history.replaces));
                applied.unchanged.push(query.name.clone());
                continue;
            }
            let source = match *place {
                Some((source, true)) => source,
                _ => *fresh.get_or_insert_with(|| {
                    self.next_source += 1;
                    self.next_source - 1
                }),
            };
            chain.source = source;
            let is_new = !self.sources.contains_key(&source);
            let beginning = self.beginning(query, chain, is_new)?;
            if self.newest_run(&query.name).is_some() {
                applied.replaced.push(query.name.clone());
            } else {
                applied.added.push(query.name.clone());
            }
            // What reads history replaces nothing before it has caught up.
            if beginning.history.is_some() {
                kept.extend(beginning.replaces);
            }
            let plan = plans
                .entry(source)
                .or_insert_with(|| SourcePlan::of(table, is_new));
            plan.new.push(beginning);
        }
        let gone: BTreeSet<QueryId> = self
            .queries
            .keys()
            .copied()
            .filter(|id| !kept.contains(id))
            .collect();
        let names: BTreeSet<&str> = program.queries.iter().map(|q| q.name.as_str()).collect();
        let lost: BTreeSet<String> = gone
            .iter()
            .map(|id| self.queries[id].name.clone())
            .filter(|name| !names.contains(name.as_str()))
            .collect();
        applied.removed.extend(lost);
        self.carry_out(plans, &gone)?;
        Ok(applied)
    }

    fn newest_run(&self, name: &str) -> Option<(QueryId, &QueryRun)> {
        let of_name = |(_, run): &(&QueryId, &QueryRun)| run.name == name;
        let (id, run) = self.queries.iter().rev().find(of_name)?;
        Some((*id, run))
    }

    /// Prepares a query: all that can be refused is refused here.
    fn beginning(
        &mut self,
        query: &Query,
        chain: Chain,
        is_new: bool,
    ) -> Result<Beginning, EngineError> {
        let chain = Arc::new(chain);
        let id = self.next_query;
        self.next_query += 1;
        let handle = Arc::new(QueryHandle::new(id, query.name.clone(), query.sink.clone()));
        // Who writes the same table now is replaced or removed, or writes other columns of it.
        let writers = self.queries.values();
        let after: Vec<Receiver<()>> = writers
            .filter(|other| other.name == query.name && other.handle.table.name == query.sink.name)
            .map(|other| other.ended.clone())
            .collect();
        let sink = self.sink(&handle, &chain, after)?;
        let old = self.newest_run(&query.name);
        // A version that still reads history is given up; the one before it runs on.
        let replaces = old.and_then(|(id, run)| match &run.history {
            Some(history) => history.replaces,
            None => Some(id),
        });
        let joins = !is_new
            && !self
                .sources
                .get(&chain.source)
                .is_none_or(|run| run.bounded);
        let history = if joins {
            history_of(&chain, micros(self.shared.options.history))
        } else {
            None
        };
        Ok(Beginning {
            id,
            name: query.name.clone(),
            fingerprint: query.fingerprint,
            chain,
            handle,
            sink,
            replaces,
            history: history.filter(|length| *length > 0),
        })
    }

    /// Changes everything as planned.
    fn carry_out(
        &mut self,
        plans: BTreeMap<SourceId, SourcePlan<'_>>,
        gone: &BTreeSet<QueryId>,
    ) -> Result<(), EngineError> {
        let mut programs: BTreeMap<SourceId, ScanProgram> = BTreeMap::new();
        let mut scans: BTreeMap<SourceId, Scan> = BTreeMap::new();
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
                    shards: self.shards.clone(),
                    program: Arc::new(ScanProgram::new(Arc::new(reading))),
                    from_ms: self.shared.options.from_ms,
                    decoders: self.shared.options.decoders,
                    history: None,
                };
                let scan = self.scan(request)?;
                scans.insert(*id, scan);
            }
        }
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
                self.change_source(id, plan, full, gone, &mut tasks);
            }
        }
        self.end(gone);
        for task in tasks {
            self.shared.executor.spawn(task);
        }
        Ok(())
    }

    /// Tells a source's tasks what its queries are from now on.
    fn change_source(
        &mut self,
        id: SourceId,
        plan: SourcePlan<'_>,
        full: ScanProgram,
        gone: &BTreeSet<QueryId>,
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
            let Some(input) = source.full.inputs.get(&new.id) else {
                continue;
            };
            for shard in &mut add {
                shard.push(new.query(input.clone(), false));
            }
        }
        let reader = source.reader.clone();
        if !(remove.is_empty() && now.is_empty()) {
            let _ = reader.send(ReaderMessage::Change(Box::new(Change {
                program,
                remove,
                add,
            })));
        }
        for new in now {
            new.handle.set_state(QueryState::Running);
            self.register(id, new, None, tasks);
        }
        for new in with_history {
            self.begin_history(id, plan.table, new, tasks);
        }
    }

    fn register(
        &mut self,
        source: SourceId,
        new: Beginning,
        history: Option<HistoryRun>,
        tasks: &mut Vec<Box<dyn Task>>,
    ) {
        self.shared.queries.add(Arc::clone(&new.handle));
        tasks.push(new.sink.task);
        self.queries.insert(
            new.id,
            QueryRun {
                name: new.name,
                fingerprint: new.fingerprint,
                source,
                chain: new.chain,
                handle: new.handle,
                sink: new.sink.sender,
                ended: new.sink.ended,
                history,
            },
        );
    }

    /// Starts a query's own reading of history, beside the live one.
    fn begin_history(
        &mut self,
        id: SourceId,
        table: &SourceTable,
        new: Beginning,
        tasks: &mut Vec<Box<dyn Task>>,
    ) {
        let Some(source) = self.sources.get(&id) else {
            return;
        };
        let frontier = source.handle.frontier();
        let length = new.history.unwrap_or(0);
        let from = frontier.map(|frontier| frontier.saturating_sub(length) - HISTORY_MARGIN);
        let from_ms = from.map(|from| from.div_euclid(MICROS_PER_MILLI));
        // Where records bear older times than their events, a record's time does not say where
        // to begin.
        let lead_ms = source.handle.lead_ms.load(Relaxed);
        let begin_ms = if lead_ms > HISTORY_MARGIN / MICROS_PER_MILLI {
            Some(0)
        } else {
            from_ms
        };
        let own = BTreeSet::from([new.id]);
        let program = Arc::new(source.full.only(&own));
        let live = Arc::clone(&source.handle);
        let Some(input) = program.inputs.get(&new.id).cloned() else {
            return;
        };
        let mut shards = Vec::new();
        let mut states = Vec::new();
        for number in 0..self.shards.len() {
            let (task, inbox, state) = self.history_shard(number);
            tasks.push(task);
            shards.push(inbox);
            states.push(state);
        }
        let request = ScanRequest {
            id,
            table,
            shards: shards.clone(),
            program: Arc::clone(&program),
            from_ms: begin_ms,
            decoders: self.shared.options.decoders,
            history: Some((new.id, live)),
        };
        let scan = match self.scan(request) {
            Ok(scan) => scan,
            Err(error) => {
                new.handle.set_state(QueryState::Failed {
                    message: format!("its history cannot be read: {error}"),
                });
                self.register(id, new, None, tasks);
                return;
            }
        };
        for shard in &shards {
            let _ = shard.send(ShardMessage::SourceBegins {
                source: id,
                late: None,
            });
            let _ = shard.send(ShardMessage::Queries {
                source: id,
                program: Arc::clone(&program),
                remove: Vec::new(),
                add: vec![new.query(input.clone(), true)],
            });
        }
        let skip_until = if new.chain.current { None } else { frontier };
        let history = HistoryRun {
            reader: scan.reader,
            states,
            replaces: new.replaces,
            handle: scan.handle,
            from_ms,
            length,
            begins_late: scan.begins_late,
            skip_until,
        };
        tasks.extend(scan.tasks);
        self.register(id, new, Some(history), tasks);
    }

    /// Ends queries, and sources that are left without any.
    fn end(&mut self, gone: &BTreeSet<QueryId>) {
        for id in gone {
            let Some(run) = self.queries.get(id) else {
                continue;
            };
            if let Some(history) = &run.history {
                let _ = history.reader.send(ReaderMessage::Stop);
            }
        }
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

impl<'a> SourcePlan<'a> {
    fn of(table: &'a SourceTable, is_new: bool) -> Self {
        Self {
            table,
            new: Vec::new(),
            is_new,
        }
    }
}

impl Beginning {
    /// The query as a shard gets it.
    fn query(&self, input: crate::scan::program::QueryInput, muted: bool) -> NewQuery {
        NewQuery {
            id: self.id,
            chain: Arc::clone(&self.chain),
            input,
            sink: self.sink.sender.clone(),
            handle: Arc::clone(&self.handle),
            from: None,
            muted,
            skip_until: None,
        }
    }
}

/// How far before the frontier rows still matter to a query, microseconds; `None`: no row before
/// the first one it sees does.
fn history_of(chain: &Chain, without_end: i64) -> Option<i64> {
    let all = chain.steps.iter().chain(&chain.tail);
    let mut total: Option<i64> = None;
    for step in all {
        let own = match &step.keyed {
            Keyed::Window { window, .. } => match window.kind {
                WindowKind::Tumble { size }
                | WindowKind::Hop { size, .. }
                | WindowKind::Cumulate { size, .. } => size,
                WindowKind::Session { .. } => without_end,
            },
            Keyed::Group {
                window_end: Some(_),
                ..
            }
            | Keyed::TopN { .. } => 0,
            Keyed::Group { .. } if total.is_some() => 0,
            Keyed::Group { .. } | Keyed::Latest { .. } | Keyed::Over { .. } => without_end,
        };
        total = Some(total.unwrap_or(0).saturating_add(own));
    }
    total
}
