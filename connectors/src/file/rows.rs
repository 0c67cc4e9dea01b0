//! Rows as JSON lines.

use tidewheel_core::text::{write_json, write_json_string};
use tidewheel_core::{ChangeBatch, ConnectorError, Op, TableSpec};

/// The member that says what happened to a keyed row.
const OP: &str = "op";

/// Writes the rows of one table.
pub(super) struct RowWriter {
    /// `"name":` of each column of the table's schema.
    names: Vec<String>,
    is_key: Vec<bool>,
    append_only: bool,
}

impl RowWriter {
    pub(super) fn new(table: &TableSpec) -> Self {
        let name = |field: &std::sync::Arc<arrow::datatypes::Field>| {
            let mut text = String::new();
            write_json_string(&mut text, field.name());
            text.push(':');
            text
        };
        let columns = table.schema.fields().len();
        Self {
            names: table.schema.fields().iter().map(name).collect(),
            is_key: (0..columns)
                .map(|index| table.primary_key.contains(&index))
                .collect(),
            append_only: table.is_append_only(),
        }
    }

    /// A keyed table must not have a column `op` of its own.
    ///
    /// # Errors
    /// It has.
    pub(super) fn check(table: &TableSpec) -> Result<(), ConnectorError> {
        if table.is_append_only() || table.schema.index_of(OP).is_err() {
            return Ok(());
        }
        Err(ConnectorError::new(format!(
            "the table '{}' has a column 'op', which the file's changelog adds itself; \
             give the column another name",
            table.name
        )))
    }

    /// Appends a row as one line.
    pub(super) fn append(&self, out: &mut String, batch: &ChangeBatch, row: usize) {
        let deleted = batch.ops.get(row) == Some(&Op::Delete);
        out.push('{');
        let start = out.len();
        for (at, index) in batch.columns.iter().enumerate() {
            let (Some(name), Some(is_key)) = (self.names.get(*index), self.is_key.get(*index))
            else {
                continue;
            };
            if out.len() > start {
                out.push(',');
            }
            out.push_str(name);
            if deleted && !is_key {
                out.push_str("null");
            } else {
                write_json(out, batch.rows.column(at).as_ref(), row);
            }
        }
        if !self.append_only {
            out.push_str(if deleted {
                ",\"op\":\"delete\""
            } else {
                ",\"op\":\"upsert\""
            });
        }
        out.push_str("}\n");
    }
}
