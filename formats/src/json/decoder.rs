//! From chunks of records to record batches.

use super::column::{Column, Rules};
use super::index::Index;
use super::paths::Paths;
use super::settings::Settings;
use super::value::{Fault, Kind, Slot, Wrong};
use super::walk::Walk;
use crate::rows::{Record, Rows, each_record};
use arrow::datatypes::{Field, Schema, SchemaRef};
use std::sync::Arc;
use tidewheel_core::{ConnectorError, DecodeRequest, Decoded, Decoder, RawChunk};

/// Most bytes of a record unless `json.max-record-bytes` says otherwise; a longer one is bad.
pub const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;

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

    fn record(&mut self, record: Record<'_>, rows: &mut Rows) {
        rows.record_count += 1;
        let max = self.settings.record_bytes_max;
        let bytes = record.bytes;
        let result = match record.fault() {
            Some(reason) => Err(reason),
            None if bytes.len() > max => Err(format!(
                "record of {} bytes, over the {max} of json.max-record-bytes",
                bytes.len()
            )),
            None => self.read(bytes, rows.offsets.len()),
        };
        match result {
            Ok(()) => {
                rows.offsets.push(record.offset);
                rows.records.push(record.number);
            }
            Err(reason) => rows.reject(bytes, record.offset, reason),
        }
    }
}

impl Decoder for JsonDecoder {
    fn decode(&mut self, chunk: &RawChunk) -> Decoded {
        let mut rows = Rows::default();
        each_record(chunk, content, |record| self.record(record, &mut rows));
        let columns = self.readers.iter_mut().map(|r| r.column.finish());
        // All are finished, so that none keeps rows where one fails.
        let columns: Vec<_> = columns.collect();
        rows.finish(&self.schema, columns.into_iter().collect())
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
