//! Compares a program with what runs: what is to begin, and what is to end.

use super::history::Past;
use super::restart::Start;
use super::state::{QueryRun, SourceId, SourceRun, State};
use crate::error::EngineError;
use crate::plan::{Chain, chain};
use crate::scan::program::QueryId;
use crate::shard::step::micros;
use crate::sink::checkpoint::SavedSink;
use crate::status::QueryHandle;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tidewheel_checkpoint::{QueryEntry, SourceEntry};
use tidewheel_core::time::MICROS_PER_MILLI;
use tidewheel_core::{EventTime, TableSpec};
use tidewheel_sql::plan::{Program, Query, SourceTable};

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
pub(super) struct Beginning {
    pub(super) id: QueryId,
    /// Its place in the program: names may stand there twice.
    pub(super) place: usize,
    pub(super) name: String,
    pub(super) fingerprint: u64,
    pub(super) chain: Arc<Chain>,
    pub(super) handle: Arc<QueryHandle>,
    pub(super) replaces: Option<QueryId>,
    /// Set where it reads history first.
    pub(super) history: Option<History>,
    /// What that history lies before.
    pub(super) past: Option<Past>,
    /// Its values may stand in the sink, from a process that has ended.
    pub(super) gated: bool,
    /// What a checkpoint has of it.
    pub(super) saved: Option<QueryEntry>,
    /// What its sink had there.
    pub(super) saved_sink: Option<SavedSink>,
}

/// Where a query's own reading of history begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct History {
    /// How far back it reads, microseconds.
    pub(super) length: i64,
    /// The frontier at the instant that it lies before.
    pub(super) frontier: Option<EventTime>,
    /// The event time of the first row that it needs, milliseconds.
    pub(super) from_ms: Option<i64>,
    /// The time of the record to begin at, milliseconds.
    pub(super) begin_ms: Option<i64>,
}

/// What one source's queries become.
pub(super) struct SourcePlan<'a> {
    pub(super) table: &'a SourceTable,
    pub(super) new: Vec<Beginning>,
    pub(super) is_new: bool,
    /// What a checkpoint has of it.
    pub(super) saved: Option<SourceEntry>,
}

/// What is to be changed.
pub(super) struct Planned<'a> {
    pub(super) sources: BTreeMap<SourceId, SourcePlan<'a>>,
    pub(super) gone: BTreeSet<QueryId>,
    pub(super) applied: Applied,
}

