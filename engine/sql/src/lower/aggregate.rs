//! GROUP BY: with a window function below it, over an inner window, or without any.

use super::bind::{
    Bind, Bound, MARKERS, OpenWindow, Refusal, Rows, add, closed, columns_of, reads_any,
    substitute, type_over, window_exprs, window_part, with_filter,
};
use super::ir::{Call, Collector, Node, Op, TIME_TYPE, WindowNames, cast, col, field};
use crate::functions::{UdafAggregate, UdafArgument};
use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunction, NullTreatment};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable};
use std::sync::Arc;
use tidewheel_kernel::spec::{AggregateKind, Emit, WindowKind};

/// Longest list of ARRAY_AGG, and of LIST_DISTINCT without a cap of its own, unless
/// `SET 'list.max-size'` says otherwise.
pub(crate) const LIST_CAP: usize = 1_000;

/// Binds GROUP BY.
pub(crate) fn bind(bound: Bound, node: &Aggregate) -> Bind<Bound> {
    if node
        .group_expr
        .iter()
        .any(|e| matches!(e, Expr::GroupingSet(_)))
    {
        return Err(Refusal::new(
            "GROUPING SETS, ROLLUP and CUBE are not served yet",
            "write one query for each grouping",
            &["GROUPING", "ROLLUP", "CUBE"],
        ));
    }
    let schema = node.input.schema();
    let groups = super::bind::substitute_all(&node.group_expr, schema, &bound.out)?;
    let mut builder = Grouping::new(bound)?;
    let mut out = builder.groups(groups)?;
    for expr in &node.aggr_expr {
        out.push(builder.aggregate(expr, schema)?);
    }
    builder.finish(out)
}

/// Binds SELECT DISTINCT: a GROUP BY of all columns.
pub(crate) fn bind_distinct(bound: Bound) -> Bind<Bound> {
    let groups = bound.out.clone();
    let mut builder = Grouping::new(bound)?;
    let out = builder.groups(groups)?;
    builder.finish(out)
}

struct Grouping {
    bound: Bound,
    open: Option<OpenWindow>,
    collector: Collector,
    time: Option<String>,
    keys: Vec<String>,
    calls: Vec<Call>,
    call_exprs: Vec<(Expr, String)>,
    /// The window columns above, once GROUP BY names one.
    window: Option<WindowNames>,
    /// A condition that the rows of the windows must meet to count.
    rows_filter: Option<Expr>,
}

impl Grouping {
    fn new(mut bound: Bound) -> Bind<Self> {
        let mut open = bound.open_window.take();
        closed(&bound, "GROUP BY")?;
        let mut collector = Collector::default();
        let rows_filter = open
            .as_mut()
            .and_then(|open| conjunction(std::mem::take(&mut open.filters)));
        let time = open.as_ref().map(|open| open.time.clone());
        let time = match time {
            Some(time) => {
                let data_type = type_over(&time, &bound.node)?;
                Some(collector.add(cast(time, &data_type, &TIME_TYPE), "event_time"))
            }
            None => None,
        };
        Ok(Self {
            bound,
            open,
            collector,
            time,
            keys: Vec::new(),
            calls: Vec::new(),
            call_exprs: Vec::new(),
            window: None,
            rows_filter,
        })
    }

    /// The groups' expressions over the new node.
    fn groups(&mut self, groups: Vec<Expr>) -> Bind<Vec<Expr>> {
        if let Some(open) = &self.open {
            let by_window = groups.iter().any(|g| marker_part(g).is_some());
            if !by_window {
                return Err(Refusal::new(
                    format!("GROUP BY over {} names no window column", open.function),
                    "write GROUP BY key, window_start, window_end",
                    &["GROUP", open.function],
                ));
            }
            let names = WindowNames {
                start: self.collector.reserve("window_start"),
                end: self.collector.reserve("window_end"),
            };
            self.window = Some(names);
        } else if let Some(names) = self.bound.window.clone()
            && groups.iter().any(|g| window_part(g, &names).is_some())
        {
            self.collector.add(col(&names.start), &names.start);
            self.collector.add(col(&names.end), &names.end);
            self.window = Some(names);
        }
        groups.into_iter().map(|group| self.group(group)).collect()
    }

