//! The contract between the engine and its connectors.

use crate::{ChangeBatch, Env, Options, Progress, RawChunk, TableSpec};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A connector refused a table. Lower case, says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConnectorError {
    /// The option at fault, for the diagnostic's place.
    pub option: Option<String>,
    /// What is wrong and what to do.
    pub message: String,
}

impl ConnectorError {
    /// An error about no option in particular.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            option: None,
            message: message.into(),
        }
    }

    /// An error about the value of one option.
    pub fn option(option: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            option: Some(option.into()),
            message: message.into(),
        }
    }
}

impl SinkRequest {
    /// A table written by nobody in particular, from its beginning.
    #[must_use]
    pub fn new(table: TableSpec, env: Arc<dyn Env>) -> Self {
        Self {
            table,
            query: String::new(),
            owner: None,
            resume: None,
            keep: false,
            env,
        }
    }
}

impl From<crate::OptionError> for ConnectorError {
    fn from(error: crate::OptionError) -> Self {
        Self {
            message: error.to_string(),
            option: Some(error.option),
        }
    }
}

/// What a source is opened with.
#[derive(Clone)]
pub struct SourceRequest {
    /// The table.
    pub table: TableSpec,
    /// Where to begin: by partition, the next offset to read. A partition that is absent begins
    /// where the table's options say.
    pub start: BTreeMap<u32, u64>,
    /// For partitions without an offset in `start`: begin at the first record whose timestamp
    /// (milliseconds since the epoch) is this one or later, instead of where the options say. A
    /// source without record times begins at its first record.
    pub from_ms: Option<i64>,
    /// Which metadata the table's columns need: `timestamp`, `key`, `headers`.
    pub metadata: Vec<String>,
    /// Time, randomness and the other connectors.
    pub env: Arc<dyn Env>,
}

/// What a source has to say.
#[derive(Debug)]
pub enum SourceEvent {
    /// Records of one partition.
    Records(RawChunk),
    /// The partition is read to its present end, as the store or broker itself answered.
    /// Sent again at the latest each second while that stays so.
    AtEnd {
        /// The partition.
        partition: u32,
        /// The offset at which the next record is expected.
        next_offset: u64,
    },
    /// The bounded partition is read to its last record; nothing more comes of it.
    Finished {
        /// The partition.
        partition: u32,
    },
    /// A partition that was not there before.
    Added {
        /// The partition.
        partition: u32,
    },
    /// The store or broker cannot be reached; the source goes on trying.
    Away {
        /// Why, for the health page.
        reason: String,
    },
    /// Nothing within the time that was given.
    Nothing,
}

/// A source cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(pub String);

/// What of a partition is there and not yet read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionLag {
    /// The partition.
    pub partition: u32,
    /// How much it is.
    pub amount: LagAmount,
}

/// An amount that a store can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LagAmount {
    /// Records, or offsets where some hold none.
    Records(u64),
    /// Bytes.
    Bytes(u64),
}

/// Reads a table's partitions.
///
/// # Contract
/// - Records of one partition come in the order of their offsets, each once.
/// - An outage is [`SourceEvent::Away`], never an error; an error ends the table's queries.
pub trait Source: Send {
    /// The partitions that are there now.
    fn partitions(&self) -> Vec<u32>;
    /// Waits up to `timeout` for something to say. A chunk holds about `max_bytes` at most (one
    /// record may be larger).
    ///
    /// # Errors
    /// The source cannot go on: the topic is gone, an offset is out of range.
    fn poll(&mut self, max_bytes: usize, timeout: Duration) -> Result<SourceEvent, SourceError>;
    /// Stops or resumes the reading of one partition (alignment while replaying). What was read
    /// before may still come.
    fn pause(&mut self, partition: u32, paused: bool);
    /// How much of each partition is there and not yet read, as far as it is known without
    /// asking anybody. May be a second old.
    fn lags(&self) -> Vec<PartitionLag> {
        Vec::new()
    }
    /// Total bytes and bytes read so far of a bounded source, where known, for a progress bar.
    fn size(&self) -> Option<(u64, u64)> {
        None
    }
    /// True when every partition ends.
    fn is_bounded(&self) -> bool;
    /// True when reading was to begin at a time ([`SourceRequest::from_ms`]) and began at the first
    /// record that is left of an older partition: records of that time may have been deleted.
    fn begins_late(&self) -> bool {
        false
    }
    /// By partition, what the last record handed on was: to be kept beside the offsets of a
    /// checkpoint, for [`Source::verify`]. Empty where an offset can never come to mean another
    /// record.
    fn marks(&self) -> BTreeMap<u32, Mark> {
        BTreeMap::new()
    }
    /// Said before the first poll of a source that goes on from a checkpoint: what the records
    /// before the starts were. Where another record stands now, the partition was made anew:
    /// polling then fails, or the partition begins where the table's options say. Marks that do
    /// not belong to the starts are ignored.
    fn verify(&mut self, _marks: BTreeMap<u32, Mark>) {}
    /// How many records were passed over since they were deleted before they were read, where the
    /// table's options allow that.
    fn lost(&self) -> u64 {
        0
    }
}

