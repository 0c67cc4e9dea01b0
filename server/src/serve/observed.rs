//! Connectors with an ear: how long writes take, and whether a sink is away.
//!
//! Also: a table for bad or late rows that is a file is made with its first row, not before.

use crate::tables::masked_text;
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;
use tidewheel_core::{
    ChangeBatch, Connector, ConnectorError, Progress, Registry, Sink, SinkError, SinkRequest,
    Source, SourceRequest, TableSpec,
};
use tidewheel_sql::plan::{BadRows, Program};

/// Upper bounds of the buckets of write times, in seconds.
pub(crate) const WRITE_SECONDS: [f64; 11] = [
    0.000_1, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0, 10.0,
];

/// How the writes of one table went.
#[derive(Debug, Default)]
pub(crate) struct WriteTimes {
    counts: [AtomicU64; WRITE_SECONDS.len() + 1],
    nanos: AtomicU64,
    failures: AtomicU64,
}

/// A copy of [`WriteTimes`] at one moment.
#[derive(Debug, Clone)]
pub(crate) struct WriteTimesNow {
    /// Writes by bucket; the last one has no upper bound.
    pub counts: Vec<u64>,
    /// The sum in seconds.
    pub seconds: f64,
    /// Writes that failed.
    pub failures: u64,
}

/// What is known of sinks beside the engine.
#[derive(Default)]
pub(crate) struct Taps {
    times: RwLock<BTreeMap<(String, String), Arc<WriteTimes>>>,
    /// Why a place is away, by connector and place; and how many tables say so.
    away: Mutex<BTreeMap<String, (String, BTreeSet<String>)>>,
    /// Tables that are made with their first row.
    lazy: RwLock<BTreeSet<String>>,
}

impl Taps {
    /// How writes went, by connector and table.
    pub(crate) fn times(&self) -> Vec<((String, String), WriteTimesNow)> {
        let copy = |times: &WriteTimes| WriteTimesNow {
            counts: times
                .counts
                .iter()
                .map(|count| count.load(Relaxed))
                .collect(),
            seconds: times.nanos.load(Relaxed) as f64 / 1e9,
            failures: times.failures.load(Relaxed),
        };
        let times = self.times.read();
        times
            .iter()
            .map(|(name, times)| (name.clone(), copy(times)))
            .collect()
    }

    /// The places that are away, and why.
    pub(crate) fn away(&self) -> Vec<(String, String)> {
        let away = self.away.lock();
        let entry = |(place, (why, _)): (&String, &(String, BTreeSet<String>))| {
            (place.clone(), why.clone())
        };
        away.iter().map(entry).collect()
    }

    /// Notes which tables take bad or late rows.
    pub(crate) fn note_side_tables(&self, program: &Program) {
        let mut lazy = BTreeSet::new();
        for source in &program.sources {
            if let BadRows::DeadLetter(table) = &source.bad_rows {
                lazy.insert(table.name.clone());
            }
            lazy.extend(
                source
                    .late_rows_table
                    .iter()
                    .map(|table| table.name.clone()),
            );
        }
        *self.lazy.write() = lazy;
    }

    /// One line when a place goes away and one when it is back, however many tables are there.
    fn note(&self, place: &str, table: &str, failure: Option<&str>) {
        let mut away = self.away.lock();
        match failure {
            Some(why) => {
                let why = masked_text(why);
                let known = away.contains_key(place);
                let entry = away.entry(place.to_owned()).or_default();
                entry.0.clone_from(&why);
                entry.1.insert(table.to_owned());
                if !known {
                    tracing::warn!(place, why, "a sink is away; its values wait");
                }
            }
            None => {
                let Some(entry) = away.get_mut(place) else {
                    return;
                };
                entry.1.remove(table);
                if entry.1.is_empty() {
                    away.remove(place);
                    tracing::info!(place, "the sink is back; what waited is written");
                }
            }
        }
    }
}

/// The registry with all connectors observed.
pub(crate) fn observed(registry: &Registry, taps: &Arc<Taps>) -> Registry {
    let mut out = registry.clone();
    for name in registry.connector_names() {
        if let Some(inner) = registry.connector(name) {
            out.add_connector(Arc::new(Observed {
                inner: Arc::clone(inner),
                taps: Arc::clone(taps),
            }));
        }
    }
    out
}

struct Observed {
    inner: Arc<dyn Connector>,
    taps: Arc<Taps>,
}

/// Where a table is: its connector, and the URL or path.
fn place(connector: &str, table: &TableSpec) -> String {
    let options = &table.options;
    let at = ["url", "properties.bootstrap.servers", "path"]
        .into_iter()
        .find_map(|name| options.get(name))
        .unwrap_or("");
    format!("{connector} {}", masked_text(at)).trim().to_owned()
}

