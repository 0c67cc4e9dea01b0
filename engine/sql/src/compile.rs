//! From files to a program.

use crate::catalog::options::{connector_error, format_of};
use crate::catalog::{Catalog, Table};
use crate::fingerprint;
use crate::functions::{GEOIP_VARIABLE, GeoDatabase};
use crate::logical::errors::find_word;
use crate::logical::planner::Planner;
use crate::lower::aggregate::LIST_CAP;
use crate::lower::bind::{Binder, Refusal};
use crate::lower::physical::{self, Scans};
use crate::lower::prune::{Reads, prune};
use crate::lower::sink::{self, Finished, SinkSettings};
use crate::lower::source;
use crate::parser::cursor::Cursor;
use crate::parser::{Insert, Statement, parse_file};
use crate::plan::{Program, Query, SourceTable};
use crate::settings::Settings;
use crate::suggest::nearest;
use crate::tables;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use tidewheel_core::diagnostic::Severity;
use tidewheel_core::{ConnectorError, Diagnostic, Diagnostics, Registry, SourceText, Span};

/// What a folder of statements is compiled with.
#[derive(Clone)]
pub struct CompileContext<'a> {
    /// The connectors and formats, to check tables' options.
    pub registry: &'a Registry,
    /// What `${NAME:-default}` in option values is replaced from.
    pub environment: BTreeMap<String, String>,
    /// `--set TABLE.OPTION=VALUE`: table, option, value.
    pub sets: Vec<(String, String, String)>,
    /// Settings that hold where no `SET` statement says otherwise, such as
    /// `table.exec.state.ttl`.
    pub defaults: BTreeMap<String, String>,
}

impl<'a> CompileContext<'a> {
    /// A context with nothing but connectors.
    #[must_use]
    pub fn new(registry: &'a Registry) -> Self {
        Self {
            registry,
            environment: BTreeMap::new(),
            sets: Vec::new(),
            defaults: BTreeMap::new(),
        }
    }
}

/// In [`CompileContext::sets`], the name that stands for every table that is read: those that no
/// INSERT writes and that take no bad or late rows.
pub const ALL_SOURCES: &str = "@sources";
/// In [`CompileContext::sets`], the name that stands for every table that an INSERT writes. In a
/// value, `{table}` is replaced by the table's name.
pub const ALL_SINKS: &str = "@sinks";

/// The context with the sets for all sources and all sinks written out, table by table.
pub(crate) fn with_sets_for_all<'a>(
    context: &CompileContext<'a>,
    statements: &[Vec<Statement>],
) -> CompileContext<'a> {
    let mut written = BTreeSet::new();
    let mut declared = BTreeSet::new();
    let mut aside = BTreeSet::new();
    for statement in statements.iter().flatten() {
        match statement {
            Statement::Insert(insert) => {
                written.insert(insert.table.value.clone());
            }
            Statement::Table(table) => {
                declared.insert(table.name.value.clone());
                let named = table.options.iter().filter(|(key, _)| {
                    key.value == "bad-rows.table" || key.value == "late-rows.table"
                });
                aside.extend(named.map(|(_, value)| value.value.clone()));
            }
            _ => {}
        }
    }
    let read: BTreeSet<String> = declared
        .iter()
        .filter(|t| !written.contains(*t) && !aside.contains(*t))
        .cloned()
        .collect();
    let sets = context
        .sets
        .iter()
        .flat_map(|(table, option, value)| {
            let tables: Vec<&String> = match table.as_str() {
                ALL_SOURCES => read.iter().collect(),
                ALL_SINKS => written.intersection(&declared).collect(),
                _ => vec![table],
            };
            tables
                .into_iter()
                .map(|table| {
                    (
                        table.clone(),
                        option.clone(),
                        value.replace("{table}", table),
                    )
                })
                .collect::<Vec<_>>()
        })
        .collect();
    CompileContext {
        sets,
        ..context.clone()
    }
}

