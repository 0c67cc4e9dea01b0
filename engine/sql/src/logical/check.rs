//! What a query may not hold, found in its syntax, so that each refusal has its place.

use super::differences;
use super::planner::Planner;
use crate::functions::{JsonPath, Pattern, is_unit};
use crate::lexer::Places;
use crate::parser::query::SelectText;
use crate::suggest::nearest;
use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Query, Select,
    SetExpr, Spanned, TableFactor, Value, Visit, Visitor,
};
use std::ops::ControlFlow;
use tidewheel_core::Diagnostic;

/// Refusals in a query and its subqueries.
pub(crate) fn query(planner: &Planner<'_>, select: &SelectText) -> Vec<Diagnostic> {
    let mut check = Check {
        planner,
        places: &select.places,
        found: Vec::new(),
    };
    let _ = select.query.visit(&mut check);
    for window in &select.windows {
        if let TableFactor::Derived { subquery, .. } = &window.input {
            let _ = subquery.visit(&mut check);
        }
    }
    check.found
}

/// Refusals in an expression.
pub(crate) fn expression(planner: &Planner<'_>, expr: &Expr, places: &Places) -> Vec<Diagnostic> {
    let mut check = Check {
        planner,
        places,
        found: Vec::new(),
    };
    let _ = expr.visit(&mut check);
    check.found
}

struct Check<'a> {
    planner: &'a Planner<'a>,
    places: &'a Places,
    found: Vec<Diagnostic>,
}

/// A call's arguments that are expressions.
fn arguments(function: &Function) -> Vec<&Expr> {
    let FunctionArguments::List(list) = &function.args else {
        return Vec::new();
    };
    list.args
        .iter()
        .filter_map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        })
        .collect()
}

/// A text that is written out.
fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// Words that take no parentheses and read a clock.
const CLOCKS: &[&str] = &[
    "now",
    "current_timestamp",
    "current_date",
    "current_time",
    "localtime",
    "localtimestamp",
    "current_row_timestamp",
    "unix_timestamp",
    "today",
];

impl Check<'_> {
    fn refuse(&mut self, message: &str, at: &dyn Spanned, advice: &str) {
        let span = self.places.span(at.span());
        self.found
            .push(Diagnostic::error(message, span).with_advice(advice));
    }

    fn function(&mut self, function: &Function) {
        let Some(ident) = function.name.0.last().and_then(|p| p.as_ident()) else {
            return;
        };
        let name = ident.value.to_lowercase();
        let shown = ident.value.to_uppercase();
        let at = &function.name;
        let args = arguments(function);
        if name == "unix_timestamp" && !args.is_empty() {
            self.patterns(&name, &args);
        } else if CLOCKS.contains(&name.as_str()) {
            self.refuse(
                &format!("{shown} reads the clock, so a replay would give other results"),
                at,
                "use the row's event time, or window_end",
            );
        } else if name == "proctime" {
            self.refuse(
                "PROCTIME() is not served yet",
                at,
                "window by event time: declare WATERMARK FOR the rows' own timestamp",
            );
        } else if matches!(name.as_str(), "random" | "uuid" | "rand" | "rand_integer") {
            self.refuse(
                &format!("{shown} gives another value each time, so a replay would differ"),
                at,
                "derive the value from a column, for example MD5(id)",
            );
        } else if is_group_window(&name) {
            self.refuse(
                &format!("the group window {shown}(…) is not served yet"),
                at,
                "window in FROM: FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) \
                 … GROUP BY window_start, window_end",
            );
        } else if matches!(name.as_str(), "grouping" | "grouping_id" | "unnest") {
            self.refuse(&format!("{shown} is not served yet"), at, "leave it out");
        } else if matches!(
            name.as_str(),
            "lead" | "ntile" | "percent_rank" | "cume_dist" | "nth_value" | "rank" | "dense_rank"
        ) && function.over.is_some()
        {
            self.refuse(
                &format!("{shown} is not served as an OVER function"),
                at,
                "the OVER functions are LAG, FIRST_VALUE, LAST_VALUE, ROW_NUMBER and the \
                 aggregates over rows before",
            );
        } else if !self.planner.knows_function(&name) {
            let error = Diagnostic::error(
                format!("there is no function '{}'", ident.value),
                self.places.span(at.span()),
            );
            self.found
                .push(match nearest(&name, self.planner.function_names()) {
                    Some(near) => {
                        error.with_advice(format!("did you mean {}?", near.to_uppercase()))
                    }
                    None => error.with_advice("the functions are listed in the documentation"),
                });
        } else {
            self.patterns(&name, &args);
            if let Some((message, advice)) = differences::of_call(&name, &args) {
                self.warn(message, at, advice);
            }
        }
    }

    /// Constants that a function reads as a pattern, a path or a unit.
    fn patterns(&mut self, name: &str, args: &[&Expr]) {
        let wrong = match (name, args) {
            ("date_format" | "unix_timestamp", [_, pattern]) => {
                text(pattern).and_then(|text| Pattern::new(text).err())
            }
            ("json_value" | "json_exists", [_, path]) => {
                text(path).and_then(|text| JsonPath::new(text).err())
            }
            ("timestampdiff" | "timestampadd", [unit, _, _]) => {
                let unit = match unit {
                    Expr::Identifier(ident) => Some(ident.value.as_str()),
                    other => text(other),
                };
                let unknown = unit.filter(|unit| !is_unit(unit));
                unknown.map(|unit| format!("there is no unit '{unit}'"))
            }
            _ => None,
        };
        let Some(wrong) = wrong else { return };
        let (place, advice) = match name {
            "json_value" | "json_exists" => (1, "write a path such as '$.a.b[0]'"),
            "timestampdiff" | "timestampadd" => (
                0,
                "the units are SECOND, MINUTE, HOUR, DAY, WEEK, MONTH, QUARTER and YEAR",
            ),
            _ => (1, "write a pattern such as 'yyyy-MM-dd HH:mm:ss'"),
        };
        if let Some(at) = args.get(place) {
            self.refuse(&wrong, *at, advice);
        }
    }

    fn warn(&mut self, message: &str, at: &dyn Spanned, advice: &str) {
        let span = self.places.span(at.span());
        self.found
            .push(Diagnostic::warning(message, span).with_advice(advice));
    }

    fn select(&mut self, select: &Select) {
        for table in select.from.iter().skip(1) {
            self.refuse("joins are not served yet", table, JOIN_ADVICE);
        }
        if select.from.is_empty() {
            self.refuse(
                "a SELECT without FROM has no rows to follow",
                select,
                "read a table: SELECT … FROM t",
            );
        }
        for table in &select.from {
            for join in &table.joins {
                let unnest = matches!(join.relation, TableFactor::UNNEST { .. });
                let advice = if unnest { UNNEST_ADVICE } else { JOIN_ADVICE };
                let what = if unnest { "UNNEST is" } else { "joins are" };
                self.refuse(&format!("{what} not served yet"), &join.relation, advice);
            }
            self.relation(&table.relation);
        }
        if let GroupByExpr::Expressions(exprs, modifiers) = &select.group_by {
            if !modifiers.is_empty() {
                self.refuse(
                    "grouping modifiers are not served yet",
                    &select.group_by,
                    GROUPING_ADVICE,
                );
            }
            for expr in exprs {
                if matches!(
                    expr,
                    Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_)
                ) {
                    self.refuse(
                        "GROUPING SETS, ROLLUP and CUBE are not served yet",
                        expr,
                        GROUPING_ADVICE,
                    );
                }
            }
        } else {
            self.refuse(
                "GROUP BY ALL is not served",
                &select.group_by,
                "name the columns",
            );
        }
        if let Some(qualify) = &select.qualify {
            self.refuse(
                "QUALIFY is not served",
                qualify,
                "number the rows in a subquery and filter outside: WHERE rownum <= 10",
            );
        }
        if select.top.is_some() {
            self.refuse("TOP is not served", select, LIMIT_ADVICE);
        }
    }

    fn relation(&mut self, relation: &TableFactor) {
        match relation {
            TableFactor::Table {
                args: Some(_),
                name,
                ..
            } => {
                self.refuse(
                    &format!("there is no table function '{name}'"),
                    name,
                    "the window functions are TUMBLE, HOP, CUMULATE and SESSION: \
                     FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE))",
                );
            }
            TableFactor::Table {
                version: Some(_),
                name,
                ..
            } => {
                self.refuse("FOR SYSTEM_TIME AS OF is not served yet", name, JOIN_ADVICE);
            }
            TableFactor::Table { .. } | TableFactor::Derived { lateral: false, .. } => {}
            TableFactor::UNNEST { .. } => {
                self.refuse("UNNEST is not served yet", relation, UNNEST_ADVICE);
            }
            other => {
                self.refuse(
                    "this FROM clause is not served yet",
                    other,
                    "read a table, a view or a subquery",
                );
            }
        }
    }
}

