//! Plans SELECTs against the catalogue.

use super::differences::OTHER_TEXT;
use super::errors::{self, Broken};
use super::table::{Inlined, StreamTable};
use super::window_node::WindowPlanner;
use super::{check, constants, differences, faults, flink, names};
use crate::catalog::{Catalog, Table};
use crate::functions::{GeoDatabase, aggregate_functions, scalar_functions_with};
use crate::lexer::Places;
use crate::parser::cursor::{Name, Spanned};
use crate::parser::ddl::ColumnKind;
use crate::parser::query::SelectText;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Column, DFSchema, DataFusionError, Result, TableReference};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner, RelationPlanner};
use datafusion::logical_expr::{
    AggregateUDF, Expr, HigherOrderUDF, LogicalPlan, LogicalPlanBuilder, ScalarUDF, TableSource,
    WindowUDF,
};
use datafusion::optimizer::Analyzer;
use datafusion::sql::planner::{NullOrdering, ParserOptions, PlannerContext, SqlToRel};
use sqlparser::ast::{self, Query, Statement};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tidewheel_core::diagnostic::Severity;
use tidewheel_core::{Diagnostic, Diagnostics, Span};

/// The functions and tables that a query may name.
pub(crate) struct Planner<'a> {
    catalog: &'a Catalog,
    config: ConfigOptions,
    scalars: HashMap<String, Arc<ScalarUDF>>,
    aggregates: HashMap<String, Arc<AggregateUDF>>,
    windows: HashMap<String, Arc<WindowUDF>>,
    higher_order: HashMap<String, Arc<HigherOrderUDF>>,
    expr_planners: Vec<Arc<dyn ExprPlanner>>,
    relation_planners: Vec<Arc<dyn RelationPlanner>>,
    window_planner: Arc<WindowPlanner>,
    /// Views and computed columns that were planned, `None` where they are wrong.
    relations: RefCell<BTreeMap<String, Option<Arc<dyn TableSource>>>>,
    /// Views being planned, to see circles.
    open_views: RefCell<Vec<String>>,
    /// What was found wrong in views and computed columns.
    errors: RefCell<Diagnostics>,
    /// What is worth knowing of what was planned.
    warnings: RefCell<Diagnostics>,
}

impl<'a> Planner<'a> {
    /// A planner over a catalogue.
    pub(crate) fn new(catalog: &'a Catalog, geo: Option<Arc<GeoDatabase>>) -> Self {
        let mut config = ConfigOptions::default();
        config.sql_parser.enable_ident_normalization = false;
        config.sql_parser.collect_spans = true;
        config.execution.time_zone = Some("+00:00".to_owned());
        config.execution.target_partitions = 1;
        let mut scalars = HashMap::new();
        for function in SessionStateDefaults::default_scalar_functions()
            .into_iter()
            .chain(scalar_functions_with(geo).into_iter().map(Arc::new))
        {
            for name in function.aliases() {
                scalars.insert(name.clone(), Arc::clone(&function));
            }
            scalars.insert(function.name().to_owned(), function);
        }
        let mut aggregates = HashMap::new();
        for function in SessionStateDefaults::default_aggregate_functions()
            .into_iter()
            .chain(aggregate_functions().into_iter().map(Arc::new))
        {
            for name in function.aliases() {
                aggregates.insert(name.clone(), Arc::clone(&function));
            }
            aggregates.insert(function.name().to_owned(), function);
        }
        // Scalars of DataFusion's that go by an aggregate's name, such as list_distinct.
        scalars.retain(|name, _| !aggregates.contains_key(name));
        let mut windows = HashMap::new();
        for function in SessionStateDefaults::default_window_functions() {
            for name in function.aliases() {
                windows.insert(name.clone(), Arc::clone(&function));
            }
            windows.insert(function.name().to_owned(), function);
        }
        let higher_order = SessionStateDefaults::default_higher_order_functions()
            .into_iter()
            .map(|function| (function.name().to_owned(), function))
            .collect();
        let window_planner = Arc::new(WindowPlanner::default());
        let relation_planner: Arc<dyn RelationPlanner> = Arc::clone(&window_planner) as _;
        Self {
            catalog,
            config,
            scalars,
            aggregates,
            windows,
            higher_order,
            expr_planners: SessionStateDefaults::default_expr_planners(),
            relation_planners: vec![relation_planner],
            window_planner,
            relations: RefCell::default(),
            open_views: RefCell::default(),
            errors: RefCell::default(),
            warnings: RefCell::default(),
        }
    }

