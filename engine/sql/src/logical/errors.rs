//! DataFusion's errors at the user's places, with advice.

use crate::lexer::{Lexeme, lower_first};
use crate::parser::cursor::{Cursor, Spanned};
use crate::parser::query::SelectText;
use crate::suggest::{listed, nearest};
use datafusion::common::{DFSchema, DataFusionError, SchemaError};
use sqlparser::ast::{self, Expr, Query, Spanned as _, Value};
use sqlparser::tokenizer::Token;
use std::fmt;
use std::ops::ControlFlow;
use tidewheel_core::{Diagnostic, Span};

/// The relation is wrong itself, which was reported where it is declared.
#[derive(Debug)]
pub(crate) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it builds on a table or view that is wrong itself")
    }
}

impl std::error::Error for Broken {}

/// Expressions beyond this many are not tried when an error is located.
const LOCATE_TRIES_MAX: usize = 400;

/// What is wrong with a query. Empty where only something it builds on is wrong.
pub(crate) fn diagnose(
    error: &DataFusionError,
    select: &SelectText,
    plan: &dyn Fn(&Query) -> Result<(), DataFusionError>,
    relations: Vec<&str>,
) -> Vec<Diagnostic> {
    let root = root_of(error);
    if let DataFusionError::Collection(errors) = root {
        return errors
            .iter()
            .flat_map(|error| diagnose(error, select, plan, relations.clone()))
            .collect();
    }
    if let DataFusionError::External(inner) = root {
        if inner.downcast_ref::<Broken>().is_some() {
            return Vec::new();
        }
        if let Some(own) = inner.downcast_ref::<Diagnostic>() {
            return vec![own.clone()];
        }
    }
    if let Some(found) = missing_column(root, &select.tokens, select) {
        return vec![found];
    }
    let text = message(root);
    if let Some(name) = quoted_before(&text, "not found").filter(|_| text.starts_with("table ")) {
        let advice = match nearest(&name, relations.iter().copied()) {
            Some(near) => format!("did you mean '{near}'?"),
            None if relations.is_empty() => "declare it with CREATE TABLE".to_owned(),
            None => format!("the tables and views are {}", listed(relations)),
        };
        let span = find_word(&select.tokens, select, &name);
        return vec![
            Diagnostic::error(format!("there is no table '{name}'"), span).with_advice(advice),
        ];
    }
    if let Some(name) = ungrouped(&text) {
        let mut error = advise(&text, find_word(&select.tokens, select, &name));
        error.message = format!("column '{name}' is neither in GROUP BY nor in an aggregate");
        return vec![error];
    }
    let span = locate(select, &text, plan).or_else(|| first_token(select));
    vec![advise(&text, span)]
}

/// An error without a query around it.
pub(crate) fn plain(error: &DataFusionError, span: Option<Span>) -> Diagnostic {
    let root = root_of(error);
    if let DataFusionError::External(inner) = root
        && let Some(own) = inner.downcast_ref::<Diagnostic>()
    {
        return own.clone();
    }
    advise(&message(root), span)
}

/// An error in a computed column or a WATERMARK.
pub(crate) fn in_expression(
    error: &DataFusionError,
    expr: &Spanned<Expr>,
    schema: &DFSchema,
) -> Diagnostic {
    let root = root_of(error);
    if let DataFusionError::SchemaError(schema_error, _) = root
        && let SchemaError::FieldNotFound { field, .. } = schema_error.as_ref()
    {
        let known: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let advice = match nearest(&field.name, known.iter().copied()) {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("the columns are {}", listed(known)),
        };
        let name = field.name.as_str();
        return Diagnostic::error(
            format!("there is no column '{name}'"),
            Some(expr.span.clone()),
        )
        .with_advice(advice);
    }
    plain(error, Some(expr.span.clone()))
}

fn root_of(error: &DataFusionError) -> &DataFusionError {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            root_of(inner)
        }
        DataFusionError::Shared(inner) => root_of(inner),
        DataFusionError::Collection(errors) if errors.len() == 1 => {
            errors.first().map_or(error, root_of)
        }
        other => other,
    }
}

/// The text without its kind in front, without Rust's backtrace, and without hints at internals.
fn message(error: &DataFusionError) -> String {
    let text = error.strip_backtrace();
    let kinds = [
        "Error during planning: ",
        "This feature is not implemented: ",
        "Schema error: ",
        "Execution error: ",
        "External error: ",
        "Internal error: ",
        "Arrow error: ",
        "Cast error: ",
        "Parser error: ",
        "SQL error: ",
        "Optimizer rule 'simplify_expressions' failed",
        "type_coercion",
        "caused by",
    ];
    let mut rest = text.as_str();
    loop {
        rest = rest.trim_start();
        match kinds.iter().find_map(|kind| rest.strip_prefix(kind)) {
            Some(stripped) => rest = stripped,
            None => break,
        }
    }
    let rest = rest.split("\n\tCandidate functions").next().unwrap_or(rest);
    lower_first(rest.trim().trim_end_matches('.'))
}

