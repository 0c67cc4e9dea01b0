//! What saving and restoring windows costs, printed; asserts nothing about time. Run with
//! `cargo test --release -p tidewheel-kernel --test save_rate -- --ignored --nocapture`.

#![allow(clippy::unwrap_used)]

mod window_support;

use arrow::datatypes::DataType;
use std::time::Instant;
use tidewheel_core::time::{MICROS_PER_SECOND, NO_TIME};
use tidewheel_kernel::share::Share;
use tidewheel_kernel::spec::{AggregateKind, AggregateSpec, Emit, SetSpec, WindowKind, WindowSpec};
use tidewheel_kernel::window::{SetId, WindowOperator};
use window_support::*;

const KEYS: u32 = 1_000_000;

#[test]
#[ignore = "prints rates"]
fn a_million_keys_of_hop_30_s_by_5_min_with_count_and_sum() {
    let set = SetSpec {
        filter: None,
        window: WindowSpec {
            kind: WindowKind::Hop {
                slide: 30 * MICROS_PER_SECOND,
                size: 300 * MICROS_PER_SECOND,
            },
            offset: 0,
        },
        emit: Emit::Current,
        aggregates: aggregates(false)[..2].to_vec(),
        retracting: false,
    };
    let mut operator = WindowOperator::new(encoder(), vec![set.clone()]);
    let feed = |operator: &mut WindowOperator, keys: u32, time: i64| {
        for first in (0..keys).step_by(8192) {
            let rows: Vec<Row> = (first..keys.min(first + 8192))
                .map(|key| Row {
                    time,
                    seq: 0,
                    key,
                    value: 1,
                    flags: [true; 3],
                    watermark: NO_TIME,
                    retract: false,
                })
                .collect();
            operator.process(&Batch::new(&rows, 1).input(0, false));
        }
        while operator.advance(time, NO_TIME, 10_000) {}
        while operator.take_changes(SetId(0), 8192, true).is_some() {}
    };
    // Two slices a key.
    feed(&mut operator, KEYS, 30 * MICROS_PER_SECOND);
    feed(&mut operator, KEYS, 90 * MICROS_PER_SECOND);
    let report = |what: &str, start: Instant, keys: u32, bytes: usize| {
        let spent = start.elapsed().as_nanos() as f64;
        println!(
            "{what}: {:.0} ms, {:.0} ns and {:.1} bytes a key",
            spent / 1e6,
            spent / f64::from(keys),
            bytes as f64 / f64::from(keys)
        );
    };
    let mut saved = Vec::new();
    for round in ["first save", "save"] {
        saved.clear();
        let start = Instant::now();
        operator.save(&mut saved);
        report(round, start, KEYS, saved.len());
    }
    let touched = KEYS / 10;
    feed(&mut operator, touched, 91 * MICROS_PER_SECOND);
    let mut changes = Vec::new();
    let start = Instant::now();
    assert!(!operator.save_changed(&mut changes));
    report(
        "save of a tenth that changed",
        start,
        touched,
        changes.len(),
    );
    drop(operator);
    let sets = [(SetId(0), set)];
    for (what, chain) in [
        ("restore", vec![&saved[..]]),
        ("restore with changes", vec![&saved[..], &changes[..]]),
    ] {
        let start = Instant::now();
        let (mut operator, _) =
            WindowOperator::restore(encoder(), &sets, &[chain], &Share::all()).unwrap();
        report(what, start, KEYS, saved.len());
        let start = Instant::now();
        while operator.advance(92 * MICROS_PER_SECOND, NO_TIME, 10_000) {}
        operator.refresh(SetId(0));
        report("  advance and refresh", start, KEYS, 0);
        let stats = operator.stats();
        assert_eq!(stats.keys, u64::from(KEYS));
        assert_eq!(stats.slices, 2 * u64::from(KEYS));
    }
}

/// The state of shoppers who look at products: an hour in slices of a minute, with tallies,
/// changes and values seen, in memory as it came. Of few products, and of very many.
#[test]
#[ignore = "prints rates"]
fn a_hundred_thousand_keys_of_hop_1_min_by_1_hour_with_values_seen() {
    for products in [500, 200_000] {
        println!("{products} products");
        values_seen(products);
    }
}

fn values_seen(products: i64) {
    const SHOPPERS: u32 = 100_000;
    let word = DataType::Utf8View;
    let of = |kind, result| AggregateSpec {
        kind,
        args: vec![4],
        arg_types: vec![word.clone()],
        filter: None,
        result,
    };
    let set = SetSpec {
        filter: None,
        window: WindowSpec {
            kind: WindowKind::Hop {
                slide: 60 * MICROS_PER_SECOND,
                size: 3_600 * MICROS_PER_SECOND,
            },
            offset: 0,
        },
        emit: Emit::Current,
        aggregates: vec![
            of(AggregateKind::Mode, word.clone()),
            of(AggregateKind::CountDistinct, DataType::Int64),
            of(AggregateKind::CountChanges, DataType::Int64),
            of(
                AggregateKind::Last {
                    ignore_nulls: false,
                },
                word.clone(),
            ),
            aggregates(false)[0].clone(),
        ],
        retracting: false,
    };
    let mut random = fastrand::Rng::with_seed(7);
    let mut operator = WindowOperator::new(encoder(), vec![set]);
    for minute in 0..20 {
        for _ in 0..12 {
            let time = minute * 60 * MICROS_PER_SECOND;
            let rows: Vec<Row> = (0..8192)
                .map(|seq| Row {
                    time,
                    seq,
                    key: random.u32(..SHOPPERS),
                    value: random.i64(..products),
                    flags: [true; 3],
                    watermark: NO_TIME,
                    retract: false,
                })
                .collect();
            let product = |row: &Row| Some(format!("product-{}", row.value));
            operator.process(&Batch::with_words(&rows, 1, product).input(0, false));
            while operator.advance(time, NO_TIME, 10_000) {}
            while operator.take_changes(SetId(0), 8192, true).is_some() {}
        }
    }
    let slices = operator.stats().slices;
    let mut saved = Vec::new();
    for round in 0..5 {
        saved.clear();
        let start = Instant::now();
        operator.save(&mut saved);
        let spent = start.elapsed().as_nanos() as f64;
        println!(
            "save {round}: {:.0} ms, {:.0} ns and {:.1} bytes a slice",
            spent / 1e6,
            spent / slices as f64,
            saved.len() as f64 / slices as f64
        );
    }
}
