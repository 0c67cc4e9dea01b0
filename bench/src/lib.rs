//! What the benchmarks share.

pub mod event;
