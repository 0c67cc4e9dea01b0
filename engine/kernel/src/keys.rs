//! Grouping keys as bytes.
//!
//! Equal bytes are equal keys. A single string column keeps its bytes as they are; everything
//! else takes arrow's row format. The hash is xxh3 with its default seed, which is specified and
//! the same on every machine and in every version: it decides the key group, and thereby the
//! shard, under which a key's state is saved and restored.

use crate::aggregate::StateError;
use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// Number of key groups: the most shards that one operator's state can be divided among.
pub const KEY_GROUPS: u32 = 4096;

/// NULL in a single string column: a byte that no UTF-8 text holds.
const NULL_STRING: &[u8] = &[0xFF];

/// The hash of a key's bytes.
#[must_use]
pub(crate) fn hash_of(key: &[u8]) -> u64 {
    xxh3_64(key)
}

/// The key group of a key's hash.
#[must_use]
pub fn key_group(hash: u64) -> u32 {
    // The high bits: hash tables take their bucket from the low ones.
    (hash >> (64 - KEY_GROUPS.trailing_zeros())) as u32
}

/// The shard, of `shards`, that holds a key's state. Shards hold ranges of key groups, so state
/// saved by group restores at another parallelism.
#[must_use]
pub fn shard_of(hash: u64, shards: u32) -> u32 {
    (u64::from(key_group(hash)) * u64::from(shards.max(1)) / u64::from(KEY_GROUPS)) as u32
}

/// The keys of a batch's rows.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    bytes: Vec<u8>,
    /// One more than there are rows.
    ends: Vec<u32>,
    hashes: Vec<u64>,
    nulls: Vec<bool>,
}

impl Keys {
    fn with_capacity(rows: usize, bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            ends: Vec::with_capacity(rows),
            hashes: Vec::with_capacity(rows),
            nulls: Vec::with_capacity(rows),
        }
    }

    fn push(&mut self, key: &[u8], null: bool) {
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len() as u32);
        self.hashes.push(hash_of(key));
        self.nulls.push(null);
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of a row's key.
    #[must_use]
    pub fn key(&self, row: usize) -> &[u8] {
        let start = if row == 0 {
            0
        } else {
            self.ends[row - 1] as usize
        };
        &self.bytes[start..self.ends[row] as usize]
    }

    /// The hash of a row's key.
    #[must_use]
    pub fn hash(&self, row: usize) -> u64 {
        self.hashes[row]
    }

    /// Whether a column of a row's key is NULL.
    #[must_use]
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls[row]
    }
}

/// Turns key columns into bytes and back.
#[derive(Debug)]
pub struct KeyEncoder {
    types: Vec<DataType>,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// No columns: one key of no bytes.
    Nothing,
    /// One string column: its bytes.
    Text,
    /// Anything else.
    Rows(RowConverter),
}

impl KeyEncoder {
    /// An encoder for key columns of these types.
    ///
    /// # Errors
    /// A type that cannot be compared, and so cannot be a key.
    pub fn new(types: &[DataType]) -> Result<Self, ArrowError> {
        let form = match types {
            [] => Form::Nothing,
            [DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View] => Form::Text,
            _ => Form::Rows(RowConverter::new(
                types
                    .iter()
                    .map(|data_type| SortField::new(data_type.clone()))
                    .collect(),
            )?),
        };
        Ok(Self {
            types: types.to_vec(),
            form,
        })
    }

    /// The key columns' types.
    #[must_use]
    pub fn types(&self) -> &[DataType] {
        &self.types
    }

