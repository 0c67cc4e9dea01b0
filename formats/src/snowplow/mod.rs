//! The format `snowplow-tsv`: Snowplow's enriched events, as its pipeline writes them to its topic.
//!
//! A record is 131 fields with tabs between, see [`tidewheel_core::snowplow`]; or, packed by zstd or
//! gzip, several such events.
//!
//! # How
//! ```text
//! record ─▶ unpack, where its first bytes say so ─▶ events
//! event  ─▶ tabs: one bit mask for each 64 bytes; those around the fields that are read are
//!            │    looked up in it, the others are only counted
//!            ├─▶ fields that are read: text to values, as the format `json` reads strings
//!            └─▶ of the three JSON fields those that are read: the index and the walk of the
//!                 format `json`, to the schema and the data of the event or of each entity, in the
//!                 event's data to the paths that are read
//! ```
//!
//! # Columns
//! - The 131 by their names: `refr_device_tstamp` is accepted for `refr_dvce_tstamp`.
//! - `unstruct_event_<vendor>_<name>_<major>`, a ROW: the data of the self-describing event.
//! - `contexts_<vendor>_<name>_<major>`, an ARRAY: the data of each such entity, of
//!   `derived_contexts` where it has one, else of `contexts`.
//!
//! Names are those of Snowplow's SDKs (`schema.rs`). All columns of the first kind, and those of
//! well-known schemas (`known.rs`), are there without being declared.
//!
//! # What is a bad row
//! - An event that has not 131 fields, or more bytes than `snowplow-tsv.max-record-bytes`; an empty
//!   one.
//! - A packed record that does not unpack, has more than `snowplow-tsv.max-batch-bytes` inside, or
//!   whose inner lengths do not fit. Events before the fault are rows.
//! - A text that is read and is no UTF-8; a JSON field that is read and is no JSON.
//!
//! An empty field is NULL. A value of another type is NULL, or makes the event a bad row with
//! `'snowplow-tsv.type-errors' = 'bad-row'`. Fields that nobody reads are not looked at.

mod decoder;
mod entities;
mod known;
mod packed;
mod schema;
mod settings;
mod tabs;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use std::sync::Arc;
use tidewheel_core::snowplow::{ATOMIC, Kind};
use tidewheel_core::{ConnectorError, DecodeRequest, Decoder, Format, ReadColumn, TableSpec};

/// The format `snowplow-tsv`.
#[derive(Debug, Clone, Copy, Default)]
pub struct SnowplowTsvFormat;

impl Format for SnowplowTsvFormat {
    fn name(&self) -> &'static str {
        "snowplow-tsv"
    }

    fn options(&self) -> &'static [&'static str] {
        settings::OPTIONS
    }

    fn columns(&self) -> Vec<FieldRef> {
        let atomic = ATOMIC
            .iter()
            .map(|field| Arc::new(Field::new(field.name, data_type(field.kind), true)));
        atomic.chain(known::columns()).collect()
    }

    fn writes(&self) -> bool {
        false
    }

    fn check(&self, table: &TableSpec) -> Result<(), ConnectorError> {
        let fields = table.schema.fields().iter();
        let request = DecodeRequest {
            columns: fields
                .map(|field| ReadColumn {
                    path: vec![field.name().clone()],
                    data_type: field.data_type().clone(),
                })
                .collect(),
            options: table.options.clone(),
            ..DecodeRequest::default()
        };
        self.decoder(&request).map(drop)
    }

    fn decoder(&self, request: &DecodeRequest) -> Result<Box<dyn Decoder>, ConnectorError> {
        Ok(Box::new(decoder::TsvDecoder::new(request)?))
    }
}

/// The type of a column that is not declared.
fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::String | Kind::Json => DataType::Utf8View,
        Kind::Int => DataType::Int32,
        Kind::Double => DataType::Float64,
        Kind::Boolean => DataType::Boolean,
        Kind::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, None),
    }
}
