//! From chunks of records to record batches.

use super::column::{Column, Rules};
use super::index::Index;
use super::paths::Paths;
use super::settings::Settings;
use super::value::{Fault, Kind, Slot, Wrong};
use super::walk::Walk;
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use std::sync::Arc;
use tidewheel_core::decode::BAD_ROW_BYTES_MAX;
use tidewheel_core::{BadRow, ConnectorError, DecodeRequest, Decoded, Decoder, Framing, RawChunk};

/// Most bytes of a record unless `json.max-record-bytes` says otherwise; a longer one is bad.
pub const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Most bytes of a chunk: offsets into text columns are 32 bits wide. What is behind is bad.
const CHUNK_BYTES_MAX: usize = i32::MAX as usize;

/// A requested column and where its value is noted.
struct Reader {
    slot: usize,
    column: Column,
}

/// Reads JSON records, one object each.
pub(crate) struct JsonDecoder {
    schema: SchemaRef,
    settings: Settings,
    paths: Paths,
    readers: Vec<Reader>,
    index: Index,
    slots: Vec<Slot>,
}

/// The rows of the chunk at hand.
#[derive(Default)]
struct Rows {
    offsets: Vec<u64>,
    records: Vec<u32>,
    bad: Vec<BadRow>,
    record_count: u64,
}

impl JsonDecoder {
    pub(crate) fn new(request: &DecodeRequest) -> Result<Self, ConnectorError> {
        let settings = Settings::new(&request.options)?;
        let columns = &request.columns;
        let (paths, slots) = Paths::new(columns.iter().map(|column| column.path.as_slice()));
        let mut readers = Vec::with_capacity(columns.len());
        let mut fields = Vec::with_capacity(columns.len());
        for (wanted, slot) in columns.iter().zip(slots) {
            let name = wanted.path.join(".");
            if wanted.path.is_empty() {
                return Err(ConnectorError::new(
                    "a column's path is empty; name a key to read",
                ));
            }
            let column = Column::new(&wanted.data_type).ok_or_else(|| {
                ConnectorError::new(format!(
                    "column '{name}': the format json cannot read {}; declare it as STRING and \
                     cast it in the query",
                    wanted.data_type
                ))
            })?;
            fields.push(Field::new(name, wanted.data_type.clone(), true));
            readers.push(Reader { slot, column });
        }
        let slots = vec![Slot::default(); paths.slot_count()];
        let schema = Arc::new(Schema::new(fields));
        Ok(Self {
            schema,
            settings,
            paths,
            readers,
            index: Index::default(),
            slots,
        })
    }

    /// Reads one record into the columns, or says what is wrong with it.
    fn read(&mut self, record: &[u8], row: usize) -> Result<(), String> {
        let walked = self.walk(record);
        if let Err(fault) = walked {
            return Err(fault.reason().to_owned());
        }
        let rules = Rules {
            fail_on_missing: self.settings.fail_on_missing,
        };
        let escapes = self.index.backslash;
        for at in 0..self.readers.len() {
            let reader = &mut self.readers[at];
            let slot = self.slots[reader.slot];
            if slot.kind == Kind::Absent && rules.fail_on_missing {
                return Err(self.undo(at, row, Wrong::Missing));
            }
            if let Err(wrong) = reader.column.push(slot.value(record, escapes), rules)
                && (self.settings.type_errors_are_bad || wrong != Wrong::Type)
            {
                return Err(self.undo(at, row, wrong));
            }
        }
        Ok(())
    }

    fn walk(&mut self, record: &[u8]) -> Result<(), Fault> {
        self.index.build(record);
        if self.index.non_ascii && simdutf8::basic::from_utf8(record).is_err() {
            return Err(Fault::Utf8);
        }
        self.slots.fill(Slot::default());
        let (index, paths, slots) = (&self.index, &self.paths, self.slots.as_mut_slice());
        Walk {
            bytes: record,
            index,
            paths,
            slots,
            depth: 0,
        }
        .record()
    }

    /// Takes back what the columns up to `at` got of a row, and gives the reason.
    #[cold]
    fn undo(&mut self, at: usize, row: usize, wrong: Wrong) -> String {
        for reader in self.readers.iter_mut().take(at + 1) {
            reader.column.truncate(row);
        }
        let field = self.schema.field(at);
        match wrong {
            Wrong::Json(fault) => format!("{} ('{}')", fault.reason(), field.name()),
            Wrong::Missing => format!("'{}' is missing", field.name()),
            Wrong::Type => format!("'{}' is not a {}", field.name(), field.data_type()),
        }
    }

