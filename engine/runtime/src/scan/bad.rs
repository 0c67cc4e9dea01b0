//! Bad and late rows on their way to a table.

use arrow::array::{
    ArrayRef, BinaryArray, Int32Array, Int64Array, RecordBatch, StringArray, StringViewArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::{DataType, SchemaRef};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;
use tidewheel_core::{ChangeBatch, Op, TableSpec, change::NO_EXPIRY};

/// A row that goes to a dead-letter or late-rows table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SideRow {
    /// The source table's topic, path or name.
    pub topic: String,
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: u64,
    /// Why it is here.
    pub reason: String,
    /// The query that it was late for; empty for a bad row.
    pub query: String,
    /// Its event time, microseconds, where it has one.
    pub event_time: Option<i64>,
    /// Its bytes, where they are at hand.
    pub record: Option<Vec<u8>>,
}

/// The columns that a table for bad or late rows may have; others stay NULL.
pub const SIDE_COLUMNS: &[&str] = &[
    "topic",
    "partition",
    "offset",
    "reason",
    "query",
    "event_time",
    "record",
    // How `record` stands in a text column: `utf-8`, or `base64` for bytes that are not.
    "encoding",
];

/// Builds the rows for a table from the columns that it has by name.
#[must_use]
pub fn side_batch(table: &TableSpec, rows: &[SideRow]) -> Option<ChangeBatch> {
    let told = table.schema.index_of("encoding").is_ok();
    let columns: Vec<ArrayRef> = table
        .schema
        .fields()
        .iter()
        .map(|field| side_column(field.name(), field.data_type(), told, rows))
        .collect();
    let batch = RecordBatch::try_new(SchemaRef::clone(&table.schema), columns).ok()?;
    Some(ChangeBatch {
        columns: (0..batch.num_columns()).collect(),
        ops: vec![Op::Upsert; rows.len()],
        live_ms: vec![NO_EXPIRY; rows.len()],
        changed: vec![u64::MAX; rows.len()],
        urgent: true,
        rows: batch,
    })
}

/// `told`: the table says how a record's bytes stand, so that they can stand exactly.
fn side_column(name: &str, data_type: &DataType, told: bool, rows: &[SideRow]) -> ArrayRef {
    let text = |row: &SideRow| -> Option<String> {
        let utf8 = |bytes: &Vec<u8>| std::str::from_utf8(bytes).is_ok();
        match name {
            "topic" => Some(row.topic.clone()),
            "reason" => Some(row.reason.clone()),
            "query" => Some(row.query.clone()),
            "record" => row.record.as_ref().map(|bytes| {
                if told && !utf8(bytes) {
                    STANDARD.encode(bytes)
                } else {
                    String::from_utf8_lossy(bytes).into_owned()
                }
            }),
            "encoding" => row.record.as_ref().map(|bytes| {
                let name = if utf8(bytes) { "utf-8" } else { "base64" };
                name.to_owned()
            }),
            _ => None,
        }
    };
    let number = |row: &SideRow| match name {
        "partition" => Some(i64::from(row.partition)),
        "offset" => i64::try_from(row.offset).ok(),
        _ => None,
    };
    match data_type {
        DataType::Utf8View => Arc::new(rows.iter().map(text).collect::<StringViewArray>()),
        DataType::Utf8 => Arc::new(rows.iter().map(text).collect::<StringArray>()),
        DataType::Binary => Arc::new(
            rows.iter()
                .map(|row| row.record.as_deref().filter(|_| name == "record"))
                .collect::<BinaryArray>(),
        ),
        DataType::Int64 => Arc::new(rows.iter().map(number).collect::<Int64Array>()),
        DataType::Int32 => Arc::new(
            rows.iter()
                .map(|row| number(row).and_then(|n| i32::try_from(n).ok()))
                .collect::<Int32Array>(),
        ),
        DataType::Timestamp(..) => {
            let micros: TimestampMicrosecondArray = rows
                .iter()
                .map(|row| row.event_time.filter(|_| name == "event_time"))
                .collect();
            arrow::compute::cast(&micros, data_type)
                .unwrap_or_else(|_| new_null_array(data_type, rows.len()))
        }
        _ => new_null_array(data_type, rows.len()),
    }
}
