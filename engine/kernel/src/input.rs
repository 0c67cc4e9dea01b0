//! What comes into a keyed operator.

use crate::keys::Keys;
use arrow::array::ArrayRef;
use tidewheel_core::EventTime;

/// The rows of a batch that are for one shard, with everything evaluated.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The grouping key of each row of the batch.
    pub keys: &'a Keys,
    /// Which rows of the batch to take, ascending; the others are for other shards, or keyless.
    pub rows: &'a [u32],
    /// Event time of each row of the batch.
    pub time: &'a [EventTime],
    /// Second part of each row's [`tidewheel_core::Order`].
    pub seq: &'a [u64],
    /// The watermark before each row of the batch: what it is judged late by. Never decreases.
    pub watermark: &'a [EventTime],
    /// The evaluated columns that the specs' indices point into.
    pub columns: &'a [ArrayRef],
    /// For changelog inputs: true where the row is taken back, false where it is added.
    pub retract: Option<&'a [bool]>,
}
