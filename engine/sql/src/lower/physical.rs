//! The plan that runs, from the pruned tree.

use super::access;
use super::demand::is_per_window;
use super::ir::{Call, Node, Op, OverKind, df_schema};
use crate::plan::{NodeKind, PlanNode, SortKey};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tidewheel_kernel::over::{OverCall, OverFunction};
use tidewheel_kernel::spec::AggregateSpec;

/// The scans that the plan stands on: by table, its number and schema.
pub(crate) type Scans = BTreeMap<String, (usize, SchemaRef)>;

/// A scan holds what all queries read; a query goes on with its own columns, so that its plan stays
/// the same whatever other queries there are.
fn own_columns(scan: PlanNode, fields: &[FieldRef]) -> Result<PlanNode> {
    let own = fields.iter().map(|field| field.name());
    if own.eq(scan.schema.fields().iter().map(|field| field.name())) {
        return Ok(scan);
    }
    let exprs = fields
        .iter()
        .map(|field| expression(&super::ir::col(field.name()), fields, &scan.schema))
        .collect::<Result<Vec<_>>>()?;
    Ok(PlanNode {
        schema: schema_of(fields),
        kind: NodeKind::Project {
            input: Box::new(scan),
            exprs,
        },
    })
}

/// Makes the plan that runs.
pub(crate) fn build(node: &Node, scans: &Scans, state_ttl: Option<Duration>) -> Result<PlanNode> {
    let schema = schema_of(&node.fields);
    let below = |input: &Node| build(input, scans, state_ttl).map(Box::new);
    let (kind, schema) = match &node.op {
        Op::Scan { table } => {
            let (source, schema) = scans
                .get(table)
                .ok_or_else(|| DataFusionError::Internal(format!("table {table} is lost")))?;
            let scan = PlanNode {
                kind: NodeKind::Scan { source: *source },
                schema: Arc::clone(schema),
            };
            return own_columns(scan, &node.fields);
        }
        Op::Filter { input, predicate } => {
            let made = below(input)?;
            let predicate = expression(predicate, &input.fields, &made.schema)?;
            let schema = Arc::clone(&made.schema);
            (
                NodeKind::Filter {
                    input: made,
                    predicate,
                },
                schema,
            )
        }
        Op::Project { input, exprs } => {
            let made = below(input)?;
            let exprs = exprs
                .iter()
                .map(|expr| expression(expr, &input.fields, &made.schema))
                .collect::<Result<Vec<_>>>()?;
            (NodeKind::Project { input: made, exprs }, schema)
        }
        Op::Window {
            input,
            time,
            keys,
            window,
            names,
            emit,
            calls,
        } => {
            let input = below(input)?;
            let kind = NodeKind::Window {
                time: index(&input.schema, time)?,
                keys: indices(&input.schema, keys)?,
                window: *window,
                emit: *emit,
                window_columns: schema.index_of(&names.end).is_ok(),
                aggregates: specs(calls, &input.schema)?,
                input,
            };
            (kind, schema)
        }
        Op::Group {
            input,
            keys,
            window,
            emit,
            calls,
        } => {
            let input = below(input)?;
            let mut keys = indices(&input.schema, keys)?;
            let mut window_end = None;
            if let Some(names) = window.as_ref().filter(|_| is_per_window(*emit)) {
                let end = index(&input.schema, &names.end)?;
                keys.extend([index(&input.schema, &names.start)?, end]);
                window_end = Some(end);
            }
            let state_ttl = if window.is_none() { state_ttl } else { None };
            let aggregates = specs(calls, &input.schema)?;
            (
                NodeKind::Group {
                    input,
                    keys,
                    window_end,
                    emit: *emit,
                    state_ttl,
                    aggregates,
                },
                schema,
            )
        }
        Op::TopN {
            input,
            identity,
            partition,
            order,
            limit,
            rank_used,
            window,
            per_window,
            ..
        } => {
            let input = below(input)?;
            let mut identity = indices(&input.schema, identity)?;
            let mut partition = indices(&input.schema, partition)?;
            let mut window_end = None;
            if let Some(names) = window.as_ref().filter(|_| *per_window) {
                let columns = [
                    index(&input.schema, &names.start)?,
                    index(&input.schema, &names.end)?,
                ];
                identity.extend(columns);
                partition.extend(columns);
                window_end = Some(columns[1]);
            }
            let order = order
                .iter()
                .map(|(name, descending, nulls_first)| {
                    Ok(SortKey {
                        column: index(&input.schema, name)?,
                        descending: *descending,
                        nulls_first: *nulls_first,
                    })
                })
                .collect::<Result<Vec<_>>>()?;
            let kind = NodeKind::TopN {
                input,
                identity,
                partition,
                order,
                limit: *limit,
                rank_used: *rank_used,
                window_end,
            };
            (kind, schema)
        }
        Op::Over {
            input,
            time,
            partition,
            calls,
        } => {
            let input = below(input)?;
            let calls = calls
                .iter()
                .map(|call| {
                    let function = match &call.function {
                        OverKind::Lag {
                            column,
                            offset,
                            ignore_nulls,
                        } => OverFunction::Lag {
                            column: index(&input.schema, column)?,
                            offset: *offset,
                            ignore_nulls: *ignore_nulls,
                        },
                        OverKind::Aggregate(call) => {
                            OverFunction::Aggregate(spec(call, &input.schema)?)
                        }
                        OverKind::RowNumber => OverFunction::RowNumber,
                    };
                    Ok(OverCall {
                        function,
                        frame: call.frame,
                    })
                })
                .collect::<Result<Vec<_>>>()?;
            let kind = NodeKind::Over {
                time: index(&input.schema, time)?,
                partition: indices(&input.schema, partition)?,
                input,
                calls,
            };
            (kind, schema)
        }
        Op::Latest { input, keys } => {
            let input = below(input)?;
            let keys = indices(&input.schema, keys)?;
            (
                NodeKind::Latest {
                    input,
                    keys,
                    state_ttl,
                },
                schema,
            )
        }
    };
    Ok(PlanNode { schema, kind })
}

