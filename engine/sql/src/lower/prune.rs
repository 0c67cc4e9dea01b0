//! Downwards: keeps what is used, and notes what a scan must read.

use super::access::{self, Access, access_of, go_in, name_of};
use super::demand::is_per_window;
use super::ir::{Call, Node, Op, OverIr, OverKind, WindowNames, field};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, ExprSchemable};
use std::collections::{BTreeMap, BTreeSet};
use tidewheel_kernel::spec::AggregateKind;

/// What each source table must read, by table.
pub(crate) type Reads = BTreeMap<String, BTreeSet<Access>>;

/// Keeps of a tree what `need` asks for.
pub(crate) fn prune(node: Node, need: &BTreeSet<Access>, reads: &mut Reads) -> Result<Node> {
    let Node { fields, op } = node;
    match op {
        Op::Scan { table } => {
            let known = |a: &&Access| {
                a.first()
                    .is_some_and(|n| fields.iter().any(|f| f.name() == n))
            };
            reads
                .entry(table.clone())
                .or_default()
                .extend(need.iter().filter(known).cloned());
            let kept = access::covered(need)
                .iter()
                .filter_map(|a| access::type_of(a, &fields).map(|t| field(&name_of(a), t)))
                .collect();
            Ok(Node {
                fields: kept,
                op: Op::Scan { table },
            })
        }
        Op::Filter { input, predicate } => {
            let mut inner = need.clone();
            access::collect(&predicate, &input.fields, &mut inner);
            let before = input.fields.clone();
            let input = prune(*input, &inner, reads)?;
            let predicate = access::rewrite(predicate, &before, &input.fields)?;
            let fields = input.fields.clone();
            Ok(Node {
                fields,
                op: Op::Filter {
                    input: Box::new(input),
                    predicate,
                },
            })
        }
        Op::Project { input, exprs } => project(*input, &exprs, &fields, need, reads),
        Op::Window {
            input,
            time,
            keys,
            window,
            names,
            emit,
            calls,
        } => {
            let calls = used(calls, need);
            let mut columns: Vec<&str> = vec![&time];
            columns.extend(keys.iter().map(String::as_str));
            columns.extend(call_columns(&calls));
            let input = Box::new(prune(*input, &accesses(&columns), reads)?);
            let with_window = is_per_window(emit) || needs_window(need, &names);
            let mut kept = of_names(&fields, &keys);
            if with_window {
                kept.extend(of_names(&fields, &[names.start.clone(), names.end.clone()]));
            }
            kept.extend(
                calls
                    .iter()
                    .map(|call| field(&call.name, call.result.clone())),
            );
            let op = Op::Window {
                input,
                time,
                keys,
                window,
                names,
                emit,
                calls,
            };
            Ok(Node { fields: kept, op })
        }
        Op::Group {
            input,
            keys,
            window,
            emit,
            calls,
        } => {
            let mut calls = used(calls, need);
            let per_window = is_per_window(emit);
            let mut columns: Vec<String> = keys.clone();
            let mut kept = of_names(&fields, &keys);
            if let Some(names) = &window {
                if per_window {
                    columns.extend([names.start.clone(), names.end.clone()]);
                    kept.extend(of_names(&fields, &[names.start.clone(), names.end.clone()]));
                } else if needs_window(need, names) {
                    // The rows of a group are those of one window: any row tells which.
                    calls.extend([&names.start, &names.end].map(|name| newest(name)));
                }
            }
            columns.extend(call_columns(&calls).map(str::to_owned));
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            let input = Box::new(prune(*input, &accesses(&columns), reads)?);
            kept.extend(
                calls
                    .iter()
                    .map(|call| field(&call.name, call.result.clone())),
            );
            Ok(Node {
                fields: kept,
                op: Op::Group {
                    input,
                    keys,
                    window,
                    emit,
                    calls,
                },
            })
        }
        Op::TopN {
            input,
            identity,
            partition,
            order,
            limit,
            rank,
            window,
            per_window,
            ..
        } => {
            let mut inner = need.clone();
            let rank_used = inner.remove(std::slice::from_ref(&rank));
            let order_names = order.iter().map(|(name, _, _)| name);
            inner.extend(
                identity
                    .iter()
                    .chain(&partition)
                    .chain(order_names)
                    .map(|n| vec![n.clone()]),
            );
            if let Some(names) = window.as_ref().filter(|_| per_window) {
                inner.extend([vec![names.start.clone()], vec![names.end.clone()]]);
            }
            let input = Box::new(prune(*input, &inner, reads)?);
            let mut kept = input.fields.clone();
            kept.push(field(&rank, DataType::Int64));
            let op = Op::TopN {
                input,
                identity,
                partition,
                order,
                limit,
                rank,
                rank_used,
                window,
                per_window,
            };
            Ok(Node { fields: kept, op })
        }
        Op::Over {
            input,
            time,
            partition,
            calls,
        } => {
            let calls: Vec<OverIr> = calls
                .into_iter()
                .filter(|c| need.iter().any(|a| a.first() == Some(&c.name)))
                .collect();
            let mut inner: BTreeSet<Access> = need
                .iter()
                .filter(|a| input.fields.iter().any(|f| a.first() == Some(f.name())))
                .cloned()
                .collect();
            inner.insert(vec![time.clone()]);
            inner.extend(partition.iter().map(|n| vec![n.clone()]));
            for call in &calls {
                match &call.function {
                    OverKind::Lag { column, .. } => {
                        inner.insert(vec![column.clone()]);
                    }
                    OverKind::Aggregate(call) => {
                        inner.extend(
                            call_columns(std::slice::from_ref(call)).map(|n| vec![n.to_owned()]),
                        );
                    }
                    OverKind::RowNumber => {}
                }
            }
            let added = of_names(
                &fields,
                &calls.iter().map(|c| c.name.clone()).collect::<Vec<_>>(),
            );
            let input = Box::new(prune(*input, &inner, reads)?);
            let mut kept = input.fields.clone();
            kept.extend(added);
            Ok(Node {
                fields: kept,
                op: Op::Over {
                    input,
                    time,
                    partition,
                    calls,
                },
            })
        }
        Op::Latest { input, keys } => {
            let mut inner = need.clone();
            inner.extend(keys.iter().map(|n| vec![n.clone()]));
            let input = Box::new(prune(*input, &inner, reads)?);
            Ok(Node {
                fields: input.fields.clone(),
                op: Op::Latest { input, keys },
            })
        }
    }
}

