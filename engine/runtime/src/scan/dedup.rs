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
    /// What readings of history have seen that joined this one. They are asked, not copied, so that
    /// a join takes no time, and go once the watermark has passed all that is in them.
    joined: Vec<Dedup>,
    /// What came since the last save; `None`: the next one is whole.
    fresh: Option<Vec<(u128, EventTime)>>,
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
            joined: Vec::new(),
            fresh: None,
        }
    }

    /// Remembers from here on what another reading of the same table has seen, too.
    pub fn join(&mut self, mut other: Dedup) {
        self.joined.append(&mut other.joined);
        self.joined.push(other);
        self.fresh = None;
    }

    fn remembers(&self, key: u128, watermark: EventTime) -> bool {
        let found = self.table.find(key as u64, |entry| entry.0 == key);
        found.is_some_and(|entry| entry.1.saturating_add(self.window) > watermark)
    }

    /// Remembers a key; false when it was remembered already (the row is a repeat).
    pub fn insert(&mut self, key: u128, time: EventTime, watermark: EventTime) -> bool {
        let mut joined = self.joined.iter();
        if joined.any(|other| other.remembers(key, watermark)) {
            return false;
        }
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
        self.note(key, time);
        if let Some(fresh) = &mut self.fresh {
            if fresh.len() < self.table.len() {
                fresh.push((key, time));
            } else {
                // All is no more than that.
                self.fresh = None;
            }
        }
        true
    }

    fn note(&mut self, key: u128, time: EventTime) {
        let bucket = self.buckets.entry(time.div_euclid(self.bucket));
        bucket.or_default().push(key);
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
        self.joined.retain_mut(|other| {
            other.expire(watermark);
            !other.is_empty()
        });
    }

    /// How many bytes [`Self::save`] appends.
    pub fn saved_bytes(&self, full: bool) -> usize {
        let fresh = self.fresh.as_ref().filter(|_| !full);
        size_of::<u64>() + fresh.map_or(self.len(), Vec::len) * KEY_BYTES
    }

    /// Appends keys, for checkpoints: all where it is to be `full` or no save was before, else those
    /// that came since. True if it was all.
    pub fn save(&mut self, full: bool, out: &mut Vec<u8>) -> bool {
        out.reserve(self.saved_bytes(full));
        let put = |out: &mut Vec<u8>, (key, time): &(u128, EventTime)| {
            out.extend_from_slice(&key.to_le_bytes());
            put_i64(out, *time);
        };
        let mut fresh = self.fresh.take().filter(|_| !full);
        let whole = fresh.is_none();
        if let Some(fresh) = &mut fresh {
            put_u64(out, fresh.len() as u64);
            fresh.drain(..).for_each(|entry| put(out, &entry));
        } else {
            put_u64(out, self.len() as u64);
            let joined = self.joined.iter().flat_map(|other| &other.table);
            let all = self.table.iter().chain(joined);
            all.for_each(|entry| put(out, entry));
        }
        self.fresh = Some(fresh.unwrap_or_default());
        whole
    }

    /// Takes what [`Self::save`] wrote; of several saves one after the other, in any order.
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
            // A key stands there twice where another reading had joined.
            match self.table.find_mut(key as u64, |entry| entry.0 == key) {
                Some(known) if known.1 >= time => continue,
                Some(known) => known.1 = time,
                None => {
                    self.table
                        .insert_unique(key as u64, (key, time), |entry| entry.0 as u64);
                }
            }
            self.note(key, time);
        }
        Ok(())
    }

    /// Keys remembered now; one that another reading has seen too counts twice.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len() + self.joined.iter().map(Self::len).sum::<usize>()
    }

    /// True when nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty() && self.joined.is_empty()
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

    #[test]
    fn saves_of_what_came_since_hold_all_together() {
        let mut random = fastrand::Rng::with_seed(9);
        let mut increments = 0;
        for _ in 0..50 {
            let window = random.i64(50..2_000);
            let (mut one, mut watermark) = (Dedup::new(window), 0);
            let mut saves: Vec<Vec<u8>> = Vec::new();
            for _ in 0..2_000 {
                watermark += random.i64(0..3);
                let (key, time) = (
                    u128::from(random.u16(..500)),
                    watermark + random.i64(-50..60),
                );
                one.insert(key, time, watermark);
                if random.u8(..10) == 0 {
                    one.expire(watermark);
                }
                if random.u8(..30) > 0 {
                    continue;
                }
                let full = random.u8(..10) == 0;
                let (mut bytes, wanted) = (Vec::new(), one.saved_bytes(full));
                if one.save(full, &mut bytes) {
                    saves.clear();
                } else {
                    increments += 1;
                }
                assert_eq!(bytes.len(), wanted);
                saves.push(bytes);
                let mut other = Dedup::new(window);
                for bytes in &saves {
                    other.load(&mut Reader::new(bytes)).expect("loads");
                }
                for key in 0..500 {
                    assert_eq!(
                        one.remembers(key, watermark),
                        other.remembers(key, watermark)
                    );
                }
                if random.bool() {
                    one = other;
                    saves.clear();
                }
            }
        }
        assert!(increments > 100);
    }

    #[test]
    fn what_joined_is_remembered_as_if_it_had_been_seen_here() {
        let mut random = fastrand::Rng::with_seed(8);
        for _ in 0..50 {
            let window = random.i64(1..200);
            let mut one = Dedup::new(window);
            let mut history = Dedup::new(window);
            let mut live = Dedup::new(window);
            let mut watermark = 0;
            let mut events: Vec<(u128, i64)> = Vec::new();
            for step in 0..900 {
                watermark += random.i64(0..3);
                if events.is_empty() || random.bool() {
                    events.push((events.len() as u128, watermark + random.i64(-50..60)));
                }
                let oldest = events.len().saturating_sub(60);
                let (key, time) = events[random.usize(oldest..events.len())];
                let first = one.insert(key, time, watermark);
                match step {
                    // The live reading began later, and both have seen the rows in between.
                    ..300 => assert_eq!(history.insert(key, time, watermark), first),
                    300..600 => {
                        live.insert(key, time, watermark);
                        assert_eq!(history.insert(key, time, watermark), first);
                    }
                    600 => {
                        live.join(std::mem::replace(&mut history, Dedup::new(window)));
                        let mut bytes = Vec::new();
                        // All of it, though what came since a save would be less.
                        assert!(live.save(random.bool(), &mut bytes));
                        if random.bool() {
                            live = Dedup::new(window);
                            live.load(&mut Reader::new(&bytes)).expect("loads");
                        }
                        assert_eq!(live.insert(key, time, watermark), first);
                    }
                    _ => assert_eq!(live.insert(key, time, watermark), first),
                }
                if random.u8(..10) == 0 {
                    live.expire(watermark);
                }
            }
            live.expire(i64::MAX);
            assert!(live.is_empty());
        }
    }
}