impl State {
    /// Compares; changes nothing that runs.
    ///
    /// # Errors
    /// A query has a shape that is not executed.
    pub(super) fn plan<'a>(
        &mut self,
        program: &'a Program,
        start: &Start<'_>,
    ) -> Result<Planned<'a>, EngineError> {
        let mut applied = Applied::default();
        let mut plans: BTreeMap<SourceId, SourcePlan<'_>> = BTreeMap::new();
        let mut places = Vec::new();
        for table in &program.sources {
            let mut newest_first = self.sources.iter().rev();
            let known = newest_first.find(|(_, run)| run.is_of(table));
            // What has an end has no history beside the reading: who is new after a restart reads all.
            let is_late = |run: &SourceRun| run.bounded && matches!(start, Start::Beside(_));
            let place = known.map(|(id, run)| (*id, run.is_joinable() && !is_late(run)));
            places.push((place, None::<SourceId>));
        }
        let mut kept: BTreeSet<QueryId> = BTreeSet::new();
        for (at, query) in program.queries.iter().enumerate() {
            let mut chain = chain(query)?;
            let table = &program.sources[chain.source];
            let (place, fresh) = &mut places[chain.source];
            let current = self.newest_run(&query.name);
            if let Some((id, run)) = current
                && self
                    .sources
                    .get(&run.source)
                    .is_some_and(|source| source.is_of(table))
                && run.fingerprint == query.fingerprint
                && !run.has_failed_history()
            {
                kept.insert(id);
                // The version before it stays as well while this one reads history.
                kept.extend(run.history.as_ref().and_then(|history| history.replaces));
                applied.unchanged.push(query.name.clone());
                continue;
            }
            // It takes the place of one that has never written, and has to look back as far.
            let unborn = current.filter(|(_, run)| run.is_unborn());
            let unborn = unborn.map(|(_, run)| (run.gated, run.past));
            let source = match *place {
                Some((source, true)) => source,
                _ => *fresh.get_or_insert_with(|| {
                    self.next_source += 1;
                    self.next_source - 1
                }),
            };
            chain.source = source;
            let is_new = !self.sources.contains_key(&source);
            let saved = start.source(table);
            let past = match self.sources.get(&source).filter(|_| !is_new) {
                Some(run) if run.bounded => None,
                Some(run) => Some(start.past(table).unwrap_or_else(|| Past::now(run))),
                None => start.past(table),
            };
            let (was_gated, before) = unborn.unwrap_or_default();
            let past = past.map(|past| before.unwrap_or(past));
            let mut beginning = self.beginning((at, query), chain, past, table);
            start.prepare(&mut beginning, saved)?;
            beginning.gated |= was_gated || self.may_repeat(source, is_new);
            if self.newest_run(&query.name).is_some() {
                applied.replaced.push(query.name.clone());
            } else {
                applied.added.push(query.name.clone());
            }
            // What reads history replaces nothing before it has caught up.
            if beginning.history.is_some() {
                kept.extend(beginning.replaces);
            }
            let plan = plans.entry(source).or_insert_with(|| SourcePlan {
                table,
                new: Vec::new(),
                is_new,
                saved: saved.cloned(),
            });
            plan.new.push(beginning);
        }
        let names: BTreeSet<&str> = program.queries.iter().map(|q| q.name.as_str()).collect();
        let lost: BTreeSet<String> = self
            .queries
            .iter()
            .filter(|(id, run)| !kept.contains(id) && !names.contains(run.name.as_str()))
            .map(|(_, run)| run.name.clone())
            .collect();
        applied.removed.extend(lost);
        let all = plans.values_mut().flat_map(|plan| &mut plan.new);
        kept.extend(self.renamed(all, &kept));
        let gone = self.queries.keys().copied();
        let gone = gone.filter(|id| !kept.contains(id)).collect();
        Ok(Planned {
            sources: plans,
            gone,
            applied,
        })
    }

    /// Whether a source's rows may be some that an earlier process has read, and written values of:
    /// until it was read to its end once.
    fn may_repeat(&self, source: SourceId, is_new: bool) -> bool {
        let run = self.sources.get(&source).filter(|_| !is_new);
        let has_read = run.is_some_and(|run| run.handle.caught_up.load(Relaxed));
        self.shared.options.checkpoints.is_some() && !has_read
    }

    /// A query under a new name that writes what one wrote that is gone now is the same query
    /// renamed: where it reads history first, the old one writes until then. Returns those.
    fn renamed<'b>(
        &self,
        new: impl Iterator<Item = &'b mut Beginning>,
        kept: &BTreeSet<QueryId>,
    ) -> BTreeSet<QueryId> {
        let mut found = BTreeSet::new();
        for beginning in new {
            if beginning.history.is_none() || beginning.replaces.is_some() {
                continue;
            }
            let before = self.queries.iter().find(|(id, run)| {
                !kept.contains(id)
                    && !found.contains(*id)
                    && run.history.is_none()
                    && run.chain.sink.name == beginning.chain.sink.name
                    && run.chain.sink_columns == beginning.chain.sink_columns
            });
            if let Some((id, _)) = before {
                beginning.replaces = Some(*id);
                found.insert(*id);
            }
        }
        found
    }

    pub(super) fn newest_run(&self, name: &str) -> Option<(QueryId, &QueryRun)> {
        let of_name = |(_, run): &(&QueryId, &QueryRun)| run.name == name;
        let (id, run) = self.queries.iter().rev().find(of_name)?;
        Some((*id, run))
    }

    fn beginning(
        &mut self,
        (place, query): (usize, &Query),
        chain: Chain,
        past: Option<Past>,
        table: &SourceTable,
    ) -> Beginning {
        let chain = Arc::new(chain);
        let id = self.next_query;
        self.next_query += 1;
        let handle = Arc::new(QueryHandle::new(id, query.name.clone(), query.sink.clone()));
        let paused = self.paused.contains(&query.name);
        handle.paused.store(paused, Relaxed);
        let old = self.newest_run(&query.name);
        // A version that still reads history is given up; the one before it runs on.
        let replaces = old.and_then(|(id, run)| match &run.history {
            Some(history) => history.replaces,
            None => Some(id),
        });
        let history = past.and_then(|past| {
            let length = super::history::length(&chain, micros(self.shared.options.history));
            let length = length.filter(|length| *length > 0)?;
            let mode = table.spec.options.get("scan.startup.mode");
            let from_end = mode == Some("latest-offset");
            let now = from_end.then(|| self.shared.env.wall_ms() * MICROS_PER_MILLI);
            Some(History::of(past, length, now))
        });
        Beginning {
            id,
            place,
            name: query.name.clone(),
            fingerprint: query.fingerprint,
            chain,
            handle,
            replaces,
            history,
            past,
            gated: false,
            saved: None,
            saved_sink: None,
        }
    }

    /// The ends of all who write a table and are going: whoever comes after them waits for
    /// these. Those that write other columns of the table go on and do not count.
    pub(super) fn writers_before(
        &self,
        new: &Beginning,
        gone: &BTreeSet<QueryId>,
    ) -> Vec<crossbeam_channel::Receiver<()>> {
        let is_of = |table: &TableSpec| table.name == new.chain.sink.name;
        let going = self.queries.iter().filter(|(id, run)| {
            is_of(&run.chain.sink)
                && (gone.contains(id) || run.name == new.name || new.replaces == Some(**id))
        });
        let ending = self.ending.iter().filter(|(table, _)| is_of(table));
        let ended = going.map(|(_, run)| &run.ended);
        let ended = ended.chain(ending.map(|(_, ended)| ended));
        ended.cloned().collect()
    }
}