impl Connector for Observed {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn source_options(&self) -> &'static [&'static str] {
        self.inner.source_options()
    }

    fn sink_options(&self) -> &'static [&'static str] {
        self.inner.sink_options()
    }

    fn check(&self, table: &TableSpec, as_sink: bool) -> Result<(), ConnectorError> {
        self.inner.check(table, as_sink)
    }

    fn needs_format(&self) -> bool {
        self.inner.needs_format()
    }

    fn source(&self, request: &SourceRequest) -> Result<Box<dyn Source>, ConnectorError> {
        self.inner.source(request)
    }

    fn sink(&self, request: &SinkRequest) -> Result<Box<dyn Sink>, ConnectorError> {
        let table = &request.table;
        let lazy = self.name() == "file"
            && self.taps.lazy.read().contains(&table.name)
            && table
                .options
                .get("path")
                .is_some_and(|path| path != "-" && !Path::new(path).exists());
        let inner = if lazy {
            Inner::Later(Box::new((Arc::clone(&self.inner), request.clone())))
        } else {
            Inner::Open(self.inner.sink(request)?)
        };
        let key = (self.name().to_owned(), table.name.clone());
        let times = Arc::clone(self.taps.times.write().entry(key).or_default());
        Ok(Box::new(ObservedSink {
            inner,
            taps: Arc::clone(&self.taps),
            times,
            place: place(self.name(), table),
            // Several queries may write one table, each through a sink of its own.
            id: format!("{} {}", table.name, request.env.random()),
            away: false,
        }))
    }

    fn secret_options(&self) -> &'static [&'static str] {
        self.inner.secret_options()
    }
}

enum Inner {
    Open(Box<dyn Sink>),
    Later(Box<(Arc<dyn Connector>, SinkRequest)>),
}

struct ObservedSink {
    inner: Inner,
    taps: Arc<Taps>,
    times: Arc<WriteTimes>,
    place: String,
    id: String,
    away: bool,
}

impl ObservedSink {
    fn open(&mut self) -> Result<&mut Box<dyn Sink>, SinkError> {
        if let Inner::Later(request) = &self.inner {
            let sink = request.0.sink(&request.1);
            self.inner = Inner::Open(sink.map_err(|error| SinkError::Fatal(error.message))?);
        }
        match &mut self.inner {
            Inner::Open(sink) => Ok(sink),
            Inner::Later(_) => Err(SinkError::Fatal("the table is not open".to_owned())),
        }
    }

    fn failed(&mut self, error: &SinkError) {
        self.times.failures.fetch_add(1, Relaxed);
        // What no retry mends ends the query; the engine says so.
        if !self.away && !matches!(error, SinkError::Fatal(_)) {
            self.away = true;
            self.taps
                .note(&self.place, &self.id, Some(&error.to_string()));
        }
    }
}

impl Sink for ObservedSink {
    fn write(&mut self, batch: &ChangeBatch, progress: &Progress) -> Result<(), SinkError> {
        let begin = Instant::now();
        let written = self.open()?.write(batch, progress);
        match &written {
            Ok(()) => {
                let took = begin.elapsed();
                let seconds = took.as_secs_f64();
                let at = WRITE_SECONDS.iter().position(|bound| seconds <= *bound);
                self.times.counts[at.unwrap_or(WRITE_SECONDS.len())].fetch_add(1, Relaxed);
                let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
                self.times.nanos.fetch_add(nanos, Relaxed);
                if std::mem::take(&mut self.away) {
                    self.taps.note(&self.place, &self.id, None);
                }
            }
            Err(error) => self.failed(error),
        }
        written
    }

    fn close(&mut self) -> Result<(), SinkError> {
        match &mut self.inner {
            Inner::Open(sink) => sink.close(),
            Inner::Later(_) => Ok(()),
        }
    }

    fn verify(&mut self) -> Result<(), SinkError> {
        let Inner::Open(sink) = &mut self.inner else {
            return Ok(());
        };
        let verified = sink.verify();
        match &verified {
            Ok(()) if std::mem::take(&mut self.away) => {
                self.taps.note(&self.place, &self.id, None);
            }
            Ok(()) => {}
            Err(error) => self.failed(error),
        }
        verified
    }

    fn writes(&self) -> u64 {
        match &self.inner {
            Inner::Open(sink) => sink.writes(),
            Inner::Later(_) => 0,
        }
    }

    fn progress(&mut self) -> Result<Option<Progress>, SinkError> {
        match &mut self.inner {
            Inner::Open(sink) => sink.progress(),
            Inner::Later(_) => Ok(None),
        }
    }

    fn note(
        &mut self,
        keys: &[Vec<u8>],
        number: u64,
        drop_below: Option<u64>,
    ) -> Result<(), SinkError> {
        let noted = self.open()?.note(keys, number, drop_below);
        if let Err(error) = &noted {
            self.failed(error);
        }
        noted
    }

    fn noted(&mut self) -> Result<Vec<Vec<u8>>, SinkError> {
        match &mut self.inner {
            Inner::Open(sink) => sink.noted(),
            Inner::Later(_) => Ok(Vec::new()),
        }
    }

    fn position(&mut self) -> Result<Vec<u8>, SinkError> {
        match &mut self.inner {
            Inner::Open(sink) => sink.position(),
            Inner::Later(_) => Ok(Vec::new()),
        }
    }
}

impl Drop for ObservedSink {
    fn drop(&mut self) {
        // A query that is removed while its sink is away must not leave it away for ever.
        if self.away {
            self.taps.note(&self.place, &self.id, None);
        }
    }
}
