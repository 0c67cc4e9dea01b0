//! The connector `log`: an embedded log that needs no server.
//!
//! A log is a folder of partitions; a partition is a folder of append-only segments of checked
//! records with stable offsets. Any number of processes may append to it, one at a time under a
//! lock, and any number may follow it without one.
//!
//! - `path`: the folder; it is made where it is not there.
//! - `partitions`: how many, fixed when the log is made (default 1).
//! - `fsync`: when an append counts as done. `always`: when it is on the disk; `interval`
//!   (default): when the operating system has it, the disk following within 200 ms; `never`: the
//!   disk follows when the operating system likes. All survive `kill -9` of the writer.
//! - `segment.bytes` (default 64 mb), `retention.bytes` and `retention.ms` for each partition
//!   (default: keep everything; only closed segments are removed).
//! - `scan.startup.mode`: `earliest-offset` (default), `latest-offset` or `specific-offsets` with
//!   `scan.startup.specific-offsets` = `partition:0,offset:42;…`; `scan.bounded.mode`:
//!   `unbounded` (default) or `latest-offset`.
//!
//! As a sink: at least once. A log has several writers, so it is never cut back to a checkpoint; rows
//! that were written after it stand there twice.
//!
//! It is not: replicated, nor a place for transactions. A reader may see a record a moment before
//! it is on the disk.

mod connector;
mod folder;
mod frame;
mod reader;
mod scan;
mod sink;
mod source;
mod writer;

pub use connector::LogConnector;
pub use folder::PARTITIONS_MAX;
pub use frame::{Parsed, RECORD_BYTES_MAX, Record};
pub use reader::{Batch, LogReader, Start};
pub use writer::LogWriter;

pub use crate::fsync::{FSYNC_INTERVAL, Fsync};

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tidewheel_core::Registry;

/// Adds the connector to a registry.
pub fn register(registry: &mut Registry) {
    registry.add_connector(Arc::new(LogConnector));
}

/// How a log is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// The number of partitions; `None` takes a log as it is, and makes a new one with 1.
    pub partitions: Option<u32>,
    /// When an append counts as done.
    pub fsync: Fsync,
    /// A segment that has reached this many bytes is closed at the next append.
    pub segment_bytes: u64,
    /// Most bytes of a partition's closed segments.
    pub retention_bytes: Option<u64>,
    /// Longest time since the last append to a closed segment.
    pub retention: Option<Duration>,
}

/// Bytes of a segment, where nothing is said.
pub const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            partitions: None,
            fsync: Fsync::Interval,
            segment_bytes: SEGMENT_BYTES,
            retention_bytes: None,
            retention: None,
        }
    }
}

/// A log cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The file system refuses.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it says.
        error: std::io::Error,
    },
    /// The partitions are not as asked for.
    #[error("log {}: {message}", path.display())]
    Partitions {
        /// The log.
        path: PathBuf,
        /// What is wrong and what to do.
        message: String,
    },
    /// The offset is not, or no longer, in the log.
    #[error(
        "log {}: offset {offset} is not there, the log holds {earliest} to {latest}; it was cut by \
         retention or made anew: start with 'scan.startup.mode' = 'earliest-offset' and without a \
         checkpoint, or keep more",
        folder.display()
    )]
    Range {
        /// The partition's folder.
        folder: PathBuf,
        /// What was asked for.
        offset: u64,
        /// The oldest offset.
        earliest: u64,
        /// The newest offset, or the first of the newest segment.
        latest: u64,
    },
    /// A closed segment does not read.
    #[error(
        "log segment {} is damaged at byte {position}: {message}; restore it from a copy, or start \
         behind it with 'scan.startup.mode' = 'specific-offsets'",
        path.display()
    )]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where.
        position: u64,
        /// What is wrong.
        message: &'static str,
    },
    /// A record is larger than [`RECORD_BYTES_MAX`].
    #[error("a record of {bytes} bytes is larger than the {RECORD_BYTES_MAX} that a log takes")]
    TooLarge {
        /// Its key and value together.
        bytes: usize,
    },
}

impl LogError {
    fn damaged(cursor: &scan::Cursor, message: &'static str) -> Self {
        Self::Damaged {
            path: cursor.path.clone(),
            position: cursor.position,
            message,
        }
    }
}
