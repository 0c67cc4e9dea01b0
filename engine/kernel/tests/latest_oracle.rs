//! The newest-row operator against a naive one that sorts all rows after each step.

#![allow(clippy::unwrap_used, clippy::result_large_err, reason = "a test")]

mod save_through;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use proptest::prelude::*;
use save_through::Saves;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidewheel_core::time::NO_TIME;
use tidewheel_kernel::change::RowState;
use tidewheel_kernel::latest::{LatestInput, LatestOperator};

/// key, value, time, seq.
type Row = (String, i64, i64, u64);

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("value", DataType::Int64, false),
        Field::new("key", DataType::Utf8, false),
    ]))
}

fn feed(operator: &mut LatestOperator, rows: &[Row], retract: Option<&[bool]>) {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.1))),
        Arc::new(StringArray::from_iter_values(
            rows.iter().map(|r| r.0.as_str()),
        )),
    ];
    let time: Vec<i64> = rows.iter().map(|r| r.2).collect();
    let seq: Vec<u64> = rows.iter().map(|r| r.3).collect();
    let all: Vec<u32> = (0..rows.len() as u32).collect();
    // In two halves, so that rows of a batch are left for others.
    let (left, right) = all.split_at(all.len() / 2);
    for rows in [left, right] {
        operator
            .process(&LatestInput {
                columns: &columns,
                rows,
                time: &time,
                seq: &seq,
                retract,
            })
            .unwrap();
    }
}

/// Applies all changes to what a reader holds: value and when it ends, by key.
fn read(operator: &mut LatestOperator, reader: &mut BTreeMap<String, (i64, i64)>) {
    while let Some(changes) = operator.take_changes(3).unwrap() {
        assert!(changes.slots.len() <= 3);
        let keys = changes.keys[0].as_string::<i32>();
        let values = changes.aggregates[0].as_primitive::<Int64Type>();
        assert_eq!(changes.aggregates[1].as_string::<i32>(), keys);
        for at in 0..changes.slots.len() {
            let key = keys.value(at).to_owned();
            match changes.states[at] {
                RowState::Live => {
                    let new = (values.value(at), changes.empty_at[at]);
                    reader.insert(key, new);
                }
                RowState::Empty => {
                    assert!(values.is_null(at));
                    assert!(reader.remove(&key).is_some(), "an unseen key cannot end");
                }
            }
        }
    }
}

fn oracle(rows: &[Row], state_ttl: Option<i64>, frontier: i64) -> BTreeMap<String, (i64, i64)> {
    let mut rows = rows.to_vec();
    rows.sort_by_key(|row| (row.2, row.3));
    let mut out = BTreeMap::new();
    for (key, value, time, _) in rows {
        let end = time + state_ttl.unwrap_or(0);
        out.insert(key, (value, end));
    }
    // Without a time to live, the end is only what a reader counts its own from.
    out.retain(|_, (_, end)| state_ttl.is_none() || *end > frontier);
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_newest_row_stays_whatever_came_first(
        arrivals in prop::collection::vec(("[a-d]", 0..50i64), 0..60),
        sizes in prop::collection::vec(1..8usize, 1..20),
        state_ttl in prop::option::of(1..30i64),
        seed: u64,
    ) {
        // Each row has a value and a seq of its own; several share a time.
        let rows: Vec<Row> = arrivals.into_iter().enumerate()
            .map(|(at, (key, time))| (key, at as i64, time, (at as u64 * 7) % 61))
            .collect();
        let new = || LatestOperator::new(schema(), vec![1], state_ttl).unwrap();
        let mut operator = new();
        // What time alone did may be told again after saves of changes.
        let mut saves = Saves::new(seed, state_ttl.is_none());
        let mut reader = BTreeMap::new();
        let (mut done, mut sizes) = (0, sizes.into_iter().cycle());
        let mut frontier = NO_TIME;
        while done < rows.len() {
            let upto = (done + sizes.next().unwrap()).min(rows.len());
            feed(&mut operator, &rows[done..upto], None);
            frontier = rows[..upto].iter().map(|row| row.2).max().unwrap();
            saves.step(&mut operator, new);
            operator.advance(frontier, NO_TIME);
            saves.step(&mut operator, new);
            // Several batches may pass before anybody reads.
            if upto % 3 > 0 {
                read(&mut operator, &mut reader);
                prop_assert_eq!(&reader, &oracle(&rows[..upto], state_ttl, frontier));
            }
            done = upto;
        }
        read(&mut operator, &mut reader);
        prop_assert_eq!(&reader, &oracle(&rows, state_ttl, frontier));
        prop_assert_eq!(operator.stats().keys, reader.len() as u64);
        operator.advance(10_000, NO_TIME);
        read(&mut operator, &mut reader);
        if state_ttl.is_some() {
            prop_assert!(reader.is_empty());
            prop_assert_eq!(operator.stats().keys, 0);
        }
    }

    /// Rows that the watermark has not passed are taken back at random.
    #[test]
    fn rows_taken_back_uncover_the_one_before(
        steps in prop::collection::vec(("[a-c]", 0..12i64, prop::bool::weighted(0.4), 0..4i64), 0..80),
        state_ttl in prop::option::of(5..60i64),
        seed: u64,
    ) {
        let new = || LatestOperator::new(schema(), vec![1], state_ttl).unwrap();
        let mut operator = new();
        // What time alone did may be told again after saves of changes.
        let mut saves = Saves::new(seed, state_ttl.is_none());
        let mut reader = BTreeMap::new();
        let mut rows: Vec<Row> = Vec::new();
        let (mut watermark, mut frontier) = (0, 0);
        for (at, (key, ahead, take_back, moved)) in steps.into_iter().enumerate() {
            let open = rows.iter().position(|row| row.0 == key && row.2 > watermark);
            if let (true, Some(open)) = (take_back, open) {
                let row = rows.remove(open);
                feed(&mut operator, &[row], Some(&[true]));
            } else {
                let row = (key, at as i64, watermark + 1 + ahead, at as u64);
                feed(&mut operator, std::slice::from_ref(&row), Some(&[false]));
                frontier = frontier.max(row.2);
                rows.push(row);
            }
            watermark += moved;
            saves.step(&mut operator, new);
            operator.advance(frontier, watermark);
            read(&mut operator, &mut reader);
            prop_assert_eq!(&reader, &oracle(&rows, state_ttl, frontier));
        }
        // Of the operator since its last restore.
        prop_assert_eq!(operator.stats().unknown_retractions, 0);
    }
}

