//! One SELECT, run for its results: previews of the service and `tidewheel sql`.

use crate::catalogue::policy::Places;
use crate::catalogue::resolve::{Compiler, Texts, source};
use crossbeam_channel::{Receiver, SendTimeoutError, Sender, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tidewheel_core::env::SystemEnv;
use tidewheel_core::{
    ChangeBatch, Connector, ConnectorError, Diagnostics, Env, Progress, Registry, Sink, SinkError,
    SinkRequest, Source, SourceRequest, TableSpec,
};
use tidewheel_runtime::{EngineError, RunOptions, Running};
use tidewheel_sql::plan::{BadRows, Program};

/// The connector that hands rows to whoever asked.
pub(crate) const CONNECTOR: &str = tidewheel_sql::PREVIEW;
/// Batches that wait for the reader; then the flow waits.
const BATCHES_WAITING: usize = 16;
/// How often a waiting sink looks whether its reader is still there.
const LOOK: Duration = Duration::from_millis(100);

/// Where a SELECT begins to read, or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// Where the tables' own options say.
    Table,
    /// At the end: only what comes from now on.
    Now,
    /// Where the tables' own options say, up to their present end.
    ToEnd,
}

/// A SELECT that is compiled.
pub(crate) struct Selected {
    /// Its program: one query, into the connector [`CONNECTOR`].
    pub program: Program,
    /// The table of results.
    pub table: TableSpec,
}

/// Compiles a SELECT beside the texts.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn compile(
    compiler: &Compiler,
    texts: &Texts,
    sql: &str,
    begin: Begin,
) -> Result<Selected, Diagnostics> {
    let files: Vec<_> = texts.values().cloned().collect();
    let text = source("select", sql);
    let registry = with_preview(&compiler.registry, None);
    let compile = |sets: &[(String, String, String)]| {
        let mut context = compiler.context();
        context.registry = &registry;
        context.sets.extend_from_slice(sets);
        tidewheel_sql::compile_select(&files, &text, &context)
    };
    let mut program = compile(&[])?;
    let sets: Vec<_> = program
        .sources
        .iter()
        .flat_map(|source| begin_options(&source.spec, begin))
        .collect();
    if !sets.is_empty() {
        program = compile(&sets)?;
    }
    // Looking must leave no trace.
    for source in &mut program.sources {
        if matches!(source.bad_rows, BadRows::DeadLetter(_)) {
            source.bad_rows = BadRows::Drop;
        }
        source.late_rows_table = None;
    }
    let table = program.queries.first().map(|query| query.sink.clone());
    let table = table.unwrap_or_else(|| TableSpec {
        name: CONNECTOR.to_owned(),
        schema: Arc::new(arrow::datatypes::Schema::empty()),
        primary_key: Vec::new(),
        options: [("connector", CONNECTOR)].into_iter().collect(),
    });
    Ok(Selected { program, table })
}

/// Options that make a table begin or end elsewhere.
fn begin_options(table: &TableSpec, begin: Begin) -> Vec<(String, String, String)> {
    let set = |option: &str, value: String| (table.name.clone(), option.to_owned(), value);
    let mode = |value: &str| set("scan.startup.mode", value.to_owned());
    match (table.options.get("connector"), begin) {
        (Some("kafka" | "log"), Begin::Now) => vec![mode("latest-offset")],
        (Some("kafka" | "log"), Begin::ToEnd) => {
            vec![set("scan.bounded.mode", "latest-offset".to_owned())]
        }
        _ => Vec::new(),
    }
}

impl Selected {
    /// What it reads.
    pub(crate) fn places(&self) -> Places {
        let mut places = Places::default();
        for source in &self.program.sources {
            places.add(&source.spec);
        }
        places
    }
}

/// A SELECT that runs.
pub(crate) struct Selecting {
    /// The engine.
    pub running: Running,
    /// Its results.
    pub results: Receiver<ChangeBatch>,
    gone: Arc<AtomicBool>,
}

impl Selecting {
    /// Starts it.
    ///
    /// # Errors
    /// A table cannot be read.
    pub(crate) fn start(
        selected: &Selected,
        registry: &Registry,
        options: &RunOptions,
    ) -> Result<Self, EngineError> {
        let (to, results) = bounded(BATCHES_WAITING);
        let gone = Arc::new(AtomicBool::new(false));
        let reader = Reader {
            to,
            gone: Arc::clone(&gone),
        };
        let registry = with_preview(registry, Some(reader));
        let env: Arc<dyn Env> = Arc::new(SystemEnv::new(registry));
        let running = Running::start(&selected.program, &env, options)?;
        Ok(Self {
            running,
            results,
            gone,
        })
    }

    /// Ends it and waits for its threads.
    ///
    /// # Errors
    /// What had stopped it before.
    pub(crate) fn end(self) -> Result<(), EngineError> {
        let asked = !self.running.is_finished();
        self.gone.store(true, Relaxed);
        self.running.engine.give_up();
        drop(self.results);
        match self.running.wait() {
            Err(error) if !asked => Err(error),
            _ => Ok(()),
        }
    }
}

fn with_preview(registry: &Registry, reader: Option<Reader>) -> Registry {
    let mut registry = registry.clone();
    registry.add_connector(Arc::new(Preview(reader)));
    registry
}

#[derive(Clone)]
struct Reader {
    to: Sender<ChangeBatch>,
    gone: Arc<AtomicBool>,
}

struct Preview(Option<Reader>);

struct PreviewSink {
    reader: Reader,
    writes: u64,
}

impl Connector for Preview {
    fn name(&self) -> &'static str {
        CONNECTOR
    }

    fn check(&self, table: &TableSpec, as_sink: bool) -> Result<(), ConnectorError> {
        if as_sink {
            Ok(())
        } else {
            Err(no_source(table))
        }
    }

    fn needs_format(&self) -> bool {
        false
    }

    fn source(&self, request: &SourceRequest) -> Result<Box<dyn Source>, ConnectorError> {
        Err(no_source(&request.table))
    }

    fn sink(&self, request: &SinkRequest) -> Result<Box<dyn Sink>, ConnectorError> {
        let reader = self.0.clone().ok_or_else(|| no_source(&request.table))?;
        Ok(Box::new(PreviewSink { reader, writes: 0 }))
    }
}

fn no_source(table: &TableSpec) -> ConnectorError {
    ConnectorError::option(
        "connector",
        format!(
            "'{}' has the connector 'preview', which is not for tables",
            table.name
        ),
    )
}

impl Sink for PreviewSink {
    fn write(&mut self, batch: &ChangeBatch, _progress: &Progress) -> Result<(), SinkError> {
        let mut batch = batch.clone();
        loop {
            if self.reader.gone.load(Relaxed) {
                return Ok(());
            }
            self.writes += 1;
            match self.reader.to.send_timeout(batch, LOOK) {
                Ok(()) | Err(SendTimeoutError::Disconnected(_)) => return Ok(()),
                Err(SendTimeoutError::Timeout(back)) => batch = back,
            }
        }
    }

    fn writes(&self) -> u64 {
        self.writes
    }
}

/// Names of the results' columns, by the columns of a batch.
pub(crate) fn names(table: &TableSpec, batch: &ChangeBatch) -> Vec<String> {
    let name = |column: &usize| table.schema.fields().get(*column).map(|f| f.name().clone());
    let columns = batch.columns.iter();
    columns
        .map(|column| name(column).unwrap_or_default())
        .collect()
}
