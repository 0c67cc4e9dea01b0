//! What a catalogue holds, for those who list it.

use crate::catalog::{Catalog, Table};
use crate::compile::{CompileContext, geo_database, parse_all, with_sets_for_all};
use crate::logical::planner::Planner;
use crate::lower::sink::shown;
use crate::parser::Statement;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidewheel_core::{Diagnostics, Registry, SourceText};

/// What stands in place of a secret.
const MASK: &str = "***";

/// A table or view of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableInfo {
    /// Its name.
    pub name: String,
    /// The file of its CREATE statement.
    pub file: String,
    /// What it is.
    pub kind: TableKind,
    /// Its columns, computed ones included; empty where the statement is wrong.
    pub columns: Vec<ColumnInfo>,
    /// The columns of its PRIMARY KEY.
    pub primary_key: Vec<String>,
    /// Its options after environment and command line, secrets masked.
    pub options: BTreeMap<String, String>,
}

/// What a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TableKind {
    /// It is read, or nothing uses it.
    Source,
    /// A query, or bad or late rows, are written to it.
    Sink,
    /// A view.
    View,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ColumnInfo {
    /// Its name.
    pub name: String,
    /// Its type as SQL names it.
    #[serde(rename = "type")]
    pub data_type: String,
}

/// The tables and views of a folder, by name; what is wrong in it is left out.
#[must_use]
pub fn catalog_tables(files: &[Arc<SourceText>], context: &CompileContext<'_>) -> Vec<TableInfo> {
    let mut ignored = Diagnostics::default();
    let statements = parse_all(files, &mut ignored);
    let context = &with_sets_for_all(context, &statements);
    let catalog = Catalog::build(&statements, context, &mut ignored);
    let planner = Planner::new(&catalog, geo_database(context, &mut ignored));
    listed(&statements, &catalog, &planner, context.registry)
}

/// The tables and views of a catalogue.
pub(crate) fn listed(
    statements: &[Vec<Statement>],
    catalog: &Catalog,
    planner: &Planner<'_>,
    registry: &Registry,
) -> Vec<TableInfo> {
    let mut written: BTreeSet<&str> = BTreeSet::new();
    for statement in statements.iter().flatten() {
        if let Statement::Insert(insert) = statement {
            written.insert(&insert.table.value);
        }
    }
    for table in catalog.tables.values() {
        for option in ["bad-rows.table", "late-rows.table"] {
            written.extend(table.spec.options.get(option));
        }
    }
    let columns = |name: &str| -> Vec<ColumnInfo> {
        let schema = planner.columns(name);
        let fields = schema.iter().flat_map(|schema| schema.fields().iter());
        fields
            .map(|field| ColumnInfo {
                name: field.name().clone(),
                data_type: shown(field.data_type()),
            })
            .collect()
    };
    let tables = catalog.tables.iter().map(|(name, table)| TableInfo {
        name: name.clone(),
        file: table.def.name.span.source.name.clone(),
        kind: if written.contains(name.as_str()) {
            TableKind::Sink
        } else {
            TableKind::Source
        },
        columns: columns(name),
        primary_key: table
            .def
            .primary_key
            .iter()
            .map(|key| key.value.clone())
            .collect(),
        options: masked(table, registry),
    });
    let views = catalog.views.iter().map(|(name, view)| TableInfo {
        name: name.clone(),
        file: view.name.span.source.name.clone(),
        kind: TableKind::View,
        columns: columns(name),
        primary_key: Vec::new(),
        options: BTreeMap::new(),
    });
    let mut all: Vec<TableInfo> = tables.chain(views).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// A table's options: of a secret URL only what stands before the @ is masked, of other secrets
/// all of it.
fn masked(table: &Table, registry: &Registry) -> BTreeMap<String, String> {
    let options = &table.spec.options;
    let secret = registry
        .for_table(options)
        .map(|connector| connector.secret_options())
        .unwrap_or_default();
    let is_secret =
        |name: &str| secret.contains(&name) || name.contains("password") || name.contains("secret");
    options
        .iter()
        .map(|(name, value)| {
            let value = match (is_secret(name), value.split_once("://")) {
                (false, _) => value.to_owned(),
                (true, None) => MASK.to_owned(),
                (true, Some((scheme, rest))) => match rest.rsplit_once('@') {
                    Some((_, place)) => format!("{scheme}://{MASK}@{place}"),
                    None => value.to_owned(),
                },
            };
            (name.to_owned(), value)
        })
        .collect()
}
