//! The window kernel: keyed, event-time state that turns rows into feature values.
//!
//! Plain code: no async, no I/O, no threads, and no clock but the times it is handed.
//!
//! It is not: a query engine. It evaluates no expressions; its input are columns that were
//! evaluated already, and its output are columns of aggregate values.
//!
//! How it is laid out: [`spec`] says what to compute, [`input`] what comes in, [`change`] what
//! goes out. [`window`] keeps slices, sessions and timers for each key and decides which windows
//! a row is in; [`aggregate`] keeps the partial aggregates themselves, in typed columns of cells.
//! [`over`], [`topn`], [`latest`] and [`regroup`] are the kernels beside the window kernel. All of
//! them save their state as bytes and load it again, at another number of shards too: [`share`]
//! says which keys a shard takes.

pub mod aggregate;
pub mod change;
pub mod input;
pub mod keys;
pub mod latest;
pub mod over;
pub mod regroup;
mod rows;
mod saved;
pub mod share;
pub mod spec;
pub mod topn;
pub mod window;
