//! Opens sinks and sources beside what runs.
//!
//! Opening may take long: a server that does not answer, a folder to be read. So it happens
//! while nothing is locked: a change is planned, what it needs is opened, and it is planned anew,
//! until nothing is missing.

use super::Shared;
use super::apply::Planned;
use super::state::State;
use crate::error::EngineError;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidewheel_checkpoint::{RecordMark, SourceEntry};
use tidewheel_core::{Mark, Owner, Sink, SinkRequest, Source, SourceRequest, TableSpec};
use tidewheel_sql::plan::{BadRows, MetadataKind, Program, SourceTable};

/// What a change uses an open table for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// A query's sink, by its place in the program.
    Sink(usize),
    /// A table of bad or late rows, by its name.
    Side(String),
    /// The live reading of a table, by its name.
    Live(String),
    /// A query's own reading of history, by its place in the program.
    History(usize),
}

/// What is to be opened.
pub(super) enum Need<'a> {
    Sink {
        table: &'a TableSpec,
        /// Who writes.
        query: String,
        /// Where it goes on.
        resume: Option<Vec<u8>>,
        /// What stands there stays.
        keep: bool,
    },
    Source {
        table: &'a SourceTable,
        from_ms: Option<i64>,
        /// By partition, where it goes on.
        start: BTreeMap<u32, u64>,
        /// By partition, what the record before that is to be.
        marks: BTreeMap<u32, Mark>,
    },
}

/// What is open and waits to be used.
#[derive(Default)]
pub(super) struct Opened {
    sinks: BTreeMap<Place, Box<dyn Sink>>,
    /// With the time to begin at that each was opened with.
    sources: BTreeMap<Place, (Box<dyn Source>, Option<i64>)>,
}

impl Opened {
    /// What of `needed` is not open yet.
    pub(super) fn missing<'a>(
        &self,
        mut needed: BTreeMap<Place, Need<'a>>,
    ) -> BTreeMap<Place, Need<'a>> {
        needed.retain(|place, need| match need {
            Need::Sink { .. } => !self.sinks.contains_key(place),
            // Where it is now known that record times tell nothing, it is opened again.
            Need::Source { from_ms, .. } => !self
                .sources
                .get(place)
                .is_some_and(|(_, opened)| opened == from_ms || *from_ms != Some(0)),
        });
        needed
    }

    /// Opens.
    ///
    /// # Errors
    /// A connector refuses its table.
    pub(super) fn open(
        &mut self,
        shared: &Shared,
        needed: BTreeMap<Place, Need<'_>>,
    ) -> Result<(), EngineError> {
        for (place, need) in needed {
            match need {
                Need::Sink {
                    table,
                    query,
                    resume,
                    keep,
                } => {
                    let sink = sink(shared, table, query, (resume, keep))?;
                    self.sinks.insert(place, sink);
                }
                Need::Source {
                    table,
                    from_ms,
                    start,
                    marks,
                } => {
                    let mut source = source(shared, table, from_ms, start)?;
                    source.verify(marks);
                    self.sources.insert(place, (source, from_ms));
                }
            }
        }
        Ok(())
    }

    /// Hands an open sink out.
    ///
    /// # Errors
    /// It is not open: a defect.
    pub(super) fn sink(&mut self, place: &Place) -> Result<Box<dyn Sink>, EngineError> {
        self.sinks.remove(place).ok_or(EngineError::Defect)
    }

    /// Hands an open source out.
    ///
    /// # Errors
    /// It is not open: a defect.
    pub(super) fn source(&mut self, place: &Place) -> Result<Box<dyn Source>, EngineError> {
        let opened = self.sources.remove(place);
        opened.map(|(source, _)| source).ok_or(EngineError::Defect)
    }
}

