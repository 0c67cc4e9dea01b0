//! What each aggregate is, computed naively from the rows.

use super::exact::round_sum;
use super::{Kind, Row, V};
use tidewheel_kernel::spec::AggregateKind as A;

fn is_null(v: &V) -> bool {
    *v == V::Null
}

fn sum(kind: Kind, values: &[V]) -> V {
    if values.is_empty() {
        return V::Null;
    }
    match kind {
        Kind::Float => V::float(round_sum(
            &values.iter().map(V::as_float).collect::<Vec<_>>(),
        )),
        _ => V::Int(
            values
                .iter()
                .map(|v| if let V::Int(x) = v { *x } else { 0 })
                .sum(),
        ),
    }
}

fn avg(kind: Kind, values: &[V]) -> V {
    match (kind, sum(kind, values)) {
        (_, V::Null) => V::Null,
        // Scale 6 from scale 2, cut off.
        (Kind::Decimal, V::Int(x)) => V::Int(x * 10_000 / values.len() as i64),
        (_, total) => V::float(total.as_float() / values.len() as f64),
    }
}

type Seen = (V, i64, (i64, u64), (i64, u64));

/// Each value once, with its count, its first and its last row.
fn tally(rows: &[Row]) -> Vec<Seen> {
    let mut out: Vec<Seen> = Vec::new();
    for row in rows {
        let (v, order) = (row.args[0].grouped(), (row.time, row.seq));
        match out.iter_mut().find(|entry| entry.0 == v) {
            Some(entry) => {
                entry.1 += 1;
                entry.2 = entry.2.min(order);
                entry.3 = entry.3.max(order);
            }
            None => out.push((v, 1, order, order)),
        }
    }
    out.sort_by(|a, b| a.0.rank(&b.0));
    out
}

/// The result over rows in any order. Variances are compared by `close`.
pub fn oracle(kind: &A, arg: Kind, rows: &[Row]) -> V {
    let mut all = rows.to_vec();
    all.sort_by(|a, b| {
        (a.time, a.seq)
            .cmp(&(b.time, b.seq))
            .then(a.args[0].rank(&b.args[0]))
    });
    let some: Vec<Row> = all
        .iter()
        .filter(|row| !is_null(&row.args[0]))
        .cloned()
        .collect();
    let values: Vec<V> = some.iter().map(|row| row.args[0].clone()).collect();
    let distinct: Vec<V> = tally(&some).into_iter().map(|entry| entry.0).collect();
    let first = |rows: &[Row]| rows.first().map_or(V::Null, |row| row.args[0].clone());
    let last = |rows: &[Row]| rows.last().map_or(V::Null, |row| row.args[0].clone());
    match kind {
        A::Count => V::Int(values.len() as i64),
        A::Sum => sum(arg, &values),
        A::Avg => avg(arg, &values),
        A::SumDistinct => sum(arg, &distinct),
        A::AvgDistinct => avg(arg, &distinct),
        A::Min => values.into_iter().min_by(V::rank).unwrap_or(V::Null),
        A::Max => values.into_iter().max_by(V::rank).unwrap_or(V::Null),
        A::CountDistinct => V::Int(distinct.len() as i64),
        A::Mode => {
            let newest = tally(&some)
                .into_iter()
                .max_by_key(|entry| (entry.1, entry.3));
            newest.map_or(V::Null, |entry| entry.0)
        }
        A::Histogram => V::Map(
            tally(&some)
                .into_iter()
                .map(|entry| (entry.0, V::Int(entry.1)))
                .collect(),
        ),
        A::ListDistinct { cap } => {
            let mut seen = tally(&some);
            seen.sort_by_key(|entry| entry.2);
            V::List(seen.into_iter().take(*cap).map(|entry| entry.0).collect())
        }
        A::First {
            ignore_nulls: false,
        } => first(&all),
        A::First { ignore_nulls: true } => first(&some),
        A::Last {
            ignore_nulls: false,
        } => last(&all),
        A::Last { ignore_nulls: true } => last(&some),
        A::MinBy | A::MaxBy => {
            let mut keyed: Vec<Row> = all
                .iter()
                .filter(|row| !is_null(&row.args[1]))
                .cloned()
                .collect();
            keyed.sort_by(|a, b| a.args[1].rank(&b.args[1]));
            if matches!(kind, A::MinBy) {
                first(&keyed)
            } else {
                last(&keyed)
            }
        }
        A::CountChanges => {
            let pairs = values.windows(2);
            V::Int(
                pairs
                    .filter(|pair| pair[0].grouped() != pair[1].grouped())
                    .count() as i64,
            )
        }
        A::BoolAnd if values.is_empty() => V::Null,
        A::BoolOr if values.is_empty() => V::Null,
        A::BoolAnd => V::Bool(!values.contains(&V::Bool(false))),
        A::BoolOr => V::Bool(values.contains(&V::Bool(true))),
        A::ArrayAgg { .. } if all.is_empty() => V::Null,
        A::ArrayAgg { cap } => V::List(
            all.iter()
                .take(*cap)
                .map(|row| row.args[0].clone())
                .collect(),
        ),
        A::StringAgg { .. } if values.is_empty() => V::Null,
        A::StringAgg { separator } => {
            let texts = values
                .iter()
                .map(|v| if let V::Text(x) = v { x.as_str() } else { "" });
            V::Text(texts.collect::<Vec<_>>().join(separator))
        }
        A::Variance { sample, stddev } => {
            let xs: Vec<f64> = values.iter().map(V::as_float).collect();
            let divisor = xs.len() as f64 - f64::from(u8::from(*sample));
            if xs.is_empty() || divisor <= 0.0 {
                return V::Null;
            }
            // Two passes around an exactly summed mean.
            let mean = round_sum(&xs) / xs.len() as f64;
            let squares: Vec<f64> = xs.iter().map(|x| (x - mean) * (x - mean)).collect();
            let variance = round_sum(&squares) / divisor;
            V::float(if *stddev { variance.sqrt() } else { variance })
        }
        A::Custom(_) => panic!("no oracle for custom aggregates"),
    }
}

/// Equal; variances within what the two passes of the oracle themselves lose.
pub fn close(kind: &A, a: &V, b: &V) -> bool {
    if let (A::Variance { .. }, V::Bits(_), V::Bits(_)) = (kind, a, b) {
        let (a, b) = (a.as_float(), b.as_float());
        return (a - b).abs() <= 1e-9 * a.abs().max(b.abs()) || a.max(b) < 1e-12;
    }
    a == b
}
