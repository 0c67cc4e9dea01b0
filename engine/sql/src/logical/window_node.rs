//! The logical node of a window function, and the planner that puts it in.

use super::{flink, names};
use crate::parser::query::WindowCall;
use crate::suggest::{listed, nearest};
use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::{Column, DFSchema, DFSchemaRef, DataFusionError, Result, TableReference};
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use parking_lot::Mutex;
use sqlparser::ast::TableFactor;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use tidewheel_core::Diagnostic;
use tidewheel_kernel::spec::WindowSpec;

/// The columns that a window function adds, in this order.
pub(crate) const WINDOW_COLUMNS: [&str; 3] = ["window_start", "window_end", "window_time"];

/// The type of the window columns, as in Flink.
pub(crate) const WINDOW_COLUMN_TYPE: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

/// A window function over its input: the input's columns, then [`WINDOW_COLUMNS`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct WindowNode {
    /// What is windowed.
    pub input: LogicalPlan,
    /// The windows.
    pub window: WindowSpec,
    /// The function's name.
    pub function: &'static str,
    /// The input's name for messages.
    pub input_name: String,
    /// The time column.
    pub time: Expr,
    /// PARTITION BY of a SESSION.
    pub partition_by: Vec<Expr>,
    /// The output's columns.
    pub schema: DFSchemaRef,
}

impl PartialOrd for WindowNode {
    fn partial_cmp(&self, _: &Self) -> Option<Ordering> {
        None
    }
}

impl UserDefinedLogicalNodeCore for WindowNode {
    fn name(&self) -> &str {
        self.function
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        std::iter::once(&self.time)
            .chain(&self.partition_by)
            .cloned()
            .collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.function, self.time)
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let mut exprs = exprs.into_iter();
        let mut inputs = inputs.into_iter();
        match (exprs.next(), inputs.next()) {
            (Some(time), Some(input)) => Ok(Self {
                time,
                input,
                partition_by: exprs.collect(),
                ..self.clone()
            }),
            _ => Err(DataFusionError::Internal(
                "a window node lost its input".to_owned(),
            )),
        }
    }
}

/// Puts window nodes where their placeholders stand.
#[derive(Debug, Default)]
pub(crate) struct WindowPlanner {
    calls: Mutex<HashMap<String, WindowCall>>,
}

impl WindowPlanner {
    /// Makes calls known by their placeholders.
    pub(crate) fn add(&self, calls: &[WindowCall]) {
        let mut known = self.calls.lock();
        for call in calls {
            let mut call = call.clone();
            if let TableFactor::Derived { subquery, .. } = &mut call.input {
                flink::rewrite(subquery);
                names::give(subquery, false);
            }
            known.insert(call.placeholder.clone(), call);
        }
    }
}

impl RelationPlanner for WindowPlanner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let TableFactor::Table { name, alias, .. } = &relation else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let ident = name
            .0
            .last()
            .and_then(|part| part.as_ident())
            .map(|ident| &ident.value);
        let call = ident.and_then(|ident| self.calls.lock().get(ident).cloned());
        let Some(call) = call else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let input = context.plan(call.input.clone())?;
        let node = window_node(call, input)?;
        let plan = LogicalPlan::Extension(Extension {
            node: Arc::new(node),
        });
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(
            plan,
            alias.clone(),
        ))))
    }
}

/// An error of ours on its way through DataFusion.
pub(crate) fn carried(diagnostic: Diagnostic) -> DataFusionError {
    DataFusionError::External(Box::new(diagnostic))
}

fn window_node(call: WindowCall, input: LogicalPlan) -> Result<WindowNode> {
    let input_schema = input.schema();
    for name in WINDOW_COLUMNS {
        if input_schema.fields().iter().any(|f| f.name() == name) {
            return Err(carried(
                Diagnostic::error(
                    format!("{} has a column '{name}' already", call.input_name),
                    Some(call.span),
                )
                .with_advice(format!(
                    "give the inner one another name: SELECT {name} AS inner_{name}, and \
                     window_time AS a name for DESCRIPTOR"
                )),
            ));
        }
    }
    let column = |name: &crate::parser::cursor::Name| {
        input_schema
            .qualified_field_with_unqualified_name(&name.value)
            .map_or_else(
                |_| {
                    let known: Vec<&str> = input_schema
                        .fields()
                        .iter()
                        .map(|f| f.name().as_str())
                        .collect();
                    let advice = match nearest(&name.value, known.iter().copied()) {
                        Some(near) => format!("did you mean '{near}'?"),
                        None => format!("its columns are {}", listed(known)),
                    };
                    Err(carried(
                        Diagnostic::error(
                            format!("{} has no column '{}'", call.input_name, name.value),
                            Some(name.span.clone()),
                        )
                        .with_advice(advice),
                    ))
                },
                |found| Ok(Expr::Column(Column::from(found))),
            )
    };
    let time = column(&call.time)?;
    let partition_by = call
        .partition_by
        .iter()
        .map(column)
        .collect::<Result<Vec<_>>>()?;
    let mut fields: Vec<(Option<TableReference>, Arc<Field>)> = input_schema
        .iter()
        .map(|(q, f)| (q.cloned(), Arc::clone(f)))
        .collect();
    for name in WINDOW_COLUMNS {
        fields.push((None, Arc::new(Field::new(name, WINDOW_COLUMN_TYPE, true))));
    }
    let schema = Arc::new(DFSchema::new_with_metadata(fields, HashMap::new())?);
    Ok(WindowNode {
        input,
        window: call.window,
        function: call.function,
        input_name: call.input_name,
        time,
        partition_by,
        schema,
    })
}