/// One record, so that it is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Its offset.
    pub offset: u64,
    /// A hash of its bytes and of what else tells it from others.
    pub check: u64,
}

/// Who writes, where checkpoints are taken: processes with the same name are one pipeline, of which
/// only the one with the highest epoch may write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The pipeline's name.
    pub pipeline: String,
    /// The epoch that this process has claimed.
    pub epoch: u64,
}

/// What a sink is opened with.
#[derive(Clone)]
pub struct SinkRequest {
    /// The table.
    pub table: TableSpec,
    /// The query that writes: what a sink remembers of its progress stands under this name.
    pub query: String,
    /// Set where checkpoints are taken.
    pub owner: Option<Owner>,
    /// What [`Sink::position`] gave at the checkpoint that the query goes on from: what was written
    /// after that is to be taken back, or written over.
    pub resume: Option<Vec<u8>>,
    /// What stands in the table stays, also where its options would begin it anew: its rows come
    /// from a process before, and not all of them are read again.
    pub keep: bool,
    /// Time, randomness and the other connectors.
    pub env: Arc<dyn Env>,
}

/// A write did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// The store is away, slow, read-only or out of memory: the same batch is to be written
    /// again later.
    #[error("{0}")]
    Retry(String),
    /// The store came back without what was written before: everything is to be written again.
    #[error("{0}")]
    Rewrite(String),
    /// No retry will help.
    #[error("{0}")]
    Fatal(String),
}

