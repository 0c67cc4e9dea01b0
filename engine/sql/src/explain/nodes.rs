//! A query's chain of operators, in the names of its text: each column is shown as what it is
//! computed from.

use super::ExplainedOperator;
use crate::lower::sink::shown;
use crate::plan::{NodeKind, PlanNode, Program};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion::physical_expr_common::physical_expr::fmt_sql;
use std::sync::Arc;
use tidewheel_kernel::over::{Frame, OverFunction};
use tidewheel_kernel::spec::{AggregateKind, AggregateSpec, Emit, WindowKind, WindowSpec};

/// Texts longer than this are cut, characters.
const TEXT_MAX: usize = 400;

/// The operators, from the sink down to the scan. A projection below another operator is left
/// out: what it computes is shown where it is used.
pub(super) fn show_chain(program: &Program, root: &PlanNode) -> Vec<ExplainedOperator> {
    let mut operators = Vec::new();
    let mut node = Some(root);
    while let Some(this) = node {
        let is_root = std::ptr::eq(this, root);
        if is_root || !matches!(this.kind, NodeKind::Project { .. }) {
            operators.push(show_node(program, this));
        }
        node = input_of(this);
    }
    operators
}

fn show_node(program: &Program, node: &PlanNode) -> ExplainedOperator {
    let inputs = input_of(node).map(names_of).unwrap_or_default();
    let of = |columns: &[usize]| -> String {
        let names = columns.iter().filter_map(|i| inputs.get(*i).cloned());
        names.collect::<Vec<_>>().join(", ")
    };
    let (operator, text) = match &node.kind {
        NodeKind::Scan { source } => {
            let table = program.sources.get(*source);
            (
                "scan",
                table.map_or("?", |s| s.spec.name.as_str()).to_owned(),
            )
        }
        NodeKind::Filter { predicate, .. } => ("filter", expression(predicate, &inputs)),
        NodeKind::Project { exprs, .. } => {
            let parts = exprs.iter().zip(node.schema.fields()).map(|(expr, field)| {
                let text = expression(expr, &inputs);
                if text == *field.name() {
                    text
                } else {
                    format!("{text} as {}", field.name())
                }
            });
            ("project", parts.collect::<Vec<_>>().join(", "))
        }
        NodeKind::Window {
            keys,
            window,
            emit,
            aggregates,
            ..
        } => (
            "window",
            format!(
                "{} by ({}) emit {}: {}",
                show_window(window),
                of(keys),
                show_emit(*emit),
                show_aggregates(aggregates, &inputs)
            ),
        ),
        NodeKind::Group {
            keys,
            window_end,
            emit,
            state_ttl,
            aggregates,
            ..
        } => {
            let life = match (window_end, state_ttl) {
                (Some(_), _) => "until the window closes".to_owned(),
                (None, Some(ttl)) => format!("state-ttl {}", length(micros(*ttl))),
                (None, None) => "without end".to_owned(),
            };
            let text = format!(
                "by ({}) emit {}, {life}: {}",
                of(keys),
                show_emit(*emit),
                show_aggregates(aggregates, &inputs)
            );
            ("group", text)
        }
        NodeKind::Latest {
            keys, state_ttl, ..
        } => {
            let life = state_ttl.map_or(String::new(), |ttl| {
                format!(", state-ttl {}", length(micros(ttl)))
            });
            ("newest", format!("row by ({}){life}", of(keys)))
        }
        NodeKind::TopN {
            partition,
            order,
            limit,
            ..
        } => {
            let order: Vec<String> = order
                .iter()
                .map(|key| {
                    let direction = if key.descending { " desc" } else { "" };
                    format!("{}{direction}", of(&[key.column]))
                })
                .collect();
            let text = format!("{limit} of ({}) by {}", of(partition), order.join(", "));
            ("first", text)
        }
        NodeKind::Over {
            partition, calls, ..
        } => {
            let calls: Vec<String> = calls
                .iter()
                .map(|call| show_over(&call.function, call.frame, &inputs))
                .collect();
            ("over", format!("({}): {}", of(partition), calls.join(", ")))
        }
    };
    ExplainedOperator { operator, text }
}

