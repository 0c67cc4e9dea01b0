//! The logical plan, upwards, to [`super::ir`].

use super::ir::{Collector, Node, Op, TIME_TYPE, WindowNames, cast, col, field};
use super::{access, aggregate, over, topn};
use crate::logical::differences::OTHER_TEXT;
use crate::logical::table::StreamTable;
use crate::logical::window_node::{WINDOW_COLUMN_TYPE, WindowNode};
use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError, ScalarValue};
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{BinaryExpr, Distinct, Expr, ExprSchemable, LogicalPlan, Operator};
use std::collections::BTreeMap;
use tidewheel_kernel::spec::{WINDOW_TIME_GAP, WindowKind, WindowSpec};

/// A plan that cannot run.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub advice: Option<String>,
    /// Words to look for in the query's text, the best first.
    pub near: Vec<String>,
    /// The view in whose text they are; else it is the query's own.
    pub view: Option<String>,
}

impl Refusal {
    /// A refusal with advice, placed at the first of these words.
    pub(crate) fn new(message: impl Into<String>, advice: &str, near: &[&str]) -> Self {
        Self {
            message: message.into(),
            advice: Some(advice.to_owned()),
            near: near.iter().map(|w| (*w).to_owned()).collect(),
            view: None,
        }
    }

    /// The same, found in a view: in the innermost one.
    fn within(mut self, view: &str) -> Self {
        self.view.get_or_insert_with(|| view.to_owned());
        self
    }
}

impl From<DataFusionError> for Refusal {
    fn from(error: DataFusionError) -> Self {
        let plain = crate::logical::errors::plain(&error, None);
        Self {
            message: plain.message,
            advice: plain.advice,
            near: Vec::new(),
            view: None,
        }
    }
}

/// What a bind step gives.
pub(crate) type Bind<T> = Result<T, Refusal>;

/// A window function whose GROUP BY has not come yet.
#[derive(Debug, Clone)]
pub(crate) struct OpenWindow {
    /// The windows.
    pub window: WindowSpec,
    /// The function's name.
    pub function: &'static str,
    /// The time to cut by, over the node's columns.
    pub time: Expr,
    /// PARTITION BY of a SESSION.
    pub partition_by: Vec<Expr>,
    /// Conditions over the sessions' rows, over the node's columns: sessions are made of all
    /// rows, and only then those go that a WHERE leaves out.
    pub filters: Vec<Expr>,
}

/// A ROW_NUMBER whose filter has not come yet.
#[derive(Debug, Clone)]
pub(crate) struct OpenRank {
    /// PARTITION BY.
    pub partition_by: Vec<Expr>,
    /// ORDER BY: expression, descending, NULLs first.
    pub order: Vec<(Expr, bool, bool)>,
}

/// How a node's rows change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// Rows of a stream, only ever added.
    Stream,
    /// Rows with an OVER value: added, and taken back for rows that come later but belong earlier.
    Over,
    /// Rows of groups, by key.
    Keyed,
}

/// A plan that was bound so far.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    /// What runs.
    pub node: Node,
    /// For each field of the logical plan's schema, its expression over the node's columns.
    pub out: Vec<Expr>,
    /// The time attribute over the node's columns.
    pub time: Option<Expr>,
    /// The window that the node's rows belong to.
    pub window: Option<WindowNames>,
    /// A window function without its GROUP BY.
    pub open_window: Option<OpenWindow>,
    /// A ROW_NUMBER without its filter.
    pub open_rank: Option<OpenRank>,
    /// How the rows change.
    pub rows: Rows,
    /// Sets of expressions, each of which is a unique key of the rows (within a window).
    pub unique_keys: Vec<Vec<Expr>>,
    /// The words that made the outermost grouping, for messages.
    pub kind: &'static str,
    /// Longest list of an aggregate without a cap of its own.
    pub list_cap: usize,
}

/// Stand in `out` for the columns of an open window.
pub(crate) const MARKERS: [&str; 3] = ["\u{0}start", "\u{0}end", "\u{0}time"];
/// Stands in `out` for an open rank.
pub(crate) const RANK_MARKER: &str = "\u{0}rank";

