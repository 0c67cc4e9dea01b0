//! A lone SELECT against a catalogue: for previews and interactive use.

use crate::catalog::{Catalog, Table};
use crate::compile::{
    CompileContext, Draft, finish, geo_database, parse_all, placed, with_sets_for_all,
};
use crate::logical::planner::Planner;
use crate::lower::aggregate::LIST_CAP;
use crate::lower::bind::{Bind, Binder, Bound, Rows, closed, columns_of, type_over, window_part};
use crate::lower::ir::Names;
use crate::lower::sink::{self, SinkSettings, peel};
use crate::lower::source;
use crate::parser::cursor::Name;
use crate::parser::ddl::CreateTable;
use crate::parser::{Insert, Statement, parse_with_select};
use crate::plan::{OnEmpty, Program};
use crate::settings::Settings;
use crate::tables;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, LogicalPlan};
use std::sync::Arc;
use tidewheel_core::diagnostic::Severity;
use tidewheel_core::{Diagnostic, Diagnostics, Options, SourceText, TableSpec};

/// The name of the table that a lone SELECT writes, and of its connector.
pub const PREVIEW: &str = "preview";

/// The name of its statement's columns where a key is needed that the SELECT does not give.
const KEY_COLUMN: &str = "key";

/// Compiles a lone SELECT, with CREATE and SET statements before it, against the catalogue of
/// `files`. The program holds this query alone. It writes a table named [`PREVIEW`] with the
/// option `connector` = [`PREVIEW`], whose columns are the SELECT's.
///
/// The table's PRIMARY KEY are the columns of the outermost GROUP BY (or of a top list's
/// partition and rank) with the window columns that are in the output: with window columns a row
/// for each key and window, without them the current values. Rows of a window whose key is not
/// in the output are added once, when the window is final; so are those without GROUP BY, as
/// they come; one with an OVER value comes again when a row before it changes the value. Where rows without a window change and the output does not hold their key, the
/// missing columns of the key follow the SELECT's columns.
///
/// # Errors
/// All that is wrong in `text`. What is wrong in `files` counts only where the SELECT cannot be
/// planned because of it.
pub fn compile_select(
    files: &[Arc<SourceText>],
    text: &Arc<SourceText>,
    context: &CompileContext<'_>,
) -> Result<Program, Diagnostics> {
    let mut found = Diagnostics::default();
    let mut statements = parse_all(files, &mut found);
    let own = parse_with_select(text, &mut found);
    let query = lone_select(&own, text, &mut found).cloned();
    statements.push(own);
    let context = &with_sets_for_all(context, &statements);
    let settings = Settings::of_files(&statements, context, &mut found);
    let settings = settings.last().copied().unwrap_or_default();
    let catalog = Catalog::build(&statements, context, &mut found);
    let geo = geo_database(context, &mut found);
    let planner = Planner::new(&catalog, geo);
    let sources = source::plan_exprs(&catalog, &planner, &mut found);
    // What is worth knowing of other queries' tables is not worth knowing here.
    let _ = planner.take_warnings();
    let times = sources
        .iter()
        .filter_map(|(name, exprs)| Some((name.clone(), exprs.event_time.clone()?)))
        .collect();
    let binder = Binder {
        times: &times,
        list_cap: settings.list_cap.unwrap_or(LIST_CAP),
    };
    let mut program = None;
    let sound = !found.0.iter().any(|d| is_error_in(d, text));
    if let Some(insert) = query.filter(|_| sound) {
        match planned(&insert, text, &catalog, &planner, &binder, settings) {
            Ok((table, draft)) => {
                let drafts = vec![draft(&insert, &table)];
                let mut wrong = Diagnostics::default();
                program = finish(drafts, &catalog, &sources, context, &mut wrong);
                if wrong.has_errors() {
                    program = None;
                }
                found.0.extend(wrong.0);
            }
            Err(errors) => found.0.extend(errors),
        }
    }
    found.0.append(&mut planner.take_errors().0);
    found.0.append(&mut planner.take_warnings().0);
    found.sort();
    if found.0.iter().any(|d| is_error_in(d, text)) || program.is_none() {
        // Errors of its own text, if there are any, else what it builds on.
        if found.0.iter().any(|d| is_error_in(d, text)) {
            found.0.retain(|d| is_in(d, text));
        }
        return Err(found);
    }
    found.0.retain(|d| is_in(d, text));
    let mut program = program.ok_or_else(Diagnostics::default)?;
    program.tables = tables::listed(&statements, &catalog, &planner, context.registry);
    program.warnings = found;
    Ok(program)
}

fn is_in(diagnostic: &Diagnostic, text: &Arc<SourceText>) -> bool {
    let span = diagnostic.span.as_ref();
    span.is_none_or(|span| Arc::ptr_eq(&span.source, text))
}

fn is_error_in(diagnostic: &Diagnostic, text: &Arc<SourceText>) -> bool {
    diagnostic.severity == Severity::Error && is_in(diagnostic, text)
}

/// The one SELECT of a text.
fn lone_select<'a>(
    statements: &'a [Statement],
    text: &Arc<SourceText>,
    found: &mut Diagnostics,
) -> Option<&'a Insert> {
    let mut selects = statements.iter().filter_map(|s| match s {
        Statement::Select(select) => Some(select.as_ref()),
        _ => None,
    });
    let first = selects.next();
    if let Some(second) = selects.next() {
        found.push(
            Diagnostic::error("there is a second SELECT", Some(second.span.clone()))
                .with_advice("send one SELECT at a time"),
        );
    }
    for statement in statements {
        if let Statement::Insert(insert) = statement {
            found.push(
                Diagnostic::error("an INSERT is no preview", Some(insert.span.clone()))
                    .with_advice("send its SELECT alone, or submit it as a query"),
            );
        }
    }
    if first.is_none() && !found.0.iter().any(|d| is_error_in(d, text)) {
        found.push(
            Diagnostic::error("there is no SELECT", None).with_advice("write SELECT … FROM t"),
        );
    }
    first
}

