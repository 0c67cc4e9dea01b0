//! Saved bytes that were torn, turned or made up: an error, or an operator that works; never a
//! panic, and never more memory than such bytes can fill.

#![allow(clippy::unwrap_used)]

mod save_support;
mod save_through;
mod window_support;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use save_support::*;
use save_through::Saved;
use std::sync::Arc;
use tidewheel_core::Op;
use tidewheel_kernel::aggregate::StateError;
use tidewheel_kernel::input::Input;
use tidewheel_kernel::keys::KeyEncoder;
use tidewheel_kernel::latest::{LatestInput, LatestOperator};
use tidewheel_kernel::over::{Frame, OverCall, OverFunction, OverOperator};
use tidewheel_kernel::regroup::{RegroupOperator, RegroupSpec};
use tidewheel_kernel::share::Share;
use tidewheel_kernel::spec::{AggregateKind, Emit, SetSpec};
use tidewheel_kernel::topn::{Rank, SortColumn, TopNOperator, TopNSpec};
use tidewheel_kernel::window::{SetId, WindowOperator};
use window_support::*;

/// Tries the bytes cut at every length, with some bits turned, and others in their place.
fn attack(saved: &[u8], random: &mut fastrand::Rng, mut load: impl FnMut(&[u8]) -> bool) {
    assert!(load(saved), "as it was saved");
    let step = 1 + saved.len() / 400;
    for length in (0..saved.len()).step_by(step) {
        assert!(
            !load(&saved[..length]),
            "cut at {length} of {}",
            saved.len()
        );
    }
    for _ in 0..400 {
        let mut turned = saved.to_vec();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(0..turned.len());
            turned[at] = match random.u32(0..3) {
                0 => 0xFF,
                1 => random.u8(..),
                _ => turned[at] ^ (1 << random.u32(0..8)),
            };
        }
        load(&turned);
    }
    for _ in 0..100 {
        let mut made_up: Vec<u8> = (0..random.usize(0..200)).map(|_| random.u8(..)).collect();
        let kept = random.usize(0..40).min(saved.len());
        made_up.splice(0..0, saved[..kept].iter().copied());
        load(&made_up);
    }
}

#[test]
fn windows() {
    for seed in 0..25 {
        let mut random = fastrand::Rng::with_seed(seed);
        let retracting = random.u32(0..4) == 0;
        let aggregates = random_aggregates(&mut random);
        let windows = random_windows(&mut random);
        let sets: Vec<SetSpec> = (0..random.usize(1..4))
            .map(|_| random_set(&mut random, retracting, &aggregates, &windows))
            .collect();
        let mut feed = Feed::new(&mut random, retracting);
        let mut operator = WindowOperator::new(encoder(), sets.clone());
        for _ in 0..4 {
            let batch = feed.batch(&mut random);
            operator.process(&Batch::new(&batch, 1).input(0, retracting));
            operator.advance(feed.frontier, feed.watermark, 3);
        }
        let mut saved = Vec::new();
        operator.save(&mut saved);
        let named: Vec<(SetId, SetSpec)> = (0..).map(SetId).zip(sets.clone()).collect();
        let after = feed.batch(&mut random);
        let mut dice = random.fork();
        attack(&saved, &mut random, |bytes| {
            let restored =
                WindowOperator::restore(encoder(), &named, &[vec![bytes]], &Share::all());
            let Ok((mut operator, _)) = restored else {
                return false;
            };
            operator.advance(feed.frontier, feed.watermark, 5);
            operator.process(&Batch::new(&after, 1).input(0, retracting));
            for end in [feed.head, feed.head + 1000 * UNIT] {
                for _ in 0..50 {
                    operator.advance(end, end, dice.usize(1..50));
                }
                for (id, _) in &named {
                    operator.refresh(*id);
                    for _ in 0..20 {
                        if operator.take_changes(*id, 9, true).is_none() {
                            break;
                        }
                    }
                    operator.take_freed(*id);
                }
            }
            operator.save(&mut Vec::new());
            true
        });
    }
}

/// Attacks an operator's save; `go_on` uses what could be loaded.
fn attack_one<O: Saved>(
    mut operator: O,
    random: &mut fastrand::Rng,
    new: impl Fn() -> O,
    go_on: impl Fn(&mut O),
) {
    let mut saved = Vec::new();
    operator.save(&mut saved);
    attack(&saved, random, |bytes| {
        let mut operator = new();
        if operator.load(&[bytes], &Share::all()).is_err() {
            return false;
        }
        go_on(&mut operator);
        operator.save(&mut Vec::new());
        true
    });
    let mut changes = Vec::new();
    assert!(!operator.save_changed(&mut changes));
    let alone: Result<(), StateError> = new().load(&[&changes], &Share::all());
    assert!(alone.is_err(), "changes of nothing");
}

#[test]
fn groups() {
    let mut random = fastrand::Rng::with_seed(1);
    for case in 0..10 {
        let new = || {
            let spec = RegroupSpec {
                filter: None,
                aggregates: aggregates(true),
                retracting: true,
                state_ttl: (case % 2 == 0).then_some(50 * UNIT),
                window_start: None,
                window_end: None,
                emit: Emit::Current,
            };
            RegroupOperator::new(encoder(), spec)
        };
        let mut feed = Feed::new(&mut random, true);
        let mut operator = new();
        for _ in 0..3 {
            let batch = feed.batch(&mut random);
            operator.process(&Batch::new(&batch, 1).input(0, true));
            operator.advance(feed.frontier, feed.watermark, 2);
        }
        let after = feed.batch(&mut random);
        attack_one(operator, &mut random, new, |operator| {
            operator.process(&Batch::new(&after, 1).input(0, true));
            for _ in 0..50 {
                operator.advance(feed.head + 90 * UNIT, feed.head, 9);
            }
            for _ in 0..20 {
                operator.take_changes(5, true);
            }
            operator.take_freed();
        });
    }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("value", DataType::Int64, true),
        Field::new("key", DataType::Utf8, true),
    ]))
}

