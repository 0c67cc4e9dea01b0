//! Rows as JSON objects, for the connectors that write whole rows: log, file, print, Kafka.

use arrow::array::Array;
use tidewheel_core::text::{write_json, write_json_string, write_value};
use tidewheel_core::{ChangeBatch, Op, TableSpec};

/// Appends row `row` as one JSON object: the batch's columns in the order of the batch, and for a
/// table with a PRIMARY KEY a last field `op`, `upsert` or `delete`. Of a deleted row only the
/// key's columns mean something, so only they are written.
pub(crate) fn write_row(out: &mut String, table: &TableSpec, batch: &ChangeBatch, row: usize) {
    let deleted = !table.is_append_only() && batch.ops.get(row) == Some(&Op::Delete);
    let mut separator = '{';
    for (column, index) in batch.rows.columns().iter().zip(&batch.columns) {
        if deleted && !table.primary_key.contains(index) {
            continue;
        }
        let Some(field) = table.schema.fields().get(*index) else {
            continue;
        };
        out.push(separator);
        separator = ',';
        write_json_string(out, field.name());
        out.push(':');
        write_json(out, column.as_ref(), row);
    }
    if !table.is_append_only() {
        out.push(separator);
        separator = ',';
        out.push_str(if deleted {
            "\"op\":\"delete\""
        } else {
            "\"op\":\"upsert\""
        });
    }
    if separator == '{' {
        out.push('{');
    }
    out.push('}');
}

/// Appends the text of the row's key and returns true; false for an append-only table. One column
/// stands as it is, several as a JSON array.
pub(crate) fn write_key(
    out: &mut String,
    table: &TableSpec,
    batch: &ChangeBatch,
    row: usize,
) -> bool {
    let mut columns = table.primary_key.iter().filter_map(|index| {
        let at = batch.columns.iter().position(|column| column == index)?;
        batch.rows.columns().get(at)
    });
    let Some(first) = columns.next() else {
        return false;
    };
    if table.primary_key.len() == 1 {
        write_value(out, first.as_ref(), row);
        return true;
    }
    out.push('[');
    write_json(out, first.as_ref(), row);
    for column in columns {
        out.push(',');
        write_json(out, column.as_ref() as &dyn Array, row);
    }
    out.push(']');
    true
}