/// Binds the plans of one folder.
pub(crate) struct Binder<'a> {
    /// For each source table, its time attribute over the scan's columns.
    pub times: &'a BTreeMap<String, Expr>,
    /// Longest list of an aggregate without a cap of its own.
    pub list_cap: usize,
}

impl Binder<'_> {
    /// Binds a plan.
    pub(crate) fn bind(&self, plan: &LogicalPlan) -> Bind<Bound> {
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::SubqueryAlias(alias) => {
                let bound = self.bind(&alias.input);
                match alias.alias.table().strip_prefix(OTHER_TEXT) {
                    Some(view) => bound.map_err(|refusal| refusal.within(view)),
                    None => bound,
                }
            }
            LogicalPlan::Projection(projection) => {
                let mut bound = self.bind(&projection.input)?;
                let schema = projection.input.schema();
                bound.out = substitute_all(&projection.expr, schema, &bound.out)?;
                Ok(bound)
            }
            LogicalPlan::Filter(filter) => {
                let bound = self.bind(&filter.input)?;
                let predicate = substitute(&filter.predicate, filter.input.schema(), &bound.out)?;
                filter_rows(bound, &predicate)
            }
            LogicalPlan::Aggregate(node) => {
                let bound = self.bind(&node.input)?;
                aggregate::bind(bound, node)
            }
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let bound = self.bind(input)?;
                aggregate::bind_distinct(bound)
            }
            LogicalPlan::Window(window) => {
                let bound = self.bind(&window.input)?;
                over::bind(bound, window)
            }
            LogicalPlan::Extension(extension) => {
                match extension.node.as_any().downcast_ref::<WindowNode>() {
                    Some(node) => self.window_function(node),
                    None => Err(unserved(plan)),
                }
            }
            LogicalPlan::Subquery(subquery) => self.bind(&subquery.subquery),
            other => Err(unserved(other)),
        }
    }

    fn scan(&self, scan: &datafusion::logical_expr::TableScan) -> Bind<Bound> {
        let source: &dyn std::any::Any = scan.source.as_ref();
        let Some(table) = source.downcast_ref::<StreamTable>() else {
            return Err(Refusal::new(
                format!("'{}' is no table of this folder", scan.table_name),
                "declare it with CREATE TABLE",
                &[scan.table_name.table()],
            ));
        };
        let fields = table.stored.fields().iter().cloned().collect();
        let out = scan
            .projected_schema
            .fields()
            .iter()
            .map(|f| col(f.name()))
            .collect();
        Ok(Bound {
            node: Node {
                fields,
                op: Op::Scan {
                    table: table.name.clone(),
                },
            },
            out,
            time: self.times.get(&table.name).cloned(),
            window: None,
            open_window: None,
            open_rank: None,
            rows: Rows::Stream,
            unique_keys: Vec::new(),
            kind: "SELECT",
            list_cap: self.list_cap,
        })
    }

    fn window_function(&self, node: &WindowNode) -> Bind<Bound> {
        let mut bound = self.bind(&node.input)?;
        let schema = node.input.schema();
        let time = substitute(&node.time, schema, &bound.out)?;
        closed(&bound, node.function)?;
        if matches!(node.window.kind, WindowKind::Session { .. }) && bound.rows != Rows::Stream {
            return Err(Refusal::new(
                format!(
                    "SESSION needs rows that stay, and those of {} change: they are made by {}",
                    node.input_name, bound.kind
                ),
                "make the sessions of the table's own rows, or use TUMBLE, HOP or CUMULATE here",
                &[node.function],
            ));
        }
        let name = match &node.time {
            Expr::Column(column) => column.name.clone(),
            other => other.to_string(),
        };
        match &bound.time {
            None => {
                return Err(Refusal::new(
                    format!("{} has no time to window by", node.input_name),
                    "declare WATERMARK FOR ts AS ts - INTERVAL '5' SECOND in its CREATE TABLE; \
                     of windowed rows, select window_time",
                    &[node.function],
                ));
            }
            Some(attribute) if *attribute != time => {
                let advice = if bound.window.is_some() {
                    "name the column that is window_time of the inner window"
                } else {
                    "name the column that the table's WATERMARK is declared for"
                };
                return Err(Refusal::new(
                    format!("'{name}' is not the time attribute of {}", node.input_name),
                    advice,
                    &["DESCRIPTOR"],
                ));
            }
            Some(_) => {}
        }
        let partition_by = substitute_all(&node.partition_by, schema, &bound.out)?;
        bound.open_window = Some(OpenWindow {
            window: node.window,
            function: node.function,
            time,
            partition_by,
            filters: Vec::new(),
        });
        bound.out.extend(MARKERS.iter().map(|marker| col(marker)));
        Ok(bound)
    }
}

