//! The runtime: tasks that read, decode, keep state, and write, joined by channels.
//!
//! ```text
//! source ─ reader ─▶ workers (decode, evaluate) ─▶ sequencer ─▶ shards ─▶ sink tasks ─▶ sink
//!                                                  (order, time,  (state)  (tail, retry)
//!                                                   repeats)
//! ```
//!
//! Every task is a state machine behind [`task::Task`]; all of time, randomness, disk and network
//! comes from [`tidewheel_core::Env`]. So the very same tasks run on threads, and on one thread
//! under a seed ([`task::Simulation`]).

pub mod checkpoint;
pub mod engine;
pub mod error;
pub mod expr;
pub mod memory;
pub mod plan;
pub mod scan;
pub mod shard;
pub mod sink;
pub mod stats;
pub mod status;
pub mod task;

pub use engine::{Engine, RunOptions, Running};
pub use error::EngineError;
pub use stats::{Stats, Summary};