fn advise(text: &str, span: Option<Span>) -> Diagnostic {
    let first = match unfit_function(text) {
        Some(name) => format!(
            "{} does not take arguments of these types",
            name.to_uppercase()
        ),
        None => text.lines().next().unwrap_or(text).replace('\u{0}', ""),
    };
    let error = Diagnostic::error(first, span);
    let advice = if text.contains("must appear in the GROUP BY")
        || text.contains("could not be resolved from available columns")
    {
        "add the column to GROUP BY, or put it into an aggregate such as LAST_VALUE(…)"
    } else if text.contains("coerce")
        || text.contains("Cannot infer common")
        || text.contains("signature")
    {
        "check the types, and convert with CAST(x AS type)"
    } else if text.contains("ambiguous") || text.contains("unique expression names") {
        "give each column a name of its own with AS"
    } else if text.contains("at most 38 digits") {
        "write CAST(… AS DECIMAL(38, s)), or use DOUBLE"
    } else if text.contains("not found in struct") {
        "name a field that the ROW column has in CREATE TABLE"
    } else if text.contains("annot cast") || text.contains("parsing value") {
        "write a value of that type, or TRY_CAST(… AS type), which gives NULL instead"
    } else if unfit_function(text).is_some() {
        "check the number of the arguments and their types; convert with CAST(x AS type)"
    } else {
        "the documentation of the SQL dialect lists what is served"
    };
    error.with_advice(advice)
}

/// The column of `column "t.x" must appear in the GROUP BY clause`.
fn ungrouped(text: &str) -> Option<String> {
    let (before, _) = text.split_once("\" must appear in the GROUP BY")?;
    let name = before.rsplit('"').next()?;
    Some(name.rsplit('.').next().unwrap_or(name).to_owned())
}

/// The function of `function 'sum' failed to match any signature`.
fn unfit_function(text: &str) -> Option<&str> {
    let (before, _) = text.split_once("' failed to match any signature")?;
    before.rsplit('\'').next()
}

fn missing_column(
    error: &DataFusionError,
    tokens: &[Lexeme],
    select: &SelectText,
) -> Option<Diagnostic> {
    let DataFusionError::SchemaError(schema_error, _) = error else {
        return None;
    };
    let SchemaError::FieldNotFound {
        field,
        valid_fields,
    } = schema_error.as_ref()
    else {
        return None;
    };
    let mut known: Vec<&str> = valid_fields.iter().map(|c| c.name.as_str()).collect();
    known.dedup();
    let name = field.name.as_str();
    let lower = name.to_lowercase();
    let advice = match known.iter().find(|k| k.to_lowercase() == lower) {
        Some(same) => format!("names are case-sensitive: write '{same}'"),
        None => match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("the columns are {}", listed(known)),
        },
    };
    let span = find_word(tokens, select, name).or_else(|| {
        field
            .relation
            .as_ref()
            .and_then(|r| find_word(tokens, select, r.table()))
    });
    Some(Diagnostic::error(format!("there is no column '{name}'"), span).with_advice(advice))
}

fn quoted_before(text: &str, marker: &str) -> Option<String> {
    let before = text.split(marker).next()?;
    let mut parts = before.rsplit('\'');
    parts.next()?;
    parts
        .next()
        .map(|name| name.rsplit('.').next().unwrap_or(name).to_owned())
}

/// The first token that is this name.
pub(crate) fn find_word(tokens: &[Lexeme], select: &SelectText, name: &str) -> Option<Span> {
    let cursor = Cursor::new(tokens, &select.places);
    let exact = tokens
        .iter()
        .find(|t| matches!(&t.token.token, Token::Word(word) if word.value == name));
    let found = exact.or_else(|| {
        tokens.iter().find(
            |t| matches!(&t.token.token, Token::Word(word) if word.value.eq_ignore_ascii_case(name)),
        )
    });
    found.map(|t| cursor.span_of(t))
}

fn first_token(select: &SelectText) -> Option<Span> {
    let cursor = Cursor::new(&select.tokens, &select.places);
    select.tokens.first().map(|t| cursor.span_of(t))
}

/// Finds the expression at fault by trial: the one whose replacement by NULL makes this error go
/// away. Of nested ones the innermost, unless several of its parts are each to blame.
fn locate(
    select: &SelectText,
    text: &str,
    plan: &dyn Fn(&Query) -> Result<(), DataFusionError>,
) -> Option<Span> {
    let mut spans = Vec::new();
    let _ = ast::visit_expressions(&select.query, |expr| {
        spans.push(select.places.span(expr.span()));
        ControlFlow::<()>::Continue(())
    });
    let mut fixing: Vec<Span> = Vec::new();
    for (index, span) in spans.into_iter().enumerate().take(LOCATE_TRIES_MAX) {
        let Some(span) = span else { continue };
        let mut query = (*select.query).clone();
        let mut at = 0;
        let _ = visit_mut_pre(&mut query, |expr| {
            if at == index {
                *expr = Expr::value(Value::Null);
            }
            at += 1;
        });
        let fixed = match plan(&query) {
            Ok(()) => true,
            Err(error) => message(root_of(&error)) != text,
        };
        if fixed {
            fixing.push(span);
        }
    }
    let mut best = fixing.iter().max_by_key(|s| s.end - s.start)?.clone();
    loop {
        let inside: Vec<&Span> = fixing
            .iter()
            .filter(|s| s.start >= best.start && s.end <= best.end && **s != best)
            .collect();
        let Some(widest) = inside.iter().max_by_key(|s| s.end - s.start) else {
            break;
        };
        // Another part beside the widest is to blame as well: the whole is the place.
        let beside = inside
            .iter()
            .any(|s| s.start >= widest.end || s.end <= widest.start);
        if beside {
            break;
        }
        best = (*widest).clone();
    }
    Some(best)
}

/// Visits expressions in the order of `visit_expressions`: a parent before its parts.
pub(crate) fn visit_mut_pre(query: &mut Query, mut f: impl FnMut(&mut Expr)) -> ControlFlow<()> {
    struct Pre<F>(F);
    impl<F: FnMut(&mut Expr)> ast::VisitorMut for Pre<F> {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            (self.0)(expr);
            ControlFlow::Continue(())
        }
    }
    ast::VisitMut::visit(query, &mut Pre(&mut f))
}
