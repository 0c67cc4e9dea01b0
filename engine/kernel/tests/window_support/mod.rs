//! The naive oracle that the window kernel is held against, and what its tests share.
//!
//! The oracle keeps raw rows, enumerates every window by its definition and adds up what is in
//! each. It knows no slices, no timers and no batches.

#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

pub mod oracle;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, StringViewArray};
use arrow::datatypes::{DataType, Int64Type};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidewheel_kernel::change::Changes;
use tidewheel_kernel::input::Input;
use tidewheel_kernel::keys::{KeyEncoder, Keys, shard_of};
use tidewheel_kernel::spec::{AggregateKind, AggregateSpec, WindowKind, WindowSpec};

/// All times of the tests are multiples of this: a millisecond, so that windows are as fine as
/// the distance between an end and the watermark that closes it.
pub const UNIT: i64 = 1_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub time: i64,
    pub seq: u64,
    pub key: u32,
    pub value: i64,
    /// The filter columns: 0 and 1 for sets, 2 for an aggregate.
    pub flags: [bool; 3],
    pub watermark: i64,
    pub retract: bool,
}

/// Columns: 0 = value, 1..=3 = flags, 4 = the value's [`word`].
pub struct Batch {
    pub keys: Keys,
    time: Vec<i64>,
    seq: Vec<u64>,
    watermark: Vec<i64>,
    columns: Vec<ArrayRef>,
    retract: Vec<bool>,
    rows_of: Vec<Vec<u32>>,
}

pub fn encoder() -> KeyEncoder {
    KeyEncoder::new(&[DataType::Utf8View]).unwrap()
}

impl Batch {
    pub fn new(rows: &[Row], shards: u32) -> Self {
        Self::with_words(rows, shards, word)
    }

    /// Column 4 holds other texts than [`word`]s.
    pub fn with_words(rows: &[Row], shards: u32, word: impl Fn(&Row) -> Option<String>) -> Self {
        let names: ArrayRef = Arc::new(StringViewArray::from_iter_values(
            rows.iter().map(|r| format!("k{}", r.key)),
        ));
        let keys = encoder().encode(&[names], rows.len()).unwrap();
        let mut rows_of = vec![Vec::new(); shards as usize];
        for row in 0..rows.len() {
            rows_of[shard_of(keys.hash(row), shards) as usize].push(row as u32);
        }
        let mut columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from_iter_values(
            rows.iter().map(|r| r.value),
        ))];
        for flag in 0..3 {
            // A filter that is NULL is not true.
            let flags = rows
                .iter()
                .map(|r| (r.flags[flag] || r.seq % 2 == 0).then_some(r.flags[flag]));
            columns.push(Arc::new(BooleanArray::from_iter(flags)));
        }
        columns.push(Arc::new(StringViewArray::from_iter(rows.iter().map(&word))));
        Self {
            keys,
            time: rows.iter().map(|r| r.time).collect(),
            seq: rows.iter().map(|r| r.seq).collect(),
            watermark: rows.iter().map(|r| r.watermark).collect(),
            columns,
            retract: rows.iter().map(|r| r.retract).collect(),
            rows_of,
        }
    }

    pub fn input(&self, shard: usize, retracting: bool) -> Input<'_> {
        Input {
            keys: &self.keys,
            rows: &self.rows_of[shard],
            time: &self.time,
            seq: &self.seq,
            watermark: &self.watermark,
            columns: &self.columns,
            retract: retracting.then_some(&self.retract[..]),
        }
    }
}

/// One of a few texts, or NULL: so that values come again, in other slices and late.
pub fn word(row: &Row) -> Option<String> {
    let word = row.value.rem_euclid(9);
    (word > 0).then(|| format!("a word of some length {word}"))
}

/// COUNT(*), SUM(value), COUNT(*) FILTER (flag 2), COUNT(DISTINCT value), COUNT(DISTINCT word)
/// FILTER (flag 2), and without retraction MAX(value).
pub fn aggregates(retracting: bool) -> Vec<AggregateSpec> {
    let spec = |kind: AggregateKind, args: Vec<usize>, filter| AggregateSpec {
        kind,
        arg_types: args.iter().map(|&arg| type_of(arg)).collect(),
        args,
        filter,
        result: DataType::Int64,
    };
    let mut list = vec![
        spec(AggregateKind::Count, vec![], None),
        spec(AggregateKind::Sum, vec![0], None),
        spec(AggregateKind::Count, vec![], Some(3)),
        spec(AggregateKind::CountDistinct, vec![0], None),
        spec(AggregateKind::CountDistinct, vec![4], Some(3)),
    ];
    if !retracting {
        list.push(spec(AggregateKind::Max, vec![0], None));
    }
    list
}

