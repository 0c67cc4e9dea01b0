//! From the streaming plan to what tasks execute: chains of keyed steps with row programs
//! between them.
//!
//! A plan without joins is a chain: a scan, filters and projections, a keyed operator, filters
//! and projections, perhaps another keyed operator, and so on. Filters and projections between
//! two operators fuse into one [`RowProgram`]. The first operators run in the shards; from the
//! first one on whose key does not follow from the key before, the chain runs in the query's sink
//! task (its tail), which sees all shards.

use crate::error::EngineError;
use crate::expr::{Expr, and, column, substitute};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::physical_expr::expressions::Column;
use std::time::Duration;
use tidewheel_core::TableSpec;
use tidewheel_kernel::over::OverCall;
use tidewheel_kernel::spec::{AggregateSpec, Emit, WindowSpec};
use tidewheel_sql::plan::{NodeKind, OnEmpty, PlanNode, Query, SortKey};

/// Filters and projections, fused.
#[derive(Debug, Clone)]
pub struct RowProgram {
    /// Rows pass where this is true.
    pub filter: Option<Expr>,
    /// The output's columns, over the input's schema.
    pub exprs: Vec<Expr>,
    /// The output's schema.
    pub schema: SchemaRef,
}

impl RowProgram {
    fn identity(schema: &SchemaRef) -> Self {
        Self {
            filter: None,
            exprs: (0..schema.fields().len())
                .map(|index| column(schema, index))
                .collect(),
            schema: SchemaRef::clone(schema),
        }
    }

    /// For each output column, the input column it is a plain copy of.
    #[must_use]
    pub fn sources(&self) -> Vec<Option<usize>> {
        self.exprs
            .iter()
            .map(|expr| expr.downcast_ref::<Column>().map(Column::index))
            .collect()
    }
}

/// A keyed operator; column numbers point into its input's schema.
#[derive(Debug, Clone)]
pub enum Keyed {
    /// Windows.
    Window {
        /// Time column.
        time: usize,
        /// Key columns.
        keys: Vec<usize>,
        /// The windows.
        window: WindowSpec,
        /// What to emit.
        emit: Emit,
        /// Window columns in the output.
        window_columns: bool,
        /// Aggregates.
        aggregates: Vec<AggregateSpec>,
    },
    /// GROUP BY without a window function.
    Group {
        /// Key columns.
        keys: Vec<usize>,
        /// Column with an inner window's end.
        window_end: Option<usize>,
        /// What to emit.
        emit: Emit,
        /// `state-ttl`.
        state_ttl: Option<Duration>,
        /// Aggregates.
        aggregates: Vec<AggregateSpec>,
    },
    /// Newest row of each key.
    Latest {
        /// Key columns.
        keys: Vec<usize>,
        /// `state-ttl`.
        state_ttl: Option<Duration>,
    },
    /// First rows of each partition.
    TopN {
        /// Identity columns.
        identity: Vec<usize>,
        /// Partition columns.
        partition: Vec<usize>,
        /// Order.
        order: Vec<SortKey>,
        /// How many.
        limit: usize,
        /// The rank is used above.
        rank_used: bool,
        /// Column with a window's end.
        window_end: Option<usize>,
    },
    /// OVER windows.
    Over {
        /// Time column.
        time: usize,
        /// Partition columns.
        partition: Vec<usize>,
        /// Calls.
        calls: Vec<OverCall>,
    },
}

impl Keyed {
    /// The columns by which rows must be together.
    #[must_use]
    pub fn keys(&self) -> &[usize] {
        match self {
            Self::Window { keys, .. } | Self::Group { keys, .. } | Self::Latest { keys, .. } => {
                keys
            }
            Self::TopN { partition, .. } | Self::Over { partition, .. } => partition,
        }
    }

    /// For each column of the operator's output, the input column that it copies, as far as these
    /// are keys that stay together.
    fn key_sources(&self, columns: usize) -> Vec<Option<usize>> {
        match self {
            Self::Window { keys, .. } | Self::Group { keys, .. } => {
                (0..columns).map(|at| keys.get(at).copied()).collect()
            }
            Self::Latest { keys, .. } => (0..columns)
                .map(|at| keys.contains(&at).then_some(at))
                .collect(),
            Self::TopN { partition, .. } | Self::Over { partition, .. } => (0..columns)
                .map(|at| partition.contains(&at).then_some(at))
                .collect(),
        }
    }
}

