//! Columns and fields of ROW columns that an expression reads.

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions::core::expr_fn::get_field;
use datafusion::logical_expr::Expr;
use std::collections::BTreeSet;

use super::ir::col;

/// A column, and the way into it: names from the column's own inwards.
pub(crate) type Access = Vec<String>;

/// The access that an expression is, if it is a column or a field of a ROW column.
pub(crate) fn access_of(expr: &Expr, fields: &[FieldRef]) -> Option<Access> {
    match expr {
        Expr::Alias(alias) => access_of(&alias.expr, fields),
        Expr::Column(column) => Some(vec![column.name.clone()]),
        Expr::ScalarFunction(function) if function.func.name() == "get_field" => {
            let (base, keys) = function.args.split_first()?;
            let mut access = access_of(base, fields)?;
            for key in keys {
                let DataType::Struct(inner) = type_of(&access, fields)? else {
                    return None;
                };
                let Expr::Literal(
                    ScalarValue::Utf8(Some(name)) | ScalarValue::Utf8View(Some(name)),
                    _,
                ) = key
                else {
                    return None;
                };
                inner.iter().find(|f| f.name() == name)?;
                access.push(name.clone());
            }
            Some(access)
        }
        _ => None,
    }
}

/// The value that a field of a NAMED_STRUCT written out is, so that the others need not be made.
pub(crate) fn out_of_struct(expr: &Expr) -> Option<Expr> {
    let Expr::ScalarFunction(function) = expr else {
        return None;
    };
    if function.func.name() != "get_field" {
        return None;
    }
    let (base, keys) = function.args.split_first()?;
    let mut base = base;
    while let Expr::Alias(alias) = base {
        base = &alias.expr;
    }
    let Expr::ScalarFunction(made) = base else {
        return None;
    };
    if made.func.name() != "named_struct" {
        return None;
    }
    let text = |expr: &Expr| match expr {
        Expr::Literal(ScalarValue::Utf8(Some(t)) | ScalarValue::Utf8View(Some(t)), _) => {
            Some(t.clone())
        }
        _ => None,
    };
    let (first, rest) = keys.split_first()?;
    let wanted = text(first)?;
    let pairs = made.args.chunks_exact(2);
    let mut found = pairs.filter(|pair| text(&pair[0]).as_ref() == Some(&wanted));
    let value = found.next()?.get(1)?.clone();
    rest.iter().try_fold(value, |value, key| {
        let inner = get_field(value, text(key)?);
        Some(out_of_struct(&inner).unwrap_or(inner))
    })
}

/// The type of what an access reads.
pub(crate) fn type_of(access: &[String], fields: &[FieldRef]) -> Option<DataType> {
    let (first, rest) = access.split_first()?;
    let mut found = fields
        .iter()
        .find(|f| f.name() == first)?
        .data_type()
        .clone();
    for name in rest {
        let DataType::Struct(inner) = &found else {
            return None;
        };
        found = inner.iter().find(|f| f.name() == name)?.data_type().clone();
    }
    Some(found)
}

/// Adds all accesses of an expression.
pub(crate) fn collect(expr: &Expr, fields: &[FieldRef], into: &mut BTreeSet<Access>) {
    // The closure never fails.
    let _ = expr.apply(|part| {
        if let Some(access) = access_of(part, fields) {
            into.insert(access);
            return Ok(TreeNodeRecursion::Jump);
        }
        Ok(TreeNodeRecursion::Continue)
    });
}

/// The name of the column that holds an access.
pub(crate) fn name_of(access: &[String]) -> String {
    access.join(".")
}

/// The expression that goes from a column further in.
pub(crate) fn go_in(base: Expr, names: &[String]) -> Expr {
    names
        .iter()
        .fold(base, |expr, name| get_field(expr, name.as_str()))
}

/// The expression over columns that were pruned: each access reads the column that holds it, or
/// goes in from the one that holds a part of its way. `before` are the columns that the
/// expression was made for, `after` those that are there.
pub(crate) fn rewrite(expr: Expr, before: &[FieldRef], after: &[FieldRef]) -> Result<Expr> {
    let done = expr.transform_down(|part| {
        let Some(access) = access_of(&part, before) else {
            return Ok(Transformed::no(part));
        };
        for length in (1..=access.len()).rev() {
            let (held, rest) = access.split_at(length);
            let name = name_of(held);
            if after.iter().any(|f| *f.name() == name) {
                let expr = go_in(col(&name), rest);
                return Ok(Transformed::new(expr, true, TreeNodeRecursion::Jump));
            }
        }
        Ok(Transformed::new(part, false, TreeNodeRecursion::Jump))
    })?;
    Ok(done.data)
}

/// Without those that another one covers: reading `a` makes reading `a.b` needless.
pub(crate) fn covered(accesses: &BTreeSet<Access>) -> Vec<Access> {
    let is_covered = |access: &Access| {
        (1..access.len()).any(|n| access.get(..n).is_some_and(|head| accesses.contains(head)))
    };
    accesses
        .iter()
        .filter(|access| !is_covered(access))
        .cloned()
        .collect()
}