/// Refuses a window function or a ROW_NUMBER whose second half is missing.
pub(crate) fn closed(bound: &Bound, what: &str) -> Bind<()> {
    if let Some(open) = &bound.open_window {
        return Err(Refusal::new(
            format!(
                "{} needs a GROUP BY with window_start and window_end",
                open.function
            ),
            "write GROUP BY key, window_start, window_end",
            &[open.function],
        ));
    }
    if bound.open_rank.is_some() {
        return Err(Refusal::new(
            format!("ROW_NUMBER here needs a filter right around it, before {what}"),
            "write SELECT … FROM (SELECT …, ROW_NUMBER() OVER (…) AS rownum FROM …) \
             WHERE rownum <= 10",
            &["ROW_NUMBER"],
        ));
    }
    Ok(())
}

fn unserved(plan: &LogicalPlan) -> Refusal {
    let what = plan.display().to_string();
    let name = what.split([':', ' ']).next().unwrap_or("this").to_owned();
    Refusal::new(
        format!("{name} is not served in a streaming query"),
        "leave it out",
        &["SELECT"],
    )
}

/// The expression over the node's columns, aliases taken off.
pub(crate) fn substitute(expr: &Expr, schema: &DFSchema, out: &[Expr]) -> Bind<Expr> {
    let bare = expr.clone().unalias_nested().data;
    let done = bare.transform_up(|part| match &part {
        Expr::Column(column) => {
            let index = schema.index_of_column(column)?;
            match out.get(index) {
                Some(found) => Ok(Transformed::yes(found.clone())),
                None => Err(DataFusionError::Internal(format!(
                    "column {column} is lost"
                ))),
            }
        }
        other => Ok(match access::out_of_struct(other) {
            Some(inner) => Transformed::yes(inner),
            None => Transformed::no(part),
        }),
    })?;
    Ok(done.data)
}

/// As [`substitute`], for each.
pub(crate) fn substitute_all(exprs: &[Expr], schema: &DFSchema, out: &[Expr]) -> Bind<Vec<Expr>> {
    exprs
        .iter()
        .map(|expr| substitute(expr, schema, out))
        .collect()
}

