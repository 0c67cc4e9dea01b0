//! METADATA columns: what a record carries beside its value.

use super::worker::TableReading;
use crate::error::EngineError;
use arrow::array::{
    ArrayRef, BinaryArray, Int64Array, MapBuilder, RecordBatch, StringBuilder, StringViewArray,
    TimestampMillisecondArray, new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use std::sync::Arc;
use tidewheel_core::{Decoded, RawChunk};
use tidewheel_sql::plan::{MetadataColumn, MetadataKind};

impl TableReading {
    /// The decoded columns at their places, and those that records carry beside their values.
    pub(super) fn with_metadata(
        &self,
        decoded: &Decoded,
        chunk: &RawChunk,
    ) -> Result<RecordBatch, EngineError> {
        let rows = decoded.offsets.len();
        let all = self.schema.fields().len();
        if self.metadata.is_empty() && self.decoded.len() == all {
            return Ok(decoded.batch.clone());
        }
        let mut columns: Vec<Option<ArrayRef>> = vec![None; all];
        for (column, at) in decoded.batch.columns().iter().zip(&self.decoded) {
            columns[*at] = Some(Arc::clone(column));
        }
        for (at, column) in &self.metadata {
            let plain = self.metadata_column(column, decoded, chunk);
            let typed = cast(&plain, &column.data_type)
                .unwrap_or_else(|_| new_null_array(&column.data_type, plain.len()));
            columns[*at] = Some(typed);
        }
        let columns = columns
            .into_iter()
            .zip(self.schema.fields())
            .map(|(column, field)| {
                column.unwrap_or_else(|| new_null_array(field.data_type(), rows))
            })
            .collect();
        let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(SchemaRef::clone(&self.schema), columns, &options)
            .map_err(|error| EngineError::Expression(error.to_string()))
    }

    fn metadata_column(
        &self,
        column: &MetadataColumn,
        decoded: &Decoded,
        chunk: &RawChunk,
    ) -> ArrayRef {
        let rows = decoded.offsets.len();
        let records = decoded.records.iter().map(|record| *record as usize);
        match column.kind {
            MetadataKind::Partition => {
                Arc::new(Int64Array::from(vec![i64::from(chunk.partition); rows]))
            }
            MetadataKind::Offset => Arc::new(
                decoded
                    .offsets
                    .iter()
                    .map(|o| i64::try_from(*o).ok())
                    .collect::<Int64Array>(),
            ),
            MetadataKind::Timestamp => Arc::new(
                records
                    .map(|record| chunk.meta.timestamps.get(record).copied())
                    .collect::<TimestampMillisecondArray>(),
            ),
            MetadataKind::Key => Arc::new(
                records
                    .map(|record| chunk.meta.keys.get(record).and_then(|key| key.as_deref()))
                    .collect::<BinaryArray>(),
            ),
            MetadataKind::Topic => Arc::new(
                std::iter::repeat_n(Some(self.topic.as_str()), rows).collect::<StringViewArray>(),
            ),
            MetadataKind::Headers => {
                let mut maps = MapBuilder::new(
                    None,
                    StringBuilder::new(),
                    arrow::array::BinaryBuilder::new(),
                );
                for record in records {
                    for (name, value) in chunk.meta.headers.get(record).into_iter().flatten() {
                        maps.keys().append_value(name);
                        maps.values().append_value(value);
                    }
                    // Names and values are appended in pairs, so the lengths agree.
                    let _ = maps.append(true);
                }
                Arc::new(maps.finish())
            }
        }
    }
}
