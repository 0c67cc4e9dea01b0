//! OVER: rows of a key in the order of event time; and ROW_NUMBER on its way to top-N.

use super::aggregate::{constant_count, kind_of};
use super::bind::{
    Bind, Bound, OpenRank, RANK_MARKER, Refusal, Rows, add, carry, closed, columns_of, substitute,
    substitute_all, with_columns,
};
use super::ir::{Call, Collector, Node, Op, OverIr, OverKind, TIME_TYPE, cast, col};
use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::expr::{
    AggregateFunction, AggregateFunctionParams, NullTreatment, WindowFunction, WindowFunctionParams,
};
use datafusion::logical_expr::{
    Expr, ExprSchemable, Window, WindowFrame, WindowFrameBound, WindowFrameUnits,
    WindowFunctionDefinition,
};
use tidewheel_kernel::over::Frame;

/// Binds the calls of one PARTITION BY and ORDER BY.
pub(crate) fn bind(bound: Bound, node: &Window) -> Bind<Bound> {
    closed(&bound, "OVER")?;
    let mut calls = Vec::new();
    for expr in &node.window_expr {
        let bare = expr.clone().unalias_nested().data;
        match bare {
            Expr::WindowFunction(call) => calls.push(*call),
            other => {
                return Err(Refusal::new(
                    format!("{other} is no OVER call"),
                    "",
                    &["OVER"],
                ));
            }
        }
    }
    let Some(first) = calls.first() else {
        return Ok(bound);
    };
    let schema = node.input.schema();
    let partition_by = substitute_all(&first.params.partition_by, schema, &bound.out)?;
    let mut order = Vec::new();
    for sort in &first.params.order_by {
        order.push((
            substitute(&sort.expr, schema, &bound.out)?,
            !sort.asc,
            sort.nulls_first,
        ));
    }
    let ascending_time =
        matches!(order.as_slice(), [(by, false, _)] if bound.time.as_ref() == Some(by));
    let lone_rank = calls.len() == 1 && first.fun.name() == "row_number";
    if lone_rank && !(bound.rows == Rows::Stream && ascending_time) {
        if order.is_empty() {
            return Err(Refusal::new(
                "ROW_NUMBER needs an ORDER BY",
                "write ROW_NUMBER() OVER (PARTITION BY … ORDER BY x DESC)",
                &["ROW_NUMBER"],
            ));
        }
        let mut bound = bound;
        bound.open_rank = Some(OpenRank {
            partition_by,
            order,
        });
        bound.out.push(col(RANK_MARKER));
        return Ok(bound);
    }
    if bound.rows != Rows::Stream {
        return Err(Refusal::new(
            "OVER is served on rows of a table, not on grouped rows or on another OVER",
            "put all OVER calls of a key into one SELECT over the table, with the same \
             PARTITION BY and ORDER BY",
            &["OVER"],
        ));
    }
    if !ascending_time {
        return Err(Refusal::new(
            "OVER goes by event time",
            "write ORDER BY with the column of the table's WATERMARK, ascending",
            &["OVER"],
        ));
    }
    build(bound, &calls, schema, &partition_by)
}

fn build(
    mut bound: Bound,
    calls: &[WindowFunction],
    schema: &DFSchema,
    partition_by: &[Expr],
) -> Bind<Bound> {
    let Some(time) = bound.time.clone() else {
        return Err(Refusal::new(
            "OVER needs a time",
            "declare a WATERMARK",
            &["OVER"],
        ));
    };
    let before = bound.out.clone();
    let mut collector = Collector::default();
    let time_type = super::bind::type_over(&time, &bound.node)?;
    let time_name = collector.add(cast(time, &time_type, &TIME_TYPE), "event_time");
    carry(&mut bound, &mut collector);
    let partition: Vec<String> = partition_by
        .iter()
        .filter(|expr| !columns_of(expr).is_empty())
        .map(|expr| add(&mut collector, expr.clone(), &bound.node))
        .collect();
    let mut made = Vec::new();
    let mut added = Vec::new();
    for call in calls {
        let data_type = Expr::WindowFunction(Box::new(call.clone())).get_type(schema)?;
        let args = substitute_all(&call.params.args, schema, &before)?;
        let name = collector.reserve(call.fun.name());
        let (kind, held) = function(call, &args, &name, &data_type, &mut collector, &bound)?;
        made.push(OverIr {
            name: name.clone(),
            function: kind,
            frame: frame(&call.params)?,
        });
        bound.out.push(cast(col(&name), &held, &data_type));
        added.push((name, held));
    }
    let input = bound.node.project(collector.into_columns())?;
    let fields = with_columns(&input, &added);
    bound.node = Node {
        fields,
        op: Op::Over {
            input: Box::new(input),
            time: time_name,
            partition,
            calls: made,
        },
    };
    bound.rows = Rows::Over;
    bound.kind = "OVER";
    Ok(bound)
}