/// A keyed operator and what follows it.
#[derive(Debug, Clone)]
pub struct Step {
    /// The operator.
    pub keyed: Keyed,
    /// The operator's input schema.
    pub input: SchemaRef,
    /// The operator's output schema.
    pub output: SchemaRef,
    /// Filters and projections above it, up to the next operator or the sink.
    pub program: RowProgram,
}

/// One query as the tasks execute it.
#[derive(Debug, Clone)]
pub struct Chain {
    /// The query's name.
    pub name: String,
    /// The source table.
    pub source: usize,
    /// From the scan's schema to the first operator's input (or to the sink).
    pub head: RowProgram,
    /// The operators that run in the shards.
    pub steps: Vec<Step>,
    /// The operators that run in the sink task.
    pub tail: Vec<Step>,
    /// Input columns of the first operator (outputs of `head`) by which rows go to shards.
    pub route: Vec<usize>,
    /// For each of `steps`, the places of the route's columns among its keys: what says to which
    /// shard a key's state belongs.
    pub route_in_keys: Vec<Vec<usize>>,
    /// The table to write.
    pub sink: TableSpec,
    /// For each root column, its index in the sink's schema.
    pub sink_columns: Vec<usize>,
    /// Root columns that are the sink's key.
    pub key_columns: Vec<usize>,
    /// Output columns of `head` that become columns of the sink's key unchanged: a NULL in one
    /// makes the row keyless.
    pub required: Vec<usize>,
    /// What becomes of a key whose window ran empty.
    pub on_empty: OnEmpty,
    /// Shortest time between two writes of a key.
    pub emit_every: Option<Duration>,
    /// One row a key.
    pub current: bool,
}

impl Chain {
    /// After what time the sink forgets a value that is not written again (checked when the table
    /// was compiled).
    #[must_use]
    pub fn ttl(&self) -> Option<Duration> {
        self.sink.options.duration("ttl").ok().flatten()
    }
}

/// The source table that a query reads, by its number in the program.
#[must_use]
pub fn source_of(query: &Query) -> Option<usize> {
    flatten(&query.root).ok().map(|(source, ..)| source)
}

/// Turns a query's plan into a chain.
///
/// # Errors
/// The plan has a shape that is not executed yet.
pub fn chain(query: &Query) -> Result<Chain, EngineError> {
    let (source, head, mut steps) = flatten(&query.root)?;
    let mut local = 0;
    let mut keyed_by: Vec<Vec<Option<usize>>> = Vec::new();
    let mut after_over = false;
    let mut route: Vec<usize> = steps
        .first()
        .map(|step| step.keyed.keys().to_vec())
        .unwrap_or_default();
    // For each input column of the operator at hand, the head column it copies, where that is a
    // key of all operators before it.
    let mut origin: Vec<Option<usize>> = (0..head.exprs.len()).map(Some).collect();
    for (at, step) in steps.iter().enumerate() {
        let origins: Vec<Option<usize>> = step
            .keyed
            .keys()
            .iter()
            .map(|key| origin.get(*key).copied().flatten())
            .collect();
        let keys: Option<Vec<usize>> = origins.iter().copied().collect();
        let is_within = |keys: &[usize]| {
            at == 0 || !keys.is_empty() && keys.iter().all(|key| route.contains(key))
        };
        match keys {
            Some(keys) if is_within(&keys) => route = keys,
            // What OVER takes back only its shard knows, so the operator above it runs there too:
            // rows go by the columns that both have as keys, all to one shard where there are none.
            _ if after_over => route.retain(|column| origins.contains(&Some(*column))),
            _ => break,
        }
        keyed_by.push(origins);
        after_over = matches!(step.keyed, Keyed::Over { .. });
        local = at + 1;
        let of_keyed: Vec<Option<usize>> = step
            .keyed
            .key_sources(step.output.fields().len())
            .into_iter()
            .map(|input| input.and_then(|input| origin.get(input).copied().flatten()))
            .collect();
        origin = step
            .program
            .sources()
            .into_iter()
            .map(|input| input.and_then(|input| of_keyed.get(input).copied().flatten()))
            .collect();
    }
    let tail = steps.split_off(local);
    if !tail.is_empty() && !query.current {
        // A window's rows are final once, so the tail must see all of them at one time: one shard
        // computes them.
        route.clear();
    }
    let places = |keys: &Vec<Option<usize>>| {
        let place = |column: &usize| keys.iter().position(|key| *key == Some(*column));
        route.iter().filter_map(place).collect()
    };
    let route_in_keys = keyed_by.iter().map(places).collect();
    let key_columns: Vec<usize> = query
        .sink_columns
        .iter()
        .enumerate()
        .filter(|(_, column)| query.sink.primary_key.contains(column))
        .map(|(at, _)| at)
        .collect();
    let required = if tail.is_empty() {
        key_columns
            .iter()
            .filter_map(|at| origin.get(*at).copied().flatten())
            .collect()
    } else {
        Vec::new()
    };
    Ok(Chain {
        name: query.name.clone(),
        source,
        head,
        steps,
        tail,
        route,
        route_in_keys,
        sink: query.sink.clone(),
        sink_columns: query.sink_columns.clone(),
        key_columns,
        required,
        on_empty: query.on_empty,
        emit_every: query.emit_every,
        current: query.current,
    })
}

