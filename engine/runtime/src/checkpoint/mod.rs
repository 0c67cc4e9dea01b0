//! Checkpoints: barriers through the running tasks, what they save, and the way back.
//!
//! A barrier is sent to the reader of each source and travels in the same channels as the rows:
//! reader → sequencer → shards → sink tasks. Each task saves what it holds when the barrier comes
//! by, and hands the bytes to the [`checkpointer`], which writes them aside while rows flow on
//! (Carbone et al., *Lightweight Asynchronous Snapshots for Distributed Dataflows*, 2015). A query
//! reads one source, so the sources' barriers are independent cuts.

pub mod barrier;
pub mod checkpointer;
pub mod gate;
pub mod gather;
pub mod lease;
pub mod restore;
pub mod status;

pub use barrier::{Barrier, Part};
pub use restore::Restore;
pub use status::CheckpointStatus;