/// What each column of a node is, in the names of the query.
pub(super) fn names_of(node: &PlanNode) -> Vec<String> {
    let own = || node.schema.fields().iter().map(|f| f.name().clone());
    let Some(input) = input_of(node) else {
        return own().collect();
    };
    let inputs = names_of(input);
    let at = |i: &usize| inputs.get(*i).cloned().unwrap_or_default();
    match &node.kind {
        NodeKind::Scan { .. } => own().collect(),
        NodeKind::Filter { .. } | NodeKind::Latest { .. } => inputs,
        NodeKind::Project { exprs, .. } => {
            exprs.iter().map(|expr| expression(expr, &inputs)).collect()
        }
        NodeKind::Window {
            keys, aggregates, ..
        }
        | NodeKind::Group {
            keys, aggregates, ..
        } => {
            // Between keys and aggregates stand the window's columns, under their own names.
            let count = node.schema.fields().len();
            let between = keys.len()..count.saturating_sub(aggregates.len());
            let keys_shown = keys.iter().map(at);
            let windows = own().skip(between.start).take(between.len());
            let calls = aggregates.iter().map(|spec| show_aggregate(spec, &inputs));
            keys_shown
                .chain(windows.collect::<Vec<_>>())
                .chain(calls)
                .take(count)
                .collect()
        }
        NodeKind::TopN { .. } => {
            let mut names = inputs;
            names.push("ROW_NUMBER()".to_owned());
            names
        }
        NodeKind::Over { calls, .. } => {
            let shown = calls
                .iter()
                .map(|call| show_over(&call.function, call.frame, &inputs));
            let shown: Vec<String> = shown.collect();
            inputs.into_iter().chain(shown).collect()
        }
    }
}

/// An expression with its columns as `names` have them, texts in quotes and types as SQL names
/// them.
pub(super) fn expression(expr: &Arc<dyn PhysicalExpr>, names: &[String]) -> String {
    let named = Arc::clone(expr).transform_up(|part| {
        let any: &dyn std::any::Any = part.as_ref();
        let text = if let Some(column) = any.downcast_ref::<Column>() {
            names.get(column.index()).cloned()
        } else if let Some(literal) = any.downcast_ref::<Literal>() {
            constant(literal.value())
        } else {
            any.downcast_ref::<CastExpr>().map(cast)
        };
        // A column's name is shown as it is: it stands for the text.
        Ok(match text {
            Some(text) => {
                Transformed::yes(Arc::new(Column::new(&text, 0)) as Arc<dyn PhysicalExpr>)
            }
            None => Transformed::no(part),
        })
    });
    let text = match named {
        Ok(named) => fmt_sql(named.data.as_ref()).to_string(),
        Err(_) => fmt_sql(expr.as_ref()).to_string(),
    };
    match text.char_indices().nth(TEXT_MAX) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or("")),
        None => text,
    }
}

/// Constants that do not read as SQL writes them.
fn constant(value: &ScalarValue) -> Option<String> {
    match value {
        ScalarValue::Utf8(Some(text))
        | ScalarValue::Utf8View(Some(text))
        | ScalarValue::LargeUtf8(Some(text)) => Some(format!("'{}'", text.replace('\'', "''"))),
        ScalarValue::IntervalMonthDayNano(Some(i)) if i.months == 0 => {
            let days = i64::from(i.days).checked_mul(86_400_000_000)?;
            Some(length(days.checked_add(i.nanoseconds / 1_000)?))
        }
        _ => None,
    }
}

/// A cast; those between times are left out, for times are microseconds inside.
fn cast(cast: &CastExpr) -> String {
    let inner = fmt_sql(cast.expr().as_ref()).to_string();
    if matches!(cast.cast_type(), DataType::Timestamp(..)) {
        return inner;
    }
    let end = format!(" AS {})", shown(cast.cast_type()));
    if inner.starts_with("CAST(") && inner.ends_with(&end) {
        return inner;
    }
    format!("CAST({inner}{end}")
}

pub(super) fn input_of(node: &PlanNode) -> Option<&PlanNode> {
    match &node.kind {
        NodeKind::Scan { .. } => None,
        NodeKind::Filter { input, .. }
        | NodeKind::Project { input, .. }
        | NodeKind::Window { input, .. }
        | NodeKind::Group { input, .. }
        | NodeKind::Latest { input, .. }
        | NodeKind::TopN { input, .. }
        | NodeKind::Over { input, .. } => Some(input),
    }
}

/// The source that a chain reads.
pub(super) fn scan_of(node: &PlanNode) -> Option<usize> {
    match &node.kind {
        NodeKind::Scan { source } => Some(*source),
        _ => input_of(node).and_then(scan_of),
    }
}

pub(super) fn show_window(window: &WindowSpec) -> String {
    let text = match window.kind {
        WindowKind::Tumble { size } => format!("TUMBLE {}", length(size)),
        WindowKind::Hop { slide, size } => format!("HOP {} / {}", length(slide), length(size)),
        WindowKind::Cumulate { step, size } => {
            format!("CUMULATE {} / {}", length(step), length(size))
        }
        WindowKind::Session { gap } => format!("SESSION {}", length(gap)),
    };
    if window.offset == 0 {
        text
    } else {
        format!("{text} offset {}", length(window.offset))
    }
}