fn type_of(column: usize) -> DataType {
    match column {
        4 => DataType::Utf8View,
        _ => DataType::Int64,
    }
}

pub type Values = Vec<Option<i64>>;

/// The aggregates over some rows; `None` over no rows.
pub fn values(rows: &[&Row], retracting: bool) -> Option<Values> {
    let sign = |row: &&Row| if row.retract { -1 } else { 1 };
    let count: i64 = rows.iter().map(sign).sum();
    if count == 0 {
        return None;
    }
    let mut list = vec![
        Some(count),
        Some(rows.iter().map(|row| sign(row) * row.value).sum()),
        Some(rows.iter().filter(|row| row.flags[2]).map(sign).sum()),
        Some(distinct(
            rows.iter().map(|row| (Some(row.value), sign(row))),
        )),
        Some(distinct(
            rows.iter()
                .filter(|row| row.flags[2])
                .map(|row| (word(row), sign(row))),
        )),
    ];
    if !retracting {
        list.push(rows.iter().map(|row| row.value).max());
    }
    Some(list)
}

/// How many values are there more often than they were taken back.
fn distinct<T: Ord>(values: impl Iterator<Item = (Option<T>, i64)>) -> i64 {
    let mut counts: BTreeMap<T, i64> = BTreeMap::new();
    for (value, sign) in values {
        if let Some(value) = value {
            *counts.entry(value).or_default() += sign;
        }
    }
    counts.values().filter(|count| **count > 0).count() as i64
}

/// All windows that hold `time`, by trying those around it.
pub fn windows_of(spec: &WindowSpec, time: i64) -> Vec<(i64, i64)> {
    let mut found = Vec::new();
    let (every, size, step) = match spec.kind {
        WindowKind::Tumble { size } => (size, size, size),
        WindowKind::Hop { slide, size } => (slide, size, size),
        WindowKind::Cumulate { step, size } => (size, size, step),
        WindowKind::Session { .. } => unreachable!(),
    };
    let near = (time - spec.offset) / every;
    let reach = size / every + 2;
    for k in near - reach..=near + reach {
        let start = k * every + spec.offset;
        let mut end = start + step;
        while end <= start + size {
            if start <= time && time < end {
                found.push((start, end));
            }
            end += step;
        }
    }
    found
}

/// The window that is current at `now`, by trying those around it.
pub fn current_window(spec: &WindowSpec, now: i64) -> (i64, i64) {
    if let WindowKind::Cumulate { .. } = spec.kind {
        return windows_of(spec, now)
            .into_iter()
            .min_by_key(|window| window.1)
            .unwrap();
    }
    let (slide, size) = match spec.kind {
        WindowKind::Tumble { size } => (size, size),
        WindowKind::Hop { slide, size } => (slide, size),
        _ => unreachable!(),
    };
    let near = (now - spec.offset - size) / slide;
    (near - 3..=near + 3)
        .map(|k| (k * slide + spec.offset, k * slide + spec.offset + size))
        .filter(|window| window.1 > now)
        .min_by_key(|window| window.1)
        .unwrap()
}

pub fn key_of(changes: &Changes, row: usize) -> u32 {
    changes.keys[0].as_string_view().value(row)[1..]
        .parse()
        .unwrap()
}

pub fn values_of(changes: &Changes, row: usize) -> Values {
    let read = |array: &ArrayRef| {
        let array = array.as_primitive::<Int64Type>();
        array.is_valid(row).then(|| array.value(row))
    };
    changes.aggregates.iter().map(read).collect()
}

pub fn random_window(random: &mut fastrand::Rng) -> WindowSpec {
    let step = random.i64(1..12) * UNIT;
    let kind = match random.u32(0..8) {
        0 => WindowKind::Tumble { size: step },
        1 | 2 => WindowKind::Cumulate {
            step,
            size: step * random.i64(1..6),
        },
        // Many slices: the tree is used.
        3 => WindowKind::Hop {
            slide: UNIT,
            size: random.i64(60..400) * UNIT,
        },
        _ => WindowKind::Hop {
            slide: step,
            size: random.i64(1..40) * UNIT,
        },
    };
    WindowSpec {
        kind,
        offset: random.i64(-30..30) * UNIT,
    }
}

/// Tells slots apart: a slot belongs to one key until it is freed.
#[derive(Debug, Default)]
pub struct SlotCheck(BTreeMap<u32, u32>);

impl SlotCheck {
    pub fn seen(&mut self, slot: u32, key: u32) {
        assert_eq!(
            *self.0.entry(slot).or_insert(key),
            key,
            "slot {slot} used again too early"
        );
    }

    pub fn freed(&mut self, slots: &[u32]) {
        for slot in slots {
            self.0.remove(slot);
        }
    }
}