type MakeDraft = Box<dyn for<'a> FnOnce(&'a Insert, &'a Table) -> Draft<'a>>;

fn planned(
    insert: &Insert,
    text: &Arc<SourceText>,
    catalog: &Catalog,
    planner: &Planner<'_>,
    binder: &Binder<'_>,
    set: Settings,
) -> Result<(Table, MakeDraft), Vec<Diagnostic>> {
    let plan = planner.plan_select(&insert.select, true)?;
    let settings = SinkSettings {
        on_empty: OnEmpty::Delete,
        lateness: 0,
        state_ttl: set.state_ttl,
    };
    let finished = binder.bind(&plan).and_then(|mut bound| {
        let table = table_of(&mut bound, &plan, insert)?;
        let owned: Vec<usize> = (0..table.spec.schema.fields().len()).collect();
        let emit = insert.emit.as_ref();
        let finished = sink::finish(bound, &plan, &table, &owned, &settings, emit);
        let finished = finished.map_err(|mut refusals| refusals.remove(0))?;
        Ok((table, owned, finished))
    });
    let (table, owned, finished) =
        finished.map_err(|refusal| vec![placed(refusal, insert, catalog)])?;
    let file = text.name.clone();
    let draft: MakeDraft = Box::new(move |insert, table| Draft {
        name: PREVIEW.to_owned(),
        file,
        insert,
        table,
        owned,
        set,
        settings,
        finished,
        is_preview: true,
    });
    Ok((table, draft))
}

/// The table that fits the SELECT.
fn table_of(bound: &mut Bound, plan: &LogicalPlan, insert: &Insert) -> Bind<Table> {
    closed(bound, "the end")?;
    let mut names = Names::default();
    let mut fields = Vec::new();
    for (field, expr) in plan.schema().fields().iter().zip(&bound.out) {
        let data_type = type_over(expr, &bound.node)?;
        fields.push(Field::new(
            names.unique(field.name()),
            plain(data_type),
            true,
        ));
    }
    let primary_key = match bound.rows {
        Rows::Stream | Rows::Over => Vec::new(),
        Rows::Keyed => match selected_key(bound) {
            Some(key) => key,
            None if bound.window.is_some() => Vec::new(),
            None => added_key(bound, &mut fields, &mut names)?,
        },
    };
    let schema = Arc::new(Schema::new(fields));
    let mut options = Options::default();
    options.set("connector", PREVIEW);
    let spec = TableSpec {
        name: PREVIEW.to_owned(),
        schema: Arc::clone(&schema),
        primary_key,
        options,
    };
    let name = Name {
        value: PREVIEW.to_owned(),
        span: insert.span.clone(),
    };
    Ok(Table {
        def: CreateTable {
            name,
            columns: Vec::new(),
            watermark: None,
            primary_key: Vec::new(),
            options: Vec::new(),
            shape: Vec::new(),
            options_at: 0,
            places: insert.select.places.clone(),
        },
        spec,
        metadata: Vec::new(),
        stored: schema,
    })
}

/// The places of a unique key in the output, window columns first; `None` where a part of each
/// is missing.
fn selected_key(bound: &Bound) -> Option<Vec<usize>> {
    let place = |key: &Expr| bound.out.iter().position(|e| peel(e) == peel(key));
    let keys = bound
        .unique_keys
        .iter()
        .find_map(|unique| unique.iter().map(place).collect::<Option<Vec<usize>>>())?;
    let mut all = Vec::new();
    if let Some(window) = &bound.window {
        let parts: Vec<(usize, usize)> = bound
            .out
            .iter()
            .enumerate()
            .filter_map(|(at, expr)| Some((at, window_part(expr, window)?)))
            .collect();
        // Steps of a CUMULATE share their start.
        let only_start = !parts.is_empty() && parts.iter().all(|(_, part)| *part == 0);
        if only_start && sink::cumulates(&bound.node) {
            return None;
        }
        all.extend(parts.into_iter().map(|(at, _)| at));
    }
    all.extend(keys);
    (!all.is_empty()).then_some(all)
}

/// Puts the missing columns of the key behind the others.
fn added_key(bound: &mut Bound, fields: &mut Vec<Field>, names: &mut Names) -> Bind<Vec<usize>> {
    let unique = bound.unique_keys.first().cloned().unwrap_or_default();
    let mut key = Vec::new();
    let mut add = |bound: &mut Bound, expr: Expr, wanted: &str| -> Bind<usize> {
        let data_type = type_over(&expr, &bound.node)?;
        fields.push(Field::new(names.unique(wanted), plain(data_type), true));
        bound.out.push(expr);
        Ok(bound.out.len() - 1)
    };
    for expr in unique {
        let known = bound.out.iter().position(|e| peel(e) == peel(&expr));
        key.push(match known {
            Some(at) => at,
            None => {
                let wanted = columns_of(&expr).join(".");
                add(bound, expr, &wanted)?
            }
        });
    }
    if key.is_empty() {
        // One row of all: its key is a constant.
        let one = Expr::Literal(ScalarValue::Int64(Some(1)), None);
        key.push(add(bound, one, KEY_COLUMN)?);
    }
    Ok(key)
}

/// The type of a column that SQL can declare.
fn plain(data_type: DataType) -> DataType {
    match data_type {
        DataType::Null => DataType::Utf8View,
        DataType::UInt64 | DataType::UInt32 => DataType::Int64,
        other => other,
    }
}
