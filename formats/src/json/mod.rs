//! The format `json`: reads wanted paths out of records that are one JSON object each.
//!
//! # How
//! ```text
//! record ─▶ index: 64 bytes at a time, two bit masks: quotes, and brackets outside strings
//!            │
//!            ▼
//!          walk: only the objects on the way to a wanted path, key by key, against a tree of the
//!            │   wanted keys. A string is passed over by the next quote bit, a value that nobody
//!            │   wants by the next bracket bits, so an unread subtree costs its brackets.
//!            ▼
//!          slots: where each wanted value stands ─▶ columns, once the whole record is known good
//! ```
//! The walk asks the masks for the next bit instead of first writing out all positions: most
//! positions lie in values that nobody wants. Values go to slots first, so that a bad record leaves
//! nothing behind and of a key that comes twice the last value counts, as in serde_json.
//!
//! # What is a bad row
//! - A record that is no object, ends early, has text behind the object, a string that is not
//!   closed, brackets that do not match in kind, a control character (in a string, or outside
//!   unless it is white space), wrong UTF-8, more than [`NESTING_MAX`] open brackets, or more bytes
//!   than `json.max-record-bytes` ([`RECORD_BYTES_MAX`]).
//! - In the objects on the way to a wanted path: any error of JSON's grammar. In a wanted value:
//!   the same, escapes included.
//! - An empty record (`empty record`, or `tombstone` where the broker says so). Blank lines of a
//!   file are passed over.
//!
//! In a value that nobody reads, commas, colons, escapes and the spelling of numbers and words are
//! not looked at: such a record is a good row, since every value read from it is right.
//!
//! # Values
//! An absent key or parent, and `null`, are NULL. A string is read as a number, boolean or time
//! where the column is one; a number, boolean, object or array read as STRING keeps its JSON text.
//! `NaN` and `Infinity` in quotes are NULL. Times are RFC 3339 with or without zone, `T` or a
//! space between, or epoch milliseconds as a number; digits beyond the column's unit are cut.
//! Decimals round half away from zero. BYTES are base64. A value of another type is NULL, or makes
//! the row bad with `'json.type-errors' = 'bad-row'`.

pub(crate) mod column;
mod decoder;
pub(crate) mod index;
mod nested;
mod nested_column;
mod number;
pub(crate) mod paths;
mod settings;
mod text;
mod time;
pub(crate) mod value;
pub(crate) mod walk;

pub use decoder::RECORD_BYTES_MAX;
pub use walk::NESTING_MAX;

use tidewheel_core::{ConnectorError, DecodeRequest, Decoder, Format};

/// The format `json`.
#[derive(Debug, Clone, Copy, Default)]
pub struct JsonFormat;

impl Format for JsonFormat {
    fn name(&self) -> &'static str {
        "json"
    }

    fn options(&self) -> &'static [&'static str] {
        settings::OPTIONS
    }

    fn decoder(&self, request: &DecodeRequest) -> Result<Box<dyn Decoder>, ConnectorError> {
        Ok(Box::new(decoder::JsonDecoder::new(request)?))
    }
}
