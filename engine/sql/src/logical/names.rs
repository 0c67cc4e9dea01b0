//! Names for the columns of SELECT lists, as Flink gives them: DataFusion wants each to have one
//! of its own, and names a field `payload[price]` that Flink calls `price`.

use sqlparser::ast::{Expr, GroupByExpr, Ident, Query, Select, SelectItem, SetExpr, VisitMut};
use sqlparser::ast::{VisitorMut, visit_expressions};
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

/// Gives columns without a name of their own one: the field's for a field of a ROW, and one with
/// a number behind it (`k0`) for a repeat. In the list of an INSERT, to which names mean nothing,
/// written names are made different as well.
pub(crate) fn give(query: &mut Query, of_insert: bool) {
    let taken = words(query);
    if of_insert && let SetExpr::Select(select) = query.body.as_mut() {
        list(&mut select.projection, &taken, true);
    }
    let _ = query.visit(&mut Lists {
        taken: &taken,
        beside_wildcards: false,
    });
}

/// As [`give`], for lists that hold a `*`: what stands beside it gets a new name.
pub(crate) fn give_beside_wildcards(query: &mut Query) {
    let taken = words(query);
    let _ = query.visit(&mut Lists {
        taken: &taken,
        beside_wildcards: true,
    });
}

/// All names that the query's expressions hold: none of them may come to mean another column.
fn words(query: &Query) -> HashSet<String> {
    let mut words = HashSet::new();
    let _ = visit_expressions(query, |expr| {
        match expr {
            Expr::Identifier(ident) => {
                words.insert(ident.value.clone());
            }
            Expr::CompoundIdentifier(idents) => {
                words.extend(idents.iter().map(|ident| ident.value.clone()));
            }
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    words
}

struct Lists<'a> {
    taken: &'a HashSet<String>,
    beside_wildcards: bool,
}

impl VisitorMut for Lists<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if self.beside_wildcards {
            beside_wildcard(&mut select.projection, self.taken);
        } else {
            // A name that is given here must not catch one in GROUP BY or HAVING.
            let grouped = select.having.is_some()
                || !matches!(&select.group_by, GroupByExpr::Expressions(exprs, _) if exprs.is_empty());
            if !grouped {
                fields(&mut select.projection);
            }
            list(&mut select.projection, self.taken, false);
        }
        ControlFlow::Continue(())
    }
}

/// `payload.price` is called `price`.
fn fields(items: &mut [SelectItem]) {
    let mut names: HashMap<String, usize> = HashMap::new();
    for item in items.iter() {
        let name = match item {
            SelectItem::UnnamedExpr(expr) => base_name(expr),
            SelectItem::ExprWithAlias { alias, .. } => alias.value.clone(),
            _ => continue,
        };
        *names.entry(name).or_default() += 1;
    }
    for item in items {
        if let SelectItem::UnnamedExpr(expr @ Expr::CompoundIdentifier(_)) = item {
            let name = base_name(expr);
            if names.get(&name) == Some(&1) {
                set_name(item, name);
            }
        }
    }
}

fn list(items: &mut [SelectItem], taken: &HashSet<String>, rename_written: bool) {
    let mut seen: HashSet<String> = HashSet::new();
    for item in items {
        let (name, written) = match item {
            SelectItem::UnnamedExpr(expr) => (base_name(expr), false),
            SelectItem::ExprWithAlias { alias, .. } => (alias.value.clone(), true),
            _ => continue,
        };
        let is_new = seen.insert(name.clone());
        if is_new || (written && !rename_written) {
            continue;
        }
        let fresh = fresh(&name, taken, &seen);
        seen.insert(fresh.clone());
        set_name(item, fresh);
    }
}

fn beside_wildcard(items: &mut [SelectItem], taken: &HashSet<String>) {
    let has_wildcard = items.iter().any(|item| {
        matches!(
            item,
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)
        )
    });
    if !has_wildcard {
        return;
    }
    let mut seen = HashSet::new();
    for item in items {
        let name = match item {
            SelectItem::UnnamedExpr(expr) => base_name(expr),
            SelectItem::ExprWithAlias { alias, .. } => alias.value.clone(),
            _ => continue,
        };
        let fresh = fresh(&name, taken, &seen);
        seen.insert(fresh.clone());
        set_name(item, fresh);
    }
}

fn fresh(name: &str, taken: &HashSet<String>, seen: &HashSet<String>) -> String {
    let mut n = 0;
    loop {
        let name = format!("{name}{n}");
        if !taken.contains(&name) && !seen.contains(&name) {
            return name;
        }
        n += 1;
    }
}

fn set_name(item: &mut SelectItem, name: String) {
    let alias = Ident::with_quote('`', name);
    let null = || Expr::value(sqlparser::ast::Value::Null);
    let expr = match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            std::mem::replace(expr, null())
        }
        _ => return,
    };
    *item = SelectItem::ExprWithAlias { expr, alias };
}

/// What DataFusion would call the expression, as far as two that it calls the same are the same
/// here: casts do not count.
fn base_name(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(ident) => ident.value.clone(),
        Expr::CompoundIdentifier(idents) => {
            idents.last().map_or(String::new(), |i| i.value.clone())
        }
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => base_name(inner),
        other => other.to_string().to_lowercase(),
    }
}
