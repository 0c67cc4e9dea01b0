//! What the sink asks of a query: its columns and types, its key, and when to emit.

use super::bind::{
    Bind, Bound, Refusal, Rows, closed, columns_of, reads_any, type_over, window_part,
};
use super::demand;
use super::ir::{Node, Op, cast};
use crate::catalog::Table;
use crate::parser::cursor::Name;
use crate::parser::{EmitClause, EmitOn, Insert};
use crate::plan::OnEmpty;
use crate::preview::PREVIEW;
use crate::suggest::{listed, nearest};
use arrow::datatypes::DataType;
use datafusion::logical_expr::{Expr, LogicalPlan};
use std::time::Duration;
use tidewheel_core::Diagnostic;
use tidewheel_kernel::spec::{Emit, WindowKind};

/// Options of a sink that shape the plan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SinkSettings {
    /// `on-empty`.
    pub on_empty: OnEmpty,
    /// `allowed-lateness`, microseconds.
    pub lateness: i64,
    /// `state-ttl`.
    pub state_ttl: Option<Duration>,
}

impl SinkSettings {
    /// Reads them.
    pub(crate) fn read(table: &Table) -> Result<Self, Vec<Diagnostic>> {
        let options = &table.spec.options;
        let mut wrong = Vec::new();
        let mut duration = |name: &str| {
            options.duration(name).unwrap_or_else(|error| {
                wrong.push(crate::catalog::options::option_error(&table.def, &error));
                None
            })
        };
        let lateness = duration("allowed-lateness").unwrap_or_default();
        let state_ttl = duration("state-ttl");
        let _ = duration("ttl");
        let on_empty = match options.word("on-empty", &["delete", "zero", "keep"], "delete") {
            Ok("zero") => OnEmpty::Zero,
            Ok("keep") => OnEmpty::Keep,
            Ok(_) => OnEmpty::Delete,
            Err(error) => {
                wrong.push(crate::catalog::options::option_error(&table.def, &error));
                OnEmpty::Delete
            }
        };
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let lateness = i64::try_from(lateness.as_micros()).unwrap_or(i64::MAX);
        Ok(Self {
            on_empty,
            lateness,
            state_ttl,
        })
    }
}

/// The sink's columns that a query owns.
pub(crate) fn owned_columns(insert: &Insert, table: &Table) -> Result<Vec<usize>, Vec<Diagnostic>> {
    let fields = table.spec.schema.fields();
    if insert.columns.is_empty() {
        return Ok((0..fields.len()).collect());
    }
    let mut owned = Vec::new();
    let mut wrong = Vec::new();
    for name in &insert.columns {
        match fields.iter().position(|f| *f.name() == name.value) {
            Some(index) if owned.contains(&index) => wrong.push(Diagnostic::error(
                format!("column '{}' is named twice", name.value),
                Some(name.span.clone()),
            )),
            Some(index) => owned.push(index),
            None => wrong.push(no_column(name, table)),
        }
    }
    let missing = table
        .spec
        .primary_key
        .iter()
        .find(|key| !owned.contains(key));
    if wrong.is_empty()
        && let Some(key) = missing.and_then(|key| fields.get(*key))
    {
        wrong.push(
            Diagnostic::error(
                format!("the columns leave out '{}' of the PRIMARY KEY", key.name()),
                insert.columns.first().map(|n| n.span.clone()),
            )
            .with_advice(format!(
                "write INSERT INTO {} ({}, …)",
                table.spec.name,
                key.name()
            )),
        );
    }
    if wrong.is_empty() {
        Ok(owned)
    } else {
        Err(wrong)
    }
}

fn no_column(name: &Name, table: &Table) -> Diagnostic {
    let known: Vec<&str> = table
        .spec
        .schema
        .fields()
        .iter()
        .map(|f| f.name().as_str())
        .collect();
    let advice = match nearest(&name.value, known.iter().copied()) {
        Some(near) => format!("did you mean '{near}'?"),
        None => format!("its columns are {}", listed(known)),
    };
    Diagnostic::error(
        format!("table '{}' has no column '{}'", table.spec.name, name.value),
        Some(name.span.clone()),
    )
    .with_advice(advice)
}

/// A query with its sink.
#[derive(Debug)]
pub(crate) struct Finished {
    /// The tree, its columns named as the sink's.
    pub root: Node,
    /// Whether results are one row a key.
    pub current: bool,
    /// EMIT ON CHANGE EVERY.
    pub emit_every: Option<Duration>,
    /// Whether values live for ever.
    pub lifetime: bool,
}

