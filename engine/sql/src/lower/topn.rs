//! The first rows of a partition: ROW_NUMBER with a filter around it.

use super::bind::{
    Bind, Bound, RANK_MARKER, Refusal, Rows, add, carry, columns_of, window_part, with_columns,
};
use super::ir::{Collector, Node, Op, Order, cast, col};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

/// Binds the filter over an open rank.
pub(crate) fn bind(mut bound: Bound, filters: &[Expr]) -> Bind<Bound> {
    let Some(rank) = bound.open_rank.take() else {
        return Ok(bound);
    };
    let limit = limit_of(filters).ok_or_else(|| {
        Refusal::new(
            "ROW_NUMBER needs a filter to a first few rows",
            "write WHERE rownum <= 10",
            &["WHERE", "ROW_NUMBER"],
        )
    })?;
    if bound.rows == Rows::Stream {
        return newest(bound, &rank.partition_by, &rank.order, limit);
    }
    let mut collector = Collector::default();
    carry(&mut bound, &mut collector);
    let window = bound.window.clone();
    let mut partition = Vec::new();
    let mut by_window = false;
    for expr in rank.partition_by {
        match &window {
            Some(names) if window_part(&expr, names).is_some() => by_window = true,
            _ if columns_of(&expr).is_empty() => {}
            _ => partition.push(add(&mut collector, expr, &bound.node)),
        }
    }
    if window.is_some() && !by_window {
        return Err(Refusal::new(
            "ROW_NUMBER over windowed rows numbers those of one window",
            "write PARTITION BY window_start, window_end",
            &["PARTITION", "ROW_NUMBER"],
        ));
    }
    let order: Vec<Order> = rank
        .order
        .into_iter()
        .map(|(expr, descending, nulls_first)| {
            (
                add(&mut collector, expr, &bound.node),
                descending,
                nulls_first,
            )
        })
        .collect();
    let identity: Vec<String> = bound
        .unique_keys
        .first()
        .map(|key| key.iter().flat_map(columns_of).collect())
        .unwrap_or_default();
    let rank_name = collector.reserve("rownum");
    let input = bound.node.project(collector.into_columns())?;
    let fields = with_columns(&input, &[(rank_name.clone(), DataType::Int64)]);
    let rank_expr = cast(col(&rank_name), &DataType::Int64, &DataType::UInt64);
    let marker = col(RANK_MARKER);
    for expr in &mut bound.out {
        if *expr == marker {
            *expr = rank_expr.clone();
        }
    }
    let mut by_rank: Vec<Expr> = partition.iter().map(|name| col(name)).collect();
    by_rank.push(rank_expr);
    bound.unique_keys.push(by_rank);
    bound.kind = "top-N";
    bound.node = Node {
        fields,
        op: Op::TopN {
            input: Box::new(input),
            identity,
            partition,
            order,
            limit,
            rank: rank_name,
            rank_used: true,
            window,
            per_window: false,
        },
    };
    Ok(bound)
}

/// `ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts DESC) = 1`: the newest row of each key.
fn newest(
    mut bound: Bound,
    partition: &[Expr],
    order: &[(Expr, bool, bool)],
    limit: usize,
) -> Bind<Bound> {
    let by_time = matches!(order, [(by, true, _)] if bound.time.as_ref() == Some(by));
    if !by_time || limit != 1 {
        return Err(Refusal::new(
            "the first rows of a stream without a window are not served",
            "number the rows of a window, or keep the newest: ORDER BY the time column DESC, \
             and WHERE rownum = 1",
            &["ROW_NUMBER"],
        ));
    }
    let mut collector = Collector::default();
    carry(&mut bound, &mut collector);
    let keys: Vec<String> = partition
        .iter()
        .filter(|expr| !columns_of(expr).is_empty())
        .map(|expr| add(&mut collector, expr.clone(), &bound.node))
        .collect();
    let marker = col(RANK_MARKER);
    for expr in &mut bound.out {
        if *expr == marker {
            *expr = Expr::Literal(ScalarValue::UInt64(Some(1)), None);
        }
    }
    bound.unique_keys = vec![keys.iter().map(|key| col(key)).collect()];
    let input = bound.node.project(collector.into_columns())?;
    bound.node = Node {
        fields: input.fields.clone(),
        op: Op::Latest {
            input: Box::new(input),
            keys,
        },
    };
    bound.rows = Rows::Keyed;
    bound.time = None;
    bound.kind = "ROW_NUMBER";
    Ok(bound)
}

/// The N of `rank <= N`, `rank < N`, `rank = 1` and their mirror images.
fn limit_of(filters: &[Expr]) -> Option<usize> {
    let mut least: Option<u64> = None;
    for filter in filters {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else {
            return None;
        };
        let (op, value) = match (is_rank(left), is_rank(right)) {
            (true, false) => (*op, number(right)?),
            (false, true) => (op.swap()?, number(left)?),
            _ => return None,
        };
        let limit = match op {
            Operator::LtEq => value,
            Operator::Lt => value.checked_sub(1)?,
            Operator::Eq if value == 1 => 1,
            _ => return None,
        };
        least = Some(least.map_or(limit, |l| l.min(limit)));
    }
    least
        .filter(|limit| *limit > 0)
        .and_then(|limit| usize::try_from(limit).ok())
}

fn is_rank(expr: &Expr) -> bool {
    match expr {
        Expr::Cast(cast) => is_rank(&cast.expr),
        other => *other == col(RANK_MARKER),
    }
}

fn number(expr: &Expr) -> Option<u64> {
    match expr {
        Expr::Literal(value, _) => match value.cast_to(&DataType::UInt64) {
            Ok(ScalarValue::UInt64(number)) => number,
            _ => None,
        },
        Expr::Cast(cast) => number(&cast.expr),
        _ => None,
    }
}