/// Writes a table.
///
/// # Contract
/// - When `write` returns `Ok`, the store has acknowledged every row of the batch.
/// - Where `progress` is not empty, a store that can remembers it before the values are written, so
///   that whoever goes on from an older state knows what a reader may have seen.
/// - Writing a batch again, whole or in part, changes nothing.
pub trait Sink: Send {
    /// Writes the changes, in order, and waits for the acknowledgement.
    ///
    /// # Errors
    /// See [`SinkError`]; part of the batch may have been written.
    fn write(&mut self, batch: &ChangeBatch, progress: &Progress) -> Result<(), SinkError>;
    /// Called at the end of a bounded run and before a stop: makes everything durable.
    ///
    /// # Errors
    /// As for `write`.
    fn close(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
    /// Looks whether what was written still stands, as far as the store can tell: said now and then
    /// while there is nothing to write, and before the end.
    ///
    /// # Errors
    /// As for `write`.
    fn verify(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
    /// How many single writes (keys, fields, lines) were acknowledged so far.
    fn writes(&self) -> u64;
    /// The farthest progress that was given to `write` by whoever wrote this query's values last,
    /// as the store itself remembers it. `None`: it remembers none.
    ///
    /// # Errors
    /// As for `write`.
    fn progress(&mut self) -> Result<Option<Progress>, SinkError> {
        Ok(None)
    }
    /// Notes keys, as bytes that only the engine reads, under a number that grows: values of them
    /// may be written from now on. With `drop_below`, notes under lower numbers are dropped; a key
    /// that is noted again has the later number. A store that remembers progress keeps notes
    /// beside it, where they are lost with the values and not without them; others keep none.
    ///
    /// # Errors
    /// As for `write`.
    fn note(
        &mut self,
        _keys: &[Vec<u8>],
        _number: u64,
        _drop_below: Option<u64>,
    ) -> Result<(), SinkError> {
        Ok(())
    }
    /// The keys that were noted for this query, by whoever wrote its values last, and not dropped.
    ///
    /// # Errors
    /// As for `write`.
    fn noted(&mut self) -> Result<Vec<Vec<u8>>, SinkError> {
        Ok(Vec::new())
    }
    /// Makes all that was written durable, and says where the store is, for
    /// [`SinkRequest::resume`]. Empty where it has no place to go back to.
    ///
    /// # Errors
    /// As for `write`.
    fn position(&mut self) -> Result<Vec<u8>, SinkError> {
        Ok(Vec::new())
    }
}

/// A kind of table, by the option `connector`.
pub trait Connector: Send + Sync {
    /// The value of the option `connector` that selects it.
    fn name(&self) -> &'static str;
    /// The options it knows as a source; names that end with `.` are prefixes.
    fn source_options(&self) -> &'static [&'static str] {
        &[]
    }
    /// The options it knows as a sink; names that end with `.` are prefixes.
    fn sink_options(&self) -> &'static [&'static str] {
        &[]
    }
    /// Checks a table without touching the network or a file: option names, values, key.
    ///
    /// # Errors
    /// The first thing that is wrong.
    fn check(&self, table: &TableSpec, as_sink: bool) -> Result<(), ConnectorError>;
    /// True when tables of this connector are read through a format.
    fn needs_format(&self) -> bool {
        true
    }
    /// Opens the table for reading.
    ///
    /// # Errors
    /// The table cannot be read, or this connector is no source.
    fn source(&self, request: &SourceRequest) -> Result<Box<dyn Source>, ConnectorError>;
    /// Opens the table for writing.
    ///
    /// # Errors
    /// The table cannot be written, or this connector is no sink.
    fn sink(&self, request: &SinkRequest) -> Result<Box<dyn Sink>, ConnectorError>;
    /// Options of the table's WITH clause that hold secrets and are never shown.
    fn secret_options(&self) -> &'static [&'static str] {
        &[]
    }
}

/// The connectors and formats that this program has.
#[derive(Clone, Default)]
pub struct Registry {
    connectors: BTreeMap<&'static str, Arc<dyn Connector>>,
    formats: BTreeMap<&'static str, Arc<dyn crate::Format>>,
}

impl Registry {
    /// Adds a connector; one of the same name is replaced.
    pub fn add_connector(&mut self, connector: Arc<dyn Connector>) {
        self.connectors.insert(connector.name(), connector);
    }

    /// Adds a format; one of the same name is replaced.
    pub fn add_format(&mut self, format: Arc<dyn crate::Format>) {
        self.formats.insert(format.name(), format);
    }

    /// The connector of that name.
    #[must_use]
    pub fn connector(&self, name: &str) -> Option<&Arc<dyn Connector>> {
        self.connectors.get(name)
    }

    /// The format of that name.
    #[must_use]
    pub fn format(&self, name: &str) -> Option<&Arc<dyn crate::Format>> {
        self.formats.get(name)
    }

    /// All connectors' names, sorted.
    #[must_use]
    pub fn connector_names(&self) -> Vec<&'static str> {
        self.connectors.keys().copied().collect()
    }

    /// All formats' names, sorted.
    #[must_use]
    pub fn format_names(&self) -> Vec<&'static str> {
        self.formats.keys().copied().collect()
    }

    /// The connector that the options of a table name.
    ///
    /// # Errors
    /// `connector` is missing or unknown.
    pub fn for_table(&self, options: &Options) -> Result<&Arc<dyn Connector>, ConnectorError> {
        let known = self.connector_names().join(", ");
        let name = options.get("connector").ok_or_else(|| {
            ConnectorError::new(format!(
                "the option 'connector' is missing; known are {known}"
            ))
        })?;
        self.connector(name).ok_or_else(|| {
            ConnectorError::option(
                "connector",
                format!("there is no connector '{name}'; known are {known}"),
            )
        })
    }
}