fn project(
    input: Node,
    exprs: &[Expr],
    fields: &[FieldRef],
    need: &BTreeSet<Access>,
    reads: &mut Reads,
) -> Result<Node> {
    // In the order of the projection, so that a root keeps the sink's order.
    let mut kept: Vec<(Expr, FieldRef)> = Vec::new();
    let input_schema = input.schema()?;
    for (own, expr) in fields.iter().zip(exprs) {
        let mut wanted: BTreeSet<Access> = need
            .iter()
            .filter(|a| a.first() == Some(own.name()))
            .cloned()
            .collect();
        if access_of(expr, &input.fields).is_none() && !wanted.is_empty() {
            wanted = BTreeSet::from([vec![own.name().clone()]]);
        }
        for access in access::covered(&wanted) {
            let inwards = access.get(1..).unwrap_or(&[]);
            let column = go_in(expr.clone(), inwards);
            let data_type = column.get_type(&input_schema)?;
            kept.push((column, field(&name_of(&access), data_type)));
        }
    }
    let mut inner = BTreeSet::new();
    for (expr, _) in &kept {
        access::collect(expr, &input.fields, &mut inner);
    }
    let before = input.fields.clone();
    let input = prune(input, &inner, reads)?;
    let mut exprs = Vec::with_capacity(kept.len());
    let mut out = Vec::with_capacity(kept.len());
    for (expr, own) in kept {
        let expr = access::rewrite(expr, &before, &input.fields)?;
        // What is left of a ROW column may stand beside a column that was made of the same field.
        let stands = out
            .iter()
            .zip(&exprs)
            .any(|(known, value): (&FieldRef, &Expr)| known.name() == own.name() && *value == expr);
        if !stands {
            exprs.push(expr);
            out.push(own);
        }
    }
    Ok(Node {
        fields: out,
        op: Op::Project {
            input: Box::new(input),
            exprs,
        },
    })
}

/// The newest value of a window column.
fn newest(name: &str) -> Call {
    Call {
        name: name.to_owned(),
        kind: AggregateKind::Max,
        args: vec![name.to_owned()],
        filter: None,
        result: super::ir::TIME_TYPE,
    }
}

fn used(calls: Vec<Call>, need: &BTreeSet<Access>) -> Vec<Call> {
    calls
        .into_iter()
        .filter(|call| need.iter().any(|a| a.first() == Some(&call.name)))
        .collect()
}

fn call_columns(calls: &[Call]) -> impl Iterator<Item = &str> {
    calls
        .iter()
        .flat_map(|call| call.args.iter().chain(&call.filter))
        .map(String::as_str)
}

fn accesses(columns: &[&str]) -> BTreeSet<Access> {
    columns
        .iter()
        .map(|name| vec![(*name).to_owned()])
        .collect()
}

fn needs_window(need: &BTreeSet<Access>, names: &WindowNames) -> bool {
    need.iter()
        .any(|a| a.first() == Some(&names.start) || a.first() == Some(&names.end))
}

fn of_names(fields: &[FieldRef], names: &[String]) -> Vec<FieldRef> {
    names
        .iter()
        .filter_map(|name| fields.iter().find(|f| f.name() == name).cloned())
        .collect()
}