/// Fits a query to its sink.
pub(crate) fn finish(
    bound: Bound,
    plan: &LogicalPlan,
    table: &Table,
    owned: &[usize],
    settings: &SinkSettings,
    emit: Option<&EmitClause>,
) -> Result<Finished, Vec<Refusal>> {
    closed(&bound, "INSERT").map_err(|refusal| vec![refusal])?;
    let columns = sink_columns(&bound, plan, table, owned)?;
    fit(bound, columns, table, owned, settings, emit).map_err(|refusal| vec![refusal])
}

fn fit(
    bound: Bound,
    columns: Vec<(Expr, String)>,
    table: &Table,
    owned: &[usize],
    settings: &SinkSettings,
    emit: Option<&EmitClause>,
) -> Bind<Finished> {
    let keyed = !table.spec.is_append_only();
    let key_exprs: Vec<(String, Expr)> = table
        .spec
        .primary_key
        .iter()
        .filter_map(|key| {
            let place = owned.iter().position(|o| o == key)?;
            let name = table.spec.schema.field(*key).name().clone();
            bound.out.get(place).map(|expr| (name, expr.clone()))
        })
        .collect();
    let per_window = bound.window.as_ref().is_some_and(|names| {
        let columns = [names.start.as_str(), names.end.as_str()];
        !keyed || key_exprs.iter().any(|(_, e)| reads_any(e, &columns))
    });
    if keyed && bound.rows == Rows::Keyed {
        check_key(&bound, table, &key_exprs, per_window)?;
    }
    if !keyed {
        check_append_only(&bound, table)?;
    }
    let windowed = bound.window.is_some();
    let lateness = settings.lateness;
    let is_preview = table.spec.options.get("connector") == Some(PREVIEW);
    let changes = windowed || bound.rows == Rows::Over && !is_preview;
    if !keyed && changes && matches!(emit.map(|e| e.on), Some(EmitOn::Change { .. })) {
        return Err(Refusal::new(
            "EMIT ON CHANGE into a table without PRIMARY KEY, which only adds rows",
            "declare PRIMARY KEY (…) NOT ENFORCED on the sink, or leave the suffix out",
            &["EMIT"],
        ));
    }
    let mode = emit_mode(emit, keyed, windowed, per_window, lateness)?;
    let has_group = bound.rows == Rows::Keyed;
    let mut root = bound.node.project(columns)?;
    demand::assign(&mut root, mode, lateness);
    if keyed && !has_group {
        let keys = key_exprs.iter().map(|(name, _)| name.clone()).collect();
        root = Node {
            fields: root.fields.clone(),
            op: Op::Latest {
                input: Box::new(root),
                keys,
            },
        };
    }
    let every = match emit.map(|e| e.on) {
        Some(EmitOn::Change { every }) => every,
        _ => None,
    };
    Ok(Finished {
        root,
        current: keyed && !per_window,
        emit_every: every
            .and_then(|m| u64::try_from(m).ok())
            .map(Duration::from_micros),
        lifetime: keyed && !windowed,
    })
}

/// The query's columns as the sink's: names and types.
fn sink_columns(
    bound: &Bound,
    plan: &LogicalPlan,
    table: &Table,
    owned: &[usize],
) -> Result<Vec<(Expr, String)>, Vec<Refusal>> {
    if bound.out.len() != owned.len() {
        return Err(vec![Refusal::new(
            format!(
                "the query gives {} columns, table '{}' takes {}",
                bound.out.len(),
                table.spec.name,
                owned.len()
            ),
            "select the sink's columns in their order, or name those that you give: \
             INSERT INTO t (key, a, b) SELECT …",
            &["SELECT"],
        )]);
    }
    let mut wrong = Vec::new();
    let mut columns = Vec::new();
    for (n, (expr, index)) in bound.out.iter().zip(owned).enumerate() {
        let target = table.spec.schema.field(*index);
        let from = match type_over(expr, &bound.node) {
            Ok(from) => from,
            Err(refusal) => {
                wrong.push(refusal);
                continue;
            }
        };
        if !fits(&from, target.data_type()) {
            let given = plan.schema().field(n).name().clone();
            wrong.push(Refusal::new(
                format!(
                    "column '{}' of '{}' is {}, the query gives {}",
                    target.name(),
                    table.spec.name,
                    shown(target.data_type()),
                    shown(&from)
                ),
                &format!(
                    "write CAST(… AS {}), or declare the column as {}",
                    shown(target.data_type()),
                    shown(&from)
                ),
                &[given.as_str(), "SELECT"],
            ));
            continue;
        }
        let expr = cast(expr.clone(), &from, target.data_type());
        columns.push((expr, target.name().clone()));
    }
    if wrong.is_empty() {
        Ok(columns)
    } else {
        Err(wrong)
    }
}

