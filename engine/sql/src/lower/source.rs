//! Source tables: their time, and what is read of them.

use super::access::{self, name_of};
use super::bind::{Binder, Refusal};
use super::ir::{TIME_TYPE, cast, df_schema, field};
use super::physical;
use crate::catalog::options::option_error;
use crate::catalog::{Catalog, Table};
use crate::logical::planner::Planner;
use crate::parser::cursor::{Name, Spanned};
use crate::plan::{BadRows, MetadataColumn, SourceTable};
use crate::suggest::{listed, nearest};
use arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::logical_expr::{Expr, ExprSchemable};
use sqlparser::ast::{self, Ident};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tidewheel_core::{Diagnostic, Diagnostics, OptionError, ReadColumn, Span, TableSpec};

const IDLE_TIMEOUT: Duration = Duration::from_secs(3);
const MAX_AHEAD: Duration = Duration::from_secs(60);
const MAX_DRIFT: Duration = Duration::from_secs(30);
const DEDUP_WINDOW: Duration = Duration::from_secs(600);

/// The expressions that a source table needs whatever its queries are, over its stored columns.
#[derive(Debug, Clone, Default)]
pub(crate) struct SourceExprs {
    /// The time attribute, as its column is declared.
    pub event_time: Option<Expr>,
    /// The WATERMARK.
    pub watermark: Option<Expr>,
    /// `dedup.key`.
    pub dedup: Vec<Expr>,
    /// `order.by`.
    pub order_by: Option<Expr>,
}

/// Plans them for all tables. What is wrong goes to `errors`.
pub(crate) fn plan_exprs(
    catalog: &Catalog,
    planner: &Planner<'_>,
    errors: &mut Diagnostics,
) -> BTreeMap<String, SourceExprs> {
    let mut all = BTreeMap::new();
    let tables = catalog
        .tables
        .iter()
        .filter(|(name, _)| !catalog.broken.contains(*name));
    for (name, table) in tables {
        planner.check_relation(name);
        let mut own = planner.take_errors();
        if own.0.is_empty() {
            match table_exprs(planner, table) {
                Ok(exprs) => {
                    all.insert(name.clone(), exprs);
                }
                Err(found) => own.0.extend(found),
            }
        }
        errors.0.append(&mut own.0);
    }
    all
}

fn table_exprs(planner: &Planner<'_>, table: &Table) -> Result<SourceExprs, Vec<Diagnostic>> {
    let mut wanted: Vec<(String, Spanned<ast::Expr>)> = Vec::new();
    if let Some((column, watermark)) = &table.def.watermark {
        let ident = Ident {
            value: column.value.clone(),
            quote_style: Some('`'),
            span: sqlparser::tokenizer::Span::empty(),
        };
        let value = ast::Expr::Identifier(ident);
        wanted.push((
            "event_time".into(),
            Spanned {
                value,
                span: column.span.clone(),
            },
        ));
        wanted.push(("watermark".into(), (**watermark).clone()));
    }
    let options = &table.spec.options;
    let keys = column_list(options.get("dedup.key"));
    for (n, key) in keys.iter().enumerate() {
        let span = option_span(table, "dedup.key");
        wanted.push((
            format!("dedup{n}"),
            Spanned {
                value: column_expr(key),
                span,
            },
        ));
    }
    if let Some(column) = options.get("order.by") {
        let span = option_span(table, "order.by");
        wanted.push((
            "order_by".into(),
            Spanned {
                value: column_expr(column),
                span,
            },
        ));
    }
    if wanted.is_empty() {
        return Ok(SourceExprs::default());
    }
    let named: Vec<(&str, &Spanned<ast::Expr>)> = wanted
        .iter()
        .map(|(name, expr)| (name.as_str(), expr))
        .collect();
    let plan = planner.table_expressions(table, &named)?;
    let binder = Binder {
        times: &BTreeMap::new(),
        list_cap: super::aggregate::LIST_CAP,
    };
    let bound = binder.bind(&plan).map_err(|refusal: Refusal| {
        vec![Diagnostic::error(
            refusal.message,
            Some(table.def.name.span.clone()),
        )]
    })?;
    let schema = df_schema(&bound.node.fields)
        .map_err(|e| vec![Diagnostic::error(e.strip_backtrace(), None)])?;
    let mut exprs = SourceExprs::default();
    let mut wrong = Vec::new();
    for ((name, spanned), expr) in wanted.iter().zip(bound.out) {
        let data_type = expr.get_type(&schema).unwrap_or(DataType::Null);
        match name.as_str() {
            "event_time" | "watermark" if !matches!(data_type, DataType::Timestamp(..)) => {
                wrong.push(
                    Diagnostic::error(
                        "the time of a table must be a TIMESTAMP",
                        Some(spanned.span.clone()),
                    )
                    .with_advice(
                        "declare the column as TIMESTAMP(3), or compute it: \
                         ts AS to_timestamp_millis(ms)",
                    ),
                );
            }
            "event_time" => exprs.event_time = Some(expr),
            "watermark" => exprs.watermark = Some(expr),
            "order_by" if !data_type.is_integer() => wrong.push(
                Diagnostic::error(
                    "'order.by' must name a whole number",
                    Some(spanned.span.clone()),
                )
                .with_advice("name a BIGINT column"),
            ),
            "order_by" => exprs.order_by = Some(cast(expr, &data_type, &DataType::UInt64)),
            _ => exprs.dedup.push(expr),
        }
    }
    if wrong.is_empty() {
        Ok(exprs)
    } else {
        Err(wrong)
    }
}

