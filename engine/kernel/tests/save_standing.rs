//! A reader that was ahead: after a crash the state is that of an earlier save, the rows since are
//! read again, in whatever steps, and nothing is read meanwhile. With everything taken for what
//! the reader has, it then ends with what is true, whatever it had.

#![allow(clippy::unwrap_used)]

mod save_support;
mod window_support;

use save_support::*;
use std::collections::BTreeMap;
use tidewheel_core::time::NO_TIME;
use tidewheel_kernel::share::Share;
use tidewheel_kernel::spec::{Emit, SetSpec, WindowKind, WindowSpec};
use tidewheel_kernel::window::{SetId, WindowOperator};
use window_support::*;

type Shown = BTreeMap<u32, Vec<String>>;

fn read(operator: &mut WindowOperator, sets: usize, shown: &mut [Shown]) {
    for (set, shown) in shown.iter_mut().enumerate().take(sets) {
        for (key, _, state, _, _, values) in take(operator, SetId(set as u32), 7, true) {
            if state == "Empty" {
                shown.remove(&key);
            } else {
                shown.insert(key, values);
            }
        }
    }
}

/// A step of what happened: rows, and the time after them.
struct Step {
    batch: Vec<Row>,
    frontier: i64,
    watermark: i64,
}

fn run_case(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let retracting = random.u32(0..4) == 0;
    let aggregates = random_aggregates(&mut random);
    let windows = random_windows(&mut random);
    // Late rows make sessions depend on the order of what is read again.
    let session = !retracting && random.u32(0..3) == 0;
    let sets: Vec<SetSpec> = (0..random.usize(1..4))
        .map(|_| {
            let mut spec = random_set(&mut random, retracting, &aggregates, &windows);
            spec.emit = Emit::Current;
            if session {
                let gap = random.i64(1..15) * UNIT;
                let kind = WindowKind::Session { gap };
                spec.window = WindowSpec { kind, offset: 0 };
            }
            spec
        })
        .filter(|spec| session || !matches!(spec.window.kind, WindowKind::Session { .. }))
        .collect();
    let mut feed = Feed::new(&mut random, retracting);
    let steps: Vec<Step> = (0..random.usize(2..20))
        .map(|_| {
            let batch = feed.batch(&mut random);
            feed.tick(&mut random);
            Step {
                batch,
                frontier: feed.frontier,
                watermark: feed.watermark,
            }
        })
        .collect();
    let mut operator = WindowOperator::new(encoder(), sets.clone());
    let mut shown = vec![Shown::new(); sets.len()];
    let saved_at = random.usize(0..steps.len());
    let crashed_at = random.usize(saved_at..steps.len());
    let mut saved = Vec::new();
    let process = |operator: &mut WindowOperator, batch: &[Row]| {
        operator.process(&Batch::new(batch, 1).input(0, retracting));
    };
    for (at, step) in steps[..=crashed_at].iter().enumerate() {
        if at == saved_at {
            operator.save(&mut saved);
        }
        process(&mut operator, &step.batch);
        while operator.advance(step.frontier, step.watermark, 9) {}
        if random.bool() {
            read(&mut operator, sets.len(), &mut shown);
        }
    }
    let named: Vec<(SetId, SetSpec)> = (0..).map(SetId).zip(sets.clone()).collect();
    let (mut operator, _) =
        WindowOperator::restore(encoder(), &named, &[vec![&saved]], &Share::all()).unwrap();
    let early = random.bool();
    for set in 0..sets.len() as u32 {
        operator.assume_standing(SetId(set), true);
        if early {
            operator.refresh(SetId(set));
        }
    }
    let again = &steps[saved_at..];
    let last = &again[again.len() - 1];
    if !session && random.u32(0..3) == 0 && last.frontier != NO_TIME {
        // Another partition was read first.
        while operator.advance(last.frontier, NO_TIME, 9) {}
    }
    let mut batch: Vec<Row> = Vec::new();
    for step in again {
        batch.extend(step.batch.iter().cloned());
        if random.bool() {
            process(&mut operator, &batch);
            batch.clear();
            if random.bool() {
                while operator.advance(step.frontier, step.watermark, 9) {}
            }
        }
    }
    process(&mut operator, &batch);
    while operator.advance(last.frontier, last.watermark, 9) {}
    for set in 0..sets.len() as u32 {
        operator.refresh(SetId(set));
    }
    read(&mut operator, sets.len(), &mut shown);
    let mut never = WindowOperator::new(encoder(), sets.clone());
    let mut wanted = vec![Shown::new(); sets.len()];
    for step in &steps {
        process(&mut never, &step.batch);
        while never.advance(step.frontier, step.watermark, 9) {}
        read(&mut never, sets.len(), &mut wanted);
    }
    assert_eq!(shown, wanted, "seed {seed} {sets:?}");
    // What is only assumed is forgotten once it was read.
    for set in 0..sets.len() as u32 {
        operator.assume_standing(SetId(set), false);
    }
    for _ in 0..2 {
        feed.head += 100_000 * UNIT;
        while operator.advance(feed.head, feed.head, 99) {}
        read(&mut operator, sets.len(), &mut shown);
    }
    assert!(shown.iter().all(Shown::is_empty), "seed {seed}");
    assert_eq!(operator.stats().keys, 0, "seed {seed}");
}

#[test]
fn a_reader_that_was_ahead_ends_with_what_is_true() {
    let cases: u64 = std::env::var("WINDOW_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(400);
    for seed in 0..cases {
        run_case(seed);
    }
}
