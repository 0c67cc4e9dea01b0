//! Flink's functions that DataFusion has under another name or in another form: rewritten before
//! the query is planned.

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    self, AccessExpr, BinaryOperator, CaseWhen, CeilFloorKind, DateTimeField, Expr, ExtractSyntax,
    Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    ObjectName, Query, Value, VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

/// Functions that are rewritten, lower case.
pub(crate) const REWRITTEN: &[&str] = &[
    "if",
    "mod",
    "locate",
    "listagg",
    "year",
    "quarter",
    "month",
    "week",
    "dayofyear",
    "dayofmonth",
    "dayofweek",
    "hour",
    "minute",
    "second",
];

/// Rewrites all of a query's expressions.
pub(crate) fn rewrite(query: &mut Query) {
    let _ = query.visit(&mut Forms);
}

/// Rewrites one expression and its parts.
pub(crate) fn rewrite_expr(expr: &mut Expr) {
    let _ = expr.visit(&mut Forms);
}

struct Forms;

impl VisitorMut for Forms {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let rewritten = match expr {
            Expr::Function(function) => call(function),
            Expr::Floor {
                expr: inner,
                field: CeilFloorKind::DateTimeField(field),
            } if *field != DateTimeField::NoDateTime => {
                let unit = text(&field.to_string().to_lowercase());
                Some(function("date_trunc", vec![unit, inner.as_ref().clone()]))
            }
            Expr::CompoundFieldAccess { access_chain, .. } => {
                fields_by_name(access_chain);
                None
            }
            _ => None,
        };
        if let Some(rewritten) = rewritten {
            *expr = rewritten;
        }
        ControlFlow::Continue(())
    }
}

/// `items[1].id`: the planner takes a field behind an index as a text only.
fn fields_by_name(chain: &mut [AccessExpr]) {
    for access in chain {
        if let AccessExpr::Dot(name) = access
            && let Expr::Identifier(ident) = name
        {
            *name = text(&ident.value);
        }
    }
}

fn call(called: &mut Function) -> Option<Expr> {
    let ident = called.name.0.last().and_then(|part| part.as_ident())?;
    let name = ident.value.to_lowercase();
    if matches!(name.as_str(), "timestampdiff" | "timestampadd") {
        unit_as_text(called);
        return None;
    }
    if name == "listagg" {
        list_of_texts(called);
        return None;
    }
    if !REWRITTEN.contains(&name.as_str()) {
        return None;
    }
    let args = arguments(called)?;
    match (name.as_str(), args.as_slice()) {
        ("if", [condition, yes, no]) => Some(Expr::Case {
            case_token: AttachedToken::empty(),
            end_token: AttachedToken::empty(),
            operand: None,
            conditions: vec![CaseWhen {
                condition: condition.clone(),
                result: yes.clone(),
            }],
            else_result: Some(Box::new(no.clone())),
        }),
        ("mod", [a, b]) => Some(binary(a, BinaryOperator::Modulo, b)),
        ("locate", [part, whole]) => Some(function("strpos", vec![whole.clone(), part.clone()])),
        ("dayofweek", [time]) => {
            // DataFusion counts from Sunday = 0, Flink from Sunday = 1.
            let day = extract(DateTimeField::Dow, time);
            Some(binary(&day, BinaryOperator::Plus, &number("1")))
        }
        (name, [time]) => {
            let field = match name {
                "year" => DateTimeField::Year,
                "quarter" => DateTimeField::Quarter,
                "month" => DateTimeField::Month,
                "week" => DateTimeField::Week(None),
                "dayofyear" => DateTimeField::Doy,
                "dayofmonth" => DateTimeField::Day,
                "hour" => DateTimeField::Hour,
                "minute" => DateTimeField::Minute,
                "second" => DateTimeField::Second,
                _ => return None,
            };
            Some(extract(field, time))
        }
        _ => None,
    }
}

/// The arguments of a plain call.
fn arguments(function: &Function) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let plain = list.clauses.is_empty()
        && list.duplicate_treatment.is_none()
        && function.over.is_none()
        && function.filter.is_none();
    if !plain {
        return None;
    }
    list.args
        .iter()
        .map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        })
        .collect()
}

/// TIMESTAMPDIFF(HOUR, a, b): the unit is a word of its own, here a text.
fn unit_as_text(called: &mut Function) {
    if let FunctionArguments::List(list) = &mut called.args
        && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(first))) = list.args.first_mut()
        && let Expr::Identifier(ident) = first
    {
        *first = text(&ident.value);
    }
}

/// LISTAGG(x [, separator]) is STRING_AGG with a comma for a separator unless given.
fn list_of_texts(called: &mut Function) {
    called.name = ObjectName::from(vec![Ident::new("string_agg")]);
    if let FunctionArguments::List(list) = &mut called.args
        && list.args.len() == 1
    {
        list.args
            .push(FunctionArg::Unnamed(FunctionArgExpr::Expr(text(","))));
    }
}

fn text(value: &str) -> Expr {
    Expr::value(Value::SingleQuotedString(value.to_owned()))
}

fn number(value: &str) -> Expr {
    Expr::value(Value::Number(value.to_owned(), false))
}

fn binary(left: &Expr, op: BinaryOperator, right: &Expr) -> Expr {
    let nested = |expr: &Expr| Box::new(Expr::Nested(Box::new(expr.clone())));
    Expr::Nested(Box::new(Expr::BinaryOp {
        left: nested(left),
        op,
        right: nested(right),
    }))
}

fn extract(field: DateTimeField, time: &Expr) -> Expr {
    Expr::Extract {
        field,
        syntax: ExtractSyntax::From,
        expr: Box::new(time.clone()),
    }
}

fn function(name: &str, args: Vec<Expr>) -> Expr {
    let args = args
        .into_iter()
        .map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)));
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::<ast::OrderByExpr>::new(),
    })
}