/// A query on its way through.
pub(crate) struct Draft<'a> {
    /// The query's name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// Its statement.
    pub insert: &'a Insert,
    /// The table it writes.
    pub table: &'a Table,
    /// The columns of it that it owns.
    pub owned: Vec<usize>,
    /// What SET statements say for it.
    pub set: Settings,
    /// The table's options.
    pub settings: SinkSettings,
    /// Its tree.
    pub finished: Finished,
    /// True for a lone SELECT, whose table nobody declared.
    pub is_preview: bool,
}

/// Parses files, what is wrong goes to `found`.
pub(crate) fn parse_all(files: &[Arc<SourceText>], found: &mut Diagnostics) -> Vec<Vec<Statement>> {
    let mut counter = 0;
    files
        .iter()
        .map(|file| parse_file(file, &mut counter, found))
        .collect()
}

/// Compiles a folder: one catalogue, whatever the order of files and statements.
///
/// # Errors
/// All that is wrong in all files, each with its place and what to write instead.
pub fn compile(
    files: &[Arc<SourceText>],
    context: &CompileContext<'_>,
) -> Result<Program, Diagnostics> {
    let mut found = Diagnostics::default();
    let statements = parse_all(files, &mut found);
    let context = &with_sets_for_all(context, &statements);
    let settings = Settings::of_files(&statements, context, &mut found);
    let catalog = Catalog::build(&statements, context, &mut found);
    let geo = geo_database(context, &mut found);
    let planner = Planner::new(&catalog, geo);
    let sources = source::plan_exprs(&catalog, &planner, &mut found);
    let times = sources
        .iter()
        .filter_map(|(name, exprs)| Some((name.clone(), exprs.event_time.clone()?)))
        .collect();
    for name in catalog.views.keys() {
        planner.check_relation(name);
        found.0.append(&mut planner.take_errors().0);
    }
    let mut drafts: Vec<Draft<'_>> = Vec::new();
    for ((file, statements), set) in files.iter().zip(&statements).zip(&settings) {
        let binder = Binder {
            times: &times,
            list_cap: set.list_cap.unwrap_or(LIST_CAP),
        };
        let inserts = statements.iter().filter_map(|s| match s {
            Statement::Insert(insert) => Some(insert.as_ref()),
            _ => None,
        });
        for (n, insert) in inserts.enumerate() {
            let name = query_name(&file.name, n);
            match draft(insert, &catalog, &planner, &binder, *set) {
                Ok((table, owned, settings, finished)) => drafts.push(Draft {
                    name,
                    file: file.name.clone(),
                    insert,
                    table,
                    owned,
                    set: *set,
                    settings,
                    finished,
                    is_preview: false,
                }),
                Err(errors) => found.0.extend(errors),
            }
        }
    }
    found.0.append(&mut planner.take_warnings().0);
    check_writers(&drafts, &mut found);
    let program = if found.has_errors() {
        None
    } else {
        finish(drafts, &catalog, &sources, context, &mut found)
    };
    found.sort();
    match program {
        Some(mut program) if !found.has_errors() => {
            program.tables = tables::listed(&statements, &catalog, &planner, context.registry);
            program.warnings = found;
            Ok(program)
        }
        _ => Err(found),
    }
}

/// The database of GEO_COUNTRY, where the environment names one.
pub(crate) fn geo_database(
    context: &CompileContext<'_>,
    found: &mut Diagnostics,
) -> Option<Arc<GeoDatabase>> {
    let path = context
        .environment
        .get(GEOIP_VARIABLE)
        .filter(|path| !path.is_empty())?;
    match GeoDatabase::open(Path::new(path)) {
        Ok(database) => Some(Arc::new(database)),
        Err(error) => {
            found.push(
                Diagnostic::error(format!("{GEOIP_VARIABLE}: {error}"), None)
                    .with_advice("name a MaxMind DB file with countries, or unset the variable"),
            );
            None
        }
    }
}