/// True where the expression reads one of these columns.
pub(crate) fn reads_any(expr: &Expr, names: &[&str]) -> bool {
    let mut found = false;
    // The closure never fails.
    let _ = expr.apply(|part| {
        if let Expr::Column(column) = part
            && names.contains(&column.name.as_str())
        {
            found = true;
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found
}

/// The columns that an expression reads.
pub(crate) fn columns_of(expr: &Expr) -> Vec<String> {
    let mut names = Vec::new();
    // The closure never fails.
    let _ = expr.apply(|part| {
        if let Expr::Column(column) = part {
            names.push(column.name.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    names
}

/// The window columns as expressions of the type that SQL sees: start, end, time.
pub(crate) fn window_exprs(names: &WindowNames) -> [Expr; 3] {
    let end_less = Expr::BinaryExpr(BinaryExpr::new(
        Box::new(col(&names.end)),
        Operator::Minus,
        Box::new(Expr::Literal(
            ScalarValue::new_interval_mdn(0, 0, WINDOW_TIME_GAP * 1_000),
            None,
        )),
    ));
    [
        cast(col(&names.start), &TIME_TYPE, &WINDOW_COLUMN_TYPE),
        cast(col(&names.end), &TIME_TYPE, &WINDOW_COLUMN_TYPE),
        cast(end_less, &TIME_TYPE, &WINDOW_COLUMN_TYPE),
    ]
}

/// Which of the window's columns an expression is: 0 start, 1 end, 2 time.
pub(crate) fn window_part(expr: &Expr, names: &WindowNames) -> Option<usize> {
    window_exprs(names).iter().position(|known| known == expr)
}

/// Adds a filter over the node.
pub(crate) fn with_filter(mut bound: Bound, predicate: Expr) -> Bound {
    let fields = bound.node.fields.clone();
    bound.node = Node {
        fields,
        op: Op::Filter {
            input: Box::new(bound.node),
            predicate,
        },
    };
    bound
}

fn filter_rows(mut bound: Bound, predicate: &Expr) -> Bind<Bound> {
    let parts: Vec<Expr> = split_conjunction(predicate).into_iter().cloned().collect();
    if bound.open_window.is_some() && reads_any(predicate, &MARKERS) {
        return Err(Refusal::new(
            "the window's columns are known only behind GROUP BY",
            "filter them in HAVING, or outside in a subquery",
            &["window_start", "window_end", "window_time"],
        ));
    }
    if let Some(open) = &mut bound.open_window
        && matches!(open.window.kind, WindowKind::Session { .. })
    {
        // What reads the partition alone leaves out whole sessions, and may go first.
        let (first, later): (Vec<Expr>, Vec<Expr>) = parts
            .into_iter()
            .partition(|part| reads_only(part, &open.partition_by));
        open.filters.extend(later);
        return Ok(match conjunction(first) {
            Some(first) => with_filter(bound, first),
            None => bound,
        });
    }
    if bound.open_rank.is_some() {
        let (rank, rest): (Vec<Expr>, Vec<Expr>) = parts
            .into_iter()
            .partition(|part| reads_any(part, &[RANK_MARKER]));
        let bound = topn::bind(bound, &rank)?;
        return Ok(match conjunction(rest) {
            Some(rest) => with_filter(bound, rest),
            None => bound,
        });
    }
    Ok(with_filter(bound, predicate.clone()))
}

/// True where an expression reads nothing but these expressions.
fn reads_only(expr: &Expr, known: &[Expr]) -> bool {
    let mut only = true;
    // The closure never fails.
    let _ = expr.apply(|part| {
        if known.contains(part) {
            return Ok(TreeNodeRecursion::Jump);
        }
        if matches!(part, Expr::Column(_)) {
            only = false;
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    only
}

/// A name for a column that holds an expression.
pub(crate) fn wanted_name(expr: &Expr, node: &Node) -> String {
    match access::access_of(expr, &node.fields) {
        Some(access) => access::name_of(&access),
        None => "expr".to_owned(),
    }
}

/// Adds an expression to the columns below an operator.
pub(crate) fn add(collector: &mut Collector, expr: Expr, node: &Node) -> String {
    let wanted = wanted_name(&expr, node);
    collector.add(expr, &wanted)
}

/// The type of an expression over a node.
pub(crate) fn type_over(expr: &Expr, node: &Node) -> Bind<DataType> {
    Ok(expr.get_type(&node.schema()?)?)
}

/// Carries what is read above through an operator that keeps its input's columns: each such
/// expression becomes a column of the projection below it.
pub(crate) fn carry(bound: &mut Bound, collector: &mut Collector) {
    let window = bound.window.clone();
    if let Some(names) = &window {
        // First, so that they keep their names.
        collector.add(col(&names.start), &names.start);
        collector.add(col(&names.end), &names.end);
    }
    let exprs = bound.out.iter_mut().chain(bound.time.as_mut());
    for expr in exprs.chain(bound.unique_keys.iter_mut().flatten()) {
        let is_window = window
            .as_ref()
            .is_some_and(|names| window_part(expr, names).is_some());
        if is_window || columns_of(expr).is_empty() || reads_any(expr, &[RANK_MARKER]) {
            continue;
        }
        let name = add(collector, expr.clone(), &bound.node);
        *expr = col(&name);
    }
}

/// The fields of an operator that adds columns to its input's.
pub(crate) fn with_columns(
    input: &Node,
    added: &[(String, DataType)],
) -> Vec<arrow::datatypes::FieldRef> {
    let new = added
        .iter()
        .map(|(name, data_type)| field(name, data_type.clone()));
    input.fields.iter().cloned().chain(new).collect()
}