    fn group(&mut self, group: Expr) -> Bind<Expr> {
        if let Some(names) = &self.window {
            let part = match &self.open {
                Some(_) => marker_part(&group),
                None => window_part(&group, names),
            };
            if let Some(expr) = part.and_then(|part| window_exprs(names).into_iter().nth(part)) {
                return Ok(expr);
            }
        }
        if reads_any(&group, &MARKERS) {
            return Err(Refusal::new(
                "GROUP BY takes the window's columns as they are",
                "group by window_start and window_end, and compute with them in SELECT",
                &["window_start", "window_end"],
            ));
        }
        if columns_of(&group).is_empty() {
            // A constant makes no group of its own.
            return Ok(group);
        }
        let name = add(&mut self.collector, group, &self.bound.node);
        if !self.keys.contains(&name) {
            self.keys.push(name.clone());
        }
        Ok(col(&name))
    }

    /// The column of an aggregate over the new node.
    fn aggregate(&mut self, expr: &Expr, schema: &DFSchema) -> Bind<Expr> {
        let bare = expr.clone().unalias_nested().data;
        if let Some((_, name)) = self.call_exprs.iter().find(|(known, _)| *known == bare) {
            return Ok(col(name));
        }
        let Expr::AggregateFunction(function) = &bare else {
            return Err(Refusal::new(
                format!("{bare} is no aggregate"),
                "use COUNT, SUM, AVG, MIN, MAX and their like",
                &[],
            ));
        };
        let result = bare.get_type(schema)?;
        let shown = function.func.name().to_owned();
        let refuse_window = |exprs: &[Expr]| {
            if exprs.iter().any(|e| reads_any(e, &MARKERS)) {
                return Err(Refusal::new(
                    format!("{} of a window column", shown.to_uppercase()),
                    "aggregate the table's columns; window_start and window_end are the same for \
                     all rows of a group",
                    &["window_start", "window_end", "window_time"],
                ));
            }
            Ok(())
        };
        let args = super::bind::substitute_all(&function.params.args, schema, &self.bound.out)?;
        refuse_window(&args)?;
        let mut conditions: Vec<Expr> = self.rows_filter.iter().cloned().collect();
        if let Some(filter) = &function.params.filter {
            let filter = substitute(filter, schema, &self.bound.out)?;
            refuse_window(std::slice::from_ref(&filter))?;
            conditions.push(filter);
        }
        let filter = conjunction(conditions).map(|filter| self.collector.add(filter, "filter"));
        let order = order_of(function, schema, &self.bound)?;
        let arg_types = function.params.args.iter().map(|arg| arg.get_type(schema));
        let arg_types = arg_types.collect::<Result<Vec<_>, _>>()?;
        let (kind, used) = kind_of(function, &args, &arg_types, order, self.bound.list_cap)?;
        let args = used.into_iter();
        let args = args
            .map(|arg| add(&mut self.collector, arg, &self.bound.node))
            .collect();
        let name = self.collector.reserve(function.func.name());
        self.call_exprs.push((bare.clone(), name.clone()));
        self.calls.push(Call {
            name: name.clone(),
            kind,
            args,
            filter,
            result,
        });
        Ok(col(&name))
    }

    /// The column that counts the rows which meet the condition: a group without any is none.
    fn count_rows(&mut self) -> Option<String> {
        let filter = self.rows_filter.clone()?;
        let filter = Some(self.collector.add(filter, "filter"));
        let same = self.calls.iter().find(|call| {
            matches!(call.kind, AggregateKind::Count)
                && call.args.is_empty()
                && call.filter == filter
        });
        if let Some(call) = same {
            return Some(call.name.clone());
        }
        let name = self.collector.reserve("rows");
        self.calls.push(Call {
            name: name.clone(),
            kind: AggregateKind::Count,
            args: Vec::new(),
            filter,
            result: DataType::Int64,
        });
        Some(name)
    }

    fn finish(mut self, out: Vec<Expr>) -> Bind<Bound> {
        let rows = self.count_rows();
        let Self {
            bound,
            open,
            collector,
            time,
            keys,
            calls,
            window,
            ..
        } = self;
        if let Some(open) = &open {
            session_keys(open, &collector, &keys)?;
        }
        let unique: Vec<Expr> = keys.iter().map(|key| col(key)).collect();
        let input = bound.node.project(collector.into_columns())?;
        let mut fields: Vec<_> = keys.iter().map(|k| field(k, input.type_of(k))).collect();
        if let Some(names) = &window {
            fields.push(field(&names.start, TIME_TYPE));
            fields.push(field(&names.end, TIME_TYPE));
        }
        fields.extend(
            calls
                .iter()
                .map(|call| field(&call.name, call.result.clone())),
        );
        let input = Box::new(input);
        let emit = Emit::Current;
        let kind = if window.is_some() {
            "GROUP BY of a window"
        } else {
            "GROUP BY"
        };
        let op = match (open, time, &window) {
            (Some(open), Some(time), Some(names)) => Op::Window {
                input,
                time,
                keys,
                window: open.window,
                names: names.clone(),
                emit,
                calls,
            },
            _ => Op::Group {
                input,
                keys,
                window: window.clone(),
                emit,
                calls,
            },
        };
        let time = window
            .as_ref()
            .and_then(|names| window_exprs(names).into_iter().nth(2));
        let bound = Bound {
            node: Node { fields, op },
            out,
            time,
            window,
            open_window: None,
            open_rank: None,
            rows: Rows::Keyed,
            unique_keys: vec![unique],
            kind,
            list_cap: bound.list_cap,
        };
        let zero = Expr::Literal(ScalarValue::Int64(Some(0)), None);
        Ok(match rows {
            Some(rows) => with_filter(bound, col(&rows).gt(zero)),
            None => bound,
        })
    }
}

