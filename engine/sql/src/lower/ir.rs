//! The streaming plan while its expressions are still logical. Columns go by name; the names of
//! a node's fields are unique.

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::{Cast, Expr, ExprSchemable};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tidewheel_kernel::over::Frame;
use tidewheel_kernel::spec::{AggregateKind, Emit, WindowSpec};

/// The type of times in the runtime.
pub(crate) const TIME_TYPE: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// A node and the columns that it gives.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// The columns.
    pub fields: Vec<FieldRef>,
    /// What it does.
    pub op: Op,
}

/// The columns of a window that a node's rows belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WindowNames {
    /// The column with its start.
    pub start: String,
    /// The column with its end.
    pub end: String,
}

/// An aggregate call; its columns are the input's.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// The output column.
    pub name: String,
    /// The function.
    pub kind: AggregateKind,
    /// Its arguments.
    pub args: Vec<String>,
    /// FILTER's Boolean column.
    pub filter: Option<String>,
    /// Its result's type.
    pub result: DataType,
}

/// A function with an OVER clause.
#[derive(Debug, Clone)]
pub(crate) struct OverIr {
    /// The output column.
    pub name: String,
    /// The function.
    pub function: OverKind,
    /// Its rows.
    pub frame: Frame,
}

/// A function with an OVER clause.
#[derive(Debug, Clone)]
pub(crate) enum OverKind {
    /// LAG.
    Lag {
        column: String,
        offset: usize,
        ignore_nulls: bool,
    },
    /// An aggregate; its output column is that of the [`OverIr`].
    Aggregate(Call),
    /// ROW_NUMBER.
    RowNumber,
}

/// A key of an order: column, descending, NULLs first.
pub(crate) type Order = (String, bool, bool);

/// What a node does.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    /// All rows of a source table.
    Scan { table: String },
    /// Rows for which the predicate is true.
    Filter { input: Box<Node>, predicate: Expr },
    /// Computed columns.
    Project { input: Box<Node>, exprs: Vec<Expr> },
    /// Windows.
    Window {
        input: Box<Node>,
        time: String,
        keys: Vec<String>,
        window: WindowSpec,
        names: WindowNames,
        emit: Emit,
        calls: Vec<Call>,
    },
    /// GROUP BY without a window function of its own. `window` are the input's columns, which
    /// are the output's as well.
    Group {
        input: Box<Node>,
        keys: Vec<String>,
        window: Option<WindowNames>,
        emit: Emit,
        calls: Vec<Call>,
    },
    /// The first rows of each partition.
    TopN {
        input: Box<Node>,
        identity: Vec<String>,
        partition: Vec<String>,
        order: Vec<Order>,
        limit: usize,
        rank: String,
        rank_used: bool,
        window: Option<WindowNames>,
        per_window: bool,
    },
    /// OVER.
    Over {
        input: Box<Node>,
        time: String,
        partition: Vec<String>,
        calls: Vec<OverIr>,
    },
    /// The newest row of each key.
    Latest { input: Box<Node>, keys: Vec<String> },
}

impl Node {
    /// The columns as DataFusion's expressions want them.
    pub(crate) fn schema(&self) -> Result<DFSchema> {
        df_schema(&self.fields)
    }

    /// A node that computes columns over this one.
    pub(crate) fn project(self, columns: Vec<(Expr, String)>) -> Result<Self> {
        let schema = self.schema()?;
        let mut fields = Vec::with_capacity(columns.len());
        let mut exprs = Vec::with_capacity(columns.len());
        for (expr, name) in columns {
            fields.push(field(&name, expr.get_type(&schema)?));
            exprs.push(expr);
        }
        Ok(Self {
            fields,
            op: Op::Project {
                input: Box::new(self),
                exprs,
            },
        })
    }

    /// The type of a column.
    pub(crate) fn type_of(&self, name: &str) -> DataType {
        let found = self.fields.iter().find(|f| f.name() == name);
        found.map_or(DataType::Null, |f| f.data_type().clone())
    }

    /// The one input of a node; `None` for a scan.
    pub(crate) fn input(&self) -> Option<&Self> {
        match &self.op {
            Op::Scan { .. } => None,
            Op::Filter { input, .. }
            | Op::Project { input, .. }
            | Op::Window { input, .. }
            | Op::Group { input, .. }
            | Op::TopN { input, .. }
            | Op::Over { input, .. }
            | Op::Latest { input, .. } => Some(input),
        }
    }
}

/// The columns as DataFusion's expressions want them.
pub(crate) fn df_schema(fields: &[FieldRef]) -> Result<DFSchema> {
    DFSchema::from_unqualified_fields(fields.to_vec().into(), HashMap::new())
}

/// A nullable field.
pub(crate) fn field(name: &str, data_type: DataType) -> FieldRef {
    Arc::new(Field::new(name, data_type, true))
}

/// A column of a node.
pub(crate) fn col(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

/// The expression as a type; unchanged where it is of it.
pub(crate) fn cast(expr: Expr, from: &DataType, to: &DataType) -> Expr {
    if from == to {
        return expr;
    }
    Expr::Cast(Cast::new(Box::new(expr), to.clone()))
}

/// Gives each column a name that no other has.
#[derive(Debug, Default)]
pub(crate) struct Names(HashSet<String>);

impl Names {
    /// `wanted`, or with a number behind it.
    pub(crate) fn unique(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        let mut n = 2;
        while !self.0.insert(name.clone()) {
            name = format!("{wanted}_{n}");
            n += 1;
        }
        name
    }
}

/// Columns for the node below an operator, equal expressions once.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    columns: Vec<(Expr, String)>,
    names: Names,
}

impl Collector {
    /// The name of the column that holds an expression.
    pub(crate) fn add(&mut self, expr: Expr, wanted: &str) -> String {
        if let Some((_, name)) = self.columns.iter().find(|(known, _)| *known == expr) {
            return name.clone();
        }
        let name = self.names.unique(wanted);
        self.columns.push((expr, name.clone()));
        name
    }

    /// The name of the column that holds an expression already.
    pub(crate) fn find(&self, expr: &Expr) -> Option<&str> {
        self.columns
            .iter()
            .find(|(known, _)| known == expr)
            .map(|(_, name)| name.as_str())
    }

    /// The columns.
    pub(crate) fn into_columns(self) -> Vec<(Expr, String)> {
        self.columns
    }

    /// A name that no column has.
    pub(crate) fn reserve(&mut self, wanted: &str) -> String {
        self.names.unique(wanted)
    }
}