/// The name of a file's query: the file's, with a number from its second INSERT on.
fn query_name(file: &str, index: usize) -> String {
    let base = file.rsplit(['/', '\\']).next().unwrap_or(file);
    let stem = base.strip_suffix(".sql").unwrap_or(base);
    if index == 0 {
        stem.to_owned()
    } else {
        format!("{stem}#{}", index + 1)
    }
}

fn draft<'a>(
    insert: &Insert,
    catalog: &'a Catalog,
    planner: &Planner<'_>,
    binder: &Binder<'_>,
    defaults: Settings,
) -> Result<(&'a Table, Vec<usize>, SinkSettings, Finished), Vec<Diagnostic>> {
    let plan = planner.plan_select(&insert.select, true);
    let Some(table) = catalog.tables.get(&insert.table.value) else {
        let mut errors = plan.err().unwrap_or_default();
        errors.push(no_sink(insert, catalog));
        return Err(errors);
    };
    let broken = catalog.broken.contains(&insert.table.value);
    let plan = plan?;
    if broken {
        return Err(Vec::new());
    }
    let owned = sink::owned_columns(insert, table)?;
    let mut settings = SinkSettings::read(table)?;
    settings.state_ttl = settings.state_ttl.or(defaults.state_ttl);
    let emit = insert.emit.as_ref();
    let finished = binder
        .bind(&plan)
        .map_err(|refusal| vec![refusal])
        .and_then(|bound| sink::finish(bound, &plan, table, &owned, &settings, emit))
        .map_err(|refusals| {
            let placed = refusals.into_iter().map(|r| placed(r, insert, catalog));
            placed.collect::<Vec<_>>()
        })?;
    Ok((table, owned, settings, finished))
}

fn no_sink(insert: &Insert, catalog: &Catalog) -> Diagnostic {
    let name = &insert.table;
    let error = Diagnostic::error(
        format!("there is no table '{}' to write", name.value),
        Some(name.span.clone()),
    );
    if catalog.views.contains_key(&name.value) {
        return error.with_advice("it is a view; views are read, tables are written");
    }
    match nearest(&name.value, catalog.tables.keys().map(String::as_str)) {
        Some(near) => error.with_advice(format!("did you mean '{near}'?")),
        None => error.with_advice("declare it with CREATE TABLE"),
    }
}

/// A refusal at its place in the query's text, or in that of a view.
pub(crate) fn placed(refusal: Refusal, insert: &Insert, catalog: &Catalog) -> Diagnostic {
    let view = refusal
        .view
        .as_ref()
        .and_then(|name| catalog.views.get(name));
    let select = view.map_or(&insert.select, |view| &view.select);
    let emit = insert
        .emit
        .as_ref()
        .filter(|_| refusal.near.iter().any(|w| w == "EMIT"));
    let found = refusal
        .near
        .iter()
        .find_map(|word| find_word(&select.tokens, select, word));
    let whole = || {
        let cursor = Cursor::new(&select.tokens, &select.places);
        select.tokens.first().map(|t| cursor.span_of(t))
    };
    let span: Option<Span> = emit.map(|e| e.span.clone()).or(found).or_else(whole);
    let error = Diagnostic::error(refusal.message, span);
    match refusal.advice {
        Some(advice) if !advice.is_empty() => error.with_advice(advice),
        _ => error,
    }
}

