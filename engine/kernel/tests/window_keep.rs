//! `on-empty = keep`: the value of the last window with rows stays, also of a key that came and
//! went between two reads.

#![allow(clippy::unwrap_used)]

mod window_support;

use std::collections::BTreeMap;
use tidewheel_core::time::NO_TIME;
use tidewheel_kernel::change::RowState;
use tidewheel_kernel::spec::{Emit, SetSpec};
use tidewheel_kernel::window::{SetId, WindowOperator};
use window_support::*;

/// For each key the values of the last window with rows, of those that have been current by `now`.
fn expected(accepted: &[Row], spec: &SetSpec, now: i64) -> BTreeMap<u32, Values> {
    let end = current_window(&spec.window, now).1;
    let mut last: BTreeMap<u32, (i64, i64)> = BTreeMap::new();
    for row in accepted {
        let windows = windows_of(&spec.window, row.time).into_iter();
        for (start, of_row) in windows.filter(|window| window.1 <= end) {
            let known = last.entry(row.key).or_insert((start, of_row));
            if of_row > known.1 {
                *known = (start, of_row);
            }
        }
    }
    last.into_iter()
        .map(|(key, (start, end))| {
            let inside: Vec<&Row> = accepted
                .iter()
                .filter(|row| row.key == key && start <= row.time && row.time < end)
                .collect();
            (key, values(&inside, false).unwrap())
        })
        .collect()
}

fn run_case(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    // Of its own: sets that share slices may see rows that came too late for one of them.
    let spec = SetSpec {
        filter: None,
        window: random_window(&mut random),
        emit: Emit::Current,
        aggregates: aggregates(false),
        retracting: false,
    };
    let mut operator = WindowOperator::new(encoder(), vec![spec.clone()]);
    let set = SetId(0);
    operator.set_keep(set, true);
    let mut shown: BTreeMap<u32, Values> = BTreeMap::new();
    let mut accepted: Vec<Row> = Vec::new();
    let keys = random.u32(1..6);
    let pace = [1, 5, 40][random.usize(0..3)];
    let disorder = [0, 4, 60][random.usize(0..3)];
    let (mut head, mut frontier, mut seq) = (random.i64(-500..500) * UNIT, NO_TIME, 0);
    for step in 0..random.usize(1..30) {
        let mut batch: Vec<Row> = Vec::new();
        for _ in 0..random.usize(0..12) {
            head += random.i64(0..pace + 1) * UNIT;
            seq += 1;
            batch.push(Row {
                time: head - random.i64(0..disorder + 1) * UNIT,
                seq,
                key: random.u32(0..keys),
                value: random.i64(-100..100),
                flags: [random.bool(); 3],
                watermark: NO_TIME,
                retract: false,
            });
        }
        let prepared = Batch::new(&batch, 1);
        operator.process(&prepared.input(0, false));
        // A row counts while some window that holds it is current or to come.
        let open = |row: &Row| {
            let ends = windows_of(&spec.window, row.time);
            frontier == NO_TIME || ends.iter().any(|window| window.1 > frontier)
        };
        accepted.extend(batch.iter().filter(|row| open(row)).cloned());
        if !batch.is_empty() {
            frontier = frontier.max(head);
        }
        if frontier != NO_TIME && random.u32(0..3) == 0 {
            let longest = [5, 100, 800][random.usize(0..3)];
            head += random.i64(0..longest) * UNIT;
            frontier = head;
        }
        while operator.advance(frontier, NO_TIME, random.usize(1..20)) {}
        if random.bool() || frontier == NO_TIME {
            continue;
        }
        while let Some(changes) = operator.take_changes(set, random.usize(1..5), true) {
            for row in 0..changes.slots.len() {
                assert_eq!(changes.states[row], RowState::Live, "nothing is ever empty");
                shown.insert(key_of(&changes, row), values_of(&changes, row));
            }
            operator.take_freed(set);
        }
        let wanted = expected(&accepted, &spec, frontier);
        assert_eq!(
            shown, wanted,
            "seed {seed} step {step} {spec:?} at {frontier}"
        );
    }
    // What is kept stands with the reader only.
    while operator.advance(head + 10_000 * UNIT, NO_TIME, 100) {}
    while operator.take_changes(set, 3, true).is_some() {}
    let stats = operator.stats();
    assert_eq!((stats.keys, stats.slices), (0, 0), "seed {seed}");
}

#[test]
fn the_last_window_with_rows_stays() {
    let cases: u64 = std::env::var("WINDOW_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(400);
    for seed in 0..cases {
        run_case(seed);
    }
}
