//! Event time and the total order of events.

/// A point in event time: microseconds since the Unix epoch, UTC.
pub type EventTime = i64;

/// Microseconds in one millisecond.
pub const MICROS_PER_MILLI: i64 = 1_000;
/// Microseconds in one second.
pub const MICROS_PER_SECOND: i64 = 1_000_000;

/// Event time before any row: no frontier, no watermark yet.
pub const NO_TIME: EventTime = i64::MIN;
/// Event time after every row: the watermark at the end of a bounded input.
pub const END_OF_TIME: EventTime = i64::MAX;

/// Bits of [`Order::seq`] that hold the offset; the rest hold the partition.
pub const OFFSET_BITS: u32 = 48;
/// Highest partition number that fits [`Order::seq`].
pub const PARTITION_MAX: u32 = (1 << (64 - OFFSET_BITS)) - 1;
/// Highest offset that fits [`Order::seq`].
pub const OFFSET_MAX: u64 = (1 << OFFSET_BITS) - 1;

/// The place of an event among all events of its table: by time, ties by partition and offset
/// (or by the column that the table's `order.by` names).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Order {
    /// Event time.
    pub time: EventTime,
    /// Partition and offset packed by [`pack_seq`], or the value of `order.by`.
    pub seq: u64,
}

/// Packs a partition and an offset into one number that orders by partition, then offset.
/// Values beyond [`PARTITION_MAX`] and [`OFFSET_MAX`] are clamped; sources refuse them earlier.
#[must_use]
pub fn pack_seq(partition: u32, offset: u64) -> u64 {
    (u64::from(partition.min(PARTITION_MAX)) << OFFSET_BITS) | offset.min(OFFSET_MAX)
}

/// The inverse of [`pack_seq`].
#[must_use]
pub fn unpack_seq(seq: u64) -> (u32, u64) {
    ((seq >> OFFSET_BITS) as u32, seq & OFFSET_MAX)
}