/// A column of a keyed table has one writer.
fn check_writers(drafts: &[Draft<'_>], found: &mut Diagnostics) {
    let mut writers: BTreeMap<(&str, usize), &Draft<'_>> = BTreeMap::new();
    for draft in drafts {
        let table_name = draft.insert.table.value.as_str();
        let table = draft.table;
        if table.spec.is_append_only() {
            continue;
        }
        for column in &draft.owned {
            if table.spec.primary_key.contains(column) {
                continue;
            }
            if let Some(first) = writers.insert((table_name, *column), draft) {
                let span = &first.insert.table.span;
                let (line, _) = span.line_column();
                let column = table.spec.schema.field(*column).name();
                found.push(
                    Diagnostic::error(
                        format!(
                            "column '{column}' of '{table_name}' has a writer already, in {}:{line}",
                            span.source.name
                        ),
                        Some(draft.insert.table.span.clone()),
                    )
                    .with_advice(format!(
                        "name the columns that each query owns: INSERT INTO {table_name} (key, a) …"
                    )),
                );
                break;
            }
        }
    }
}

/// From drafts to a program; `None` where something is wrong, which is in `found`.
pub(crate) fn finish(
    drafts: Vec<Draft<'_>>,
    catalog: &Catalog,
    exprs: &BTreeMap<String, source::SourceExprs>,
    context: &CompileContext<'_>,
    found: &mut Diagnostics,
) -> Option<Program> {
    let mut reads = Reads::new();
    let mut pruned = Vec::new();
    for mut draft in drafts {
        let root = draft.finished.root;
        let need = sink::all_columns(&root);
        match prune(root, &need, &mut reads) {
            Ok(root) => {
                draft.finished.root = root;
                pruned.push(draft);
            }
            Err(error) => found.push(internal(&error, draft.insert)),
        }
    }
    let mut sources: Vec<SourceTable> = Vec::new();
    let mut scans = Scans::new();
    for (name, accesses) in &reads {
        let table = catalog.tables.get(name)?;
        let own = exprs.get(name).cloned().unwrap_or_default();
        let fingerprint = fingerprint::of_table(table, context.registry);
        match source::build(table, &own, accesses, catalog, fingerprint) {
            Ok(built) => {
                scans.insert(
                    name.clone(),
                    (sources.len(), Arc::clone(&built.scan_schema)),
                );
                check_connector(table, false, context, found);
                sources.push(built);
            }
            Err(errors) => found.0.extend(errors),
        }
    }
    if found.has_errors() {
        return None;
    }
    let mut queries = Vec::new();
    for draft in pruned {
        let Draft {
            insert,
            table,
            settings,
            finished,
            ..
        } = &draft;
        if !draft.is_preview {
            check_connector(table, true, context, found);
        }
        if finished.lifetime && settings.state_ttl.is_none() && !draft.is_preview {
            found.push(
                Diagnostic::warning(
                    format!("the values of '{}' are kept for ever", table.spec.name),
                    Some(insert.table.span.clone()),
                )
                .with_advice("give the table 'state-ttl' = '30 d', or window the query"),
            );
        }
        match physical::build(&finished.root, &scans, settings.state_ttl) {
            Ok(root) => queries.push(Query {
                sql: insert.span.text().to_owned(),
                fingerprint: fingerprint::of_query(insert, draft.set, catalog, context.registry),
                sink: table.spec.clone(),
                on_empty: settings.on_empty,
                emit_every: finished.emit_every,
                current: finished.current,
                root,
                sink_columns: draft.owned,
                name: draft.name,
                file: draft.file,
            }),
            Err(error) => found.push(internal(&error, insert)),
        }
    }
    Some(Program {
        sources,
        queries,
        tables: Vec::new(),
        warnings: Diagnostics::default(),
    })
}

fn internal(error: &datafusion::common::DataFusionError, insert: &Insert) -> Diagnostic {
    let mut diagnostic = crate::logical::errors::plain(error, Some(insert.table.span.clone()));
    diagnostic.severity = Severity::Error;
    diagnostic
}

fn check_connector(
    table: &Table,
    as_sink: bool,
    context: &CompileContext<'_>,
    found: &mut Diagnostics,
) {
    let checked = context
        .registry
        .for_table(&table.spec.options)
        .and_then(|connector| connector.check(&table.spec, as_sink))
        .and_then(|()| match format_of(&table.spec.options, context) {
            Some(format) if as_sink && !format.writes() => Err(ConnectorError::option(
                "format",
                format!(
                    "'{}' can only be read; write 'format' = 'json'",
                    format.name()
                ),
            )),
            Some(format) if !as_sink => format.check(&table.spec),
            _ => Ok(()),
        });
    if let Err(error) = checked {
        found.push(connector_error(&table.def, &error));
    }
}
