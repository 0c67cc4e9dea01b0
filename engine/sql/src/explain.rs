//! The streaming plan as text.

use crate::lower::sink::shown;
use crate::plan::{NodeKind, PlanNode, Program, Query, SourceTable};
use arrow::datatypes::Schema;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use tidewheel_kernel::over::{Frame, OverFunction};
use tidewheel_kernel::spec::{AggregateKind, AggregateSpec, Emit, WindowKind, WindowSpec};

/// Shows sources with what is read of them, what queries share, and each query's chain from its
/// sink down to its scan.
#[must_use]
pub fn explain(program: &Program) -> String {
    let mut out = String::new();
    for (index, source) in program.sources.iter().enumerate() {
        show_source(&mut out, program, index, source);
    }
    for query in &program.queries {
        show_query(&mut out, program, query);
    }
    if !program.warnings.0.is_empty() {
        let _ = write!(out, "{}", program.warnings);
    }
    out
}

fn show_source(out: &mut String, program: &Program, index: usize, source: &SourceTable) {
    let readers: Vec<&Query> = program
        .queries
        .iter()
        .filter(|q| scan_of(&q.root) == Some(index))
        .collect();
    let _ = writeln!(
        out,
        "source {}: one scan for {} queries",
        source.spec.name,
        readers.len()
    );
    for column in &source.read {
        let _ = writeln!(
            out,
            "  read {} {}",
            column.path.join("."),
            shown(&column.data_type)
        );
    }
    for column in &source.metadata {
        let _ = writeln!(out, "  metadata {} {:?}", column.name, column.kind);
    }
    let exprs = [
        ("event time", &source.event_time),
        ("watermark", &source.watermark),
    ];
    for (name, expr) in exprs {
        if let Some(expr) = expr {
            let _ = writeln!(out, "  {name} {expr}");
        }
    }
    if let Some((keys, window)) = &source.dedup {
        let _ = writeln!(out, "  dedup by {} for {window:?}", listed(keys));
    }
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for query in readers {
        if let Some((keys, window)) = innermost_window(&query.root) {
            let key = if keys.is_empty() {
                "no key".to_owned()
            } else {
                format!("key {keys}")
            };
            groups
                .entry(format!("{key}, {window}"))
                .or_default()
                .push(query.name.clone());
        }
    }
    for (group, queries) in groups.iter().filter(|(_, queries)| queries.len() > 1) {
        let _ = writeln!(out, "  shared {group}: {}", queries.join(", "));
    }
    out.push('\n');
}

fn show_query(out: &mut String, program: &Program, query: &Query) {
    let kind = if query.current {
        "the current value of each key"
    } else if query.sink.is_append_only() {
        "rows, added once"
    } else {
        "a row for each key and window"
    };
    let columns: Vec<&str> = query
        .sink_columns
        .iter()
        .filter_map(|i| query.sink.schema.fields().get(*i))
        .map(|f| f.name().as_str())
        .collect();
    let _ = writeln!(
        out,
        "query {} -> {} ({})",
        query.name,
        query.sink.name,
        columns.join(", ")
    );
    let _ = writeln!(out, "  {kind}; on-empty {:?}", query.on_empty);
    if let Some(every) = query.emit_every {
        let _ = writeln!(out, "  a key at most once in {every:?}");
    }
    show_node(out, program, &query.root, 1);
    out.push('\n');
}

