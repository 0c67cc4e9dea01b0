//! A table as connectors see it.

use crate::Options;
use arrow::datatypes::SchemaRef;

/// A table's name, columns, key and options, as its CREATE TABLE gave them.
#[derive(Debug, Clone)]
pub struct TableSpec {
    /// The table's name.
    pub name: String,
    /// Its physical columns (computed and METADATA ones left out).
    pub schema: SchemaRef,
    /// Indices into `schema` of the PRIMARY KEY's columns; empty for an append-only table.
    pub primary_key: Vec<usize>,
    /// The options of its WITH clause, after environment and command line.
    pub options: Options,
}

impl TableSpec {
    /// True when the table has no PRIMARY KEY: rows are only ever added.
    #[must_use]
    pub fn is_append_only(&self) -> bool {
        self.primary_key.is_empty()
    }
}