#[test]
fn rows_that_the_watermark_passed_are_not_kept() {
    let mut operator = LatestOperator::new(schema(), vec![1], None).unwrap();
    for time in 0..1_000 {
        feed(
            &mut operator,
            &[("a".into(), time, time, 0)],
            Some(&[false]),
        );
        operator.advance(time, time - 10);
    }
    assert!(
        operator.stats().state_bytes < 1_000,
        "{}",
        operator.stats().state_bytes
    );
}

#[test]
fn the_same_row_again_is_no_change_but_an_equal_newer_one_moves_the_end() {
    let mut operator = LatestOperator::new(schema(), vec![1], Some(10)).unwrap();
    let mut row: Row = ("a".into(), 1, 5, 5);
    feed(&mut operator, std::slice::from_ref(&row), None);
    assert_eq!(operator.take_changes(9).unwrap().unwrap().empty_at, [15]);
    feed(&mut operator, std::slice::from_ref(&row), None);
    assert!(operator.take_changes(9).unwrap().is_none());
    row.2 = 6;
    feed(&mut operator, &[row], None);
    let changes = operator.take_changes(9).unwrap().unwrap();
    assert_eq!((changes.empty_at, changes.urgent), (vec![16], vec![true]));
    operator.advance(16, NO_TIME);
    let changes = operator.take_changes(9).unwrap().unwrap();
    assert_eq!(
        (changes.states, changes.urgent),
        (vec![RowState::Empty], vec![false])
    );
}

#[test]
fn a_key_that_the_reader_may_have_is_told_gone() {
    let mut operator = LatestOperator::new(schema(), vec![1], Some(10)).unwrap();
    operator.advance(100, NO_TIME);
    operator.assume_standing(true);
    // One comes too late to count, one comes and ends between two reads, one stays.
    let rows: [Row; 3] = [
        ("late".into(), 1, 50, 0),
        ("ends".into(), 2, 95, 0),
        ("stays".into(), 3, 105, 0),
    ];
    feed(&mut operator, &rows, None);
    operator.advance(106, NO_TIME);
    let changes = operator.take_changes(9).unwrap().unwrap();
    let told: BTreeMap<&str, RowState> = changes.keys[0]
        .as_string::<i32>()
        .iter()
        .flatten()
        .zip(changes.states.iter().copied())
        .collect();
    let wanted = [
        ("ends", RowState::Empty),
        ("late", RowState::Empty),
        ("stays", RowState::Live),
    ];
    assert_eq!(told, BTreeMap::from(wanted));
    assert!(operator.take_changes(9).unwrap().is_none());
    assert_eq!(operator.stats().keys, 1);
}
