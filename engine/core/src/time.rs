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

/// Bits of [`Order::seq`] that hold the offset; the highest bit says how they are used, the others
/// hold the partition.
pub const OFFSET_BITS: u32 = 48;
/// Highest partition number that fits [`Order::seq`].
pub const PARTITION_MAX: u32 = (1 << (63 - OFFSET_BITS)) - 1;
/// Highest offset that fits [`Order::seq`].
pub const OFFSET_MAX: u64 = (1 << OFFSET_BITS) - 1;
/// Of the offset's bits, those that hold a row's position within its record, where a record holds
/// several rows.
pub const POSITION_BITS: u32 = 12;
/// Highest position that fits [`Order::seq`]; rows behind it tie.
pub const POSITION_MAX: u32 = (1 << POSITION_BITS) - 1;
/// Marks a number of [`pack_seq_at`].
const WITH_POSITION: u64 = 1 << 63;

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

/// As [`pack_seq`], for a record that may hold several rows: orders by partition, then offset, then
/// position in the record. All rows of a partition must be packed alike. Offsets from 2^36 on and
/// positions beyond [`POSITION_MAX`] are clamped.
#[must_use]
pub fn pack_seq_at(partition: u32, offset: u64, position: u32) -> u64 {
    let offset = offset.min(OFFSET_MAX >> POSITION_BITS) << POSITION_BITS;
    WITH_POSITION | pack_seq(partition, offset) | u64::from(position.min(POSITION_MAX))
}

/// The partition and offset that [`pack_seq`] or [`pack_seq_at`] packed.
#[must_use]
pub fn unpack_seq(seq: u64) -> (u32, u64) {
    let partition = (seq & !WITH_POSITION) >> OFFSET_BITS;
    let offset = seq & OFFSET_MAX;
    let unused = if seq & WITH_POSITION == 0 {
        0
    } else {
        POSITION_BITS
    };
    (partition as u32, offset >> unused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partition_offset_and_position_order_in_this_order() {
        let places = [
            (0, 0, 0),
            (0, 0, 1),
            (0, 0, POSITION_MAX),
            (0, 1, 0),
            (0, (1 << 36) - 1, 7),
            (1, 0, 0),
            (PARTITION_MAX, 5, 3),
        ];
        let packed: Vec<u64> = places.map(|(p, o, n)| pack_seq_at(p, o, n)).into();
        assert!(packed.is_sorted_by(|a, b| a < b), "{packed:?}");
        for ((partition, offset, _), seq) in places.into_iter().zip(packed) {
            assert_eq!(unpack_seq(seq), (partition, offset));
        }
        for (partition, offset) in [(0, 0), (0, OFFSET_MAX), (PARTITION_MAX, 9)] {
            assert_eq!(unpack_seq(pack_seq(partition, offset)), (partition, offset));
        }
    }
}
