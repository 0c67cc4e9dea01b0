//! What was last written of each key, as hashes, so that nothing is written that did not change.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
};
use tidewheel_core::EventTime;
use tidewheel_core::text::write_json;
use tidewheel_core::time::NO_TIME;
use xxhash_rust::xxh3::xxh3_64;

/// Hashes of what was written, by key number.
#[derive(Debug, Default)]
pub struct Written {
    columns: usize,
    hashes: Vec<u64>,
    empty_at: Vec<EventTime>,
    live: Vec<Liveness>,
}

/// What stands in the sink for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// Nothing was written, or it was deleted.
    Absent,
    /// A value.
    Live,
    /// The value over no rows.
    Zero,
}

const NULL_HASH: u64 = 0x9e37_79b9_7f4a_7c15;

impl Written {
    /// For rows of `columns` columns.
    #[must_use]
    pub fn new(columns: usize) -> Self {
        Self {
            columns,
            ..Self::default()
        }
    }

    fn reach(&mut self, slot: usize) {
        if slot >= self.live.len() {
            let slots = (slot + 1).next_power_of_two();
            self.live.resize(slots, Liveness::Absent);
            self.empty_at.resize(slots, NO_TIME);
            self.hashes.resize(slots * self.columns, 0);
        }
    }

    /// What stands for a key.
    #[must_use]
    pub fn liveness(&self, slot: u32) -> Liveness {
        self.live
            .get(slot as usize)
            .copied()
            .unwrap_or(Liveness::Absent)
    }

    /// Marks a key as deleted or freed.
    pub fn forget(&mut self, slot: u32) {
        if let Some(live) = self.live.get_mut(slot as usize) {
            *live = Liveness::Absent;
        }
    }

    /// Everything is to be written again.
    pub fn forget_all(&mut self) {
        self.live.fill(Liveness::Absent);
    }

    /// Compares a row with what was written, and remembers it: the columns that changed, as
    /// [`tidewheel_core::ChangeBatch::changed`] has them. 0: nothing is to be written. At or
    /// after the instant that the ttl was counted from, all columns count as changed, so that
    /// the ttl is renewed.
    pub fn change(
        &mut self,
        slot: u32,
        row: usize,
        hashes: &[Vec<u64>],
        liveness: Liveness,
        empty_at: EventTime,
        frontier: EventTime,
    ) -> u64 {
        let at = slot as usize;
        self.reach(at);
        let fresh = self.live[at] == Liveness::Absent;
        let renew = !fresh && empty_at > self.empty_at[at] && frontier >= self.empty_at[at];
        let mut changed = if fresh || renew { u64::MAX } else { 0 };
        let stored = &mut self.hashes[at * self.columns..(at + 1) * self.columns];
        for (column, stored) in stored.iter_mut().enumerate() {
            let hash = hashes[column][row];
            if *stored != hash {
                changed |= 1 << column.min(63);
                *stored = hash;
            }
        }
        if changed != 0 {
            self.empty_at[at] = empty_at;
        }
        self.live[at] = liveness;
        changed
    }
}

/// The hash of each value of each column.
#[must_use]
pub fn hash_columns(batch: &RecordBatch) -> Vec<Vec<u64>> {
    batch.columns().iter().map(hash_column).collect()
}

fn hash_column(column: &ArrayRef) -> Vec<u64> {
    let rows = column.len();
    let valid = |row: usize, hash: u64| {
        if column.is_valid(row) {
            hash
        } else {
            NULL_HASH
        }
    };
    let word = |word: u64| xxh3_64(&word.to_le_bytes());
    match column.data_type() {
        DataType::Int64 => {
            let array = column.as_primitive::<Int64Type>();
            (0..rows)
                .map(|row| valid(row, word(array.value(row) as u64)))
                .collect()
        }
        DataType::Float64 => {
            let array = column.as_primitive::<Float64Type>();
            (0..rows)
                .map(|row| valid(row, word(array.value(row).to_bits())))
                .collect()
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let array = column.as_primitive::<TimestampMicrosecondType>();
            (0..rows)
                .map(|row| valid(row, word(array.value(row) as u64)))
                .collect()
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            let array = column.as_primitive::<TimestampMillisecondType>();
            (0..rows)
                .map(|row| valid(row, word(array.value(row) as u64)))
                .collect()
        }
        DataType::Utf8View => {
            let array = column.as_string_view();
            (0..rows)
                .map(|row| {
                    if array.is_valid(row) {
                        xxh3_64(array.value(row).as_bytes())
                    } else {
                        NULL_HASH
                    }
                })
                .collect()
        }
        DataType::Utf8 => {
            let array = column.as_string::<i32>();
            (0..rows)
                .map(|row| {
                    if array.is_valid(row) {
                        xxh3_64(array.value(row).as_bytes())
                    } else {
                        NULL_HASH
                    }
                })
                .collect()
        }
        _ => {
            let mut text = String::new();
            (0..rows)
                .map(|row| {
                    text.clear();
                    write_json(&mut text, column.as_ref(), row);
                    xxh3_64(text.as_bytes())
                })
                .collect()
        }
    }
}
