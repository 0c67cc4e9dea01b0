//! Rates and memory of the window kernel, printed; asserts nothing about time. Run with
//! `cargo test --release -p tidewheel-kernel --test window_rate -- --ignored --nocapture`.

#![allow(clippy::unwrap_used)]

mod window_support;

use arrow::datatypes::DataType;
use std::time::Instant;
use tidewheel_core::time::{MICROS_PER_SECOND, NO_TIME};
use tidewheel_kernel::spec::{AggregateKind, AggregateSpec, Emit, SetSpec, WindowKind, WindowSpec};
use tidewheel_kernel::window::{SetId, WindowOperator};
use window_support::*;

const BATCH: usize = 4096;
const HOUR: i64 = 3600 * MICROS_PER_SECOND;

fn hop(slide: i64, size: i64) -> SetSpec {
    SetSpec {
        filter: None,
        window: WindowSpec {
            kind: WindowKind::Hop { slide, size },
            offset: 0,
        },
        emit: Emit::Current,
        aggregates: aggregates(false)[..2].to_vec(),
        retracting: false,
    }
}

/// Nanoseconds an event for `events` events over `keys` keys in `span` of event time, each with
/// one of `values` values, read after each batch.
fn rate(sets: Vec<SetSpec>, keys: u32, events: usize, span: i64, values: i64) -> f64 {
    let mut random = fastrand::Rng::with_seed(1);
    let count = sets.len() as u32;
    let mut operator = WindowOperator::new(encoder(), sets);
    let mut spent = std::time::Duration::ZERO;
    let mut changes = 0;
    for batch in 0..events / BATCH {
        let rows: Vec<Row> = (0..BATCH)
            .map(|at| Row {
                time: (batch * BATCH + at) as i64 * (span / events as i64),
                seq: at as u64,
                key: random.u32(0..keys),
                value: random.i64(0..values),
                flags: [true; 3],
                watermark: NO_TIME,
                retract: false,
            })
            .collect();
        let prepared = Batch::new(&rows, 1);
        let start = Instant::now();
        operator.process(&prepared.input(0, false));
        let frontier = rows.last().unwrap().time;
        while operator.advance(frontier, NO_TIME, 10_000) {}
        for set in 0..count {
            while let Some(taken) = operator.take_changes(SetId(set), BATCH, true) {
                changes += taken.slots.len();
            }
            operator.take_freed(SetId(set));
        }
        spent += start.elapsed();
    }
    let stats = operator.stats();
    let each = spent.as_nanos() as f64 / events as f64;
    println!(
        "    {each:.0} ns an event, {:.1} changes an event, {} slices, {} MB, {} bytes a key",
        changes as f64 / events as f64,
        stats.slices,
        stats.state_bytes >> 20,
        stats.state_bytes / stats.keys.max(1)
    );
    each
}

#[test]
#[ignore = "prints rates"]
fn rates() {
    let second = MICROS_PER_SECOND;
    for (keys, span) in [
        (1_000, 24 * HOUR),
        (1_000, 600 * second),
        (100_000, 2 * HOUR),
    ] {
        println!("{keys} keys, 2 million events in {} s", span / second);
        println!("  HOP(1 s, 1 min)");
        let short = rate(vec![hop(second, 60 * second)], keys, 2_000_000, span, 100);
        println!("  HOP(1 s, 24 h)");
        let long = rate(vec![hop(second, 24 * HOUR)], keys, 2_000_000, span, 100);
        println!("  ratio {:.2}", long / short);
        println!("  5 min, 1 h, 24 h sharing slices");
        let sets = vec![
            hop(30 * second, 300 * second),
            hop(60 * second, HOUR),
            hop(60 * second, 24 * HOUR),
        ];
        rate(sets, keys, 2_000_000, span, 100);
    }
}

#[test]
#[ignore = "prints rates"]
fn rates_of_distinct_counts() {
    let second = MICROS_PER_SECOND;
    let distinct = |args: Vec<usize>, size: i64| SetSpec {
        aggregates: vec![AggregateSpec {
            kind: AggregateKind::CountDistinct,
            arg_types: vec![if args == [4] {
                DataType::Utf8View
            } else {
                DataType::Int64
            }],
            args,
            filter: None,
            result: DataType::Int64,
        }],
        ..hop(30 * second, size)
    };
    for (keys, span, values) in [
        (1_000, 48 * HOUR, 5),
        (1_000, 48 * HOUR, 200),
        (100_000, 2 * HOUR, 5),
        (10, HOUR, 100_000),
    ] {
        println!(
            "{keys} keys, 1 million events in {} s, {values} values",
            span / second
        );
        println!("  HOP(30 s, 24 h), integers");
        rate(
            vec![distinct(vec![0], 24 * HOUR)],
            keys,
            1_000_000,
            span,
            values,
        );
        println!("  HOP(30 s, 24 h), text (of 8 words)");
        rate(
            vec![distinct(vec![4], 24 * HOUR)],
            keys,
            1_000_000,
            span,
            values,
        );
        println!("  HOP(30 s, 5 min), integers");
        rate(
            vec![distinct(vec![0], 300 * second)],
            keys,
            1_000_000,
            span,
            values,
        );
        println!("  5 min, 1 h, 12 h, 24 h sharing slices, integers");
        let sizes = [300 * second, HOUR, 12 * HOUR, 24 * HOUR];
        let sets = sizes.map(|size| distinct(vec![0], size)).to_vec();
        rate(sets, keys, 1_000_000, span, values);
    }
}

#[test]
#[ignore = "prints memory"]
fn memory_of_a_million_keys() {
    let minute = 60 * MICROS_PER_SECOND;
    let mut operator = WindowOperator::new(encoder(), vec![hop(minute, 60 * minute)]);
    let keys = 1_000_000;
    for minutes in 0..2 {
        for first in (0..keys).step_by(10_000) {
            let rows: Vec<Row> = (first..first + 10_000)
                .map(|key| Row {
                    time: minutes * minute,
                    seq: 0,
                    key,
                    value: 1,
                    flags: [true; 3],
                    watermark: NO_TIME,
                    retract: false,
                })
                .collect();
            operator.process(&Batch::new(&rows, 1).input(0, false));
            operator.advance(minutes * minute, NO_TIME, usize::MAX);
            while operator.take_changes(SetId(0), 10_000, true).is_some() {}
        }
    }
    let stats = operator.stats();
    println!(
        "{} bytes a key with 2 slices of COUNT and SUM",
        stats.state_bytes / stats.keys
    );
}
