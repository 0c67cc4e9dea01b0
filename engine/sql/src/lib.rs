//! From SQL text to a streaming plan.
//!
//! [`compile()`] takes the files of a folder and gives a [`plan::Program`], or everything that is
//! wrong with them. The dialect is Flink SQL with its window table-valued functions.
//!
//! On the way: the lexer and the parser (statements, types, window functions; SELECTs are
//! sqlparser's), the catalogue (tables, views, options), DataFusion's logical plan with window
//! nodes, and the lowering to [`plan`].
//!
//! It is not: an engine. Nothing here reads a row, a file or a clock.

mod catalog;
mod compile;
mod explain;
mod fingerprint;
pub mod functions;
mod lexer;
mod logical;
mod lower;
mod parser;
pub mod plan;
mod preview;
mod settings;
mod suggest;
mod tables;

pub use compile::{ALL_SINKS, ALL_SOURCES, CompileContext, compile};
pub use explain::{
    Explained, ExplainedColumn, ExplainedOperator, ExplainedQuery, ExplainedSource, KeyGroup,
    SharedSlices, explain, explain_json, explained,
};
pub use preview::{PREVIEW, compile_select};
pub use tables::{ColumnInfo, TableInfo, TableKind, catalog_tables};