/// True where each value of one type is a value of the other.
fn fits(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Binary, BinaryView, Boolean, Decimal128, Float32, Float64, LargeBinary, LargeList,
        LargeUtf8, List, Map, Null, Struct, Timestamp, Utf8, Utf8View,
    };
    let text = |t: &DataType| matches!(t, Utf8 | Utf8View | LargeUtf8);
    let bytes = |t: &DataType| matches!(t, Binary | BinaryView | LargeBinary);
    match (from, to) {
        (a, b) if a == b => true,
        (Null, _) => true,
        (a, b) if text(a) && text(b) => true,
        (a, b) if bytes(a) && bytes(b) => true,
        (a, b) if text(b) => a.is_integer() || *a == Boolean,
        (Timestamp(..), Timestamp(..)) => true,
        (Float32, Float64) => true,
        (a, Float64) if a.is_integer() || matches!(a, Decimal128(..)) => true,
        (a, Float32) => matches!(a, DataType::Int8 | DataType::Int16),
        (a, Decimal128(p, s)) if a.is_integer() => i16::from(*p) - i16::from(*s) >= 19,
        (Decimal128(p1, s1), Decimal128(p2, s2)) => {
            s2 >= s1 && i16::from(*p2) - i16::from(*s2) >= i16::from(*p1) - i16::from(*s1)
        }
        (a, b) if a.is_integer() && b.is_integer() => wider(a, b),
        (List(a) | LargeList(a), List(b)) => fits(a.data_type(), b.data_type()),
        (Map(a, _), Map(b, _)) => fits(a.data_type(), b.data_type()),
        (Struct(a), Struct(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|(a, b)| fits(a.data_type(), b.data_type()))
        }
        _ => false,
    }
}

/// Whole numbers: true where `to` holds all of `from`. UInt64 comes from ranks and counts, which
/// stay far below the limit of BIGINT.
fn wider(from: &DataType, to: &DataType) -> bool {
    let bits = |t: &DataType| match t {
        DataType::Int8 | DataType::UInt8 => 8,
        DataType::Int16 | DataType::UInt16 => 16,
        DataType::Int32 | DataType::UInt32 => 32,
        _ => 64,
    };
    let grows = bits(to) > bits(from);
    let same_sign = from.is_signed_integer() == to.is_signed_integer();
    grows
        || (same_sign && bits(to) == bits(from))
        || (*from == DataType::UInt64 && *to == DataType::Int64)
}

/// A type as SQL names it.
pub(crate) fn shown(data_type: &DataType) -> String {
    use arrow::datatypes::TimeUnit;
    match data_type {
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => "STRING".into(),
        DataType::Int8 => "TINYINT".into(),
        DataType::Int16 => "SMALLINT".into(),
        DataType::Int32 => "INT".into(),
        DataType::Int64 | DataType::UInt64 => "BIGINT".into(),
        DataType::Float32 => "FLOAT".into(),
        DataType::Float64 => "DOUBLE".into(),
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Date32 => "DATE".into(),
        DataType::Binary | DataType::BinaryView => "BYTES".into(),
        DataType::Decimal128(p, s) => format!("DECIMAL({p}, {s})"),
        DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond, _) => "TIMESTAMP(3)".into(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => "TIMESTAMP(6)".into(),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => "TIMESTAMP(9)".into(),
        DataType::List(inner) => format!("ARRAY<{}>", shown(inner.data_type())),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => {
                let parts: Vec<String> = fields.iter().map(|f| shown(f.data_type())).collect();
                format!("MAP<{}>", parts.join(", "))
            }
            other => format!("MAP<{}>", shown(other)),
        },
        DataType::Struct(fields) => {
            let parts: Vec<String> = fields
                .iter()
                .map(|f| format!("{} {}", f.name(), shown(f.data_type())))
                .collect();
            format!("ROW<{}>", parts.join(", "))
        }
        other => other.to_string(),
    }
}

