//! What was last written of each key, as hashes, so that nothing is written that did not change.

use super::renew::Renewals;
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
    /// The columns that are not the sink's key, as bits.
    values: u64,
    hashes: Vec<u64>,
    /// The earliest moment that the ttl of one of the key's columns was counted from.
    empty_at: Vec<EventTime>,
    live: Vec<Liveness>,
    /// Keys that are to be written whatever they hold; short or empty where none is.
    again: Vec<bool>,
    /// Keys that are to be looked at once `empty_at` comes.
    renewals: Option<Renewals>,
    waits: Vec<bool>,
    /// Keys that were never looked at may stand in the sink: their writer has ended.
    unknown: bool,
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
    /// Nobody knows: the sink lost what it had, but a batch may have been on its way.
    Lost,
}

const NULL_HASH: u64 = 0x9e37_79b9_7f4a_7c15;

impl Written {
    /// For rows of `columns` columns, of which `keys` are the sink's key. With `watched`, keys are
    /// noted whose ttl is to be renewed later ([`Self::renewable`]); without, their reader looks
    /// at each key again whenever a part of its window expires.
    #[must_use]
    pub fn new(columns: usize, keys: &[usize], watched: bool) -> Self {
        let values = (0..columns)
            .filter(|column| !keys.contains(column))
            .fold(0, |bits, column| bits | 1 << column.min(63));
        Self {
            columns,
            values,
            renewals: watched.then(Renewals::default),
            ..Self::default()
        }
    }

    fn reach(&mut self, slot: usize) {
        if slot >= self.live.len() {
            let slots = (slot + 1).next_power_of_two();
            self.live.resize(slots, self.before());
            self.empty_at.resize(slots, NO_TIME);
            self.hashes.resize(slots * self.columns, 0);
            if self.renewals.is_some() {
                self.waits.resize(slots, false);
            }
        }
    }

    /// What stands for a key.
    #[must_use]
    pub fn liveness(&self, slot: u32) -> Liveness {
        self.live
            .get(slot as usize)
            .copied()
            .unwrap_or(self.before())
    }

    /// What stands for a key that was never looked at.
    fn before(&self) -> Liveness {
        if self.unknown {
            Liveness::Lost
        } else {
            Liveness::Absent
        }
    }

    /// Of no key it is known what stands in the sink.
    pub fn assume_unknown(&mut self) {
        self.unknown = true;
        self.live.fill(Liveness::Lost);
    }

    /// All keys that may stand in the sink have been looked at.
    pub fn all_known(&mut self) {
        self.unknown = false;
        for live in &mut self.live {
            if *live == Liveness::Lost {
                *live = Liveness::Absent;
            }
        }
    }

    /// Marks a key as deleted or freed.
    pub fn forget(&mut self, slot: u32) {
        if let Some(live) = self.live.get_mut(slot as usize) {
            *live = Liveness::Absent;
        }
    }

    /// Everything is to be written again.
    pub fn forget_all(&mut self) {
        let standing = self.live.iter_mut();
        for live in standing.filter(|live| **live != Liveness::Absent) {
            *live = Liveness::Lost;
        }
    }

    /// Every key that stands with a value is to be written when it is looked at next, so that its
    /// ttl is renewed.
    pub fn renew_all(&mut self) {
        self.again.clear();
        let live = self.live.iter().map(|live| *live == Liveness::Live);
        self.again.extend(live);
    }

    /// At most `max` keys whose ttl was counted from a moment that has come.
    pub fn renewable(&mut self, frontier: EventTime, max: usize) -> Vec<u32> {
        let mut slots = Vec::new();
        let Some(renewals) = &mut self.renewals else {
            return slots;
        };
        while slots.len() < max {
            let Some((_, slot)) = renewals.pop(frontier) else {
                break;
            };
            let at = slot as usize;
            self.waits[at] = false;
            if self.live[at] == Liveness::Absent {
                continue;
            }
            if self.empty_at[at] > frontier {
                // It was written since; rows may have moved it on again.
                self.waits[at] = true;
                renewals.add(self.empty_at[at], slot);
                continue;
            }
            slots.push(slot);
        }
        slots
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
        let fresh = matches!(self.live[at], Liveness::Absent | Liveness::Lost);
        let again = self.again.get_mut(at).is_some_and(std::mem::take);
        let renew = !fresh
            && ((again && liveness == Liveness::Live)
                || (empty_at > self.empty_at[at] && frontier >= self.empty_at[at]));
        let mut changed = if fresh || renew { u64::MAX } else { 0 };
        let stored = &mut self.hashes[at * self.columns..(at + 1) * self.columns];
        for (column, stored) in stored.iter_mut().enumerate() {
            let hash = hashes[column][row];
            if *stored != hash {
                changed |= 1 << column.min(63);
                *stored = hash;
            }
        }
        if changed & self.values == self.values && changed != 0 {
            self.empty_at[at] = empty_at;
        } else if changed != 0 {
            // The other columns keep the ttl that they have.
            self.empty_at[at] = self.empty_at[at].min(empty_at);
        }
        self.live[at] = liveness;
        if let Some(renewals) = &mut self.renewals
            && liveness == Liveness::Live
            && empty_at > self.empty_at[at]
            && !self.waits[at]
        {
            self.waits[at] = true;
            renewals.add(self.empty_at[at], slot);
        }
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