    /// What was found wrong in views and computed columns so far.
    pub(crate) fn take_errors(&self) -> Diagnostics {
        std::mem::take(&mut self.errors.borrow_mut())
    }

    /// The warnings of what was planned so far.
    pub(crate) fn take_warnings(&self) -> Diagnostics {
        std::mem::take(&mut self.warnings.borrow_mut())
    }

    /// Keeps the warnings, and gives the errors back.
    fn errors_of(&self, found: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let (errors, warnings) = found
            .into_iter()
            .partition(|found| found.severity == Severity::Error);
        self.warnings.borrow_mut().0.extend::<Vec<_>>(warnings);
        errors
    }

    /// Plans a SELECT, types coerced. The names of an INSERT's columns mean nothing, so they may
    /// repeat.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub(crate) fn plan_select(
        &self,
        select: &SelectText,
        of_insert: bool,
    ) -> std::result::Result<LogicalPlan, Vec<Diagnostic>> {
        let refused = self.errors_of(check::query(self, select));
        self.window_planner.add(&select.windows);
        if refused.is_empty()
            && let Ok((plan, warnings)) = self.plan_query(&select.query, of_insert, &select.places)
        {
            self.warnings.borrow_mut().0.extend(warnings);
            return Ok(plan);
        }
        let retry = |query: &Query| {
            self.plan_query(query, of_insert, &select.places)
                .map(|_| ())
        };
        let relations: Vec<&str> = self.catalog.names().collect();
        Err(faults::all(select, refused, &retry, &relations))
    }

    fn plan_query(
        &self,
        query: &Query,
        of_insert: bool,
        places: &Places,
    ) -> Result<(LogicalPlan, Vec<Diagnostic>)> {
        let mut query = query.clone();
        flink::rewrite(&mut query);
        names::give(&mut query, of_insert);
        let planned = match self.plan_as_is(&query) {
            Err(error) if error.to_string().contains("unique expression names") => {
                names::give_beside_wildcards(&mut query);
                self.plan_as_is(&query)
            }
            other => other,
        };
        let plan = planned?;
        let warnings = differences::of_plan(&plan, places);
        let plan = self.analyze(plan)?;
        constants::check_plan(&plan)?;
        Ok((plan, warnings))
    }

    fn plan_as_is(&self, query: &Query) -> Result<LogicalPlan> {
        let statement = Statement::Query(Box::new(query.clone()));
        self.sql_to_rel().sql_statement_to_plan(statement)
    }

    /// Coerces types.
    pub(crate) fn analyze(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        Analyzer::new().execute_and_check(plan, &self.config, |_, _| {})
    }

    fn sql_to_rel(&self) -> SqlToRel<'_, Self> {
        let options = ParserOptions {
            parse_float_as_decimal: false,
            enable_ident_normalization: false,
            support_varchar_with_length: true,
            enable_options_value_normalization: false,
            collect_spans: true,
            map_string_types_to_utf8view: true,
            default_null_ordering: NullOrdering::NullsMax,
        };
        SqlToRel::new_with_options(self, options)
    }

    /// Plans expressions over a table's columns, types coerced, as a projection.
    ///
    /// # Errors
    /// Any of them is wrong.
    pub(crate) fn table_expressions(
        &self,
        table: &Table,
        exprs: &[(&str, &Spanned<ast::Expr>)],
    ) -> std::result::Result<LogicalPlan, Vec<Diagnostic>> {
        let name = &table.def.name.value;
        let unplaced =
            |error: DataFusionError| vec![errors::plain(&error, Some(table.def.name.span.clone()))];
        let source = self.relation(name).map_err(unplaced)?;
        let scan = LogicalPlanBuilder::scan(name.as_str(), source, None)
            .and_then(LogicalPlanBuilder::build)
            .map_err(unplaced)?;
        let schema = Arc::clone(scan.schema());
        let mut planned = Vec::new();
        let mut wrong = Vec::new();
        for (column, expr) in exprs {
            match self.expression(expr, &schema, &table.def.places) {
                Ok(expr) => planned.push(expr.alias(*column)),
                Err(errors) => wrong.extend(errors),
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let plan = LogicalPlanBuilder::from(scan)
            .project(planned)
            .and_then(LogicalPlanBuilder::build)
            .and_then(|plan| self.analyze(plan));
        plan.map_err(|error| {
            let span = exprs.first().map(|(_, e)| e.span.clone());
            vec![errors::plain(&error, span)]
        })
    }

    fn expression(
        &self,
        expr: &Spanned<ast::Expr>,
        schema: &DFSchema,
        places: &Places,
    ) -> std::result::Result<Expr, Vec<Diagnostic>> {
        let refused = self.errors_of(check::expression(self, &expr.value, places));
        if !refused.is_empty() {
            return Err(refused);
        }
        let mut value = expr.value.clone();
        flink::rewrite_expr(&mut value);
        self.sql_to_rel()
            .sql_to_expr(value, schema, &mut PlannerContext::new())
            .and_then(|expr| constants::check_expr(&expr).map(|_| expr))
            .map_err(|error| vec![errors::in_expression(&error, expr, schema)])
    }

    /// A table with its computed columns, or a view.
    fn relation(&self, name: &str) -> Result<Arc<dyn TableSource>> {
        if let Some(known) = self.relations.borrow().get(name) {
            return known
                .clone()
                .ok_or_else(|| DataFusionError::External(Box::new(Broken)));
        }
        if self.catalog.broken.contains(name) {
            return Err(DataFusionError::External(Box::new(Broken)));
        }
        let planned = if let Some(table) = self.catalog.tables.get(name) {
            self.plan_table(table)
        } else if let Some(view) = self.catalog.views.get(name) {
            if self.open_views.borrow().iter().any(|open| open == name) {
                let error = Diagnostic::error(
                    format!("view '{name}' reads itself"),
                    Some(view.name.span.clone()),
                );
                return Err(super::window_node::carried(error));
            }
            self.open_views.borrow_mut().push(name.to_owned());
            let planned = self.plan_view(name, &view.select, &view.columns);
            self.open_views.borrow_mut().pop();
            planned
        } else {
            return Err(DataFusionError::Plan(format!("table '{name}' not found")));
        };
        let source = match planned {
            Ok(source) => Some(source),
            Err(found) => {
                self.errors.borrow_mut().0.extend(found);
                None
            }
        };
        self.relations
            .borrow_mut()
            .insert(name.to_owned(), source.clone());
        source.ok_or_else(|| DataFusionError::External(Box::new(Broken)))
    }

    /// The columns of a table or view; `None` where it is wrong.
    pub(crate) fn columns(&self, name: &str) -> Option<SchemaRef> {
        self.relation(name).ok().map(|relation| relation.schema())
    }

    /// Plans a table or view for its errors alone.
    pub(crate) fn check_relation(&self, name: &str) {
        // Errors are collected in `errors`.
        let _ = self.relation(name);
    }

    fn plan_table(
        &self,
        table: &Table,
    ) -> std::result::Result<Arc<dyn TableSource>, Vec<Diagnostic>> {
        let stream: Arc<dyn TableSource> = Arc::new(StreamTable {
            name: table.spec.name.clone(),
            stored: Arc::clone(&table.stored),
        });
        let declared = &table.def.columns;
        if declared
            .iter()
            .all(|column| matches!(column.kind, ColumnKind::Physical(_)))
        {
            return Ok(stream);
        }
        let unplaced =
            |error: DataFusionError| vec![errors::plain(&error, Some(table.def.name.span.clone()))];
        let scan = LogicalPlanBuilder::scan(table.spec.name.as_str(), stream, None)
            .and_then(LogicalPlanBuilder::build)
            .map_err(unplaced)?;
        let mut exprs = Vec::new();
        let mut wrong = Vec::new();
        let stored = |name: &str| {
            let qualifier = TableReference::bare(table.spec.name.as_str());
            Expr::Column(Column::new(Some(qualifier), name))
        };
        for column in declared {
            let name = &column.name.value;
            match &column.kind {
                ColumnKind::Physical(_) | ColumnKind::Metadata { .. } => exprs.push(stored(name)),
                ColumnKind::Computed(expr) => {
                    match self.expression(expr, scan.schema(), &table.def.places) {
                        Ok(expr) => exprs.push(expr.alias(name)),
                        Err(errors) => wrong.extend(errors),
                    }
                }
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        // Columns that the format brings.
        let fields = table.spec.schema.fields().iter();
        let brought = fields.filter(|f| declared.iter().all(|c| c.name.value != *f.name()));
        exprs.extend(brought.map(|field| stored(field.name())));
        let plan = LogicalPlanBuilder::from(scan)
            .project(exprs)
            .and_then(LogicalPlanBuilder::build)
            .and_then(|plan| self.analyze(plan))
            .map_err(unplaced)?;
        inlined(&table.spec.name, plan, &table.def.name.span)
    }

    fn plan_view(
        &self,
        name: &str,
        select: &SelectText,
        columns: &[Name],
    ) -> std::result::Result<Arc<dyn TableSource>, Vec<Diagnostic>> {
        let plan = self.plan_select(select, false)?;
        if columns.is_empty() {
            return inlined(name, plan, &select.span);
        }
        let count = plan.schema().fields().len();
        if let Some(last) = columns.last()
            && columns.len() != count
        {
            return Err(vec![Diagnostic::error(
                format!(
                    "the view names {} columns, its query has {count}",
                    columns.len()
                ),
                Some(last.span.clone()),
            )]);
        }
        let exprs: Vec<Expr> = plan
            .schema()
            .iter()
            .zip(columns)
            .map(|(field, name)| Expr::Column(Column::from(field)).alias(&name.value))
            .collect();
        let plan = LogicalPlanBuilder::from(plan)
            .project(exprs)
            .and_then(LogicalPlanBuilder::build)
            .map_err(|error| vec![errors::plain(&error, Some(select.span.clone()))])?;
        inlined(name, plan, &select.span)
    }

    /// True for a function of this name, lower case.
    pub(crate) fn knows_function(&self, name: &str) -> bool {
        self.scalars.contains_key(name)
            || self.aggregates.contains_key(name)
            || self.windows.contains_key(name)
            || self.higher_order.contains_key(name)
            || flink::REWRITTEN.contains(&name)
    }

    /// All functions' names.
    pub(crate) fn function_names(&self) -> impl Iterator<Item = &str> {
        let aggregates = self.aggregates.keys().chain(self.windows.keys());
        self.scalars.keys().chain(aggregates).map(String::as_str)
    }
}

/// A relation of a plan, marked as one of another text.
fn inlined(
    name: &str,
    plan: LogicalPlan,
    span: &Span,
) -> std::result::Result<Arc<dyn TableSource>, Vec<Diagnostic>> {
    let plan = LogicalPlanBuilder::from(plan)
        .alias(format!("{OTHER_TEXT}{name}"))
        .and_then(LogicalPlanBuilder::build)
        .map_err(|error| vec![errors::plain(&error, Some(span.clone()))])?;
    Ok(Arc::new(Inlined { plan }))
}

impl ContextProvider for Planner<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        self.relation(name.table())
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.expr_planners
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        &self.relation_planners
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.scalars.get(name).cloned()
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.higher_order.get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.aggregates.get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.windows.get(name).cloned()
    }

    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.config
    }

    fn udf_names(&self) -> Vec<String> {
        self.scalars.keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.higher_order.keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.aggregates.keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.windows.keys().cloned().collect()
    }
}
