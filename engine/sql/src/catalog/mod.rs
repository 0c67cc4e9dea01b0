//! The tables and views of a folder.

pub(crate) mod options;

use crate::compile::CompileContext;
use crate::parser::cursor::Name;
use crate::parser::ddl::{ColumnKind, CreateTable};
use crate::parser::{CreateView, Statement};
use crate::plan::MetadataKind;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidewheel_core::{Diagnostic, Diagnostics, TableSpec};

/// A table of the catalogue.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    /// Its statement.
    pub def: CreateTable,
    /// As connectors see it.
    pub spec: TableSpec,
    /// METADATA columns: name, kind, type.
    pub metadata: Vec<(String, MetadataKind, DataType)>,
    /// Physical and METADATA columns, in that order: what expressions are planned over.
    pub stored: SchemaRef,
}

/// All tables and views, and the names whose statements are wrong.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    /// By name.
    pub tables: BTreeMap<String, Table>,
    /// By name.
    pub views: BTreeMap<String, CreateView>,
    /// Names that were declared, but wrongly: what uses them is not reported a second time.
    pub broken: BTreeSet<String>,
}

impl Catalog {
    /// Builds the catalogue of all files' statements.
    pub(crate) fn build(
        statements: &[Vec<Statement>],
        context: &CompileContext<'_>,
        errors: &mut Diagnostics,
    ) -> Self {
        let mut catalog = Self::default();
        let mut seen: BTreeMap<String, (Name, Vec<sqlparser::tokenizer::Token>)> = BTreeMap::new();
        for statement in statements.iter().flatten() {
            let (name, shape, what) = match statement {
                Statement::Table(table) => (&table.name, &table.shape, "table"),
                Statement::View(view) => (&view.name, &view.shape, "view"),
                _ => continue,
            };
            if let Some((first, first_shape)) = seen.get(&name.value) {
                if first_shape != shape {
                    errors.push(declared_twice(name, first, what));
                }
                continue;
            }
            seen.insert(name.value.clone(), (name.clone(), shape.clone()));
            match statement {
                Statement::Table(table) => catalog.add_table(table, context, errors),
                Statement::View(view) => {
                    catalog.views.insert(name.value.clone(), (**view).clone());
                }
                _ => {}
            }
        }
        catalog.check_sets(context, errors);
        catalog
    }

    /// The names of all tables and views.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tables
            .keys()
            .chain(self.views.keys())
            .map(String::as_str)
    }

    fn add_table(
        &mut self,
        def: &CreateTable,
        context: &CompileContext<'_>,
        errors: &mut Diagnostics,
    ) {
        let mut own = Diagnostics::default();
        let options = options::resolve(def, context, &mut own);
        let mut fields = Vec::new();
        let mut metadata = Vec::new();
        let mut names = BTreeSet::new();
        for column in &def.columns {
            let name = &column.name;
            if !names.insert(name.value.clone()) {
                own.push(Diagnostic::error(
                    format!(
                        "table '{}' has two columns '{}'",
                        def.name.value, name.value
                    ),
                    Some(name.span.clone()),
                ));
            }
            if name.value.contains('.') {
                own.push(Diagnostic::error(
                    "a column's name has no dot",
                    Some(name.span.clone()),
                ));
            }
            match &column.kind {
                ColumnKind::Physical(data_type) => {
                    fields.push(Field::new(&name.value, data_type.clone(), true));
                }
                ColumnKind::Metadata { data_type, key } => match metadata_kind(key, data_type) {
                    Ok(kind) => metadata.push((name.value.clone(), kind, data_type.clone())),
                    Err(error) => own.push(error),
                },
                ColumnKind::Computed(_) => {}
            }
        }
        // What the format brings stands behind what is declared.
        let of_format = options::format_of(&options, context);
        for field in of_format.iter().flat_map(|format| format.columns()) {
            if names.insert(field.name().clone()) {
                fields.push(field.as_ref().clone());
            }
        }
        let primary_key = primary_key(def, &fields, &mut own);
        if own.has_errors() {
            self.broken.insert(def.name.value.clone());
        }
        errors.0.append(&mut own.0);
        let schema = Arc::new(Schema::new(fields.clone()));
        fields.extend(
            metadata
                .iter()
                .map(|(name, _, t)| Field::new(name, t.clone(), true)),
        );
        let stored = Arc::new(Schema::new(fields));
        let spec = TableSpec {
            name: def.name.value.clone(),
            schema,
            primary_key,
            options,
        };
        let table = Table {
            def: def.clone(),
            spec,
            metadata,
            stored,
        };
        self.tables.insert(def.name.value.clone(), table);
    }

    fn check_sets(&self, context: &CompileContext<'_>, errors: &mut Diagnostics) {
        for (table, option, _) in &context.sets {
            if self.tables.contains_key(table) {
                continue;
            }
            let advice =
                match crate::suggest::nearest(table, self.tables.keys().map(String::as_str)) {
                    Some(near) => format!("did you mean --set {near}.{option}?"),
                    None => format!(
                        "the tables are {}",
                        crate::suggest::listed(self.tables.keys().map(String::as_str))
                    ),
                };
            errors.push(
                Diagnostic::error(format!("--set {table}.{option}: no table '{table}'"), None)
                    .with_advice(advice),
            );
        }
    }
}

