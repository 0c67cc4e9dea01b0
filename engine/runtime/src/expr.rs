//! Physical expressions: substitution, and evaluation that survives failing rows.

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, new_null_array};
use arrow::compute::concat;
use arrow::datatypes::Schema;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::ScalarFunctionExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr, CaseExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr, Literal, NotExpr,
};
use std::sync::Arc;

/// An expression of a plan.
pub type Expr = Arc<dyn PhysicalExpr>;

/// Replaces each column of `expr` by the expression that computes it.
///
/// # Errors
/// DataFusion's, if a rewritten node refuses its children.
pub fn substitute(expr: &Expr, inputs: &[Expr]) -> Result<Expr> {
    let replaced = Arc::clone(expr).transform_up(|node| {
        let index = node.downcast_ref::<Column>().map(Column::index);
        Ok(match index.and_then(|index| inputs.get(index)) {
            Some(input) => Transformed::new(Arc::clone(input), true, TreeNodeRecursion::Jump),
            None => Transformed::no(node),
        })
    })?;
    Ok(replaced.data)
}

/// The expression that reads column `index` of a schema.
#[must_use]
pub fn column(schema: &Schema, index: usize) -> Expr {
    Arc::new(Column::new(schema.field(index).name(), index))
}

/// `left AND right`.
#[must_use]
pub fn and(left: Option<Expr>, right: Expr) -> Expr {
    match left {
        Some(left) => Arc::new(BinaryExpr::new(left, Operator::And, right)),
        None => right,
    }
}

/// True where an evaluation can fail on some row. Errs on the side of true.
#[must_use]
pub fn can_fail(expr: &Expr) -> bool {
    let own = if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        !matches!(
            binary.op(),
            Operator::Eq
                | Operator::NotEq
                | Operator::Lt
                | Operator::LtEq
                | Operator::Gt
                | Operator::GtEq
                | Operator::IsDistinctFrom
                | Operator::IsNotDistinctFrom
                | Operator::And
                | Operator::Or
                | Operator::StringConcat
        )
    } else if let Some(function) = expr.downcast_ref::<ScalarFunctionExpr>() {
        !INFALLIBLE.contains(&function.name())
    } else {
        !(expr.downcast_ref::<Column>().is_some()
            || expr.downcast_ref::<Literal>().is_some()
            || expr.downcast_ref::<CaseExpr>().is_some()
            || expr.downcast_ref::<IsNullExpr>().is_some()
            || expr.downcast_ref::<IsNotNullExpr>().is_some()
            || expr.downcast_ref::<NotExpr>().is_some()
            || expr.downcast_ref::<InListExpr>().is_some()
            || expr.downcast_ref::<LikeExpr>().is_some())
    };
    own || expr.children().into_iter().any(can_fail)
}

/// Scalar functions that are defined on every row.
const INFALLIBLE: &[&str] = &[
    "coalesce",
    "nullif",
    "nvl",
    "lower",
    "upper",
    "btrim",
    "ltrim",
    "rtrim",
    "concat",
    "concat_ws",
    "starts_with",
    "ends_with",
    "contains",
    "character_length",
    "strpos",
    "get_field",
    "device_class",
    "geo_country",
    "round_half_even",
    "double_text",
    "split_part",
];

/// A column of results, and the rows on which the expression failed.
#[derive(Debug, Clone)]
pub struct Evaluated {
    /// The values; NULL on the failed rows.
    pub array: ArrayRef,
    /// Where it failed; `None`: nowhere.
    pub failed: Option<BooleanArray>,
}

/// Evaluates an expression over a batch. When it fails, it is evaluated row by row, so that one
/// row's failure costs no other row its value.
///
/// # Errors
/// The expression cannot be evaluated at all (its type is unknown).
pub fn evaluate(expr: &Expr, batch: &RecordBatch) -> Result<Evaluated> {
    let rows = batch.num_rows();
    let whole = expr
        .evaluate(batch)
        .and_then(|value| value.into_array(rows));
    if let Ok(array) = whole {
        return Ok(Evaluated {
            array,
            failed: None,
        });
    }
    let data_type = expr.data_type(&batch.schema())?;
    let mut parts: Vec<ArrayRef> = Vec::with_capacity(rows);
    let mut failed = Vec::with_capacity(rows);
    for row in 0..rows {
        let one = batch.slice(row, 1);
        let value = expr.evaluate(&one).and_then(|value| value.into_array(1));
        failed.push(value.is_err());
        parts.push(value.unwrap_or_else(|_| new_null_array(&data_type, 1)));
    }
    let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
    let array = if parts.is_empty() {
        new_null_array(&data_type, 0)
    } else {
        concat(&parts)?
    };
    Ok(Evaluated {
        array,
        failed: Some(BooleanArray::from(failed)),
    })
}
