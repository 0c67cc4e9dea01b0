//! Tables as DataFusion's planner sees them.

use arrow::datatypes::SchemaRef;
use datafusion::logical_expr::{LogicalPlan, TableSource};
use std::borrow::Cow;

/// The stored columns of a source table.
#[derive(Debug)]
pub(crate) struct StreamTable {
    /// The table's name.
    pub name: String,
    /// Physical columns, then METADATA columns.
    pub stored: SchemaRef,
}

impl TableSource for StreamTable {
    fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.stored)
    }
}

/// A relation that stands for a plan: a view, or a table with computed columns.
#[derive(Debug)]
pub(crate) struct Inlined {
    /// The plan.
    pub plan: LogicalPlan,
}

impl TableSource for Inlined {
    fn schema(&self) -> SchemaRef {
        SchemaRef::clone(self.plan.schema().inner())
    }

    fn get_logical_plan(&'_ self) -> Option<Cow<'_, LogicalPlan>> {
        Some(Cow::Borrowed(&self.plan))
    }
}
