//! Repeats: keys remembered by event time, exactly, across partitions.

use arrow::array::{Array, ArrayRef};
use arrow::row::{RowConverter, SortField};
use hashbrown::HashTable;
use std::collections::BTreeMap;
use tidewheel_core::EventTime;
use tidewheel_kernel::aggregate::StateError;
use tidewheel_kernel::aggregate::codec::{Reader, put_i64, put_u64};
use xxhash_rust::xxh3::xxh3_128;

/// Bytes of a saved key.
const KEY_BYTES: usize = 24;

/// The 128-bit hash of each row's key; `None` where a key column is NULL (never a repeat).
#[must_use]
pub fn hash_keys(columns: &[ArrayRef]) -> Vec<Option<u128>> {
    let rows = columns.first().map_or(0, |column| column.len());
    let valid = |row: usize| columns.iter().all(|column| column.is_valid(row));
    if let [column] = columns
        && let Some(text) = column
            .as_any()
            .downcast_ref::<arrow::array::StringViewArray>()
    {
        return (0..rows)
            .map(|row| {
                text.is_valid(row)
                    .then(|| xxh3_128(text.value(row).as_bytes()))
            })
            .collect();
    }
    let fields = columns
        .iter()
        .map(|c| SortField::new(c.data_type().clone()))
        .collect();
    let Ok(encoded) = RowConverter::new(fields).and_then(|c| c.convert_columns(columns)) else {
        return vec![None; rows];
    };
    (0..rows)
        .map(|row| valid(row).then(|| xxh3_128(encoded.row(row).as_ref())))
        .collect()
}

/// Keys seen, each remembered until the watermark passes its row's time + the window.
///
/// Keys stand in one open-addressed table, so a look-up is one probe. Expiry is by buckets of a
/// sixteenth of the window: a bucket's keys are removed together once all of them have expired,
/// and a key in the table that has expired by itself counts as absent.
#[derive(Debug)]
pub struct Dedup {
    window: i64,
    bucket: i64,
    table: HashTable<(u128, EventTime)>,
    buckets: BTreeMap<i64, Vec<u128>>,
}

impl Dedup {
    /// Keys remembered for `window` microseconds.
    #[must_use]
    pub fn new(window: i64) -> Self {
        Self {
            window,
            bucket: (window / 16).max(1),
            table: HashTable::new(),
            buckets: BTreeMap::new(),
        }
    }

    /// Remembers a key; false when it was remembered already (the row is a repeat).
    pub fn insert(&mut self, key: u128, time: EventTime, watermark: EventTime) -> bool {
        let hash = key as u64;
        if let Some(entry) = self.table.find_mut(hash, |entry| entry.0 == key) {
            if entry.1.saturating_add(self.window) > watermark {
                return false;
            }
            entry.1 = time;
        } else {
            self.table
                .insert_unique(hash, (key, time), |entry| entry.0 as u64);
        }
        self.buckets
            .entry(time.div_euclid(self.bucket))
            .or_default()
            .push(key);
        true
    }

    /// Forgets what the watermark has passed.
    pub fn expire(&mut self, watermark: EventTime) {
        while let Some(first) = self.buckets.first_entry() {
            let last_time = first.key().saturating_add(1).saturating_mul(self.bucket);
            if last_time.saturating_add(self.window) > watermark {
                break;
            }
            let bucket = *first.key();
            for key in first.remove() {
                let found = self.table.find_entry(key as u64, |entry| entry.0 == key);
                if let Ok(entry) = found
                    && entry.get().1.div_euclid(self.bucket) == bucket
                {
                    entry.remove();
                }
            }
        }
    }

    /// Appends all keys, for checkpoints.
    pub fn save(&mut self, out: &mut Vec<u8>) {
        put_u64(out, self.table.len() as u64);
        out.reserve(self.table.len() * KEY_BYTES);
        for (key, time) in &self.table {
            out.extend_from_slice(&key.to_le_bytes());
            put_i64(out, *time);
        }
    }

    /// Takes what [`Self::save`] wrote.
    ///
    /// # Errors
    /// The bytes are something else.
    pub fn load(&mut self, saved: &mut Reader<'_>) -> Result<(), StateError> {
        let count = usize::try_from(saved.u64()?).unwrap_or(usize::MAX);
        let all = saved.take(count.saturating_mul(KEY_BYTES))?;
        self.table.reserve(count, |entry| entry.0 as u64);
        let mut keys = Reader::new(all);
        for _ in 0..count {
            let key = u128::from_le_bytes(keys.array()?);
            let time = keys.i64()?;
            self.table
                .insert_unique(key as u64, (key, time), |entry| entry.0 as u64);
            self.buckets
                .entry(time.div_euclid(self.bucket))
                .or_default()
                .push(key);
        }
        Ok(())
    }

    /// Keys remembered now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// True when nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn remembers_exactly_as_long_as_the_window() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..50 {
            let window = random.i64(1..200);
            let mut dedup = Dedup::new(window);
            let mut naive: HashMap<u128, i64> = HashMap::new();
            let mut watermark = 0;
            for _ in 0..2_000 {
                watermark += random.i64(0..3);
                let (key, time) = (u128::from(random.u8(..)), watermark + random.i64(-50..60));
                let repeat = naive
                    .get(&key)
                    .is_some_and(|seen| seen + window > watermark);
                if !repeat {
                    naive.insert(key, time);
                }
                assert_eq!(dedup.insert(key, time, watermark), !repeat);
                if random.u8(..10) == 0 {
                    dedup.expire(watermark);
                }
            }
            dedup.expire(i64::MAX);
            assert!(dedup.is_empty());
        }
    }
}