fn marker_part(expr: &Expr) -> Option<usize> {
    MARKERS.iter().position(|marker| *expr == col(marker))
}

/// A session's windows are those of its PARTITION BY; the kernel's are those of the group's key.
fn session_keys(open: &OpenWindow, collector: &Collector, keys: &[String]) -> Bind<()> {
    if !matches!(open.window.kind, WindowKind::Session { .. }) {
        return Ok(());
    }
    let partition: Vec<String> = open
        .partition_by
        .iter()
        .filter(|expr| !columns_of(expr).is_empty())
        .map(|expr| collector.find(expr).unwrap_or_default().to_owned())
        .collect();
    let same = partition.iter().all(|name| keys.contains(name))
        && keys.iter().all(|name| partition.contains(name));
    if same {
        return Ok(());
    }
    Err(Refusal::new(
        "the key of GROUP BY is not that of the session's PARTITION BY",
        "write SESSION(TABLE t PARTITION BY k, …) … GROUP BY k, window_start, window_end, with \
         the same columns in both",
        &["GROUP", "SESSION"],
    ))
}

/// An ORDER BY inside an aggregate: by event time it is what the kernel does anyway.
fn order_of(function: &AggregateFunction, schema: &DFSchema, bound: &Bound) -> Bind<Option<bool>> {
    let Some(first) = function.params.order_by.first() else {
        return Ok(None);
    };
    // WITHIN GROUP (ORDER BY x) names the argument.
    let is_argument = function.params.args.first() == Some(&first.expr);
    if function.func.supports_within_group_clause() && is_argument && first.asc {
        return Ok(None);
    }
    let by = substitute(&first.expr, schema, &bound.out)?;
    if function.params.order_by.len() == 1 && bound.time.as_ref() == Some(&by) {
        return Ok(Some(first.asc));
    }
    Err(Refusal::new(
        format!(
            "{} with an ORDER BY other than event time",
            function.func.name().to_uppercase()
        ),
        "order by the WATERMARK's column, or use MIN_BY(x, y) or MAX_BY(x, y)",
        &["ORDER"],
    ))
}

