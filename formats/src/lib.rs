//! Formats: how the bytes of a record become columns, and how rows become lines.
//!
//! - [`JsonFormat`] is the format `json`: it reads the wanted paths out of JSON objects.
//! - [`SnowplowTsvFormat`] is the format `snowplow-tsv`: Snowplow's enriched events.
//! - [`JsonLineWriter`] writes rows as JSON lines for sinks.
//!
//! It is not: a general JSON library. There is no tree, and what no column asks for is passed
//! over, not parsed.
//!
//! ```
//! use arrow::datatypes::DataType;
//! use tidewheel_core::{DecodeRequest, Format, Framing, RawChunk, ReadColumn, RecordMeta};
//! use tidewheel_formats::JsonFormat;
//!
//! let column = ReadColumn {
//!     path: vec!["cart".into(), "total".into()],
//!     data_type: DataType::Float64,
//! };
//! let request = DecodeRequest { columns: vec![column], ..DecodeRequest::default() };
//! let mut decoder = JsonFormat.decoder(&request).unwrap();
//! let decoded = decoder.decode(&RawChunk {
//!     partition: 0,
//!     next_offset: 0,
//!     data: b"{\"cart\":{\"total\":12.5}}\n{\"cart\":{".to_vec(),
//!     framing: Framing::Lines { first_offset: 0 },
//!     meta: RecordMeta::default(),
//! });
//! assert_eq!((decoded.batch.num_rows(), decoded.bad.len()), (1, 1));
//! ```

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a test may fail by a panic")
)]

mod json;
mod json_writer;
mod rows;
mod snowplow;

pub use json::{JsonFormat, NESTING_MAX, RECORD_BYTES_MAX};
pub use json_writer::JsonLineWriter;
pub use snowplow::SnowplowTsvFormat;

use std::sync::Arc;
use tidewheel_core::Registry;

/// Adds every format of this crate to a registry.
pub fn register(registry: &mut Registry) {
    registry.add_format(Arc::new(JsonFormat));
    registry.add_format(Arc::new(SnowplowTsvFormat));
}
