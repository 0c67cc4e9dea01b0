//! All that is wrong with a SELECT: DataFusion stops at its first error, so what is at fault is
//! replaced by NULL and the rest is planned again.

use super::errors::{diagnose, visit_mut_pre};
use crate::parser::query::SelectText;
use datafusion::common::DataFusionError;
use sqlparser::ast::{self, Expr, Query, Spanned as _, Value};
use std::ops::ControlFlow;
use tidewheel_core::{Diagnostic, Span};

/// How many errors of one SELECT are looked for.
const ERRORS_MAX: usize = 20;

/// What is wrong: `found` is known already.
pub(crate) fn all(
    select: &SelectText,
    mut found: Vec<Diagnostic>,
    plan: &dyn Fn(&Query) -> Result<(), DataFusionError>,
    relations: &[&str],
) -> Vec<Diagnostic> {
    let mut trial = select.clone();
    let mut replaced: Vec<Span> = Vec::new();
    for error in &found {
        let span = error.span.as_ref();
        if !span.is_some_and(|span| repair(&mut trial, span, &mut replaced)) {
            return found;
        }
    }
    for _ in 0..ERRORS_MAX {
        let Err(error) = plan(&trial.query) else {
            break;
        };
        let mut repaired = false;
        for error in diagnose(&error, &trial, plan, relations.to_vec()) {
            let span = error.span.clone();
            // An error around a part that was replaced may be of the replacement's making.
            let follows = !replaced.is_empty()
                && (error.message.contains("Null")
                    || error.message.contains("neither in GROUP BY")
                    || span
                        .as_ref()
                        .is_some_and(|span| replaced.iter().any(|part| overlap(span, part))));
            let mended = span.is_some_and(|span| repair(&mut trial, &span, &mut replaced));
            // The same once more, and nowhere in particular.
            let repeats = !mended && found.iter().any(|known| known.message == error.message);
            if !follows && !repeats {
                found.push(error);
            }
            repaired |= mended;
        }
        if !repaired {
            break;
        }
    }
    found
}

fn overlap(a: &Span, b: &Span) -> bool {
    a.source == b.source && a.start < b.end && b.start < a.end
}

/// Replaces the narrowest expression around a place, and all like it; false where there is none.
fn repair(trial: &mut SelectText, span: &Span, replaced: &mut Vec<Span>) -> bool {
    let mut best: Option<(usize, Expr)> = None;
    let _ = ast::visit_expressions(&trial.query, |expr| {
        if let Some(own) = trial.places.span(expr.span())
            && own.source == span.source
            && own.start <= span.start
            && own.end >= span.end
            && best
                .as_ref()
                .is_none_or(|(length, _)| own.end - own.start < *length)
        {
            best = Some((own.end - own.start, expr.clone()));
        }
        ControlFlow::<()>::Continue(())
    });
    let null = Expr::value(Value::Null);
    let Some((_, fault)) = best.filter(|(_, expr)| *expr != null) else {
        return false;
    };
    let places = trial.places.clone();
    let _ = visit_mut_pre(&mut trial.query, |expr| {
        if *expr == fault {
            replaced.extend(places.span(expr.span()));
            *expr = null.clone();
        }
    });
    true
}
