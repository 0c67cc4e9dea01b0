//! The way of an event into the shards: reader → workers → sequencer.
//!
//! A reader takes chunks from a source and numbers them. Workers decode chunks side by side and
//! evaluate every expression that some query needs. The sequencer puts the results back in the
//! reader's order, judges each row (repeat? late?), keeps time, and hands rows to shards by key.

pub mod bad;
pub mod change;
pub mod dedup;
pub mod meeting;
mod metadata;
pub mod partition;
pub mod program;
pub mod reader;
pub mod sequencer;
pub mod worker;