/// The kernel's function for DataFusion's, and how many of the arguments it reads.
pub(crate) fn kind_of(
    function: &AggregateFunction,
    args: &[Expr],
    arg_types: &[DataType],
    ascending: Option<bool>,
    list_cap: usize,
) -> Bind<(AggregateKind, Vec<Expr>)> {
    let name = function.func.name();
    let ignore_nulls = function.params.null_treatment == Some(NullTreatment::IgnoreNulls);
    let distinct = function.params.distinct;
    let kind = match (name, distinct) {
        ("count", false) if args.iter().all(is_constant_value) => {
            return Ok((AggregateKind::Count, Vec::new()));
        }
        ("count", _) if args.len() > 1 => {
            return Err(Refusal::new(
                "COUNT of several columns is not served",
                "join them into one: COUNT(DISTINCT CONCAT(a, '|', b))",
                &["COUNT"],
            ));
        }
        ("count", false) => AggregateKind::Count,
        ("count", true) => AggregateKind::CountDistinct,
        ("sum", false) => AggregateKind::Sum,
        ("sum", true) => AggregateKind::SumDistinct,
        ("avg", false) => AggregateKind::Avg,
        ("avg", true) => AggregateKind::AvgDistinct,
        ("min", _) => AggregateKind::Min,
        ("max", _) => AggregateKind::Max,
        ("bool_and", _) => AggregateKind::BoolAnd,
        ("bool_or", _) => AggregateKind::BoolOr,
        ("list_distinct", _) => {
            let cap = match args.get(1) {
                Some(arg) => constant_count(arg).ok_or_else(|| {
                    Refusal::new(
                        "the cap of LIST_DISTINCT is a whole number above 0",
                        "write LIST_DISTINCT(x, 100)",
                        &["LIST_DISTINCT"],
                    )
                })?,
                None => list_cap,
            };
            return Ok((
                AggregateKind::ListDistinct { cap },
                args.iter().take(1).cloned().collect(),
            ));
        }
        (_, true) => {
            return Err(Refusal::new(
                format!("{}(DISTINCT …) is not served", name.to_uppercase()),
                "DISTINCT goes with COUNT, SUM and AVG; for lists there is LIST_DISTINCT(x)",
                &[name],
            ));
        }
        ("var", _) | ("var_samp", _) => AggregateKind::Variance {
            sample: true,
            stddev: false,
        },
        ("var_pop", _) => AggregateKind::Variance {
            sample: false,
            stddev: false,
        },
        ("stddev", _) => AggregateKind::Variance {
            sample: true,
            stddev: true,
        },
        ("stddev_pop", _) => AggregateKind::Variance {
            sample: false,
            stddev: true,
        },
        ("mode", _) => AggregateKind::Mode,
        ("histogram", _) => AggregateKind::Histogram,
        ("first_value", _) if ascending == Some(false) => AggregateKind::Last { ignore_nulls },
        ("last_value", _) if ascending == Some(false) => AggregateKind::First { ignore_nulls },
        ("first_value", _) => AggregateKind::First { ignore_nulls },
        ("last_value", _) => AggregateKind::Last { ignore_nulls },
        ("min_by", _) => AggregateKind::MinBy,
        ("max_by", _) => AggregateKind::MaxBy,
        ("count_changes", _) => AggregateKind::CountChanges,
        ("array_agg" | "string_agg", _) if ascending == Some(false) => {
            return Err(Refusal::new(
                format!("{} goes by event time, upwards", name.to_uppercase()),
                "leave DESC out",
                &[name],
            ));
        }
        ("array_agg", _) => AggregateKind::ArrayAgg { cap: list_cap },
        ("string_agg", _) => {
            let separator = args.get(1).and_then(constant_text).ok_or_else(|| {
                Refusal::new(
                    "the separator of STRING_AGG is a text",
                    "write STRING_AGG(x, ',')",
                    &["STRING_AGG"],
                )
            })?;
            return Ok((
                AggregateKind::StringAgg { separator },
                args.iter().take(1).cloned().collect(),
            ));
        }
        _ => return custom(function, args, arg_types),
    };
    Ok((kind, args.to_vec()))
}

/// Any other aggregate runs through its accumulators.
fn custom(
    function: &AggregateFunction,
    args: &[Expr],
    arg_types: &[DataType],
) -> Bind<(AggregateKind, Vec<Expr>)> {
    let name = function.func.name();
    let mut columns = Vec::new();
    let mut arguments = Vec::new();
    for (arg, data_type) in args.iter().zip(arg_types) {
        match arg {
            Expr::Literal(value, _) => arguments.push(UdafArgument::Literal(value.clone())),
            other => {
                arguments.push(UdafArgument::Column(data_type.clone()));
                columns.push(other.clone());
            }
        }
    }
    let ignore_nulls = function.params.null_treatment == Some(NullTreatment::IgnoreNulls);
    let made = UdafAggregate::new(
        Arc::clone(&function.func),
        arguments,
        function.params.distinct,
        ignore_nulls,
    );
    let aggregate = made.map_err(|error| {
        let advice = "its constants must be written as such, its columns be of a type it takes";
        let mut refusal = Refusal::from(error);
        refusal.message = format!("{} cannot run: {}", name.to_uppercase(), refusal.message);
        refusal.advice = Some(advice.to_owned());
        refusal.near = vec![name.to_owned()];
        refusal
    })?;
    Ok((AggregateKind::Custom(Arc::new(aggregate)), columns))
}

fn is_constant_value(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(value, _) if !value.is_null())
}

/// A whole number above 0 that an expression is.
pub(crate) fn constant_count(expr: &Expr) -> Option<usize> {
    let Expr::Literal(value, _) = expr else {
        return None;
    };
    match value.cast_to(&DataType::UInt64) {
        Ok(ScalarValue::UInt64(Some(count))) => usize::try_from(count).ok().filter(|c| *c > 0),
        _ => None,
    }
}

fn constant_text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Literal(
            ScalarValue::Utf8(Some(text))
            | ScalarValue::Utf8View(Some(text))
            | ScalarValue::LargeUtf8(Some(text)),
            _,
        ) => Some(text.clone()),
        Expr::Cast(cast) => constant_text(&cast.expr),
        _ => None,
    }
}