/// The function, and the type of the column that the kernel gives.
fn function(
    call: &WindowFunction,
    args: &[Expr],
    name: &str,
    data_type: &DataType,
    collector: &mut Collector,
    bound: &Bound,
) -> Bind<(OverKind, DataType)> {
    let params = &call.params;
    let ignore_nulls = params.null_treatment == Some(NullTreatment::IgnoreNulls);
    let fun_name = call.fun.name().to_owned();
    match (&call.fun, fun_name.as_str()) {
        (_, "row_number") => Ok((OverKind::RowNumber, DataType::Int64)),
        (_, "lag") => {
            let advice = "write LAG(x) or LAG(x, 2)";
            let Some(value) = args.first() else {
                return Err(Refusal::new("LAG needs a column", advice, &["LAG"]));
            };
            let offset = match args.get(1) {
                None => 1,
                Some(arg) => constant_count(arg).ok_or_else(|| {
                    Refusal::new("LAG's offset is a whole number above 0", advice, &["LAG"])
                })?,
            };
            if args
                .get(2)
                .is_some_and(|d| !matches!(d, Expr::Literal(v, _) if v.is_null()))
            {
                return Err(Refusal::new(
                    "LAG with a default is not served",
                    "write COALESCE(LAG(x) OVER (…), default)",
                    &["LAG"],
                ));
            }
            let column = add(collector, value.clone(), &bound.node);
            Ok((
                OverKind::Lag {
                    column,
                    offset,
                    ignore_nulls,
                },
                data_type.clone(),
            ))
        }
        (WindowFunctionDefinition::AggregateUDF(func), _) => {
            let aggregate = AggregateFunction {
                func: std::sync::Arc::clone(func),
                params: AggregateFunctionParams {
                    args: args.to_vec(),
                    distinct: params.distinct,
                    filter: None,
                    order_by: Vec::new(),
                    null_treatment: params.null_treatment,
                },
            };
            aggregate_call(&aggregate, args, name, data_type, collector, bound)
        }
        (_, "first_value" | "last_value") => {
            let kind = if fun_name == "first_value" {
                tidewheel_kernel::spec::AggregateKind::First { ignore_nulls }
            } else {
                tidewheel_kernel::spec::AggregateKind::Last { ignore_nulls }
            };
            let names: Vec<String> = args
                .iter()
                .map(|arg| add(collector, arg.clone(), &bound.node))
                .collect();
            let call = Call {
                name: name.to_owned(),
                kind,
                args: names,
                filter: None,
                result: data_type.clone(),
            };
            Ok((OverKind::Aggregate(call), data_type.clone()))
        }
        _ => Err(Refusal::new(
            format!(
                "{} is not served as an OVER function",
                fun_name.to_uppercase()
            ),
            "the OVER functions are LAG, FIRST_VALUE, LAST_VALUE, ROW_NUMBER and the aggregates",
            &[fun_name.as_str(), "OVER"],
        )),
    }
}

fn aggregate_call(
    function: &AggregateFunction,
    args: &[Expr],
    name: &str,
    data_type: &DataType,
    collector: &mut Collector,
    bound: &Bound,
) -> Bind<(OverKind, DataType)> {
    let types = args
        .iter()
        .map(|arg| super::bind::type_over(arg, &bound.node));
    let types = types.collect::<Bind<Vec<_>>>()?;
    let (kind, used) = kind_of(function, args, &types, None, bound.list_cap)?;
    let names = used
        .into_iter()
        .map(|arg| add(collector, arg, &bound.node))
        .collect();
    let call = Call {
        name: name.to_owned(),
        kind,
        args: names,
        filter: None,
        result: data_type.clone(),
    };
    Ok((OverKind::Aggregate(call), data_type.clone()))
}

fn frame(params: &WindowFunctionParams) -> Bind<Frame> {
    let frame: &WindowFrame = &params.window_frame;
    let refuse = || {
        Refusal::new(
            "this frame is not served",
            "a frame ends at the current row: ROWS BETWEEN 10 PRECEDING AND CURRENT ROW, RANGE \
             BETWEEN INTERVAL '1' HOUR PRECEDING AND CURRENT ROW, or UNBOUNDED PRECEDING",
            &["ROWS", "RANGE", "GROUPS", "OVER"],
        )
    };
    if params.filter.is_some() {
        return Err(Refusal::new(
            "FILTER in an OVER call is not served",
            "write the condition into the argument: SUM(CASE WHEN c THEN x END) OVER (…)",
            &["FILTER"],
        ));
    }
    if frame.end_bound != WindowFrameBound::CurrentRow {
        return Err(refuse());
    }
    let rows = match frame.units {
        WindowFrameUnits::Rows => true,
        WindowFrameUnits::Range => false,
        WindowFrameUnits::Groups => return Err(refuse()),
    };
    match &frame.start_bound {
        WindowFrameBound::Preceding(value) if value.is_null() => {
            Ok(Frame::Unbounded { peers: !rows })
        }
        WindowFrameBound::CurrentRow if rows => Ok(Frame::Rows { preceding: 0 }),
        WindowFrameBound::CurrentRow => Ok(Frame::Range { preceding: 0 }),
        WindowFrameBound::Preceding(value) if rows => match value.cast_to(&DataType::UInt64) {
            Ok(ScalarValue::UInt64(Some(preceding))) => Ok(Frame::Rows { preceding }),
            _ => Err(refuse()),
        },
        WindowFrameBound::Preceding(value) => micros(value)
            .map(|preceding| Frame::Range { preceding })
            .ok_or_else(refuse),
        WindowFrameBound::Following(_) => Err(refuse()),
    }
}

fn micros(value: &ScalarValue) -> Option<i64> {
    match value {
        ScalarValue::IntervalMonthDayNano(Some(i)) if i.months == 0 => {
            (i64::from(i.days) * 86_400_000_000).checked_add(i.nanoseconds / 1_000)
        }
        ScalarValue::IntervalDayTime(Some(i)) => {
            Some(i64::from(i.days) * 86_400_000_000 + i64::from(i.milliseconds) * 1_000)
        }
        ScalarValue::DurationMicrosecond(Some(micros)) => Some(*micros),
        ScalarValue::DurationMillisecond(Some(millis)) => millis.checked_mul(1_000),
        ScalarValue::DurationNanosecond(Some(nanos)) => Some(nanos / 1_000),
        ScalarValue::DurationSecond(Some(seconds)) => seconds.checked_mul(1_000_000),
        _ => None,
    }
}
