//! Checkpoints: the state of a pipeline at one barrier, kept in an object store.
//!
//! This crate knows the store and the format, not what is in the pieces: the runtime gives and
//! takes them as bytes. `docs/checkpoints.md` describes the format.
//!
//! ```text
//! <pipeline>/data-<epoch>-<number>       the pieces, one behind the other
//! <pipeline>/manifest-<epoch>-<number>   what is where; written last
//! <pipeline>/lease-<epoch>               who may write
//! <pipeline>/beat-<epoch>                a sign of life of its owner
//! ```

mod direct;
pub mod envelope;
pub mod lease;
pub mod manifest;
pub mod object;
pub mod room;
pub mod storage;
pub mod store;

pub use envelope::{FormatError, Kind};
pub use lease::{Lease, LeaseError};
pub use manifest::{GroupEntry, Manifest, Piece, QueryEntry, RecordMark, SourceEntry};
pub use object::ObjectStorage;
pub use storage::{MemoryStorage, Storage, StorageError};
pub use store::{CheckpointStore, Data, Found, Loaded, Name};