fn micros(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Microseconds in the largest unit that divides them.
pub(super) fn length(micros: i64) -> String {
    for (unit, name) in [
        (86_400_000_000, "d"),
        (3_600_000_000, "h"),
        (60_000_000, "min"),
        (1_000_000, "s"),
        (1_000, "ms"),
    ] {
        if micros != 0 && micros % unit == 0 {
            return format!("{} {name}", micros / unit);
        }
    }
    format!("{micros} us")
}

fn show_emit(emit: Emit) -> String {
    match emit {
        Emit::Current => "current, on change".to_owned(),
        Emit::LastClosed => "last closed".to_owned(),
        Emit::Closed { allowed_lateness } => format!("closed, late {}", length(allowed_lateness)),
        Emit::Final { allowed_lateness } => format!("final, late {}", length(allowed_lateness)),
        Emit::EveryChange { allowed_lateness } => {
            format!("every window, on change, late {}", length(allowed_lateness))
        }
    }
}

fn show_aggregates(aggregates: &[AggregateSpec], names: &[String]) -> String {
    let shown: Vec<String> = aggregates
        .iter()
        .map(|a| show_aggregate(a, names))
        .collect();
    if shown.is_empty() {
        "keys alone".to_owned()
    } else {
        shown.join(", ")
    }
}

fn show_aggregate(spec: &AggregateSpec, names: &[String]) -> String {
    let column = |i: &usize| names.get(*i).cloned().unwrap_or_default();
    let args: Vec<String> = spec.args.iter().map(column).collect();
    let args = args.join(", ");
    let nulls = |ignore: &bool| if *ignore { " IGNORE NULLS" } else { "" };
    let call = match &spec.kind {
        AggregateKind::Count if args.is_empty() => "COUNT(*)".to_owned(),
        AggregateKind::CountDistinct => format!("COUNT(DISTINCT {args})"),
        AggregateKind::SumDistinct => format!("SUM(DISTINCT {args})"),
        AggregateKind::AvgDistinct => format!("AVG(DISTINCT {args})"),
        AggregateKind::Variance { sample, stddev } => {
            let name = if *stddev { "STDDEV" } else { "VAR" };
            let of = if *sample { "SAMP" } else { "POP" };
            format!("{name}_{of}({args})")
        }
        AggregateKind::First { ignore_nulls } => {
            format!("FIRST_VALUE({args}){}", nulls(ignore_nulls))
        }
        AggregateKind::Last { ignore_nulls } => {
            format!("LAST_VALUE({args}){}", nulls(ignore_nulls))
        }
        AggregateKind::ListDistinct { cap } => format!("LIST_DISTINCT({args}, {cap})"),
        AggregateKind::ArrayAgg { cap } => format!("ARRAY_AGG({args}) of at most {cap}"),
        AggregateKind::StringAgg { separator } => format!("STRING_AGG({args}, '{separator}')"),
        AggregateKind::Custom(custom) => format!("{}({args})", custom.name().to_uppercase()),
        AggregateKind::Count => format!("COUNT({args})"),
        AggregateKind::Sum => format!("SUM({args})"),
        AggregateKind::Avg => format!("AVG({args})"),
        AggregateKind::Min => format!("MIN({args})"),
        AggregateKind::Max => format!("MAX({args})"),
        AggregateKind::Mode => format!("MODE({args})"),
        AggregateKind::Histogram => format!("HISTOGRAM({args})"),
        AggregateKind::MinBy => format!("MIN_BY({args})"),
        AggregateKind::MaxBy => format!("MAX_BY({args})"),
        AggregateKind::CountChanges => format!("COUNT_CHANGES({args})"),
        AggregateKind::BoolAnd => format!("BOOL_AND({args})"),
        AggregateKind::BoolOr => format!("BOOL_OR({args})"),
    };
    match &spec.filter {
        Some(filter) => format!("{call} FILTER (WHERE {})", column(filter)),
        None => call,
    }
}

fn show_over(function: &OverFunction, frame: Frame, names: &[String]) -> String {
    let frame = match frame {
        Frame::Unbounded { .. } => "all rows before".to_owned(),
        Frame::Rows { preceding } => format!("{preceding} rows before"),
        Frame::Range { preceding } => format!("{} before", length(preceding)),
    };
    match function {
        OverFunction::Lag { column, offset, .. } => {
            let name = names.get(*column).map_or("", String::as_str);
            format!("LAG({name}, {offset})")
        }
        OverFunction::RowNumber => "ROW_NUMBER()".to_owned(),
        OverFunction::Aggregate(spec) => format!("{} over {frame}", show_aggregate(spec, names)),
    }
}