    /// Whether keys are the bytes of one text.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self.form, Form::Text)
    }

    /// Whether the bytes are a text, or NULL.
    pub(crate) fn check_text(&self, key: &[u8]) -> Result<(), StateError> {
        if key == NULL_STRING || std::str::from_utf8(key).is_ok() {
            return Ok(());
        }
        Err(StateError("a key that is no text".into()))
    }

    /// The keys of the rows of a batch of `rows` rows.
    ///
    /// # Errors
    /// The columns are not of the encoder's types.
    pub fn encode(&self, columns: &[ArrayRef], rows: usize) -> Result<Keys, ArrowError> {
        if columns.len() != self.types.len()
            || columns
                .iter()
                .zip(&self.types)
                .any(|(column, t)| column.data_type() != t)
            || columns.iter().any(|column| column.len() != rows)
        {
            return Err(ArrowError::InvalidArgumentError(format!(
                "key columns are to be {rows} rows of {:?}",
                self.types
            )));
        }
        match &self.form {
            Form::Nothing => {
                let mut keys = Keys::with_capacity(rows, 0);
                for _ in 0..rows {
                    keys.push(&[], false);
                }
                Ok(keys)
            }
            Form::Text => {
                let column = &columns[0];
                Ok(match column.data_type() {
                    DataType::Utf8View => text_keys(column.as_string_view().iter(), rows),
                    DataType::LargeUtf8 => text_keys(column.as_string::<i64>().iter(), rows),
                    _ => text_keys(column.as_string::<i32>().iter(), rows),
                })
            }
            Form::Rows(converter) => {
                let encoded = converter.convert_columns(columns)?;
                let mut keys = Keys::with_capacity(rows, encoded.size());
                for (row, key) in encoded.iter().enumerate() {
                    let null = columns.iter().any(|column| column.is_null(row));
                    keys.push(key.data(), null);
                }
                Ok(keys)
            }
        }
    }

    /// The key columns of keys that this encoder (or one of the same types) made.
    ///
    /// # Errors
    /// The bytes are not keys of these types.
    pub fn decode<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Vec<ArrayRef>, ArrowError> {
        match &self.form {
            Form::Nothing => Ok(Vec::new()),
            Form::Text => {
                let texts = keys
                    .into_iter()
                    .map(|key| {
                        if key == NULL_STRING {
                            return Ok(None);
                        }
                        std::str::from_utf8(key)
                            .map(Some)
                            .map_err(|error| ArrowError::ParseError(format!("a key: {error}")))
                    })
                    .collect::<Result<Vec<Option<&str>>, ArrowError>>()?;
                let array: ArrayRef = match &self.types[0] {
                    DataType::Utf8View => Arc::new(StringViewArray::from_iter(texts)),
                    DataType::Utf8 => Arc::new(StringArray::from_iter(texts)),
                    other => cast(&StringArray::from_iter(texts), other)?,
                };
                Ok(vec![array])
            }
            Form::Rows(converter) => {
                let parser = converter.parser();
                converter.convert_rows(keys.into_iter().map(|key| parser.parse(key)))
            }
        }
    }
}

fn text_keys<'a>(texts: impl Iterator<Item = Option<&'a str>>, rows: usize) -> Keys {
    let mut keys = Keys::with_capacity(rows, rows * 16);
    for text in texts {
        keys.push(text.map_or(NULL_STRING, str::as_bytes), text.is_none());
    }
    keys
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use arrow::array::Int64Array;

    #[test]
    fn keys_come_back_as_they_went_in_and_null_is_not_the_empty_string() {
        let texts: ArrayRef = Arc::new(StringViewArray::from(vec![
            Some(""),
            None,
            Some("a"),
            Some("ÿ"),
        ]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(2), None, Some(1)]));
        for columns in [
            vec![texts.clone()],
            vec![numbers.clone()],
            vec![texts, numbers],
            vec![],
        ] {
            let types: Vec<DataType> = columns.iter().map(|c| c.data_type().clone()).collect();
            let encoder = KeyEncoder::new(&types).unwrap();
            let keys = encoder.encode(&columns, 4).unwrap();
            let back = encoder.decode((0..4).map(|row| keys.key(row))).unwrap();
            assert_eq!(back, columns);
            for row in 0..4 {
                assert_eq!(keys.is_null(row), columns.iter().any(|c| c.is_null(row)));
            }
            let same = keys.key(0) == keys.key(1);
            assert_eq!(same, columns.is_empty());
        }
    }

    #[test]
    fn shards_cover_all_groups_in_ranges() {
        for shards in [1, 2, 3, 7, 4096] {
            let mut last = 0;
            for group in 0..u64::from(KEY_GROUPS) {
                let shard = shard_of(group << 52, shards);
                assert!(shard == last || shard == last + 1);
                last = shard;
            }
            assert_eq!(last, shards - 1);
        }
    }
}