fn schema_of(fields: &[FieldRef]) -> SchemaRef {
    Arc::new(Schema::new(fields.to_vec()))
}

fn index(schema: &Schema, name: &str) -> Result<usize> {
    schema.index_of(name).map_err(|_| {
        let known: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        DataFusionError::Internal(format!("column '{name}' is lost; there are {known:?}"))
    })
}

fn indices(schema: &Schema, names: &[String]) -> Result<Vec<usize>> {
    names.iter().map(|name| index(schema, name)).collect()
}

fn specs(calls: &[Call], schema: &Schema) -> Result<Vec<AggregateSpec>> {
    calls.iter().map(|call| spec(call, schema)).collect()
}

fn spec(call: &Call, schema: &Schema) -> Result<AggregateSpec> {
    let args = indices(schema, &call.args)?;
    Ok(AggregateSpec {
        kind: call.kind.clone(),
        arg_types: args
            .iter()
            .map(|i| schema.field(*i).data_type().clone())
            .collect(),
        args,
        filter: call
            .filter
            .as_ref()
            .map(|name| index(schema, name))
            .transpose()?,
        result: call.result.clone(),
    })
}

/// The physical expression over a schema; `before` are the columns it was made for.
pub(crate) fn expression(
    expr: &Expr,
    before: &[FieldRef],
    schema: &Schema,
) -> Result<Arc<dyn PhysicalExpr>> {
    let fields: Vec<FieldRef> = schema.fields().iter().cloned().collect();
    let expr = over_scan(expr.clone(), before, &fields)?;
    let df = Arc::new(df_schema(&fields)?);
    let expr = simplified(expr, &df)?;
    create_physical_expr(
        &expr,
        &df,
        &ExecutionProps::new(),
        &PhysicalPlanningContext::default(),
    )
}

/// A pruned scan's columns are named by their paths; the scan that all queries share may hold a
/// whole row instead, because another query reads all of it.
fn over_scan(expr: Expr, before: &[FieldRef], after: &[FieldRef]) -> Result<Expr> {
    use datafusion::common::tree_node::{Transformed, TreeNode};
    let missing = before
        .iter()
        .any(|f| !after.iter().any(|a| a.name() == f.name()));
    if !missing {
        return Ok(expr);
    }
    let done = expr.transform_up(|part| {
        let Expr::Column(column) = &part else {
            return Ok(Transformed::no(part));
        };
        if after.iter().any(|f| *f.name() == column.name) {
            return Ok(Transformed::no(part));
        }
        let path: Vec<String> = column.name.split('.').map(str::to_owned).collect();
        for length in (1..path.len()).rev() {
            let (held, rest) = path.split_at(length);
            let name = access::name_of(held);
            if after.iter().any(|f| *f.name() == name) {
                return Ok(Transformed::yes(access::go_in(super::ir::col(&name), rest)));
            }
        }
        Ok(Transformed::no(part))
    })?;
    Ok(done.data)
}

fn simplified(expr: Expr, schema: &Arc<DFSchema>) -> Result<Expr> {
    let context = SimplifyContext::builder()
        .with_schema(Arc::clone(schema))
        .build();
    ExprSimplifier::new(context).simplify(expr)
}