    fn record(&mut self, record: &[u8], offset: u64, number: u32, rows: &mut Rows) {
        let max = self.settings.record_bytes_max;
        let result = if record.len() > max {
            Err(format!(
                "record of {} bytes, over the {max} of json.max-record-bytes",
                record.len()
            ))
        } else {
            self.read(record, rows.offsets.len())
        };
        match result {
            Ok(()) => {
                rows.offsets.push(offset);
                rows.records.push(number);
            }
            Err(reason) => rows.bad.push(bad_row(record, offset, reason)),
        }
    }

    fn lines(&mut self, data: &[u8], first_offset: u64, rows: &mut Rows) {
        let mut start = 0;
        while start < data.len() {
            let rest = data.get(start..).unwrap_or_default();
            let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let line = content(rest.get(..length).unwrap_or_default());
            if !line.is_empty() {
                let number = rows.record_count as u32;
                rows.record_count += 1;
                self.guarded(
                    line,
                    start + length,
                    first_offset + start as u64,
                    number,
                    rows,
                );
            }
            start += length + 1;
        }
    }

    fn records(
        &mut self,
        chunk: &RawChunk,
        ranges: &[(u32, u32)],
        offsets: &[u64],
        rows: &mut Rows,
    ) {
        for (number, ((start, end), offset)) in ranges.iter().zip(offsets).enumerate() {
            rows.record_count += 1;
            let record = chunk
                .data
                .get(*start as usize..*end as usize)
                .unwrap_or_default();
            let record = content(record);
            if record.is_empty() {
                let tombstone = chunk.meta.tombstones.get(number) == Some(&true);
                let reason = if tombstone {
                    "tombstone"
                } else {
                    "empty record"
                };
                rows.bad.push(bad_row(record, *offset, reason.to_owned()));
            } else {
                self.guarded(record, *end as usize, *offset, number as u32, rows);
            }
        }
    }

    /// As [`Self::record`], unless the record ends beyond what offsets can name.
    fn guarded(&mut self, record: &[u8], end: usize, offset: u64, number: u32, rows: &mut Rows) {
        if end <= CHUNK_BYTES_MAX {
            self.record(record, offset, number, rows);
        } else {
            let reason = format!("beyond the first {CHUNK_BYTES_MAX} bytes of its chunk");
            rows.bad.push(bad_row(record, offset, reason));
        }
    }

    fn finish(&mut self, rows: usize) -> Result<RecordBatch, ArrowError> {
        let columns: Result<Vec<_>, _> = self
            .readers
            .iter_mut()
            .map(|reader| reader.column.finish())
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema(), columns?, &options)
    }
}

impl Decoder for JsonDecoder {
    fn decode(&mut self, chunk: &RawChunk) -> Decoded {
        let mut rows = Rows::default();
        match &chunk.framing {
            Framing::Lines { first_offset } => self.lines(&chunk.data, *first_offset, &mut rows),
            Framing::Records { ranges, offsets } => {
                self.records(chunk, ranges, offsets, &mut rows);
            }
        }
        let batch = self.finish(rows.offsets.len()).unwrap_or_else(|error| {
            // Not seen to happen; if it does, the rows are reported and not lost silently.
            for reader in &mut self.readers {
                reader.column.truncate(0);
            }
            let reason = format!("the columns do not fit together: {error}");
            for offset in rows.offsets.drain(..) {
                rows.bad.push(bad_row(&[], offset, reason.clone()));
            }
            rows.bad.sort_by_key(|bad| bad.offset);
            rows.records.clear();
            RecordBatch::new_empty(self.schema())
        });
        let Rows {
            offsets,
            records,
            bad,
            record_count,
        } = rows;
        Decoded {
            batch,
            offsets,
            records,
            bad,
            record_count,
        }
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// A record without a byte order mark and the white space around it.
fn content(record: &[u8]) -> &[u8] {
    match record.first() {
        Some(b'{') if record.last() == Some(&b'}') => record,
        _ => record
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(record)
            .trim_ascii(),
    }
}

fn bad_row(record: &[u8], offset: u64, reason: String) -> BadRow {
    let bytes = record.get(..BAD_ROW_BYTES_MAX).unwrap_or(record).to_vec();
    BadRow {
        offset,
        reason,
        bytes,
    }
}