fn show_node(out: &mut String, program: &Program, node: &PlanNode, depth: usize) {
    let names = |input: &PlanNode, columns: &[usize]| -> String {
        let name = |i: &usize| input.schema.field(*i).name().clone();
        columns.iter().map(name).collect::<Vec<_>>().join(", ")
    };
    if let NodeKind::Project { input, exprs } = &node.kind
        && matches!(input.kind, NodeKind::Scan { .. })
        && exprs
            .iter()
            .all(|expr| expr.downcast_ref::<Column>().is_some())
    {
        // Only picks the query's own columns of the shared scan.
        return show_node(out, program, input, depth);
    }
    let line = match &node.kind {
        NodeKind::Scan { source } => {
            let name = program
                .sources
                .get(*source)
                .map_or("?", |s| s.spec.name.as_str());
            format!("scan {name}")
        }
        NodeKind::Filter { predicate, .. } => format!("filter {predicate}"),
        NodeKind::Project { exprs, .. } => {
            let shown = exprs.iter().zip(node.schema.fields());
            let parts: Vec<String> = shown.map(|(e, f)| computed(e, f.name())).collect();
            format!("project {}", parts.join(", "))
        }
        NodeKind::Window {
            input,
            keys,
            window,
            emit,
            aggregates,
            ..
        } => format!(
            "window {} by ({}) emit {}: {}",
            show_window(window),
            names(input, keys),
            show_emit(*emit),
            show_aggregates(aggregates, &input.schema)
        ),
        NodeKind::Group {
            input,
            keys,
            window_end,
            emit,
            state_ttl,
            aggregates,
        } => {
            let life = match (window_end, state_ttl) {
                (Some(_), _) => "until the window closes".to_owned(),
                (None, Some(ttl)) => format!("state-ttl {ttl:?}"),
                (None, None) => "without end".to_owned(),
            };
            format!(
                "group by ({}) emit {}, {life}: {}",
                names(input, keys),
                show_emit(*emit),
                show_aggregates(aggregates, &input.schema)
            )
        }
        NodeKind::Latest { input, keys, .. } => format!("newest row by ({})", names(input, keys)),
        NodeKind::TopN {
            input,
            partition,
            order,
            limit,
            ..
        } => {
            let order: Vec<String> = order
                .iter()
                .map(|key| {
                    let name = input.schema.field(key.column).name();
                    if key.descending {
                        format!("{name} desc")
                    } else {
                        name.clone()
                    }
                })
                .collect();
            format!(
                "first {limit} of ({}) by {}",
                names(input, partition),
                order.join(", ")
            )
        }
        NodeKind::Over {
            input,
            partition,
            calls,
            ..
        } => {
            let calls: Vec<String> = calls
                .iter()
                .map(|call| show_over(&call.function, call.frame, &input.schema))
                .collect();
            format!("over ({}): {}", names(input, partition), calls.join(", "))
        }
    };
    let _ = writeln!(out, "{}{line}", "  ".repeat(depth));
    if let Some(input) = input_of(node) {
        show_node(out, program, input, depth + 1);
    }
}

fn computed(expr: &Arc<dyn PhysicalExpr>, name: &str) -> String {
    let any: &dyn std::any::Any = expr.as_ref();
    match any.downcast_ref::<Column>() {
        Some(column) if column.name() == name => name.to_owned(),
        _ => format!("{expr} as {name}"),
    }
}

fn listed(exprs: &[Arc<dyn PhysicalExpr>]) -> String {
    exprs
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

fn input_of(node: &PlanNode) -> Option<&PlanNode> {
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

fn scan_of(node: &PlanNode) -> Option<usize> {
    match &node.kind {
        NodeKind::Scan { source } => Some(*source),
        _ => input_of(node).and_then(scan_of),
    }
}

/// The keys' expressions and the windows nearest to the scan.
fn innermost_window(node: &PlanNode) -> Option<(String, String)> {
    if let Some(found) = input_of(node).and_then(innermost_window) {
        return Some(found);
    }
    let NodeKind::Window {
        input,
        keys,
        window,
        ..
    } = &node.kind
    else {
        return None;
    };
    let key = |index: &usize| match &input.kind {
        NodeKind::Project { exprs, .. } => exprs.get(*index).map(ToString::to_string),
        _ => None,
    };
    let keys: Vec<String> = keys.iter().filter_map(key).collect();
    Some((keys.join(", "), show_window(window)))
}

fn show_window(window: &WindowSpec) -> String {
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

fn length(micros: i64) -> String {
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

fn show_aggregates(aggregates: &[AggregateSpec], schema: &Schema) -> String {
    let shown: Vec<String> = aggregates
        .iter()
        .map(|a| show_aggregate(a, schema))
        .collect();
    if shown.is_empty() {
        "keys alone".to_owned()
    } else {
        shown.join(", ")
    }
}

fn show_aggregate(spec: &AggregateSpec, schema: &Schema) -> String {
    let name = match &spec.kind {
        AggregateKind::Custom(custom) => custom.name().to_owned(),
        other => {
            let text = format!("{other:?}");
            text.split([' ', '{', '(']).next().unwrap_or("").to_owned()
        }
    };
    let column = |i: &usize| schema.field(*i).name().clone();
    let args: Vec<String> = spec.args.iter().map(column).collect();
    let filter = spec
        .filter
        .as_ref()
        .map(|i| format!(" where {}", column(i)))
        .unwrap_or_default();
    format!("{name}({}){filter}", args.join(", "))
}

fn show_over(function: &OverFunction, frame: Frame, schema: &Schema) -> String {
    let frame = match frame {
        Frame::Unbounded { .. } => "all rows before".to_owned(),
        Frame::Rows { preceding } => format!("{preceding} rows before"),
        Frame::Range { preceding } => format!("{} before", length(preceding)),
    };
    match function {
        OverFunction::Lag { column, offset, .. } => {
            format!("Lag({}, {offset})", schema.field(*column).name())
        }
        OverFunction::RowNumber => "RowNumber".to_owned(),
        OverFunction::Aggregate(spec) => format!("{} over {frame}", show_aggregate(spec, schema)),
    }
}
