//! The contract between the engine and its formats.

use crate::TableSpec;
use crate::{ConnectorError, Options, RawChunk};
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, SchemaRef};

/// One value to read from every record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadColumn {
    /// Where the value stands: names from the record's root inwards, exact case.
    pub path: Vec<String>,
    /// The type to read it as.
    pub data_type: DataType,
}

/// What a decoder is asked for.
#[derive(Debug, Clone, Default)]
pub struct DecodeRequest {
    /// The columns to read; [`Decoded::batch`] has them in this order. All are nullable.
    pub columns: Vec<ReadColumn>,
    /// The table's options, for the format's own (`json.…`).
    pub options: Options,
    /// The names of all columns that the table has, read or not.
    pub declared: Vec<String>,
}

/// A record that is not a row: reported, never read further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// Its offset in the partition.
    pub offset: u64,
    /// What is wrong, in a few words, without the record's text.
    pub reason: String,
    /// The record's bytes, cut at [`BAD_ROW_BYTES_MAX`].
    pub bytes: Vec<u8>,
}

/// Most bytes of a bad record that are kept for the dead-letter table.
pub const BAD_ROW_BYTES_MAX: usize = 64 * 1024;

/// A decoded chunk.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// The good rows, in the order of the chunk; one column for each requested one.
    pub batch: RecordBatch,
    /// The offset of each good row.
    pub offsets: Vec<u64>,
    /// The index of each good row among the chunk's records (for its metadata).
    pub records: Vec<u32>,
    /// The place of each good row within its record, from 0, where one record may hold several
    /// rows; else empty.
    pub positions: Vec<u32>,
    /// The bad rows, in the order of the chunk.
    pub bad: Vec<BadRow>,
    /// How many records the chunk held, blank lines not counted; of a record that holds several
    /// rows each counts.
    pub record_count: u64,
    /// How many values were passed over since their schema is none that the table knows.
    pub unknown_schemas: u64,
}

/// Turns bytes into columns. One decoder serves one thread.
///
/// # Contract
/// - Never panics, whatever the bytes; work and memory are linear in the chunk's size.
/// - The result depends on the chunk alone: decoders keep no state that shows.
pub trait Decoder: Send {
    /// Decodes a chunk.
    fn decode(&mut self, chunk: &RawChunk) -> Decoded;
    /// The schema of the batches: one nullable field for each requested column, named by its
    /// path joined with `.`.
    fn schema(&self) -> SchemaRef;
}

/// A format by name, such as `json`.
pub trait Format: Send + Sync {
    /// The value of the option `format` that selects it.
    fn name(&self) -> &'static str;
    /// The options it knows, without `format` itself.
    fn options(&self) -> &'static [&'static str];
    /// The columns that every table of this format has without declaring them, behind those it
    /// declares; a declared column of the same name takes its place.
    fn columns(&self) -> Vec<FieldRef> {
        Vec::new()
    }
    /// True when tables of this format can be written.
    fn writes(&self) -> bool {
        true
    }
    /// Checks a table that is read: the names and types of its columns.
    ///
    /// # Errors
    /// The first thing that is wrong.
    fn check(&self, _table: &TableSpec) -> Result<(), ConnectorError> {
        Ok(())
    }
    /// Makes a decoder.
    ///
    /// # Errors
    /// An option's value is wrong, or a column's type cannot be read from this format.
    fn decoder(&self, request: &DecodeRequest) -> Result<Box<dyn Decoder>, ConnectorError>;
}