/// The same schema with every column nullable: on the way, a row that is gone has NULLs where the
/// planner knows that live rows have none.
fn nullable(schema: &SchemaRef) -> SchemaRef {
    let fields: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| field.as_ref().clone().with_nullable(true))
        .collect();
    SchemaRef::new(Schema::new(fields))
}

fn flatten(node: &PlanNode) -> Result<(usize, RowProgram, Vec<Step>), EngineError> {
    let step = |input: &PlanNode, keyed: Keyed| {
        let (source, head, mut steps) = flatten(input)?;
        steps.push(Step {
            keyed,
            input: nullable(&input.schema),
            output: nullable(&node.schema),
            program: RowProgram::identity(&nullable(&node.schema)),
        });
        Ok::<_, EngineError>((source, head, steps))
    };
    match &node.kind {
        NodeKind::Scan { source } => Ok((
            *source,
            RowProgram::identity(&nullable(&node.schema)),
            Vec::new(),
        )),
        NodeKind::Filter { input, predicate } => {
            let (source, mut head, mut steps) = flatten(input)?;
            let program = steps.last_mut().map_or(&mut head, |step| &mut step.program);
            let predicate = substitute(predicate, &program.exprs)?;
            program.filter = Some(and(program.filter.take(), predicate));
            Ok((source, head, steps))
        }
        NodeKind::Project { input, exprs } => {
            let (source, mut head, mut steps) = flatten(input)?;
            let program = steps.last_mut().map_or(&mut head, |step| &mut step.program);
            program.exprs = exprs
                .iter()
                .map(|expr| substitute(expr, &program.exprs))
                .collect::<Result<_, _>>()?;
            program.schema = nullable(&node.schema);
            Ok((source, head, steps))
        }
        NodeKind::Window {
            input,
            time,
            keys,
            window,
            emit,
            window_columns,
            aggregates,
        } => step(
            input,
            Keyed::Window {
                time: *time,
                keys: keys.clone(),
                window: *window,
                emit: *emit,
                window_columns: *window_columns,
                aggregates: aggregates.clone(),
            },
        ),
        NodeKind::Group {
            input,
            keys,
            window_end,
            emit,
            state_ttl,
            aggregates,
        } => step(
            input,
            Keyed::Group {
                keys: keys.clone(),
                window_end: *window_end,
                emit: *emit,
                state_ttl: *state_ttl,
                aggregates: aggregates.clone(),
            },
        ),
        NodeKind::Latest {
            input,
            keys,
            state_ttl,
        } => step(
            input,
            Keyed::Latest {
                keys: keys.clone(),
                state_ttl: *state_ttl,
            },
        ),
        NodeKind::TopN {
            input,
            identity,
            partition,
            order,
            limit,
            rank_used,
            window_end,
        } => step(
            input,
            Keyed::TopN {
                identity: identity.clone(),
                partition: partition.clone(),
                order: order.clone(),
                limit: *limit,
                rank_used: *rank_used,
                window_end: *window_end,
            },
        ),
        NodeKind::Over {
            input,
            time,
            partition,
            calls,
        } => step(
            input,
            Keyed::Over {
                time: *time,
                partition: partition.clone(),
                calls: calls.clone(),
            },
        ),
    }
}