fn columns(random: &mut fastrand::Rng, rows: usize) -> Vec<ArrayRef> {
    let value = |random: &mut fastrand::Rng| random.bool().then(|| random.i64(0..5));
    let values: Vec<Option<i64>> = (0..rows).map(|_| value(random)).collect();
    let keys: Vec<String> = (0..rows).map(|_| "ä".repeat(random.usize(0..40))).collect();
    vec![
        Arc::new(Int64Array::from(values)),
        Arc::new(StringArray::from(keys)),
    ]
}

#[test]
fn newest_rows() {
    let mut random = fastrand::Rng::with_seed(2);
    for case in 0..10 {
        let ttl = (case % 2 == 0).then_some(50);
        let new = || LatestOperator::new(schema(), vec![1], ttl).unwrap();
        let feed = |operator: &mut LatestOperator, columns: &[ArrayRef], time: i64| {
            let rows = columns[0].len() as u32;
            let input = LatestInput {
                columns,
                rows: &(0..rows).collect::<Vec<u32>>(),
                time: &(0..i64::from(rows))
                    .map(|row| time + row)
                    .collect::<Vec<_>>(),
                seq: &vec![7; rows as usize],
                retract: Some(&vec![false; rows as usize]),
            };
            operator.process(&input).unwrap();
        };
        let mut operator = new();
        feed(&mut operator, &columns(&mut random, 8), 0);
        operator.take_changes(3).unwrap();
        feed(&mut operator, &columns(&mut random, 8), 9);
        operator.advance(17, 12);
        let after = columns(&mut random, 5);
        attack_one(operator, &mut random, new, |operator| {
            operator.take_changes(2).unwrap();
            feed(operator, &after, 20);
            operator.advance(1_000, 900);
            while operator.take_changes(9).unwrap().is_some() {}
        });
    }
}

#[test]
fn over() {
    let mut random = fastrand::Rng::with_seed(3);
    for case in 0..10 {
        let aggregate = |kind| OverFunction::Aggregate(spec(kind, vec![0], None, DataType::Int64));
        let lag = |ignore_nulls| OverFunction::Lag {
            column: 0,
            offset: 2,
            ignore_nulls,
        };
        let frames = [
            Frame::Unbounded { peers: true },
            Frame::Rows { preceding: 2 },
            Frame::Range { preceding: 5 },
        ];
        let calls: Vec<OverCall> = [
            aggregate(AggregateKind::Sum),
            aggregate(AggregateKind::Max),
            lag(case % 2 == 0),
        ]
        .into_iter()
        .zip(frames)
        .map(|(function, frame)| OverCall { function, frame })
        .collect();
        let mut fields: Vec<Arc<Field>> = schema().fields().iter().cloned().collect();
        for call in ["a", "b", "c"] {
            fields.push(Arc::new(Field::new(call, DataType::Int64, true)));
        }
        let types = vec![DataType::Int64, DataType::Utf8];
        let output = Arc::new(Schema::new(fields));
        let new = || OverOperator::new(types.clone(), Arc::clone(&output), &calls).unwrap();
        let feed = |operator: &mut OverOperator, columns: &[ArrayRef], time: i64| {
            let rows = columns[0].len();
            let encoder = KeyEncoder::new(&[DataType::Utf8]).unwrap();
            let input = Input {
                keys: &encoder.encode(&columns[1..], rows).unwrap(),
                rows: &(0..rows as u32).collect::<Vec<_>>(),
                time: &(0..rows as i64).map(|row| time + row).collect::<Vec<_>>(),
                seq: &vec![7; rows],
                watermark: &vec![time - 4; rows],
                columns,
                retract: None,
            };
            operator.process(&input).unwrap();
        };
        let mut operator = new();
        for batch in 0..4 {
            feed(&mut operator, &columns(&mut random, 8), batch * 6);
        }
        let after = columns(&mut random, 5);
        attack_one(operator, &mut random, new, |operator| {
            feed(operator, &after, 30);
            operator.advance(1_000).unwrap();
        });
    }
}

#[test]
fn top_n() {
    let mut random = fastrand::Rng::with_seed(4);
    for case in 0..10 {
        let new = || {
            let spec = TopNSpec {
                identity: vec![1],
                partition: vec![0],
                order: vec![SortColumn {
                    column: 1,
                    descending: true,
                    nulls_first: false,
                }],
                limit: 2,
                rank: [Rank::Column, Rank::Unused, Rank::Key][case % 3],
                window_end: None,
            };
            TopNOperator::new(schema(), spec).unwrap()
        };
        let feed = |operator: &mut TopNOperator, columns: Vec<ArrayRef>, op: Op| {
            let ops = vec![op; columns[0].len()];
            let batch = RecordBatch::try_new(schema(), columns).unwrap();
            operator.process(&batch, &ops, None).unwrap();
        };
        let mut operator = new();
        feed(&mut operator, columns(&mut random, 9), Op::Upsert);
        operator.take_changes(4).unwrap();
        feed(&mut operator, columns(&mut random, 9), Op::Upsert);
        feed(&mut operator, columns(&mut random, 3), Op::Delete);
        let after = columns(&mut random, 5);
        attack_one(operator, &mut random, new, |operator| {
            operator.take_changes(1).unwrap();
            feed(operator, after.clone(), Op::Upsert);
            feed(operator, after.clone(), Op::Delete);
            operator.advance(1_000);
            operator.refresh();
            while operator.take_changes(9).unwrap().is_some() {}
        });
    }
}
