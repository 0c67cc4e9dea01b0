//! What decoders share: records of a chunk one by one, and the rows that come of them.

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use std::sync::Arc;
use tidewheel_core::decode::BAD_ROW_BYTES_MAX;
use tidewheel_core::{BadRow, Decoded, Framing, RawChunk};

/// Most bytes of a chunk: offsets into text columns are 32 bits wide. What is behind is bad.
pub(crate) const CHUNK_BYTES_MAX: usize = i32::MAX as usize;

/// A record of a chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    /// Its bytes, trimmed as the format wants.
    pub(crate) bytes: &'a [u8],
    /// Its offset in the partition.
    pub(crate) offset: u64,
    /// Its index among the chunk's records, blank lines not counted.
    pub(crate) number: u32,
    /// The byte of the chunk behind its last.
    end: usize,
    /// The broker says that it has no value at all.
    tombstone: bool,
}

impl Record<'_> {
    /// Why it cannot be a row, whatever the format.
    pub(crate) fn fault(&self) -> Option<String> {
        if self.end > CHUNK_BYTES_MAX {
            Some(format!(
                "beyond the first {CHUNK_BYTES_MAX} bytes of its chunk"
            ))
        } else if self.tombstone {
            Some("tombstone".to_owned())
        } else if self.bytes.is_empty() {
            Some("empty record".to_owned())
        } else {
            None
        }
    }
}

/// Calls `each` with every record of a chunk but blank lines. `trim` leaves out what is not part
/// of a record.
#[inline]
pub(crate) fn each_record<'a>(
    chunk: &'a RawChunk,
    trim: impl Fn(&'a [u8]) -> &'a [u8],
    mut each: impl FnMut(Record<'a>),
) {
    match &chunk.framing {
        Framing::Lines { first_offset } => {
            let data = chunk.data.as_slice();
            let (mut start, mut number) = (0, 0);
            while start < data.len() {
                let rest = data.get(start..).unwrap_or_default();
                let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                let line = trim(rest.get(..length).unwrap_or_default());
                if !line.is_empty() {
                    each(Record {
                        bytes: line,
                        offset: first_offset + start as u64,
                        number,
                        end: start + length,
                        tombstone: false,
                    });
                    number += 1;
                }
                start += length + 1;
            }
        }
        Framing::Records { ranges, offsets } => {
            for (number, ((start, end), offset)) in ranges.iter().zip(offsets).enumerate() {
                let bytes = chunk.data.get(*start as usize..*end as usize);
                let bytes = trim(bytes.unwrap_or_default());
                let tombstone = chunk.meta.tombstones.get(number) == Some(&true);
                each(Record {
                    bytes,
                    offset: *offset,
                    number: number as u32,
                    end: *end as usize,
                    tombstone: tombstone && bytes.is_empty(),
                });
            }
        }
    }
}

/// The rows of the chunk at hand.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) offsets: Vec<u64>,
    pub(crate) records: Vec<u32>,
    pub(crate) positions: Vec<u32>,
    pub(crate) bad: Vec<BadRow>,
    pub(crate) record_count: u64,
    pub(crate) unknown_schemas: u64,
}

impl Rows {
    /// Notes a bad record.
    #[cold]
    pub(crate) fn reject(&mut self, bytes: &[u8], offset: u64, reason: String) {
        let bytes = bytes.get(..BAD_ROW_BYTES_MAX).unwrap_or(bytes).to_vec();
        self.bad.push(BadRow {
            offset,
            reason,
            bytes,
        });
    }

    /// The decoded chunk. Where the columns do not fit together, which has not been seen, the rows
    /// are reported and not lost silently.
    pub(crate) fn finish(
        mut self,
        schema: &SchemaRef,
        columns: Result<Vec<ArrayRef>, ArrowError>,
    ) -> Decoded {
        let options = RecordBatchOptions::new().with_row_count(Some(self.offsets.len()));
        let batch = columns.and_then(|columns| {
            RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        });
        let batch = batch.unwrap_or_else(|error| {
            let reason = format!("the columns do not fit together: {error}");
            for offset in std::mem::take(&mut self.offsets) {
                self.reject(&[], offset, reason.clone());
            }
            self.bad.sort_by_key(|bad| bad.offset);
            self.records.clear();
            self.positions.clear();
            RecordBatch::new_empty(Arc::clone(schema))
        });
        Decoded {
            batch,
            offsets: self.offsets,
            records: self.records,
            positions: self.positions,
            bad: self.bad,
            record_count: self.record_count,
            unknown_schemas: self.unknown_schemas,
        }
    }
}