const JOIN_ADVICE: &str =
    "aggregate each table in a query of its own; two tables may write one sink's columns";
const UNNEST_ADVICE: &str = "read one element with array[1], or aggregate before";
const GROUPING_ADVICE: &str = "write one query for each grouping";
const LIMIT_ADVICE: &str = "for the first rows of a window, number them in a subquery: \
     ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY x DESC) AS rownum, \
     and filter outside: WHERE rownum <= 10";

fn is_group_window(name: &str) -> bool {
    let (kind, part) = name.split_once('_').unwrap_or((name, ""));
    matches!(kind, "tumble" | "hop" | "cumulate" | "session")
        && matches!(part, "" | "start" | "end" | "rowtime" | "proctime")
}

impl Visitor for Check<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if let Some(order) = &query.order_by {
            self.refuse(
                "ORDER BY has no meaning for a result that never ends",
                order,
                LIMIT_ADVICE,
            );
        }
        let limit = "LIMIT has no meaning for a result that never ends";
        if let Some(clause) = &query.limit_clause {
            self.refuse(limit, clause, LIMIT_ADVICE);
        } else if query.fetch.is_some() {
            self.refuse(limit, query, LIMIT_ADVICE);
        }
        if let Some(with) = &query.with
            && with.recursive
        {
            self.refuse(
                "recursive queries are not served",
                with,
                "write the levels out",
            );
        }
        match query.body.as_ref() {
            SetExpr::SetOperation { op, right, .. } => {
                self.refuse(
                    &format!("{op} is not served yet"),
                    right.as_ref(),
                    "write one INSERT for each part, or read one table that holds both",
                );
            }
            SetExpr::Values(_) => {
                self.refuse("VALUES is not served", query.body.as_ref(), "read a table");
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        self.select(select);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) => self.function(function),
            Expr::Extract { field, .. } => {
                if let Some((message, advice)) = differences::of_extract(field) {
                    self.warn(message, expr, advice);
                }
            }
            Expr::Substring {
                expr: whole,
                substring_from: Some(from),
                ..
            } => {
                let args = [whole.as_ref(), from.as_ref()];
                if let Some((message, advice)) = differences::of_call("substr", &args) {
                    self.warn(message, from.as_ref(), advice);
                }
            }
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
                self.refuse(
                    "subqueries in expressions are not served",
                    expr,
                    "put the subquery into FROM, or into a view",
                );
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
