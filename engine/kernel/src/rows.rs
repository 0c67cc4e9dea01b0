//! Rows of columns as owned bytes, and back: what operators keep of rows that they must show
//! again. The bytes are arrow's row format, so equal bytes are equal rows, and bytes made with
//! an order compare as that order wants.

use crate::aggregate::StateError;
use crate::share::guarded;
use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::{SortOptions, take};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};

/// Saved rows are checked so many at a time, so that they need no second copy of all of them.
const CHECKED_AT_ONCE: usize = 4096;

/// Turns columns into rows of bytes and back.
#[derive(Debug)]
pub(crate) struct RowCodec {
    converter: RowConverter,
    columns: usize,
}

impl RowCodec {
    /// A codec for columns of these types.
    pub(crate) fn new<'a>(
        types: impl IntoIterator<Item = &'a DataType>,
    ) -> Result<Self, ArrowError> {
        Self::ordered(
            types
                .into_iter()
                .map(|data_type| (data_type, SortOptions::default())),
        )
    }

    /// A codec whose bytes compare in the order of these options.
    pub(crate) fn ordered<'a>(
        columns: impl IntoIterator<Item = (&'a DataType, SortOptions)>,
    ) -> Result<Self, ArrowError> {
        let fields: Vec<SortField> = columns
            .into_iter()
            .map(|(data_type, options)| SortField::new_with_options(data_type.clone(), options))
            .collect();
        Ok(Self {
            columns: fields.len(),
            converter: RowConverter::new(fields)?,
        })
    }

    /// The rows of columns, all of the same length.
    pub(crate) fn encode(&self, columns: &[ArrayRef]) -> Result<Encoded, ArrowError> {
        if self.columns == 0 && columns.is_empty() {
            return Ok(Encoded(None));
        }
        Ok(Encoded(Some(self.converter.convert_columns(columns)?)))
    }

    /// The columns of rows that [`RowCodec::encode`] of this codec made.
    pub(crate) fn decode<'a>(
        &self,
        rows: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Vec<ArrayRef>, ArrowError> {
        if self.columns == 0 {
            return Ok(Vec::new());
        }
        let parser = self.converter.parser();
        self.converter
            .convert_rows(rows.into_iter().map(|bytes| parser.parse(bytes)))
    }
}

impl RowCodec {
    /// The columns of rows that may be broken.
    pub(crate) fn decode_saved(&self, rows: &[&[u8]]) -> Result<Vec<ArrayRef>, StateError> {
        guarded(|| self.decode(rows.iter().copied()))
    }

    /// Checks that rows can be decoded.
    pub(crate) fn check_saved(&self, rows: &[&[u8]]) -> Result<(), StateError> {
        rows.chunks(CHECKED_AT_ONCE)
            .try_for_each(|rows| self.decode_saved(rows).map(drop))
    }
}

/// The rows of one batch.
#[derive(Debug)]
pub(crate) struct Encoded(Option<Rows>);

impl Encoded {
    /// The bytes of a row; of no columns they are none.
    pub(crate) fn row(&self, row: usize) -> &[u8] {
        self.0.as_ref().map_or(&[], |rows| rows.row(row).data())
    }
}

/// The given rows of columns; the columns themselves where that is all of their `len` rows.
pub(crate) fn select(
    columns: &[ArrayRef],
    rows: &[u32],
    len: usize,
) -> Result<Vec<ArrayRef>, ArrowError> {
    if rows.len() == len && rows.iter().enumerate().all(|(at, &row)| at == row as usize) {
        return Ok(columns.to_vec());
    }
    let rows = UInt32Array::from(rows.to_vec());
    columns
        .iter()
        .map(|column| take(column, &rows, None))
        .collect()
}