impl State {
    /// Everything that a change needs open.
    pub(super) fn needs<'a>(
        &self,
        planned: &Planned<'a>,
        program: &'a Program,
    ) -> BTreeMap<Place, Need<'a>> {
        let mut needs = BTreeMap::new();
        for plan in planned.sources.values() {
            let table = plan.table;
            if plan.is_new {
                let from_ms = self.shared.options.from_ms;
                let place = Place::Live(table.spec.name.clone());
                let offsets = plan.saved.as_ref().map(|saved| saved.offsets.clone());
                let need = Need::Source {
                    table,
                    from_ms,
                    start: offsets.unwrap_or_default(),
                    marks: plan.saved.as_ref().map(marks).unwrap_or_default(),
                };
                needs.insert(place, need);
                let bad = match &table.bad_rows {
                    BadRows::DeadLetter(bad) => Some(bad),
                    BadRows::Drop | BadRows::Fail => None,
                };
                for side in bad.into_iter().chain(&table.late_rows_table) {
                    if !self.sides.contains_key(&side.name) {
                        let need = Need::Sink {
                            table: side,
                            query: String::new(),
                            resume: None,
                            // What earlier processes set aside stays there.
                            keep: self.shared.options.checkpoints.is_some(),
                        };
                        needs.insert(Place::Side(side.name.clone()), need);
                    }
                }
            }
            for beginning in &plan.new {
                let saved = beginning.saved_sink.as_ref();
                let position = saved.map(|saved| saved.position.clone());
                let need = Need::Sink {
                    table: &program.queries[beginning.place].sink,
                    query: beginning.name.clone(),
                    resume: position.filter(|position| !position.is_empty()),
                    keep: false,
                };
                needs.insert(Place::Sink(beginning.place), need);
                if let Some(history) = beginning.history {
                    let from_ms = history.begin_ms;
                    let place = Place::History(beginning.place);
                    let need = Need::Source {
                        table,
                        from_ms,
                        start: BTreeMap::new(),
                        marks: BTreeMap::new(),
                    };
                    needs.insert(place, need);
                }
            }
        }
        needs
    }
}

fn sink(
    shared: &Shared,
    table: &TableSpec,
    query: String,
    (resume, keep): (Option<Vec<u8>>, bool),
) -> Result<Box<dyn Sink>, EngineError> {
    let connector = shared
        .env
        .registry()
        .for_table(&table.options)
        .map_err(State::refused(table))?;
    let owner = shared.options.checkpoints.as_ref();
    let request = SinkRequest {
        table: table.clone(),
        query,
        owner: owner.map(|options| Owner {
            pipeline: options.store.pipeline().to_owned(),
            epoch: options.lease.lock().epoch(),
        }),
        resume,
        keep,
        env: Arc::clone(&shared.env),
    };
    connector.sink(&request).map_err(State::refused(table))
}

/// What the records before its places were, as a source wants it.
fn marks(entry: &SourceEntry) -> BTreeMap<u32, Mark> {
    let mark = |mark: &RecordMark| Mark {
        offset: mark.offset,
        check: mark.check,
    };
    let marks = entry.marks.iter();
    marks
        .map(|(partition, of)| (*partition, mark(of)))
        .collect()
}

fn source(
    shared: &Shared,
    table: &SourceTable,
    from_ms: Option<i64>,
    start: BTreeMap<u32, u64>,
) -> Result<Box<dyn Source>, EngineError> {
    let spec = &table.spec;
    let registry = shared.env.registry();
    let connector = registry
        .for_table(&spec.options)
        .map_err(State::refused(spec))?;
    let used = |kind: MetadataKind| table.metadata.iter().any(|column| column.kind == kind);
    let metadata = [
        ("timestamp", MetadataKind::Timestamp),
        ("key", MetadataKind::Key),
        ("headers", MetadataKind::Headers),
    ]
    .into_iter()
    // A query that comes later may read what none does now.
    .filter(|(_, kind)| shared.live || used(*kind))
    .map(|(name, _)| name.to_owned())
    .collect();
    connector
        .source(&SourceRequest {
            table: spec.clone(),
            start,
            from_ms,
            metadata,
            env: Arc::clone(&shared.env),
        })
        .map_err(State::refused(spec))
}
