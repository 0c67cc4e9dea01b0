//! The first change of an engine that takes checkpoints: it goes on from the newest one.

use super::Engine;
use super::apply::{Applied, Beginning, SourcePlan};
use super::build::Scan;
use super::carry::Ready;
use super::history::Past;
use super::state::{SourceId, State};
use crate::checkpoint::Restore;
use crate::checkpoint::restore::RestoredShard;
use crate::error::EngineError;
use crate::scan::program::{QueryId, ScanProgram};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidewheel_checkpoint::{SourceEntry, StorageError};
use tidewheel_sql::plan::{Program, SourceTable};

/// How queries begin.
pub(super) enum Start<'a> {
    /// Beside what runs, or on an empty engine.
    Live,
    /// After a process that may have written, with nothing to go on from.
    Anew,
    /// With the state that a checkpoint holds.
    From(&'a Restore),
    /// After a restart from a checkpoint that does not have them: by history, as it was then, so
    /// that all is seen again that an earlier process may have written since.
    Beside(&'a Restore),
}

impl<'a> Start<'a> {
    /// The checkpoint whose places sources begin at.
    pub(super) fn checkpoint(&self) -> Option<&'a Restore> {
        match self {
            Self::From(restore) | Self::Beside(restore) => Some(restore),
            Self::Live | Self::Anew => None,
        }
    }

    /// What is known of a source.
    pub(super) fn source(&self, table: &SourceTable) -> Option<&'a SourceEntry> {
        let checkpoint = self.checkpoint()?;
        let found = checkpoint.source(&table.spec.name, table.fingerprint);
        // What has an end has no history beside the reading: queries read all of it instead.
        found.filter(|source| matches!(self, Self::From(_)) || !source.bounded)
    }

    /// Where queries begin by history: in the past that a checkpoint knows, if they do.
    pub(super) fn past(&self, table: &SourceTable) -> Option<Past> {
        let Self::Beside(_) = self else {
            return None;
        };
        self.source(table).map(|source| Past {
            frontier: source.frontier,
            lead_ms: source.lead_ms,
        })
    }

    /// Gives a query what is known of it.
    pub(super) fn prepare(
        &self,
        new: &mut Beginning,
        source: Option<&SourceEntry>,
    ) -> Result<(), EngineError> {
        new.gated = !matches!(self, Self::Live);
        if let (Self::From(restore), Some(source)) = (self, source) {
            new.saved = restore.query(source, &new.name, new.fingerprint);
            if let Some(saved) = &new.saved {
                new.saved_sink = Some(restore.sink(saved)?);
            }
        }
        Ok(())
    }
}

impl Engine {
    /// Goes on from the newest checkpoint that can be gone on from, then makes the running queries
    /// those of `program`: what it holds nothing of begins by history.
    pub(super) fn restart(&self, program: &Program) -> Result<Applied, EngineError> {
        let Some(options) = &self.shared.options.checkpoints else {
            return self.change(program, &Start::Live);
        };
        let away = |error: StorageError| {
            EngineError::Checkpoint(format!("{}: {error}", options.store.storage().place()))
        };
        let began = self.shared.env.monotonic();
        let names = options.store.names().map_err(away)?;
        let known = names.len();
        for name in names.into_iter().rev() {
            let restore = match options.store.load(name).map_err(away)? {
                Ok(loaded) => Restore::new(loaded),
                Err(error) => {
                    tracing::error!(checkpoint = %name, %error, "not used; trying the one before");
                    continue;
                }
            };
            let (share, changed) = restore.share_of(program);
            let tables = restore.changed_tables(program);
            let mut applied = match self.change(&share, &Start::From(&restore)) {
                Err(EngineError::Checkpoint(error)) => {
                    options.store.mark_damaged(name);
                    tracing::error!(checkpoint = %name, error, "not used; trying the one before");
                    continue;
                }
                applied => applied?,
            };
            let took = self.shared.env.monotonic().saturating_sub(began);
            self.shared.checkpoints.change(|status| {
                status.restored = Some(name.to_string());
                status.restore_ms = took.as_millis() as u64;
                status.last_at_ms = Some(restore.at_ms());
            });
            tracing::info!(
                checkpoint = %name,
                queries = share.queries.len(),
                took_ms = took.as_millis() as u64,
                "goes on from a checkpoint"
            );
            if !changed.is_empty() {
                tracing::warn!(
                    queries = changed.join(", "),
                    "changed since the checkpoint: their state is built anew from history"
                );
            }
            if !tables.is_empty() {
                tracing::warn!(
                    tables = tables.join(", "),
                    "their definition has changed since the checkpoint: they are read anew, by \
                     their scan.startup.mode, and rows that this passes over are not read"
                );
            }
            let rest = self.change(program, &Start::Beside(&restore))?;
            applied.added.extend(rest.added);
            return Ok(applied);
        }
        let place = options.store.storage().place();
        let pipeline = options.store.pipeline();
        if known > 0 {
            tracing::error!(
                pipeline,
                place,
                known,
                "no checkpoint can be used: all starts anew, by the tables' scan.startup.mode; to go on \
                 from one, stop, remove the checkpoints of this process (`tidewheel checkpoints rm`), \
                 bring its objects back from a copy, and start again"
            );
        } else {
            tracing::info!(pipeline, place, "no checkpoint yet: all starts anew");
        }
        self.change(program, &Start::Anew)
    }

    /// Says that this process ends, so that the next one need not wait for it.
    pub(super) fn release(&self) {
        if let Some(options) = &self.shared.options.checkpoints {
            options.lease.lock().release();
        }
    }
}

impl State {
    /// The state of all shards, for each source that goes on from a checkpoint: only its places
    /// where all of its queries begin by history.
    ///
    /// # Errors
    /// The checkpoint holds something else.
    pub(super) fn restored(
        &self,
        plans: &BTreeMap<SourceId, SourcePlan<'_>>,
        programs: &BTreeMap<SourceId, ScanProgram>,
        scans: &BTreeMap<SourceId, Scan>,
        ready: &BTreeMap<QueryId, Ready>,
        start: &Start<'_>,
    ) -> Result<BTreeMap<SourceId, Vec<RestoredShard>>, EngineError> {
        let mut restored = BTreeMap::new();
        let Some(restore) = start.checkpoint() else {
            return Ok(restored);
        };
        for (id, plan) in plans {
            let (Some(entry), Some(full), Some(scan)) =
                (&plan.saved, programs.get(id), scans.get(id))
            else {
                continue;
            };
            let saved = plan.new.iter().filter(|new| new.saved.is_some());
            let live = saved.map(|new| new.id).collect();
            let program = Arc::new(full.only(&live));
            let shards = self.shards.len();
            let mut all = Vec::with_capacity(shards);
            for number in 0..shards {
                let mut queries = Vec::new();
                for new in &plan.new {
                    let input = program.inputs.get(&new.id);
                    if let (Some(saved), Some(input), Some(ready)) =
                        (&new.saved, input, ready.get(&new.id))
                    {
                        let query = new.query(input.clone(), &ready.sink, number, false);
                        queries.push((query, saved.clone()));
                    }
                }
                let place = (number, shards);
                all.push(restore.shard(place, entry, (*id, &program), queries, scan.reached)?);
            }
            restored.insert(*id, all);
        }
        Ok(restored)
    }
}
