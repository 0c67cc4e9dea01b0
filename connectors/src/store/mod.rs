//! The connector `store`: an embedded feature store that needs no server.
//!
//! A store is a folder. One process writes it; others read it meanwhile. It holds what Redis
//! would hold, under the same keys with the same texts: the options `layout`, `key`, `member`,
//! `score`, `ttl` and `on-empty` are those of the connector `redis`. Further options:
//!
//! - `path`: the folder; it is made where it is not there. Tables may share it.
//! - `fsync`: when a write counts as done, `always`, `interval` (default: the disk follows within
//!   200 ms) or `never`. All survive `kill -9`. Of several tables of one store the first to be
//!   opened decides.
//!
//! Everything is in memory, in the writer and in each reader. On disk stand a snapshot and the
//! writes since, each write checked and there as a whole or not at all. When the writes have
//! outgrown the snapshot, a new one is made; the writer stands still meanwhile.
//!
//! It is not: for more than fits in memory, nor for several writers.

mod op;
mod reader;
mod rows;
mod sink;
mod state;
mod writer;

pub use crate::fsync::{FSYNC_INTERVAL, Fsync};
pub use op::{NEVER, Op};
pub use reader::StoreReader;
pub use sink::StoreConnector;
pub(crate) use sink::config;
pub use state::{Entry, Value};
pub use writer::{COMPACT_BYTES_MIN, StoreWriter};

use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidewheel_core::Registry;

/// Adds the connector to a registry.
pub fn register(registry: &mut Registry) {
    registry.add_connector(Arc::new(StoreConnector::default()));
}

const SNAPSHOT_SUFFIX: &str = ".snap";
const LOG_SUFFIX: &str = ".log";

fn snapshot_path(path: &Path, generation: u64) -> PathBuf {
    path.join(format!("{generation:010}{SNAPSHOT_SUFFIX}"))
}

fn log_path(path: &Path, generation: u64) -> PathBuf {
    path.join(format!("{generation:010}{LOG_SUFFIX}"))
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let path = path.to_owned();
    move |error| StoreError::Io { path, error }
}

/// A store cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file system refuses.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it says.
        error: std::io::Error,
    },
    /// There is no store yet.
    #[error("there is no store in {}; start what writes it first", path.display())]
    NoStore {
        /// The folder.
        path: PathBuf,
    },
    /// Another process writes it.
    #[error(
        "the store {} has a writer already; stop the other process or choose another path",
        path.display()
    )]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// A snapshot does not read.
    #[error(
        "{} is damaged at byte {position}; remove the store and let it be written again, or \
         restore it from a copy",
        path.display()
    )]
    Damaged {
        /// The snapshot.
        path: PathBuf,
        /// Where.
        position: u64,
    },
    /// A write is too large.
    #[error("a write of {bytes} bytes is larger than a store takes at once, 1 GiB")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
}