fn declared_twice(name: &Name, first: &Name, what: &str) -> Diagnostic {
    let (line, _) = first.span.line_column();
    Diagnostic::error(
        format!(
            "'{}' is declared twice, first in {}:{line}, and not in the same words",
            name.value, first.span.source.name
        ),
        Some(name.span.clone()),
    )
    .with_advice(format!(
        "rename one, or make both CREATE statements of the {what} identical"
    ))
}

fn primary_key(def: &CreateTable, fields: &[Field], errors: &mut Diagnostics) -> Vec<usize> {
    let mut key = Vec::new();
    for name in &def.primary_key {
        match fields.iter().position(|f| *f.name() == name.value) {
            Some(index) => key.push(index),
            None => {
                let near =
                    crate::suggest::nearest(&name.value, fields.iter().map(|f| f.name().as_str()));
                let error = Diagnostic::error(
                    format!(
                        "PRIMARY KEY names '{}', which is no physical column",
                        name.value
                    ),
                    Some(name.span.clone()),
                );
                errors.push(match near {
                    Some(near) => error.with_advice(format!("did you mean '{near}'?")),
                    None => error.with_advice("name columns that the table declares with a type"),
                });
            }
        }
    }
    key
}

fn metadata_kind(key: &Name, data_type: &DataType) -> Result<MetadataKind, Diagnostic> {
    let text = matches!(data_type, DataType::Utf8View | DataType::Binary);
    let integer = matches!(data_type, DataType::Int64 | DataType::Int32);
    let (kind, fits, wanted) = match key.value.as_str() {
        "partition" => (MetadataKind::Partition, integer, "INT"),
        "offset" => (
            MetadataKind::Offset,
            *data_type == DataType::Int64,
            "BIGINT",
        ),
        "timestamp" => (
            MetadataKind::Timestamp,
            matches!(
                data_type,
                DataType::Timestamp(TimeUnit::Millisecond | TimeUnit::Microsecond, _)
            ),
            "TIMESTAMP(3)",
        ),
        "key" => (MetadataKind::Key, text, "STRING or BYTES"),
        "headers" => {
            let wanted = crate::parser::types::map_of(DataType::Utf8View, DataType::Binary);
            (
                MetadataKind::Headers,
                *data_type == wanted,
                "MAP<STRING, BYTES>",
            )
        }
        "topic" => (MetadataKind::Topic, text, "STRING"),
        other => {
            return Err(Diagnostic::error(
                format!("there is no metadata '{other}'"),
                Some(key.span.clone()),
            )
            .with_advice(
                "the keys are 'partition', 'offset', 'timestamp', 'key', 'headers', 'topic'",
            ));
        }
    };
    if fits {
        return Ok(kind);
    }
    Err(Diagnostic::error(
        format!("the metadata '{}' is not of this type", key.value),
        Some(key.span.clone()),
    )
    .with_advice(format!("declare the column as {wanted}")))
}
