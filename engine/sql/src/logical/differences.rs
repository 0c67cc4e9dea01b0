//! Where a function means something else in Flink: named as warnings, in the words of the table
//! in the documentation of the dialect.

use crate::lexer::Places;
use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Location};
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, ExprSchemable, LogicalPlan, Operator};
use sqlparser::ast;
use tidewheel_core::{Diagnostic, Span};

/// What a relation that stands for a plan of another text is called: its name is behind it.
pub(crate) const OTHER_TEXT: &str = "\u{0}of ";

/// A call by its name (lower case) and arguments.
pub(crate) fn of_call(name: &str, args: &[&ast::Expr]) -> Option<(&'static str, &'static str)> {
    Some(match (name, args.len()) {
        ("concat", 2..) => (
            "CONCAT leaves NULLs out; in Flink the result is NULL",
            "write a || b where a NULL is to make the whole NULL",
        ),
        ("greatest" | "least", _) => (
            "GREATEST and LEAST leave NULLs out; in Flink the result is NULL",
            "write CASE WHEN a IS NOT NULL AND b IS NOT NULL THEN … END for Flink's result",
        ),
        ("log", 1) => (
            "LOG(x) is to base 10; in Flink it is the natural logarithm",
            "write LN(x) or LOG10(x)",
        ),
        ("regexp_replace", 3) => (
            "REGEXP_REPLACE replaces the first match; in Flink it replaces all",
            "write REGEXP_REPLACE(s, pattern, with, 'g') for all",
        ),
        ("substr" | "substring", 2..) if is_at_most_zero(args.get(1)?) => (
            "place 0 of SUBSTR lies before the text; Flink counts it as the first",
            "write 1 for the first character",
        ),
        ("to_timestamp" | "to_date", 2..) => (
            "TO_TIMESTAMP and TO_DATE take patterns such as '%d.%m.%Y'; in Flink 'dd.MM.yyyy'",
            "write the pattern with %, or UNIX_TIMESTAMP(s, 'dd.MM.yyyy') for seconds",
        ),
        ("from_unixtime", _) => (
            "FROM_UNIXTIME gives a TIMESTAMP; in Flink it gives text",
            "write DATE_FORMAT(FROM_UNIXTIME(n), 'yyyy-MM-dd HH:mm:ss') for the text",
        ),
        ("sha224" | "sha256" | "sha384" | "sha512", 1) => (
            "SHA256 and its like give BYTES; in Flink they give hexadecimal text",
            "write ENCODE(SHA256(s), 'hex') for the text",
        ),
        ("encode" | "decode", 2) => (
            "ENCODE and DECODE take 'hex' or 'base64'; in Flink they take a character set",
            "texts are UTF-8 already: leave the call out, or CAST(s AS BYTES)",
        ),
        ("array_position", _) => (
            "ARRAY_POSITION gives NULL where the element is missing; in Flink it gives 0",
            "write COALESCE(ARRAY_POSITION(a, x), 0) for Flink's result",
        ),
        _ => return None,
    })
}

/// EXTRACT of a field.
pub(crate) fn of_extract(field: &ast::DateTimeField) -> Option<(&'static str, &'static str)> {
    matches!(
        field,
        ast::DateTimeField::Dow | ast::DateTimeField::DayOfWeek
    )
    .then_some((
        "EXTRACT(DOW …) counts from Sunday = 0; in Flink from Sunday = 1",
        "write DAYOFWEEK(ts) for Flink's number",
    ))
}

fn is_at_most_zero(expr: &ast::Expr) -> bool {
    let text = expr.to_string();
    text.parse::<i64>().is_ok_and(|n| n <= 0)
}

/// What only the types tell, of a plan before its types are coerced.
pub(crate) fn of_plan(plan: &LogicalPlan, places: &Places) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    // The closures never fail.
    let _ = plan.apply(|node| {
        if let LogicalPlan::SubqueryAlias(alias) = node
            && alias.alias.table().starts_with(OTHER_TEXT)
        {
            return Ok(TreeNodeRecursion::Jump);
        }
        let Some(input) = node.inputs().first().map(|input| input.schema().clone()) else {
            return Ok(TreeNodeRecursion::Continue);
        };
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if let Some((message, advice)) = of_expr(part, &input) {
                    let warning = Diagnostic::warning(message, place(part, places));
                    found.push(warning.with_advice(advice));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    found
}

fn of_expr(expr: &Expr, input: &DFSchema) -> Option<(&'static str, &'static str)> {
    let type_of = |expr: &Expr| expr.get_type(input).ok();
    match expr {
        Expr::AggregateFunction(function) if function.func.name() == "avg" => {
            let first = function.params.args.first().and_then(type_of)?;
            first.is_integer().then_some((
                "AVG of whole numbers is a DOUBLE; in Flink it is cut off to a whole number",
                "write CAST(AVG(x) AS BIGINT) for Flink's result",
            ))
        }
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Divide,
            right,
        }) => {
            let (left, right) = (type_of(left)?, type_of(right)?);
            (left.is_integer() && right.is_integer() && left != right).then_some((
                "a division of whole numbers is cut off, as in Flink; its type is the wider one, \
                 and a number that is written out is a BIGINT, in Flink an INT",
                "write x / 2.0 for a DOUBLE, or CAST(… AS INT) for Flink's type",
            ))
        }
        Expr::Cast(Cast { expr: inner, field }) => {
            let from = type_of(inner)?;
            let to_text = matches!(
                field.data_type(),
                DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8
            );
            (to_text && matches!(from, DataType::Timestamp(..))).then_some((
                "a TIMESTAMP as text has a T between date and time; in Flink a blank",
                "write DATE_FORMAT(ts, 'yyyy-MM-dd HH:mm:ss')",
            ))
        }
        _ => None,
    }
}

/// From the first to the last column that an expression reads.
fn place(expr: &Expr, places: &Places) -> Option<Span> {
    let mut whole: Option<Span> = None;
    // The closure never fails.
    let _ = expr.apply(|part| {
        if let Expr::Column(column) = part
            && let Some(span) = column.spans.first()
        {
            let at = |location: Location| sqlparser::tokenizer::Location {
                line: location.line,
                column: location.column,
            };
            let span = sqlparser::tokenizer::Span::new(at(span.start), at(span.end));
            if let Some(span) = places.span(span) {
                whole = Some(match whole.take() {
                    None => span,
                    Some(before) => Span {
                        start: before.start.min(span.start),
                        end: before.end.max(span.end),
                        ..before
                    },
                });
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    whole
}