fn column_list(text: Option<&str>) -> Vec<String> {
    let parts = text
        .unwrap_or("")
        .split(',')
        .map(str::trim)
        .filter(|t| !t.is_empty());
    parts.map(str::to_owned).collect()
}

/// `a` or `a.b.c`, backticks or not.
fn column_expr(text: &str) -> ast::Expr {
    let mut idents: Vec<Ident> = text
        .split('.')
        .map(|part| Ident {
            value: part.trim().trim_matches('`').to_owned(),
            quote_style: Some('`'),
            span: sqlparser::tokenizer::Span::empty(),
        })
        .collect();
    match idents.len() {
        1 => ast::Expr::Identifier(idents.remove(0)),
        _ => ast::Expr::CompoundIdentifier(idents),
    }
}

fn option_span(table: &Table, option: &str) -> Span {
    let found: Option<&(Name, Name)> = table
        .def
        .options
        .iter()
        .find(|(key, _)| key.value == option);
    found.map_or_else(
        || table.def.name.span.clone(),
        |(_, value)| value.span.clone(),
    )
}

/// Everything about a table that queries read. `accesses` is what they read; what its own
/// expressions read is added.
pub(crate) fn build(
    table: &Table,
    exprs: &SourceExprs,
    accesses: &BTreeSet<access::Access>,
    catalog: &Catalog,
    fingerprint: u64,
) -> Result<SourceTable, Vec<Diagnostic>> {
    let stored: Vec<FieldRef> = table.stored.fields().iter().cloned().collect();
    let mut all = accesses.clone();
    let own = exprs
        .event_time
        .iter()
        .chain(&exprs.watermark)
        .chain(&exprs.dedup);
    for expr in own.chain(&exprs.order_by) {
        access::collect(expr, &stored, &mut all);
    }
    let mut read = Vec::new();
    let mut metadata = Vec::new();
    let mut fields: Vec<FieldRef> = Vec::new();
    let mut metadata_fields: Vec<FieldRef> = Vec::new();
    for path in access::covered(&all) {
        let known = table
            .metadata
            .iter()
            .find(|(name, _, _)| path.first() == Some(name));
        if let Some((name, kind, data_type)) = known {
            metadata.push(MetadataColumn {
                name: name.clone(),
                kind: *kind,
                data_type: data_type.clone(),
            });
            metadata_fields.push(field(name, data_type.clone()));
        } else if let Some(data_type) = access::type_of(&path, &stored) {
            fields.push(field(&name_of(&path), data_type.clone()));
            read.push(ReadColumn { path, data_type });
        }
    }
    fields.extend(metadata_fields);
    let scan_schema = Arc::new(Schema::new(fields));
    let physical = |expr: &Expr, to: Option<&DataType>| {
        let schema = df_schema(&stored)?;
        let from = expr.get_type(&schema)?;
        let expr = match to {
            Some(to) => cast(expr.clone(), &from, to),
            None => expr.clone(),
        };
        let after: Vec<FieldRef> = scan_schema.fields().iter().cloned().collect();
        let expr = access::rewrite(expr, &stored, &after)?;
        physical::expression(&expr, &after, &scan_schema)
    };
    let internal = |e: datafusion::common::DataFusionError| {
        vec![Diagnostic::error(
            e.strip_backtrace(),
            Some(table.def.name.span.clone()),
        )]
    };
    let options = Settings::read(table, catalog)?;
    let event_time = exprs
        .event_time
        .as_ref()
        .map(|e| physical(e, Some(&TIME_TYPE)));
    let watermark = exprs
        .watermark
        .as_ref()
        .map(|e| physical(e, Some(&TIME_TYPE)));
    let order_by = exprs.order_by.as_ref().map(|e| physical(e, None));
    let dedup: Vec<_> = exprs
        .dedup
        .iter()
        .map(|e| physical(e, None))
        .collect::<Result<_, _>>()
        .map_err(internal)?;
    Ok(SourceTable {
        spec: table.spec.clone(),
        fingerprint,
        read,
        metadata,
        event_time: event_time.transpose().map_err(internal)?,
        watermark: watermark.transpose().map_err(internal)?,
        dedup: if dedup.is_empty() {
            None
        } else {
            Some((dedup, options.dedup_window))
        },
        order_by: order_by.transpose().map_err(internal)?,
        scan_schema,
        idle_timeout: options.idle_timeout,
        max_ahead: options.max_ahead,
        max_drift: options.max_drift,
        bad_rows: options.bad_rows,
        late_rows_table: options.late_rows_table,
    })
}