/// The PRIMARY KEY must be a unique key of the rows within a window.
fn check_key(bound: &Bound, table: &Table, key: &[(String, Expr)], per_window: bool) -> Bind<()> {
    let names: Vec<&str> = key.iter().map(|(name, _)| name.as_str()).collect();
    let exprs: Vec<&Expr> = key.iter().map(|(_, expr)| peel(expr)).collect();
    let held = |unique: &[Expr]| unique.iter().all(|u| exprs.contains(&peel(u)));
    let fitting = bound.unique_keys.iter().find(|unique| held(unique));
    let Some(unique) = fitting else {
        let missing = bound
            .unique_keys
            .first()
            .and_then(|u| u.iter().find(|u| !exprs.contains(&peel(u))));
        let missing = missing
            .map(|e| columns_of(e).join(", "))
            .unwrap_or_default();
        return Err(Refusal::new(
            format!(
                "the PRIMARY KEY ({}) of '{}' is no unique key of the rows: {} also goes by {missing}",
                names.join(", "),
                table.spec.name,
                bound.kind
            ),
            &format!("add {missing} to the PRIMARY KEY, or take it out of GROUP BY"),
            &["GROUP", "SELECT"],
        ));
    };
    let window = bound.window.as_ref();
    for (name, expr) in key {
        let allowed: Vec<String> = unique
            .iter()
            .flat_map(columns_of)
            .chain(window.iter().flat_map(|w| [w.start.clone(), w.end.clone()]))
            .collect();
        if columns_of(expr).iter().any(|c| !allowed.contains(c)) {
            return Err(Refusal::new(
                format!(
                    "column '{name}' of the PRIMARY KEY of '{}' is no column of {}",
                    table.spec.name, bound.kind
                ),
                "a key column is a column of GROUP BY, a window column or a constant",
                &["GROUP", "SELECT"],
            ));
        }
    }
    if per_window && let Some(names) = window {
        // Steps of a CUMULATE share their start.
        let cumulate = cumulates(&bound.node);
        let has_end = key
            .iter()
            .any(|(_, e)| matches!(window_part(e, names), Some(1 | 2)));
        if cumulate && !has_end {
            return Err(Refusal::new(
                "the windows of CUMULATE share their start",
                "put window_end into the PRIMARY KEY",
                &["CUMULATE", "window_start"],
            ));
        }
    }
    Ok(())
}

/// Without casts that keep values apart.
pub(crate) fn peel(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => peel(&alias.expr),
        Expr::Cast(cast) if matches!(cast.expr.as_ref(), Expr::Column(_)) => &cast.expr,
        other => other,
    }
}

/// True where the windows are those of a CUMULATE.
pub(crate) fn cumulates(node: &Node) -> bool {
    match &node.op {
        Op::Window { window, .. } => matches!(window.kind, WindowKind::Cumulate { .. }),
        _ => node.input().is_some_and(cumulates),
    }
}

fn check_append_only(bound: &Bound, table: &Table) -> Bind<()> {
    let name = &table.spec.name;
    // Rows of OVER go out once, when the watermark has passed them.
    if bound.rows != Rows::Keyed || bound.window.is_some() {
        return Ok(());
    }
    Err(Refusal::new(
        format!(
            "{} changes its rows, and '{name}' without a PRIMARY KEY only adds rows",
            bound.kind
        ),
        "declare PRIMARY KEY (…) NOT ENFORCED on the sink: it holds the newest row of each key",
        &["GROUP", "DISTINCT", "ROW_NUMBER", "SELECT"],
    ))
}

fn emit_mode(
    emit: Option<&EmitClause>,
    keyed: bool,
    windowed: bool,
    per_window: bool,
    allowed_lateness: i64,
) -> Bind<Emit> {
    let on = emit.map(|clause| clause.on);
    if !windowed && matches!(on, Some(EmitOn::WindowClose)) {
        return Err(Refusal::new(
            "EMIT ON WINDOW CLOSE, but the query has no window",
            "leave the suffix out",
            &["EMIT"],
        ));
    }
    Ok(match (per_window, on) {
        (true, Some(EmitOn::Change { .. })) => Emit::EveryChange { allowed_lateness },
        (true, _) if keyed => Emit::Closed { allowed_lateness },
        (true, _) => Emit::Final { allowed_lateness },
        (false, Some(EmitOn::WindowClose)) => Emit::LastClosed,
        (false, _) => Emit::Current,
    })
}

/// A column of the root by its name.
pub(crate) fn all_columns(root: &Node) -> std::collections::BTreeSet<Vec<String>> {
    root.fields.iter().map(|f| vec![f.name().clone()]).collect()
}
