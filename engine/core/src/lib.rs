//! What every part of Tidewheel shares: event time, records and their order, table
//! specifications and options, diagnostics, and the traits that connectors and formats implement.
//!
//! It is not: an engine. Nothing here reads a clock, a file or a socket.

pub mod change;
pub mod connector;
pub mod decode;
pub mod diagnostic;
pub mod env;
pub mod options;
pub mod raw;
pub mod snowplow;
pub mod spare;
pub mod table;
pub mod text;
pub mod time;

pub use change::{ChangeBatch, Op, Progress};
pub use connector::{
    Connector, ConnectorError, LagAmount, Mark, Owner, PartitionLag, Registry, Sink, SinkError,
    SinkRequest, Source, SourceError, SourceEvent, SourceRequest,
};
pub use decode::{BadRow, DecodeRequest, Decoded, Decoder, Format, ReadColumn};
pub use diagnostic::{Diagnostic, Diagnostics, SourceText, Span};
pub use env::Env;
pub use options::{OptionError, Options};
pub use raw::{Framing, RawChunk, RecordMeta};
pub use table::TableSpec;
pub use time::{EventTime, Order};