struct Settings {
    dedup_window: Duration,
    idle_timeout: Duration,
    max_ahead: Duration,
    max_drift: Duration,
    bad_rows: BadRows,
    late_rows_table: Option<TableSpec>,
}

impl Settings {
    fn read(table: &Table, catalog: &Catalog) -> Result<Self, Vec<Diagnostic>> {
        let options = &table.spec.options;
        let mut wrong = Vec::new();
        let mut duration = |name: &str, default: Duration| match options.duration(name) {
            Ok(value) => value.unwrap_or(default),
            Err(error) => {
                wrong.push(option_error(&table.def, &error));
                default
            }
        };
        let dedup_window = duration("dedup.window", DEDUP_WINDOW);
        let idle_timeout = duration("scan.watermark.idle-timeout", IDLE_TIMEOUT);
        let max_ahead = duration("scan.max-ahead", MAX_AHEAD);
        let max_drift = duration("scan.watermark.alignment.max-drift", MAX_DRIFT);
        let mut other_table = |name: &str| match options.get(name) {
            None => None,
            Some(other) => match catalog.tables.get(other) {
                Some(found) => Some(found.spec.clone()),
                None => {
                    wrong.push(unknown_table(table, catalog, name, other));
                    None
                }
            },
        };
        let dead_letters = other_table("bad-rows.table");
        let late_rows_table = other_table("late-rows.table");
        let default = if dead_letters.is_some() {
            "dead-letter"
        } else {
            "drop"
        };
        let bad_rows = match options.word("bad-rows", &["dead-letter", "drop", "fail"], default) {
            Ok("fail") => BadRows::Fail,
            Ok("dead-letter") => match dead_letters {
                Some(spec) => BadRows::DeadLetter(spec),
                None if options.get("bad-rows.table").is_some() => BadRows::Drop,
                None => {
                    let error = OptionError {
                        option: "bad-rows".into(),
                        message: "'dead-letter' needs 'bad-rows.table' with the table to write"
                            .into(),
                    };
                    wrong.push(option_error(&table.def, &error));
                    BadRows::Drop
                }
            },
            Ok(_) => BadRows::Drop,
            Err(error) => {
                wrong.push(option_error(&table.def, &error));
                BadRows::Drop
            }
        };
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Self {
            dedup_window,
            idle_timeout,
            max_ahead,
            max_drift,
            bad_rows,
            late_rows_table,
        })
    }
}

fn unknown_table(table: &Table, catalog: &Catalog, option: &str, other: &str) -> Diagnostic {
    let error = OptionError {
        option: option.to_owned(),
        message: format!("there is no table '{other}'"),
    };
    let names: Vec<&str> = catalog.tables.keys().map(String::as_str).collect();
    let advice = match nearest(other, names.iter().copied()) {
        Some(near) => format!("did you mean '{near}'?"),
        None => format!("the tables are {}", listed(names)),
    };
    option_error(&table.def, &error).with_advice(advice)
}
