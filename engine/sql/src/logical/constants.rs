//! What can only fail, found before a row does: casts of constants, and decimals that are wider
//! than the engine's.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Cast, Expr, LogicalPlan};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;

/// Tries each cast of a constant in a plan, and looks for decimals that are too wide.
///
/// # Errors
/// The first that fails.
pub(crate) fn check_plan(plan: &LogicalPlan) -> Result<()> {
    plan.apply(|node| {
        let wide = |t: &DataType| matches!(t, DataType::Decimal256(..));
        if node.schema().fields().iter().any(|f| wide(f.data_type())) {
            return Err(too_wide());
        }
        node.apply_expressions(check_expr)
    })?;
    Ok(())
}

fn too_wide() -> DataFusionError {
    DataFusionError::Plan("a DECIMAL has at most 38 digits, and this has more".to_owned())
}

/// Tries each cast of a constant in an expression.
///
/// # Errors
/// The first that fails.
pub(crate) fn check_expr(expr: &Expr) -> Result<TreeNodeRecursion> {
    expr.apply(|part| {
        if let Expr::Cast(Cast { field, .. }) = part
            && matches!(field.data_type(), DataType::Decimal256(..))
        {
            return Err(too_wide());
        }
        if let Expr::Cast(Cast { expr: inner, .. }) = part
            && matches!(inner.as_ref(), Expr::Literal(..))
        {
            ExprSimplifier::new(SimplifyContext::builder().build()).simplify(part.clone())?;
        }
        Ok(TreeNodeRecursion::Continue)
    })
}
